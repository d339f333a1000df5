"""Counting on an engine: from lines to every product's counts and its strongest pairs, in parts that fit in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encore_recommender.baskets import Baskets
from encore_recommender.cooccurrence import runs
from encore_recommender.counting import BASKET_EXPONENTS, HALF_LIFE_DAYS, unit_of, weigh_lately, weigh_orders
from encore_recommender.engines import parts, sql
from encore_recommender.engines.databases import Engine
from encore_recommender.engines.parts import Progress

#: One pair in a part, 28 bytes, sorted by product, then other product. Weights are whole numbers, see `weigh_orders`.
PAIR = np.dtype([("item", "<i4"), ("other", "<i4"), ("together", "<i4"), ("by_root", "<i8"), ("by_size", "<i8")])

#: Orders weighed at once, about: 100 bytes each.
ORDERS_AT_ONCE = 1_000_000

#: What an engine and the arrays made of its answer take for a pair while its part is counted, bytes.
BYTES_PER_PAIR = 150


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """What an engine counted: products best-seller first, pairs in files."""

    n_orders: int
    """Orders that count."""
    n_lines: int
    orders_left_out: int
    """Orders with more than `max_lines` lines."""
    lately: int
    """Sum of what every order counts for the recent fashion."""
    product: NDArray[np.int64]
    """Per product, its number in `lines`."""
    orders_with: NDArray[np.int64]
    by_root: NDArray[np.int64]
    """Sum of the weights of the orders that contain each product."""
    by_size: NDArray[np.int64]
    recent: NDArray[np.int64]
    """The same with the weights of the recent fashion."""
    first_at: float
    """Unix seconds of the oldest order that counts; 0 without times or orders."""
    last_at: float
    unit: float
    """What the newest order would weigh if it had two lines; see `counting.Counts`."""
    spans: list[tuple[int, int]]
    """Per part, its first product and one past the last."""
    files: list[Path]
    """Per part, an array of PAIR."""

    def pairs(self) -> Iterator[NDArray[Any]]:
        """The pairs, part by part, mapped and not read."""
        return parts.rows(self.files)


def lines_of(baskets: Baskets) -> dict[str, NDArray[Any]]:
    """The table `lines` of orders that are in memory."""
    order = baskets.order_of_line
    times = np.full(baskets.n_orders, np.nan) if baskets.times is None else baskets.times
    return {
        "order_id": order.astype(np.int64),
        "product": baskets.items.astype(np.int64),
        "upsell": baskets.upsell.astype(np.int64),
        "placed_at": times[order],
    }


def count(
    engine: Engine,
    folder: Path,
    *,
    plan: Mapping[str, Any] | None = None,
    top_k: int | None = None,
    max_lines: int = 500,
    memory_mb: int = 1_024,
    progress: Callable[[Progress], None] = lambda told: None,
) -> Counted:
    """Count the table `lines`, which the engine has; what an earlier run finished in `folder` is not done again.

    Args:
        engine: Where the counting runs.
        folder: For the parts. One folder, one count.
        plan: What else the parts depend on: which files were read, say.
        top_k: Pairs kept per product, see `sql.top_pairs`; all when not given.
        max_lines: Orders with more lines are left out.
        memory_mb: For one part of the pairs, in the engine or here.
        progress: Told after every part.

    Raises:
        OtherPlan: The folder holds parts of another count.
    """
    mine = {"top_k": top_k, "max_lines": max_lines, "memory_mb": memory_mb, "sql": [*sql.STEPS.values(), sql.TOP_PAIRS]}
    parts.agree(folder, {**(plan or {}), **mine})
    for step in ("merged", "orders"):
        engine.store(step, sql.STEPS[step])
    weighed = _weigh_all(engine, max_lines=max_lines)
    for step in ("baskets", "products"):
        engine.store(step, sql.STEPS[step])
    products = engine.fetch("SELECT * FROM products ORDER BY item")
    n_items = len(products["item"])
    most = np.minimum(products["partners"], max(n_items - 1, 0))
    before = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(most)])
    spans = runs(before, memory_mb * 1_000_000 // BYTES_PER_PAIR)

    def work(number: int) -> NDArray[Any]:
        first, last = spans[number]
        found = engine.fetch(sql.top_pairs(first=first, last=last, top_k=top_k or n_items))
        pairs = np.empty(len(found["item"]), dtype=PAIR)
        for name in PAIR.names or ():
            pairs[name] = found[name]
        return pairs

    files = parts.run(
        folder,
        costs=[int(products["partners"][first:last].sum()) for first, last in spans],
        work=work,
        step="counting pairs",
        progress=progress,
    )
    return Counted(
        n_orders=weighed.orders,
        n_lines=int(products["orders_with"].sum()),
        orders_left_out=int(engine.fetch(sql.LEFT_OUT.format(most=max_lines))["orders"][0]),
        lately=weighed.lately,
        product=products["product"],
        orders_with=products["orders_with"],
        by_root=products["by_root"],
        by_size=products["by_size"],
        recent=products["lately"],
        first_at=weighed.oldest,
        last_at=weighed.newest,
        unit=unit_at(weighed.newest),
        spans=spans,
        files=files,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weighed:
    orders: int
    lately: int
    oldest: float
    newest: float


def _weigh_all(engine: Engine, *, max_lines: int) -> _Weighed:
    """Load the table `weights`, some orders at a time, from the functions that weigh orders in memory."""
    found = engine.fetch(sql.SPAN.format(most=max_lines))
    orders = int(found["orders"][0])
    oldest, newest = (float(found[name][0]) if orders else 0.0 for name in ("oldest", "newest"))
    first, past = math.floor(oldest), math.floor(newest) + 1
    cuts = orders // ORDERS_AT_ONCE + 1
    edges = sorted({first + (past - first) * cut // cuts for cut in range(cuts + 1)})
    lately = 0
    for number, (since, until) in enumerate(pairwise(edges)):
        kinds = engine.fetch(sql.KINDS.format(since=since, until=until))
        kept = kinds["size"] <= max_lines
        weights = weigh(kinds["size"][kept], kinds["placed_at"][kept], newest=newest)
        engine.load("weights", weights, append=number > 0)
        lately += int((weights["lately"] * kinds["orders"][kept]).sum())
    return _Weighed(orders=orders, lately=lately, oldest=oldest, newest=newest)


def weigh(sizes: NDArray[np.int64], placed_at: NDArray[Any], *, newest: float) -> dict[str, NDArray[Any]]:
    """Rows of the table `weights`.

    Args:
        sizes: Lines of an order.
        placed_at: Unix seconds.
        newest: Of all orders that count.
    """
    times = placed_at.astype(np.float64)
    one_of_each = _orders(sizes, times)
    weighed = {
        name: weigh_orders(one_of_each, basket_exponent=exponent, half_life_days=HALF_LIFE_DAYS, newest=newest)
        for name, exponent in BASKET_EXPONENTS.items()
    }
    return {
        "size": sizes.astype(np.int64),
        "placed_at": times,
        **weighed,
        "lately": weigh_lately(times, newest=newest),
    }


def unit_at(newest: float) -> float:
    """See `counting.Counts`."""
    return unit_of(_orders(np.ones(1, dtype=np.int64), np.array([newest])), half_life_days=HALF_LIFE_DAYS)


def _orders(sizes: NDArray[np.int64], times: NDArray[np.float64]) -> Baskets:
    """Orders of which no more is known than this, as `weigh_orders` takes them."""
    none = np.zeros(0, dtype=np.int32)
    return Baskets(
        skus=(),
        start=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)]),
        items=none,
        quantities=none.astype(np.int64),
        upsell=none.astype(np.bool_),
        times=times,
    )
