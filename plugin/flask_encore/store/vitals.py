"""How the installation is: the charges, what waits, how long the last decisions took, and how they were answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.offers import Outcome
from flask_encore.store.migrations import VERSION_TABLE
from flask_encore.store.models import charges, decisions, events, heartbeats, outbox, refunds
from flask_encore.store.quarantines import needs_somebody


def revision(connection: sa.Connection) -> str | None:
    """The revision the tables are at; ``None`` while the table of revisions is empty.

    Raises:
        StoreError: If there is no such table, or no database.
    """
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()


def charges_by_status(connection: sa.Connection, *, account: str, overdue: datetime) -> Sequence[Mapping[Any, Any]]:
    """status, charges, oldest (accepted_at), quarantined, stuck_holds of each status that occurs.

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
            sa.func.min(charges.c.accepted_at).label("oldest"),
            how_many(needs_somebody).label("quarantined"),
            how_many(is_stuck).label("stuck_holds"),
        )
        .where(charges.c.account == account)
        .group_by(charges.c.status)
    )
    return connection.execute(statement).mappings().all()


def waiting(connection: sa.Connection, *, account: str, heartbeat: str) -> Mapping[Any, Any]:
    """messages, failing, oldest (of the outbox), swept_at, webhook_at, refunds_failed (charges whose last one did not
    happen); a moment is ``None`` when there is none.
    """
    later = refunds.alias("later")
    last_failed = (
        sa.select(sa.func.count())
        .select_from(refunds.join(charges, charges.c.id == refunds.c.charge_id))
        .where(
            refunds.c.status == "failed",
            charges.c.account == account,
            charges.c.status == ChargeStatus.SUCCEEDED.value,
            charges.c.quarantine_reason == "",
            ~sa.exists().where(later.c.charge_id == refunds.c.charge_id, later.c.seq > refunds.c.seq),
        )
        .scalar_subquery()
    )
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
        last_failed.label("refunds_failed"),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How offers of a period were answered.

    Attributes:
        seen: Offers a human saw in time; of them *accepted* in time.
        asked: Charges of offers accepted in time that a bank answered; of them *refused* for good.
    """

    seen: int = 0
    accepted: int = 0
    asked: int = 0
    refused: int = 0


#: A charge in one of these has no answer of a bank's yet.
_UNDER_WAY = [
    status.value
    for status in (
        ChargeStatus.CLAIMED,
        ChargeStatus.INTENT,
        ChargeStatus.CONFIRMING,
        ChargeStatus.ACTION_REQUIRED,
        ChargeStatus.PROCESSING,
        ChargeStatus.UNKNOWN,
    )
]


def answers(
    connection: sa.Connection, *, account: str, since: datetime, day: datetime, until: datetime, within: timedelta
) -> tuple[Answers, Answers]:
    """How offers decided from *day* to *until*, and those from *since* to *day*, were answered; one statement.

    Args:
        within: An answer counts when it came this soon after the decision, so that both periods had the same time.
    """
    in_time = sa.type_coerce(decisions.c.decided_at, sa.BigInteger) + within // timedelta(microseconds=1)

    def soon(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return sa.type_coerce(column, sa.BigInteger) <= in_time

    accepted = sa.and_(charges.c.id.is_not(None), soon(charges.c.accepted_at))
    # Who answers has seen it, whatever the page told.
    seen = sa.or_(soon(decisions.c.shown_at), soon(decisions.c.declined_at), accepted)
    asked = sa.and_(accepted, charges.c.attempt > 0, charges.c.status.not_in(_UNDER_WAY))
    refused = sa.or_(
        charges.c.status == ChargeStatus.FAILED.value,
        sa.and_(charges.c.status == ChargeStatus.CANCELED.value, charges.c.failure_code != ""),
    )
    # A bank's check that the shopper left is no answer of the bank's.
    answered = sa.and_(asked, sa.or_(charges.c.status != ChargeStatus.CANCELED.value, charges.c.failure_code != ""))

    def how_many(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((condition, 1), else_=0))

    recent = sa.case((decisions.c.decided_at >= day, 1), else_=0)
    rows = connection.execute(
        sa.select(
            recent.label("recent"),
            how_many(seen).label("seen"),
            how_many(accepted).label("accepted"),
            how_many(answered).label("asked"),
            how_many(sa.and_(answered, refused)).label("refused"),
        )
        .select_from(decisions.outerjoin(charges, charges.c.id == decisions.c.id))
        .where(
            decisions.c.account == account,
            decisions.c.outcome == Outcome.OFFERED.value,
            decisions.c.decided_at >= since,
            decisions.c.decided_at < until,
        )
        .group_by(sa.literal_column("1"))
    ).mappings()
    found = {
        row["recent"]: Answers(**{name: int(row[name]) for name in ("seen", "accepted", "asked", "refused")})
        for row in rows
    }
    return found.get(1, Answers()), found.get(0, Answers())


def database(connection: sa.Connection) -> tuple[str, str, int | None]:
    """Its name, its version, and how large it is in bytes; ``None`` where that is not told. One statement."""
    dialect = connection.dialect
    version = ".".join(map(str, dialect.server_version_info or ()))
    if dialect.name == "sqlite":
        pages = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        return "SQLite", version, connection.execute(sa.text(pages)).scalar_one()
    size = connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one()
    return "PostgreSQL", version, int(size)
