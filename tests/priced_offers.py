"""What the pricing suites share: a small shop, an order, and how to ask what can be offered beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_encore.domain.kinds import Kind
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Candidate
from flask_encore.domain.orders import OrderLine, Product
from flask_encore.domain.pricing import Alternative, Basket, Shelf, alternatives


def product(sku: str, price: int = 1000, *, currency: str = "gbp", **fields: Any) -> Product:
    fields = {name: Money(value, currency) if name in ("cost", "was") else value for name, value in fields.items()}
    return Product(sku=sku, title=sku.capitalize(), price=Money(price, currency), **fields)


def shirt(size: str, **fields: Any) -> Product:
    return product(f"shirt-{size}", 2000, parent="shirt", options={"Size": size.upper()}, **fields)


POT = product("pot", 3000)
TEA = product("tea", 1000, category="tea")
MUG = product("mug", 1499, stock=3)
SHIRTS = (shirt("l"), shirt("s"), shirt("m"), shirt("xl"))


def basket(*lines: tuple[str, int, int], total: int | None = None, currency: str = "gbp") -> Basket:
    """Of (SKU, quantity, minor units a piece)."""
    bought = tuple(
        OrderLine(sku=sku, title=sku, quantity=quantity, unit_price=Money(price, currency))
        for sku, quantity, price in lines
    )
    paid = sum(quantity * price for _, quantity, price in lines) if total is None else total
    return Basket(lines=bought, total=Money(paid, currency))


ONE_POT = basket(("pot", 1, 3000), total=10_000)


def found(*skus: str) -> list[Candidate]:
    return [Candidate(sku=sku, score=1.0 / n, kind="co_purchase") for n, sku in enumerate(skus, start=1)]


def ask(
    kind: Kind,
    *products: Product,
    order: Basket = ONE_POT,
    candidates: Sequence[Candidate] = (),
    guard_percent: int = 100,
    shown: Sequence[tuple[str, int]] = (),
) -> list[Alternative]:
    shelf = Shelf(products or (POT, TEA, MUG, *SHIRTS))
    return alternatives(
        kind, candidates=candidates, basket=order, shelf=shelf, guard_percent=guard_percent, shown=shown
    )


def refusals(answers: Sequence[Alternative]) -> list[tuple[str, str]]:
    return [(one.candidate.sku, one.refused) for one in answers]


def amounts(answer: Alternative) -> list[tuple[str, int, int, int, int]]:
    """SKU, quantity, item, discount and total of every choice."""
    assert answer.refused == ""
    return [
        (
            one.sku,
            one.quantity,
            one.price.item.minor_units,
            one.price.discount.minor_units,
            one.price.total.minor_units,
        )
        for one in answer.choices
    ]
