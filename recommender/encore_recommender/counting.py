"""Counting co-purchases. Training only: needs scipy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from encore_recommender.baskets import Baskets
from encore_recommender.cooccurrence import OrderLines, runs, spans

#: Order weights are whole numbers, 2**20 of which make 1. Sums of whole numbers do not depend on the order of
#: the addends, so the same orders in any order give the same model to the last bit.
WEIGHT_UNIT = 1 << 20

#: Assortments turn over. Half a year helped on every history with times; without times it does nothing.
HALF_LIFE_DAYS = 180.0

#: What "lately" means when a product's recent share of orders is compared with its usual one.
LATELY_DAYS = 30.0

#: An order of n lines weighs (n - 1)**-exponent: `by_root` is what the cosine and EASE count, `by_size` the rest.
BASKET_EXPONENTS = {"by_root": 0.5, "by_size": 1.0}

#: Weights double every half-life and must stay what they were when newer orders come, so they start from 1 at the
#: beginning of an era and reach 2**16 at its end. Then 2**27 orders of 2**20 * 2**16 fit into 63 bits. An era of
#: half a year's half-lives is 7.9 years long; with the first order of the next one everything is weighed anew.
HALF_LIVES_PER_ERA = 16

#: Pairs handed on at once: with the indices, counts and scores made of them about 100 MB.
PAIRS_AT_ONCE = 500_000

#: Pairs sorted at once: they stay in the processor's caches, and with everything made of them take about 8 MB.
PAIRS_SORTED_AT_ONCE = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Who was bought how often, products best-seller first."""

    orders_with: NDArray[np.int64]
    """Orders that contain each product."""
    unit: float
    """What the newest order would weigh if it had two lines: the 1 of every weight that is not a whole number."""
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


def weigh_orders(
    baskets: Baskets, *, basket_exponent: float, half_life_days: float | None, newest: float | None = None
) -> NDArray[np.int64]:
    """What each order's pairs count: (lines - 1)**-exponent * 2**(time / half-life), in whole numbers.

    An order of n lines makes n * (n - 1) pairs; unweighted, one wholesale order drowns a thousand small ones.
    Time runs from the beginning of the newest order's era, so an order weighs the same whatever comes after it in
    that era. Without times every order is equally new.

    Args:
        baskets: The orders.
        basket_exponent: See above.
        half_life_days: After so many days an order counts half; None for never.
        newest: Unix seconds of the newest order of all, where `baskets` are not all.
    """
    weights = np.maximum(baskets.sizes - 1, 1).astype(np.float64) ** -basket_exponent
    if half_life_days is not None and baskets.times is not None and baskets.n_orders:
        begin = era_of(float(baskets.times.max()) if newest is None else newest, half_life_days=half_life_days)
        weights = weights * np.exp2((baskets.times - begin) / (86_400.0 * half_life_days))
    whole: NDArray[np.int64] = np.maximum(np.rint(weights * WEIGHT_UNIT), 1).astype(np.int64)
    return whole


def weigh_lately(times: NDArray[np.float64], *, newest: float | None = None) -> NDArray[np.int64]:
    """What each order counts for the recent fashion: 2**(-age / LATELY_DAYS), age from the newest order."""
    age_days = ((times.max(initial=-np.inf) if newest is None else newest) - times) / 86_400.0
    whole: NDArray[np.int64] = np.rint(np.exp2(-age_days / LATELY_DAYS) * WEIGHT_UNIT).astype(np.int64)
    return whole


def era_of(newest: float, *, half_life_days: float = HALF_LIFE_DAYS) -> float:
    """Unix seconds of the beginning of the era that a time falls into."""
    length = 86_400.0 * half_life_days * HALF_LIVES_PER_ERA
    return math.floor(newest / length) * length


def unit_of(baskets: Baskets, *, half_life_days: float | None) -> float:
    """What `weigh_orders` makes of the newest order if it has two lines: divide by it to get weights up to 1."""
    if half_life_days is None or baskets.times is None or not baskets.n_orders:
        return float(WEIGHT_UNIT)
    newest = float(baskets.times.max())
    age = newest - era_of(newest, half_life_days=half_life_days)
    return WEIGHT_UNIT * float(np.exp2(age / (86_400.0 * half_life_days)))


