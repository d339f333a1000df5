"""Statements on received webhooks and heartbeats."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from flask_encore.domain.ports import GatewayEvent
from flask_encore.store.models import events, heartbeats

_INSERT = insert(events).on_conflict_do_nothing().returning(events.c.event_id)
_BEAT = insert(heartbeats)
_BEAT = _BEAT.on_conflict_do_update(index_elements=["name"], set_={"at": _BEAT.excluded.at})


def record(connection: sa.Connection, event: GatewayEvent, *, account: str, effect: str, now: datetime) -> bool:
    """Write the event in the transaction of its effect (invariant I6). False: it is a duplicate, apply nothing."""
    values = {
        "account": account,
        "event_id": event.id,
        "type": event.type[:80],
        "object_ref": event.object_ref,
        "effect": effect,
        "received_at": now,
    }
    return connection.execute(_INSERT, values).first() is not None


def last_received(connection: sa.Connection, *, account: str) -> datetime | None:
    """When the newest webhook came, or ``None``."""
    newest: datetime | None = connection.execute(
        sa.select(sa.func.max(events.c.received_at)).where(events.c.account == account)
    ).scalar_one()
    return newest


def beat(connection: sa.Connection, name: str, *, now: datetime) -> None:
    """Leave word that *name* ran."""
    connection.execute(_BEAT, {"name": name, "at": now})


def last_beat(connection: sa.Connection, name: str) -> datetime | None:
    """When *name* last ran, or ``None``."""
    return connection.execute(sa.select(heartbeats.c.at).where(heartbeats.c.name == name)).scalar_one_or_none()
