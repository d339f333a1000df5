"""Fixed-horizon intervals, power, and how many orders it takes. (Wilson's interval is tested with the funnel.)"""

from __future__ import annotations

import pytest

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.intervals import (
    Interval,
    fixed,
    orders_needed,
    orders_needed_per_arm,
    power_at,
    quantile,
)


def test_a_fixed_interval_reaches_1_96_standard_errors_to_either_side() -> None:
    interval = fixed(12.0, 25.0)
    assert (round(interval.low, 4), round(interval.high, 4)) == (2.2002, 21.7998)
    assert fixed(12.0, 0.0) == Interval(12.0, 12.0)


def test_less_error_makes_a_wider_interval() -> None:
    assert round(fixed(0, 1, alpha=0.01).high, 4) == 2.5758


def test_an_interval_includes_its_ends() -> None:
    interval = Interval(-1.0, 2.0)
    assert [value in interval for value in (-1.001, -1.0, 0, 2.0, 2.001)] == [False, True, True, True, False]


@pytest.mark.parametrize(("effect", "power"), [(0, 0.05), (1, 0.1701), (1.96, 0.5001), (2.8016, 0.8), (-2.8016, 0.8)])
def test_power_is_the_share_of_intervals_that_leave_out_0(effect: float, power: float) -> None:
    assert round(power_at(effect, 1.0), 4) == power


def test_without_variance_every_difference_is_noticed_and_none_is_not() -> None:
    assert (power_at(1, 0), power_at(0, 0)) == (1.0, 0.05)


@pytest.mark.parametrize(("base", "other", "per_arm"), [(0.05, 0.06, 8_155), (0.06, 0.05, 8_155), (0.04, 0.07, 903)])
def test_the_needed_size_is_the_textbooks(base: float, other: float, per_arm: int) -> None:
    assert orders_needed_per_arm(base, other) == per_arm


def test_at_the_needed_size_the_power_is_what_was_asked_for() -> None:
    spread = 640_000.0
    orders = orders_needed(25, spread, power=0.9)
    assert orders == 10_760
    assert round(power_at(25, spread / orders), 3) == 0.9


def test_half_the_difference_needs_four_times_the_orders() -> None:
    assert (orders_needed(50, 1e6), orders_needed(25, 1e6)) == (3_140, 12_559)


@pytest.mark.parametrize("effect", [0, float("inf"), float("nan"), 1e-200, 1e200])
def test_a_difference_of_nothing_has_no_needed_size(effect: float) -> None:
    with pytest.raises(InvalidInput, match="smallest difference worth noticing"):
        orders_needed(effect, 1.0)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.1, float("nan")])
def test_what_is_no_probability_has_no_quantile(share: float) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        quantile(share)


def test_a_rate_is_a_share() -> None:
    with pytest.raises(InvalidInput, match=r"between 0 and 1, got 5 and 6"):
        orders_needed_per_arm(5, 6)
