"""How good is it? Hide one line of a later order, ask for it back, and compare with the best-sellers."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from encore_recommender import ids
from encore_recommender.baskets import Baskets

Context = Literal["all", "one"]
"""What is shown of an order whose one line is hidden: all its other lines, or one of them."""

Recommend = Callable[[Sequence[str], Collection[str], int], Sequence[str]]
"""Given a basket, SKUs to leave out and k, the SKUs to offer, best first."""

#: Ranks below the tenth are never shown, so they are not told apart.
DEPTH = 10

#: The newest fifth of the orders judges, the rest teaches. A random split would leak the future.
TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Leave-one-out quality over `queries` orders; every rate is 0 when there was no query."""

    queries: int
    hit_rate_at_1: float
    hit_rate_at_3: float
    hit_rate_at_10: float
    ndcg_at_10: float
    coverage_at_3: float
    """Share of the taught products that were among anyone's first three."""

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question: the lines shown, the line hidden, and the other lines, which are no answer to it."""

    basket: tuple[str, ...]
    exclude: tuple[str, ...]
    hidden: str
    history: tuple[str, ...] = ()
    """What the customer had bought before, once per order, oldest first; empty where unknown."""
    order: int = field(default=-1, compare=False)
    """Its number among the orders asked about: queries about one order rise and fall together."""


def split(baskets: Baskets, *, share: float = TEST_SHARE, by_content: bool = False) -> tuple[Baskets, Baskets]:
    """Earlier and later orders: the last `share` by time, or by order of appearance where there is none.

    Args:
        baskets: Orders, oldest first.
        share: Of the orders, in the later part.
        by_content: Choose the later part by a digest of each order's products instead, so that shuffling
            orders changes nothing. Used inside training when orders have no times.
    """
    n_later = round(baskets.n_orders * share)
    order = np.arange(baskets.n_orders)
    if by_content:
        order = np.argsort(fingerprints(baskets, seed=0), kind="stable")
    later = np.zeros(baskets.n_orders, dtype=np.bool_)
    later[order[baskets.n_orders - n_later :]] = True
    return baskets.take(~later), baskets.take(later)


def fingerprints(baskets: Baskets, *, seed: int) -> NDArray[np.uint64]:
    """A well-mixed 64-bit number per order that depends on its products and the seed, and on nothing else."""
    if baskets.n_orders == 0:
        return np.zeros(0, dtype=np.uint64)
    of_sku = ids.digests(baskets.skus, seed=seed)
    sums = np.zeros(baskets.n_orders, dtype=np.uint64)
    np.add.at(sums, baskets.order_of_line, of_sku[baskets.items])
    # splitmix64: spreads sums of digests evenly over all 64 bits.
    sums ^= sums >> np.uint64(30)
    sums *= np.uint64(0xBF58476D1CE4E5B9)
    sums ^= sums >> np.uint64(27)
    sums *= np.uint64(0x94D049BB133111EB)
    return sums ^ (sums >> np.uint64(31))


def queries(
    test: Baskets,
    *,
    context: Context = "all",
    limit: int = 5_000,
    rounds: int = 1,
    seed: int = 0,
    taught: Baskets | None = None,
) -> list[Query]:
    """Hide one line of each order of two lines or more; which one follows from the order's products and the seed.

    Args:
        test: Orders not taught.
        context: Show all the other lines, or one of them.
        limit: At most so many queries.
        rounds: Ask each order so often, with another draw each time, so that a short history is not judged
            by luck.
        seed: Of the draws.
        taught: Earlier orders; given, every query also says what its customer bought in them.
    """
    past = _purchases(taught) if taught is not None else {}
    asked: list[Query] = []
    askable = np.flatnonzero(test.sizes >= 2)
    for turn in range(rounds):
        prints = fingerprints(test, seed=seed + turn)
        chosen = askable[np.argsort(prints[askable], kind="stable")][: limit - len(asked)]
        for order in np.sort(chosen).tolist():
            lines = test.skus_of(order)
            draw = int(prints[order]) >> 8
            hidden = lines.pop(draw % len(lines))
            shown = lines if context == "all" else [lines[(draw // 10_007) % len(lines)]]
            history = past.get(_customer(test, order), ())
            asked.append(
                Query(basket=tuple(shown), exclude=tuple(lines), hidden=hidden, history=tuple(history), order=order)
            )
    return asked


def _customer(baskets: Baskets, order: int) -> str | None:
    code = -1 if baskets.customers is None else int(baskets.customers[order])
    return baskets.customer_refs[code] if code >= 0 else None


def _purchases(taught: Baskets) -> dict[str | None, list[str]]:
    """Per known customer, the products of all their orders, oldest first."""
    past: dict[str | None, list[str]] = {}
    for order in range(taught.n_orders) if taught.customers is not None else ():
        customer = _customer(taught, order)
        if customer is not None:
            past.setdefault(customer, []).extend(taught.skus_of(order))
    return past


def measure(recommend: Recommend, asked: Sequence[Query], *, taught: Collection[str]) -> Quality:
    """Ask every query; a product that was never taught counts as a miss.

    Args:
        recommend: What is judged.
        asked: From `queries`.
        taught: The products it could know; the denominator of coverage.
    """
    hits_1 = hits_3 = hits_10 = 0
    gain = 0.0
    shown: set[str] = set()
    for query in asked:
        ranked = recommend(query.basket, query.exclude, DEPTH)
        shown.update(ranked[:3])
        if query.hidden not in ranked:
            continue
        rank = ranked.index(query.hidden) + 1
        hits_1 += rank <= 1
        hits_3 += rank <= 3
        hits_10 += 1
        gain += 1.0 / math.log2(rank + 1)
    n = max(len(asked), 1)
    return Quality(
        queries=len(asked),
        hit_rate_at_1=hits_1 / n,
        hit_rate_at_3=hits_3 / n,
        hit_rate_at_10=hits_10 / n,
        ndcg_at_10=gain / n,
        coverage_at_3=len(shown) / max(len(taught), 1),
    )


def best_sellers(train: Baskets) -> Recommend:
    """The rule every recommender has to beat: what most orders contain, without what the basket holds."""
    orders_with = np.bincount(train.items, minlength=len(train.skus))
    ranked = [train.skus[i] for i in np.argsort(-orders_with, kind="stable").tolist() if orders_with[i]]

    def recommend(basket: Sequence[str], exclude: Collection[str], k: int) -> Sequence[str]:
        held = set(basket).union(exclude)
        found: list[str] = []
        for sku in ranked:
            if len(found) == k:
                break
            if sku not in held:
                found.append(sku)
        return found

    return recommend
