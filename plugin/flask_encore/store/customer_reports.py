"""Customers in two statements: everybody by cohort, month and currency, and what orders come to.

An order that the shop handed over is in ``encore_orders`` and its lines are in ``encore_history_lines``; it is counted
once, by its own row. Months come as parameters, as moments: no database is asked about time zones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.customers import EARLIER, Calendar
from flask_encore.store.models import charges, history_lines, orders, refunds

#: An amount above this is a slip and not a price, minor units: Stripe's largest charge has twelve digits. It keeps a
#: sum over a million of them within 64 bits, which SQLite does not leave without an error.
LARGEST_AMOUNT = 10**12

_Amount = sa.BigInteger


def _month(at: Any, starts: Sequence[Any], end: Any) -> sa.ColumnElement[int | None]:
    """The number of the month *at* is in; NULL when it has no time, or one after the present month."""
    known = [(at >= start, number) for number, start in reversed(list(enumerate(starts, 1)))]
    return sa.case((sa.or_(at.is_(None), at >= end), sa.null()), *known, else_=EARLIER)


def _same(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """What the rows of a group agree on; NULL when they do not."""
    return sa.case((sa.func.min(column) == sa.func.max(column), sa.func.max(column)))


def _kept(account: str) -> sa.Subquery:
    """By order and currency: what offers charged and nobody took back."""
    back = (
        sa.select(refunds.c.charge_id, sa.func.sum(refunds.c.amount_minor).label("minor"))
        .where(refunds.c.status == "succeeded")
        .group_by(refunds.c.charge_id)
        .subquery("back")
    )
    left = charges.c.amount_minor - sa.func.coalesce(back.c.minor, 0)
    return (
        sa.select(
            charges.c.order_ref,
            charges.c.currency,
            sa.cast(sa.func.sum(sa.case((left > 0, left), else_=0)), _Amount).label("minor"),
        )
        .select_from(charges.outerjoin(back, back.c.charge_id == charges.c.id))
        .where(charges.c.account == account, charges.c.status == ChargeStatus.SUCCEEDED.value)
        .group_by(charges.c.order_ref, charges.c.currency)
        .subquery("kept")
    )


def _with_kept(account: str) -> tuple[sa.FromClause, sa.ColumnElement[int]]:
    """Orders beside what their offers kept, and that amount, 0 without one."""
    kept = _kept(account)
    fits = sa.and_(kept.c.order_ref == orders.c.order_ref, kept.c.currency == orders.c.currency)
    return orders.outerjoin(kept, fits), sa.func.coalesce(kept.c.minor, 0)


def _handed_over(account: str, calendar: Calendar) -> sa.Select[Any]:
    road, kept = _with_kept(account)
    return (
        sa.select(
            orders.c.customer_ref,
            _month(orders.c.placed_at, calendar.starts, calendar.end).label("month"),
            orders.c.currency,
            sa.case((orders.c.total_minor <= LARGEST_AMOUNT, orders.c.total_minor + kept)).label("value_minor"),
        )
        .select_from(road)
        .where(orders.c.account == account)
    )


def _imported(account: str, calendar: Calendar) -> sa.Select[Any]:
    """Orders that are known by their lines alone. One with a line of unknown price has no value."""
    line = history_lines.c
    is_sane = line.unit_price_minor <= LARGEST_AMOUNT // sa.func.nullif(line.quantity, 0)
    amount = sa.case((is_sane, line.quantity * line.unit_price_minor))
    whole = sa.and_(sa.func.count(amount) == sa.func.count(), sa.func.min(line.currency) == sa.func.max(line.currency))
    # Left out before the lines are put together, so that a shop that hands over all its orders waits for few of them.
    known = sa.and_(orders.c.account == account, orders.c.order_ref == line.order_ref)
    by_order = (
        sa.select(
            sa.func.min(line.placed_at).label("at"),
            _same(line.customer_ref).label("customer_ref"),
            _same(line.currency).label("currency"),
            sa.cast(sa.case((whole, sa.func.sum(amount))), _Amount).label("value_minor"),
        )
        .select_from(history_lines.outerjoin(orders, known))
        .where(orders.c.order_ref.is_(None))
        .group_by(line.order_ref)
        .subquery("by_order")
    )
    starts = [start.timestamp() for start in calendar.starts]
    return sa.select(
        by_order.c.customer_ref,
        _month(by_order.c.at, starts, calendar.end.timestamp()).label("month"),
        by_order.c.currency,
        by_order.c.value_minor,
    )


def _seen(account: str, calendar: Calendar) -> sa.Subquery:
    """Every order once: customer_ref, month, currency, value_minor; each may be NULL."""
    return sa.union_all(_handed_over(account, calendar), _imported(account, calendar)).subquery("seen")


def _flag(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    """0 or 1, on every database."""
    return sa.case((condition, 1), else_=0)


def _how_many(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(_flag(condition)), 0)


def _placed(account: str, calendar: Calendar, first: int) -> sa.Subquery:
    """A row per customer, month and currency, all guests as one, each beside what the rest of its customer's say."""
    seen = _seen(account, calendar)
    monthly = (
        sa.select(
            seen.c.customer_ref,
            seen.c.month,
            seen.c.currency,
            sa.func.count().label("orders"),
            sa.func.count(seen.c.value_minor).label("valued"),
            sa.func.sum(seen.c.value_minor).label("value_minor"),
        )
        .group_by(seen.c.customer_ref, seen.c.month, seen.c.currency)
        .subquery("monthly")
    )
    row = monthly.c
    of_customer, of_month, of_currency = (
        [row.customer_ref],
        [row.customer_ref, row.month],
        [row.customer_ref, row.currency],
    )
    # Whoever ordered in two currencies of a month is one customer of it, and one buyer of a currency in two months.
    return sa.select(
        row.customer_ref,
        row.month,
        row.currency,
        row.orders,
        row.valued,
        row.value_minor,
        sa.func.min(row.month).over(partition_by=of_customer).label("cohort"),
        sa.func.sum(sa.case((row.month >= first, row.orders))).over(partition_by=of_customer).label("lately"),
        sa.func.row_number().over(partition_by=of_customer).label("of_customer"),
        sa.func.row_number().over(partition_by=of_month).label("of_month"),
        sa.func.min(sa.case((row.valued > 0, row.month))).over(partition_by=of_currency).label("first_valued"),
    ).subquery("placed")


