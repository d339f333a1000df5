import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from encore_recommender import Baskets, CoPurchaseRecommender, Explanation
from encore_recommender.blending import Blend
from encore_recommender.evaluation import queries, split
from encore_recommender.model import Memory
from encore_recommender.neighbours import SIZES
from encore_recommender.scorers import dropout_ease
from encore_recommender.tuning import Choice


@pytest.fixture
def fitted(breakfast: Baskets) -> CoPurchaseRecommender:
    return CoPurchaseRecommender().fit(breakfast)


def test_bought_together_comes_first_then_the_best_sellers(fitted: CoPurchaseRecommender) -> None:
    found = fitted.recommend(["bread"], k=10)
    assert found.ids == ("butter", "jam", "milk", "tea")
    assert [why.kind for why in found.explanations] == ["co_purchase", "co_purchase", "popularity", "popularity"]


def test_an_explanation_counts_orders_anyone_can_add_up(fitted: CoPurchaseRecommender) -> None:
    butter, jam = fitted.recommend(["bread"], k=2).explanations
    assert butter == Explanation(kind="co_purchase", because_of="bread", support=3, of_orders=4, lift=1.5)
    assert jam == Explanation(kind="co_purchase", because_of="bread", support=2, of_orders=4, lift=1.5)
    (tea,) = fitted.recommend(["milk"], k=1).explanations
    assert tea == Explanation(kind="co_purchase", because_of="milk", support=2, of_orders=2, lift=3.0)


def test_popularity_is_explained_by_all_orders(fitted: CoPurchaseRecommender) -> None:
    (bread,) = fitted.recommend(["unheard of"], k=1).explanations
    assert bread == Explanation(kind="popularity", support=4, of_orders=6)


def test_one_known_line_scores_by_the_shrunken_conditional_probability(fitted: CoPurchaseRecommender) -> None:
    # Orders weigh 1 / (lines - 1): bread+butter 1/2 + 1 + 1, bread 1/2 + 1 + 1 + 1; 2.5 of 11.5 lines are butter.
    butter = (2.5 + 5 * 2.5 / 11.5) / (3.5 + 5)
    jam = (1.5 + 5 * 1.5 / 11.5) / (3.5 + 5)
    found = fitted.recommend(["bread"], k=2)
    assert found.scores[1] / found.scores[0] == pytest.approx(jam / butter, rel=1e-6)


def test_the_cosine_is_asymmetric_and_lets_strong_pairs_speak_up(breakfast: Baskets) -> None:
    # Orders weigh 1 / sqrt(lines - 1), so the order of three counts 0.7071.
    cosine = Choice(blends={size: Blend(cosine=1.0) for size in SIZES})
    butter = (2.7071 / (3.7071**0.8 * 2.7071**0.2)) ** 3
    jam = (1.7071 / (3.7071**0.8 * 1.7071**0.2)) ** 3
    found = CoPurchaseRecommender(choice=cosine).fit(breakfast).recommend(["bread"], k=2)
    assert found.ids == ("butter", "jam")
    assert found.scores[1] / found.scores[0] == pytest.approx(jam / butter, rel=1e-4)


def test_dropout_ease_is_the_closed_form() -> None:
    gram = np.array([[4.0, 3.0, 1.0], [3.0, 5.0, 2.0], [1.0, 2.0, 6.0]])
    inverse = np.linalg.inv(gram + 2.0 * np.eye(3) + np.diag([4.0, 5.0, 6.0]) / 3.0)
    expected = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(dropout_ease(gram, ridge=2.0, dropout=1.0 / 3.0), expected, rtol=1e-5)


def test_products_beyond_the_dense_limit_are_served_by_the_cosine() -> None:
    rows = [(f"{pair}-{i}", f"{sku}{pair}") for pair in range(30) for i in range(3) for sku in "ab"]
    estimator = CoPurchaseRecommender(dense_items=4, choice=Choice(blends={s: Blend(ease=1.0) for s in SIZES}))
    model = estimator.fit(Baskets.from_rows(rows))
    assert model.items_beyond_dense_ == 56
    assert [model.recommend([f"a{pair}"], k=1).ids for pair in range(30)] == [(f"b{pair}",) for pair in range(30)]


