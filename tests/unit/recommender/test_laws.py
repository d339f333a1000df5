"""What must hold for any order history."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encore_recommender import Baskets, CoPurchaseRecommender
from encore_recommender.blending import Blend
from encore_recommender.counting import WEIGHT_UNIT, count_pairs, pair_blocks
from encore_recommender.model import CoPurchaseModel
from encore_recommender.neighbours import SIZES
from encore_recommender.tuning import Choice

Row = tuple[str, str]

histories = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "d", "é", "f g", "0", "-1"]), min_size=1, max_size=6),
    min_size=1,
    max_size=25,
).map(lambda orders: [(f"order {i}", sku) for i, order in enumerate(orders) for sku in order])


def shop(seed: int, *, orders: int = 600, products: int = 40) -> list[Row]:
    draw = random.Random(seed)
    weights = [1 / rank for rank in range(1, products + 1)]
    return [
        (f"{order}", f"p{line}")
        for order in range(orders)
        for line in sorted(set(draw.choices(range(products), weights, k=draw.randint(1, 6))))
    ]


def tables(model: CoPurchaseModel) -> list[list[object]]:
    tables = [
        [t.start.tolist(), t.items.tolist(), t.weights.tolist(), t.together.tolist()] for t in model.tables.values()
    ]
    return [list(model.skus), model.orders_with.tolist(), *tables]


@given(history=histories)
@settings(max_examples=40, deadline=None)
def test_pairs_are_counted_as_by_hand(history: list[Row]) -> None:
    baskets = Baskets.from_rows(history)
    n = len(baskets.skus)
    blocks = pair_blocks(count_pairs(baskets), np.arange(n), n, unit=WEIGHT_UNIT, pairs_at_once=5)
    found = {
        (int(row), int(column)): (int(together), float(weighted))
        for _, _, _, block in blocks
        for row, column, together, weighted in zip(
            block.rows, block.columns, block.together, block.weighted, strict=True
        )
    }
    expected: dict[tuple[int, int], tuple[int, float]] = {}
    for order in range(baskets.n_orders):
        lines = [baskets.skus.index(sku) for sku in baskets.skus_of(order)]
        for pair in itertools.permutations(lines, 2):
            together, weighted = expected.get(pair, (0, 0.0))
            expected[pair] = (together + 1, weighted + round(WEIGHT_UNIT / (len(lines) - 1)) / WEIGHT_UNIT)
    assert found == expected


@given(history=histories, seed=st.integers(0, 1_000))
@settings(max_examples=40, deadline=None)
def test_an_answer_never_repeats_the_basket_or_itself_and_counts_hold_up(history: list[Row], seed: int) -> None:
    model = CoPurchaseRecommender(min_support=1).fit(Baskets.from_rows(history)).model_
    contents: dict[str, set[str]] = {}
    for order, sku in history:
        contents.setdefault(order, set()).add(sku)
    draw = random.Random(seed)
    basket = draw.sample([*model.skus, "unheard of"], k=min(3, len(model.skus)))
    found = model.recommend(basket, k=20)
    assert not set(found.ids) & set(basket)
    assert len(set(found.ids)) == len(found.ids) == len(model.skus) - len(set(basket) & set(model.skus))
    for sku, why in zip(found.ids, found.explanations, strict=True):
        if why.kind == "co_purchase":
            both = sum({sku, why.because_of} <= lines for lines in contents.values())
            assert (why.support, why.of_orders) == (both, sum(why.because_of in lines for lines in contents.values()))


def test_fitting_again_is_a_fresh_fit() -> None:
    first, second = Baskets.from_rows(shop(1)), Baskets.from_rows(shop(2))
    refitted = CoPurchaseRecommender().fit(first).fit(second)
    assert tables(refitted.model_) == tables(CoPurchaseRecommender().fit(second).model_)


def test_shuffling_orders_without_times_changes_nothing() -> None:
    rows = shop(3)
    shuffled = random.Random(4).sample(rows, k=len(rows))
    one, other = (
        CoPurchaseRecommender().fit(Baskets.from_rows(rows)),
        CoPurchaseRecommender().fit(Baskets.from_rows(shuffled)),
    )
    assert one.choice_ == other.choice_
    assert tables(one.model_) == tables(other.model_)


def test_the_names_of_orders_change_nothing() -> None:
    rows = shop(3)
    renamed = [(f"no. {order}", sku) for order, sku in rows]
    assert tables(CoPurchaseRecommender().fit(Baskets.from_rows(rows)).model_) == tables(
        CoPurchaseRecommender().fit(Baskets.from_rows(renamed)).model_
    )


def test_a_duplicated_history_keeps_the_ranking_of_bought_together_products() -> None:
    rows = shop(5)
    twice = rows + [(f"again {order}", sku) for order, sku in rows]
    # Shrinkage is meant to trust doubled evidence more, so the law is about the score without a prior.
    cosine = Choice(blends={size: Blend(cosine=1.0) for size in SIZES})
    once_model = CoPurchaseRecommender(choice=cosine, min_support=1).fit(Baskets.from_rows(rows)).model_
    twice_model = CoPurchaseRecommender(choice=cosine, min_support=2).fit(Baskets.from_rows(twice)).model_
    for basket in itertools.combinations(once_model.skus[:12], 2):
        assert once_model.recommend(basket, k=10).ids == twice_model.recommend(basket, k=10).ids


def test_more_orders_with_a_pair_never_lower_it() -> None:
    rows = shop(6)
    more = rows + [(f"more {i}", sku) for i in range(100) for sku in ("p1", "p30")]
    before = CoPurchaseRecommender(tune=False).fit(Baskets.from_rows(rows)).recommend(["p1"], k=39).ids.index("p30")
    after = CoPurchaseRecommender(tune=False).fit(Baskets.from_rows(more)).recommend(["p1"], k=39).ids.index("p30")
    assert (before > 5, after) == (True, 0)


@pytest.mark.parametrize("lines", [2, 3, 4, 5, 6, 20])
def test_short_and_long_baskets_add_up_the_same_way(lines: int) -> None:
    table = CoPurchaseRecommender(tune=False).fit(Baskets.from_rows(shop(7))).model_.tables["many"]
    items = list(range(lines))
    by_hand: dict[int, float] = {}
    for item in items:
        for neighbour, weight in table.row(item).items():
            by_hand[neighbour] = by_hand.get(neighbour, 0.0) + weight
    expected = [entry for entry in by_hand.items() if entry[1] > 0]
    expected.sort(key=lambda entry: (-entry[1], entry[0]))
    for first in (1, 10, 1_000):
        assert list(table.add_up(items, first=first)) == expected


def test_a_long_list_is_in_order_beyond_the_part_sorted_first() -> None:
    rows = [(str(order), f"p{line:03d}") for order in range(4) for line in range(order, 200)]
    table = CoPurchaseRecommender(tune=False, top_k=200).fit(Baskets.from_rows(rows)).model_.tables["many"]
    ranked = list(table.add_up(list(range(10)), first=16))
    assert len(ranked) == 199
    assert ranked == sorted(ranked, key=lambda entry: (-entry[1], entry[0]))


def test_counting_in_small_blocks_gives_the_same_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    baskets = Baskets.from_rows(shop(8))
    whole = CoPurchaseRecommender(tune=False).fit(baskets).model_
    monkeypatch.setattr(pair_blocks, "__kwdefaults__", {"pairs_at_once": 50})
    assert tables(CoPurchaseRecommender(tune=False).fit(baskets).model_) == tables(whole)
