"""What the resources' documents have in common: strict input, and pages of a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask import Response
from marshmallow import Schema, fields, validate

from flask_encore.services.campaign_schema import DefinitionRefused
from flask_encore.services.listings import MOST, PAGE, Page
from flask_encore.web.api.current import api_state
from flask_encore.web.api.fields import Count, Strict
from flask_encore.web.api.problems import Fault, Kind, Problem, document, pointed
from flask_encore.web.current import state

Found = TypeVar("Found")

#: One step of a path such as ``offer.skus[2]``.
_STEP = re.compile(r"[^.\[\]]+")

#: A cursor holds a place and a signature; a longer one is none of ours.
LONGEST_CURSOR = 1_000


class Paged(Strict):
    """The query of a list."""

    limit = Count(1, MOST, load_default=PAGE, metadata={"description": "How many at most."})
    cursor = fields.String(
        validate=validate.Length(max=LONGEST_CURSOR),
        metadata={"description": "next of the page before, as it is, with the same filters."},
    )


class PageSchema(Schema):
    """Some of a list."""

    next = fields.String(
        required=True, allow_none=True, metadata={"description": "The cursor of the next page; null on the last one."}
    )


def page(listed: str, query: Mapping[str, Any], fetch: Callable[..., Page[Any]]) -> dict[str, Any]:
    """One page of the list called *listed*, which *fetch* reads.

    Raises:
        Problem: If the cursor is none of this list's.
    """
    filters = {name: value for name, value in query.items() if name not in {"limit", "cursor"}}
    cursors = api_state().cursors
    after = cursors.read(listed, filters, query.get("cursor"))
    found = fetch(state().runtime, after=after, limit=query["limit"], **filters)
    return {"items": found.items, "next": None if found.place is None else cursors.write(listed, filters, found.place)}


def there(found: Found | None, what: str) -> Found:
    """*found*, which has to be there.

    Raises:
        Problem: If it is not.
    """
    if found is None:
        raise Problem(Kind.NOT_FOUND, f"There is no such {what}.")
    return found


def checked_by_reader(kind: str | list[str], about: str) -> fields.Raw:
    """A field of a definition, which the service that reads definitions checks: it knows more than a schema can say."""
    return fields.Raw(metadata={"type": kind, "description": about})


def refused(refusal: DefinitionRefused) -> Response:
    """The problem of a definition that cannot be used, each error at its place in the body."""
    faults = [
        Fault(detail=told, pointer=pointed(_STEP.findall(path)))
        for path, sentences in refusal.errors.items()
        for told in sentences
    ]
    return document(Problem(Kind.INVALID, "The body cannot be used; see errors.", errors=faults))
