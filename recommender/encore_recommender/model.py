"""The served model: arrays in, ranked products out. Needs numpy and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Kind = Literal["co_purchase", "category", "popularity"]

#: From this many known lines on, adding up whole arrays beats adding up Python dicts.
MANY_LINES = 6

#: Of a long list, so many are put in order at once: more than anyone asks for, filters included.
SORTED_FIRST = 64

#: Rows kept as Python dicts per table: about 8 kB each, so at most some 16 MB per table and process.
CACHED_ROWS = 2048

#: Below this many orders a ratio says more about luck than about the products, so it is not put into words.
SUPPORT_FOR_A_RATIO = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a product was recommended, in counts of orders that anyone can check against the order history."""

    kind: Kind
    because_of: str | None = None
    """The basket line that spoke loudest for it (for `category`: a line of that category); None for `popularity`."""
    support: int = 0
    """Orders with both products; for `category` and `popularity`, orders with the recommended one."""
    of_orders: int = 0
    """Orders with `because_of`; for `category` and `popularity`, all orders."""
    lift: float | None = None
    """support / of_orders over the recommended product's share of all orders; None but for `co_purchase`."""

    def sentence(self) -> str:
        """In English, for people: `in 41 of 380 orders, 3.2 times more than chance`."""
        counts = f"in {self.support:,} of {self.of_orders:,} orders"
        if self.kind == "category":
            return f"popular in the same category, {counts}"
        if self.kind == "popularity":
            return f"popular in the shop, {counts}"
        if self.lift is None or self.lift <= 1.0 or self.support < SUPPORT_FOR_A_RATIO:
            return counts
        return f"{counts}, {self.lift:,.1f} times more than chance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendations:
    """Products best first, with one score and one explanation each.

    Scores never rise along the list; they order one list and mean nothing across lists.
    """

    ids: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    explanations: tuple[Explanation, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


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
    """Finite and above 0."""
    together: NDArray[np.int32]
    """Orders that contain both."""
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

    def add_up(self, items: list[int]) -> Iterator[tuple[int, float]]:
        """Neighbours of several products with summed weights, best first, better seller first when equal."""
        if len(items) < MANY_LINES:
            sums: dict[int, float] = {}
            get = sums.get
            for item in items:
                for neighbour, weight in self.row(item).weights.items():
                    sums[neighbour] = get(neighbour, 0.0) + weight
            # Sorting is stable, so equal sums stay in the order of the ids.
            ranked = sorted(sorted(sums), key=sums.__getitem__, reverse=True)
            return ((neighbour, sums[neighbour]) for neighbour in ranked)
        spans = [slice(*self.start[item : item + 2].tolist()) for item in items]
        neighbours = np.concatenate([self.items[span] for span in spans])
        totals = np.bincount(neighbours, weights=np.concatenate([self.weights[span] for span in spans]))
        return _descending(totals.astype(np.float64, copy=False))


def _descending(totals: NDArray[np.float64]) -> Iterator[tuple[int, float]]:
    """Positions and values above 0, largest first, lower position first when equal; sorts no more than asked."""
    bar = np.partition(totals, -SORTED_FIRST)[-SORTED_FIRST] if len(totals) > SORTED_FIRST else 0.0
    for found in (
        np.flatnonzero((totals >= bar) & (totals > 0.0)),
        np.flatnonzero((totals < bar) & (totals > 0.0)),
    ):
        order = found[np.argsort(-totals[found], kind="stable")]
        yield from zip(order.tolist(), totals[order].tolist(), strict=True)


class CoPurchaseModel:
    """Two tables of neighbours and the popularity of every product; immutable, safe to share between threads.

    Products are numbered best-seller first, then by SKU, so a lower number is also the tie-breaker.

    Args:
        skus: The products, in that order. Those nobody bought yet come last and are never recommended.
        orders: Orders the counts were taken from.
        orders_with: Per product, the orders that contain it.
        one: Neighbours for a basket with one known line.
        many: Neighbours for a basket with several.
        categories: The category names.
        category_of: Per product, an index into `categories`, -1 where unknown.
        version: Name of the model; empty for one that was not saved.
    """

    def __init__(
        self,
        *,
        skus: Sequence[str],
        orders: int,
        orders_with: NDArray[np.int64],
        one: Neighbours,
        many: Neighbours,
        categories: Sequence[str] = (),
        category_of: NDArray[np.int32] | None = None,
        version: str = "",
    ) -> None:
        self.skus = tuple(skus)
        self.orders = orders
        self.orders_with = orders_with
        self.one = one
        self.many = many
        self.categories = tuple(categories)
        self.category_of = np.full(len(self.skus), -1, dtype=np.int32) if category_of is None else category_of
        self.version = version
        self._index: Mapping[str, int] = {sku: i for i, sku in enumerate(self.skus)}
        self._counts: list[int] = orders_with.tolist()
        self._sold = int(np.count_nonzero(orders_with))
        self._members = _members_by_category(self.category_of[: self._sold], len(self.categories))

    def recommend(
        self,
        basket: Collection[str],
        *,
        k: int,
        exclude: Collection[str] = (),
        allowed: Collection[str] | None = None,
    ) -> Recommendations:
        """Rank what to offer beside a basket: bought together first, then its categories, then best-sellers.

        Args:
            basket: SKUs in any order; repeated and unknown ones are fine and carry no score.
            k: How many at most; none when it is 0 or less.
            exclude: SKUs never to return; those of the basket never are.
            allowed: When given, only these SKUs may be returned.

        Returns:
            At most `k` products. Empty when nothing is left to recommend, never an exception. The same
            basket gives the same answer whatever the order of its lines.
        """
        known = self._known(basket)
        picked = list(self._pick(known, basket, k=k, exclude=exclude, allowed=allowed))
        scores: list[float] = []
        ceiling = 1.0
        rung = "co_purchase"
        for kind, _, score in picked:
            if kind != rung:
                # Each rung's scores stay under the last of the rung above.
                rung, ceiling = kind, scores[-1] if scores else 1.0
            scores.append(score if kind == "co_purchase" else score * ceiling)
        return Recommendations(
            ids=tuple(self.skus[item] for _, item, _ in picked),
            scores=tuple(scores),
            explanations=tuple(self._explain_all(picked, known)),
        )

    def ids(self, basket: Collection[str], exclude: Collection[str], k: int) -> Sequence[str]:
        """The SKUs of `recommend` alone, in the shape `evaluation.measure` asks for; quicker."""
        picked = self._pick(self._known(basket), basket, k=k, exclude=exclude, allowed=None)
        return [self.skus[item] for _, item, _ in picked]

    def _known(self, basket: Collection[str]) -> list[int]:
        index = self._index
        return sorted({index[sku] for sku in basket if sku in index})

    def _pick(
        self,
        known: list[int],
        basket: Collection[str],
        *,
        k: int,
        exclude: Collection[str],
        allowed: Collection[str] | None,
    ) -> Iterator[tuple[Kind, int, float]]:
        """At most `k` products down the rungs, best first, each once: (rung, product, score on that rung)."""
        barred = set(basket).union(exclude)
        permitted = allowed if allowed is None or isinstance(allowed, Set) else frozenset(allowed)
        left = k
        for kind, ranked in self._rungs(known):
            for item, score in ranked:
                if left <= 0:
                    return
                sku = self.skus[item]
                if sku in barred or (permitted is not None and sku not in permitted):
                    continue
                barred.add(sku)
                left -= 1
                yield kind, item, score

    def _rungs(self, known: list[int]) -> Iterator[tuple[Kind, Iterator[tuple[int, float]]]]:
        """The ladder, made rung by rung: a full answer from co-purchases never looks at the others."""
        yield "co_purchase", self._together([item for item in known if item < self._sold])
        yield "category", self._same_category(known)
        yield "popularity", ((item, self._share(item)) for item in range(self._sold))

    def _together(self, bought: list[int]) -> Iterator[tuple[int, float]]:
        if not bought:
            return iter(())
        if len(bought) == 1:
            return iter(self.one.row(bought[0]).weights.items())
        return self.many.add_up(bought)

    def _same_category(self, known: list[int]) -> Iterator[tuple[int, float]]:
        named = {int(self.category_of[item]) for item in known} - {-1}
        members = sorted(item for category in named for item in self._members[category])
        return ((item, self._share(item)) for item in members)

    def _share(self, item: int) -> float:
        return self._counts[item] / self.orders

    def _explain_all(self, picked: list[tuple[Kind, int, float]], known: list[int]) -> Iterator[Explanation]:
        bought = [line for line in known if line < self._sold]
        table = self.one if len(bought) == 1 else self.many
        rows = [(line, table.row(line)) for line in bought]
        for kind, item, _ in picked:
            if kind == "co_purchase":
                yield self._explain(item, rows)
                continue
            category = int(self.category_of[item])
            line = next((i for i in known if int(self.category_of[i]) == category), -1)
            yield Explanation(
                kind=kind,
                because_of=self.skus[line] if kind == "category" else None,
                support=self._counts[item],
                of_orders=self.orders,
            )

    def _explain(self, item: int, rows: list[tuple[int, Row]]) -> Explanation:
        """Name the basket line that weighs most for a product; the better seller when two weigh the same."""
        loudest, best = rows[0], 0.0
        for entry in rows:
            weight = entry[1].weights.get(item, 0.0)
            if weight > best:
                loudest, best = entry, weight
        line, row = loudest
        support, of_orders = row.together[item], self._counts[line]
        return Explanation(
            kind="co_purchase",
            because_of=self.skus[line],
            support=support,
            of_orders=of_orders,
            lift=support * self.orders / (of_orders * self._counts[item]),
        )


def _members_by_category(category_of: NDArray[np.int32], n_categories: int) -> list[list[int]]:
    members: list[list[int]] = [[] for _ in range(n_categories)]
    for item, category in enumerate(category_of.tolist()):
        if category >= 0:
            members[category].append(item)
    return members
