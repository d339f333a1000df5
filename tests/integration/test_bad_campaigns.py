"""A campaign that is wrong: refused as it is written, or passed over with a sentence in the log; never a broken page.

What can be known when it is saved is refused then, with the path of the field. What the catalogue, the order or the
shop's currencies make of it is known when an order comes: then the next campaign speaks, and the log says why.
"""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from campaigns import decisions, defined, launch
from conftest import Shop
from hosts import SECTION

from flask_encore import Money, Product
from flask_encore.cli import cli
from flask_encore.services import campaigning, explaining
from flask_encore.services.campaign_schema import CampaignRefused

LONG = "Save now. " * 500
RTL_OVERRIDE = "Tea \u202efor your pot"
SCRIPT = "<script>alert('tea')</script>"


def fixed(sku: str, **discount: Any) -> dict[str, Any]:
    return {"kind": "fixed", "skus": [sku]} | ({"discount": discount} if discount else {})


#: What is wrong -> the field, its path in the error, and what the error says of it.
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "an unknown field in a rule": (
        {"rule": {"all": [{"skew": {"any": ["pot"]}}]}},
        "rule.all[0]",
        "does not know 'skew'; it knows all, any, not, order_total,",
    ),
    "an unknown field within a condition": (
        {"rule": {"all": [{"sku": {"some": ["pot"]}}]}},
        "rule.all[0].sku",
        "does not know 'some'; it knows any, all, none, quantity.",
    ),
    "an unknown field of the offer": (
        {"offer": fixed("tea") | {"price": "3.00"}},
        "offer.price",
        "is not known here.",
    ),
    "an end before its start": (
        {"starts_at": "2026-03-02T09:00", "ends_at": "2026-03-01T09:00"},
        "ends_at",
        "2026-03-01 09:00 is not after starts_at.",
    ),
    "a headline of 5,000 characters": ({"copy": {"en": {"headline": LONG}}}, "copy.en.headline", "80"),
    "a body of 5,000 characters": ({"copy": {"en": {"body": LONG}}}, "copy.en.body", "300"),
    "HTML in copy": (
        {"copy": {"en": {"headline": SCRIPT}}},
        "copy.en.headline",
        "has '<script>', but it is shown as text and not as HTML: take the tags out.",
    ),
    "HTML in a field's label": (
        {"offer": {"kind": "service", "sku": "tea", "text": {"label": {"en": SCRIPT}}}},
        "offer.text.label.en",
        "has '<script>', but it is shown as text and not as HTML: take the tags out.",
    ),
    "text that turns what is around it": (
        {"copy": {"en": {"headline": RTL_OVERRIDE}}},
        "copy.en.headline",
        "U+202E",
    ),
    "a field's label that turns what is around it": (
        {"offer": {"kind": "service", "sku": "tea", "text": {"label": {"en": RTL_OVERRIDE}}}},
        "offer.text.label.en",
        "U+202E",
    ),
    "a label of control characters": ({"name": "Tea\x00"}, "name", "U+0000"),
}


def rows(shop: Shop) -> list[list[dict[str, Any]]]:
    return [shop.rows(table) for table in ("campaigns", "switches", "audit")]


def page(shop: Shop, order_ref: str = "1042") -> list[str]:
    """The sections on the page of an order, which is whole."""
    answer = shop.page(order_ref)
    assert answer.status_code == 200
    assert f"<h1>Order {order_ref} is confirmed</h1>" in answer.text
    return list(SECTION.findall(answer.text))


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_can_be_known_is_refused_with_its_path_and_writes_nothing(shop: Shop, wrong: str) -> None:
    changes, path, sentence = REFUSED[wrong]
    before = rows(shop)

    with pytest.raises(CampaignRefused) as refused:
        campaigning.save(shop.rt, defined("bad", **changes), actor="ana", expected=None)

    assert list(refused.value.errors) == [path]
    assert sentence in " ".join(refused.value.errors[path])
    assert rows(shop) == before
    shop.pay()
    assert len(page(shop)) == 1


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_was_written_past_the_schema_is_passed_over_and_counted(shop: Shop, wrong: str) -> None:
    # A definition of another release, or of a hand in the database: it takes neither the page nor the others away.
    launch(shop, "bad", priority=9)
    launch(shop, "good")
    changes, _, _ = REFUSED[wrong]
    with shop.rt.db.write() as connection:
        bad = sa.text("UPDATE encore_campaigns SET definition = :told, version = 7 WHERE campaign_ref = 'bad'")
        connection.execute(bad.bindparams(sa.bindparam("told", type_=sa.JSON)), {"told": defined("bad", **changes)})
        connection.execute(sa.text("UPDATE encore_switches SET revision = revision + 1"))
    shop.pay()

    assert len(page(shop)) == 1
    assert [row["campaign_ref"] for row in decisions(shop)] == ["good"]
    assert shop.rt.counts["campaign_not_understood"] == 1


