"""The four places where counting can run: each takes tables in, keeps SELECTs under a name, and gives arrays out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Columns = Mapping[str, NDArray[Any]]
"""Arrays of one length by column name: whole numbers, texts, or floats, where NaN stands for NULL."""


class Engine(Protocol):
    """Runs the texts of `sql`, all of them unchanged."""

    def load(self, name: str, columns: Columns, *, append: bool = False) -> None:
        """Keep arrays as a table, in place of one that has the name already; or append them to that."""

    def store(self, name: str, select: str) -> None:
        """Keep what a SELECT gives as a table; one that is there already is taken for finished and stays."""

    def fetch(self, select: str) -> dict[str, NDArray[Any]]:
        """What a SELECT gives, column by column."""


class FileEngine(Engine, Protocol):
    """An engine that also reads order lines from files; see `sources`."""

    def view(self, name: str, select: str) -> None:
        """Show a SELECT as a table without keeping its result."""

    def columns_of(self, paths: Sequence[str]) -> list[str]:
        """The columns of CSV files with a header, or of Parquet files."""

    def show(self, name: str, paths: Sequence[str], fields: Mapping[str, str]) -> None:
        """Show columns of files as a table: `order_id` as it is, `placed_at` in Unix seconds, the others as text.

        Args:
            name: Of the table.
            paths: As in `columns_of`.
            fields: Field of `headers.FIELDS` -> column.
        """


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

    def load(self, name: str, columns: Columns, *, append: bool = False) -> None:
        declared = ", ".join(f"{column} {_declared(values)}" for column, values in columns.items())
        values = ", ".join([self._placeholder] * len(columns))
        with closing(self._connection.cursor()) as cursor:
            if not append:
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

    def load(self, name: str, columns: Columns, *, append: bool = False) -> None:
        self._connection.register("loaded", dict(columns))
        # NaN is a number to DuckDB, the largest one.
        parts = [
            f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END AS {column}" if values.dtype.kind == "f" else column
            for column, values in columns.items()
        ]
        into = f"INSERT INTO {name}" if append else f"CREATE OR REPLACE TABLE {name} AS"
        self._connection.execute(f"{into} SELECT {', '.join(parts)} FROM loaded")
        self._connection.unregister("loaded")

    def store(self, name: str, select: str) -> None:
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS {select}")

    def fetch(self, select: str) -> dict[str, NDArray[Any]]:
        return {name: _filled(column) for name, column in self._connection.execute(select).fetchnumpy().items()}

    def view(self, name: str, select: str) -> None:
        self._connection.execute(f"CREATE OR REPLACE TEMPORARY VIEW {name} AS {select}")

    def columns_of(self, paths: Sequence[str]) -> list[str]:
        return [column for column, *_ in self._connection.execute(f"DESCRIBE SELECT * FROM {_files(paths)}").fetchall()]

    def show(self, name: str, paths: Sequence[str], fields: Mapping[str, str]) -> None:
        shown = _shown(fields, quote='"', text="VARCHAR", seconds="epoch(TRY_CAST({0} AS TIMESTAMP))")
        self.view(name, f"SELECT {shown} FROM {_files(paths)}")

    def close(self) -> None:
        self._connection.close()


class Spark:
    """A Spark session, local or a cluster's. Needs the `[spark]` and `[parquet]` extras, and Java 17.

    Args:
        session: A `pyspark.sql.SparkSession`; stays open.
        folder: Where tables are kept as Parquet: one that the driver and every worker can reach.
    """

    def __init__(self, session: Any, folder: Path) -> None:
        self._session = session
        self._folder = folder

    def load(self, name: str, columns: Columns, *, append: bool = False) -> None:
        import pyarrow
        import pyarrow.parquet

        arrays = {
            column: pyarrow.array(values, mask=np.isnan(values) if values.dtype.kind == "f" else None)
            for column, values in columns.items()
        }
        target = self._folder / name
        if not append:
            shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.table(arrays), target / f"{len(list(target.iterdir()))}.parquet")
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

    def view(self, name: str, select: str) -> None:
        self._session.sql(select).createOrReplaceTempView(name)

    def columns_of(self, paths: Sequence[str]) -> list[str]:
        return list(self._read(paths).columns)

    def show(self, name: str, paths: Sequence[str], fields: Mapping[str, str]) -> None:
        self._read(paths).createOrReplaceTempView("files")
        shown = _shown(fields, quote="`", text="STRING", seconds="CAST(TRY_CAST({0} AS TIMESTAMP) AS DOUBLE)")
        self.view(name, f"SELECT {shown} FROM files")

    def _read(self, paths: Sequence[str]) -> Any:
        if _are_csv(paths):
            return self._session.read.csv([*paths], header=True, escape='"', multiLine=True)
        return self._session.read.parquet(*paths)

    def _show(self, name: str, path: Path) -> None:
        self._session.read.parquet(str(path)).createOrReplaceTempView(name)


def local_spark() -> Any:
    """A session on this machine, or the one that `spark-submit` made.

    Raises:
        ModuleNotFoundError: pyspark is missing.
        RuntimeError: Java is missing.
    """
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "counting on Spark needs pyspark: pip install 'flask-encore[spark,parquet]'"
        ) from None
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise RuntimeError("Spark needs Java 17 or newer: install default-jre-headless, or set JAVA_HOME")
    settings = {"spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC"}
    builder = SparkSession.builder.appName("encore-recommender")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def _shown(fields: Mapping[str, str], *, quote: str, text: str, seconds: str) -> str:
    """The columns of `FileEngine.show`; `seconds` turns the text of a time into Unix seconds."""
    shown = []
    for field, header in fields.items():
        column = f"{quote}{header.replace(quote, 2 * quote)}{quote}"
        as_text = f"CAST({column} AS {text})"
        if field == "order":
            shown.append(f"{column} AS order_id")
        elif field == "time":
            shown.append(f"COALESCE(TRY_CAST({as_text} AS DOUBLE), {seconds.format(as_text)}) AS placed_at")
        else:
            shown.append(f"{as_text} AS {field}")
    return ", ".join(shown)


def _files(paths: Sequence[str]) -> str:
    """Files as DuckDB reads them; all columns of CSV as text, so that SKUs keep their leading zeros."""
    listed = "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"
    return f"read_csv({listed}, header = true, all_varchar = true)" if _are_csv(paths) else f"read_parquet({listed})"


def _are_csv(paths: Sequence[str]) -> bool:
    return paths[0].lower().removesuffix(".gz").endswith(".csv")


def _filled(column: Any) -> NDArray[Any]:
    """NULL becomes NaN among numbers and None among texts."""
    if not np.ma.is_masked(column):
        return np.asarray(column)
    values: NDArray[Any] = column.data.astype(object if column.dtype.kind == "O" else np.float64)
    values[column.mask] = None if column.dtype.kind == "O" else np.nan
    return values


def _declared(values: NDArray[Any]) -> str:
    return {"f": "DOUBLE PRECISION", "O": "TEXT"}.get(values.dtype.kind, "BIGINT")


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
