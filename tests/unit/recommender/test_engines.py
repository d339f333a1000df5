"""Counting on an engine gives the counts of the library itself, to the last unit."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import os
import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from conftest import skip
from numpy.typing import NDArray

from encore_recommender import Baskets, CoPurchaseModel, CoPurchaseRecommender
from encore_recommender.counting import count_pairs
from encore_recommender.engines import counts
from encore_recommender.engines.databases import Database, DuckDB, Engine
from encore_recommender.engines.fitting import fit
from encore_recommender.engines.parts import OtherPlan, Progress
from encore_recommender.neighbours import SIZES

Row = tuple[str, str, int, str | None, float | None, bool]
"""Order, SKU, quantity, customer, Unix time, sold by an offer."""

HISTORY = Path(
    os.environ.get("ENCORE_REAL_DATA") or Path(__file__).parents[4] / "shared" / "data" / "online_retail_2011.csv.gz"
)


@pytest.fixture
def spark(tmp_path: Path) -> Iterator[Any]:
    """A Spark session on this machine, with as little machinery as it takes."""
    if importlib.util.find_spec("pyspark") is None:
        skip("pyspark is missing: make .venv/.spark")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        skip("Java is missing: install default-jre-headless")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyspark's own, about the pandas beside it
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[1]")
        for key, value in {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            "spark.driver.memory": "512m",
            "spark.local.dir": str(tmp_path),
            "spark.log.level": "ERROR",
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
        }.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql), "duckdb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Each of the three that start at once, empty."""
    if request.param == "sqlite":
        with closing(sqlite3.connect(":memory:")) as connection:
            yield Database(connection, placeholder="?")
    elif request.param == "postgresql":
        import psycopg

        server = request.getfixturevalue("postgresql_server").replace("+psycopg", "")
        with psycopg.connect(server) as connection:
            yield Database(connection, placeholder="%s")
            connection.rollback()
    else:
        duckdb = DuckDB(tmp_path / "duckdb", memory_mb=500, threads=1)
        yield duckdb
        duckdb.close()


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


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """The hard history as a shop exports it, with rows that are no sales."""
    file = tmp_path / "orders.csv"
    with file.open("w", newline="") as handle:
        written = csv.writer(handle)
        written.writerow(["Order ID", "SKU", "Quantity", "Date", "Upsell", "Category"])
        for order, sku, quantity, _, at, upsell in hard_rows():
            when = "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
            written.writerow([order, sku, quantity, when, "yes" if upsell else "", f"c{len(sku)}"])
        written.writerow(["o1", "p1", -1, "", "", ""])
        written.writerow(["o1", "POSTAGE", 1, "", "", ""])
        written.writerow(["o2", "p2", "many", "", "", ""])
    return file


def same_model(one: CoPurchaseModel, other: CoPurchaseModel) -> bool:
    """To the last bit."""
    return one.skus == other.skus and all(
        np.array_equal(getattr(one.tables[size], part), getattr(other.tables[size], part))
        for size in SIZES
        for part in ("start", "items", "weights", "together")
    )


def test_a_fit_on_duckdb_is_the_fit_in_memory_to_the_last_bit(history: Path, tmp_path: Path) -> None:
    fitted = fit([history], workdir=tmp_path / "work", memory_mb=500, estimator=CoPurchaseRecommender(max_lines=12))
    expected = CoPurchaseRecommender(max_lines=12).fit(
        Baskets.from_rows(hard_rows(), categories=fitted.opened.described["category"])
    )
    assert fitted.choice == expected.choice_
    assert same_model(fitted.model, expected.model_)
    assert fitted.n_orders == expected.n_orders_
    assert fitted.orders_left_out == expected.orders_left_out_ > 0
    assert fitted.model.recommend(["p1"], k=3) == expected.recommend(["p1"], k=3)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_spark_gives_the_counts_and_the_model_of_memory(history: Path, tmp_path: Path, spark: Any) -> None:
    estimator = CoPurchaseRecommender(max_lines=12, tune=False)
    fitted = fit([history], engine="spark", workdir=tmp_path / "work", estimator=estimator, session=spark)
    baskets = Baskets.from_rows(hard_rows(), categories=fitted.opened.described["category"])
    skus, expected = in_memory(baskets, max_lines=12)
    assert list(fitted.model.skus) == skus
    assert np.array_equal(np.load(tmp_path / "work" / "pairs" / "part-00000.npy"), expected)
    assert same_model(fitted.model, estimator.fit(baskets).model_)


