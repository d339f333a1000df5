"""How well two products go together, from counts: one finite score above 0 per pair of a block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encore_recommender.counting import Counts, PairBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class ShrunkLift:
    """Empirical-Bayes shrunk lift times popularity, that is a shrunken P(next = j | i in the basket).

    Let c(i, j) be the weighted orders with both, n(i) the weighted orders with i, and s(j) the share of all
    order lines that are j. With a Dirichlet prior of strength m centred on s, the posterior mean is

        p(j | i) = (c(i, j) + m * s(j)) / (n(i) + m)         lift(i, j) = p(j | i) / s(j)

    Lift is 1 where nothing is known and moves to the observed ratio as orders with i accumulate: m is the
    number of orders at which half of what is said comes from i's own orders. The prior's centre comes from
    the data (which makes the Bayes empirical), its strength from the held-back newest orders. Shrinking an
    observed/expected ratio towards 1 by a conjugate prior fitted to the whole table is DuMouchel (1999),
    "Bayesian data mining in large frequency tables", The American Statistician 53(3).
    """

    strength: float

    def __call__(self, block: PairBlock, counts: Counts) -> NDArray[np.float64]:
        share = counts.orders_with / max(int(counts.orders_with.sum()), 1)
        prior = self.strength * share[block.columns]
        conditional: NDArray[np.float64] = (block.weighted + prior) / (
            counts.weighted_orders_with[block.rows] + self.strength
        )
        return conditional


@dataclass(frozen=True, slots=True, kw_only=True)
class AsymmetricCosine:
    """Asymmetric cosine with locality, the best sum over several basket lines that needs only counts.

        ( c(i, j) / (n(i)**a * n(j)**(1 - a)) ) ** q

    a = 1 is confidence, a = 0.5 the cosine; in between, best-sellers are discounted a little. q > 1 lets the
    strong pairs speak and quiets the crowd of weak ones. Aiolli (2013), "Efficient top-n recommendation for
    very large scale binary rated datasets", RecSys.
    """

    asymmetry: float
    locality: float

    def __call__(self, block: PairBlock, counts: Counts) -> NDArray[np.float64]:
        n = counts.weighted_orders_with
        expected = n[block.rows] ** self.asymmetry * n[block.columns] ** (1.0 - self.asymmetry)
        cosine: NDArray[np.float64] = (block.weighted / expected) ** self.locality
        return cosine
