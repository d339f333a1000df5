"""A campaign's JSON: read strictly, every error at once and by its path; written so that it reads back the same."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_encore.domain import rules
from flask_encore.domain.campaigns import BUILT_IN, Budget, Campaign, CampaignStatus, Limits
from flask_encore.domain.conditions import READERS
from flask_encore.domain.kinds import (
    KINDS,
    Bundle,
    BuyGet,
    Complementary,
    Discount,
    Fixed,
    MoreOfTheSame,
    Service,
    TextField,
)
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Placement
from flask_encore.domain.wording import Wording
from flask_encore.services.campaign_files import MAX_CAMPAIGNS, campaigns_in, parsed, written
from flask_encore.services.campaign_schema import CampaignRefused, campaign_of, definition_of

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "campaigns.md"

LEAST: dict[str, Any] = {"ref": "tea", "name": "Tea", "status": "draft", "offer": {"kind": "fixed", "skus": ["tea"]}}

WHOLE: dict[str, Any] = {
    "ref": "tea-with-pots",
    "name": "Tea with every pot",
    "status": "live",
    "priority": 10,
    "placement": "dialog",
    "begins": False,
    "rule": {"all": [{"sku": {"any": ["pot"]}}, {"not": {"country": ["US"]}}]},
    "offer": {"kind": "fixed", "skus": ["tea", "mug"], "discount": {"amounts": {"eur": "2.50", "gbp": "2.00"}}},
    "on_accept": "mug",
    "on_decline": "tea-cheaper",
    "starts_at": "2026-12-01T09:00",
    "ends_at": "2026-12-24T12:00:30",
    "limits": {"offers": 2, "days": 31, "once_per_customer": True, "group": "tea", "group_days": 7},
    "budget": {"amount": "500.00", "currency": "gbp"},
    "timer_minutes": 15,
    "copy": {"de": {"headline": "Tee für die Kanne?"}, "en": {"headline": "Tea for your pot?", "body": "Loose leaf."}},
}


def refused(definition: object, **options: Any) -> dict[str, list[str]]:
    with pytest.raises(CampaignRefused) as caught:
        campaign_of(definition, **options)
    return caught.value.errors


def with_offer(**offer: Any) -> dict[str, Any]:
    return LEAST | {"offer": offer}


# There and back

refs = st.from_regex(r"[a-z0-9][a-z0-9-]{0,12}", fullmatch=True).filter(lambda ref: ref != BUILT_IN)
skus = st.text("abcxyz äß€._", min_size=1, max_size=8).filter(str.strip)
sku_lists = st.lists(skus, min_size=1, max_size=4, unique=True).map(tuple)
amounts = st.dictionaries(
    st.sampled_from(["gbp", "jpy", "kwd"]),
    st.integers(1, 10**9),
    max_size=3,
).map(lambda found: {currency: Money(units, currency) for currency, units in found.items()})
discounts = st.one_of(
    st.builds(Discount, percent=st.integers(0, 100)), st.builds(Discount, amounts=amounts), st.just(Discount())
)
words = st.text("Tea for you, Ärger, お茶 شاي\u00a0🫖", max_size=60)
labels = st.dictionaries(st.sampled_from(["de", "pt-BR"]), words.filter(str.strip)).map(
    lambda found: {"en": "Your message"} | found
)
pairs = st.tuples(skus, skus).filter(lambda pair: pair[0] != pair[1])
kinds = st.one_of(
    st.builds(Fixed, skus=sku_lists, discount=discounts),
    st.builds(
        Service,
        sku=skus,
        discount=discounts,
        text=st.none() | st.builds(TextField, label=labels, max_length=st.integers(1, 500), required=st.booleans()),
    ),
    st.builds(BuyGet, buy=st.integers(0, 9), get=st.integers(1, 9), percent_off=st.integers(1, 100), skus=sku_lists),
    st.builds(
        Bundle,
        skus=pairs,
        prices=amounts.filter(bool),
    ),
    st.builds(MoreOfTheSame, minimum=st.just(2), maximum=st.integers(2, 12), step=st.integers(1, 3), skus=sku_lists),
    st.builds(
        Complementary,
        discount=discounts,
        only_categories=st.just(("Tea",)),
        never_categories=st.sampled_from([(), ("Toys", "Wine")]),
        price_cap_percent=st.none() | st.integers(0, 10_000),
        margin_floor_percent=st.none() | st.integers(0, 100),
        pinned=st.lists(pairs, max_size=2).map(tuple),
    ),
)
CONDITIONS: list[dict[str, Any]] = [
    {"order_total": {"at_least": "20.00", "currency": "gbp"}},
    {"item_count": {"at_most": 3}},
    {"country": ["GB", "IE"]},
    {"sku": {"all": ["pot"], "quantity": 2}},
    {"customer": "new"},
    {"time": {"from": "09:00", "until": "18:00"}},
    {"weekday": ["mon", "fri"]},
    {"sample": {"percent": 10, "name": "autumn"}},
    {"known": "country"},
]
trees = st.recursive(
    st.sampled_from(CONDITIONS),
    lambda part: st.one_of(
        st.builds(lambda one: {"not": one}, part),
        st.builds(lambda many: {"all": many}, st.lists(part, max_size=3)),
        st.builds(lambda many: {"any": many}, st.lists(part, min_size=1, max_size=3)),
    ),
    max_leaves=5,
)
moments = st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-01-01"))


@st.composite
def made_campaigns(draw: st.DrawFn) -> Campaign:
    ref, *others = draw(st.lists(refs, min_size=3, max_size=3, unique=True))
    starts = draw(st.none() | moments)
    offers = draw(st.none() | st.integers(1, 1000))
    return Campaign(
        ref=ref,
        name=draw(words.filter(str.strip)),
        offer=draw(kinds),
        status=draw(st.sampled_from(CampaignStatus)),
        priority=draw(st.integers(-1000, 1000)),
        placement=draw(st.sampled_from(Placement)),
        rule=rules.from_json(draw(trees)),
        begins=draw(st.booleans()),
        on_accept=draw(st.sampled_from([None, *others])),
        on_decline=draw(st.sampled_from([None, *others])),
        starts_at=starts,
        ends_at=None if starts is None else draw(st.none() | st.just(starts + timedelta(days=3))),
        limits=Limits(
            offers=offers,
            days=None if offers is None else draw(st.integers(1, 3650)),
            once_per_customer=draw(st.booleans()),
            group=draw(st.none() | refs | st.just(BUILT_IN)),
            group_days=draw(st.integers(1, 3650)),
        ),
        budget=draw(
            st.none()
            | st.builds(Budget, units=st.integers(1, 10**9))
            | st.builds(Budget, amount=st.builds(Money, st.integers(1, 10**9), st.just("kwd")))
        ),
        timer_minutes=draw(st.none() | st.integers(2, 60)),
        wording=draw(
            st.dictionaries(
                st.sampled_from(["en", "de", "pt-BR", "ar"]), st.builds(Wording, headline=words, body=words), max_size=3
            )
        ),
    )


@settings(max_examples=150)
@given(made_campaigns())
def test_every_campaign_reads_back_from_its_json_exactly(campaign: Campaign) -> None:
    for whole in (False, True):
        text = json.dumps(definition_of(campaign, whole=whole))
        assert campaign_of(json.loads(text)) == campaign
        assert json.dumps(definition_of(campaign_of(json.loads(text)), whole=whole)) == text


def test_a_definition_is_written_in_one_order_without_its_defaults() -> None:
    shuffled = {key: WHOLE[key] for key in sorted(WHOLE)} | {"budget": WHOLE["budget"]}

    assert json.dumps(definition_of(campaign_of(shuffled))) == json.dumps(WHOLE)
    assert definition_of(campaign_of(LEAST)) == LEAST
    assert list(definition_of(campaign_of(LEAST), whole=True)) == [*WHOLE][:7] + [*WHOLE][7:]


def test_a_null_stands_for_nothing_where_there_can_be_nothing() -> None:
    nothing = dict.fromkeys(["on_accept", "on_decline", "starts_at", "ends_at", "budget", "timer_minutes"])

    assert campaign_of(LEAST | nothing) == campaign_of(LEAST)
    assert refused(LEAST | {"priority": None, "rule": None}) == {
        "priority": ["is null: leave it out for its default."],
        "rule": ["is null: leave it out for its default."],
    }


# Refusals


def test_every_error_is_told_at_once_by_its_path() -> None:
    wrong = {
        "ref": "Tea!",
        "nam": "Tea",
        "priority": True,
        "rule": {
            "all": [
                {"sku": {"any": []}},
                {"skus": {"any": ["tea"]}},
                {"not": {"order_total": {"at_least": 5.0, "currency": "gbp"}}},
            ]
        },
        "offer": {
            "kind": "fixed",
            "skus": ["tea", 3, ""],
            "discount": {"percent": 101, "amounts": {"gbp": 2.0, "GBP": "1.00", "jpy": "1.5"}},
        },
        "starts_at": "2026-12-01T09:00Z",
        "limits": {"offers": 3},
        "budget": {"amount": "1.001", "currency": "gbp"},
        "copy": {"de_AT": {}, "en": {"headline": "x" * 5000, "body": "<b>Tea</b>"}},
    }

    assert refused(wrong, at="campaigns[2]") == {
        "campaigns[2].ref": ["has to be 1 to 64 small letters, digits and hyphens, got 'Tea!'."],
        "campaigns[2].name": ["is missing."],
        "campaigns[2].priority": ["has to be a whole number from -1000 to 1000, got True."],
        "campaigns[2].rule.all[0].sku": ["sku needs a list of 1 to 500 texts, got 0."],
        "campaigns[2].rule.all[1]": [
            f"does not know 'skus'; it knows all, any, not, {', '.join(READERS)}. Did you mean 'sku'?"
        ],
        "campaigns[2].rule.all[2].not.order_total": ["at_least has to be an amount as text, such as '20.00', got 5.0."],
        "campaigns[2].offer.skus[1]": ["has to be a non-empty string, got 3."],
        "campaigns[2].offer.skus[2]": ["has to be a non-empty string, got ''."],
        "campaigns[2].offer.discount.percent": ["has to be a whole number from 0 to 100, got 101."],
        "campaigns[2].offer.discount.amounts.GBP": ["is not a currency: write it like 'gbp'."],
        "campaigns[2].offer.discount.amounts.gbp": ["has to be an amount as text, such as '20.00', got 2.0."],
        "campaigns[2].offer.discount.amounts.jpy": ["'1.5' cannot be paid exactly in jpy."],
        "campaigns[2].starts_at": ["is by the shop's wall clock: leave the time zone out, as in '2026-12-01T09:00'."],
        "campaigns[2].limits": ["limits need offers and days together: so many offers in so many days."],
        "campaigns[2].budget.amount": ["'1.001' cannot be paid exactly in gbp."],
        "campaigns[2].copy.de_AT": ["is not a language tag such as 'en' or 'pt-BR'. Did you mean 'de-AT'?"],
        "campaigns[2].copy.en.headline": ["has to be a text of at most 80 characters, got 5000."],
        "campaigns[2].copy.en.body": ["has '<b>', but it is shown as text and not as HTML: take the tags out."],
        "campaigns[2].nam": ["is not known here. Did you mean 'name'?"],
    }


def test_the_message_names_the_first_errors_and_counts_the_rest() -> None:
    with pytest.raises(CampaignRefused) as caught:
        campaign_of({"ref": 1, "offer": {"kind": "fixed", "skus": []}, "status": "on", "begins": "yes"})

    assert str(caught.value).startswith(
        "ref: has to be 1 to 64 small letters, digits and hyphens, got 1. name: is missing."
    )
    assert str(caught.value).endswith(" (and 2 more)")
    assert len(caught.value.sentences()) == 5


@pytest.mark.parametrize("definition", [None, [], "tea", 3, True, float("nan")])
def test_what_is_no_object_is_refused(definition: object) -> None:
    assert refused(definition) == {"": ["has to be an object with fields."]}


@pytest.mark.parametrize(
    ("field", "value", "path", "sentence"),
    [
        ("ref", BUILT_IN, "ref", "cannot be 'built-in': that is the offer made where no campaign applies."),
        ("ref", "tea\n", "ref", "has to be 1 to 64 small letters, digits and hyphens, got 'tea\\n'."),
        ("name", " ", "name", "has to be a text of 1 to 120 characters, got 1."),
        ("name", "a\ud800", "name", "has U+D800 (half of a surrogate pair) at character 2: take it out."),
        ("status", "Live", "status", "has to be one of draft, live, paused, ended, got 'Live'. Did you mean 'live'?"),
        (
            "placement",
            "thankyou",
            "placement",
            "has to be one of thank_you, order_status, dialog, got 'thankyou'. Did you mean 'thank_you'?",
        ),
        ("priority", 1.0, "priority", "has to be a whole number from -1000 to 1000, got 1.0."),
        ("begins", 1, "begins", "has to be true or false, got 1."),
        ("rule", [], "rule", "needs an object with one field, its kind, got []."),
        ("rule", {"any": []}, "rule.any", "any needs at least one part: without one it is true of no order."),
        ("on_accept", "tea", "", "'tea' cannot follow itself: the shopper has just answered it."),
        ("starts_at", "2026-02-30T09:00", "starts_at", "is no time there is (day is out of range for month)."),
        ("starts_at", "2026-12-01", "starts_at", "has to be a time such as '2026-12-01T09:00', got '2026-12-01'."),
        ("timer_minutes", 1, "timer_minutes", "has to be a whole number from 2 to 60, got 1."),
        ("limits", {"group": "Tea"}, "limits.group", "has to be small letters, digits and hyphens, got 'Tea'."),
        ("budget", {"units": 0}, "budget.units", "has to be a whole number from 1 to 1000000000, got 0."),
        ("budget", {}, "budget", "a budget is units or an amount, one of them."),
        ("budget", {"amount": "5.00"}, "budget.currency", "is missing: amount needs it."),
        ("budget", {"currency": "gbp"}, "budget.amount", "is missing: currency needs it."),
        ("budget", {"amount": "-1", "currency": "gbp"}, "budget.amount", "has to be above 0, got '-1'."),
        ("copy", {"en": []}, "copy.en", "has to be an object with fields."),
        ("copy", {"EN": {}}, "copy.EN", "is not a language tag such as 'en' or 'pt-BR'. Did you mean 'en'?"),
        (
            "copy",
            {"pt-BR": {}, "pt-br": {}},
            "copy.pt-br",
            "is the same language as 'pt-BR': keep one of them.",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_path_and_the_fix(field: str, value: Any, path: str, sentence: str) -> None:
    assert refused(LEAST | {field: value}) == {path: [sentence]}


@pytest.mark.parametrize(
    ("offer", "path", "sentence"),
    [
        ({"kind": "fixed", "skus": []}, "offer.skus", "has to be a list of 1 to 500 texts, got 0."),
        ({"kind": "fixed"}, "offer.skus", "is missing."),
        ({"kind": "fixed", "skus": "tea"}, "offer.skus", "has to be a list of texts, got 'tea'."),
        (
            {"kind": "fixed", "skus": ["tea"], "sku": "tea"},
            "offer.sku",
            "is not known here. Did you mean 'skus'?",
        ),
        (
            {"kind": "fixed", "skus": ["tea"], "discount": {"percent": 10, "amounts": {"gbp": "1.00"}}},
            "offer.discount",
            "a discount is a percent or amounts, not both.",
        ),
        (
            {"kind": "fixed", "skus": ["tea"], "discount": {"amounts": {"gbp": "0.00"}}},
            "offer.discount.amounts.gbp",
            "has to be above 0, got '0.00'.",
        ),
        (
            {"kind": "service", "sku": "wrap", "text": {"label": {"de": "Ihr Text"}}},
            "offer.text.label",
            "of the text field needs a text for 'en', for shoppers of other languages.",
        ),
        ({"kind": "more", "minimum": 5}, "offer.maximum", "1 is less than minimum 5."),
        (
            {"kind": "more", "maximum": 100},
            "offer",
            "that is 100 quantities to choose from; 12 is the most.",
        ),
        (
            {"kind": "bundle", "skus": ["tea", "tea"], "prices": {"gbp": "9.00"}},
            "offer",
            "a bundle is of two different products, got 1.",
        ),
        (
            {"kind": "bundle", "skus": ["tea", "mug"], "prices": {}},
            "offer",
            "a bundle needs prices, such as {'gbp': '39.00'}.",
        ),
        (
            {"kind": "complementary", "pinned": [["pot", "tea"], ["tea"]]},
            "offer.pinned[1]",
            "has to be a pair of two different products, such as ['pot', 'tea'], got ['tea'].",
        ),
        (
            {"kind": "complementary", "only_categories": ["Tea"], "never_categories": ["Tea"]},
            "offer",
            "'Tea' is in only_categories and in never_categories.",
        ),
        ([], "offer", "has to be an object with a kind, got []."),
    ],
)
def test_a_wrong_offer_is_refused_with_its_path_and_the_fix(offer: Any, path: str, sentence: str) -> None:
    found = refused(LEAST | {"offer": offer})

    assert list(found) == [path]
    assert found[path][0].removeprefix("label ") == sentence


def test_words_that_press_are_refused_where_they_stand_and_only_when_a_merchant_saves() -> None:
    pressing = LEAST | {
        "copy": {
            "en": {"headline": "Hurry, tea!"},
            "de": {"body": "Nur noch 2 Stück auf Lager."},
            "pl": {"body": "Herbata."},
        },
        "offer": {"kind": "service", "sku": "wrap", "text": {"label": {"en": "Last chance to say hello"}}},
    }

    found = refused(pressing, linted=True)

    assert list(found) == ["copy.en.headline", "copy.de.body", "offer.text.label.en"]
    assert found["copy.en.headline"][0].startswith(
        "says 'Hurry': it hurries the shopper (Directive 2005/29/EC, annex I, 7"
    )
    assert found["copy.de.body"][0].startswith("says 'Nur noch 2 Stück auf Lager': it says that few are left")
    assert campaign_of(pressing).ref == "tea"


# Hostile JSON


def test_a_rule_as_deep_as_python_can_hold_is_refused_in_a_sentence() -> None:
    rule: Any = {"country": ["GB"]}
    for _ in range(900):
        rule = {"not": rule}

    (path,) = found = refused(LEAST | {"rule": rule})
    assert path == "rule" + ".not" * 8
    assert found[path] == ["a rule may be nested 8 deep at most."]


def test_a_rule_of_a_hundred_thousand_conditions_is_refused_in_one_sentence() -> None:
    rule = {"all": [{"all": [{"all": [{"country": ["GB"]}] * 60}] * 60}] * 30}

    assert refused(LEAST | {"rule": rule}) == {"rule": ["a rule may have 64 conditions at most."]}
    assert refused(LEAST | {"rule": {"all": [{"country": ["GB"]}] * 65}}) == {
        "rule.all": ["needs a list of at most 64 parts, got [" + "{'country': ['GB']}, " * 6 + "...]."]
    }


def test_ten_thousand_unknown_fields_are_told_in_few_sentences() -> None:
    found = refused(LEAST | {f"field{number}": 1 for number in range(10_000)})

    assert len(found) == 21
    assert found[""] == ["has 9980 more fields that are not known here."]


def test_a_name_nobody_can_print_is_told_in_ascii() -> None:
    assert list(refused(LEAST | {"\ud800\n": 1})) == ["['\\ud800\\n']"]


@pytest.mark.parametrize("value", [2**70, -(2**70), 1e300, float("inf"), float("nan"), [], {}, "9" * 5000])
def test_numbers_beyond_reason_are_refused(value: Any) -> None:
    assert list(refused(LEAST | {"priority": value, "budget": {"amount": value, "currency": "gbp"}})) == [
        "priority",
        "budget.amount",
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "The file is not JSON: Expecting property name enclosed in double quotes in line 1, column 2."),
        (b"", "The file is not JSON: Expecting value in line 1, column 1."),
        (b'{"format": NaN}', "NaN is not a number that JSON has."),
        (b'{"format": -Infinity}', "-Infinity is not a number that JSON has."),
        (b'{"ref": "a", "ref": "b"}', "'ref' is there twice in one object (beside 'b'): keep one of them."),
        (b"\xff\xfe{\x00", "The file is not UTF-8 (byte 0): save it as UTF-8."),
        (b"[" * 100_000, "The file is nested too deep to be read."),
        (b"[" + b"9" * 5000 + b"]", "The file has a number that is too long to be read."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(CampaignRefused) as caught:
        parsed(content)

    assert caught.value.errors == {"": [sentence]}


@pytest.mark.parametrize(
    ("document", "errors"),
    [
        ([], {"": ['The file has to be {"format": 1, "campaigns": […]}, got [].']}),
        ({"format": 1}, {"campaigns": [f"has to be a list of at most {MAX_CAMPAIGNS:,} campaigns, got None."]}),
        ({"format": 2, "campaigns": []}, {"format": ["has to be 1, got 2."]}),
        ({"format": True, "campaigns": []}, {"format": ["has to be 1, got True."]}),
        (
            {"format": 1, "campaigns": [], "campaign": []},
            {"'campaign'": ["is not known here. Did you mean 'campaigns'?"]},
        ),
        ({"format": 1, "campaigns": [3]}, {"campaigns[0]": ["has to be an object with fields."]}),
    ],
)
def test_a_document_of_another_shape_is_refused(document: Any, errors: dict[str, list[str]]) -> None:
    with pytest.raises(CampaignRefused) as caught:
        campaigns_in(document)

    assert caught.value.errors == errors


def test_a_file_with_a_byte_order_mark_is_read() -> None:
    document = {"format": 1, "campaigns": [WHOLE]}

    (campaign,) = campaigns_in(parsed(b"\xef\xbb\xbf" + written(document).encode()))

    assert definition_of(campaign) == WHOLE


# The document


def examples() -> list[str]:
    return re.findall(r"^```json\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_every_example_of_the_document_can_be_imported() -> None:
    documents = [json.loads(example) for example in examples()]
    whole = [document for document in documents if "campaigns" in document]
    conditions = [document for document in documents if "campaigns" not in document]

    found = [campaign for document in whole for campaign in campaigns_in(document)]
    asked = {kind for rule in conditions for part in rule["all"] for kind in part}

    assert {campaign.offer.kind for campaign in found} == set(KINDS)
    assert all(campaign_of(LEAST | {"rule": rule}).rule for rule in conditions)
    assert asked >= set(READERS)


def test_the_document_speaks_of_every_field() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    named = set(definition_of(campaign_of(WHOLE), whole=True))
    for kind in KINDS:
        offer = {"skus": ["tea", "mug"], "prices": {"gbp": "9.00"}} if kind in ("bundle", "fixed") else {}
        offer = {"sku": "wrap"} if kind == "service" else offer
        offer = {key: value for key, value in offer.items() if kind == "bundle" or key != "prices"}
        named |= set(definition_of(campaign_of(with_offer(kind=kind, **offer)), whole=True)["offer"])
    named |= {"offers", "days", "once_per_customer", "group", "group_days", "units", "amount", "currency", "percent"}
    named |= {"amounts", "headline", "body", "label", "max_length", "required"}

    assert sorted(field for field in named if f"`{field}`" not in text) == []
