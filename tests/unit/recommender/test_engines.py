"""Counting on an engine gives the counts of the library itself, to the last unit."""

from __future__ import annotations

import csv
import gzip
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import skip
from numpy.typing import NDArray

from encore_recommender import Baskets
from encore_recommender.counting import count_pairs
from encore_recommender.engines import counts
from encore_recommender.engines.databases import Database, DuckDB, Engine, Spark

Row = tuple[str, str, int, str | None, float | None, bool]
"""Order, SKU, quantity, customer, Unix time, sold by an offer."""

HISTORY = Path(
    os.environ.get("ENCORE_REAL_DATA") or Path(__file__).parents[4] / "shared" / "data" / "online_retail_2011.csv.gz"
)


@pytest.fixture(scope="session")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One local Spark for all tests: starting it takes ten seconds."""
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        skip("pyspark is missing: make .venv/.measures")
    if shutil.which("java") is None:
        skip("Java is missing: install openjdk-17-jre-headless")
    folder = tmp_path_factory.mktemp("spark")
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(folder))
        .config("spark.local.dir", str(folder))
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        "duckdb",
        pytest.param("spark", marks=pytest.mark.long),
    ]
)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Each of the four, empty."""
    if request.param == "sqlite":
        with sqlite3.connect(":memory:") as connection:
            yield Database(connection, placeholder="?")
        connection.close()
    elif request.param == "postgresql":
        import psycopg

        server = request.getfixturevalue("postgresql_server").replace("+psycopg", "")
        with psycopg.connect(server) as connection:
            yield Database(connection, placeholder="%s")
            connection.rollback()
    elif request.param == "duckdb":
        duckdb = DuckDB(tmp_path / "duckdb", memory_mb=500, threads=1)
        yield duckdb
        duckdb.close()
    else:
        yield Spark(request.getfixturevalue("spark_session"), tmp_path / "spark")


def in_memory(baskets: Baskets, *, max_lines: int = 500) -> tuple[list[str], NDArray[Any]]:
    """The products, best-seller first, and all pairs, counted by the library itself."""
    orders = baskets.without_upsell()
    counted = orders.take(orders.sizes <= max_lines)
    bought = np.bincount(counted.items, minlength=len(counted.skus))
    ranked = np.argsort(-bought, kind="stable")[: np.count_nonzero(bought)]
    item = np.empty(len(counted.skus), dtype=np.int64)
    item[ranked] = np.arange(len(ranked))
    once = count_pairs(counted)
    low, high = item[once.pairs >> 32], item[once.pairs & 0xFFFFFFFF]
    pairs = np.empty(2 * len(low), dtype=counts.PAIR)
    pairs["item"], pairs["other"] = np.concatenate([low, high]), np.concatenate([high, low])
    for name in ("together", "by_root", "by_size"):
        pairs[name] = np.tile(getattr(once, name), 2)
    return [counted.skus[i] for i in ranked.tolist()], np.sort(pairs, order=["item", "other"])


def numbered(rows: list[Row], baskets: Baskets) -> dict[str, NDArray[Any]]:
    """The table `lines` of rows as a shop has them: repeated, in any order."""
    orders = {ref: number for number, ref in enumerate(dict.fromkeys(row[0] for row in rows))}
    products = {sku: number for number, sku in enumerate(baskets.skus)}
    return {
        "order_id": np.array([orders[row[0]] for row in rows]),
        "product": np.array([products[row[1]] for row in rows]),
        "upsell": np.array([int(row[5]) for row in rows]),
        "placed_at": np.array([np.nan if row[4] is None else row[4] for row in rows]),
    }


def real_rows(n: int) -> list[Row]:
    """The first sold lines of the Online Retail history."""
    if not HISTORY.exists():
        skip(f"there is no order history at {HISTORY}; set ENCORE_REAL_DATA")
    with gzip.open(HISTORY, "rt", newline="") as file:
        sold = (row for row in csv.DictReader(file) if row["sku"] and int(row["quantity"]) > 0)
        return [
            (
                row["order_id"],
                row["sku"],
                1,
                None,
                datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp(),
                False,
            )
            for row in islice(sold, n)
        ]


def counted_on(engine: Engine, rows: list[Row], folder: Path, **options: Any) -> tuple[list[str], NDArray[Any]]:
    baskets = Baskets.from_rows(rows)
    engine.load("lines", numbered(rows, baskets))
    found = counts.count(engine, folder, **options)
    return [baskets.skus[i] for i in found.product.tolist()], np.concatenate(list(found.pairs()))


def hard_rows(n_orders: int = 400) -> list[Row]:
    """Repeated lines, lines an offer sold wholly or in part, orders of 1 to 30 lines, some without a time."""
    rng = np.random.default_rng(5)
    rows: list[Row] = []
    for order in range(n_orders):
        at = None if order % 7 == 0 else float(rng.integers(0, 400 * 86_400)) + 0.25
        for _ in range(int(rng.choice([1, 2, 3, 5, 30]))):
            rows.append((f"o{order}", f"p{int(rng.zipf(1.3)) % 60}", 1, None, at, bool(rng.random() < 0.2)))
    return rows


def test_every_engine_counts_breakfast_as_by_hand(engine: Engine, breakfast_rows: list[Any], tmp_path: Path) -> None:
    rows = [(order, sku, 1, None, None, False) for order, sku in breakfast_rows]
    skus, pairs = counted_on(engine, rows, tmp_path / "parts")
    assert skus == ["bread", "butter", "jam", "milk", "tea"]
    assert {(skus[i], skus[j]): n for i, j, n in pairs[["item", "other", "together"]].tolist() if i < j} == {
        ("bread", "butter"): 3,
        ("bread", "jam"): 2,
        ("butter", "jam"): 1,
        ("milk", "tea"): 2,
    }


def test_every_engine_counts_a_hard_history_as_the_library_does(engine: Engine, tmp_path: Path) -> None:
    rows = hard_rows()
    skus, pairs = counted_on(engine, rows, tmp_path / "parts", max_lines=12)
    expected_skus, expected = in_memory(Baskets.from_rows(rows), max_lines=12)
    assert skus == expected_skus
    assert np.array_equal(pairs, expected)


@pytest.mark.real_data
def test_every_engine_counts_a_real_history_as_the_library_does(engine: Engine, tmp_path: Path) -> None:
    rows = real_rows(20_000)
    skus, pairs = counted_on(engine, rows, tmp_path / "parts", max_lines=60)
    expected_skus, expected = in_memory(Baskets.from_rows(rows), max_lines=60)
    assert skus == expected_skus
    assert np.array_equal(pairs, expected)


def test_every_engine_keeps_the_same_strongest_pairs(engine: Engine, tmp_path: Path) -> None:
    rows = hard_rows()
    skus, pairs = counted_on(engine, rows, tmp_path / "parts", top_k=3)
    _, every = in_memory(Baskets.from_rows(rows))
    best_first = np.lexsort((every["other"], -every["together"], -every["by_size"], every["item"]))
    place = np.arange(len(every)) - np.searchsorted(every["item"], every["item"][best_first])
    expected = np.sort(every[best_first][place < 3], order=["item", "other"])
    assert len(expected) == 3 * len(skus)
    assert np.array_equal(pairs, expected)
