"""Counting co-purchases. Training only: needs scipy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from encore_recommender.baskets import Baskets

#: Order weights are whole multiples of 2**-20. Sums of whole numbers do not depend on the order of
#: the addends, so the same orders in any order give the same model to the last bit.
WEIGHT_UNIT = 1 << 20

#: Pairs held at once while counting: 4 M pairs are about 300 MB of indices, counts and scores.
PAIRS_AT_ONCE = 4_000_000

#: Pairs sorted at once: 1 M stay in the processor's caches; with everything made of them about 60 MB.
PAIRS_SORTED_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Who was bought how often: the rows and columns of every array are products, best-seller first."""

    matrix: Any
    """Orders x products, scipy CSR of ones."""
    orders_with: NDArray[np.int64]
    """Orders that contain each product."""
    order_weights: NDArray[np.int64]
    """What each order's pairs count, in units of 1 / WEIGHT_UNIT."""
    weighted_orders_with: NDArray[np.float64]
    """Sum of the weights of the orders that contain each product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBlock:
    """All pairs (row product, column product) of a run of row products; never a product with itself."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    together: NDArray[np.int64]
    """Orders that contain both."""
    weighted: NDArray[np.float64]
    """Sum of the weights of those orders."""


def weigh_orders(baskets: Baskets, *, basket_exponent: float, half_life_days: float | None) -> NDArray[np.int64]:
    """What each order's pairs count: (lines - 1)**-exponent * 2**(-age / half-life), age from the newest order.

    An order of n lines makes n * (n - 1) pairs; unweighted, one wholesale order drowns a thousand small ones.
    Without times every order is equally new.
    """
    weights = np.maximum(baskets.sizes - 1, 1).astype(np.float64) ** -basket_exponent
    if half_life_days is not None and baskets.times is not None and baskets.n_orders:
        age_days = (baskets.times.max() - baskets.times) / 86_400.0
        weights = weights * np.exp2(-age_days / half_life_days)
    return np.maximum(np.rint(weights * WEIGHT_UNIT), 1).astype(np.int64)


def count(baskets: Baskets, item_of_sku: NDArray[np.int64], n_items: int, order_weights: NDArray[np.int64]) -> Counts:
    """Line up orders and products; pairs are counted later, block by block.

    Args:
        baskets: Orders without upsell lines.
        item_of_sku: Per entry of `baskets.skus`, the product's row in the model.
        n_items: Products in the model.
        order_weights: From `weigh_orders`.
    """
    columns = item_of_sku[baskets.items]
    matrix = sparse.csr_array(
        (np.ones(baskets.n_lines, dtype=np.int64), columns, baskets.start), shape=(baskets.n_orders, n_items)
    )
    weights_of_lines = np.repeat(order_weights, baskets.sizes)
    weighted = np.zeros(n_items, dtype=np.int64)
    np.add.at(weighted, columns, weights_of_lines)
    return Counts(
        matrix=matrix,
        orders_with=np.bincount(columns, minlength=n_items).astype(np.int64),
        order_weights=order_weights,
        weighted_orders_with=weighted / WEIGHT_UNIT,
    )


def pair_blocks(counts: Counts, *, pairs_at_once: int = PAIRS_AT_ONCE) -> Iterator[tuple[int, int, PairBlock]]:
    """Count pairs for runs of row products, so that memory is bounded by the run and not by the catalogue.

    Yields:
        First row, one past the last row, and the pairs between them sorted by row, then column.
    """
    matrix = counts.matrix
    n_items = matrix.shape[1]
    by_item = matrix.T.tocsr()
    weighted_by_item = by_item.copy()
    weighted_by_item.data = counts.order_weights[by_item.indices]
    # No row can have more pairs than its orders have lines, nor than there are products.
    widest = np.minimum(by_item @ np.diff(matrix.indptr), n_items)
    first = 0
    while first < n_items:
        fits = int(np.searchsorted(np.cumsum(widest[first:]), pairs_at_once, side="right"))
        last = first + max(fits, 1)
        together = (by_item[first:last] @ matrix).tocsr()
        weighted = (weighted_by_item[first:last] @ matrix).tocsr()
        together.sort_indices()
        weighted.sort_indices()
        rows = first + np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
        pair = together.indices != rows
        yield (
            first,
            min(last, n_items),
            PairBlock(
                rows=rows[pair],
                columns=together.indices[pair].astype(np.int64),
                together=together.data[pair],
                weighted=weighted.data[pair] / WEIGHT_UNIT,
            ),
        )
        first = last


