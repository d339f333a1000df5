"""The pairs of products a model keeps, in counts of orders: what a merchant looks through, not what is recommended."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from encore_recommender.model import CoPurchaseModel
from encore_recommender.neighbours import SIZES


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two products that were bought together."""

    sku: str
    other: str
    together: int
    """Orders with both."""
    orders_with: int
    """Orders with `sku`."""
    lift: float
    """together / orders_with over the other's share of all orders; 1 is chance. The same whichever of the two asks."""
    substitutes: bool
    """Whether both are of one family, so that neither is recommended beside the other."""


def pairs(
    model: CoPurchaseModel, *, most: int, fewest_orders: int, by_lift: bool = False, of: Collection[str] | None = None
) -> list[Pair]:
    """The pairs bought together most often, or, *by_lift*, furthest above chance; each once.

    Only what the model keeps is looked through, which is a short list per product: a pair that neither of its lists
    has is not found, however often it was bought.

    Args:
        model: Where to look.
        most: Pairs at most.
        fewest_orders: Pairs with fewer orders are passed over; at least 1.
        by_lift: Order by lift.
        of: Only pairs with one of these SKUs, named first; without it the rarer one is.
    """
    table = model.tables[SIZES[0]]
    rows = np.repeat(np.arange(len(model.orders_with)), np.diff(table.start))
    enough = table.together >= max(fewest_orders, 1)
    wanted = {model.skus.number[sku] for sku in of} - {-1} if of is not None else None
    if wanted is not None:
        asked = np.fromiter(wanted, dtype=np.int64, count=len(wanted))
        enough &= np.isin(rows, asked) | np.isin(table.items, asked)
    (places,) = enough.nonzero()
    one, two = rows[places], table.items[places].astype(np.int64)
    together = table.together[places].astype(np.int64)
    lift = together * model.orders / (model.orders_with[one] * model.orders_with[two])
    second_key, first_key = (together, lift) if by_lift else (lift, together)
    # A pair may stand in the lists of both, so twice as many hold enough different ones.
    twice = 2 * most
    if 0 < twice < len(places):
        (best,) = (first_key >= np.partition(first_key, -twice)[-twice]).nonzero()
    else:
        best = np.arange(len(places))
    # The last key counts most. Equal ones by number: a lower number is a better seller.
    keys = (np.minimum(one, two), np.maximum(one, two), -second_key, -first_key)
    order = best[np.lexsort([key[best] for key in keys])]
    seen: dict[tuple[int, int], int] = {}
    for place in order[:twice].tolist():
        first, second = int(one[place]), int(two[place])
        seen.setdefault((max(first, second), min(first, second)), place)
    return list(_told(model, list(seen)[:most], together, list(seen.values()), wanted))


def _told(
    model: CoPurchaseModel,
    found: list[tuple[int, int]],
    together: np.ndarray,
    places: list[int],
    wanted: set[int] | None,
) -> Iterator[Pair]:
    for (rarer, seller), place in zip(found, places, strict=False):
        item, other = (seller, rarer) if wanted is not None and rarer not in wanted else (rarer, seller)
        family = int(model.family_of[item])
        both, of_orders = int(together[place]), int(model.orders_with[item])
        yield Pair(
            sku=model.skus.at[item],
            other=model.skus.at[other],
            together=both,
            orders_with=of_orders,
            lift=both * model.orders / (of_orders * int(model.orders_with[other])),
            substitutes=family >= 0 and family == int(model.family_of[other]),
        )
