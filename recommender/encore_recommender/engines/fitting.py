"""A model from counts made on an engine: the scores, blends and lists of a fit in memory, of the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from encore_recommender import tuning
from encore_recommender.baskets import Baskets
from encore_recommender.blending import Evidence, score, trend_of
from encore_recommender.catalogue import Catalogue
from encore_recommender.cooccurrence import runs
from encore_recommender.copurchase import CoPurchaseRecommender, parameters, tables
from encore_recommender.counting import PAIRS_AT_ONCE, Counts, PairBlock
from encore_recommender.engines import counts, sources
from encore_recommender.engines.counts import PAIR, Counted
from encore_recommender.engines.databases import DuckDB, FileEngine, Spark, local_spark
from encore_recommender.engines.parts import Progress
from encore_recommender.engines.sources import Opened
from encore_recommender.model import CoPurchaseModel
from encore_recommender.tuning import Choice

#: Bytes per pair of products while the dense scores are worked out; see `CoPurchaseRecommender.dense_items`.
DENSE_BYTES = 35


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A model and where it comes from. Its orders are not in memory, so it is fitted anew and never in part."""

    model: CoPurchaseModel
    choice: Choice
    opened: Opened
    n_orders: int
    """Orders the counts were taken from."""
    n_lines: int
    orders_left_out: int
    """Orders with more than `max_lines` lines."""
    items_beyond_dense: int
    """Products without the dense scores."""
    first_order_at: float | None
    """Unix seconds, None without times."""
    last_order_at: float | None
    parameters: Mapping[str, Any]
    """For a manifest."""
    newest: Baskets
    """The newest orders, as many as tuning looks at: enough to judge the method on."""


