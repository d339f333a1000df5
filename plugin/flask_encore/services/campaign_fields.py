"""The values of a campaign's JSON, one marshmallow field each: strict about types, with the fix in every refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from marshmallow import Schema, ValidationError, fields

from flask_encore.domain.conditions import READERS
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money
from flask_encore.domain.orders import checked_ref
from flask_encore.domain.rule_json import MAX_VALUES, amount, short
from flask_encore.domain.rules import MAX_CONDITIONS, MAX_DEPTH, Rule, from_json
from flask_encore.domain.wording import faults

#: Languages of one text, and currencies of one price: more than a shop can look after.
MAX_ENTRIES = 100

#: Parts of a rule that are looked at one by one: 64 conditions, each below seven others at most, are 512. A file that
#: anybody may have written can hold millions.
MAX_PARTS = 1_000

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")
_CURRENCY = re.compile(r"[a-z]{3}\Z")
_WALL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{6})?)?\Z")
_ZONED = re.compile(r"(Z|[+-]\d{2}:?\d{2})\Z")

#: Where marshmallow keeps what is said of an object as a whole.
WHOLE = "_schema"


class Told(fields.Field[Any]):
    """A field that says "is missing" and "is null" in our words."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own way to say it
        "required": "is missing.",
        "null": "is null: leave it out for its default.",
    }


class Whole(Told):
    """A whole number within bounds; neither ``true`` nor ``3.0`` nor ``"3"``."""

    def __init__(self, least: int, most: int, **options: Any) -> None:
        super().__init__(**options)
        self.least, self.most = least, most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if type(value) is not int or not self.least <= value <= self.most:
            raise ValidationError(f"has to be a whole number from {self.least} to {self.most}, got {short(value)}.")
        return value


class Flag(Told):
    """True or false, and nothing that only looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError(f"has to be true or false, got {short(value)}.")
        return value


class OneOf(Told):
    """One of a few words."""

    def __init__(self, words: type[StrEnum], **options: Any) -> None:
        super().__init__(**options)
        self.words = words

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        known = [word.value for word in self.words]
        if value not in known if isinstance(value, str) else True:
            raise ValidationError(f"has to be one of {', '.join(known)}, got {short(value)}.{meant(value, known)}")
        return str(value)


class Checked(Told):
    """Whatever a check of the domain takes; it answers the value or raises InvalidInput."""

    def __init__(self, check: Callable[[str, object], Any] = checked_ref, **options: Any) -> None:
        super().__init__(**options)
        self.check = check

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        with refused(str(attr)):
            return self.check(str(attr), value)


class Refs(Told):
    """A list of keys, such as SKUs; an error has the place in the list."""

    def __init__(self, least: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.least = least

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        given = _list(value, "texts", least=self.least)
        return tuple(_each(enumerate(given), lambda one: checked_ref(str(attr), one), str(attr)).values())


class Pairs(Told):
    """A list of pairs of SKUs, such as ``[["pot", "tea"]]``."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return tuple(_each(enumerate(_list(value, "pairs")), _pair, str(attr)).values())


class Amounts(Told):
    """An amount by currency, as text: ``{"gbp": "5.00"}``."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        given = _entries(value, "an amount by currency, such as {'gbp': '5.00'}")
        wrong = {key: ["is not a currency: write it like 'gbp'."] for key in given if not _matches(_CURRENCY, key)}
        return _each(given.items(), lambda pair: positive(pair[1], pair[0]), "amount", whole=True, wrong=wrong)


class Texts(Told):
    """A text by language, such as ``{"en": "Your message"}``."""

    def __init__(self, most: int, **options: Any) -> None:
        super().__init__(**options)
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        given, wrong = by_language(value)
        wrong |= {tag: told for tag, text in given.items() if (told := faults(text, most=self.most, least=1))}
        if wrong:
            raise ValidationError(wrong)
        return given


class Text(Told):
    """Words of at most so many characters, without tags and hidden characters."""

    def __init__(self, most: int, least: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.most, self.least = most, least

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        found = faults(value, most=self.most, least=self.least)
        if found:
            raise ValidationError(found)
        return str(value)


class ByLanguage(Told):
    """What a schema reads, by language."""

    def __init__(self, schema: Schema, **options: Any) -> None:
        super().__init__(**options)
        self.schema = schema

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        given, wrong = by_language(value)
        return _each(given.items(), lambda pair: self.schema.load(pair[1]), str(attr), whole=True, wrong=wrong)


class Wall(Told):
    """A time by the shop's wall clock, such as ``2026-12-01T09:00``."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        if _matches(_WALL, value):
            try:
                return datetime.fromisoformat(value)
            except ValueError as error:
                raise ValidationError(f"is no time there is ({error}).") from None
        if isinstance(value, str) and _ZONED.search(value):
            raise ValidationError("is by the shop's wall clock: leave the time zone out, as in '2026-12-01T09:00'.")
        raise ValidationError(f"has to be a time such as '2026-12-01T09:00', got {short(value)}.")


