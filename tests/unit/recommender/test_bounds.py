"""What a merchant allows holds in every answer, and says so when it makes no sense."""

from typing import Any

import numpy as np
import pytest

from encore_recommender import BadBounds, Baskets, Bounds, CoPurchaseModel, CoPurchaseRecommender

CATEGORIES = {
    "bread": "bakery",
    "butter": "dairy",
    "milk": "dairy",
    "jam": "pantry",
    "tea": "pantry",
    "honey": "pantry",
}


@pytest.fixture
def model(breakfast_rows: list[tuple[str, str]]) -> CoPurchaseModel:
    """Bread sells with butter, then jam; milk and tea are the other best-sellers; honey was never bought."""
    return CoPurchaseRecommender().fit(Baskets.from_rows(breakfast_rows, categories=CATEGORIES)).model_


@pytest.fixture
def families(model: CoPurchaseModel) -> CoPurchaseModel:
    """The same shop, where butter and jam are one family, and milk and bread another."""
    number = {sku: i for i, sku in enumerate(model.skus)}
    family_of = np.full(len(model.skus), -1, dtype=np.int32)
    family_of[[number["butter"], number["jam"]]] = 0
    family_of[[number["bread"], number["milk"]]] = 1
    return CoPurchaseModel(
        skus=model.skus,
        orders=model.orders,
        orders_with=model.orders_with,
        tables=model.tables,
        categories=model.categories,
        category_of=model.category_of,
        family_of=family_of,
    )


def ids(model: CoPurchaseModel, basket: list[str], bounds: Bounds | None = None, **options: Any) -> tuple[str, ...]:
    return model.recommend(basket, k=9, bounds=bounds, **options).ids


def test_no_bounds_allow_what_was_allowed_before(model: CoPurchaseModel) -> None:
    assert model.recommend(["bread"], k=9, bounds=Bounds()) == model.recommend(["bread"], k=9)
    assert ids(model, ["bread"]) == ("butter", "jam", "milk", "tea")


def test_pinned_products_come_first_in_the_merchants_order(model: CoPurchaseModel) -> None:
    bounds = Bounds(pinned={"bread": ["tea", "jam"], "milk": ["jam", "bread"]})
    found = model.recommend(["bread"], k=9, bounds=bounds)
    assert found.ids == ("tea", "jam", "butter", "milk")
    assert [why.kind for why in found.explanations] == ["pinned", "pinned", "co_purchase", "popularity"]
    assert [why.because_of for why in found.explanations[:2]] == ["bread", "bread"]
    assert [why.sentence() for why in found.explanations[:2]] == [
        "chosen by the shop",
        "chosen by the shop, in 2 of 4 orders",
    ]
    assert model.recommend(["bread"], k=1, bounds=bounds).ids == ("tea",)


def test_pins_of_several_lines_do_not_depend_on_the_order_of_the_lines(model: CoPurchaseModel) -> None:
    bounds = Bounds(pinned={"new": ["jam"], "tea": ["milk", "jam"], "butter": ["milk"]})
    for basket in (["new", "tea", "butter"], ["butter", "tea", "new"]):
        found = model.recommend(basket, k=9, bounds=bounds)
        assert found.ids == ("milk", "jam", "bread")
        assert [why.because_of for why in found.explanations[:2]] == ["butter", "tea"]


def test_a_product_nobody_ever_bought_can_be_pinned(model: CoPurchaseModel) -> None:
    found = model.recommend(["bread"], k=2, bounds=Bounds(pinned={"bread": ["brand new", "honey"]}))
    assert found.ids == ("brand new", "honey")
    assert [why.kind for why in found.explanations] == ["pinned", "pinned"]
    assert found.scores == (1.0, 1.0)
    assert found.probabilities == (0.0, 0.0)


def test_pinned_products_tie_with_the_best_of_the_others_and_keep_their_own_probability(model: CoPurchaseModel) -> None:
    plain, pinned = (
        model.recommend(["bread"], k=9, bounds=bounds) for bounds in (None, Bounds(pinned={"bread": ["tea"]}))
    )
    assert pinned.ids == ("tea", "butter", "jam", "milk")
    assert pinned.scores == (plain.scores[0], *plain.scores[:3])
    assert pinned.probabilities == pytest.approx((2 / 6, 3 / 6, 2 / 6, 2 / 6))


def test_a_pinned_product_passes_every_other_filter(model: CoPurchaseModel) -> None:
    pin = {"bread": ["tea"]}
    assert ids(model, ["bread"], Bounds(pinned=pin), exclude=["tea"]) == ("butter", "jam", "milk")
    assert ids(model, ["bread"], Bounds(pinned=pin), allowed={"jam"}) == ("jam",)
    assert ids(model, ["bread", "tea"], Bounds(pinned=pin)) == ("butter", "milk", "jam")
    assert ids(model, ["bread"], Bounds(pinned=pin, never_categories=["pantry"])) == ("butter", "milk")
    assert ids(model, ["bread"], Bounds(pinned=pin, max_price=100, prices={"jam": 99})) == ("jam",)
    assert ids(model, ["bread", "milk"], Bounds(pinned=pin, blocked=[("tea", "milk")])) == ("butter", "jam")


