"""Learning from new orders: the same counts as learning from all at once, whatever the parts and their order."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encore_recommender import BadBaskets, Baskets, CoPurchaseRecommender, Explanation
from encore_recommender.counting import HALF_LIFE_DAYS, HALF_LIVES_PER_ERA, count_pairs
from encore_recommender.ledger import Ledger
from encore_recommender.model import CoPurchaseModel

DAY = 86_400.0
ERA = HALF_LIFE_DAYS * HALF_LIVES_PER_ERA * DAY
MARCH = 1_772_323_200.0

Row = tuple[str, str, int, str | None, float | None, bool]


def counts(ledger: Ledger) -> dict[str, object]:
    """Everything counted, by SKU and not by number."""
    ledger = ledger.counted()
    skus, (pairs,) = ledger.orders.skus, ledger.layers
    bought = np.bincount(ledger.orders.items, minlength=len(skus)).tolist()
    return {
        "orders": ledger.orders.n_orders,
        "bought": {sku: count for sku, count in zip(skus, bought, strict=True) if count},
        "pairs": {
            frozenset((skus[pair >> 32], skus[pair & 0xFFFFFFFF])): told
            for pair, *told in zip(
                pairs.pairs.tolist(),
                pairs.together.tolist(),
                pairs.by_root.tolist(),
                pairs.by_size.tolist(),
                strict=True,
            )
        },
    }


def tables(model: CoPurchaseModel) -> list[list[object]]:
    tables = [
        [t.start.tolist(), t.items.tolist(), t.weights.tolist(), t.together.tolist()] for t in model.tables.values()
    ]
    return [list(model.skus), model.orders, model.orders_with.tolist(), *tables]


def shop(seed: int, *, timed: bool = True, orders: int = 120) -> list[list[Row]]:
    """Orders of 1 to 9 lines, some by offers, over four years."""
    draw = random.Random(seed)
    weights = [1 / rank for rank in range(1, 31)]
    return [
        [
            (f"{order}", f"p{line}", 1, f"c{order % 7}", MARCH + draw_day * DAY if timed else None, draw.random() < 0.1)
            for line in sorted(set(draw.choices(range(30), weights, k=draw.randint(1, 9))))
        ]
        for order in range(orders)
        for draw_day in [draw.uniform(0, 1_400)]
    ]


def baskets_of(orders: list[list[Row]]) -> Baskets:
    return Baskets.from_rows([line for order in orders for line in order])


@given(seed=st.integers(0, 1_000), timed=st.booleans(), parts=st.integers(2, 9))
@settings(max_examples=30, deadline=None)
def test_any_parts_in_any_order_count_what_one_fit_counts(seed: int, timed: bool, parts: int) -> None:
    orders = shop(seed, timed=timed)
    whole = CoPurchaseRecommender(max_lines=6).partial_fit(baskets_of(orders))
    shuffled = random.Random(seed).sample(orders, k=len(orders))
    first, *rest = [baskets_of(shuffled[part::parts]) for part in range(parts)]
    grown = CoPurchaseRecommender(tune=False, max_lines=6, dense_items=0).fit(first)
    for part in rest:
        grown.partial_fit(part)
    assert counts(grown.ledger_) == counts(whole.ledger_)
    assert grown.orders_left_out_ == whole.orders_left_out_ > 0


def test_the_model_made_of_parts_is_the_one_made_of_all() -> None:
    orders = shop(1)
    whole = CoPurchaseRecommender(tune=False, dense_items=0).fit(baskets_of(orders))
    grown = CoPurchaseRecommender(tune=False, dense_items=0).fit(baskets_of(orders[:60]))
    grown.partial_fit(baskets_of(orders[60:]))
    assert tables(grown.model_) == tables(whole.model_)


def test_without_a_fit_the_first_orders_are_a_fit_of_the_counts() -> None:
    orders = shop(2)
    whole = CoPurchaseRecommender(tune=False, dense_items=0).fit(baskets_of(orders))
    grown = CoPurchaseRecommender().partial_fit(baskets_of(orders[:7])).partial_fit(baskets_of(orders[7:]))
    assert tables(grown.model_) == tables(whole.model_)
    assert (grown.choice_, grown.items_beyond_dense_) == (whole.choice_, whole.n_features_in_)


def test_new_orders_show_in_counts_explanations_and_popularity(breakfast: Baskets) -> None:
    model = CoPurchaseRecommender(min_support=1).fit(breakfast)
    assert model.recommend(["bread"], k=1).explanations[0] == Explanation(
        kind="co_purchase", because_of="bread", support=3, of_orders=4, lift=1.5
    )
    model.partial_fit(Baskets.from_rows([(f"n{i}", sku) for i in range(4) for sku in ("bread", "honey")]))
    found = model.recommend(["bread"], k=1)
    assert found.ids == ("honey",)
    assert found.explanations[0] == Explanation(
        kind="co_purchase", because_of="bread", support=4, of_orders=8, lift=1.25
    )
    assert model.explain([], "honey") == Explanation(kind="popularity", support=4, of_orders=10)
    assert (model.n_orders_, model.n_lines_, model.n_features_in_) == (10, 21, 6)


def test_the_dense_scores_stay_those_of_the_last_fit() -> None:
    orders = shop(3)
    fitted = CoPurchaseRecommender(tune=False).fit(baskets_of(orders))
    before = tables(fitted.model_)
    single = baskets_of([[("new", "p3", 1, None, MARCH + 1_400 * DAY, False)]])
    assert fitted.partial_fit(single).items_beyond_dense_ == 0
    told = dict(fitted.recommend(["p0", "p1", "p2"], k=30).__dict__)
    assert told["ids"]
    assert tables(fitted.forget(["new"]).model_)[:3] == before[:3]
    for mine, theirs in zip(tables(fitted.model_)[3:], before[3:], strict=True):
        assert (mine[0], mine[1], mine[3]) == (theirs[0], theirs[1], theirs[3])
        assert mine[2] == pytest.approx(theirs[2], rel=1e-5)


def test_a_product_the_last_fit_did_not_know_is_spoken_for_by_the_cosine() -> None:
    model = CoPurchaseRecommender(tune=False).fit(baskets_of(shop(4)))
    rows = [(f"n{i}", sku, 1, None, MARCH + 1_400 * DAY, False) for i in range(9) for sku in ("new", "newer", "newest")]
    model.partial_fit(Baskets.from_rows(rows))
    assert set(model.recommend(["new", "newest"], k=1).ids) == {"newer"}
    assert model.items_beyond_dense_ == 3


def test_an_order_told_twice_counts_once() -> None:
    orders = shop(5)
    once = CoPurchaseRecommender(tune=False).fit(baskets_of(orders))
    again = CoPurchaseRecommender(tune=False).fit(baskets_of(orders[:80])).partial_fit(baskets_of(orders[70:]))
    again.partial_fit(baskets_of(orders))
    assert counts(again.ledger_) == counts(once.ledger_)
    filled = once.n_orders_
    assert again.orders_repeated_ == filled + sum(any(not line[5] for line in order) for order in orders[70:80])


def test_orders_of_a_matrix_have_no_references_and_all_count() -> None:
    matrix = np.array([[1, 1, 0], [0, 1, 1]])
    model = CoPurchaseRecommender(min_support=1).fit(matrix).partial_fit(matrix)
    assert (model.n_orders_, model.orders_repeated_) == (4, 0)
    assert model.recommend(["0"], k=1).explanations[0].support == 2


@given(seed=st.integers(0, 1_000), gone=st.sets(st.integers(0, 119), max_size=119))
@settings(max_examples=20, deadline=None)
def test_forgotten_orders_have_never_been(seed: int, gone: set[int]) -> None:
    orders = shop(seed)
    model = CoPurchaseRecommender(tune=False, dense_items=0).fit(baskets_of(orders))
    model.forget([f"{order}" for order in gone])
    left = [order for i, order in enumerate(orders) if i not in gone]
    assert counts(model.ledger_) == counts(CoPurchaseRecommender().partial_fit(baskets_of(left)).ledger_)


@given(seed=st.integers(0, 1_000))
@settings(max_examples=20, deadline=None)
def test_orders_may_come_and_go_and_come_again(seed: int) -> None:
    draw, orders = random.Random(seed), shop(seed, orders=40)
    ledger, left = Ledger.of(Baskets.from_rows([])).counted(), set[int]()
    for _ in range(12):
        chosen = draw.sample(range(40), k=draw.randint(1, 20))
        if draw.random() < 0.5:
            ledger, left = ledger.plus(baskets_of([orders[i] for i in chosen]).without_upsell()), left.union(chosen)
        else:
            ledger, left = ledger.minus([f"{i}" for i in chosen]), left.difference(chosen)
    fresh = Ledger.of(baskets_of([orders[i] for i in sorted(left)]).without_upsell())
    assert counts(ledger) == counts(fresh)


def test_forgetting_everything_leaves_nothing_and_learning_goes_on(breakfast: Baskets) -> None:
    model = CoPurchaseRecommender(min_support=1).fit(breakfast).forget(["o1", "o2", "o3", "o4", "o5", "o6", "o7"])
    assert (model.n_orders_, model.recommend(["bread"], k=3).ids) == (0, ())
    model.partial_fit(Baskets.from_rows([("o1", "bread", 1, None, MARCH), ("o1", "tea", 1, None, MARCH)]))
    assert (model.n_orders_, model.recommend(["bread"], k=3).ids) == (1, ("tea",))


def test_forgetting_unknown_orders_changes_nothing(breakfast: Baskets) -> None:
    model = CoPurchaseRecommender().fit(breakfast)
    served = model.model_
    assert model.forget(["o9", "o9"]).model_ is served


def test_the_first_order_of_a_new_era_weighs_everything_anew() -> None:
    last = [("old 1", sku, 1, None, 7 * ERA - DAY, False) for sku in "ab"]
    first = [("new 1", sku, 1, None, 7 * ERA + DAY, False) for sku in "bc"]
    whole = Ledger.of(Baskets.from_rows(last + first)).counted()
    grown = Ledger.of(Baskets.from_rows(last)).counted().plus(Baskets.from_rows(first))
    assert counts(grown) == counts(whole)
    # Half-lives of 180 days: one day before the era 2**(-1 / 180), one day after 2**(1 / 180), in units of 2**-20.
    assert counts(whole)["pairs"] == {
        frozenset("ab"): [1, 1_044_546, 1_044_546],
        frozenset("bc"): [1, 1_052_622, 1_052_622],
    }
    assert counts(grown.minus(["new 1"])) == counts(Ledger.of(Baskets.from_rows(last)))


def test_no_sum_of_a_hundred_million_orders_at_the_end_of_an_era_overflows() -> None:
    rows = [("1", sku, 1, None, 7 * ERA - 1.0, False) for sku in "ab"]
    (heaviest,) = count_pairs(Baskets.from_rows(rows)).by_root.tolist()
    assert heaviest * 100_000_000 < 2**63


@pytest.mark.parametrize(("fitted", "added"), [(True, False), (False, True)])
def test_orders_with_times_and_without_do_not_mix(fitted: bool, added: bool) -> None:
    model = CoPurchaseRecommender(tune=False).fit(baskets_of(shop(6, timed=fitted)))
    known, served = model.ledger_, model.model_
    more = [[(f"more {order[0][0]}", *line[1:]) for line in order] for order in shop(7, timed=added)]
    with pytest.raises(BadBaskets, match="fit again with one or the other"):
        model.partial_fit(baskets_of(more))
    assert (model.ledger_, model.model_) == (known, served)


def test_no_orders_teach_nothing_but_what_the_catalogue_says(breakfast: Baskets) -> None:
    model = CoPurchaseRecommender().fit(breakfast)
    model.partial_fit(Baskets.from_rows([], categories={"jam": "spread", "honey": "spread"}))
    assert model.n_orders_ == 6
    assert model.recommend(["honey"], k=1).ids == ("jam",)
    assert model.recommend(["honey"], k=1).explanations[0].kind == "category"


def test_a_parameter_out_of_range_is_refused_before_anything_is_learned(breakfast: Baskets) -> None:
    model = CoPurchaseRecommender(max_lines=1)
    with pytest.raises(ValueError, match="max_lines must be a whole number of at least 2"):
        model.partial_fit(breakfast)
    assert not hasattr(model, "model_")
