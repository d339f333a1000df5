"""When a blend is left for another: never for luck."""

import numpy as np
import pytest

from encore_recommender import Baskets, CoPurchaseRecommender
from encore_recommender.tuning import DEFAULTS, Choice, _better


@pytest.mark.parametrize(
    ("wins", "losses", "taken"),
    [
        (60, 40, True),  # 20 of 1,000 ahead, where 10 are a standard error
        (53, 47, True),  # 6 ahead
        (52, 48, False),  # 4 ahead
        (40, 60, False),
    ],
)
def test_a_step_is_taken_when_it_gains_half_a_standard_error(wins: int, losses: int, taken: bool) -> None:
    then = np.full(1_000, 0.5)
    now = then + np.concatenate([np.ones(wins), -np.ones(losses), np.zeros(1_000 - wins - losses)])
    assert _better(now, then) == taken


def test_a_step_that_gains_next_to_nothing_is_not_taken_however_sure_it_is() -> None:
    then = np.full(1_000, 0.5)
    assert (_better(then + 0.0009, then), _better(then + 0.0011, then)) == (False, True)


def test_a_history_too_short_to_ask_keeps_the_defaults() -> None:
    rows = [(f"{order}", sku) for order in range(40) for sku in ("bread", f"jam {order % 3}")]
    assert CoPurchaseRecommender().fit(Baskets.from_rows(rows)).choice_ == Choice()
    assert Choice().blends == DEFAULTS


def test_where_times_tell_nothing_and_orders_are_alike_no_fashion_is_followed() -> None:
    rows = [(f"{order}", sku) for order in range(400) for sku in (f"a{order % 7}", f"b{order % 7}", "bag")]
    chosen = CoPurchaseRecommender().fit(Baskets.from_rows(rows)).choice_
    assert {blend.recency for blend in chosen.blends.values()} == {0.0}
