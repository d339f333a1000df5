"""Learning how likely it is that an offer is accepted, from impressions. Training only: needs scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.utils.validation import check_is_fitted

from encore_recommender.dial import by_expected_profit
from encore_recommender.scorecard import CURVES, LABELS, PRIOR, WEIGHTS, Curve, Impression, Scorecard

_Step = tuple[str, Any, list[int]]

#: Acceptance before anybody saw an offer: a careful guess, worth PRIOR_IMPRESSIONS and outweighed soon.
PRIOR_RATE, PRIOR_IMPRESSIONS = 0.03, 100.0

#: Beside the answers learn so many that the simple model makes up (the level, in proportion to the co-purchase odds)
#: about offers that were shown: with few answers it speaks, with many they do. (Huang,
#: Stein, Rubin and Kou 2020, "Catalytic prior distributions with application to generalized linear models", PNAS.)
MADE_UP_ANSWERS = 1_000.0

#: The made-up answers are spread over so many of the offers shown.
MADE_UP_ABOUT = 2_000

#: Bends per curve.
KNOTS = 6

#: The line of the co-purchase odds is stretched so much, so that leaning on it costs nothing; its bends cost.
STRETCH = 10.0

#: With fewer impressions than this the probabilities are left as they are. With more, what each third of the
#: impressions says about the others shows where they bend.
ENOUGH_TO_CALIBRATE, THIRDS = 500, 3

#: A label with fewer impressions than this is learned together with all the other rare ones.
FEWEST_OF_A_LABEL = 50

#: Labels learned per feature: a curious catalogue cannot make the model large.
MOST_LABELS = 200


class AcceptanceModel(BaseEstimator):
    """Probability that an offer is accepted, learned from impressions; follows the scikit-learn estimator API.

    Without impressions it says `scorecard.PRIOR`. The first impressions move its level, and the more of them there
    are, the more a logistic regression on all features departs from it.

    Attributes:
        scorecard_: The fitted `Scorecard`, which serves without scikit-learn.
        pipeline_: The fitted pipeline behind it; only with impressions.
        calibration_: The fitted pipeline that bends its log-odds; None with too few impressions.
        stage_: `prior` without impressions, `features` with some.
        level_: What the simple model adds to the logit of the co-purchase probability.
        impressions_: How many it was fitted on.
    """

    def fit(self, impressions: Sequence[Impression], accepted: Sequence[bool] | NDArray[Any]) -> AcceptanceModel:
        """Learn from what was shown, one entry per impression; may be empty. Fitting again forgets.

        Raises:
            ValueError: The two are not equally long.
        """
        taken = np.asarray(accepted, dtype=np.bool_)
        if len(impressions) != len(taken):
            raise ValueError(f"{len(impressions)} impressions but {len(taken)} answers")
        rows = _rows(impressions)
        self.impressions_: int = len(taken)
        self.level_: float = _level(rows, taken)
        self.stage_: str = "features" if len(taken) else "prior"
        if len(taken):
            self.pipeline_: Pipeline = _fitted(rows, taken)
            self.calibration_: Pipeline | None = _calibration(rows, taken)
            self.scorecard_: Scorecard = _scorecard(self.pipeline_, self.calibration_, len(taken))
        else:
            self.scorecard_ = PRIOR
        return self

    def predict_proba(self, impressions: Sequence[Impression]) -> NDArray[np.float64]:
        """Per impression, the probability that it is refused and that it is accepted; they add up to 1.

        Raises:
            NotFittedError: `fit` was not called; without impressions, fit on none.
        """
        check_is_fitted(self, "scorecard_")
        chance = np.array(self.scorecard_.probabilities(impressions), dtype=np.float64)
        return np.column_stack([1.0 - chance, chance])

    def rank(self, impressions: Sequence[Impression], margins: Sequence[int], *, dial: float = 0.5) -> list[int]:
        """Which offer first, by expected profit as far as the dial says; see `dial.by_expected_profit`.

        Args:
            impressions: The candidates.
            margins: What each earns if accepted, minor units of one currency.
            dial: From most relevant (0) to most profitable (1).

        Returns:
            Positions in `impressions`, best first, every one once.

        Raises:
            ValueError: The dial is not between 0 and 1, or lengths differ.
        """
        check_is_fitted(self, "scorecard_")
        return by_expected_profit(self.scorecard_.probabilities(impressions), margins, dial=dial)


def _rows(impressions: Sequence[Impression]) -> NDArray[Any]:
    """One row per impression: the numbers of CURVES and WEIGHTS, then the labels of LABELS."""
    rows = np.empty((len(impressions), len(CURVES) + len(WEIGHTS) + len(LABELS)), dtype=object)
    for i, seen in enumerate(impressions):
        rows[i] = (*seen.numbers(), *seen.labels())
    return rows


def _level(rows: NDArray[Any], taken: NDArray[np.bool_]) -> float:
    """The shift of all logits that makes expected acceptances meet the seen and the presumed ones."""
    logits = np.append(rows[:, 0].astype(np.float64), np.log(PRIOR_RATE / (1.0 - PRIOR_RATE)))
    weights = np.append(np.ones(len(taken)), PRIOR_IMPRESSIONS)
    wanted = float(taken.sum()) + PRIOR_RATE * PRIOR_IMPRESSIONS
    low, high = -30.0, 30.0
    while high - low > 1e-9:
        middle = (low + high) / 2.0
        low, high = (middle, high) if weights @ _sigmoid(logits + middle) < wanted else (low, middle)
    return round(low, 6)


def _with_made_up(
    rows: NDArray[Any], taken: NDArray[np.bool_], level: float
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.float64]]:
    """Rows, answers and weights: what was seen, and what the simple model would say about some of it, both ways."""
    about = rows[:: -(-len(rows) // MADE_UP_ABOUT)]
    chance = _sigmoid(about[:, 0].astype(np.float64) + level)
    each = MADE_UP_ANSWERS / len(about)
    no, yes = np.zeros(len(about), dtype=np.bool_), np.ones(len(about), dtype=np.bool_)
    return (
        np.concatenate([rows, about, about]),
        np.concatenate([taken, yes, no]),
        np.concatenate([np.ones(len(rows)), each * chance, each * (1.0 - chance)]),
    )


def _fitted(rows: NDArray[Any], taken: NDArray[np.bool_]) -> Pipeline:
    """All features; its bends are quantiles of *rows*."""
    first = len(CURVES) + len(WEIGHTS)
    names = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=FEWEST_OF_A_LABEL, max_categories=MOST_LABELS
    )
    steps = [
        *_bent_line(rows, CURVES[0], 0),
        *(step for i, name in enumerate(CURVES[1:], start=1) for step in _bends(rows, name, i)),
        ("weights", StandardScaler(), list(range(len(CURVES), first))),
        ("labels", names, list(range(first, first + len(LABELS)))),
    ]
    return _learned(steps, rows, taken, level=_level(rows, taken))


def _calibration(rows: NDArray[Any], taken: NDArray[np.bool_]) -> Pipeline | None:
    """From the log-odds that a model says about impressions it has not seen to those that were right."""
    if len(rows) < ENOUGH_TO_CALIBRATE:
        return None
    third = np.arange(len(rows)) % THIRDS
    odds = np.zeros((len(rows), 1))
    for k in range(THIRDS):
        held = third == k
        odds[held, 0] = _fitted(rows[~held], taken[~held]).decision_function(rows[held])
    return _learned(_bent_line(odds, "odds", 0), odds, taken, level=0.0)


def _learned(steps: list[_Step], rows: NDArray[Any], taken: NDArray[np.bool_], *, level: float) -> Pipeline:
    learned, answers, weights = _with_made_up(rows, taken, level)
    pipeline = make_pipeline(ColumnTransformer(steps), LogisticRegression(solver="newton-cholesky"))
    return pipeline.fit(learned, answers, logisticregression__sample_weight=weights)


def _bent_line(rows: NDArray[Any], name: str, column: int) -> list[_Step]:
    return [("line", FunctionTransformer(_stretched), [column]), *_bends(rows, name, column)]


def _bends(rows: NDArray[Any], name: str, column: int) -> list[_Step]:
    at = np.unique(np.quantile(rows[:, column].astype(np.float64), np.linspace(0.0, 1.0, KNOTS)))
    if len(at) == 1:
        return []
    return [(name, SplineTransformer(degree=1, knots=at[:, None], extrapolation="linear"), [column])]


def _scorecard(pipeline: Pipeline, calibration: Pipeline | None, impressions: int) -> Scorecard:
    """The numbers of fitted pipelines."""
    columns, logistic = pipeline[0], pipeline[-1]
    parts = _coefficients(pipeline)
    scaler, names = columns.named_transformers_["weights"], columns.named_transformers_["labels"]
    weights = np.array(parts["weights"]) / scaler.scale_
    labels: dict[str, dict[str, float]] = {}
    others: dict[str, float] = {}
    points = iter(parts["labels"])
    for name, every, rare in zip(LABELS, names.categories_, names.infrequent_categories_, strict=True):
        seldom = set(() if rare is None else rare.tolist())
        labels[name] = {label: next(points) for label in every.tolist() if label not in seldom}
        if seldom:
            others[name] = next(points)
    curves = {CURVES[0]: _curve(pipeline, CURVES[0], line=True)}
    return Scorecard(
        intercept=float(logistic.intercept_[0] - weights @ scaler.mean_),
        curves=curves | {name: _curve(pipeline, name) for name in CURVES[1:] if name in parts},
        weights=dict(zip(WEIGHTS, weights.tolist(), strict=True)),
        labels=labels,
        others=others,
        calibration=None if calibration is None else _rising(_curve(calibration, "odds", line=True), calibration),
        impressions=impressions,
    )


def _coefficients(pipeline: Pipeline) -> dict[str, list[float]]:
    """Per step of the columns, its coefficients."""
    slices = pipeline[0].output_indices_
    return {name: pipeline[-1].coef_[0][part].tolist() for name, part in slices.items()}


def _curve(pipeline: Pipeline, name: str, *, line: bool = False) -> Curve:
    """The bends of a column, on top of its line where it has one."""
    parts = _coefficients(pipeline)
    slope = STRETCH * parts["line"][0] if line else 0.0
    if name not in parts:
        return Curve((-1.0, 1.0), (-slope, slope))
    at = pipeline[0].named_transformers_[name].knots[:, 0].tolist()
    return Curve(tuple(at), tuple(p + slope * x for x, p in zip(at, parts[name], strict=True)))


def _rising(curve: Curve, calibration: Pipeline) -> Curve:
    """With its intercept, and never falling: likelier stays at least as likely."""
    points = np.maximum.accumulate(np.array(curve.points) + calibration[-1].intercept_[0])
    return Curve(curve.at, tuple(points.tolist()))


def _stretched(column: NDArray[Any]) -> NDArray[np.float64]:
    return STRETCH * column.astype(np.float64)


def _sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    chance: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-logit))
    return chance
