"""Why a product was recommended: counts of orders that anyone can check against the order history."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from encore_recommender.ids import Names
from encore_recommender.neighbours import Neighbours

Kind = Literal["pinned", "co_purchase", "category", "popularity"]

Pick = tuple[Kind, str, int, float, str | None]
"""The rung, the SKU, its number or -1 where the model does not know it, its score, the line it is pinned to."""

#: Below this many orders a ratio says more about luck than about the products, so it is not put into words.
SUPPORT_FOR_A_RATIO = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a product was recommended, in counts of orders that anyone can check against the order history."""

    kind: Kind
    because_of: str | None = None
    """The basket line that spoke loudest for it (for `category`: a line of that category; for `pinned`: the line
    the merchant pinned it to); None for `popularity`."""
    support: int = 0
    """Orders with both products; for `category` and `popularity`, orders with the recommended one. For `pinned` 0
    where too few had both."""
    of_orders: int = 0
    """Orders with `because_of`; for `category` and `popularity`, all orders."""
    lift: float | None = None
    """support / of_orders over the recommended product's share of all orders; None for `category` and `popularity`,
    and for `pinned` without support."""

    def sentence(self) -> str:
        """In English, for people: `in 41 of 380 orders, 3.2 times more than chance`."""
        counts = f"in {self.support:,} of {self.of_orders:,} orders"
        if self.kind == "pinned":
            return "chosen by the shop" + (f", {counts}" if self.support else "")
        if self.kind == "category":
            return f"popular in the same category, {counts}"
        if self.kind == "popularity":
            return f"popular in the shop, {counts}"
        if self.lift is None or self.lift <= 1.0 or self.support < SUPPORT_FOR_A_RATIO:
            return counts
        return f"{counts}, {self.lift:,.1f} times more than chance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a model knows about single products."""

    skus: Names
    orders: int
    orders_with: memoryview[int]
    """Per product."""
    category_of: memoryview[int]
    """Per product, -1 where unknown."""
    sold: int
    """Products with a lower number were bought."""

    def explain(self, picked: Sequence[Pick], known: Sequence[int], table: Neighbours | None) -> Iterator[Explanation]:
        """One explanation per pick, beside the known lines and by the table of their number, if any was bought."""
        bought = [line for line in known if line < self.sold] if table else []
        rows = [(line, table.row(line), table.together_with(line)) for line in bought] if table else []
        for kind, _, item, _, pinned_to in picked:
            if pinned_to is not None:
                yield self._pinned(item, pinned_to, table)
                continue
            found = self._together(item, rows) if kind == "co_purchase" else None
            yield found or self._alone(kind, item, known)

    def _together(self, item: int, rows: Sequence[tuple[int, dict[int, float], dict[int, int]]]) -> Explanation | None:
        """Name the basket line that weighs most for a product; the better seller when two weigh the same.

        None where no line was bought together with it often enough: then its popularity carried it.
        """
        loudest, support, best = -1, 0, -math.inf
        for line, weights, together in rows:
            weight = weights.get(item, -math.inf)
            if weight > best and item in together:
                loudest, support, best = line, together[item], weight
        return self._counted("co_purchase", item, loudest, support) if loudest >= 0 else None

    def _alone(self, kind: Kind, item: int, known: Sequence[int]) -> Explanation:
        """By its category, or by its sales alone."""
        category = self.category_of[item]
        line = next((line for line in known if self.category_of[line] == category), -1)
        return Explanation(
            kind="category" if kind == "category" else "popularity",
            because_of=self.skus.at[line] if kind == "category" else None,
            support=self.orders_with[item],
            of_orders=self.orders,
        )

    def _pinned(self, item: int, pinned_to: str, table: Neighbours | None) -> Explanation:
        """With the counts of the line it is pinned to, where both were bought together often enough."""
        line = self.skus.number[pinned_to]
        if table is None or not (0 <= item < self.sold and 0 <= line < self.sold):
            return Explanation(kind="pinned", because_of=pinned_to)
        return self._counted("pinned", item, line, table.together_with(line).get(item, 0))

    def _counted(self, kind: Kind, item: int, line: int, support: int) -> Explanation:
        of_orders = self.orders_with[line]
        return Explanation(
            kind=kind,
            because_of=self.skus.at[line],
            support=support,
            of_orders=of_orders,
            lift=support * self.orders / (of_orders * self.orders_with[item]) if support else None,
        )
