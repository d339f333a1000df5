"""Series in, coordinates out: scales, ticks, gaps, and the shapes at the ends of what a shop can have."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from flask_encore.domain.intervals import Interval
from flask_encore.web.charts import (
    MOST_POINTS,
    Bar,
    Lone,
    Size,
    Span,
    bars,
    fitting,
    labelled,
    line,
    middle,
    scale,
    spans,
)

MONDAY = date(2026, 3, 2)


def days_from(first: date, number: int) -> tuple[date, date]:
    return first, first + timedelta(days=number - 1)


# How many days one point stands for


@pytest.mark.parametrize(
    ("days", "size"),
    [(1, Size.DAY), (90, Size.DAY), (100, Size.DAY), (101, Size.WEEK), (693, Size.WEEK), (694, Size.MONTH)],
)
def test_the_longer_the_range_the_more_days_a_point_stands_for(days: int, size: Size) -> None:
    assert fitting(*days_from(MONDAY, days)) is size


def test_ten_years_are_a_hundred_and_twenty_one_months() -> None:
    first, last = days_from(MONDAY, 3653)
    assert len(spans(first, last, fitting(first, last))) == 121


@pytest.mark.parametrize("size", Size)
@pytest.mark.parametrize("days", [1, 6, 7, 31, 365, 1_000])
def test_spans_hold_every_day_once(size: Size, days: int) -> None:
    first, last = days_from(date(2026, 1, 29), days)
    found = spans(first, last, size)
    held = [one.first + timedelta(days=n) for one in found for n in range((one.last - one.first).days + 1)]
    assert held == [first + timedelta(days=n) for n in range(days)]


def test_weeks_begin_on_mondays_and_the_ends_are_cut() -> None:
    assert spans(date(2026, 3, 5), date(2026, 3, 17), Size.WEEK) == [
        Span(date(2026, 3, 5), date(2026, 3, 8)),
        Span(date(2026, 3, 9), date(2026, 3, 15)),
        Span(date(2026, 3, 16), date(2026, 3, 17)),
    ]


def test_months_end_where_the_calendar_says_in_leap_years_too() -> None:
    assert spans(date(2028, 1, 31), date(2028, 3, 1), Size.MONTH) == [
        Span(date(2028, 1, 31), date(2028, 1, 31)),
        Span(date(2028, 2, 1), date(2028, 2, 29)),
        Span(date(2028, 3, 1), date(2028, 3, 1)),
    ]


def test_the_last_days_there_are_do_not_overflow() -> None:
    assert spans(date(2199, 12, 30), date(2199, 12, 31), Size.WEEK) == [Span(date(2199, 12, 30), date(2199, 12, 31))]


# Scales


@pytest.mark.parametrize(
    ("values", "whole", "ticks"),
    [
        ([0.0, 0.04, 0.113], False, (0.0, 0.05, 0.1, 0.15)),
        ([0.3], False, (0.0, 0.1, 0.2, 0.3)),
        ([1.0], False, (0.0, 0.5, 1.0)),
        ([7], True, (0, 2, 4, 6, 8)),
        ([1], True, (0, 1)),
        ([3], True, (0, 1, 2, 3)),
        ([123_456], True, (0, 50_000, 100_000, 150_000)),
        ([-120, 340], True, (-200, 0, 200, 400)),
        ([-5], True, (-6, -4, -2, 0)),
        ([0, 0], True, (0, 1)),
        ([], True, (0, 1)),
        ([2**62], True, (0, 2 * 10**18, 4 * 10**18, 6 * 10**18)),
    ],
)
def test_ticks_are_round_hold_every_value_and_zero(values: list[float], whole: bool, ticks: tuple[float, ...]) -> None:
    made = scale(values, whole=whole)
    assert made.ticks == pytest.approx(ticks)
    assert (made.low, made.high) == (made.ticks[0], made.ticks[-1])


def test_whole_scales_have_whole_ticks() -> None:
    assert all(type(tick) is int for top in range(1, 2_000) for tick in scale([top], whole=True).ticks)


def test_a_value_lies_as_far_below_the_top_as_it_falls_short_of_it() -> None:
    made = scale([-100, 300], whole=True)
    assert (made.low, made.high) == (-100, 300)
    assert [made.y(value) for value in (300, 200, 0, -100)] == [0, 25, 75, 100]


# Lines


def test_a_line_joins_what_stands_next_to_each_other_and_leaves_gaps() -> None:
    made = line([0.5, 1.0, None, 0.0, 0.5], scale([1.0]))
    assert made.path == "M10 50L30 0M70 100L90 50"
    assert made.ys == (50, 0, None, 100, 50)
    assert (made.band, made.lone) == ("", ())


def test_a_band_goes_along_the_upper_ends_and_back_along_the_lower_ones() -> None:
    made = line([0.5, 0.5], scale([1.0]), intervals=[Interval(0.25, 0.75), Interval(0.0, 1.0)])
    assert made.band == "M25 25L75 0L75 100L25 75Z"


def test_a_point_between_gaps_is_a_dot_with_a_whisker() -> None:
    made = line([None, 0.5, None], scale([1.0]), intervals=[None, Interval(0.25, 1.0), None])
    assert made.lone == (Lone(x=50, y=50, high=0, low=75),)
    assert (made.path, made.band) == ("", "")


def test_a_value_that_still_grows_is_no_end_of_a_line() -> None:
    made = line([4, 4, 1], scale([4], whole=True), is_running=True)
    assert made.path == "M16.667 0L50 0"
    assert made.lone == (Lone(x=83.333, y=75, high=75, low=75),)


def test_one_day_is_one_dot_in_the_middle() -> None:
    assert line([7], scale([7], whole=True)).lone == (Lone(x=50, y=12.5, high=12.5, low=12.5),)


def test_nothing_known_is_no_line() -> None:
    made = line([None] * 3, scale([]))
    assert (made.path, made.band, made.lone, made.ys) == ("", "", (), (None, None, None))


def test_zeros_lie_on_the_ground() -> None:
    assert line([0, 0], scale([0, 0], whole=True)).path == "M25 100L75 100"


def test_a_thousand_points_stay_inside_the_plot_in_their_order() -> None:
    made = line([n % 7 for n in range(1_000)], scale(range(7), whole=True))
    points = [tuple(map(float, point.split())) for point in made.path[1:].split("L")]
    assert len(points) == 1_000
    assert points == sorted(points, key=lambda point: point[0])
    assert all(0 < x < 100 and 0 <= y <= 100 for x, y in points)


# Bars


def test_bars_rise_from_zero_and_negative_ones_hang_below_it() -> None:
    assert bars([200, 0, -100, 300], scale([-100, 300], whole=True)) == [
        Bar(x=3.5, y=25, width=18, height=50, below=False),
        None,
        Bar(x=53.5, y=75, width=18, height=25, below=True),
        Bar(x=78.5, y=0, width=18, height=75, below=False),
    ]


@pytest.mark.parametrize("slots", [1, 30, 1_000])
def test_bars_stand_in_the_middle_of_their_slots(slots: int) -> None:
    for slot, bar in enumerate(bars([1] * slots, scale([1], whole=True))):
        assert bar is not None
        assert bar.x + bar.width / 2 == pytest.approx(middle(slot, slots), abs=0.001)


# Dates below


@pytest.mark.parametrize("slots", [1, 2, 7, 8, 9, 30, MOST_POINTS, 121])
def test_at_most_eight_slots_have_a_date_and_the_newest_always_has_one(slots: int) -> None:
    found = labelled(slots)
    assert 1 <= len(found) <= 8
    assert found == sorted(found)
    assert found[-1] == (slots - 1, True)


def test_a_phone_keeps_every_second_date() -> None:
    assert labelled(30) == [
        (1, False),
        (5, True),
        (9, False),
        (13, True),
        (17, False),
        (21, True),
        (25, False),
        (29, True),
    ]
