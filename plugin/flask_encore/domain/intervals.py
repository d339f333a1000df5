"""Intervals from normal quantiles, and what a sample of a given size can show.

`fixed` is right once, at a size that was settled before the first look. Whoever looks every day wants `domain.anytime`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, isfinite, sqrt
from statistics import NormalDist

from flask_encore.domain.errors import InvalidInput

_NORMAL = NormalDist()

#: The 97.5th percentile of the normal distribution: two-sided 95 %.
Z_95 = 1.959963984540054

#: What a report's intervals miss the truth with: 5 %.
ALPHA = 0.05

#: How often a test of the needed size notices a difference that is there: 80 %, the custom of the field.
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Interval:
    """From *low* to *high*, both included, in the unit of what was estimated."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def wilson(successes: int, trials: int) -> Interval:
    """The 95 % Wilson score interval: never outside 0 to 1, and honest when nobody, or everybody, accepted.

    It takes the trials as independent; one shopper with many orders makes it a little too narrow.

    Raises:
        ValueError: Unless ``0 <= successes <= trials`` and there is at least one trial.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials is not a rate")
    share, z2 = successes / trials, Z_95 * Z_95
    scale = 1 + z2 / trials
    centre = (share + z2 / (2 * trials)) / scale
    half = Z_95 / scale * sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    # At the ends the formula is exactly 0 and 1; floating point is not.
    return Interval(
        0.0 if successes == 0 else max(0.0, centre - half), 1.0 if successes == trials else min(1.0, centre + half)
    )


def quantile(share: float) -> float:
    """The normal distribution's quantile: below it lies *share* of the probability.

    Raises:
        InvalidInput: Unless 0 < *share* < 1.
    """
    if not 0 < share < 1:
        raise InvalidInput(f"A probability lies between 0 and 1, got {share!r}.")
    return _NORMAL.inv_cdf(share)


def fixed(value: float, variance: float, *, alpha: float = ALPHA) -> Interval:
    """The fixed-horizon interval of an estimate: it misses the truth with probability *alpha*, looked at **once**.

    Looked at every day it misses far more often: of simulated experiments in which nothing differs, 23 % show a
    "difference" on one of a hundred days.

    Args:
        variance: Of the estimate, that is its standard error squared.
    """
    half = quantile(1 - alpha / 2) * sqrt(variance)
    return Interval(value - half, value + half)


def power_at(effect: float, variance: float, *, alpha: float = ALPHA) -> float:
    """The probability that the fixed-horizon interval leaves out 0 when the truth is *effect*.

    Args:
        effect: In the unit of the estimate; its sign does not matter.
        variance: Of the estimate at the size in question; with 0 every difference is certain to be noticed.
    """
    if variance <= 0:
        return 1.0 if effect else alpha
    shift, bar = abs(effect) / sqrt(variance), quantile(1 - alpha / 2)
    return _NORMAL.cdf(shift - bar) + _NORMAL.cdf(-shift - bar)


def orders_needed(effect: float, spread: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Orders, of both arms together, at which one look notices *effect* with probability *power*.

    Args:
        effect: The smallest difference worth noticing, not the one just observed: that would be circular.
        spread: The estimate's variance times the orders it rests on, which stays the same as orders come in.

    Raises:
        InvalidInput: If *effect* is 0 or not finite.
    """
    reach = quantile(1 - alpha / 2) + quantile(power)
    return ceil(reach * reach * spread / _square(effect))


def orders_needed_per_arm(base: float, other: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """Shown orders in each of two equal arms at which one look tells the rates *base* and *other* apart.

    For planning, before there is data: 5 % against 6 % needs 8,155 an arm. It takes one order per customer.

    Raises:
        InvalidInput: If the rates are equal, or not between 0 and 1.
    """
    if not (0 <= base <= 1 and 0 <= other <= 1):
        raise InvalidInput(f"Rates lie between 0 and 1, got {base!r} and {other!r}.")
    spread = base * (1 - base) + other * (1 - other)
    return orders_needed(other - base, spread, alpha=alpha, power=power)


def _square(effect: float) -> float:
    squared = effect * effect
    if not 0 < squared < inf or not isfinite(effect):
        raise InvalidInput(f"The smallest difference worth noticing is more than nothing, got {effect!r}.")
    return squared
