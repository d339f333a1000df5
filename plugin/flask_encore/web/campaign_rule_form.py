"""A campaign's rule as fields: every order, orders that fit a few plain conditions, or a rule in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask_encore.domain.conditions import DAYS

Fields = Mapping[str, str]

#: How the rule is given.
EVERY, SOME, JSON = "every", "some", "json"

#: Fields of plain conditions that are a list, one value a line -> (condition, how many of them, field's name).
LISTS = {
    "if.sku.any": ("sku", "any", "Contains one of these products"),
    "if.sku.none": ("sku", "none", "Contains none of these products"),
    "if.category.any": ("category", "any", "Contains one of these categories"),
    "if.category.none": ("category", "none", "Contains none of these categories"),
    "if.tag.any": ("tag", "any", "The customer has one of these tags"),
    "if.discount_code.any": ("discount_code", "any", "One of these discount codes was used"),
}
WORDS = {
    "if.country": ("country", "Delivered to one of these countries"),
    "if.locale": ("locale", "In one of these languages"),
}

#: An example of each condition, for the reference beside the JSON.
EXAMPLES: Mapping[str, Any] = {
    "order_total": {"at_least": "20.00", "at_most": "200.00", "currency": "gbp"},
    "lifetime_value": {"at_least": "500.00", "currency": "gbp"},
    "item_count": {"at_least": 2},
    "order_count": {"at_least": 3},
    "days_since_last_order": {"at_most": 90},
    "currency": ["gbp", "eur"],
    "country": ["GB", "IE"],
    "locale": ["de", "fr-CA"],
    "payment_method": ["card"],
    "loyalty_tier": ["gold"],
    "sku": {"any": ["pot", "mug"], "quantity": 2},
    "category": {"all": ["Kitchen", "Tea"]},
    "variant_of": {"any": ["shirt"]},
    "discount_code": {"none": ["SPRING10"]},
    "bought_sku": {"none": ["tea"]},
    "bought_category": {"any": ["Tea"]},
    "tag": {"any": ["wholesale"]},
    "customer": "new",
    "time": {"from": "18:00", "until": "23:00"},
    "weekday": ["sat", "sun"],
    "sample": {"percent": 20, "name": "autumn"},
    "known": "order_count",
}


def fields_of(rule: Any) -> dict[str, str]:
    """The fields of a rule; conditions the plain fields cannot show are shown as JSON."""
    text = {"rule": json.dumps(rule, ensure_ascii=False, indent=2)} if rule not in (None, {"all": []}) else {}
    parts = rule.get("all") if isinstance(rule, Mapping) else []
    if rule is None or rule == {"all": []}:
        return {"rule.mode": EVERY}
    fields: dict[str, str] = {}
    for part in parts if isinstance(parts, list) else [None]:
        found = _plain(part)
        if not found or found.keys() & fields.keys():
            return {"rule.mode": JSON} | text
        fields |= found
    return {"rule.mode": SOME if fields else JSON} | fields | text


def _plain(part: Any) -> dict[str, str]:
    """The fields of one condition; nothing when there are none for it."""
    if not isinstance(part, Mapping) or len(part) != 1:
        return {}
    ((kind, value),) = part.items()
    if kind in ("order_total", "item_count"):
        return {f"if.{kind}.{name}": str(bound) for name, bound in value.items()}
    if kind == "customer":
        return {"if.customer": value}
    if kind == "weekday":
        return {f"if.weekday.{day}": "on" for day in value}
    for name, (condition, _) in WORDS.items():
        if kind == condition:
            return {name: "\n".join(value)}
    for name, (condition, how, _) in LISTS.items():
        if kind == condition and list(value) == [how]:
            return {name: "\n".join(value[how])}
    return {}


def read(fields: Fields, errors: dict[str, list[str]]) -> tuple[Any, tuple[str, ...]]:
    """The rule, and the field each part of it came from."""
    mode = fields.get("rule.mode", EVERY)
    if mode == SOME:
        parts = _conditions(fields)
        if not parts:
            errors["rule"] = ["Fill in a condition, or choose “Every order”."]
        return {"all": [part for _, part in parts]}, tuple(place for place, _ in parts)
    if mode != JSON:
        return {"all": []}, ()
    text = fields.get("rule", "")
    try:
        return json.loads(text), ()
    except (ValueError, RecursionError) as error:
        at = f" in line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        errors["rule"] = [f"This is not JSON yet{at}."]
        return {"all": []}, ()


def _conditions(fields: Fields) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for kind in ("order_total", "item_count"):
        bounds: dict[str, Any] = {
            name: text for name in ("at_least", "at_most") if (text := fields.get(f"if.{kind}.{name}", "").strip())
        }
        if bounds and kind == "order_total":
            bounds["currency"] = fields.get("if.order_total.currency", "").strip().lower()
        if kind == "item_count":
            bounds = {name: int(text) if text.isdecimal() and len(text) < 10 else text for name, text in bounds.items()}
        if bounds:
            found.append((f"if.{kind}", {kind: bounds}))
    for name, (kind, how, _) in LISTS.items():
        if values := _listed(fields, name):
            found.append((name, {kind: {how: values}}))
    for name, (kind, _) in WORDS.items():
        if values := _listed(fields, name):
            found.append((name, {kind: values}))
    if customer := fields.get("if.customer", ""):
        found.append(("if.customer", {"customer": customer}))
    if days := [day for day in DAYS if f"if.weekday.{day}" in fields]:
        found.append(("if.weekday", {"weekday": days}))
    return found


def field_of(path: str, fields: Fields, places: tuple[str, ...]) -> str:
    """The field an error of the rule is shown beside."""
    if fields.get("rule.mode") != SOME:
        return "rule"
    for number, place in enumerate(places):
        if path.startswith(f"rule.all[{number}]"):
            return place
    return "rule"


def _listed(fields: Fields, name: str) -> list[str]:
    return [line.strip() for line in fields.get(name, "").splitlines() if line.strip()]
