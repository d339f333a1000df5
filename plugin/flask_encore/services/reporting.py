"""Tell the merchant what Encore earned and what became of each order, in three statements and without a guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from flask_encore.domain.charges import Charge
from flask_encore.domain.days import Days
from flask_encore.domain.earnings import Earnings, earnings
from flask_encore.domain.funnel import Funnel, Group, Step, funnels, without_offer
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.services.order_list import PAGE_SIZE, Entry, cursor, entry_of, facts_of
from flask_encore.services.runtime import Runtime
from flask_encore.store import refunds, reports
from flask_encore.store.reports import Place


class Period(StrEnum):
    """Which decisions are counted, by the day they were made."""

    WEEK = "7"  #: today and the six days before
    MONTH = "30"  #: today and the 29 days before
    QUARTER = "90"  #: today and the 89 days before
    ALL = "all"  #: since the first one

    def begins(self, rt: Runtime) -> datetime | None:
        """Midnight in the shop's zone, in UTC, of the period's first day; ``None`` for `ALL`."""
        if self is Period.ALL:
            return None
        zone = rt.settings.zone
        first = rt.clock().astimezone(zone).date() - timedelta(days=int(self) - 1)
        return datetime.combine(first, time.min, tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole page.

    Attributes:
        since: When the period begins; ``None`` when it is all time.
        funnels: One per currency.
        without_offer: (ineligible or error, why, how many decisions).
        entries: Of the period, or of any time when an order was searched for or only what needs somebody.
        older: Cursor of the next page; ``None`` on the last one.
        order_known: The searched order was recorded, whether or not there is a decision about it.
        quarantined: Charges somebody has to look at, of all time.
        stuck_messages: Messages handlers would not take, of all time.
    """

    period: Period
    since: datetime | None
    funnels: Sequence[Funnel]
    without_offer: Sequence[tuple[Outcome, Reason, int]]
    entries: Sequence[Entry]
    older: str | None
    any_order: bool
    any_decision: bool
    order_known: bool
    quarantined: int
    stuck_messages: int


def report(
    rt: Runtime,
    *,
    period: Period,
    order_ref: str | None = None,
    needing_somebody: bool = False,
    after: Place | None = None,
) -> Report:
    """Everything the dashboard shows. Changes nothing.

    Args:
        order_ref: Search the list for this order, at any time; figures still are of the period.
        needing_somebody: List only what is quarantined or undelivered, of any time.
        after: Where the list begins; ``None`` at the newest.
    """
    now, since = rt.clock(), period.begins(rt)
    with rt.db.read() as connection:
        counted = reports.counted(connection, account=rt.account, since=since, now=now)
        rows = reports.recent(
            connection,
            account=rt.account,
            since=since,
            order_ref=order_ref,
            needing_somebody=needing_somebody,
            after=after,
            limit=PAGE_SIZE + 1,
            now=now,
        )
        standing = reports.standing(connection, account=rt.account, order_ref=order_ref)
    groups = [group_of(row) for row in counted]
    return Report(
        period=period,
        since=since,
        funnels=funnels(groups),
        without_offer=without_offer(groups),
        entries=[entry_of(row) for row in rows[:PAGE_SIZE]],
        older=cursor(rows[PAGE_SIZE - 1]) if len(rows) > PAGE_SIZE else None,
        any_order=bool(standing["any_order"]),
        any_decision=bool(standing["any_decision"]),
        order_known=bool(standing["order_known"]),
        quarantined=standing["quarantined"],
        stuck_messages=standing["stuck_messages"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was decided on some days, and what became of it since.

    Attributes:
        funnels: One per currency, of every campaign together.
        campaigns: (campaign_ref, its funnel), one per campaign and currency, most eligible orders first.
        without_offer: (ineligible or error, why, how many decisions).
        earnings: By campaign_ref, empty for every campaign together, and currency.
    """

    days: Days
    funnels: Sequence[Funnel]
    campaigns: Sequence[tuple[str, Funnel]]
    without_offer: Sequence[tuple[Outcome, Reason, int]]
    earnings: Mapping[tuple[str, str], Earnings]


def figures(rt: Runtime, days: Days, *, currency: str | None = None) -> Figures:
    """The figures of the decisions of *days*, in one statement. Changes nothing.

    Args:
        currency: Only of this one, a three-letter code; of every one, each on its own, when not said.

    Raises:
        InvalidInput: If *currency* is not three letters.
    """
    wanted = None if currency is None else Money(0, currency).currency
    since, until = days.bounds(rt.settings.zone)
    with rt.db.read() as connection:
        rows = reports.counted(
            connection, account=rt.account, since=since, until=until, by_campaign=True, now=rt.clock()
        )
    groups: dict[str, list[Group]] = {}
    for row in rows:
        if wanted in {None, row["currency"]}:
            groups.setdefault(row["campaign_ref"], []).append(group_of(row))
    every = [group for found in groups.values() for group in found]
    campaigns = [(ref, funnel) for ref, found in groups.items() for funnel in funnels(found)]
    together = funnels(every)
    earned = {("", funnel.currency): earnings(funnel, every) for funnel in together}
    return Figures(
        days=days,
        funnels=together,
        campaigns=sorted(campaigns, key=lambda one: (one[1].currency, -one[1].counts[Step.ELIGIBLE], one[0])),
        without_offer=without_offer(every),
        earnings=earned | {(ref, funnel.currency): earnings(funnel, groups[ref]) for ref, funnel in campaigns},
    )


def left_of(rt: Runtime, charge: Charge) -> Money:
    """What of *charge* was not given back yet: the amount a refund would be of."""
    with rt.db.read() as connection:
        rows = refunds.of_charge(connection, charge.id)
    back = sum(row["amount_minor"] for row in rows if row["status"] == "succeeded")
    return charge.amount - Money(back, charge.amount.currency)


def group_of(row: Mapping[Any, Any]) -> Group:
    """A row of a report, counted."""
    # PostgreSQL sums 64-bit integers into a decimal; it is exact.
    return Group(
        currency=row["currency"],
        facts=facts_of(row),
        fee_currency=row["fee_currency"],
        **{name: int(row[name]) for name in reports.MEASURES},
    )
