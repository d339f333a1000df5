"""Work with a deadline: run it beside the request, and walk away from it when the time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

T = TypeVar("T")

#: Threads that may be lost to work that never comes back. More than a worker process serves requests at one time.
LANES = 16


class OverBudget(Exception):
    """The work took longer than it may."""


class Lanes:
    """Runs work for at most so long.

    A thread cannot be ended from outside: one whose work never returns is lost, so there are only so many. They are
    daemons made for each call, so that none holds up the end of the process, and a fork begins with none of them.

    Args:
        name: Of the threads, for whoever reads a stack dump.
    """

    def __init__(self, name: str, *, lanes: int = LANES) -> None:
        self._name = name
        self._free = threading.Semaphore(lanes)

    def run(self, work: Callable[[], T], *, seconds: float) -> T:
        """What *work* answers, or raises, within *seconds*; a free lane is waited for out of the same time.

        Raises:
            OverBudget: If there is no answer by then. The work may still end, and do what it does, later.
        """
        deadline = time.monotonic() + seconds
        if not self._free.acquire(timeout=seconds):
            raise OverBudget(f"all lanes of {self._name} were taken for {seconds * 1000:.0f} ms")
        answer: Future[T] = Future()
        try:
            threading.Thread(target=self._drive, args=(work, answer), name=self._name, daemon=True).start()
        except RuntimeError:
            self._free.release()
            raise
        try:
            error = answer.exception(timeout=max(0.0, deadline - time.monotonic()))
        except FutureTimeout:
            raise OverBudget(f"{self._name} took over {seconds * 1000:.0f} ms") from None
        if error is not None and not isinstance(error, Exception):
            # A SystemExit of somebody's model must not end the request that asked it.
            raise RuntimeError(f"{self._name} ended with {error!r}") from error
        return answer.result()

    def _drive(self, work: Callable[[], T], answer: Future[T]) -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)
        finally:
            self._free.release()
