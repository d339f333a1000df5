"""Experiments as the merchant keeps them: every change guarded by a version, audited, and refused while it runs."""

from __future__ import annotations

from typing import Any

import pytest
from campaigns import launch, only
from conftest import Shop, ShopFactory
from experiments import begin, defined, discounts, for_everybody, wording

from flask_encore.domain.campaigns import CampaignStatus
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.experiments import ExperimentStatus
from flask_encore.services import auditing, campaigning, experimenting, switching
from flask_encore.services.campaign_schema import definition_of
from flask_encore.services.experiment_schema import ExperimentRefused
from flask_encore.services.experimenting import Conflict, NotFound, Saved


def create(shop: Shop, ref: str = "words", **changes: Any) -> Saved:
    return experimenting.create(shop.rt, defined(ref, **changes), actor="anna")


def start(shop: Shop, saved: Saved) -> Saved:
    return experimenting.start(shop.rt, saved.experiment.ref, actor="anna", expected=saved.version)


def stop(shop: Shop, saved: Saved, note: str = "") -> Saved:
    return experimenting.stop(shop.rt, saved.experiment.ref, actor="anna", expected=saved.version, note=note)


def stopped(shop: Shop, **changes: Any) -> Saved:
    return stop(shop, begin(shop, **changes))


def refused(act: Any) -> dict[str, list[str]]:
    with pytest.raises(ExperimentRefused) as refusal:
        act()
    return refusal.value.errors


def revision(shop: Shop) -> int:
    return switching.switches(shop.rt).revision


