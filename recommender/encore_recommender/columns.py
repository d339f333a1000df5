"""Columns of order lines as shops hand them over: checked, and said what is wrong with which row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set, Sized
from reprlib import repr as shown
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: More units in one line are a slip of the keyboard; and sums of lines stay far from the end of 64 bits.
MOST_UNITS = 1_000_000_000

#: The years 1 to 9999 in Unix seconds. Milliseconds and nanoseconds of our days lie beyond.
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_800


class BadBaskets(ValueError):
    """The order lines cannot be made into baskets."""


def texts(column: Any, name: str, n: int | None = None) -> list[str]:
    """References, none of them empty; numpy's texts and enumerations of texts become plain ones."""
    values = _listed(column, name, n)
    kinds = set(map(type, values))
    if kinds != {str} and all(issubclass(kind, str) for kind in kinds):
        values, kinds = list(map(str.__str__, values)), {str}
    # Each distinct text is looked at once.
    if kinds <= {str} and all(map(_is_text, set(values))):
        return values
    row = next(i for i, value in enumerate(values) if not _is_text(value))
    wanted = "valid Unicode" if type(values[row]) is str and values[row] else "a text that is not empty"
    raise BadBaskets(f"row {row}: {name} must be {wanted}, not {shown(values[row])}")


def units(column: Any, n: int) -> NDArray[np.int64]:
    """Quantities, from 1 to MOST_UNITS; 1 where there is no column."""
    if column is None:
        return np.ones(n, dtype=np.int64)
    values = _array(column, "quantity", n)
    if n and values.dtype.kind not in "iu":
        raise BadBaskets(f"quantities must be whole numbers, not {values.dtype}")
    for row in np.flatnonzero((values < 1) | (values > MOST_UNITS)).tolist():
        wanted, advice = ("at least 1", "; leave returns out") if values[row] < 1 else (f"at most {MOST_UNITS:,}", "")
        raise BadBaskets(f"row {row}: quantity must be {wanted}, not {values[row]}{advice}")
    return values.astype(np.int64)


def flags(column: Any, n: int) -> NDArray[np.bool_]:
    """True or False, where None, 0 and no column say False. A text is refused: the word "no" would be true."""
    if column is None:
        return np.zeros(n, dtype=np.bool_)
    values = _listed(column, "upsell", n)
    if not set(map(type, values)) <= {bool}:
        for row, value in enumerate(values):
            if value is not None and not (isinstance(value, int) and value in (0, 1)):
                raise BadBaskets(f"row {row}: upsell must be True, False or None, not {shown(value)}")
    return np.fromiter(map(bool, values), dtype=np.bool_, count=n)


def seconds(column: Any, n: int) -> NDArray[np.float64] | None:
    """Unix seconds, NaN where unknown; numpy's dates are taken as UTC."""
    if column is None:
        return None
    values = _array(column, "time", n)
    try:
        if values.dtype.kind == "M":
            values = (values - np.datetime64(0, "s")) / np.timedelta64(1, "s")
        if values.dtype.kind == "c":
            raise TypeError
        values = values.astype(np.float64)  # None becomes NaN
    except (TypeError, ValueError):
        raise BadBaskets("times must be Unix seconds, or None where unknown") from None
    for row in np.flatnonzero(np.isinf(values)).tolist():
        raise BadBaskets(f"row {row}: time must be finite")
    for row in np.flatnonzero((values < FIRST_SECOND) | (values >= LAST_SECOND)).tolist():
        raise BadBaskets(f"row {row}: time {values[row]:g} is not within the years 1 to 9999; Unix time is in seconds")
    return values


def customers(column: Any, n: int) -> dict[int, str]:
    """Who bought, by row; rows of unknown customers are absent."""
    if column is None:
        return {}
    known: dict[int, str] = {}
    for row, value in enumerate(_listed(column, "customer", n)):
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            continue  # pandas puts NaN where nothing is known
        if not isinstance(value, str) or not _is_text(str.__str__(value)):
            raise BadBaskets(f"row {row}: customer must be a text, or None where unknown, not {shown(value)}")
        known[row] = str.__str__(value)
    return known


def named(names: Mapping[str, str] | None, what: str) -> dict[str, str]:
    """A text per SKU, where known."""
    if names is None:
        return {}
    if not isinstance(names, Mapping):
        raise BadBaskets(f"a {what} is looked up by SKU; {shown(names)} is no mapping")
    for sku, name in names.items():
        if not _is_text(sku) or not _is_text(name):
            raise BadBaskets(f"the {what} of {shown(sku)} must be a text that is not empty, not {shown(name)}")
    return dict(names)


def _listed(column: Any, name: str, n: int | None) -> list[Any]:
    """One plain value per order line."""
    if isinstance(column, (str, bytes, Mapping, Set)) or not hasattr(column, "__iter__"):
        raise BadBaskets(f"the {name} column has one entry per order line; {shown(column)} is no such column")
    values: list[Any] = column.tolist() if hasattr(column, "tolist") else list(column)
    _check_length(values, name, n)
    return values


def _array(column: Any, name: str, n: int) -> NDArray[Any]:
    """The same for numbers, without a detour where it is an array already."""
    listed = column if hasattr(column, "__array__") else _listed(column, name, n)
    try:
        values = np.asarray(listed)
    except ValueError:  # lists of different lengths
        raise BadBaskets(f"the {name} column has one entry per order line, not several") from None
    if values.ndim != 1:
        raise BadBaskets(f"the {name} column has one entry per order line, not {values.ndim} dimensions")
    _check_length(values, name, n)
    return values


def _check_length(values: Sized, name: str, n: int | None) -> None:
    if n is not None and len(values) != n:
        raise BadBaskets(f"the {name} column has {len(values)} entries, order_ref has {n}")


def _is_text(value: object) -> bool:
    """Not empty and nothing that UTF-8 cannot say: half a surrogate pair would stop a model from being saved."""
    if type(value) is not str or not value:
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False
