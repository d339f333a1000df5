"""What the last fit's dense scores said of the pairs worth keeping, for lists made anew between two fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encore_recommender.blending import DENSE, Pairs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseScores:
    """Pairs of the products of one fit that took part in its dense matrix; all other pairs of these score 0."""

    skus: tuple[str, ...]
    """The products, best-seller of that fit first."""
    start: NDArray[np.int64]
    """Per product, where its pairs begin; one more for the end."""
    columns: NDArray[np.int32]
    """Numbers in `skus`, ascending within a product."""
    values: NDArray[np.float32]
    """Names in `blending.DENSE` x pairs."""

    @classmethod
    def of(cls, pairs: Pairs, skus: Sequence[str]) -> DenseScores:
        """Those of the first products, the `skus`."""
        n = len(skus)
        rows = np.repeat(np.arange(len(pairs.start) - 1), np.diff(pairs.start))
        values = np.stack([pairs.scores[name] for name in DENSE])
        kept = (rows < n) & (pairs.columns < n) & values.any(axis=0)
        return cls(
            skus=tuple(skus),
            start=np.searchsorted(rows[kept], np.arange(n + 1)),
            columns=pairs.columns[kept].astype(np.int32),
            values=values[:, kept].astype(np.float32),
        )

    @classmethod
    def none(cls) -> DenseScores:
        """Of no fit: nothing is known of any pair."""
        return cls(
            skus=(),
            start=np.zeros(1, dtype=np.int64),
            columns=np.zeros(0, dtype=np.int32),
            values=np.zeros((len(DENSE), 0), dtype=np.float32),
        )

    def seen_from(self, skus: Sequence[str]) -> list[DenseView]:
        """One view per score, by the rows of a model with other products or another order of them."""
        mine = {sku: i for i, sku in enumerate(self.skus)}
        number = np.fromiter((mine.get(sku, -1) for sku in skus), dtype=np.int64, count=len(skus))
        return [DenseView(number=number, scores=self, values=values) for values in self.values]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseView:
    """Stands in for a dense matrix: `view[row, columns]` are its scores, NaN where the fit knew nothing of a pair."""

    number: NDArray[np.int64]
    """Per product of the model, its number in `scores.skus`, -1 where it has none."""
    scores: DenseScores
    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.number)

    def __getitem__(self, pair: tuple[int, NDArray[np.int64]]) -> NDArray[Any]:
        row, columns = int(self.number[pair[0]]), self.number[pair[1]]
        if row < 0:
            return np.full(len(columns), np.nan)
        low, high = int(self.scores.start[row]), int(self.scores.start[row + 1])
        kept = self.scores.columns[low:high]
        told = np.where(columns < 0, np.nan, 0.0)
        at = np.searchsorted(kept, columns)
        at[at == len(kept)] = 0
        found = kept[at] == columns if len(kept) else np.zeros(len(columns), dtype=np.bool_)
        told[found] = self.values[low:high][at[found]]
        return told
