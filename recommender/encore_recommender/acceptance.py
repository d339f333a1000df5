"""How likely is it that this offer is accepted, and which one to show then? Training only: needs scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.utils.validation import check_is_fitted

#: Acceptance before anybody saw an offer: a careful guess, worth PRIOR_IMPRESSIONS and outweighed soon.
PRIOR_RATE, PRIOR_IMPRESSIONS = 0.03, 100.0

#: With fewer acceptances than this, or fewer refusals, only the overall level is learned.
ENOUGH_OF_EACH = 50

#: From so many impressions on, the probabilities are corrected on held-out folds.
ENOUGH_TO_CALIBRATE = 5_000

#: Keeps logits finite: below one in a million nothing is told apart.
LEAST_PROBABILITY = 1e-6

#: Expected profit chooses among the so many likeliest offers, and only those nearly as likely as the likeliest:
#: unbounded, it drifts to expensive oddities nobody takes.
SHORTLIST, FLOOR = 3, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Impression:
    """One offer somebody saw, or might see."""

    co_purchase: float
    """`Recommendations.probabilities` of the product: bought with the basket, between 0 and 1."""
    price_ratio: float
    """The offer's price over the order's value, above 0."""
    discount: float = 0.0
    """Share taken off the usual price, from 0 to below 1."""
    bought_before: float = 0.0
    """How far the customer is known to buy the product, from 0 to 1 (`model.memory_of`)."""
    position: int = 1
    """In the sequence of offers, from 1."""
    placement: str = "thank_you"


class AcceptanceModel(BaseEstimator):
    """Probability that an offer is accepted, learned from impressions; follows the scikit-learn estimator API.

    Without impressions it says PRIOR_RATE on average, in proportion to the odds of the co-purchase. The first
    impressions move that level; from ENOUGH_OF_EACH acceptances and refusals on, a logistic regression on
    splines weighs all features, calibrated on held-out folds from ENOUGH_TO_CALIBRATE impressions on.

    Args:
        random_state: Of the folds.

    Attributes:
        stage_: `prior`, `level` or `features`: what was learned.
        level_: What is added to the logit of the co-purchase probability while features are not learned.
        impressions_: How many it was fitted on.
    """

    def __init__(self, *, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, impressions: Sequence[Impression], accepted: Sequence[bool] | NDArray[Any]) -> AcceptanceModel:
        """Learn from what was shown, one entry per impression; may be empty. Fitting again forgets.

        Raises:
            ValueError: The two are not equally long, or an impression is out of range.
        """
        taken = np.asarray(accepted, dtype=np.bool_)
        if len(impressions) != len(taken):
            raise ValueError(f"{len(impressions)} impressions but {len(taken)} answers")
        inputs = _inputs(impressions)
        self.impressions_: int = len(taken)
        self.level_: float = self._level(inputs, taken)
        self.stage_: str = "level" if len(taken) else "prior"
        yes = int(taken.sum())
        if min(yes, len(taken) - yes) >= ENOUGH_OF_EACH:
            self.stage_ = "features"
            model: Any = _pipeline()
            if len(taken) >= ENOUGH_TO_CALIBRATE:
                model = CalibratedClassifierCV(model, method="isotonic", cv=5)
            self.pipeline_: Any = model.fit(inputs, taken)
        return self

    def predict_proba(self, impressions: Sequence[Impression]) -> NDArray[np.float64]:
        """Per impression, the probability that it is refused and that it is accepted; they add up to 1.

        Raises:
            NotFittedError: `fit` was not called; without impressions, fit on none.
            ValueError: An impression is out of range.
        """
        check_is_fitted(self, "stage_")
        inputs = _inputs(impressions)
        if len(inputs) == 0:
            return np.zeros((0, 2))
        if self.stage_ == "features":
            chance = np.asarray(self.pipeline_.predict_proba(inputs)[:, 1], dtype=np.float64)
        else:
            chance = _sigmoid(inputs[:, 0].astype(np.float64) + self.level_)
        return np.column_stack([1.0 - chance, chance])

    def rank(self, impressions: Sequence[Impression], margins: Sequence[int], *, dial: float = 0.5) -> list[int]:
        """Which offer first: by probability x margin ** dial among the likeliest few; the others by probability.

        Args:
            impressions: The candidates.
            margins: What each earns if accepted, minor units of one currency; nothing below 1 is preferred.
            dial: From most relevant (0) to most profitable (1).

        Returns:
            Positions in `impressions`, best first, every one once.

        Raises:
            ValueError: The dial is not between 0 and 1, or lengths differ.
        """
        if len(margins) != len(impressions):
            raise ValueError(f"{len(impressions)} impressions but {len(margins)} margins")
        return by_expected_profit(self.predict_proba(impressions)[:, 1], margins, dial=dial)

    def _level(self, inputs: NDArray[Any], taken: NDArray[np.bool_]) -> float:
        """The shift of all logits that makes expected acceptances meet the seen and the presumed ones."""
        typical = _logit(np.array([PRIOR_RATE]))
        logits = np.concatenate([inputs[:, 0].astype(np.float64), typical])
        weights = np.concatenate([np.ones(len(taken)), [PRIOR_IMPRESSIONS]])
        wanted = float(taken.sum()) + PRIOR_RATE * PRIOR_IMPRESSIONS
        low, high = -30.0, 30.0
        while high - low > 1e-9:
            middle = (low + high) / 2.0
            low, high = (middle, high) if weights @ _sigmoid(logits + middle) < wanted else (low, middle)
        return round(low, 6)


def by_expected_profit(chances: NDArray[np.float64], margins: Sequence[int], *, dial: float) -> list[int]:
    """Positions by chance x margin ** dial among the SHORTLIST likeliest not below FLOOR of the best; then the others.

    Raises:
        ValueError: The dial is not between 0 and 1.
    """
    if not 0.0 <= dial <= 1.0:
        raise ValueError(f"the dial goes from 0 to 1, not to {dial!r}")
    likeliest = np.argsort(-chances, kind="stable")
    near = [int(i) for i in likeliest[:SHORTLIST] if chances[i] >= FLOOR * chances[likeliest[0]]]
    worth = {i: float(chances[i]) * max(margins[i], 0) ** dial if dial else float(chances[i]) for i in near}
    return sorted(near, key=lambda i: -worth[i]) + [int(i) for i in likeliest if int(i) not in worth]


def _pipeline() -> Pipeline:
    splines = make_pipeline(SplineTransformer(n_knots=6, degree=2, knots="quantile", extrapolation="linear"))
    columns = ColumnTransformer(
        [
            ("curves", splines, [0, 1]),
            ("straight", StandardScaler(), [2, 3, 4]),
            ("placement", OneHotEncoder(handle_unknown="ignore"), [5]),
        ]
    )
    return make_pipeline(columns, LogisticRegression(C=10.0, max_iter=1_000))


def _inputs(impressions: Sequence[Impression]) -> NDArray[Any]:
    """Rows of (logit co-purchase, log price ratio, discount, bought before, log position, placement)."""
    rows = np.empty((len(impressions), 6), dtype=object)
    for i, seen in enumerate(impressions):
        in_range = 0 <= seen.co_purchase <= 1 and 0 < seen.price_ratio < float("inf") and seen.position >= 1
        if not in_range or not 0 <= seen.discount < 1 or not 0 <= seen.bought_before <= 1:
            raise ValueError(f"impression {i} is out of range: {seen}")
        rows[i, 1:] = (
            float(np.log(seen.price_ratio)),
            float(seen.discount),
            float(seen.bought_before),
            float(np.log(seen.position)),
            seen.placement,
        )
    if len(impressions):
        rows[:, 0] = _logit(np.array([seen.co_purchase for seen in impressions]))
    return rows


def _logit(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    held = np.clip(probability, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
    logit: NDArray[np.float64] = np.log(held) - np.log1p(-held)
    return logit


def _sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    chance: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-logit))
    return chance
