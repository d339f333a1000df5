"""How likely is it that this offer is accepted? The served form: a sum of points per feature. Needs nothing.

Log-odds are added up: a curve through points for numbers that bend, a weight for those that do not, and points per
label. That is all a logistic regression on splines of degree one says, so its numbers can be read, kept as JSON, and
give the trained probabilities back to the last digits.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

#: Keeps logits finite: below one in a million nothing is told apart.
LEAST_PROBABILITY = 1e-6

#: Features that bend, features that do not, and features that are names.
CURVES = ("co_purchase", "price_ratio", "support")
WEIGHTS = ("discount", "bought_before", "position")
LABELS = ("placement", "kind", "category", "pair")


@dataclass(frozen=True, slots=True, kw_only=True)
class Impression:
    """One offer somebody saw, or might see.

    Raises:
        ValueError: A number is out of range.
    """

    co_purchase: float
    """`Recommendations.probabilities` of the product: bought with the basket, between 0 and 1."""
    price_ratio: float
    """The offer's price over the order's value, above 0."""
    support: int = 0
    """Orders with both products, behind the probability (`Explanation.support`)."""
    kind: str = "co_purchase"
    """What the recommendation rests on (`Explanation.kind`)."""
    discount: float = 0.0
    """Share taken off the usual price, from 0 to below 1."""
    category: str = ""
    """The product's category."""
    beside: str = ""
    """The category of the basket's line that carried it (`Explanation.because_of`)."""
    bought_before: float = 0.0
    """How far the customer is known to buy the product, from 0 to 1 (`model.memory_of`)."""
    position: int = 1
    """In the sequence of offers, from 1."""
    placement: str = "thank_you"

    def __post_init__(self) -> None:
        if not (
            0.0 <= self.co_purchase <= 1.0
            and 0.0 < self.price_ratio < math.inf
            and 0.0 <= self.discount < 1.0
            and 0.0 <= self.bought_before <= 1.0
            and self.position >= 1
            and self.support >= 0
        ):
            raise ValueError(f"an impression is out of range: {self}")

    def numbers(self) -> tuple[float, ...]:
        """As the model weighs them, in the order of CURVES and WEIGHTS."""
        chance = min(max(self.co_purchase, LEAST_PROBABILITY), 1.0 - LEAST_PROBABILITY)
        return (
            math.log(chance / (1.0 - chance)),
            math.log(self.price_ratio),
            math.log1p(self.support),
            self.discount,
            self.bought_before,
            math.log(self.position),
        )

    def labels(self) -> tuple[str, ...]:
        """In the order of LABELS."""
        return self.placement, self.kind, self.category, f"{self.category} beside {self.beside}"


class Curve(NamedTuple):
    """Straight between its points, and on along the first and the last piece."""

    at: tuple[float, ...]
    """Rising; two at least."""
    points: tuple[float, ...]

    def __call__(self, x: float) -> float:
        at, points = self
        left = bisect_right(at, x, 1, len(at) - 1) - 1
        start, height = at[left], points[left]
        return height + (x - start) / (at[left + 1] - start) * (points[left + 1] - height)


_Points = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """Log-odds of acceptance, feature by feature; immutable, shared by threads."""

    intercept: float
    curves: Mapping[str, Curve]
    """Per name in CURVES; one that is missing says nothing."""
    weights: Mapping[str, float]
    """Per name in WEIGHTS; one that is missing says nothing."""
    labels: Mapping[str, Mapping[str, float]]
    """Per name in LABELS, points per label."""
    others: Mapping[str, float] = field(default_factory=dict)
    """Per name in LABELS, points of every label that is not listed; 0 where it is missing."""
    calibration: Curve | None = None
    """From the sum to log-odds that were right about impressions held back; None leaves the sum as it is."""
    impressions: int = 0
    """It was learned from."""
    seen: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Per product, how often it was shown and accepted, for `exploration.believed`; not part of the sum."""
    version: str = ""
    """Empty for one that was not saved."""
    # The same once more, in the order of an impression's numbers and labels: looking names up took half the time.
    _curves: tuple[tuple[int, Curve], ...] = field(init=False, repr=False, compare=False)
    _weights: tuple[tuple[int, float], ...] = field(init=False, repr=False, compare=False)
    _labels: tuple[tuple[int, _Points, float], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        curves = ((i, self.curves[name]) for i, name in enumerate(CURVES) if name in self.curves)
        weights = ((i, self.weights[name]) for i, name in enumerate(WEIGHTS, len(CURVES)) if name in self.weights)
        labels = ((i, self.labels.get(name), self.others.get(name, 0.0)) for i, name in enumerate(LABELS))
        object.__setattr__(self, "_curves", tuple(curves))
        object.__setattr__(self, "_weights", tuple(weights))
        object.__setattr__(self, "_labels", tuple(told for told in labels if told[1]))

    def probability(self, offer: Impression) -> float:
        """That the offer is accepted, between 0 and 1."""
        numbers, labels = offer.numbers(), offer.labels()
        odds = self.intercept
        for i, curve in self._curves:
            odds += curve(numbers[i])
        for i, weight in self._weights:
            odds += weight * numbers[i]
        for i, points, other in self._labels:
            odds += points.get(labels[i], other)
        if self.calibration is not None:
            odds = self.calibration(odds)
        # Beyond 700 the exponential overflows; nothing is that certain.
        return 1.0 / (1.0 + math.exp(-min(max(odds, -700.0), 700.0)))

    def probabilities(self, offers: Sequence[Impression]) -> list[float]:
        """One per offer."""
        return [self.probability(offer) for offer in offers]


#: Without impressions an offer is taken to be accepted as often as the product is bought beside the basket, which
#: for the first of a list is a few times in a hundred: a careful guess, and in the right order.
PRIOR = Scorecard(intercept=0.0, curves={"co_purchase": Curve((-1.0, 1.0), (-1.0, 1.0))}, weights={}, labels={})
