"""What will keep a campaign from selling, said before it goes live."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop

from flask_encore import Money, Product
from flask_encore.services import campaigning
from flask_encore.services.campaign_schema import campaign_of

TEA: dict[str, Any] = {
    "ref": "tea",
    "name": "Tea",
    "status": "live",
    "rule": {"all": [{"sku": {"any": ["pot"]}}]},
    "offer": {"kind": "fixed", "skus": ["tea"], "discount": {"percent": 10}},
}


def doubts(shop: Shop, **changes: Any) -> list[str]:
    return campaigning.doubts(shop.rt, campaign_of(TEA | changes))


def stock(shop: Shop, *products: Product) -> None:
    with shop.app.app_context():
        shop.encore.catalog.upsert(list(products))


def pin(sku: str, minor: int = 900, currency: str = "gbp", **values: Any) -> Product:
    return Product(sku=sku, title=sku, price=Money(minor, currency), **values)


def test_a_campaign_that_will_sell_is_not_doubted(any_shop: Shop) -> None:
    any_shop.pay()

    assert doubts(any_shop) == []


@pytest.mark.parametrize(
    ("offer", "told"),
    [
        ({"kind": "fixed", "skus": ["tea", "gone"]}, ["The catalogue has no product 'gone'."]),
        ({"kind": "fixed", "skus": ["old"]}, ["'old' is not active in the catalogue."]),
        ({"kind": "fixed", "skus": ["rare"]}, ["'rare' is sold out."]),
        ({"kind": "service", "sku": "rare"}, []),
        ({"kind": "fixed", "skus": ["shirt"]}, []),
        (
            {"kind": "fixed", "skus": ["pin"]},
            ["'pin' comes to less than Stripe charges in GBP (0.30 GBP at least)."],
        ),
        ({"kind": "fixed", "skus": ["pin"], "discount": {"percent": 100}}, []),
        (
            {"kind": "fixed", "skus": ["tea"], "discount": {"amounts": {"eur": "1.00"}}},
            ["'tea' cannot be priced in GBP: there is no amount for it, or it is not below the price."],
        ),
        (
            {"kind": "fixed", "skus": ["tea"], "discount": {"amounts": {"gbp": "8.50"}}},
            ["'tea' cannot be priced in GBP: there is no amount for it, or it is not below the price."],
        ),
        ({"kind": "fixed", "skus": ["import"]}, ["'import' has no price in GBP, in which orders come in."]),
        (
            {"kind": "bundle", "skus": ["tea", "mug"], "prices": {"gbp": "99.00"}},
            ["'tea' and 'mug' cannot be priced in GBP: there is no amount for it, or it is not below the price."],
        ),
        ({"kind": "bundle", "skus": ["tea", "mug"], "prices": {"gbp": "19.00"}}, []),
        ({"kind": "more", "minimum": 9, "maximum": 9, "skus": ["pot"]}, ["There are too few of 'pot' in stock."]),
        ({"kind": "more"}, []),
        ({"kind": "more", "skus": ["shirt"]}, []),
        ({"kind": "buy_get", "skus": ["gone"]}, ["The catalogue has no product 'gone'."]),
        ({"kind": "complementary"}, []),
        ({"kind": "complementary", "pinned": [["pot", "gone"]]}, ["The catalogue has no product 'gone'."]),
    ],
)
def test_an_offer_that_cannot_be_sold_is_doubted(shop: Shop, offer: dict[str, Any], told: list[str]) -> None:
    shop.pay()
    stock(
        shop,
        pin("old", active=False),
        pin("rare", stock=0),
        pin("pin", 20),
        pin("import", currency="eur"),
        pin("shirt-s", parent="shirt", options={"Size": "S"}),
    )

    assert doubts(shop, offer=offer) == told


def test_each_currency_orders_come_in_is_asked_about(any_shop: Shop) -> None:
    any_shop.pay("1")
    any_shop.pay("2", total=Money(3400, "eur"))

    assert doubts(any_shop) == ["'tea' has no price in EUR, in which orders come in."]

    any_shop.clock.advance(days=91)
    any_shop.pay("3")
    assert doubts(any_shop) == []


def test_what_a_rule_asks_for_in_vain_is_doubted(shop: Shop) -> None:
    shop.pay()
    rule = {
        "all": [
            {"sku": {"any": ["pot", "gone"]}},
            {"sku": {"none": ["old"]}},
            {"variant_of": {"any": ["shirt"]}},
            {"order_total": {"at_least": "5.00", "currency": "usd"}},
        ]
    }

    assert doubts(shop, rule=rule) == [
        "The rule asks for 'gone', which the catalogue does not have.",
        "The rule asks for 'shirt', which the catalogue does not have.",
        "The rule asks for an amount in USD, in which no orders come in.",
    ]


def test_what_follows_is_looked_at(shop: Shop) -> None:
    after = TEA | {"ref": "after", "begins": False}
    campaigning.save(shop.rt, after | {"on_accept": "tea"}, actor="ana", expected=None)
    campaigning.save(shop.rt, after | {"ref": "draft", "status": "draft"}, actor="ana", expected=None)
    campaigning.save(shop.rt, after | {"ref": "elsewhere", "placement": "order_status"}, actor="ana", expected=None)

    assert doubts(shop, on_accept="gone") == ["on_accept 'gone': there is no such campaign."]
    assert doubts(shop, on_decline="draft") == ["on_decline 'draft' is draft: nothing follows until it is live."]
    assert doubts(shop, on_accept="elsewhere") == [
        "on_accept 'elsewhere' is for another page (order_status) and does not follow here."
    ]
    assert doubts(shop, on_accept="after", placement="dialog") == [
        "tea → after → tea goes in a circle: an order is offered each campaign once."
    ]
    assert doubts(shop, begins=False) == []
    assert doubts(shop, ref="alone", begins=False) == [
        "It begins no sequence and follows no campaign: it is never offered."
    ]


def test_more_than_three_in_a_row_are_doubted(shop: Shop) -> None:
    for place in range(4):
        follows = {"on_decline": f"t{place + 1}"} if place < 3 else {}
        campaigning.save(shop.rt, TEA | {"ref": f"t{place}"} | follows, actor="ana", expected=None)

    assert doubts(shop, on_accept="t2") == []
    assert doubts(shop, on_accept="t1") == ["4 offers can follow each other; an order is shown 3 at most."]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ends_at": "2026-03-02T14:03"}, ["ends_at 2026-03-02 14:03 is past: it is over already."]),
        ({"ends_at": "2026-03-02T14:04"}, []),
        ({"starts_at": "2026-03-01T09:00"}, []),
        (
            {"starts_at": "2026-03-01T09:00", "status": "draft"},
            ["starts_at 2026-03-01 09:00 is past: it starts as soon as it is live."],
        ),
        ({"starts_at": "2026-03-02T14:04", "status": "draft"}, []),
        ({"budget": {"amount": "5.00", "currency": "eur"}}, ["The budget is in EUR, in which no orders come in."]),
        ({"budget": {"amount": "5.00", "currency": "gbp"}}, []),
    ],
)
def test_times_and_budgets_are_looked_at(shop: Shop, changes: dict[str, Any], told: list[str]) -> None:
    shop.pay()

    assert doubts(shop, **changes) == told


def test_the_products_are_one_select(shop: Shop) -> None:
    said: list[str] = []
    sa.event.listen(shop.rt.db.engine, "before_cursor_execute", lambda *args: said.append(args[2]))

    doubts(shop, offer={"kind": "fixed", "skus": ["tea", "mug", "pot"]}, rule={"sku": {"any": ["pot", "gone"]}})

    assert sum("encore_products" in statement for statement in said) == 1
    assert len(said) == 3
