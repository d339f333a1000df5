"""All scores of all pairs worth keeping, and how they become one short list per product. Training only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encore_recommender.baskets import Baskets
from encore_recommender.counting import HALF_LIFE_DAYS as HALF_LIFE_DAYS
from encore_recommender.counting import Counts, PairBlock, PairCounts, count, count_pairs, pair_blocks, weigh_lately
from encore_recommender.neighbours import Neighbours
from encore_recommender.scorers import PRIORS, conditional, cosine, dropout_ease, grams, share_of_lines

#: What the dense scores are made of: orders weighted by the root of their size and by age (or every order alike), the
#: ridge, and the dropout as p / (1 - p). Wide assortments with long baskets want the first, narrow ones the second. The
#: third errs on other questions than the first: together they beat either alone.
DENSE: Mapping[str, tuple[bool, float, float]] = {
    "ease": (True, 20.0, 1.0 / 3.0),
    "smooth_ease": (True, 200.0, 1.0 / 3.0),
    "plain_ease": (False, 20.0, 0.0),
}

#: Best-sellers every product is compared with, bought together or not: a weak pair may rank below them.
ALWAYS_COMPARED = 20

#: Pairs kept per product and score before blending: eight times the 50 usually served, so that the best of a
#: blend, and the pairs that speak against a product in a long basket, are still there.
KEPT_BEFORE_BLENDING = 400

SCORES = ("conditional", "settled", "cosine", *DENSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """How much each score counts, in multiples of its typical best value for a product."""

    conditional: float = 0.0
    settled: float = 0.0
    """The conditional probability, much more shrunken, and of no more than is sure."""
    cosine: float = 0.0
    ease: float = 0.0
    smooth_ease: float = 0.0
    plain_ease: float = 0.0
    recency: float = 0.0
    """Exponent on a product's recent share of orders over its usual one; 0 ignores fashion."""
    rarity: float = 0.0
    """Exponent on how seldom a product is bought; 0 leaves best-sellers as loud as they are."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Pairs (row product, column product) end to end, row by row, with every score of each."""

    start: NDArray[np.int64]
    columns: NDArray[np.int64]
    together: NDArray[np.int64]
    """Orders with both; 0 for a pair below the least support."""
    scores: Mapping[str, NDArray[np.float32]]
    """Per name in SCORES, one value per pair, divided by the score's typical best value."""
    trend: NDArray[np.float64]
    """Per product, log of its recent share of orders over its usual one; 0 without times."""
    rarity: NDArray[np.float64]
    """Per product, log of the mean product's orders over its own, weighted as in `grams`."""

    def factor(self, blend: Blend) -> NDArray[np.float32] | None:
        """What each product's blended score is multiplied by; None where that is 1."""
        if not (blend.recency or blend.rarity):
            return None
        return np.exp(blend.recency * self.trend + blend.rarity * self.rarity).astype(np.float32)

    def blended(self, blend: Blend) -> NDArray[np.float32]:
        """One value per pair."""
        values = np.zeros(len(self.columns), dtype=np.float32)
        for name in SCORES:
            weight = getattr(blend, name)
            if weight:
                values += np.float32(weight) * self.scores[name]
        factor = self.factor(blend)
        if factor is not None:
            values *= factor[self.columns]
        return values

    def neighbours(self, blend: Blend, *, top_k: int, against: bool, besides: int = 0) -> Neighbours:
        """Each row's `top_k` strongest pairs, best first, equal ones better seller first.

        Args:
            blend: How to blend.
            top_k: Pairs kept per row.
            against: Keep pairs below 0 too; they matter only where rows are added up.
            besides: So many of the strongest pairs of the whole table are kept in any case. A pair counts as
                much stronger as the root of its row's orders: long lists are spent on products often asked about.
        """
        values = self.blended(blend)
        if not against:
            values = np.maximum(values, 0.0)
        often = np.exp(-0.5 * self.rarity).astype(np.float32)
        loud = np.abs(values) * np.repeat(often, np.diff(self.start))
        bar = np.partition(loud, -besides)[-besides] if 0 < besides < len(loud) else 0.0 if besides else np.inf
        chosen: list[NDArray[np.int64]] = []
        start = np.zeros(len(self.start), dtype=np.int64)
        for row in range(len(self.start) - 1):
            low, high = int(self.start[row]), int(self.start[row + 1])
            near = _largest(np.abs(values[low:high]), top_k)
            strongest = low + np.union1d(near, np.flatnonzero(loud[low:high] >= bar))
            strongest = strongest[values[strongest] != 0.0]
            best_first = strongest[np.argsort(-values[strongest], kind="stable")]
            # A best-seller that ranks below all that was bought together comes later, on its own rung.
            together = np.flatnonzero(self.together[best_first] > 0)
            ahead = int(together[-1]) + 1 if len(together) else 0
            best_first = best_first[(np.arange(len(best_first)) < ahead) | (values[best_first] < 0.0)]
            chosen.append(best_first)
            start[row + 1] = start[row] + len(best_first)
        kept = np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)
        return Neighbours(
            start=start,
            items=self.columns[kept].astype(np.int32),
            weights=values[kept],
            together=self.together[kept].astype(np.int32),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """All that is known of products and pairs, wherever it was counted; products best-seller first."""

    root: Counts
    """Orders weighted by the root of their size."""
    full: Counts
    """Orders weighted by their size."""
    trend: NDArray[np.float64]
    """See `Pairs`."""
    blocks: Callable[[], Iterable[tuple[int, int, PairBlock, PairBlock]]]
    """The pairs, from the first product on; see `pair_blocks`."""

    @classmethod
    def of(
        cls, baskets: Baskets, item_of_sku: NDArray[np.int64], n_items: int, counted: PairCounts | None = None
    ) -> Evidence:
        """Count what is in memory; arguments as in `score_pairs`."""
        root, full = (count(baskets, item_of_sku, n_items, weight=weight) for weight in ("by_root", "by_size"))
        pairs = counted or count_pairs(baskets)
        return cls(
            root=root,
            full=full,
            trend=_trend(baskets, item_of_sku, root.orders_with),
            blocks=lambda: pair_blocks(pairs, item_of_sku, n_items, unit=root.unit),
        )


def score_pairs(
    baskets: Baskets,
    item_of_sku: NDArray[np.int64],
    n_items: int,
    n_sold: int,
    *,
    min_support: int,
    dense_items: int,
    counted: PairCounts | None = None,
    dense: Sequence[Any] | None = None,
) -> Pairs:
    """Count in memory, and score.

    Args:
        baskets: Orders without upsell lines.
        item_of_sku: Per entry of `baskets.skus`, the product's row; best-seller first.
        n_items: Products in the model.
        n_sold: Those somebody bought; they come first.
        min_support: See `score`.
        dense_items: See `score`.
        counted: The pairs of `baskets`, where they have been counted already.
        dense: See `score`.
    """
    evidence = Evidence.of(baskets, item_of_sku, n_items, counted)
    return score(evidence, n_sold, min_support=min_support, dense_items=dense_items, dense=dense)


def score(
    evidence: Evidence, n_sold: int, *, min_support: int, dense_items: int, dense: Sequence[Any] | None = None
) -> Pairs:
    """Score, and keep for every product the pairs that any score puts near the top.

    Args:
        evidence: What was counted.
        n_sold: Products somebody bought; they come first.
        min_support: Orders a pair needs to count as bought together.
        dense_items: The `dropout_ease` scores need a dense matrix of products: so many best-sellers at most
            take part, and for pairs with any other product the cosine speaks in their place.
        dense: The `dropout_ease` scores of an earlier fit, one per name in DENSE, by row and columns.
    """
    root, full = evidence.root, evidence.full
    n_items = len(root.orders_with)
    if dense is None:
        dense = _dense(evidence, min(n_sold, dense_items))
    share = share_of_lines(full)
    popular = np.arange(min(ALWAYS_COMPARED, n_sold))
    rows: list[_Row] = []
    for first, last, by_root, by_full in evidence.blocks():
        enough = by_root.together >= min_support
        together = np.where(enough, by_root.together, 0)
        supported = replace(by_full, weighted=np.where(enough, by_full.weighted, 0.0))
        shrunken = [conditional(supported, full, prior=m, standard_errors=z) for m, z in PRIORS]
        a = np.where(enough, cosine(by_root, root), 0.0)
        bounds = np.searchsorted(by_root.rows, np.arange(first, last + 1)).tolist()
        for row, (low, high) in enumerate(pairwise(bounds), start=first):
            scores = [*(p[low:high] for p in shrunken), a[low:high]]
            bought = _Row(columns=by_root.columns[low:high], together=together[low:high], scores=scores)
            others = popular[popular != row] if row < n_sold else popular[:0]
            extra = np.setdiff1d(others, bought.columns, assume_unique=True)
            alone = [m * share[extra] / (full.weighted_orders_with[row] + m) for m, _ in PRIORS]
            rows.append(bought.beside(extra, [*alone, np.zeros(len(extra))]).judged(row, dense).best())
    start = np.zeros(n_items + 1, dtype=np.int64)
    np.cumsum([len(row.columns) for row in rows], out=start[1:])
    parts = [_joined([row.scores[k] for row in rows]) for k in range(len(SCORES))]
    tops = np.array([[_top(row.scores[k]) for row in rows] for k in range(len(SCORES))]).reshape(len(SCORES), n_items)
    return Pairs(
        start=start,
        columns=_joined([row.columns for row in rows]).astype(np.int64),
        together=_joined([row.together for row in rows]).astype(np.int64),
        scores=dict(zip(SCORES, _scaled(parts, tops, root.orders_with), strict=True)),
        trend=evidence.trend,
        rarity=_rarity(root.weighted_orders_with),
    )


def _dense(evidence: Evidence, head: int) -> list[NDArray[Any]]:
    """One matrix per name in DENSE."""
    weighted, plain = grams(evidence.blocks(), evidence.root, head)
    return [
        dropout_ease(weighted if by_weight else plain, ridge=ridge, dropout=dropout)
        for by_weight, ridge, dropout in DENSE.values()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """The pairs of one product while they are scored: arrays of one length."""

    columns: NDArray[Any]
    together: NDArray[Any]
    scores: list[NDArray[Any]]

    def beside(self, extra: NDArray[np.int64], scores: list[NDArray[np.float64]]) -> _Row:
        """With best-sellers never bought with it, which only their popularity speaks for."""
        return _Row(
            columns=np.concatenate([self.columns, extra]),
            together=np.concatenate([self.together, np.zeros(len(extra), dtype=np.int64)]),
            scores=[np.concatenate(both) for both in zip(self.scores, scores, strict=True)],
        )

    def judged(self, row: int, dense: Sequence[Any]) -> _Row:
        """With the dense scores, NaN where they do not reach."""
        scores = list(self.scores)
        for matrix in dense:
            score = np.full(len(self.columns), np.nan)
            if row < len(matrix):
                reached = self.columns < len(matrix)
                score[reached] = matrix[row, self.columns[reached]]
                # Nobody can check a complement that was never bought together; what speaks against stays.
                score[(self.together == 0) & (score > 0.0)] = 0.0
            scores.append(score)
        return _Row(columns=self.columns, together=self.together, scores=scores)

    def best(self) -> _Row:
        """The pairs that any score puts near the top, by column; in 4 bytes a number, for all rows are kept so."""
        near = [_largest(np.abs(np.nan_to_num(score)), KEPT_BEFORE_BLENDING) for score in self.scores]
        kept = np.unique(np.concatenate(near))
        kept = kept[np.argsort(self.columns[kept])]
        return _Row(
            columns=self.columns[kept].astype(np.int32),
            together=self.together[kept].astype(np.int32),
            scores=[score[kept].astype(np.float32) for score in self.scores],
        )


def _top(scores: NDArray[Any]) -> float:
    """The best of one product's scores, at least 0; NaN where none reaches it."""
    told = scores[~np.isnan(scores)]
    return max(float(told.max()), 0.0) if len(told) else float("nan")


def _scaled(
    parts: list[NDArray[Any]], tops: NDArray[np.float64], orders_with: NDArray[np.int64]
) -> list[NDArray[np.float32]]:
    """Divide each score by its typical best value, then let the cosine speak where a score is missing."""
    scaled: list[NDArray[np.float32]] = []
    for values, best in zip(parts, tops, strict=True):
        told = ~np.isnan(best) & (orders_with > 0)
        typical = float(np.average(best[told], weights=orders_with[told])) if told.any() else 1.0
        scaled.append((values / (typical if typical > 0.0 else 1.0)).astype(np.float32))
    by_cosine = scaled[SCORES.index("cosine")]
    return [np.where(np.isnan(values), by_cosine, values) for values in scaled]


def _rarity(weighted_orders_with: NDArray[np.float64]) -> NDArray[np.float64]:
    sold = weighted_orders_with > 0.0
    rarity = np.zeros(len(sold))
    if sold.any():
        usual = weighted_orders_with[sold]
        rarity[sold] = np.round(np.log(usual.mean() / usual), 9)
    return rarity


def trend_of(
    orders_with: NDArray[np.int64], recent: NDArray[np.int64], *, orders: int, lately: int
) -> NDArray[np.float64]:
    """Log of each product's recent share of orders over its usual one.

    Args:
        orders_with: Orders that contain each product.
        recent: The sum of what those count, see `weigh_lately`.
        orders: How many orders there are.
        lately: The sum of what they count.
    """
    each = lately / max(orders, 1)
    # Two recent orders more or less say nothing about fashion.
    calm = max(2.0 * each, float(np.finfo(np.float64).tiny))
    odds: NDArray[np.float64] = (recent + calm) / (orders_with * each + calm)
    return np.round(np.log(odds), 9).astype(np.float64)


def _trend(baskets: Baskets, item_of_sku: NDArray[np.int64], orders_with: NDArray[np.int64]) -> NDArray[np.float64]:
    if baskets.times is None:
        return np.zeros(len(orders_with))
    lately = weigh_lately(baskets.times)
    recent = np.zeros(len(orders_with), dtype=np.int64)
    np.add.at(recent, item_of_sku[baskets.items], np.repeat(lately, baskets.sizes))
    return trend_of(orders_with, recent, orders=baskets.n_orders, lately=int(lately.sum()))


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0)


def _largest(values: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Positions of the `k` largest values; of equal values at the edge, those that stand first."""
    if len(values) <= k:
        return np.arange(len(values))
    bar = np.partition(values, -k)[-k]
    above = np.flatnonzero(values > bar)
    return np.concatenate([above, np.flatnonzero(values == bar)[: k - len(above)]])
