import math

import pytest

from encore_recommender import Baskets, CoPurchaseRecommender
from encore_recommender.evaluation import Query, best_sellers, measure, queries, split


def timed(n: int) -> Baskets:
    return Baskets.from_rows([(f"{i}", sku, 1, None, float(i)) for i in range(n) for sku in ("x", f"y{i}")])


def test_the_newest_fifth_of_the_orders_judges() -> None:
    taught, judging = split(timed(10))
    assert [taught.skus_of(i)[1] for i in range(taught.n_orders)] == [f"y{i}" for i in range(8)]
    assert [judging.skus_of(i)[1] for i in range(judging.n_orders)] == ["y8", "y9"]


def test_a_split_by_content_does_not_depend_on_the_order_of_the_orders(breakfast_rows: list[tuple[str, str]]) -> None:
    _, one = split(Baskets.from_rows(breakfast_rows), share=0.5, by_content=True)
    _, other = split(Baskets.from_rows(breakfast_rows[::-1]), share=0.5, by_content=True)
    assert sorted(map(one.skus_of, range(3))) == sorted(map(other.skus_of, range(3)))


def test_every_order_of_two_lines_or_more_hides_one_line(breakfast: Baskets) -> None:
    asked = queries(breakfast)
    assert len(asked) == 6
    for number, query in enumerate(asked):
        assert sorted([*query.basket, query.hidden]) == breakfast.skus_of(number)
        assert query.exclude == query.basket


def test_one_line_context_shows_one_line_and_rules_out_the_others() -> None:
    (query,) = queries(Baskets.from_rows([("1", sku) for sku in ("a", "b", "c")]), context="one")
    assert len(query.basket) == 1
    assert set(query.basket) < set(query.exclude)
    assert sorted([*query.exclude, query.hidden]) == ["a", "b", "c"]


def test_orders_of_one_line_are_not_asked() -> None:
    assert queries(Baskets.from_rows([("1", "a"), ("2", "b")])) == []


def test_rounds_ask_again_with_another_draw_up_to_the_limit() -> None:
    test = Baskets.from_rows([("1", f"p{i}") for i in range(40)])
    assert len({query.hidden for query in queries(test, rounds=5)}) > 1
    assert len(queries(test, rounds=5)) == 5
    assert len(queries(test, rounds=5, limit=3)) == 3


def test_rates_add_up_by_hand() -> None:
    asked = [Query(basket=("x",), exclude=(), hidden=hidden) for hidden in ("a", "b", "d", "never taught")]
    quality = measure(lambda basket, exclude, k: ["a", "b", "c", "d"], asked, taught=["a", "b", "c", "d", "x", "y"])
    assert quality.queries == 4
    assert (quality.hit_rate_at_1, quality.hit_rate_at_3, quality.hit_rate_at_10) == (0.25, 0.5, 0.75)
    assert quality.ndcg_at_10 == pytest.approx((1 + 1 / math.log2(3) + 1 / math.log2(5)) / 4)
    assert quality.coverage_at_3 == 0.5


def test_without_questions_every_rate_is_nought() -> None:
    quality = measure(lambda basket, exclude, k: ["a"], [], taught=[])
    assert set(quality.as_dict().values()) == {0}


def test_the_rule_to_beat_offers_what_most_orders_contain(breakfast: Baskets) -> None:
    assert best_sellers(breakfast)(["bread"], ["jam"], 2) == ["butter", "milk"]


def test_score_is_the_hit_rate_at_three(breakfast: Baskets) -> None:
    assert CoPurchaseRecommender(min_support=1).fit(breakfast).score(breakfast) == 1.0
