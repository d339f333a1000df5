"""Faults on demand: what the network and Stripe do to a request, and when."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

from flask_encore.testing.stripe_simulator.errors import (
    StripeError,
    key_in_use,
    lock_timeout,
    rate_limited,
    server_error,
)

#: kind -> what happens.
KINDS = {
    "drop_before": "the connection is cut, nothing was executed",
    "drop_after": "executed, then the connection is cut without an answer",
    "hang": "waits `seconds`, then executes and answers: late execution, the client may have given up",
    "hang_after": "executes at once, then holds the answer back for `seconds`",
    "error_500_before": "500, nothing was executed, nothing remembered",
    "error_500_after": "executed, answers 500, and the 500 is what the idempotency key remembers",
    "rate_limit_429": "429 rate_limit, nothing was executed",
    "lock_timeout_429": "429 lock_timeout, nothing was executed",
    "conflict_409": "409 idempotency_key_in_use, nothing was executed",
}

#: kind -> the answer given instead of executing.
REFUSALS: dict[str, Callable[[], StripeError]] = {
    "error_500_before": lambda: server_error(stored=False),
    "rate_limit_429": rate_limited,
    "lock_timeout_429": lock_timeout,
    "conflict_409": lambda: key_in_use("(simulated)"),
}

#: A hanging request of unstated length outlasts every sane client timeout.
_LONG = 30.0


class ConnectionCut(Exception):
    """Close the connection without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One planned fault.

    Attributes:
        path: pattern of the path: ``*`` is one segment, ``**`` any number of them.
        kind: a key of `KINDS`.
        method: HTTP method, or ``*``.
        seconds: how long the hanging kinds hang.
    """

    path: str
    kind: str
    method: str = "POST"
    seconds: float = _LONG

    def strikes(self, method: str, path: str) -> bool:
        """Whether this fault is meant for the request."""
        return self.method in ("*", method) and matches(self.path, path)


def matches(pattern: str, path: str) -> bool:
    """Whether a path fits a pattern of ``*`` (one segment) and ``**`` (the rest)."""
    expression = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]+")
    return re.fullmatch(expression, path) is not None


class Faults:
    """The planned faults, each used up by the requests it strikes, in the order they were added."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._turnstile = threading.Condition()
        self._hanging = 0
        self._generation = 0

    def add(self, path: str, kind: str, *, method: str = "POST", times: int = 1, seconds: float | None = None) -> None:
        """Plan a fault for the next `times` matching requests.

        Args:
            path: for example ``/v1/payment_intents/*/confirm``.
            kind: a key of `KINDS`; the hanging ones also take ``"hang(2.5)"``.
            method: HTTP method, or ``*`` for all.
            times: how many requests it strikes.
            seconds: for the hanging kinds; 30 when not said.

        Raises:
            ValueError: an unknown kind.
        """
        name, _, inside = kind.partition("(")
        if name not in KINDS:
            raise ValueError(f"unknown fault {kind!r}; there are {', '.join(KINDS)}")
        if inside:
            seconds = float(inside.rstrip(")"))
        fault = Fault(path=path, kind=name, method=method, seconds=_LONG if seconds is None else seconds)
        with self._turnstile:
            self._planned.extend([fault] * times)

    def pending(self) -> list[Fault]:
        """The faults nobody has met yet."""
        with self._turnstile:
            return list(self._planned)

    def clear(self) -> None:
        """Forget the planned faults and let every hanging request go on."""
        with self._turnstile:
            self._planned.clear()
        self.release()

    def pop(self, method: str, path: str) -> Fault | None:
        """Take the first fault meant for this request."""
        with self._turnstile:
            for position, fault in enumerate(self._planned):
                if fault.strikes(method, path):
                    return self._planned.pop(position)
        return None

    def hang(self, seconds: float) -> None:
        """Block for `seconds`, or until `release`."""
        with self._turnstile:
            generation = self._generation
            self._hanging += 1
            self._turnstile.notify_all()
            self._turnstile.wait_for(lambda: self._generation != generation, timeout=seconds)
            self._hanging -= 1
            self._turnstile.notify_all()

    def await_hanging(self, count: int = 1, *, timeout: float = 5.0) -> bool:
        """Block until `count` requests hang; False when `timeout` seconds passed first."""
        with self._turnstile:
            return self._turnstile.wait_for(lambda: self._hanging >= count, timeout=timeout)

    def release(self) -> None:
        """Let every hanging request go on now."""
        with self._turnstile:
            self._generation += 1
            self._turnstile.notify_all()
