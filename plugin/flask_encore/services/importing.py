"""Reads a merchant's products and order history from CSV files.

A file is read to its end before anything is kept, so a broken file changes nothing. Every row that is left out is
counted with its reason; the first ones are listed with their line numbers.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Protocol

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money
from flask_encore.domain.orders import Product, checked_quantity, checked_ref, checked_title
from flask_encore.services.csv_files import Columns, Problems, Progress, Table, Tally, read_table

#: Rows handed to the store at a time, about: large enough for speed, small enough for a smooth progress bar.
BATCH = 10_000

#: A shop's history lies between these years; anything else is a slip of the keyboard or of a spreadsheet.
EARLIEST_YEAR, LATEST_YEAR = 1990, 2100
#: A number above this is no month.
MONTHS = 12

PRODUCT_COLUMNS = Columns(
    aliases={
        "sku": ("stock_code", "product_id", "item_id", "variant_sku", "article", "id"),
        "title": ("name", "description", "product", "product_name", "item"),
        "price": ("unit_price", "variant_price", "amount"),
        "currency": ("currency_code",),
        "stock": ("quantity", "inventory", "on_hand", "variant_inventory_qty"),
        "category": ("product_type", "type", "department"),
        "image_url": ("image", "picture", "image_src"),
        "cost": ("cost_price", "unit_cost", "cost_per_item"),
        "active": ("enabled", "published", "available"),
        "parent": ("parent_sku", "parent_id", "item_group_id", "handle"),
        "options": ("variant_options",),
        # Not compare_at_price: any former price may stand there, and the law asks for the lowest of 30 days.
        "was": ("lowest_price_30_days",),
    },
    required=frozenset({"sku", "title", "price"}),
    families={"option": "options"},
)
ORDER_COLUMNS = Columns(
    aliases={
        "order_id": ("order_ref", "order", "order_number", "invoice_no", "invoice", "transaction", "basket_id"),
        "customer_id": ("customer_ref", "customer", "user_id", "member_number", "client_id"),
        "timestamp": ("placed_at", "invoice_date", "order_date", "date_time", "datetime", "created_at", "date", "time"),
        "sku": ("stock_code", "product_id", "item_id", "lineitem_sku", "article"),
        "title": ("description", "name", "product_name", "lineitem_name", "item", "product"),
        "quantity": ("qty", "lineitem_quantity", "count", "units"),
        "unit_price": ("price", "lineitem_price", "item_price"),
        "category": ("product_type", "department"),
    },
    required=frozenset({"order_id", "sku"}),
)

#: order_ref, sku, Unix time or None, customer_ref or None, quantity, unit price in minor units or None, currency:
#: the columns of `store.history.add`.
HistoryRow = tuple[str, str, float | None, str | None, int, int | None, str]

#: Bookkeeping lines that shop systems keep among the sales, by SKU or by whole title, compared in lower case.
_NOT_PRODUCTS = {
    **dict.fromkeys(("post", "dot", "postage", "dotcom postage", "carriage", "shipping", "delivery"), "postage"),
    **dict.fromkeys(("bank charges", "amazonfee", "amazon fee", "cruk", "cruk commission"), "bank charge or fee"),
    **dict.fromkeys(("manual", "adjust bad debt", "adjustment", "discount", "samples"), "manual adjustment"),
}

#: The cancellation of invoice 536365 is numbered C536365.
_CANCELLED_INVOICE = re.compile(r"[Cc]\d+\Z")
#: Plain digits only: "1e9", "Infinity" and "1_000" are numbers to Python and mistakes in a price list.
_AMOUNT = re.compile(r"[+-]?\d{1,12}(\.\d{1,12})?\Z")
#: "6", and the "6.0" that spreadsheets make of it.
_WHOLE = re.compile(r"([+-]?\d{1,12})(\.0*)?\Z")
_UNIX_TIME = re.compile(r"\d{9,10}(\.\d+)?\Z")
_SPACE_BEFORE_OFFSET = re.compile(r"\s+(?=[+-]\d\d:?\d\d\Z)")
_SLASHED_DATE = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?\Z")
_YES = frozenset({"", "1", "true", "yes", "y", "active"})
_NO = frozenset({"0", "false", "no", "n", "inactive"})


class _BadRow(Exception):
    """The row cannot be understood; the message says why."""


class _DayOrderUnknown(Exception):
    """A date like 1/2/2011 was met; the whole file has to be looked at to know which is the day."""


class _NotASale(Exception):
    """The row is understood and is no sale; the message is the reason it is counted under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFile:
    """The products of a file, in its order, each SKU once."""

    products: list[Product]
    problems: Problems


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFile:
    """The order lines of a file.

    Attributes:
        rows: One `HistoryRow` per order and product, quantities added up, at the first line's price and time; the
            lines of one order stand together, orders in the file's order.
        titles: SKU -> its most frequent title; a SKU that never had one is its own title.
        categories: SKU -> its most frequent category; SKUs without one are absent.
    """

    rows: list[HistoryRow]
    titles: dict[str, str]
    categories: dict[str, str]
    problems: Problems

    @property
    def orders(self) -> int:
        """Number of distinct orders."""
        return len({row[0] for row in self.rows})


