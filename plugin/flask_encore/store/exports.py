"""The decision log and the charges, read row by row and fetched in pieces: memory stays flat however long they are."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.store.models import charges, decisions
from flask_encore.store.reports import BACK, ROAD

#: Rows fetched at a time; a decision with its candidates and its trace is some kilobytes.
_FETCH = 100

Rows = Generator[Mapping[Any, Any], None, None]

_BACK_COLUMNS = [
    sa.func.coalesce(BACK.c.refunded_minor, 0).label("refunded_minor"),
    sa.func.coalesce(BACK.c.undone, 0).label("undone"),
]

_DECISIONS = sa.select(
    *(
        column
        for column in decisions.c
        # The snapshot holds what the shopper was shown, whole; its title is what a log needs of it.
        if column.name not in {"account", "snapshot"}
    ),
    decisions.c.snapshot["title"].as_string().label("title"),
    charges.c.status.label("charge_status"),
    charges.c.failure_code,
    charges.c.amount_minor,
    *_BACK_COLUMNS,
).select_from(ROAD)

_CHARGES = sa.select(
    *(
        column
        for column in charges.c
        if column.name not in {"account", "snapshot", "lease_token", "lease_until", "next_run_at", "tries"}
    ),
    charges.c.snapshot["title"].as_string().label("title"),
    *_BACK_COLUMNS,
).select_from(charges.outerjoin(BACK, BACK.c.charge_id == charges.c.id))


def decided(
    connection: sa.Connection, *, account: str, since: datetime | None, until: datetime | None
) -> tuple[int, Rows]:
    """How many decisions there are, and each with what became of it, oldest first.

    *connection* is one of `Database.stream`; close the rows before it.
    """
    chosen = _between(decisions.c.decided_at, decisions.c.account == account, since, until)
    return _count(connection, decisions, chosen), _rows(
        connection, _DECISIONS.where(*chosen).order_by(decisions.c.decided_at, decisions.c.id)
    )


def accepted(
    connection: sa.Connection, *, account: str, since: datetime | None, until: datetime | None
) -> tuple[int, Rows]:
    """How many charges were accepted, and each with what went back of it, oldest first, as `decided`."""
    chosen = _between(charges.c.accepted_at, charges.c.account == account, since, until)
    return _count(connection, charges, chosen), _rows(
        connection, _CHARGES.where(*chosen).order_by(charges.c.accepted_at, charges.c.id)
    )


def _between(
    moment: sa.ColumnElement[Any], of_account: sa.ColumnElement[bool], since: datetime | None, until: datetime | None
) -> list[sa.ColumnElement[bool]]:
    conditions = [of_account]
    if since is not None:
        conditions.append(moment >= since)
    if until is not None:
        conditions.append(moment < until)
    return conditions


def _count(connection: sa.Connection, table: sa.Table, conditions: list[sa.ColumnElement[bool]]) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar_one()


def _rows(connection: sa.Connection, statement: sa.Select[Any]) -> Rows:
    # Closed by whoever stops early: psycopg warns of a server-side cursor that is left behind.
    with connection.execute(statement, execution_options={"yield_per": _FETCH}) as result:
        yield from result.mappings()
