"""Today: the page a merchant opens every morning. What offers earned, what they added, and where orders were lost.

Everything that is chosen stands in the address, so that a page can be bookmarked and sent; nothing here changes
anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from flask import Blueprint, Response, request

from flask_encore.domain import definitions
from flask_encore.domain.days import Days
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.experiment import Comparison, Estimate
from flask_encore.domain.money import Money
from flask_encore.domain.rights import Right
from flask_encore.services import today as figuring
from flask_encore.services.reporting import Period
from flask_encore.services.runtime import Runtime
from flask_encore.services.today import DayFigures, Today
from flask_encore.services.uplift import Uplift
from flask_encore.web import charts, day_charts, downloads, orders_page, report_tables
from flask_encore.web import dashboard_words as words
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import needs, on_database, page, url
from flask_encore.web.day_charts import Drawn

HERE = "overview"

#: A date is ten characters and a currency three; what is longer is read no further, so that no notice is a page long.
LONGEST_WORD = 20

#: Months that are shown at once, newest first; earlier ones are folded away.
RECENT_MONTHS = 12

Notices = list[tuple[str, words.Tone]]


class Verdict(StrEnum):
    """What can be said of uplift."""

    NOTHING_HELD_OUT = "nothing_held_out"  #: there is nothing to compare with
    WAITING = "waiting"  #: the worker has not counted it yet
    MISMATCH = "mismatch"  #: the arms' sizes cannot be chance: no result may be read
    SHORTAGE = "shortage"  #: not enough data
    ESTIMATE = "estimate"  #: a value with its interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the address asks for.

    Attributes:
        period: ``None`` when days were typed.
        typed: What stood in the two fields, to be shown again.
    """

    days: Days
    period: Period | None
    typed: tuple[str, str] = ("", "")

    @property
    def address(self) -> dict[str, str | None]:
        """The arguments that ask for the same again."""
        if self.period is not None:
            return {"period": self.period.value}
        return {"from": self.typed[0] or None, "to": self.typed[1] or None}


@dataclass(frozen=True, slots=True, kw_only=True)
class PerOrder:
    """An uplift per eligible order, rounded to minor units to be read, and drawn unrounded.

    Attributes:
        low: Where the always-valid interval begins.
        high: Where it ends.
        plain: The value without the adjustment by earlier spending.
        ends: Of the line it is drawn on.
        places: Of *low*, *value* and zero on that line, and the interval's width, percent.
        sign: Of the whole interval; 0 when it holds zero.
    """

    value: Money
    low: Money
    high: Money
    plain: Money
    ends: tuple[Money, Money]
    places: Mapping[str, float]
    sign: int


def add_to(blueprint: Blueprint) -> None:
    """The home page."""
    blueprint.get("/dashboard/")(overview)


@needs(Right.READ)
@on_database
def overview() -> Response:
    """The figures of the chosen days, in one currency at a time."""
    rt = state().runtime
    notices: Notices = []
    present = rt.clock().astimezone(rt.settings.zone).date()
    chosen = _chosen(present, notices)
    report, currency = _figures(rt, chosen.days, notices)
    answer = downloads.offered(
        report_tables.earnings(report.figures),
        report_tables.arms(report.figures),
        report_tables.funnels(report.figures),
        report_tables.days(report.figures),
        report_tables.months(report.figures),
        report_tables.without_offer(report.without_offer),
    )
    if answer is not None:
        return answer
    figures = next((one for one in report.figures if one.currency == currency), None)
    series = [] if figures is None else [day for day in figures.series if day.day <= present]
    return page(
        "overview.html",
        here=HERE,
        report=report,
        figures=figures,
        chosen=chosen,
        notices=notices,
        present=present,
        reaches=_reaches(chosen.days, series, present),
        drawn=_drawn(series, present),
        verdict=None if figures is None else verdict(figures.uplift),
        each=None if figures is None else per_order(figures.uplift.comparison),
        recent_months=RECENT_MONTHS,
        definitions=definitions,
        period_url=lambda one: url(HERE, period=one.value, currency=_said("currency") or None),
        currency_url=lambda one: url(HERE, **chosen.address, currency=one),
        needing_url=url("orders", only=orders_page.NEEDING_SOMEBODY),
        reason_url=lambda reason: url("orders", period=(chosen.period or Period.ALL).value, what=reason),
    )


