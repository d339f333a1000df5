"""Every kind of offer beside one order: what it comes to, and why it comes to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from flask_encore.domain.errors import CurrencyMismatch
from flask_encore.domain.kinds import (
    Bundle,
    BuyGet,
    Complementary,
    Discount,
    Fixed,
    Kind,
    MoreOfTheSame,
    Service,
)
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Candidate
from flask_encore.domain.orders import OrderLine, Product
from flask_encore.domain.prices import Quote
from flask_encore.domain.pricing import Alternative, Basket, Shelf, alternatives, quoted


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


def test_what_the_recommender_found_is_priced_in_its_order() -> None:
    answers = ask(Complementary(discount=Discount(percent=10)), candidates=found("mug", "tea"))
    assert [amounts(one) for one in answers] == [[("mug", 1, 1499, 150, 1349)], [("tea", 1, 1000, 100, 900)]]
    assert [one.choose for one in answers] == ["", ""]
    assert [one.product for one in answers] == [MUG, TEA]


@pytest.mark.parametrize(
    ("offered", "refused"),
    [
        (product("tea", active=False, stock=0), "inactive"),
        (product("tea", stock=0), "sold_out"),
        (product("tea", currency="eur"), "other_currency"),
        (product("tea", 29), "not_chargeable"),
        (product("tea", 0), "not_chargeable"),
        (product("tea", 10_001), "price_guard"),
        (product("other"), "not_in_catalogue"),
    ],
)
def test_what_cannot_be_offered_says_why(offered: Product, refused: str) -> None:
    assert refusals(ask(Complementary(), POT, offered, candidates=found("tea"))) == [("tea", refused)]


def test_nothing_of_the_order_is_offered_again() -> None:
    assert refusals(ask(Complementary(), candidates=found("pot"))) == [("pot", "in_order")]
    assert refusals(ask(Fixed(skus=("pot",)))) == [("pot", "in_order")]
    assert refusals(ask(Service(sku="pot"))) == [("pot", "in_order")]
    assert refusals(ask(Bundle(skus=("tea", "pot"), prices={"gbp": Money(3000, "gbp")}))) == [("tea", "in_order")]


def test_a_variant_comes_with_its_siblings_the_recommended_one_first() -> None:
    [answer] = ask(Complementary(), candidates=found("shirt-m"))
    assert [one.sku for one in answer.choices] == ["shirt-m", "shirt-s", "shirt-l", "shirt-xl"]
    assert answer.choices[0].options == {"Size": "M"}
    assert (answer.choose, answer.sold_out) == ("variant", frozenset())


def test_another_piece_of_what_was_bought_at_half_price() -> None:
    order = basket(("tea", 2, 1000), ("pot", 1, 3000))
    answers = ask(BuyGet(buy=0, get=1, percent_off=50), order=order)
    assert [amounts(one) for one in answers] == [[("pot", 1, 3000, 1500, 1500)], [("tea", 1, 1000, 500, 500)]]


def test_a_bundle_has_one_price_and_a_line_each() -> None:
    [answer] = ask(Bundle(skus=("mug", "tea"), prices={"gbp": Money(1900, "gbp")}))
    assert amounts(answer) == [("mug", 1, 2499, 599, 1900)]
    [choice] = answer.choices
    assert [(line.sku, line.item.minor_units, line.discount.minor_units) for line in choice.lines] == [
        ("mug", 1499, 359),
        ("tea", 1000, 240),
    ]
    assert (choice.second_sku, choice.title) == ("tea", "Mug + Tea")


def test_more_of_the_same_comes_in_the_quantities_the_stock_has() -> None:
    order = basket(("mug", 1, 1499), total=10_000)
    [answer] = ask(MoreOfTheSame(minimum=2, maximum=6, discount=Discount(percent=15)), order=order)
    assert amounts(answer) == [("mug", 2, 2998, 450, 2548), ("mug", 3, 4497, 675, 3822)]
    assert answer.choose == "quantity"


def test_a_service_counts_no_stock_and_ships_nothing() -> None:
    [answer] = ask(Service(sku="wrap"), POT, product("wrap", 350, stock=0))
    assert amounts(answer) == [("wrap", 1, 350, 0, 350)]
    assert [line.ships for line in answer.choices[0].lines] == [False]


def test_a_quote_adds_its_shipping_and_tax() -> None:
    [answer] = ask(Fixed(skus=("tea",), discount=Discount(percent=10)))
    quote = Quote(shipping=Money(250, "gbp"), tax=Money(230, "gbp"), tax_included=False)
    price = quoted(answer.choices[0], quote).price
    assert price.as_json() == {
        "item": 1000,
        "discount": 100,
        "shipping": 250,
        "tax": 230,
        "tax_included": False,
        "total": 1380,
    }
    with pytest.raises(CurrencyMismatch):
        quoted(answer.choices[0], Quote(shipping=Money(250, "eur")))