def test_rows_that_are_no_sales_are_counted_by_reason(history: Path, tmp_path: Path) -> None:
    opened = fit([history], workdir=tmp_path / "work", estimator=CoPurchaseRecommender(tune=False)).opened
    assert opened.rows == len(hard_rows()) + 3
    assert opened.kept == len(hard_rows())
    assert opened.left_out == {"quantity below zero, a return": 1, "postage": 1, "quantity is not a number": 1}


def test_a_count_that_was_stopped_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rows = hard_rows()
    whole = counted_in_parts(rows, tmp_path / "whole")
    with pytest.raises(Stopped):
        counted_in_parts(rows, tmp_path / "stopped", stop_after=2)
    finished = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "stopped").glob("part-*.npy")}
    assert sorted(finished) == ["part-00000.npy", "part-00001.npy"]

    told: list[Progress] = []
    resumed = counted_in_parts(rows, tmp_path / "stopped", progress=told.append)

    assert 0.0 < told[0].share < 1.0 == told[-1].share
    assert {name: (tmp_path / "stopped" / name).stat().st_mtime_ns for name in finished} == finished
    assert [file.read_bytes() for file in resumed] == [file.read_bytes() for file in whole]
    assert len(whole) > 4


def test_weighing_some_orders_at_a_time_changes_nothing(tmp_path: Path) -> None:
    whole = [file.read_bytes() for file in counted_in_parts(hard_rows(), tmp_path / "whole")]
    with patch.object(counts, "ORDERS_AT_ONCE", 50):
        assert [file.read_bytes() for file in counted_in_parts(hard_rows(), tmp_path / "cut")] == whole


def test_a_part_that_was_damaged_is_counted_again(tmp_path: Path) -> None:
    rows = hard_rows()
    whole = [file.read_bytes() for file in counted_in_parts(rows, tmp_path)]
    file = tmp_path / "part-00001.npy"
    file.write_bytes(whole[1][:-1] + bytes([whole[1][-1] ^ 1]))
    assert [file.read_bytes() for file in counted_in_parts(rows, tmp_path)] == whole


def test_parts_of_another_count_are_refused_and_left_alone(tmp_path: Path) -> None:
    before = [file.read_bytes() for file in counted_in_parts(hard_rows(), tmp_path)]
    with pytest.raises(OtherPlan, match="choose an empty folder, or delete it"):
        counted_in_parts(hard_rows(), tmp_path, max_lines=3)
    assert [file.read_bytes() for file in sorted(tmp_path.glob("part-*.npy"))] == before


def test_progress_tells_the_rate_and_the_time_left() -> None:
    told = Progress(done=300, total=1_000, seconds=10.0, seconds_left=70.0, step="counting pairs")
    assert told.sentence() == "counting pairs: 30%, 10 pairs a second, 70 s left"


def test_an_engine_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no engine 'hadoop': duckdb counts on this machine, spark on many"):
        fit([tmp_path / "orders.csv"], engine="hadoop", workdir=tmp_path)


class Stopped(Exception):
    """As if the power went."""


def counted_in_parts(
    rows: list[Row],
    folder: Path,
    *,
    stop_after: int | None = None,
    max_lines: int = 12,
    progress: Callable[[Progress], None] = lambda told: None,
) -> list[Path]:
    """The files of a count in parts of some thousand pairs, stopped in the middle of a part if asked."""
    with closing(sqlite3.connect(":memory:")) as connection:
        engine = Database(connection, placeholder="?")
        engine.load("lines", numbered(rows, Baskets.from_rows(rows)))
        fetch, parts = engine.fetch, 0

        def fetch_until_stopped(select: str) -> dict[str, NDArray[Any]]:
            nonlocal parts
            parts += "ranked" in select
            if stop_after is not None and parts > stop_after:
                raise Stopped
            return fetch(select)

        engine.fetch = fetch_until_stopped  # type: ignore[method-assign]
        with patch.object(counts, "BYTES_PER_PAIR", 2_000):
            found = counts.count(engine, folder, max_lines=max_lines, memory_mb=1, progress=progress)
        return found.files