def customers(
    connection: sa.Connection, *, account: str, calendar: Calendar, first: int
) -> Sequence[Mapping[Any, Any]]:
    """The columns of `domain.customers.Group`; at most two rows per cohort, month and currency.

    Args:
        first: Number of the first month of the chosen ones, for ``active`` and ``repeaters``.
    """
    placed = _placed(account, calendar, first)
    one = placed.c
    known = one.customer_ref.is_not(None)
    keys = [
        _flag(~known).label("guests"),
        sa.case((known, one.cohort)).label("cohort"),
        one.month,
        one.currency,
    ]
    statement = (
        sa.select(
            *keys,
            _how_many(sa.and_(known, one.month.is_not(None), one.of_month == 1)).label("customers"),
            _how_many(sa.and_(known, one.month == one.first_valued)).label("buyers"),
            _how_many(sa.and_(known, one.of_customer == 1, one.lately >= 1)).label("active"),
            _how_many(sa.and_(known, one.of_customer == 1, one.lately >= 2)).label("repeaters"),
            sa.func.sum(one.orders).label("orders"),
            sa.func.sum(one.orders - one.valued).label("without_amount"),
            sa.func.coalesce(sa.func.sum(one.value_minor), 0).label("value_minor"),
        )
        .select_from(placed)
        .group_by(*(sa.literal_column(str(place)) for place in range(1, len(keys) + 1)))
    )
    return connection.execute(statement).mappings().all()


def order_values(
    connection: sa.Connection, *, account: str, since: datetime | None, until: datetime
) -> Sequence[Mapping[Any, Any]]:
    """By currency of the orders the shop handed over: currency, orders, totals_minor, kept_minor.

    Args:
        since: Only orders placed then or later.
        until: Only orders placed before.
    """
    road, kept = _with_kept(account)
    statement = (
        sa.select(
            orders.c.currency,
            sa.func.count().label("orders"),
            sa.func.sum(orders.c.total_minor).label("totals_minor"),
            sa.func.sum(kept).label("kept_minor"),
        )
        .select_from(road)
        .where(orders.c.account == account, orders.c.placed_at < until, orders.c.total_minor <= LARGEST_AMOUNT)
        .group_by(orders.c.currency)
    )
    if since is not None:
        statement = statement.where(orders.c.placed_at >= since)
    return connection.execute(statement).mappings().all()
