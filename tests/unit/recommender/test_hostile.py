"""What a tired merchant, a broken client or an attacker sends: a clear refusal or a sane answer, nothing in between."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encore_recommender import BadBaskets, Baskets, CoPurchaseModel, CoPurchaseRecommender, Provenance, load, save
from encore_recommender.blending import Blend
from encore_recommender.copurchase import parameters
from encore_recommender.dial import by_expected_profit
from encore_recommender.exploration import greedily, thompson
from encore_recommender.model import Calibration, Memory
from encore_recommender.neighbours import SIZES
from encore_recommender.tuning import Choice

#: Every kind of text a shop's export has been seen to hold, and some it should not.
STRANGE_NAMES = [
    "é",
    "é".encode().decode("latin-1"),  # decoded wrongly, and still a name
    "חולצה כחולה",
    "قميص ١٢",
    "👩‍👩‍👧‍👦",
    "a\u202egnp.exe",  # turns the reading direction
    "\0",
    "a\0b",
    "a\nb\tc",
    " ",
    "' OR 1=1 --",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "=cmd|'/c calc'!A1",
    "x" * 1_000_000,
    "\ufeffx",
    "ß",
    "SS",
    "-1",
    "NaN",
    "None",
]

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

LINES: dict[str, Any] = {"order_refs": ["a", "a", "b"], "skus": ["x", "y", "x"]}


# Order lines


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"skus": ["x", b"y", "z"]}, "row 1: sku must be a text that is not empty, not b'y'"),
        ({"skus": [1, 2, 3]}, "row 0: sku must be a text that is not empty, not 1"),
        ({"skus": ["x", "y", float("nan")]}, "row 2: sku must be a text that is not empty, not nan"),
        ({"skus": ["x", "\ud800", "z"]}, r"row 1: sku must be valid Unicode, not '\ud800'"),
        ({"order_refs": ["a", "a", "\udfff"]}, r"row 2: order_ref must be valid Unicode, not '\udfff'"),
        ({"skus": "xyz"}, "the sku column has one entry per order line; 'xyz' is no such column"),
        ({"skus": {"x", "y", "z"} & {"x"}}, "the sku column has one entry per order line; {'x'} is no such column"),
        ({"skus": None}, "the sku column has one entry per order line; None is no such column"),
        ({"skus": np.array([["x"], ["y"], ["z"]])}, "row 0: sku must be a text that is not empty, not ['x']"),
        ({"skus": pd.Series(["x", "", "z"], index=[7, 8, 9])}, "row 1: sku must be a text that is not empty, not ''"),
        ({"quantities": [1, -(2**40), 1]}, "row 1: quantity must be at least 1, not -1099511627776; leave returns out"),
        ({"quantities": [1, 1, 10**9 + 1]}, "row 2: quantity must be at most 1,000,000,000, not 1000000001"),
        (
            {"quantities": np.array([2**64 - 1, 1, 1], dtype=np.uint64)},
            "row 0: quantity must be at most 1,000,000,000, not 18446744073709551615",
        ),
        ({"quantities": [2**70, 1, 1]}, "quantities must be whole numbers, not object"),
        ({"quantities": [1, float("nan"), 1]}, "quantities must be whole numbers, not float64"),
        ({"quantities": [True, True, True]}, "quantities must be whole numbers, not bool"),
        ({"quantities": ["1", "2", "3"]}, "quantities must be whole numbers, not <U1"),
        ({"quantities": [1, [2], 3]}, "the quantity column has one entry per order line, not several"),
        ({"quantities": np.ones((3, 2), int)}, "the quantity column has one entry per order line, not 2 dimensions"),
        ({"quantities": [1, 2]}, "the quantity column has 2 entries, order_ref has 3"),
        ({"times": [1.0, float("-inf"), 2.0]}, "row 1: time must be finite"),
        (
            {"times": [1.7e9, 1.7e12, 1.7e9]},
            "row 1: time 1.7e+12 is not within the years 1 to 9999; Unix time is in seconds",
        ),
        (
            {"times": [-1e300, 0.0, 0.0]},
            "row 0: time -1e+300 is not within the years 1 to 9999; Unix time is in seconds",
        ),
        ({"times": np.array([1j, 2, 3])}, "times must be Unix seconds, or None where unknown"),
        ({"times": [[1.0], [2.0], [3.0]]}, "the time column has one entry per order line, not 2 dimensions"),
        ({"times": 1.0}, "the time column has one entry per order line; 1.0 is no such column"),
        ({"upsell": ["no", "no", "no"]}, "row 0: upsell must be True, False or None, not 'no'"),
        ({"upsell": [False, float("nan"), True]}, "row 1: upsell must be True, False or None, not nan"),
        ({"upsell": [0, 1, 2]}, "row 2: upsell must be True, False or None, not 2"),
        ({"upsell": [False]}, "the upsell column has 1 entries, order_ref has 3"),
        ({"customers": [None, 7, None]}, "row 1: customer must be a text, or None where unknown, not 7"),
        ({"customers": ["c", b"c", None]}, "row 1: customer must be a text, or None where unknown, not b'c'"),
        ({"customers": ["\ud800", "c", "c"]}, r"row 0: customer must be a text, or None where unknown, not '\ud800'"),
        ({"categories": {"x": None}}, "the category of 'x' must be a text that is not empty, not None"),
        ({"categories": {7: "c"}}, "the category of 7 must be a text that is not empty, not 'c'"),
        ({"titles": {"x": "\ud800"}}, r"the title of 'x' must be a text that is not empty, not '\ud800'"),
        ({"parents": ["x"]}, "a parent is looked up by SKU; ['x'] is no mapping"),
    ],
)
def test_a_bad_column_is_refused_with_the_row_and_the_value(column: dict[str, Any], message: str) -> None:
    with pytest.raises(BadBaskets) as refusal:
        Baskets.from_columns(**{**LINES, **column})
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["ab", "cd"], "row 0: a row is a tuple (order_ref, sku, ...), not 'ab'"),
        ([("a", "x"), {"order": "a"}], "row 1: a row is a tuple (order_ref, sku, ...), not {'order': 'a'}"),
        ([("a", "x"), 7], "row 1: a row is a tuple (order_ref, sku, ...), not 7"),
        ([("a", "x"), None], "row 1: a row is a tuple (order_ref, sku, ...), not None"),
    ],
)
def test_a_row_that_is_no_row_is_refused(rows: list[Any], message: str) -> None:
    with pytest.raises(BadBaskets) as refusal:
        Baskets.from_rows(rows)
    assert str(refusal.value) == message


def test_a_refusal_shows_the_beginning_of_a_very_long_value() -> None:
    with pytest.raises(BadBaskets) as refusal:
        Baskets.from_columns(["a"], [b"x" * 10_000_000])
    assert len(str(refusal.value)) < 120


def test_quantities_at_the_limit_add_up_without_overflow() -> None:
    baskets = Baskets.from_columns(["a"] * 5, ["x"] * 5, quantities=[10**9] * 5)
    assert baskets.quantities.tolist() == [5_000_000_000]


def test_columns_of_pandas_are_taken_by_position_and_with_their_gaps() -> None:
    frame = pd.DataFrame(
        {
            "order": ["a", "a", "b"],
            "sku": ["x", "y", "x"],
            "customer": ["c-17", None, float("nan")],
            "time": pd.to_datetime(["2026-03-02 00:00:00", "2026-03-02 00:00:00", None]),
        },
        index=[2, 1, 0],
    )
    baskets = Baskets.from_columns(frame["order"], frame["sku"], customers=frame["customer"], times=frame["time"])
    assert baskets.customer_refs == ("c-17",)
    assert baskets.times is not None and baskets.times.tolist() == [1_772_409_600.0, 1_772_409_600.0]
    assert baskets.customers is not None and baskets.customers.tolist() == [0, -1]


def test_texts_of_numpy_and_generators_are_fine() -> None:
    baskets = Baskets.from_columns(iter([np.str_("a"), np.str_("a")]), [np.str_("x"), np.str_("y")])
    assert [type(sku) for sku in baskets.skus] == [str, str]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_dates_of_numpy_mean_the_same_second_in_every_unit(unit: str) -> None:
    times = np.array(["2026-03-02T14:03:00", "NaT"], dtype=f"datetime64[{unit}]")
    baskets = Baskets.from_columns(["a", "b"], ["x", "y"], times=times)
    assert baskets.times is not None and baskets.times.tolist() == [1_772_460_180.0, 1_772_460_180.0]


# Order histories


def histories() -> dict[str, list[tuple[str, str]]]:
    together = ("tea", "milk", "honey")
    return {
        "no order": [],
        "one order of one line": [("1", "tea")],
        "one order of three lines": [("1", sku) for sku in together],
        "two orders of one line": [("1", "tea"), ("2", "milk")],
        "every order a single line": [(str(i), f"sku {i % 7}") for i in range(200)],
        "all orders identical": [(str(i), sku) for i in range(200) for sku in together],
        "one product only": [(str(i), "tea") for i in range(200)],
        "one giant order": [("1", f"sku {i}") for i in range(10_000)],
        "a giant order among small ones": [("0", f"sku {i}") for i in range(600)]
        + [(str(i), sku) for i in range(1, 200) for sku in together],
        "every order other products": [(str(i), f"sku {i}-{line}") for i in range(200) for line in range(3)],
        "the same line a thousand times": [("1", "tea")] * 1_000 + [("1", "milk")] * 1_000,
        "strange names": [(f"order {i}", sku) for i in range(3) for sku in STRANGE_NAMES],
    }


@pytest.mark.parametrize("name", histories())
def test_any_history_gives_a_model_that_answers_every_basket(name: str) -> None:
    baskets = Baskets.from_rows(histories()[name])
    model = CoPurchaseRecommender().fit(baskets).model_
    for basket in ([], ["unheard of"], list(baskets.skus[:1]), list(baskets.skus[:7]), list(baskets.skus)):
        found = model.recommend(basket, k=50, history=basket)
        assert not set(found.ids) & set(basket)
        assert len(found) == min(50, int(np.count_nonzero(model.orders_with)) - len(set(basket) & set(model.skus)))
        assert len(found.explanations) == len(found.probabilities) == len(found)
        assert all(0.0 <= chance <= 1.0 for chance in found.probabilities)
        assert np.isfinite(found.scores).all() and list(found.scores) == sorted(found.scores, reverse=True)


def test_an_order_beyond_the_limit_of_lines_is_counted_and_teaches_nothing() -> None:
    fitted = CoPurchaseRecommender().fit(Baskets.from_rows(histories()["one giant order"]))
    assert (fitted.orders_left_out_, fitted.n_orders_, fitted.recommend(["sku 1"], k=9).ids) == (1, 0, ())


def test_strange_names_are_told_apart_and_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    model = CoPurchaseRecommender().fit(Baskets.from_rows(histories()["strange names"])).model_
    save(model, tmp_path, about=Provenance(created_at=NOON))
    reloaded = load(tmp_path)
    assert sorted(reloaded.skus) == sorted(STRANGE_NAMES)
    for sku in STRANGE_NAMES:
        assert reloaded.recommend([sku], k=50) == model.recommend([sku], k=50)
        assert set(reloaded.recommend([sku], k=50).ids) == {*STRANGE_NAMES} - {sku}


texts = st.text(alphabet=st.characters(), min_size=0, max_size=4)  # lone surrogates, NUL and all
wild_rows = st.lists(
    st.tuples(
        texts,
        texts | st.none() | st.integers() | st.binary(max_size=2),
        st.integers() | st.floats() | st.none(),
        texts | st.none() | st.floats(),
        st.floats() | st.none() | st.integers(),
        st.booleans() | st.none(),
    ),
    max_size=6,
)
tame_rows = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["tea", "milk", "é", "\0", "קפה"]),
        st.integers(1, 10**9),
        st.none() | st.just("c-17"),
        st.none() | st.floats(-1e10, 1e11),
        st.booleans() | st.none(),
    ),
    max_size=30,
)


@given(rows=wild_rows | tame_rows)
@settings(max_examples=80, deadline=None)
def test_rows_are_either_refused_or_learned_from_without_losing_a_line(rows: list[Any]) -> None:
    try:
        baskets = Baskets.from_rows(rows)
    except BadBaskets:
        return
    assert set(baskets.skus) == {row[1] for row in rows}
    assert baskets.n_orders == len({row[0] for row in rows})
    assert baskets.n_lines == len({row[:2] for row in rows})
    assert int(baskets.quantities.sum()) == sum(row[2] for row in rows)
    fitted = CoPurchaseRecommender(min_support=1).fit(baskets)
    assert fitted.n_lines_ == len({row[:2] for row in rows if not row[5]})
    assert set(fitted.recommend([], k=99).ids) == {row[1] for row in rows if not row[5]}


# Questions


@pytest.fixture
def model(breakfast: Baskets) -> CoPurchaseModel:
    return CoPurchaseRecommender().fit(breakfast).model_


def test_a_basket_of_ten_thousand_lines_is_answered_like_its_known_lines(model: CoPurchaseModel) -> None:
    unknown = [f"part {i}" for i in range(10_000)]
    assert model.recommend([*unknown, "bread"], k=9) == model.recommend(["bread"], k=9)
    assert model.recommend(["bread"] * 10_000, k=9) == model.recommend(["bread"], k=9)


@pytest.mark.parametrize(
    "basket", [[None], [7], [b"bread"], [float("nan")], ["\ud800"], [("bread",)], np.array([1, 2]), ["Bread", " bread"]]
)
def test_what_is_no_product_of_the_shop_says_nothing(model: CoPurchaseModel, basket: Any) -> None:
    assert model.recommend(basket, k=9) == model.recommend([], k=9)
    assert model.recommend(["bread", *basket], k=9, exclude=basket, history=basket) == model.recommend(["bread"], k=9)


@pytest.mark.parametrize("basket", [iter(["bread"]), np.array(["bread"]), {"bread": 2}, {"bread"}, (np.str_("bread"),)])
def test_a_basket_may_be_any_collection(model: CoPurchaseModel, basket: Any) -> None:
    assert model.recommend(basket, k=9) == model.recommend(["bread"], k=9)


@pytest.mark.parametrize("argument", ["basket", "exclude", "history", "allowed", "sequence"])
@pytest.mark.parametrize("text", ["bread", b"tea", ""])
def test_one_text_in_place_of_several_is_refused_instead_of_read_by_letters(
    model: CoPurchaseModel, argument: str, text: str | bytes
) -> None:
    with pytest.raises(TypeError, match="products are given as a list or a set of SKUs, not as one text"):
        model.recommend(**{"basket": ["bread"], "k": 3, argument: text})


@pytest.mark.parametrize("basket", [None, 7, [["bread"]], [{}]])
def test_a_basket_that_is_no_collection_of_names_is_a_type_error(model: CoPurchaseModel, basket: Any) -> None:
    with pytest.raises(TypeError):
        model.recommend(basket, k=3)


@pytest.mark.parametrize("k", [0, -1, -(2**70)])
def test_asking_for_nothing_gives_nothing(model: CoPurchaseModel, k: int) -> None:
    assert model.recommend(["bread"], k=k).ids == ()


@pytest.mark.parametrize("k", [4, 5, 10**9, 2**70, np.int64(9), np.uint8(9)])
def test_asking_for_more_than_there_is_gives_all_there_is(model: CoPurchaseModel, k: int) -> None:
    for basket in (["bread"], ["bread", "unheard of"]):
        assert model.recommend(basket, k=k).ids == ("butter", "jam", "milk", "tea")


@pytest.mark.parametrize("k", [1.5, float("nan"), float("inf"), "3", None])
def test_a_number_of_products_that_is_no_whole_number_is_a_type_error(model: CoPurchaseModel, k: Any) -> None:
    with pytest.raises(TypeError):
        model.recommend(["bread"], k=k)


def test_huge_sets_of_what_is_excluded_and_allowed_are_looked_up_not_walked(model: CoPurchaseModel) -> None:
    class Walked(frozenset[str]):
        def __iter__(self) -> Any:
            raise AssertionError("a set is not copied")

    many = Walked(f"part {i}" for i in range(100_000))
    assert model.recommend(["bread"], k=9, exclude=many).ids == ("butter", "jam", "milk", "tea")
    assert model.recommend(["bread"], k=9, allowed=many).ids == ()


@pytest.mark.parametrize("sku", [None, 7, b"jam", "\ud800", "unheard of", ""])
def test_explaining_what_is_no_product_of_the_shop_is_nothing(model: CoPurchaseModel, sku: Any) -> None:
    assert model.explain(["bread"], sku) is None


# Parameters


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"top_k": 0}, "top_k must be a whole number of at least 1, not 0"),
        ({"top_k": 10.0}, "top_k must be a whole number of at least 1, not 10.0"),
        ({"min_support": float("nan")}, "min_support must be a whole number of at least 1, not nan"),
        ({"max_lines": "500"}, "max_lines must be a whole number of at least 2, not '500'"),
        ({"random_state": None}, "random_state must be a whole number of at least 0, not None"),
        ({"random_state": -1}, "random_state must be a whole number of at least 0, not -1"),
        ({"random_state": 2**32}, "random_state must be below 2 ** 32, not 4294967296"),
        ({"tune": "no"}, "tune must be True or False, not 'no'"),
        ({"choice": "one"}, "choice must be what `choice_` of a fitted model holds, or None, not 'one'"),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_fit_and_nothing_is_fitted(
    breakfast: Baskets, parameter: dict[str, Any], message: str
) -> None:
    estimator = CoPurchaseRecommender(**parameter)
    with pytest.raises(ValueError) as refusal:
        estimator.fit(breakfast)
    assert str(refusal.value) == message
    assert not hasattr(estimator, "n_features_in_")


def test_whole_numbers_of_numpy_are_whole_numbers(tmp_path: Path) -> None:
    rows = [(str(order), sku) for order in range(200) for sku in ("tea", "milk", f"sku {order % 9}")]
    of_numpy = CoPurchaseRecommender(top_k=np.int64(3), random_state=np.int64(4)).fit(Baskets.from_rows(rows))
    ours = CoPurchaseRecommender(top_k=3, random_state=4).fit(Baskets.from_rows(rows))
    assert of_numpy.recommend(["tea"], k=9) == ours.recommend(["tea"], k=9)
    save(of_numpy.model_, tmp_path, about=Provenance(created_at=NOON, parameters=parameters(of_numpy)))
    assert load(tmp_path).recommend(["tea"], k=9).ids == ours.recommend(["tea"], k=9).ids


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", ["blends", "memories", "calibrations"])
def test_weights_that_are_not_finite_are_refused(kind: str, weight: float) -> None:
    value = {"blends": Blend(ease=weight), "memories": Memory(weight), "calibrations": Calibration(weight)}[kind]
    with pytest.raises(ValueError, match="the weights chosen for baskets of 'one' must be finite"):
        Choice(**{kind: dict.fromkeys(SIZES, value)})


def test_a_choice_for_some_sizes_of_basket_only_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a choice is made for every size of basket, .* not for \('one',\)"):
        Choice(blends={"one": Blend(ease=1.0)})


# Chances


@pytest.mark.parametrize("chance", [float("nan"), -0.01, 1.01, float("inf")])
def test_a_chance_that_is_none_is_refused_instead_of_shown(chance: float) -> None:
    message = f"chance 1 goes from 0 to 1, not to {chance!r}"
    with pytest.raises(ValueError, match=message):
        by_expected_profit([0.2, chance], [100, 100], dial=0.5)
    with pytest.raises(ValueError, match=message):
        greedily([0.2, chance], [100, 100], dial=0.0)
    with pytest.raises(ValueError, match=message):
        thompson([0.2, chance], [100, 100], dial=1.0, order_ref="o-1")
