"""One engine, two ways to use it: a read that opens no transaction, and a write that begins with its write.

SQLite refuses at once, whatever the busy timeout, a transaction that reads first and writes later while another
writer was quicker. So a write transaction begins with BEGIN IMMEDIATE there, and reads run in autocommit. On
PostgreSQL the same two verbs are READ COMMITTED and autocommit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

#: What every statement may raise: the database is away, locked for too long, full, or refuses.
StoreError = SQLAlchemyError

#: Longer than any of our write transactions by three orders of magnitude; a shopper would rather wait than fail.
BUSY_TIMEOUT_MS = 10_000


class Database:
    """Encore's connections.

    Args:
        engine: Any SQLAlchemy engine, or a URL. A SQLite file is always opened by an engine of our own, because the
            settings above belong to the connection.
        patience_ms: How long a statement on the thank-you page may wait for a lock, milliseconds.
    """

    def __init__(self, engine: sa.Engine | str, *, patience_ms: int) -> None:
        url = engine.url if isinstance(engine, sa.Engine) else sa.make_url(engine)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            if url.database and not url.database.startswith("file:") and url.database != ":memory:":
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = _sqlite(url, BUSY_TIMEOUT_MS)
            self._hasty = _sqlite(url, patience_ms)
        elif isinstance(engine, sa.Engine):
            self.engine = self._hasty = engine
        else:
            self.engine = sa.create_engine(url, pool_pre_ping=True)
            limits = f"-c lock_timeout={patience_ms} -c statement_timeout={patience_ms}"
            self._hasty = sa.create_engine(url, connect_args={"options": limits})

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
    def write(self, *, hasty: bool = False) -> Iterator[sa.Connection]:
        """A transaction that holds the right to write from its first moment; commits at the end, or rolls back."""
        engine = self._hasty if hasty else self.engine
        with engine.connect() as connection:
            if self.is_sqlite:
                connection.execution_options(encore_write=True)
            with connection.begin():
                yield connection

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
        self._hasty.dispose()


def _sqlite(url: sa.URL, busy_timeout_ms: int) -> sa.Engine:
    engine = sa.create_engine(url)

    @sa.event.listens_for(engine, "connect")
    def _prepare(dbapi_connection: Any, _record: Any) -> None:
        # Our BEGINs are explicit: the driver's own come too late for a write that begins with BEGIN IMMEDIATE.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={busy_timeout_ms}")
        cursor.execute("PRAGMA journal_mode=WAL")
        # NORMAL may lose the last commits on power loss, and a claim lost after its charge is a charge without a line.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get("encore_write"):
            connection.connection.cursor().execute("BEGIN IMMEDIATE")
        elif options.get("isolation_level") != "AUTOCOMMIT":
            connection.connection.cursor().execute("BEGIN")

    return engine
