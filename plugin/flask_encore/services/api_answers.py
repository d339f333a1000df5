"""The same request twice is one request: what a POST with an Idempotency-Key was answered, it is answered again.

The key is taken in a transaction of its own before anything is done, by one INSERT that only one of two can make. A
process that dies in between leaves it taken; after `ABANDONED` the next request takes it over, which is safe because
everything a POST of the API does is guarded by itself as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_encore.domain.errors import EncoreError
from flask_encore.services.runtime import Runtime
from flask_encore.store import api_answers

#: How long an answer is kept. Whoever repeats a request later than a day has other means to ask what became of it.
KEPT = timedelta(hours=24)

#: Longer than any request of the API lasts: a refund waits for Stripe for a minute at most.
ABANDONED = timedelta(minutes=2)

#: As wide as ``encore_api_answers.location``.
LONGEST_LOCATION = 2000


class KeyReused(EncoreError):
    """This Idempotency-Key was used for another request; take a new one for a new request."""


class UnderWay(EncoreError):
    """The first request with this Idempotency-Key is still being answered; ask again in a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered. *body* is JSON values."""

    status: int
    body: Any
    location: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The right to answer one request, which nobody else has. Hand it to `finish` or to `let_go`."""

    token_id: str
    key: str
    since: datetime


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What tells one request from another: the same bytes to the same address."""
    return hashlib.sha256(b"\0".join([method.encode(), path.encode(errors="surrogatepass"), body])).hexdigest()


def begin(rt: Runtime, *, token_id: str, key: str, fingerprint: str) -> Turn | Answer:
    """Take *key* for this request, or tell what the first one was answered.

    Raises:
        KeyReused: If it was taken for a request with another fingerprint.
        UnderWay: If the first one has no answer yet.
    """
    now = rt.clock()
    with rt.db.write() as connection:
        api_answers.forget(connection, before=now - KEPT)
        if api_answers.begin(connection, token_id, key, fingerprint=fingerprint, now=now):
            return Turn(token_id=token_id, key=key, since=now)
    with rt.db.read() as connection:
        row = api_answers.find(connection, token_id, key)
    if row is None:
        # Let go in this very moment; asking again finds it free.
        raise UnderWay
    if row["fingerprint"] != fingerprint:
        raise KeyReused
    if row["status"] is not None:
        return _answer(row)
    if row["created_at"] <= now - ABANDONED:
        with rt.db.write() as connection:
            if api_answers.take_over(connection, token_id, key, since=row["created_at"], now=now):
                return Turn(token_id=token_id, key=key, since=now)
    raise UnderWay


def finish(rt: Runtime, turn: Turn, answer: Answer) -> None:
    """Keep *answer* for whoever repeats the request."""
    assert answer.location is None or len(answer.location) <= LONGEST_LOCATION
    with rt.db.write() as connection:
        api_answers.finish(
            connection,
            turn.token_id,
            turn.key,
            since=turn.since,
            status=answer.status,
            body=answer.body,
            location=answer.location,
        )


def let_go(rt: Runtime, turn: Turn) -> None:
    """Nothing was done: let the key be used again, also for a corrected request."""
    with rt.db.write() as connection:
        api_answers.let_go(connection, turn.token_id, turn.key, since=turn.since)


def _answer(row: Mapping[Any, Any]) -> Answer:
    return Answer(status=row["status"], body=row["body"], location=row["location"])
