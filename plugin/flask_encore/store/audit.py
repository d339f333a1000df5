"""Statements on the audit log: written once, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.store.models import audit


def add(
    connection: sa.Connection,
    *,
    account: str,
    actor: str,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    now: datetime,
) -> None:
    """Write down who changed what. Call it in the transaction of the change."""
    connection.execute(
        sa.insert(audit).values(
            account=account, at=now, actor=actor, action=action, subject=subject, before=before, after=after
        )
    )


def count(connection: sa.Connection, account: str, subject: str) -> int:
    """How often *subject* was changed."""
    mine = sa.select(sa.func.count()).where(audit.c.account == account, audit.c.subject == subject)
    return connection.execute(mine).scalar_one()


def history(
    connection: sa.Connection,
    account: str,
    *,
    subject: str | None,
    before_id: int | None,
    limit: int,
    like: str | None = None,
    unlike: Sequence[str] = (),
) -> Sequence[Mapping[Any, Any]]:
    """Rows of one subject, of those *like* a pattern and like none of *unlike*, or of all, newest first."""
    query = sa.select(audit).where(audit.c.account == account)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    if like is not None:
        query = query.where(audit.c.subject.like(like))
    for pattern in unlike:
        query = query.where(audit.c.subject.not_like(pattern))
    if before_id is not None:
        query = query.where(audit.c.id < before_id)
    return connection.execute(query.order_by(audit.c.id.desc()).limit(limit)).mappings().all()
