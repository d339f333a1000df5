"""Statements on what Stripe kept of a charge: asked for later and later, written once."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from flask_encore.domain.ports import Fee
from flask_encore.store.models import charges


def take(connection: sa.Connection, id: str, *, now: datetime, ask_again_at: datetime | None) -> str | None:
    """The PaymentIntent whose fee the caller shall ask for. ``None``: somebody else does, or it is known.

    The same write says when it is asked for again should nobody learn it now; ``None`` is never.
    """
    ref: str | None = connection.execute(
        sa.update(charges)
        .where(charges.c.id == id, charges.c.fee_due_at <= now, charges.c.fee_minor.is_(None))
        .values(fee_due_at=ask_again_at)
        .returning(charges.c.payment_intent_ref)
    ).scalar()
    return ref


def write(connection: sa.Connection, id: str, fee: Fee) -> bool:
    """Write what Stripe kept, once, and have reports count the charge anew. False when it was written before."""
    return (
        connection.execute(
            sa.update(charges)
            .where(charges.c.id == id, charges.c.fee_minor.is_(None))
            .values(
                fee_minor=fee.amount.minor_units,
                fee_currency=fee.amount.currency,
                fee_due_at=None,
                counted_at=None,
            )
        ).rowcount
        == 1
    )
