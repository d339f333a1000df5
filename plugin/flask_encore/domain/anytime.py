"""Intervals that may be looked at every day: a normal-mixture asymptotic confidence sequence.

With probability ``1 - alpha`` the truth lies in *all* of them at once, from the first look to the last, however many
there are and whenever somebody stops (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit
theory and asymptotic confidence sequences", Annals of Statistics 52(6), 2024; the boundary is Robbins's of 1970).
The price is width: 1.55 times the fixed-horizon interval at the size it is tuned for, more elsewhere.
"""

from __future__ import annotations

from functools import lru_cache
from math import log, sqrt

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.intervals import ALPHA, POWER, Interval, quantile

#: Orders, of both arms together, at which the intervals are tightest. It has to be settled before the first look: a
#: size chosen to fit the data breaks the promise. 10,000 is what a shop with 100 eligible orders a day has after a
#: hundred days. Being wrong is cheap: ten times as many orders cost 7 % of width, a tenth 26 %.
TUNED_FOR = 10_000

#: More orders than any shop has; an answer beyond it is "never".
NEVER = 10**15


def always_valid(
    value: float, variance: float, *, orders: int, tuned_for: int = TUNED_FOR, alpha: float = ALPHA
) -> Interval:
    """The interval around an estimate that may be looked at after every order.

    Asymptotic: the first look has to wait for enough customers that the estimate is about normal (`experiment` waits).

    Args:
        variance: Of the estimate, that is its standard error squared.
        orders: On which the estimate rests: the clock. They only ever grow.
        tuned_for: Orders at which it is tightest; the same number at every look.

    Raises:
        InvalidInput: If *orders* or *tuned_for* is less than 1.
    """
    half = multiplier(orders, tuned_for=tuned_for, alpha=alpha) * sqrt(variance)
    return Interval(value - half, value + half)


def multiplier(orders: int, *, tuned_for: int = TUNED_FOR, alpha: float = ALPHA) -> float:
    """Half the width in standard errors: what 1.96 is to the fixed-horizon interval.

    Raises:
        InvalidInput: If *orders* or *tuned_for* is less than 1.
    """
    if orders < 1 or tuned_for < 1:
        raise InvalidInput(f"Orders are counted from 1, got {orders!r} and tuned_for={tuned_for!r}.")
    # The mixture's variance in units of the estimate's own: how many times what is still unsure now is it?
    ratio = _best_ratio(alpha) * orders / tuned_for
    return sqrt((1 + 1 / ratio) * (log(1 + ratio) - 2 * log(alpha)))


@lru_cache(maxsize=64)
def _best_ratio(alpha: float) -> float:
    """The mixture ratio at which `multiplier` is smallest: the solution of ``r = log(1 + r) - 2 log(alpha)``."""
    quantile(1 - alpha / 2)  # refuses what is no probability
    ratio = -2 * log(alpha)
    # A contraction: each round shrinks the error by 1 + r, so by 9 at least for 5 %; 60 rounds reach the last bit.
    for _ in range(60):
        ratio = log(1 + ratio) - 2 * log(alpha)
    return ratio


def orders_needed_any_day(
    effect: float, spread: float, *, tuned_for: int = TUNED_FOR, alpha: float = ALPHA, power: float = POWER
) -> int | None:
    """Orders, of both arms together, at which the always-valid interval leaves out 0 with probability *power*.

    A little too many, for somebody who looks every day may be convinced earlier.

    Args:
        effect: The smallest difference worth noticing, not the one just observed: that would be circular.
        spread: The estimate's variance times the orders it rests on, which stays the same as orders come in.

    Returns:
        ``None`` when it would take more than `NEVER`.

    Raises:
        InvalidInput: If *effect* is 0.
    """
    if not effect:
        raise InvalidInput("The smallest difference worth noticing is more than nothing.")
    reach = quantile(power)

    def enough(orders: int) -> bool:
        return (multiplier(orders, tuned_for=tuned_for, alpha=alpha) + reach) * sqrt(spread / orders) <= abs(effect)

    if not enough(NEVER):
        return None
    low, high = 0, NEVER
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
