"""Stripe's form encoding: ``a[b][0]=c`` becomes ``{"a": {"b": ["c"]}}``."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from flask_encore.testing.stripe_simulator.errors import Json, invalid

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


def decode(*encoded: str) -> Json:
    """Nest form fields. Leaves are strings; ``x[0]`` and ``x[]`` make lists.

    Raises:
        StripeError: 400 when one name is used as a value and as a container.
    """
    root: Json = {}
    for text in encoded:
        for name, value in parse_qsl(text, keep_blank_values=True):
            head = name.split("[", 1)[0]
            _insert(root, [head, *_BRACKETS.findall(name[len(head) :])], value, name)
    # Metadata keys may be digits and stay keys; everywhere else digits are positions.
    return {key: value if key == "metadata" else _listed(value) for key, value in root.items()}


def _insert(node: Json, path: list[str], value: str, name: str) -> None:
    for step in path[:-1]:
        child = node.setdefault(step or str(len(node)), {})
        if not isinstance(child, dict):
            raise invalid(f"Invalid request: {name} is both a value and a container.", param=name)
        node = child
    last = path[-1] or str(len(node))
    if isinstance(node.get(last), dict):
        raise invalid(f"Invalid request: {name} is both a value and a container.", param=name)
    node[last] = value


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    children = {key: _listed(child) for key, child in value.items()}
    if children and all(key.isdecimal() for key in children):
        return [children[key] for key in sorted(children, key=int)]
    return children


def flag(params: Json, name: str) -> bool:
    """A boolean parameter; absent is False."""
    return str(params.get(name, "false")) == "true"


def integer(params: Json, name: str) -> int:
    """A required whole number.

    Raises:
        StripeError: 400 ``parameter_missing`` or ``parameter_invalid_integer``.
    """
    text = params.get(name)
    if text in (None, ""):
        raise invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")
    try:
        return int(str(text))
    except ValueError:
        raise invalid(f"Invalid integer: {text}", param=name, code="parameter_invalid_integer") from None


def text(params: Json, name: str) -> str | None:
    """An optional string; the empty string counts as absent."""
    value = params.get(name)
    if isinstance(value, (dict, list)):
        raise invalid(f"Invalid string: {value}", param=name, code="parameter_invalid_string")
    return value or None


def merged_metadata(current: dict[str, str], params: Json) -> dict[str, str]:
    """Metadata after an update: given keys replace, an empty value removes, absent keeps.

    Raises:
        StripeError: 400 over Stripe's limits (50 keys, 40-character keys, 500-character values).
    """
    given = params.get("metadata")
    if given is None:
        return current
    if given == "":
        return {}
    if not isinstance(given, dict):
        raise invalid("Invalid hash", param="metadata", code="parameter_invalid_hash")
    result = dict(current)
    for key, value in given.items():
        if isinstance(value, (dict, list)) or len(key) > 40 or len(value) > 500:
            message = "Metadata keys hold up to 40 characters, values are strings of up to 500."
            raise invalid(message, param=f"metadata[{key}]", code="parameter_invalid_string")
        result[key] = value
    result = {key: value for key, value in result.items() if value != ""}
    if len(result) > 50:
        raise invalid("You can have at most 50 metadata keys.", param="metadata")
    return result
