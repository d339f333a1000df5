"""scikit-learn's own checks of an estimator, and its tools at work on ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_X_y, validate_data

from encore_recommender import BadBaskets, Baskets, CoPurchaseRecommender
from encore_recommender.acceptance import AcceptanceModel, Impression

#: It needs a switch that scipy reads once, when it is imported: see the test that starts a process for it.
IN_A_PROCESS_OF_ITS_OWN = "check_array_api_input"

#: The model of acceptance learns from impressions, so these, which hand it a matrix, cannot be asked.
IMPRESSIONS_ARE_NO_MATRIX = {
    "check_complex_data": "an impression holds no matrix whose entries could be complex",
    "check_dict_unchanged": "needs a fit on a matrix",
    "check_dont_overwrite_parameters": "needs a fit on a matrix",
    "check_dtype_object": "an impression's fields have types of their own",
    "check_estimator_sparse_array": "there is no sparse sequence of impressions",
    "check_estimator_sparse_matrix": "there is no sparse sequence of impressions",
    "check_estimators_dtypes": "an impression's fields have types of their own",
    "check_estimators_empty_data_messages": "no impressions are fine: then the prior speaks",
    "check_estimators_fit_returns_self": "needs a fit on a matrix",
    "check_estimators_nan_inf": "an impression out of range is refused by its number, whatever the matrix",
    "check_estimators_overwrite_params": "needs a fit on a matrix",
    "check_estimators_pickle": "needs a fit on a matrix",
    "check_f_contiguous_array_estimator": "a sequence has no memory layout",
    "check_fit1d": "a sequence of impressions has one dimension",
    "check_fit2d_1feature": "an impression has the features it has",
    "check_fit2d_1sample": "needs a fit on a matrix",
    "check_fit2d_predict1d": "a sequence of impressions has one dimension",
    "check_fit_check_is_fitted": "needs a fit on a matrix",
    "check_fit_idempotent": "needs a fit on a matrix",
    "check_fit_score_takes_y": "needs a fit on a matrix",
    "check_methods_sample_order_invariance": "needs a fit on a matrix",
    "check_methods_subset_invariance": "needs a fit on a matrix",
    "check_n_features_in": "an impression has the features it has",
    "check_n_features_in_after_fitting": "an impression has the features it has",
    "check_pipeline_consistency": "needs a fit on a matrix",
    "check_positive_only_tag_during_fit": "needs a fit on a matrix",
    "check_readonly_memmap_input": "a sequence of impressions is not mapped memory",
}


class AcceptanceOfRows(AcceptanceModel):
    """The model of acceptance for tools that only speak matrices: a row's first two numbers make an impression."""

    def fit(self, X: Any, y: Any = None) -> AcceptanceOfRows:
        X, y = check_X_y(X, y)
        validate_data(self, X)
        super().fit(_impressions(X), y > np.median(y))
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        return super().predict_proba(_impressions(validate_data(self, X, reset=False)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _impressions(rows: NDArray[Any]) -> list[Impression]:
    scores, ratios = 1.0 / (1.0 + np.exp(-rows[:, 0])), np.exp(np.clip(rows[:, -1], -9.0, 9.0))
    return [Impression(co_purchase=p, price_ratio=r) for p, r in zip(scores.tolist(), ratios.tolist(), strict=True)]


Check = Callable[[BaseEstimator], None]


def checks(estimator: BaseEstimator, *, without: set[str]) -> list[Any]:
    """Everything scikit-learn would ask of the estimator, one parameter each."""
    asked = [check for _, check in estimator_checks_generator(estimator) if check.func.__name__ not in without]
    return [pytest.param(check, id=" ".join([check.func.__name__, *check.keywords])) for check in asked]


@pytest.mark.parametrize("check", checks(CoPurchaseRecommender(), without={IN_A_PROCESS_OF_ITS_OWN}))
def test_the_recommender_passes_every_check_of_scikit_learn(check: Check) -> None:
    check(CoPurchaseRecommender())


@pytest.mark.parametrize(
    "check", checks(AcceptanceModel(), without={IN_A_PROCESS_OF_ITS_OWN, *IMPRESSIONS_ARE_NO_MATRIX})
)
def test_the_model_of_acceptance_passes_the_checks_that_need_no_matrix(check: Check) -> None:
    check(AcceptanceModel())


@pytest.mark.parametrize("check", checks(AcceptanceOfRows(), without={IN_A_PROCESS_OF_ITS_OWN}))
def test_the_model_of_acceptance_passes_the_others_where_rows_stand_for_impressions(check: Check) -> None:
    check(AcceptanceOfRows())


def test_every_exception_is_a_check_that_scikit_learn_has_and_that_would_fail() -> None:
    unlisted = set(IMPRESSIONS_ARE_NO_MATRIX)
    for _, check in estimator_checks_generator(AcceptanceModel()):
        name = check.func.__name__
        if name in IMPRESSIONS_ARE_NO_MATRIX:
            with pytest.raises((AttributeError, AssertionError, TypeError, ValueError)):
                check(AcceptanceModel())
            unlisted.discard(name)
    assert unlisted == set()


def test_the_check_that_needs_a_switch_of_scipy_passes_with_it() -> None:
    code = (
        "from sklearn.utils.estimator_checks import check_array_api_input as check\n"
        "from encore_recommender import CoPurchaseRecommender\n"
        "check('us', CoPurchaseRecommender(), array_namespace='numpy', expect_only_array_outputs=False)"
    )
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": ":".join(sys.path)}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (answer.returncode, answer.stderr) == (0, "")


def shop(orders: int = 200, products: int = 6) -> NDArray[np.int64]:
    """Orders x products: the first two are often bought together, the others by chance."""
    draw = np.random.default_rng(3)
    matrix = (draw.random((orders, products)) < 0.25).astype(np.int64)
    matrix[::2, :2] = 1
    return matrix


def test_a_matrix_of_orders_is_the_same_history_as_its_lines() -> None:
    matrix = shop()
    rows = [(f"order {i}", f"sku {j}") for i, j in np.argwhere(matrix).tolist()]
    from_lines = CoPurchaseRecommender().fit(Baskets.from_rows(rows))
    names = [f"sku {j}" for j in range(6)]
    for same in (pd.DataFrame(matrix, columns=names), pd.DataFrame(matrix * 7.5, columns=names)):
        fitted = CoPurchaseRecommender().fit(same)
        assert fitted.recommend(["sku 0"], k=6) == from_lines.recommend(["sku 0"], k=6)
        assert (fitted.n_orders_, fitted.n_lines_) == (from_lines.n_orders_, from_lines.n_lines_)
        assert fitted.feature_names_in_.tolist() == names


def test_sparse_and_dense_matrices_are_the_same_history() -> None:
    matrix = shop()
    dense = CoPurchaseRecommender().fit(matrix)
    for form in (sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.csr_matrix, sparse.lil_array):
        assert CoPurchaseRecommender().fit(form(matrix)).recommend(["0", "4"], k=6) == dense.recommend(["0", "4"], k=6)
    assert dense.recommend(["0"], k=1).ids == ("1",)
    assert dense.n_features_in_ == 6


def test_an_entry_in_parts_is_one_line_and_a_row_of_zeros_is_no_order() -> None:
    parts = sparse.coo_array((np.array([1, 1, 0, 2]), ([0, 0, 1, 2], [1, 1, 0, 0])), shape=(3, 2))
    baskets = Baskets.from_matrix(parts, skus=["tea", "milk"])
    assert [baskets.skus_of(order) for order in range(baskets.n_orders)] == [["milk"], ["tea"]]
    assert baskets.quantities.tolist() == [1, 1]


def test_the_names_of_what_was_bought_are_known_after_a_fit_on_baskets(breakfast: Baskets) -> None:
    fitted = CoPurchaseRecommender().fit(breakfast)
    assert fitted.feature_names_in_.tolist() == ["bread", "butter", "jam", "milk", "tea"]
    later = pd.DataFrame([[1, 1, 0, 0, 0]], columns=fitted.feature_names_in_)
    assert fitted.score(later) == fitted.score(Baskets.from_rows([("1", "bread"), ("1", "butter")])) == 1.0
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.score(later[["butter", "bread", "jam", "milk", "tea"]])


def test_a_fit_on_a_matrix_without_names_forgets_the_names_of_the_fit_before(breakfast: Baskets) -> None:
    fitted = CoPurchaseRecommender().fit(breakfast).fit(shop())
    assert not hasattr(fitted, "feature_names_in_")
    assert fitted.recommend(["bread"], k=1).explanations[0].kind == "popularity"


def test_a_grid_search_over_time_finds_parameters() -> None:
    pairs = np.tile(np.repeat(np.eye(10, dtype=np.int64), 2, axis=1), (20, 1))
    grid = {"min_support": [10_000, 1]}
    search = GridSearchCV(CoPurchaseRecommender(tune=False), grid, cv=TimeSeriesSplit(n_splits=3))
    search.fit(sparse.csr_array(pairs))
    assert search.best_params_ == {"min_support": 1}
    assert search.best_score_ == 1.0
    assert search.best_estimator_.recommend(["6"], k=1).ids == ("7",)


@pytest.mark.parametrize(
    ("matrix", "skus", "message"),
    [
        ([1, 0], None, "a matrix has orders as rows and products as columns, not 1 dimensions"),
        ([[1, 0]], ["a"], "1 skus for 2 columns"),
        ([[1, -1]], None, "no entry of a matrix of orders is below 0, infinite or not a number; leave returns out"),
        ([[1, np.nan]], None, "no entry of a matrix of orders is below 0, infinite or not a number; leave returns out"),
        ([[1, np.inf]], None, "no entry of a matrix of orders is below 0, infinite or not a number; leave returns out"),
        ([[1, 1j]], None, "the entries of a matrix are numbers, not complex128"),
        ([["tea", "milk"]], None, "the entries of a matrix are numbers, not <U4"),
        ([[1, 1]], ["a", ""], "row 1: sku must be a text that is not empty, not ''"),
    ],
)
def test_a_matrix_that_holds_no_orders_is_refused(matrix: Any, skus: list[str] | None, message: str) -> None:
    with pytest.raises(BadBaskets) as refusal:
        Baskets.from_matrix(matrix, skus=skus)
    assert str(refusal.value) == message


def test_order_lines_that_are_not_baskets_yet_are_refused_with_the_way_there() -> None:
    with pytest.raises(ValueError, match="not compatible with arrays of bytes/strings") as refusal:
        CoPurchaseRecommender().fit([("order 1", "bread"), ("order 1", "butter")])
    assert refusal.value.__notes__ == [
        "it takes Baskets, or a matrix of orders x products; Baskets.from_rows takes order lines"
    ]


def test_a_matrix_without_rows_is_no_history() -> None:
    assert Baskets.from_matrix(np.zeros((0, 3))).n_orders == 0
    assert Baskets.from_matrix(np.zeros((4, 3))).n_orders == 0
