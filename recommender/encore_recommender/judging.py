"""Is a model fit to go live? One rule, for whoever trains: enough orders, and not worse than the best-sellers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encore_recommender.evaluation import DEPTH, Query, Recommend

#: Orders of two products or more that a history needs. A fifth of them judges, and with fewer than twenty judges even a
#: hit rate of a third is unsure by a fifth up and down (1.96 * sqrt(1/3 * 2/3 / 20) = 0.21): nobody could tell such a
#: model from the best-sellers.
ENOUGH_BASKETS = 100

#: Draws of the bootstrap: the ends of a 95 % interval then wander by a hundredth of its width.
RESAMPLES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A model against the best-sellers, on the same questions."""

    questions: int
    lead: float
    """Mean NDCG@10 over the best-sellers' mean, as a difference; 0 without a question."""
    low: float
    """Of the 95 % interval of `lead`."""
    high: float
    doubt: str
    """Why the model should not go live, as a sentence; empty when nothing speaks against it."""


def judge(model: Recommend, popular: Recommend, asked: Sequence[Query], *, baskets: int) -> Verdict:
    """Compare on held-out questions, and say whether the model may go live.

    It is worse than the best-sellers when luck does not explain it: when the whole 95 % interval of the paired
    difference is below 0. Resampled are orders and not questions, because those of one order rise and fall together
    (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 8).

    Args:
        model: Fitted on earlier orders than those asked.
        popular: `evaluation.best_sellers` of the same earlier orders.
        asked: From `evaluation.queries`, of any context; an order may be asked several times.
        baskets: Orders of two products or more in the whole history.
    """
    by_order: defaultdict[int, list[float]] = defaultdict(list)
    for query in asked:
        by_order[query.order].append(_gain(model, query) - _gain(popular, query))
    lead, low, high = _interval(list(by_order.values()))
    doubt = ""
    if baskets < ENOUGH_BASKETS:
        doubt = (
            f"it learned from {baskets:,} order{'s' * (baskets != 1)} of two products or more, and fewer than "
            f"{ENOUGH_BASKETS} cannot show whether it beats the best-sellers"
        )
    elif high < 0.0:
        doubt = f"it is worse than the best-sellers on the newest orders, by {-high:.3f} to {-low:.3f} of NDCG@10"
    return Verdict(questions=len(asked), lead=lead, low=low, high=high, doubt=doubt)


def _gain(recommend: Recommend, query: Query) -> float:
    """The question's part of NDCG@10: 1 for a first place, 0 beyond the tenth."""
    ranked = recommend(query.basket, query.exclude, DEPTH)
    return 1.0 / math.log2(ranked.index(query.hidden) + 2) if query.hidden in ranked else 0.0


def _interval(by_order: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """(mean, low, high) over all questions, orders drawn with replacement."""
    if not by_order:
        return 0.0, 0.0, 0.0
    sums = np.array([sum(leads) for leads in by_order])
    sizes = np.array([len(leads) for leads in by_order])
    draw = np.random.default_rng(0)
    means = np.empty(RESAMPLES)
    for turn in range(RESAMPLES):
        drawn = draw.integers(0, len(sums), len(sums))
        means[turn] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    return float(sums.sum() / sizes.sum()), low, high
