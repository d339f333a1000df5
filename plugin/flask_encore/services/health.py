"""Whether this process can serve offers, and the numbers a monitor watches. Looks only; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.hooks import DeliveryStatus
from flask_encore.domain.ports import Inspectable
from flask_encore.services import alarms
from flask_encore.services.alarms import Alarms
from flask_encore.services.lanes import OverBudget
from flask_encore.services.recovering import HEARTBEAT
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import hooks, migrations, vitals
from flask_encore.store.database import StoreError

#: Decisions whose latency is told: an hour of a busy shop, and an index walk of milliseconds.
NEWEST_DECISIONS = 1_000

#: Upper bounds of the latency's buckets, microseconds: around the budget of 300 ms, and down to what a decision takes.
LATENCY_BOUNDS_US = (1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 300_000, 1_000_000)

#: A hold that is over this long and not released is stuck: the sweeper runs every few seconds, by cron every minute.
HOLD_GRACE = timedelta(minutes=5)

#: How long the numbers may take, seconds: half of what Prometheus waits by default.
METRICS_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What the database knows, at one moment.

    Attributes:
        charges: Status -> how many; every status that occurs.
        unknown_since: When the oldest charge whose outcome nobody knows was accepted; ``None`` when there is none.
        quarantined: Charges nothing automatic touches any more, and nobody has settled by hand.
        stuck_holds: Holds that should have been released `HOLD_GRACE` ago.
        messages: Undelivered ones in the outbox; of them *failing* were refused by a handler at least once.
        oldest_message: When the oldest of them was written; ``None`` when none waits.
        refunds_failed: Charges whose last refund did not happen.
        swept_at: When the sweeper last ran; ``None`` when it never did.
        webhook_at: When the last webhook came in; ``None`` before the first.
        latency_buckets: How many of the newest decisions took at most each of `LATENCY_BOUNDS_US`.
        latency_count: How many newest decisions there are, `NEWEST_DECISIONS` at most.
        latency_sum_us: What they took together, microseconds.
        deliveries: (id of the webhook, how it stands) -> how many deliveries.
        alarms: Whether a rate of the last day is worse than before.
    """

    charges: Mapping[str, int]
    unknown_since: datetime | None
    quarantined: int
    stuck_holds: int
    messages: int
    failing: int
    oldest_message: datetime | None
    refunds_failed: int
    swept_at: datetime | None
    webhook_at: datetime | None
    latency_buckets: Sequence[int]
    latency_count: int
    latency_sum_us: int
    deliveries: Mapping[tuple[int, DeliveryStatus], int]
    alarms: Alarms


def is_ready(rt: Runtime) -> bool:
    """Whether the database answers within the decision budget and its tables are not older than this release.

    Tables newer than this release are fine: during a rolling update they are migrated before the last process goes.
    """

    def is_migrated() -> bool:
        with rt.db.read(hasty=True) as connection:
            at = vitals.revision(connection)
        return at is not None and at not in migrations.outdated()

    try:
        migrated = rt.examining.run(is_migrated, seconds=rt.budget_seconds)
    except (StoreError, OverBudget) as error:
        logger.warning("not ready: Encore's tables cannot be reached (%s)", type(error).__name__)
        return False
    if not migrated:
        logger.warning("not ready: Encore's tables are not migrated; run: flask encore db upgrade")
    return migrated


def examined(rt: Runtime) -> Vitals | None:
    """The numbers, in five statements; ``None`` when the database does not give them in `METRICS_SECONDS`."""
    try:
        return rt.examining.run(lambda: read(rt), seconds=METRICS_SECONDS)
    except (StoreError, OverBudget) as error:
        logger.warning("metrics without a database (%s)", type(error).__name__)
        return None


def model_trained_at(rt: Runtime) -> datetime | None:
    """When the model in use was trained; ``None`` without one, or with a ranker that does not tell."""
    return rt.ranker.trained_at if isinstance(rt.ranker, Inspectable) else None


def read(rt: Runtime) -> Vitals:
    """The numbers, however long they take.

    Raises:
        StoreError: If the database is away, or not migrated.
    """
    with rt.db.read() as connection:
        by_status = vitals.charges_by_status(connection, account=rt.account, overdue=rt.clock() - HOLD_GRACE)
        waiting = vitals.waiting(connection, account=rt.account, heartbeat=HEARTBEAT)
        buckets, count, total = vitals.latencies(
            connection, account=rt.account, newest=NEWEST_DECISIONS, bounds_us=LATENCY_BOUNDS_US
        )
        deliveries = hooks.counts(connection, account=rt.account)
    return Vitals(
        charges={row["status"]: int(row["charges"]) for row in by_status},
        unknown_since=next((row["oldest"] for row in by_status if row["status"] == ChargeStatus.UNKNOWN), None),
        quarantined=sum(int(row["quarantined"]) for row in by_status),
        stuck_holds=sum(int(row["stuck_holds"]) for row in by_status),
        messages=int(waiting["messages"]),
        failing=int(waiting["failing"]),
        oldest_message=waiting["oldest"],
        refunds_failed=int(waiting["refunds_failed"]),
        swept_at=waiting["swept_at"],
        webhook_at=waiting["webhook_at"],
        latency_buckets=buckets,
        latency_count=count,
        latency_sum_us=total,
        deliveries=deliveries,
        alarms=alarms.alarms(rt),
    )