class HistorySink(Protocol):
    """Where order lines are kept, one per order and product."""

    def add(self, rows: Sequence[HistoryRow]) -> object:
        """Put every order of *rows* in place of what was kept of it. All lines of an order come in one call."""
        ...


def read_products(path: Path, *, currency: str, progress: Progress | None = None) -> ProductFile:
    """Read a product file. Prices are in *currency* unless the file has a currency column.

    Raises:
        InvalidInput: When the file cannot be read as a table, lacks a required column, or holds no usable product.
    """
    Money(0, currency)

    def consume(table: Table) -> ProductFile:
        tally = Tally(table)
        products: dict[str, Product] = {}
        lines: dict[str, int] = {}
        for line, fields in table.rows:
            tally.rows += 1
            try:
                cells = _cells(table, fields)
                product = _product(cells, _options(table, fields, cells), currency, table.delimiter)
                if product.sku in products:
                    raise _BadRow(f"SKU {product.sku} was already in line {lines[product.sku]}.")
            except (_BadRow, InvalidInput) as error:
                tally.reject(line, str(error))
            else:
                products[product.sku] = product
                lines[product.sku] = line
        return ProductFile(products=list(products.values()), problems=tally.done(kept=len(products), what="product"))

    return read_table(path, PRODUCT_COLUMNS, consume, progress=progress)


def read_orders(path: Path, *, currency: str, zone: tzinfo = UTC, progress: Progress | None = None) -> OrderFile:
    """Read an order history: one line per product bought. Times without an offset are in *zone*.

    Raises:
        InvalidInput: When the file cannot be read as a table, lacks a required column, or holds no usable line.
    """
    Money(0, currency)

    def read(day_first: bool | None) -> OrderFile:
        return read_table(
            path, ORDER_COLUMNS, lambda table: _orders(table, currency, zone, day_first), progress=progress
        )

    try:
        return read(None)
    except _DayOrderUnknown:
        return read(read_table(path, ORDER_COLUMNS, _day_first))


def store_orders(file: OrderFile, sink: HistorySink, *, progress: Progress | None = None) -> int:
    """Hand the lines to *sink* in batches of whole orders; how many lines that were.

    Importing the same file twice changes nothing. The caller owns the transaction: all of it or none of it.
    """
    batch: list[HistoryRow] = []
    done = 0
    for _order_ref, lines in groupby(file.rows, key=itemgetter(0)):
        batch.extend(lines)
        if len(batch) >= BATCH:
            sink.add(batch)
            done += len(batch)
            batch = []
            if progress is not None:
                progress(done / len(file.rows))
    if batch:
        sink.add(batch)
    if progress is not None:
        progress(1.0)
    return done + len(batch)


def _cells(table: Table, fields: Sequence[str]) -> dict[str, str]:
    if len(fields) != table.width:
        raise _BadRow(f"has {len(fields)} fields, the header has {table.width}.")
    return {column: fields[position].strip() for column, position in table.index.items()}


