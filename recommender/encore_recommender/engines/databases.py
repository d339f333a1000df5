"""The four places where counting can run: each takes tables in, keeps SELECTs under a name, and gives arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Columns = Mapping[str, NDArray[Any]]
"""Arrays of one length by column name: whole numbers, or floats, where NaN stands for NULL."""


class Engine(Protocol):
    """Runs the texts of `sql`, all of them unchanged."""

    def load(self, name: str, columns: Columns) -> None:
        """Keep arrays as a table, in place of one that has the name already."""

    def store(self, name: str, select: str) -> None:
        """Keep what a SELECT gives as a table; one that is there already is taken for finished and stays."""

    def fetch(self, select: str) -> dict[str, NDArray[Any]]:
        """What a SELECT gives, column by column."""


class Database:
    """A database behind a DB-API connection: SQLite (`sqlite3`) or PostgreSQL (`psycopg`).

    Tables are temporary: they vanish with the connection, and no table of the shop is in their way.

    Args:
        connection: Open; stays open. Statements run in the caller's transaction.
        placeholder: How the driver writes a value: `?` or `%s`.
    """

    def __init__(self, connection: Any, *, placeholder: str) -> None:
        self._connection = connection
        self._placeholder = placeholder

    def load(self, name: str, columns: Columns) -> None:
        declared = ", ".join(f"{column} {_declared(values)}" for column, values in columns.items())
        values = ", ".join([self._placeholder] * len(columns))
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
            cursor.execute(f"CREATE TEMPORARY TABLE {name} ({declared})")
            rows = zip(*(_plain(values) for values in columns.values()), strict=True)
            cursor.executemany(f"INSERT INTO {name} VALUES ({values})", rows)

    def store(self, name: str, select: str) -> None:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} AS {select}")
            cursor.execute("ANALYZE")

    def fetch(self, select: str) -> dict[str, NDArray[Any]]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(select)
            names = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
        columns = zip(*rows, strict=True) if rows else ([] for _ in names)
        return {name: _numbers(column) for name, column in zip(names, columns, strict=True)}


class DuckDB:
    """One file, any amount of lines: what does not fit in memory goes to disk. Needs the `[big]` extra.

    Args:
        folder: Holds the database and what is spilled; made if absent.
        memory_mb: DuckDB's own share of memory; the process takes some 300 MB more.
        threads: As many as there are processors when not given.
    """

    def __init__(self, folder: Path, *, memory_mb: int, threads: int | None = None) -> None:
        try:
            import duckdb
        except ModuleNotFoundError:
            raise ModuleNotFoundError("counting out of core needs DuckDB: pip install 'flask-encore[big]'") from None

        folder.mkdir(parents=True, exist_ok=True)
        self._connection = duckdb.connect(str(folder / "lines.duckdb"))
        self._connection.execute(f"SET memory_limit = '{memory_mb}MB'")
        self._connection.execute(f"SET temp_directory = '{_quoted(folder / 'spilled')}'")
        # Rows need no order but the one a statement asks for; keeping it would keep them in memory.
        self._connection.execute("SET preserve_insertion_order = false")
        if threads is not None:
            self._connection.execute(f"SET threads = {threads}")

    def load(self, name: str, columns: Columns) -> None:
        self._connection.register("loaded", dict(columns))
        # NaN is a number to DuckDB, the largest one.
        parts = [
            f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END AS {column}" if values.dtype.kind == "f" else column
            for column, values in columns.items()
        ]
        self._connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT {', '.join(parts)} FROM loaded")
        self._connection.unregister("loaded")

    def store(self, name: str, select: str) -> None:
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS {select}")

    def fetch(self, select: str) -> dict[str, NDArray[Any]]:
        found = self._connection.execute(select).fetchnumpy()
        return {
            name: np.ma.filled(column.astype(np.float64), np.nan) if np.ma.is_masked(column) else np.asarray(column)
            for name, column in found.items()
        }

    def stored(self, name: str) -> bool:
        """Whether a table is there."""
        return bool(self._connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [name]).fetchall())

    def drop(self, name: str) -> None:
        """Give up a table that is no longer needed, and its disk space."""
        self._connection.execute(f"DROP TABLE IF EXISTS {name}")

    def close(self) -> None:
        self._connection.close()


class Spark:
    """A Spark session, local or a cluster's. Needs the `[spark]` and `[parquet]` extras, and Java 17.

    Args:
        session: A `pyspark.sql.SparkSession`; stays open.
        folder: Where tables are kept as Parquet: a path or URL that the driver and every worker can reach.
    """

    def __init__(self, session: Any, folder: Path) -> None:
        self._session = session
        self._folder = folder

    def load(self, name: str, columns: Columns) -> None:
        import pyarrow
        import pyarrow.parquet

        arrays = {
            column: pyarrow.array(values, mask=np.isnan(values) if values.dtype.kind == "f" else None)
            for column, values in columns.items()
        }
        target = self._folder / f"{name}.parquet"
        self._folder.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.table(arrays), target)
        self._show(name, target)

    def store(self, name: str, select: str) -> None:
        target = self._folder / name
        # Spark writes this empty file last.
        if not (target / "_SUCCESS").exists():
            self._session.sql(select).write.mode("overwrite").parquet(str(target))
        self._show(name, target)

    def fetch(self, select: str) -> dict[str, NDArray[Any]]:
        import pyarrow.dataset

        # Over files and not through the driver's Java memory, which a table of pairs would burst.
        target = self._folder / "fetched"
        self._session.sql(select).write.mode("overwrite").parquet(str(target))
        table = pyarrow.dataset.dataset(str(target), format="parquet").to_table()
        return {name: table.column(name).to_numpy() for name in table.column_names}

    def _show(self, name: str, path: Path) -> None:
        self._session.read.parquet(str(path)).createOrReplaceTempView(name)


def _declared(values: NDArray[Any]) -> str:
    return "DOUBLE PRECISION" if values.dtype.kind == "f" else "BIGINT"


def _plain(values: NDArray[Any]) -> Sequence[Any]:
    listed: list[Any] = values.tolist()
    return [None if value != value else value for value in listed] if values.dtype.kind == "f" else listed


def _numbers(column: Sequence[Any]) -> NDArray[Any]:
    """Whole numbers where all are, or there is none; NULL becomes NaN."""
    if not len(column):
        return np.zeros(0, dtype=np.int64)
    return np.array(column, dtype=np.float64 if None in column else None)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
