"""The storefront's doors: what a page of another origin gets, who is let in, and that there is one way to a charge."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import pytest
from conftest import Shop, ShopFactory
from dashboard_campaigns import save
from documents import block
from money import statements

from flask_encore import Money, Product
from flask_encore.domain.errors import InvalidInput
from flask_encore.services import accepting
from flask_encore.store.database import StoreError
from flask_encore.web.api.limiting import BAD_TOKENS

PAGE = "https://www.shop.example"
EVIL = "https://evil.example"
DOOR = "/encore/storefront/v1/offers"
CORS = "Access-Control-Allow-Origin"


@pytest.fixture
def shop(make_shop: ShopFactory) -> Shop:
    return opened(make_shop())


@pytest.fixture
def make_shop(make_shop: ShopFactory) -> ShopFactory:
    return lambda *args, **config: make_shop(*args, **{"ENCORE_STOREFRONT_ORIGINS": [PAGE]} | config)


def opened(shop: Shop) -> Shop:
    shop.pay()
    return shop


def order_token(shop: Shop, order_ref: str = "1042", **more: str) -> str:
    with shop.app.app_context():
        return shop.encore.storefront_token(order_ref, **more)


def offers(shop: Shop, token: str | None = None, *, origin: str = PAGE) -> Any:
    headers = {"Authorization": f"Bearer {order_token(shop) if token is None else token}", "Origin": origin}
    return shop.app.test_client().get(DOOR, headers=headers)


def act(shop: Shop, url: str, origin: str | None = PAGE, **more: Any) -> Any:
    headers = {"Sec-Fetch-Site": "cross-site"} | ({"Origin": origin} if origin else {}) | more.pop("headers", {})
    return shop.app.test_client().post(url, headers=headers, **more)


def urls(shop: Shop) -> dict[str, str]:
    [offer] = offers(shop).json["offers"]
    return dict(offer["urls"])


# What is told


def test_an_orders_offers_are_told_with_everything_a_template_gets(any_shop: Shop) -> None:
    opened(any_shop)
    response = offers(any_shop)
    assert response.status_code == 200
    assert response.json["order_ref"] == "1042"
    [offer] = response.json["offers"]
    assert offer["state"] == "open"
    assert offer["title"] == "Enamel mug"
    assert offer["total"] == {"amount": "11.61", "minor": 1161, "currency": "gbp", "text": "£11.61"}
    assert offer["labels"] == {"accept": "Buy now · £11.61", "decline": "No thanks"}
    assert "failure_code" not in offer
    assert offer["urls"]["accept"].startswith("http://localhost/encore/storefront/v1/offers/")
    assert offer["urls"]["accept"].endswith("/accept")
    assert response.headers["Cache-Control"] == "no-store"


def test_every_address_in_the_drawn_section_is_whole(shop: Shop) -> None:
    [offer] = offers(shop).json["offers"]
    addresses = re.findall(r'(?:href|src|action|data-shown|data-refresh|data-secret)="([^"]+)"', offer["html"])
    assert len(addresses) >= 7
    assert [one for one in addresses if not one.startswith("http://localhost/encore/storefront/v1/")] == []
    for name in ("offer.css", "offer.js", "storefront.js"):
        with shop.app.test_client().get(f"/encore/storefront/v1/static/{name}", headers={"Origin": PAGE}) as asset:
            assert (asset.status_code, asset.headers[CORS]) == (200, PAGE)


def test_a_picture_of_the_shops_is_found_from_elsewhere(shop: Shop) -> None:
    with shop.app.app_context():
        shop.encore.catalog.upsert(
            [Product(sku="mug", title="Enamel mug", price=Money(1290, "gbp"), stock=40, image_url="/pictures/mug.png")]
        )
    [offer] = offers(shop).json["offers"]
    assert offer["image_url"] == "http://localhost/pictures/mug.png"


def test_the_page_of_the_shop_keeps_its_own_addresses(shop: Shop) -> None:
    assert 'action="/encore/offers/' in shop.page().text
    assert "storefront" not in shop.page().text


def test_the_token_may_stand_in_the_query(shop: Shop) -> None:
    response = shop.app.test_client().get(DOOR, query_string={"token": order_token(shop)})
    assert len(response.json["offers"]) == 1


def test_an_order_without_an_offer_is_an_empty_list(shop: Shop) -> None:
    assert offers(shop, order_token(shop, "9999")).json == {"order_ref": "9999", "offers": []}


def test_an_order_ref_that_cannot_be_one_gets_no_token(shop: Shop) -> None:
    for wrong in ("", "x" * 201, "a\0b"):
        with pytest.raises(InvalidInput):
            order_token(shop, wrong)


def test_the_token_of_the_document_opens_the_offers(shop: Shop) -> None:
    exec(textwrap.dedent(block("docs/storefront.md", "storefront")), {"app": shop.app, "encore": shop.encore})
    told = shop.app.test_client().get("/api/orders/1042").json
    assert told is not None
    assert len(offers(shop, told["offer_token"]).json["offers"]) == 1


# One way to a charge


def test_one_click_buys_and_undo_gives_it_back(any_shop: Shop) -> None:
    shop = opened(any_shop)
    found = urls(shop)
    bought = act(shop, found["accept"])
    assert (bought.status_code, bought.json["state"]) == (200, "charged")
    assert bought.json["offer"]["state"] == "charged"
    assert 'data-state="charged"' in bought.json["offer"]["html"]
    again = act(shop, found["accept"])
    assert again.json["state"] == "charged"
    assert [charge["amount_minor"] for charge in shop.rows("charges")] == [1161]
    assert act(shop, found["undo"]).json["state"] in {"undoing", "undone"}
    assert len(shop.stripe.refunds()) == 1


def test_the_same_offer_stands_on_the_shops_page_and_is_bought_once(shop: Shop) -> None:
    found = urls(shop)
    assert shop.accept(shop.token()) == "charged"
    assert act(shop, found["accept"]).json["state"] == "charged"
    assert len(shop.rows("charges")) == 1
    assert len(shop.rows("decisions")) == 1


def test_a_no_is_kept_and_an_impression_counted_once(shop: Shop) -> None:
    found = urls(shop)
    assert [act(shop, found["shown"]).status_code for _ in range(2)] == [204, 204]
    assert act(shop, found["decline"]).json["state"] == "declined"
    assert shop.rows("charges") == []
    [decision] = shop.rows("decisions")
    assert decision["shown_at"] is not None


def test_the_element_gets_its_fragment_with_whole_addresses(shop: Shop) -> None:
    response = act(shop, urls(shop)["accept"], headers={"X-Encore-Fragment": "1"})
    assert response.mimetype == "text/html"
    assert 'data-state="charged"' in response.text
    assert 'action="http://localhost/encore/storefront/v1/offers/' in response.text


def test_a_bank_sends_the_shopper_back_to_the_storefronts_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    token = order_token(shop, page="/thanks/1042?a=1")
    [offer] = offers(shop, token).json["offers"]
    seen: list[str] = []
    real = accepting.accept

    def accept(*args: Any, return_url: str, **kwargs: Any) -> Any:
        seen.append(return_url)
        return real(*args, return_url=return_url, **kwargs)

    monkeypatch.setattr(accepting, "accept", accept)
    act(shop, offer["urls"]["accept"])
    assert seen == [f"{PAGE}/thanks/1042?a=1"]


def test_what_follows_comes_with_the_answer(shop: Shop) -> None:
    save(shop, ref="then", name="Then tea", begins=False, offer={"kind": "fixed", "skus": ["tea"]})
    save(shop, ref="first", name="Mug first", offer={"kind": "fixed", "skus": ["mug"]}, on_accept="then")
    shop.pay("1050")
    [first] = offers(shop, order_token(shop, "1050")).json["offers"]
    answer = act(shop, first["urls"]["accept"]).json
    assert answer["state"] == "charged"
    assert "Assam tea" in answer["next"]
    assert 'data-shown="http://localhost/encore/storefront/v1/' in answer["next"]
    assert len(offers(shop, order_token(shop, "1050")).json["offers"]) == 2


# Who is let in


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 10_000, "a.b.c", "é"])
def test_a_token_that_is_none_of_ours_is_refused_without_a_statement(shop: Shop, token: str) -> None:
    with statements(shop) as asked:
        header = offers(shop, token.encode().decode("latin-1"))
        offer = act(shop, f"{DOOR}/{token or 'x'}/accept")
    assert asked == []
    assert (header.status_code, header.mimetype) == (401, "application/problem+json")
    assert header.json["status"] == 401
    assert header.headers["WWW-Authenticate"] == 'Bearer realm="encore storefront"'
    assert (offer.status_code, offer.json["code"]) == (404, "token")


def test_no_token_opens_another_door_than_its_own(shop: Shop, make_shop: ShopFactory) -> None:
    offer_token = shop.token()
    assert offers(shop, offer_token).status_code == 401
    assert act(shop, f"{DOOR}/{order_token(shop)}/accept").status_code == 404
    assert shop.rows("charges") == []


def test_an_orders_token_is_read_for_a_day(shop: Shop) -> None:
    token = order_token(shop)
    shop.clock.advance(seconds=86_400)
    assert offers(shop, token).status_code == 200
    shop.clock.advance(seconds=1)
    assert offers(shop, token).status_code == 401


def test_who_guesses_is_slowed_down_and_nobody_else(shop: Shop) -> None:
    statuses = [offers(shop, f"guess-{number}").status_code for number in range(BAD_TOKENS + 1)]
    assert statuses == [401] * BAD_TOKENS + [429]
    slowed = act(shop, f"{DOOR}/guess/accept")
    assert slowed.status_code == 429
    assert 1 <= int(slowed.headers["Retry-After"]) <= 60
    assert offers(shop).status_code == 200


# Origins


def test_a_page_the_shop_named_may_read_and_nobody_elses(shop: Shop) -> None:
    for origin, header in ((PAGE, PAGE), (EVIL, None), ("null", None), (f"{PAGE}.evil.example", None)):
        response = offers(shop, origin=origin)
        assert response.headers.get(CORS) == header, origin
        assert "Origin" in response.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_without_the_key_no_origin_may(make_shop: ShopFactory) -> None:
    shop = opened(make_shop(ENCORE_STOREFRONT_ORIGINS=[]))
    response = offers(shop)
    assert CORS not in response.headers
    assert "Origin" in response.headers["Vary"]
    assert act(shop, urls(shop)["accept"]).status_code == 403
    assert shop.rows("charges") == []


def test_a_post_of_a_foreign_page_moves_nothing_even_with_the_right_token(shop: Shop) -> None:
    found = urls(shop)
    for name in ("accept", "decline", "undo", "shown", "leave", "refresh", "extend", "choose", "secret"):
        response = act(shop, found[name], EVIL)
        assert (response.status_code, response.json["code"]) == (403, "foreign_origin")
        assert CORS not in response.headers
    assert shop.rows("charges") == []
    [decision] = shop.rows("decisions")
    assert (decision["shown_at"], decision["declined_at"]) == (None, None)


def preflight(shop: Shop, url: str, origin: str, method: str, headers: str) -> Any:
    return shop.app.test_client().options(
        url,
        headers={"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers},
    )


def test_the_browsers_question_is_answered_for_named_pages_only(shop: Shop) -> None:
    for url, method, headers in (
        (DOOR, "GET", "authorization"),
        (urls(shop)["accept"], "POST", "x-encore-fragment"),
    ):
        answer = preflight(shop, url, PAGE, method, headers)
        assert answer.status_code == 200
        assert answer.headers[CORS] == PAGE
        assert method in answer.headers["Access-Control-Allow-Methods"]
        assert headers in answer.headers["Access-Control-Allow-Headers"].lower()
        assert answer.headers["Access-Control-Max-Age"] == "600"
        foreign = preflight(shop, url, EVIL, method, headers)
        assert [name for name in dict(foreign.headers) if name.startswith("Access-Control")] == []
        assert "Origin" in foreign.headers["Vary"]
    assert shop.rows("charges") == []


# When something is away


def test_whatever_fails_costs_the_offer_and_says_nothing_of_the_inside(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("inside")

    token = order_token(shop)
    monkeypatch.setattr("flask_encore.web.storefront.sequence_for", broken)
    response = offers(shop, token)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "inside" not in response.text
    assert response.headers[CORS] == PAGE


def test_a_database_that_is_away_is_a_problem_and_not_a_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise StoreError("away")

    found = urls(shop)
    monkeypatch.setattr("flask_encore.services.accepting.decline", away)
    response = act(shop, found["decline"])
    assert (response.status_code, response.mimetype) == (503, "application/problem+json")


def test_a_method_that_is_not_there_is_said_as_a_problem(shop: Shop) -> None:
    response = shop.app.test_client().get(urls(shop)["accept"])
    assert response.status_code == 405
