"""Baskets: what was bought together, as arrays, validated once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from reprlib import repr as shown
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from encore_recommender import columns, ids
from encore_recommender.columns import BadBaskets

if TYPE_CHECKING:
    from encore_recommender.reading.lines import Lines

__all__ = ["BadBaskets", "Baskets"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baskets:
    """Orders and their lines: orders oldest first, at most one line per order and product.

    Make one with `from_csv`, `from_parquet`, `from_arrow`, `from_dataframe` or `from_sql`, which look for the columns
    themselves, or with `from_rows` or `from_columns`; the constructor takes arrays that are already in shape. Orders
    with no known time keep the order in which they were first seen.
    """

    skus: tuple[str, ...]
    """The products, sorted; `items` points here."""
    start: NDArray[np.int64]
    """n_orders + 1 offsets: order i holds lines `start[i]:start[i + 1]`."""
    items: NDArray[np.int32]
    """Per line, the product; ascending within an order."""
    quantities: NDArray[np.int64]
    """Per line, units bought, at least 1."""
    upsell: NDArray[np.bool_]
    """Per line, true where only an offer sold it. Such lines never train."""
    times: NDArray[np.float64] | None = None
    """Per order, Unix seconds, not decreasing; None when no order has a time."""
    customers: NDArray[np.int32] | None = None
    """Per order, an index into `customer_refs`, -1 where unknown; None when none is known."""
    order_digests: NDArray[np.uint64] | None = None
    """Per order, `ids.digests` of its reference with seed 0, so that an order told twice is known; None in a matrix."""
    customer_refs: tuple[str, ...] = ()
    categories: Mapping[str, str] = field(default_factory=dict)
    """Category per SKU; may name products nobody bought yet, may be empty."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """Title per SKU, where known; products with nearly the same one are taken for substitutes of each other."""
    parents: Mapping[str, str] = field(default_factory=dict)
    """Parent product per SKU (a shirt of this size and colour -> the shirt), where known."""

    @property
    def n_orders(self) -> int:
        return len(self.start) - 1

    @property
    def n_lines(self) -> int:
        return len(self.items)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Lines per order."""
        return np.diff(self.start)

    @property
    def order_of_line(self) -> NDArray[np.int64]:
        """Per line, the order it belongs to."""
        return np.repeat(np.arange(self.n_orders), self.sizes)

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Sequence[Any]],
        *,
        categories: Mapping[str, str] | None = None,
        titles: Mapping[str, str] | None = None,
        parents: Mapping[str, str] | None = None,
    ) -> Baskets:
        """Build from lines `(order_ref, sku[, quantity[, customer_ref[, unix_time[, upsell]]]])`.

        Every row has the same length. See `from_columns` for what each column may hold.

        Raises:
            BadBaskets: Rows of different lengths, fewer than 2 or more than 6 columns, or a bad value.
        """
        rows = list(rows)
        for kind in set(map(type, rows)):
            if issubclass(kind, (str, bytes, Mapping, Set)) or not hasattr(kind, "__iter__"):
                row = next(i for i, row in enumerate(rows) if type(row) is kind)
                raise BadBaskets(f"row {row}: a row is a tuple (order_ref, sku, ...), not {shown(rows[row])}")
        try:
            cells = [list(column) for column in zip(*rows, strict=True)]
        except ValueError:
            raise BadBaskets("the rows do not all have the same number of columns") from None
        if not cells:
            cells = [[], []]
        if not 2 <= len(cells) <= 6:
            raise BadBaskets(f"a row has 2 to 6 columns, order_ref and sku first; these have {len(cells)}")
        names = ("quantities", "customers", "times", "upsell")
        optional: dict[str, Any] = dict(zip(names, cells[2:], strict=False))
        return cls.from_columns(cells[0], cells[1], categories=categories, titles=titles, parents=parents, **optional)

    @classmethod
    def from_columns(
        cls,
        order_refs: Sequence[str],
        skus: Sequence[str],
        *,
        quantities: Sequence[int] | NDArray[Any] | None = None,
        customers: Sequence[str | None] | None = None,
        times: Sequence[float | None] | NDArray[Any] | None = None,
        upsell: Sequence[bool] | NDArray[Any] | None = None,
        categories: Mapping[str, str] | None = None,
        titles: Mapping[str, str] | None = None,
        parents: Mapping[str, str] | None = None,
    ) -> Baskets:
        """Build from columns of one length, one entry per order line, in any order.

        Lines that repeat a product within an order are merged: quantities add up, and the line counts
        as an upsell only if every part of it was one. An order's time is that of its earliest line;
        where some orders have a time, an order without one counts as the oldest. Returns are not
        baskets: leave them out.

        Args:
            order_refs: The shop's order references, not empty.
            skus: Product references, not empty.
            quantities: Units, from 1 to MOST_UNITS; 1 where not given.
            customers: The shop's customer references; None, NaN or an empty text where unknown.
            times: Unix seconds, or None (or NaN) where unknown; or numpy dates, taken as UTC.
            upsell: True where the line was sold by an offer, False or None where not.
            categories: Category per SKU.
            titles: Title per SKU, where known.
            parents: Parent product per SKU, where known.

        Raises:
            BadBaskets: Columns of different lengths, or a value out of range, with its row number.
        """
        orders = columns.texts(order_refs, "order_ref")
        n = len(orders)
        refs, order = ids.encode_in_order_seen(orders)
        names, item = ids.encode(columns.texts(skus, "sku", n))
        units = columns.units(quantities, n)
        sold_by_offer = columns.flags(upsell, n)
        n_orders = int(order.max()) + 1 if n else 0
        order_times = _earliest(columns.seconds(times, n), order, n_orders)
        oldest_first = np.arange(n_orders) if order_times is None else np.argsort(order_times, kind="stable")
        rank = np.empty(n_orders, dtype=np.int64)
        rank[oldest_first] = np.arange(n_orders)

        key = rank[order] * max(len(names), 1) + item
        kept, first_line, line_of = np.unique(key, return_index=True, return_inverse=True)
        merged = np.zeros(len(kept), dtype=np.int64)
        np.add.at(merged, line_of, units)
        ordinary = np.bincount(line_of, weights=~sold_by_offer, minlength=len(kept)) > 0
        start = np.zeros(n_orders + 1, dtype=np.int64)
        np.cumsum(np.bincount(rank[order][first_line], minlength=n_orders), out=start[1:])
        customer_refs, customer_codes = _of_orders(columns.customers(customers, n), order, n_orders)
        return cls(
            skus=names,
            start=start,
            items=item[first_line],
            quantities=merged,
            upsell=~ordinary,
            times=None if order_times is None else order_times[oldest_first],
            customers=None if customer_codes is None else customer_codes[oldest_first],
            order_digests=ids.digests(refs, seed=0)[oldest_first],
            customer_refs=customer_refs,
            categories=columns.named(categories, "category"),
            titles=columns.named(titles, "title"),
            parents=columns.named(parents, "parent"),
        )

    @classmethod
    def from_matrix(cls, matrix: Any, *, skus: Sequence[str] | None = None) -> Baskets:
        """Build from a matrix of orders x products, oldest order first, as scikit-learn's tools pass it around.

        Any entry above 0 says that the order holds the product; how much above says nothing, quantities are 1.
        A row of zeros is no order.

        Args:
            matrix: Two-dimensional numpy array or scipy sparse array, entries at least 0.
            skus: One per column; the column's number, from "0", where not given.

        Raises:
            BadBaskets: Another shape, an entry below 0 or not a number, or not one SKU per column.
        """
        sparse = hasattr(matrix, "tocsr")
        entries: Any = matrix if sparse else np.asarray(matrix)
        if entries.ndim != 2:
            raise BadBaskets(f"a matrix has orders as rows and products as columns, not {entries.ndim} dimensions")
        if entries.dtype.kind not in "buif":
            raise BadBaskets(f"the entries of a matrix are numbers, not {entries.dtype}")
        names = [str(i) for i in range(entries.shape[1])] if skus is None else list(skus)
        if len(names) != entries.shape[1]:
            raise BadBaskets(f"{len(names)} skus for {entries.shape[1]} columns")
        if sparse:
            lines = entries.tocsr().tocoo()  # by way of CSR, because COO may hold an entry in parts
            order, item, values = lines.row, lines.col, lines.data
        else:
            order, item = np.nonzero(entries)
            values = entries[order, item]
        if not bool(np.all(np.isfinite(values) & (values >= 0))):
            raise BadBaskets("no entry of a matrix of orders is below 0, infinite or not a number; leave returns out")
        bought = values > 0
        found = cls.from_columns(list(map(str, order[bought].tolist())), [names[i] for i in item[bought].tolist()])
        return replace(found, order_digests=None)

    @classmethod
    def from_csv(cls, source: Any, **options: Any) -> Baskets:
        """Build from a CSV file; see `readers.read_csv` for the options, and for prices and the report beside.

        Like its siblings it leaves out returns and cancelled orders, and warns of rows it could not understand.

        Raises:
            Unreadable: The file is no order history or, with `strict=True`, has a bad row.
            OSError: It cannot be read.
        """
        from encore_recommender.reading.readers import read_csv

        return cls.from_lines(read_csv(source, **options).told())

    @classmethod
    def from_parquet(cls, path: Any, **options: Any) -> Baskets:
        """Build from a Parquet file or a folder of them; see `readers.read_parquet` and `from_csv`."""
        from encore_recommender.reading.readers import read_parquet

        return cls.from_lines(read_parquet(path, **options).told())

    @classmethod
    def from_arrow(cls, table: Any, **options: Any) -> Baskets:
        """Build from a pyarrow Table or anything with an Arrow stream; see `readers.read_arrow` and `from_csv`."""
        from encore_recommender.reading.readers import read_arrow

        return cls.from_lines(read_arrow(table, **options).told())

    @classmethod
    def from_dataframe(cls, frame: Any, **options: Any) -> Baskets:
        """Build from a DataFrame of pandas, polars or another kind; see `readers.read_dataframe` and `from_csv`."""
        from encore_recommender.reading.readers import read_dataframe

        return cls.from_lines(read_dataframe(frame, **options).told())

    @classmethod
    def from_sql(cls, rows: Any, **options: Any) -> Baskets:
        """Build from a DB-API cursor or any iterable of rows; see `readers.read_sql` and `from_csv`."""
        from encore_recommender.reading.readers import read_sql

        return cls.from_lines(read_sql(rows, **options).told())

    @classmethod
    def from_lines(cls, lines: Lines) -> Baskets:
        """Build from what a reader gave; its report and its prices stay with it."""
        return cls.from_columns(
            lines.order_refs,
            lines.skus,
            quantities=lines.quantities,
            customers=lines.customers,
            times=lines.times,
            upsell=lines.upsell,
            categories=lines.categories,
            titles=lines.titles,
            parents=lines.parents,
        )

    def take(self, orders: NDArray[Any]) -> Baskets:
        """The chosen orders, in the order given; `orders` holds indices or one flag per order."""
        chosen = np.flatnonzero(orders) if orders.dtype == np.bool_ else orders.astype(np.int64)
        sizes = self.sizes[chosen]
        start = np.zeros(len(chosen) + 1, dtype=np.int64)
        np.cumsum(sizes, out=start[1:])
        lines = np.repeat(self.start[chosen] - start[:-1], sizes) + np.arange(start[-1])
        return self._with_lines(start, lines, chosen)

    def without_upsell(self) -> Baskets:
        """The same orders without the lines an offer sold; an order left empty is dropped.

        Without this the recommender would learn from its own offers and praise them more each night.
        """
        if not self.upsell.any():
            return self
        kept = np.flatnonzero(~self.upsell)
        sizes = np.bincount(self.order_of_line[kept], minlength=self.n_orders)
        filled = np.flatnonzero(sizes)
        start = np.zeros(len(filled) + 1, dtype=np.int64)
        np.cumsum(sizes[filled], out=start[1:])
        return self._with_lines(start, kept, filled)

    def skus_of(self, order: int) -> list[str]:
        """The products of one order, sorted."""
        return [self.skus[item] for item in self.items[self.start[order] : self.start[order + 1]].tolist()]

    def _with_lines(self, start: NDArray[np.int64], lines: NDArray[Any], orders: NDArray[Any]) -> Baskets:
        return Baskets(
            skus=self.skus,
            start=start,
            items=self.items[lines],
            quantities=self.quantities[lines],
            upsell=self.upsell[lines],
            times=None if self.times is None else self.times[orders],
            customers=None if self.customers is None else self.customers[orders],
            order_digests=None if self.order_digests is None else self.order_digests[orders],
            customer_refs=self.customer_refs,
            categories=self.categories,
            titles=self.titles,
            parents=self.parents,
        )


def _earliest(
    seconds: NDArray[np.float64] | None, order: NDArray[np.int32], n_orders: int
) -> NDArray[np.float64] | None:
    """Per order, the time of its earliest line; the oldest of all where it has none."""
    if seconds is None or np.isnan(seconds).all():
        return None
    earliest = np.full(n_orders, np.inf)
    known = ~np.isnan(seconds)
    np.minimum.at(earliest, order[known], seconds[known])
    earliest[np.isinf(earliest)] = seconds[known].min()
    return earliest


def _of_orders(
    customers: dict[int, str], order: NDArray[np.int32], n_orders: int
) -> tuple[tuple[str, ...], NDArray[np.int32] | None]:
    """The customers and, per order, who the first line that names one names."""
    if not customers:
        return (), None
    refs, codes = ids.encode(list(customers.values()))
    lines = np.fromiter(customers, dtype=np.int64, count=len(customers))
    per_order = np.full(n_orders, -1, dtype=np.int32)
    per_order[order[lines][::-1]] = codes[::-1]
    return refs, per_order