def test_an_experiment_lives_from_draft_to_archive_and_each_step_is_audited(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    before = revision(shop)
    draft = create(shop)
    running = start(shop, draft)
    over = stop(shop, running, "Nothing to see.")
    away = experimenting.archive(shop.rt, "words", actor="ben", expected=over.version)

    assert [one.status.value for one in (draft, running, over, away)] == ["draft", "running", "stopped", "archived"]
    assert [one.version for one in (draft, running, over, away)] == [1, 2, 3, 4]
    assert (running.started_at, over.ended_at, away.note) == (shop.clock(), shop.clock(), "Nothing to see.")
    assert revision(shop) == before + 4
    told = [(one.actor, one.action, one.changes) for one in auditing.history(shop.rt, subject="experiment words")]
    assert [(actor, action) for actor, action, _ in told] == [
        ("ben", "status"),
        ("anna", "status"),
        ("anna", "status"),
        ("anna", "create"),
    ]
    assert [(edit.path, edit.before, edit.after) for edit in told[1][2]] == [
        ("status", "running", "stopped"),
        ("note", "", "Nothing to see."),
    ]
    assert [one.experiment.ref for one in experimenting.listed(shop.rt)] == ["words"]


def test_every_experiment_has_a_salt_of_its_own_that_no_change_touches(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    launch(shop, "mug")
    create(shop)
    create(shop, "other", campaign="mug")
    salts = {row["experiment_ref"]: row["salt"] for row in shop.rows("experiments")}
    assert len(set(salts.values())) == 2
    assert {len(salt) for salt in salts.values()} == {32}
    saved = experimenting.save(shop.rt, defined(name="Renamed"), actor="anna", expected=1)
    start(shop, saved)
    assert {row["experiment_ref"]: row["salt"] for row in shop.rows("experiments")} == salts


def test_a_second_one_of_the_same_ref_is_refused(any_shop: Shop) -> None:
    shop = any_shop
    create(shop)
    with pytest.raises(Conflict) as conflict:
        create(shop, name="Mine")
    assert conflict.value.current is not None
    assert (conflict.value.current.experiment.name, len(shop.rows("experiments"))) == ("Words", 1)


@pytest.mark.parametrize("act", ["save", "annotate", "start", "stop", "archive", "roll_out"])
def test_who_saw_an_older_version_changes_nothing(any_shop: Shop, act: str) -> None:
    shop = any_shop
    launch(shop, "tea")
    saved = begin(shop) if act == "stop" else stopped(shop) if act == "roll_out" else create(shop)
    moved = experimenting.annotate(shop.rt, "words", "Mine first", actor="ben", expected=saved.version)
    log, at = shop.rows("audit"), revision(shop)
    what: dict[str, tuple[Any, ...]] = {
        "save": (defined(name="Other"),),
        "annotate": ("words", "Other"),
        "roll_out": ("words", "short"),
    }
    with pytest.raises(Conflict, match="ben changed 'words' meanwhile; nothing was saved") as conflict:
        getattr(experimenting, act)(shop.rt, *what.get(act, ("words",)), actor="anna", expected=saved.version)
    assert conflict.value.current == moved == experimenting.find(shop.rt, "words")
    assert (shop.rows("audit"), revision(shop)) == (log, at)


def test_what_is_stored_already_is_not_stored_again(any_shop: Shop) -> None:
    shop = any_shop
    saved = create(shop)
    log, at = shop.rows("audit"), revision(shop)
    assert experimenting.save(shop.rt, defined(), actor="ben", expected=saved.version) == saved
    assert experimenting.annotate(shop.rt, "words", " ", actor="ben", expected=saved.version) == saved
    assert (shop.rows("audit"), revision(shop)) == (log, at)


def test_while_it_runs_only_its_name_and_its_note_can_change(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    saved = begin(shop)
    other = defined(
        name="Renamed",
        baseline="short",
        worth=50,
        variants=[{"name": "as it is", "weight": 4_000}, {"name": "short", "weight": 6_000, "copy": wording("Tea!")}],
    )
    errors = refused(lambda: experimenting.save(shop.rt, other, actor="anna", expected=saved.version))
    assert sorted(errors) == [
        "baseline",
        "variants[0].weight",
        "variants[1].copy.en.headline",
        "variants[1].weight",
        "worth",
    ]
    assert experimenting.find(shop.rt, "words") == saved
    renamed = experimenting.save(shop.rt, defined(name="Renamed"), actor="anna", expected=saved.version)
    noted = experimenting.annotate(shop.rt, "words", "So far\nso good", actor="anna", expected=renamed.version)
    assert (noted.experiment.name, noted.note, noted.status) == ("Renamed", "So far\nso good", ExperimentStatus.RUNNING)


def test_none_of_that_name_is_told(shop: Shop) -> None:
    for act in (experimenting.start, experimenting.stop, experimenting.archive):
        with pytest.raises(NotFound, match="There is no experiment 'words'"):
            act(shop.rt, "words", actor="anna", expected=1)
    assert experimenting.find(shop.rt, "words") is None


@pytest.mark.parametrize("note", ["x" * 2_001, "a\0b", "a\u202eb", "<b>bold</b>"])
def test_a_note_that_cannot_be_kept_is_refused_and_nothing_moves(shop: Shop, note: str) -> None:
    launch(shop, "tea")
    saved = begin(shop)
    assert list(refused(lambda: stop(shop, saved, note))) == ["note"]
    assert experimenting.find(shop.rt, "words") == saved


# Starting


def test_two_experiments_on_one_campaign_are_refused(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    begin(shop)
    second = create(shop, "second")
    assert refused(lambda: start(shop, second)) == {
        "campaign": ["'words' runs about it already: stop that first, or nobody could tell which of them did what."]
    }
    assert experimenting.find(shop.rt, "second") == second


def test_everything_that_stands_against_a_start_is_told_at_once(shop: Shop) -> None:
    launch(shop, "tea", offer={"kind": "bundle", "skus": ["tea", "mug"], "prices": {"gbp": "10.00"}})
    launch(shop, "later", placement="order_status")
    launch(shop, "few", budget={"units": 3})
    bundle = create(shop, varies="discount", variants=discounts(5, 20), baseline="5 %")
    third = {"name": "c", "weight": 2_000, "campaign": "gone"}
    variants = [
        {"name": "as it is", "weight": 4_000},
        {"name": "a", "weight": 2_000, "campaign": "later"},
        {"name": "b", "weight": 2_000, "campaign": "few"},
        third,
    ]
    others = create(shop, "others", varies="campaign", variants=variants)
    nobody = create(shop, "nobody", campaign="gone")

    assert refused(lambda: start(shop, bundle)) == {
        "campaign": ["its offer (bundle) has a price of its own and no discount to vary."]
    }
    assert refused(lambda: start(shop, others)) == {
        "variants[1].campaign": ["'later' is for another page (order_status)."],
        "variants[2].campaign": ["'few' has a budget, and what it sold in place of another one would not count in it."],
        "variants[3].campaign": ["there is no such campaign."],
    }
    assert refused(lambda: start(shop, nobody)) == {"campaign": ["there is no campaign 'gone'."]}
    assert {one.status for one in experimenting.listed(shop.rt)} == {ExperimentStatus.DRAFT}


def test_a_campaign_that_has_ended_has_nobody_to_be_dealt_to(shop: Shop) -> None:
    launch(shop, "tea")
    campaigning.set_status(shop.rt, "tea", CampaignStatus.ENDED, actor="anna")
    assert refused(lambda: start(shop, create(shop))) == {"campaign": ["it has ended, and is offered to nobody."]}


def test_without_the_built_in_offer_there_is_none_to_vary(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_BUILT_IN_OFFER=False)
    errors = refused(lambda: start(shop, create(shop, campaign="built-in")))
    assert errors == {"campaign": ["the built-in offer is off (ENCORE_BUILT_IN_OFFER)."]}


@pytest.mark.parametrize(
    ("now", "act"),
    [
        ("running", "start"),
        ("stopped", "start"),
        ("archived", "start"),
        ("draft", "stop"),
        ("stopped", "stop"),
        ("running", "archive"),
        ("archived", "archive"),
    ],
)
def test_a_step_that_cannot_follow_is_refused(shop: Shop, now: str, act: str) -> None:
    launch(shop, "tea")
    saved = create(shop)
    if now in ("running", "stopped"):
        saved = start(shop, saved)
    if now == "stopped":
        saved = stop(shop, saved)
    if now == "archived":
        saved = experimenting.archive(shop.rt, "words", actor="anna", expected=saved.version)
    errors = refused(lambda: getattr(experimenting, act)(shop.rt, "words", actor="anna", expected=saved.version))
    assert list(errors) == ["status"]
    assert experimenting.find(shop.rt, "words") == saved


# Rolling out


def test_a_variant_is_rolled_out_into_its_campaign_and_can_be_put_back_from_the_history(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea", priority=3)
    before = campaigning.find(shop.rt, "tea")
    assert before is not None
    saved = stopped(shop)
    done = experimenting.roll_out(
        shop.rt, "words", "short", actor="anna", expected=saved.version, note="Shorter.", campaign_version=1
    )

    after = campaigning.find(shop.rt, "tea")
    assert after is not None
    assert definition_of(after.campaign) == definition_of(before.campaign) | {"copy": wording("Tea?")}
    assert (after.version, after.updated_by, done.rolled_out, done.note) == (2, "anna", "short", "Shorter.")
    newest, *_ = auditing.history(shop.rt, subject="tea")
    assert (newest.action, newest.before) == ("roll_out", definition_of(before.campaign))
    entry, *_ = auditing.history(shop.rt, subject="experiment words")
    assert entry.after == {"variant": "short", "note": "Shorter.", "campaign": "tea", "campaign_version": 2}
    shop.pay()
    assert only(shop).decision["snapshot"]["headline"] == "Tea?"
    back = campaigning.save(shop.rt, dict(newest.before or {}), actor="ben", expected=2)
    assert back.campaign == before.campaign


def test_a_campaign_that_somebody_changed_meanwhile_is_not_overwritten(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    saved = stopped(shop)
    launch(shop, "tea", priority=7)
    log = shop.rows("audit")
    with pytest.raises(Conflict, match="tests changed 'tea' meanwhile"):
        experimenting.roll_out(shop.rt, "words", "short", actor="anna", expected=saved.version, campaign_version=1)
    assert experimenting.find(shop.rt, "words") == saved
    assert shop.rows("audit") == log


def test_another_campaigns_offer_is_rolled_out_under_the_subjects_ref(shop: Shop) -> None:
    launch(shop, "tea", rule={"country": ["GB"]})
    launch(shop, "mug", status="draft", offer={"kind": "fixed", "skus": ["mug"]}, copy=wording("A mug?"))
    saved = stopped(shop, varies="campaign", variants=for_everybody(campaign="mug"))
    experimenting.roll_out(shop.rt, "words", "new", actor="anna", expected=saved.version, campaign_version=1)
    found = campaigning.find(shop.rt, "tea")
    assert found is not None
    assert definition_of(found.campaign) == {
        "ref": "tea",
        "name": "Tea",
        "status": "live",
        "rule": {"country": ["GB"]},
        "offer": {"kind": "fixed", "skus": ["mug"]},
        "copy": wording("A mug?"),
    }


def test_for_the_built_in_offer_a_campaign_is_written_that_speaks_in_its_place(shop: Shop) -> None:
    saved = stopped(shop, varies="discount", campaign="built-in", variants=for_everybody(discount={"percent": 30}))
    experimenting.roll_out(shop.rt, "words", "new", actor="anna", expected=saved.version)
    found = campaigning.find(shop.rt, "words")
    assert found is not None
    assert definition_of(found.campaign) == {
        "ref": "words",
        "name": "Words",
        "status": "live",
        "priority": -1000,
        "offer": {"kind": "complementary", "discount": {"percent": 30}},
    }
    shop.pay()
    assert (only(shop).decision["campaign_ref"], only(shop).decision["total_minor"]) == ("words", 903)


def test_the_baseline_is_rolled_out_by_changing_nothing(shop: Shop) -> None:
    launch(shop, "tea")
    saved = stopped(shop)
    done = experimenting.roll_out(
        shop.rt, "words", "as it is", actor="anna", expected=saved.version, campaign_version=1
    )
    found = campaigning.find(shop.rt, "tea")
    assert found is not None
    assert (found.version, done.rolled_out) == (1, "as it is")


@pytest.mark.parametrize("variant", ["holdout", "nobody", ""])
def test_what_is_no_variant_is_not_rolled_out(shop: Shop, variant: str) -> None:
    launch(shop, "tea")
    saved = stopped(shop)
    errors = refused(
        lambda: experimenting.roll_out(
            shop.rt, "words", variant, actor="anna", expected=saved.version, campaign_version=1
        )
    )
    assert list(errors) == ["variant"]
    assert experimenting.find(shop.rt, "words") == saved


def test_a_running_experiment_is_not_rolled_out(shop: Shop) -> None:
    launch(shop, "tea")
    saved = begin(shop)
    errors = refused(
        lambda: experimenting.roll_out(
            shop.rt, "words", "short", actor="anna", expected=saved.version, campaign_version=1
        )
    )
    assert errors == {"status": ["has to be stopped for a variant to be rolled out; it is running."]}


def test_nobody_changes_anything_without_a_name(shop: Shop) -> None:
    with pytest.raises(InvalidInput, match="actor"):
        experimenting.create(shop.rt, defined(), actor="")
    assert shop.rows("experiments") == []
