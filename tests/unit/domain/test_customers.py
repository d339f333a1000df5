"""Cohorts, triangles and means from counted groups, in literal numbers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from flask_encore.domain.customers import (
    EARLIER,
    Calendar,
    Cell,
    Group,
    Mean,
    OrderValue,
    Span,
    retention,
    standing,
    worth,
)
from flask_encore.domain.funnel import Rate
from flask_encore.domain.money import Money

NOW = datetime(2026, 3, 2, 14, 3, tzinfo=UTC)
CALENDAR = Calendar.of(NOW, zone=ZoneInfo("Europe/London"))


def group(cohort: int | None, month: int | None, customers: int = 0, **more: object) -> Group:
    values = {"cohort": cohort, "month": month, "currency": "gbp", "customers": customers} | more
    return Group(**values)  # type: ignore[arg-type]


def test_the_months_are_the_present_one_and_the_eleven_before() -> None:
    assert (CALENDAR.months[0], CALENDAR.months[-1]) == (date(2025, 4, 1), date(2026, 3, 1))
    assert len(CALENDAR.months) == len(CALENDAR.starts) == 12


def test_a_month_begins_at_midnight_in_the_shops_zone() -> None:
    assert CALENDAR.starts[0] == datetime(2025, 3, 31, 23, tzinfo=UTC)  # summer time
    assert CALENDAR.starts[11] == datetime(2026, 3, 1, tzinfo=UTC)
    assert CALENDAR.end == datetime(2026, 3, 31, 23, tzinfo=UTC)


def test_the_present_month_is_that_of_the_shops_calendar() -> None:
    late = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    assert Calendar.of(late, zone=ZoneInfo("Europe/Berlin")).months[-1] == date(2026, 3, 1)
    assert Calendar.of(late, zone=ZoneInfo("America/New_York")).months[-1] == date(2026, 2, 1)


def test_spans_begin_with_a_month() -> None:
    assert (Span.QUARTER.first, Span.YEAR.first, Span.ALL.first) == (10, 1, EARLIER)
    assert CALENDAR.begins(Span.QUARTER) == datetime(2026, 1, 1, tzinfo=UTC)
    assert CALENDAR.begins(Span.ALL) is None


def test_a_triangle_says_what_was_what_is_and_what_cannot_be_known_yet() -> None:
    january, february, march, together = retention(
        [
            group(10, 10, 200),
            group(10, 11, 50),
            group(10, 12, 3),
            group(11, 11, 100),
            group(11, 12, 1),
            group(12, 12, 7),
        ],
        CALENDAR,
    )

    assert (january.first, january.customers) == (date(2026, 1, 1), 200)
    assert january.again[:3] == (Cell(rate=Rate(50, 200)), Cell(rate=Rate(3, 200), running=True), Cell(rate=None))
    assert february.again[:2] == (Cell(rate=Rate(1, 100), running=True), Cell(rate=None))
    assert march.again == (Cell(rate=None),) * 11
    # Of the three only January had a whole month after it.
    assert (together.first, together.customers) == (None, 307)
    assert together.again == (Cell(rate=Rate(50, 200)), *[Cell(rate=None)] * 10)


def test_a_month_between_without_a_first_order_stays_in_the_triangle_and_those_before_do_not() -> None:
    cohorts = retention([group(8, 8, 2), group(10, 10, 3)], CALENDAR)
    assert [(one.first and one.first.month, one.customers) for one in cohorts] == [
        (11, 2),
        (12, 0),
        (1, 3),
        (2, 0),
        (3, 0),
        (None, 5),
    ]


def test_customers_of_before_the_year_have_no_row_in_the_triangle() -> None:
    assert retention([group(EARLIER, EARLIER, 5), group(EARLIER, 12, 5)], CALENDAR) == []


def test_guests_and_orders_without_a_month_are_told_apart() -> None:
    told = standing(
        [
            group(10, 10, 3, active=3, repeaters=1, orders=4, without_amount=1),
            group(EARLIER, EARLIER, 2, orders=2),
            group(10, None, orders=5, without_amount=5),
            group(None, 12, guests=True, orders=6),
            group(None, None, guests=True, orders=7),
        ],
        Span.QUARTER,
    )
    assert told.repeat_purchase_rate == Rate(1, 3)
    assert (told.orders, told.guest_orders, told.without_amount, told.undated) == (10, 6, 1, 12)
    assert told.any_order


def test_only_orders_without_a_month_are_no_orders_to_speak_of() -> None:
    told = standing([group(None, None, orders=2)], Span.ALL)
    assert (told.any_order, told.undated) == (False, 2)


def test_a_mean_is_rounded_to_the_minor_unit_and_needs_a_hundred() -> None:
    assert Mean(Money(10_050, "gbp"), 100).each == Money(101, "gbp")
    assert Mean(Money(10_049, "gbp"), 100).each == Money(100, "gbp")
    assert Mean(Money(10_049, "gbp"), 99).each is None


def test_an_order_value_with_offers_is_of_the_same_orders() -> None:
    value = OrderValue(orders=200, totals=Money(400_000, "gbp"), kept=Money(20_000, "gbp"))
    assert value.without_offers.each == Money(2_000, "gbp")
    assert value.with_offers.each == Money(2_100, "gbp")


def test_what_customers_paid_is_told_by_currency_and_cohort_and_never_added_across() -> None:
    pounds, euros = worth(
        [
            group(EARLIER, EARLIER, buyers=150, value_minor=300_000),
            group(EARLIER, 12, value_minor=15_000),
            group(12, 12, buyers=3, value_minor=900),
            group(12, 12, currency="eur", buyers=1, value_minor=70),
            group(None, 12, guests=True, value_minor=5_000),
            group(12, 12, currency=None, value_minor=0),
        ],
        {"eur": OrderValue(orders=1, totals=Money(70, "eur"), kept=Money(0, "eur"))},
        CALENDAR,
    )
    assert (pounds.currency, euros.currency) == ("gbp", "eur")
    assert [(one.first, one.value) for one in pounds.lifetimes] == [
        (None, Mean(Money(315_000, "gbp"), 150)),
        (date(2026, 3, 1), Mean(Money(900, "gbp"), 3)),
    ]
    assert pounds.everybody == Mean(Money(315_900, "gbp"), 153)
    assert (pounds.order_value, euros.everybody) == (None, Mean(Money(70, "eur"), 1))
