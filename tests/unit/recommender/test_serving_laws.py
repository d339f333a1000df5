"""What must hold for any answer of a fitted model."""

from __future__ import annotations

import copy
import itertools
import os
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encore_recommender import Baskets, CoPurchaseModel, CoPurchaseRecommender, Provenance, load, save

DAY = 86_400.0

#: Thirty products, the first ones sold most; nobody ever bought "p30" to "p32".
PRODUCTS = [f"p{i:02d}" for i in range(33)]

Line = tuple[str, str, int, str, float]


def regulars(seed: int = 1, *, orders: int = 700) -> list[Line]:
    """Lines of a shop whose 60 customers have favourites, where p1 and p2, p3 and p4, ... go together."""
    draw = random.Random(seed)
    favourites = [draw.sample(PRODUCTS[:30], k=2) for _ in range(60)]
    lines: list[Line] = []
    for order in range(orders):
        customer = draw.randrange(60)
        chosen = {PRODUCTS[min(int(draw.expovariate(0.12)), 29)] for _ in range(draw.choice((1, 2, 3, 5, 9)))}
        chosen |= {sku for sku in favourites[customer] if draw.random() < 0.4}
        chosen |= {PRODUCTS[int(sku[1:]) ^ 1] for sku in sorted(chosen) if draw.random() < 0.3}
        lines += [(f"{order:04d}", sku, 1, f"c-{customer}", order * DAY / 5) for sku in sorted(chosen)]
    return lines


LINES = regulars()
CATEGORIES = {sku: f"aisle {int(sku[1:]) % 4}" for sku in PRODUCTS if int(sku[1:]) % 5}
MODEL = CoPurchaseRecommender().fit(Baskets.from_rows(LINES, categories=CATEGORIES)).model_
CONTENTS: dict[str, set[str]] = {}
for _order, _sku, *_ in LINES:
    CONTENTS.setdefault(_order, set()).add(_sku)

some_skus = st.sampled_from(PRODUCTS)
baskets = st.lists(some_skus, max_size=9)
unknown = st.lists(st.text(max_size=5).filter(lambda sku: sku not in PRODUCTS), min_size=1, max_size=5)
histories = st.none() | st.lists(some_skus, max_size=12)
law = settings(max_examples=30, deadline=None)


def answer(model: CoPurchaseModel, basket: Any, **question: Any) -> list[tuple[Any, ...]]:
    """Everything a recommendation says."""
    found = model.recommend(basket, **{"k": 40, **question})
    return list(zip(found.ids, found.scores, found.probabilities, found.explanations, strict=True))


def test_the_model_of_these_laws_knows_history_calibration_and_categories() -> None:
    assert any(any(memory) for memory in MODEL.memories.values())
    assert all(map(any, MODEL.calibrations.values()))
    kinds = {why.kind for basket in PRODUCTS for why in MODEL.recommend([basket], k=40).explanations}
    assert kinds == {"co_purchase", "category", "popularity"}


@given(basket=baskets, unheard=unknown, history=histories, seed=st.integers())
@law
def test_an_unknown_product_in_the_basket_changes_nothing_at_all(
    basket: list[str], unheard: list[str], history: list[str] | None, seed: int
) -> None:
    mixed = random.Random(seed).sample([*basket, *unheard], k=len(basket) + len(unheard))
    assert answer(MODEL, mixed, history=history) == answer(MODEL, basket, history=history)


@given(basket=baskets, history=st.lists(some_skus, max_size=12), unheard=unknown)
@law
def test_unknown_products_in_the_history_change_nothing(
    basket: list[str], history: list[str], unheard: list[str]
) -> None:
    assert answer(MODEL, basket, history=[*unheard, *history]) == answer(MODEL, basket, history=history)
    assert answer(MODEL, basket, history=unheard) == answer(MODEL, basket, history=[])
    assert answer(MODEL, basket, history=None) == answer(MODEL, basket, history=[])


@given(basket=baskets, history=histories, seed=st.integers())
@law
def test_the_order_and_the_repetition_of_lines_change_nothing(
    basket: list[str], history: list[str] | None, seed: int
) -> None:
    shuffled = random.Random(seed).sample(basket * 2, k=2 * len(basket))
    past = history and random.Random(seed).sample(history, k=len(history))
    assert answer(MODEL, shuffled, history=past) == answer(MODEL, basket, history=history)


@given(basket=baskets, history=histories, k=st.integers(0, 40), more=st.integers(0, 40))
@law
def test_a_shorter_list_is_the_beginning_of_a_longer_one(
    basket: list[str], history: list[str] | None, k: int, more: int
) -> None:
    assert answer(MODEL, basket, history=history, k=k) == answer(MODEL, basket, history=history, k=k + more)[:k]


@given(basket=baskets, history=histories, chosen=st.sets(some_skus), k=st.integers(0, 40))
@law
def test_excluding_and_allowing_are_filters_on_the_longer_list(
    basket: list[str], history: list[str] | None, chosen: set[str], k: int
) -> None:
    everything = MODEL.recommend(basket, k=40, history=history).ids
    without = MODEL.recommend(basket, k=k, history=history, exclude=chosen)
    assert without.ids == tuple(sku for sku in everything if sku not in chosen)[:k]
    only = MODEL.recommend(basket, k=k, history=history, allowed=chosen)
    assert only.ids == tuple(sku for sku in everything if sku in chosen)[:k]


