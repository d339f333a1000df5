"""The storefront's element on a page of another origin: it appears, one click buys, undo works, the policy holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import Shop, ShopFactory
from flask import Flask, Response
from playwright.sync_api import Page, expect
from werkzeug.serving import WSGIRequestHandler, make_server

TEXT = "main encore-offer encore-offer"


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        """A test's output is for what failed."""


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Storefront:
    """A page that knows nothing of Flask-Encore but an address and a token."""

    def __init__(self) -> None:
        self.app = Flask("storefront")
        self.shop = self.token = self.stripe = ""
        self.app.add_url_rule("/thanks", view_func=self.thanks)

    def thanks(self) -> Response:
        door = f"{self.shop}/encore/storefront/v1"
        page = Response(
            "<!doctype html><html lang=en><head><title>Thank you</title>"
            f'<script type=module src="{door}/static/storefront.js"></script></head>'
            "<body><main><h1>Order 1042 is confirmed</h1>"
            f'<encore-offer src="{door}/offers" token="{self.token}"></encore-offer></main></body></html>'
        )
        page.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src {self.shop} {self.stripe}; style-src {self.shop}; "
            f"img-src {self.shop}; connect-src {self.shop} {self.stripe}; frame-src {self.stripe}; base-uri 'none'"
        )
        return page


@pytest.fixture
def storefront() -> Iterator[tuple[Storefront, str]]:
    made = Storefront()
    with serving(made.app) as address:
        yield made, address


def opened(make_shop: ShopFactory, storefront: Storefront, origins: list[str]) -> Shop:
    shop = make_shop(ENCORE_STOREFRONT_ORIGINS=origins)
    shop.pay()
    with shop.app.app_context():
        storefront.token = shop.encore.storefront_token("1042", page="/thanks")
    storefront.stripe = shop.stripe.url
    return shop


def test_an_offer_on_a_page_of_another_origin_is_bought_and_undone(
    make_shop: ShopFactory, storefront: tuple[Storefront, str], page: Page, problems: list[str]
) -> None:
    front, address = storefront
    shop = opened(make_shop, front, [address])
    with serving(shop.app) as front.shop:
        page.goto(f"{address}/thanks")
        card = page.locator(TEXT)
        expect(card.get_by_role("heading", name="Enamel mug")).to_be_visible()
        expect(card.locator(".price > .total")).not_to_have_css("font-weight", "400")  # the stylesheet is there

        card.get_by_role("button", name="Buy now · £11.61").click()
        expect(card.locator('.view[data-state="charged"]')).to_be_visible()
        assert [row["status"] for row in shop.rows("charges")] == ["succeeded"]

        card.get_by_role("button", name="Undo").click()
        expect(card.locator('.view[data-state="undone"]')).to_be_visible()
        assert len(shop.stripe.refunds()) == 1
        [decision] = shop.rows("decisions")
        assert decision["order_ref"] == "1042"
        page.reload()
        expect(card.locator('.view[data-state="undone"]')).to_be_visible()
    assert problems == []


def test_a_page_the_shop_did_not_name_shows_nothing_and_stays_whole(
    make_shop: ShopFactory, storefront: tuple[Storefront, str], page: Page
) -> None:
    front, address = storefront
    shop = opened(make_shop, front, ["https://www.shop.example"])
    with serving(shop.app) as front.shop:
        page.goto(f"{address}/thanks", wait_until="networkidle")
        expect(page.get_by_role("heading", name="Order 1042 is confirmed")).to_be_visible()
        expect(page.locator(TEXT)).to_have_count(0)
    assert shop.rows("decisions") == []