#: What is wrong with the shop's side -> the offer, and what the log says of it.
PASSED_OVER: dict[str, tuple[dict[str, Any], str]] = {
    "a SKU that vanished": (fixed("vanished"), "vanished is not in the catalogue"),
    "a parent whose variants vanished": (fixed("shirt"), "shirt is not in the catalogue"),
    "a product that was taken out": (fixed("retired"), "retired is not active"),
    "a price below Stripe's minimum": (fixed("crumb"), "crumb comes to an amount that Stripe does not take"),
    "a discount to below Stripe's minimum": (
        fixed("tea", percent=97),
        "tea comes to an amount that Stripe does not take",
    ),
    "a currency without a price": (fixed("imported"), "imported has a price in another currency"),
    "a discount without an amount in the order's currency": (
        fixed("tea", amounts={"eur": "1.00"}),
        "tea has no price in this currency that is below the full one",
    ),
    "a discount in a currency that does not exist": (
        fixed("tea", amounts={"gpb": "1.00"}),
        "tea has no price in this currency that is below the full one",
    ),
    "a discount that is more than the price": (
        fixed("tea", amounts={"gbp": "8.50"}),
        "tea has no price in this currency that is below the full one",
    ),
    "a bundle without a price in the order's currency": (
        {"kind": "bundle", "skus": ["mug", "tea"], "prices": {"eur": "19.00"}},
        "mug has no price in this currency that is below the full one",
    ),
    "a bundle that is dearer than its parts": (
        {"kind": "bundle", "skus": ["mug", "tea"], "prices": {"gbp": "21.40"}},
        "mug has no price in this currency that is below the full one",
    ),
    "a bundle with one half gone": (
        {"kind": "bundle", "skus": ["mug", "vanished"], "prices": {"gbp": "9.00"}},
        "mug is not in the catalogue",
    ),
    "more of what is sold out": ({"kind": "more"}, "pot is sold out"),
    "a service nobody offers any more": (
        {"kind": "service", "sku": "vanished"},
        "vanished is not in the catalogue",
    ),
}


@pytest.fixture
def poor(any_shop: Shop) -> Shop:
    """A shop whose catalogue no longer has what its campaigns were made for, and one campaign that can speak."""
    with any_shop.app.app_context():
        any_shop.encore.catalog.upsert(
            [
                Product(sku="retired", title="Old lamp", price=Money(900, "gbp"), active=False),
                Product(sku="crumb", title="Crumb", price=Money(29, "gbp")),
                Product(sku="imported", title="Import", price=Money(900, "eur")),
                Product(sku="pot", title="Teapot", price=Money(3400, "gbp"), stock=0),
            ]
        )
    launch(any_shop, "good")
    return any_shop


@pytest.mark.parametrize("wrong", PASSED_OVER)
def test_what_only_an_order_shows_is_passed_over_and_the_log_says_why(poor: Shop, wrong: str) -> None:
    offer, sentence = PASSED_OVER[wrong]
    launch(poor, "bad", priority=9, offer=offer)
    poor.pay()

    [section] = page(poor)

    assert "Assam tea" in section
    assert [(row["outcome"], row["campaign_ref"]) for row in decisions(poor)] == [("offered", "good")]
    told = poor.app.test_cli_runner().invoke(cli, ["explain", "1042"]).output
    assert f"\n    – bad: {sentence}\n" in told
    [found] = explaining.explain(poor.rt, "1042") or ()
    assert found.is_reproduced is True


def test_when_nothing_else_can_speak_the_page_is_whole_and_without_an_offer(poor: Shop) -> None:
    campaigning.set_status(poor.rt, "good", "paused", actor="ana")
    launch(poor, "bad", offer=fixed("vanished"))
    poor.pay(skus=("mug", "tea", "pot"))  # of what the recommender knows, nothing is left

    assert page(poor) == []
    [row] = decisions(poor)
    assert (row["outcome"], row["reason"]) == ("ineligible", "all_filtered")


def test_signs_of_markup_in_copy_and_labels_are_shown_as_text(any_shop: Shop) -> None:
    words = """Tea & "cups", 2 < 3 > 'x' {{ 7 * 7 }}"""
    offer = {"kind": "service", "sku": "tea", "text": {"label": {"en": words}}}
    launch(any_shop, "signs", offer=offer, copy={"en": {"headline": words, "body": words}})
    any_shop.pay()

    [section] = page(any_shop)

    assert section.count("Tea &amp; &#34;cups&#34;, 2 &lt; 3 &gt; &#39;x&#39; {{ 7 * 7 }}") == 3
    assert words not in section


def test_markup_in_what_the_catalogue_says_is_shown_as_text(any_shop: Shop) -> None:
    with any_shop.app.app_context():
        any_shop.encore.catalog.upsert(
            [Product(sku="tea", title=f"Tea {SCRIPT}", price=Money(850, "gbp"), image_url='https://x/"onload="y')]
        )
    launch(any_shop, "tea")
    any_shop.pay()

    [section] = page(any_shop)

    assert "<script>alert" not in section and '"onload="' not in section
    assert "Tea &lt;script&gt;alert(&#39;tea&#39;)&lt;/script&gt;" in section
