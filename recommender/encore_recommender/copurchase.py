"""Training: from baskets to a served model. Needs scipy and scikit-learn; import it only where you train."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from encore_recommender import evaluation, tuning
from encore_recommender.baskets import Baskets
from encore_recommender.counting import count, nearest, pair_blocks, stack, weigh_orders
from encore_recommender.model import CoPurchaseModel, Neighbours, Recommendations
from encore_recommender.tuning import DEFAULT_MANY, DEFAULT_ONE, Setting


class CoPurchase(BaseEstimator):
    """Products bought together, learned from past baskets; follows the scikit-learn estimator API.

    Two tables of short neighbour lists are learned: one for baskets with one known line (empirical-Bayes
    shrunk lift times popularity, see `scorers.ShrunkLift`) and one for baskets with several (asymmetric
    cosine, see `scorers.AsymmetricCosine`). Where co-purchases run out the basket's categories and then
    the best-sellers follow, each marked in its explanation.

    Scores use weighted orders; every count in an explanation is a plain number of orders.

    Args:
        top_k: Neighbours kept per product.
        min_support: Orders a pair needs to count as bought together.
        max_lines: Orders with more lines (wholesale, stock transfers) are left out of everything: n lines
            make n * (n - 1) pairs, so one order of 10,000 lines would cost as much as a million small
            ones while saying next to nothing about any pair. `orders_left_out_` tells how many.
        tune: Choose weights and scorers on the newest eighth of the orders; otherwise, and for small
            histories, keep the defaults.
        settings: The scoring settings (one known line, several known lines), as an earlier fit found
            them in `settings_`; given, nothing is tuned.
        random_state: Chooses which lines are hidden while tuning. The same orders and the same value give
            the same model to the last bit.

    Attributes:
        model_: The fitted `CoPurchaseModel`, which serves without scipy and scikit-learn.
        settings_: The settings in use, (one known line, several known lines).
        n_orders_: Orders the counts were taken from.
        n_lines_: Their lines.
        n_features_in_: Products somebody bought.
        orders_left_out_: Orders with more than `max_lines` lines.
    """

    def __init__(
        self,
        *,
        top_k: int = 50,
        min_support: int = 2,
        max_lines: int = 500,
        tune: bool = True,
        settings: tuple[Setting, Setting] | None = None,
        random_state: int = 0,
    ) -> None:
        self.top_k = top_k
        self.min_support = min_support
        self.max_lines = max_lines
        self.tune = tune
        self.settings = settings
        self.random_state = random_state

    def fit(self, baskets: Baskets, y: object = None, *, progress: Callable[[float], None] | None = None) -> CoPurchase:
        """Learn from orders; lines sold by an offer are left out.

        Args:
            baskets: The order history; may be empty, which gives a model that recommends nothing.
            y: Ignored; there so that scikit-learn's tools can pass it.
            progress: Told the finished share, from 0 to 1, never falling.

        Returns:
            Itself. Fitting again forgets what was learned before.

        Raises:
            ValueError: A parameter is out of range.
        """
        self._check_parameters()
        report = progress or _silent
        orders = baskets.without_upsell()
        counted = orders.take(orders.sizes <= self.max_lines)
        if self.settings is not None:
            one, many = self.settings
        elif self.tune:
            one, many = tuning.choose(
                counted, self._build, seed=self.random_state, progress=lambda share: report(0.8 * share)
            )
        else:
            one, many = DEFAULT_ONE, DEFAULT_MANY
        self.model_: CoPurchaseModel = self._fit_tables(counted, one, many)
        self.settings_: tuple[Setting, Setting] = (one, many)
        self.n_orders_: int = counted.n_orders
        self.n_lines_: int = counted.n_lines
        self.n_features_in_: int = int(np.count_nonzero(self.model_.orders_with))
        self.orders_left_out_: int = orders.n_orders - counted.n_orders
        report(1.0)
        return self

    def recommend(
        self,
        basket: Collection[str],
        *,
        k: int,
        exclude: Collection[str] = (),
        allowed: Collection[str] | None = None,
    ) -> Recommendations:
        """Rank what to offer beside a basket; see `CoPurchaseModel.recommend`.

        Raises:
            NotFittedError: `fit` was not called.
        """
        check_is_fitted(self, "model_")
        return self.model_.recommend(basket, k=k, exclude=exclude, allowed=allowed)

    def score(self, baskets: Baskets, y: object = None) -> float:
        """Hit rate at 3 on orders not fitted: hide one line of each, ask for it with all the others."""
        check_is_fitted(self, "model_")
        asked = evaluation.queries(baskets.without_upsell(), seed=self.random_state)
        return evaluation.measure(self.model_.ids, asked, taught=self.model_.skus).hit_rate_at_3

    def _check_parameters(self) -> None:
        for name, least in (("top_k", 1), ("min_support", 1), ("max_lines", 2)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")

    def _build(self, baskets: Baskets, settings: Sequence[Setting]) -> Mapping[Setting, CoPurchaseModel]:
        catalogue = _Catalogue(baskets)
        tables = self._tables(baskets, catalogue, settings)
        return {s: catalogue.model(t, t) for s, t in zip(settings, tables, strict=True)}

    def _fit_tables(self, baskets: Baskets, one: Setting, many: Setting) -> CoPurchaseModel:
        catalogue = _Catalogue(baskets)
        if (one.basket_exponent, one.half_life_days) == (many.basket_exponent, many.half_life_days):
            first, second = self._tables(baskets, catalogue, (one, many))
        else:
            (first,) = self._tables(baskets, catalogue, (one,))
            (second,) = self._tables(baskets, catalogue, (many,))
        return catalogue.model(first, second)

    def _tables(self, baskets: Baskets, catalogue: _Catalogue, settings: Sequence[Setting]) -> list[Neighbours]:
        """One table per setting; all of them weigh orders as the first one says."""
        weights = weigh_orders(
            baskets, basket_exponent=settings[0].basket_exponent, half_life_days=settings[0].half_life_days
        )
        counts = count(baskets, catalogue.item_of_sku, len(catalogue.skus), weights)
        parts: list[list[Neighbours]] = [[] for _ in settings]
        for first, last, block in pair_blocks(counts):
            for part, setting in zip(parts, settings, strict=True):
                scores = setting.scorer(block, counts)
                part.append(nearest(block, scores, first, last, top_k=self.top_k, min_support=self.min_support))
        return [stack(part) for part in parts]


class _Catalogue:
    """The products of some baskets in model order: most orders first, then by SKU; never bought ones last."""

    def __init__(self, baskets: Baskets) -> None:
        bought = np.bincount(baskets.items, minlength=len(baskets.skus))
        sold = np.flatnonzero(bought)
        ranked = sold[np.argsort(-bought[sold], kind="stable")]
        skus = [baskets.skus[i] for i in ranked.tolist()]
        unsold = sorted(set(baskets.categories).difference(skus))
        self.orders = baskets.n_orders
        self.skus = tuple(skus + unsold)
        self.orders_with: NDArray[np.int64] = np.concatenate([bought[ranked], np.zeros(len(unsold), dtype=np.int64)])
        self.item_of_sku = np.zeros(len(baskets.skus), dtype=np.int64)
        self.item_of_sku[ranked] = np.arange(len(ranked))
        self.categories = tuple(sorted({baskets.categories[s] for s in self.skus if s in baskets.categories}))
        index = {name: i for i, name in enumerate(self.categories)}
        codes = [index[baskets.categories[s]] if s in baskets.categories else -1 for s in self.skus]
        self.category_of = np.asarray(codes, dtype=np.int32)

    def model(self, one: Neighbours, many: Neighbours) -> CoPurchaseModel:
        return CoPurchaseModel(
            skus=self.skus,
            orders=self.orders,
            orders_with=self.orders_with,
            one=one,
            many=many,
            categories=self.categories,
            category_of=self.category_of,
        )


def _silent(share: float) -> None:
    """Report to nobody."""


def parameters(estimator: CoPurchase) -> dict[str, Any]:
    """What a manifest says about how a model was trained, in plain values."""
    one, many = estimator.settings_
    named = {name: getattr(estimator, name) for name in ("top_k", "min_support", "max_lines", "random_state")}
    return {**named, "one": one.as_dict(), "many": many.as_dict()}
