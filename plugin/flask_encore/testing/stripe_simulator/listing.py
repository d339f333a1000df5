"""Lists, pages and search over the ledger's objects."""

from __future__ import annotations

import copy
import re

from flask_encore.testing.stripe_simulator import forms
from flask_encore.testing.stripe_simulator.errors import Json, invalid
from flask_encore.testing.stripe_simulator.ledger import Ledger

_COMPARISONS = ("gt", "gte", "lt", "lte")
_CLAUSE = re.compile(r"""(?:metadata\[['"](?P<key>[^'"]+)['"]\]|(?P<field>\w+))\s*:\s*['"](?P<value>[^'"]*)['"]""")


def page(ledger: Ledger, kind: str, params: Json, *, url: str, by: tuple[str, ...] = ()) -> Json:
    """A page of objects, newest first.

    Args:
        kind: object kind.
        params: ``limit`` (1..100, default 10), ``starting_after``, ``ending_before``, ``created`` (exact or
            gt, gte, lt, lte), and the fields of `by`.
        url: the list's own path, echoed.
        by: fields that may be filtered by equality.

    Raises:
        StripeError: 400 for a limit out of range or a cursor that does not exist.
    """
    rows = [row for row in reversed(ledger.tables[kind].values()) if _created_fits(row, params.get("created"))]
    for field in by:
        wanted = forms.text(params, field)
        if wanted is not None:
            rows = [row for row in rows if row.get(field) == wanted]
    limit = _limit(params)
    after, before = forms.text(params, "starting_after"), forms.text(params, "ending_before")
    if after is not None:
        rows = rows[_position(rows, after, "starting_after") + 1 :]
    elif before is not None:
        rows = rows[: _position(rows, before, "ending_before")]
        return _envelope(rows[-limit:], url, has_more=len(rows) > limit)
    return _envelope(rows[:limit], url, has_more=len(rows) > limit)


def search(ledger: Ledger, kind: str, params: Json, *, url: str, lag_seconds: float) -> Json:
    """Objects that fit a query of ``field:'value'`` and ``metadata['key']:'value'`` joined by AND.

    What is younger than `lag_seconds` is not found yet: Stripe's search trails behind.

    Raises:
        StripeError: 400 for a query that cannot be read.
    """
    query = forms.text(params, "query")
    if query is None:
        raise invalid("Missing required param: query.", param="query", code="parameter_missing")
    clauses = []
    for part in re.split(r"\s+AND\s+", query.strip()):
        found = _CLAUSE.fullmatch(part.strip())
        if found is None:
            raise invalid(f"We were unable to parse your search query: {part}", param="query")
        clauses.append(found)
    newest = ledger.now() - lag_seconds
    rows = [
        row
        for row in reversed(ledger.tables[kind].values())
        if row["created"] <= newest and all(_clause_fits(row, clause) for clause in clauses)
    ]
    limit = _limit(params)
    result = _envelope(rows[:limit], url, has_more=len(rows) > limit)
    return {**result, "object": "search_result", "next_page": None}


def _clause_fits(row: Json, clause: re.Match[str]) -> bool:
    if clause["key"] is not None:
        return bool(row["metadata"].get(clause["key"]) == clause["value"])
    return str(row.get(clause["field"])) == clause["value"]


def _created_fits(row: Json, wanted: str | Json | None) -> bool:
    if wanted is None:
        return True
    created = row["created"]
    if not isinstance(wanted, dict):
        return bool(created == forms.integer({"created": wanted}, "created"))
    unknown = set(wanted) - set(_COMPARISONS)
    if unknown:
        raise invalid(
            f"Received unknown parameter: created[{unknown.pop()}]", param="created", code="parameter_unknown"
        )
    bounds = {name: forms.integer(wanted, name) for name in wanted}
    return bool(
        created > bounds.get("gt", created - 1)
        and created >= bounds.get("gte", created)
        and created < bounds.get("lt", created + 1)
        and created <= bounds.get("lte", created)
    )


def _limit(params: Json) -> int:
    limit = forms.integer(params, "limit") if "limit" in params else 10
    if not 1 <= limit <= 100:
        raise invalid("Invalid limit: must be between 1 and 100.", param="limit", code="parameter_invalid_integer")
    return limit


def _position(rows: list[Json], object_id: str, param: str) -> int:
    for position, row in enumerate(rows):
        if row["id"] == object_id:
            return position
    raise invalid(f"No such object: '{object_id}'", param=param, code="resource_missing")


def _envelope(rows: list[Json], url: str, *, has_more: bool) -> Json:
    return {"object": "list", "data": copy.deepcopy(rows), "has_more": has_more, "url": url}
