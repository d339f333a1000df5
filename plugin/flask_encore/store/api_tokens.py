"""Statements on the API's tokens. Of a token there is only the hash: what is read here can be used by nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.store.models import Instant, api_tokens

_t = api_tokens.c
#: Everything but the hash, which nobody needs to read back.
_COLUMNS = tuple(column for column in api_tokens.c if column.name != "token_hash")

_BY_HASH = sa.select(*_COLUMNS).where(
    _t.token_hash == sa.bindparam("of_hash"), _t.account == sa.bindparam("of_account")
)


def by_hash(connection: sa.Connection, token_hash: str, *, account: str) -> Mapping[Any, Any] | None:
    """The token with this hash, however it stands, or ``None``: one SELECT by a unique key."""
    return connection.execute(_BY_HASH, {"of_hash": token_hash, "of_account": account}).mappings().first()


def listed(connection: sa.Connection, *, account: str) -> Sequence[Mapping[Any, Any]]:
    """Every token there ever was, newest first."""
    mine = sa.select(*_COLUMNS).where(_t.account == account).order_by(_t.created_at.desc(), _t.id)
    return connection.execute(mine).mappings().all()


def find(connection: sa.Connection, id: str, *, account: str) -> Mapping[Any, Any] | None:
    """One token, or ``None``."""
    mine = sa.select(*_COLUMNS).where(_t.account == account, _t.id == id)
    return connection.execute(mine).mappings().first()


def usable(connection: sa.Connection, *, account: str, now: datetime) -> Sequence[Mapping[Any, Any]]:
    """Names of the tokens that can be used."""
    mine = sa.select(_t.name).where(
        _t.account == account, _t.revoked_at.is_(None), sa.or_(_t.expires_at.is_(None), _t.expires_at > now)
    )
    return connection.execute(mine).mappings().all()


def add(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Write a new token."""
    connection.execute(sa.insert(api_tokens).values(dict(values)))


def revoke(connection: sa.Connection, id: str, *, account: str, now: datetime) -> bool:
    """End a token for good. False when it is ended already."""
    statement = (
        sa.update(api_tokens)
        .where(_t.account == account, _t.id == id, _t.revoked_at.is_(None))
        .values(revoked_at=sa.bindparam("now", type_=Instant))
    )
    return connection.execute(statement, {"now": now}).rowcount == 1


def used(connection: sa.Connection, id: str, *, since: datetime, now: datetime) -> bool:
    """Note that a token was used *now*, unless it was noted *since* then."""
    return (
        connection.execute(
            sa.update(api_tokens)
            .where(_t.id == id, sa.or_(_t.last_used_at.is_(None), _t.last_used_at <= since))
            .values(last_used_at=now)
        ).rowcount
        == 1
    )
