"""Webhooks as Stripe sends them: signed, at least once, in any order, sometimes not at all."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from flask_encore.testing.stripe_simulator.errors import Json
from flask_encore.testing.stripe_simulator.ledger import API_VERSION, new_id

#: Seconds until the next try after each failed one; then Stripe gives up.
RETRY_AFTER_SECONDS = (5, 300, 3600)
#: Stripe waits this long for an answer, in seconds.
ANSWER_WITHIN = 10.0
#: How often the background thread looks for retries that have become due, in seconds.
_LOOK_AGAIN = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """Where events go.

    Attributes:
        url: absolute http URL.
        secret: signing secret, ``whsec_…``.
        enabled_events: event types, or ``*`` for all.
    """

    id: str
    url: str
    secret: str
    api_version: str = API_VERSION
    enabled_events: tuple[str, ...] = ("*",)

    def wants(self, kind: str) -> bool:
        """Whether events of this type are sent here."""
        return "*" in self.enabled_events or kind in self.enabled_events


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint.

    Attributes:
        event_id: the event.
        type: the event's type.
        endpoint: where it goes.
        due: unix seconds before which no automatic try is made.
        attempts: tries so far.
    """

    event_id: str
    type: str
    endpoint: WebhookEndpoint
    due: float
    attempts: int = 0


def sign(payload: bytes, *, secret: str, timestamp: int) -> str:
    """The ``Stripe-Signature`` header: HMAC-SHA256 over ``timestamp.payload``."""
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + payload, hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


