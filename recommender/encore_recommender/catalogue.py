"""The products of a model: numbered best-seller first, and what is known of each besides its orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from encore_recommender.baskets import Baskets
from encore_recommender.model import CoPurchaseModel
from encore_recommender.neighbours import Neighbours
from encore_recommender.substitutes import families
from encore_recommender.tuning import Choice


class Catalogue:
    """Products in model order: most orders first, then by SKU; never bought ones last.

    Args:
        sold: The products somebody bought, in that order.
        orders_with: Per product sold, the orders that contain it.
        orders: Orders that were counted.
        categories: Category per SKU, where known.
        titles: Title per SKU, where known.
        parents: Parent product per SKU, where known.
        item_of_sku: Per entry of the baskets' `skus`, the product's number here.
    """

    def __init__(
        self,
        sold: Sequence[str],
        *,
        orders_with: NDArray[np.int64],
        orders: int,
        categories: Mapping[str, str],
        titles: Mapping[str, str],
        parents: Mapping[str, str],
        item_of_sku: NDArray[np.int64] | None = None,
    ) -> None:
        unsold = sorted(set(categories).difference(sold))
        self.orders = orders
        self.n_sold = len(sold)
        self.skus = (*sold, *unsold)
        self.orders_with: NDArray[np.int64] = np.concatenate([orders_with, np.zeros(len(unsold), dtype=np.int64)])
        self.item_of_sku = np.arange(self.n_sold) if item_of_sku is None else item_of_sku
        self.categories = tuple(sorted({categories[sku] for sku in self.skus if sku in categories}))
        number = {name: i for i, name in enumerate(self.categories)}
        codes = [number[categories[sku]] if sku in categories else -1 for sku in self.skus]
        self.category_of = np.asarray(codes, dtype=np.int32)
        self.titles, self.parents = titles, parents

    @classmethod
    def of(cls, baskets: Baskets) -> Catalogue:
        """The products of some baskets."""
        bought = np.bincount(baskets.items, minlength=len(baskets.skus))
        by_name = sorted(np.flatnonzero(bought).tolist(), key=baskets.skus.__getitem__)
        ranked = np.array(by_name, dtype=np.int64)[np.argsort(-bought[by_name], kind="stable")]
        item_of_sku = np.zeros(len(baskets.skus), dtype=np.int64)
        item_of_sku[ranked] = np.arange(len(ranked))
        return cls(
            [baskets.skus[i] for i in ranked.tolist()],
            orders_with=bought[ranked],
            orders=baskets.n_orders,
            categories=baskets.categories,
            titles=baskets.titles,
            parents=baskets.parents,
            item_of_sku=item_of_sku,
        )

    def model(self, tables: Mapping[str, Neighbours], choice: Choice) -> CoPurchaseModel:
        """The model that serves these products."""
        return CoPurchaseModel(
            skus=self.skus,
            orders=self.orders,
            orders_with=self.orders_with,
            tables=tables,
            memories=choice.memories,
            calibrations=choice.calibrations,
            categories=self.categories,
            category_of=self.category_of,
            family_of=families(self.skus, titles=self.titles, parents=self.parents),
        )
