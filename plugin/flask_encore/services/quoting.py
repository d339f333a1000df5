"""Ask the shop for shipping and tax, within the time a page has; its answer is frozen, and no answer is no offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_encore.domain.offers import Reason
from flask_encore.domain.orders import PaidOrder
from flask_encore.domain.prices import Choice, Quote
from flask_encore.domain.pricing import quoted
from flask_encore.services.lanes import OverBudget
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store.orders import paid_order_of

#: Share of the page's time that the quotes of an offer may take together; the rest is for writing down that they did.
SHARE = 0.6


def quote(rt: Runtime, order: Mapping[Any, Any], choices: Sequence[Choice]) -> list[Choice] | Reason:
    """*choices* with what the shop adds to each, the same number in the same order; or why there is no offer.

    Without a quote of the shop's own nothing is added: catalogue prices hold tax, and the line ships with the order.

    Args:
        order: Row of ``encore_orders``.
    """
    if rt.quote is None:
        return list(choices)
    paid, asked = paid_order_of(order), rt.quote

    def ask() -> list[Choice]:
        return [quoted(choice, _checked(asked(paid, choice.lines), paid)) for choice in choices]

    try:
        answered = rt.quoting.run(ask, seconds=rt.budget_seconds * SHARE)
    except OverBudget:
        rt.counts.add(Reason.QUOTE_TIMEOUT)
        logger.warning("the quote for order %s took over %.0f ms", paid.order_ref, rt.budget_seconds * SHARE * 1000)
        return Reason.QUOTE_TIMEOUT
    except Exception:
        rt.counts.add(Reason.QUOTE_FAILED)
        logger.exception("the quote for order %s failed", paid.order_ref)
        return Reason.QUOTE_FAILED
    if all(_can_be_paid(choice) for choice in answered):
        return answered
    return Reason.QUOTE_NOT_CHARGEABLE


def _checked(told: object, order: PaidOrder) -> Quote:
    if not isinstance(told, Quote):
        raise TypeError(f"ENCORE_QUOTE has to answer a Quote, got {told!r}")
    if told.shipping.currency != order.currency or (told.tax is not None and told.tax.currency != order.currency):
        raise ValueError(f"ENCORE_QUOTE answered {told!r} for an order in {order.currency.upper()}")
    return told


def _can_be_paid(choice: Choice) -> bool:
    total = choice.price.total
    return total.minor_units == 0 or total.is_chargeable
