"""What one cell of an order export may hold: references, quantities, prices and times, as people write them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Set
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

Parse = Callable[[object], Any]
"""From a cell (None where missing) to its value; None for one that may be blank and is."""

#: A shop's history lies between these years; anything else is a slip of the keyboard or of a spreadsheet.
EARLIEST_YEAR, LATEST_YEAR = 1990, 2100
_EARLIEST, _LATEST = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (EARLIEST_YEAR, LATEST_YEAR + 1))

#: Longer references are not references but a column gone wrong.
LONGEST_REF = 500

#: More units than anyone sells in one line.
MOST_UNITS = 1_000_000_000

#: A number above this is no month.
MONTHS = 12

#: Bookkeeping lines that shop systems keep among the sales, by SKU or by whole title, folded.
NOT_PRODUCTS: Mapping[str, str] = {
    **dict.fromkeys(("post", "dot", "postage", "dotcom postage", "carriage", "shipping", "delivery"), "postage"),
    **dict.fromkeys(("bank charges", "amazonfee", "amazon fee", "cruk", "cruk commission"), "bank charge or fee"),
    **dict.fromkeys(("manual", "adjust bad debt", "adjustment", "discount", "samples"), "manual adjustment"),
    "tip": "tip",
    "none": "no product",
}

#: Orders in these states were not bought after all; folded, without what stands before the last "wc-".
NOT_SOLD = frozenset({"cancelled", "canceled", "refunded", "returned", "voided", "failed", "expired", "trash"})

_NO_VALUE = frozenset({"", "null", "none", "nan", "n/a", "\\n"})
_YES, _NO = frozenset({"1", "true", "yes", "y", "t"}), frozenset({"0", "false", "no", "n", "f"})

#: The cancellation of invoice 536365 is numbered C536365.
_CANCELLED_INVOICE = re.compile(r"[Cc]\d+\Z")
#: Plain digits only: "1e9" and "1_000" are numbers to Python and mistakes in an export.
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?\Z")
#: "£1,234.50", "1.234,50 EUR", "12,90": digits with what may part them, a sign and a currency around.
_PRICE = re.compile(r"[^\d.,+-]{0,4}([+-]?)[^\d.,+-]{0,4}(\d[\d.,' \u00a0\u202f]*)[^\d.,+-]{0,4}\Z")
_SPACE_BEFORE_OFFSET = re.compile(r"\s+(?=(?:[+-]\d\d:?\d\d|Z)\Z)")
_SLASHED = re.compile(
    r"(\d{1,2})([/.])(\d{1,2})[/.](\d{4})(?:,?[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([AaPp])\.?[Mm]\.?)?)?\Z"
)


class BadCell(Exception):
    """The cell cannot be understood; the message says what is wrong, after the column's name."""


class NoSale(Exception):
    """The cell is understood and says that the row is no sale; the message says of what kind."""


def parsers(*, zone: tzinfo, day_first: bool, not_products: Set[str]) -> dict[str, Parse]:
    """One per field of `headers.FIELDS`.

    Args:
        zone: Of times that name none.
        day_first: Whether 1/2/2011 is 1 February.
        not_products: Folded SKUs and titles that are no products of this shop.
    """

    def product(cell: object) -> str:
        ref = reference(cell)
        _refuse_bookkeeping(ref, not_products)
        return ref

    def title(cell: object) -> str | None:
        text = optional_text(cell)
        _refuse_bookkeeping(text or "", not_products)
        return text

    return {
        "order": order,
        "sku": product,
        "quantity": quantity,
        "customer": lambda cell: None if _blank(cell) else reference(cell),
        "time": lambda cell: math.nan if _blank(cell) else unix_time(cell, zone=zone, day_first=day_first),
        "unit_price": unit_price,
        "category": optional_text,
        "title": title,
        "parent": optional_text,
        "upsell": yes_or_no,
        "status": status,
    }


def folded(text: str) -> str:
    """For comparing names: without case and surrounding space."""
    return text.strip().casefold()


def shown(cell: object, longest: int = 60) -> str:
    """A cell for a message, quoted, control characters escaped, cut where it is long."""
    text = repr(cell)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def reference(cell: object) -> str:
    """An order, product or customer reference."""
    text = _text(cell)
    if not text:
        raise BadCell("is blank")
    if len(text) > LONGEST_REF:
        raise BadCell(f"is longer than {LONGEST_REF} characters")
    return text


def order(cell: object) -> str:
    ref = reference(cell)
    if _CANCELLED_INVOICE.match(ref):
        raise NoSale("cancelled invoice")
    return ref


def quantity(cell: object) -> int:
    """Units sold; what is sold by weight counts up to the next whole unit."""
    text = _text(cell).replace(",", ".")
    if not text:
        raise BadCell("is blank")
    if not _NUMBER.match(text):
        raise BadCell("is not a number")
    units = float(text)
    if units <= 0:
        raise NoSale("quantity below zero, a return" if units < 0 else "quantity is zero")
    if units > MOST_UNITS:
        raise BadCell("is larger than any order")
    return math.ceil(units)


