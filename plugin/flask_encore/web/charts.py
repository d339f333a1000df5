"""Where the lines, bands and bars of a chart lie. Pure geometry: no words, no colours, and amounts only as heights.

Everything is in percent of the plot, x from its left edge and y from its top, so that the SVG stretches to any width
without shrinking its text. Points stand in the middle of slots of equal width: slot ``i`` of ``n`` reaches from
``100 * i / n`` to ``100 * (i + 1) / n``, which is also how `charts.js` finds the slot under a finger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import groupby
from math import ceil, floor, log10

from flask_encore.domain.intervals import Interval

#: More points than this are pooled into weeks, then months. On a page of 72rem a bar is 10 pixels wide then, and on a
#: phone 3: narrower ones are a texture, not a chart. It leaves 90 days as days, and two years less a month as weeks.
MOST_POINTS = 100

#: Gaps between horizontal lines, about: with four a value can be read off within an eighth of the height.
GAPS = 4

#: Labels below the plot, at most: eight dates fit a desktop; a phone leaves out every second of them.
MOST_LABELS = 8

#: How much of its slot a bar fills, percent.
BAR = 72


class Size(StrEnum):
    """What one point of a chart stands for."""

    DAY = "day"  #: midnight to midnight, in the shop's time zone
    WEEK = "week"  #: Monday to Sunday
    MONTH = "month"  #: of the calendar


@dataclass(frozen=True, slots=True)
class Span:
    """The days of one point, both included. The first and the last one of a chart may be cut off by its ends."""

    first: date
    last: date


def fitting(first: date, last: date) -> Size:
    """The smallest size that gives at most `MOST_POINTS` points, or months."""
    days = (last - first).days + 1
    if days <= MOST_POINTS:
        return Size.DAY
    return Size.WEEK if ceil(days / 7) + 1 <= MOST_POINTS else Size.MONTH


def spans(first: date, last: date, size: Size) -> list[Span]:
    """The days from *first* to *last* cut into spans of *size*, oldest first, without a gap."""
    found = []
    while first <= last:
        end = min(last, last_of(first, size))
        found.append(Span(first, end))
        first = end + timedelta(days=1)
    return found


def last_of(day: date, size: Size) -> date:
    """The last day of the whole span *day* is in."""
    if size is Size.DAY:
        return day
    if size is Size.WEEK:
        return day + timedelta(days=6 - day.weekday())
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from *low* at the bottom to *high* at the top, with the *ticks* between, lowest first."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def y(self, value: float) -> float:
        """How far below the top *value* lies, percent."""
        return round(100 * (self.high - value) / (self.high - self.low), 3)


def scale(values: Sequence[float], *, whole: bool = False) -> Scale:
    """A scale that holds 0 and all *values*, between ticks that are 1, 2 or 5 times a power of ten apart.

    Args:
        whole: Only whole numbers: counts, and amounts in minor units.
    """
    low, high = min(0, *values, 0), max(0, *values, 0)
    if low == high:
        high = 1
    rough = (high - low) / GAPS
    power = floor(log10(rough))
    if whole:
        power = max(0, power)
    unit: float = 10**power if power >= 0 else 1 / 10**-power
    # 10 is there for when rounding puts `rough` a hair above five units.
    step = next(factor * unit for factor in (1, 2, 5, 10) if rough <= factor * unit * (1 + 1e-9))
    # The same hair: 0.3 is three steps of 0.1, not four.
    lowest, highest = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    ticks = tuple(step * number for number in range(lowest, highest + 1))
    return Scale(ticks[0], ticks[-1], ticks)


def middle(slot: int, slots: int) -> float:
    """How far right the middle of a slot lies, percent."""
    return round(100 * (slot + 0.5) / slots, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lone:
    """A point between two gaps: a dot with a whisker, because a line needs two of them."""

    x: float
    y: float
    high: float
    low: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line with the band around it.

    Attributes:
        path: SVG path data in a box of 100 by 100; interrupted where there is no value.
        band: The same for the intervals; empty when there are none.
        ys: One per slot; ``None`` where there is no value.
    """

    path: str
    band: str
    lone: tuple[Lone, ...]
    ys: tuple[float | None, ...]


def line(
    values: Sequence[float | None],
    on: Scale,
    *,
    intervals: Sequence[Interval | None] = (),
    is_running: bool = False,
) -> Line:
    """Join the values that stand next to each other; a gap stays a gap.

    Args:
        intervals: One for each value, or none at all. A value without one has no band there.
        is_running: The last value still grows, so it is a dot of its own: a line down to it would tell of a fall.
    """
    slots = len(values)
    path, band, lone = [], [], []
    for run in _runs(values, last_alone=is_running):
        points = [(middle(slot, slots), on.y(values[slot] or 0)) for slot in run]
        known = [intervals[slot] if intervals else None for slot in run]
        edges = [(x, on.y(one.high), on.y(one.low)) for (x, _), one in zip(points, known, strict=True) if one]
        if len(run) > 1:
            path.append(_path(points))
            if len(edges) > 1:
                band.append(_path([(x, y) for x, y, _ in edges] + [(x, y) for x, _, y in reversed(edges)]) + "Z")
        else:
            [(x, y)] = points
            _, high, low = edges[0] if edges else (x, y, y)
            lone.append(Lone(x=x, y=y, high=high, low=low))
    ys = tuple(None if value is None else on.y(value) for value in values)
    return Line(path="".join(path), band="".join(band), lone=tuple(lone), ys=ys)


def _runs(values: Sequence[float | None], *, last_alone: bool) -> Iterator[list[int]]:
    last = len(values) - 1

    def run_of(slot: int) -> tuple[bool, bool]:
        return values[slot] is not None, last_alone and slot == last

    for (known, _), slots in groupby(range(len(values)), key=run_of):
        if known:
            yield list(slots)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar from zero up or down. Percent, all four."""

    x: float
    y: float
    width: float
    height: float
    below: bool


def bars(values: Sequence[float], on: Scale) -> list[Bar | None]:
    """One bar for each value, from zero; ``None`` for a value of zero, which has none."""
    slots, zero = len(values), on.y(0)
    width = round(BAR / slots, 3)

    def bar(slot: int, value: float) -> Bar | None:
        if not value:
            return None
        y = on.y(value)
        return Bar(
            x=round(middle(slot, slots) - width / 2, 3),
            y=min(y, zero),
            width=width,
            height=round(abs(y - zero), 3),
            below=value < 0,
        )

    return [bar(slot, value) for slot, value in enumerate(values)]


def labelled(slots: int) -> list[tuple[int, bool]]:
    """The slots with a date below them, oldest first, and whether a phone has room for it.

    They are counted from the newest, which always has one: it is the first thing a reader looks for.
    """
    step = max(1, ceil(slots / MOST_LABELS))
    found = range(slots - 1, -1, -step)
    return [(slot, number % 2 == 0) for number, slot in enumerate(found)][::-1]
