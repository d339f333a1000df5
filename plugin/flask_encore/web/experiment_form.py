"""An experiment as the fields of a form, and back: shares in percent, a row of fields for each variant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_encore.domain.assignment import ALL
from flask_encore.domain.experiments import MAX_VARIANTS, Varies
from flask_encore.web.catalogues import FALLBACK

Fields = Mapping[str, str]

#: Languages a variant's words can have in the form; a definition may have more, and loses none.
MAX_LANGUAGES = 30

_ROW = re.compile(r"v\.(\d)\.")
_VARIANT = re.compile(r"variants\[(\d+)\](?:\.(.*))?\Z")
_SHARE = re.compile(r"[0-9]{1,3}([.,][0-9]{1,2})?\Z")
_WHOLE = re.compile(r"[0-9]{1,12}\Z")

NO_SHARE = "has to be a share such as 45 or 33.33."


@dataclass(frozen=True, slots=True)
class Reading:
    """What a form said.

    Attributes:
        errors: Field -> sentences, for what could not even be put into a definition.
        rows: Where each variant of the definition stands in the form.
    """

    definition: dict[str, Any]
    errors: dict[str, list[str]] = field(default_factory=dict)
    rows: tuple[int, ...] = ()


# To a form


def fields_of(definition: Mapping[str, Any]) -> dict[str, str]:
    """The form's fields for *definition*; a field that is not there is empty."""
    variants = definition.get("variants") or []
    names = [one.get("name") for one in variants]
    baseline = definition.get("baseline")
    fields: dict[str, Any] = {
        "ref": definition.get("ref"),
        "name": definition.get("name"),
        "varies": definition.get("varies", Varies.COPY.value),
        "campaign": definition.get("campaign"),
        "holdout": _percent(definition.get("holdout", 0)),
        "worth": _percent(definition.get("worth", 100)),
        "baseline": str(names.index(baseline)) if baseline in names else "0",
        "rows": str(max(2, len(variants))),
    }
    for place, variant in enumerate(variants):
        row = f"v.{place}."
        discount = variant.get("discount")
        fields |= {
            f"{row}name": variant.get("name"),
            f"{row}weight": _percent(variant.get("weight", 0)),
            f"{row}campaign": variant.get("campaign"),
            f"{row}model": variant.get("model"),
            f"{row}discount": None if discount is None else "own",
            f"{row}percent": None if discount is None else discount.get("percent"),
            f"{row}amounts": _amount_lines((discount or {}).get("amounts")),
        }
        for k, (language, words) in enumerate((variant.get("copy") or {}).items()):
            fields |= {
                f"{row}copy.{k}.language": language,
                f"{row}copy.{k}.headline": words.get("headline"),
                f"{row}copy.{k}.body": words.get("body"),
            }
    return {name: str(value) for name, value in fields.items() if value not in (None, "")}


def empty() -> dict[str, str]:
    """A new experiment: what is, and something else, half of the customers each."""
    rows = {"v.0.name": "As it is", "v.0.weight": "50", "v.1.weight": "50"}
    return fields_of({}) | rows


def languages_of(fields: Fields, row: int) -> list[int]:
    """Which places for words a row of the form has: those that are filled, and an empty one after them."""
    written = [
        k
        for k in range(MAX_LANGUAGES)
        if any(fields.get(f"v.{row}.copy.{k}.{part}", "").strip() for part in ("language", "headline", "body"))
    ]
    return list(range(max(written, default=-1) + 2))


# From a form


def read(fields: Fields) -> Reading:
    """The definition that *fields* describe; of a variant only what varies is read. A row without a name is none."""
    errors: dict[str, list[str]] = {}
    varies = fields.get("varies", "")
    rows = tuple(row for row in range(rows_of(fields)) if _is_filled(fields, row))
    variants = [_variant(fields, row, varies, errors) for row in rows]
    baseline = fields.get("baseline", "")
    subject = _text(fields, "campaign")
    definition: dict[str, Any] = {
        "ref": _text(fields, "ref"),
        "name": _text(fields, "name"),
        "varies": varies,
        "holdout": _basis_points(fields, "holdout", errors, empty=0),
        "worth": _basis_points(fields, "worth", errors, empty=100),
        "baseline": _text(fields, f"v.{baseline}.name") if _WHOLE.match(baseline) else "",
        "variants": variants,
    }
    if varies != Varies.MODEL and subject:
        definition["campaign"] = subject
    return Reading(definition, errors, rows)


def rows_of(fields: Fields) -> int:
    """How many rows the form has."""
    text = fields.get("rows", "")
    return min(MAX_VARIANTS, max(2, int(text))) if _WHOLE.match(text) else 2


def with_row(fields: Fields) -> dict[str, str]:
    """One row more, with what is left of the customers in it."""
    return {**fields, "rows": str(min(MAX_VARIANTS, rows_of(fields) + 1))}


def without_row(fields: Fields, row: int) -> dict[str, str]:
    """One row less; those below move up, and the baseline with them."""
    kept = [one for one in range(rows_of(fields)) if one != row]
    moved = {name: text for name, text in fields.items() if _ROW.match(name) is None}
    for new, old in enumerate(kept):
        moved |= {
            f"v.{new}.{name.removeprefix(f'v.{old}.')}": text
            for name, text in fields.items()
            if name.startswith(f"v.{old}.")
        }
    baseline = fields.get("baseline", "0")
    moved["baseline"] = str(kept.index(int(baseline))) if _WHOLE.match(baseline) and int(baseline) in kept else "0"
    return moved | {"rows": str(max(2, len(kept)))}


