"""The shopper's routes from outside: what counts is the token and our own rows, never what the browser sends."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from conftest import Shop, ShopFactory
from itsdangerous import URLSafeTimedSerializer
from money import SOLD_ONCE, books, charge_row, charged, heal, offered

from flask_encore.web.tokens import SALT, Ticket

ACTS = ["choose", "accept", "extend", "decline", "undo", "leave", "refresh", "shown", "secret"]
KEY = "tests-only-secret-of-32-characters"
NOBODY = "f" * 32


def _nothing_moved(shop: Shop) -> None:
    assert shop.rows("charges") == []
    assert [(row["declined_at"], row["shown_at"]) for row in shop.rows("decisions")] == [(None, None)]
    assert shop.stock("mug") == 40
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400]
    assert shop.stripe.calls("/v1/payment_intents") == []


def _issue(shop: Shop, offer_id: str, *, account: str = "", path: str = "/thanks/1042") -> str:
    tokens = shop.app.extensions["flask-encore"].tokens
    return str(tokens.issue(Ticket(offer_id=offer_id, account=account, path=path)))


def _ask(shop: Shop, token: str, act: str) -> Any:
    client = shop.app.test_client()
    return client.get(f"/encore/offers/{token}") if act == "state" else client.post(f"/encore/offers/{token}/{act}")


def _wrong_tokens(shop: Shop, good: str) -> dict[str, str]:
    """What is not a token of ours -> it."""
    offer_id = shop.rows("decisions")[0]["id"]
    content = [offer_id, "", "/thanks/1042"]
    body, _, signature = good.rpartition(".")
    return {
        "cut": good[:-1],
        "lengthened": good + "A",
        "signature of another": f"{body}.{'A' * len(signature)}",
        "body of another": f"A{good[1:]}",
        "another salt": str(URLSafeTimedSerializer(KEY, salt="encore-dashboard-form-v1").dumps(content)),
        "another key": str(URLSafeTimedSerializer("another-key-of-32-characters-....", salt=SALT).dumps(content)),
        "another account": _issue(shop, offer_id, account="acct_another"),
        "another shape": str(URLSafeTimedSerializer(KEY, salt=SALT).dumps({"offer_id": offer_id})),
        "the offer's id alone": offer_id,
        "unsigned": body,
        "not ASCII": "ä€",
        "nothing but dots": "...",
        "very long": "A" * 10_000,
    }


def test_every_wrong_token_is_answered_like_an_offer_that_does_not_exist(shop: Shop) -> None:
    good = offered(shop)
    for act in ["state", *ACTS]:
        # Marking an offer as shown answers nothing to anybody, so it has no answer of its own to compare with.
        reference = _ask(shop, _issue(shop, NOBODY), "accept" if act == "shown" else act)
        assert reference.status_code == 404
        for what, token in _wrong_tokens(shop, good).items():
            response = _ask(shop, token, act)
            assert (response.status_code, response.data) == (404, reference.data), (act, what)
            assert dict(response.headers) == dict(reference.headers), (act, what)
    _nothing_moved(shop)


def test_a_held_out_order_has_no_offer_to_accept(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=50)
    for number in range(20):
        shop.pay(str(number), customer_ref=f"c-{number}")
        shop.page(str(number))
    held = [row for row in shop.rows("decisions") if row["outcome"] == "held_out"]
    assert held

    assert [_ask(shop, _issue(shop, row["id"]), "accept").status_code for row in held] == [404] * len(held)
    assert shop.rows("charges") == []


def test_a_token_is_read_with_an_old_key_until_that_key_is_taken_away(make_shop: ShopFactory) -> None:
    old, new = "the-old-key-of-32-characters-....", "the-new-key-of-32-characters-...."
    before = make_shop(ENCORE_SECRET_KEYS=[old])
    token = offered(before)
    rotating = make_shop(ENCORE_SECRET_KEYS=[new, old], upgrade=False)
    rotated = make_shop(ENCORE_SECRET_KEYS=[new], upgrade=False)

    assert _ask(rotated, token, "accept").status_code == 404
    _nothing_moved(rotated)
    assert rotating.accept(token) == "charged"


def test_a_token_dies_when_nothing_can_be_done_with_it_any_more(shop: Shop) -> None:
    token = offered(shop)
    # Two offer times, the longest undo time the settings page allows and the grace: 2 x 1800 + 1209600 + 3600 seconds.
    shop.clock.advance(seconds=1_216_800)
    assert shop.state(token) == "expired"
    shop.clock.advance(seconds=2)

    assert _ask(shop, token, "state").status_code == 404


def test_an_offer_whose_time_is_over_is_refused_to_the_second_and_nothing_is_charged(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop)
    shop.clock.advance(minutes=30)

    assert shop.accept(token) == "expired"

    _nothing_moved(shop)


def test_what_the_browser_posts_beside_the_token_is_ignored(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop)
    lies = {"amount": "1", "price": "0.01", "total": "1", "sku": "pot", "quantity": "100", "currency": "usd"}

    response = shop.app.test_client().post(
        f"/encore/offers/{token}/accept?amount=1&sku=pot", data=lies, headers={"Accept": "application/json"}
    )

    assert response.json["state"] == "charged"
    heal(shop)
    assert books(shop) == SOLD_ONCE
    assert charge_row(shop)["sku"] == "mug"


@pytest.mark.parametrize("body", [b'{"amount": 1}', b"{", b"\xff\x00", b"x" * 2_000_000])
def test_a_body_is_not_even_read(shop: Shop, body: bytes) -> None:
    token = offered(shop)

    response = shop.app.test_client().post(
        f"/encore/offers/{token}/accept",
        data=body,
        headers={"Accept": "application/json", "Content-Type": "application/json"},
    )

    assert response.json["state"] == "charged"
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400, 1161]


def test_nothing_but_a_post_moves_anything(shop: Shop) -> None:
    token = offered(shop)
    client = shop.app.test_client()

    for act in ACTS:
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
            assert client.open(f"/encore/offers/{token}/{act}", method=method).status_code == 405, (method, act)
    _nothing_moved(shop)


#: Headers a browser sends from a page that is not the shop's.
STRANGERS = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost:8080"},
    {"Origin": "http://evil.example/localhost"},
    {"Origin": "null"},
    {"Origin": ""},
]


def test_a_post_from_a_page_that_is_not_the_shops_is_403_and_moves_nothing(shop: Shop) -> None:
    token = offered(shop)

    for headers in STRANGERS:
        assert [shop.post(token, act, **headers).status_code for act in ACTS] == [403] * len(ACTS), headers
    _nothing_moved(shop)


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, {"Origin": "http://localhost"}, {}],
    ids=str,
)
def test_a_post_from_the_shops_own_page_counts(shop: Shop, headers: dict[str, str]) -> None:
    assert shop.post(offered(shop), "accept", **headers).json["state"] == "charged"


def test_when_too_many_wait_for_stripe_the_next_is_asked_to_come_back_and_nothing_is_claimed(
    make_shop: ShopFactory, database_uri: str
) -> None:
    shop = make_shop(database_uri, ENCORE_MAX_CONCURRENT_ACCEPTS=1)
    first, second = offered(shop, "1"), offered(shop, "2")
    shop.stripe.faults.add("/v1/payment_intents", "hang", seconds=20)
    waiting = threading.Thread(target=shop.accept, args=(first,))
    waiting.start()
    assert shop.stripe.faults.await_hanging()

    as_json = shop.post(second, "accept")
    as_fragment = shop.post(second, "accept", **{"X-Encore-Fragment": "1"})
    as_form = shop.app.test_client().post(f"/encore/offers/{second}/accept")
    page = shop.page("2")

    assert (as_json.status_code, as_json.headers["Retry-After"]) == (503, "2")
    assert as_json.json == {"state": "open", "order_ref": "2", "error": "busy"}
    assert (as_fragment.status_code, as_fragment.headers["Retry-After"]) == (503, "2")
    assert (as_form.status_code, as_form.headers["Location"]) == (303, "/thanks/2?encore_notice=busy#encore")
    assert page.status_code == 200 and "Enamel mug" in page.text
    assert [row["order_ref"] for row in shop.rows("charges")] == ["1"]
    assert shop.stock("mug") == 39

    shop.stripe.faults.release()
    waiting.join()
    assert shop.state(first) == "charged"
    assert shop.accept(second) == "charged"


def test_a_plain_form_is_sent_back_to_its_page(shop: Shop) -> None:
    token = offered(shop)
    for act in ("accept", "undo", "decline", "leave", "refresh"):
        response = shop.app.test_client().post(f"/encore/offers/{token}/{act}", headers={"Accept": "text/html"})
        assert (response.status_code, response.headers["Location"]) == (303, "/thanks/1042#encore")
    assert shop.state(token) == "undone"


#: Ways back that lead to another host, or that some browser reads as such.
AWAY = [
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "https://evil.example/",
    "javascript:alert(1)",
    "/\t/evil.example/",
    "/\n/evil.example/",
    "\x00//evil.example/",
    " //evil.example/",
    "evil.example",
    "",
]


def test_even_a_well_signed_way_back_stays_on_our_own_host(shop: Shop) -> None:
    shop.pay()
    shop.page()
    offer_id = shop.rows("decisions")[0]["id"]
    tokens = shop.app.extensions["flask-encore"].tokens
    for path in AWAY:
        signed = str(tokens._serializer.dumps([offer_id, "", path]))

        assert _ask(shop, signed, "decline").status_code == 404, path
        response = _ask(shop, _issue(shop, offer_id, path=path), "decline")
        assert (response.status_code, response.headers["Location"]) == (303, "/#encore"), path


@pytest.mark.parametrize(
    ("address", "way_back"),
    [
        ("/\\evil.example/thanks/1042", "/%5Cevil.example/thanks/1042#encore"),
        ("/%5Cevil.example/thanks/1042", "/%5Cevil.example/thanks/1042#encore"),
        ("/%09/evil.example/thanks/1042", "/%09/evil.example/thanks/1042#encore"),
        ("/a/thanks/1042?next=//evil.example", "/a/thanks/1042?next=//evil.example#encore"),
    ],
)
def test_a_page_asked_for_under_a_hostile_address_leads_back_to_our_own_host(
    shop: Shop, address: str, way_back: str
) -> None:
    @shop.app.get("/<path:anything>/thanks/<order_id>")
    @shop.encore.thank_you(order_ref="order_id")
    def thanks_too(anything: str, order_id: str) -> str:
        return f"<main>{order_id}</main>"

    shop.pay()
    html = shop.app.test_client().get(address).text
    token = html.split("/encore/offers/")[1].split("/")[0]

    assert _ask(shop, token, "decline").headers["Location"] == way_back


def test_each_client_gets_the_answer_it_can_use(shop: Shop) -> None:
    token = offered(shop)

    as_json = shop.post(token, "accept")
    as_fragment = shop.post(token, "accept", **{"X-Encore-Fragment": "1"})

    assert as_json.json == {"state": "charged", "order_ref": "1042", "undo_until": "2026-03-02T14:33:00+00:00"}
    assert as_fragment.mimetype == "text/html" and "Enamel mug" in as_fragment.text
    for response in (as_json, as_fragment):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_a_no_is_a_no_and_a_yes_is_a_yes(any_shop: Shop) -> None:
    shop = any_shop
    refused, taken = offered(shop, "1"), charged(shop, "2")

    assert shop.post(refused, "decline").json["state"] == "declined"
    assert shop.accept(refused) == "declined"
    assert shop.post(taken, "decline").json["state"] == "charged"

    assert [row["order_ref"] for row in shop.rows("charges")] == ["2"]


def test_a_shopper_who_says_no_is_not_claimed_reserved_or_charged(shop: Shop) -> None:
    token = offered(shop)
    shop.post(token, "decline")

    for act in ("accept", "undo", "leave", "refresh"):
        assert shop.post(token, act).json["state"] == "declined"

    assert shop.rows("charges") == []
    assert shop.stock("mug") == 40
    assert shop.stripe.calls("/v1/payment_intents") == []


def test_without_a_stripe_key_an_open_offer_stays_open_and_nothing_is_claimed(make_shop: ShopFactory) -> None:
    shop = make_shop()
    token = offered(shop)
    keyless = make_shop(upgrade=False, ENCORE_STRIPE_SECRET_KEY="", ENCORE_STRIPE_PUBLISHABLE_KEY="")

    assert keyless.accept(token) == "open"

    _nothing_moved(shop)