class Webhooks:
    """Endpoints, and the deliveries that wait.

    With `auto` on (the default) a background thread sends each event as it happens and retries as
    time passes. With `auto` off everything waits for `deliver`, `retry_due` or `drop`.

    Args:
        clock: answers unix seconds.
        find_event: answers the event with an id.
    """

    def __init__(self, *, clock: Callable[[], float], find_event: Callable[[str], Json]) -> None:
        self.endpoints: list[WebhookEndpoint] = []
        self._clock = clock
        self._find_event = find_event
        self._waiting: list[Delivery] = []
        self._undelivered: list[Delivery] = []
        self._turnstile = threading.Condition()
        self._worker: threading.Thread | None = None
        self._stopping = False
        self._auto = True
        self._delay = 0.0
        self._sending = 0

    @property
    def auto(self) -> bool:
        """Whether events are sent by themselves."""
        return self._auto

    @auto.setter
    def auto(self, value: bool) -> None:
        with self._turnstile:
            self._auto = value
            self._turnstile.notify_all()

    def add(
        self, url: str, secret: str, *, api_version: str = API_VERSION, enabled_events: Iterable[str] = ("*",)
    ) -> WebhookEndpoint:
        """Register an endpoint for events from now on.

        Raises:
            ValueError: an empty secret, or a URL that is not http.
        """
        if not secret:
            raise ValueError("a webhook endpoint needs a signing secret")
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"not an http URL: {url!r}")
        endpoint = WebhookEndpoint(
            id=new_id("we"), url=url, secret=secret, api_version=api_version, enabled_events=tuple(enabled_events)
        )
        with self._turnstile:
            self.endpoints.append(endpoint)
        return endpoint

    def enqueue(self, event: Json) -> None:
        """Plan one delivery per endpoint that wants the event."""
        with self._turnstile:
            due = self._clock() + self._delay
            for endpoint in self.endpoints:
                if endpoint.wants(event["type"]):
                    event["pending_webhooks"] += 1
                    self._waiting.append(Delivery(event_id=event["id"], type=event["type"], endpoint=endpoint, due=due))
            if self._auto and self._waiting and self._worker is None and not self._stopping:
                self._worker = threading.Thread(target=self._work, name="stripe-simulator-webhooks", daemon=True)
                self._worker.start()
            self._turnstile.notify_all()

    def pending(self) -> list[Delivery]:
        """What waits to be sent or sent again, oldest first."""
        with self._turnstile:
            return list(self._waiting)

    def undelivered(self) -> list[Delivery]:
        """What was given up after the last retry."""
        with self._turnstile:
            return list(self._undelivered)

    def drop(self, event_id: str) -> int:
        """Lose every waiting delivery of an event; answers how many there were."""
        with self._turnstile:
            kept = [delivery for delivery in self._waiting if delivery.event_id != event_id]
            lost = len(self._waiting) - len(kept)
            self._waiting = kept
            return lost

    def delay(self, seconds: float) -> None:
        """Hold waiting and later events back by `seconds` of the simulated clock; 0 ends it."""
        with self._turnstile:
            self._delay = seconds
            due = self._clock() + seconds
            self._waiting = [replace(delivery, due=due) for delivery in self._waiting]
            self._turnstile.notify_all()

    def deliver(
        self,
        event_id: str | None = None,
        *,
        times: int = 1,
        order: Literal["reverse"] | Sequence[str] | None = None,
    ) -> list[int]:
        """Send what waits, now, due or not; answers the HTTP statuses in order of sending (0: no answer).

        Args:
            event_id: only this event; one that was delivered already is sent again to every endpoint.
            times: copies of each.
            order: ``"reverse"``, or event ids in the order wanted (others follow).
        """
        with self._turnstile:
            chosen = [each for each in self._waiting if event_id in (None, each.event_id)]
            self._waiting = [each for each in self._waiting if each not in chosen]
        if not chosen and event_id is not None:
            chosen = self._again(event_id)
        if order == "reverse":
            chosen.reverse()
        elif order is not None:
            rank = {each: position for position, each in enumerate(order)}
            chosen.sort(key=lambda delivery: rank.get(delivery.event_id, len(rank)))
        return [self._send(delivery, last=copy == times - 1) for delivery in chosen for copy in range(times)]

    def retry_due(self) -> list[int]:
        """Send everything whose time has come on the simulated clock; answers the HTTP statuses."""
        return [self._send(delivery, last=True) for delivery in self._take_due()]

    def signed(self, event: Json, *, secret: str, timestamp: int | None = None) -> tuple[bytes, str]:
        """Body and ``Stripe-Signature`` header of an event, to post through a test client."""
        body = json.dumps(event, indent=2).encode()
        return body, sign(body, secret=secret, timestamp=int(self._clock()) if timestamp is None else timestamp)

    def wait_until_sent(self, *, timeout: float = ANSWER_WITHIN) -> bool:
        """Block until nothing is due or being sent; False when `timeout` seconds passed first."""
        with self._turnstile:
            return self._turnstile.wait_for(lambda: not self._sending and not self._due(), timeout=timeout)

    def stop(self) -> None:
        """End the background thread and wait for it. Waiting deliveries stay."""
        with self._turnstile:
            self._stopping = True
            worker, self._worker = self._worker, None
            self._turnstile.notify_all()
        if worker is not None:
            worker.join()
        self._stopping = False

    def _due(self) -> list[Delivery]:
        now = self._clock()
        return [delivery for delivery in self._waiting if delivery.due <= now]

    def _take_due(self) -> list[Delivery]:
        with self._turnstile:
            due = self._due()
            self._waiting = [delivery for delivery in self._waiting if delivery not in due]
        return due

    def _again(self, event_id: str) -> list[Delivery]:
        event = self._find_event(event_id)
        now = self._clock()
        return [
            Delivery(event_id=event_id, type=event["type"], endpoint=endpoint, due=now)
            for endpoint in self.endpoints
            if endpoint.wants(event["type"])
        ]

    def _work(self) -> None:
        while True:
            with self._turnstile:
                self._turnstile.wait_for(lambda: self._stopping or (self._auto and self._due()), timeout=_LOOK_AGAIN)
                if self._stopping:
                    return
                due = self._due() if self._auto else []
                self._waiting = [delivery for delivery in self._waiting if delivery not in due]
                self._sending += len(due)
            for delivery in due:
                self._send(delivery, last=True)
                with self._turnstile:
                    self._sending -= 1
                    self._turnstile.notify_all()

    def _send(self, delivery: Delivery, *, last: bool) -> int:
        """One try. Only the last copy of several is planned again when it fails."""
        body, signature = self.signed(self._find_event(delivery.event_id), secret=delivery.endpoint.secret)
        status = _post(delivery.endpoint.url, body, signature)
        if last and not 200 <= status < 300:
            self._plan_retry(delivery)
        return status

    def _plan_retry(self, delivery: Delivery) -> None:
        with self._turnstile:
            tried = delivery.attempts
            if tried >= len(RETRY_AFTER_SECONDS):
                self._undelivered.append(delivery)
                return
            due = self._clock() + RETRY_AFTER_SECONDS[tried]
            self._waiting.append(replace(delivery, attempts=tried + 1, due=due))


def _post(url: str, body: bytes, signature: str) -> int:
    """The status answered, 0 for none. Redirects are not followed: Stripe counts 3xx as failures."""
    where = urlsplit(url)
    factory = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = factory(where.hostname or "", where.port, timeout=ANSWER_WITHIN)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature,
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    path = (where.path or "/") + (f"?{where.query}" if where.query else "")
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
