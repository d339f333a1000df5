"""The pairs a model keeps, counted by hand."""

from __future__ import annotations

from encore_recommender import Baskets, CoPurchaseRecommender
from encore_recommender.model import CoPurchaseModel
from encore_recommender.pairs import Pair, pairs


def model(**about: dict[str, str]) -> CoPurchaseModel:
    """Ten orders: bread and butter six times, tea and cosy three times, bread and tea once."""
    orders = [("bread", "butter")] * 6 + [("tea", "cosy")] * 3 + [("bread", "tea")]
    lines = [(f"{number}", sku) for number, order in enumerate(orders) for sku in order]
    return CoPurchaseRecommender(min_support=1).fit(Baskets.from_rows(lines, **about)).model_


def test_the_most_frequent_pairs_come_first_each_once_and_the_rarer_product_first() -> None:
    assert pairs(model(), most=9, fewest_orders=3) == [
        # 6 of 6 with butter; bread is in 7 of 10.
        Pair(sku="butter", other="bread", together=6, orders_with=6, lift=6 * 10 / (6 * 7), substitutes=False),
        Pair(sku="cosy", other="tea", together=3, orders_with=3, lift=3 * 10 / (3 * 4), substitutes=False),
    ]


def test_by_lift_the_furthest_above_chance_come_first() -> None:
    found = pairs(model(), most=9, fewest_orders=1, by_lift=True)
    assert [(pair.sku, pair.other, pair.together) for pair in found[:2]] == [("cosy", "tea", 3), ("butter", "bread", 6)]
    assert [pair.lift for pair in found] == sorted((pair.lift for pair in found), reverse=True)


def test_what_was_asked_for_is_named_first_in_its_own_orders() -> None:
    [pair] = pairs(model(), most=9, fewest_orders=2, of=["bread", "unknown"])
    assert (pair.sku, pair.other, pair.together, pair.orders_with) == ("bread", "butter", 6, 7)
    assert pairs(model(), most=9, fewest_orders=1, of=["unknown"]) == []


def test_no_more_pairs_than_asked_for() -> None:
    assert [pair.sku for pair in pairs(model(), most=1, fewest_orders=1)] == ["butter"]


def test_variants_of_one_product_are_told_as_substitutes() -> None:
    found = pairs(model(parents={"bread": "loaf", "butter": "loaf"}), most=9, fewest_orders=3)
    assert [(pair.sku, pair.substitutes) for pair in found] == [("butter", True), ("cosy", False)]
