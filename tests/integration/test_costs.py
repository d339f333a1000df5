"""What the goods of a charge cost the shop, and its tax: frozen with the offer, kept by the claim, told nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from campaigns import launch, only
from conftest import Shop, ShopFactory
from money import charge_row, heal, take

from flask_encore import Money, Product, Quote
from flask_encore.store import models

#: A number that stands nowhere else.
COST = 7_654_321


def stocked(shop: Shop, *, mug: int | None = 400, tea: int | None = 250) -> None:
    """The mug and the tea with what they cost the shop."""
    products = [
        Product(sku="mug", title="Enamel mug", price=Money(1290, "gbp"), stock=40, cost=_cost(mug)),
        Product(sku="tea", title="Assam tea", price=Money(850, "gbp"), stock=None, cost=_cost(tea)),
    ]
    with shop.app.app_context():
        shop.encore.catalog.upsert(products)


def _cost(minor: int | None) -> Money | None:
    return None if minor is None else Money(minor, "gbp")


def bought(shop: Shop, offer: dict[str, Any], *, choice: int = 0) -> tuple[int | None, int | None]:
    """(cost_minor, tax_minor) of the charge of an *offer* that was taken."""
    launch(shop, "one", offer=offer)
    shop.pay()
    assert take(shop, str(only(shop).decision["id"]), choice) == "charged"
    row = charge_row(shop)
    return row["cost_minor"], row["tax_minor"]


MUG = {"kind": "fixed", "skus": ["mug"]}
TEAS = {"kind": "more", "skus": ["pot"], "minimum": 1, "maximum": 3}
PAIR = {"kind": "bundle", "skus": ["mug", "tea"], "prices": {"gbp": "15.00"}}


def test_a_charge_knows_what_its_product_cost(any_shop: Shop) -> None:
    stocked(any_shop)

    assert bought(any_shop, MUG) == (400, None)


def test_a_bundle_costs_what_both_cost(any_shop: Shop) -> None:
    stocked(any_shop)

    assert bought(any_shop, PAIR) == (650, None)


@pytest.mark.parametrize("choice", [0, 2])
def test_every_piece_costs(any_shop: Shop, choice: int) -> None:
    shop = any_shop
    with shop.app.app_context():
        shop.encore.catalog.upsert(
            [Product(sku="pot", title="Teapot", price=Money(900, "gbp"), stock=9, cost=Money(310, "gbp"))]
        )

    assert bought(shop, TEAS, choice=choice) == (310 * (choice + 1), None)


@pytest.mark.parametrize("offer", [MUG, PAIR], ids=["alone", "in a bundle"])
def test_what_nobody_told_is_not_zero(any_shop: Shop, offer: dict[str, Any]) -> None:
    stocked(any_shop, mug=None)

    assert bought(any_shop, offer) == (None, None)


def test_what_costs_nothing_is_zero(any_shop: Shop) -> None:
    stocked(any_shop, mug=0)

    assert bought(any_shop, MUG) == (0, None)


@pytest.mark.parametrize("included", [True, False])
def test_the_tax_of_the_shops_quote_is_the_charges(make_shop: ShopFactory, database_uri: str, included: bool) -> None:
    quote = Quote(shipping=Money(0, "gbp"), tax=Money(215, "gbp"), tax_included=included)
    shop = make_shop(database_uri, ENCORE_QUOTE=lambda order, lines: quote)
    stocked(shop)

    assert bought(shop, MUG) == (400, 215)


def test_a_cost_that_changes_after_the_offer_was_made_changes_no_charge(any_shop: Shop) -> None:
    shop = any_shop
    stocked(shop)
    launch(shop, "one", offer=MUG)
    shop.pay()
    offer_id = str(only(shop).decision["id"])
    stocked(shop, mug=999)
    take(shop, offer_id)

    assert charge_row(shop)["cost_minor"] == 400


def test_an_offer_of_a_release_that_froze_no_cost_is_charged_with_none(any_shop: Shop) -> None:
    shop = any_shop
    stocked(shop)
    launch(shop, "one", offer=MUG)
    shop.pay()
    decision = only(shop).decision
    kept = {name: value for name, value in decision["snapshot"].items() if name != "cost"}
    with shop.rt.db.write() as connection:
        connection.execute(sa.update(models.decisions).values(snapshot=kept))
    assert take(shop, str(decision["id"])) == "charged"

    assert charge_row(shop)["cost_minor"] is None


def test_an_amount_beyond_32_bits_is_kept_to_the_minor_unit(any_shop: Shop) -> None:
    shop = any_shop
    stocked(shop, mug=4_294_967_297)

    assert bought(shop, MUG) == (4_294_967_297, None)


def test_what_goods_cost_reaches_no_shopper_no_handler_and_no_message(any_shop: Shop) -> None:
    shop = any_shop
    stocked(shop, mug=COST, tea=COST)
    with shop.app.app_context():
        shop.encore.catalog.upsert(
            [Product(sku="pot", title="Teapot", price=Money(900, "gbp"), stock=9, cost=Money(COST, "gbp"))]
        )
    told: list[str] = []
    for number, offer in enumerate([MUG, PAIR, TEAS]):
        ref = f"o{number}"
        launch(shop, "one", offer=offer)
        shop.pay(ref)
        token = shop.token(ref)
        told += [shop.page(ref).text, token]
        for act in ("shown", "accept", "refresh", "undo"):
            told += [shop.post(token, act).text, shop.page(ref).text]
        assert charge_row(shop, ref)["cost_minor"] == COST * (2 if offer is PAIR else 1)
    heal(shop)
    told += [repr(event) for event in shop.delivered]
    told += [json.dumps(row, default=str) for row in shop.rows("outbox")]
    told += [repr(request) for request in shop.stripe.requests]

    assert len(shop.delivered) == 6
    assert [
        text for text in told for cost in (COST, 2 * COST) if str(cost) in text or f"{cost / 100:,.2f}" in text
    ] == []
    assert [text for text in told if '"cost"' in text or "'cost'" in text] == []