@given(basket=baskets, history=histories, exclude=st.sets(some_skus))
@law
def test_probabilities_are_within_0_and_1_and_never_rise_and_nor_do_scores(
    basket: list[str], history: list[str] | None, exclude: set[str]
) -> None:
    found = MODEL.recommend(basket, k=40, history=history, exclude=exclude)
    assert all(0.0 <= chance <= 1.0 for chance in found.probabilities)
    assert list(found.probabilities) == sorted(found.probabilities, reverse=True)
    assert list(found.scores) == sorted(found.scores, reverse=True)
    assert set(found.ids) <= set(PRODUCTS[:30]) - set(basket) - exclude


@given(basket=baskets, sku=some_skus)
@law
def test_every_explanation_counts_what_a_loop_over_all_orders_counts(basket: list[str], sku: str) -> None:
    def orders_with(*skus: str) -> int:
        return sum(lines.issuperset(skus) for lines in CONTENTS.values())

    explained = list(zip(*(lambda found: (found.ids, found.explanations))(MODEL.recommend(basket, k=9)), strict=True))
    why_sku = MODEL.explain(basket, sku)
    assert (why_sku is None) == (orders_with(sku) == 0)
    for product, why in [*explained, *([(sku, why_sku)] if why_sku else [])]:
        if why.kind == "co_purchase":
            assert why.because_of is not None and why.because_of in basket
            both, one = orders_with(product, why.because_of), orders_with(why.because_of)
            assert (why.support, why.of_orders) == (both, one)
            assert why.lift == pytest.approx(both / one / (orders_with(product) / len(CONTENTS)))
        else:
            assert (why.support, why.of_orders, why.lift) == (orders_with(product), len(CONTENTS), None)
        if why.kind == "category":
            assert why.because_of in basket and CATEGORIES[product] == CATEGORIES[str(why.because_of)]


@given(sold=st.lists(st.tuples(st.sampled_from(sorted(CONTENTS)[:50]), some_skus, st.floats(0, 1e6)), max_size=20))
@settings(max_examples=6, deadline=None)
def test_what_offers_sold_changes_nothing(sold: list[tuple[str, str, float]]) -> None:
    # An offer is shown after the order is paid, so its line is never the earliest of an order.
    ordinary = [(*line, False) for line in LINES[:400]]
    paid_at = {line[0]: line[4] for line in LINES}
    offered = [(order, sku, 1, f"c of {order}", paid_at[order] + wait, True) for order, sku, wait in sold]
    alone = [("an order of its own", sku, 1, "c-1", 1e9 + wait, True) for _, sku, wait in sold]
    offered = [line for line in offered if line[1] not in CONTENTS[line[0]]]
    before, after = (
        CoPurchaseRecommender().fit(Baskets.from_rows(rows)) for rows in (ordinary, [*ordinary, *offered, *alone])
    )
    assert before.choice_ == after.choice_
    for sku in PRODUCTS:
        assert answer(after.model_, [sku]) == answer(before.model_, [sku])


def test_shuffling_the_rows_of_orders_with_times_changes_nothing() -> None:
    shuffled = random.Random(2).sample(LINES, k=len(LINES))
    other = CoPurchaseRecommender().fit(Baskets.from_rows(shuffled, categories=CATEGORIES)).model_
    for basket in itertools.combinations(PRODUCTS[:12], 2):
        assert answer(other, basket, history=basket) == answer(MODEL, basket, history=basket)


def test_a_saved_a_copied_and_a_pickled_model_say_the_same(tmp_path: Path) -> None:
    save(MODEL, tmp_path, about=Provenance(created_at=datetime(2026, 3, 2, tzinfo=UTC)))
    for twin in (load(tmp_path), copy.deepcopy(MODEL), pickle.loads(pickle.dumps(MODEL))):
        for basket in [[], *map(list, itertools.combinations(PRODUCTS[::3], 2)), PRODUCTS[:20]]:
            assert answer(twin, basket, history=basket) == answer(MODEL, basket, history=basket)


def test_eight_threads_read_what_one_reads() -> None:
    asked = [list(basket) for basket in itertools.combinations(PRODUCTS[:14], 2)]
    expected = [answer(MODEL, basket) for basket in asked]
    cold = copy.deepcopy(MODEL)  # nothing looked up yet, so that the threads meet while looking up
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda start: [answer(cold, basket) for basket in asked[start:]], range(8)))
    finally:
        sys.setswitchinterval(interval)
    assert found == [expected[start:] for start in range(8)]


def test_another_process_with_other_hashes_learns_the_same_to_the_last_bit() -> None:
    code = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent)]!r}\n"
        "from test_serving_laws import MODEL, PRODUCTS, answer\n"
        "print([answer(MODEL, [sku], history=PRODUCTS[:5]) for sku in PRODUCTS])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)}
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert printed.stdout == f"{[answer(MODEL, [sku], history=PRODUCTS[:5]) for sku in PRODUCTS]}\n"


def test_another_seed_chooses_other_questions_and_the_same_seed_the_same() -> None:
    taught = Baskets.from_rows(LINES, categories=CATEGORIES)
    again, other = (CoPurchaseRecommender(random_state=seed).fit(taught).model_ for seed in (0, 1))
    assert again.calibrations == MODEL.calibrations != other.calibrations
    assert np.array_equal(again.orders_with, other.orders_with)
