"""How much of what offers sold is kept, when few were sold and when many were."""

import pytest

from flask_encore.domain.training import KeptRates


def test_a_rate_is_drawn_towards_the_shops_by_twenty_sales() -> None:
    rates = KeptRates.shrunken({"mug": (40, 20), "tea": (60, 60)})

    assert rates.shop == pytest.approx(100 / 120)
    assert rates.of == {"mug": pytest.approx((20 + 20 * 100 / 120) / 60), "tea": pytest.approx(230 / 240)}


def test_one_sale_that_came_back_says_little() -> None:
    rates = KeptRates.shrunken({"mug": (1, 0)})

    assert rates.shop == pytest.approx(20 / 21)
    assert rates.of["mug"] == pytest.approx(400 / 441)


def test_before_the_first_sale_everything_is_kept() -> None:
    assert KeptRates.shrunken({}) == KeptRates(shop=1.0, of={})
