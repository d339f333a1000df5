"""The description, sorted for people: each operation with what it takes, what it answers, and a line to try it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_encore.web.api.problems import ABOUT, Kind

#: Documents within each other that an example writes out.
_DEEP = 6

#: Values of examples, by the name of their field, where the type alone would say nothing.
_SAMPLES: Mapping[str, Any] = {
    "amount": 1290,
    "currency": "gbp",
    "sku": "MUG-1",
    "title": "Enamel mug",
    "order_ref": "1042",
    "payment_intent_ref": "pi_3QK2",
    "customer_ref": "c-17",
    "placed_at": "2026-03-02T14:03:00Z",
    "quantity": 1,
    "ref": "gift",
    "name": "A gift with a teapot",
    "offer": {"kind": "fixed", "skus": ["MUG-1"]},
    "status": "live",
    "stock": 40,
    "varies": "discount",
    "baseline": "ten",
    "variant": "twenty",
    "variants": [
        {"name": "ten", "weight": 5000, "discount": {"percent": 10}},
        {"name": "twenty", "weight": 5000, "discount": {"percent": 20}},
    ],
}

#: Fields of an example that the schema does not ask for, where a document without one would say too little.
_TELLING = frozenset({"ref", "name", "offer", "stock", "varies", "baseline", "variants"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One field, or one parameter."""

    name: str
    kind: str
    needed: bool
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        body, answer: The name of a document; empty without one.
        refusals: (status, kinds of problems with it).
    """

    id: str
    method: str
    path: str
    title: str
    about: Sequence[str]
    scope: str
    parameters: Sequence[Line]
    body: str
    answers: Sequence[tuple[str, str]]
    refusals: Sequence[tuple[int, Sequence[str]]]
    curl: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The operations of one resource."""

    title: str
    about: str
    operations: Sequence[Operation]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One schema."""

    name: str
    about: str
    fields: Sequence[Line]


def sections(described: Mapping[str, Any], *, server: str) -> list[Section]:
    """Every resource, in the description's order. *server* begins the addresses of the lines to try."""
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in described["tags"]}
    for path, item in described["paths"].items():
        for method, told in item.items():
            if method != "parameters":
                shared = item.get("parameters", [])
                found[told["tags"][0]].append(_operation(described, path, method, told, shared, server))
    abouts = {tag["name"]: tag.get("description", "") for tag in described["tags"]}
    return [Section(title=title, about=abouts[title], operations=made) for title, made in found.items()]


def documents(described: Mapping[str, Any]) -> list[Document]:
    """Every schema, by name."""
    return [
        Document(name=name, about=told.get("description", ""), fields=list(_fields(told)))
        for name, told in sorted(described["components"]["schemas"].items())
    ]


def problems() -> list[tuple[Kind, int, str, str]]:
    """Every kind of problem with its status, its title and what it means."""
    return [(kind, *about) for kind, about in ABOUT.items()]


def _operation(
    described: Mapping[str, Any],
    path: str,
    method: str,
    told: Mapping[str, Any],
    shared: Sequence[Mapping[str, Any]],
    server: str,
) -> Operation:
    body = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    statuses = {int(status): answer for status, answer in told["responses"].items()}
    parameters = [*shared, *told.get("parameters", [])]
    return Operation(
        id=told["operationId"],
        method=method.upper(),
        path=path,
        title=told["summary"].rstrip("."),
        about=told.get("description", "").split("\n\n") if told.get("description") else [],
        scope=told["security"][0]["bearer"][0],
        parameters=[
            Line(
                name=one["name"],
                kind=f"{one['in']}, {_kind(one['schema'])}",
                needed=one.get("required", False),
                about=one.get("description", ""),
            )
            for one in parameters
        ],
        body=_named(body),
        answers=[(str(status), _document_of(answer)) for status, answer in sorted(statuses.items()) if status < 400],
        refusals=[
            (status, [kind.value for kind, (of, _, _) in ABOUT.items() if of == status])
            for status in sorted(statuses)
            if status >= 400
        ],
        curl=_curl(described, path, method, parameters, body, server),
    )


def _curl(
    described: Mapping[str, Any],
    path: str,
    method: str,
    parameters: Sequence[Mapping[str, Any]],
    body: Mapping[str, Any],
    server: str,
) -> str:
    lines = ["curl" if method == "get" else f"curl -X {method.upper()}", '  -H "Authorization: Bearer $TOKEN"']
    for one in parameters:
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", str(_SAMPLES.get(one["name"], "0f8e2c")))
        elif one["in"] == "header" and one.get("required"):
            value = '"1"' if one["name"] == "If-Match" else "7d4f"
            lines.append(f"  -H '{one['name']}: {value}'")
    if body:
        sample = json.dumps(_sample(described, body, "", _DEEP), ensure_ascii=False)
        lines += ["  -H 'Content-Type: application/json'", f"  -d '{sample}'"]
    return " \\\n".join([*lines, f"  '{server}{path}'"])


def _sample(described: Mapping[str, Any], schema: Mapping[str, Any], name: str, left: int) -> Any:
    """A value of *schema*: what it needs, and little else."""
    if "$ref" in schema:
        return _sample(described, described["components"]["schemas"][_named(schema)], name, left - 1)
    if name in _SAMPLES:
        return _SAMPLES[name]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "object" and left > 0:
        needed = {*schema.get("required", ()), *(_TELLING & schema.get("properties", {}).keys())}
        return {
            key: _sample(described, inner, key, left)
            for key, inner in schema.get("properties", {}).items()
            if key in needed
        }
    if kind == "array" and left > 0:
        return [_sample(described, schema["items"], "", left)]
    return {"integer": 1, "number": 0.5, "boolean": True, "string": "text"}.get(str(kind))


def _fields(schema: Mapping[str, Any]) -> Iterator[Line]:
    for name, inner in schema.get("properties", {}).items():
        yield Line(
            name=name,
            kind=_kind(inner),
            needed=name in schema.get("required", ()),
            about=inner.get("description", ""),
        )


def _kind(schema: Mapping[str, Any]) -> str:
    """A type in words; the name of a document is one."""
    if "$ref" in schema:
        return _named(schema)
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    kinds = schema.get("type", "any value")
    told = kinds if isinstance(kinds, str) else " or ".join(kinds)
    if "items" in schema:
        told = told.replace("array", f"list of {_kind(schema['items'])}")
    if "format" in schema:
        told = told.replace("string", schema["format"])
    bounds = [
        f"{word} {schema[bound]:,}"
        for bound, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"), ("maxItems", "at most"))
        if bound in schema and abs(schema[bound]) < 2**53
    ]
    if "enum" in schema and len(schema["enum"]) <= 6:
        bounds.append("of " + ", ".join(str(one) for one in schema["enum"] if one is not None))
    return " ".join([told, *bounds])


def _document_of(answer: Mapping[str, Any]) -> str:
    return _named(answer.get("content", {}).get("application/json", {}).get("schema", {}))


def _named(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]
