"""Send what happened to the merchant's own systems: at least once, in order per order and endpoint, for three days.

Beside `delivering`, which feeds handlers in this process: the same messages of the same outbox, each to whom it
concerns, and neither waits for the other. No HTTP happens inside a transaction.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.hooks import GIVE_UP_AFTER, Webhook, body_of, headers_of, message_ref, wait_after
from flask_encore.domain.targets import parse
from flask_encore.services.posting import Answer, Unreachable
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import hooks

#: A worker may take this long before another one takes its delivery as lost: name, connection and answer, twice over.
ATTEMPT_TIME = timedelta(minutes=1)
#: Messages handed out, and deliveries read, at one time.
BATCH = 200
#: An endpoint keeps its courier this long, seconds, however much is due; then whoever waits for a courier comes first.
SHARE_SECONDS = 30.0
#: Messages an endpoint may refuse in one round before its courier turns back: one it cannot read must not hold up the
#: others, and one that has troubles of its own must not be sent everything that waits.
REFUSALS = 3
#: How long ``flask encore sweep`` waits for the couriers it sent: one share and one last message.
PATIENCE_SECONDS = 45.0

#: The receiver says that it is gone for good: nothing is sent any more until somebody resumes it.
GONE = 410


def send(rt: Runtime, *, patience_seconds: float = 0.0) -> int:
    """Hand out new messages and send a courier to every endpoint that something is due for; answers how many set out.

    Safe to run anywhere, any number of times at once. Waits for them up to *patience_seconds*.
    """
    with rt.db.read() as connection:
        endpoints = [webhook for webhook in hooks.listed(connection, account=rt.account) if webhook.active_since]
    if not endpoints:
        return 0
    hand_out(rt, endpoints)
    with rt.db.read() as connection:
        busy = hooks.busy(connection, account=rt.account, now=rt.clock())
    begun = rt.couriers.send(busy, lambda webhook_id: _serve(rt, webhook_id))
    if patience_seconds:
        rt.couriers.wait(patience_seconds)
    return len(begun)


def hand_out(rt: Runtime, endpoints: list[Webhook]) -> None:
    """Write a delivery of each new message for each of *endpoints* that wants it."""
    starts = {webhook.id: webhook.active_since for webhook in endpoints if webhook.active_since is not None}
    while True:
        with rt.db.read() as connection:
            new = hooks.unhooked(connection, account=rt.account, since=min(starts.values()), limit=BATCH)
        if not new:
            return
        pairs = [
            (webhook, message)
            for message in new
            for webhook in endpoints
            if webhook.wants(message["kind"]) and message["created_at"] >= starts[webhook.id]
        ]
        now = rt.clock()
        with rt.db.write() as connection:
            hooks.hand_out(
                connection, pairs, messages=[one["id"] for one in new], give_up_at=now + GIVE_UP_AFTER, now=now
            )


def _serve(rt: Runtime, webhook_id: int) -> None:
    """Send what is due to one endpoint, until nothing is, its share is over, or it is in trouble: a dead one costs one
    try.
    """
    over, refused = time.monotonic() + SHARE_SECONDS, 0
    try:
        while True:
            with rt.db.read() as connection:
                due = hooks.due(connection, webhook_id, now=rt.clock(), limit=BATCH)
            taken = 0
            for row in due:
                if time.monotonic() >= over:
                    return
                with rt.db.read() as connection:
                    webhook = hooks.find(connection, webhook_id, account=rt.account)
                if webhook is None or webhook.active_since is None:
                    return
                with rt.db.write() as connection:
                    if not hooks.take(connection, row, until=rt.clock() + ATTEMPT_TIME):
                        continue
                answer = _attempt(rt, webhook, row)
                refused += answer is not None and not answer.is_taken
                if answer is None or refused >= REFUSALS:
                    return
                taken += 1
            if not taken:
                return
    except Exception:
        rt.counts.add("webhook_courier_failed")
        logger.exception("webhook %s could not be served", webhook_id)


def _attempt(rt: Runtime, webhook: Webhook, row: Mapping[Any, Any]) -> Answer | None:
    """Send one message once, and write down how it went. What was answered, if anything."""
    payload = row["payload"]
    body = body_of(row["kind"], payload, at=payload.get("occurred_at") or row["created_at"].isoformat())
    answer, error = post(rt, webhook, message_ref(row["dedupe"]), body)
    if answer is not None and answer.is_taken:
        with rt.db.write() as connection:
            hooks.delivered(connection, row["id"], code=answer.code, now=rt.clock())
        return answer
    rt.counts.add("webhook_failed")
    now, gone = rt.clock(), answer is not None and answer.code == GONE
    next_run_at = None
    if now < row["give_up_at"] and not gone:
        wait = wait_after(row["attempts"] + 1, seed=str(row["id"]))
        # The last attempt is made when the three days end, and not up to six hours before.
        next_run_at = min(now + wait, row["give_up_at"])
    with rt.db.write() as connection:
        code = None if answer is None else answer.code
        is_written = hooks.failed(connection, row, code=code, error=error, next_run_at=next_run_at)
        if gone:
            hooks.activate(connection, webhook.id, since=None, now=now)
    if next_run_at is None and is_written:
        rt.counts.add("webhook_given_up")
        logger.error(
            "webhook %s: %s of order %s is given up after %d attempts (%s)%s",
            *(webhook.id, row["kind"], row["order_ref"], row["attempts"] + 1, error),
            "; it is paused, because it said it is gone" if gone else "",
        )
    else:
        logger.warning("webhook %s did not take %s of order %s: %s", webhook.id, row["kind"], row["order_ref"], error)
    return answer


def post(rt: Runtime, webhook: Webhook, ref: str, body: bytes) -> tuple[Answer | None, str]:
    """Sign and send one message, after checking the target anew. The answer, and why it does not count, if so."""
    now = rt.clock()
    try:
        target = parse(webhook.url, allow_loopback=not rt.settings.livemode)
        answer = rt.poster.post(target, body, headers_of(ref, body, secrets=webhook.secrets(now), now=now))
    except (InvalidInput, Unreachable) as error:
        return None, str(error)
    if answer.is_taken:
        return answer, ""
    if 300 <= answer.code < 400:
        return answer, f"HTTP {answer.code}: redirects are not followed"
    return answer, f"HTTP {answer.code}: {answer.text}".removesuffix(": ")
