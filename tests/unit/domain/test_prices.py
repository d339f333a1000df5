"""The amounts of an offer: lines, what a quote adds, and the block that has to add up."""

from __future__ import annotations

from typing import Any

import pytest

from flask_encore.domain.errors import CurrencyMismatch, IllegalTransition, InvalidInput
from flask_encore.domain.money import Money
from flask_encore.domain.prices import Choice, OfferLine, PriceBlock, Quote


def pounds(minor_units: int) -> Money:
    return Money(minor_units, "gbp")


def block(total: int, **fields: Any) -> PriceBlock:
    fields = {"item": pounds(1290), "discount": pounds(129), "shipping": pounds(0)} | fields
    return PriceBlock(total=pounds(total), **fields)


def line(sku: str = "tea", quantity: int = 2, **fields: Any) -> OfferLine:
    fields = {"item": pounds(2000), "discount": pounds(300)} | fields
    return OfferLine(sku=sku, title="Tea", quantity=quantity, **fields)


def test_a_price_block_adds_up_to_what_is_charged() -> None:
    assert block(1161).total == Money(1161, "gbp")
    assert block(1561, shipping=pounds(400)).total == Money(1561, "gbp")


@pytest.mark.parametrize("total", [1160, 1162, 1290, -1161])
def test_a_price_block_that_does_not_add_up_cannot_be_shown(total: int) -> None:
    with pytest.raises(IllegalTransition, match="does not add up"):
        block(total)


def test_included_tax_is_part_of_the_total_and_added_tax_comes_on_top() -> None:
    assert block(1161, tax=pounds(193)).total == pounds(1161)
    assert block(1354, tax=pounds(193), tax_included=False).total == pounds(1354)
    with pytest.raises(IllegalTransition, match="does not add up"):
        block(1161, tax=pounds(193), tax_included=False)
    with pytest.raises(IllegalTransition, match="does not add up"):
        block(1354, tax=pounds(193))


@pytest.mark.parametrize(
    ("total", "fields"),
    [
        (1419, {"discount": pounds(-129)}),
        (-10, {"discount": pounds(1300)}),
        (1151, {"shipping": pounds(-10)}),
        (1161, {"tax": pounds(-1)}),
        (90, {"discount": pounds(1300), "shipping": pounds(100)}),
    ],
)
def test_no_amount_of_a_price_block_is_below_nothing(total: int, fields: dict[str, Money]) -> None:
    with pytest.raises(IllegalTransition, match="goes below nothing"):
        block(total, **fields)


@pytest.mark.parametrize("name", ["item", "discount", "shipping", "tax"])
def test_a_price_block_has_one_currency(name: str) -> None:
    amounts = {"item": pounds(1290), "discount": pounds(129), "shipping": pounds(0), "tax": pounds(193)}
    with pytest.raises(CurrencyMismatch, match="not of one currency"):
        block(1161, **amounts | {name: Money(amounts[name].minor_units, "eur")})


def test_a_line_is_charged_with_what_is_left_of_it() -> None:
    assert line().amount == pounds(1700)


def test_a_line_is_kept_and_read_as_it_was() -> None:
    kept = line(ships=False).as_json()
    assert kept == {"sku": "tea", "title": "Tea", "quantity": 2, "item": 2000, "discount": 300, "ships": False}
    assert OfferLine.from_json(kept, "gbp") == line(ships=False)


def test_the_block_of_lines_is_their_sum_with_nothing_added() -> None:
    assert PriceBlock.of([line(), line("mug", 1, item=pounds(1499), discount=pounds(0))]).as_json() == {
        "item": 3499,
        "discount": 300,
        "shipping": 0,
        "tax": None,
        "tax_included": True,
        "total": 3199,
    }


@pytest.mark.parametrize(("included", "total"), [(True, 2050), (False, 2391)])
def test_a_quote_adds_shipping_and_a_tax_that_is_not_included(included: bool, total: int) -> None:
    quote = Quote(shipping=pounds(350), tax=pounds(341), tax_included=included)
    assert PriceBlock.of([line()], quote).as_json() == {
        "item": 2000,
        "discount": 300,
        "shipping": 350,
        "tax": 341,
        "tax_included": included,
        "total": total,
    }


def test_lines_and_their_quote_have_one_currency() -> None:
    with pytest.raises(CurrencyMismatch):
        PriceBlock.of([line(), line("mug", item=Money(2000, "eur"), discount=Money(0, "eur"))])
    with pytest.raises(CurrencyMismatch):
        PriceBlock.of([line()], Quote(shipping=Money(0, "eur")))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shipping": pounds(-1)}, "shipping of a quote has to be Money of at least 0"),
        ({"shipping": 350}, "shipping of a quote has to be Money of at least 0"),
        ({"shipping": None}, "shipping of a quote has to be Money of at least 0"),
        ({"tax": pounds(-1)}, "tax of a quote has to be Money of at least 0"),
        ({"tax": 1.5}, "tax of a quote has to be Money of at least 0"),
        ({"tax_included": "yes"}, "tax_included of a quote has to be True or False, got 'yes'"),
        ({"tax_included": False}, "a quote whose tax is added has to say how much it is"),
    ],
)
def test_a_quote_that_says_nonsense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Quote(**{"shipping": pounds(0)} | fields)


def test_a_choice_is_kept_without_its_cost() -> None:
    lines = (line(),)
    choice = Choice(
        sku="tea",
        title="Tea",
        image_url="/tea.webp",
        quantity=2,
        lines=lines,
        price=PriceBlock.of(lines),
        options={"Size": "L"},
        was=pounds(2400),
        cost=pounds(900),
    )
    assert choice.as_json() == {
        "sku": "tea",
        "second_sku": None,
        "title": "Tea",
        "image_url": "/tea.webp",
        "quantity": 2,
        "options": {"Size": "L"},
        "was": 2400,
        "lines": [{"sku": "tea", "title": "Tea", "quantity": 2, "item": 2000, "discount": 300, "ships": True}],
        "item": 2000,
        "discount": 300,
        "shipping": 0,
        "tax": None,
        "tax_included": True,
        "total": 1700,
    }
