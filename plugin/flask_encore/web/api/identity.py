"""Who asks: a bearer token, what it may do, and how often."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Response, g, request
from werkzeug.datastructures import Authorization

from flask_encore.domain.scopes import Scope
from flask_encore.services import api_tokens
from flask_encore.services.api_tokens import Token
from flask_encore.web import policies
from flask_encore.web.api.current import api_state
from flask_encore.web.api.problems import Kind, Problem
from flask_encore.web.current import state

View = TypeVar("View", bound=Callable[..., Any])

REALM = "encore"

#: One answer for a token that is missing, malformed, unknown, another account's, expired or revoked.
NO_TOKEN = "Send a valid token as “Authorization: Bearer encore_…”; the merchant makes one on the settings page."


def scoped(scope: Scope) -> Callable[[View], View]:
    """Let in tokens that have *scope*. Place it outermost."""

    def wrap(view: View) -> View:
        @wraps(view)
        def answer(**arguments: Any) -> Any:
            token = admitted()
            if scope not in token.scopes:
                challenge = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{scope}"'
                raise Problem(
                    Kind.FORBIDDEN,
                    f"This token lacks the scope {scope}; the merchant can issue one that has it.",
                    headers={"WWW-Authenticate": challenge},
                )
            return view(**arguments)

        return policies.open_to(f"the holder of a token with the scope {scope}")(answer)  # type: ignore[return-value]

    return wrap


def admitted() -> Token:
    """The token of this request.

    Raises:
        Problem: If there is none that opens anything, or its limit is reached.
    """
    api = api_state()
    token = api_tokens.authenticate(state().runtime, _bearer(request.authorization))
    if token is None:
        allowance = api.limiter.of_bad_token(request.remote_addr or "")
        if allowance is not None and allowance.is_over:
            raise _too_many(allowance.headers("address"), "There were too many requests without a valid token.")
        raise Problem(Kind.UNAUTHENTICATED, NO_TOKEN, headers={"WWW-Authenticate": f'Bearer realm="{REALM}"'})
    g.encore_api_token = token
    allowance = api.limiter.of_token(token.id)
    if allowance is not None:
        g.encore_api_allowance = allowance
        if allowance.is_over:
            raise _too_many(
                {"Retry-After": str(allowance.reset_seconds)},
                f"This token may ask {allowance.quota} times a minute.",
            )
    return token


def token() -> Token:
    """The token that was admitted."""
    found: Token = g.encore_api_token
    return found


def actor() -> str:
    """The token's holder, as the audit log and refunds name them."""
    return f"api:{token().name}"


def with_allowance(response: Response) -> Response:
    """*response* with how often the token may still ask."""
    allowance = g.get("encore_api_allowance")
    if allowance is not None:
        for name, value in allowance.headers("token").items():
            response.headers.setdefault(name, value)
    return response


def _bearer(given: Authorization | None) -> str:
    """The token as it was sent; empty when none was."""
    return (given.token or "") if given is not None and given.type == "bearer" else ""


def _too_many(headers: dict[str, str], detail: str) -> Problem:
    return Problem(Kind.TOO_MANY_REQUESTS, detail, headers=headers)
