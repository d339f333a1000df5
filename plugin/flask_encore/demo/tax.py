"""The shop's own shipping and tax, as ``ENCORE_QUOTE`` asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from flask_encore.domain.money import Money
from flask_encore.domain.orders import PaidOrder
from flask_encore.domain.prices import OfferLine, Quote

#: Country -> percent of value added tax within every price. One rate each; a real shop has one per product.
TAX_PERCENT = {"GB": 20, "IE": 23, "DE": 19, "AT": 20}


def quote(order: PaidOrder, lines: Sequence[OfferLine]) -> Quote:
    """Nothing for shipping, because what is added goes into the same parcel; and the tax within the prices.

    Where the order's country has no rate here, nothing is said about tax.
    """
    nothing = Money(0, order.currency)
    percent = TAX_PERCENT.get(order.country or "")
    if percent is None:
        return Quote(shipping=nothing)
    gross = sum((line.amount for line in lines), nothing).minor_units
    tax = (2 * gross * percent + 100 + percent) // (2 * (100 + percent))  # rounded half up, in whole minor units
    return Quote(shipping=nothing, tax=Money(tax, order.currency), tax_included=True)
