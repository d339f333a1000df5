"""What an experiment has shown so far: sums per arm in; differences, intervals and "not enough yet" out.

From `moments.Moments` come the mean value per eligible order with a variance that is clustered by customer (delta
method), and the difference of two arms, adjusted by what the customers had spent before (CUPED). Analysis is by
assignment: an order counts in the arm it was assigned to, whatever was shown. Amounts are minor units of one currency;
nothing is added up across currencies. There is no winner here, only what is known.

docs/statistics.md has the formulas, the assumptions, the papers and what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from flask_encore.domain.anytime import TUNED_FOR, always_valid, orders_needed_any_day
from flask_encore.domain.assignment import Arm
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.intervals import ALPHA, POWER, Interval, fixed
from flask_encore.domain.moments import Moments

#: Effective customers each arm needs before anything is said of it: with fewer neither the normal approximation nor
#: the estimated variance can be trusted, and the interval would be too wide to be of use.
MIN_CUSTOMERS = 100

#: Customers who bought an offer that each arm with offers needs. Measured with log-normal amounts and an acceptance of
#: 3 to 30 %: the 95 % interval of one arm covers 90 % of the time with 10 of them, 93 % with 30, 94 % with 50.
MIN_BUYERS = 50

#: A variance that the covariate reduces to less than this share of itself is nothing but rounding.
_ROUNDING = 1e-12


class Lack(StrEnum):
    """Why nothing can be said yet."""

    NO_ORDERS = "no_orders"  #: the arm has no eligible order
    FEW_CUSTOMERS = "few_customers"  #: fewer than `MIN_CUSTOMERS`, or most orders are those of a few customers
    FEW_BUYERS = "few_buyers"  #: fewer than `MIN_BUYERS` customers bought an offer
    NO_VARIATION = "no_variation"  #: every order is worth the same, so that nothing says how sure the mean is


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Not enough data.

    Attributes:
        in_baseline: Whether it is the baseline that lacks them.
        more_orders: About how many more eligible orders that arm needs; ``None`` when nothing so far can tell.
    """

    lack: Lack
    more_orders: int | None
    in_baseline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean value per eligible order, or a difference of two.

    Attributes:
        value: Minor units of *currency* per eligible order.
        variance: Of *value*, clustered by customer: the standard error squared.
        orders: Eligible orders it rests on, of both arms when it is a difference.
        plain_value: Without the adjustment by earlier spending.
        plain_variance: Without the adjustment; never smaller than *variance*.
    """

    currency: str
    value: float
    variance: float
    orders: int
    plain_value: float
    plain_variance: float

    @property
    def explained(self) -> float:
        """The share of the variance that earlier spending took away, 0 to 1."""
        return 1 - self.variance / self.plain_variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One variant against the baseline.

    Attributes:
        result: Variant less baseline, or why there is none yet.
        once: The fixed-horizon interval: to be read once, at a size settled beforehand; ``None`` with a shortage.
        any_day: The always-valid interval, the one to show; ``None`` with a shortage.
        alpha: The share of error each interval was given: the experiment's, shared out among its comparisons.
    """

    variant: str
    baseline: str
    result: Estimate | Shortage
    once: Interval | None
    any_day: Interval | None
    alpha: float


def mean_per_order(arm: Moments, *, held_out: bool = False) -> Estimate | Shortage:
    """The mean value per eligible order of one arm: sum of values / eligible orders.

    Args:
        held_out: The arm is offered nothing, so it needs no buyers.
    """
    if shortage := _shortage(arm, held_out=held_out):
        return shortage
    mean, variance, _, _, _ = _ratio(arm)
    if variance <= 0:
        return Shortage(lack=Lack.NO_VARIATION, more_orders=None)
    return Estimate(
        currency=arm.currency,
        value=mean,
        variance=variance,
        orders=arm.orders,
        plain_value=mean,
        plain_variance=variance,
    )


