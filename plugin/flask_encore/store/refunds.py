"""Statements on refunds: the row first, then the call (as with charges)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from flask_encore.domain.charges import Charge
from flask_encore.domain.ports import RefundSnapshot, RefundStatus
from flask_encore.store.models import refunds

#: Stripe's words to ours: only these three facts matter to a charge.
STATUS_OF = {
    RefundStatus.PENDING: "pending",
    RefundStatus.REQUIRES_ACTION: "pending",
    RefundStatus.SUCCEEDED: "succeeded",
    RefundStatus.FAILED: "failed",
    RefundStatus.CANCELED: "failed",
}


def request(
    connection: sa.Connection, charge: Charge, *, amount_minor: int, cause: str, actor: str, now: datetime
) -> int:
    """Write that a refund of *charge* is wanted, and answer its seq, the last part of its idempotency key."""
    seq: int = connection.execute(
        sa.select(sa.func.coalesce(sa.func.max(refunds.c.seq), 0) + 1).where(refunds.c.charge_id == charge.id)
    ).scalar_one()
    connection.execute(
        sa.insert(refunds).values(
            charge_id=charge.id,
            seq=seq,
            amount_minor=amount_minor,
            currency=charge.amount.currency,
            cause=cause,
            actor=actor,
            status="requested",
            requested_at=now,
        )
    )
    return seq


def open_request(connection: sa.Connection, charge_id: str) -> Mapping[Any, Any] | None:
    """The refund row that has no final answer yet, or ``None``."""
    return (
        connection.execute(
            sa.select(refunds).where(refunds.c.charge_id == charge_id, refunds.c.status.in_(["requested", "pending"]))
        )
        .mappings()
        .first()
    )


def record(
    connection: sa.Connection, charge: Charge, snapshot: RefundSnapshot, *, seq: int | None, now: datetime
) -> None:
    """Write what Stripe says about one refund: into the row *seq* that asked for it, else into a row of its own."""
    status = STATUS_OF[snapshot.status]
    values = {
        "status": status,
        "refund_ref": snapshot.ref,
        "amount_minor": snapshot.amount.minor_units,
        "settled_at": None if status == "pending" else now,
    }
    known = sa.or_(refunds.c.refund_ref == snapshot.ref, *([refunds.c.seq == seq] if seq is not None else []))
    if connection.execute(sa.select(refunds.c.seq).where(refunds.c.charge_id == charge.id, known)).first() is not None:
        # "Pending" is older news than any final answer, whenever it was read.
        later = refunds.c.status.in_(["requested", "pending"]) if status == "pending" else sa.true()
        connection.execute(sa.update(refunds).where(refunds.c.charge_id == charge.id, known, later).values(**values))
    else:
        next_seq = connection.execute(
            sa.select(sa.func.coalesce(sa.func.max(refunds.c.seq), 0) + 1).where(refunds.c.charge_id == charge.id)
        ).scalar_one()
        connection.execute(
            insert(refunds).on_conflict_do_nothing(),
            {
                "charge_id": charge.id,
                "seq": next_seq,
                "currency": snapshot.amount.currency,
                "cause": "merchant",
                "actor": "stripe",
                "requested_at": now,
                **values,
            },
        )


def succeed(connection: sa.Connection, charge_id: str, seq: int, *, now: datetime) -> None:
    """Write that the request *seq* is fulfilled without Stripe; only one of nothing can be."""
    connection.execute(
        sa.update(refunds)
        .where(refunds.c.charge_id == charge_id, refunds.c.seq == seq, refunds.c.amount_minor == 0)
        .values(status="succeeded", settled_at=now)
    )


def fail(connection: sa.Connection, charge_id: str, seq: int, *, now: datetime) -> None:
    """Write that the request *seq*, which has no answer yet, will not happen."""
    connection.execute(
        sa.update(refunds)
        .where(refunds.c.charge_id == charge_id, refunds.c.seq == seq, refunds.c.status == "requested")
        .values(status="failed", settled_at=now)
    )


def renumber(connection: sa.Connection, charge_id: str, seq: int) -> None:
    """Give the request *seq*, which has no answer yet, a new seq and with it a new idempotency key."""
    newest = sa.select(sa.func.max(refunds.c.seq) + 1).where(refunds.c.charge_id == charge_id).scalar_subquery()
    connection.execute(
        sa.update(refunds)
        .where(refunds.c.charge_id == charge_id, refunds.c.seq == seq, refunds.c.status == "requested")
        .values(seq=newest)
    )


def of_charge(connection: sa.Connection, charge_id: str) -> Sequence[Mapping[Any, Any]]:
    """Every refund of a charge, oldest first."""
    return (
        connection.execute(sa.select(refunds).where(refunds.c.charge_id == charge_id).order_by(refunds.c.seq))
        .mappings()
        .all()
    )
