"""Customers against weights: the chi-square test, the test that may be looked at daily, and what cannot be."""

from __future__ import annotations

import pytest

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.sample_ratio import chi_square_tail, sample_ratio

HALVES = {"A": 5_000, "B": 5_000}
THREE = {"holdout": 1_000, "A": 4_500, "B": 4_500}


@pytest.mark.parametrize(
    ("value", "degrees", "tail"),
    [
        # As scipy.stats.chi2.sf has it.
        (3.841458820694124, 1, 0.04999999999999989),
        (5.991464547107979, 2, 0.05000000000000007),
        (0.5, 3, 0.9188914116546758),
        (25.0, 4, 5.0309817823062075e-05),
        (7.3, 5, 0.19926778992124214),
        (120.0, 7, 7.661246463353007e-23),
        (0.001, 9, 1.0),
        (2000.0, 3, 0.0),
        (0.0, 3, 1.0),
    ],
)
def test_the_tail_is_the_chi_squares(value: float, degrees: int, tail: float) -> None:
    assert chi_square_tail(value, degrees) == pytest.approx(tail, rel=1e-12)


def test_customers_as_the_weights_say_are_no_mismatch() -> None:
    found = sample_ratio({"holdout": 1_000, "A": 4_400, "B": 4_600}, THREE)
    assert found.expected == {"holdout": 1_000.0, "A": 4_500.0, "B": 4_500.0}
    assert (round(found.p_once, 4), round(found.p_any_day, 4), found.is_mismatch) == (0.1084, 0.8452, False)


def test_a_percentage_point_too_many_of_a_hundred_thousand_is_a_mismatch() -> None:
    found = sample_ratio({"A": 51_000, "B": 49_000}, HALVES)
    assert found.is_mismatch
    assert found.p_once == pytest.approx(2.5396e-10, rel=1e-3)
    assert found.p_any_day == pytest.approx(2.1467e-08, rel=1e-3)


def test_a_p_value_below_a_thousandth_on_one_day_alone_stops_nothing() -> None:
    """The daily test asks for more, for it is asked every day."""
    found = sample_ratio({"A": 50_530, "B": 49_470}, HALVES)
    assert found.p_once < 0.001 < found.p_any_day
    assert not found.is_mismatch


def test_an_arm_that_nobody_reached_is_noticed() -> None:
    assert sample_ratio({"A": 60}, HALVES).counts == {"A": 60, "B": 0}
    assert sample_ratio({"A": 60}, HALVES).p_once < 1e-13
    assert sample_ratio({"A": 200}, HALVES).is_mismatch


def test_customers_in_an_arm_of_weight_0_are_a_mismatch_at_once() -> None:
    found = sample_ratio({"A": 100, "B": 100, "C": 1}, HALVES | {"C": 0})
    assert (found.p_once, found.p_any_day, found.is_mismatch) == (0.0, 0.0, True)
    assert not sample_ratio({"A": 100, "B": 100, "C": 0}, HALVES | {"C": 0}).is_mismatch


@pytest.mark.parametrize(("counts", "weights"), [({}, HALVES), ({"A": 0, "B": 0}, HALVES), ({"A": 7}, {"A": 10_000})])
def test_where_nothing_can_be_wrong_nothing_is(counts: dict[str, int], weights: dict[str, int]) -> None:
    found = sample_ratio(counts, weights)
    assert (found.p_once, found.p_any_day, found.is_mismatch) == (1.0, 1.0, False)


def test_a_billion_customers_are_counted_too() -> None:
    assert not sample_ratio({"A": 5 * 10**8, "B": 5 * 10**8}, HALVES).is_mismatch
    assert sample_ratio({"A": 5 * 10**8 + 200_000, "B": 5 * 10**8}, HALVES).is_mismatch


@pytest.mark.parametrize(
    ("counts", "weights"),
    [
        ({"A": -1}, HALVES),
        ({"A": 1.0}, HALVES),
        ({"C": 1}, HALVES),
        ({"A": 1}, {"A": 4_999, "B": 5_000}),
        ({"A": 1}, {}),
    ],
)
def test_what_cannot_be_counted_is_refused(counts: dict[str, int], weights: dict[str, int]) -> None:
    with pytest.raises(InvalidInput):
        sample_ratio(counts, weights)
