"""What a host shop may hand in, and what is refused with a sentence instead of breaking something later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from flask_encore.domain.errors import CurrencyMismatch, InexactMoney, InvalidInput
from flask_encore.domain.money import Money
from flask_encore.domain.orders import OrderLine, PaidOrder, Product, lines_from_json, lines_to_json

POT = OrderLine(sku="POT-1", title="Brown teapot", quantity=1, unit_price=Money(1275, "gbp"))
TEA = OrderLine(sku="TEA-1", title="Assam", quantity=6, unit_price=Money(255, "gbp"))

#: Nothing a person types; each can hide, reorder or cut what stands around it, or cannot be stored at all.
INVISIBLE = {
    "NUL": "\x00",
    "newline": "\n",
    "escape": "\x1b",
    "DEL": "\x7f",
    "C1 next line": "\x85",
    "right-to-left override": "\u202e",
    "left-to-right embedding": "\u202a",
    "isolate": "\u2066",
    "pop isolate": "\u2069",
    "line separator": "\u2028",
    "lone surrogate": "\ud800",
}
each_invisible = pytest.mark.parametrize("character", INVISIBLE.values(), ids=INVISIBLE.keys())


def order(**changes: Any) -> PaidOrder:
    return PaidOrder(
        **{
            "order_ref": "1042",
            "placed_at": datetime(2026, 11, 21, 14, 3, tzinfo=UTC),
            "currency": "gbp",
            "lines": [POT, TEA],
            "total": Money(2805, "gbp"),
            "payment_intent_ref": "pi_7",
            "customer_ref": "c-17",
            "country": "GB",
            "locale": "en-GB",
        }
        | changes
    )


def product(**changes: Any) -> Product:
    return Product(**{"sku": "POT-1", "title": "Brown teapot", "price": Money(1290, "gbp")} | changes)


def line(**changes: Any) -> OrderLine:
    return OrderLine(
        **{"sku": "POT-1", "title": "Brown teapot", "quantity": 1, "unit_price": Money(1275, "gbp")} | changes
    )


def test_an_order_keeps_what_it_was_given() -> None:
    taken = order()
    assert taken.lines == (POT, TEA)
    assert taken.skus == ("POT-1", "TEA-1")
    assert (taken.currency, taken.country, taken.locale) == ("gbp", "GB", "en-GB")


def test_a_sku_on_two_lines_is_one_product() -> None:
    assert order(lines=[TEA, POT, TEA]).skus == ("TEA-1", "POT-1")


def test_currency_and_country_have_one_spelling() -> None:
    taken = order(currency="GBP", country="gb")
    assert (taken.currency, taken.country) == ("gbp", "GB")


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001, 1.0, "1", True, None], ids=repr)
def test_a_quantity_is_a_whole_number_of_at_least_one(quantity: Any) -> None:
    with pytest.raises(InvalidInput, match="whole number from 1 to 1000000"):
        line(quantity=quantity)


def test_a_million_pieces_are_a_quantity() -> None:
    assert line(quantity=1_000_000).quantity == 1_000_000


@pytest.mark.parametrize("price", [12.9, 1290, "12.90", None, Money(-1, "gbp")], ids=repr)
def test_a_price_is_money_and_not_negative(price: Any) -> None:
    with pytest.raises(InvalidInput, match="unit_price of POT-1 has to be Money of at least 0"):
        line(unit_price=price)
    with pytest.raises(InvalidInput, match="price of POT-1 has to be Money of at least 0"):
        product(price=price)
    with pytest.raises(InvalidInput, match="total of order 1042 has to be Money of at least 0"):
        order(total=price)


def test_float_money_is_refused_where_it_is_made() -> None:
    with pytest.raises(InexactMoney, match="write Money"):
        line(unit_price=Money(12.9, "gbp"))  # type: ignore[arg-type]


def test_what_is_free_is_still_a_line() -> None:
    assert line(unit_price=Money(0, "gbp")).unit_price == Money(0, "gbp")


@pytest.mark.parametrize(
    "changes",
    [
        {"currency": "eur"},
        {"total": Money(2805, "eur")},
        {"lines": [POT, line(unit_price=Money(255, "eur"))]},
    ],
    ids=["order", "total", "line"],
)
def test_an_order_is_of_one_currency(changes: dict[str, Any]) -> None:
    with pytest.raises(CurrencyMismatch, match="order 1042 is in"):
        order(**changes)


@pytest.mark.parametrize("currency", ["", "pounds", None, 826], ids=repr)
def test_an_orders_currency_is_a_currency(currency: Any) -> None:
    with pytest.raises(InvalidInput, match="is not a currency"):
        order(currency=currency)


@pytest.mark.parametrize(
    "placed_at", [order().placed_at.replace(tzinfo=None), "2026-11-21T14:03:00Z", 1763756400, None], ids=repr
)
def test_an_order_knows_its_time_zone(placed_at: Any) -> None:
    with pytest.raises(InvalidInput, match="timezone-aware datetime"):
        order(placed_at=placed_at)


@pytest.mark.parametrize("lines", [[], ()], ids=repr)
def test_an_order_without_lines_is_refused(lines: Any) -> None:
    with pytest.raises(InvalidInput, match="order 1042 has no lines"):
        order(lines=lines)


@pytest.mark.parametrize("lines", [None, POT, "POT-1", [{"sku": "POT-1"}], [POT, None]], ids=repr)
def test_lines_are_order_lines(lines: Any) -> None:
    with pytest.raises(InvalidInput, match="lines of order 1042 have to be OrderLine"):
        order(lines=lines)


@pytest.mark.parametrize("name", ["order_ref", "payment_intent_ref", "customer_ref"])
@pytest.mark.parametrize("value", ["", " ", 1042, b"1042", "x" * 201], ids=repr)
def test_a_reference_is_a_short_text(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=name):
        order(**{name: value})


@pytest.mark.parametrize("name", ["order_ref", "payment_intent_ref"])
def test_only_a_guest_has_no_reference(name: str) -> None:
    assert order(customer_ref=None).customer_ref is None
    with pytest.raises(InvalidInput, match=name):
        order(**{name: None})


def test_two_hundred_characters_are_a_reference() -> None:
    assert order(order_ref="x" * 200).order_ref == "x" * 200


@each_invisible
@pytest.mark.parametrize("name", ["order_ref", "payment_intent_ref", "customer_ref"])
def test_a_reference_holds_nothing_invisible(name: str, character: str) -> None:
    with pytest.raises(InvalidInput, match=f"{name} has to be at most 200 characters without control characters"):
        order(**{name: f"10{character}42"})


@each_invisible
def test_a_sku_holds_nothing_invisible(character: str) -> None:
    for make in (line, product):
        with pytest.raises(InvalidInput, match="sku"):
            make(sku=f"POT{character}1")


@each_invisible
def test_a_title_loses_what_is_invisible(character: str) -> None:
    for make in (line, product):
        assert make(title=f"{character}Brown{character}teapot").title == "Brown teapot"


@pytest.mark.parametrize("title", ["", "  ", "\u202e\x00"], ids=repr)
def test_a_title_says_something(title: str) -> None:
    with pytest.raises(InvalidInput, match="title is empty"):
        product(title=title)


@pytest.mark.parametrize("title", [None, 7, b"teapot"], ids=repr)
def test_a_title_is_text(title: Any) -> None:
    with pytest.raises(InvalidInput, match="title has to be a string"):
        line(title=title)


def test_a_long_title_is_cut() -> None:
    assert len(product(title="x" * 1000).title) == 300


def test_a_title_in_another_script_is_left_alone() -> None:
    assert product(title="إبريق شاي ☕ 茶壺").title == "إبريق شاي ☕ 茶壺"


@pytest.mark.parametrize("locale", ["", None, 7, "x" * 36, "en\n", "de\u202e"], ids=repr)
def test_a_locale_is_a_language_tag(locale: Any) -> None:
    with pytest.raises(InvalidInput, match="locale has to be a language tag"):
        order(locale=locale)


@pytest.mark.parametrize("country", ["", "GBR", "United Kingdom", "G8", "G\n", 44, b"GB"], ids=repr)
def test_a_country_is_two_letters(country: Any) -> None:
    with pytest.raises(InvalidInput, match="country has to be a two-letter code such as 'GB'"):
        order(country=country)


@pytest.mark.parametrize("stock", [-1, 1.0, "40", True], ids=repr)
def test_stock_is_a_whole_number_or_uncounted(stock: Any) -> None:
    assert product(stock=None).stock is None
    assert product(stock=0).stock == 0
    with pytest.raises(InvalidInput, match="stock of POT-1"):
        product(stock=stock)


def test_cost_is_in_the_prices_currency() -> None:
    assert product(cost=Money(400, "gbp")).cost == Money(400, "gbp")
    with pytest.raises(CurrencyMismatch, match="price and cost of POT-1"):
        product(cost=Money(400, "eur"))


@pytest.mark.parametrize("cost", [4.0, 400, "4.00", Money(-1, "gbp")], ids=repr)
def test_cost_is_money_and_not_negative(cost: Any) -> None:
    with pytest.raises(InvalidInput, match="cost of POT-1 has to be Money of at least 0"):
        product(cost=cost)


@pytest.mark.parametrize("url", ["/static/pot.svg", "https://cdn.example/pot.jpg", "http://127.0.0.1/pot.svg"])
def test_a_picture_is_on_the_web(url: str) -> None:
    assert product(image_url=url).image_url == url


@pytest.mark.parametrize("url", ["", "pot.jpg", "javascript:alert(1)", "data:image/png;base64,", 7], ids=repr)
def test_another_address_of_a_picture_is_refused(url: Any) -> None:
    with pytest.raises(InvalidInput, match="image_url of POT-1"):
        product(image_url=url)


@pytest.mark.parametrize("category", [7, b"Tea", ["Tea"]], ids=repr)
def test_a_category_is_text(category: Any) -> None:
    with pytest.raises(InvalidInput, match="category of POT-1"):
        product(category=category)


def test_the_fingerprint_is_written_down_for_ever() -> None:
    """Orders recorded by an earlier release have to be recognised by a later one."""
    assert order().fingerprint == "82b2a27d15de66fe325b74519f31c335bc4cc50282d2d9023dd77af5e28306fe"


@pytest.mark.parametrize(
    "changes",
    [
        {"currency": "GBP"},
        {"country": "gb"},
        {"lines": (POT, TEA)},
        {"lines": iter([POT, TEA])},
        {"placed_at": datetime(2026, 11, 21, 15, 3, tzinfo=timezone(timedelta(hours=1)))},
        {"total": Money(2805, "GBP")},
        {"lines": [line(title=" Brown\x00teapot "), TEA]},
    ],
    ids=["currency", "country", "tuple", "iterator", "time zone", "total", "title"],
)
def test_the_same_order_said_differently_has_the_same_fingerprint(changes: dict[str, Any]) -> None:
    assert order(**changes).fingerprint == order().fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"order_ref": "1043"},
        {"placed_at": datetime(2026, 11, 21, 14, 3, 1, tzinfo=UTC)},
        {"lines": [TEA, POT]},
        {"lines": [POT]},
        {"lines": [POT, line(sku="TEA-1", title="Assam", quantity=7, unit_price=Money(255, "gbp"))]},
        {"total": Money(2806, "gbp")},
        {"payment_intent_ref": "pi_8"},
        {"customer_ref": "c-18"},
        {"customer_ref": None},
        {"country": None},
        {"locale": "en"},
    ],
    ids=str,
)
def test_another_order_has_another_fingerprint(changes: dict[str, Any]) -> None:
    assert order(**changes).fingerprint != order().fingerprint


def test_the_same_numbers_in_another_currency_are_another_order() -> None:
    in_yen = order(currency="jpy", total=Money(2805, "jpy"), lines=[line(unit_price=Money(1275, "jpy"))])
    assert in_yen.fingerprint != order(lines=[POT]).fingerprint


def test_lines_survive_the_store() -> None:
    assert lines_from_json(lines_to_json([POT, TEA]), "gbp") == (POT, TEA)
    assert lines_to_json([TEA]) == [{"sku": "TEA-1", "title": "Assam", "quantity": 6, "unit_price": 255}]


@pytest.mark.parametrize("field", ["category", "image_url"])
def test_control_characters_in_what_a_database_has_to_hold_are_refused(field: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^{field} of MUG-1"):
        Product(sku="MUG-1", title="Mug", price=Money(1290, "gbp"), **{field: "/kitchen\x00"})


def test_a_category_longer_than_its_column_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^category of MUG-1 has to be at most 200 characters"):
        Product(sku="MUG-1", title="Mug", price=Money(1290, "gbp"), category="k" * 201)
