"""For any offer of any kind: the amount shown is the amount charged is the lines told, and an undo puts all back."""

from __future__ import annotations

import random
from typing import Any

import pytest
from campaigns import launch, shown
from conftest import Shop, ShopFactory
from money import heal, take, told, undo_offer

from flask_encore import Money, OrderLine, PaidOrder, Product, Quote
from flask_encore.domain.money import exponent, step
from flask_encore.services import accepting

#: Currencies with two, no and three decimals, and one of two that is charged in whole units.
CURRENCIES = ["gbp", "jpy", "kwd", "isk"]

KINDS = ["fixed", "variant", "complementary", "service", "buy_get", "bundle", "more"]


def _products(dice: random.Random, currency: str) -> list[Product]:
    """A catalogue of this currency, at random prices of some tens of units."""

    def price(low: int, high: int) -> Money:
        size = step(currency)
        return Money(
            dice.randint(low, high) * 10 ** exponent(currency) // size * size + size * dice.randint(0, 9), currency
        )

    shirts = [
        Product(
            sku=f"shirt-{size}", title=f"Shirt {size}", price=price(500, 900), stock=dice.choice([0, 5]), parent="shirt"
        )
        for size in ("s", "m", "l")
    ]
    return [
        Product(sku="mug", title="Mug", price=price(400, 900), stock=30),
        Product(sku="pot", title="Pot", price=price(400, 900), stock=30),
        Product(sku="tea", title="Tea", price=price(300, 900), stock=30),
        Product(sku="wrap", title="Wrap", price=price(300, 600), stock=0),
        *shirts,
        Product(sku="shirt-xl", title="Shirt xl", price=price(500, 900), stock=5, parent="shirt"),
    ]


