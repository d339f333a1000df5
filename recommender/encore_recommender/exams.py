"""How good, with what certainty, and better than what? Needs numpy and nothing else.

Everybody is asked the same questions (`Exam`), so two answers to one question can be compared one by one. Orders, not
questions, are drawn again for the intervals: several questions about one order are one witness.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encore_recommender.baskets import Baskets
from encore_recommender.evaluation import DEPTH, Context, Query, Recommend, queries

#: A short history is asked up to so often, each time with other lines hidden, so that one draw's luck does not judge.
ROUNDS = 5

#: Beyond this many questions intervals are narrower than any difference that matters.
QUESTIONS = 5_000

#: Enough for the ends of a 95 % interval to wander by a hundredth of its width.
RESAMPLES = 1_000

#: The contexts by the names a manifest's metrics have.
CONTEXTS: Mapping[str, Context] = {"full_basket": "all", "one_line": "one"}

Ask = Callable[[Query, int], Sequence[str]]
"""Given a question and k, the SKUs to offer, best first."""

#: What is measured per question, from the hidden product's rank; higher is better.
METRICS: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "hit_rate_at_1": lambda ranks: (ranks <= 1).astype(np.float64),
    "hit_rate_at_3": lambda ranks: (ranks <= 3).astype(np.float64),
    "hit_rate_at_10": lambda ranks: (ranks <= 10).astype(np.float64),
    "mrr_at_10": lambda ranks: 1.0 / ranks,
    "ndcg_at_10": lambda ranks: 1.0 / np.log2(ranks + 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What somebody answered to an exam."""

    ranks: NDArray[np.float64]
    """Per question, the rank of the hidden product from 1, infinite beyond the tenth."""
    shown: frozenset[str]
    """Products that were among anyone's first three."""

    @property
    def gains(self) -> NDArray[np.float64]:
        """Per question, its part of NDCG@10."""
        return METRICS["ndcg_at_10"](self.ranks)


@dataclass(frozen=True)
class Exam:
    """Questions about orders not taught: `rounds` times the same orders, each time with another line hidden."""

    queries: tuple[Query, ...]
    rounds: int
    seed: int = 0

    @property
    def knows_customers(self) -> bool:
        """Whether any question is about a customer with a history."""
        return any(query.history for query in self.queries)

    def answers(self, ask: Ask, *, progress: Callable[[float], None] | None = None) -> Answers:
        """Ask every question."""
        ranks = np.full(len(self.queries), np.inf)
        shown: set[str] = set()
        for i, query in enumerate(self.queries):
            ranked = ask(query, DEPTH)
            shown.update(ranked[:3])
            if query.hidden in ranked:
                ranks[i] = ranked.index(query.hidden) + 1.0
            if progress is not None and i % 256 == 0:
                progress(i / len(self.queries))
        return Answers(ranks=ranks, shown=frozenset(shown))

    def interval(self, values: NDArray[np.float64]) -> Interval:
        """The mean of one value per question, and its interval over orders; zeros without a question."""
        if not len(values):
            return Interval(value=0.0, low=0.0, high=0.0)
        per_order = values.reshape(self.rounds, -1).mean(axis=0)
        low, high = np.quantile(self._draws @ per_order, [0.025, 0.975]).tolist()
        return Interval(value=float(per_order.mean()), low=low, high=high)

    def quality(self, answers: Answers) -> dict[str, Interval]:
        """Every metric of METRICS."""
        return {name: self.interval(measure(answers.ranks)) for name, measure in METRICS.items()}

    def value_weighted_hit_rate_at_3(self, answers: Answers, prices: Mapping[str, float]) -> float:
        """Every question weighed by the hidden product's price; 0 where no price is known."""
        weights = np.array([prices.get(query.hidden, 0.0) for query in self.queries])
        return float((weights * (answers.ranks <= 3)).sum() / weights.sum()) if weights.sum() else 0.0

    @cached_property
    def _draws(self) -> NDArray[np.float64]:
        """RESAMPLES x orders: how often each order is drawn, over their number. One draw serves every comparison."""
        n = len(self.queries) // self.rounds
        rng = np.random.default_rng(self.seed)
        counts = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(RESAMPLES)]
        return np.asarray(counts, dtype=np.float64) / n


def exam(
    test: Baskets, *, context: Context, taught: Baskets | None = None, limit: int = QUESTIONS, seed: int = 0
) -> Exam:
    """Questions about the orders of `test` with two lines or more.

    Args:
        test: Orders not taught.
        context: Show all the other lines, or one of them.
        taught: Earlier orders, for the customers' histories.
        limit: At most so many questions.
        seed: Chooses the lines hidden.
    """
    askable = int(np.count_nonzero(test.sizes >= 2))
    # Only whole rounds: then question i of every round is about the same order.
    rounds = max(1, min(ROUNDS, limit // askable)) if askable else 1
    asked = queries(test, context=context, limit=min(limit, rounds * askable), rounds=rounds, seed=seed, taught=taught)
    return Exam(tuple(asked), rounds, seed)


def without_history(recommend: Recommend) -> Ask:
    """Ask somebody who looks at the basket alone."""
    return lambda query, k: recommend(query.basket, query.exclude, k)


def with_history(recommend: Callable[..., Sequence[str]]) -> Ask:
    """Ask `CoPurchaseModel.ids`, and say what the customer bought before."""
    return lambda query, k: recommend(query.basket, query.exclude, k, history=query.history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """B against A on the same questions, by NDCG@10."""

    a: Interval
    b: Interval
    difference: Interval
    """B minus A, question by question."""

    @property
    def verdict(self) -> str:
        """`better` or `worse` when the interval of the difference leaves 0 out, else `not distinguishable`."""
        if self.difference.low > 0.0:
            return "better"
        return "worse" if self.difference.high < 0.0 else "not distinguishable"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def compared(asked: Exam, a: Answers, b: Answers) -> Comparison:
    """A paired bootstrap over the orders."""
    return Comparison(
        a=asked.interval(a.gains), b=asked.interval(b.gains), difference=asked.interval(b.gains - a.gains)
    )


def coverage_at_3(answers: Answers, taught: Collection[str]) -> float:
    """Share of the taught products that were among anyone's first three."""
    return len(answers.shown) / max(len(taught), 1)


def taught_products(baskets: Baskets) -> list[str]:
    """The products somebody bought."""
    return [baskets.skus[item] for item in np.unique(baskets.items).tolist()]
