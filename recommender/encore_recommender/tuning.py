"""Choosing how to score, on the shop's own orders: teach on the earlier ones, ask about the later ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encore_recommender import evaluation
from encore_recommender.baskets import Baskets
from encore_recommender.model import CoPurchaseModel
from encore_recommender.scorers import AsymmetricCosine, ShrunkLift

#: The newest eighth of the training orders chooses between settings.
VALIDATION_SHARE = 0.125

#: Enough to see a difference of 0.01 in NDCG between two settings asked the same questions.
VALIDATION_QUERIES = 1_500

#: With fewer questions than this, luck would choose; the defaults are kept.
ENOUGH_QUERIES = 50

#: Counting for the choice looks at the newest orders only, so that choosing never outgrows counting.
ORDERS_FOR_CHOICE = 100_000


#: Assortments turn over. Four months helped on every history with times; without times it does nothing.
HALF_LIFE_DAYS = 120.0

Scorer = ShrunkLift | AsymmetricCosine


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to fill a table: how orders are weighted, and how a pair's counts become a score."""

    scorer: Scorer
    basket_exponent: float
    half_life_days: float | None = HALF_LIFE_DAYS

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        numbers = {name: getattr(self.scorer, name) for name in self.scorer.__slots__}
        weights = {"basket_exponent": self.basket_exponent, "half_life_days": self.half_life_days}
        return {"scorer": type(self.scorer).__name__, **numbers, **weights}


#: One line known: what else do buyers of this take? On public order histories the shrunken conditional
#: is best or within noise of it, and it degrades to the best-sellers where data is thin.
DEFAULT_ONE = Setting(scorer=ShrunkLift(strength=20.0), basket_exponent=1.0)

#: Several lines known: the best sum of neighbours that needs only counts, on the same histories.
DEFAULT_MANY = Setting(scorer=AsymmetricCosine(asymmetry=0.9, locality=3.0), basket_exponent=0.5)

EXPONENTS = (0.5, 1.0)
ONE_SCORERS: tuple[Scorer, ...] = (
    ShrunkLift(strength=5.0),
    ShrunkLift(strength=20.0),
    ShrunkLift(strength=80.0),
    AsymmetricCosine(asymmetry=0.8, locality=1.0),
)
MANY_SCORERS: tuple[Scorer, ...] = (
    AsymmetricCosine(asymmetry=0.7, locality=3.0),
    AsymmetricCosine(asymmetry=0.9, locality=3.0),
    AsymmetricCosine(asymmetry=0.8, locality=1.0),
)

Build = Callable[[Baskets, Sequence[Setting]], Mapping[Setting, CoPurchaseModel]]
"""Fit a model per setting, with the setting's table in both places; settings share how orders are weighted."""


def choose(baskets: Baskets, build: Build, *, seed: int, progress: Callable[[float], None]) -> tuple[Setting, Setting]:
    """The settings for one known line and for several.

    A setting replaces the default only if it beats it by more than one standard error of the paired
    difference: with little data nothing does, and the defaults stand.

    Args:
        baskets: Training orders without upsell lines.
        build: Fits one model per setting.
        seed: Chooses the hidden lines.
        progress: Told the finished share, from 0 to 1.
    """
    recent = baskets.take(np.arange(max(baskets.n_orders - ORDERS_FOR_CHOICE, 0), baskets.n_orders))
    taught, asked = evaluation.split(recent, share=VALIDATION_SHARE, by_content=recent.times is None)
    one = evaluation.queries(asked, context="one", limit=VALIDATION_QUERIES, seed=seed)
    many = evaluation.queries(asked, context="all", limit=VALIDATION_QUERIES, seed=seed)
    many = [query for query in many if len(query.basket) > 1]
    gains_one: dict[Setting, NDArray[np.float64]] = {}
    gains_many: dict[Setting, NDArray[np.float64]] = {}
    if len(one) >= ENOUGH_QUERIES:
        for done, exponent in enumerate(EXPONENTS):
            scorers = dict.fromkeys(ONE_SCORERS + MANY_SCORERS)
            settings = {scorer: Setting(scorer=scorer, basket_exponent=exponent) for scorer in scorers}
            models = build(taught, list(settings.values()))
            gains_one.update({settings[s]: _gains(models[settings[s]], one) for s in ONE_SCORERS})
            gains_many.update({settings[s]: _gains(models[settings[s]], many) for s in MANY_SCORERS})
            progress((done + 1) / len(EXPONENTS))
    progress(1.0)
    return _best(gains_one, DEFAULT_ONE), _best(gains_many, DEFAULT_MANY)


def _gains(model: CoPurchaseModel, questions: Sequence[evaluation.Query]) -> NDArray[np.float64]:
    gains = np.zeros(len(questions))
    for i, query in enumerate(questions):
        ranked = model.ids(query.basket, query.exclude, evaluation.DEPTH)
        if query.hidden in ranked:
            gains[i] = 1.0 / math.log2(ranked.index(query.hidden) + 2)
    return gains


def _best(gains: Mapping[Setting, NDArray[np.float64]], default: Setting) -> Setting:
    if default not in gains or len(gains[default]) < ENOUGH_QUERIES:
        return default
    best = max(gains, key=lambda setting: float(gains[setting].mean()))
    ahead = gains[best] - gains[default]
    return best if ahead.mean() > ahead.std() / math.sqrt(len(ahead)) else default