def _offer(dice: random.Random, kind: str, products: list[Product], currency: str) -> dict[str, Any]:
    """The definition of an offer of *kind*, with a random discount."""
    percent = dice.choice([0, 3, 10, 15, 33, 50, 100])
    discount = {"percent": percent}
    price = {product.sku: product.price for product in products}
    match kind:
        case "fixed":
            return {"kind": "fixed", "skus": ["mug"], "discount": discount}
        case "variant":
            return {"kind": "fixed", "skus": ["shirt"], "discount": discount}
        case "complementary":
            return {"kind": "complementary", "discount": discount}
        case "service":
            text = {"label": {"en": "Message"}, "max_length": 50, "required": dice.random() < 0.5}
            return {"kind": "service", "sku": "wrap", "discount": discount, "text": text}
        case "buy_get":
            buy = dice.randint(0, 2)
            return {"kind": "buy_get", "buy": buy, "get": dice.randint(1, 2), "percent_off": dice.choice([25, 33, 100])}
        case "bundle":
            alone = price["mug"] + price["tea"]
            size = step(currency)
            together = Money(alone.minor_units * dice.randint(60, 97) // 100 // size * size, currency)
            return {"kind": "bundle", "skus": ["mug", "tea"], "prices": {currency: str(together.decimal)}}
    return {"kind": "more", "minimum": 1, "maximum": 4, "step": dice.choice([1, 2]), "discount": discount}


def _quoter(dice: random.Random, currency: str) -> Any:
    """A host's quote that adds shipping and tax at random; ``None`` for a host without one."""
    shipping = Money(dice.choice([0, 0, 7, 40]) * step(currency), currency)
    rate, included = dice.choice([(None, True), (20, True), (7, False), (19, False)])

    def quote(order: PaidOrder, lines: Any) -> Quote:
        due = sum((line.amount for line in lines), shipping)
        size = step(currency)
        tax = None if rate is None else Money(due.minor_units * rate // 100 // size * size, currency)
        ships = shipping if any(line.ships for line in lines) and due.minor_units else Money(0, currency)
        return Quote(shipping=ships, tax=tax, tax_included=included)

    return quote if dice.random() < 0.7 else None


def _selectable(snapshot: dict[str, Any]) -> list[int]:
    return [place for place, one in enumerate(snapshot.get("choices") or [{}]) if not one.get("sold_out")]


def _stocks(shop: Shop) -> dict[str, int | None]:
    return {row["sku"]: row["stock"] for row in shop.rows("products")}


@pytest.mark.parametrize("kind", KINDS)
def test_shown_is_charged_is_told_and_an_undo_puts_everything_back(make_shop: ShopFactory, kind: str) -> None:
    seen = 0
    quote: list[Any] = [None]
    shop = make_shop(
        ENCORE_PRICE_GUARD_PERCENT=10_000,
        ENCORE_QUOTE=lambda order, lines: (quote[0] or _nothing)(order, lines),
    )
    for seed in range(8):
        dice = random.Random(f"{kind}-{seed}")
        currency = dice.choice(CURRENCIES)
        products = _products(dice, currency)
        quote[0] = _quoter(dice, currency)
        with shop.app.app_context():
            shop.encore.catalog.upsert(products)
        launch(shop, "any", offer=_offer(dice, kind, products, currency))
        order_ref = str(seed)
        pot = next(product for product in products if product.sku == "pot")
        line = OrderLine(sku="pot", title="Pot", quantity=1, unit_price=pot.price)
        shop.pay(order_ref, total=pot.price, lines=[line])
        found = _the_offer(shop, order_ref)
        if found is None:
            continue
        seen += 1
        _accept_and_undo(shop, dice, order_ref, found.decision)
    assert seen >= 5


def _nothing(order: PaidOrder, lines: Any) -> Quote:
    return Quote(shipping=Money(0, order.currency))


def _the_offer(shop: Shop, order_ref: str) -> Any:
    """The campaign's offer; ``None`` where the draw left nothing to sell, or a total that Stripe does not take."""
    offers = [one for one in shown(shop, order_ref) if one.decision["campaign_ref"] == "any"]
    return offers[0] if offers else None


def _accept_and_undo(shop: Shop, dice: random.Random, order_ref: str, decision: Any) -> None:
    snapshot, before = decision["snapshot"], _stocks(shop)
    choice = dice.choice(_selectable(snapshot))
    shown = (snapshot.get("choices") or [snapshot])[choice]
    paid_before = len(shop.stripe.charges())

    assert take(shop, decision["id"], choice, "For Ada") == "charged"

    charges = [charge["amount"] for charge in shop.stripe.charges()][paid_before:]
    assert charges == ([shown["total"]] if shown["total"] else [])
    shop.sweep()
    (event,) = [event for event in shop.delivered if event.order_ref == order_ref]
    added = sum((line.amount for line in event.lines), event.shipping)
    if event.tax is not None and not event.tax_included:
        added += event.tax
    assert added == event.amount == Money(shown["total"], decision["currency"])
    assert [(line.sku, line.quantity) for line in event.lines] == [
        (line["sku"], line["quantity"]) for line in shown["lines"]
    ]
    assert (event.shipping.minor_units, event.tax and event.tax.minor_units) == (shown["shipping"], shown["tax"])
    assert event.text == ("For Ada" if snapshot["text"] else "")
    taken = {line.sku: line.quantity for line in event.lines if line.ships}
    assert _stocks(shop) == {sku: None if n is None else n - taken.get(sku, 0) for sku, n in before.items()}

    refunds = len(shop.stripe.refunds())
    assert undo_offer(shop, decision["id"]) == "undone"

    assert [refund["amount"] for refund in shop.stripe.refunds()][refunds:] == charges
    assert _stocks(shop) == before
    heal(shop)
    assert told(shop, order_ref) == ["charge_succeeded", "charge_refunded"]
    offered = accepting.find(shop.rt, decision["id"])
    assert offered is not None and offered.charge is not None and offered.charge.status == "refunded"