def fit(
    paths: Sequence[Path | str],
    *,
    engine: str = "duckdb",
    workdir: Path,
    memory_mb: int = 4_096,
    columns: Mapping[str, str] | None = None,
    estimator: CoPurchaseRecommender | None = None,
    session: Any = None,
    progress: Callable[[Progress], None] = lambda told: None,
) -> Fitted:
    """Fit a model from order lines in files, in bounded memory.

    Counting is by far the longest step. Its parts are kept in `workdir`: started again with the same files and
    values, what was finished is not done again. Delete the folder afterwards.

    Args:
        paths: CSV files with a header, or Parquet files; see `sources.open_files` for what is read.
        engine: `duckdb` or `spark`.
        workdir: For intermediate tables and parts: some 60 bytes a line, and 28 bytes twice for each pair of
            products some order holds. With Spark it is reached by the driver and by every worker.
        memory_mb: What this process may take, about; Spark's own memory is the session's affair.
        columns: Field -> header, where the guess would be wrong.
        estimator: Its parameters are used; it is not changed. The dense scores reach as many best-sellers as fit
            into `memory_mb`, `dense_items` at most.
        session: The `SparkSession`, for `spark`; one on this machine when not given.
        progress: Told after every part, with rate and time left.

    Raises:
        Unreadable: The files lack a column, or hold no sold line.
        OtherPlan: `workdir` holds parts of other files or values.
        ModuleNotFoundError: The engine is not installed; the message names the extra.
        ValueError: There is no such engine.
    """
    chosen = clone(estimator or CoPurchaseRecommender())
    chosen.dense_items = min(chosen.dense_items, math.isqrt(memory_mb * 1_000_000 // DENSE_BYTES))
    files = [str(path) for path in paths]
    with _engine(engine, workdir, memory_mb // 2, session) as where:
        opened = sources.open_files(where, files, columns=columns)
        counted = counts.count(
            where,
            workdir / "pairs",
            plan={"files": [_fingerprint(Path(path)) for path in files], "columns": dict(opened.columns)},
            max_lines=chosen.max_lines,
            memory_mb=memory_mb // 2,
            progress=progress,
        )
        newest = sources.newest(where, opened, orders=tuning.ORDERS_FOR_CHOICE, max_lines=chosen.max_lines)
    choice = chosen.choice or (clone(chosen).fit(newest).choice_ if chosen.tune else Choice())
    return _fitted(chosen, opened, counted, choice, newest)


def evidence_of(counted: Counted, n_items: int) -> Evidence:
    """What was counted, in the shape that `blending` scores.

    Args:
        counted: From `counts.count`.
        n_items: Products in the model; those nobody bought come last.
    """
    unsold = n_items - len(counted.orders_with)

    def padded(values: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values, np.zeros(unsold, dtype=values.dtype)])

    orders_with = padded(counted.orders_with)
    root, full = (
        Counts(orders_with=orders_with, unit=counted.unit, weighted_orders_with=padded(weights) / counted.unit)
        for weights in (counted.by_root, counted.by_size)
    )
    return Evidence(
        root=root,
        full=full,
        trend=trend_of(orders_with, padded(counted.recent), orders=counted.n_orders, lately=counted.lately),
        blocks=lambda: _blocks(counted, n_items),
    )


def _blocks(counted: Counted, n_items: int) -> Iterator[tuple[int, int, PairBlock, PairBlock]]:
    """As `counting.pair_blocks`, from files."""
    for (begin, end), pairs in zip(counted.spans, counted.pairs(), strict=True):
        bounds = np.searchsorted(pairs["item"], np.arange(begin, end + 1))
        for first, last in runs(bounds, PAIRS_AT_ONCE):
            root, full = _both(pairs[bounds[first] : bounds[last]], counted.unit)
            yield begin + first, begin + last, root, full
    sold = len(counted.orders_with)
    if sold < n_items:
        root, full = _both(np.zeros(0, dtype=PAIR), counted.unit)
        yield sold, n_items, root, full


def _both(pairs: NDArray[Any], unit: float) -> list[PairBlock]:
    """Weighted by the root of the size, and by size."""
    rows, columns, together = (pairs[name].astype(np.int64) for name in ("item", "other", "together"))
    return [
        PairBlock(rows=rows, columns=columns, together=together, weighted=pairs[name] / unit)
        for name in ("by_root", "by_size")
    ]


def _fitted(
    estimator: CoPurchaseRecommender, opened: Opened, counted: Counted, choice: Choice, newest: Baskets
) -> Fitted:
    catalogue = Catalogue(
        [opened.skus[product] for product in counted.product.tolist()],
        orders_with=counted.orders_with,
        orders=counted.n_orders,
        categories=opened.described["category"],
        titles=opened.described["title"],
        parents=opened.described["parent"],
    )
    pairs = score(
        evidence_of(counted, len(catalogue.skus)),
        catalogue.n_sold,
        min_support=estimator.min_support,
        dense_items=estimator.dense_items,
    )
    estimator.choice_ = choice
    has_times = opened.has_times and counted.n_orders > 0
    return Fitted(
        model=catalogue.model(tables(pairs, choice, top_k=estimator.top_k), choice),
        choice=choice,
        opened=opened,
        n_orders=counted.n_orders,
        n_lines=counted.n_lines,
        orders_left_out=counted.orders_left_out,
        items_beyond_dense=max(catalogue.n_sold - estimator.dense_items, 0),
        first_order_at=counted.first_at if has_times else None,
        last_order_at=counted.last_at if has_times else None,
        parameters=parameters(estimator),
        newest=newest,
    )


@contextmanager
def _engine(name: str, workdir: Path, memory_mb: int, session: Any) -> Iterator[FileEngine]:
    if name == "duckdb":
        duckdb = DuckDB(workdir / "duckdb", memory_mb=memory_mb)
        try:
            yield duckdb
        finally:
            duckdb.close()
    elif name == "spark":
        spark = session or local_spark()
        try:
            yield Spark(spark, workdir / "spark")
        finally:
            if session is None:
                spark.stop()
    else:
        raise ValueError(f"there is no engine {name!r}: duckdb counts on this machine, spark on many")


def _fingerprint(path: Path) -> list[Any]:
    """Enough to notice that a file is another one; wildcards and URLs are taken by name."""
    return [str(path), *((path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else ())]
