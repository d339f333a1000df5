"""The worker: do a round, wait. In the web process as one daemon thread, or alone as ``flask encore work``.

Any number of workers may run at once, in any process: every piece of work is taken by a single-statement
compare-and-swap.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from flask_encore.services import retention, rolling, sending, uplift
from flask_encore.services.recovering import sweep
from flask_encore.services.runtime import Runtime, logger

#: Seconds between two looks when nobody calls: what is due is due to the minute.
PERIOD = 15.0

#: Seconds between two countings for the reports, where they have a thread of their own.
COUNT_PERIOD = 60.0


class Worker:
    """Runs a round when woken, and every *period* seconds.

    Args:
        run: Does one round; `extension` wraps `sweep` in an app context for the host's handlers.
        wanted: Asked whenever the thread might start: False keeps it from starting.
        name: Of its thread.
    """

    def __init__(
        self,
        run: Callable[[], object],
        *,
        wanted: Callable[[], bool] = lambda: True,
        period: float = PERIOD,
        name: str = "encore-worker",
    ) -> None:
        self._run = run
        self._wanted = wanted
        self._period = period
        self._name = name
        self._ended = threading.Event()
        self._be_born()

    def _be_born(self) -> None:
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._called = threading.Event()
        self._starting = threading.Lock()

    def start(self) -> None:
        """Run in a thread of this process, unless one runs: a fork has none and gets its own."""
        if self._pid != os.getpid():
            # The thread stayed with the parent, and whatever lock it held at that moment is held here for good.
            self._be_born()
        if self.is_alive or self._ended.is_set() or not self._wanted():
            return
        with self._starting:
            if not self.is_alive:
                thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                try:
                    thread.start()
                    self._thread = thread
                except RuntimeError:
                    # No thread to be had now. The next request tries again; this one must not fail for it.
                    logger.exception("the worker could not start")

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs in this process."""
        return self._pid == os.getpid() and self._thread is not None and self._thread.is_alive()

    def wake(self) -> None:
        """There is something to do now."""
        self.start()
        self._called.set()

    def loop(self) -> None:
        """Work in this thread until `stop`."""
        self._loop()

    def stop(self) -> None:
        """Finish the round and end."""
        self._ended.set()
        self._called.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=30)

    def _loop(self) -> None:
        while not self._ended.is_set():
            self._called.clear()
            try:
                self._run()
            except Exception:
                # A worker that dies of one bad minute is found stuck on Monday.
                logger.exception("a round of the worker failed")
            self._called.wait(self._period)


def work_once(rt: Runtime, *, aside: bool = False) -> None:
    """One round: everything due, once. Webhooks are on their way afterwards, and nothing waits for them.

    Args:
        aside: Somebody else calls `count_once`, which may take a minute in a large shop.
    """
    try:
        sweep(rt)
    finally:
        sending.send(rt)
    retention.tend(rt)
    if not aside:
        count_once(rt)


def count_once(rt: Runtime) -> None:
    """Count for the reports what is due: some days, and one answer about all customers.

    Whoever waits for money or mail must not wait for a report, so a failure ends here. Pages count days themselves.
    """
    try:
        rolling.refresh(rt)
        uplift.count_due(rt)
    except Exception:
        rt.counts.add("reports_failed")
        logger.exception("the reports could not be counted")