def count(baskets: Baskets, item_of_sku: NDArray[np.int64], n_items: int, *, weight: str) -> Counts:
    """Count orders per product; pairs are counted by `count_pairs`.

    Args:
        baskets: Orders without upsell lines.
        item_of_sku: Per entry of `baskets.skus`, the product's row in the model.
        n_items: Products in the model.
        weight: One of BASKET_EXPONENTS.
    """
    columns = item_of_sku[baskets.items]
    order_weights = weigh_orders(baskets, basket_exponent=BASKET_EXPONENTS[weight], half_life_days=HALF_LIFE_DAYS)
    weighted = np.zeros(n_items, dtype=np.int64)
    np.add.at(weighted, columns, np.repeat(order_weights, baskets.sizes))
    unit = unit_of(baskets, half_life_days=HALF_LIFE_DAYS)
    return Counts(
        orders_with=np.bincount(columns, minlength=n_items).astype(np.int64),
        unit=unit,
        weighted_orders_with=weighted / unit,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairCounts:
    """Every pair of products that some order holds, once: sums that only have to be added up when orders come."""

    pairs: NDArray[np.int64]
    """Lower product number * 2**32 + higher one, ascending: new products never renumber a pair."""
    together: NDArray[np.int64]
    """Orders that contain both."""
    by_root: NDArray[np.int64]
    """Sum of the weights of those orders; see BASKET_EXPONENTS."""
    by_size: NDArray[np.int64]

    def plus(self, more: PairCounts) -> PairCounts:
        """The counts of both."""
        place = np.searchsorted(self.pairs, more.pairs)
        known = place < len(self.pairs)
        known[known] = self.pairs[place[known]] == more.pairs[known]
        # Where the pairs of `more` stand among all of them, once the new ones are let in.
        place += np.cumsum(~known) - ~known
        mine = np.ones(len(self.pairs) + int(np.count_nonzero(~known)), dtype=np.bool_)
        mine[place[~known]] = False

        def added(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> NDArray[np.int64]:
            sums = np.zeros(len(mine), dtype=np.int64)
            sums[mine] = ours
            sums[place] += theirs
            return sums

        return PairCounts(
            pairs=added(self.pairs, np.where(known, 0, more.pairs)),
            together=added(self.together, more.together),
            by_root=added(self.by_root, more.by_root),
            by_size=added(self.by_size, more.by_size),
        )

    def held(self) -> PairCounts:
        """Without the pairs that no order holds any more."""
        if self.together.all():
            return self
        left = np.flatnonzero(self.together)
        return PairCounts(
            pairs=self.pairs[left], together=self.together[left], by_root=self.by_root[left], by_size=self.by_size[left]
        )

    def negative(self) -> PairCounts:
        """What has to be added to take these away."""
        return replace(self, together=-self.together, by_root=-self.by_root, by_size=-self.by_size)


def count_pairs(
    baskets: Baskets, *, newest: float | None = None, progress: Callable[[float], None] | None = None
) -> PairCounts:
    """Count all pairs; products are numbered as in `baskets.skus`.

    Args:
        baskets: Orders without upsell lines.
        newest: See `weigh_orders`.
        progress: Told the finished share, from 0 to 1, never falling.
    """
    weights = [
        weigh_orders(baskets, basket_exponent=exponent, half_life_days=HALF_LIFE_DAYS, newest=newest)
        for exponent in BASKET_EXPONENTS.values()
    ]
    lines = OrderLines.of(baskets.start, baskets.items, len(baskets.skus), once=True)
    report = progress or _silent
    parts: list[list[NDArray[np.int64]]] = [[], [], [], []]
    for first, last in runs(lines.pairs_before, PAIRS_SORTED_AT_ONCE):
        key, together, sums = lines.counted(first, last, weights=weights)
        row, column = key >> lines.column_bits, key & ((1 << lines.column_bits) - 1)
        for part, each in zip(parts, (((row + first) << 32) | column, together, *sums), strict=True):
            part.append(each)
        report(last / len(baskets.skus))
    pairs, together, by_root, by_size = (np.concatenate([np.zeros(0, dtype=np.int64), *part]) for part in parts)
    return PairCounts(pairs=pairs, together=together, by_root=by_root, by_size=by_size)


def pair_blocks(
    counted: PairCounts,
    item_of_sku: NDArray[np.int64],
    n_items: int,
    *,
    unit: float,
    pairs_at_once: int = PAIRS_AT_ONCE,
) -> Iterator[tuple[int, int, PairBlock, PairBlock]]:
    """Pairs in both directions for runs of row products, so that memory is bounded by the run.

    Args:
        counted: From `count_pairs`.
        item_of_sku: Per product number in `counted`, the product's row in the model.
        n_items: Products in the model.
        unit: See `Counts`.
        pairs_at_once: Pairs in a run, unless one product has more.

    Yields:
        First row, one past the last row, and the pairs between them sorted by row, then column: weighted by root of
        size, and by size.
    """
    n = len(item_of_sku)
    low, high = (counted.pairs >> 32).astype(np.int32), (counted.pairs & 0xFFFFFFFF).astype(np.int32)
    from_low = np.searchsorted(counted.pairs, np.arange(n + 1, dtype=np.int64) << 32)
    by_high = sparse.csr_array((np.arange(len(high)), high, from_low), shape=(n, n)).tocsc()
    from_high = by_high.indptr.astype(np.int64)
    # One more for rows of products without pairs.
    upward, downward = np.append(np.diff(from_low), 0), np.append(np.diff(from_high), 0)
    paired = np.flatnonzero(upward + downward)
    sku_of_item = np.full(n_items, n, dtype=np.int64)
    sku_of_item[item_of_sku[paired]] = paired
    before = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum((upward + downward)[sku_of_item])])
    for first, last in runs(before, pairs_at_once):
        skus, items = sku_of_item[first:last], np.arange(first, last)
        ups, downs = upward[skus], downward[skus]
        up = spans(from_low[skus], ups)
        down = by_high.data[spans(from_high[skus], downs)]
        rows = np.concatenate([np.repeat(items, ups), np.repeat(items, downs)])
        columns = item_of_sku[np.concatenate([high[up], low[down]])]
        by_row = np.argsort(rows * n_items + columns)
        at = np.concatenate([up, down])[by_row]
        block = PairBlock(
            rows=rows[by_row],
            columns=columns[by_row],
            together=counted.together[at],
            weighted=counted.by_root[at] / unit,
        )
        yield first, last, block, replace(block, weighted=counted.by_size[at] / unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopPairs:
    """Per product, the products most often bought with it: strongest first, of equal ones the lower number first."""

    start: NDArray[np.int64]
    """n_items + 1 offsets: product i has entries `start[i]:start[i + 1]`."""
    items: NDArray[np.int32]
    counts: NDArray[Any]
    """Orders that contain both, int32; or the sum of the weights of those orders, int64."""


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
        threads: Blocks counted at the same time; each holds about 8 MB.
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
    lines = OrderLines.of(start, items, n_items)
    weights = () if order_weights is None else (order_weights.astype(np.int64, copy=False),)
    report = progress or _silent
    parts_of = runs(lines.pairs_before, PAIRS_SORTED_AT_ONCE)

    def strongest(run: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        key, together, weighted = lines.counted(*run, weights=weights)
        return _strongest(key, weighted[0] if weighted else together, run, lines.column_bits, k)

    start_of = np.zeros(n_items + 1, dtype=np.int64)
    # Room for all that can be; what stays empty is never touched and takes no memory.
    room = min(n_items * k, int(lines.pairs_before[-1]))
    found, counts = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int64 if weights else np.int32)
    end = 0
    with ThreadPoolExecutor(threads) as pool:
        for (first, last), (kept, neighbours, strength) in zip(parts_of, pool.map(strongest, parts_of), strict=True):
            np.cumsum(kept, out=start_of[first + 1 : last + 1])
            start_of[first + 1 : last + 1] += end
            found[end : end + len(neighbours)], counts[end : end + len(neighbours)] = neighbours, strength
            end += len(neighbours)
            report(last / n_items)
    report(1.0)
    return TopPairs(start=start_of, items=found[:end], counts=counts[:end])


def _strongest(
    key: NDArray[np.int64], counts: NDArray[np.int64], run: tuple[int, int], for_column: int, k: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Per row of a run, how many pairs are kept; and the `k` with the highest counts, the lower column first."""
    first, last = run
    for_count = int(counts.max(initial=1)).bit_length()
    ceiling = (1 << for_count) - 1
    row, column = key >> for_column, key & ((1 << for_column) - 1)
    other = row + first != column
    if for_column + for_count + max(last - first - 1, 1).bit_length() <= 63:
        packed = ((row << for_count | ceiling - counts) << for_column | column)[other]
        packed.sort()
        start = np.searchsorted(packed, np.arange(last - first + 1) << (for_column + for_count))
        kept = np.minimum(np.diff(start), k)
        best = packed[spans(start[:-1], kept)]
        return kept, (best & ((1 << for_column) - 1)).astype(np.int32), ceiling - (best >> for_column & ceiling)
    row, column, counts = row[other], column[other], counts[other]
    best = np.lexsort((column, -counts, row))
    start = np.searchsorted(row, np.arange(last - first + 1))
    kept = np.minimum(np.diff(start), k)
    best = best[spans(start[:-1], kept)]
    return kept, column[best].astype(np.int32), counts[best]


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
