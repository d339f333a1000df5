"""Purge what is over, as the merchant set it: in bounded batches, resumable, and again without effect.

What goes, `ShopSettings.retention_days` after it happened: the candidates and the trace of decisions, deliveries that
were taken, messages everybody took, the ids of Stripe's events. What stays: every row and column a figure counts, every
charge with its evidence, the audit log, and whatever somebody still has to do something about.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_encore.services import shop_settings
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import events
from flask_encore.store import retention as table

#: Names the last purge among the heartbeats.
HEARTBEAT = "purge"
#: How often the worker purges. What is a month old is not in a hurry; what the API answered is kept for a day.
EVERY = timedelta(hours=1)

#: Rows of one transaction: tens of milliseconds, well within what a page may wait for SQLite's one writer.
BATCH = 100
#: Seconds between two transactions, so that whoever waits to write comes in between.
BREATH = 0.02
#: Batches of each kind in one round of the worker; the next round goes on where this one stopped.
ROUND = 100

#: An answer of the API is repeated for a day, as Stripe's are.
ANSWERS_KEPT = timedelta(hours=24)
#: Stripe sends an event again for three days by itself and lists it for thirty; after that it never comes again.
#: https://docs.stripe.com/webhooks/process-undelivered-events
STRIPE_FORGETS = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How many rows were purged, or would be.

    Attributes:
        decisions: Whose candidates and trace were emptied.
        deliveries: Of the webhooks' log.
        messages: Of the outbox.
        events: Ids of Stripe's events.
        answers: Of the API, to requests with an Idempotency-Key.
        is_all: False when there is more to do.
    """

    decisions: int
    deliveries: int
    messages: int
    events: int
    answers: int
    is_all: bool = True

    @property
    def count(self) -> int:
        """Everything together."""
        return self.decisions + self.deliveries + self.messages + self.events + self.answers


def due(rt: Runtime) -> Purged:
    """What a purge would take now. Changes nothing."""
    now, account = rt.clock(), rt.account
    before = _before(rt, now)
    with rt.db.read() as connection:
        answers = table.count_answers(connection, before=now - ANSWERS_KEPT)
        if before is None:
            return Purged(decisions=0, deliveries=0, messages=0, events=0, answers=answers)
        return Purged(
            decisions=table.count_details(connection, account=account, before=before, now=now),
            deliveries=table.count_deliveries(connection, account=account, before=before),
            messages=table.count_messages(connection, account=account, before=before),
            events=table.count_events(connection, account=account, before=min(before, now - STRIPE_FORGETS)),
            answers=answers,
        )


def purge(rt: Runtime, *, batches: int | None = None) -> Purged:
    """Purge what is due, a batch to a transaction. Idempotent; killed in between, the next one goes on.

    Args:
        batches: Of each kind at most; ``None`` goes on until nothing is left.
    """
    now, account = rt.clock(), rt.account
    before = _before(rt, now)
    with rt.db.write() as connection:
        answers = table.purge_answers(connection, before=now - ANSWERS_KEPT)
    if before is None:
        return Purged(decisions=0, deliveries=0, messages=0, events=0, answers=answers)

    def in_batches(purge_some: Callable[..., int], *, before: datetime) -> int:
        def one(connection: Any) -> int:
            return purge_some(connection, account=account, before=before, limit=BATCH)

        return _repeat(rt, one, batches)

    most = None if batches is None else batches * BATCH
    found = (
        _purge_details(rt, before=before, now=now, batches=batches),
        in_batches(table.purge_deliveries, before=before),
        in_batches(table.purge_messages, before=before),
        in_batches(table.purge_events, before=min(before, now - STRIPE_FORGETS)),
    )
    purged = Purged(
        decisions=found[0],
        deliveries=found[1],
        messages=found[2],
        events=found[3],
        answers=answers,
        is_all=most is None or max(found) < most,
    )
    if purged.count:
        logger.info("purged %d rows that are older than the shop keeps them", purged.count)
    return purged


def tend(rt: Runtime) -> Purged | None:
    """The worker's: a round of purging when the last whole one is an hour old. Raises nothing; money goes first."""
    try:
        now = rt.clock()
        with rt.db.read() as connection:
            last = events.last_beat(connection, HEARTBEAT)
        if last is not None and now - last < EVERY:
            return None
        purged = purge(rt, batches=ROUND)
        if purged.is_all:
            with rt.db.write() as connection:
                events.beat(connection, HEARTBEAT, now=now)
    except Exception:
        rt.counts.add("purge_failed")
        logger.exception("old details could not be purged; the next round tries again")
        return None
    return purged


def _before(rt: Runtime, now: datetime) -> datetime | None:
    days = shop_settings.current(rt).retention_days
    return now - timedelta(days=days) if days else None


def _purge_details(rt: Runtime, *, before: datetime, now: datetime, batches: int | None) -> int:
    """Oldest first; within a call every row is looked at once."""
    after: tuple[datetime, str] | None = None
    done = number = 0
    while batches is None or number < batches:
        with rt.db.read() as connection:
            rows = table.next_details(connection, account=rt.account, before=before, now=now, after=after, limit=BATCH)
        if not rows:
            break
        with rt.db.write() as connection:
            done += table.purge_details(connection, [id for _, id in rows])
        after, number = rows[-1], number + 1
        time.sleep(BREATH)
    return done


def _repeat(rt: Runtime, one: Callable[[Any], int], batches: int | None) -> int:
    done = number = 0
    while batches is None or number < batches:
        with rt.db.write() as connection:
            some = one(connection)
        done, number = done + some, number + 1
        if some < BATCH:
            break
        time.sleep(BREATH)
    return done
