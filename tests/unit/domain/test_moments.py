"""An arm is sums over its customers: exact, of one currency, and the whole is the sum of its parts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_encore.domain.errors import CurrencyMismatch, InexactMoney, InvalidInput
from flask_encore.domain.moments import Customer, Moments

TWO = [Customer(orders=1, value=1_290, before=4_000), Customer(orders=3, value=-200, before=50, bought=True)]

CUSTOMERS = st.lists(
    st.builds(
        Customer,
        orders=st.integers(1, 1000),
        value=st.integers(-(2**63), 2**63),
        before=st.integers(0, 2**63),
        bought=st.booleans(),
    ),
    max_size=8,
)


def test_the_sums_are_over_customers() -> None:
    assert Moments.of("gbp", TWO) == Moments(
        currency="gbp",
        customers=2,
        buyers=1,
        orders=4,
        value=1_090,
        before=4_050,
        orders_orders=10,
        orders_value=690,
        orders_before=4_150,
        value_value=1_704_100,
        value_before=5_150_000,
        before_before=16_002_500,
    )


@settings(deadline=None)
@given(CUSTOMERS, CUSTOMERS)
def test_two_halves_add_up_to_the_whole_to_the_last_unit(one: list[Customer], other: list[Customer]) -> None:
    halves = Moments.of("gbp", one), Moments.of("gbp", other)
    assert halves[0] + halves[1] == halves[1] + halves[0] == Moments.of("gbp", one + other)


def test_an_arm_without_customers_changes_nothing() -> None:
    assert Moments.of("gbp", TWO) + Moments(currency="gbp") == Moments.of("gbp", TWO)


def test_two_currencies_are_never_added_up() -> None:
    with pytest.raises(CurrencyMismatch, match="GBP and JPY are never compared or added up"):
        Moments.of("gbp", TWO) + Moments.of("jpy", TWO)


def test_the_currency_is_written_one_way() -> None:
    assert Moments.of("GBP", TWO) == Moments.of("gbp", TWO)
    with pytest.raises(InvalidInput, match="'pounds' is not a currency"):
        Moments(currency="pounds")


@pytest.mark.parametrize("value", [12.0, Decimal(12), True, None, "12"])
def test_a_sum_that_is_not_a_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(InexactMoney):
        Moments(currency="gbp", customers=1, orders=1, orders_orders=1, value=value)


@pytest.mark.parametrize(
    "sums",
    [
        {"customers": 1},  # a customer without an order
        {"orders": -1},
        {"buyers": 2, "customers": 1, "orders": 1, "orders_orders": 1},
        {"customers": 1, "orders": 3, "orders_orders": 1},  # three orders squared are nine
    ],
)
def test_sums_that_cannot_be_are_refused(sums: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match="Every customer of an experiment has an eligible order"):
        Moments(currency="gbp", **sums)


def test_one_customer_who_orders_daily_does_not_count_as_many() -> None:
    busy = [Customer(orders=365, value=0), *[Customer(orders=1, value=0)] * 99]
    assert round(Moments.of("gbp", busy).effective_customers, 2) == 1.61
    assert Moments.of("gbp", busy[1:]).effective_customers == 99.0
    assert Moments(currency="gbp").effective_customers == 0.0
