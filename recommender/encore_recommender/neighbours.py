"""Short lists of products that go with a product, and adding them up for a basket. Needs numpy and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: What a basket says depends on how many of its lines are known, so each size has its own table.
SIZES = ("one", "few", "many")

#: From this many known lines on a basket is large.
MANY_LINES = 6

#: From this many lines on, adding up whole arrays beats adding up Python dicts, as long as products are few.
LINES_FOR_ARRAYS, PRODUCTS_FOR_ARRAYS = 4, 20_000

#: Rows kept as Python dicts per table: about 8 kB each, so at most some 16 MB per table and process.
CACHED_ROWS = 2048


def size_of(lines: int) -> str:
    """Which of SIZES a basket with so many known lines is; at least 1."""
    return "one" if lines == 1 else "few" if lines < MANY_LINES else "many"


class Row(NamedTuple):
    """The neighbours of one product, best first."""

    weights: dict[int, float]
    together: dict[int, int]
    """Orders that contain both."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbours:
    """Per product, a short list of products that go with it, best first, end to end in four arrays."""

    start: NDArray[np.int64]
    """n_items + 1 offsets: product i has entries `start[i]:start[i + 1]`."""
    items: NDArray[np.int32]
    weights: NDArray[np.float32]
    """Finite; below 0 where the row's product speaks against the other."""
    together: NDArray[np.int32]
    """Orders that contain both; 0 where too few to count as bought together."""
    _rows: dict[int, Row] = field(default_factory=dict, repr=False)

    def row(self, item: int) -> Row:
        """One product's list; cached, so do not change it."""
        row = self._rows.get(item)
        if row is None:
            low, high = int(self.start[item]), int(self.start[item + 1])
            items = self.items[low:high].tolist()
            row = Row(
                weights=dict(zip(items, self.weights[low:high].tolist(), strict=True)),
                together=dict(zip(items, self.together[low:high].tolist(), strict=True)),
            )
            # Readers in other threads keep the rows they hold; clearing costs them only a second look.
            if len(self._rows) >= CACHED_ROWS:
                self._rows.clear()
            self._rows[item] = row
        return row

    def add_up(self, items: list[int], *, first: int) -> Iterator[tuple[int, float]]:
        """Neighbours of several products with summed weights above 0, best first, better seller first when equal.

        Args:
            items: The products.
            first: How many are likely to be looked at; more may be, at some cost.
        """
        few = MANY_LINES if len(self.start) > PRODUCTS_FOR_ARRAYS else LINES_FOR_ARRAYS
        if len(items) < few:
            return best_first(self.sums(items), first)
        return descending(self.totals(items), first)

    def sums(self, items: list[int]) -> dict[int, float]:
        """Neighbours of several products with summed weights, in no order."""
        sums = self.row(items[0]).weights.copy()
        get = sums.get
        for item in items[1:]:
            for neighbour, weight in self.row(item).weights.items():
                sums[neighbour] = get(neighbour, 0.0) + weight
        return sums

    def totals(self, items: list[int]) -> NDArray[np.float64]:
        """Summed weights by product; only as long as needed."""
        spans = [slice(*self.start[item : item + 2].tolist()) for item in items]
        neighbours = np.concatenate([self.items[span] for span in spans])
        totals = np.bincount(neighbours, weights=np.concatenate([self.weights[span] for span in spans]))
        return totals.astype(np.float64, copy=False)


def best_first(sums: dict[int, float], first: int) -> Iterator[tuple[int, float]]:
    """Entries above 0, largest first, lower key first when equal; sorts no more than asked."""
    bar = sorted(sums.values(), reverse=True)[first - 1] if len(sums) > first else 0.0
    if bar > 0.0:
        part = [(-value, item) for item, value in sums.items() if value >= bar]
        part.sort()
        for value, item in part:
            yield item, -value
    limit = bar if bar > 0.0 else math.inf
    for value, item in sorted((-value, item) for item, value in sums.items() if 0.0 < value < limit):
        yield item, -value


def descending(totals: NDArray[np.float64], first: int) -> Iterator[tuple[int, float]]:
    """Positions and values above 0, largest first, lower position first when equal; sorts no more than asked."""
    found = np.flatnonzero(totals > 0.0)
    values = totals[found]
    near = values >= np.partition(values, -first)[-first] if len(values) > first else values > 0.0
    for part in (near, ~near):
        order = np.argsort(-values[part], kind="stable")
        yield from zip(found[part][order].tolist(), values[part][order].tolist(), strict=True)
