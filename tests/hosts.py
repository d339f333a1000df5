"""Bad company for a host shop: a locked database, eight threads at one moment, a port where nobody listens."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

#: Runs a test of the ``database_uri`` fixture on PostgreSQL only.
on_postgresql = pytest.mark.parametrize(
    "database_uri", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)


def together(count: int, run: Callable[[int], object]) -> list[Any]:
    """What *run* answers, or raises, in *count* threads that start at one moment."""
    barrier = threading.Barrier(count)

    def one(number: int) -> object:
        barrier.wait(timeout=30)
        try:
            return run(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@contextmanager
def write_locked(path: Path) -> Iterator[None]:
    """Somebody else holds SQLite's one write lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def closed_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