def test_what_the_customer_buys_anyway_moves_up(breakfast: Baskets) -> None:
    choice = Choice(memories={size: Memory(bonus=1.0) for size in SIZES})
    model = CoPurchaseRecommender(choice=choice).fit(breakfast)
    assert model.recommend(["bread"], k=3).ids == ("butter", "jam", "milk")
    assert model.recommend(["bread"], k=3, history=["tea", "jam", "jam", "unheard of"]).ids == ("jam", "butter", "tea")
    assert model.recommend(["bread"], k=3, history=[]).ids == ("butter", "jam", "milk")


def test_explain_counts_for_any_product_of_the_shop(fitted: CoPurchaseRecommender) -> None:
    assert fitted.explain(["bread", "tea"], "jam") == Explanation(
        kind="co_purchase", because_of="bread", support=2, of_orders=4, lift=1.5
    )
    assert fitted.explain(["bread"], "tea") == Explanation(kind="popularity", support=2, of_orders=6)
    assert fitted.explain(["bread"], "unheard of") is None


def test_probabilities_never_rise_and_fall_back_on_the_share_of_orders(fitted: CoPurchaseRecommender) -> None:
    assert fitted.recommend(["bread"], k=3).probabilities == pytest.approx((3 / 6, 2 / 6, 2 / 6))


def test_a_pair_seen_in_too_few_orders_is_not_bought_together(breakfast: Baskets) -> None:
    kinds = {
        support: dict(zip(found.ids, (why.kind for why in found.explanations), strict=True))
        for support in (1, 2)
        for found in [CoPurchaseRecommender(min_support=support).fit(breakfast).recommend(["butter"], k=9)]
    }
    assert kinds[1]["jam"] == "co_purchase"
    assert kinds[2]["jam"] == "popularity"


def test_scores_never_rise_along_the_list(fitted: CoPurchaseRecommender) -> None:
    for basket in (["bread"], ["bread", "butter"], ["tea", "unheard of"], []):
        scores = fitted.recommend(basket, k=10).scores
        assert list(scores) == sorted(scores, reverse=True)


def test_equal_scores_go_to_the_better_seller_then_to_the_lower_id() -> None:
    rows = [(order, sku) for order in ("1", "2") for sku in ("x", "b", "a")]
    rows += [("3", "b"), ("4", "b")]
    assert CoPurchaseRecommender().fit(Baskets.from_rows(rows)).recommend([], k=3).ids == ("b", "a", "x")
    rows += [("5", "a"), ("6", "a")]
    assert CoPurchaseRecommender().fit(Baskets.from_rows(rows)).recommend([], k=3).ids == ("a", "b", "x")


def test_an_unknown_product_carries_no_score(fitted: CoPurchaseRecommender) -> None:
    assert fitted.recommend(["bread", "unheard of"], k=4) == fitted.recommend(["bread"], k=4)


@pytest.mark.parametrize("basket", [[], ["unheard of"], ["unheard of", "never seen"]])
def test_a_basket_that_says_nothing_gets_the_best_sellers(fitted: CoPurchaseRecommender, basket: list[str]) -> None:
    found = fitted.recommend(basket, k=3)
    assert found.ids == ("bread", "butter", "jam")
    assert {why.kind for why in found.explanations} == {"popularity"}


def test_what_is_excluded_or_not_allowed_is_never_returned(fitted: CoPurchaseRecommender) -> None:
    assert fitted.recommend(["bread"], k=9, exclude=["butter", "unheard of"]).ids == ("jam", "milk", "tea")
    assert fitted.recommend(["bread"], k=9, allowed=["tea", "jam", "bread"]).ids == ("jam", "tea")
    assert fitted.recommend(["bread"], k=9, allowed=[]).ids == ()
    assert fitted.recommend(["bread"], k=9, exclude=["butter", "jam", "milk", "tea"]).ids == ()


@pytest.mark.parametrize("k", [0, -1])
def test_asking_for_nothing_gives_nothing(fitted: CoPurchaseRecommender, k: int) -> None:
    assert len(fitted.recommend(["bread"], k=k)) == 0


def test_the_order_of_the_basket_and_repeated_lines_change_nothing(fitted: CoPurchaseRecommender) -> None:
    assert fitted.recommend(["jam", "bread", "jam", "butter"], k=9) == fitted.recommend(["butter", "jam", "bread"], k=9)


