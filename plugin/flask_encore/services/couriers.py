"""Who carries messages to endpoints: one thread for each endpoint that something is due for, a few at one time.

An endpoint that is slow keeps its own courier and nobody else's, and no request ever waits for one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable

#: Endpoints served at one time in one process: more than a shop has, and few enough threads to lose to slow ones.
COURIERS = 8


class Couriers:
    """Runs at most one piece of work per endpoint, and so many at one time."""

    def __init__(self, *, couriers: int = COURIERS, name: str = "encore-webhook") -> None:
        self._couriers = couriers
        self._name = name
        self._be_born()

    def _be_born(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._out: dict[int, threading.Thread] = {}

    def send(self, endpoints: Iterable[int], work: Callable[[int], object]) -> list[threading.Thread]:
        """Begin *work* for each of *endpoints* that has no courier yet, as far as there are couriers; the others are
        left for the next time. Does not wait.
        """
        if self._pid != os.getpid():
            # The threads stayed with the parent, and whatever lock was held at that moment is held here for good.
            self._be_born()
        begun = []
        for endpoint in endpoints:
            with self._lock:
                if endpoint in self._out or len(self._out) >= self._couriers:
                    continue
                thread = threading.Thread(target=self._carry, args=(endpoint, work), name=self._name, daemon=True)
                self._out[endpoint] = thread
            try:
                thread.start()
            except RuntimeError:
                with self._lock:
                    del self._out[endpoint]
                break
            begun.append(thread)
        return begun

    def wait(self, seconds: float) -> bool:
        """Wait for those under way; whether all came back within *seconds*."""
        deadline = time.monotonic() + seconds
        if self._pid != os.getpid():
            return True
        with self._lock:
            under_way = list(self._out.values())
        for thread in under_way:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in under_way)

    def _carry(self, endpoint: int, work: Callable[[int], object]) -> None:
        try:
            work(endpoint)
        finally:
            with self._lock:
                self._out.pop(endpoint, None)
