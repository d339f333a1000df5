"""The orders a recommender has learned from, and their pair counts: new orders are added, forgotten ones subtracted.

Training only: needs scipy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from encore_recommender import ids
from encore_recommender.baskets import BadBaskets, Baskets
from encore_recommender.counting import PairCounts, count_pairs, era_of

#: The digest of an order whose reference nobody told.
UNKNOWN = np.uint64(0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ledger:
    """Every order counted so far, each once.

    The orders are what is known; the counts are made of them, and kept so that they only have to be added to.
    A product keeps its number for good: `orders.skus` is in the order in which products came, sorted only at first.
    Customers and quantities teach nothing here and are not kept.
    """

    orders: Baskets
    """Without upsell lines, oldest first."""
    layers: tuple[PairCounts, ...] = ()
    """Their pairs, numbered as `orders.skus`, are the sum of these; none until `counted`.

    Each is at least twice as large as the next. Adding a few orders to a few costs little, and only now and then is
    the sum of all written anew.
    """

    @classmethod
    def of(cls, orders: Baskets) -> Ledger:
        """Begin with some orders."""
        return cls(orders=_bare(orders))

    def counted(self, *, progress: Callable[[float], None] | None = None) -> Ledger:
        """The same with its pairs counted, in one layer."""
        if not self.layers:
            return replace(self, layers=(count_pairs(self.orders, progress=progress),))
        return replace(self, layers=(reduce(PairCounts.plus, self.layers).held(),))

    def plus(self, more: Baskets) -> Ledger:
        """With more orders, those left out that are known already: webhooks and workers repeat themselves.

        Adding orders in any parts and any order gives the counts of counting them all at once, to the last unit.

        Args:
            more: Without upsell lines.

        Raises:
            BadBaskets: These orders have times and those before have none, or the other way round.
        """
        if self.orders.order_digests is not None and more.order_digests is not None:
            again = np.isin(more.order_digests, self.orders.order_digests) & (more.order_digests != UNKNOWN)
            more = more.take(~again)
        if not more.n_orders:
            return replace(self, orders=_described(self.orders, more))
        if self.orders.n_orders and (self.orders.times is None) != (more.times is None):
            new, old = ("no", "have them") if more.times is None else ("their", "have none")
            raise BadBaskets(
                f"these orders have {new} times and those learned from {old}: fit again with one or the other"
            )
        more = self._numbered(more)
        orders = _joined(replace(self.orders, skus=more.skus), more)
        return self._recounted(orders, lambda newest: count_pairs(more, newest=newest))

    def minus(self, order_refs: Iterable[str]) -> Ledger:
        """Without the orders of these references; those never counted are passed over."""
        if self.orders.order_digests is None:
            return self
        gone = np.isin(self.orders.order_digests, ids.digests(order_refs, seed=0))
        if not gone.any():
            return self
        taken = self.orders.take(gone)
        left = _bare(self.orders.take(~gone))
        return self._recounted(left, lambda newest: count_pairs(taken, newest=newest).negative())

    def _recounted(self, orders: Baskets, change: Callable[[float | None], PairCounts]) -> Ledger:
        """With other orders, and the pairs that makes more or fewer; with all counted anew in another era."""
        if not self.layers:
            return Ledger(orders=orders)
        before, now = _newest(self.orders), _newest(orders)
        if before is not None and now is not None and era_of(before) != era_of(now):
            return Ledger(orders=orders).counted()
        layers, top = list(self.layers), change(before if now is None else now)
        while layers and len(layers[-1].pairs) < 2 * len(top.pairs):
            top = layers.pop().plus(top)
        return Ledger(orders=orders, layers=(*layers, top))

    def _numbered(self, more: Baskets) -> Baskets:
        """The same orders with the numbers products have here; new ones come after all others."""
        number = {sku: i for i, sku in enumerate(self.orders.skus)}
        bought = np.flatnonzero(np.bincount(more.items, minlength=len(more.skus))).tolist()
        mine = np.zeros(len(more.skus), dtype=np.int64)
        for item in bought:
            mine[item] = number.setdefault(more.skus[item], len(number))
        key = more.order_of_line * max(len(number), 1) + mine[more.items]
        key.sort()
        return replace(more, skus=tuple(number), items=(key % max(len(number), 1)).astype(np.int32))


def _joined(orders: Baskets, more: Baskets) -> Baskets:
    times = more.times
    if orders.n_orders and orders.times is not None and more.times is not None:
        times = np.concatenate([orders.times, more.times])
    joined = _described(
        replace(
            orders,
            start=np.concatenate([orders.start, orders.start[-1] + more.start[1:]]),
            items=np.concatenate([orders.items, more.items]),
            times=times,
            order_digests=_digests(orders, more),
        ),
        more,
    )
    if times is not None and bool(np.any(np.diff(times) < 0)):
        return _bare(_bare(joined).take(np.argsort(times, kind="stable")))
    return _bare(joined)


def _digests(orders: Baskets, more: Baskets) -> NDArray[np.uint64] | None:
    if orders.order_digests is None and more.order_digests is None:
        return None
    unknown = [np.full(each.n_orders, UNKNOWN) for each in (orders, more)]
    known = [each.order_digests for each in (orders, more)]
    return np.concatenate([u if k is None else k for k, u in zip(known, unknown, strict=True)])


def _described(orders: Baskets, more: Baskets) -> Baskets:
    """With what the catalogue says of products lately."""
    return replace(
        orders,
        categories={**orders.categories, **more.categories},
        titles={**orders.titles, **more.titles},
        parents={**orders.parents, **more.parents},
    )


def _bare(orders: Baskets) -> Baskets:
    """Without customers and quantities, and with no memory spent on saying so."""
    return replace(
        orders,
        quantities=np.broadcast_to(np.int64(1), orders.n_lines),
        upsell=np.broadcast_to(np.False_, orders.n_lines),
        customers=None,
        customer_refs=(),
    )


def _newest(orders: Baskets) -> float | None:
    return None if orders.times is None or not orders.n_orders else float(orders.times.max())
