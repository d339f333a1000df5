"""Every refusal of the API: one document, RFC 9457's ``application/problem+json``, whatever went wrong and wherever.

A problem says what happened, what is wrong where, and nothing of the inside: no class, no statement, no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flask import Response, current_app, json, request, url_for
from flask.signals import got_request_exception
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

from flask_encore.domain.errors import GatewayError, InvalidInput
from flask_encore.services.runtime import logger
from flask_encore.store.database import StoreError

MEDIA_TYPE = "application/problem+json"

#: Errors of one document; a batch of a thousand products could have thousands.
MOST_ERRORS = 100

#: Seconds after which asking again makes sense when something of ours is away.
TRY_AGAIN = 5


class Kind(StrEnum):
    """What went wrong, in the word clients may branch on."""

    MALFORMED = "malformed"  #: the body cannot be read
    UNAUTHENTICATED = "unauthenticated"  #: a valid token is needed
    FORBIDDEN = "forbidden"  #: the token may not do this
    NOT_FOUND = "not_found"  #: there is no such thing
    METHOD_NOT_ALLOWED = "method_not_allowed"  #: this cannot be done here
    CONFLICT = "conflict"  #: it contradicts how things stand
    UNDER_WAY = "under_way"  #: the first request is still under way
    PRECONDITION_FAILED = "precondition_failed"  #: it was changed meanwhile
    TOO_LARGE = "too_large"  #: the body is too large
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"  #: the body has to be JSON
    INVALID = "invalid"  #: something cannot be used
    KEY_REUSED = "key_reused"  #: the key belongs to another request
    PRECONDITION_REQUIRED = "precondition_required"  #: say what you have read
    TOO_MANY_REQUESTS = "too_many_requests"  #: too many requests
    INTERNAL = "internal"  #: something of ours failed
    UNAVAILABLE = "unavailable"  #: ask again in a moment


#: Kind -> (HTTP status, title, what it means).
ABOUT: Mapping[Kind, tuple[int, str, str]] = {
    Kind.MALFORMED: (
        400,
        "The body cannot be read",
        "The body is not JSON as RFC 8259 and I-JSON have it: UTF-8, no NaN, every key once.",
    ),
    Kind.UNAUTHENTICATED: (401, "A valid token is needed", "The token is missing, unknown, expired or revoked."),
    Kind.FORBIDDEN: (403, "The token may not do this", "The token lacks the scope of this operation."),
    Kind.NOT_FOUND: (404, "There is no such thing", "There is no such address, or no such thing in this shop."),
    Kind.METHOD_NOT_ALLOWED: (
        405,
        "This cannot be done here",
        "The address is right and the method is not; Allow has those that are.",
    ),
    Kind.CONFLICT: (
        409,
        "It contradicts how things stand",
        "It contradicts how things stand; read them and decide anew.",
    ),
    Kind.UNDER_WAY: (
        409,
        "The first request is still under way",
        "A request with this Idempotency-Key is being answered; ask again in a moment.",
    ),
    Kind.PRECONDITION_FAILED: (
        412,
        "It was changed meanwhile",
        "It was changed since it was read: the ETag is another one now.",
    ),
    Kind.TOO_LARGE: (413, "The body is too large", "The body is larger than the API reads."),
    Kind.UNSUPPORTED_MEDIA_TYPE: (
        415,
        "The body has to be JSON",
        "The body has to be plain application/json, uncompressed.",
    ),
    Kind.INVALID: (
        422,
        "Something cannot be used",
        "Something in the request cannot be used; errors says what and where.",
    ),
    Kind.KEY_REUSED: (422, "The key belongs to another request", "This Idempotency-Key was used for another request."),
    Kind.PRECONDITION_REQUIRED: (
        428,
        "Say what you have read",
        "This change needs If-Match, so that nobody's is overwritten.",
    ),
    Kind.TOO_MANY_REQUESTS: (429, "Too many requests", "The rate limit is reached; Retry-After says when it is over."),
    Kind.INTERNAL: (500, "Something of ours failed", "A mistake of ours; it is in the server's log."),
    Kind.UNAVAILABLE: (
        503,
        "Ask again in a moment",
        "The database or Stripe is away; nothing is half done, ask again.",
    ),
}

#: Of two kinds with one status the one that HTTP itself means.
_OF_STATUS = {status: kind for kind, (status, _, _) in reversed(list(ABOUT.items()))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        detail: A sentence with the fix.
        pointer: Where in the body, as a JSON Pointer (RFC 6901) in a URI fragment: ``#/lines/0/quantity``.
        parameter: Or of which parameter of the query, the path or the headers.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def as_json(self) -> dict[str, str]:
        """As it stands in the document."""
        told = {"detail": self.detail, "pointer": self.pointer, "parameter": self.parameter}
        return {name: value for name, value in told.items() if value is not None}


class Problem(Exception):
    """An answer that refuses. Raise it anywhere below a route of the API."""

    def __init__(
        self, kind: Kind, detail: str, *, errors: Iterable[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail = kind, detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


def answer(error: Exception) -> Response:
    """The document for whatever was raised."""
    if isinstance(error, Problem):
        return document(error)
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, ValidationError):
        faults = faults_in_body(error.messages)
        return document(Problem(Kind.INVALID, "The body cannot be used; see errors.", errors=faults))
    if isinstance(error, InvalidInput):
        return document(Problem(Kind.INVALID, str(error)))
    if isinstance(error, StoreError):
        logger.exception("the API could not read or write Encore's tables")
        return document(away("Encore's tables cannot be reached now; nothing was changed."))
    if isinstance(error, GatewayError):
        logger.warning("the API got no answer from Stripe (%s)", type(error).__name__)
        return document(away("Stripe did not answer; what was asked for goes on by itself once it does."))
    logger.error("the API failed at %s %s", request.method, request.path, exc_info=error)
    # What listens for the host's failures hears of ours too, although the answer is given already.
    got_request_exception.send(current_app._get_current_object(), exception=error)  # type: ignore[attr-defined]
    return document(Problem(Kind.INTERNAL, "The request could not be answered; the server's log says why."))


def away(detail: str) -> Problem:
    """Something is away for a moment."""
    return Problem(Kind.UNAVAILABLE, detail, headers={"Retry-After": str(TRY_AGAIN)})


def document(problem: Problem) -> Response:
    """*problem* as it goes out."""
    status, title, _ = ABOUT[problem.kind]
    body: dict[str, Any] = {
        "type": f"{url_for('encore_api.documentation')}#problem-{problem.kind.value}",
        "title": title,
        "status": status,
        "code": problem.kind.value,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = [fault.as_json() for fault in problem.errors[:MOST_ERRORS]]
    response = Response(json.dumps(body), status=status, mimetype=MEDIA_TYPE)
    response.headers.update(problem.headers)
    return response


def pointed(path: Iterable[object]) -> str:
    """A way into a body, such as ``("lines", 0, "quantity")``, as a JSON Pointer in a URI fragment."""
    return "#" + "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def faults_in_body(messages: Any) -> list[Fault]:
    """What marshmallow says of a body."""
    return [Fault(detail=told, pointer=pointed(path)) for path, told in _told(messages, ())]


def faults_in_query(messages: Any) -> list[Fault]:
    """What marshmallow says of a query."""
    return [Fault(detail=told, parameter=str(path[0]) if path else None) for path, told in _told(messages, ())]


def _told(messages: Any, path: tuple[object, ...]) -> Iterator[tuple[tuple[object, ...], str]]:
    """marshmallow's nested messages as way and sentence."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _told(inner, path if key == "_schema" else (*path, key))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _told(inner, path)
    else:
        yield path, str(messages)


def _of_http(error: HTTPException) -> Response:
    """What Flask and the host's own extensions raise, with the headers it came with."""
    kind = _OF_STATUS.get(error.code or 500, Kind.MALFORMED if (error.code or 500) < 500 else Kind.INTERNAL)
    if error.response is not None and error.code is not None and error.code < 400:
        return error.get_response()  # type: ignore[return-value]
    kept = {"Allow", "Retry-After"}
    headers = {name: value for name, value in error.get_headers() if name in kept}
    return document(Problem(kind, error.description or ABOUT[kind][1], headers=headers))
