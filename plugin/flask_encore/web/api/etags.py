"""What a client has read, and whether it still stands: ETag, If-Match, If-None-Match (RFC 9110, section 13)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request

from flask_encore.web.api.problems import Kind, Problem

#: Makes the ETag's value of a document.
Tagger = Callable[[Mapping[str, Any]], str]

#: Whatever there is, as long as there is something.
ANY = "*"


def by_version(document: Mapping[str, Any]) -> str:
    """Of what counts its versions."""
    return str(document["version"])


def by_content(document: Mapping[str, Any]) -> str:
    """Of what does not: the same document, the same tag."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def tag(response: Response, tagger: Tagger) -> Response:
    """*response* with its ETag; 304 without a body when the client has it."""
    response.set_etag(tagger(response.get_json()))
    return response.make_conditional(request)  # type: ignore[return-value]


def required() -> str:
    """The tag in If-Match, or `ANY`.

    Raises:
        Problem: If there is none, or one that cannot be compared.
    """
    found = given()
    if found is None:
        raise Problem(
            Kind.PRECONDITION_REQUIRED,
            "Send If-Match with the ETag of what you have read, so that nobody's change in between is overwritten.",
        )
    return found


def given() -> str | None:
    """The tag in If-Match, or `ANY`; ``None`` when it was not sent.

    Raises:
        Problem: If it is a weak one, or several: what is changed has one strong tag.
    """
    text = request.headers.get("If-Match")
    if text is None:
        return None
    if text.strip() == ANY:
        return ANY
    strong = list(request.if_match.as_set(include_weak=False))
    if len(strong) != 1:
        raise stale()
    return strong[0]


def wants_new() -> bool:
    """Whether the client says that there is nothing yet: ``If-None-Match: *``."""
    return request.headers.get("If-None-Match", "").strip() == ANY


def version() -> int | None:
    """The version in If-Match; ``None`` for any.

    Raises:
        Problem: If there is no If-Match, or none that can be a version's.
    """
    text = required()
    if text == ANY:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise stale()
    return int(text)


def stale(detail: str = "It was changed since you have read it; nothing was changed now. Read it again.") -> Problem:
    """What If-Match says does not stand."""
    return Problem(Kind.PRECONDITION_FAILED, detail)
