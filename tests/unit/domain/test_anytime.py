"""The always-valid interval: its width, its tuning, how many orders it takes. That it holds is simulated elsewhere."""

from __future__ import annotations

import math

import pytest

from flask_encore.domain.anytime import always_valid, multiplier, orders_needed_any_day
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.intervals import Interval, orders_needed


def published(orders: int, rho: float, alpha: float) -> float:
    """Half the width in standard errors as the paper of 2024 writes it, its estimated deviation set to 1."""
    t, square = orders, rho * rho
    half = math.sqrt(2 * (t * square + 1) / (t * t * square) * math.log(math.sqrt(t * square + 1) / alpha))
    return half * math.sqrt(t)


@pytest.mark.parametrize("orders", [1, 200, 10_000, 5_000_000])
def test_the_boundary_is_the_published_one(orders: int) -> None:
    ratio = 8.211968062068253  # solves r = log(1 + r) - 2 log(0.05); rho² is this over the size it is tuned for
    assert multiplier(orders) == pytest.approx(published(orders, math.sqrt(ratio / 10_000), 0.05), rel=1e-12)


def test_it_is_tightest_where_it_is_tuned() -> None:
    widths = {orders: round(multiplier(orders, tuned_for=5_000), 3) for orders in (500, 4_000, 5_000, 6_000, 50_000)}
    assert widths == {500: 3.823, 4_000: 3.039, 5_000: 3.035, 6_000: 3.037, 50_000: 3.246}


def test_less_error_makes_a_wider_interval() -> None:
    assert [round(multiplier(10_000, alpha=alpha), 3) for alpha in (0.1, 0.05, 0.01)] == [2.764, 3.035, 3.572]


def test_it_lies_around_the_estimate() -> None:
    interval = always_valid(12.0, 25.0, orders=10_000)
    assert (round(interval.low, 3), round(interval.high, 3)) == (-3.176, 27.176)
    assert always_valid(12.0, 0.0, orders=1) == Interval(12.0, 12.0)


def test_looking_any_day_takes_about_twice_as_many_orders_as_looking_once() -> None:
    spread = 2 * (0.05 * 0.95 + 0.06 * 0.94)  # 5 % against 6 % accepted
    assert (orders_needed(0.01, spread), orders_needed_any_day(0.01, spread)) == (16_310, 32_416)


def test_one_order_less_is_not_enough() -> None:
    def reach(orders: int) -> float:
        return (multiplier(orders) + 0.8416212335729143) * math.sqrt(1e6 / orders)

    needed = orders_needed_any_day(25, 1e6)
    assert needed == 24_622
    assert reach(needed) <= 25 < reach(needed - 1)


def test_what_no_shop_would_ever_see_is_never() -> None:
    assert orders_needed_any_day(1e-9, 1e6) is None


def test_without_variation_the_first_order_shows_it() -> None:
    assert orders_needed_any_day(25, 0.0) == 1


@pytest.mark.parametrize(("orders", "tuned_for"), [(0, 100), (100, 0), (-1, 100)])
def test_orders_are_counted_from_one(orders: int, tuned_for: int) -> None:
    with pytest.raises(InvalidInput, match="Orders are counted from 1"):
        always_valid(0, 1, orders=orders, tuned_for=tuned_for)


@pytest.mark.parametrize("alpha", [0, 2, -1])
def test_what_is_no_probability_is_refused(alpha: float) -> None:
    with pytest.raises(InvalidInput):
        multiplier(100, alpha=alpha)


def test_a_difference_of_nothing_has_no_needed_size() -> None:
    with pytest.raises(InvalidInput, match="smallest difference worth noticing"):
        orders_needed_any_day(0, 1.0)
