"""Statements on experiments. Who changes one calls `switches.lock` first and `switches.bump` after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.store.models import experiments


def all_of(connection: sa.Connection, account: str) -> Sequence[Mapping[Any, Any]]:
    """Every experiment's row, the newest first."""
    query = (
        sa.select(experiments)
        .where(experiments.c.account == account)
        .order_by(experiments.c.created_at.desc(), experiments.c.experiment_ref)
    )
    return connection.execute(query).mappings().all()


def find(connection: sa.Connection, account: str, ref: str) -> Mapping[Any, Any] | None:
    """One experiment's row, or ``None``."""
    query = sa.select(experiments).where(experiments.c.account == account, experiments.c.experiment_ref == ref)
    return connection.execute(query).mappings().first()


def add(
    connection: sa.Connection,
    account: str,
    ref: str,
    definition: Mapping[str, Any],
    *,
    salt: str,
    version: int,
    actor: str,
    now: datetime,
) -> None:
    """Write a new draft."""
    connection.execute(
        sa.insert(experiments).values(
            account=account,
            experiment_ref=ref,
            version=version,
            status="draft",
            definition=definition,
            salt=salt,
            note="",
            created_at=now,
            updated_at=now,
            updated_by=actor,
        )
    )


def change(
    connection: sa.Connection,
    account: str,
    ref: str,
    *,
    version: int,
    actor: str,
    now: datetime,
    **values: Any,
) -> bool:
    """Write *values* over *version* of an experiment, in one guarded UPDATE. False: it has another one now."""
    return (
        connection.execute(
            sa.update(experiments)
            .where(
                experiments.c.account == account,
                experiments.c.experiment_ref == ref,
                experiments.c.version == version,
            )
            .values(version=version + 1, updated_at=now, updated_by=actor, **values)
        ).rowcount
        == 1
    )
