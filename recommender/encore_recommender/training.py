"""From an order history to a judged model: learn on the earlier orders, judge on the later, then learn from all.

Needs scipy and scikit-learn, like `copurchase`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from encore_recommender.baskets import Baskets
from encore_recommender.bounds import Bounds
from encore_recommender.copurchase import CoPurchaseRecommender, parameters
from encore_recommender.evaluation import Query, best_sellers, measure, split
from encore_recommender.exams import CONTEXTS, Interval, exam, taught_products, without_history
from encore_recommender.judging import Verdict, judge
from encore_recommender.persistence import Provenance
from encore_recommender.tuning import Choice

Progress = Callable[[str, float], None]
"""Told the stage, in words, and the finished share of the whole, 0 to 1, never falling."""

#: Where the time goes, roughly: choosing, learning and judging on a part of the orders, then learning from all.
_JUDGED = 0.8

_FREELY = Bounds(substitutes=True)

#: A learning curve doubles the orders from point to point and has so many points at most.
CURVE_POINTS = 7

#: Fewer orders than this teach nothing worth a point.
LEAST_ORDERS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model learned from all orders, and how its method did on the newest fifth when it had not seen them."""

    estimator: CoPurchaseRecommender
    metrics: Mapping[str, Mapping[str, float]]
    """Per context, and for best-sellers in it, `evaluation.Quality` as plain values."""
    verdict: Verdict
    """Whether it may go live, by its answers to full baskets and to one line together."""
    baskets: Baskets

    def provenance(self, *, now: datetime) -> Provenance:
        """What a manifest says of it. `now` is timezone-aware."""
        times = self.baskets.times
        return Provenance(
            created_at=now,
            parameters=parameters(self.estimator),
            metrics=self.metrics,
            seed=self.estimator.random_state,
            first_order_at=None if times is None else float(times[0]),
            last_order_at=None if times is None else float(times[-1]),
            lines=self.estimator.n_lines_,
        )


def train(baskets: Baskets, estimator: CoPurchaseRecommender, *, progress: Progress | None = None) -> Trained:
    """Learn and judge.

    Settings are chosen and a first model is fitted on the earlier orders alone; the one returned is then fitted on
    all orders with those settings.

    Args:
        baskets: Not empty.
        estimator: Gives the parameters; not fitted itself.
        progress: See `Progress`.
    """
    tell = progress or _silent
    choice, metrics, verdict = judged(baskets, estimator, progress=_part(tell, "choosing how to blend", 0.0, _JUDGED))
    tell("learning from all orders", _JUDGED)
    final = _like(estimator, choice=choice)
    final.fit(baskets, progress=lambda share: tell("learning from all orders", _JUDGED + (1.0 - _JUDGED) * share))
    return Trained(estimator=final, metrics=metrics, verdict=verdict, baskets=baskets)


def judged(
    baskets: Baskets, estimator: CoPurchaseRecommender, *, progress: Callable[[float], None] | None = None
) -> tuple[Choice, dict[str, dict[str, float]], Verdict]:
    """How well the method does on the newest fifth of the orders when it has learned from the others alone.

    Args:
        baskets: The order history.
        estimator: Gives the parameters; not fitted itself.
        progress: Told the finished share, 0 to 1.

    Returns:
        The settings it chose; per context, and for best-sellers in it, `evaluation.Quality` as plain values; and
        whether it may go live, by its answers in both contexts together. The verdict allows substitutes: a shop
        whose orders hold several colours of one thing has no worse a model for never offering the next colour.
    """
    taught, held_out = split(baskets.without_upsell())
    trial = _like(estimator).fit(taught, progress=progress)
    model = trial.model_

    def freely(basket: Sequence[str], exclude: Collection[str], k: int) -> Sequence[str]:
        return model.recommend(basket, k=k, exclude=exclude, bounds=_FREELY).ids

    popular, known = best_sellers(taught), taught_products(taught)
    found: dict[str, dict[str, float]] = {}
    asked: list[Query] = []
    for name, context in CONTEXTS.items():
        questions = exam(held_out, context=context, seed=trial.random_state).queries
        found[name] = measure(model.ids, questions, taught=known).as_dict()
        found[f"{name}_popularity"] = measure(popular, questions, taught=known).as_dict()
        asked += questions
    pairs = int(np.count_nonzero(baskets.without_upsell().sizes >= 2))
    return trial.choice_, found, judge(freely, popular, asked, baskets=pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Quality after learning from so many of the newest orders before the test."""

    orders: int
    context: str
    method: str
    ndcg_at_10: Interval

    def as_dict(self) -> dict[str, Any]:
        return {
            "orders": self.orders,
            "context": self.context,
            "method": self.method,
            "ndcg_at_10": self.ndcg_at_10.as_dict(),
        }


def learning_curve(
    baskets: Baskets, estimator: CoPurchaseRecommender, *, progress: Progress | None = None
) -> list[CurvePoint]:
    """Quality against data size: the same questions after learning from ever more of the orders before them.

    The newest orders are kept at each size, as if the shop had opened later. Substitutes are allowed: what orders
    teach is measured, not what the merchant then allows.

    Returns:
        Per size, context and method (`encore`, `best-sellers`) one point, sizes ascending.
    """
    tell = progress or _silent
    train_on, test = split(replace(baskets.without_upsell(), titles={}, parents={}))
    exams = {name: exam(test, context=context, seed=estimator.random_state) for name, context in CONTEXTS.items()}
    sizes = curve_sizes(train_on.n_orders)
    points: list[CurvePoint] = []
    for size in sizes:
        newest = train_on.take(np.arange(train_on.n_orders - size, train_on.n_orders))
        done = sum(each for each in sizes if each < size) / sum(sizes)
        weight = size / sum(sizes)
        stage = f"learning from {size:,} orders"
        fitted = _like(estimator).fit(newest, progress=_part(tell, stage, done, weight))
        for name, asked in exams.items():
            for method, answer in (("encore", fitted.model_.ids), ("best-sellers", best_sellers(newest))):
                gains = asked.answers(without_history(answer)).gains
                points.append(CurvePoint(orders=size, context=name, method=method, ndcg_at_10=asked.interval(gains)))
    return points


def curve_sizes(orders: int) -> list[int]:
    """All orders, half of them, a quarter, and so on, ascending."""
    sizes = [orders >> halvings for halvings in reversed(range(CURVE_POINTS))]
    return [size for size in sizes if size >= LEAST_ORDERS]


def _like(estimator: CoPurchaseRecommender, **parameters: Any) -> CoPurchaseRecommender:
    """Another with the same parameters but for those given, not fitted."""
    return CoPurchaseRecommender(**{**estimator.get_params(), **parameters})


def _part(tell: Progress, stage: str, done: float, weight: float) -> Callable[[float], None]:
    """Hears shares of one stage and tells shares of the whole."""
    return lambda share: tell(stage, done + weight * share)


def _silent(stage: str, share: float) -> None:
    """Report to nobody."""
