"""From columns of cells to sold lines, with an account of every row left out.

Knows nothing of files (`readers`) or of orders (`baskets`). Each distinct cell is understood once, so half a
million rows cost little more than their distinct values.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encore_recommender.reading import cells
from encore_recommender.reading.cells import BadCell, NoSale, Parse
from encore_recommender.reading.headers import Unreadable

#: Of each kind of row left out so many are named; all are counted.
EXAMPLES = 5


class RowsLeftOut(UserWarning):
    """Rows of an order history could not be understood; the message counts and names them."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of a source, each distinct cell once."""

    values: Sequence[object]
    """The distinct cells."""
    codes: NDArray[np.int64]
    """Per row, an index into `values`; -1 where the cell is missing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """What a reader found, not yet understood."""

    name: str
    row_word: str
    """What a row's number counts: `line` of a file, or `row`."""
    headers: Mapping[str, str]
    """Field -> the header it was read from."""
    columns: Mapping[str, Column]
    """Field -> its column; all of one length."""
    numbers: NDArray[np.int64]
    """Per row, its number."""
    broken: Sequence[tuple[int, str, str]] = ()
    """Rows that are none: number, kind, detail."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Rows left out for one reason."""

    reason: str
    rows: int
    examples: tuple[str, ...]
    """The first few, each with its number and what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """What became of every row: `rows == kept + bad_rows + no_sale_rows`."""

    source: str
    rows: int
    """Without the header and blank lines."""
    kept: int
    columns: Mapping[str, str]
    """Field -> the header it was read from."""
    bad: tuple[LeftOut, ...]
    """Rows that could not be understood, the most frequent reason first."""
    no_sale: tuple[LeftOut, ...]
    """Rows understood and left out: returns, cancelled orders, postage, write-offs."""
    notes: tuple[str, ...]
    """What was assumed to read it, a sentence each."""

    @property
    def bad_rows(self) -> int:
        return sum(kind.rows for kind in self.bad)

    @property
    def no_sale_rows(self) -> int:
        return sum(kind.rows for kind in self.no_sale)

    def sentences(self) -> list[str]:
        """For a terminal, most important first; one line when all is well."""
        told = [f"{self.source}: {self.kept:,} of {_rows(self.rows)} kept."]
        told += self.notes
        told += [f"{_rows(kind.rows)} left out, no sale: {kind.reason}." for kind in self.no_sale]
        for kind in self.bad:
            told.append(f"{_rows(kind.rows)} could not be used: {kind.reason}.")
            told += [f"  {example}" for example in kind.examples]
            if kind.rows > len(kind.examples):
                told.append(f"  … and {kind.rows - len(kind.examples):,} more")
        return told

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""

        def plain(kinds: Iterable[LeftOut]) -> list[dict[str, Any]]:
            return [{"reason": k.reason, "rows": k.rows, "examples": list(k.examples)} for k in kinds]

        return {
            "source": self.source,
            "rows": self.rows,
            "kept": self.kept,
            "columns": dict(self.columns),
            "bad": plain(self.bad),
            "no_sale": plain(self.no_sale),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """Sold lines, column by column, ready for `Baskets.from_lines`, and what else the source told."""

    order_refs: list[str]
    skus: list[str]
    quantities: NDArray[np.int64] | None
    customers: list[str | None] | None
    times: NDArray[np.float64] | None
    """Unix seconds, NaN where unknown."""
    upsell: NDArray[np.bool_] | None
    categories: Mapping[str, str]
    titles: Mapping[str, str]
    parents: Mapping[str, str]
    prices: Mapping[str, float]
    """Mean unit price per SKU over its lines, where known. Baskets have none: prices only weigh results."""
    report: ReadReport

    def told(self) -> Lines:
        """Itself, after a `RowsLeftOut` warning where a row could not be understood."""
        if self.report.bad_rows:
            warnings.warn("\n".join(self.report.sentences()), RowsLeftOut, stacklevel=3)
        return self


def understood(
    source: Source,
    *,
    zone: tzinfo = UTC,
    day_first: bool | None = None,
    not_products: Collection[str] = (),
    strict: bool = False,
) -> Lines:
    """The sold lines of a source.

    Args:
        source: What a reader found.
        zone: Of times that name none.
        day_first: Whether 1/2/2011 is 1 February; None to let the other dates settle it.
        not_products: SKUs or titles to leave out, besides postage, fees and the like.
        strict: Refuse the source for its first bad row.

    Raises:
        Unreadable: `strict` and a row is bad, no row is left of some, or slashed dates settle nothing.
    """
    parsers = cells.parsers(
        zone=zone, day_first=_settled(source, day_first), not_products=frozenset(map(cells.folded, not_products))
    )
    understood = {name: _Understood(name, parsers[name], column) for name, column in source.columns.items()}
    verdicts = _Verdicts(source, understood)
    report = verdicts.report()
    if strict and report.bad:
        first = verdicts.first_bad()
        raise Unreadable(f"{source.name}, {first}; nothing was read (strict)")
    if report.rows and not report.kept:
        kinds = (*report.bad, *report.no_sale)
        why = f" ({kinds[0].reason}: {kinds[0].examples[0]})" if kinds else ""
        raise Unreadable(f"{source.name}: none of its {_rows(report.rows)} is a sale{why}")
    kept = verdicts.kept

    def cells_of(name: str) -> list[Any] | None:
        return understood[name].of(kept).tolist() if name in understood else None

    quantities, times, upsell = cells_of("quantity"), cells_of("time"), cells_of("upsell")
    return Lines(
        order_refs=cells_of("order") or [],
        skus=cells_of("sku") or [],
        quantities=None if quantities is None else np.array(quantities, dtype=np.int64),
        customers=cells_of("customer"),
        times=None if times is None else np.array(times, dtype=np.float64),
        upsell=None if upsell is None else np.array(upsell, dtype=np.bool_),
        categories=_most_frequent(understood, "category", kept),
        titles=_most_frequent(understood, "title", kept),
        parents=_most_frequent(understood, "parent", kept),
        prices=_mean_prices(understood, kept),
        report=report,
    )


class _Understood:
    """A column with each distinct cell understood: a value, or a reason to leave its rows out."""

    def __init__(self, name: str, parse: Parse, column: Column) -> None:
        self.column = column
        self.raw = [*column.values, None]  # a code of -1 is the last one: missing
        self.values = np.empty(len(self.raw), dtype=object)
        self.bad: dict[int, str] = {}
        self.no_sale: dict[int, str] = {}
        for code, cell in enumerate(self.raw):
            try:
                self.values[code] = parse(cell)
            except NoSale as reason:
                self.no_sale[code] = str(reason)
            except BadCell as problem:
                self.bad[code] = f"{name} {problem}"
        self.name = name

    def of(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        return self.values[self.column.codes[rows]]


class _Verdicts:
    """Per row, kept or the reason it is not; a reason of no sale goes before one of a bad cell."""

    def __init__(self, source: Source, columns: Mapping[str, _Understood]) -> None:
        self._source = source
        self._columns = columns
        n = len(source.numbers)
        #: Reasons by number from 1: the reason, whether the row is bad, and the column that says what it holds.
        self._reasons: list[tuple[str, bool, _Understood]] = []
        self._of_row = np.zeros(n, dtype=np.int64)
        for bad in (False, True):
            for column in columns.values():
                codes = self._number(column, bad=bad)
                if codes is not None:
                    found = codes[column.column.codes]
                    if not bad and column.name == "status":
                        found = _inherited(found, column, columns["order"].column)
                    self._of_row = np.where(self._of_row == 0, found, self._of_row)
        self.kept: NDArray[np.int64] = np.flatnonzero(self._of_row == 0)

    def report(self) -> ReadReport:
        bad, no_sale = Counter[str](), Counter[str]()
        shown: dict[str, list[str]] = {}
        for number, (reason, is_bad, column) in enumerate(self._reasons, start=1):
            rows = np.flatnonzero(self._of_row == number)
            if len(rows):
                (bad if is_bad else no_sale)[reason] += len(rows)
                shown.setdefault(reason, []).extend(self._named(row, column) for row in rows[:EXAMPLES].tolist())
        for at, kind, detail in self._source.broken:
            bad[kind] += 1
            shown.setdefault(kind, []).append(f"{self._source.row_word} {at}: {detail}")
        return ReadReport(
            source=self._source.name,
            rows=len(self._of_row) + len(self._source.broken),
            kept=len(self.kept),
            columns=dict(self._source.headers),
            bad=_kinds(bad, shown),
            no_sale=_kinds(no_sale, shown),
            notes=self._source.notes,
        )

    def first_bad(self) -> str:
        """Number, kind and cell of the first bad row; there is one."""
        named = [(at, f"{self._source.row_word} {at}: {kind} ({detail})") for at, kind, detail in self._source.broken]
        for number, (reason, is_bad, column) in enumerate(self._reasons, start=1):
            rows = np.flatnonzero(self._of_row == number)
            if is_bad and len(rows):
                row = int(rows[0])
                at = int(self._source.numbers[row])
                named.append((at, f"{self._source.row_word} {at}: {reason} ({self._cell(row, column)})"))
        return min(named)[1]

    def _number(self, column: _Understood, *, bad: bool) -> NDArray[np.int64] | None:
        """Per distinct cell, the number of its reason; None when the column has none."""
        reasons = column.bad if bad else column.no_sale
        if not reasons:
            return None
        codes = np.zeros(len(column.raw), dtype=np.int64)
        numbered: dict[str, int] = {}
        for code, reason in reasons.items():
            if reason not in numbered:
                self._reasons.append((reason, bad, column))
                numbered[reason] = len(self._reasons)
            codes[code] = numbered[reason]
        return codes

    def _named(self, row: int, column: _Understood) -> str:
        return f"{self._source.row_word} {self._source.numbers[row]}: {self._cell(row, column)}"

    def _cell(self, row: int, column: _Understood) -> str:
        return cells.shown(column.raw[column.column.codes[row]])


@dataclass(slots=True)
class Growing:
    """A `Column` in the making."""

    index: _Index = field(default_factory=lambda: _Index())
    parts: list[NDArray[np.int64]] = field(default_factory=list)

    def extend(self, cells: Sequence[object]) -> None:
        """Append rows.

        Raises:
            TypeError: A cell is a list or the like.
        """
        self.parts.append(np.fromiter(map(self.index.__getitem__, cells), dtype=np.int64, count=len(cells)))

    def done(self) -> Column:
        codes = np.concatenate(self.parts) if self.parts else np.zeros(0, dtype=np.int64)
        return Column(list(self.index), codes)


class _Index(dict[object, int]):
    """Numbers whatever it is asked for by first appearance."""

    def __missing__(self, key: object) -> int:
        self[key] = number = len(self)
        return number


def _inherited(found: NDArray[np.int64], status: _Understood, order: Column) -> NDArray[np.int64]:
    """A line without a status has that of its order's first line with one: exports say it once per order."""
    silent = [code not in status.no_sale and value is None for code, value in enumerate(status.values.tolist())]
    blank = np.array(silent)[status.column.codes]
    said = np.flatnonzero(~blank)[::-1]
    of_order = np.zeros(len(order.values) + 1, dtype=np.int64)
    of_order[order.codes[said]] = found[said]
    return np.where(blank, of_order[order.codes], found)


