"""The demo shop's quote: nothing for shipping, and the tax that is within the prices."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flask_encore.demo.tax import quote
from flask_encore.domain.money import Money
from flask_encore.domain.orders import OrderLine, PaidOrder
from flask_encore.domain.prices import OfferLine


def order(country: str | None) -> PaidOrder:
    return PaidOrder(
        order_ref="PQ-1",
        placed_at=datetime(2026, 3, 2, tzinfo=UTC),
        currency="gbp",
        lines=[OrderLine(sku="A", title="A", quantity=1, unit_price=Money(5000, "gbp"))],
        total=Money(5000, "gbp"),
        payment_intent_ref="pi_1",
        country=country,
    )


def line(pence: int) -> OfferLine:
    return OfferLine(sku="B", title="B", quantity=1, item=Money(pence + 100, "gbp"), discount=Money(100, "gbp"))


@pytest.mark.parametrize(
    ("country", "pence", "tax"),
    [("GB", [1200], 200), ("GB", [1071], 179), ("GB", [861, 339], 200), ("DE", [1190], 190), ("GB", [0], 0)],
)
def test_the_tax_is_the_countrys_share_of_what_is_paid(country: str, pence: list[int], tax: int) -> None:
    told = quote(order(country), [line(each) for each in pence])

    assert (told.shipping, told.tax, told.tax_included) == (Money(0, "gbp"), Money(tax, "gbp"), True)


@pytest.mark.parametrize("country", ["US", None])
def test_where_no_rate_is_known_nothing_is_said_about_tax(country: str | None) -> None:
    told = quote(order(country), [line(1200)])

    assert (told.shipping, told.tax) == (Money(0, "gbp"), None)
