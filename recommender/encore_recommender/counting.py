"""Counting co-purchases. Training only: needs scipy."""

from __future__ import annotations

from collections.abc import Iterator
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
