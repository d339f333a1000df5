"""Pairs of products that stand in one order, by sorting: numpy alone, in runs that fit the processor's caches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLines:
    """Order lines from both sides: the products of an order, and the orders of a product."""

    start: NDArray[Any]
    """n_orders + 1 offsets: order i holds lines `start[i]:start[i + 1]`."""
    items: NDArray[np.int32]
    """Per line, the product."""
    orders: NDArray[np.int32]
    """Product by product, the orders that contain it, ascending."""
    lines: NDArray[np.int32] | None
    """Product by product, its lines; None where pairs are counted in both directions."""
    start_of_item: NDArray[np.int64]
    """n_items + 1 offsets into `orders` and `lines`."""
    pairs_before: NDArray[np.int64]
    """n_items + 1: how many pairs the products before it make with those of their orders."""

    @classmethod
    def of(cls, start: NDArray[np.int64], items: NDArray[np.int32], n_items: int, *, once: bool = False) -> OrderLines:
        """Sort lines by product.

        Args:
            start: See above.
            items: See above; each product once in an order.
            n_items: Products.
            once: Count each pair once, in the row of its lower product, instead of in both rows; then products
                ascend within an order.
        """
        narrow = start.astype(np.int32 if len(items) < 2**31 else np.int64)
        entries = np.arange(len(items), dtype=narrow.dtype) if once else np.ones(len(items), dtype=np.int8)
        by_item = sparse.csr_array((entries, items, narrow), shape=(len(narrow) - 1, n_items)).T.tocsr()
        found = cls(
            start=narrow,
            items=items,
            orders=by_item.indices.astype(np.int32, copy=False),
            lines=by_item.data if once else None,
            start_of_item=by_item.indptr.astype(np.int64),
            pairs_before=np.zeros(n_items + 1, dtype=np.int64),
        )
        sold = np.flatnonzero(np.diff(found.start_of_item))
        if len(sold):
            _, lengths = found._partners(0, len(items))
            found.pairs_before[sold + 1] = np.add.reduceat(lengths, found.start_of_item[sold], dtype=np.int64)
            np.cumsum(found.pairs_before, out=found.pairs_before)
        return found

    @property
    def column_bits(self) -> int:
        """Bits of a product number in `counted`."""
        return max(len(self.pairs_before) - 2, 1).bit_length()

    def counted(
        self, first: int, last: int, *, weights: Sequence[NDArray[np.int64]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], list[NDArray[np.int64]]]:
        """Count the pairs of the products `first` to `last - 1`.

        Every line is laid out with every partner as one number: product, partner, order. Sorted, equal pairs stand
        side by side.

        Returns:
            (Product - first) << `column_bits` | partner, ascending, a product with itself among them unless each
            pair is counted `once`; orders with both; and per entry of `weights` the sum of those orders' weights.

        Raises:
            OverflowError: There are too many products and orders for 64 bits.
        """
        for_column = self.column_bits
        for_order = max(len(self.start) - 2, 1).bit_length() if weights else 0
        bits = for_column + for_order + max(last - first - 1, 1).bit_length()
        if bits > 64:
            raise OverflowError("too many products and orders to count in one go: count on an engine instead")
        # The narrower the numbers, the faster they are sorted.
        dtype = np.dtype(np.uint32 if bits <= 32 else np.uint64)
        pair = self._laid_out(first, last, for_column, for_order, dtype)
        pair.sort()
        key: NDArray[Any] = pair >> for_order if weights else pair
        begins = np.ones(len(key), dtype=np.bool_)
        np.not_equal(key[1:], key[:-1], out=begins[1:])
        at = np.flatnonzero(begins)
        order = (pair & ((1 << for_order) - 1)).astype(np.int64) if weights else at
        sums = [np.add.reduceat(weight[order], at) if len(at) else at for weight in weights]
        return key[at].astype(np.int64), np.diff(at, append=len(pair)), sums

    def _laid_out(self, first: int, last: int, for_column: int, for_order: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Product, partner and order of every pair in one number, in no order.

        Lines of one length make a rectangle, which is filled by broadcasting: no index for each single pair.
        """
        low, high = int(self.start_of_item[first]), int(self.start_of_item[last])
        begin, lengths = self._partners(low, high)
        rows = np.repeat(np.arange(last - first, dtype=dtype), np.diff(self.start_of_item[first : last + 1]))
        head = rows << (for_column + for_order)
        if for_order:
            head |= self.orders[low:high].astype(dtype)
        by_length = np.argsort(
            lengths.astype(np.uint16 if lengths.max(initial=0) < 1 << 16 else np.int64), kind="stable"
        )
        begin, head = begin[by_length, None], head[by_length, None]
        lines_of_length = np.bincount(lengths)
        pair = np.empty(int(self.pairs_before[last] - self.pairs_before[first]), dtype=dtype)
        line, done = int(lines_of_length[:1].sum()), 0
        for length in (1 + np.flatnonzero(lines_of_length[1:])).tolist():
            lines = slice(line, line + int(lines_of_length[length]))
            block = pair[done : done + length * (lines.stop - line)].reshape(-1, length)
            block[...] = self.items[begin[lines] + np.arange(length, dtype=begin.dtype)]
            if for_order:
                block <<= for_order
            block |= head[lines]
            line, done = lines.stop, done + block.size
        return pair

    def _partners(self, low: int, high: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Where the partners of some lines, by product, begin in `items`, and how many there are."""
        orders = self.orders[low:high]
        begin = self.start[orders] if self.lines is None else self.lines[low:high] + 1
        return begin, self.start[1:][orders] - begin


def spans(begin: NDArray[Any], lengths: NDArray[Any]) -> NDArray[Any]:
    """The positions of several spans, end to end."""
    dtype = begin.dtype
    positions = np.repeat(begin - (np.cumsum(lengths, dtype=dtype) - lengths.astype(dtype)), lengths)
    positions += np.arange(len(positions), dtype=dtype)
    return positions


def runs(before: NDArray[np.int64], at_once: int) -> list[tuple[int, int]]:
    """Cut rows into runs, first and one past the last, that hold so much at most where one row holds no more.

    Args:
        before: n + 1 sums: what the rows before each hold.
        at_once: What a run may hold.
    """
    found: list[tuple[int, int]] = []
    first = 0
    while first < len(before) - 1:
        last = max(int(np.searchsorted(before, before[first] + at_once, side="right")) - 1, first + 1)
        found.append((first, last))
        first = last
    return found