def test_after_co_purchases_come_products_of_the_same_category() -> None:
    rows = [("1", "bread"), ("1", "butter"), ("2", "bread"), ("2", "butter"), ("3", "tea"), ("4", "tea"), ("5", "roll")]
    categories = {"bread": "bakery", "roll": "bakery", "tea": "drinks", "cake": "bakery"}
    model = CoPurchaseRecommender().fit(Baskets.from_rows(rows, categories=categories))
    found = model.recommend(["bread"], k=9)
    assert found.ids == ("butter", "roll", "tea")
    assert found.explanations[1] == Explanation(kind="category", because_of="bread", support=1, of_orders=5)
    assert found.explanations[2].kind == "popularity"


def test_a_product_nobody_bought_yet_leads_to_its_category_and_is_not_offered_itself() -> None:
    rows = [("1", "tea"), ("2", "tea"), ("3", "roll")]
    model = CoPurchaseRecommender().fit(Baskets.from_rows(rows, categories={"roll": "bakery", "cake": "bakery"}))
    found = model.recommend(["cake"], k=9)
    assert found.ids == ("roll", "tea")
    assert found.explanations[0] == Explanation(kind="category", because_of="cake", support=1, of_orders=3)


def test_an_empty_history_recommends_nothing() -> None:
    model = CoPurchaseRecommender().fit(Baskets.from_rows([]))
    assert model.recommend(["bread"], k=3).ids == ()
    assert (model.n_orders_, model.n_features_in_) == (0, 0)


def test_one_order_of_one_line_is_a_best_seller() -> None:
    model = CoPurchaseRecommender().fit(Baskets.from_rows([("1", "bread")]))
    assert model.recommend([], k=3).ids == ("bread",)
    assert model.recommend(["bread"], k=3).ids == ()


def test_lines_an_offer_sold_never_train(breakfast_rows: list[tuple[str, str]]) -> None:
    plain = Baskets.from_rows([(*row, 1, None, None, False) for row in breakfast_rows])
    offers = [(order, "honey", 1, None, None, True) for order in ("o1", "o2", "o3", "o7")]
    mixed = Baskets.from_rows([(*row, 1, None, None, False) for row in breakfast_rows] + offers)
    with_offers, without = CoPurchaseRecommender().fit(mixed), CoPurchaseRecommender().fit(plain)
    assert with_offers.n_orders_ == without.n_orders_ == 6
    assert with_offers.recommend(["bread"], k=9) == without.recommend(["bread"], k=9)


def test_a_wholesale_order_is_left_out_and_counted(breakfast_rows: list[tuple[str, str]]) -> None:
    wholesale = [("stock", f"part {i}") for i in range(10_000)]
    model = CoPurchaseRecommender().fit(Baskets.from_rows([*breakfast_rows, *wholesale]))
    assert (model.orders_left_out_, model.n_orders_, model.n_features_in_) == (1, 6, 5)


def test_a_basket_of_ten_thousand_lines_is_answered(fitted: CoPurchaseRecommender) -> None:
    assert fitted.recommend([f"part {i}" for i in range(10_000)] + ["bread"], k=1).ids == ("butter",)


def test_recent_orders_count_more_than_old_ones() -> None:
    day = 86_400.0
    old = [(f"old {i}", sku, 1, None, i * day) for i in range(4) for sku in ("pen", "ink")]
    new = [(f"new {i}", sku, 1, None, (1_000 + i) * day) for i in range(3) for sku in ("pen", "paper")]
    assert CoPurchaseRecommender().fit(Baskets.from_rows(old + new)).recommend(["pen"], k=1).ids == ("paper",)
    timeless = [row[:2] for row in old + new]
    assert CoPurchaseRecommender().fit(Baskets.from_rows(timeless)).recommend(["pen"], k=1).ids == ("ink",)


def test_products_keep_at_most_the_asked_number_of_neighbours() -> None:
    rows = [(str(order), sku) for order in range(3) for sku in ("hub", "a", "b", "c", "d")]
    model = CoPurchaseRecommender(top_k=2).fit(Baskets.from_rows(rows)).model_
    assert [len(model.tables["one"].row(item)) for item in range(5)] == [2, 2, 2, 2, 2]


