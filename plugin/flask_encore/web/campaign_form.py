"""A campaign as the fields of a form, and back: plain texts in, the definition that `campaign_schema` checks out.

What a field holds is handed on as it was typed wherever it cannot be read, so that one place says what is wrong with
it. Only what never becomes a definition at all, such as a line without a colon, is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask_encore.domain.kinds import KINDS
from flask_encore.web import campaign_rule_form as rule_form

Fields = Mapping[str, str]

#: Kinds whose discount is a percent or an amount; the others bring their own price.
DISCOUNTED = ("complementary", "fixed", "service", "more")

#: What begins a pair of a product in the order and one beside it.
ARROW = "->"

_WHOLE = re.compile(r"[+-]?[0-9]{1,12}\Z")
_INDEX = re.compile(r"\[[0-9]+\]")
_COPY = re.compile(r"copy\.([^.]+)\.(?:headline|body)\Z")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a form said.

    Attributes:
        errors: Path of the definition -> sentences, for what could not even be put into it.
        places: Where the conditions of a rule made of fields came from, in the rule's order.
    """

    definition: dict[str, Any]
    errors: dict[str, list[str]] = field(default_factory=dict)
    places: tuple[str, ...] = ()


# To a form


def fields_of(definition: Mapping[str, Any]) -> dict[str, str]:
    """The form's fields for *definition*; a field that is not there is empty."""
    offer = definition.get("offer", {})
    kind = offer.get("kind", "complementary")
    limits, budget = definition.get("limits") or {}, definition.get("budget") or {}
    fields = {
        "ref": definition.get("ref"),
        "name": definition.get("name"),
        "status": definition.get("status", "draft"),
        "priority": definition.get("priority", 0),
        "placement": definition.get("placement", "thank_you"),
        "begins": _ticked(definition.get("begins", True)),
        "kind": kind,
        "starts_at": definition.get("starts_at"),
        "ends_at": definition.get("ends_at"),
        "on_accept": definition.get("on_accept"),
        "on_decline": definition.get("on_decline"),
        "timer_minutes": definition.get("timer_minutes"),
        "limits.offers": limits.get("offers"),
        "limits.days": limits.get("days"),
        "limits.once_per_customer": _ticked(limits.get("once_per_customer", False)),
        "limits.group": limits.get("group"),
        "limits.group_days": limits.get("group_days", 30),
        "budget.units": budget.get("units"),
        "budget.amount": budget.get("amount"),
        "budget.currency": budget.get("currency"),
    }
    for language, copy in (definition.get("copy") or {}).items():
        fields |= {f"copy.{language}.{name}": copy.get(name) for name in ("headline", "body")}
    fields |= {f"{kind}.{name}": value for name, value in _OFFERS[kind][0](offer).items()}
    if kind in DISCOUNTED:
        discount = offer.get("discount") or {}
        fields[f"{kind}.discount.percent"] = discount.get("percent") or None
        fields[f"{kind}.discount.amounts"] = _amount_lines(discount.get("amounts"))
    fields |= rule_form.fields_of(definition.get("rule"))
    return {name: str(value) for name, value in fields.items() if value not in (None, "")}


def _complementary_fields(offer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "only_categories": _lines(offer.get("only_categories")),
        "never_categories": _lines(offer.get("never_categories")),
        "price_cap_percent": offer.get("price_cap_percent"),
        "margin_floor_percent": offer.get("margin_floor_percent"),
        "pinned": _lines(f" {ARROW} ".join(pair) for pair in offer.get("pinned") or ()),
        "blocked": _lines(f" {ARROW} ".join(pair) for pair in offer.get("blocked") or ()),
    }


def _fixed_fields(offer: Mapping[str, Any]) -> dict[str, Any]:
    return {"skus": _lines(offer.get("skus"))}


def _service_fields(offer: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"sku": offer.get("sku")}
    text = offer.get("text")
    if text:
        fields |= {
            "text": "on",
            "text.label": _lines(f"{language}: {label}" for language, label in text["label"].items()),
            "text.max_length": text.get("max_length", 200),
            "text.required": _ticked(text.get("required", False)),
        }
    return fields


def _buy_get_fields(offer: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: offer.get(name, usual) for name, usual in (("buy", 1), ("get", 1), ("percent_off", 100))}
    return values | {"skus": _lines(offer.get("skus"))}


def _bundle_fields(offer: Mapping[str, Any]) -> dict[str, Any]:
    first, second = (*(offer.get("skus") or ()), "", "")[:2]
    return {"first": first, "second": second, "prices": _amount_lines(offer.get("prices"))}


def _more_fields(offer: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: offer.get(name, 1) for name in ("minimum", "maximum", "step")}
    return values | {"skus": _lines(offer.get("skus"))}


# From a form


