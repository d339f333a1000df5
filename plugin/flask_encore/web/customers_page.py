"""The merchant's customers: who comes back, month by month, and what they are worth, each number with what it means."""

from __future__ import annotations

from datetime import date

from babel.dates import format_date
from flask import Blueprint, Response, request

from flask_encore.domain import definitions
from flask_encore.domain.customers import MONTHS, Span
from flask_encore.domain.intervals import Interval
from flask_encore.domain.rights import Right
from flask_encore.services import customer_figures
from flask_encore.web import customer_tables
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import needs, on_database, page, url
from flask_encore.web.dashboard_words import Tone
from flask_encore.web.downloads import offered

SPANS = {Span.QUARTER: "3 months", Span.YEAR: "12 months", Span.ALL: "All time"}

#: A cell of the triangle is shaded once more from each of these shares on. They are the same in every shop and every
#: month, so that a shade means a share, and not a rank.
SHADES = (0.02, 0.05, 0.1, 0.2, 0.35)

#: Percentages from here on are told without decimals where there is no room for them.
WHOLE_FROM = 10


def add_to(blueprint: Blueprint) -> None:
    """The one page below ``/dashboard/customers``. It changes nothing."""
    blueprint.get("/dashboard/customers/")(customers)


@needs(Right.READ)
@on_database
def customers() -> Response:
    """Repeat purchases, cohorts and what customers and orders are worth, of the chosen months."""
    notices = []
    try:
        span = Span(request.args.get("period", Span.YEAR))
    except ValueError:
        span = Span.YEAR
        notices.append(("There is no such period; these are the last 12 months.", Tone.WAIT))
    report = customer_figures.report(state().runtime, span=span)
    answer = offered(*customer_tables.tables(report))
    if answer is not None:
        return answer
    return page(
        "customers.html",
        here="customers",
        report=report,
        notices=notices,
        spans=SPANS,
        span_url=lambda one: url("customers", period=one.value),
        months=MONTHS,
        month=_month,
        shade=_shade,
        between=_between,
        definitions=definitions,
    )


def _month(first: date) -> str:
    return str(format_date(first, "MMM y", locale="en"))


def _shade(share: float) -> int:
    """0 to 5."""
    return sum(share >= least for least in SHADES)


def _between(interval: Interval) -> str:
    """An interval as a narrow cell has it, such as ``8.4–12%``."""
    low, high = (_narrow(100 * share) for share in (interval.low, interval.high))
    return f"{low}–{high}%"


def _narrow(percent: float) -> str:
    return f"{percent:.0f}" if percent >= WHOLE_FROM else f"{percent:.1f}"
