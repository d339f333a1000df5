"""Every table on screen as a file: CSV and JSON of what the present address shows, all of it and not one page of it.

A page names its tables and asks `offered` first::

    answer = offered(Table(name="pairs", columns=[Column("sku", "SKU"), …], rows=…))
    if answer is not None:
        return answer

and its template puts ``{{ download_links("pairs") }}`` under the table. The files are written by `services.exporting`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from itertools import chain, islice
from typing import Any

from flask import Response, request
from werkzeug.datastructures import Headers

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money
from flask_encore.services import exporting
from flask_encore.services.exporting import Format
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import message

#: What can be asked for, and as what it is sent.
_SENT_AS = {Format.CSV: "text/csv; charset=utf-8", Format.JSON: "application/json"}

REFUSAL = "There is no such download"

#: It stands in an address, in a file's name and in a header; so it needs no quoting anywhere.
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        key: What a row, and the JSON file, calls it.
        title: What the CSV file calls it.
        money: Its values are `Money` or ``None``. They become three columns: exact decimal text under *key*, whole
            minor units under ``<key>_minor``, and the currency under ``<key>_currency``.
    """

    key: str
    title: str
    money: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What one table of a page is made of.

    Attributes:
        name: Its name in the address and in the file's: lower-case words with hyphens.
        rows: Read one by one while the file is sent, after the view has answered: a generator keeps a table of any
            length out of memory, opens what it needs itself, and must not ask for the request. It is closed at the end,
            also when nobody waits for the end. Values are text, numbers, `Money`, dates, times (one without a zone is
            the shop's), ``None``, or lists and objects of them.
    """

    name: str
    columns: Sequence[Column]
    rows: Iterable[Mapping[str, Any]]

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise InvalidInput(f"A table's name is of lower-case words with hyphens, got {self.name!r}.")


def offered(*tables: Table) -> Response | None:
    """The download that the address asks for; ``None`` to go on with the page.

    ``?download=csv&table=pairs`` is a file of the table *pairs*, ``&bom=1`` one that begins with a byte order mark, for
    Excel. What is not offered is a page that says so.
    """
    asked = request.args.get("download")
    if asked is None:
        return None
    table = next((one for one in tables if one.name == request.args.get("table")), None)
    format = next((one for one in _SENT_AS if one.value == asked), None)
    if table is None or format is None:
        return message(404, REFUSAL, "This page offers CSV and JSON, by the links under its tables.")
    try:
        pieces = _pieces(table, format, bom=request.args.get("bom") == "1")
    except InvalidInput as refusal:
        return message(400, REFUSAL, str(refusal))
    return _sent(table, format, pieces)


def _pieces(table: Table, format: Format, *, bom: bool) -> Iterator[bytes]:
    zone = state().runtime.settings.zone
    each = (_told(row, table.columns, zone) for row in table.rows)
    return (piece for _, piece in exporting.written(each, _head(table.columns), format=format, bom=bom))


def _sent(table: Table, format: Format, pieces: Iterator[bytes]) -> Response:
    rt = state().runtime
    begin: list[bytes] = []
    try:
        if request.method != "HEAD":
            # The head and the first rows, while a database that is away can still be told on a page.
            begin = list(islice(pieces, 2))
    except BaseException:
        _close(table.rows)
        raise
    name = f"encore-{table.name}-{rt.clock().astimezone(rt.settings.zone).date().isoformat()}.{format}"
    headers = Headers({"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"})
    response = Response(chain(begin, pieces), headers=headers, content_type=_SENT_AS[format])
    response.call_on_close(lambda: _close(table.rows))
    return response


def _close(rows: object) -> None:
    """Whoever leaves in the middle leaves nothing open."""
    close = getattr(rows, "close", None)
    if close is not None:
        close()


def _head(columns: Sequence[Column]) -> dict[str, str]:
    head: dict[str, str] = {}
    for column in columns:
        head[column.key] = column.title
        if column.money:
            head[f"{column.key}_minor"] = f"{column.title}, minor units"
            head[f"{column.key}_currency"] = f"{column.title}, currency"
    return head


def _told(row: Mapping[str, Any], columns: Sequence[Column], zone: tzinfo) -> dict[str, Any]:
    """One row in JSON values, every key of `_head` in it."""
    told: dict[str, Any] = {}
    for column in columns:
        value = row[column.key]
        if column.money:
            told[column.key] = None if value is None else str(value.decimal)
            told[f"{column.key}_minor"] = None if value is None else value.minor_units
            told[f"{column.key}_currency"] = None if value is None else value.currency
        else:
            told[column.key] = _value(value, zone)
    return told


def _value(value: Any, zone: tzinfo) -> Any:
    match value:
        case Money():
            raise TypeError("An amount needs a column with money=True: decimal text alone does not say its currency.")
        case datetime():
            return exporting.moment(value if value.tzinfo is not None else value.replace(tzinfo=zone), zone)
        case date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case Mapping():
            return {str(key): _value(one, zone) for key, one in value.items()}
        case str() | int() | float() | None:
            return value
        case Iterable():
            return [_value(one, zone) for one in value]
    raise TypeError(f"{type(value).__name__} has no place in a file; say it as text or as a number.")
