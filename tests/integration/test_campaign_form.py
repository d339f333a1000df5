"""The form of a campaign, without a browser: every definition survives it, and every error finds its field."""

from __future__ import annotations

from typing import Any

import pytest

from flask_encore.domain.campaigns import CampaignState, CampaignStatus
from flask_encore.domain.conditions import READERS
from flask_encore.domain.kinds import KINDS
from flask_encore.domain.offers import Outcome, Placement
from flask_encore.domain.rules import from_json
from flask_encore.services.auditing import Action
from flask_encore.services.campaign_schema import CampaignRefused, campaign_of, definition_of
from flask_encore.services.choosing import Result
from flask_encore.web import campaign_form, campaign_rule_form, campaign_words
from flask_encore.web.campaign_pages import BUTTONS

OFFERS: list[dict[str, Any]] = [
    {
        "kind": "complementary",
        "discount": {"percent": 10},
        "only_categories": ["Kitchen", "Tea, loose"],
        "never_categories": ["Books"],
        "price_cap_percent": 50,
        "margin_floor_percent": 20,
        "pinned": [["pot", "tea"], ["pot", "mug"]],
        "blocked": [["pot", "kettle"]],
    },
    {"kind": "fixed", "skus": ["tea", "mug"], "discount": {"amounts": {"gbp": "2.00", "jpy": "300"}}},
    {"kind": "service", "sku": "gift-wrap"},
    {
        "kind": "service",
        "sku": "gift-wrap",
        "discount": {"percent": 100},
        "text": {"label": {"de": "Ihre Nachricht: kurz", "en": "Your message"}, "max_length": 80, "required": True},
    },
    {"kind": "buy_get", "buy": 0, "get": 2, "percent_off": 50, "skus": ["tea"]},
    {"kind": "bundle", "skus": ["mug", "tea"], "prices": {"eur": "22.50", "gbp": "19.00"}},
    {"kind": "more", "minimum": 2, "maximum": 6, "step": 2, "skus": ["tea"], "discount": {"percent": 15}},
]

RULES: list[tuple[str, Any]] = [
    ("every", {"all": []}),
    (
        "some",
        {
            "all": [
                {"order_total": {"at_least": "20.00", "at_most": "90.00", "currency": "gbp"}},
                {"item_count": {"at_least": 2}},
                {"sku": {"any": ["pot", "mug"]}},
                {"sku": {"none": ["tea"]}},
                {"category": {"any": ["Kitchen"]}},
                {"category": {"none": ["Books"]}},
                {"tag": {"any": ["wholesale"]}},
                {"discount_code": {"any": ["spring10"]}},
                {"country": ["GB", "IE"]},
                {"locale": ["de"]},
                {"customer": "new"},
                {"weekday": ["mon", "sun"]},
            ]
        },
    ),
    ("json", {"any": [{"country": ["GB"]}]}),
    ("json", {"all": [{"sku": {"any": ["pot"], "quantity": 2}}]}),
    ("json", {"all": [{"customer": "new"}, {"customer": "returning"}]}),
    ("json", {"all": [{"not": {"customer": "new"}}]}),
    ("json", {"customer": "new"}),
    ("json", {"all": [{"order_count": {"at_least": 3}}]}),
]

#: Nothing in it is a default.
WHOLE: dict[str, Any] = {
    "ref": "tea-with-pots",
    "name": "Tea with every pot",
    "status": "live",
    "priority": -10,
    "placement": "dialog",
    "begins": False,
    "rule": RULES[1][1],
    "offer": OFFERS[1],
    "on_accept": "wraps",
    "on_decline": "cheaper",
    "starts_at": "2026-12-01T09:00",
    "ends_at": "2026-12-24T18:30",
    "limits": {"offers": 2, "days": 30, "once_per_customer": True, "group": "tea", "group_days": 7},
    "budget": {"amount": "500.00", "currency": "gbp"},
    "timer_minutes": 10,
    "copy": {"de-AT": {"headline": "Tee?"}, "en": {"headline": "Tea?", "body": "A strong one."}},
}


