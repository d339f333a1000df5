"""Intervals, comparisons, learning curves, and training that judges itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pytest

from encore_recommender import Baskets, CoPurchaseRecommender
from encore_recommender.exams import Exam, compared, coverage_at_3, exam, without_history
from encore_recommender.training import curve_sizes, learning_curve, train


def shop(orders: int, *, complements: bool = True) -> Baskets:
    """Ten tools, each bought with its own part half of the time, or with anything."""
    rng = np.random.default_rng(5)
    rows = []
    for order in range(orders):
        tool = int(rng.integers(10))
        part = tool if complements and rng.random() < 0.5 else int(rng.integers(10))
        rows += [(f"{order:05d}", f"tool {tool}"), (f"{order:05d}", f"part {part}")]
    return Baskets.from_rows(rows)


def knowing(basket: Sequence[str], exclude: Collection[str], k: int) -> Sequence[str]:
    kind, number = basket[0].split()
    return [f"{'part' if kind == 'tool' else 'tool'} {number}"]


def guessing(basket: Sequence[str], exclude: Collection[str], k: int) -> Sequence[str]:
    return ["part 3", "tool 3"]


def test_an_exam_asks_small_shops_in_whole_rounds_and_large_ones_once() -> None:
    assert (len(exam(shop(40), context="all").queries), exam(shop(40), context="all").rounds) == (200, 5)
    assert (len(exam(shop(40), context="all", limit=90).queries), exam(shop(40), context="all", limit=90).rounds) == (
        80,
        2,
    )
    assert (len(exam(shop(40), context="all", limit=30).queries), exam(shop(40), context="all", limit=30).rounds) == (
        30,
        1,
    )


def test_the_interval_of_a_hit_rate_is_that_of_a_proportion_of_orders_not_of_questions() -> None:
    asked = exam(shop(400), context="all")
    found = asked.quality(asked.answers(without_history(knowing)))["hit_rate_at_1"]
    # Half of the orders and a tenth of the others hold the pair, and every question about one order has its answer.
    assert found.value == pytest.approx(0.55, abs=0.05)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(0.55 * 0.45 / 400), rel=0.1)


def test_two_answers_to_the_same_questions_are_told_apart() -> None:
    asked = exam(shop(200), context="all")
    better = compared(asked, asked.answers(without_history(guessing)), asked.answers(without_history(knowing)))
    assert better.verdict == "better"
    assert better.difference.low > 0.2
    assert (
        compared(asked, asked.answers(without_history(knowing)), asked.answers(without_history(guessing))).verdict
        == "worse"
    )


def test_the_same_answers_are_not_distinguishable() -> None:
    asked = exam(shop(200), context="all")
    same = compared(asked, asked.answers(without_history(knowing)), asked.answers(without_history(knowing)))
    assert same.verdict == "not distinguishable"
    assert same.difference.as_dict() == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_an_exam_without_questions_finds_nothing_out() -> None:
    asked = exam(Baskets.from_rows([("1", "a")]), context="all")
    assert asked == Exam((), 1)
    assert {interval.value for interval in asked.quality(asked.answers(without_history(knowing))).values()} == {0.0}
    assert (
        compared(asked, asked.answers(without_history(knowing)), asked.answers(without_history(guessing))).verdict
        == "not distinguishable"
    )


def test_coverage_counts_the_first_three_of_every_list() -> None:
    asked = exam(shop(100), context="all")
    assert coverage_at_3(asked.answers(without_history(guessing)), [f"part {n}" for n in range(8)]) == 0.25


def test_what_costs_more_weighs_more() -> None:
    asked = exam(shop(100), context="all")
    parts = {f"part {n}": 1.0 for n in range(10)}
    only_part_3 = asked.value_weighted_hit_rate_at_3(
        asked.answers(without_history(guessing)), {**parts, "part 3": 1_000_000.0}
    )
    assert only_part_3 > 0.999
    assert asked.value_weighted_hit_rate_at_3(asked.answers(without_history(guessing)), {}) == 0.0


def test_training_learns_from_all_orders_and_judges_on_the_newest_fifth() -> None:
    told: list[tuple[str, float]] = []
    trained = train(shop(500), CoPurchaseRecommender(), progress=lambda stage, share: told.append((stage, share)))
    assert trained.estimator.n_orders_ == 500
    assert trained.metrics["full_basket"]["queries"] == 500  # 100 orders, 5 rounds
    assert (
        trained.metrics["full_basket"]["hit_rate_at_1"]
        > 0.4
        > trained.metrics["full_basket_popularity"]["hit_rate_at_1"]
    )
    assert trained.verdict.doubt == ""
    assert list(dict.fromkeys(stage for stage, _ in told)) == [
        "choosing how to blend",
        "learning from all orders",
    ]
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert told[-1][1] == 1.0


def test_training_on_too_little_says_so() -> None:
    assert train(shop(40), CoPurchaseRecommender()).verdict.doubt.startswith(
        "it learned from 40 orders of two products or more, and fewer than"
    )


def test_a_learning_curve_doubles_the_orders_up_to_all() -> None:
    assert curve_sizes(16_000) == [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000]
    assert curve_sizes(100) == [25, 50, 100]
    assert curve_sizes(10) == []


def test_more_orders_teach_more() -> None:
    points = learning_curve(shop(500), CoPurchaseRecommender(tune=False))
    ours = [p.ndcg_at_10.value for p in points if (p.method, p.context) == ("encore", "one_line")]
    popular = [p.ndcg_at_10.value for p in points if (p.method, p.context) == ("best-sellers", "one_line")]
    assert [p.orders for p in points][::4] == [25, 50, 100, 200, 400]
    assert ours[0] < ours[-1]
    assert popular[-1] < ours[-1]