def test_a_blocked_pair_is_never_together_whichever_is_in_the_basket(model: CoPurchaseModel) -> None:
    bounds = Bounds(blocked=[("bread", "butter"), ("unheard of", "tea")])
    assert ids(model, ["bread"], bounds) == ("jam", "milk", "tea")
    assert ids(model, ["butter"], bounds) == ("milk", "jam", "tea")
    assert ids(model, ["unheard of"], bounds) == ("bread", "butter", "jam", "milk")


def test_only_and_never_choose_categories(model: CoPurchaseModel) -> None:
    assert ids(model, ["bread"], Bounds(only_categories=["pantry"])) == ("jam", "tea")
    assert ids(model, ["bread"], Bounds(never_categories={"dairy", "no such"})) == ("jam", "tea")
    assert ids(model, ["bread"], Bounds(only_categories=["no such"])) == ()


def test_a_product_of_no_known_category_is_in_none(breakfast: Baskets) -> None:
    model = CoPurchaseRecommender().fit(breakfast).model_
    assert ids(model, ["bread"], Bounds(only_categories=["dairy"])) == ()
    assert len(ids(model, ["bread"], Bounds(never_categories=["dairy"]))) == 4
    assert len(ids(model, ["bread"], Bounds(per_category=1))) == 4


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        ({"max_price": 300}, ("butter", "jam")),
        ({"max_price": 299}, ("jam",)),
        ({"min_price": 300}, ("butter", "milk")),
        ({"min_price": 301, "max_price": 301}, ("milk",)),
        ({}, ("butter", "jam", "milk", "tea")),
    ],
)
def test_the_price_guard_leaves_out_what_costs_otherwise_or_nobody_knows_how_much(
    model: CoPurchaseModel, guard: dict[str, int], expected: tuple[str, ...]
) -> None:
    prices = {"butter": 300, "jam": 0, "milk": 301}
    assert ids(model, ["bread"], Bounds(prices=prices, **guard)) == expected
    assert ids(model, ["bread"], Bounds(prices=prices).priced(**guard)) == expected


def test_a_limit_per_category_counts_the_list_and_the_sequence(model: CoPurchaseModel) -> None:
    bounds = Bounds(per_category=1)
    assert ids(model, ["bread"], bounds) == ("butter", "jam")
    assert ids(model, ["bread"], bounds, sequence=["milk"]) == ("jam",)
    assert ids(model, ["bread"], Bounds(per_category=2), sequence=["milk"]) == ("butter", "jam", "tea")


def test_a_sequence_does_not_repeat_itself_nor_offer_what_is_blocked_beside_it(model: CoPurchaseModel) -> None:
    assert ids(model, ["bread"], sequence=["butter", "unheard of"]) == ("jam", "milk", "tea")
    assert ids(model, ["bread"], Bounds(blocked=[("butter", "tea")]), sequence=["butter"]) == ("jam", "milk")


def test_a_substitute_of_a_basket_line_is_no_complement(families: CoPurchaseModel) -> None:
    assert ids(families, ["bread"]) == ("butter", "tea")
    assert ids(families, ["butter"]) == ("bread", "tea")
    assert ids(families, ["bread"], Bounds(substitutes=True)) == ("butter", "milk", "tea")


def test_no_two_of_a_family_in_a_list_or_a_sequence(families: CoPurchaseModel) -> None:
    assert ids(families, ["tea"]) == ("milk", "jam")
    assert ids(families, ["tea"], sequence=["jam"]) == ("milk",)
    assert ids(families, ["tea"], Bounds(substitutes=True), sequence=["jam", "bread"]) == ()


def test_a_pin_is_the_merchants_word_against_a_guessed_substitute(families: CoPurchaseModel) -> None:
    bounds = Bounds(pinned={"bread": ["milk", "jam", "butter"]})
    assert ids(families, ["bread"], bounds) == ("milk", "jam", "tea")


def test_an_answer_still_comes_when_almost_everything_is_filtered(model: CoPurchaseModel) -> None:
    bounds = Bounds(
        blocked=[("bread", f"gone {i}") for i in range(100)] + [("bread", "butter")],
        never_categories=["dairy"],
        prices=dict.fromkeys(model.skus, 500) | {"jam": 900},
        max_price=500,
    )
    assert ids(model, ["bread"], bounds, exclude=["milk"], allowed=model.skus) == ("tea",)


