"""Days in, charts out: what is pooled, what is left out, and how a point is called."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from flask_encore.domain.funnel import Rate, Step
from flask_encore.domain.money import Money
from flask_encore.services.today import DayFigures
from flask_encore.web.day_charts import Drawn, rates, revenue, steps

MONDAY = date(2026, 3, 2)


def day(
    number: int, *, shown: int = 0, accepted: int = 0, kept: int = 0, net: int = 0, currency: str = "gbp"
) -> DayFigures:
    counts = dict(zip(Step, (shown + 2, shown, accepted, accepted, kept), strict=True))
    return DayFigures(
        day=MONDAY + timedelta(days=number),
        counts=counts,
        conversion_rate=Rate(accepted, shown),
        kept_rate=Rate(kept, shown),
        gross=Money(max(net, 0) + 50, currency),
        net=Money(net, currency),
    )


def labels(drawn: Drawn) -> list[str]:
    return [row[0] for row in drawn.rows]


def after(days: Sequence[DayFigures]) -> date:
    return days[-1].day + timedelta(days=1)


# Rates


def test_a_day_with_enough_shown_orders_is_a_point_of_its_own() -> None:
    days = [day(number, shown=120, accepted=12, kept=9) for number in range(3)]
    drawn = rates(days, today=days[-1].day)
    assert drawn.columns == ["Day", "Conversion rate", "Kept rate", "Shown"]
    assert drawn.rows[0] == ["2 Mar 2026", "10.0% (5.8–16.7)", "7.5% (4.0–13.6)", "120"]
    assert labels(drawn)[-1] == "4 Mar 2026, so far"
    assert drawn.note == "Each point is one day. Bands are 95% intervals."


def test_days_with_too_few_are_pooled_into_weeks_and_the_page_says_why() -> None:
    days = [day(number, shown=30, accepted=3, kept=3) for number in range(17)]
    drawn = rates(days, today=after(days))
    assert drawn.rows == [
        ["2–8 Mar 2026", "10.0% (6.6–14.8)", "10.0% (6.6–14.8)", "210"],
        ["9–15 Mar 2026", "10.0% (6.6–14.8)", "10.0% (6.6–14.8)", "210"],
        ["16–18 Mar 2026", "9 of 90", "9 of 90", "90"],
    ]
    assert drawn.note == (
        "Each point is one week, Monday to Sunday. Shorter ones would mostly have fewer than 100 shown orders. "
        "1 week with fewer is a gap. Bands are 95% intervals."
    )


def test_a_quiet_day_among_busy_ones_is_a_gap_and_not_a_reason_to_pool() -> None:
    days = [day(number, shown=5 if number == 2 else 150, accepted=5, kept=5) for number in range(9)]
    drawn = rates(days, today=after(days))
    conversion = drawn.series[0].line
    assert conversion is not None
    assert [y is None for y in conversion.ys] == [False, False, True, *6 * [False]]
    assert drawn.rows[2] == ["4 Mar 2026", "5 of 5", "5 of 5", "5"]
    assert "1 day with fewer is a gap." in drawn.note


def test_days_without_a_shown_order_count_neither_for_nor_against() -> None:
    days = [day(number, shown=200 if number < 2 else 0, accepted=20 if number < 2 else 0) for number in range(30)]
    drawn = rates(days, today=after(days))
    assert len(drawn.rows) == 30
    assert drawn.rows[5] == ["7 Mar 2026", "none shown", "none shown", "0"]


def test_where_no_month_has_enough_there_is_a_sentence_and_no_chart() -> None:
    drawn = rates([day(number, shown=2) for number in range(40)], today=MONDAY + timedelta(days=50))
    assert drawn.rows == ()
    assert drawn.empty.startswith("Not enough data yet. A point needs 100 shown orders")


def test_rates_are_made_of_sums_and_never_averaged() -> None:
    days = [day(0, shown=10, accepted=10), *(day(number, shown=15, accepted=0) for number in range(1, 7))]
    assert rates(days, today=after(days)).rows[0][1].startswith("10.0% ")


# Revenue and counts


def test_each_day_has_its_bar_and_a_negative_one_hangs_below() -> None:
    days = [day(0, net=1_000), day(1), day(2, net=-500)]
    drawn = revenue(days, today=after(days))
    up, none, down = drawn.series[0].bars
    assert (none, up is not None and up.below, down is not None and down.below) == (None, False, True)
    assert [text for _, text in drawn.axes.y_labels] == ["−£5", "£0", "£5", "£10"]  # type: ignore[union-attr]
    assert drawn.rows[2] == ["4 Mar 2026", "£0.50", "−£5.00"]
    assert not drawn.is_running


@pytest.mark.parametrize(
    ("net", "currency", "top"),
    [
        (45, "gbp", "£0.60"),
        (45, "jpy", "¥60"),
        (250_000_00, "gbp", "£300K"),
        (1_250_00, "gbp", "£1.5K"),
        (45_000, "kwd", "KWD 60"),
        (0, "gbp", "£1"),
        (0, "jpy", "¥1"),
    ],
)
def test_an_axis_names_amounts_as_short_as_it_can(net: int, currency: str, top: str) -> None:
    drawn = revenue([day(0, net=net, currency=currency)], today=MONDAY)
    assert drawn.axes is not None
    assert drawn.axes.y_labels[-1][1].replace("\N{NO-BREAK SPACE}", " ") == top
    assert drawn.is_running


@pytest.mark.parametrize(
    ("count", "first", "last", "points"),
    [
        (1, "2 Mar 2026", "2 Mar 2026", 1),
        (100, "2 Mar 2026", "9 Jun 2026", 100),
        (101, "2–8 Mar 2026", "8–10 Jun 2026", 15),
        (306, "2–8 Mar 2026", "28 Dec 2026–1 Jan 2027", 44),
        (1_000, "2–31 Mar 2026", "1–25 Nov 2028", 33),
    ],
)
def test_long_ranges_have_few_points_each_named_by_its_days(count: int, first: str, last: str, points: int) -> None:
    days = [day(number, net=100) for number in range(count)]
    drawn = revenue(days, today=after(days))
    assert (labels(drawn)[0], labels(drawn)[-1], len(drawn.rows)) == (first, last, points)
    if count == 1_000:
        assert labels(drawn)[1] == "Apr 2026"
        assert drawn.rows[1][2] == "£30.00"


def test_counts_are_in_two_charts_each_on_a_scale_of_its_own() -> None:
    days = [day(number, shown=1_000, accepted=20, kept=15) for number in range(3)]
    offered, taken = steps(days, today=days[-1].day)
    assert [one.name for one in offered.series] == ["Eligible", "Shown"]
    assert [one.name for one in taken.series] == ["Accepted", "Charged", "Kept"]
    assert taken.rows[-1] == ["4 Mar 2026, so far", "20", "20", "15"]
    assert taken.series[2].line is not None
    assert [one.x for one in taken.series[2].line.lone] == [83.333]  # today, which is not over


def test_a_chart_of_nothing_is_a_sentence() -> None:
    nothing, none = Money(0, "gbp"), Rate(0, 0)
    counts = dict.fromkeys(Step, 0)
    days = [
        DayFigures(day=MONDAY, counts=counts, conversion_rate=none, kept_rate=none, gross=nothing, net=nothing),
    ]
    drawn = [revenue(days, today=MONDAY), *steps(days, today=MONDAY)]
    assert [one.rows for one in drawn] == [(), (), ()]
    assert [one.empty for one in drawn] == [
        "No offer of these days was charged.",
        "No order of these days was eligible.",
        "No offer of these days was accepted.",
    ]
