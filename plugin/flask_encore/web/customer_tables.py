"""The tables of the customers' page as files (`web.downloads`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from flask_encore.domain.customers import Mean
from flask_encore.services.customer_figures import CustomerReport
from flask_encore.web.downloads import Column, Table
from flask_encore.web.report_tables import rate_cells, rate_columns

#: The row that holds all cohorts.
TOGETHER = "together"


def tables(report: CustomerReport) -> list[Table]:
    """All of them."""
    return [_returning(report), _retention(report), _order_values(report), _worth(report)]


def _returning(report: CustomerReport) -> Table:
    """One row: who came back in the chosen months."""
    standing = report.standing
    row = {
        "since": report.since,
        "customers": standing.repeat_purchase_rate.trials,
        "came_back": standing.repeat_purchase_rate.successes,
        "orders": standing.orders,
        "guest_orders": standing.guest_orders,
        "without_amount": standing.without_amount,
        **rate_cells("repeat_purchase_rate", standing.repeat_purchase_rate),
    }
    return Table(
        name="returning",
        columns=[
            Column("since", "Since"),
            Column("customers", "Customers"),
            Column("came_back", "Ordered twice or more"),
            *rate_columns("repeat_purchase_rate", "Repeat-purchase rate"),
            Column("orders", "Orders"),
            Column("guest_orders", "Orders by guests"),
            Column("without_amount", "Orders without a known amount"),
        ],
        rows=[row],
    )


def _retention(report: CustomerReport) -> Table:
    """One row per cell of the triangle that has begun."""
    return Table(
        name="retention",
        columns=[
            Column("first_order", "First order"),
            Column("months_after", "Months after"),
            Column("customers", "Customers"),
            Column("ordered_again", "Ordered again"),
            *rate_columns("share", "Share"),
            Column("running", "Month not over"),
        ],
        rows=_cells(report),
    )


def _cells(report: CustomerReport) -> Iterator[Mapping[str, Any]]:
    for cohort in report.cohorts:
        for after, cell in enumerate(cohort.again, start=1):
            if cell.rate is not None and cohort.customers:
                yield {
                    "first_order": _month(cohort.first, TOGETHER),
                    "months_after": after,
                    "customers": cell.rate.trials,
                    "ordered_again": cell.rate.successes,
                    "running": cell.running,
                    **rate_cells("share", cell.rate),
                }


def _order_values(report: CustomerReport) -> Table:
    """One row per currency."""
    return Table(
        name="order-values",
        columns=[
            Column("currency", "Currency"),
            Column("orders", "Orders"),
            Column("without_offers", "Total without offers", money=True),
            Column("without_offers_each", "Each, without offers", money=True),
            Column("with_offers", "Total with offers", money=True),
            Column("with_offers_each", "Each, with offers", money=True),
        ],
        rows=[
            {
                "currency": worth.currency,
                "orders": value.orders,
                "without_offers": value.without_offers.total,
                "without_offers_each": value.without_offers.each,
                "with_offers": value.with_offers.total,
                "with_offers_each": value.with_offers.each,
            }
            for worth in report.worth
            if (value := worth.order_value) is not None
        ],
    )


def _worth(report: CustomerReport) -> Table:
    """One row per currency and month of the first order, and one for all months."""
    rows: Iterable[tuple[str, str, Mean]] = [
        (worth.currency, first, mean)
        for worth in report.worth
        if worth.lifetimes
        for first, mean in (
            *((_month(one.first, "earlier"), one.value) for one in worth.lifetimes),
            (TOGETHER, worth.everybody),
        )
    ]
    return Table(
        name="worth",
        columns=[
            Column("currency", "Currency"),
            Column("first_order", "First order"),
            Column("customers", "Customers"),
            Column("paid", "Paid to date", money=True),
            Column("each", "Each", money=True),
        ],
        rows=[
            {"currency": currency, "first_order": first, "customers": mean.of, "paid": mean.total, "each": mean.each}
            for currency, first, mean in rows
        ],
    )


def _month(first: date | None, otherwise: str) -> str:
    """A month such as ``2026-03``, as ISO 8601 has it."""
    return otherwise if first is None else f"{first:%Y-%m}"
