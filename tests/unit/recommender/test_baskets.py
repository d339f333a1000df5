import numpy as np
import pytest

from encore_recommender import BadBaskets, Baskets


def orders(baskets: Baskets) -> list[list[str]]:
    return [baskets.skus_of(order) for order in range(baskets.n_orders)]


def test_rows_become_orders_in_the_order_they_were_first_seen(breakfast: Baskets) -> None:
    assert orders(breakfast) == [
        ["bread", "butter", "jam"],
        ["bread", "butter"],
        ["bread", "butter"],
        ["bread", "jam"],
        ["milk", "tea"],
        ["milk", "tea"],
    ]
    assert breakfast.n_lines == 13


def test_lines_of_one_order_need_not_stand_together() -> None:
    assert orders(Baskets.from_rows([("a", "x"), ("b", "y"), ("a", "z")])) == [["x", "z"], ["y"]]


def test_a_product_twice_in_an_order_is_one_line_with_the_quantities_added() -> None:
    baskets = Baskets.from_rows([("a", "x", 2), ("a", "y", 1), ("a", "x", 3)])
    assert orders(baskets) == [["x", "y"]]
    assert baskets.quantities.tolist() == [5, 1]


def test_orders_are_sorted_by_their_earliest_line() -> None:
    baskets = Baskets.from_rows(
        [("late", "x", 1, None, 300.0), ("early", "y", 1, None, 200.0), ("early", "z", 1, None, 100.0)]
    )
    assert orders(baskets) == [["y", "z"], ["x"]]
    assert baskets.times is not None
    assert baskets.times.tolist() == [100.0, 300.0]


def test_an_order_without_a_time_counts_as_the_oldest() -> None:
    baskets = Baskets.from_columns(["a", "b", "c"], ["x", "y", "z"], times=[200.0, 100.0, None])
    assert orders(baskets) == [["y"], ["z"], ["x"]]


def test_without_any_time_there_are_no_times() -> None:
    assert Baskets.from_columns(["a", "b"], ["x", "y"], times=[None, None]).times is None


def test_the_first_line_that_names_a_customer_names_the_orders() -> None:
    baskets = Baskets.from_columns(["a", "a", "b"], ["x", "y", "z"], customers=[None, "c-17", None])
    assert baskets.customers is not None
    assert baskets.customers.tolist() == [0, -1]
    assert baskets.customer_refs == ("c-17",)


def test_columns_may_be_numpy_arrays() -> None:
    baskets = Baskets.from_columns(np.array(["a", "a"]), np.array(["x", "é"]), quantities=np.array([1, 2]))
    assert orders(baskets) == [["x", "é"]]


def test_no_rows_are_no_orders() -> None:
    baskets = Baskets.from_rows([])
    assert (baskets.n_orders, baskets.n_lines, baskets.skus) == (0, 0, ())


def test_lines_an_offer_sold_are_left_out_and_orders_left_empty_are_dropped() -> None:
    baskets = Baskets.from_rows(
        [
            ("a", "x", 1, None, 1.0, False),
            ("a", "y", 1, None, 1.0, True),
            ("b", "y", 1, None, 2.0, True),
            ("c", "z", 1, "c-17", 3.0, False),
        ]
    )
    plain = baskets.without_upsell()
    assert orders(plain) == [["x"], ["z"]]
    assert plain.times is not None and plain.times.tolist() == [1.0, 3.0]
    assert plain.customers is not None and plain.customers.tolist() == [-1, 0]


def test_a_product_bought_and_also_sold_by_an_offer_still_counts_as_bought() -> None:
    baskets = Baskets.from_columns(["a", "a"], ["x", "x"], upsell=[True, False])
    assert baskets.upsell.tolist() == [False]


def test_take_keeps_the_chosen_orders_in_the_order_given(breakfast: Baskets) -> None:
    assert orders(breakfast.take(np.array([4, 0]))) == [["milk", "tea"], ["bread", "butter", "jam"]]
    assert orders(breakfast.take(breakfast.sizes == 3)) == [["bread", "butter", "jam"]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "x", 0)], "row 0: quantity must be at least 1, not 0; leave returns out"),
        ([("a", "x", 1), ("a", "y", -2)], "row 1: quantity must be at least 1, not -2; leave returns out"),
        ([("a", "x", 1.5)], "quantities must be whole numbers, not float64"),
        ([("a", "")], "row 0: sku must be a text that is not empty, not ''"),
        ([("a", "x"), ("b", None)], "row 1: sku must be a text that is not empty, not None"),
        ([(7, "x")], "row 0: order_ref must be a text that is not empty, not 7"),
        ([("a", ["x"])], "row 0: sku must be a text that is not empty, not ['x']"),
        ([("a", "x", 1, None, float("inf"))], "row 0: time must be finite"),
        ([("a", "x", 1, None, "noon")], "times must be Unix seconds, or None where unknown"),
        ([("a", "x"), ("b", "y", 1)], "the rows do not all have the same number of columns"),
        ([("a",)], "a row has 2 to 6 columns, order_ref and sku first; these have 1"),
    ],
)
def test_a_bad_row_is_refused_with_its_number(rows: list[tuple[object, ...]], message: str) -> None:
    with pytest.raises(BadBaskets) as refusal:
        Baskets.from_rows(rows)
    assert str(refusal.value) == message


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(BadBaskets, match="the sku column has 1 entries, order_ref has 2"):
        Baskets.from_columns(["a", "b"], ["x"])