def _settled(source: Source, day_first: bool | None) -> bool:
    """Whether 1/2/2011 is 1 February in this source."""
    if day_first is not None or "time" not in source.columns:
        return bool(day_first)
    found, doubtful = cells.day_comes_first(source.columns["time"].values)
    if found is None and doubtful:
        raise Unreadable(
            f"{source.name}: {cells.shown(doubtful)} can be day/month or month/day, and the other dates do not settle "
            "it; say day_first=True or False, on the command line --day-first or --month-first"
        )
    return bool(found)


def _most_frequent(columns: Mapping[str, _Understood], name: str, kept: NDArray[np.int64]) -> dict[str, str]:
    """SKU -> its most frequent text; of equally frequent ones the first in the source."""
    if not _says_anything(columns, name):
        return {}
    sku, text = columns["sku"], columns[name]
    pairs = sku.column.codes[kept] * len(text.raw) + text.column.codes[kept] % len(text.raw)
    seen, first, counts = np.unique(pairs, return_index=True, return_counts=True)
    totals: Counter[tuple[str, str]] = Counter()
    for pair, count in zip(seen[np.argsort(first)].tolist(), counts[np.argsort(first)].tolist(), strict=True):
        value = text.values[pair % len(text.raw)]
        if value is not None:
            totals[sku.values[pair // len(text.raw)], value] += count
    best: dict[str, str] = {}
    for (product, value), _ in totals.most_common():
        best.setdefault(product, value)
    return best


def _mean_prices(columns: Mapping[str, _Understood], kept: NDArray[np.int64]) -> dict[str, float]:
    if not _says_anything(columns, "unit_price"):
        return {}
    sku = columns["sku"]
    prices = columns["unit_price"].of(kept).astype(np.float64)  # None becomes NaN
    known = np.isfinite(prices)
    of_line = sku.column.codes[kept[known]]
    sums, counts = np.bincount(of_line, weights=prices[known]), np.bincount(of_line)
    totals: dict[str, tuple[float, int]] = {}
    for code in np.flatnonzero(counts).tolist():  # two cells may be one SKU, but for a space
        total, lines = totals.get(sku.values[code], (0.0, 0))
        totals[sku.values[code]] = (total + float(sums[code]), lines + int(counts[code]))
    return {product: total / lines for product, (total, lines) in totals.items()}


def _says_anything(columns: Mapping[str, _Understood], name: str) -> bool:
    return name in columns and any(value is not None for value in columns[name].values.tolist())


def _kinds(counts: Counter[str], shown: Mapping[str, list[str]]) -> tuple[LeftOut, ...]:
    return tuple(
        LeftOut(reason=reason, rows=rows, examples=tuple(shown[reason][:EXAMPLES]))
        for reason, rows in counts.most_common()
    )


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
