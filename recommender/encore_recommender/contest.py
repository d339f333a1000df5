"""The recommender, best-sellers and the public methods that can run here, at one exam. Needs scikit-learn."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sklearn.base import clone

from encore_recommender import peers
from encore_recommender.baskets import Baskets
from encore_recommender.copurchase import CoPurchaseRecommender
from encore_recommender.evaluation import best_sellers, split
from encore_recommender.exams import (
    CONTEXTS,
    Answers,
    Exam,
    compared,
    coverage_at_3,
    exam,
    taught_products,
    with_history,
    without_history,
)
from encore_recommender.training import Progress

OURS, OURS_KNOWN, POPULAR = "encore", "encore + customer history", "popularity"

#: As it is served unless the merchant allows substitutes: with titles or parent products it never offers another
#: colour of what is in the basket. Shoppers who buy two colours at once make that rule look bad; no peer has one.
OURS_SERVED = "encore, no substitutes"

#: The peers that can be asked for; `popularity` always takes part.
PEERS = tuple(name for name in peers.METHODS if name != POPULAR)

#: Where the time goes, roughly: learning ourselves; every peer has the same share of the rest.
_LEARNED = 0.2


def hold(
    baskets: Baskets,
    estimator: CoPurchaseRecommender,
    *,
    prices: Mapping[str, float],
    names: Sequence[str] = PEERS,
    contexts: Sequence[str] = tuple(CONTEXTS),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Learn from the first 80 % of the orders, ask about the last 20 %.

    Peers are tuned, for each context apart, on the newest eighth of what they learn from; ours runs as it is given.

    Args:
        baskets: With orders in both parts.
        estimator: Ours, not fitted; fitted here.
        prices: Per SKU, for the value-weighted hit rate; may be empty.
        names: Of PEERS.
        contexts: Of `exams.CONTEXTS`.
        progress: See `training.Progress`.

    Returns:
        Plain values: how much was taught; per context the questions, every method's metrics with their intervals
        and its setting, and ours against each of the others (`exams.Comparison`); and who was left out, and why.
    """
    tell = progress or (lambda stage, share: None)
    train_on, test = split(baskets.without_upsell())
    known = taught_products(train_on)
    seed = estimator.random_state
    exams = {name: exam(test, context=CONTEXTS[name], taught=train_on, seed=seed) for name in contexts}
    started = time.perf_counter()
    plain = replace(train_on, titles={}, parents={})
    estimator.fit(plain, progress=lambda share: tell("learning", _LEARNED * share))
    seconds = time.perf_counter() - started
    model, popular = estimator.model_, best_sellers(train_on)
    served = clone(estimator).set_params(choice=estimator.choice_).fit(train_on).model_
    answers: dict[str, dict[str, Answers]] = {name: {} for name in exams}
    settings: dict[str, dict[str, str]] = {name: {} for name in exams}
    for name, asked in exams.items():
        answers[name][OURS] = asked.answers(without_history(model.ids))
        if asked.knows_customers:
            answers[name][OURS_KNOWN] = asked.answers(with_history(model.ids))
        if (served.family_of >= 0).any():
            answers[name][OURS_SERVED] = asked.answers(without_history(served.ids))
        answers[name][POPULAR] = asked.answers(without_history(popular))
    left_out: dict[str, str] = {}
    for number, peer in enumerate(names if any(asked.queries for asked in exams.values()) else ()):
        tell(f"tuning {peer}", _LEARNED + (1.0 - _LEARNED) * number / len(names))
        why = peers.left_out(peer, products=len(known))
        if why:
            left_out[peer] = why
            continue
        for name, (setting, answered) in peers.tuned(peer, train_on, exams).items():
            answers[name][peer], settings[name][peer] = answered, setting
    tell("done", 1.0)
    return {
        "taught": {"orders": train_on.n_orders, "lines": train_on.n_lines, "products": len(known), "seconds": seconds},
        "asked_orders": test.n_orders,
        "contexts": {
            name: {
                "questions": len(asked.queries),
                "methods": {
                    method: {
                        **{metric: found.as_dict() for metric, found in asked.quality(answer).items()},
                        "coverage_at_3": coverage_at_3(answer, known),
                        **(
                            {"value_weighted_hit_rate_at_3": asked.value_weighted_hit_rate_at_3(answer, prices)}
                            if prices
                            else {}
                        ),
                        **({"setting": settings[name][method]} if settings[name].get(method) else {}),
                    }
                    for method, answer in answers[name].items()
                },
                "encore_against": _against(asked, answers[name]),
            }
            for name, asked in exams.items()
        },
        "left_out": left_out,
    }


def _against(asked: Exam, answers: Mapping[str, Answers]) -> dict[str, Any]:
    return {
        method: compared(asked, answer, answers[OURS]).as_dict()
        for method, answer in answers.items()
        if method not in (OURS, OURS_KNOWN, OURS_SERVED)
    }
