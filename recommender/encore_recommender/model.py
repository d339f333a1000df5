"""The served model: arrays in, ranked products out. Needs numpy and nothing else."""

from __future__ import annotations

import heapq
import math
import operator
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from encore_recommender.bounds import NO_BOUNDS, Bounds, screen
from encore_recommender.explanations import Evidence, Explanation, Kind, Pick
from encore_recommender.ids import Names
from encore_recommender.neighbours import MANY_LINES, SIZES, Neighbours, best_first, merged, size_of

#: The number of what the model does not know.
_UNKNOWN = frozenset([-1])

#: Of a long list, so many more than asked for are put in order at once, in case filters take some away.
SORTED_BEYOND = 16


class Memory(NamedTuple):
    """How much more a product counts that the customer is known to buy; nothing by default."""

    bonus: float = 0.0
    """Added, in multiples of the basket's best score."""
    boost: float = 0.0
    """Added to the product's own score, in multiples of it."""


class Calibration(NamedTuple):
    """Turns scores into the probability that a product was bought with the basket: a logistic of logarithms."""

    intercept: float = 0.0
    relative: float = 0.0
    """Of the score over the first product's."""
    best: float = 0.0
    """Of the first product's score."""
    rank: float = 0.0
    """Of the rank, from 1."""
    lines: float = 0.0
    """Of the basket's known lines."""

    def __bool__(self) -> bool:
        """False where nothing was fitted."""
        return any(tuple(self))

    def probability(self, score: float, *, best: float, rank: int, lines: int) -> float:
        """Between 0 and 1; scores are above 0."""
        logit = self.intercept + self.relative * math.log(score / best) + self.best * math.log(best)
        logit += self.rank * math.log(rank) + self.lines * math.log(lines)
        return 1.0 / (1.0 + math.exp(-min(max(logit, -50.0), 50.0)))


def memory_of(history: Iterable[str]) -> dict[str, float]:
    """Per product, how far it is known to be bought, from 0 to 1: one order says 1/2, two 3/4, three 7/8."""
    return {sku: 1.0 - 0.5**orders for sku, orders in Counter(history).items()}


@dataclass(frozen=True, eq=False)
class Recommendations:
    """Products best first, with one score, probability and explanation each.

    Scores never rise along the list, pinned products tie with the first of the others; they order one list and
    mean nothing across lists. Probabilities and explanations are worked out when first asked for: ranking alone
    takes microseconds.
    """

    ids: tuple[str, ...]
    scores: tuple[float, ...]
    _model: CoPurchaseModel = field(repr=False)
    _picked: list[Pick] = field(repr=False)
    _known: list[int] = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recommendations):
            return NotImplemented
        return (self.ids, self.scores, self.explanations) == (other.ids, other.scores, other.explanations)

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def explanations(self) -> tuple[Explanation, ...]:
        return tuple(self._model._explain(self._picked, self._known))

    @cached_property
    def probabilities(self) -> tuple[float, ...]:
        """That a shopper with this basket buys the product beside it, calibrated on held-back orders.

        Never rising, but for pinned products, which come first whatever their probability.

        Says nothing about an offer: see the acceptance rate of the offers themselves. Where there were too
        few orders to calibrate, the product's share of all orders.
        """
        return tuple(self._model._probabilities(self._picked, self._known))


