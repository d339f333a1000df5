"""The API's manners: who is let in, how it refuses, how it reads, and how a list is read to its end."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import sqlalchemy as sa
from api_clients import API, Client, code_of, errors_of
from conftest import Shop, ShopFactory

from flask_encore.domain.scopes import Scope
from flask_encore.services import api_tokens, cataloguing
from flask_encore.web.api import limiting
from flask_encore.web.policies import policy_of

MUG = {"title": "Enamel mug", "price": {"amount": 1290, "currency": "gbp"}, "stock": 40, "category": "Kitchen"}
NO_TOKEN = "Bearer encore_" + "x" * 43


# Who is let in


def test_the_root_says_where_everything_is_described(shop: Shop) -> None:
    response = Client(shop, token="").get("")
    assert response.get_json() == {
        "name": "Encore",
        "version": "1",
        "description": "/encore/api/v1/openapi.json",
        "documentation": "/encore/api/v1/docs",
    }


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer ", NO_TOKEN, "Basic dTpw", "Bearer encore_ü", "bearer\tx", "Bearer " + "a" * 9000],
)
def test_without_a_token_that_opens_something_every_answer_is_the_same(shop: Shop, given: str | None) -> None:
    client = Client(shop, token="")
    response = client.get("/products", headers={} if given is None else {"Authorization": given})

    assert code_of(response) == (401, "unauthenticated")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="encore"'
    assert response.data == client.get("/orders").data


def test_an_expired_or_revoked_token_and_one_of_another_account_are_unknown(shop: Shop, make_shop: ShopFactory) -> None:
    short, secret = api_tokens.issue(shop.rt, name="short", scopes=[Scope.PRODUCTS_READ], actor="merchant", days=1)
    client = Client(shop, token=secret)
    assert client.get("/products").status_code == 200
    api_tokens.revoke(shop.rt, short.id, actor="merchant")
    assert code_of(client.get("/products")) == (401, "unauthenticated")

    _, other = api_tokens.issue(shop.rt, name="other", scopes=[Scope.PRODUCTS_READ], actor="merchant", days=1)
    assert code_of(Client(make_shop(ENCORE_STRIPE_ACCOUNT="acct_2"), token=other).get("/products"))[0] == 401
    shop.clock.advance(days=1)
    assert code_of(Client(shop, token=other).get("/products")) == (401, "unauthenticated")


def test_a_token_without_the_scope_is_told_which_one(shop: Shop) -> None:
    response = Client(shop, Scope.PRODUCTS_READ).put("/products/mug", json=MUG)

    assert code_of(response) == (403, "forbidden")
    assert response.headers["WWW-Authenticate"] == (
        'Bearer realm="encore", error="insufficient_scope", scope="products:write"'
    )
    assert shop.rows("audit")[-1]["action"] == "create"  # the token's, and nothing after it


def test_every_route_of_the_api_says_who_may_use_it(shop: Shop) -> None:
    routes = [rule for rule in shop.app.url_map.iter_rules() if rule.rule.startswith(API)]
    assert len(routes) > 10
    policies = {rule.endpoint: policy_of(shop.app.view_functions[rule.endpoint]) for rule in routes}
    assert [endpoint for endpoint, policy in policies.items() if policy is None] == []
    described = Client(shop, token="").get("/openapi.json").get_json()["paths"]
    scopes = {
        operation["operationId"]: operation["security"][0]["bearer"][0]
        for path in described.values()
        for method, operation in path.items()
        if method != "parameters"
    }
    for endpoint, policy in policies.items():
        view = endpoint.partition(".")[2]
        if view in scopes:
            assert policy == f"the holder of a token with the scope {scopes[view]}"
        else:
            assert policy == "everybody: it says nothing of the shop"


def test_the_api_can_be_turned_off(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_API=False)
    assert [rule for rule in shop.app.url_map.iter_rules() if "/api/" in rule.rule] == []
    assert shop.app.test_client().get(API).mimetype == "text/html"


# How it refuses


@pytest.mark.parametrize("path", ["/", "/nothing", "/products/", "/a/b/c"])
def test_what_is_not_there_is_a_problem_document(shop: Shop, path: str) -> None:
    for method in ("GET", "POST", "TRACE", "BREW"):
        assert code_of(Client(shop, token="")(method, path)) in {(404, "not_found"), (401, "unauthenticated")}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/products", "GET, HEAD, OPTIONS"),
        ("/products/a", "GET, HEAD, PUT, OPTIONS"),
        ("/orders", "GET, HEAD, POST, OPTIONS"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(shop: Shop, path: str, allowed: str) -> None:
    client = Client(shop, token="")
    for method in ("DELETE", "PATCH", "BREW"):
        response = client(method, path)
        assert code_of(response) == (405, "method_not_allowed")
        assert response.headers["Allow"] == allowed
    asked = client("OPTIONS", path)
    assert (asked.status_code, asked.headers["Allow"], asked.data) == (204, allowed, b"")


def test_a_failure_of_ours_tells_nothing_of_the_inside(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(cataloguing, "find", fail)
    response = Client(shop).get("/products/mug")

    assert code_of(response) == (500, "internal")
    assert "secret" not in response.text
    assert "secret of the inside" in caplog.text


def test_a_database_that_is_away_is_said_and_asked_for_again(make_shop: ShopFactory, shop: Shop) -> None:
    client = Client(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("ALTER TABLE encore_products RENAME TO gone"))
    response = client.get("/products")

    assert code_of(response) == (503, "unavailable")
    assert response.headers["Retry-After"] == "5"
    assert "encore_products" not in response.text


def test_every_answer_is_closed_to_caches_and_to_guessing(shop: Shop) -> None:
    client = Client(shop)
    for path in ("", "/products", "/products/mug", "/nothing", "/openapi.json"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] in {"no-store", "private, no-cache"}
        assert "Authorization" in headers["Vary"]


# How it reads a body


BROKEN: list[tuple[bytes, str]] = [
    (b"", "Expecting value, line 1, column 1"),
    (b"{", "The body is not JSON: Expecting property name"),
    (b'{"title": NaN}', "NaN is not a number"),
    (b'{"title": -Infinity}', "-Infinity is not a number"),
    (b'{"stock": 1e999}', "too large"),
    (b'{"stock": ' + b"9" * 5000 + b"}", "too many digits"),
    (b'{"title": "a", "title": "b"}', "'title' stands twice"),
    (b'{"options": {"a": "b", "a": "c"}}', "'a' stands twice"),
    (b"[" * 40 + b"]" * 40, "deeper than 32"),
    (b"[" * 100_000 + b"]" * 100_000, "The body is deeper than 32 objects and lists"),
    (b'{"title": "\xff"}', "not UTF-8"),
    ('{"title": "a"}'.encode("utf-16"), "The body is not UTF-8"),
]


@pytest.mark.parametrize(("body", "told"), BROKEN)
def test_what_two_readers_could_read_in_two_ways_is_not_read(shop: Shop, body: bytes, told: str) -> None:
    response = Client(shop).put("/products/new", data=body, content_type="application/json")

    assert code_of(response) == (400, "malformed")
    assert told in response.get_json()["detail"]
    assert len(shop.rows("products")) == 3


@pytest.mark.parametrize("text", ["a\\u0000b", "\\ud800"])
def test_a_text_that_cannot_be_stored_is_named(shop: Shop, text: str) -> None:
    response = Client(shop).put("/products/new", data=f'{{"title": "{text}"}}', content_type="application/json")

    assert code_of(response) == (422, "invalid")
    assert list(errors_of(response)) == ["#/title"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_a_body_of_another_kind_is_not_read(shop: Shop, content_type: str | None) -> None:
    response = Client(shop).put("/products/new", data=json.dumps(MUG), content_type=content_type)

    assert code_of(response) == (415, "unsupported_media_type")
    assert response.headers["Accept"] == "application/json"


def test_a_packed_body_is_not_unpacked(shop: Shop) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    response = Client(shop).put(
        "/products/new", data=bomb, content_type="application/json", headers={"Content-Encoding": "gzip"}
    )
    assert code_of(response) == (415, "unsupported_media_type")


def test_a_body_larger_than_the_api_reads_is_refused_before_it_is_read(shop: Shop) -> None:
    response = Client(shop).put("/products/new", data=b" " * 1_000_001, content_type="application/json")
    assert code_of(response) == (413, "too_large")


def test_everything_that_is_wrong_is_told_at_once_and_where(shop: Shop) -> None:
    wrong = {
        "title": "",
        "price": {"amount": 12.5, "currency": "GBP"},
        "stock": -1,
        "options": {"Size": 3},
        "colour": "red",
        "active": "yes",
    }
    response = Client(shop).put("/products/new", json=wrong)

    assert code_of(response) == (422, "invalid")
    assert errors_of(response) == {
        "#/title": "is empty.",
        "#/price/amount": "has to be a whole number.",
        "#/price/currency": "has to be a lower-case ISO 4217 code such as gbp.",
        "#/stock": "has to be a whole number from 0.",
        "#/options/Size/value": "has to be a text of 1 to 60 characters.",
        "#/colour": "is not known here.",
        "#/active": "has to be true or false.",
    }


def test_what_the_domain_refuses_is_said_of_the_field(shop: Shop) -> None:
    sale = MUG | {"was": {"amount": 1000, "currency": "gbp"}}
    response = Client(shop).put("/products/new", json=sale)
    assert errors_of(response) == {"#/was": "of new has to be above its price; leave it out when nothing is reduced."}


def test_a_whole_number_may_be_written_with_a_point(shop: Shop) -> None:
    body = '{"title": "Cup", "price": {"amount": 1290.0, "currency": "gbp"}, "stock": 2.0}'
    response = Client(shop).put("/products/cup", data=body, content_type="application/json")
    assert (response.status_code, response.get_json()["price"]["amount"]) == (201, 1290)


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=1e3", "limit"),
        ("limit=٣", "limit"),
        ("limit=1&limit=2", "limit"),
        ("active=1", "active"),
        ("colour=red", "colour"),
        ("category=%00", "category"),
        ("category=", "category"),
        ("cursor=", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=%ff", "cursor"),
    ],
)
def test_a_query_that_cannot_be_used_is_told_where(shop: Shop, query: str, wrong: str) -> None:
    response = Client(shop).get(f"/products?{query}")
    assert code_of(response) == (422, "invalid")
    assert list(errors_of(response)) == [wrong]


@pytest.mark.parametrize("path", ["/products/%00", "/orders/%00", "/decisions/%00", "/products/%ed%a0%80"])
def test_a_key_no_database_could_hold_is_not_there(any_shop: Shop, path: str) -> None:
    assert code_of(Client(any_shop).get(path)) == (404, "not_found")


# Lists


def test_a_list_is_read_to_its_end_although_rows_are_added(any_shop: Shop) -> None:
    client = Client(any_shop)
    for number in range(7):
        any_shop.pay(f"{number}")
        any_shop.clock.advance(minutes=number % 2)  # some at one moment
    first = client.get("/orders?limit=3").get_json()
    any_shop.pay("late")
    second = client.get("/orders", query_string={"limit": 3, "cursor": first["next"]}).get_json()
    third = client.get("/orders", query_string={"limit": 3, "cursor": second["next"]}).get_json()

    read = [order["order_ref"] for page in (first, second, third) for order in page["items"]]
    assert read == ["6", "5", "4", "3", "2", "1", "0"]
    assert third["next"] is None


def test_a_cursor_is_good_for_its_list_its_filters_and_its_account(shop: Shop, make_shop: ShopFactory) -> None:
    client = Client(shop)
    cursor = client.get("/products?limit=1&active=true").get_json()["next"]
    elsewhere = Client(make_shop(ENCORE_STRIPE_ACCOUNT="acct_2"), name="there")

    assert client.get("/products", query_string={"active": "true", "cursor": cursor}).status_code == 200
    for other, path, query in (
        (client, "/products", {}),
        (client, "/products", {"active": "false"}),
        (client, "/orders", {"active": "true"}),
        (elsewhere, "/products", {"active": "true"}),
    ):
        response = other.get(path, query_string=query | {"cursor": cursor})
        assert response.status_code == 422
        assert "cursor" in errors_of(response) or path == "/orders"
    forged = cursor[:-4] + ("AAAA" if cursor[-4:] != "AAAA" else "BBBB")
    response = client.get("/products", query_string={"active": "true", "cursor": forged})
    assert code_of(response) == (422, "invalid")


# How often


def test_a_token_is_told_how_often_it_may_ask_and_refused_beyond(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_API_REQUESTS_PER_MINUTE=3)
    client = Client(shop)
    answers = [client.get("/products") for _ in range(4)]

    assert [response.status_code for response in answers] == [200, 200, 200, 429]
    assert [response.headers["RateLimit"].split(";")[1] for response in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert answers[0].headers["RateLimit-Policy"] == '"token";q=3;w=60'
    assert code_of(answers[3]) == (429, "too_many_requests")
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
    assert Client(shop, name="another").get("/products").status_code == 200


def test_guessing_tokens_is_counted_by_address_and_good_tokens_go_on(shop: Shop) -> None:
    client, bad = Client(shop), Client(shop, token="encore_" + "x" * 43)
    statuses = [bad.get("/products").status_code for _ in range(limiting.BAD_TOKENS + 2)]

    assert statuses == [401] * limiting.BAD_TOKENS + [429] * 2
    assert "Retry-After" in bad.get("/products").headers
    assert client.get("/products").status_code == 200
    elsewhere = shop.app.test_client().get(f"{API}/products", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 401


def test_no_limit_says_nothing_of_one(make_shop: ShopFactory) -> None:
    response = Client(make_shop(ENCORE_API_REQUESTS_PER_MINUTE=0)).get("/products")
    assert "RateLimit" not in response.headers


def test_a_storage_that_is_away_refuses_nobody(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(shop)

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr("limits.strategies.FixedWindowRateLimiter.hit", away)

    assert client.get("/products").status_code == 200
    assert shop.rt.counts["api_limit_unknown"] == 1
