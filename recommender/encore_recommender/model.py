"""The served model: arrays in, ranked products out. Needs numpy and nothing else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from encore_recommender.bounds import NO_BOUNDS, Bounds, screen
from encore_recommender.neighbours import MANY_LINES, SIZES, Neighbours, Row, best_first, size_of

Kind = Literal["pinned", "co_purchase", "category", "popularity"]

Pick = tuple[Kind, str, int, float, str | None]
"""The rung, the SKU, its number or -1 where the model does not know it, its score, the line it is pinned to."""

#: Of a long list, so many more than asked for are put in order at once, in case filters take some away.
SORTED_BEYOND = 16

#: Below this many orders a ratio says more about luck than about the products, so it is not put into words.
SUPPORT_FOR_A_RATIO = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a product was recommended, in counts of orders that anyone can check against the order history."""

    kind: Kind
    because_of: str | None = None
    """The basket line that spoke loudest for it (for `category`: a line of that category; for `pinned`: the line
    the merchant pinned it to); None for `popularity`."""
    support: int = 0
    """Orders with both products; for `category` and `popularity`, orders with the recommended one. For `pinned` 0
    where too few had both."""
    of_orders: int = 0
    """Orders with `because_of`; for `category` and `popularity`, all orders."""
    lift: float | None = None
    """support / of_orders over the recommended product's share of all orders; None for `category` and `popularity`,
    and for `pinned` without support."""

    def sentence(self) -> str:
        """In English, for people: `in 41 of 380 orders, 3.2 times more than chance`."""
        counts = f"in {self.support:,} of {self.of_orders:,} orders"
        if self.kind == "pinned":
            return "chosen by the shop" + (f", {counts}" if self.support else "")
        if self.kind == "category":
            return f"popular in the same category, {counts}"
        if self.kind == "popularity":
            return f"popular in the shop, {counts}"
        if self.lift is None or self.lift <= 1.0 or self.support < SUPPORT_FOR_A_RATIO:
            return counts
        return f"{counts}, {self.lift:,.1f} times more than chance"


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
    _picked: tuple[Pick, ...] = field(repr=False)
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
        return tuple(self._model._explain_all(self._picked, self._known))

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
        self.skus = tuple(skus)
        self.orders = orders
        self.orders_with = orders_with
        self.tables = dict(tables)
        self.memories = dict(memories or {size: Memory() for size in SIZES})
        self.calibrations = dict(calibrations or {size: Calibration() for size in SIZES})
        self.categories = tuple(categories)
        self.category_of = np.full(len(self.skus), -1, dtype=np.int32) if category_of is None else category_of
        self.family_of = np.full(len(self.skus), -1, dtype=np.int32) if family_of is None else family_of
        self.version = version
        self._index: Mapping[str, int] = {sku: i for i, sku in enumerate(self.skus)}
        self._counts: list[int] = orders_with.tolist()
        self._sold = int(np.count_nonzero(orders_with))
        self._category_numbers = {name: number for number, name in enumerate(self.categories)}
        # Views that give plain integers fast and copy nothing.
        self._category_of = self.category_of.data
        self._family_of = self.family_of.data if bool((self.family_of >= 0).any()) else None
        self._members = _members_by_category(self.category_of[: self._sold], len(self.categories))

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
        """
        known = self._known(basket)
        picked = tuple(
            self._pick(
                known,
                basket,
                k=k,
                exclude=exclude,
                history=history,
                allowed=allowed,
                bounds=NO_BOUNDS if bounds is None else bounds,
                sequence=sequence,
            )
        )
        return Recommendations(tuple([pick[1] for pick in picked]), tuple(_scores(picked)), self, picked, known)

    def ids(
        self, basket: Collection[str], exclude: Collection[str], k: int, history: Iterable[str] | None = None
    ) -> Sequence[str]:
        """The SKUs of `recommend` alone, in the shape `evaluation.measure` asks for."""
        return [pick[1] for pick in self._pick(self._known(basket), basket, k=k, exclude=exclude, history=history)]

    def explain(self, basket: Collection[str], sku: str) -> Explanation | None:
        """What speaks for one product beside a basket, in counts; None for a product nobody bought."""
        item = self._index.get(sku, self._sold)
        if item >= self._sold:
            return None
        known = [line for line in self._known(basket) if line != item]
        category = int(self.category_of[item])
        rung: Kind = "category" if category >= 0 and category in self.category_of[known].tolist() else "popularity"
        for kind in ("co_purchase", rung):
            (found,) = self._explain_all([(kind, sku, item, 0.0, None)], known)
            if kind == rung or found.kind == "co_purchase":
                return found
        raise AssertionError("popularity always explains")

    def _known(self, basket: Collection[str]) -> list[int]:
        index = self._index
        return sorted({index[sku] for sku in basket if sku in index})

    def _lines(self, basket: Collection[str]) -> list[str]:
        """The basket's SKUs in an order that is always the same: known ones first, best-seller first."""
        unknown = len(self.skus)
        return sorted(set(basket), key=lambda sku: (self._index.get(sku, unknown), sku))

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
    ) -> Iterator[Pick]:
        """At most `k` products down the rungs, best first, each once."""
        taken = {*basket, *sequence}
        taken |= bounds.blocked_beside(taken)
        barred = exclude if isinstance(exclude, Set) else frozenset(exclude)
        permitted = allowed if allowed is None or isinstance(allowed, Set) else frozenset(allowed)
        passes = screen(
            bounds,
            category_numbers=self._category_numbers,
            category_of=self._category_of,
            family_of=self._family_of,
            basket=known,
            offered=self._known(sequence),
        )
        left, skus = k, self.skus
        for sku, line in bounds.pins(self._lines(basket)) if bounds.pinned else ():
            if left <= 0:
                return
            item = self._index.get(sku, -1)
            if sku in taken or sku in barred or (permitted is not None and sku not in permitted):
                continue
            if passes is None or passes(item, sku, True):
                taken.add(sku)
                left -= 1
                yield "pinned", sku, item, 0.0, line
        for kind, ranked in self._rungs(known, history, max(k, 0) + SORTED_BEYOND):
            for item, score in ranked:
                if left <= 0:
                    return
                sku = skus[item]
                if sku in taken or sku in barred or (permitted is not None and sku not in permitted):
                    continue
                if passes is not None and not passes(item, sku):
                    continue
                taken.add(sku)
                left -= 1
                yield kind, sku, item, score, None

    def _rungs(
        self, known: list[int], history: Iterable[str] | None, first: int
    ) -> Iterator[tuple[Kind, Iterable[tuple[int, float]]]]:
        """The ladder, made rung by rung: a full answer from co-purchases never looks at the others."""
        yield "co_purchase", self._together([item for item in known if item < self._sold], history, first)
        yield "category", self._same_category(known)
        yield "popularity", ((item, self._share(item)) for item in range(self._sold))

    def _together(self, bought: list[int], history: Iterable[str] | None, first: int) -> Iterable[tuple[int, float]]:
        if not bought:
            return ()
        size = size_of(len(bought))
        table, memory = self.tables[size], self.memories[size]
        if history is not None and any(memory):
            return self._remembered(table, memory, bought, history, first)
        if len(bought) == 1:
            return table.row(bought[0]).weights.items()
        return table.add_up(bought, first=first + len(bought))

    def _remembered(
        self, table: Neighbours, memory: Memory, bought: list[int], history: Iterable[str], first: int
    ) -> Iterator[tuple[int, float]]:
        """Co-purchases and what this customer buys anyway, in one order."""
        if len(bought) < MANY_LINES:
            sums = table.sums(bought)
        else:
            totals = table.totals(bought)
            positive = np.flatnonzero(totals > 0.0)
            sums = dict(zip(positive.tolist(), totals[positive].tolist(), strict=True))
        best = max(max(sums.values(), default=0.0), 0.0)
        for sku, habit in memory_of(history).items():
            item = self._index.get(sku, self._sold)
            if item < self._sold:
                sums[item] = sums.get(item, 0.0) * (1.0 + memory.boost * habit) + memory.bonus * best * habit
        return best_first(sums, first + len(bought))

    def _same_category(self, known: list[int]) -> Iterator[tuple[int, float]]:
        named = {int(self.category_of[item]) for item in known} - {-1}
        members = sorted(item for category in named for item in self._members[category])
        return ((item, self._share(item)) for item in members)

    def _share(self, item: int) -> float:
        return self._counts[item] / self.orders

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
                score = sum(table.row(line).weights.get(item, 0.0) for line in bought)
            if kind in ("pinned", "co_purchase") and calibration and score > 0.0:
                chance = calibration.probability(score, best=best or score, rank=rank, lines=lines)
            if kind == "pinned":
                yield chance
            else:
                ceiling = min(ceiling, chance)
                yield ceiling

    def _explain_all(self, picked: Sequence[Pick], known: list[int]) -> Iterator[Explanation]:
        bought = [line for line in known if line < self._sold]
        table = self.tables[size_of(len(bought))] if bought else None
        rows = [(line, table.row(line)) for line in bought] if table else []
        for kind, _, item, _, pinned_to in picked:
            if pinned_to is not None:
                yield self._explain_pin(item, pinned_to)
                continue
            found = self._explain(item, rows) if kind == "co_purchase" else None
            if found is not None:
                yield found
                continue
            category = int(self.category_of[item])
            line = next((i for i in known if int(self.category_of[i]) == category), -1)
            yield Explanation(
                kind="category" if kind == "category" else "popularity",
                because_of=self.skus[line] if kind == "category" else None,
                support=self._counts[item],
                of_orders=self.orders,
            )

    def _explain_pin(self, item: int, pinned_to: str) -> Explanation:
        """With the counts of the line it is pinned to, where both were bought together often enough."""
        line = self._index.get(pinned_to, self._sold)
        if not 0 <= item < self._sold or line >= self._sold:
            return Explanation(kind="pinned", because_of=pinned_to)
        found = self._explain(item, [(line, self.tables[size_of(1)].row(line))])
        return (
            replace(found, kind="pinned")
            if found
            else Explanation(kind="pinned", because_of=pinned_to, of_orders=self._counts[line])
        )

    def _explain(self, item: int, rows: list[tuple[int, Row]]) -> Explanation | None:
        """Name the basket line that weighs most for a product; the better seller when two weigh the same.

        None where no line was bought together with it often enough: then its popularity carried it.
        """
        loudest: tuple[int, Row] | None = None
        best = -math.inf
        for line, row in rows:
            weight = row.weights.get(item, -math.inf)
            if weight > best and row.together[item]:
                loudest, best = (line, row), weight
        if loudest is None:
            return None
        line, row = loudest
        support, of_orders = row.together[item], self._counts[line]
        return Explanation(
            kind="co_purchase",
            because_of=self.skus[line],
            support=support,
            of_orders=of_orders,
            lift=support * self.orders / (of_orders * self._counts[item]),
        )


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


def _members_by_category(category_of: NDArray[np.int32], n_categories: int) -> list[list[int]]:
    members: list[list[int]] = [[] for _ in range(n_categories)]
    for item, category in enumerate(category_of.tolist()):
        if category >= 0:
            members[category].append(item)
    return members
