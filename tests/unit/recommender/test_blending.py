"""How scores of pairs become lists: what is kept, what is quieter, and what a blend is chosen by."""

import numpy as np
import pytest

from encore_recommender import Baskets, CoPurchaseRecommender
from encore_recommender.blending import DENSE, SCORES, Blend, Evidence, Pairs
from encore_recommender.counting import Counts, PairBlock
from encore_recommender.neighbours import SIZES
from encore_recommender.scorers import conditional, grams
from encore_recommender.tuning import Choice


def pairs(*rows: dict[int, float], rarity: tuple[float, ...] | None = None) -> Pairs:
    """Pairs whose cosine is given per row as {column: score}, all bought together once; other scores are 0."""
    flat = [score for row in rows for score in row.values()]
    none = np.zeros(len(flat), dtype=np.float32)
    return Pairs(
        start=np.cumsum([0, *map(len, rows)]),
        columns=np.array([column for row in rows for column in row]),
        together=np.ones(len(flat), dtype=np.int64),
        scores={name: np.array(flat, dtype=np.float32) if name == "cosine" else none for name in SCORES},
        trend=np.zeros(len(rows)),
        rarity=np.array(rarity or [0.0] * len(rows)),
    )


def lists(found: Pairs, blend: Blend, *, top_k: int, besides: int = 0) -> list[list[int]]:
    table = found.neighbours(blend, top_k=top_k, against=True, besides=besides)
    return [table.items[low:high].tolist() for low, high in zip(table.start, table.start[1:], strict=False)]


def test_a_rare_product_is_louder_by_the_power_asked_for() -> None:
    # Product 0 sells e times the mean, product 2 a mean over e.
    found = pairs({1: 1.0, 2: 1.0}, {}, {}, rarity=(-1.0, 0.0, 1.0))
    assert found.blended(Blend(cosine=2.0, rarity=0.5)).tolist() == pytest.approx([2.0, 2.0 * np.exp(0.5)])
    assert found.blended(Blend(cosine=2.0)).tolist() == [2.0, 2.0]


def test_the_strongest_pairs_of_the_table_are_kept_besides_each_rows_own() -> None:
    found = pairs({1: 4.0, 2: 3.0, 3: 2.0}, {0: 1.0, 2: 0.5}, {}, {})
    assert lists(found, Blend(cosine=1.0), top_k=1) == [[1], [0], [], []]
    assert lists(found, Blend(cosine=1.0), top_k=1, besides=3) == [[1, 2, 3], [0], [], []]
    assert lists(found, Blend(cosine=1.0), top_k=1, besides=100) == [[1, 2, 3], [0, 2], [], []]


def test_long_lists_are_spent_on_products_often_asked_about() -> None:
    # Row 1 is bought sixteen times as often as row 0, so its pairs count four times as much.
    found = pairs({1: 4.0, 2: 3.0}, {0: 2.0, 2: 1.0}, {}, rarity=(float(np.log(16.0)), 0.0, 0.0))
    assert lists(found, Blend(cosine=1.0), top_k=1, besides=3) == [[1], [0, 2], []]


def test_what_speaks_against_a_product_is_kept_for_its_strength() -> None:
    found = pairs({1: 1.0, 2: -3.0, 3: 0.5}, {}, {}, {})
    assert lists(found, Blend(cosine=1.0), top_k=1, besides=2) == [[1, 2], [], [], []]


def test_the_plain_score_counts_every_order_alike() -> None:
    baskets = Baskets.from_rows([("small", sku) for sku in "ab"] + [("large", sku) for sku in "abcd"])
    evidence = Evidence.of(baskets, np.arange(4), 4)
    weighted, plain = grams(evidence.blocks(), evidence.root, 4)
    assert plain.tolist() == [[2, 2, 1, 1], [2, 2, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    # The large order counts 1 / sqrt(3); lines count 1 on average again: 6 lines, 2 + 4 / sqrt(3) by weight.
    line = 6.0 / (2.0 + 4.0 / 3.0**0.5)
    assert weighted[0].tolist() == pytest.approx([(1 + 3**-0.5) * line] * 2 + [3**-0.5 * line] * 2, rel=1e-5)


@pytest.mark.parametrize(("orders", "left"), [(1, 0.0), (4, 0.0), (16, 8.0), (100, 80.0)])
def test_two_standard_errors_leave_of_a_count_what_is_sure(orders: int, left: float) -> None:
    block = PairBlock(
        rows=np.array([0]), columns=np.array([1]), together=np.array([orders]), weighted=np.array([float(orders)])
    )
    counts = Counts(orders_with=np.array([200, 200]), unit=1, weighted_orders_with=np.array([200.0, 200.0]))
    expected = (left + 60.0 * 0.5) / (200.0 + 60.0)
    assert conditional(block, counts, prior=60.0, standard_errors=2.0).tolist() == pytest.approx([expected])


def test_more_orders_with_a_pair_are_never_less_sure() -> None:
    n = np.arange(1, 200)
    block = PairBlock(rows=np.zeros_like(n), columns=np.ones_like(n), together=n, weighted=n.astype(np.float64))
    counts = Counts(orders_with=np.array([200, 200]), unit=1, weighted_orders_with=np.array([200.0, 200.0]))
    assert (np.diff(conditional(block, counts, prior=60.0, standard_errors=2.0)) >= 0.0).all()


def test_every_dense_score_can_be_chosen_alone_and_finds_what_is_bought_together() -> None:
    rows = [(f"{pair}-{i}", f"{sku}{pair}") for pair in range(5) for i in range(4) for sku in "ab"]
    for name in DENSE:
        choice = Choice(blends={size: Blend(**{name: 1.0}) for size in SIZES})
        model = CoPurchaseRecommender(choice=choice).fit(Baskets.from_rows(rows))
        assert [model.recommend([f"a{pair}"], k=1).ids for pair in range(5)] == [(f"b{pair}",) for pair in range(5)]
