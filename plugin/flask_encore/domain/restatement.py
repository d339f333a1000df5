"""Months whose net revenue changed after they were over, and by what.

Money belongs to the month of the order it came from. A refund in March of an order of February therefore changes
February, which somebody has already read: so both numbers are told, the one at the month's end and the one now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money


class Cause(StrEnum):
    """Why an amount moved."""

    CHARGED = "charged"  #: an offer's charge succeeded
    REFUNDED = "refunded"  #: the merchant gave money back
    UNDONE = "undone"  #: the shopper undid it
    DISPUTED = "disputed"  #: the cardholder's bank took it back; a dispute that is won brings it again
    FEE = "fee"  #: what Stripe kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that came or went because of one order's offer.

    Attributes:
        ordered: The day of the order, in the shop's time zone.
        booked: The day the money moved, or the day we learned of it, in the same zone; not before the order.
        amount: Above 0 it came, below 0 it went.

    Raises:
        InvalidInput: If the money moved before the order.
    """

    ordered: date
    booked: date
    cause: Cause
    amount: Money

    def __post_init__(self) -> None:
        if self.booked < self.ordered:
            raise InvalidInput(f"Money of an order of {self.ordered} cannot have moved on {self.booked}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyNet:
    """One month's net revenue in one currency.

    Attributes:
        month: Its first day.
        at_close: As it stood when the month's last day was over; ``None`` while that day is to come.
        now: As it stands.
        later: What moved after the month's end, by cause; their sum is ``now - at_close``.
    """

    month: date
    at_close: Money | None
    now: Money
    later: Mapping[Cause, Money]

    @property
    def is_restated(self) -> bool:
        """Whether *now* differs from what could be read at the month's end."""
        return self.at_close is not None and self.at_close != self.now


def monthly_net(movements: Iterable[Movement], *, today: date) -> list[MonthlyNet]:
    """The net revenue of every month that had an order with movements, oldest first, one row per currency.

    Args:
        today: Movements of a later day are left out, so that any day's report can be made again.
    """
    found: dict[tuple[date, str], list[Movement]] = {}
    for movement in movements:
        if movement.booked <= today:
            key = movement.ordered.replace(day=1), movement.amount.currency
            found.setdefault(key, []).append(movement)
    return [_month(month, currency, found[month, currency], today) for month, currency in sorted(found)]


def _month(month: date, currency: str, movements: list[Movement], today: date) -> MonthlyNet:
    following = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    nothing = Money(0, currency)
    now, at_close, later = nothing, nothing, dict[Cause, Money]()
    for movement in movements:
        now += movement.amount
        if movement.booked < following:
            at_close += movement.amount
        else:
            later[movement.cause] = later.get(movement.cause, nothing) + movement.amount
    return MonthlyNet(month=month, at_close=at_close if today >= following else None, now=now, later=later)
