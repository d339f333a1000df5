"""The API's tokens: told once, kept as a hash, refused when they are over, and everybody's own."""

from __future__ import annotations

import hashlib
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop
from sqlalchemy.exc import OperationalError

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.scopes import Scope
from flask_encore.services import api_tokens, auditing
from flask_encore.services.api_tokens import NoSuchToken, Token
from flask_encore.services.runtime import Runtime
from flask_encore.store import api_tokens as table


def issued(rt: Runtime, name: str = "Warehouse", **changes: Any) -> tuple[Token, str]:
    return api_tokens.issue(rt, **{"name": name, "scopes": ["charges:read"], "actor": "ana", "days": None} | changes)


def of_another_account(shop: Shop) -> Runtime:
    return replace(shop.rt, settings=replace(shop.rt.settings, stripe_account="acct_other"))


def names(rt: Runtime) -> list[str]:
    return [token.name for token in api_tokens.listed(rt)]


# Issuing


def test_a_token_is_256_random_bits_behind_a_prefix_that_scanners_find(shop: Shop) -> None:
    _, secret = issued(shop.rt)
    assert secret.startswith("encore_")
    assert len(secret) == len("encore_") + 43


def test_a_token_says_who_made_it_what_for_and_until_when(any_shop: Shop) -> None:
    token, _ = issued(any_shop.rt, scopes=["reports:read", Scope.CHARGES_READ], days=90)

    assert (token.name, token.created_by, token.created_at) == ("Warehouse", "ana", any_shop.clock())
    assert token.scopes == {Scope.REPORTS_READ, Scope.CHARGES_READ}
    assert token.expires_at == any_shop.clock() + timedelta(days=90)
    assert api_tokens.listed(any_shop.rt) == [token]


