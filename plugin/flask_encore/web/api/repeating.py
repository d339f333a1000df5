"""``Idempotency-Key``: a POST that is sent twice, because nobody heard the first answer, is done once."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, jsonify, request

from flask_encore.services import api_answers
from flask_encore.services.api_answers import Answer, KeyReused, UnderWay
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store.database import StoreError
from flask_encore.web.api import bodies, identity
from flask_encore.web.api.problems import Fault, Kind, Problem
from flask_encore.web.current import state

HEADER = "Idempotency-Key"

#: As wide as ``encore_api_answers.idempotency_key``; printable and without a space, so that no proxy changes it.
_KEY = re.compile(r"[!-~]{1,255}\Z")

View = Callable[..., Response]


def repeatable(*, required: bool, with_body: bool) -> Callable[[View], View]:
    """Answer the same request with the same key as the first time, for a day, per token.

    Only what was done is kept. A refusal changed nothing, so the same key may be used for the corrected request.

    Args:
        required: Whether the operation is refused without a key.
        with_body: Whether a body belongs to the request.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def answer(**arguments: Any) -> Response:
            key = _key(required=required)
            if key is None:
                return view(**arguments)
            rt = state().runtime
            body = bodies.raw() if with_body else b""
            mark = api_answers.fingerprint(request.method, request.path, body)
            try:
                turn = api_answers.begin(rt, token_id=identity.token().id, key=key, fingerprint=mark)
            except KeyReused as reused:
                raise Problem(Kind.KEY_REUSED, str(reused)) from None
            except UnderWay as under_way:
                raise Problem(Kind.UNDER_WAY, str(under_way), headers={"Retry-After": "1"}) from None
            if isinstance(turn, Answer):
                return _again(turn)
            return _answered(rt, turn, view, arguments)

        return answer

    return wrap


def _answered(rt: Runtime, turn: api_answers.Turn, view: View, arguments: dict[str, Any]) -> Response:
    try:
        response = view(**arguments)
    except BaseException:
        _let_go(rt, turn)
        raise
    answer = Answer(
        status=response.status_code, body=response.get_json(silent=True), location=response.headers.get("Location")
    )
    try:
        api_answers.finish(rt, turn, answer)
    except StoreError as error:
        # It is done, and whoever asked is told so. Asked again, it is done again, and finds itself done.
        logger.warning("the API's answer to a repeatable request could not be kept (%s)", type(error).__name__)
    return response


def _let_go(rt: Runtime, turn: api_answers.Turn) -> None:
    try:
        api_answers.let_go(rt, turn)
    except StoreError as error:
        logger.warning("the API's Idempotency-Key could not be let go (%s)", type(error).__name__)


def _again(answer: Answer) -> Response:
    response = jsonify(answer.body) if answer.body is not None else Response()
    response.status_code = answer.status
    if answer.location is not None:
        response.headers["Location"] = answer.location
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _key(*, required: bool) -> str | None:
    key = request.headers.get(HEADER)
    if key is None and not required:
        return None
    if key is None or not _KEY.match(key):
        told = "is missing." if key is None else "has to be 1 to 255 printable ASCII characters without a space."
        raise Problem(
            Kind.INVALID,
            f"The header {HEADER} {told}",
            errors=[Fault(detail=told, parameter=HEADER)],
        )
    return key
