"""Counting pairs in memory: exact, whatever the blocks, the threads and the ties."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from encore_recommender import Baskets, counting
from encore_recommender.counting import top_pairs, weigh_orders

histories = st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=6), max_size=25)


def baskets_of(orders: list[set[str]]) -> Baskets:
    return Baskets.from_rows([(f"order {i}", sku) for i, lines in enumerate(orders) for sku in sorted(lines)])


def by_hand(baskets: Baskets, weights: list[int], k: int) -> list[list[tuple[int, int]]]:
    """Per product, neighbours and counts: highest count first, then lowest number."""
    counts: list[dict[int, int]] = [{} for _ in baskets.skus]
    for order, weight in enumerate(weights):
        lines = [baskets.skus.index(sku) for sku in baskets.skus_of(order)]
        for row, column in itertools.permutations(lines, 2):
            counts[row][column] = counts[row].get(column, 0) + weight
    return [sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:k] for found in counts]


def lists(found: counting.TopPairs) -> list[list[tuple[int, int]]]:
    return [
        list(zip(found.items[low:high].tolist(), found.counts[low:high].tolist(), strict=True))
        for low, high in itertools.pairwise(found.start.tolist())
    ]


def test_each_product_gets_what_is_most_often_bought_with_it(breakfast: Baskets) -> None:
    assert breakfast.skus == ("bread", "butter", "jam", "milk", "tea")
    assert lists(top_pairs(breakfast, k=2)) == [
        [(1, 3), (2, 2)],
        [(0, 3), (2, 1)],
        [(0, 2), (1, 1)],
        [(4, 2)],
        [(3, 2)],
    ]


@given(history=histories, k=st.integers(1, 9), weigh=st.booleans(), at_once=st.sampled_from([1, 7, 1_000_000]))
@settings(max_examples=60, deadline=None)
def test_top_pairs_are_those_counted_by_hand(history: list[set[str]], k: int, weigh: bool, at_once: int) -> None:
    baskets = baskets_of(history)
    weights = weigh_orders(baskets, basket_exponent=0.5, half_life_days=None) if weigh else None
    expected = by_hand(baskets, [1] * baskets.n_orders if weights is None else weights.tolist(), k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "PAIRS_SORTED_AT_ONCE", at_once)
        assert lists(top_pairs(baskets, k=k, order_weights=weights)) == expected


def test_two_threads_count_as_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    baskets = baskets_of([{f"p{i}" for i in rng.integers(0, 90, size=6)} for _ in range(500)])
    one = top_pairs(baskets, k=20)
    monkeypatch.setattr(counting, "PAIRS_SORTED_AT_ONCE", 500)
    assert lists(top_pairs(baskets, k=20, threads=2)) == lists(one)


def test_weights_too_large_to_pack_are_ranked_all_the_same(breakfast: Baskets) -> None:
    weights = np.array([1, 1, 1, 2**61, 5, 5])
    assert lists(top_pairs(breakfast, k=9, order_weights=weights))[0] == [(2, 2**61 + 1), (1, 3)]


def test_the_counts_are_those_of_sparse_dot_topn() -> None:
    topn = pytest.importorskip("sparse_dot_topn", reason="the [big] extra is not installed")
    rng = np.random.default_rng(7)
    baskets = baskets_of([{f"p{i:02d}" for i in rng.zipf(1.5, size=7) if i < 90} | {"p00"} for _ in range(800)])
    n = len(baskets.skus)
    matrix = sparse.csr_matrix((np.ones(baskets.n_lines, dtype=np.int64), baskets.items, baskets.start))
    # Theirs holds each product with itself too, and breaks ties as it likes; the counts are what can be compared.
    theirs = topn.sp_matmul_topn(matrix.T.tocsr(), matrix, top_n=11, sort=True)
    expected: list[list[int]] = []
    for row in range(n):
        span = slice(theirs.indptr[row], theirs.indptr[row + 1])
        expected.append(sorted(theirs.data[span][theirs.indices[span] != row].tolist(), reverse=True)[:10])
    assert [[count for _, count in row] for row in lists(top_pairs(baskets, k=10))] == expected


def test_arrays_are_counted_without_baskets() -> None:
    start, items = np.array([0, 2, 4, 5]), np.array([0, 2, 0, 2, 1], dtype=np.int32)
    assert lists(top_pairs((start, items, 4), k=5)) == [[(2, 2)], [], [(0, 2)], []]


def test_no_orders_have_no_pairs() -> None:
    found = top_pairs(Baskets.from_rows([]), k=5)
    assert (found.start.tolist(), found.items.tolist(), found.counts.tolist()) == ([0], [], [])


def test_counting_tells_how_far_it_is(breakfast: Baskets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "PAIRS_SORTED_AT_ONCE", 1)
    heard: list[float] = []
    top_pairs(breakfast, k=5, progress=heard.append)
    assert heard == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]


@pytest.mark.parametrize(
    ("orders", "options", "message"),
    [
        (([0, 1], [0], 1), {"k": 0}, "must be at least 1, not 0 and 1"),
        (([0, 1], [0], 1), {"k": 1, "threads": 0}, "must be at least 1, not 1 and 0"),
        (([0, 1], [1], 1), {"k": 1}, "product numbers must be between 0 and 0"),
        (([0, 1], [-1], 1), {"k": 1}, "product numbers must be between 0 and 0"),
        (([0, 2], [0], 1), {"k": 1}, "start must rise from 0 to the number of lines"),
        (([0, 1], [0], 1), {"k": 1, "order_weights": np.array([1, 1])}, "one whole number of at least 1 per order"),
        (([0, 1], [0], 1), {"k": 1, "order_weights": np.array([0])}, "one whole number of at least 1 per order"),
        (([0, 1], [0], 1), {"k": 1, "order_weights": np.array([0.5])}, "one whole number of at least 1 per order"),
    ],
)
def test_what_cannot_be_counted_is_refused(
    orders: tuple[list[int], list[int], int], options: dict[str, object], message: str
) -> None:
    start, items, n_items = orders
    with pytest.raises(ValueError, match=message):
        top_pairs((np.array(start), np.array(items, dtype=np.int32), n_items), **options)  # type: ignore[arg-type]
