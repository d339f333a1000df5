"""How the installation is, in three statements: the charges, what waits, and how long the last decisions took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.domain.charges import ChargeStatus
from flask_encore.store.migrations import VERSION_TABLE
from flask_encore.store.models import charges, decisions, events, heartbeats, outbox
from flask_encore.store.quarantines import needs_somebody


def revision(connection: sa.Connection) -> str | None:
    """The revision the tables are at; ``None`` while the table of revisions is empty.

    Raises:
        StoreError: If there is no such table, or no database.
    """
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()


def charges_by_status(connection: sa.Connection, *, account: str, overdue: datetime) -> Sequence[Mapping[Any, Any]]:
    """status, charges, quarantined, stuck_holds of each status that occurs.

    Args:
        overdue: A hold that ended before then and was not released is stuck.
    """

    def how_many(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((condition, 1), else_=0))

    is_stuck = sa.and_(
        charges.c.status == ChargeStatus.SUCCEEDED.value,
        charges.c.hold_released_at.is_(None),
        charges.c.undo_until < overdue,
        charges.c.quarantine_reason == "",
    )
    statement = (
        sa.select(
            charges.c.status,
            sa.func.count().label("charges"),
            how_many(needs_somebody).label("quarantined"),
            how_many(is_stuck).label("stuck_holds"),
        )
        .where(charges.c.account == account)
        .group_by(charges.c.status)
    )
    return connection.execute(statement).mappings().all()


def waiting(connection: sa.Connection, *, account: str, heartbeat: str) -> Mapping[Any, Any]:
    """messages, failing, oldest (of the outbox), swept_at, webhook_at; a moment is ``None`` when there is none."""
    undelivered = sa.and_(outbox.c.account == account, outbox.c.delivered_at.is_(None))
    statement = sa.select(
        sa.func.count().label("messages"),
        sa.func.coalesce(sa.func.sum(sa.case((outbox.c.last_error != "", 1), else_=0)), 0).label("failing"),
        sa.func.min(outbox.c.created_at).label("oldest"),
        sa.select(heartbeats.c.at).where(heartbeats.c.name == heartbeat).scalar_subquery().label("swept_at"),
        sa.select(sa.func.max(events.c.received_at))
        .where(events.c.account == account)
        .scalar_subquery()
        .label("webhook_at"),
    ).where(undelivered)
    return connection.execute(statement).mappings().one()


def latencies(
    connection: sa.Connection, *, account: str, newest: int, bounds_us: Sequence[int]
) -> tuple[list[int], int, int]:
    """Of the *newest* decisions: how many took at most each of *bounds_us*, how many there are, their sum in µs."""
    last = (
        sa.select(decisions.c.latency_us)
        .where(decisions.c.account == account)
        .order_by(decisions.c.decided_at.desc())
        .limit(newest)
        .subquery("last")
    )
    row = connection.execute(
        sa.select(
            *(
                sa.func.coalesce(sa.func.sum(sa.case((last.c.latency_us <= bound, 1), else_=0)), 0)
                for bound in bounds_us
            ),
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(last.c.latency_us), 0),
        )
    ).one()
    *buckets, count, total = (int(number) for number in row)
    return buckets, count, total
