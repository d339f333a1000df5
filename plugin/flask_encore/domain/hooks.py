"""Outbound webhooks by the Standard Webhooks specification: endpoints, deliveries, bodies, signatures, patience.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

SECRET_PREFIX = "whsec_"
#: The specification allows 24 to 64; as many as the hash has bytes out of it.
SECRET_BYTES = 32

#: After the first failure, doubled each time up to the longest: 5 s, 10 s, … 5 h 41 min, 6 h, 6 h, …
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=6)
#: A weekend and a day to repair an endpoint. Then it is given up, and somebody has to look.
GIVE_UP_AFTER = timedelta(days=3)
#: A wait is this much longer or shorter at most, so that a thousand messages do not come back at one moment.
JITTER = 0.2

#: A replaced secret signs this long beside the new one, so that a receiver can change it without missing a message.
ROTATION = timedelta(hours=24)


class Secret(str):
    """A signing secret: a string that does not say itself in a ``repr``, which ends up in logs and error trackers."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('whsec_…')"


class DeliveryStatus(StrEnum):
    """How one message to one endpoint stands."""

    WAITING = "waiting"  #: to be sent, now or at its next time
    DELIVERED = "delivered"  #: the endpoint answered 2xx
    FAILED = "failed"  #: given up after three days; replay sends it again


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One endpoint of the merchant's.

    Attributes:
        kinds: The events it is sent; empty for every one.
        active_since: Events from then on are sent; ``None`` while it is paused.
        previous_secret: Signs too, until *previous_until*.
    """

    id: int
    url: str = field(repr=False)  # its query may hold a key of the receiver's
    secret: Secret
    kinds: tuple[str, ...]
    active_since: datetime | None
    previous_secret: Secret | None
    previous_until: datetime | None
    created_at: datetime
    updated_at: datetime

    def wants(self, kind: str) -> bool:
        """Whether events of this kind are sent to it."""
        return not self.kinds or kind in self.kinds

    def secrets(self, now: datetime) -> tuple[Secret, ...]:
        """What signs a message sent *now*, newest first."""
        if self.previous_secret is None or self.previous_until is None or now >= self.previous_until:
            return (self.secret,)
        return (self.secret, self.previous_secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message to one endpoint.

    Attributes:
        message_ref: The ``webhook-id``: the same in every attempt, and for every endpoint.
        attempts: How often it was begun.
        next_run_at: When it is tried again, or when the worker that has it is taken as lost; ``None`` when it is over.
        give_up_at: The last moment it is tried at.
        response_code: Of the last answer; ``None`` when there was none.
        last_error: Why the last attempt failed; empty after success.
    """

    id: int
    webhook_id: int
    message_ref: str
    order_ref: str
    kind: str
    status: DeliveryStatus
    attempts: int
    next_run_at: datetime | None
    give_up_at: datetime
    response_code: int | None
    last_error: str
    created_at: datetime
    delivered_at: datetime | None


def secret_of(random_bytes: bytes) -> Secret:
    """A signing secret as the specification writes it.

    Raises:
        ValueError: If there are fewer than 24 or more than 64 bytes.
    """
    if not 24 <= len(random_bytes) <= 64:
        raise ValueError("a signing secret has 24 to 64 bytes")
    return Secret(SECRET_PREFIX + base64.b64encode(random_bytes).decode())


def message_ref(dedupe: str) -> str:
    """The ``webhook-id`` of the outbox's message *dedupe*: it begins with a random key, so it never comes again."""
    return "msg_" + dedupe.replace(":", "_")


def body_of(kind: str, payload: Mapping[str, Any], *, at: str) -> bytes:
    """What is sent: the type of the event, when it happened, and what every handler gets of it."""
    # ASCII: a lone half of a character pair in a gift message is legal JSON so, and no UTF-8.
    return json.dumps({"type": kind, "timestamp": at, "data": payload}, separators=(",", ":")).encode("ascii")


def headers_of(ref: str, body: bytes, *, secrets: Sequence[Secret], now: datetime) -> dict[str, str]:
    """The headers that prove who sent *body*, when, and as which message."""
    seconds = int(now.timestamp())
    return {
        "webhook-id": ref,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(signature(secret, ref, seconds, body) for secret in secrets),
    }


def signature(secret: str, ref: str, seconds: int, body: bytes) -> str:
    """One signature: HMAC-SHA256 of id, time and body, by the bytes the secret stands for."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, f"{ref}.{seconds}.".encode() + body, hashlib.sha256)).decode()


def wait_after(attempts: int, *, seed: str) -> timedelta:
    """How long to wait after the *attempts*-th failed attempt;
    *seed* decides the jitter, so that it can be told again.
    """
    wait = min(FIRST_WAIT * 2 ** min(attempts - 1, 13), LONGEST_WAIT)
    drawn = int.from_bytes(hashlib.sha256(f"{seed}:{attempts}".encode()).digest()[:8], "big") / 2**64
    return timedelta(seconds=wait.total_seconds() * (1 + JITTER * (2 * drawn - 1)))
