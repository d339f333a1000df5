"""One resource of the API: flask-smorest's blueprint, closed to the host's error pages, with our rules at every route.

A route says who may use it, what it reads and what it answers, in one place; the description and the documentation
are made of the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPMethod, HTTPStatus
from typing import Any, TypeVar

import flask_smorest
from flask import Response, request
from marshmallow import Schema
from werkzeug.exceptions import default_exceptions

from flask_encore.domain.scopes import Scope
from flask_encore.web import policies
from flask_encore.web.api import bodies, etags, identity, problems, repeating
from flask_encore.web.api.bodies import StrictParser
from flask_encore.web.api.problems import Kind, Problem

View = TypeVar("View", bound=Callable[..., Any])

#: Statuses of the problems that every operation with a token may answer.
ALWAYS = (401, 403, 429, 500, 503)

IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "description": "The ETag of what you have read, or * for whatever there is.",
    "schema": {"type": "string"},
}


class Room(flask_smorest.Blueprint):
    """The routes of one resource.

    Args:
        name: In endpoints.
        title: In the documentation.
    """

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, title: str, description: str) -> None:
        super().__init__(name, __name__, description=description)
        self.title = title
        # The host's handlers come first only where ours does not name the status: Flask looks for the status before
        # it looks for the blueprint.
        for status in default_exceptions:
            self.register_error_handler(status, problems.answer)
        self.register_error_handler(Exception, problems.answer)
        self.before_request(_can_be_there)
        self.after_request(_finish)

    def operation(
        self,
        method: HTTPMethod,
        path: str,
        *,
        scope: Scope,
        answer: type[Schema] | None,
        status: int = 200,
        query: type[Schema] | None = None,
        body: type[Schema] | None = None,
        tag: etags.Tagger | None = None,
        guarded: bool | None = None,
        key: bool | None = None,
        refuses: Sequence[int] = (),
        also: Sequence[int] = (),
    ) -> Callable[[View], View]:
        """Put a view on a route.

        Args:
            answer: Of a success, *status*; ``None`` for one without a body.
            also: Further statuses of the same success.
            tag: Makes the ETag of the answer.
            guarded: Whether it needs If-Match; ``None`` where it means nothing.
            key: Whether it needs an Idempotency-Key; ``None`` where it means nothing.
            refuses: Statuses of problems beside `ALWAYS` and those that path, query and body bring along.
        """

        def place(function: View) -> View:
            view: Any = self.response(status, answer)(function)
            if body is not None:
                view = self.arguments(body)(view)
            if query is not None:
                view = self.arguments(query, location="query")(view)
            if key is not None:
                view = repeating.repeatable(required=key, with_body=body is not None)(view)
            if tag is not None:
                view = _tagged(view, tag)
            responses: dict[int, Any] = {
                refused: HTTPStatus(refused).name for refused in _refusals(path, query, body, guarded, key, refuses)
            }
            for other in also:
                told = {"content": {"application/json": {"schema": answer}}} if answer is not None else {}
                responses[other] = {"description": HTTPStatus(other).phrase} | told
            conditional = tag is not None and method is HTTPMethod.GET
            if conditional:
                responses[304] = {"description": "It stands as you have it."}
            described = _described(scope, guarded=guarded, key=key, conditional=conditional)
            view = self.doc(operationId=function.__name__, responses=responses, **described)(view)
            view = identity.scoped(scope)(view)
            self.place(method, path, view)
            return view  # type: ignore[no-any-return]

        return place

    def open(self, method: HTTPMethod, path: str, whom: str) -> Callable[[View], View]:
        """Put a view on a route that needs no token; it says why, and is not in the description."""

        def place(view: View) -> View:
            policies.open_to(whom)(view)
            self.place(method, path, view, described=False)
            return view

        return place

    def place(self, method: HTTPMethod, path: str, view: Any, *, described: bool = True) -> None:
        """Route to *view*. OPTIONS are answered in one place for all of the API, see `root`."""
        view.provide_automatic_options = False
        options = {"methods": [method.value], "merge_slashes": False}
        if described:
            self.route(path, tags=[self.title], **options)(view)
        else:
            flask_smorest.blueprint.FlaskBlueprint.add_url_rule(self, path, view.__name__, view, **options)


def _can_be_there() -> None:
    """No key holds what no database could; PostgreSQL would refuse to look for it."""
    if bodies.UNSTORABLE.search(request.path):
        raise Problem(Kind.NOT_FOUND, "There is nothing at this address.")


def _tagged(view: Callable[..., Response], tagger: etags.Tagger) -> Callable[..., Response]:
    def answer(**arguments: Any) -> Response:
        return etags.tag(view(**arguments), tagger)

    answer.__dict__.update(view.__dict__)
    answer.__name__, answer.__doc__ = view.__name__, view.__doc__
    return answer


def _refusals(
    path: str, query: Any, body: Any, guarded: bool | None, key: bool | None, refuses: Sequence[int]
) -> list[int]:
    found = {*ALWAYS, *refuses}
    if "<" in path:
        found.add(404)
    if query is not None:
        found.add(422)
    if body is not None:
        found |= {400, 413, 415, 422}
    if guarded is not None:
        found |= {412, 428}
    if key is not None:
        found |= {409, 422}
    return sorted(found)


def _described(scope: Scope, *, guarded: bool | None, key: bool | None, conditional: bool) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []
    if guarded is not None:
        parameters.append(IF_MATCH | {"required": guarded})
    if key is not None:
        parameters.append(
            {
                "in": "header",
                "name": repeating.HEADER,
                "required": key,
                "description": "Yours, new for each new request: sent again, the first answer is given again.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            }
        )
    if conditional:
        parameters.append(
            {
                "in": "header",
                "name": "If-None-Match",
                "description": "An ETag you have; 304 without a body when it still stands.",
                "schema": {"type": "string"},
            }
        )
    told: dict[str, Any] = {"security": [{"bearer": [scope.value]}]}
    return told | ({"parameters": parameters} if parameters else {})


def _finish(response: Response) -> Response:
    """The headers every answer of the API has."""
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "private, no-cache" if "ETag" in response.headers else "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    response.vary.add("Authorization")
    return identity.with_allowance(response)
