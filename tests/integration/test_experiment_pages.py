"""The merchant's experiment pages over HTTP: written, tried, started, read, stopped, rolled out; nonsense refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from campaigns import launch, only, shown
from conftest import Shop
from dashboard_campaigns import form_in, post
from dashboard_pages import get, guarded, text_of
from experiments import begin, defined, discounts, exposed, for_everybody, recounted
from money import take

from flask_encore.domain.experiments import ExperimentStatus
from flask_encore.domain.rights import Actor, Right
from flask_encore.services import campaigning, experiment_figures, experimenting
from flask_encore.services.experimenting import Saved

LIST = "/encore/dashboard/experiments/"

#: Right as it is: two headlines for tea.
FORM = {
    "ref": "words",
    "name": "Shorter words",
    "varies": "copy",
    "campaign": "tea",
    "holdout": "10",
    "worth": "1",
    "baseline": "0",
    "rows": "2",
    "v.0.name": "As it is",
    "v.0.weight": "45",
    "v.1.name": "Short",
    "v.1.weight": "45",
    "v.1.copy.0.language": "en",
    "v.1.copy.0.headline": "Tea?",
}


def stored(shop: Shop, ref: str = "words") -> Saved | None:
    return experimenting.find(shop.rt, ref)


def errors_of(response: Any) -> list[str]:
    """The names in the list of errors."""
    return re.findall(r'<a href="#([^"]+)-error">', response.text)


def test_an_experiment_is_written_tried_started_read_stopped_and_rolled_out(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    shop.pay("past")
    tried = post(shop, f"{LIST}new", FORM | {"then": "preview", "order_ref": "past"})
    assert tried.status_code == 200
    assert text_of(tried).count("Assam tea, 250 g") >= 2
    assert ">Tea?<" in tried.text
    assert stored(shop) is None

    assert post(shop, f"{LIST}new", FORM | {"then": "save"}).status_code == 303
    draft = stored(shop)
    assert draft is not None
    assert (draft.status, draft.experiment.holdout) == (ExperimentStatus.DRAFT, 1_000)
    started = post(shop, f"{LIST}words/start", {"version": "1"})
    assert (started.status_code, started.headers["Location"]) == (303, f"{LIST}words/?changed=yes")
    assert "It is running." in text_of(get(shop, f"{LIST}words/", changed="yes"))

    for number in range(20):
        ref = f"o-{number:02}"
        shop.pay(ref, customer_ref=f"c-{number}")
        for one in shown(shop, ref)[: number % 2]:
            assert take(shop, one.decision["id"]) == "charged"
    figures = experiment_figures.figures(shop.rt, draft.experiment)
    [gbp] = figures.currencies
    raw = recounted(shop)
    assert {("gbp", one.name): one.arm for one in gbp.variants if one.arm.orders} == raw
    told = text_of(get(shop, f"{LIST}words/"))
    for one in gbp.variants:
        assert f"Customers {one.arm.customers}" in told
    assert "You may look every day." in told
    assert "Not enough data: fewer than 100 customers" in told
    assert "winner" not in told

    assert post(shop, f"{LIST}words/stop", {"version": "2", "note": "Shorter is enough."}).status_code == 303
    assert (
        post(
            shop, f"{LIST}words/roll-out/1", {"version": "3", "campaign_version": "1", "note": "Shorter is enough."}
        ).status_code
        == 303
    )
    campaign = campaigning.find(shop.rt, "tea")
    assert campaign is not None
    assert (campaign.campaign.wording["en"].headline, campaign.updated_by) == ("Tea?", "merchant")
    page = text_of(get(shop, f"{LIST}words/"))
    assert "Rolled out" in page
    assert "Shorter is enough." in page
    assert "Experiments" in text_of(get(shop, "/encore/dashboard/campaigns/history", of="experiments"))
    assert "To the experiment" in text_of(get(shop, "/encore/dashboard/campaigns/experiment words/history"))


def test_before_the_first_one_the_page_says_what_they_are(shop: Shop) -> None:
    told = text_of(get(shop, LIST))
    assert "No experiments yet" in told
    assert "It never names a winner" in told


def test_the_list_groups_by_how_they_stand_and_can_be_downloaded(shop: Shop) -> None:
    launch(shop, "tea")
    saved = begin(shop)
    experimenting.create(shop.rt, defined("later", name="Later"), actor="anna")
    told = text_of(get(shop, LIST))
    assert told.index("Running") < told.index("Words Running Words of “Tea” · 2 variants") < told.index("Drafts")
    assert "Later Draft" in told
    sheet = get(shop, LIST, download="csv", table="experiments").text
    assert sheet.splitlines()[0] == "Ref,Name,Status,Varies,Campaign,Started at,Ended at,Rolled out,Note"
    assert f"words,{saved.experiment.name},running,copy,tea," in sheet


def test_a_draft_is_edited_in_the_form_it_was_written_in(shop: Shop) -> None:
    launch(shop, "tea")
    experimenting.create(shop.rt, defined(varies="discount", variants=discounts(10, 20), baseline="20 %"), actor="anna")
    form = form_in(get(shop, f"{LIST}words/"))
    assert {name: form[name] for name in ("v.0.percent", "v.1.percent", "v.0.weight", "baseline", "version")} == {
        "v.0.percent": "10",
        "v.1.percent": "20",
        "v.0.weight": "50",
        "baseline": "1",
        "version": "1",
    }
    kept = post(shop, f"{LIST}words/", form | {"then": "save"})
    assert kept.status_code == 303
    saved = stored(shop)
    assert saved is not None
    assert (saved.version, saved.experiment.baseline) == (1, "20 %")
    assert post(shop, f"{LIST}words/", form | {"then": "save", "name": "Renamed"}).status_code == 303
    again = stored(shop)
    assert again is not None
    assert (again.version, again.experiment.name) == (2, "Renamed")


def test_words_of_several_languages_survive_the_form(shop: Shop) -> None:
    launch(shop, "tea")
    copy = {"en": {"headline": "Tea?"}, "de": {"headline": "Tee?", "body": "Frisch"}, "fr": {"body": "Frais"}}
    written = experimenting.create(shop.rt, defined(variants=for_everybody(copy=copy)), actor="anna")
    post(shop, f"{LIST}words/", form_in(get(shop, f"{LIST}words/")) | {"then": "save"})
    assert stored(shop) == written


@pytest.mark.parametrize(
    ("typed", "percent"),
    [
        ({}, None),
        ({"v.1.discount": "on"}, 0),
        ({"v.1.percent": "25"}, 25),
        ({"v.1.discount": "on", "v.1.percent": "5"}, 5),
    ],
)
def test_a_discount_is_the_variants_own_when_it_is_ticked_or_typed(
    shop: Shop, typed: dict[str, str], percent: int | None
) -> None:
    post(shop, f"{LIST}new", FORM | {"varies": "discount", "then": "save"} | typed)
    saved = stored(shop)
    assert saved is not None
    found = saved.experiment.variants[1].discount
    assert (None if found is None else found.percent) == percent


def test_shares_are_made_equal_and_rows_come_and_go_without_saving(shop: Shop) -> None:
    launch(shop, "tea")
    more = form_in(post(shop, f"{LIST}new", FORM | {"then": "add"}))
    assert more["rows"] == "3"
    equal = form_in(post(shop, f"{LIST}new", more | {"v.2.name": "Third", "then": "equal"}))
    assert [equal[f"v.{row}.weight"] for row in range(3)] == ["30", "30", "30"]
    third = form_in(post(shop, f"{LIST}new", equal | {"holdout": "0", "then": "equal"}))
    assert [third[f"v.{row}.weight"] for row in range(3)] == ["33.34", "33.33", "33.33"]
    fewer = form_in(post(shop, f"{LIST}new", third | {"baseline": "2", "then": "remove-0"}))
    assert (fewer["rows"], fewer["v.0.name"], fewer["v.1.name"], fewer["baseline"]) == ("2", "Short", "Third", "1")
    assert shop.rows("experiments") == []


def test_a_refusal_stands_beside_its_field_and_keeps_what_was_typed(shop: Shop) -> None:
    wrong = {
        "ref": "Not One",
        "name": " ",
        "holdout": "ten",
        "v.0.weight": "much",
        "v.1.name": "",
        "v.1.copy.0.headline": "Only today!",
    }
    refused = post(shop, f"{LIST}new", FORM | wrong | {"then": "save"})
    assert refused.status_code == 422
    assert set(errors_of(refused)) == {
        "ref",
        "name",
        "holdout",
        "v.0.weight",
        "v.1.name",
        "v.1.copy.0.headline",
    }
    assert form_in(refused)["holdout"] == "ten"
    assert "The holdout has to be a share such as 45 or 33.33." in text_of(refused)
    assert shop.rows("experiments") == []


def test_shares_that_are_not_everybody_are_refused(shop: Shop) -> None:
    refused = post(shop, f"{LIST}new", FORM | {"v.1.weight": "40", "then": "save"})
    assert errors_of(refused) == ["variants"]
    assert "got 9,500 (95 %)" in text_of(refused)


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": "9" * 30, "then": "add"},
        {"rows": "-1"},
        {"varies": "smell"},
        {"baseline": "77"},
        {"then": "remove-99"},
        {"name": "a\0b"},
        {"name": "x" * 5_000},
        {"v.1.copy.0.language": "\u202e"},
        {"varies": "discount", "v.1.discount": "on", "v.1.percent": "1e9"},
        {"varies": "discount", "v.1.discount": "on", "v.1.amounts": "GBP\nGBP 1\nGBP 2"},
        {"varies": "campaign", "v.1.campaign": "../etc"},
        {"varies": "model", "v.1.model": "x" * 400},
        {"campaign": "\ud800"},
    ],
    ids=str,
)
def test_nonsense_in_the_form_is_a_form_again_and_never_an_error_of_ours(shop: Shop, changes: dict[str, str]) -> None:
    sent = {name: text.encode("utf-8", "replace").decode() for name, text in (FORM | changes).items()}
    assert post(shop, f"{LIST}new", sent).status_code in (200, 303, 422)


@pytest.mark.parametrize("path", ["gone/", "gone/start", "gone/stop", "gone/archive", "gone/roll-out/0", "a%00b/"])
def test_what_there_is_none_of_is_told(shop: Shop, path: str) -> None:
    assert get(shop, f"{LIST}{path}").status_code == 404


def test_what_stands_against_a_start_is_told_on_the_page_and_nothing_moves(shop: Shop) -> None:
    draft = experimenting.create(shop.rt, defined(), actor="anna")
    refused = post(shop, f"{LIST}words/start", {"version": "1"})
    assert refused.status_code == 422
    assert "Nothing was changed: The campaign: there is no campaign 'tea'." in text_of(refused)
    assert stored(shop) == draft


def test_a_second_hand_finds_what_the_first_one_did(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    begin(shop)
    late = post(shop, f"{LIST}words/stop", {"version": "1"})
    assert late.status_code == 409
    assert "changed 'words' meanwhile; nothing was saved." in text_of(late)
    running = stored(shop)
    assert running is not None
    assert running.status is ExperimentStatus.RUNNING


def test_a_form_that_is_not_sealed_changes_nothing(shop: Shop) -> None:
    launch(shop, "tea")
    assert post(shop, f"{LIST}new", FORM, sealed=False).status_code == 403
    saved = begin(shop)
    for path in ("stop", "note", "archive"):
        answer = post(shop, f"{LIST}words/{path}", {"version": str(saved.version)}, sealed=False)
        assert answer.status_code == 403
    assert stored(shop) == saved


def test_who_may_only_read_is_shown_no_button_and_refused(shop: Shop) -> None:
    launch(shop, "tea")
    saved = begin(shop)
    guarded(shop, lambda: Actor("ann", frozenset({Right.READ})))
    page = get(shop, f"{LIST}words/")
    assert page.status_code == 200
    assert "Save note" not in page.text
    assert "/stop" not in page.text
    assert shop.app.test_client().post(f"{LIST}words/stop", data={"version": "2"}).status_code == 403
    assert stored(shop) == saved


def test_a_note_is_kept_and_a_conflicting_one_comes_back(shop: Shop) -> None:
    launch(shop, "tea")
    saved = begin(shop)
    assert (
        post(shop, f"{LIST}words/note", {"version": str(saved.version), "note": "So far\r\nso good"}).status_code == 303
    )
    noted = stored(shop)
    assert noted is not None
    assert noted.note == "So far\nso good"
    late = post(shop, f"{LIST}words/note", {"version": str(saved.version), "note": "Mine"})
    assert late.status_code == 409
    assert "Your note is still here." in text_of(late)
    assert "Mine</textarea>" in late.text


def test_with_a_mismatch_the_page_says_why_nothing_is_shown(shop: Shop) -> None:
    launch(shop, "tea")
    begin(shop, varies="discount", variants=discounts(10, 20), baseline="10 %")
    exposed(shop, [(f"c-{n}", "10 %" if n % 3 else "20 %", 800 if n % 2 else 0) for n in range(900)])
    told = text_of(get(shop, f"{LIST}words/"))
    assert "The result is not shown: there are not as many customers in each variant as there should be." in told
    assert "10 % Baseline 50% of customers Customers 600 450 expected" in told
    assert "compared with" not in told


def test_with_enough_orders_the_interval_is_told_and_drawn(shop: Shop) -> None:
    launch(shop, "tea")
    begin(shop, varies="discount", variants=discounts(10, 20), baseline="10 %")
    exposed(shop, [(f"c-{n}", "10 %" if n % 2 else "20 %", 0 if n % 8 > 1 else 800) for n in range(2_000)])
    page = get(shop, f"{LIST}words/")
    told = text_of(page)
    assert re.search(r"20 % compared with 10 % [+−]?£\d+\.\d\d an order, so far The difference lies between", told)
    assert 'class="band"' in page.text
    assert re.search(r"Needs about [\d,]+ more orders to notice a difference of £0\.\d\d an order\.", told)
    sheet = get(shop, f"{LIST}words/", download="csv", table="variants").text
    assert sheet.splitlines()[1].startswith("gbp,10 %,1000,1000,")


def test_a_campaign_that_somebody_changed_is_not_rolled_over(shop: Shop) -> None:
    launch(shop, "tea")
    saved = begin(shop)
    experimenting.stop(shop.rt, "words", actor="anna", expected=saved.version)
    form = form_in(get(shop, f"{LIST}words/roll-out/1"))
    launch(shop, "tea", priority=4)
    late = post(shop, f"{LIST}words/roll-out/1", form)
    assert late.status_code == 409
    shop.pay()
    assert only(shop).decision["snapshot"]["headline"] == ""


def test_the_campaigns_page_says_that_an_experiment_runs_about_it_and_what_it_deals(shop: Shop) -> None:
    launch(shop, "tea")
    shop.pay()
    path = "/encore/dashboard/campaigns/tea/"
    assert f"{LIST}new?campaign=tea" in get(shop, path).text
    begin(shop, variants=for_everybody(copy={"en": {"headline": "Tea?"}}))
    assert "The experiment Words runs about this campaign." in text_of(get(shop, path))
    form = form_in(get(shop, path)) | {"order_ref": "1042"}
    tried = post(shop, f"{path}preview", form)
    assert "The experiment words deals this order’s customer the variant “new”." in text_of(tried)
    assert form_in(get(shop, f"{LIST}new", campaign="tea"))["campaign"] == "tea"