def _options(table: Table, fields: Sequence[str], cells: Mapping[str, str]) -> dict[str, str]:
    """What tells the variant from its siblings: the columns ``option:…`` in the file's order, then ``options``."""
    named = {name: fields[position].strip() for name, position in table.members.get("options", {}).items()}
    options = {name: value for name, value in named.items() if value}
    told = cells.get("options", "")
    for part in filter(None, (part.strip() for part in told.split(";"))):
        name, equals, value = (side.strip() for side in part.partition("="))
        if not (name and equals and value):
            raise _BadRow(f"options {told!r} cannot be read; write them like Size=L;Colour=Blue.")
        if options.setdefault(name, value) != value:
            raise _BadRow(f"option {name!r} is both {options[name]!r} and {value!r}.")
    return options


def _product(cells: Mapping[str, str], options: Mapping[str, str], currency: str, delimiter: str) -> Product:
    code = cells.get("currency") or currency
    stock, cost = cells.get("stock", ""), cells.get("cost", "")
    active = cells.get("active", "").lower()
    if active not in _YES | _NO:
        raise _BadRow(f"active {active!r} is neither yes nor no.")
    price = _amount("price", cells["price"], code, delimiter)
    if price.minor_units < 0:
        raise _BadRow(f"price {cells['price']!r} is negative.")
    was = _amount("was", cells["was"], code, delimiter) if cells.get("was") else None
    if was is not None and was.minor_units < 0:
        raise _BadRow(f"was {cells['was']!r} is negative.")
    return Product(
        sku=cells["sku"],
        title=cells["title"],
        price=price,
        stock=_whole("stock", stock) if stock else None,
        category=cells.get("category") or None,
        image_url=cells.get("image_url") or None,
        cost=_amount("cost", cost, code, delimiter) if cost else None,
        active=active in _YES,
        parent=cells.get("parent") or None,
        options=options,
        # Shops that keep the lowest price of 30 days keep it for all; where it is not above, nothing is reduced.
        was=was if was is not None and price < was else None,
    )


def _amount(column: str, text: str, currency: str, delimiter: str) -> Money:
    if delimiter == ";" and "." not in text:
        text = text.replace(",", ".")  # countries that separate fields with ; write 12,90
    if not _AMOUNT.match(text):
        raise _BadRow(f"{column} {text!r} is not an amount; write it like 12.90." if text else f"{column} is blank.")
    return Money.parse(text, currency)


def _whole(column: str, text: str) -> int:
    found = _WHOLE.match(text)
    if not found:
        raise _BadRow(f"{column} {text!r} is not a whole number." if text else f"{column} is blank.")
    return int(found[1])


def _orders(table: Table, currency: str, zone: tzinfo, day_first: bool | None) -> OrderFile:
    tally = Tally(table)
    read = _LineReader(table, currency, zone, day_first)
    orders: defaultdict[str, dict[str, HistoryRow]] = defaultdict(dict)
    titles: Counter[tuple[str, str]] = Counter()
    categories: Counter[tuple[str, str]] = Counter()
    for line, fields in table.rows:
        tally.rows += 1
        try:
            row, title, category = read(fields)
        except _NotASale as reason:
            tally.not_sales[str(reason)] += 1
        except (_BadRow, InvalidInput) as error:
            tally.reject(line, str(error))
        else:
            order_ref, sku = row[:2]
            known = orders[order_ref].get(sku)
            if known is None:
                orders[order_ref][sku] = row
            else:
                orders[order_ref][sku] = (*known[:4], known[4] + row[4], *known[5:])
                tally.merged += 1
            titles[sku, title or sku] += 1
            if category:
                categories[sku, category] += 1
    rows = [row for lines in orders.values() for row in lines.values()]
    for name, position in (("timestamp", 2), ("customer_id", 3), ("unit_price", 5)):
        if name in table.index:
            tally.blank[name] = sum(row[position] is None for row in rows)
    return OrderFile(
        rows=rows,
        titles=_most_frequent(titles),
        categories=_most_frequent(categories),
        problems=tally.done(kept=len(rows) + tally.merged, what="sale"),
    )


