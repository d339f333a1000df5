"""Training: from baskets to a served model. Needs scipy and scikit-learn; import it only where you train."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from encore_recommender import evaluation, tuning
from encore_recommender.baskets import Baskets
from encore_recommender.blending import Pairs, score_pairs
from encore_recommender.bounds import Bounds
from encore_recommender.catalogue import Catalogue
from encore_recommender.counting import PairCounts
from encore_recommender.dense import DenseScores, DenseView
from encore_recommender.explanations import Explanation
from encore_recommender.ledger import Ledger
from encore_recommender.model import CoPurchaseModel, Recommendations
from encore_recommender.neighbours import SIZES, Neighbours
from encore_recommender.tuning import Choice

#: Large baskets add up longer lists: so many pairs in the table, 12 bytes each, where `top_k` a product are fewer.
PAIRS_OF_LARGE_BASKETS = 1_500_000

#: And so many times `top_k` a product at most: half as many lost 0.6 % of NDCG@10 on baskets of six lines and more.
LONGER_LISTS = 8


class CoPurchaseRecommender(BaseEstimator):
    """Products bought together, learned from past baskets; follows the scikit-learn estimator API.

    Every pair of products gets six scores (see `scorers`), and every size of basket its own blend of them,
    found on the newest eighth of the orders. Each product then keeps one short list per size. Where
    co-purchases run out the basket's categories and then the best-sellers follow, each marked in its
    explanation.

    Scores use weighted orders; every count in an explanation is a plain number of orders.

    Args:
        top_k: Neighbours kept per product; large baskets keep up to eight times as many where products are few.
        min_support: Orders a pair needs to count as bought together.
        max_lines: Orders with more lines (wholesale, stock transfers) are left out of everything: n lines
            make n * (n - 1) pairs, so one order of 10,000 lines would cost as much as a million small
            ones while saying next to nothing about any pair. `orders_left_out_` tells how many.
        dense_items: The strongest scores for large baskets invert dense matrices of the best-sellers: so many
            products at most, 35 bytes a pair (2.2 GB for 8,000). The cosine speaks for the others, and
            `items_beyond_dense_` tells how many they are.
        tune: Choose the blends on the newest eighth of the orders; otherwise, and for small histories, keep
            the defaults.
        choice: What an earlier fit found in `choice_`; given, nothing is tuned.
        random_state: Chooses which lines are hidden while tuning. The same orders and the same value give
            the same model to the last bit on one machine.

    Attributes:
        model_: The fitted `CoPurchaseModel`, which serves without scipy and scikit-learn.
        choice_: The blends in use, the weight of customer history, and the calibration.
        ledger_: The orders the counts were taken from, and the counts of pairs, for `partial_fit`.
        dense_: What the last `fit` made of the dense scores.
        n_orders_: Orders the counts were taken from.
        n_lines_: Their lines.
        n_features_in_: Products somebody bought; the columns of a matrix, where one was fitted.
        feature_names_in_: Their SKUs, best-seller first; as they stand, where a matrix with names was fitted.
        orders_left_out_: Orders with more than `max_lines` lines.
        orders_repeated_: Orders that `partial_fit` was given and knew already.
        items_beyond_dense_: Products without the dense score.
    """

    ledger_: Ledger
    _model: CoPurchaseModel | None

    def __init__(
        self,
        *,
        top_k: int = 50,
        min_support: int = 2,
        max_lines: int = 500,
        dense_items: int = 8_000,
        tune: bool = True,
        choice: Choice | None = None,
        random_state: int = 0,
    ) -> None:
        self.top_k = top_k
        self.min_support = min_support
        self.max_lines = max_lines
        self.dense_items = dense_items
        self.tune = tune
        self.choice = choice
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.positive_only = True
        return tags

    def fit(
        self, baskets: Baskets | Any, y: object = None, *, progress: Callable[[float], None] | None = None
    ) -> CoPurchaseRecommender:
        """Learn from orders; lines sold by an offer are left out.

        Args:
            baskets: The order history; may be empty, which gives a model that recommends nothing. Or a matrix of
                orders x products, numpy, pandas or scipy sparse, for scikit-learn's tools: see
                `Baskets.from_matrix`.
            y: Ignored; there so that scikit-learn's tools can pass it.
            progress: Told the finished share, from 0 to 1, never falling.

        Returns:
            Itself. Fitting again forgets what was learned before.

        Raises:
            ValueError: A parameter is out of range, or a matrix holds something below 0 or not finite.
        """
        self._check_parameters()
        report = progress or _silent
        orders = self._orders(baskets, first=True)
        counted = orders.take(orders.sizes <= self.max_lines)
        choice = self.choice
        if choice is None:
            choice = self._choose(counted, lambda share: report(0.7 * share)) if self.tune else Choice()
        ledger = Ledger.of(counted).counted()
        catalogue = Catalogue.of(ledger.orders)
        pairs = self._pairs(ledger.orders, catalogue, counted=ledger.layers[0])
        self.choice_: Choice = choice
        self.dense_ = DenseScores.of(pairs, catalogue.skus[: min(catalogue.n_sold, self.dense_items)])
        self.orders_left_out_: int = orders.n_orders - counted.n_orders
        self.orders_repeated_: int = 0
        self._learned(ledger, catalogue, matrix=not isinstance(baskets, Baskets))
        self._model = catalogue.model(tables(pairs, choice, top_k=self.top_k), choice)
        report(1.0)
        return self

    def partial_fit(self, baskets: Baskets | Any, y: object = None) -> CoPurchaseRecommender:
        """Add new orders to those learned from; the counts are then those of one fit of all, to the last unit.

        An order whose reference is known already is passed over, so whoever repeats itself does no harm; to
        change an order, `forget` it first. Lists are made anew when the model is next asked for: counts,
        popularity and the scores made of counts are then those of all orders. The blends and the dense scores
        stay those of the last `fit` until the next one; the cosine speaks for products that fit did not know.

        Args:
            baskets: Orders that are complete; see `fit`. Older than those known is fine.
            y: Ignored.

        Returns:
            Itself. Where nothing was fitted, the orders are the first, and the default blends are used.

        Raises:
            BadBaskets: These orders have times and those before have none, or the other way round. Nothing is
                learned then.
            ValueError: See `fit`.
        """
        self._check_parameters()
        first = not hasattr(self, "ledger_")
        orders = self._orders(baskets, first=first)
        counted = orders.take(orders.sizes <= self.max_lines)
        before = Ledger.of(counted.take(np.arange(0))) if first else self.ledger_
        ledger = before.plus(counted)
        if first:
            self.choice_, self.dense_ = self.choice or Choice(), DenseScores.none()
            self.orders_left_out_ = self.orders_repeated_ = 0
        self.orders_left_out_ += orders.n_orders - counted.n_orders
        self.orders_repeated_ += before.orders.n_orders + counted.n_orders - ledger.orders.n_orders
        self._learned(ledger, Catalogue.of(ledger.orders), matrix=not isinstance(baskets, Baskets))
        return self

    def forget(self, order_refs: Iterable[str]) -> CoPurchaseRecommender:
        """Subtract orders, as if they had never been: a refund, or a person's right to be forgotten.

        The dense scores forget with the next `fit`.

        Args:
            order_refs: The shop's references; unknown ones, and those forgotten already, are passed over.

        Raises:
            NotFittedError: Nothing was learned.
        """
        check_is_fitted(self, "ledger_")
        ledger = self.ledger_.minus(order_refs)
        if ledger is not self.ledger_:
            self._learned(ledger, Catalogue.of(ledger.orders), matrix=False)
        return self

    def going_on(
        self, ledger: Ledger, dense: DenseScores, choice: Choice, *, left_out: int, repeated: int
    ) -> CoPurchaseRecommender:
        """Take over what another estimator learned; see `learned.restore`."""
        self.choice_, self.dense_ = choice, dense
        self.orders_left_out_, self.orders_repeated_ = left_out, repeated
        self._learned(ledger, Catalogue.of(ledger.orders), matrix=False)
        return self

    @property
    def model_(self) -> CoPurchaseModel:
        """The served model; made on first use after orders were added or forgotten.

        Raises:
            AttributeError: Nothing was learned.
        """
        if self._model is None:
            ledger = self.ledger_.counted()
            catalogue = Catalogue.of(ledger.orders)
            dense = self.dense_.seen_from(catalogue.skus)
            pairs = self._pairs(ledger.orders, catalogue, counted=ledger.layers[0], dense=dense)
            self.ledger_ = ledger
            self._model = catalogue.model(tables(pairs, self.choice_, top_k=self.top_k), self.choice_)
        return self._model

    def recommend(
        self,
        basket: Collection[str],
        *,
        k: int,
        exclude: Collection[str] = (),
        history: Iterable[str] | None = None,
        allowed: Collection[str] | None = None,
        bounds: Bounds | None = None,
        sequence: Collection[str] = (),
    ) -> Recommendations:
        """Rank what to offer beside a basket; see `CoPurchaseModel.recommend`.

        Raises:
            NotFittedError: `fit` was not called.
        """
        check_is_fitted(self, "model_")
        return self.model_.recommend(
            basket, k=k, exclude=exclude, history=history, allowed=allowed, bounds=bounds, sequence=sequence
        )

    def explain(self, basket: Collection[str], sku: str) -> Explanation | None:
        """What speaks for one product beside a basket, in counts; None for a product nobody bought.

        Raises:
            NotFittedError: `fit` was not called.
        """
        check_is_fitted(self, "model_")
        return self.model_.explain(basket, sku)

    def score(self, baskets: Baskets | Any, y: object = None) -> float:
        """Hit rate at 3 on orders not fitted, or such a matrix: hide a line of each, ask for it with the others."""
        check_is_fitted(self, "model_")
        asked = evaluation.queries(self._orders(baskets, first=False), seed=self.random_state)
        return evaluation.measure(self.model_.ids, asked, taught=self.model_.skus).hit_rate_at_3

    def _check_parameters(self) -> None:
        for name, least in (
            ("top_k", 1),
            ("min_support", 1),
            ("max_lines", 2),
            ("dense_items", 0),
            ("random_state", 0),
        ):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
        if self.random_state >= 1 << 32:
            raise ValueError(f"random_state must be below 2 ** 32, not {self.random_state}")
        if not isinstance(self.tune, bool):
            raise ValueError(f"tune must be True or False, not {self.tune!r}")
        if not isinstance(self.choice, Choice | None):
            raise ValueError(f"choice must be what `choice_` of a fitted model holds, or None, not {self.choice!r}")

    def _orders(self, baskets: Baskets | Any, *, first: bool) -> Baskets:
        """What teaches or asks, a matrix by way of scikit-learn's own checks of names and shapes."""
        if isinstance(baskets, Baskets):
            return baskets.without_upsell()
        try:
            matrix = validate_data(self, baskets, accept_sparse="csr", ensure_non_negative=True, reset=first)
        except (TypeError, ValueError) as refusal:
            refusal.add_note("it takes Baskets, or a matrix of orders x products; Baskets.from_rows takes order lines")
            raise
        return Baskets.from_matrix(matrix, skus=getattr(self, "feature_names_in_", None))

    def _learned(self, ledger: Ledger, catalogue: Catalogue, *, matrix: bool) -> None:
        self.ledger_ = ledger
        self._model = None
        self.n_orders_: int = ledger.orders.n_orders
        self.n_lines_: int = ledger.orders.n_lines
        self.items_beyond_dense_: int = len(set(catalogue.skus[: catalogue.n_sold]).difference(self.dense_.skus))
        if not matrix:
            self.n_features_in_: int = catalogue.n_sold
            self.feature_names_in_: NDArray[Any] = np.array(catalogue.skus[: catalogue.n_sold], dtype=object)

    def _choose(self, baskets: Baskets, progress: Callable[[float], None]) -> Choice:
        taught, asked = tuning.split_for_choice(baskets)
        if int(np.count_nonzero(asked.sizes >= 2)) * tuning.ROUNDS < tuning.ENOUGH_QUERIES:
            return Choice()
        catalogue = Catalogue.of(taught)
        pairs = self._pairs(taught, catalogue)
        progress(0.5)
        return tuning.choose(
            taught,
            asked,
            pairs,
            catalogue.item_of_sku,
            catalogue.n_sold,
            seed=self.random_state,
            progress=lambda share: progress(0.5 + 0.5 * share),
        )

    def _pairs(
        self,
        baskets: Baskets,
        catalogue: Catalogue,
        *,
        counted: PairCounts | None = None,
        dense: Sequence[DenseView] | None = None,
    ) -> Pairs:
        return score_pairs(
            baskets,
            catalogue.item_of_sku,
            len(catalogue.skus),
            catalogue.n_sold,
            min_support=self.min_support,
            dense_items=self.dense_items,
            counted=counted,
            dense=dense,
        )


def tables(pairs: Pairs, choice: Choice, *, top_k: int) -> dict[str, Neighbours]:
    """The lists to serve, per size of basket.

    Args:
        pairs: Scored.
        choice: How to blend.
        top_k: Neighbours per product.
    """
    longer = min(PAIRS_OF_LARGE_BASKETS, LONGER_LISTS * top_k * (len(pairs.start) - 1))
    return {
        size: pairs.neighbours(
            choice.blends[size], top_k=top_k, against=size != "one", besides=longer if size == "many" else 0
        )
        for size in SIZES
    }


def _silent(share: float) -> None:
    """Report to nobody."""


def parameters(estimator: CoPurchaseRecommender) -> dict[str, Any]:
    """What a manifest says about how a model was trained, in plain values."""
    names = ("top_k", "min_support", "max_lines", "dense_items", "random_state")
    return {**{name: int(getattr(estimator, name)) for name in names}, "blends": estimator.choice_.as_dict()}
