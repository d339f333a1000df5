"""Count days beforehand, and read them so that nobody can tell: every number is that of a recount at that moment.

A reading takes the days nothing changed on since they were counted from the tables of counted days, and counts the
others from the rows, all in one snapshot of the database. So it is right whether or not a worker ever counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import Any

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.days import EARLIEST, LONGEST, Midnights
from flask_encore.domain.funnel import Facts, Group
from flask_encore.domain.money import Money
from flask_encore.domain.movements import Back, Moved, movements_of
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.domain.restatement import Cause, Movement
from flask_encore.domain.timeline import changes
from flask_encore.services.runtime import Runtime
from flask_encore.store import reports, rollups

#: Days counted in one round of the worker: a day is one short transaction, and the next round comes in seconds.
BATCH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Some days in a row as one snapshot of the database has them.

    Attributes:
        live: The numbers of the days that are counted from the rows, in stretches.
        counted: The days that are taken from the tables of counted days.
    """

    rt: Runtime
    connection: Any
    midnights: Midnights
    live: Sequence[tuple[int, int]]
    counted: frozenset[date]
    now: datetime

    @classmethod
    def of(cls, rt: Runtime, connection: Any, first: date, last: date, *, now: datetime) -> Reading:
        """The days from *first* to *last*. One statement.

        Args:
            connection: Of `Database.snapshot`: what is read later has to be of the same moment.
        """
        midnights = Midnights.of(first, last, rt.settings.zone)
        there, changed = rollups.state(
            connection, account=rt.account, zone=rt.settings.time_zone, midnights=midnights, now=now
        )
        days = midnights.days
        live = reports.stretches_of([number for number, day in enumerate(days) if day not in there or day in changed])
        from_rows = {days[number] for begin, end in live for number in range(begin, end)}
        return cls(
            rt=rt,
            connection=connection,
            midnights=midnights,
            live=live,
            counted=frozenset(there - from_rows),
            now=now,
        )

    def groups(self, first: date, last: date) -> list[tuple[date, Group]]:
        """What was decided from *first* to *last*, which are in the reading: (day, counted). Two statements."""
        return [(day, group_of(row)) for day, row in self._rows(first, last)]

    def by_campaign(self) -> list[tuple[str, Group]]:
        """What was decided on all the days: (campaign_ref, counted). Two statements."""
        days = self.midnights.days
        return [(row.campaign_ref, group_of(row)) for _, row in self._rows(days[0], days[-1], by_campaign=True)]

    def _rows(self, first: date, last: date, *, by_campaign: bool = False) -> list[tuple[date, Any]]:
        rt = self.rt
        counted = rollups.counts(
            self.connection,
            account=rt.account,
            zone=rt.settings.time_zone,
            first=first,
            last=last,
            by_campaign=by_campaign,
        )
        found = [(row.day, row) for row in counted if row.day in self.counted]
        low = (first - self.midnights.first).days
        high = (last - self.midnights.first).days + 1
        days = self.midnights.days
        rows = reports.daily(
            self.connection,
            account=rt.account,
            midnights=self.midnights,
            stretches=_cut(self.live, low, high),
            provisional_in=_cut(_others(self.live, len(days)), low, high),
            now=self.now,
        )
        return found + [(days[row.day], row) for row in rows]

    def movements(self) -> list[Movement]:
        """What moved because of the orders of these days. Two statements."""
        rt = self.rt
        days = self.midnights.days
        found = [
            Movement(ordered=day, booked=booked, cause=Cause(cause), amount=Money(int(minor), currency))
            for day, booked, currency, cause, minor in rollups.movements(
                self.connection, account=rt.account, zone=rt.settings.time_zone, first=days[0], last=days[-1]
            )
            if day in self.counted
        ]
        return found + list(moved_in(rt, self.connection, self.midnights, self.live))


def _cut(stretches: Sequence[tuple[int, int]], low: int, high: int) -> list[tuple[int, int]]:
    """What of *stretches* lies between *low* and *high*."""
    cut = ((max(begin, low), min(end, high)) for begin, end in stretches)
    return [(begin, end) for begin, end in cut if begin < end]


def _others(stretches: Sequence[tuple[int, int]], days: int) -> list[tuple[int, int]]:
    """The days, of so many, that are in none of *stretches*."""
    inside = {number for begin, end in stretches for number in range(begin, end)}
    return reports.stretches_of([number for number in range(days) if number not in inside])


def moved_in(
    rt: Runtime, connection: Any, midnights: Midnights, stretches: Sequence[tuple[int, int]]
) -> Iterator[Movement]:
    """What moved because of the orders of *stretches*, from the rows. One statement."""
    rows = reports.moved(connection, account=rt.account, midnights=midnights, stretches=stretches)
    in_order = sorted(rows, key=lambda row: (row["id"], row["seq"] or 0))
    for _, found in groupby(in_order, key=lambda row: row["id"]):
        yield from movements_of(_moved(list(found)), zone=rt.settings.zone)


