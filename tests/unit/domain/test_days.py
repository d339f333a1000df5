"""The days a merchant asks for: theirs, whole, and refused in a sentence when they make no sense."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest

from flask_encore.domain.days import Days, Midnights
from flask_encore.domain.errors import InvalidInput

TODAY = date(2026, 3, 2)


def test_both_days_are_whole_and_belong_to_the_shops_zone() -> None:
    days = Days.parse("2026-02-01", "2026-03-02", today=TODAY)

    assert days.bounds(ZoneInfo("America/New_York")) == (
        datetime(2026, 2, 1, 5, tzinfo=UTC),
        datetime(2026, 3, 3, 5, tzinfo=UTC),
    )


def test_a_range_without_ends_has_no_bounds() -> None:
    assert Days.parse(None, None, today=TODAY).bounds(UTC) == (None, None)


def test_a_day_of_twenty_three_hours_is_a_whole_one() -> None:
    since, until = Days.parse("2025-03-30", "2025-03-30", today=TODAY).bounds(ZoneInfo("Europe/London"))
    assert (since, until) == (datetime(2025, 3, 30, 0, tzinfo=UTC), datetime(2025, 3, 30, 23, tzinfo=UTC))


def test_where_clocks_leap_over_midnight_the_day_begins_when_they_do() -> None:
    # Beirut: on 30 March 2025 the clock went from 23:59:59 to 01:00:00, which was 22:00 UTC of the day before.
    since, _ = Days.parse("2025-03-30", None, today=TODAY).bounds(ZoneInfo("Asia/Beirut"))
    assert since == datetime(2025, 3, 29, 22, tzinfo=UTC)


def test_the_last_day_there_is_has_an_end() -> None:
    assert Days.parse(None, "2199-12-31", today=TODAY).bounds(UTC) == (None, datetime(2200, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("2026-03-02", "2026-03-01", "The range ends (2026-03-01) before it begins (2026-03-02); exchange the two."),
        (
            "2026-03-03",
            None,
            "The range begins on 2026-03-03, and today is 2026-03-02: nothing happened there yet.",
        ),
        ("2015-01-01", None, "From 2015-01-01 to 2026-03-02 is longer than ten years; ask for less."),
        ("2016-01-01", "2199-12-31", "From 2016-01-01 to 2199-12-31 is longer than ten years; ask for less."),
        ("0001-01-01", None, "The first day 0001-01-01 is out of reach; ask for days from 2000-01-01 to 2199-12-31."),
        (None, "9999-12-31", "The last day 9999-12-31 is out of reach; ask for days from 2000-01-01 to 2199-12-31."),
        *(
            (None, odd, f"The last day {odd!r} is no day; write it as year-month-day, such as 2026-03-02.")
            for odd in (
                "banana",
                "",
                "2026-02-30",
                "20260302",
                "2026-W10-1",
                "02/03/2026",
                "2026-03-02\n",
                "٢٠٢٦-03-02",
            )
        ),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_in_a_sentence(first: str | None, last: str | None, told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Days.parse(first, last, today=TODAY)
    assert str(refused.value) == told


def test_ten_years_with_their_leap_days_can_be_asked_for() -> None:
    Days.parse("2016-03-02", "2026-03-01", today=TODAY)
    Days.parse("2016-03-02", "2026-03-02", today=TODAY)
    with pytest.raises(InvalidInput):
        Days.parse("2016-03-01", "2026-03-02", today=TODAY)


def test_days_begin_at_a_quarter_of_an_hour_in_every_zone_that_can_be_asked_for() -> None:
    odd = {
        (name, year, month)
        for name in available_timezones()
        for year in (2000, 2007, 2011, 2016, 2026)
        for month in (1, 7)
        for midnight in Midnights.of(date(year, month, 1), date(year, month, 1), ZoneInfo(name)).moments
        if midnight.minute % 15 or midnight.second
    }
    assert odd == set()


def test_days_in_a_row_know_their_midnights_and_which_of_them_are_uneven() -> None:
    days = Midnights.of(date(2026, 3, 28), date(2026, 3, 30), ZoneInfo("Europe/London"))

    assert days.days == [date(2026, 3, 28), date(2026, 3, 29), date(2026, 3, 30)]
    assert days.runs(0, 3) == [
        (datetime(2026, 3, 28, tzinfo=UTC), 0, True),
        (datetime(2026, 3, 29, tzinfo=UTC), 1, False),
        (datetime(2026, 3, 29, 23, tzinfo=UTC), 2, True),
    ]
    assert days.day_of(datetime(2026, 3, 29, 22, 59, tzinfo=UTC)) == date(2026, 3, 29)
    assert days.day_of(datetime(2026, 3, 29, 23, tzinfo=UTC)) == date(2026, 3, 30)