class RuleOf(Told):
    """A targeting rule; every condition that is wrong is told, with its path."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Rule:
        if _is_huge(value):
            raise ValidationError(f"a rule may have {MAX_CONDITIONS} conditions at most.")
        wrong: dict[str, list[str]] = {}
        for path, sentence in _rule_faults(value, "", 1):
            wrong.setdefault(path or WHOLE, []).append(sentence)
        if wrong:
            raise ValidationError({WHOLE: wrong.pop(WHOLE, []), **{Path(path): told for path, told in wrong.items()}})
        with refused("rule"):
            return from_json(value)


class Path(str):
    """A key of an error that is a path already, and not one step of it."""

    __slots__ = ()


def _is_huge(value: Any) -> bool:
    """Whether a rule has more parts than are worth a sentence each."""
    waiting, parts = [value], 0
    while waiting and parts <= MAX_PARTS:
        part = waiting.pop()
        parts += 1
        for kind, content in part.items() if isinstance(part, Mapping) else ():
            if kind in ("all", "any") and isinstance(content, list | tuple):
                waiting += content[: MAX_PARTS + 1]
            elif kind == "not":
                waiting.append(content)
    return parts > MAX_PARTS


def _rule_faults(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """`rules.from_json` stops at the first fault; this asks it about each condition alone."""
    if depth > MAX_DEPTH:
        yield path, f"a rule may be nested {MAX_DEPTH} deep at most."
        return
    parts: Sequence[tuple[str, Any]] = ()
    if isinstance(value, Mapping) and len(value) == 1:
        ((kind, content),) = value.items()
        here = f"{path}.{kind}" if path else str(kind)
        if kind == "not":
            parts = [(here, content)]
        elif kind in ("all", "any") and isinstance(content, list | tuple) and len(content) <= MAX_CONDITIONS:
            parts = [(f"{here}[{i}]", part) for i, part in enumerate(content)]
    found = [fault for at, part in parts for fault in _rule_faults(part, at, depth + 1)]
    yield from found
    if not found:
        try:
            from_json(value)
        except InvalidInput as refusal:
            yield _placed(str(refusal), path, value)


def _placed(told: str, path: str, value: Any) -> tuple[str, str]:
    """The path and the sentence of a refusal that begins with its path, below *path*."""
    deeper, _, sentence = told.partition(": ")
    if deeper == "rule":
        return path, sentence + _meant_condition(value)
    return (f"{path}.{deeper}" if path else deeper), sentence


def _meant_condition(value: Any) -> str:
    if not isinstance(value, Mapping) or len(value) != 1:
        return ""
    (kind,) = value
    known = ["all", "any", "not", *READERS]
    return "" if kind in known else meant(kind, known)


def by_language(value: Any) -> tuple[Mapping[str, Any], dict[Any, Any]]:
    """An object whose keys are language tags, each language once; and what is wrong with its keys."""
    given = _entries(value, "an object by language, such as {'en': …}")
    wrong: dict[str, list[str]] = {}
    known: dict[str, str] = {}
    for tag in given:
        if not _matches(_LANGUAGE, tag) or len(tag) > 35:
            fix = _meant_language(tag)
            wrong[tag] = [f"is not a language tag such as 'en' or 'pt-BR'.{fix}"]
        elif known.setdefault(tag.lower(), tag) != tag:
            wrong[tag] = [f"is the same language as {known[tag.lower()]!r}: keep one of them."]
    return given, wrong


def _meant_language(tag: object) -> str:
    if not isinstance(tag, str):
        return ""
    language, *rest = tag.strip().replace("_", "-").split("-")
    plain = "-".join([language.lower(), *rest])
    return f" Did you mean {plain!r}?" if _matches(_LANGUAGE, plain) and len(plain) <= 35 else ""


def positive(value: Any, currency: str) -> Money:
    """An amount above 0, written as text."""
    found = amount("amount", value, currency)
    if found.minor_units < 1:
        raise InvalidInput(f"amount has to be above 0, got {short(value)}.")
    return found


def meant(word: object, known: Iterable[str]) -> str:
    """A question that names the nearest of *known*; empty when none is near."""
    near = get_close_matches(word[:100], list(known), n=1) if isinstance(word, str) else []
    return f" Did you mean {near[0]!r}?" if near else ""


@contextmanager
def refused(name: str) -> Iterator[None]:
    """Turn what the domain refuses into an error of this field, which need not be named again."""
    try:
        yield
    except InvalidInput as refusal:
        raise ValidationError(str(refusal).removeprefix(f"{name} ")) from None


def _each(
    entries: Iterable[tuple[Any, Any]],
    read: Callable[[Any], Any],
    name: str,
    *,
    whole: bool = False,
    wrong: dict[Any, Any] | None = None,
) -> dict[Any, Any]:
    """Every entry as *read* answers it, or every error at once, by its key.

    Args:
        whole: Hand the key over too.
        wrong: Keys that are wrong already.
    """
    found: dict[Any, Any] = {}
    wrong = wrong or {}
    for key, value in entries:
        if key in wrong:
            continue
        try:
            with refused(name):
                found[key] = read((key, value) if whole else value)
        except ValidationError as error:
            wrong[key] = error.messages
    if wrong:
        raise ValidationError(wrong)
    return found


def _pair(value: Any) -> tuple[str, str]:
    if not isinstance(value, list | tuple) or len(value) != 2 or value[0] == value[1]:
        raise InvalidInput(f"has to be a pair of two different products, such as ['pot', 'tea'], got {short(value)}.")
    return checked_ref("SKU", value[0]), checked_ref("SKU", value[1])


def _list(value: Any, of: str, *, least: int = 0) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise ValidationError(f"has to be a list of {of}, got {short(value)}.")
    if not least <= len(value) <= MAX_VALUES:
        raise ValidationError(f"has to be a list of {least} to {MAX_VALUES} {of}, got {len(value)}.")
    return value


def _entries(value: Any, wanted: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValidationError(f"has to be {wanted}, got {short(value)}.")
    if len(value) > MAX_ENTRIES:
        raise ValidationError(f"may have {MAX_ENTRIES} entries at most, got {len(value)}.")
    return value


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.match(value) is not None
