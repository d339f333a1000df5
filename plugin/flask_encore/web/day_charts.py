"""Today's charts: days in, drawn charts out, pooled into weeks or months where a day says too little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from babel.dates import format_date
from babel.numbers import format_compact_currency, format_decimal, format_percent

from flask_encore.domain.funnel import MIN_TRIALS, Rate, Step
from flask_encore.domain.money import Money, exponent
from flask_encore.services.today import DayFigures
from flask_encore.web import charts
from flask_encore.web.charts import Bar, Line, Scale, Size, Span
from flask_encore.web.phrases import phrases_for

#: The share of points with orders in them that have to have enough for a rate; with fewer the line would be all gaps.
MOST = 0.8

#: Size -> what one point is, at the beginning of a sentence.
EACH = {
    Size.DAY: "Each point is one day.",
    Size.WEEK: "Each point is one week, Monday to Sunday.",
    Size.MONTH: "Each point is one month.",
}

_PLURALS = {Size.DAY: "days", Size.WEEK: "weeks", Size.MONTH: "months"}

_say = phrases_for("en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line, or one row of bars.

    Attributes:
        name: As the legend has it, and the table's column.
        look: The class of its colour and its dashes.
    """

    name: str
    look: str
    line: Line | None = None
    bars: Sequence[Bar | None] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Places are percent of the plot.

    Attributes:
        y_labels: (place, text), of the horizontal lines.
        x_labels: (place, text, whether a phone has room for it).
        zero: Where zero lies.
    """

    y_labels: Sequence[tuple[float, str]]
    x_labels: Sequence[tuple[float, str, bool]]
    zero: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A chart as its template wants it.

    Attributes:
        key: Its id on the page.
        note: What one point is, and what was left out.
        summary: For who cannot see it; the table has the rest.
        empty: What stands in its place when there are no *rows*.
        axes: ``None`` when there are no *rows*.
        rows: Of the table, a date and a cell for each of *columns* after the first; one row for each point.
        is_running: The last point is not over.
    """

    key: str
    title: str
    note: str = ""
    summary: str = ""
    empty: str = ""
    axes: Axes | None = None
    series: Sequence[Series] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    is_running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """What the days of one point add up to."""

    span: Span
    counts: Counter[Step]
    gross: Money
    net: Money

    def rate(self, step: Step) -> Rate:
        """*step* / shown."""
        return Rate(self.counts[step], self.counts[Step.SHOWN])


def pooled(days: Sequence[DayFigures], size: Size) -> list[Pooled]:
    """The days added up over spans of *size*. Rates are made of the sums, never averaged.

    Args:
        days: In a row, without gaps, oldest first; at least one.
    """
    first, found = days[0].day, []
    nothing = Money(0, days[0].net.currency)
    for span in charts.spans(first, days[-1].day, size):
        of_it = days[(span.first - first).days : (span.last - first).days + 1]
        counts: Counter[Step] = Counter()
        gross = net = nothing
        for one in of_it:
            counts.update(one.counts)
            gross, net = gross + one.gross, net + one.net
        found.append(Pooled(span=span, counts=counts, gross=gross, net=net))
    return found


def rates(days: Sequence[DayFigures], *, today: date) -> Drawn:
    """Conversion rate and kept rate with their intervals, over points most of which have enough shown orders."""
    title = "Conversion rate and kept rate"
    size = _size_for_rates(days)
    if size is None:
        return Drawn(
            key="rates",
            title=title,
            empty=f"Not enough data yet. A point needs {MIN_TRIALS} shown orders, "
            "and not even a month of this period has them.",
        )
    points = pooled(days, size)
    found = [(point.rate(Step.ACCEPTED), point.rate(Step.KEPT)) for point in points]
    on = charts.scale([rate.interval.high for pair in found for rate in pair if rate.interval])
    few = sum(1 for rate, _ in found if rate.trials and not rate.is_enough)
    note = EACH[size]
    if size is not charts.fitting(days[0].day, days[-1].day):
        note += f" Shorter ones would mostly have fewer than {MIN_TRIALS} shown orders."
    if few:
        unit = size.value if few == 1 else _PLURALS[size]
        note += f" {few} {unit} with fewer {'is a gap' if few == 1 else 'are gaps'}."

    def drawn(which: int, name: str, look: str) -> Series:
        values = [pair[which].share for pair in found]
        intervals = [pair[which].interval for pair in found]
        return Series(name=name, look=look, line=charts.line(values, on, intervals=intervals))

    return Drawn(
        key="rates",
        title=title,
        note=f"{note} Bands are 95% intervals.",
        summary=f"Line chart of conversion rate and kept rate, {_between(days)}.",
        axes=_axes(points, size, on, _percent),
        series=[drawn(0, "Conversion rate", "one"), drawn(1, "Kept rate", "three")],
        columns=[size.value.capitalize(), "Conversion rate", "Kept rate", "Shown"],
        rows=[
            [_label(point.span, size, today), _rate(accepted), _rate(kept), _count(point.counts[Step.SHOWN])]
            for point, (accepted, kept) in zip(points, found, strict=True)
        ],
    )