def with_equal_shares(fields: Fields) -> dict[str, str]:
    """Every row the same share of what the holdout leaves; what cannot be shared goes to the first ones."""
    rows = [row for row in range(rows_of(fields)) if _is_filled(fields, row)] or [0, 1]
    errors: dict[str, list[str]] = {}
    held = _basis_points(fields, "holdout", errors, empty=0)
    left = ALL - held if isinstance(held, int) and held < ALL else ALL
    each, over = divmod(left, len(rows))
    return {**fields, **{f"v.{row}.weight": _percent(each + (place < over)) for place, row in enumerate(rows)}}


def _variant(fields: Fields, row: int, varies: str, errors: dict[str, list[str]]) -> dict[str, Any]:
    name = f"v.{row}."
    variant: dict[str, Any] = {
        "name": _text(fields, f"{name}name"),
        "weight": _basis_points(fields, f"{name}weight", errors),
    }
    if varies == Varies.COPY:
        copy = _copy(fields, row, errors)
        return variant | ({"copy": copy} if copy else {})
    if varies == Varies.DISCOUNT:
        # Whoever types an amount means it, ticked or not; ticked and empty is no discount at all.
        is_own = any(_text(fields, f"{name}{part}") for part in ("discount", "percent", "amounts"))
        return variant | ({"discount": _discount(fields, name, errors)} if is_own else {})
    if varies in (Varies.CAMPAIGN, Varies.MODEL):
        said = _text(fields, f"{name}{varies}")
        return variant | ({varies: said} if said else {})
    return variant


def _copy(fields: Fields, row: int, errors: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    copy: dict[str, dict[str, str]] = {}
    for k in languages_of(fields, row):
        name = f"v.{row}.copy.{k}"
        # Words are one paragraph, however they were typed.
        words = {part: " ".join(fields.get(f"{name}.{part}", "").split()) for part in ("headline", "body")}
        if not any(words.values()):
            continue
        language = _text(fields, f"{name}.language") or FALLBACK
        if language in copy:
            errors[f"{name}.language"] = [f"There are words for {language} already."]
        copy[language] = words
    return copy


def _discount(fields: Fields, name: str, errors: dict[str, list[str]]) -> dict[str, Any]:
    percent = _text(fields, f"{name}percent")
    amounts: dict[str, str] = {}
    for line in fields.get(f"{name}amounts", "").splitlines():
        currency, _, amount = line.strip().partition(" ")
        if not line.strip():
            continue
        if not amount or currency.lower() in amounts:
            errors[f"{name}amounts"] = ["Each line has to read like “GBP 5.00”, each currency once."]
        amounts[currency.lower()] = amount.strip()
    given = {"percent": int(percent) if _WHOLE.match(percent) else percent} if percent else {}
    return given | ({"amounts": amounts} if amounts else {})


def _is_filled(fields: Fields, row: int) -> bool:
    """Whether a row says anything: the first two always count, so that what they lack is told."""
    return row < 2 or any(text.strip() for name, text in fields.items() if name.startswith(f"v.{row}."))


# Errors


def errors_by_field(
    errors: Mapping[str, Iterable[str]], *, fields: Fields, rows: tuple[int, ...]
) -> dict[str, list[str]]:
    """Sentences by the field they are shown beside; what belongs to none is under ``""``."""
    by_field: dict[str, list[str]] = {}
    for path, sentences in errors.items():
        by_field.setdefault(_field(path, fields, rows), []).extend(sentences)
    return by_field


def _field(path: str, fields: Fields, rows: tuple[int, ...]) -> str:
    found = _VARIANT.match(path)
    if found is None:
        known = ("ref", "name", "varies", "campaign", "holdout", "worth", "baseline", "variants")
        return path if path in known else ""
    place, rest = int(found[1]), found[2] or ""
    row = rows[place] if place < len(rows) else 0
    if rest.startswith("copy."):
        language, _, part = rest.removeprefix("copy.").partition(".")
        at = next(
            (
                k
                for k in languages_of(fields, row)
                if (_text(fields, f"v.{row}.copy.{k}.language") or FALLBACK) == language
            ),
            0,
        )
        return f"v.{row}.copy.{at}.{part if part in ('headline', 'body') else 'language'}"
    if rest.startswith("discount"):
        return f"v.{row}.amounts" if "amounts" in rest else f"v.{row}.percent"
    return f"v.{row}.{rest if rest in ('name', 'weight', 'campaign', 'model') else 'name'}"


# Texts


def _text(fields: Fields, name: str) -> str:
    return fields.get(name, "").strip()


def _percent(basis_points: object) -> str:
    """Basis points as a share without needless zeros: 3,333 is 33.33."""
    if type(basis_points) is not int:
        return ""
    return (
        f"{Decimal(basis_points) / 100:f}".rstrip("0").rstrip(".") if basis_points % 100 else str(basis_points // 100)
    )


def _basis_points(
    fields: Fields, name: str, errors: dict[str, list[str]], *, empty: int | None = None
) -> int | str | None:
    text = _text(fields, name).removesuffix("%").strip()
    if not text and empty is not None:
        return empty
    if not _SHARE.match(text):
        errors[name] = [f"{_FIELD.get(name, 'Share')} {NO_SHARE}"]
        return 1  # stands for something, so that the rest is read too; the error stands
    try:
        return int(Decimal(text.replace(",", ".")) * 100)
    except InvalidOperation:  # pragma: no cover - the pattern takes nothing else
        return 1


_FIELD = {"holdout": "The holdout", "worth": "It"}


def _amount_lines(amounts: Mapping[str, str] | None) -> str:
    return "\n".join(f"{currency.upper()} {amount}" for currency, amount in (amounts or {}).items())