def through_the_form(definition: dict[str, Any]) -> Any:
    """What a merchant who opens a campaign and saves it at once has saved."""
    stored = definition_of(campaign_of(definition))
    reading = campaign_form.read(campaign_form.fields_of(stored))
    assert reading.errors == {}
    return definition_of(campaign_of(reading.definition)), stored


def test_every_field_of_a_campaign_survives_the_form() -> None:
    read, stored = through_the_form(WHOLE)
    assert read == stored
    assert set(definition_of(campaign_of({"ref": "a", "name": "A", "offer": OFFERS[2]}), whole=True)) == set(WHOLE)


@pytest.mark.parametrize("offer", OFFERS, ids=[f"{offer['kind']}-{place}" for place, offer in enumerate(OFFERS)])
def test_every_kind_of_offer_survives_the_form(offer: dict[str, Any]) -> None:
    read, stored = through_the_form({"ref": "a", "name": "A", "offer": offer})
    assert read == stored


@pytest.mark.parametrize(("mode", "rule"), RULES)
def test_every_rule_survives_the_form_in_plain_fields_where_there_are_some(mode: str, rule: Any) -> None:
    read, stored = through_the_form({"ref": "a", "name": "A", "offer": OFFERS[2], "rule": rule})
    assert read == stored
    assert campaign_rule_form.fields_of(rule)["rule.mode"] == mode


def test_a_budget_in_units_survives_the_form() -> None:
    read, _ = through_the_form({"ref": "a", "name": "A", "offer": OFFERS[2], "budget": {"units": 100}})
    assert read["budget"] == {"units": 100}


def test_words_typed_in_two_lines_are_one_paragraph() -> None:
    reading = campaign_form.read({"copy.en.body": " A strong one. \nFrom Assam."})
    assert reading.definition["copy"] == {"en": {"headline": "", "body": "A strong one. From Assam."}}


def test_only_the_chosen_kind_is_read() -> None:
    fields = {"kind": "fixed", "fixed.skus": "tea", "service.sku": "wrap", "bundle.first": "mug", "more.minimum": "x"}
    assert campaign_form.read(fields).definition["offer"] == {"kind": "fixed", "skus": ["tea"], "discount": {}}


def errors_of(changes: dict[str, str]) -> dict[str, list[str]]:
    """Errors by field, of a campaign that is right but for *changes*."""
    fields = {"ref": "a", "name": "A", "kind": "fixed", "fixed.skus": "tea", "begins": "on"} | changes
    reading = campaign_form.read(fields)
    errors = dict(reading.errors)
    try:
        campaign_of(reading.definition)
    except CampaignRefused as refusal:
        errors = dict(refusal.errors) | errors
    return campaign_form.errors_by_field(errors, fields=fields, places=reading.places)


