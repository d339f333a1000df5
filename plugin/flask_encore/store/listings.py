"""Pages of the shop's own rows, by key and not by offset: what is added meanwhile shifts nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.store.models import charges, decisions, orders, products, refunds

Rows = Sequence[Mapping[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """Behind which row a page begins, newest first: its moment, and its key among those of that moment."""

    at: datetime
    key: str


def product_page(
    connection: sa.Connection, *, after: str | None, limit: int, category: str | None, active: bool | None
) -> Rows:
    """Products by SKU."""
    query = sa.select(products).order_by(products.c.sku).limit(limit)
    if after is not None:
        query = query.where(products.c.sku > after)
    if category is not None:
        query = query.where(products.c.category == category)
    if active is not None:
        query = query.where(products.c.active.is_(active))
    return connection.execute(query).mappings().all()


def order_page(
    connection: sa.Connection, *, account: str, after: Since | None, limit: int, customer_ref: str | None
) -> Rows:
    """Orders, the last recorded first."""
    conditions = [orders.c.account == account]
    if customer_ref is not None:
        conditions.append(orders.c.customer_ref == customer_ref)
    return _newest(
        connection, sa.select(orders).where(*conditions), orders.c.recorded_at, orders.c.order_ref, after, limit
    )


def order(connection: sa.Connection, order_ref: str, *, account: str) -> Mapping[Any, Any] | None:
    """One order, or ``None``."""
    query = sa.select(orders).where(orders.c.account == account, orders.c.order_ref == order_ref)
    return connection.execute(query).mappings().first()


#: A decision with where its money is.
_DECISIONS = sa.select(decisions, charges.c.status.label("charge_status")).select_from(
    decisions.outerjoin(charges, charges.c.id == decisions.c.id)
)


def decision_page(
    connection: sa.Connection,
    *,
    account: str,
    after: Since | None,
    limit: int,
    order_ref: str | None,
    outcome: str | None,
    campaign_ref: str | None,
) -> Rows:
    """Decisions, newest first."""
    wanted = {"order_ref": order_ref, "outcome": outcome, "campaign_ref": campaign_ref}
    conditions = [decisions.c.account == account] + [
        decisions.c[name] == value for name, value in wanted.items() if value is not None
    ]
    return _newest(connection, _DECISIONS.where(*conditions), decisions.c.decided_at, decisions.c.id, after, limit)


def decisions_of(connection: sa.Connection, order_ref: str, *, account: str) -> Rows:
    """Every decision about one order, in the order of its offers."""
    query = _DECISIONS.where(decisions.c.account == account, decisions.c.order_ref == order_ref)
    return connection.execute(query.order_by(decisions.c.decided_at, decisions.c.step, decisions.c.id)).mappings().all()


def decision(connection: sa.Connection, id: str, *, account: str) -> Mapping[Any, Any] | None:
    """One decision, or ``None``."""
    query = _DECISIONS.where(decisions.c.account == account, decisions.c.id == id)
    return connection.execute(query).mappings().first()


#: A charge with what went back of it.
_CHARGES = sa.select(
    charges,
    sa.select(sa.func.coalesce(sa.func.sum(refunds.c.amount_minor), 0))
    .where(refunds.c.charge_id == charges.c.id, refunds.c.status == "succeeded")
    .scalar_subquery()
    .label("refunded_minor"),
)


def charge_page(
    connection: sa.Connection,
    *,
    account: str,
    after: Since | None,
    limit: int,
    order_ref: str | None,
    status: str | None,
) -> Rows:
    """Charges, the last accepted first."""
    conditions = [charges.c.account == account]
    if order_ref is not None:
        conditions.append(charges.c.order_ref == order_ref)
    if status is not None:
        conditions.append(charges.c.status == status)
    return _newest(connection, _CHARGES.where(*conditions), charges.c.accepted_at, charges.c.id, after, limit)


def charge(connection: sa.Connection, id: str, *, account: str) -> Mapping[Any, Any] | None:
    """One charge, or ``None``."""
    query = _CHARGES.where(charges.c.account == account, charges.c.id == id)
    return connection.execute(query).mappings().first()


def _newest(
    connection: sa.Connection,
    query: sa.Select[Any],
    moment: sa.ColumnElement[Any],
    key: sa.ColumnElement[Any],
    after: Since | None,
    limit: int,
) -> Rows:
    if after is not None:
        query = query.where(
            moment <= after.at,  # what an index can begin at; the rest is few
            sa.or_(moment < after.at, sa.and_(moment == after.at, key < after.key)),
        )
    return connection.execute(query.order_by(moment.desc(), key.desc()).limit(limit)).mappings().all()
