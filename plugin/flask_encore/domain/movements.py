"""When the money of one charge came and went: the dated amounts that a month's net is restated from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from flask_encore.domain.charges import PAID, ChargeStatus
from flask_encore.domain.money import Money
from flask_encore.domain.restatement import Cause, Movement


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """One refund of a charge.

    Attributes:
        at: When it was settled; when it was asked for while it is not.
        succeeded: Whether the money went back; otherwise it is on its way.
    """

    at: datetime
    minor: int
    succeeded: bool
    undone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A charge whose money moved.

    Attributes:
        ordered_at: When the offer was decided: its day is the order's.
        fee: What Stripe kept in the same currency; 0 where that is not known.
        changed_at: When its status became what it is, as far as that was written down.
        back: Its refunds that succeeded or are under way, in their order.
    """

    ordered_at: datetime
    charged_at: datetime
    changed_at: datetime
    status: ChargeStatus
    amount: Money
    fee: Money
    back: Sequence[Back] = ()


def movements_of(charge: Moved, *, zone: tzinfo) -> Iterator[Movement]:
    """The charge, its fee, and what went back of it; together they are its share of the net revenue.

    What is on its way back is booked on the day it was asked for, a dispute on the day we learned of it, a fee with
    its charge. Of a charge never more goes back than it was.
    """
    if charge.status not in PAID:
        return
    ordered = charge.ordered_at.astimezone(zone).date()

    def on(at: datetime, cause: Cause, minor: int) -> Movement:
        # A clock that is behind books no money before its order.
        booked = max(ordered, _day(at, zone))
        return Movement(ordered=ordered, booked=booked, cause=cause, amount=Money(minor, charge.amount.currency))

    yield on(charge.charged_at, Cause.CHARGED, charge.amount.minor_units)
    if charge.fee.minor_units:
        yield on(charge.charged_at, Cause.FEE, -charge.fee.minor_units)
    left = charge.amount.minor_units
    for one in sorted((each for each in charge.back if each.succeeded), key=lambda each: each.at):
        gone = min(left, one.minor)
        left -= gone
        if gone:
            yield on(one.at, Cause.UNDONE if one.undone else Cause.REFUNDED, -gone)
    if not left or charge.status is ChargeStatus.SUCCEEDED:
        return
    if charge.status is ChargeStatus.DISPUTED:
        yield on(charge.changed_at, Cause.DISPUTED, -left)
        return
    waiting = [one for one in charge.back if not one.succeeded]
    last = waiting[-1] if waiting else None
    undone = (last or charge.back[-1]).undone if charge.back else False
    yield on(last.at if last else charge.changed_at, Cause.UNDONE if undone else Cause.REFUNDED, -left)


def _day(at: datetime, zone: tzinfo) -> date:
    return at.astimezone(zone).date()