class _LineReader:
    """Reads one row of an order history. What was read once is remembered: half a million rows repeat themselves."""

    def __init__(self, table: Table, currency: str, zone: tzinfo, day_first: bool | None) -> None:
        # A blank is appended to each row, and a column the file does not have is that blank.
        self._pick = itemgetter(*(table.index.get(column, -1) for column in ORDER_COLUMNS.aliases))
        self._width = table.width
        self._currency = Money(0, currency).currency
        self._order = cache(lambda text: checked_ref("order_id", text.strip()))
        self._sku = cache(lambda text: checked_ref("sku", text.strip()))
        self._customer = cache(lambda text: checked_ref("customer_id", text.strip()) if text.strip() else None)
        self._title = cache(lambda text: checked_title(text) if text.strip() else "")
        self._quantity = cache(lambda text: _whole("quantity", text.strip()) if "quantity" in table.index else 1)
        self._price = cache(
            lambda text: (
                _amount("unit_price", text.strip(), currency, table.delimiter).minor_units if text.strip() else None
            )
        )
        self._time = cache(lambda text: _unix_time(text.strip(), zone, day_first) if text.strip() else None)
        self._kind = cache(lambda text: _NOT_PRODUCTS.get(text.strip().lower()))

    def __call__(self, fields: list[str]) -> tuple[HistoryRow, str, str]:
        """The row, its title and its category; both may be empty."""
        if len(fields) != self._width:
            raise _BadRow(f"has {len(fields)} fields, the header has {self._width}.")
        fields.append("")
        order_id, customer_id, timestamp, sku, title, quantity, unit_price, category = self._pick(fields)
        bookkeeping = self._kind(sku) or self._kind(title)
        if bookkeeping:
            raise _NotASale(bookkeeping)
        order_ref, pieces, price = self._order(order_id), self._quantity(quantity), self._price(unit_price)
        if pieces < 0:
            raise _NotASale("cancelled invoice" if _CANCELLED_INVOICE.match(order_ref) else "quantity below zero")
        if pieces == 0:
            raise _NotASale("quantity is zero")
        if price is not None and price <= 0:
            raise _NotASale("price is zero" if price == 0 else "price below zero")
        row = (
            order_ref,
            self._sku(sku),
            self._time(timestamp),
            self._customer(customer_id),
            checked_quantity(pieces),
            price,
            self._currency,
        )
        return row, self._title(title), self._title(category)


def _unix_time(text: str, zone: tzinfo, day_first: bool | None) -> float:
    slashed = _SLASHED_DATE.match(text)
    try:
        if _UNIX_TIME.match(text):
            moment = datetime.fromtimestamp(float(text), UTC)
        elif slashed:
            if day_first is None and "/" in text:
                raise _DayOrderUnknown
            one, two, year, hour, minute, second = (int(part or 0) for part in slashed.groups())
            day, month = (two, one) if "/" in text and not day_first else (one, two)
            moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        else:
            moment = datetime.fromisoformat(_SPACE_BEFORE_OFFSET.sub("", text))
    except (ValueError, OverflowError, OSError):
        raise _BadRow(f"timestamp {text!r} is not a time; write it like 2011-12-01 08:26:00.") from None
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise _BadRow(f"timestamp {text!r} is not between {EARLIEST_YEAR} and {LATEST_YEAR}.")
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _day_first(table: Table) -> bool:
    """Whether the file's 1/2/2011 means 1 February: told by the dates that can be read in one way only."""
    position = table.index["timestamp"]
    doubtful: tuple[int, str] | None = None
    days: set[bool] = set()
    for line, fields in table.rows:
        found = _SLASHED_DATE.match(fields[position].strip()) if position < len(fields) else None
        if found and "/" in found[0]:
            doubtful = doubtful or (line, found[0])
            if (int(found[1]) > MONTHS) is not (int(found[2]) > MONTHS):
                days.add(int(found[1]) > MONTHS)
    if len(days) != 1 and doubtful:
        raise InvalidInput(
            f"{table.file}, line {doubtful[0]}: {doubtful[1]!r} can be read as day/month or month/day, and the other "
            "dates do not settle it; write dates like 2011-12-01 08:26:00."
        )
    return days.pop()


def _most_frequent(counts: Mapping[tuple[str, str], int]) -> dict[str, str]:
    """SKU -> its most frequent text; of equally frequent ones the first in the file."""
    best: dict[str, tuple[int, str]] = {}
    for (sku, text), count in counts.items():
        if count > best.get(sku, (0, ""))[0]:
            best[sku] = (count, text)
    return {sku: text for sku, (_count, text) in best.items()}
