"""Who comes back and what they are worth: counted customers in, rates, a triangle of months and means out.

A customer is one ``customer_ref``. A guest has none: their order is an order, and nobody's second one. Months are the
calendar's, in the shop's zone, numbered from 1, the oldest that is shown, to `MONTHS`, the present one; `EARLIER` is
everything before. Nothing is added up across currencies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from enum import StrEnum

from flask_encore.domain.funnel import MIN_TRIALS, Rate
from flask_encore.domain.money import Money

#: Cohorts that are shown: a year, so that every season is in it once, and a page's width of months after the first.
MONTHS = 12

#: The number of all months before the first that is shown.
EARLIER = 0


class Span(StrEnum):
    """Which orders the repeat-purchase rate and the order values are of; whole months, as the cohorts'."""

    QUARTER = "3"  #: this month and the two before
    YEAR = "12"  #: this month and the eleven before
    ALL = "all"  #: since the first order

    @property
    def first(self) -> int:
        """The number of its first month."""
        return EARLIER if self is Span.ALL else MONTHS - int(self) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The `MONTHS` months up to now.

    Attributes:
        months: The first day of each, oldest first.
        starts: Their first moments in the shop's zone, in UTC.
        end: When the present month ends.
    """

    months: tuple[date, ...]
    starts: tuple[datetime, ...]
    end: datetime

    @classmethod
    def of(cls, now: datetime, *, zone: tzinfo) -> Calendar:
        """The months up to the one *now* is in."""
        today = now.astimezone(zone).date()
        present = today.year * 12 + today.month - 1
        firsts = [date(number // 12, number % 12 + 1, 1) for number in range(present - MONTHS + 1, present + 2)]
        begins = [datetime.combine(first, time.min, tzinfo=zone).astimezone(UTC) for first in firsts]
        return cls(months=tuple(firsts[:-1]), starts=tuple(begins[:-1]), end=begins[-1])

    def begins(self, span: Span) -> datetime | None:
        """The first moment of *span*; ``None`` when it has none."""
        return None if span is Span.ALL else self.starts[span.first - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How many of a cohort ordered again in one month after their first.

    Attributes:
        rate: Customers who did / customers of the cohort; ``None`` where the month has not begun.
        running: The month is not over, so the rate may still grow.
    """

    rate: Rate | None
    running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Everybody whose first order fell into one month.

    Attributes:
        first: The month's first day; ``None`` for all cohorts together, each where it had the whole month.
        again: One cell for each of the `MONTHS` - 1 months after it.
    """

    first: date | None
    customers: int
    again: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Mean:
    """*total*, shared by *of* customers or orders."""

    total: Money
    of: int

    @property
    def each(self) -> Money | None:
        """Total / of, rounded to the minor unit, halves up; ``None`` below `MIN_TRIALS`, as a rate is."""
        if self.of < MIN_TRIALS:
            return None
        return Money((2 * self.total.minor_units + self.of) // (2 * self.of), self.total.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """What the customers of one cohort have paid to date in one currency.

    Attributes:
        first: The cohort's month; ``None`` for those before the first that is shown.
        value: Of those of them who have an order in the currency whose amount is known.
    """

    first: date | None
    value: Mean


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderValue:
    """Orders of one currency, with what their offers kept and without it.

    Attributes:
        totals: What was paid at the checkout.
        kept: Charged by their offers, and neither refunded, being refunded nor disputed.
    """

    orders: int
    totals: Money
    kept: Money

    @property
    def without_offers(self) -> Mean:
        """Totals / orders."""
        return Mean(self.totals, self.orders)

    @property
    def with_offers(self) -> Mean:
        """(Totals + kept) / the same orders."""
        return Mean(self.totals + self.kept, self.orders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """One currency's amounts.

    Attributes:
        order_value: ``None`` when no order of the chosen months was paid in it.
        lifetimes: One per cohort with customers, oldest first; all time, whatever months were chosen.
        everybody: All cohorts together.
    """

    currency: str
    order_value: OrderValue | None
    lifetimes: tuple[Lifetime, ...]
    everybody: Mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Orders of one month and currency, by customers of one cohort or by guests.

    Attributes:
        cohort: Number of the month of the customers' first order; ``None`` for guests, and where no order has a month.
        month: Number of the month counted; ``None`` for orders without a time, or with one that has not come.
        currency: ``None`` where the order's lines do not agree on one.
        customers: Who ordered in *month*, each counted in one of their currencies.
        buyers: Whose first order with a known amount in *currency* was in *month*.
        active: Customers with an order in the chosen months, each counted in one of their groups.
        repeaters: Of *active*, those with two orders or more in the chosen months.
        without_amount: Of *orders*, those whose amount is not known.
        value_minor: Of the others, minor units, with what their offers kept.
    """

    guests: bool = False
    cohort: int | None
    month: int | None
    currency: str | None
    customers: int = 0
    buyers: int = 0
    active: int = 0
    repeaters: int = 0
    orders: int = 0
    without_amount: int = 0
    value_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How many customers and orders, and who came back.

    Attributes:
        repeat_purchase_rate: Customers with two orders or more / customers with one or more, in the chosen months.
        orders: Of the chosen months.
        guest_orders: Of *orders*, those without a customer.
        without_amount: Of *orders*, those whose amount is not known.
        any_order: Whether there is an order of any month at all.
        undated: Orders without a time, or with one that has not come: they count nowhere else.
    """

    repeat_purchase_rate: Rate
    orders: int
    guest_orders: int
    without_amount: int
    any_order: bool
    undated: int


def standing(groups: Iterable[Group], span: Span) -> Standing:
    """The figures of *span*, which *groups* were counted for."""
    everything = list(groups)
    dated = [group for group in everything if group.month is not None]
    chosen = [group for group in everything if group.month is not None and group.month >= span.first]
    active = sum(group.active for group in everything)
    return Standing(
        repeat_purchase_rate=Rate(sum(group.repeaters for group in everything), active),
        orders=sum(group.orders for group in chosen),
        guest_orders=sum(group.orders for group in chosen if group.guests),
        without_amount=sum(group.without_amount for group in chosen),
        any_order=bool(dated),
        undated=sum(group.orders for group in everything if group.month is None),
    )


def retention(groups: Iterable[Group], calendar: Calendar) -> list[Cohort]:
    """The triangle: one cohort per month since the first that had any, then all of them together; empty without one."""
    counts: defaultdict[tuple[int, int], int] = defaultdict(int)
    for group in groups:
        if group.cohort is not None and group.month is not None:
            counts[group.cohort, group.month] += group.customers
    shown = [number for number in range(1, MONTHS + 1) if counts[number, number]]
    if not shown:
        return []
    cohorts = [_cohort(number, counts, calendar) for number in range(shown[0], MONTHS + 1)]
    return [*cohorts, _together(cohorts)]


def _cohort(number: int, counts: Mapping[tuple[int, int], int], calendar: Calendar) -> Cohort:
    size = counts[number, number]
    cells = []
    for month in range(number + 1, number + MONTHS):
        begun = month <= MONTHS
        cells.append(Cell(rate=Rate(counts[number, month], size) if begun else None, running=month == MONTHS))
    return Cohort(first=calendar.months[number - 1], customers=size, again=tuple(cells))


def _together(cohorts: list[Cohort]) -> Cohort:
    cells = []
    for after in range(MONTHS - 1):
        whole = [cohort.again[after].rate for cohort in cohorts if not cohort.again[after].running]
        rates = [rate for rate in whole if rate is not None]
        added = Rate(sum(rate.successes for rate in rates), sum(rate.trials for rate in rates))
        cells.append(Cell(rate=added if added.trials else None))
    return Cohort(first=None, customers=sum(cohort.customers for cohort in cohorts), again=tuple(cells))


def worth(groups: Iterable[Group], order_values: Mapping[str, OrderValue], calendar: Calendar) -> list[Worth]:
    """One per currency that anything was paid in, the one with most customers and orders first."""
    found: defaultdict[str, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for group in groups:
        if group.cohort is not None and group.currency is not None:
            sums = found[group.currency][group.cohort]
            sums[0] += group.buyers
            sums[1] += group.value_minor if group.month is not None else 0
    made = [
        _worth(currency, found[currency], order_values.get(currency), calendar)
        for currency in found.keys() | order_values.keys()
    ]
    made = [one for one in made if one.lifetimes or one.order_value]
    orders = {one.currency: one.order_value.orders if one.order_value else 0 for one in made}
    return sorted(made, key=lambda one: (-one.everybody.of, -orders[one.currency], one.currency))


def _worth(
    currency: str, cohorts: Mapping[int, list[int]], order_value: OrderValue | None, calendar: Calendar
) -> Worth:
    lifetimes = tuple(
        Lifetime(
            first=None if number == EARLIER else calendar.months[number - 1],
            value=Mean(Money(cohorts[number][1], currency), cohorts[number][0]),
        )
        for number in sorted(cohorts)
        if cohorts[number][0]
    )
    total = Money(sum(one.value.total.minor_units for one in lifetimes), currency)
    return Worth(
        currency=currency,
        order_value=order_value,
        lifetimes=lifetimes,
        everybody=Mean(total, sum(one.value.of for one in lifetimes)),
    )