def unit_price(cell: object) -> float | None:
    if _blank(cell):
        return None
    price = _amount(_text(cell))
    if price <= 0:
        raise NoSale("price is zero" if price == 0 else "price below zero")
    return price


def optional_text(cell: object) -> str | None:
    return None if _blank(cell) else " ".join(_text(cell).split())


def yes_or_no(cell: object) -> bool:
    text = "" if _blank(cell) else folded(_text(cell))
    if text and text not in _YES | _NO:
        raise BadCell("is neither yes nor no")
    return text in _YES


def status(cell: object) -> str | None:
    if _blank(cell):
        return None
    text = folded(_text(cell)).removeprefix("wc-")
    if text in NOT_SOLD:
        raise NoSale(f"order {text}")
    return text


def unix_time(cell: object, *, zone: tzinfo, day_first: bool) -> float:
    """Seconds since 1970 of a date, a time, a number or what a text says."""
    if isinstance(cell, date):
        return _seconds(cell if isinstance(cell, datetime) else datetime.combine(cell, time()), zone)
    text = _text(cell)
    if _NUMBER.match(text):
        # Seconds, or milli-, micro- or nanoseconds: the years allowed tell which.
        number = float(text)
        for unit in (1.0, 1e3, 1e6, 1e9):
            if _EARLIEST <= number / unit < _LATEST:
                return number / unit
    slashed = _SLASHED.match(text)
    try:
        moment = _from_slashes(slashed, day_first) if slashed else _from_iso(text)
    except ValueError:
        raise BadCell("is not a time; write it like 2011-12-01 08:26:00") from None
    return _seconds(moment, zone)


def day_comes_first(cells: Iterable[object]) -> tuple[bool | None, str]:
    """Whether 1/2/2011 means 1 February: told by the dates that can be read in one way only.

    Returns:
        True, False, or None where they say nothing or contradict each other; and a date in doubt, empty without one.
    """
    doubtful = ""
    days: set[bool] = set()
    for cell in cells:
        found = _SLASHED.match(cell.strip()) if isinstance(cell, str) else None
        if found and found[2] == "/":
            doubtful = doubtful or found[0]
            first, second = int(found[1]) > MONTHS, int(found[3]) > MONTHS
            if first is not second:
                days.add(first)
    return (days.pop() if len(days) == 1 else None), doubtful


def _text(cell: object) -> str:
    """A reference or number as text; 536365.0 is what tables make of 536365 beside a blank."""
    if isinstance(cell, str):
        if not cell.isascii() and any("\ud800" <= character <= "\udfff" for character in cell):
            raise BadCell("holds half a character")
        return cell.strip()
    if _blank(cell):
        return ""
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace").strip()
    if isinstance(cell, (list, tuple, dict, set)):
        raise BadCell("is not a single value")
    try:
        if not isinstance(cell, bool) and cell == int(cell):  # type: ignore[call-overload]
            return str(int(cell))  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        pass
    return str(cell)


def _blank(cell: object) -> bool:
    if isinstance(cell, str):
        return folded(cell) in _NO_VALUE
    try:
        return cell is None or bool(cell != cell)  # NaN and NaT differ from themselves
    except TypeError:  # pandas' NA will not say
        return True


def _refuse_bookkeeping(text: str, not_products: Set[str]) -> None:
    name = folded(text)
    if name in NOT_PRODUCTS:
        raise NoSale(NOT_PRODUCTS[name])
    if name in not_products:
        raise NoSale("named as no product")


def _amount(text: str) -> float:
    found = _PRICE.match(text)
    if not found:
        raise BadCell("is not an amount; write it like 12.90")
    digits = re.sub(r"[' \u00a0\u202f]", "", found[2])
    marks = [mark for mark in digits if mark in ".,"]
    # The last of two different marks parts the cents; a lone comma does so unless three digits follow it.
    decimal = marks[-1] if marks and (len(set(marks)) == 2 or len(marks) == 1) else ""
    if marks == [","] and re.search(r",\d{3}\Z", digits):
        raise BadCell("can be thousands or a fraction; write it like 1234.50")
    for mark in set(marks) - {decimal}:
        digits = digits.replace(mark, "")
    number = digits.replace(decimal, ".") if decimal else digits
    if not _NUMBER.match(number.rstrip(".")):
        raise BadCell("is not an amount; write it like 12.90")
    return float(f"{found[1]}{number}")


def _from_slashes(found: re.Match[str], day_first: bool) -> datetime:
    one, two, year = int(found[1]), int(found[3]), int(found[4])
    hour, minute, second = (int(part or 0) for part in found.group(5, 6, 7))
    if found[8]:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if found[8] in "Pp" else 0)
    day, month = (two, one) if found[2] == "/" and not day_first else (one, two)
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 (the caller knows the zone)


def _from_iso(text: str) -> datetime:
    return datetime.fromisoformat(_SPACE_BEFORE_OFFSET.sub("", text.removesuffix(" UTC")))


def _seconds(moment: datetime, zone: tzinfo) -> float:
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise BadCell(f"is not between the years {EARLIEST_YEAR} and {LATEST_YEAR}")
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
