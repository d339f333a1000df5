"""Experiments in the decisions of the page: who is exposed, what they are offered, and what is charged for it."""

from __future__ import annotations

from typing import Any

import pytest
from campaigns import decisions, launch, only, shown, told
from conftest import Shop, ShopFactory
from experiments import begin, defined, discounts, exposures, for_everybody, wording
from money import charge_row, statements, take

from flask_encore.cli import cli
from flask_encore.domain.experiments import RunningExperiment
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.services import experimenting, explaining, previewing, switching
from flask_encore.services.experiment_schema import experiment_of
from flask_encore.store import experiments as table

#: A campaign that speaks where tea has nothing to offer.
MUG = {"offer": {"kind": "fixed", "skus": ["mug"]}, "priority": -5}


def variant_of(shop: Shop, subject: str, ref: str = "words") -> str:
    """What a subject is dealt, recomputed from the stored row alone."""
    with shop.rt.db.read() as connection:
        row = table.find(connection, "", ref)
    assert row is not None
    running = RunningExperiment(experiment=experiment_of(row["definition"]), salt=bytes.fromhex(row["salt"]), version=1)
    return running.variant_for(subject)


def paid(shop: Shop, many: int, **changes: Any) -> list[str]:
    """So many orders of as many customers, whose refs are those of the orders; each page is opened."""
    refs = [f"o-{n}" for n in range(many)]
    for ref in refs:
        shop.pay(ref, customer_ref=ref, **changes)
        shown(shop, ref)
    return refs