def test_planted_complements_are_found() -> None:
    rng = np.random.default_rng(11)
    popularity = 1.0 / np.arange(1, 301)
    popularity /= popularity.sum()
    rows = []
    for order in range(4_000):
        lines = set(rng.choice(300, size=rng.integers(1, 5), p=popularity).tolist())
        planted = int(rng.integers(0, 20))
        if rng.random() < 0.5:
            lines.add(100 + planted)
            if rng.random() < 0.5:
                lines.add(200 + planted)
        rows += [(f"{order}", f"p{line:03d}") for line in sorted(lines)]
    model = CoPurchaseRecommender().fit(Baskets.from_rows(rows))
    top_5 = [model.recommend([f"p{100 + i}"], k=5) for i in range(20)]
    assert [f"p{200 + i}" in found.ids for i, found in enumerate(top_5)] == [True] * 20
    assert min(found.explanations[found.ids.index(f"p{200 + i}")].support for i, found in enumerate(top_5)) >= 20


def test_the_estimator_follows_scikit_learn() -> None:
    model = CoPurchaseRecommender(top_k=7, random_state=3)
    assert model.get_params()["top_k"] == 7
    twin = clone(model).set_params(min_support=5)
    assert (twin.top_k, twin.min_support, twin.random_state, model.min_support) == (7, 5, 3, 2)
    with pytest.raises(NotFittedError):
        twin.recommend(["bread"], k=1)


@pytest.mark.parametrize("parameter", [{"top_k": 0}, {"min_support": 0}, {"max_lines": 1}, {"top_k": 1.5}])
def test_a_parameter_out_of_range_is_refused_by_fit(breakfast: Baskets, parameter: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be a whole number of at least"):
        CoPurchaseRecommender(**parameter).fit(breakfast)


def test_progress_runs_from_nothing_to_everything_without_falling(breakfast: Baskets) -> None:
    heard: list[float] = []
    CoPurchaseRecommender().fit(breakfast, progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_serving_imports_neither_scipy_nor_scikit_learn() -> None:
    code = (
        "import sys, encore_recommender, encore_recommender.evaluation\n"
        "assert encore_recommender.load and encore_recommender.CoPurchaseModel\n"
        "print(sorted({'scipy', 'sklearn', 'flask'} & {name.partition('.')[0] for name in sys.modules}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert answer.stdout == "[]\n"


@pytest.mark.parametrize(
    ("why", "sentence"),
    [
        (
            Explanation(kind="co_purchase", because_of="x", support=41, of_orders=380, lift=3.2),
            "in 41 of 380 orders, 3.2 times more than chance",
        ),
        (Explanation(kind="co_purchase", because_of="x", support=4, of_orders=9, lift=80.0), "in 4 of 9 orders"),
        (Explanation(kind="co_purchase", because_of="x", support=41, of_orders=380, lift=0.9), "in 41 of 380 orders"),
        (
            Explanation(kind="category", because_of="x", support=212, of_orders=12_000),
            "popular in the same category, in 212 of 12,000 orders",
        ),
        (Explanation(kind="popularity", support=9, of_orders=10), "popular in the shop, in 9 of 10 orders"),
    ],
)
def test_an_explanation_is_a_sentence_that_claims_no_more_than_it_counted(why: Explanation, sentence: str) -> None:
    assert why.sentence() == sentence


def test_probabilities_add_up_to_the_hits_on_orders_it_has_not_seen() -> None:
    rng = np.random.default_rng(5)
    rows = []
    for order in range(6_000):
        tool = int(rng.integers(0, 10))
        lines = {f"tool {tool}", f"thing {rng.integers(0, 30)}"} | ({f"part {tool}"} if rng.random() < 0.4 else set())
        rows += [(f"{order:04d}", line) for line in sorted(lines)]
    train, test = split(Baskets.from_rows(rows))
    model = CoPurchaseRecommender().fit(train).model_
    said: list[float] = []
    held: list[bool] = []
    for query in queries(test, context="one", rounds=4):
        found = model.recommend(query.basket, k=5, exclude=query.exclude)
        assert list(found.probabilities) == sorted(found.probabilities, reverse=True)
        said += found.probabilities
        held += [sku == query.hidden for sku in found.ids]
    assert np.mean(said) == pytest.approx(np.mean(held), abs=0.02)