def _moved(rows: Sequence[Mapping[Any, Any]]) -> Moved:
    row = rows[0]
    currency, status = row["currency"], ChargeStatus(row["status"])
    fee = row["fee_minor"] if row["fee_currency"] == currency else 0
    written = [change.at for change in changes(row["timeline"]) if change.status is status]
    return Moved(
        ordered_at=row["decided_at"],
        charged_at=row["charged_at"],
        # A charge of a release before timelines tells when it changed last, whatever changed.
        changed_at=written[0] if written else row["updated_at"],
        status=status,
        amount=Money(row["amount_minor"], currency),
        fee=Money(fee or 0, currency),
        back=[
            Back(
                at=one["settled_at"] or one["requested_at"],
                minor=one["back_minor"],
                succeeded=one["back_status"] == "succeeded",
                undone=one["cause"] == "undo",
            )
            for one in rows
            if one["seq"] is not None
        ],
    )


@lru_cache(maxsize=2_000)
def _facts(
    outcome: str,
    reason: str,
    seen: int,
    declined: int,
    sold_out: int,
    expired: int,
    status: str | None,
    failure_code: str,
    attempted: int,
    undone: int,
) -> Facts:
    """The same few facts come with every day."""
    return Facts(
        outcome=Outcome(outcome),
        reason=Reason(reason),
        seen=bool(seen),
        declined=bool(declined),
        sold_out=bool(sold_out),
        expired=bool(expired),
        status=ChargeStatus(status) if status else None,
        failure_code=failure_code,
        attempted=bool(attempted),
        undone=bool(undone),
    )


def group_of(row: Any) -> Group:
    """A counted row, of whichever table."""
    return Group(
        currency=row.currency,
        facts=_facts(
            row.outcome,
            row.reason,
            row.seen,
            row.declined,
            row.sold_out,
            row.expired,
            row.status,
            row.failure_code,
            row.attempted,
            row.undone,
        ),
        fee_currency=row.fee_currency,
        decisions=row.decisions,
        charged_minor=row.charged_minor,
        refunded_minor=row.refunded_minor,
        fee_minor=row.fee_minor,
        without_fee=row.without_fee,
        profit_of=row.profit_of,
        profit_minor=row.profit_minor,
    )


def refresh(rt: Runtime, *, days: int = BATCH) -> int:
    """Count up to *days* days that are not counted, or changed since, the newest first; says how many are left.

    A day on which something can still expire is left for later, and so is one whose rows somebody is changing. Safe to
    run anywhere, any number of times at once.
    """
    now = rt.clock()
    due = _due(rt, now)
    for day in due[:days]:
        _count(rt, day, now)
    return max(0, len(due) - days)


def rebuild(rt: Runtime, *, progress: Callable[[int, int], object] = lambda _done, _all: None) -> int:
    """Drop every counted day and count all of them anew; says how many.

    Meanwhile, and if it breaks off, pages count from the rows.

    Args:
        progress: Told (days done, days in all) after each.
    """
    now = rt.clock()
    with rt.db.write() as connection:
        rollups.begin(connection, now=now)
        rollups.forget_all(connection, account=rt.account)
    due = _due(rt, now)
    for done, day in enumerate(due, 1):
        _count(rt, day, now)
        progress(done, len(due))
    return len(due)


def _due(rt: Runtime, now: datetime) -> list[date]:
    zone = rt.settings.zone
    with rt.db.snapshot() as connection:
        edges = reports.reach(connection, account=rt.account)
        if edges is None:
            return []
        first, last = (edge.astimezone(zone).date() for edge in edges)
        midnights = Midnights.of(max(first, EARLIEST, last - timedelta(days=LONGEST)), last, zone)
        there, changed = rollups.state(
            connection, account=rt.account, zone=rt.settings.time_zone, midnights=midnights, now=now
        )
    return [day for day in reversed(midnights.days) if changed.get(day, day not in there)]


def _count(rt: Runtime, day: date, now: datetime) -> None:
    """Mark a day's rows and put it in place; when some cannot be marked now, it is taken away."""
    account, zone = rt.account, rt.settings.time_zone
    midnights = Midnights.of(day, day, rt.settings.zone)
    since, until = midnights.moments
    with rt.db.write() as connection:
        rollups.begin(connection, now=now)
        rollups.mark(connection, account=account, since=since, until=until, now=now)
        rollups.forget(connection, account=account, zone=zone, day=day)
        if not rollups.is_seen(connection, account=account, since=since, until=until):
            return
        counted = reports.daily(
            connection, account=account, midnights=midnights, stretches=[(0, 1)], is_final=True, now=now
        )
        moved: dict[tuple[date, str, str], int] = {}
        for one in moved_in(rt, connection, midnights, [(0, 1)]):
            key = one.booked, one.amount.currency, one.cause.value
            moved[key] = moved.get(key, 0) + one.amount.minor_units
        rollups.put(
            connection,
            account=account,
            zone=zone,
            day=day,
            counted=[row._mapping for row in counted],
            moved=moved,
        )
