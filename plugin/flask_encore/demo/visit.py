"""What a browser brings along in its session: a language, a basket, a shopper's key and the orders it may see."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from flask import request, session

from flask_encore.demo.shop import shop
from flask_encore.demo.words import LOCALES, locale_of
from flask_encore.domain.assignment import Arm, assign
from flask_encore.domain.money import Money
from flask_encore.domain.orders import OrderLine
from flask_encore.services.offering import HOLDOUT_SALT

#: A basket has to fit the session cookie (4 kB), and a shopper's kitchen.
LARGEST_BASKET, LARGEST_QUANTITY = 30, 20

#: How many of its orders a browser remembers, for the same reason.
REMEMBERED_ORDERS = 20


def locale() -> str:
    """The language of this page: chosen before, else the browser's first wish that we speak."""
    chosen: str | None = session.get("locale")
    return chosen or locale_of(request.accept_languages.best_match(list(LOCALES)))


def choose_locale(asked: str | None) -> None:
    """Remember the language *asked* for, if it is one of ours."""
    if asked in LOCALES:
        session["locale"] = asked


def basket() -> dict[str, int]:
    """SKU -> quantity."""
    return dict(session.get("basket", {}))


def put(sku: str, quantity: int) -> None:
    """Have *quantity* of *sku* in the basket; 0 takes it out."""
    held = basket()
    held[sku] = quantity
    session["basket"] = dict([(sku, number) for sku, number in held.items() if number][-LARGEST_BASKET:])


def empty_basket() -> None:
    """Take everything out."""
    session["basket"] = {}


def basket_lines() -> list[OrderLine]:
    """The basket at today's prices; what left the shop or has sold out meanwhile is left out."""
    held = basket()
    return [
        OrderLine(
            sku=item.product.sku,
            title=item.name,
            quantity=held[item.product.sku],
            unit_price=item.product.price,
        )
        for item in shop().books.products_of(list(held))
        if item.product.stock is None or item.product.stock >= held[item.product.sku]
    ]


def total_of(lines: Sequence[OrderLine]) -> Money:
    """What *lines* (at least one) cost together."""
    amounts = [line.unit_price * line.quantity for line in lines]
    return sum(amounts[1:], amounts[0])


def customer_ref() -> str:
    """The shop's key of this shopper, made at the first checkout."""
    if "customer" not in session:
        session["customer"] = treated(lambda: f"web-{secrets.token_hex(8)}")
    return str(session["customer"])


def treated(draw: Callable[[], str]) -> str:
    """A key of a shopper who is not held out: whoever tries the demo by hand has to see its offers.

    A real shop must not do that; its figures would compare shoppers it chose with shoppers it did not.
    """
    percent = shop().encore.runtime.settings.holdout_percent
    while assign(found := draw(), salt=HOLDOUT_SALT, holdout_percent=percent) is Arm.HOLDOUT:
        pass
    return found


def remember(order_ref: str) -> None:
    """This browser may see the order."""
    known = [ref for ref in session.get("orders", []) if ref != order_ref]
    session["orders"] = [*known, order_ref][-REMEMBERED_ORDERS:]


def may_see(order_ref: str) -> bool:
    """Whether this browser placed the order."""
    return order_ref in session.get("orders", [])
