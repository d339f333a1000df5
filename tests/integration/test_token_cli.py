"""``flask encore tokens``: the same as the page, for scripts."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import Result
from conftest import Shop

from flask_encore.cli import cli
from flask_encore.services import api_tokens


def run(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(cli, ["tokens", *words])


def test_a_token_is_made_listed_and_revoked(shop: Shop) -> None:
    made = run(shop, "create", "Warehouse", "--scope", "charges:read", "--days", "30", "--actor", "ana")
    secret = made.output.splitlines()[1]
    token = api_tokens.authenticate(shop.rt, secret)
    assert token is not None

    assert run(shop, "list").output == (
        f"{token.id}  usable   Warehouse; charges:read; until 2026-04-01; used 2026-03-02 14:03 UTC\n"
    )
    assert run(shop, "revoke", token.id).output == f"Token {token.id} is revoked.\n"
    assert run(shop, "revoke", token.id).output == f"Token {token.id} is revoked already.\n"
    assert api_tokens.authenticate(shop.rt, secret) is None
    [row] = json.loads(run(shop, "list", "--json").output)
    assert (row["name"], row["scopes"], row["created_by"]) == ("Warehouse", ["charges:read"], "ana")
    assert secret not in run(shop, "list").output + json.dumps(row)
    assert re.fullmatch(r"encore_[\w-]{43}", secret)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "Warehouse"), "Missing option '--scope'"),
        (("create", "Warehouse", "--scope", "everything"), "'everything' is not one of"),
        (("create", " ", "--scope", "charges:read"), "The token's name has to be a non-empty string"),
        (("create", "Warehouse", "--scope", "charges:read", "--days", "0"), "0 is not in the range"),
        (("revoke", "nobody"), "There is no such token."),
    ],
)
def test_a_mistake_gets_a_sentence_and_changes_nothing(shop: Shop, words: tuple[str, ...], said: str) -> None:
    result = run(shop, *words)
    assert result.exit_code != 0
    assert said in result.output
    assert (shop.rows("api_tokens"), shop.rows("audit")) == ([], [])


def test_without_a_token_the_list_says_how_to_make_one(shop: Shop) -> None:
    assert run(shop, "list").output == (
        "There is no token yet. Make one: flask encore tokens create NAME --scope reports:read\n"
    )
