"""Statements on what one customer did before: orders, spending, products, and the offers they had lately."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.offers import Outcome
from flask_encore.store.models import charges, decisions, history_lines, products

_SPENT = (
    sa.select(
        history_lines.c.currency,
        sa.func.count(sa.distinct(history_lines.c.order_ref)).label("orders"),
        sa.func.max(history_lines.c.placed_at).label("last_at"),
        sa.func.sum(history_lines.c.quantity * sa.func.coalesce(history_lines.c.unit_price_minor, 0)).label("spent"),
    )
    .where(
        history_lines.c.customer_ref == sa.bindparam("customer_ref"),
        history_lines.c.order_ref != sa.bindparam("but"),
    )
    .group_by(history_lines.c.currency)
)
_PRODUCTS = (
    sa.select(history_lines.c.sku, products.c.category)
    .distinct()
    .select_from(history_lines.outerjoin(products, products.c.sku == history_lines.c.sku))
    .where(
        history_lines.c.customer_ref == sa.bindparam("customer_ref"),
        history_lines.c.order_ref != sa.bindparam("but"),
    )
    .limit(sa.bindparam("at_most", type_=sa.Integer))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A customer's earlier orders.

    Attributes:
        last_at: Unix time of the newest whose time is known; ``None`` when none is.
        spent: Minor units by currency, of lines whose price is known.
    """

    orders: int
    last_at: float | None
    spent: Mapping[str, int]


def spent_before(connection: sa.Connection, customer_ref: str, *, but: str) -> Past:
    """What a customer's orders come to, without the order *but*; what offers sold is not among it."""
    rows = connection.execute(_SPENT, {"customer_ref": customer_ref, "but": but}).all()
    times = [row.last_at for row in rows if row.last_at is not None]
    return Past(
        orders=sum(row.orders for row in rows),
        last_at=max(times, default=None),
        spent={row.currency: int(row.spent) for row in rows if row.currency is not None},
    )


def products_before(connection: sa.Connection, customer_ref: str, *, but: str, limit: int) -> dict[str, str | None]:
    """Different products of a customer's orders with their categories, without the order *but*; at most *limit*."""
    rows = connection.execute(_PRODUCTS, {"customer_ref": customer_ref, "but": but, "at_most": limit})
    return {row.sku: row.category for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Had:
    """An offer a customer had, and whether they took it: anything else than a charge that was given up."""

    campaign_ref: str
    at: datetime
    accepted: bool


def offers_before(
    connection: sa.Connection, customer_ref: str, *, account: str, campaign_refs: Collection[str], but: str
) -> list[Had]:
    """Every offer of these campaigns that was put on a page of the customer's other orders, oldest first."""
    rows = connection.execute(
        sa.select(decisions.c.campaign_ref, decisions.c.decided_at, charges.c.status)
        .select_from(decisions.outerjoin(charges, charges.c.id == decisions.c.id))
        .where(
            decisions.c.account == account,
            decisions.c.customer_ref == customer_ref,
            decisions.c.campaign_ref.in_(sorted(campaign_refs)),
            decisions.c.outcome == Outcome.OFFERED.value,
            decisions.c.order_ref != but,
        )
        .order_by(decisions.c.decided_at)
    )
    return [
        Had(
            campaign_ref=row.campaign_ref,
            at=row.decided_at,
            accepted=row.status is not None and row.status != ChargeStatus.CANCELED,
        )
        for row in rows
    ]
