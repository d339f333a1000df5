"""One engine, two ways to use it: a read that opens no transaction, and a write that begins with its write.

SQLite refuses at once, whatever the busy timeout, a transaction that reads first and writes later while another
writer was quicker. So a write transaction begins with BEGIN IMMEDIATE there, and reads run in autocommit. On
PostgreSQL the same two verbs are READ COMMITTED and autocommit.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from flask_encore.domain.errors import ConfigurationError

#: What every statement may raise: the database is away, locked for too long, full, or refuses.
StoreError = SQLAlchemyError

#: Longer than any of our write transactions by three orders of magnitude; a shopper would rather wait than fail.
BUSY_TIMEOUT_MS = 10_000

#: Between two tries to switch a new file to WAL; as long as a small commit on a slow disk.
WAL_RETRY_SECONDS = 0.01


class Database:
    """Encore's connections.

    Args:
        engine: Any SQLAlchemy engine, or a URL. A SQLite file is always opened by an engine of our own, because the
            settings above belong to the connection.
        patience_ms: How long a statement on the thank-you page may wait for a lock, milliseconds.

    Raises:
        ConfigurationError: If it is not a SQLite file or a PostgreSQL database, or its driver is missing.
    """

    def __init__(self, engine: sa.Engine | str, *, patience_ms: int) -> None:
        url = engine.url if isinstance(engine, sa.Engine) else _url(engine)
        self.is_sqlite = _is_sqlite(url)
        self._patience_ms = patience_ms
        self._is_guest = False
        if self.is_sqlite:
            self.engine = _sqlite(url, BUSY_TIMEOUT_MS)
            self._hasty = _sqlite(url, patience_ms)
        elif isinstance(engine, sa.Engine):
            self.engine = self._hasty = engine
            self._is_guest = True
        else:
            self.engine = _postgresql(url, BUSY_TIMEOUT_MS, pool_pre_ping=True)
            self._hasty = _postgresql(url, patience_ms, statement_timeout_ms=patience_ms)
        _OPEN.add(self)

    @contextmanager
    def read(self, *, hasty: bool = False) -> Iterator[sa.Connection]:
        """A connection in autocommit: no transaction is left open, however long the caller thinks."""
        engine = self._hasty if hasty else self.engine
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    @contextmanager
    def stream(self) -> Iterator[sa.Connection]:
        """A connection for one long read, fetched in pieces: a transaction, because server-side cursors need one."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection for several reads that all see the database as it was at the first of them."""
        with self.engine.connect() as connection:
            if not self.is_sqlite:
                # SQLite's transactions are like that anyway.
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def write(self, *, hasty: bool = False) -> Iterator[sa.Connection]:
        """A transaction that holds the right to write from its first moment; commits at the end, or rolls back."""
        engine = self._hasty if hasty else self.engine
        with engine.connect() as connection:
            if self.is_sqlite:
                connection.execution_options(encore_write=True)
            with connection.begin():
                if self._is_guest:
                    # The host's connections keep the host's settings, so ours last for this transaction only.
                    patience = self._patience_ms if hasty else BUSY_TIMEOUT_MS
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {patience}")
                yield connection

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
        self._hasty.dispose()

    def leave_to_parent(self) -> None:
        """In a forked process: forget the connections without closing them; the parent is still talking on them."""
        self.engine.dispose(close=False)
        self._hasty.dispose(close=False)


#: Of this process. A server that loads the app and then forks must not share one connection between its workers.
_OPEN: weakref.WeakSet[Database] = weakref.WeakSet()


def _after_fork() -> None:
    for database in list(_OPEN):
        database.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _url(text: str) -> sa.URL:
    try:
        return sa.make_url(text)
    except ArgumentError as error:
        raise ConfigurationError(
            "ENCORE_DATABASE_URI has to be a SQLAlchemy URL such as postgresql+psycopg://localhost/shop."
        ) from error


def _is_sqlite(url: sa.URL) -> bool:
    backend = url.get_backend_name()
    if backend not in {"sqlite", "postgresql"}:
        raise ConfigurationError(
            f"Encore's tables live on SQLite or PostgreSQL, not on {backend!r}; "
            "set ENCORE_DATABASE_URI to sqlite:///… or postgresql+psycopg://…."
        )
    if backend == "sqlite" and (not url.database or ":memory:" in url.database or url.query.get("mode") == "memory"):
        raise ConfigurationError(
            "A SQLite database in memory is another one for every connection; give Encore a file: set "
            "ENCORE_DATABASE_URI to sqlite:////path/to/encore.sqlite3, or leave it out for one in the instance folder."
        )
    return backend == "sqlite"


def _postgresql(url: sa.URL, lock_timeout_ms: int, *, statement_timeout_ms: int = 0, **options: Any) -> sa.Engine:
    """An engine that neither waits for a lock, nor for a server or a free connection, longer than it says."""
    seconds = max(lock_timeout_ms / 1000, 0.01)
    if url.get_driver_name().startswith("psycopg") and "connect_timeout" not in url.query:
        # libpq counts whole seconds, from two up.
        options["connect_args"] = {"connect_timeout": max(2, round(seconds))}
    try:
        engine = sa.create_engine(url, pool_timeout=seconds, **options)
    except (ImportError, SQLAlchemyError) as error:
        raise ConfigurationError(
            f"The database driver {url.get_driver_name()!r} cannot be used ({error}); "
            "install flask-encore[postgresql] and set ENCORE_DATABASE_URI to postgresql+psycopg://…."
        ) from error

    # By statement and not by connection option: an option would replace the URL's own, and poolers refuse them.
    @sa.event.listens_for(engine, "connect")
    def _prepare(dbapi_connection: Any, _record: Any) -> None:
        cursor = dbapi_connection.cursor()
        cursor.execute(f"SET lock_timeout = {lock_timeout_ms}")
        cursor.execute(f"SET statement_timeout = {statement_timeout_ms}")
        cursor.close()
        dbapi_connection.commit()

    return engine


def _sqlite(url: sa.URL, busy_timeout_ms: int) -> sa.Engine:
    assert url.database
    if not url.database.startswith("file:"):
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"The folder of Encore's database cannot be made ({error}); set ENCORE_DATABASE_URI to another file."
            ) from error
    engine = sa.create_engine(url, pool_timeout=busy_timeout_ms / 1000)

    @sa.event.listens_for(engine, "connect")
    def _prepare(dbapi_connection: Any, _record: Any) -> None:
        # Our BEGINs are explicit: the driver's own come too late for a write that begins with BEGIN IMMEDIATE.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={busy_timeout_ms}")
        _into_wal(cursor, busy_timeout_ms)
        # NORMAL may lose the last commits on power loss, and a claim lost after its charge is a charge without a line.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get("encore_write"):
            _say(connection, "BEGIN IMMEDIATE")
        elif options.get("isolation_level") != "AUTOCOMMIT":
            _say(connection, "BEGIN")

    return engine


def _into_wal(cursor: sqlite3.Cursor, patience_ms: int) -> None:
    """Switch a new file to WAL, once in its life.

    For this one statement SQLite refuses at once when another process is writing, whatever the busy timeout: several
    workers that open a new shop at one moment would find it locked.
    """
    deadline = time.monotonic() + patience_ms / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(WAL_RETRY_SECONDS)


def _say(connection: sa.Connection, begin: str) -> None:
    try:
        connection.connection.cursor().execute(begin)
    except sqlite3.Error as error:
        # This is where SQLite tells that the database is locked; callers expect it as SQLAlchemy tells things.
        raise OperationalError(begin, None, error) from error
