"""Showing now and then an offer that is not known to be the best, to learn whether it is. Needs numpy and nothing else.

Thompson sampling: every offer of the shortlist draws a rate from what is believed about it, and the best draw is shown.
An offer hardly ever shown may draw high; one that many refused no longer does. What is shown is logged with its
propensity, the probability with which it was to be shown, which is all that judging another policy on the log needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from encore_recommender.dial import by_expected_profit, worths

#: Impressions the model's probability is worth before an offer was ever shown. Fifty reached nine tenths of the best
#: possible acceptances after 2,000 impressions, where a flat prior over twenty candidates had seven tenths.
BELIEF = 50.0

#: How often the beliefs are drawn from; the shares of the draws they won, and nothing else, decide what is shown.
DRAWS = 1_024

#: Every offer that may be explored is shown at least so often, so that no weight in a later evaluation exceeds 50.
LEAST_PROPENSITY = 0.02


#: A belief of exactly 0 or 1 could never be changed.
_LEAST = 1e-6


class Seen(NamedTuple):
    """What became of offers of the same product so far."""

    shown: int = 0
    accepted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which candidate is shown, and how likely each was to be."""

    shown: int
    """Position among the candidates."""
    propensities: tuple[float, ...]
    """Per candidate, the probability that it is shown; they add up to 1."""

    @property
    def propensity(self) -> float:
        """Of the one shown."""
        return self.propensities[self.shown]


def believed(chances: Sequence[float], seen: Sequence[Seen] | None, *, belief: float = BELIEF) -> list[float]:
    """Per candidate, the model's chance drawn towards what became of the product: the mean of its beta distribution.

    Raises:
        ValueError: Belief is not above 0, more was accepted than shown, or lengths differ.
    """
    if not belief > 0.0:
        raise ValueError(f"belief counts impressions, so it is above 0, not {belief!r}")
    if seen is None:
        return list(chances)
    if len(seen) != len(chances):
        raise ValueError(f"{len(chances)} chances but {len(seen)} records of what was seen")
    for record in seen:
        if not 0 <= record.accepted <= record.shown:
            raise ValueError(f"an offer shown {record.shown} times but accepted {record.accepted} times")
    return [
        (belief * chance + record.accepted) / (belief + record.shown)
        for chance, record in zip(chances, seen, strict=True)
    ]


def greedily(
    chances: Sequence[float],
    margins: Sequence[int],
    seen: Sequence[Seen] | None = None,
    *,
    dial: float,
    belief: float = BELIEF,
) -> Choice:
    """The best candidate, with certainty; arguments as for `thompson`.

    Raises:
        ValueError: There is no candidate, or see `believed` and `dial.by_expected_profit`.
    """
    if not chances:
        raise ValueError("there is no candidate to show")
    best = by_expected_profit(believed(chances, seen, belief=belief), margins, dial=dial)[0]
    return Choice(shown=best, propensities=tuple(float(i == best) for i in range(len(chances))))


def thompson(
    chances: Sequence[float],
    margins: Sequence[int],
    seen: Sequence[Seen] | None = None,
    *,
    dial: float,
    order_ref: str,
    seed: int = 0,
    belief: float = BELIEF,
) -> Choice:
    """One candidate of the shortlist, drawn from what is believed about each.

    The belief about a candidate is Beta(belief * chance + accepted, belief * (1 - chance) + refused). The same order
    and seed always show the same offer, so a reload, a second tab and a second server agree.

    Args:
        chances: The model's probability of acceptance per candidate.
        margins: What each earns if accepted, minor units of one currency.
        seen: What became of each product so far; None for nothing. A model that learned from the same impressions
            counts them twice and is a little too sure.
        dial: From most relevant (0) to most profitable (1).
        order_ref: The order the offer is for.
        seed: Another one shows other orders other offers.
        belief: Impressions a chance is worth; more explores less.

    Raises:
        ValueError: There is no candidate, or see `believed` and `dial.by_expected_profit`.
    """
    if not chances:
        raise ValueError("there is no candidate to show")
    means = believed(chances, seen, belief=belief)
    worth = worths(means, margins, dial=dial)
    near = list(worth)
    held = np.clip([means[i] for i in near], _LEAST, 1.0 - _LEAST)
    weight = np.array([belief + (0 if seen is None else seen[i].shown) for i in near])
    generator = np.random.default_rng(_number(order_ref, seed))
    draws = generator.beta(weight * held, weight * (1.0 - held), size=(DRAWS, len(near)))
    best = np.argmax(draws * ([worth[i] for i in near] / held), axis=1)
    shares = np.bincount(best, minlength=len(near)) / DRAWS
    # Drawing from the shares, rather than once more from the beliefs, makes the propensities exact.
    mixed = LEAST_PROPENSITY + (1.0 - LEAST_PROPENSITY * len(near)) * shares
    picked = near[int(generator.choice(len(near), p=mixed))]
    propensities = [0.0] * len(chances)
    for i, share in zip(near, mixed.tolist(), strict=True):
        propensities[i] = share
    return Choice(shown=picked, propensities=tuple(propensities))


def _number(order_ref: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{order_ref}".encode("utf-8", "surrogatepass")).digest()[:16])
