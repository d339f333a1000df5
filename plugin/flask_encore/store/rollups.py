"""Days counted beforehand. What is here is always right, or is not believed; docs/adr/0017 says why.

A decision or a charge that no count has seen since it changed says so itself: ``counted_at IS NULL``, set by the very
statement that changes it. A day without such a row is read from here, any other one from the rows. `count` is the only
one that marks rows, and it puts the day in place in the same transaction, one `count` after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from flask_encore.domain.days import Midnights
from flask_encore.store import events, reports
from flask_encore.store.decisions import PROVISIONAL
from flask_encore.store.models import (
    Instant,
    charges,
    counted_days,
    day_counts,
    day_movements,
    decisions,
    report_snapshots,
)

#: Among the heartbeats: when days were counted last. Its row is also the lock that puts one `count` after the other.
HEARTBEAT = "reports"

#: Days begin at a quarter of an hour of UTC in every time zone there is since 2000, so the moments of changed rows are
#: told by quarters: few, however many rows there are. Microseconds.
_QUARTER = 15 * 60 * 1_000_000

#: How long after its offer's time a decision is counted beforehand at the earliest. From then on it cannot expire any
#: more, whichever process's clock asks; those differ by less.
SETTLED_AFTER = timedelta(hours=1)

_TABLES = (day_counts, day_movements, counted_days)


def _quarter(column: Any) -> sa.ColumnElement[int]:
    return sa.type_coerce(column, sa.BigInteger) // _QUARTER


def _changed(account: str, since: datetime, until: datetime) -> tuple[list[Any], list[Any]]:
    """Conditions on decisions, and on charges joined with theirs, that no count has seen since they changed."""
    between = [decisions.c.decided_at >= since, decisions.c.decided_at < until]
    # A provisional decision may be replaced by one of another day, so it is never marked, and always read itself.
    final = decisions.c.reason != PROVISIONAL.value
    return (
        [decisions.c.account == account, decisions.c.counted_at.is_(None), final, *between],
        [charges.c.account == account, charges.c.counted_at.is_(None), *between],
    )


_OF_CHARGE = charges.join(decisions, decisions.c.id == charges.c.id)


def state(
    connection: sa.Connection, *, account: str, zone: str, midnights: Midnights, now: datetime
) -> tuple[set[date], dict[date, bool]]:
    """Which of the days are counted; and which have changed rows, each with whether all of them can be counted now.

    One statement.
    """
    days = midnights.days
    since, until = midnights.moments[0], midnights.moments[-1]
    waits = sa.case((decisions.c.expires_at > now - SETTLED_AFTER, 1), else_=0)
    of_decisions, of_charges = _changed(account, since, until)
    nothing = sa.cast(sa.null(), sa.BigInteger)
    no_day = sa.cast(sa.null(), sa.Date)
    statement = sa.union_all(
        sa.select(counted_days.c.day.label("day"), nothing.label("quarter"), nothing.label("waits")).where(
            counted_days.c.account == account,
            counted_days.c.zone == zone,
            counted_days.c.day.between(days[0], days[-1]),
        ),
        sa.select(no_day, _quarter(decisions.c.decided_at), sa.func.max(waits))
        .where(*of_decisions)
        .group_by(sa.literal_column("2")),
        sa.select(no_day, _quarter(decisions.c.decided_at), sa.func.max(waits))
        .select_from(_OF_CHARGE)
        .where(*of_charges)
        .group_by(sa.literal_column("2")),
    )
    counted: set[date] = set()
    changed: dict[date, bool] = {}
    read = Instant().process_result_value
    for day, quarter, waiting in connection.execute(statement):
        if day is not None:
            counted.add(day)
            continue
        at = read(int(quarter) * _QUARTER, connection.dialect)
        assert at is not None
        of = midnights.day_of(max(at, since))
        changed[of] = changed.get(of, True) and not waiting
    return counted, changed


#: What a row of `counts` is about, besides its day; campaigns and arms are put together.
_TOLD = ("currency", *reports.FACTS, "fee_currency")


def counts(
    connection: sa.Connection, *, account: str, zone: str, first: date, last: date, by_campaign: bool = False
) -> Sequence[sa.Row[Any]]:
    """Of the counted days from *first* to *last*: day, `TOLD`, the measures; with *by_campaign* also campaign_ref.

    One statement.
    """
    keys = [day_counts.c.day, *(day_counts.c[name] for name in _TOLD)]
    if by_campaign:
        keys.append(day_counts.c.campaign_ref)
    sums = [sa.cast(sa.func.sum(day_counts.c[name]), sa.BigInteger).label(name) for name in reports.MEASURES]
    statement = (
        sa.select(*keys, *sums)
        .where(day_counts.c.account == account, day_counts.c.zone == zone, day_counts.c.day.between(first, last))
        .group_by(*keys)
    )
    return connection.execute(statement).all()


def movements(
    connection: sa.Connection, *, account: str, zone: str, first: date, last: date
) -> Sequence[tuple[date, date, str, str, int]]:
    """Of the counted days from *first* to *last*: day, booked, currency, cause, amount_minor. One statement."""
    table = day_movements.c
    statement = sa.select(table.day, table.booked, table.currency, table.cause, table.amount_minor).where(
        table.account == account, table.zone == zone, table.day.between(first, last)
    )
    return [tuple(row) for row in connection.execute(statement)]


def begin(connection: sa.Connection, *, now: datetime) -> None:
    """Begin a transaction that counts: no other one does until it ends."""
    events.beat(connection, HEARTBEAT, now=now)


def mark(connection: sa.Connection, *, account: str, since: datetime, until: datetime, now: datetime) -> None:
    """Mark every changed row of a day as seen, those that somebody is changing right now left out.

    It never waits for a row: the shopper's transaction that holds one may be waiting for one of these.
    """
    of_decisions, of_charges = _changed(account, since, until)
    settled = decisions.c.expires_at <= now - SETTLED_AFTER
    connection.execute(
        sa.update(decisions)
        .where(
            decisions.c.id.in_(
                sa.select(decisions.c.id).where(*of_decisions, settled).with_for_update(skip_locked=True)
            )
        )
        .values(counted_at=now)
    )
    connection.execute(
        sa.update(charges)
        .where(
            charges.c.id.in_(
                sa.select(charges.c.id)
                .select_from(_OF_CHARGE)
                .where(*of_charges, settled)
                .with_for_update(skip_locked=True, of=charges)
            )
        )
        .values(counted_at=now)
    )


def is_seen(connection: sa.Connection, *, account: str, since: datetime, until: datetime) -> bool:
    """Whether no row of a day changed since it was marked."""
    of_decisions, of_charges = _changed(account, since, until)
    changed = sa.or_(
        sa.exists(sa.select(decisions.c.id).where(*of_decisions)),
        sa.exists(sa.select(charges.c.id).select_from(_OF_CHARGE).where(*of_charges)),
    )
    return not connection.execute(sa.select(sa.case((changed, 1), else_=0))).scalar_one()


def forget(connection: sa.Connection, *, account: str, zone: str, day: date) -> None:
    """Take a day away, and every day of another zone: rows that are marked are marked for one zone."""
    for table in _TABLES:
        connection.execute(
            sa.delete(table).where(table.c.account == account, sa.or_(table.c.zone != zone, table.c.day == day))
        )


def forget_all(connection: sa.Connection, *, account: str) -> None:
    """Take every day away."""
    for table in _TABLES:
        connection.execute(sa.delete(table).where(table.c.account == account))


def put(
    connection: sa.Connection,
    *,
    account: str,
    zone: str,
    day: date,
    counted: Iterable[Mapping[Any, Any]],
    moved: Mapping[tuple[date, str, str], int],
) -> None:
    """Write a day that was taken away.

    Args:
        counted: Rows of `reports.daily`.
        moved: Minor units by (booked, currency, cause).
    """
    of = {"account": account, "zone": zone, "day": day}
    keys = reports.KEYS
    rows = sorted(counted, key=lambda row: [(row[name] is not None, row[name]) for name in keys])
    if rows:
        connection.execute(
            sa.insert(day_counts),
            [
                of
                | {"place": place}
                | {name: row[name] for name in keys}
                | {name: int(row[name]) for name in reports.MEASURES}
                for place, row in enumerate(rows)
            ],
        )
    if moved:
        connection.execute(
            sa.insert(day_movements),
            [
                of | {"booked": booked, "currency": currency, "cause": cause, "amount_minor": minor}
                for (booked, currency, cause), minor in sorted(moved.items())
            ],
        )
    connection.execute(sa.insert(counted_days).values(**of))


_SAVE = insert(report_snapshots)
_SAVE = _SAVE.on_conflict_do_update(
    index_elements=["account", "name"], set_={"as_of": _SAVE.excluded.as_of, "body": _SAVE.excluded.body}
)


def save(connection: sa.Connection, name: str, *, account: str, as_of: datetime, body: Any) -> None:
    """Keep an answer in place of the one before. *body* is JSON values; large sums are text."""
    connection.execute(_SAVE, {"account": account, "name": name, "as_of": as_of, "body": body})


def saved(connection: sa.Connection, name: str, *, account: str) -> tuple[datetime, Any] | None:
    """(as of when, the answer) that was kept last under *name*; ``None`` without one."""
    row = connection.execute(
        sa.select(report_snapshots.c.as_of, report_snapshots.c.body).where(
            report_snapshots.c.account == account, report_snapshots.c.name == name
        )
    ).first()
    return None if row is None else (row.as_of, row.body)
