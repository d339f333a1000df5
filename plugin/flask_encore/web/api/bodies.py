"""Read a body strictly: JSON in UTF-8, every key once, numbers that are numbers, within bounds, and never unpacked.

What two readers could read in two ways is refused, so that nobody decides by one of them and acts by the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from flask import Request, request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser

from flask_encore.web.api.problems import Fault, Kind, Problem, faults_in_body, faults_in_query, pointed

MEDIA_TYPE = "application/json"

#: Bytes. A thousand products in one batch are a third of it.
MAX_BODY = 1_000_000

#: Objects and lists within each other; a campaign with the deepest rule has fourteen.
MAX_DEPTH = 32

#: Neither half of a pair of surrogates alone nor NUL can be stored.
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def raw() -> bytes:
    """The body as it was sent.

    Raises:
        Problem: If it is packed, is not JSON by its own word, or is larger than `MAX_BODY`.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise _unsupported("Send the body as it is; the API unpacks nothing.")
    if request.mimetype != MEDIA_TYPE:
        raise _unsupported(f"Send the body as {MEDIA_TYPE}, with that Content-Type.")
    if (request.content_length or 0) > MAX_BODY:
        raise _too_large()
    # A host that reads every body first leaves the stream empty and the body in the request's own cache.
    body = request.get_data() if request.content_length is not None else request.stream.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise _too_large()
    return body


def read(body: bytes) -> Any:
    """*body* as JSON values.

    Raises:
        Problem: If it is not JSON, has a key twice, a number that is none, or is deeper than `MAX_DEPTH`.
    """
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite
        )
    except UnicodeDecodeError:
        raise Problem(Kind.MALFORMED, "The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem(Kind.MALFORMED, f"The body is not JSON: {error.msg}, {where}.") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        # Ours, and Python's own for an integer of thousands of digits.
        told = str(error) if isinstance(error, _Refused) else "A number in the body has too many digits."
        raise Problem(Kind.MALFORMED, told) from None
    faults = [
        Fault(detail="has a character that cannot be stored (NUL, or half of a surrogate pair).", pointer=at)
        for at in _unstorable(value)
    ]
    if faults:
        raise Problem(Kind.INVALID, "A text in the body cannot be stored.", errors=faults)
    return value


class StrictParser(FlaskParser):
    """webargs, with the body read as above and every refusal a problem that says where."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {"json": None, "query": RAISE}  # noqa: RUF012 - webargs' way

    def load_json(self, req: Request, schema: Schema) -> Any:
        """The body as JSON values."""
        return read(raw())

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """The query, each parameter once."""
        twice = [name for name, values in req.args.lists() if len(values) > 1]
        if twice:
            faults = [Fault(detail="is given more than once.", parameter=name) for name in twice]
            raise Problem(Kind.INVALID, "A parameter is given more than once.", errors=faults)
        return req.args.to_dict()

    def handle_error(
        self,
        error: ValidationError,
        req: Request,
        schema: Schema,
        *,
        error_status_code: int | None,
        error_headers: Mapping[str, str] | None,
    ) -> NoReturn:
        """Say everything that is wrong, each where it is."""
        told: Mapping[str, Any] = error.messages_dict
        [(location, messages)] = told.items()
        faults = faults_in_body(messages) if location == "json" else faults_in_query(messages)
        what = "body" if location == "json" else "query"
        raise Problem(Kind.INVALID, f"The {what} cannot be used; see errors.", errors=faults) from None


class _Refused(ValueError):
    """JSON that is not as strict as ours."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Refused(f"The key {key[:60]!r} stands twice in one object.")
        found[key] = value
    return found


def _no_number(text: str) -> NoReturn:
    raise _Refused(f"{text} is not a number in JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise _Refused("A number in the body is too large.")
    return number


def _unstorable(value: Any) -> Iterator[str]:
    """Where texts stand that cannot be stored; refuses what is too deep on the way."""
    todo: list[tuple[Any, tuple[object, ...]]] = [(value, ())]
    while todo:
        held, path = todo.pop()
        if len(path) > MAX_DEPTH:
            raise _too_deep()
        if isinstance(held, str):
            if UNSTORABLE.search(held):
                yield pointed(path)
        elif isinstance(held, dict):
            for key, inner in held.items():
                if UNSTORABLE.search(key):
                    yield pointed(path)
                todo.append((inner, (*path, key)))
        elif isinstance(held, list):
            todo += [(inner, (*path, place)) for place, inner in enumerate(held)]


def _unsupported(detail: str) -> Problem:
    return Problem(Kind.UNSUPPORTED_MEDIA_TYPE, detail, headers={"Accept": MEDIA_TYPE})


def _too_large() -> Problem:
    return Problem(Kind.TOO_LARGE, f"The API reads bodies of up to {MAX_BODY:,} bytes.")


def _too_deep() -> Problem:
    return Problem(Kind.MALFORMED, f"The body is deeper than {MAX_DEPTH} objects and lists within each other.")
