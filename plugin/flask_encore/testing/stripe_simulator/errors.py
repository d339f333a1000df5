"""Stripe's error answers, as exceptions the rooms raise and the server renders."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class StripeError(Exception):
    """An answer other than 200, in Stripe's JSON shape.

    Attributes:
        status: HTTP status, for example 402.
        body: the whole JSON body, ``{"error": {...}}``.
        stored: whether an Idempotency-Key remembers this answer. Stripe forgets refused
            input (the request never began) but remembers everything that happened after.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        stored: bool = True,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.stored = stored
        error: Json = {"type": kind, "message": message}
        if code is not None:
            error["code"] = code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param is not None:
            error["param"] = param
        error.update(more)
        self.body: Json = {"error": error}


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> StripeError:
    """Input refused before anything ran (400); the idempotency key stays free."""
    return StripeError(400, "invalid_request_error", message, code=code, param=param, stored=False)


def refused(message: str, *, param: str | None = None, code: str | None = None, **more: Any) -> StripeError:
    """Good input that the state of things forbids (400); remembered under the key."""
    return StripeError(400, "invalid_request_error", message, code=code, param=param, **more)


def missing(kind: str, object_id: str, *, param: str = "id", status: int = 404) -> StripeError:
    """No such object: 404 in the path, 400 when named by a parameter."""
    noun = kind.replace("_", "").replace(".", " ")
    message = f"No such {noun}: '{object_id}'"
    return StripeError(status, "invalid_request_error", message, code="resource_missing", param=param)


def unauthorized(message: str) -> StripeError:
    """No key, or one that is not ours (401)."""
    return StripeError(401, "invalid_request_error", message, stored=False)


def idempotency_mismatch(message: str) -> StripeError:
    """One key, two different requests (400, type ``idempotency_error``)."""
    return StripeError(400, "idempotency_error", message, stored=False)


def key_in_use(key: str) -> StripeError:
    """The first request with this key is still running (409)."""
    message = f"There is currently another in-progress request using this Idempotency Key: {key}"
    return StripeError(409, "idempotency_error", message, code="idempotency_key_in_use", stored=False)


def lock_timeout() -> StripeError:
    """Another request holds the object (429)."""
    message = "This object cannot be accessed right now because another request is currently accessing it."
    return StripeError(429, "invalid_request_error", message, code="lock_timeout", stored=False)


def rate_limited() -> StripeError:
    """Too many requests (429)."""
    return StripeError(429, "invalid_request_error", "Too many requests.", code="rate_limit", stored=False)


def server_error(*, stored: bool) -> StripeError:
    """Stripe's own fault (500): whether the request took effect is unknown to the caller."""
    return StripeError(500, "api_error", "An unknown error occurred.", stored=stored)
