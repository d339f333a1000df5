"""Feed the host shop's handlers from the outbox: at least once, in order per order, with patience.

A handler that raises never changes money; its message waits, and so do the later messages of the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask_encore.domain.events import ChargeEvent
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import outbox

#: A handler may take this long before another worker takes its message as lost.
HANDLER_TIME = timedelta(minutes=2)
#: Wait after the first failure, doubled each time up to the longest.
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)
BATCH = 100


def deliver(rt: Runtime) -> int:
    """Deliver what is due until nothing is; answers how many messages every handler took."""
    done = 0
    while True:
        with rt.db.read() as connection:
            due = outbox.due(connection, account=rt.account, now=rt.clock(), limit=BATCH)
        progress = 0
        for row in due:
            with rt.db.write() as connection:
                if not outbox.take(connection, row, until=rt.clock() + HANDLER_TIME):
                    continue
            progress += _hand_over(rt, row)
        done += progress
        if not progress:
            return done


def _hand_over(rt: Runtime, row: Mapping[Any, Any]) -> int:
    message_id: int = row["id"]
    try:
        event = ChargeEvent.from_json(row["payload"])
        for handler in rt.handlers.get(event.kind, ()):
            handler(event)
    except Exception as error:
        logger.exception("handler of %s for order %s failed", row["kind"], row["order_ref"])
        rt.counts.add("handler_failed")
        wait = min(FIRST_WAIT * 2 ** min(row["attempts"], 12), LONGEST_WAIT)
        with rt.db.write() as connection:
            outbox.failed(
                connection, message_id, error=f"{type(error).__name__}: {error}", next_run_at=rt.clock() + wait
            )
        return 0
    with rt.db.write() as connection:
        outbox.delivered(connection, message_id, now=rt.clock())
    return 1
