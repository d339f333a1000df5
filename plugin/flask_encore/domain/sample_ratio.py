"""Sample-ratio mismatch: are there as many customers in each arm as the weights say?

If not, something between the hash and the log lost customers, and not by chance; whoever is lost is seldom like the
others, so no result of that experiment can be believed (Fabijan et al., "Diagnosing sample ratio mismatch in online
controlled experiments", KDD 2019). What is counted are customers, the unit that was assigned, never orders: two orders
of one customer are not two draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import erfc, exp, lgamma, log, pi, sqrt

from flask_encore.domain.assignment import checked_weights
from flask_encore.domain.errors import InvalidInput

#: A p-value below this is a mismatch. A thousandth, as everybody who published on it uses: a false alarm stops an
#: experiment, and real faults give far smaller p-values as customers come in.
MISMATCH_BELOW = 0.001

#: How sure the sequential test's alternative is to be near the weights, in pseudo-customers. 2,500 spreads it one
#: percentage point around 50:50, about the smallest mismatch worth finding.
CONCENTRATION = 2_500


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatio:
    """Counted customers against expected ones.

    Attributes:
        counts: Customers in each arm of the experiment.
        expected: How many the weights would have put there, of the same total.
        p_once: Of the chi-square test: right for one look.
        p_any_day: Always valid: the probability that it *ever* falls below *p* without a fault is at most *p*.
    """

    counts: Mapping[str, int]
    expected: Mapping[str, float]
    p_once: float
    p_any_day: float

    @property
    def is_mismatch(self) -> bool:
        """Whether results must not be read. Goes by `p_any_day`, because a dashboard looks every day."""
        return self.p_any_day < MISMATCH_BELOW


def sample_ratio(counts: Mapping[str, int], weights: Mapping[str, int]) -> SampleRatio:
    """Hold *counts* of customers against *weights* in basis points, the holdout's included.

    Without customers, or with a single arm, nothing is wrong yet: both p-values are 1.

    Args:
        counts: An arm that is missing has no customers.

    Raises:
        InvalidInput: If a count is negative, an arm has no weight's name, or the weights are not 10,000 in all.
    """
    shares = {name: weight / 10_000 for name, weight in checked_weights(weights).items()}
    if strangers := counts.keys() - shares.keys():
        raise InvalidInput(f"There is no arm {min(strangers)!r} in this experiment.")
    if any(type(count) is not int or count < 0 for count in counts.values()):
        raise InvalidInput("Customers are counted in whole numbers from 0.")
    seen = {name: counts.get(name, 0) for name in shares}
    total = sum(seen.values())
    expected = {name: share * total for name, share in shares.items()}
    once, any_day = 1.0, 1.0
    if any(seen[name] and not share for name, share in shares.items()):
        once = any_day = 0.0  # customers where none can be
    elif total:
        drawn = [(seen[name], share) for name, share in shares.items() if share]
        chi_square = sum((count - share * total) ** 2 / (share * total) for count, share in drawn)
        once = chi_square_tail(chi_square, len(drawn) - 1)
        any_day = _always_valid_p(drawn, total)
    return SampleRatio(counts=seen, expected=expected, p_once=once, p_any_day=any_day)


def chi_square_tail(value: float, degrees: int) -> float:
    """The probability that a chi-square variable of *degrees* of freedom exceeds *value*; with none it is 1.

    The finite sum that whole degrees allow: exact but for rounding, no table and no series cut short.
    """
    if degrees < 1 or value <= 0:
        return 1.0
    half = value / 2
    # Even degrees: exp(-h) (1 + h + h²/2! + …). Odd: erfc(√h) and the same with halves in the factorials.
    if degrees % 2:
        tail, term, k = erfc(sqrt(half)), 2 * sqrt(half / pi) * exp(-half), 1.5
    else:
        tail, term, k = 0.0, exp(-half), 1.0
    for _ in range(degrees // 2):
        tail += term
        term *= half / k
        k += 1
    return min(1.0, tail)


def _always_valid_p(drawn: list[tuple[int, float]], total: int) -> float:
    """One over the Bayes factor of "some other shares" against the weights.

    Without a fault that factor is a martingale from 1, so it ever exceeds 1/p with probability at most p (Lindon and
    Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022).
    """
    against = lgamma(CONCENTRATION) - lgamma(CONCENTRATION + total)
    for count, share in drawn:
        prior = CONCENTRATION * share
        against += lgamma(prior + count) - lgamma(prior) - count * log(share)
    return exp(min(0.0, -against))