def read(fields: Fields) -> Reading:
    """The definition that *fields* describe; of the kinds only the chosen one is read."""
    errors: dict[str, list[str]] = {}
    kind = fields.get("kind", "")
    rule, places = rule_form.read(fields, errors)
    definition: dict[str, Any] = {
        "ref": _text(fields, "ref"),
        "name": _text(fields, "name"),
        "status": _text(fields, "status") or "draft",
        "priority": _number(fields, "priority", empty=0),
        "placement": _text(fields, "placement") or "thank_you",
        "begins": "begins" in fields,
        "rule": rule,
        "offer": {"kind": kind} | (_offer(fields, kind, errors) if kind in KINDS else {}),
        "on_accept": _text(fields, "on_accept") or None,
        "on_decline": _text(fields, "on_decline") or None,
        "starts_at": _text(fields, "starts_at") or None,
        "ends_at": _text(fields, "ends_at") or None,
        "limits": _limits(fields),
        "budget": _budget(fields),
        "timer_minutes": _number(fields, "timer_minutes"),
        "copy": _copy(fields, errors),
    }
    return Reading(definition, errors, places)


def _offer(fields: Fields, kind: str, errors: dict[str, list[str]]) -> dict[str, Any]:
    mine = {name.removeprefix(f"{kind}."): text for name, text in fields.items() if name.startswith(f"{kind}.")}
    offer = _OFFERS[kind][1](mine, errors)
    if kind in DISCOUNTED:
        percent = _number(mine, "discount.percent")
        amounts = _amounts(mine, "discount.amounts", "offer.discount.amounts", errors)
        given = {"percent": percent} if percent is not None else {}
        offer["discount"] = given | ({"amounts": amounts} if amounts else {})
    return offer


def _complementary(fields: Fields, errors: dict[str, list[str]]) -> dict[str, Any]:
    offer: dict[str, Any] = {name: _listed(fields, name) for name in ("only_categories", "never_categories")}
    for name in ("price_cap_percent", "margin_floor_percent"):
        offer[name] = _number(fields, name)
    for name in ("pinned", "blocked"):
        pairs = [[part.strip() for part in line.split(ARROW)] for line in _listed(fields, name)]
        if any(len(pair) != 2 for pair in pairs):
            errors[f"offer.{name}"] = [f"Each line has to be two SKUs with {ARROW} between them."]
        offer[name] = [pair for pair in pairs if len(pair) == 2]
    return offer


def _fixed(fields: Fields, _errors: dict[str, list[str]]) -> dict[str, Any]:
    return {"skus": _listed(fields, "skus")}


def _service(fields: Fields, errors: dict[str, list[str]]) -> dict[str, Any]:
    offer: dict[str, Any] = {"sku": _text(fields, "sku")}
    if "text" in fields:
        offer["text"] = {
            "label": _by_key(fields, "text.label", "offer.text.label", ":", "en: Your message", errors),
            "max_length": _number(fields, "text.max_length", empty=200),
            "required": "text.required" in fields,
        }
    return offer


def _buy_get(fields: Fields, _errors: dict[str, list[str]]) -> dict[str, Any]:
    numbers = {name: _number(fields, name, empty=usual) for name, usual in (("buy", 1), ("get", 1))}
    return numbers | {"percent_off": _number(fields, "percent_off", empty=100), "skus": _listed(fields, "skus")}


def _bundle(fields: Fields, errors: dict[str, list[str]]) -> dict[str, Any]:
    skus = [sku for sku in (_text(fields, "first"), _text(fields, "second")) if sku]
    prices = _amounts(fields, "prices", "offer.prices", errors)
    return {"skus": skus} | ({"prices": prices} if prices else {})


def _more(fields: Fields, _errors: dict[str, list[str]]) -> dict[str, Any]:
    numbers = {name: _number(fields, name, empty=1) for name in ("minimum", "maximum", "step")}
    return numbers | {"skus": _listed(fields, "skus")}


#: Kind -> how its own fields are written, and how they are read.
_OFFERS: Mapping[
    str,
    tuple[Callable[[Mapping[str, Any]], dict[str, Any]], Callable[[Fields, dict[str, list[str]]], dict[str, Any]]],
] = {
    "complementary": (_complementary_fields, _complementary),
    "fixed": (_fixed_fields, _fixed),
    "service": (_service_fields, _service),
    "buy_get": (_buy_get_fields, _buy_get),
    "bundle": (_bundle_fields, _bundle),
    "more": (_more_fields, _more),
}


def _limits(fields: Fields) -> dict[str, Any]:
    return {
        "offers": _number(fields, "limits.offers"),
        "days": _number(fields, "limits.days"),
        "once_per_customer": "limits.once_per_customer" in fields,
        "group": _text(fields, "limits.group") or None,
        "group_days": _number(fields, "limits.group_days", empty=30),
    }


def _budget(fields: Fields) -> dict[str, Any] | None:
    units, amount = _number(fields, "budget.units"), _text(fields, "budget.amount")
    budget = {"units": units} if units is not None else {}
    if amount:
        budget |= {"amount": amount, "currency": _text(fields, "budget.currency").lower()}
    return budget or None


