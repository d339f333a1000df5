"""What an experiment has shown: means clustered by customer, differences, and "not enough yet" with its reason."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_encore.domain.errors import CurrencyMismatch, InvalidInput
from flask_encore.domain.experiment import (
    Comparison,
    Estimate,
    Lack,
    Shortage,
    compare,
    difference,
    mean_per_order,
    more_orders,
)
from flask_encore.domain.intervals import Interval
from flask_encore.domain.moments import Customer, Moments


def arm(customers: list[Customer], *, currency: str = "gbp") -> Moments:
    return Moments.of(currency, customers)


def crowd(number: int, *, uplift: int = 0, buyers: int = 60, start: int = 0) -> list[Customer]:
    """*number* customers with one to three orders of a few pounds each, without any chance in them."""
    made = []
    for place in range(start, start + number):
        orders = 1 + place % 3
        before = 500 + 37 * (place % 11)
        value = orders * (1_000 + uplift) + 13 * (place % 17) + 2 * before
        made.append(Customer(orders=orders, value=value, before=before, bought=place - start < buyers))
    return made


def by_hand(customers: list[Customer]) -> tuple[Fraction, Fraction]:
    """The ratio and its delta-method variance, from the residual of every customer."""
    orders = sum(each.orders for each in customers)
    mean = Fraction(sum(each.value for each in customers), orders)
    squares = sum((each.value - mean * each.orders) ** 2 for each in customers)
    n = len(customers)
    return mean, Fraction(n, n - 1) * squares / orders**2


def estimate(result: Estimate | Shortage) -> Estimate:
    assert isinstance(result, Estimate), result
    return result


def test_the_mean_is_value_by_orders_and_its_variance_that_of_the_customers_residuals() -> None:
    customers = crowd(200)
    mean, variance = by_hand(customers)
    found = estimate(mean_per_order(arm(customers)))
    assert (found.currency, found.orders) == ("gbp", 399)
    assert found.value == pytest.approx(float(mean), rel=1e-15)
    assert found.variance == pytest.approx(float(variance), rel=1e-14)


def test_with_one_order_each_it_is_the_textbook_variance_of_a_mean() -> None:
    customers = [Customer(orders=1, value=place, bought=True) for place in range(101)]
    found = estimate(mean_per_order(arm(customers)))
    assert found.value == 50
    assert found.variance == pytest.approx(858.5 / 101)  # of 0 to 100: (n² - 1) / 12 * n / (n - 1)


def test_the_same_orders_by_fewer_customers_say_less() -> None:
    """Ten identical orders of one customer are one fact, not ten."""
    many = [Customer(orders=1, value=place % 7, bought=True) for place in range(1_400)]
    few = [Customer(orders=10, value=10 * (place % 7), bought=True) for place in range(140)]
    loose, clustered = estimate(mean_per_order(arm(many))), estimate(mean_per_order(arm(few)))
    assert (loose.value, clustered.value, loose.orders, clustered.orders) == (3, 3, 1_400, 1_400)
    assert clustered.variance / loose.variance == pytest.approx(10, rel=0.01)


def test_without_earlier_spending_a_difference_is_the_plain_one() -> None:
    strip = [replace(each, before=0) for each in crowd(200, uplift=50)]
    base = [replace(each, before=0) for each in crowd(150)]
    found = estimate(difference(arm(strip), arm(base)))
    (mean, variance), (mean_b, variance_b) = by_hand(strip), by_hand(base)
    assert found.value == found.plain_value == pytest.approx(float(mean - mean_b), rel=1e-12)
    assert found.variance == found.plain_variance == pytest.approx(float(variance + variance_b), rel=1e-13)
    assert found.explained == 0
    assert found.orders == 200 // 3 * 6 + 3 + 150 * 2


def test_earlier_spending_takes_away_the_variance_it_explains() -> None:
    treatment, baseline = crowd(600, uplift=50, buyers=90), crowd(300, start=7)
    found = estimate(difference(arm(treatment), arm(baseline)))
    assert found.variance < found.plain_variance
    assert round(found.explained, 2) == 0.13
    assert abs(found.value - 50) < abs(found.plain_value - 50)


def test_no_other_slope_would_leave_less_variance() -> None:
    """The adjusted variance, by hand at three slopes: the one that was chosen, and a tenth to either side."""
    arms = [crowd(600, uplift=50, buyers=90), crowd(300, start=7)]
    found = estimate(difference(arm(arms[0]), arm(arms[1])))
    before = [Fraction(sum(each.before for each in one), len(one)) for one in arms]
    slope = (Fraction(found.plain_value) - Fraction(found.value)) / (before[0] - before[1])

    def variance(slope: Fraction) -> float:
        total = Fraction(0)
        for one, mean_before in zip(arms, before, strict=True):
            mean, n = by_hand(one)[0], len(one)
            orders = Fraction(sum(each.orders for each in one), n)
            residuals = [(e.value - mean * e.orders) / orders - slope * (e.before - mean_before) for e in one]
            total += sum(each * each for each in residuals) / (n * (n - 1))
        return float(total)

    assert variance(slope) == pytest.approx(found.variance, rel=1e-9)
    assert min(variance(slope * Fraction(9, 10)), variance(slope * Fraction(11, 10))) > found.variance


def test_arms_the_other_way_round_give_the_difference_the_other_way_round() -> None:
    one, other = arm(crowd(200, uplift=50)), arm(crowd(150))
    here, there = estimate(difference(one, other)), estimate(difference(other, one))
    assert here.value == -there.value
    assert here.variance == there.variance


def test_two_currencies_are_never_compared() -> None:
    with pytest.raises(CurrencyMismatch, match="GBP and EUR are never compared or added up"):
        difference(arm(crowd(200)), arm(crowd(200), currency="eur"))
    with pytest.raises(CurrencyMismatch):
        compare({"holdout": arm(crowd(200)), "A": arm(crowd(200), currency="eur")}, baseline="holdout")


FLAT = [Customer(orders=1, value=700, bought=True)] * 200
NOTHING = [Customer(orders=1, value=0)] * 200
WHALE = [Customer(orders=5_000, value=9, bought=True), *crowd(400)]


@pytest.mark.parametrize(
    ("customers", "lack", "more"),
    [
        ([], Lack.NO_ORDERS, 100),
        (crowd(1), Lack.FEW_CUSTOMERS, 99),
        (crowd(80), Lack.FEW_CUSTOMERS, 63),  # eight in ten of them count, with two orders each
        (WHALE, Lack.FEW_CUSTOMERS, 1_427),  # 401 customers, but of most orders one
        (crowd(200, buyers=0), Lack.FEW_BUYERS, None),
        (crowd(200, buyers=1), Lack.FEW_BUYERS, 19_551),
        (crowd(200, buyers=49), Lack.FEW_BUYERS, 9),
        (NOTHING, Lack.FEW_BUYERS, None),
        (FLAT, Lack.NO_VARIATION, None),
    ],
)
def test_too_little_data_says_why_and_how_much_more(customers: list[Customer], lack: Lack, more: int | None) -> None:
    shortage = mean_per_order(arm(customers))
    assert shortage == Shortage(lack=lack, more_orders=more)


def test_every_lack_is_in_the_table_above() -> None:
    told = {mean_per_order(arm(each)) for each in ([], crowd(1), NOTHING, FLAT)}
    assert {each.lack for each in told if isinstance(each, Shortage)} == set(Lack)


def test_a_shortage_says_which_arm_it_is_in() -> None:
    enough, few = arm(crowd(200)), arm(crowd(200, buyers=10))
    assert difference(few, enough) == Shortage(lack=Lack.FEW_BUYERS, more_orders=1_596)
    assert difference(enough, few) == Shortage(lack=Lack.FEW_BUYERS, more_orders=1_596, in_baseline=True)


def test_the_holdout_needs_no_buyers_for_it_is_offered_nothing() -> None:
    treatment, holdout = arm(crowd(200)), arm(crowd(200, buyers=0))
    assert isinstance(difference(treatment, holdout), Shortage)
    assert isinstance(difference(treatment, holdout, held_out=True), Estimate)
    assert isinstance(compare({"holdout": holdout, "A": treatment}, baseline="holdout")[0].result, Estimate)
    assert isinstance(compare({"B": holdout, "A": treatment}, baseline="B")[0].result, Shortage)


def test_when_earlier_spending_explains_everything_there_is_nothing_left_to_be_sure_by() -> None:
    customers = [Customer(orders=1, value=place * 31, before=place * 31, bought=True) for place in range(300)]
    lack = difference(arm(customers), arm(customers[:200]))
    assert lack == Shortage(lack=Lack.NO_VARIATION, more_orders=None)


def test_a_hundred_customers_of_whom_fifty_bought_are_enough() -> None:
    customers = [Customer(orders=1, value=place, bought=place < 50) for place in range(100)]
    assert isinstance(mean_per_order(arm(customers)), Estimate)
    assert isinstance(mean_per_order(arm(customers[:-1])), Shortage)
    assert isinstance(mean_per_order(arm([*customers[:49], *customers[50:], customers[99]])), Shortage)


@pytest.mark.parametrize("slope", [1, 5, 7, 10, 11])
def test_rounding_is_not_taken_for_variance(slope: int) -> None:
    customers = [Customer(orders=1, value=slope * n * n + 5, before=n * n, bought=True) for n in range(301)]
    assert isinstance(difference(arm(customers), arm(customers[:170])), Shortage)


def test_each_comparison_is_with_the_baseline_and_in_the_order_given() -> None:
    arms = {"B": arm(crowd(200, uplift=30)), "holdout": arm(crowd(150, buyers=0)), "A": arm(crowd(200, uplift=60))}
    found = compare(arms, baseline="holdout")
    assert [(each.variant, each.baseline, each.alpha) for each in found] == [
        ("B", "holdout", 0.025),
        ("A", "holdout", 0.025),
    ]


def test_the_intervals_share_out_the_error_and_the_daily_one_is_wider() -> None:
    two = {"holdout": arm(crowd(150, buyers=0)), "A": arm(crowd(200, uplift=60))}
    [alone] = compare(two, baseline="holdout")
    shared = compare(two | {"B": arm(crowd(200))}, baseline="holdout")[0]
    assert (alone.alpha, shared.alpha) == (0.05, 0.025)

    def width(interval: Interval | None, comparison: Comparison) -> float:
        """In standard errors, to either side."""
        assert interval is not None
        return round((interval.high - interval.low) / 2 / math.sqrt(estimate(comparison.result).variance), 3)

    assert width(alone.once, alone) == 1.96
    assert width(shared.once, shared) == round(NormalDist().inv_cdf(1 - 0.025 / 2), 3)
    assert width(alone.any_day, alone) == 4.204  # 699 orders, tuned for 10,000
    assert width(shared.any_day, shared) == 4.414


def test_a_shortage_has_no_intervals() -> None:
    [found] = compare({"holdout": arm([]), "A": arm(crowd(200))}, baseline="holdout")
    assert found.result == Shortage(lack=Lack.NO_ORDERS, more_orders=100, in_baseline=True)
    assert (found.once, found.any_day) == (None, None)


def test_with_the_baseline_alone_there_is_nothing_to_compare() -> None:
    assert compare({"holdout": arm(crowd(200))}, baseline="holdout") == ()


def test_a_baseline_that_is_no_arm_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no arm 'holdout'"):
        compare({"A": arm(crowd(200))}, baseline="holdout")


def test_how_many_more_orders_it_needs_depends_on_what_is_worth_knowing() -> None:
    [found] = compare({"holdout": arm(crowd(150, buyers=0)), "A": arm(crowd(200))}, baseline="holdout")
    assert [more_orders(found, worth=worth) for worth in (1, 5, 20, 200, -20)] == [
        17_093_243,
        558_750,
        28_261,
        0,
        28_261,
    ]
    assert more_orders(found, worth=1e-9) is None


def test_intervals_and_needs_follow_the_size_they_are_tuned_for_and_the_number_of_variants() -> None:
    two = {"holdout": arm(crowd(150, buyers=0)), "A": arm(crowd(200))}
    [usual] = compare(two, baseline="holdout")
    [early] = compare(two, baseline="holdout", tuned_for=700)
    assert usual.any_day is not None and early.any_day is not None
    assert usual.any_day.low < early.any_day.low
    assert (more_orders(usual, worth=100), more_orders(usual, worth=100, tuned_for=700)) == (735, 433)

    shared = compare(two | {"B": arm(crowd(200))}, baseline="holdout")[0]
    assert more_orders(shared, worth=100) == 851


def test_a_shortage_knows_itself_how_many_it_needs() -> None:
    [found] = compare({"A": arm(crowd(200)), "B": arm(crowd(200, buyers=10))}, baseline="A")
    assert more_orders(found, worth=20) == 1_596


ANY = st.lists(
    st.builds(
        Customer,
        orders=st.integers(1, 10**6),
        value=st.integers(-(10**18), 10**18) | st.just(0),
        before=st.integers(0, 10**18) | st.just(0),
        bought=st.booleans(),
    ),
    max_size=3,
)


@settings(deadline=None)
@given(ANY, ANY, st.integers(0, 400), st.integers(0, 400))
def test_whatever_the_shops_sold_there_is_an_answer(
    one: list[Customer], other: list[Customer], times: int, times_other: int
) -> None:
    """Arms of up to 1,200 customers, up to a million orders each, amounts to a trillion and below 0, or nothing."""
    arms = {"A": arm(one * times), "holdout": arm(other * times_other)}
    [found] = compare(arms, baseline="holdout")
    if isinstance(found.result, Shortage):
        assert found.result.more_orders is None or found.result.more_orders > 0
        return
    numbers = [found.result.value, found.result.variance, found.result.plain_value, found.result.plain_variance]
    assert all(math.isfinite(number) for number in numbers)
    assert 0 < found.result.variance <= found.result.plain_variance
    assert found.once is not None and found.any_day is not None
    assert found.any_day.low <= found.once.low <= found.result.value <= found.once.high <= found.any_day.high
