"""Reading the values of a rule from JSON that anybody may have written."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money
from flask_encore.domain.orders import checked_ref

#: A condition may list so many values; a longer list is a category, a tag, or a mistake.
MAX_VALUES = 500

#: An amount as text: nineteen digits, a point and a sign, with room to spare.
MAX_DIGITS = 40


def plainly(field: str) -> Callable[[str], str]:
    """How a value of *field* is written in a rule and compared; most as they are, to the letter."""
    return _PLAIN.get(field, str)


_PLAIN: Mapping[str, Callable[[str], str]] = {
    "currency": str.lower,
    "country": str.upper,
    "locale": lambda tag: tag.replace("_", "-").lower(),
    "discount_code": str.casefold,  # nobody's shop tells SPRING10 and spring10 apart
}
_SHAPE: Mapping[str, tuple[re.Pattern[str], str]] = {
    "currency": (re.compile(r"[A-Za-z]{3}\Z"), "a three-letter code such as 'gbp'"),
    "country": (re.compile(r"[A-Za-z]{2}\Z"), "a two-letter code such as 'GB'"),
    "locale": (re.compile(r"[A-Za-z0-9]{1,8}([-_][A-Za-z0-9]{1,8})*\Z"), "a language tag such as 'de' or 'de-AT'"),
}


def values_of(field: str, values: Any) -> tuple[str, ...]:
    """Texts of a list, each once, in the order given and in the form they are compared in."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidInput(f"{field} needs a list of texts, got {short(values)}.")
    given = list(values)
    if not 1 <= len(given) <= MAX_VALUES:
        raise InvalidInput(f"{field} needs a list of 1 to {MAX_VALUES} texts, got {len(given)}.")
    shape, wanted = _SHAPE.get(field, (None, ""))
    for value in given:
        checked_ref(field, value)
        if shape is not None and not shape.match(value):
            raise InvalidInput(f"{field} has to be {wanted}, got {short(value)}.")
    return tuple(dict.fromkeys(checked_ref(field, plainly(field)(value)) for value in given))


def fields_of(value: Any, *names: str) -> dict[str, Any]:
    """An object of these fields and no other."""
    if not isinstance(value, Mapping):
        raise InvalidInput(f"needs an object with {', '.join(names)}, got {short(value)}.")
    for name in value:
        if name not in names:
            raise InvalidInput(f"does not know {short(name)}; it knows {', '.join(names)}.")
    return dict(value)


def listed(value: Any) -> tuple[str, ...]:
    """A list; what is in it is looked at by `values_of`."""
    if not isinstance(value, list | tuple):
        raise InvalidInput(f"needs a list of texts, got {short(value)}.")
    return tuple(value)


def amount(name: str, value: Any, currency: Any) -> Money:
    """An exact amount, written as text: JSON numbers are floats to most who read them."""
    if not isinstance(value, str) or len(value) > MAX_DIGITS:
        raise InvalidInput(f"{name} has to be an amount as text, such as '20.00', got {short(value)}.")
    return Money.parse(value, currency)


def one_of(name: str, value: Any, known: Iterable[str]) -> None:
    """Refuse *value* unless it is among *known*, and say what is."""
    if not isinstance(value, str) or value not in list(known):
        raise InvalidInput(f"{name} has to be one of {', '.join(known)}, got {short(value)}.")


def short(value: object) -> str:
    """The beginning of a value, as Python writes it."""
    return reprlib.repr(value)
