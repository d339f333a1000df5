"""Order lines in files too large to read: cells understood as the readers do, lines numbered, all on the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import numpy as np

from encore_recommender.baskets import Baskets
from encore_recommender.engines.databases import FileEngine
from encore_recommender.reading import cells, headers
from encore_recommender.reading.cells import BadCell, NoSale
from encore_recommender.reading.headers import Unreadable

#: Said of products, not of lines.
DESCRIBED = ("category", "title", "parent")

#: The fields of `headers.FIELDS` that are read.
FIELDS_READ = ("order", "sku", "quantity", "upsell", "time", "customer", *DESCRIBED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What the files hold."""

    rows: int
    kept: int
    """Rows that are sold lines."""
    left_out: Mapping[str, int]
    """Rows by reason; a row with two reasons counts under both."""
    columns: Mapping[str, str]
    """Field -> the header it was read from."""
    has_times: bool
    skus: tuple[str, ...]
    """Sorted; a product's number is its place here."""
    described: Mapping[str, Mapping[str, str]]
    """`category`, `title`, `parent`: the most frequent one per SKU, where known."""


def open_files(engine: FileEngine, paths: Sequence[str], *, columns: Mapping[str, str] | None = None) -> Opened:
    """Make the table `lines` from CSV or Parquet files, without reading them into memory.

    Each distinct SKU, quantity and upsell cell is understood once, as `readers` do. Orders and times are too many
    for that: an order is any value that is not NULL, a time that cannot be read is unknown, and rows are not left
    out for what titles, prices or a status column say.

    Args:
        engine: Reads the files where it runs.
        paths: All CSV with a header, or all Parquet.
        columns: Field -> header, where `headers.matched` would guess wrong.

    Raises:
        Unreadable: A required column is missing, or no row is a sold line.
    """
    names = engine.columns_of(paths)
    at = headers.matched(names, columns, source=str(paths[0]))
    fields = {field: names[place] for field, place in at.items() if field in FIELDS_READ}
    engine.show("cells", paths, fields)
    parsers = cells.parsers(zone=UTC, day_first=False, not_products=frozenset())
    left_out: Counter[str] = Counter()

    def understood(field: str) -> tuple[list[str], list[Any]]:
        found = engine.fetch(f"SELECT {field} AS cell, COUNT(*) AS n FROM cells GROUP BY {field}")
        return _understood(field, parsers[field], found["cell"].tolist(), found["n"].tolist(), left_out)

    texts, refs = understood("sku")
    skus = sorted(set(refs))
    number = {sku: product for product, sku in enumerate(skus)}
    engine.load("skus", {"cell": np.array(texts, dtype=object), "product": np.array([number[ref] for ref in refs])})
    join, where, upsell = "JOIN skus ON skus.cell = cells.sku", "cells.order_id IS NOT NULL", "0"
    if "quantity" in fields:
        texts, _ = understood("quantity")
        engine.load("quantities", {"cell": np.array(texts, dtype=object)})
        join += " JOIN quantities ON quantities.cell = cells.quantity"
    if "upsell" in fields:
        texts, flags = understood("upsell")
        engine.load("upsells", {"cell": np.array(texts, dtype=object), "flag": np.array(flags, dtype=np.int64)})
        join += " LEFT JOIN upsells ON upsells.cell = cells.upsell"
        where += " AND (cells.upsell IS NULL OR upsells.cell IS NOT NULL)"
        upsell = "COALESCE(upsells.flag, 0)"
    placed_at = "cells.placed_at" if "time" in fields else "CAST(NULL AS DOUBLE)"
    engine.view(
        "lines",
        f"SELECT cells.order_id, skus.product, {upsell} AS upsell, {placed_at} AS placed_at"
        f" FROM cells {join} WHERE {where}",
    )
    rows = int(engine.fetch("SELECT COUNT(*) AS n FROM cells")["n"][0])
    found = engine.fetch("SELECT COUNT(*) AS n, COUNT(placed_at) AS timed FROM lines")
    kept, timed = int(found["n"][0]), int(found["timed"][0])
    if not kept:
        raise Unreadable(f"none of the {rows:,} rows of {paths[0]} is a sold line{_first(left_out)}")
    return Opened(
        rows=rows,
        kept=kept,
        left_out=dict(left_out.most_common()),
        columns=fields,
        has_times=timed > 0,
        skus=tuple(skus),
        described={field: _described(engine, field) if field in fields else {} for field in DESCRIBED},
    )


def newest(engine: FileEngine, opened: Opened, *, orders: int, max_lines: int) -> Baskets:
    """The newest orders that count, to tune on; those with the largest references where there are no times.

    Args:
        engine: After `counts.count`.
        opened: What was opened there.
        orders: So many at most.
        max_lines: Longer ones do not count.
    """
    engine.view(
        "newest",
        f"SELECT order_id FROM orders WHERE size <= {max_lines} ORDER BY placed_at DESC, order_id DESC LIMIT {orders}",
    )
    customer = "cells.customer" if "customer" in opened.columns else "CAST(NULL AS INT)"
    found = engine.fetch(
        "SELECT baskets.order_id, baskets.product, orders.placed_at FROM baskets"
        " JOIN newest ON newest.order_id = baskets.order_id JOIN orders ON orders.order_id = baskets.order_id"
        " ORDER BY orders.placed_at, baskets.order_id, baskets.product"
    )
    whose = engine.fetch(
        f"SELECT cells.order_id, MIN({customer}) AS customer FROM cells"
        f" JOIN newest ON newest.order_id = cells.order_id WHERE {customer} IS NOT NULL GROUP BY cells.order_id"
    )
    customers = dict(zip(whose["order_id"].tolist(), map(str, whose["customer"].tolist()), strict=True))
    refs = found["order_id"].tolist()
    return Baskets.from_columns(
        list(map(str, refs)),
        [opened.skus[product] for product in found["product"].tolist()],
        customers=[customers.get(ref) for ref in refs],
        times=found["placed_at"] if opened.has_times else None,
    )


def _understood(
    field: str, parse: Callable[[object], Any], distinct: list[Any], rows: list[int], left_out: Counter[str]
) -> tuple[list[str], list[Any]]:
    """The cells that say something and what they say; the others are counted by reason."""
    texts, values = [], []
    for cell, n in zip(distinct, rows, strict=True):
        try:
            value = parse(cell)
        except NoSale as reason:
            left_out[str(reason)] += n
        except BadCell as problem:
            left_out[f"{field} {problem}"] += n
        else:
            if cell is not None:
                texts.append(cell)
                values.append(value)
    return texts, values


def _described(engine: FileEngine, field: str) -> dict[str, str]:
    found = engine.fetch(
        f"SELECT sku, {field}, COUNT(*) AS n FROM cells"
        f" WHERE {field} IS NOT NULL AND sku IS NOT NULL GROUP BY sku, {field} ORDER BY n, {field} DESC"
    )
    # The last one stands: the most frequent, of equal ones the first by name.
    named = {sku.strip(): " ".join(text.split()) for sku, text in zip(found["sku"], found[field], strict=True)}
    return {sku: text for sku, text in named.items() if text}


def _first(left_out: Counter[str]) -> str:
    return f" ({left_out.most_common(1)[0][0]})" if left_out else ""
