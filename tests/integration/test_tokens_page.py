"""The page of the API's tokens: a secret is shown once and is nowhere else."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from conftest import Shop
from dashboard_pages import get, text_of
from dashboard_settings import TOKENS, post, with_rights

from flask_encore.domain.rights import Right
from flask_encore.domain.scopes import Scope
from flask_encore.services import api_tokens

FORM = {"name": "Warehouse", "days": "90", "scope": ["charges:read", "charges:refund"]}


def secret_in(response: Any) -> str:
    return re.search(r"encore_[\w-]{43}", response.text)[0]  # type: ignore[index]


def issued(shop: Shop, name: str = "Warehouse") -> str:
    return api_tokens.issue(shop.rt, name=name, scopes=["charges:read"], actor="ana")[0].id


def test_a_new_token_is_shown_once_and_opens_what_was_ticked(any_shop: Shop) -> None:
    response = post(any_shop, TOKENS, FORM)

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert "Location" not in response.headers
    token = api_tokens.authenticate(any_shop.rt, secret_in(response))
    assert token is not None
    assert (token.name, token.created_by) == ("Warehouse", "merchant")
    assert token.scopes == {Scope.CHARGES_READ, Scope.CHARGES_REFUND}
    assert token.expires_at is not None
    assert (token.expires_at - token.created_at).days == 90


def test_the_secret_is_in_no_row_no_log_and_on_no_other_page(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        secret = secret_in(post(shop, TOKENS, FORM)).removeprefix("encore_")
        listed = get(shop, TOKENS)
        history = get(shop, "/encore/dashboard/campaigns/history")

    rows = json.dumps([shop.rows("api_tokens"), shop.rows("audit")], default=str)
    assert secret not in rows + caplog.text + listed.text + history.text
    assert "Warehouse Not used yet charges:read charges:refund Made by merchant" in text_of(listed)


def test_a_token_without_an_end_says_so(shop: Shop) -> None:
    post(shop, TOKENS, FORM | {"days": ""})
    assert "No end." in text_of(get(shop, TOKENS))
    assert shop.rows("api_tokens")[0]["expires_at"] is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": ""}, "The token's name has to be a non-empty string"),
        ({"name": "x" * 101}, "The token's name has to be at most 100 characters."),
        ({"name": "a\0b"}, "without control characters"),
        ({"scope": []}, "A token needs at least one scope"),
        ({"scope": ["everything"]}, "There is no scope 'everything'"),
        ({"days": "-1"}, "Choose how long the token is good for."),
        ({"days": "9" * 5000}, "Choose how long the token is good for."),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(shop: Shop, wrong: dict[str, Any], sentence: str) -> None:
    response = post(shop, TOKENS, FORM | wrong)
    assert response.status_code == 422
    assert sentence in text_of(response)
    if "scope" not in wrong:
        assert 'value="charges:refund" checked' in response.text
    if "name" not in wrong:
        assert 'value="Warehouse"' in response.text
    assert shop.rows("api_tokens") == []


def test_sending_the_form_again_makes_no_second_token(shop: Shop) -> None:
    post(shop, TOKENS, FORM)
    again = post(shop, TOKENS, FORM)
    assert again.status_code == 422
    assert "There is a token called “Warehouse” already" in text_of(again)
    assert len(shop.rows("api_tokens")) == 1


def test_revoking_is_asked_once_more(any_shop: Shop) -> None:
    id = issued(any_shop)
    asked = get(any_shop, f"{TOKENS}{id}/revoke")
    assert "Revoke “Warehouse”?" in text_of(asked)
    assert any_shop.rows("api_tokens")[0]["revoked_at"] is None

    done = post(any_shop, f"{TOKENS}{id}/revoke")
    assert (done.status_code, done.location) == (303, f"{TOKENS}?revoked={id}")
    assert "“Warehouse” is revoked: it opens nothing any more." in text_of(get(any_shop, done.location))
    assert [row["action"] for row in any_shop.rows("audit")] == ["create", "revoke"]


def test_a_second_click_finds_it_revoked(shop: Shop) -> None:
    id = issued(shop)
    assert [post(shop, f"{TOKENS}{id}/revoke").status_code for _ in range(2)] == [303, 303]
    assert len(shop.rows("audit")) == 2


@pytest.mark.parametrize("id", ["nobody", "%00", "x" * 1000, "' OR 1=1"])
def test_a_token_that_is_not_there_is_a_page_that_says_so(shop: Shop, id: str) -> None:
    issued(shop)
    assert get(shop, f"{TOKENS}{id}/revoke").status_code == 404
    assert post(shop, f"{TOKENS}{id}/revoke").status_code == 404
    assert shop.rows("api_tokens")[0]["revoked_at"] is None


def test_without_a_seal_nothing_is_made_or_revoked(shop: Shop) -> None:
    id = issued(shop, "Old one")
    assert post(shop, TOKENS, FORM, sealed=False).status_code == 403
    assert post(shop, f"{TOKENS}{id}/revoke", sealed=False).status_code == 403
    assert post(shop, TOKENS, FORM, Origin="https://evil.example").status_code == 403
    assert [(row["name"], row["revoked_at"]) for row in shop.rows("api_tokens")] == [("Old one", None)]


def test_who_may_only_look_sees_the_tokens_and_can_do_nothing(shop: Shop) -> None:
    id = issued(shop)
    with_rights(shop, [Right.READ])

    page = get(shop, TOKENS)

    assert "Warehouse" in text_of(page)
    assert "<form" not in page.text and "/revoke" not in page.text
    posts = [shop.app.test_client().post(path, data=FORM) for path in (TOKENS, f"{TOKENS}{id}/revoke")]
    assert [response.status_code for response in posts] == [403, 403]
    assert get(shop, f"{TOKENS}{id}/revoke").status_code == 403
    assert len(shop.rows("api_tokens")) == 1


def test_an_expired_token_says_so_and_cannot_be_revoked_by_a_button(shop: Shop) -> None:
    api_tokens.issue(shop.rt, name="Warehouse", scopes=["charges:read"], actor="ana", days=1)
    shop.clock.advance(days=1)
    page = get(shop, TOKENS)
    assert "Warehouse Expired charges:read" in text_of(page)
    assert "/revoke" not in page.text