def revenue(days: Sequence[DayFigures], *, today: date) -> Drawn:
    """Net revenue, a bar for each day of orders."""
    size = charts.fitting(days[0].day, days[-1].day)
    title = f"Net revenue per {size.value}"
    if not any(day.gross.minor_units for day in days):
        return Drawn(key="revenue", title=title, empty="No offer of these days was charged.")
    points = pooled(days, size)
    amounts = [point.net.minor_units for point in points]
    currency = days[0].net.currency
    # Where everything went back the scale still is of whole units, not of their hundredth parts.
    on = charts.scale(amounts if any(amounts) else [10 ** exponent(currency)], whole=True)
    return Drawn(
        key="revenue",
        title=title,
        note="By the day of the order: a refund changes the day it takes from.",
        summary=f"Bar chart of net revenue, {_between(days)}.",
        axes=_axes(points, size, on, lambda value: _tick(value, currency)),
        series=[Series(name="Net revenue", look="bars", bars=charts.bars(amounts, on))],
        columns=[size.value.capitalize(), "Gross", "Net revenue"],
        rows=[[_label(point.span, size, today), _say.money(point.gross), _say.money(point.net)] for point in points],
        is_running=points[-1].span.last >= today,
    )


def steps(days: Sequence[DayFigures], *, today: date) -> tuple[Drawn, Drawn]:
    """The funnel over time in two charts, for what was offered dwarfs what was taken."""
    size = charts.fitting(days[0].day, days[-1].day)
    points = pooled(days, size)
    is_running = points[-1].span.last >= today

    def drawn(key: str, title: str, empty: str, looks: dict[Step, str]) -> Drawn:
        title = f"{title} per {size.value}"
        if not any(point.counts[step] for point in points for step in looks):
            return Drawn(key=key, title=title, empty=empty)
        on = charts.scale([point.counts[step] for point in points for step in looks], whole=True)
        return Drawn(
            key=key,
            title=title,
            summary=f"Line chart of {', '.join(looks)} orders, {_between(days)}.",
            axes=_axes(points, size, on, _count),
            series=[
                Series(
                    name=step.capitalize(),
                    look=look,
                    line=charts.line([point.counts[step] for point in points], on, is_running=is_running),
                )
                for step, look in looks.items()
            ],
            columns=[size.value.capitalize(), *(step.capitalize() for step in looks)],
            rows=[
                [_label(point.span, size, today), *(_count(point.counts[step]) for step in looks)] for point in points
            ],
        )

    return (
        drawn(
            "offered",
            "Orders with an offer",
            "No order of these days was eligible.",
            {Step.ELIGIBLE: "four", Step.SHOWN: "one"},
        ),
        drawn(
            "taken",
            "Offers taken",
            "No offer of these days was accepted.",
            {Step.ACCEPTED: "one", Step.CHARGED: "two", Step.KEPT: "three"},
        ),
    )


def _size_for_rates(days: Sequence[DayFigures]) -> Size | None:
    """The smallest size at which `MOST` points with shown orders have enough, else the one where most have."""
    sizes = list(Size)
    shares = {}
    for size in sizes[sizes.index(charts.fitting(days[0].day, days[-1].day)) :]:
        points = pooled(days, size)
        # The two at the ends may be cut off, which says nothing of the others.
        asked = [rate for point in points[1:-1] or points if (rate := point.rate(Step.ACCEPTED)).trials]
        shares[size] = sum(rate.is_enough for rate in asked) / len(asked) if asked else 0
        if shares[size] >= MOST:
            return size
    best = max(shares, key=lambda size: shares[size])
    return best if shares[best] else None


def _axes(points: Sequence[Pooled], size: Size, on: Scale, text: Callable[[float], str]) -> Axes:
    several_years = points[0].span.first.year != points[-1].span.last.year
    short = "MMM y" if size is Size.MONTH or (several_years and size is Size.WEEK) else "d MMM"
    return Axes(
        zero=on.y(0),
        y_labels=[(on.y(tick), text(tick)) for tick in on.ticks],
        x_labels=[
            (charts.middle(slot, len(points)), _date(points[slot].span.first, short), narrow)
            for slot, narrow in charts.labelled(len(points))
        ],
    )


def _label(span: Span, size: Size, today: date) -> str:
    """The days of a point, as few words as say them exactly."""
    first, last = span.first, span.last
    if first == last:
        text = _date(last, "d MMM y")
    elif size is Size.MONTH and first.day == 1 and last == charts.last_of(first, size):
        text = _date(last, "MMM y")
    else:
        shared = "d" if (first.year, first.month) == (last.year, last.month) else "d MMM"
        shared = shared if first.year == last.year else "d MMM y"
        text = f"{_date(first, shared)}–{_date(last, 'd MMM y')}"
    return f"{text}, so far" if last >= today else text


def _between(days: Sequence[DayFigures]) -> str:
    return f"{_date(days[0].day, 'd MMM y')} to {_date(days[-1].day, 'd MMM y')}"


def _date(day: date, pattern: str) -> str:
    return str(format_date(day, pattern, locale="en"))


def _count(number: float) -> str:
    return str(format_decimal(number, locale="en"))


def _percent(share: float) -> str:
    return str(format_percent(share, "0.#%", locale="en"))


def _rate(rate: Rate) -> str:
    """``8.3% (7.0–9.6)``, or how many of how many."""
    if rate.interval is None or rate.share is None:
        return f"{rate.successes} of {rate.trials}" if rate.trials else "none shown"
    return f"{rate.share:.1%} ({100 * rate.interval.low:.1f}–{100 * rate.interval.high:.1f})"


def _tick(minor_units: float, currency: str) -> str:
    """An amount as short as an axis wants it: ``£500``, ``£1.2K``, ``£0.50``."""
    amount = Money(int(minor_units), currency)
    if abs(amount.decimal) < 1000:
        text = _say.money(amount)
        return text.split(".")[0] if amount.decimal == amount.decimal.to_integral_value() else text
    short = format_compact_currency(amount.decimal, currency.upper(), locale="en", fraction_digits=1)
    return str(short).replace("-", "\u2212")
