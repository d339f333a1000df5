"""What would another ranking have earned? Answered from the log of what was shown, before it goes live. Needs numpy.

Three estimators. IPS weighs each reward by how much more often the other policy shows that offer (Horvitz and Thompson
1952); SNIPS divides by the sum of the weights (Swaminathan and Joachims 2015); DR adds only what a model of the reward
did not foresee, so that a good model makes it precise and a bad one does not make it wrong (Dudik, Langford and Li
2011). A log that cannot answer is refused: a number from it would be invented.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Weights above this count as this: the one shopper in fifty who saw an odd offer must not speak for all. It pulls
#: the estimate towards what was logged, or towards the model; `Judgement.clipped` says how often.
CLIP = 20.0

#: The share of decisions in which the other policy may want what the log could never have shown.
LARGEST_UNSEEN = 0.01

#: With fewer decisions than this, after weighing, an interval is not worth its name.
LEAST_EFFECTIVE = 100.0

#: Resamples of the customers behind an interval of 95 %.
RESAMPLES, OUTSIDE = 1_000, 0.05

#: Rounding in a database may move a sum of probabilities by so much.
_TOLERANCE = 1e-6


class EvaluationRefused(Exception):
    """The log cannot tell what the other policy would have earned; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One offer that was shown, and what came of it."""

    propensities: tuple[float, ...]
    """Per candidate, the probability with which it was to be shown (`exploration.Choice.propensities`)."""
    shown: int
    """Position of the one shown among the candidates."""
    reward: float
    """1 and 0 for accepted and not, or what it earned, in any one unit."""
    customer: str
    """Whose decision it was; those of one customer are not independent of each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean reward per decision with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a policy would have earned per decision, in the unit of the rewards."""

    decisions: int
    customers: int
    effective: float
    """Decisions of the other policy that the log is worth: (sum of weights)^2 / sum of squared weights."""
    clipped: float
    """Share of the decisions whose weight was cut off."""
    largest_weight: float
    """Before cutting off."""
    logged: Estimate
    """What was earned."""
    ips: Estimate
    snips: Estimate
    dr: Estimate
    """With a model that foresees nothing this is `ips`."""
    gain: Estimate
    """`dr` less `logged`, on the same customers: above 0 throughout, the other policy is better."""

    def sentence(self) -> str:
        """For people who decide whether it goes live."""
        word = "better than" if self.gain.low > 0.0 else "worse than" if self.gain.high < 0.0 else "no different from"
        return (
            f"per offer {self.dr.value:.4g} ({self.dr.low:.4g} to {self.dr.high:.4g}) where {self.logged.value:.4g} "
            f"was earned, {word} what is live, as far as {self.effective:,.0f} decisions can tell"
        )


def evaluate(
    log: Sequence[Decision],
    policy: Sequence[Sequence[float]],
    predicted: Sequence[Sequence[float]] | None = None,
    *,
    clip: float = CLIP,
    seed: int = 0,
) -> Judgement:
    """Judge another policy on the log.

    Args:
        log: What was shown.
        policy: Per decision, the probability with which the other policy shows each candidate; 1 and 0 for a ranking.
        predicted: Per decision, the reward a model expects of each candidate, in the rewards' unit. The model must
            not have learned from this log. None for a model that foresees nothing.
        clip: Weights above this count as this.
        seed: Of the resamples.

    Raises:
        EvaluationRefused: The other policy shows what the log could never have shown, or the log is too small.
        ValueError: A probability or a reward is none, or lengths differ.
    """
    if not clip > 0.0:
        raise ValueError(f"weights are cut off above 0, not at {clip!r}")
    if not log:
        raise EvaluationRefused("Nothing was shown yet: wait for impressions.")
    shown = np.array([decision.shown for decision in log])
    rewards = np.array([decision.reward for decision in log], dtype=np.float64)
    if not np.isfinite(rewards).all():
        raise ValueError("a reward is not a number")
    propensities = _table(log, [decision.propensities for decision in log], "propensities", chances=True)
    wanted = _table(log, policy, "policy", chances=True)
    expected = np.zeros(wanted.shape)
    if predicted is not None:
        expected = _table(log, predicted, "predicted", chances=False)
    rows = np.arange(len(log))
    if not (propensities[rows, shown] > 0.0).all():
        raise ValueError("an offer was shown whose propensity is 0")
    _check_support(wanted, propensities)
    weights = wanted[rows, shown] / propensities[rows, shown]
    cut = np.minimum(weights, clip)
    effective = float(cut.sum() ** 2 / (cut**2).sum()) if cut.any() else 0.0
    if effective < LEAST_EFFECTIVE:
        raise EvaluationRefused(
            f"The log is worth {effective:.0f} decisions of the new ranking, and {LEAST_EFFECTIVE:.0f} are needed: "
            "wait for more impressions, or explore more."
        )
    foreseen = (wanted * expected).sum(axis=1)
    robust = foreseen + cut * (rewards - expected[rows, shown])
    # Columns: decisions, rewards, weighted rewards, weights, doubly robust rewards.
    parts = np.column_stack([np.ones(len(log)), rewards, cut * rewards, cut, robust])
    customers, of = np.unique([decision.customer for decision in log], return_inverse=True)
    sums = np.zeros((len(customers), parts.shape[1]))
    np.add.at(sums, of, parts)
    estimates = _intervals(sums, seed=seed)
    return Judgement(
        decisions=len(log),
        customers=len(customers),
        effective=effective,
        clipped=float((weights > clip).mean()),
        largest_weight=float(weights.max()),
        **estimates,
    )


def ranking(chosen: int, candidates: int) -> tuple[float, ...]:
    """A row of `policy` that always shows one candidate."""
    return tuple(float(i == chosen) for i in range(candidates))


def _check_support(wanted: NDArray[np.float64], propensities: NDArray[np.float64]) -> None:
    unseen = float(np.where(propensities > 0.0, 0.0, wanted).sum(axis=1).mean())
    if unseen > LARGEST_UNSEEN:
        raise EvaluationRefused(
            f"In {unseen:.0%} of the decisions the new ranking shows an offer that could not have been shown when the "
            "log was written, so nobody knows what would have come of it: explore for a while, then ask again."
        )


def _intervals(sums: NDArray[np.float64], *, seed: int) -> dict[str, Estimate]:
    """Every estimate on all customers, and its quantiles over resampled ones."""
    generator = np.random.default_rng(seed)
    resampled = np.empty((RESAMPLES, sums.shape[1]))
    for i in range(RESAMPLES):
        times = np.bincount(generator.integers(0, len(sums), len(sums)), minlength=len(sums))
        resampled[i] = times @ sums
    values, spread = _values(sums.sum(axis=0, keepdims=True)), _values(resampled)
    quantiles = {name: np.quantile(found, [OUTSIDE / 2, 1 - OUTSIDE / 2]).tolist() for name, found in spread.items()}
    return {name: Estimate(value=float(values[name][0]), low=low, high=high) for name, (low, high) in quantiles.items()}


def _values(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    decisions, rewards, weighted, weights, robust = sums.T
    return {
        "logged": rewards / decisions,
        "ips": weighted / decisions,
        # A resample in which the other policy showed nothing says nothing about it.
        "snips": weighted / np.where(weights > 0.0, weights, np.inf),
        "dr": robust / decisions,
        "gain": (robust - rewards) / decisions,
    }


def _table(
    log: Sequence[Decision], rows: Sequence[Sequence[float]], name: str, *, chances: bool
) -> NDArray[np.float64]:
    """Rows of unequal length side by side, 0 beyond their end."""
    if len(rows) != len(log):
        raise ValueError(f"{len(log)} decisions but {len(rows)} rows of {name}")
    table = np.zeros((len(log), max(len(decision.propensities) for decision in log)))
    for i, (decision, row) in enumerate(zip(log, rows, strict=True)):
        if len(row) != len(decision.propensities):
            raise ValueError(f"decision {i} has {len(decision.propensities)} candidates and {len(row)} {name}")
        if not 0 <= decision.shown < len(row):
            raise ValueError(f"decision {i} shows candidate {decision.shown} of {len(row)}")
        table[i, : len(row)] = row
    if not np.isfinite(table).all():
        raise ValueError(f"{name} has an entry that is not a number")
    if chances and ((table < 0.0).any() or (np.abs(table.sum(axis=1) - 1.0) > _TOLERANCE).any()):
        raise ValueError(f"{name} has a row whose probabilities do not add up to 1")
    return table
