"""Short lists of products that go with a product, and adding them up for a basket. Needs numpy and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What a basket says depends on how many of its lines are known, so each size has its own table.
SIZES = ("one", "few", "many")

#: From this many known lines on a basket is large.
MANY_LINES = 6

#: Up to so many products, adding up in an array of all of them beats sorting the neighbours found.
PRODUCTS_FOR_AN_ARRAY = 20_000

#: The largest and the smallest number above 0 of half precision.
_LARGEST, _SMALLEST = 65504.0, 2.0**-24


def size_of(lines: int) -> str:
    """Which of SIZES a basket with so many known lines is; at least 1."""
    return "one" if lines == 1 else "few" if lines < MANY_LINES else "many"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbours:
    """Per product, a short list of products that go with it, end to end in four arrays."""

    start: NDArray[np.int64]
    """n_items + 1 offsets: product i has entries `start[i]:start[i + 1]`."""
    items: NDArray[Any]
    weights: NDArray[Any]
    """Finite; below 0 where the row's product speaks against the other, 0 for an entry that is not in the list."""
    together: NDArray[Any]
    """Orders that contain both; 0 where too few to count as bought together."""

    def span(self, item: int) -> slice:
        """Where one product's entries stand."""
        return slice(self.start.item(item), self.start.item(item + 1))

    def row(self, item: int) -> dict[int, float]:
        """The weights of one product's list, in the order stored."""
        span = self.span(item)
        pairs = zip(self.items[span].tolist(), self.weights[span].tolist(), strict=True)
        return {neighbour: weight for neighbour, weight in pairs if weight}

    def together_with(self, item: int) -> dict[int, int]:
        """Orders one product shares with each of its neighbours, where enough to count."""
        span = self.span(item)
        pairs = zip(self.items[span].tolist(), self.together[span].tolist(), strict=True)
        return {neighbour: orders for neighbour, orders in pairs if orders}

    def in_order(self, item: int, *, first: int) -> Iterator[tuple[int, float]]:
        """One product's list in the order stored; `first` as in `add_up`."""
        span = self.span(item)
        middle = min(span.start + first, span.stop)
        for part in (slice(span.start, middle), slice(middle, span.stop)):
            for neighbour, weight in zip(self.items[part].tolist(), self.weights[part].tolist(), strict=True):
                if weight:
                    yield neighbour, weight

    def add_up(self, items: list[int], *, first: int) -> Iterator[tuple[int, float]]:
        """Neighbours of several products with summed weights above 0, best first, better seller first when equal.

        Args:
            items: The products.
            first: How many are likely to be looked at; more may be, at some cost.
        """
        return descending(*self.totals(items), first)

    def sums(self, items: list[int]) -> dict[int, float]:
        """Neighbours of several products with summed weights, those below 0 too, in no order."""
        sums: dict[int, float] = {}
        for item in items:
            for neighbour, weight in self.row(item).items():
                sums[neighbour] = sums.get(neighbour, 0.0) + weight
        return sums

    def totals(self, items: list[int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Neighbours of several products, ascending, and their summed weights where above 0."""
        spans = [self.span(item) for item in items]
        found = np.concatenate([self.items[span] for span in spans])
        weights = np.concatenate([self.weights[span] for span in spans]).astype(np.float64)
        if len(self.start) <= PRODUCTS_FOR_AN_ARRAY:
            totals = np.bincount(found, weights=weights).astype(np.float64, copy=False)
            (neighbours,) = (totals > 0.0).nonzero()
            return neighbours, totals[neighbours]
        order = found.argsort(kind="stable")
        found = found[order]
        new = np.ones(len(found), dtype=np.bool_)
        np.not_equal(found[1:], found[:-1], out=new[1:])
        (places,) = new.nonzero()
        totals = np.add.reduceat(weights[order], places) if len(places) else weights
        above = totals > 0.0
        return found[places][above].astype(np.int64), totals[above]


def merged(tables: Mapping[str, Neighbours]) -> dict[str, Neighbours]:
    """The lists of all sizes as one set of pairs, with a weight per size in half precision.

    Most pairs are in every list, so this halves what a model takes; half precision moves a weight by one in two
    thousand. Pairs stand in the order of the first size's weights, best first. Sums of such weights are exact,
    in whatever order they are added.

    Returns:
        Per size the same `start`, `items` and `together`; tables that are merged already come back as they are.
    """
    first, *others = tables.values()
    if all(table.items is first.items for table in others) and first.weights.dtype == np.float16:
        return dict(tables)
    n = len(first.start) - 1
    keys = [np.repeat(np.arange(n), np.diff(table.start)) * n + table.items for table in tables.values()]
    pairs, where = np.unique(np.concatenate(keys), return_inverse=True)
    places = np.split(where, np.cumsum([len(key) for key in keys])[:-1])
    together = np.zeros(len(pairs), dtype=np.int64)
    weights = {size: np.zeros(len(pairs), dtype=np.float16) for size in tables}
    for (size, table), place in zip(tables.items(), places, strict=True):
        together[place] = table.together
        weights[size][place] = _half(table.weights)
    rows, items = np.divmod(pairs, max(n, 1))
    order = np.lexsort((items, -weights[next(iter(tables))], rows))
    start = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=n), out=start[1:])
    items, together = items[order].astype(_smallest(n)), together[order]
    together = together.astype(_smallest(int(together.max(initial=0)) + 1))
    return {
        size: Neighbours(start=start, items=items, weights=values[order], together=together)
        for size, values in weights.items()
    }


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


def descending(items: NDArray[np.int64], values: NDArray[np.float64], first: int) -> Iterator[tuple[int, float]]:
    """Ascending items and their values, largest value first, lower item first when equal; sorts no more than asked."""
    near = values >= np.partition(values, -first)[-first] if len(values) > first else values > 0.0
    for part in (near, ~near):
        order = np.argsort(-values[part], kind="stable")
        yield from zip(items[part][order].tolist(), values[part][order].tolist(), strict=True)


def _half(weights: NDArray[Any]) -> NDArray[np.float16]:
    """Rounded; never to 0 or to infinity, which would change what is in the list."""
    size = np.clip(np.abs(weights), _SMALLEST, _LARGEST)
    return np.where(weights == 0.0, 0.0, np.copysign(size, weights)).astype(np.float16)


def _smallest(values: int) -> type[np.uint16] | type[np.int32]:
    """The smaller of two integer types that holds so many values."""
    return np.uint16 if values <= 1 << 16 else np.int32
