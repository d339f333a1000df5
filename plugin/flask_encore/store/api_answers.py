"""Statements on the answers kept for Idempotency-Keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from flask_encore.store.models import api_answers

_c = api_answers.c


def begin(connection: sa.Connection, token_id: str, key: str, *, fingerprint: str, now: datetime) -> bool:
    """Take *key* for one request. False: it is taken, and nothing was changed."""
    statement = (
        insert(api_answers)
        .values(token_id=token_id, idempotency_key=key, fingerprint=fingerprint, created_at=now)
        .on_conflict_do_nothing()
        .returning(_c.token_id)
    )
    return connection.execute(statement).first() is not None


def find(connection: sa.Connection, token_id: str, key: str) -> Mapping[Any, Any] | None:
    """What is kept for *key*, or ``None``."""
    return connection.execute(sa.select(api_answers).where(*_of(token_id, key))).mappings().first()


def take_over(connection: sa.Connection, token_id: str, key: str, *, since: datetime, now: datetime) -> bool:
    """Take *key* from the request that took it at *since* and was never answered. False: somebody was quicker."""
    statement = (
        sa.update(api_answers)
        .where(*_of(token_id, key), _c.status.is_(None), _c.created_at == since)
        .values(created_at=now)
    )
    return connection.execute(statement).rowcount == 1


def finish(
    connection: sa.Connection,
    token_id: str,
    key: str,
    *,
    since: datetime,
    status: int,
    body: Any,
    location: str | None,
) -> bool:
    """Keep the answer to the request that took *key* at *since*. False: another one has it now."""
    statement = (
        sa.update(api_answers)
        .where(*_of(token_id, key), _c.status.is_(None), _c.created_at == since)
        .values(status=status, body=body, location=location)
    )
    return connection.execute(statement).rowcount == 1


def let_go(connection: sa.Connection, token_id: str, key: str, *, since: datetime) -> None:
    """Let *key* be used again: the request that took it at *since* was refused, or failed."""
    connection.execute(sa.delete(api_answers).where(*_of(token_id, key), _c.status.is_(None), _c.created_at == since))


def forget(connection: sa.Connection, *, before: datetime) -> int:
    """Remove what was kept before then; answers how many."""
    return connection.execute(sa.delete(api_answers).where(_c.created_at < before)).rowcount


def _of(token_id: str, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (_c.token_id == token_id, _c.idempotency_key == key)
