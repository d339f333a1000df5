"""Tell the merchant who comes back and what customers are worth, in two statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask_encore.domain.customers import (
    Calendar,
    Cohort,
    Group,
    OrderValue,
    Span,
    Standing,
    Worth,
    retention,
    standing,
    worth,
)
from flask_encore.domain.money import Money
from flask_encore.services.runtime import Runtime
from flask_encore.store import customer_reports


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerReport:
    """The whole page.

    Attributes:
        since: First day of the chosen months; ``None`` when it is all time.
        standing: Of the chosen months.
        cohorts: One per month, oldest first, and all together; empty when there is none.
        worth: One per currency.
    """

    span: Span
    since: date | None
    standing: Standing
    cohorts: Sequence[Cohort]
    worth: Sequence[Worth]


def report(rt: Runtime, *, span: Span) -> CustomerReport:
    """Everything the customers' page shows. Changes nothing."""
    calendar = Calendar.of(rt.clock(), zone=rt.settings.zone)
    with rt.db.read() as connection:
        counted = customer_reports.customers(connection, account=rt.account, calendar=calendar, first=span.first)
        paid = customer_reports.order_values(
            connection, account=rt.account, since=calendar.begins(span), until=calendar.end
        )
    groups = [_group(row) for row in counted]
    return CustomerReport(
        span=span,
        since=None if span is Span.ALL else calendar.months[span.first - 1],
        standing=standing(groups, span),
        cohorts=retention(groups, calendar),
        worth=worth(groups, {row["currency"]: _order_value(row) for row in paid}, calendar),
    )


def _group(row: Mapping[Any, Any]) -> Group:
    # PostgreSQL sums 64-bit integers into a decimal; it is exact.
    return Group(
        guests=bool(row["guests"]),
        cohort=row["cohort"],
        month=row["month"],
        currency=row["currency"],
        customers=int(row["customers"]),
        buyers=int(row["buyers"]),
        active=int(row["active"]),
        repeaters=int(row["repeaters"]),
        orders=int(row["orders"]),
        without_amount=int(row["without_amount"]),
        value_minor=int(row["value_minor"]),
    )


def _order_value(row: Mapping[Any, Any]) -> OrderValue:
    currency = row["currency"]
    return OrderValue(
        orders=row["orders"],
        totals=Money(int(row["totals_minor"]), currency),
        kept=Money(int(row["kept_minor"]), currency),
    )