def difference(treatment: Moments, baseline: Moments, *, held_out: bool = False) -> Estimate | Shortage:
    """The mean value per eligible order, *treatment* less *baseline*, intention to treat.

    Adjusted by the difference in earlier spending, which assignment cannot have caused, times the slope that makes the
    variance smallest. What the baseline cannot earn at all has no uplift: compare what both can earn.

    Args:
        held_out: The baseline is the holdout: it is offered nothing, so it needs no buyers.

    Raises:
        CurrencyMismatch: If the arms are of two currencies.
    """
    treatment.check_currency(baseline)
    if shortage := _shortage(treatment):
        return shortage
    if shortage := _shortage(baseline, held_out=held_out):
        return Shortage(lack=shortage.lack, more_orders=shortage.more_orders, in_baseline=True)
    mean, variance, slope_part, before, before_variance = _ratio(treatment)
    mean_b, variance_b, slope_part_b, before_b, before_variance_b = _ratio(baseline)
    plain_value, plain_variance = mean - mean_b, variance + variance_b
    shared, spread = slope_part + slope_part_b, before_variance + before_variance_b
    slope = shared / spread if spread > 0 else 0.0
    adjusted = plain_variance - slope * shared
    if adjusted <= _ROUNDING * plain_variance:
        return Shortage(lack=Lack.NO_VARIATION, more_orders=None)
    return Estimate(
        currency=treatment.currency,
        value=plain_value - slope * (before - before_b),
        variance=adjusted,
        orders=treatment.orders + baseline.orders,
        plain_value=plain_value,
        plain_variance=plain_variance,
    )


def compare(
    arms: Mapping[str, Moments], *, baseline: str, alpha: float = ALPHA, tuned_for: int = TUNED_FOR
) -> tuple[Comparison, ...]:
    """Every other arm against *baseline*, in the order given.

    With several of them each interval gets ``alpha / comparisons`` (Bonferroni), so that *all* hold at once with
    ``1 - alpha``. Holm's method would give sharper tests, but no intervals.

    Args:
        baseline: The name of an arm; ``"holdout"`` is known to be offered nothing.
        tuned_for: As `anytime.always_valid` has it; settled before the first look.

    Raises:
        InvalidInput: If there is no arm *baseline*.
        CurrencyMismatch: If the arms are of two currencies.
    """
    if baseline not in arms:
        raise InvalidInput(f"There is no arm {baseline!r} in this experiment.")
    others = [name for name in arms if name != baseline]
    each = alpha / max(1, len(others))

    def against(name: str) -> Comparison:
        result = difference(arms[name], arms[baseline], held_out=baseline == Arm.HOLDOUT)
        once = any_day = None
        if isinstance(result, Estimate):
            once = fixed(result.value, result.variance, alpha=each)
            any_day = always_valid(result.value, result.variance, orders=result.orders, tuned_for=tuned_for, alpha=each)
        return Comparison(variant=name, baseline=baseline, result=result, once=once, any_day=any_day, alpha=each)

    return tuple(against(name) for name in others)


def more_orders(
    comparison: Comparison, *, worth: float, power: float = POWER, tuned_for: int = TUNED_FOR
) -> int | None:
    """The N of "needs about N more orders": until a difference of *worth* would show with probability *power*.

    Orders of both arms together, in the proportion they have had so far; 0 when there are enough.

    Args:
        worth: The smallest difference worth knowing of, minor units per eligible order. It is the merchant's to say.

    Returns:
        ``None`` when nothing so far can tell, or no shop would ever have so many.

    Raises:
        InvalidInput: If *worth* is 0.
    """
    result = comparison.result
    if isinstance(result, Shortage):
        return result.more_orders
    needed = orders_needed_any_day(
        worth, result.variance * result.orders, tuned_for=tuned_for, alpha=comparison.alpha, power=power
    )
    return None if needed is None else max(0, needed - result.orders)


def _shortage(arm: Moments, *, held_out: bool = False) -> Shortage | None:
    if not arm.orders:
        return Shortage(lack=Lack.NO_ORDERS, more_orders=MIN_CUSTOMERS)
    missing = MIN_CUSTOMERS - arm.effective_customers
    if missing > 0:
        # At the rate so far: a newcomer brings orders / customers orders.
        return Shortage(lack=Lack.FEW_CUSTOMERS, more_orders=ceil(missing * arm.orders / arm.customers))
    if held_out or arm.buyers >= MIN_BUYERS:
        return None
    more = ceil((MIN_BUYERS - arm.buyers) * arm.orders / arm.buyers) if arm.buyers else None
    return Shortage(lack=Lack.FEW_BUYERS, more_orders=more)


def _ratio(arm: Moments) -> tuple[float, float, float, float, float]:
    """Value / orders, its variance, its covariance with mean earlier spending, that mean, and the mean's variance.

    Delta method: the residual of a customer is ``value - mean * orders``; they sum to 0. All sums are exact integers
    up to the one division, so that large amounts do not cancel each other out.
    """
    n, o, v = arm.customers, arm.orders, arm.value
    squares = arm.value_value * o * o - 2 * v * o * arm.orders_value + v * v * arm.orders_orders
    products = arm.value_before * o - v * arm.orders_before
    before_squares = n * arm.before_before - arm.before * arm.before
    return (
        v / o,
        n * squares / ((n - 1) * o**4),
        products / ((n - 1) * o * o),
        arm.before / n,
        before_squares / (n * n * (n - 1)),
    )
