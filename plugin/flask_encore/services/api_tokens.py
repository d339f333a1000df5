"""Who may use the API: tokens with scopes, issued and shown once, looked up by their hash, revoked for good.

A token is 256 random bits, so its plain SHA-256 is as hard to guess as the token itself: a slow hash protects what
people choose, and nobody chose this. The lookup is by the hash, by a unique index: how long it takes says nothing
about a token that was not hashed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_encore.domain.errors import EncoreError, InvalidInput
from flask_encore.domain.orders import checked_ref
from flask_encore.domain.scopes import Scope, checked_scopes
from flask_encore.services import auditing
from flask_encore.services.auditing import Action
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import api_tokens, switches
from flask_encore.store.database import StoreError

#: What every token begins with, so that scanners of repositories and logs find one that was lost.
PREFIX = "encore_"
#: 256 bits: nobody guesses one, however long they try.
TOKEN_BYTES = 32
_FORM = re.compile(rf"{PREFIX}[\w-]{{43}}", re.ASCII)

#: Tokens that can be used at one time. Each is a key somebody has to look after.
MAX_TOKENS = 50
#: As wide as ``encore_api_tokens.name``.
LONGEST_NAME = 100
#: Ten years; longer is "no expiry", said honestly.
LONGEST_DAYS = 3650

#: *Last used* is to the minute: noting every request would make each of them a write.
NOTED_EVERY = timedelta(minutes=1)


class NoSuchToken(EncoreError):
    """There is no such token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as everybody may see it: without its secret, which nobody has but its holder.

    Attributes:
        created_by: Who issued it.
        expires_at: From then on it is refused; ``None`` for never.
        last_used_at: To the minute; ``None`` before its first use.
        revoked_at: Since then it is refused, for good.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def is_usable(self, now: datetime) -> bool:
        """Whether it opens anything *now*."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def subject_of(id: str) -> str:
    """What the audit log calls a token: no campaign can be called so."""
    return f"token {id}"


def issue(
    rt: Runtime, *, name: str, scopes: Iterable[object], actor: str, days: int | None = None
) -> tuple[Token, str]:
    """Make a token; answers it, and its secret, which is kept nowhere and told this once.

    Args:
        scopes: What it may be used for, at least one.
        days: After how many days it is refused; ``None`` for never.

    Raises:
        InvalidInput: If the name is empty, too long, or a usable token's; a scope is unknown; the days are not from 1
            to `LONGEST_DAYS`; or there are `MAX_TOKENS` already.
    """
    auditing.checked_actor(actor)
    name, allowed = _checked_name(name), checked_scopes(scopes)
    if days is not None and (type(days) is not int or not 1 <= days <= LONGEST_DAYS):
        raise InvalidInput(f"A token is good for 1 to {LONGEST_DAYS:,} days, or without an end; got {days!r}.")
    secret, now = PREFIX + secrets.token_urlsafe(TOKEN_BYTES), rt.clock()
    token = Token(
        id=uuid.uuid4().hex,
        name=name,
        scopes=allowed,
        created_at=now,
        created_by=actor,
        expires_at=None if days is None else now + timedelta(days=days),
        last_used_at=None,
        revoked_at=None,
    )
    with rt.db.write() as connection:
        # Two who issue at one moment queue here, so that the cap and the name hold.
        switches.lock(connection, rt.account)
        taken = [row["name"] for row in api_tokens.usable(connection, account=rt.account, now=now)]
        if len(taken) >= MAX_TOKENS:
            raise InvalidInput(f"There are {MAX_TOKENS} tokens already; revoke one first.")
        if name in taken:
            raise InvalidInput(f"There is a token called “{name}” already; revoke it first, or choose another name.")
        api_tokens.add(connection, _row(rt, token) | {"token_hash": hash_of(secret)})
        auditing.record(
            rt,
            connection,
            actor=actor,
            action=Action.CREATE,
            subject=subject_of(token.id),
            before=None,
            after=_described(token),
        )
    return token, secret


def authenticate(rt: Runtime, secret: str) -> Token | None:
    """The token *secret* opens, or ``None`` when it opens nothing: unknown here, expired, revoked, or no token.

    One SELECT. That it was used is noted at most once a minute, and never costs the request.
    """
    if not isinstance(secret, str) or not _FORM.fullmatch(secret):
        return None
    now = rt.clock()
    with rt.db.read() as connection:
        row = api_tokens.by_hash(connection, hash_of(secret), account=rt.account)
    token = None if row is None else _token(row)
    if token is None or not token.is_usable(now):
        return None
    if token.last_used_at is None or token.last_used_at <= now - NOTED_EVERY:
        _note(rt, token, now)
    return token


def revoke(rt: Runtime, id: str, *, actor: str) -> bool:
    """Refuse a token from now on, for good. False when it is revoked already.

    Raises:
        NoSuchToken: If there is none.
    """
    auditing.checked_actor(actor)
    token = find(rt, id)
    with rt.db.write() as connection:
        if not api_tokens.revoke(connection, id, account=rt.account, now=rt.clock()):
            return False
        auditing.record(
            rt,
            connection,
            actor=actor,
            action=Action.REVOKE,
            subject=subject_of(id),
            before=_described(token),
            after=None,
        )
    return True


def find(rt: Runtime, id: str) -> Token:
    """One token.

    Raises:
        NoSuchToken: If there is none.
    """
    # A key of another shape is not even looked for.
    is_one = isinstance(id, str) and id.isascii() and id.isalnum() and len(id) <= 32
    row = None
    if is_one:
        with rt.db.read() as connection:
            row = api_tokens.find(connection, id, account=rt.account)
    if row is None:
        raise NoSuchToken("There is no such token.")
    return _token(row)


def listed(rt: Runtime) -> list[Token]:
    """Every token there ever was, newest first: the revoked and the expired too."""
    with rt.db.read() as connection:
        return [_token(row) for row in api_tokens.listed(connection, account=rt.account)]


def hash_of(secret: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _note(rt: Runtime, token: Token, now: datetime) -> None:
    try:
        with rt.db.write(hasty=True) as connection:
            api_tokens.used(connection, token.id, since=now - NOTED_EVERY, now=now)
    except StoreError as error:
        # A busy database must not refuse who may come in.
        logger.warning("that token %s was used could not be noted (%s)", token.id, type(error).__name__)


def _checked_name(name: object) -> str:
    told = checked_ref("The token's name", name.strip() if isinstance(name, str) else name)
    if len(told) > LONGEST_NAME:
        raise InvalidInput(f"The token's name has to be at most {LONGEST_NAME} characters.")
    return told


def _row(rt: Runtime, token: Token) -> dict[str, Any]:
    names = ("id", "name", "created_at", "created_by", "expires_at", "last_used_at", "revoked_at")
    return {name: getattr(token, name) for name in names} | {"account": rt.account, "scopes": _sorted(token)}


def _token(row: Mapping[Any, Any]) -> Token:
    values = {name: value for name, value in row.items() if name not in {"account", "scopes"}}
    return Token(**values, scopes=Scope.known(row["scopes"]))


def _described(token: Token) -> dict[str, Any]:
    """A token as the audit log keeps it: nothing of the secret, not even its hash."""
    return {
        "name": token.name,
        "scopes": _sorted(token),
        "expires_at": None if token.expires_at is None else token.expires_at.isoformat(),
    }


def _sorted(token: Token) -> list[str]:
    """Its scopes in the order they are documented in."""
    return [scope.value for scope in Scope if scope in token.scopes]