def _copy(fields: Fields, errors: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    copy: dict[str, dict[str, str]] = {}
    for name in fields:
        found = _COPY.match(name)
        if found is None:
            continue
        language = _text(fields, "copy.new.language") if found[1] == "new" else found[1]
        # Words are one paragraph, however they were typed.
        words = {part: " ".join(_listed(fields, f"copy.{found[1]}.{part}")) for part in ("headline", "body")}
        if not any(words.values()):
            continue
        if not language:
            errors["copy.new"] = ["These words need a language, such as fi or de-AT."]
        elif found[1] == "new" and any(fields.get(f"copy.{language}.{part}") for part in ("headline", "body")):
            errors["copy.new"] = [f"There are words for {language} already."]
        else:
            copy[language] = words
    return copy


# Errors


def errors_by_field(
    errors: Mapping[str, Iterable[str]], *, fields: Fields, places: tuple[str, ...]
) -> dict[str, list[str]]:
    """Sentences by the field, or the group of fields, they are shown beside; what belongs to none is under ``""``."""
    by_field: dict[str, list[str]] = {}
    for path, sentences in errors.items():
        by_field.setdefault(_field(path, fields, places), []).extend(sentences)
    return by_field


def _field(path: str, fields: Fields, places: tuple[str, ...]) -> str:
    if path == "rule" or path.startswith(("rule.", "rule[")):
        return rule_form.field_of(path, fields, places)
    kind = fields.get("kind", "") if fields.get("kind") in KINDS else "offer"
    if kind == "bundle" and path.startswith("offer.skus"):
        return "bundle.second" if "[1]" in path else "bundle.first"
    name = _INDEX.sub("", path)
    if name.startswith("offer."):
        name = f"{kind}.{name.removeprefix('offer.')}"
    if name.startswith("copy."):
        _, language, *_ = name.split(".")
        new = language == fields.get("copy.new.language") and f"copy.{language}.headline" not in fields
        name = name.replace(f"copy.{language}", "copy.new", 1) if new else name
    while name and not _is_shown(name, kind):
        name = name.rpartition(".")[0]
    return name


#: Fields and groups that have a place for an error of their own, beside those of the kinds and the copy.
_SHOWN = {
    *("ref", "name", "priority", "placement", "begins", "offer", "starts_at", "ends_at", "on_accept", "on_decline"),
    *("timer_minutes", "limits", "limits.offers", "limits.days", "limits.group", "limits.group_days"),
    *("limits.once_per_customer", "budget", "budget.units", "budget.amount", "budget.currency", "copy"),
}
_SHOWN_OF_KIND = {
    "complementary": {
        *("only_categories", "never_categories", "price_cap_percent", "margin_floor_percent", "pinned", "blocked")
    },
    "fixed": {"skus"},
    "service": {"sku", "text", "text.label", "text.max_length"},
    "buy_get": {"buy", "get", "percent_off", "skus"},
    "bundle": {"first", "second", "prices"},
    "more": {"minimum", "maximum", "step", "skus"},
}
_SHOWN_OF_DISCOUNT = {"discount", "discount.percent", "discount.amounts"}


def _is_shown(name: str, kind: str) -> bool:
    if name in _SHOWN or name == kind or re.fullmatch(r"copy\.[^.]+(\.(headline|body))?", name):
        return True
    if not kind or not name.startswith(f"{kind}."):
        return False
    part = name.removeprefix(f"{kind}.")
    return part in _SHOWN_OF_KIND.get(kind, ()) or (kind in DISCOUNTED and part in _SHOWN_OF_DISCOUNT)


# Texts


def _ticked(value: bool) -> str:
    return "on" if value else ""


def _text(fields: Fields, name: str) -> str:
    return fields.get(name, "").strip()


def _number(fields: Fields, name: str, *, empty: int | None = None) -> int | str | None:
    """A whole number; what is none is handed on as it was typed, to be refused by name."""
    text = _text(fields, name)
    if not text:
        return empty
    return int(text) if _WHOLE.match(text) else text


def _lines(values: Iterable[str] | None) -> str:
    return "\n".join(values or ())


def _listed(fields: Fields, name: str) -> list[str]:
    return [line.strip() for line in fields.get(name, "").splitlines() if line.strip()]


def _amount_lines(amounts: Mapping[str, str] | None) -> str:
    return _lines(f"{currency.upper()} {amount}" for currency, amount in (amounts or {}).items())


def _amounts(fields: Fields, name: str, path: str, errors: dict[str, list[str]]) -> dict[str, str]:
    amounts = _by_key(fields, name, path, " ", "GBP 5.00", errors)
    return {currency.lower(): amount for currency, amount in amounts.items()}


def _by_key(
    fields: Fields, name: str, path: str, between: str, example: str, errors: dict[str, list[str]]
) -> dict[str, str]:
    """Lines of a key and a value."""
    found: dict[str, str] = {}
    for line in _listed(fields, name):
        key, _, value = (part.strip() for part in line.partition(between))
        if not value or key in found:
            errors.setdefault(path, []).append(f"“{line[:60]}”: each line has to read like “{example}”, each key once.")
        else:
            found[key] = value
    return found