class CoPurchaseModel:
    """A table of neighbours per size of basket and the popularity of every product; immutable, shared by threads.

    Products are numbered best-seller first, then by SKU, so a lower number is also the tie-breaker.

    Args:
        skus: The products, in that order. Those nobody bought yet come last and are never recommended.
        orders: Orders the counts were taken from.
        orders_with: Per product, the orders that contain it.
        tables: Per size of basket (`SIZES`), the neighbours.
        memories: Per size, what a customer's history adds.
        calibrations: Per size, from score to probability.
        categories: The category names.
        category_of: Per product, an index into `categories`, -1 where unknown.
        family_of: Per product, the number of its family of substitutes, -1 where it has none.
        version: Name of the model; empty for one that was not saved.
    """

    def __init__(
        self,
        *,
        skus: Sequence[str],
        orders: int,
        orders_with: NDArray[np.int64],
        tables: Mapping[str, Neighbours],
        memories: Mapping[str, Memory] | None = None,
        calibrations: Mapping[str, Calibration] | None = None,
        categories: Sequence[str] = (),
        category_of: NDArray[np.int32] | None = None,
        family_of: NDArray[np.int32] | None = None,
        version: str = "",
    ) -> None:
        self.skus = skus if isinstance(skus, Names) else Names.of(skus)
        self.orders = orders
        self.orders_with = orders_with
        self.tables = merged(tables)
        self.memories = dict(memories or {size: Memory() for size in SIZES})
        self.calibrations = dict(calibrations or {size: Calibration() for size in SIZES})
        self.categories = categories if isinstance(categories, Names) else Names.of(categories)
        self.category_of = np.full(len(self.skus), -1, dtype=np.int32) if category_of is None else category_of
        self.family_of = np.full(len(self.skus), -1, dtype=np.int32) if family_of is None else family_of
        self.version = version
        self._sold = int(np.count_nonzero(orders_with))
        # Views give plain integers fast and copy nothing.
        self._orders_with, self._category_of = orders_with.data, self.category_of.data
        self._family_of = self.family_of.data if int(self.family_of.max(initial=-1)) >= 0 else None
        self._evidence = Evidence(
            skus=self.skus,
            orders=orders,
            orders_with=self._orders_with,
            category_of=self._category_of,
            sold=self._sold,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied by what it is made of; views are made anew."""
        names = ("orders", "orders_with", "tables", "memories", "calibrations", "category_of", "family_of", "version")
        parts: dict[str, Any] = {name: getattr(self, name) for name in names}
        return partial(CoPurchaseModel, skus=tuple(self.skus), categories=tuple(self.categories), **parts), ()

    def recommend(
        self,
        basket: Collection[str],
        *,
        k: int,
        exclude: Collection[str] = (),
        history: Iterable[str] | None = None,
        allowed: Collection[str] | None = None,
        bounds: Bounds | None = None,
        sequence: Collection[str] = (),
    ) -> Recommendations:
        """Rank what to offer beside a basket: pinned, then bought together, its categories, the best-sellers.

        A product of the same family as a basket line is a substitute, no complement, and no two of one family
        are recommended together; see `substitutes`.

        Args:
            basket: SKUs in any order; repeated and unknown ones are fine and carry no score.
            k: How many at most; none when it is 0 or less.
            exclude: SKUs never to return; those of the basket never are. A set is not copied.
            history: What this customer bought before, once per order that had it; unknown SKUs are fine.
            allowed: When given, only these SKUs may be returned. A set is not copied.
            bounds: What the merchant allows; without it, no substitutes and no two of one family.
            sequence: What was offered before in the same sequence, taken or not: neither that nor another of
                its families is returned, nor what is blocked beside it; it counts where a category has a limit.

        Returns:
            At most `k` products. Empty when nothing is left to recommend, never an exception. The same
            basket gives the same answer whatever the order of its lines.

        Raises:
            TypeError: One text in place of several, of which every letter would be a product, or a broken `k`.
        """
        kinds: tuple[type, ...] = (type(basket), type(exclude), type(history), type(allowed), type(sequence))
        if str in kinds or bytes in kinds:
            raise TypeError("products are given as a list or a set of SKUs, not as one text")
        k, basket = operator.index(k), frozenset(basket)
        known = self._known(basket)
        picked = self._pick(
            known,
            basket,
            k=k,
            exclude=exclude,
            history=history,
            allowed=allowed,
            bounds=NO_BOUNDS if bounds is None else bounds,
            sequence=sequence,
        )
        return Recommendations(tuple([pick[1] for pick in picked]), tuple(_scores(picked)), self, picked, known)

    def ids(
        self, basket: Collection[str], exclude: Collection[str], k: int, history: Iterable[str] | None = None
    ) -> Sequence[str]:
        """The SKUs of `recommend` alone, in the shape `evaluation.measure` asks for."""
        return [pick[1] for pick in self._pick(self._known(basket), basket, k=k, exclude=exclude, history=history)]

    def explain(self, basket: Collection[str], sku: str) -> Explanation | None:
        """What speaks for one product beside a basket, in counts; None for a product nobody bought."""
        item = self.skus.number[sku]
        if not 0 <= item < self._sold:
            return None
        known = [line for line in self._known(basket) if line != item]
        category = self._category_of[item]
        shared = category >= 0 and any(self._category_of[line] == category for line in known)
        together, alone = self._explain(
            [("co_purchase", sku, item, 0.0, None), ("category" if shared else "popularity", sku, item, 0.0, None)],
            known,
        )
        return together if together.kind == "co_purchase" else alone

    def _known(self, basket: Collection[str]) -> list[int]:
        number = self.skus.number
        return sorted({number[sku] for sku in basket} - _UNKNOWN)

    def _lines(self, basket: Collection[str]) -> list[str]:
        """The basket's SKUs in an order that is always the same: known ones first, best-seller first."""
        number, unknown = self.skus.number, len(self.skus)
        return sorted(set(basket), key=lambda sku: (number[sku] % (unknown + 1), sku))

    def _pick(
        self,
        known: list[int],
        basket: Collection[str],
        *,
        k: int,
        exclude: Collection[str],
        history: Iterable[str] | None,
        allowed: Collection[str] | None = None,
        bounds: Bounds = NO_BOUNDS,
        sequence: Collection[str] = (),
    ) -> list[Pick]:
        """At most `k` products down the rungs, best first, each once."""
        taken = {*basket, *sequence}
        if bounds.blocked:
            taken |= bounds.blocked_beside(taken)
        barred = exclude if isinstance(exclude, (set, frozenset)) else frozenset(exclude)
        permitted = allowed if allowed is None or isinstance(allowed, (set, frozenset)) else frozenset(allowed)
        passes = screen(
            bounds,
            category_number=self.categories.number,
            category_of=self._category_of,
            family_of=self._family_of,
            basket=known,
            offered=self._known(sequence) if sequence else (),
        )
        picked: list[Pick] = []
        for sku, line in bounds.pins(self._lines(basket)) if bounds.pinned else ():
            if sku in taken or sku in barred or (permitted is not None and sku not in permitted) or len(picked) >= k:
                continue
            item = self.skus.number[sku]
            if passes is None or passes(item, sku, True):
                taken.add(sku)
                picked.append(("pinned", sku, item, 0.0, line))
        left, name = k - len(picked), self.skus.at
        for kind, ranked in self._rungs(known, history, permitted, k + SORTED_BEYOND) if left > 0 else ():
            for item, score in ranked:
                sku = name[item]
                if sku in taken or sku in barred or (permitted is not None and sku not in permitted):
                    continue
                if passes is not None and not passes(item, sku):
                    continue
                taken.add(sku)
                picked.append((kind, sku, item, score, None))
                left -= 1
                if not left:
                    return picked
        return picked

    def _rungs(
        self, known: list[int], history: Iterable[str] | None, permitted: Collection[str] | None, first: int
    ) -> Iterator[tuple[Kind, Iterable[tuple[int, float]]]]:
        """The ladder, made rung by rung: a full answer from co-purchases never looks at the others."""
        yield "co_purchase", self._together([item for item in known if item < self._sold], history, first)
        yield "category", self._same_category(known)
        best_sellers: Iterable[int] = range(self._sold)
        if permitted is not None and len(permitted) ** 2 < self._sold:
            # So few that looking each up is quicker than meeting one by walking down the best-sellers.
            best_sellers = [item for item in self._known(permitted) if item < self._sold]
        yield "popularity", ((item, self._share(item)) for item in best_sellers)

    def _together(self, bought: list[int], history: Iterable[str] | None, first: int) -> Iterable[tuple[int, float]]:
        if not bought:
            return ()
        size = size_of(len(bought))
        table, memory = self.tables[size], self.memories[size]
        if history is not None and any(memory):
            return self._remembered(table, memory, bought, history, first)
        if len(bought) == 1:
            return table.in_order(bought[0], first=first)
        return table.add_up(bought, first=first + len(bought))

    def _remembered(
        self, table: Neighbours, memory: Memory, bought: list[int], history: Iterable[str], first: int
    ) -> Iterator[tuple[int, float]]:
        """Co-purchases and what this customer buys anyway, in one order."""
        if len(bought) < MANY_LINES:
            sums = table.sums(bought)
        else:
            items, totals = table.totals(bought)
            sums = dict(zip(items.tolist(), totals.tolist(), strict=True))
        best = max(max(sums.values(), default=0.0), 0.0)
        for sku, habit in memory_of(history).items():
            item = self.skus.number[sku]
            if 0 <= item < self._sold:
                sums[item] = sums.get(item, 0.0) * (1.0 + memory.boost * habit) + memory.bonus * best * habit
        return best_first(sums, first + len(bought))

    def _same_category(self, known: list[int]) -> Iterator[tuple[int, float]]:
        named = sorted({self._category_of[item] for item in known} - {-1})
        members = heapq.merge(*(self._members.of(category) for category in named))
        return ((item, self._share(item)) for item in members)

    @cached_property
    def _members(self) -> _Members:
        """Made at the first look: few queries come down to categories."""
        return _Members(self.category_of[: self._sold], len(self.categories))

    def _share(self, item: int) -> float:
        return self._orders_with[item] / self.orders

    def _probabilities(self, picked: Sequence[Pick], known: list[int]) -> Iterator[float]:
        bought = [line for line in known if line < self._sold]
        lines = len(bought)
        calibration = self.calibrations[size_of(lines)] if lines else Calibration()
        ceiling = 1.0
        best = next((score for kind, _, _, score, _ in picked if kind == "co_purchase"), 0.0)
        for rank, (kind, _, item, score, _) in enumerate(picked, start=1):
            chance = self._share(item) if item >= 0 else 0.0
            if kind == "pinned" and lines:
                table = self.tables[size_of(lines)]
                score = sum(table.row(line).get(item, 0.0) for line in bought)
            if kind in ("pinned", "co_purchase") and calibration and score > 0.0:
                chance = calibration.probability(score, best=best or score, rank=rank, lines=lines)
            if kind == "pinned":
                yield chance
            else:
                ceiling = min(ceiling, chance)
                yield ceiling

    def _explain(self, picked: Sequence[Pick], known: list[int]) -> Iterator[Explanation]:
        bought = sum(line < self._sold for line in known)
        return self._evidence.explain(picked, known, self.tables[size_of(bought)] if bought else None)


def _scores(picked: Sequence[Pick]) -> list[float]:
    """Never rising: each rung's stay under the last of the rung above, and pinned products tie with the first."""
    scores: list[float] = []
    rung, ceiling = "co_purchase", 1.0
    for kind, _, _, score, _ in picked:
        if kind == "pinned":
            continue
        if kind != rung:
            rung, ceiling = kind, scores[-1] if scores else 1.0
        scores.append(score if kind == "co_purchase" else score * ceiling)
    return (scores[:1] or [1.0]) * (len(picked) - len(scores)) + scores


class _Members:
    """The products of every category, best-seller first."""

    def __init__(self, category_of: NDArray[np.int32], n_categories: int) -> None:
        self._items = np.argsort(category_of, kind="stable").astype(np.int32).data
        self._start = np.searchsorted(np.sort(category_of), np.arange(n_categories + 1)).tolist()

    def of(self, category: int) -> memoryview[int]:
        return self._items[self._start[category] : self._start[category + 1]]