@dataclass(frozen=True, slots=True, kw_only=True)
class TopPairs:
    """Per product, the products most often bought with it: strongest first, of equal ones the lower number first."""

    start: NDArray[np.int64]
    """n_items + 1 offsets: product i has entries `start[i]:start[i + 1]`."""
    items: NDArray[np.int32]
    counts: NDArray[np.int64]
    """Orders that contain both, or the sum of the weights of those orders."""


def top_pairs(
    orders: Baskets | tuple[NDArray[np.int64], NDArray[np.int32], int],
    *,
    k: int,
    order_weights: NDArray[np.int64] | None = None,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> TopPairs:
    """Count all pairs of products and keep each product's `k` strongest, in memory bounded by lines, not by pairs.

    The pairs of a run of products are laid out as numbers and sorted: numpy's sort uses the processor's
    vectors, and equal pairs then stand side by side. Counts are whole numbers and ties are settled, so the answer
    does not depend on threads, on blocks, or on the order of the orders. A product is never its own neighbour.

    Args:
        orders: Baskets, whose products are numbered as in `skus`; or `(start, items, n_items)`: order i holds the
            products `items[start[i]:start[i + 1]]`, each at most once. Every line counts: leave out upsell lines
            and wholesale orders before (n lines make n * (n - 1) pairs).
        k: Neighbours kept per product, at least 1.
        order_weights: Per order, what its pairs count, at least 1; every order counts 1 when not given. See
            `weigh_orders`.
        threads: Blocks counted at the same time; each holds about 60 MB.
        progress: Told the finished share, from 0 to 1, never falling.

    Raises:
        ValueError: `k` or `threads` is below 1, a product number is out of range, or the weights are not one
            whole number of at least 1 per order.
    """
    start, items, n_items = _as_arrays(orders)
    if k < 1 or threads < 1:
        raise ValueError(f"k and threads must be at least 1, not {k} and {threads}")
    if order_weights is not None and (
        order_weights.shape != (len(start) - 1,)
        or order_weights.dtype.kind not in "iu"
        or bool(np.any(order_weights < 1))
    ):
        raise ValueError("order_weights must hold one whole number of at least 1 per order")
    lines = _Lines.of(start, items, n_items)
    weights = () if order_weights is None else (order_weights.astype(np.int64, copy=False),)
    report = progress or _silent
    runs = lines.runs(PAIRS_SORTED_AT_ONCE)

    def strongest(run: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        rows, columns, together, weighted = lines.pairs(*run, weights=weights)
        return _strongest(rows - run[0], columns, weighted[0] if weighted else together, run[1] - run[0], k)

    parts = []
    with ThreadPoolExecutor(threads) as pool:
        for (_, last), part in zip(runs, pool.map(strongest, runs), strict=True):
            parts.append(part)
            report(last / n_items)
    report(1.0)
    start_of = np.zeros(n_items + 1, dtype=np.int64)
    np.cumsum(np.concatenate([np.zeros(0, dtype=np.int64), *(lengths for lengths, _, _ in parts)]), out=start_of[1:])
    return TopPairs(
        start=start_of,
        items=np.concatenate([np.zeros(0, dtype=np.int32), *(found for _, found, _ in parts)]),
        counts=np.concatenate([np.zeros(0, dtype=np.int64), *(counts for _, _, counts in parts)]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """Order lines from both sides: the products of an order, and the orders of a product."""

    start: NDArray[Any]
    items: NDArray[np.int32]
    sizes: NDArray[np.int32]
    orders: NDArray[np.int32]
    """Product by product, the orders that contain it, ascending."""
    start_of_item: NDArray[np.int64]
    pairs_before: NDArray[np.int64]
    """n_items + 1: how many pairs, each product with itself too, the orders of the products before it make."""

    @classmethod
    def of(cls, start: NDArray[np.int64], items: NDArray[np.int32], n_items: int) -> _Lines:
        narrow = start.astype(np.int32 if len(items) < 2**31 else np.int64)
        sizes = np.diff(narrow).astype(np.int32)
        by_order = sparse.csr_array((np.ones(len(items), dtype=np.int8), items, narrow), shape=(len(sizes), n_items))
        by_item = by_order.T.tocsr()
        start_of_item = by_item.indptr.astype(np.int64)
        pairs_before = np.zeros(n_items + 1, dtype=np.int64)
        sold = np.flatnonzero(np.diff(start_of_item))
        if len(sold):
            pairs_before[sold + 1] = np.add.reduceat(sizes[by_item.indices], start_of_item[sold], dtype=np.int64)
        return cls(
            start=narrow,
            items=items,
            sizes=sizes,
            orders=by_item.indices.astype(np.int32, copy=False),
            start_of_item=start_of_item,
            pairs_before=np.cumsum(pairs_before),
        )

    def runs(self, pairs_at_once: int) -> list[tuple[int, int]]:
        """Runs of products, first and one past the last, with at most so many pairs where one product has no more."""
        runs: list[tuple[int, int]] = []
        first, n_items = 0, len(self.pairs_before) - 1
        while first < n_items:
            bar = self.pairs_before[first] + pairs_at_once
            last = max(int(np.searchsorted(self.pairs_before, bar, side="right")) - 1, first + 1)
            runs.append((first, last))
            first = last
        return runs

    def pairs(
        self, first: int, last: int, *, weights: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], list[NDArray[np.int64]]]:
        """Rows, columns, orders with both, and the sums of each of the weights: sorted by row, then column."""
        orders = self.orders[self.start_of_item[first] : self.start_of_item[last]]
        sizes = self.sizes[orders]
        per_row = np.diff(self.pairs_before[first : last + 1])
        position = np.repeat(self.start[orders] - (np.cumsum(sizes, dtype=self.start.dtype) - sizes), sizes)
        position += np.arange(len(position), dtype=position.dtype)
        for_column = max(len(self.pairs_before) - 2, 1).bit_length()
        for_order = max(len(self.sizes) - 1, 1).bit_length() if weights else 0
        bits = for_column + for_order + max(last - first - 1, 1).bit_length()
        if bits > 64:
            raise OverflowError("too many products and orders to count in one go: count with DuckDB instead")
        # The narrower the numbers, the faster they are sorted.
        pair: NDArray[Any] = self.items[position].astype(np.uint32 if bits <= 32 else np.uint64)
        del position
        pair |= np.repeat(np.arange(last - first, dtype=pair.dtype) << for_column, per_row)
        if weights:
            pair <<= for_order
            pair |= np.repeat(orders, sizes).astype(pair.dtype)
        pair.sort()
        key: NDArray[Any] = pair >> for_order if weights else pair
        begins = np.ones(len(key), dtype=np.bool_)
        np.not_equal(key[1:], key[:-1], out=begins[1:])
        begin = np.flatnonzero(begins)
        key = key[begin]
        together = np.diff(begin, append=len(pair))
        rows = (key >> for_column).astype(np.int64) + first
        columns = (key & ((1 << for_column) - 1)).astype(np.int64)
        other = rows != columns
        sums = []
        for weight in weights:
            each = weight[pair & ((1 << for_order) - 1)]
            sums.append((np.add.reduceat(each, begin) if len(begin) else each)[other])
        return rows[other], columns[other], together[other], sums


def _strongest(
    rows: NDArray[np.int64], columns: NDArray[np.int64], counts: NDArray[np.int64], n_rows: int, k: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Per row, how many pairs are kept; and the columns and counts of the `k` highest, the lower column first."""
    ceiling = int(counts.max(initial=0))
    for_column, for_count = max(int(columns.max(initial=0)), 1).bit_length(), max(ceiling, 1).bit_length()
    start = np.searchsorted(rows, np.arange(n_rows + 1))
    if for_column + for_count + max(n_rows - 1, 1).bit_length() <= 63:
        packed = (((rows << for_count) | (ceiling - counts)) << for_column) | columns
        packed.sort()
        columns = packed & ((1 << for_column) - 1)
        counts = ceiling - ((packed >> for_column) & ((1 << for_count) - 1))
    else:
        best_first = np.lexsort((columns, -counts, rows))
        columns, counts = columns[best_first], counts[best_first]
    kept = np.arange(len(rows)) - start[rows] < k
    return np.minimum(np.diff(start), k), columns[kept].astype(np.int32), counts[kept]


def _as_arrays(
    orders: Baskets | tuple[NDArray[np.int64], NDArray[np.int32], int],
) -> tuple[NDArray[np.int64], NDArray[np.int32], int]:
    if isinstance(orders, Baskets):
        return orders.start, orders.items, len(orders.skus)
    start, items, n_items = orders
    if len(start) == 0 or start[0] != 0 or start[-1] != len(items) or bool(np.any(np.diff(start) < 0)):
        raise ValueError("start must rise from 0 to the number of lines")
    if len(items) and not (int(items.min()) >= 0 and int(items.max()) < n_items):
        raise ValueError(f"product numbers must be between 0 and {n_items - 1}")
    return start, items.astype(np.int32, copy=False), n_items


def _silent(share: float) -> None:
    """Report to nobody."""
