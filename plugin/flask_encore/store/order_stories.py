"""Everything known of one order, a statement for each part of it, however much there is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from flask_encore.store.models import (
    charges,
    decisions,
    events,
    orders,
    outbox,
    refunds,
    webhook_deliveries,
    webhooks,
)

#: Rows of one kind that are read of an order: many times what an ordinary one has, and little enough for a page.
MOST = 500

#: What is told of a message that a merchant's own system was sent; the secret and the address's path are not.
_DELIVERY = (
    webhook_deliveries.c.id,
    webhook_deliveries.c.webhook_id,
    webhook_deliveries.c.message_id,
    webhook_deliveries.c.status,
    webhook_deliveries.c.attempts,
    webhook_deliveries.c.next_run_at,
    webhook_deliveries.c.give_up_at,
    webhook_deliveries.c.response_code,
    webhook_deliveries.c.last_error,
    webhook_deliveries.c.created_at,
    webhook_deliveries.c.delivered_at,
)

Rows = Sequence[Mapping[Any, Any]]


def orders_called(connection: sa.Connection, names: Sequence[str], *, account: str) -> dict[str, str]:
    """Each of *names* that means an order -> its order_ref, in one statement.

    A name is an order_ref, the PaymentIntent that paid an order or an offer of it, or a charge_ref.
    """

    def looked_up(table: sa.Table, column: sa.ColumnElement[str]) -> sa.Select[tuple[str, str]]:
        return sa.select(column.label("name"), table.c.order_ref).where(table.c.account == account, column.in_(names))

    known = sa.union_all(
        looked_up(orders, orders.c.order_ref),
        looked_up(orders, orders.c.payment_intent_ref),
        looked_up(charges, charges.c.payment_intent_ref),
        looked_up(charges, charges.c.id),
    )
    found: dict[str, str] = {}
    for row in connection.execute(known):
        # An order_ref comes before anything else that happens to be called the same.
        if row.name == row.order_ref or row.name not in found:
            found[row.name] = row.order_ref
    return found


def order(connection: sa.Connection, order_ref: str, *, account: str) -> Mapping[Any, Any] | None:
    """The row of ``encore_orders``; ``None`` when the order was never recorded."""
    return _rows(connection, _of(orders, order_ref, account)).first()


def decisions_of(connection: sa.Connection, order_ref: str, *, account: str) -> Rows:
    """Rows of ``encore_decisions``, oldest first."""
    chosen = _of(decisions, order_ref, account)
    return _rows(connection, chosen.order_by(decisions.c.decided_at, decisions.c.placement, decisions.c.step)).all()


def charges_of(connection: sa.Connection, order_ref: str, *, account: str) -> Rows:
    """Rows of ``encore_charges``, in no order: each is of a decision."""
    return _rows(connection, _of(charges, order_ref, account)).all()


def refunds_of(connection: sa.Connection, order_ref: str, *, account: str) -> Rows:
    """Rows of ``encore_refunds`` of every charge of the order, oldest first of each."""
    mine = sa.select(refunds).join_from(refunds, charges, charges.c.id == refunds.c.charge_id)
    mine = mine.where(charges.c.account == account, charges.c.order_ref == order_ref)
    return _rows(connection, mine.order_by(refunds.c.charge_id, refunds.c.seq)).all()


def events_about(connection: sa.Connection, object_refs: Collection[str], *, account: str) -> Rows:
    """Webhooks about any of these objects at Stripe, oldest first."""
    about = sa.select(events).where(events.c.account == account, events.c.object_ref.in_(sorted(object_refs)))
    return _rows(connection, about.order_by(events.c.received_at, events.c.event_id).limit(MOST)).all()


def messages_of(connection: sa.Connection, order_ref: str, *, account: str) -> Rows:
    """Rows of ``encore_outbox``, oldest first."""
    return _rows(connection, _of(outbox, order_ref, account).order_by(outbox.c.id).limit(MOST)).all()


def deliveries_of(connection: sa.Connection, order_ref: str, *, account: str) -> Rows:
    """What the merchant's own systems were sent, oldest first, each with the url it was for."""
    sent = (
        sa.select(*_DELIVERY, webhooks.c.url, webhooks.c.active_since)
        .join_from(webhook_deliveries, webhooks, webhooks.c.id == webhook_deliveries.c.webhook_id)
        .where(webhooks.c.account == account, webhook_deliveries.c.order_ref == order_ref)
        .order_by(webhook_deliveries.c.message_id, webhook_deliveries.c.webhook_id)
        .limit(MOST)
    )
    return _rows(connection, sent).all()


def _of(table: sa.Table, order_ref: str, account: str) -> sa.Select[Any]:
    return sa.select(table).where(table.c.account == account, table.c.order_ref == order_ref)


def _rows(connection: sa.Connection, statement: sa.Select[Any]) -> sa.MappingResult:
    return connection.execute(statement).mappings()
