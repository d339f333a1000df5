"""The values of the API's documents, one marshmallow field each: strict about types, as their JSON Schema says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import MAXIMUM, Money
from flask_encore.domain.orders import MAX_REF, checked_ref

Made = TypeVar("Made")

#: Years a moment may be of: what a 64-bit column and every zone can hold.
FIRST_YEAR, LAST_YEAR = 2000, 2199

#: RFC 3339, which is stricter than ISO 8601: with a zone, without week numbers.
_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})\Z", re.ASCII)
_CODE = re.compile(r"[a-z]{3}\Z")
_DIGITS = re.compile(r"[0-9]{1,18}\Z")
_MICROSECONDS = 6


class Strict(Schema):
    """Input that refuses what it does not know: a field with a slip in its name must not be silently left out."""

    class Meta:
        unknown = RAISE

    error_messages = {  # noqa: RUF012 - marshmallow's own way to say it
        "unknown": "is not known here.",
        "type": "has to be an object.",
    }

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Say what is missing in our words."""
        field_obj.error_messages |= {"required": "is missing.", "null": "cannot be null."}

    def made(self, make: Callable[..., Made], **values: Any) -> Made:
        """*make* of *values*; what the domain refuses is said of the field its first word names."""
        try:
            return make(**values)
        except InvalidInput as refusal:
            word, _, rest = str(refusal).partition(" ")
            if word in self.fields:
                raise ValidationError({word: [rest]}) from None
            raise ValidationError(str(refusal)) from None


class Whole(fields.Integer):
    """A whole number within bounds: JSON Schema's integer, so ``3.0`` is one and ``true`` and ``"3"`` are not."""

    def __init__(self, least: int, most: int = MAXIMUM, **options: Any) -> None:
        bounds = f" from {least:,}" if least > -MAXIMUM else ""
        bounds += f" to {most:,}" if most < MAXIMUM else ""
        self._told = f"has to be a whole number{bounds}."
        super().__init__(validate=validate.Range(least, most, error=self._told), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise ValidationError(self._told)
        return value


class Count(fields.Integer):
    """A whole number in a query: digits and nothing else."""

    def __init__(self, least: int, most: int, **options: Any) -> None:
        self._told = f"has to be a whole number from {least} to {most}."
        super().__init__(validate=validate.Range(least, most, error=self._told), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if not isinstance(value, str) or not _DIGITS.match(value):
            raise ValidationError(self._told)
        return int(value)


class Flag(fields.Boolean):
    """``true`` or ``false``; in a query the same two words."""

    def __init__(self, *, in_query: bool = False, **options: Any) -> None:
        self._words: Mapping[object, bool] = {"true": True, "false": False} if in_query else {}
        super().__init__(**options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if isinstance(value, bool) and not self._words:
            return value
        if isinstance(value, str) and value in self._words:
            return self._words[value]
        raise ValidationError("has to be true or false.")


class Text(fields.String):
    """A text of bounded length.

    Args:
        check: The domain's own check, called with the field's name; what it refuses is refused here.
    """

    def __init__(
        self, most: int = MAX_REF, *, least: int = 0, check: Callable[[str, Any], Any] | None = None, **options: Any
    ) -> None:
        told = f"has to be a text of {least} to {most:,} characters."
        self._told, self._check = told, check
        super().__init__(validate=validate.Length(least, most, error=told), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError(self._told)
        if self._check is not None:
            name = attr or "It"
            try:
                self._check(name, value)
            except InvalidInput as refusal:
                raise ValidationError(str(refusal).removeprefix(f"{name} ")) from None
        return value


def Ref(**options: Any) -> Text:
    """Somebody's key of a thing: 1 to 200 characters, no control characters, not only spaces."""
    return Text(MAX_REF, least=1, check=checked_ref, **options)


class OneOf(fields.String):
    """A word of *words*."""

    def __init__(self, words: type[StrEnum], **options: Any) -> None:
        self._words = words
        told = f"has to be one of {', '.join(words)}."
        super().__init__(validate=validate.OneOf([word.value for word in words], error=told), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return value if isinstance(value, str) else ""


class Moment(fields.AwareDateTime):
    """A moment: RFC 3339 in, in whatever zone; RFC 3339 in UTC out."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else written(value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        found = moment(value)
        if found is None:
            raise ValidationError(
                f"has to be a time with its zone, of {FIRST_YEAR} to {LAST_YEAR}, such as 2026-03-02T14:03:00Z."
            )
        return found


def moment(text: object) -> datetime | None:
    """*text* as a moment, in UTC; ``None`` when it is none, or out of reach. Beyond microseconds nothing is kept."""
    if not isinstance(text, str) or not _RFC_3339.match(text):
        return None
    whole, dot, rest = text.upper().partition(".")
    if dot:
        digits = re.match(r"\d+", rest)
        assert digits is not None
        fraction = digits[0][:_MICROSECONDS]
        text = f"{whole}.{fraction:0<6}{rest[len(digits[0]) :]}"
    try:
        found = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if FIRST_YEAR <= found.year <= LAST_YEAR else None


def written(moment: datetime) -> str:
    """*moment* as the API writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Currency(fields.String):
    """A currency's code."""

    def __init__(self, **options: Any) -> None:
        told = {"description": "ISO 4217, lower case.", "pattern": "^[a-z]{3}$", "examples": ["gbp"]}
        super().__init__(metadata=told, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str) or not _CODE.match(value):
            raise ValidationError("has to be a lower-case ISO 4217 code such as gbp.")
        return value


class MoneySchema(Strict):
    """An exact amount in the currency's smallest unit: pence, cents, yen."""

    amount = Whole(
        -MAXIMUM, required=True, metadata={"description": "Whole minor units: 1290 is 12.90 GBP, or ¥1,290."}
    )
    currency = Currency(required=True)


class Amount(fields.Nested):
    """Money, as ``{"amount": 1290, "currency": "gbp"}``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(MoneySchema, **options)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        return None if value is None else {"amount": value.minor_units, "currency": value.currency}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, partial: Any = None, **kwargs: Any
    ) -> Money:
        told = super()._deserialize(value, attr, data, **kwargs)
        return Money(told["amount"], told["currency"])
