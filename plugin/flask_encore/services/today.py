"""The home page's figures: the funnel, what came in and what stayed, day by day, and what offers added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask_encore.domain.days import EARLIEST, LONGEST, Days, Midnights
from flask_encore.domain.earnings import Earnings, earnings
from flask_encore.domain.funnel import Funnel, Group, Rate, Step, funnels, without_offer
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.domain.restatement import MonthlyNet, monthly_net
from flask_encore.services import rolling, uplift
from flask_encore.services.runtime import Runtime
from flask_encore.services.uplift import Uplift
from flask_encore.store import reports

__all__ = ["CurrencyFigures", "DayFigures", "Earnings", "Today", "Uplift", "today"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures:
    """One day of the shop's calendar in one currency, by when the decision was made.

    Attributes:
        net: As `Earnings.net`; a later refund lowers it.
    """

    day: date
    counts: Mapping[Step, int]
    conversion_rate: Rate
    kept_rate: Rate
    gross: Money
    net: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyFigures:
    """One currency's figures.

    Attributes:
        series: One per day of the period, without gaps.
        uplift: Since the holdout's share in force, whatever the period.
        months: The net revenue of every month the period touches, of the whole month.
    """

    currency: str
    funnel: Funnel
    earnings: Earnings
    series: Sequence[DayFigures]
    uplift: Uplift
    months: Sequence[MonthlyNet]


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """The whole page.

    Attributes:
        days: As asked for.
        currencies: Every one that had an eligible order, the one with most first.
        figures: One per currency; of the one asked for alone, if one was.
        without_offer: (ineligible or error, why, how many decisions), of all currencies together.
        quarantined: Charges somebody has to look at, of all time.
        stuck_messages: Messages handlers would not take, of all time.
    """

    days: Days
    currencies: Sequence[str]
    figures: Sequence[CurrencyFigures]
    without_offer: Sequence[tuple[Outcome, Reason, int]]
    any_order: bool
    any_decision: bool
    quarantined: int
    stuck_messages: int


def today(rt: Runtime, days: Days, *, currency: str | None = None) -> Today:
    """The figures of the decisions of *days*, read at one moment. Changes nothing.

    Args:
        currency: Only the figures of this one, a three-letter code.

    Raises:
        InvalidInput: If *currency* is not three letters.
    """
    wanted = None if currency is None else Money(0, currency).currency
    now, zone = rt.clock(), rt.settings.zone
    with rt.db.snapshot() as connection:
        standing = reports.standing(connection, account=rt.account, order_ref=None)
        first, last = reach(days, standing, now=now, rt=rt)
        months_read = rolling.Reading.of(rt, connection, *_months(first, last), now=now)
        midnights = Midnights.of(first, last, zone)
        groups = [(day, group) for day, group in months_read.groups(first, last)]
        movements = months_read.movements()
        added = uplift.read(rt, connection)
    every = funnels(group for _, group in groups)
    present = now.astimezone(zone).date()
    months: dict[str, list[MonthlyNet]] = {}
    for month in monthly_net(movements, today=max(present, last)):
        months.setdefault(month.now.currency, []).append(month)
    return Today(
        days=days,
        currencies=[funnel.currency for funnel in every],
        figures=[
            CurrencyFigures(
                currency=funnel.currency,
                funnel=funnel,
                earnings=earnings(funnel, (group for _, group in groups)),
                series=_series(funnel.currency, groups, midnights),
                uplift=added.of(funnel.currency),
                months=months.get(funnel.currency, []),
            )
            for funnel in every
            if wanted in {None, funnel.currency}
        ],
        without_offer=without_offer(group for _, group in groups),
        any_order=bool(standing["any_order"]),
        any_decision=bool(standing["any_decision"]),
        quarantined=standing["quarantined"],
        stuck_messages=standing["stuck_messages"],
    )


def reach(days: Days, standing: Mapping[Any, Any], *, now: datetime, rt: Runtime) -> tuple[date, date]:
    """The first and the last day that are told of *days*: where it is open, as far as there are decisions.

    Never more than the longest range there is.
    """
    zone = rt.settings.zone
    present = now.astimezone(zone).date()

    def day(at: datetime | None) -> date:
        return present if at is None else at.astimezone(zone).date()

    last = days.last or max(present, day(standing["last_decided_at"]))
    first = days.first or min(last, day(standing["first_decided_at"]))
    return max(first, EARLIEST, last - timedelta(days=LONGEST)), max(first, last)


def _months(first: date, last: date) -> tuple[date, date]:
    following = date(last.year + last.month // 12, last.month % 12 + 1, 1)
    return first.replace(day=1), following - timedelta(days=1)


def _series(currency: str, groups: Iterable[tuple[date, Group]], midnights: Midnights) -> list[DayFigures]:
    by_day: dict[date, list[Group]] = {}
    for day, group in groups:
        if group.currency == currency:
            by_day.setdefault(day, []).append(group)
    return [_day(currency, day, by_day.get(day, [])) for day in midnights.days]


def _day(currency: str, day: date, groups: Sequence[Group]) -> DayFigures:
    found = funnels(groups)
    if not found:
        nothing, none = Money(0, currency), Rate(0, 0)
        return DayFigures(
            day=day,
            counts=dict.fromkeys(Step, 0),
            conversion_rate=none,
            kept_rate=none,
            gross=nothing,
            net=nothing,
        )
    [funnel] = found
    return DayFigures(
        day=day,
        counts=funnel.counts,
        conversion_rate=funnel.conversion_rate,
        kept_rate=funnel.kept_rate,
        gross=funnel.gross,
        net=earnings(funnel, groups).net,
    )
