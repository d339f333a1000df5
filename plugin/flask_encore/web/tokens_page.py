"""The API's tokens: issued and shown once, listed without their secret, revoked after being asked once more."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response, g, request

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.rights import Right
from flask_encore.services import api_tokens
from flask_encore.services.api_tokens import NoSuchToken, Token
from flask_encore.web import campaign_words, settings_words
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import (
    ask,
    changes_something,
    is_sealed,
    message,
    needs,
    on_database,
    page,
    see,
    url,
)
from flask_encore.web.dashboard_words import Tone

#: Longer than any name; what is typed beyond it is refused, not lost.
_LONGEST_TYPED = 500


def add_to(blueprint: Blueprint) -> None:
    """The list with its form, and one token's end."""
    blueprint.get("/dashboard/settings/tokens/")(tokens)
    blueprint.post("/dashboard/settings/tokens/")(issue_token)
    blueprint.get("/dashboard/settings/tokens/<id>/revoke")(ask_revoke)
    blueprint.post("/dashboard/settings/tokens/<id>/revoke")(revoke_token)


@needs(Right.READ)
@on_database
def tokens() -> Response:
    """Every token there ever was, and the form of a new one."""
    revoked = request.args.get("revoked", "")
    listed = api_tokens.listed(state().runtime)
    ended = next((token for token in listed if token.id == revoked and token.revoked_at is not None), None)
    told = [] if ended is None else [(f"“{ended.name}” is revoked: it opens nothing any more.", Tone.GOOD)]
    return _page(listed, told=told)


@needs(Right.EDIT)
@on_database
@changes_something("No token was made")
def issue_token() -> Response:
    """Make a token. Its secret stands on this answer and nowhere else: no address, no log and no cache has it."""
    rt, typed = state().runtime, {name: request.form.get(name, "")[:_LONGEST_TYPED] for name in ("name", "days")}
    scopes = request.form.getlist("scope")[: len(settings_words.SCOPES)]
    if not is_sealed():
        stale = "This page was open for too long. No token was made yet; please send it again."
        return _page(api_tokens.listed(rt), status=403, typed=typed, scopes=scopes, told=[(stale, Tone.WAIT)])
    days = typed["days"]
    try:
        token, secret = api_tokens.issue(
            rt,
            name=typed["name"],
            scopes=scopes,
            actor=g.encore_actor,
            days=int(days) if days in settings_words.TERMS and days else _no_end(days),
        )
    except InvalidInput as error:
        return _page(api_tokens.listed(rt), status=422, typed=typed, scopes=scopes, told=[(str(error), Tone.BAD)])
    return page(
        "secret.html",
        here="settings",
        title=f"The token “{token.name}”",
        what="It goes into the header of every request to the API:",
        example="Authorization: Bearer encore_…",
        secret=secret,
        back_url=url("tokens"),
    )


@needs(Right.EDIT)
@on_database
def ask_revoke(id: str) -> Response:
    """Ask once more. Changes nothing."""
    token = _find(id)
    return _no_such_token() if token is None else _ask(token, stale=False)


@needs(Right.EDIT)
@on_database
@changes_something("Nothing was revoked")
def revoke_token(id: str) -> Response:
    """End a token. A second click finds it ended."""
    token = _find(id)
    if token is None:
        return _no_such_token()
    if not is_sealed():
        return _ask(token, stale=True)
    api_tokens.revoke(state().runtime, token.id, actor=g.encore_actor)
    return see(url("tokens", revoked=token.id))


def _no_end(days: str) -> int | None:
    if days:
        raise InvalidInput("Choose how long the token is good for.")
    return None


def _find(id: str) -> Token | None:
    try:
        return api_tokens.find(state().runtime, id)
    except NoSuchToken:
        return None


def _ask(token: Token, *, stale: bool) -> Response:
    return ask(
        f"Revoke “{token.name}”?",
        "Whatever uses it is refused from that moment on, for good. To go on, issue another token first.",
        "Revoke it",
        stale=stale,
        danger=True,
        here="settings",
        back_url=url("tokens"),
    )


def _no_such_token() -> Response:
    return message(404, "There is no such token", "Nothing was changed. The list has every token there ever was.")


def _page(
    listed: Sequence[Token],
    *,
    status: int = 200,
    typed: dict[str, str] | None = None,
    scopes: Sequence[str] = (),
    told: Sequence[tuple[str, Tone]] = (),
) -> Response:
    now = state().runtime.clock()
    return page(
        "tokens.html",
        here="settings",
        status=status,
        tokens=[(token, *_stands(token, token.is_usable(now))) for token in listed],
        usable=sum(token.is_usable(now) for token in listed),
        most=api_tokens.MAX_TOKENS,
        fields=typed or {"name": "", "days": "90"},
        chosen=frozenset(scopes),
        told=told,
        errors={},
        settings_words=settings_words,
        campaign_words=campaign_words,
    )


def _stands(token: Token, is_usable: bool) -> tuple[str, Tone]:
    if token.revoked_at is not None:
        return "Revoked", Tone.PLAIN
    return ("In use" if token.last_used_at else "Not used yet", Tone.GOOD) if is_usable else ("Expired", Tone.PLAIN)