def test_the_words_are_the_variants_and_the_exposure_is_logged(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    begin(shop)
    refs = paid(shop, 12)

    dealt = {ref: variant_of(shop, ref) for ref in refs}
    assert set(dealt.values()) == {"as it is", "short"}
    assert {ref: exposures(shop, ref) for ref in refs} == {ref: [{"words": name}] for ref, name in dealt.items()}
    headlines = {ref: only(shop, ref).decision["snapshot"]["headline"] for ref in refs}
    assert headlines == {ref: "Tea?" if name == "short" else "" for ref, name in dealt.items()}


def test_a_customer_keeps_their_variant_and_a_guest_is_dealt_by_the_order(shop: Shop) -> None:
    launch(shop, "tea")
    begin(shop)
    for number in range(6):
        shop.pay(f"o-{number}")
        shop.pay(f"g-{number}", customer_ref=None)
        shown(shop, f"o-{number}")
        shown(shop, f"g-{number}")
    assert [exposures(shop, f"o-{n}") for n in range(6)] == [[{"words": variant_of(shop, "c-17")}]] * 6
    assert [exposures(shop, f"g-{n}") for n in range(6)] == [[{"words": variant_of(shop, f"g-{n}")}] for n in range(6)]


def test_what_is_charged_is_the_price_of_the_variant(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea", offer={"kind": "fixed", "skus": ["tea"], "discount": {"percent": 10}})
    begin(shop, varies="discount", variants=discounts(20, 40), baseline="20 %")
    refs = paid(shop, 8)

    expected = {ref: {"20 %": 680, "40 %": 510}[variant_of(shop, ref)] for ref in refs}
    assert set(expected.values()) == {680, 510}
    for ref in refs:
        assert take(shop, only(shop, ref).decision["id"]) == "charged"
    assert {ref: charge_row(shop, ref)["amount_minor"] for ref in refs} == expected
    at_stripe = {ref: shop.rt.gateway.intent(charge_row(shop, ref)["payment_intent_ref"]) for ref in refs}
    assert {ref: intent.amount_received for ref, intent in at_stripe.items()} == expected


def test_an_offer_on_screen_keeps_its_price_when_the_experiment_stops_or_the_campaign_changes(shop: Shop) -> None:
    launch(shop, "tea")
    saved = begin(shop, varies="discount", variants=for_everybody(discount={"percent": 50}))
    shop.pay()
    token = shop.token()
    experimenting.stop(shop.rt, "words", actor="tests", expected=saved.version)
    launch(shop, "tea", offer={"kind": "fixed", "skus": ["tea"], "discount": {"percent": 1}})

    assert shop.accept(token) == "charged"
    assert charge_row(shop)["amount_minor"] == 425
    assert exposures(shop) == [{"words": "new"}]


def test_a_variant_that_has_nothing_to_offer_counts_as_exposed_all_the_same(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    launch(shop, "mug", **MUG)
    launch(shop, "gone", status="draft", offer={"kind": "fixed", "skus": ["vanished"]})
    begin(shop, varies="campaign", variants=for_everybody(campaign="gone"))
    shop.pay()

    assert told(shop) == [("mug", "mug")]
    assert exposures(shop) == [{"words": "new"}]


def test_where_no_other_campaign_speaks_either_it_still_counts(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_BUILT_IN_OFFER=False)
    launch(shop, "tea")
    launch(shop, "gone", status="draft", offer={"kind": "fixed", "skus": ["vanished"]})
    begin(shop, varies="campaign", variants=for_everybody(campaign="gone"))
    shop.pay()

    assert told(shop) == []
    [row] = decisions(shop)
    assert (row["outcome"], row["reason"], row["exposures"]) == ("ineligible", "all_filtered", {"words": "new"})


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": {"country": ["US"]}},
        {"starts_at": "2027-01-01T00:00"},
        {"placement": "order_status"},
        {"status": "paused"},
        {"begins": False},
    ],
    ids=["rule", "window", "page", "paused", "only follows"],
)
def test_who_does_not_pass_the_campaigns_questions_is_not_exposed(shop: Shop, changes: dict[str, Any]) -> None:
    launch(shop, "tea", **changes)
    begin(shop)
    shop.pay()
    assert told(shop) == [("built-in", "mug")]
    assert exposures(shop) == [None]


def test_another_campaign_that_speaks_first_leaves_nobody_exposed(shop: Shop) -> None:
    launch(shop, "tea")
    launch(shop, "mug", **(MUG | {"priority": 5}))
    begin(shop)
    shop.pay()
    assert told(shop) == [("mug", "mug")]
    assert exposures(shop) == [None]


def test_limits_are_the_subjects_own_whatever_the_variant(shop: Shop) -> None:
    launch(shop, "tea", limits={"offers": 1, "days": 30})
    launch(shop, "mug", **MUG, status="draft")
    begin(shop, varies="campaign", variants=for_everybody(campaign="mug"))
    for ref in ("1", "2"):
        shop.pay(ref)
        shown(shop, ref)

    assert told(shop, "1") == [("tea", "mug")]
    assert told(shop, "2") == [("built-in", "mug")]
    assert exposures(shop, "1") + exposures(shop, "2") == [{"words": "new"}, None]


def test_the_experiments_own_holdout_is_offered_nothing_and_logged(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    variants = [{"name": "as it is", "weight": 2_500}, {"name": "short", "weight": 2_500, "copy": wording("Tea?")}]
    begin(shop, variants=variants, holdout=5_000)
    refs = paid(shop, 10)

    held = [ref for ref in refs if variant_of(shop, ref) == "holdout"]
    assert 0 < len(held) < 10
    for ref in refs:
        [row] = decisions(shop, ref)
        reason = (Outcome.HELD_OUT, Reason.EXPERIMENT_HOLDOUT) if ref in held else (Outcome.OFFERED, Reason.CHOSEN)
        assert (row["outcome"], row["reason"]) == reason
        assert row["exposures"] == {"words": variant_of(shop, ref)}
        assert (row["campaign_ref"], row["sku"]) == ("tea", "tea")
        assert ("Assam tea" in shop.page(ref).text) is (ref not in held)


def test_who_is_in_the_standing_holdout_takes_no_part(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=50)
    launch(shop, "tea")
    begin(shop)
    refs = paid(shop, 10)
    arms = {ref: decisions(shop, ref)[0]["arm"] for ref in refs}
    assert set(arms.values()) == {"treatment", "holdout"}
    assert {ref: exposures(shop, ref)[0] for ref in refs} == {
        ref: None if arm == "holdout" else {"words": variant_of(shop, ref)} for ref, arm in arms.items()
    }


def test_in_shadow_mode_variants_are_decided_and_nobody_counts(shop: Shop) -> None:
    launch(shop, "tea")
    begin(shop, variants=for_everybody(copy=wording("Tea?")))
    switching.turn(shop.rt, actor="tests", shadow=True)
    shop.pay()
    assert shown(shop) == ()
    [row] = decisions(shop)
    assert (row["outcome"], row["exposures"], row["snapshot"]["headline"]) == ("shadowed", None, "Tea?")
    [found] = explaining.explain(shop.rt, "1042") or ()
    assert [(one.variant, one.is_logged) for one in found.experiments] == [("new", False)]


def test_the_built_in_offer_can_be_the_subject(shop: Shop) -> None:
    begin(shop, varies="discount", campaign="built-in", variants=for_everybody(discount={"percent": 30}))
    shop.pay()
    assert told(shop) == [("built-in", "mug")]
    assert only(shop).decision["total_minor"] == 903
    assert exposures(shop) == [{"words": "new"}]


def test_a_follow_up_can_be_the_subject(shop: Shop) -> None:
    launch(shop, "tea", on_accept="more")
    launch(shop, "more", begins=False, offer={"kind": "fixed", "skus": ["mug"]})
    begin(shop, campaign="more", variants=for_everybody(copy=wording("A mug with it?")))
    shop.pay()
    assert take(shop, only(shop).decision["id"]) == "charged"
    assert [one.decision["snapshot"]["headline"] for one in shown(shop)] == ["", "A mug with it?"]
    assert exposures(shop) == [None, {"words": "new"}]


def test_two_experiments_on_one_order_are_both_logged(shop: Shop) -> None:
    launch(shop, "tea", priority=1)
    launch(shop, "mug", **MUG)
    launch(shop, "gone", status="draft", offer={"kind": "fixed", "skus": ["vanished"]})
    begin(shop, varies="campaign", variants=for_everybody(campaign="gone"))
    begin(shop, "mugs", campaign="mug", variants=for_everybody(copy=wording("A mug?")))
    shop.pay()
    assert only(shop).decision["snapshot"]["headline"] == "A mug?"
    assert exposures(shop) == [{"words": "new", "mugs": "new"}]


def test_a_change_that_cannot_be_made_any_more_leaves_the_campaign_as_it_is_and_says_so(shop: Shop) -> None:
    launch(shop, "tea")
    begin(shop, varies="discount", variants=for_everybody(discount={"percent": 50}))
    launch(shop, "tea", offer={"kind": "bundle", "skus": ["tea", "mug"], "prices": {"gbp": "10.00"}})
    shop.pay()

    assert only(shop).decision["total_minor"] == 1_000
    assert exposures(shop) == [{"words": "new"}]
    [found] = explaining.explain(shop.rt, "1042") or ()
    assert [(one.variant, one.applied) for one in found.experiments] == [("new", False)]
    assert shop.rt.counts["experiment_not_applied"] == 1


def test_the_log_tells_the_experiment_and_is_made_again(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    begin(shop, varies="discount", variants=for_everybody(discount={"percent": 50}))
    shop.pay()
    shown(shop)

    [found] = explaining.explain(shop.rt, "1042") or ()
    assert found.is_reproduced is True
    assert found.as_json()["experiments"] == [
        {"ref": "words", "variant": "new", "campaign": "tea", "applied": True, "is_logged": True}
    ]
    told = shop.app.test_cli_runner().invoke(cli, ["explain", "1042"]).output
    assert "  experiment words about tea: new\n" in told


def test_without_experiments_a_decision_is_what_it_was(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    shop.pay()
    shown(shop)
    [row] = decisions(shop)
    assert row["exposures"] is None
    assert sorted(row["trace"]) == ["asked", "asked_before", "dial", "explore", "picked", "tied"]
    assert shop.rows("orders")[0]["facts"] is not None
    assert "experiment" not in str(shop.rows("orders")[0]["facts"])


def test_a_page_with_experiments_costs_no_statement_more(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    launch(shop, "mug", **MUG, status="draft")
    begin(shop, varies="campaign", variants=for_everybody(campaign="mug"))
    shop.pay()
    with statements(shop) as log:
        assert told(shop) == [("tea", "mug")]
        assert told(shop) == [("tea", "mug")]
    assert log == ["SELECT encore_orders", "INSERT encore_decisions", "COMMIT", "SELECT encore_orders"]


def test_a_change_of_an_experiment_is_seen_by_the_next_page_of_every_process(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    saved = begin(shop, variants=for_everybody(copy=wording("Tea?")))
    shop.pay("1")
    assert only(shop, "1").decision["snapshot"]["headline"] == "Tea?"
    shop.pay("2")
    experimenting.stop(shop.rt, "words", actor="tests", expected=saved.version)
    with statements(shop) as log:
        assert only(shop, "2").decision["snapshot"]["headline"] == ""
    assert log[:3] == ["SELECT encore_orders", "SELECT encore_switches", "SELECT encore_campaigns"]
    assert exposures(shop, "2") == [None]


def test_an_experiment_that_cannot_be_read_is_left_out_and_the_others_go_on(shop: Shop) -> None:
    launch(shop, "tea")
    saved = begin(shop)
    with shop.rt.db.write() as connection:
        from flask_encore.store import switches

        switches.lock(connection, "")
        table.change(
            connection, "", "words", version=saved.version, actor="x", now=shop.clock(), definition={"varies": "smell"}
        )
        switches.bump(connection, "")
    shop.pay()
    assert told(shop) == [("tea", "tea")]
    assert exposures(shop) == [None]
    assert shop.rt.counts["experiment_not_understood"] == 1
    assert experimenting.listed(shop.rt) == []


# Before it begins


def test_each_variant_is_tried_on_a_past_order_and_nothing_is_written(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea", status="draft")
    experiment = experiment_of(defined(varies="discount", variants=[*discounts(20, 40)], baseline="20 %", holdout=0))
    shop.pay()
    found = [previewing.preview_variant(shop.rt, experiment, name, "1042") for name in ("20 %", "40 %", "holdout")]
    assert [(one.campaign_ref, one.total.minor_units if one.total else None) for one in found] == [
        ("tea", 680),
        ("tea", 510),
        ("tea", 850),
    ]
    assert [one.exposed[0].variant for one in found] == ["20 %", "40 %", "holdout"]
    assert shop.rows("decisions") == []


def test_a_preview_of_a_campaign_tells_the_experiment_it_hangs_on(shop: Shop) -> None:
    launch(shop, "tea")
    begin(shop, variants=for_everybody(copy=wording("Tea?")))
    shop.pay()
    found = previewing.preview(shop.rt, None, "1042")
    assert [(one.experiment_ref, one.variant) for one in found.exposed] == [("words", "new")]
    assert found.card is not None
    assert found.card["headline"] == "Tea?"
