"""Statements on the switches: one row per account, which is also what changes of campaigns queue at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from flask_encore.store.models import switches

_COLUMNS = (switches.c.off, switches.c.shadow, switches.c.revision)

_OVERRIDES = (switches.c.holdout_bp, switches.c.undo_seconds, switches.c.retention_days)

_INSERT = insert(switches).values(account=sa.bindparam("of_account"), off=False, shadow=False, revision=0)

#: Writes nothing new into a row that is there, and holds it until the transaction ends.
_LOCK = _INSERT.on_conflict_do_update(index_elements=["account"], set_={"revision": switches.c.revision}).returning(
    *_COLUMNS
)


def find(connection: sa.Connection, account: str) -> Mapping[Any, Any] | None:
    """off, shadow and revision; ``None`` while nothing was ever changed."""
    return connection.execute(sa.select(*_COLUMNS).where(switches.c.account == account)).mappings().first()


def lock(connection: sa.Connection, account: str) -> Mapping[Any, Any]:
    """Begin a change: make the row if need be, and let nobody else change a switch or a campaign before the commit."""
    return connection.execute(_LOCK, {"of_account": account}).mappings().one()


def overrides(connection: sa.Connection, account: str) -> dict[str, int | None]:
    """What was set on the settings page; ``None`` for each that was not, and for all without a row."""
    row = connection.execute(sa.select(*_OVERRIDES).where(switches.c.account == account)).mappings().first()
    return {column.name: None if row is None else row[column.name] for column in _OVERRIDES}


def override(connection: sa.Connection, account: str, values: Mapping[str, int | None]) -> None:
    """Write what is set on the settings page. Call it after `lock`."""
    connection.execute(sa.update(switches).where(switches.c.account == account).values(dict(values)))


def bump(connection: sa.Connection, account: str) -> int:
    """Say that something changed, and answer the new revision. Call it after `lock`."""
    moved = (
        sa.update(switches)
        .where(switches.c.account == account)
        .values(revision=switches.c.revision + 1)
        .returning(switches.c.revision)
    )
    return int(connection.execute(moved).scalar_one())


def turn(connection: sa.Connection, account: str, *, off: bool, shadow: bool) -> None:
    """Write both switches. Call it after `lock`."""
    connection.execute(sa.update(switches).where(switches.c.account == account).values(off=off, shadow=shadow))


def revision_of(connection: sa.Connection, account: str) -> int:
    """Which state of the switches and campaigns it is; 0 before anything was ever changed."""
    row = find(connection, account)
    return 0 if row is None else int(row["revision"])