def verdict(uplift: Uplift) -> Verdict:
    """Which of the page's five answers *uplift* is."""
    if not uplift.counted:
        return Verdict.WAITING
    if uplift.comparison is None:
        return Verdict.NOTHING_HELD_OUT
    if uplift.sample is not None and uplift.sample.is_mismatch:
        return Verdict.MISMATCH
    return Verdict.ESTIMATE if isinstance(uplift.comparison.result, Estimate) else Verdict.SHORTAGE


def per_order(comparison: Comparison | None) -> PerOrder | None:
    """*comparison* as amounts, and where they lie on a line that holds zero; ``None`` when it has no estimate."""
    if comparison is None or comparison.any_day is None or not isinstance(comparison.result, Estimate):
        return None
    result, low, high = comparison.result, comparison.any_day.low, comparison.any_day.high
    on = charts.scale([low, high])

    def at(value: float) -> float:
        return round(100 - on.y(value), 3)

    def amount(minor_units: float) -> Money:
        return Money(round(minor_units), result.currency)

    return PerOrder(
        value=amount(result.value),
        low=amount(low),
        high=amount(high),
        plain=amount(result.plain_value),
        ends=(amount(on.low), amount(on.high)),
        places={"low": at(low), "width": round(at(high) - at(low), 3), "value": at(result.value), "zero": at(0)},
        sign=1 if low > 0 else -1 if high < 0 else 0,
    )


def _chosen(present: date, notices: Notices) -> Chosen:
    """The days asked for; nonsense is said, and the last 30 days take its place."""
    first, last = _said("from"), _said("to")
    if first or last:
        try:
            days = Days.parse(first or None, last or None, today=present)
        except InvalidInput as error:
            notices.append((f"{error} These are the last 30 days.", words.Tone.WAIT))
            return Chosen(days=_days(Period.MONTH, present), period=Period.MONTH, typed=(first, last))
        # Of days to come there is nothing to tell.
        return Chosen(days=replace(days, last=days.last and min(days.last, present)), period=None, typed=(first, last))
    try:
        period = Period(request.args.get("period", Period.MONTH))
    except ValueError:
        period = Period.MONTH
        notices.append(("There is no such period; these are the last 30 days.", words.Tone.WAIT))
    return Chosen(days=_days(period, present), period=period)


def _days(period: Period, present: date) -> Days:
    return Days() if period is Period.ALL else Days(first=present - timedelta(days=int(period) - 1))


def _figures(rt: Runtime, days: Days, notices: Notices) -> tuple[Today, str]:
    """The figures, and the currency they are shown in: the one asked for, else the one with most eligible orders."""
    wanted = _said("currency").lower()
    try:
        report = figuring.today(rt, days, currency=wanted or None)
    except InvalidInput:
        notices.append((f"“{wanted}” is no currency.", words.Tone.WAIT))
        wanted, report = "", figuring.today(rt, days)
    if not wanted or wanted in report.currencies or not report.currencies:
        return report, wanted or next(iter(report.currencies), "")
    notices.append((f"No eligible order of these days was paid in {wanted.upper()}.", words.Tone.WAIT))
    return figuring.today(rt, days), report.currencies[0]


def _said(name: str) -> str:
    """One word of the address, as people paste it."""
    return request.args.get(name, "").replace("\0", "").strip()[:LONGEST_WORD]


def _reaches(days: Days, series: Sequence[DayFigures], present: date) -> tuple[date | None, date]:
    """The first and the last day the figures are of; ``None`` for "the first order"."""
    if series:
        return series[0].day, series[-1].day
    return days.first, min(days.last or present, present)


def _drawn(series: Sequence[DayFigures], present: date) -> dict[str, Drawn]:
    if not series:
        return {}
    offered, taken = day_charts.steps(series, today=present)
    return {
        "rates": day_charts.rates(series, today=present),
        "revenue": day_charts.revenue(series, today=present),
        "offered": offered,
        "taken": taken,
    }
