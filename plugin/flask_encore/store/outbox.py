"""Statements on the outbox: messages to the host shop, written in the transaction of what they tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from flask_encore.domain.charges import Charge
from flask_encore.domain.events import ChargeEvent
from flask_encore.store.models import outbox

_ADD = insert(outbox).on_conflict_do_nothing(index_elements=["dedupe"]).returning(outbox.c.id)
_earlier = outbox.alias("earlier")


def add(
    connection: sa.Connection, event: ChargeEvent, charge: Charge, *, now: datetime, about: int | None = None
) -> bool:
    """Queue *event*; a second one of the same kind about the same thing changes nothing and answers False.

    Args:
        about: Which of several such things; the charge's attempt when not said.
    """
    added = connection.execute(
        _ADD,
        {
            "dedupe": f"{charge.id}:{event.kind}:{charge.attempt if about is None else about}",
            "account": charge.account,
            "order_ref": charge.order_ref,
            "charge_id": charge.id,
            "kind": event.kind.value,
            "payload": event.as_json(),
            "created_at": now,
            "attempts": 0,
            "next_run_at": now,
            "last_error": "",
        },
    )
    return added.first() is not None


def due(connection: sa.Connection, *, account: str, now: datetime, limit: int) -> Sequence[Mapping[Any, Any]]:
    """Messages to deliver now, at most one an order: the next one waits for the one before it."""
    return (
        connection.execute(
            sa.select(outbox)
            .where(
                outbox.c.account == account,
                outbox.c.delivered_at.is_(None),
                outbox.c.next_run_at <= now,
                ~sa.exists().where(
                    _earlier.c.account == outbox.c.account,
                    _earlier.c.order_ref == outbox.c.order_ref,
                    _earlier.c.id < outbox.c.id,
                    _earlier.c.delivered_at.is_(None),
                ),
            )
            .order_by(outbox.c.id)
            .limit(limit)
        )
        .mappings()
        .all()
    )


def take(connection: sa.Connection, row: Mapping[Any, Any], *, until: datetime) -> bool:
    """Reserve the message for this worker. False when another worker was quicker."""
    return (
        connection.execute(
            sa.update(outbox)
            .where(
                outbox.c.id == row["id"],
                outbox.c.delivered_at.is_(None),
                outbox.c.attempts == row["attempts"],
                outbox.c.next_run_at == row["next_run_at"],
            )
            .values(attempts=outbox.c.attempts + 1, next_run_at=until)
        ).rowcount
        == 1
    )


def delivered(connection: sa.Connection, id: int, *, now: datetime) -> None:
    """Every handler took it."""
    connection.execute(
        sa.update(outbox).where(outbox.c.id == id).values(delivered_at=now, next_run_at=None, last_error="")
    )


def failed(connection: sa.Connection, id: int, *, error: str, next_run_at: datetime) -> None:
    """A handler raised; try again later."""
    connection.execute(
        sa.update(outbox).where(outbox.c.id == id).values(last_error=error[:300], next_run_at=next_run_at)
    )


def undelivered(connection: sa.Connection, *, account: str) -> int:
    """How many messages wait."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(outbox)
        .where(outbox.c.account == account, outbox.c.delivered_at.is_(None))
    ).scalar_one()


def find(connection: sa.Connection, id: int, *, account: str) -> Mapping[Any, Any] | None:
    """One message, or ``None``."""
    mine = sa.select(outbox).where(outbox.c.id == id, outbox.c.account == account)
    return connection.execute(mine).mappings().first()


def resend(
    connection: sa.Connection, id: int, *, account: str, now: datetime, held_until: datetime
) -> Mapping[Any, Any] | None:
    """Make a message due again, from its first attempt on, and answer it; ``None`` when a worker may have it.

    A worker that took it did so until *held_until* at the latest.
    """
    due_again = (
        sa.update(outbox)
        .where(
            outbox.c.id == id,
            outbox.c.account == account,
            sa.or_(outbox.c.delivered_at.is_not(None), outbox.c.next_run_at > held_until),
        )
        .values(delivered_at=None, next_run_at=now, attempts=0, last_error="")
        .returning(outbox.c.order_ref, outbox.c.kind, outbox.c.charge_id)
    )
    return connection.execute(due_again).mappings().first()