def test_bounds_filter_and_change_no_score(model: CoPurchaseModel) -> None:
    plain = model.recommend(["bread"], k=9)
    bounded = model.recommend(["bread"], k=9, bounds=Bounds(blocked=[("bread", "jam")]))
    kept = [i for i, sku in enumerate(plain.ids) if sku != "jam"]
    assert bounded.ids == tuple(plain.ids[i] for i in kept)
    assert bounded.scores[0] == plain.scores[0]
    assert bounded.explanations == tuple(plain.explanations[i] for i in kept)


def test_a_value_once_made_does_not_follow_what_it_was_made_of(model: CoPurchaseModel) -> None:
    pinned, prices, never = {"bread": ["tea"]}, {"tea": 100}, {"dairy"}
    bounds = Bounds(pinned=pinned, prices=prices, max_price=100, never_categories=never)
    pinned["bread"].append("milk")
    prices["butter"] = 1
    never.add("pantry")
    assert ids(model, ["bread"], bounds) == ("tea",)
    assert bounds == Bounds(pinned={"bread": ["tea"]}, prices={"tea": 100}, max_price=100, never_categories=["dairy"])


def test_the_estimator_passes_them_on(breakfast: Baskets) -> None:
    found = (
        CoPurchaseRecommender()
        .fit(breakfast)
        .recommend(["bread"], k=2, bounds=Bounds(pinned={"bread": ["tea"]}), sequence=["butter"])
    )
    assert found.ids == ("tea", "jam")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"pinned": {"pen": "ink"}}, "pinned must be a list, tuple or set, not 'ink'"),
        ({"pinned": [("pen", "ink")]}, "pinned must be a mapping with the SKU as key, not list"),
        (
            {"pinned": {"pen": ["ink", 7]}},
            "pinned must name products or categories by texts that are not empty, not by 7",
        ),
        ({"pinned": {"": ["ink"]}}, "pinned must name products or categories by texts that are not empty, not by ''"),
        ({"pinned": {"pen": ["pen"]}}, "'pen' is pinned to itself: name the products to put first beside it"),
        (
            {"pinned": {"pen": ["ink"]}, "blocked": [("ink", "pen")]},
            "'pen' and 'ink' are both pinned and blocked: drop one of the two",
        ),
        ({"blocked": ["ab"]}, "blocked must hold pairs of two different SKUs, not 'ab'"),
        ({"blocked": [("a", "b", "c")]}, "blocked must hold pairs of two different SKUs, not ('a', 'b', 'c')"),
        ({"blocked": [("a", "a")]}, "blocked must hold pairs of two different SKUs, not ('a', 'a')"),
        ({"blocked": {"a": "b"}}, "blocked must be a list, tuple or set, not {'a': 'b'}"),
        ({"blocked": [(1, "a")]}, "blocked must name products or categories by texts that are not empty, not by 1"),
        ({"only_categories": "tea"}, "only_categories must be a list, tuple or set, not 'tea'"),
        (
            {"only_categories": []},
            "only_categories is empty, which allows nothing: leave it out to allow all categories",
        ),
        ({"never_categories": None}, "never_categories must be a list, tuple or set, not None"),
        (
            {"only_categories": ["a"], "never_categories": ["a", "b"]},
            "every category of only_categories is in never_categories too, which allows nothing",
        ),
        ({"prices": [1, 2]}, "prices must be a mapping with the SKU as key, not list"),
        ({"prices": {"a": 1, "b": 1.5}}, "the price of 'b' must be whole minor units of at least 0, not 1.5"),
        ({"prices": {"a": float("nan")}}, "the price of 'a' must be whole minor units of at least 0, not nan"),
        ({"prices": {"a": -1}}, "the price of 'a' must be whole minor units of at least 0, not -1"),
        ({"prices": {"a": True}}, "the price of 'a' must be whole minor units of at least 0, not True"),
        ({"prices": {"a": "9"}}, "the price of 'a' must be whole minor units of at least 0, not '9'"),
        ({"min_price": -1}, "min_price must be a whole number of at least 0, not -1"),
        ({"max_price": 9.5}, "max_price must be a whole number of at least 0, not 9.5"),
        ({"min_price": 2, "max_price": 1}, "max_price 1 is below min_price 2, which allows nothing"),
        ({"per_category": 0}, "per_category is 0, which allows nothing: leave it out, or allow at least 1"),
        ({"per_category": "2"}, "per_category must be a whole number of at least 0, not '2'"),
        ({"substitutes": "no"}, "substitutes must be True or False, not 'no'"),
    ],
)
def test_bounds_that_make_no_sense_are_refused_with_the_reason(values: dict[str, Any], why: str) -> None:
    with pytest.raises(BadBounds) as refused:
        Bounds(**values)
    assert str(refused.value) == why


def test_a_price_guard_for_one_basket_is_checked_like_any_other() -> None:
    with pytest.raises(BadBounds, match="max_price 1 is below min_price 2, which allows nothing"):
        Bounds().priced(min_price=2, max_price=1)
