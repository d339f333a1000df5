"""How much of what offers sold is kept, when few were sold and when many were."""

from datetime import UTC, datetime

import pytest

from flask_encore.domain.training import Drift, KeptRates, Watched


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


def watched(questions: int, hits: int) -> Drift:
    return Drift(
        version="v",
        trained_at=datetime(2026, 3, 1, tzinfo=UTC),
        watched=Watched(questions=questions, hits=hits, gain=hits / 2, lines=10 * questions, unknown_lines=questions),
        validation_hit_rate_at_3=0.2,
        validation_ndcg_at_10=0.1,
    )


def test_drift_is_the_share_of_hits_with_wilsons_interval() -> None:
    drift = watched(100, 15)

    assert (drift.hit_rate_at_3, drift.ndcg_at_10, drift.unknown_share) == (0.15, 0.075, 0.1)
    assert drift.interval == pytest.approx((0.0931, 0.2328), abs=1e-4)


@pytest.mark.parametrize(
    ("questions", "hits", "worse"), [(0, 0, False), (100, 15, False), (1000, 150, True), (10, 0, False)]
)
def test_a_model_is_worse_when_luck_does_not_explain_it(questions: int, hits: int, worse: bool) -> None:
    assert watched(questions, hits).is_worse is worse


def test_what_was_watched_adds_up() -> None:
    one = Watched(questions=1, hits=1, gain=0.5, lines=3, unknown_lines=1)

    assert one.plus(one) == Watched(questions=2, hits=2, gain=1.0, lines=6, unknown_lines=2)