def test_only_the_hash_of_a_token_is_kept(any_shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        token, secret = issued(any_shop.rt)
        api_tokens.authenticate(any_shop.rt, secret)
        api_tokens.revoke(any_shop.rt, token.id, actor="ana")

    [row] = any_shop.rows("api_tokens")
    assert row["token_hash"] == hashlib.sha256(secret.encode()).hexdigest()
    everything = json.dumps([any_shop.rows("api_tokens"), any_shop.rows("audit")], default=str) + caplog.text
    assert secret not in everything
    assert secret.removeprefix("encore_") not in everything
    assert row["token_hash"] not in json.dumps(any_shop.rows("audit"), default=str)
    assert secret not in repr(token)


def test_issuing_and_revoking_are_written_down(any_shop: Shop) -> None:
    token, _ = issued(any_shop.rt, days=1)
    api_tokens.revoke(any_shop.rt, token.id, actor="ben")

    told = {"name": "Warehouse", "scopes": ["charges:read"], "expires_at": "2026-03-03T14:03:00+00:00"}
    assert [
        (entry.actor, entry.action, entry.before, entry.after)
        for entry in auditing.history(any_shop.rt, subject=f"token {token.id}")
    ] == [("ben", "revoke", told, None), ("ana", "create", None, told)]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": ""}, "The token's name has to be a non-empty string"),
        ({"name": " \t"}, "The token's name has to be a non-empty string"),
        ({"name": None}, "The token's name has to be a non-empty string"),
        ({"name": "a\0b"}, "without control characters"),
        ({"name": "n" * 101}, "The token's name has to be at most 100 characters."),
        ({"name": "n" * 5000}, "The token's name has to be at most 200 characters"),
        ({"scopes": []}, "A token needs at least one scope"),
        ({"scopes": ["all"]}, "There is no scope 'all'"),
        ({"days": 0}, "A token is good for 1 to 3,650 days, or without an end; got 0."),
        ({"days": 3651}, "got 3651."),
        ({"days": True}, "got True."),
        ({"days": 10**400}, "A token is good for"),
        ({"actor": ""}, "actor has to be a non-empty string"),
    ],
)
def test_what_cannot_be_a_token_is_refused_and_nothing_is_written(
    shop: Shop, wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        issued(shop.rt, **wrong)
    assert (shop.rows("api_tokens"), shop.rows("audit")) == ([], [])


def test_two_usable_tokens_have_two_names(any_shop: Shop) -> None:
    first, _ = issued(any_shop.rt)
    with pytest.raises(InvalidInput, match="There is a token called “Warehouse” already"):
        issued(any_shop.rt, " Warehouse ")

    api_tokens.revoke(any_shop.rt, first.id, actor="ana")
    issued(any_shop.rt)
    assert names(any_shop.rt) == ["Warehouse", "Warehouse"]


def test_there_are_fifty_usable_tokens_at_most(any_shop: Shop) -> None:
    expiring, _ = issued(any_shop.rt, "1", days=1)
    for number in range(2, 51):
        issued(any_shop.rt, str(number))
    with pytest.raises(InvalidInput, match="There are 50 tokens already; revoke one first"):
        issued(any_shop.rt, "51")

    any_shop.clock.advance(days=1)
    issued(any_shop.rt, "51")
    assert len(api_tokens.listed(any_shop.rt)) == 51
    assert expiring.name in names(any_shop.rt)


def test_of_two_issued_at_one_moment_only_one_is_the_fiftieth(any_shop: Shop) -> None:
    for number in range(49):
        issued(any_shop.rt, str(number))

    def issue(name: str) -> str:
        try:
            return issued(any_shop.rt, name)[0].name
        except InvalidInput as error:
            return str(error)

    with ThreadPoolExecutor(4) as threads:
        told = list(threads.map(issue, ["a", "b", "c", "d"]))

    assert told.count("There are 50 tokens already; revoke one first.") == 3
    assert len(any_shop.rows("api_tokens")) == 50


# Using one


def test_a_token_opens_what_it_was_issued_for(any_shop: Shop) -> None:
    token, secret = issued(any_shop.rt)
    opened = api_tokens.authenticate(any_shop.rt, secret)
    assert opened is not None
    assert (opened.id, opened.scopes) == (token.id, {Scope.CHARGES_READ})


@pytest.mark.parametrize(
    "secret",
    ["", "encore_", "encore_" + "A" * 43, "A" * 43, "encore_" + "A" * 44, "encore_" + "é" * 43, "\0", "x" * 100_000],
)
def test_what_was_never_issued_opens_nothing(shop: Shop, secret: str) -> None:
    issued(shop.rt)
    assert api_tokens.authenticate(shop.rt, secret) is None
    assert shop.rows("api_tokens")[0]["last_used_at"] is None


def test_the_hash_of_a_token_opens_nothing(shop: Shop) -> None:
    _, secret = issued(shop.rt)
    assert api_tokens.authenticate(shop.rt, api_tokens.hash_of(secret)) is None


def test_a_revoked_token_opens_nothing_any_more(any_shop: Shop) -> None:
    token, secret = issued(any_shop.rt)
    assert api_tokens.revoke(any_shop.rt, token.id, actor="ana") is True
    assert api_tokens.authenticate(any_shop.rt, secret) is None
    assert api_tokens.revoke(any_shop.rt, token.id, actor="ana") is False
    assert len(any_shop.rows("audit")) == 2


def test_an_expired_token_opens_nothing_from_that_moment_on(any_shop: Shop) -> None:
    _, secret = issued(any_shop.rt, days=1)
    any_shop.clock.advance(days=1, microseconds=-1)
    assert api_tokens.authenticate(any_shop.rt, secret) is not None
    any_shop.clock.advance(microseconds=1)
    assert api_tokens.authenticate(any_shop.rt, secret) is None


def test_somebody_elses_token_is_unknown(any_shop: Shop) -> None:
    other = of_another_account(any_shop)
    token, secret = issued(any_shop.rt)

    assert api_tokens.authenticate(other, secret) is None
    assert api_tokens.listed(other) == []
    for attempt in (lambda: api_tokens.find(other, token.id), lambda: api_tokens.revoke(other, token.id, actor="eve")):
        with pytest.raises(NoSuchToken):
            attempt()
    assert api_tokens.authenticate(any_shop.rt, secret) is not None


@pytest.mark.parametrize("id", ["", "nobody", "\0", "x" * 10_000, "'; DROP TABLE encore_api_tokens; --"])
def test_an_unknown_token_cannot_be_revoked(shop: Shop, id: str) -> None:
    with pytest.raises(NoSuchToken, match="There is no such token"):
        api_tokens.revoke(shop.rt, id, actor="ana")


def test_a_use_is_noted_once_a_minute(any_shop: Shop) -> None:
    token, secret = issued(any_shop.rt)

    def noted_after(**later: int) -> Any:
        any_shop.clock.advance(**later)
        api_tokens.authenticate(any_shop.rt, secret)
        return api_tokens.find(any_shop.rt, token.id).last_used_at

    first = noted_after(seconds=0)
    assert first == any_shop.clock()
    assert noted_after(seconds=59) == first
    assert noted_after(seconds=1) == any_shop.clock()


def test_authenticating_is_one_select(shop: Shop) -> None:
    _, secret = issued(shop.rt)
    api_tokens.authenticate(shop.rt, secret)
    said: list[str] = []
    sa.event.listen(shop.rt.db.engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    api_tokens.authenticate(shop.rt, secret)
    assert [statement.split()[0] for statement in said] == ["SELECT"]


def test_a_database_too_busy_to_note_the_use_lets_in_all_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def locked(*_: Any, **__: Any) -> None:
        raise OperationalError("UPDATE", None, Exception("database is locked"))

    token, secret = issued(shop.rt)
    monkeypatch.setattr(table, "used", locked)
    assert api_tokens.authenticate(shop.rt, secret) is not None
    assert f"that token {token.id} was used could not be noted (OperationalError)" in caplog.text