SERVICE = {"kind": "service", "service.sku": "wrap", "service.text": "on"}
SOME = {"rule.mode": "some"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"ref": "Not A Ref"}, "ref"),
        ({"priority": "high"}, "priority"),
        ({"priority": "9" * 40}, "priority"),
        ({"kind": "banana"}, "offer"),
        ({"fixed.skus": ""}, "fixed.skus"),
        ({"fixed.discount.percent": "120"}, "fixed.discount.percent"),
        ({"fixed.discount.amounts": "2.00"}, "fixed.discount.amounts"),
        ({"fixed.discount.amounts": "GBP 2.00\nGBP 3.00"}, "fixed.discount.amounts"),
        ({"fixed.discount.amounts": "GBP 2.005"}, "fixed.discount.amounts"),
        ({"fixed.discount.percent": "5", "fixed.discount.amounts": "GBP 2.00"}, "fixed.discount"),
        ({"kind": "complementary", "complementary.pinned": "pot tea"}, "complementary.pinned"),
        ({"kind": "complementary", "complementary.blocked": "pot -> pot"}, "complementary.blocked"),
        ({"kind": "complementary", "complementary.price_cap_percent": "-1"}, "complementary.price_cap_percent"),
        ({"kind": "service"}, "service.sku"),
        (SERVICE, "service.text.label"),
        (SERVICE | {"service.text.label": "de: Nachricht"}, "service.text.label"),
        (SERVICE | {"service.text.label": "en: Text", "service.text.max_length": "5000"}, "service.text.max_length"),
        ({"kind": "buy_get", "buy_get.get": "0"}, "buy_get.get"),
        ({"kind": "bundle", "bundle.first": "mug", "bundle.prices": "GBP 9.00"}, "bundle.first"),
        ({"kind": "bundle", "bundle.first": "mug", "bundle.second": "tea"}, "bundle.prices"),
        ({"kind": "more", "more.minimum": "5", "more.maximum": "2"}, "more.maximum"),
        (SOME, "rule"),
        (SOME | {"if.order_total.at_least": "20"}, "if.order_total"),
        (SOME | {"if.customer": "new", "if.country": "Britain"}, "if.country"),
        (SOME | {"if.item_count.at_least": "many"}, "if.item_count"),
        ({"rule.mode": "json", "rule": "{"}, "rule"),
        ({"rule.mode": "json", "rule": "[" * 100_000}, "rule"),
        ({"rule.mode": "json", "rule": '{"all": [{"colour": ["red"]}]}'}, "rule"),
        ({"starts_at": "2026-12-01T09:00", "ends_at": "2026-11-01T09:00"}, "ends_at"),
        ({"starts_at": "tomorrow"}, "starts_at"),
        ({"limits.offers": "2"}, "limits"),
        ({"limits.group": "No"}, "limits.group"),
        ({"budget.amount": "5"}, "budget.amount"),
        ({"budget.units": "5", "budget.amount": "5", "budget.currency": "gbp"}, "budget"),
        ({"timer_minutes": "1"}, "timer_minutes"),
        ({"on_accept": "a"}, ""),
        ({"copy.en.headline": "x" * 5000}, "copy.en.headline"),
        ({"copy.en.body": "<b>now</b>"}, "copy.en.body"),
        ({"copy.new.headline": "Teetä?"}, "copy.new"),
        ({"copy.new.headline": "Tea?", "copy.new.language": "English"}, "copy.new"),
        ({"copy.new.headline": "Tea?", "copy.new.language": "en", "copy.en.headline": "Tea?"}, "copy.new"),
    ],
)
def test_an_error_is_shown_beside_its_field_and_nowhere_else(changes: dict[str, str], field: str) -> None:
    errors = errors_of(changes)
    assert list(errors) == [field]
    assert all(errors[field])


def test_a_rule_in_json_says_where_it_stops_being_json() -> None:
    assert errors_of({"rule.mode": "json", "rule": '{\n"all": [}'})["rule"] == [
        "This is not JSON yet in line 2, column 9."
    ]


def test_the_reference_has_every_condition_and_each_example_is_one() -> None:
    assert set(campaign_rule_form.EXAMPLES) == set(READERS) == set(campaign_words.CONDITIONS)
    for kind, value in campaign_rule_form.EXAMPLES.items():
        from_json({kind: value})


def test_every_word_the_campaign_pages_may_need_is_there() -> None:
    assert list(campaign_words.KIND_WORDS) == list(KINDS)
    assert set(campaign_words.STATES) == set(CampaignState)
    assert set(campaign_words.PLACEMENTS) == set(Placement)
    assert set(campaign_words.MOVED) == set(campaign_words.MOVES) == set(BUTTONS) == set(CampaignStatus)
    assert set(campaign_words.ACTIONS) == set(Action)
    assert set(campaign_words.RESULTS) == set(Result)
    assert set(campaign_words.OUTCOMES) == set(Outcome)
