"""The offer in the host's own page: where it goes, which pages are touched, and that the rest is left alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PRODUCTS, Shop, ShopFactory
from flask import Flask, render_template_string
from flask.views import MethodView
from hosts import PAGE, SECTION, around, page_of

from flask_encore import Encore, Money, OrderLine, Product

# Three ways in


def test_one_line_of_configuration_puts_the_offer_on_a_page_whose_code_does_not_change(shop: Shop) -> None:
    shop.pay()

    assert around(shop.page().text) == (
        "<!doctype html><html><body><main><h1>Order 1042 is confirmed</h1>",
        "</main></body></html>",
    )


def test_the_decorator_names_the_views_argument_that_holds_the_order(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_THANK_YOU={})

    @shop.app.get("/danke/<nummer>")
    @shop.encore.thank_you(order_ref="nummer")
    def danke(nummer: str) -> str:
        return PAGE

    shop.pay()
    assert len(SECTION.findall(shop.app.test_client().get("/danke/1042").text)) == 1


def test_the_decorator_works_on_a_class_based_view(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_THANK_YOU={})

    class Thanks(MethodView):
        decorators = [shop.encore.thank_you(order_ref="order_id")]  # noqa: RUF012

        def get(self, order_id: str) -> str:
            return PAGE

    shop.app.add_url_rule("/danke/<order_id>", view_func=Thanks.as_view("danke"))
    shop.pay()
    assert len(SECTION.findall(shop.app.test_client().get("/danke/1042").text)) == 1


def test_the_decorator_works_on_an_async_view(tmp_path: Path, make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_THANK_YOU={})

    def run_to_end(view: Callable[..., Any]) -> Callable[..., Any]:
        # What Flask does with asgiref, which a shop without async views does not install.
        def run(*args: Any, **kwargs: Any) -> Any:
            try:
                view(*args, **kwargs).send(None)
            except StopIteration as end:
                return end.value
            raise AssertionError("the view waits for something")

        return run

    shop.app.async_to_sync = run_to_end  # type: ignore[method-assign]

    @shop.app.get("/danke/<order_id>")
    @shop.encore.thank_you(order_ref="order_id")
    async def danke(order_id: str) -> str:
        return PAGE

    shop.pay()
    assert len(SECTION.findall(shop.app.test_client().get("/danke/1042").text)) == 1


def test_the_template_global_puts_the_offer_exactly_where_it_is_called(make_shop: ShopFactory) -> None:
    template = "<html><body><main><p>above</p>{{ encore_offer(order_id) }}<p>below</p></main></body></html>"
    _, response = page_of(
        make_shop, lambda order_id: render_template_string(template, order_id=order_id), ENCORE_THANK_YOU={}
    )

    assert around(response.text) == ("<html><body><main><p>above</p>", "<p>below</p></main></body></html>")
    assert response.headers["Cache-Control"] == "no-store"


def test_a_page_that_uses_all_three_ways_shows_the_offer_once(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_THANK_YOU={"page": "order_id"})

    @shop.app.get("/page/<order_id>")
    @shop.encore.thank_you(order_ref="order_id")
    def page(order_id: str) -> str:
        return render_template_string("<main>{{ encore_offer(order_id) }}</main>", order_id=order_id)

    shop.pay()
    assert len(SECTION.findall(shop.app.test_client().get("/page/1042").text)) == 1


def test_a_template_that_calls_the_global_twice_shows_the_offer_once(make_shop: ShopFactory) -> None:
    _, response = page_of(
        make_shop,
        lambda order_id: render_template_string(
            "<main>{{ encore_offer(order_id) }}{{ encore_offer(order_id) }}</main>", order_id=order_id
        ),
        ENCORE_THANK_YOU={},
    )

    assert len(SECTION.findall(response.text)) == 1


def test_an_order_key_that_is_a_number_in_the_url_is_found(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_THANK_YOU={"numbered": "order_id"})
    shop.app.add_url_rule("/order/<int:order_id>/thanks", "numbered", lambda order_id: PAGE)
    shop.pay()

    assert "encore-offer" in shop.app.test_client().get("/order/1042/thanks").text


def test_a_number_handed_to_the_template_global_is_an_order_key_too(make_shop: ShopFactory) -> None:
    _, response = page_of(
        make_shop, lambda order_id: render_template_string("{{ encore_offer(1042) }}"), ENCORE_THANK_YOU={}
    )
    assert "encore-offer" in response.text


def test_one_request_shows_the_whole_offer(make_shop: ShopFactory) -> None:
    _, response = page_of(make_shop, lambda order_id: PAGE)

    [section] = SECTION.findall(response.text)
    assert all(part in section for part in ("Enamel mug", "£11.61", 'method="post"', "/accept", "/decline"))


# Where it goes


@pytest.mark.parametrize(
    ("page", "before", "after"),
    [
        (
            "<body><div data-encore></div><main>x</main></body>",
            "<body><div data-encore>",
            "</div><main>x</main></body>",
        ),
        (
            "<main><div class='a' data-encore=\"\" id=b></div>x</main>",
            "<main><div class='a' data-encore=\"\" id=b>",
            "</div>x</main>",
        ),
        ("<main>x</main><footer>y</footer></body>", "<main>x", "</main><footer>y</footer></body>"),
        ("<MAIN>x</MAIN ></BODY>", "<MAIN>x", "</MAIN ></BODY>"),
        ("<body><p>x</p></body></html>", "<body><p>x</p>", "</body></html>"),
        ("<div data-encore-like></div></main>", "<div data-encore-like></div>", "</main>"),
        ("<p title='data-encore'>x</p></body>", "<p title='data-encore'>x</p>", "</body>"),
        (
            "<!-- <div data-encore></div> </main> --><main>x</main></body>",
            "<!-- <div data-encore></div> </main> --><main>x",
            "</main></body>",
        ),
        (
            "<main>x</main><script>s = '</main></body>'</script></body>",
            "<main>x",
            "</main><script>s = '</main></body>'</script></body>",
        ),
        (
            "<body>x<script>document.write('</body>')</script></body>",
            "<body>x<script>document.write('</body>')</script>",
            "</body>",
        ),
        ("<body>x</body><!-- </body> -->", "<body>x", "</body><!-- </body> -->"),
    ],
    ids=[
        "marked",
        "marked-among-attributes",
        "main",
        "capitals",
        "body",
        "another-attribute",
        "in-a-value",
        "in-a-comment",
        "main-in-a-script",
        "body-in-a-script",
        "after-the-end",
    ],
)
def test_the_offer_goes_to_its_mark_else_to_the_end_of_main_else_of_body(
    make_shop: ShopFactory, page: str, before: str, after: str
) -> None:
    _, response = page_of(make_shop, lambda order_id: page)
    assert around(response.text) == (before, after)


def test_a_page_without_a_place_for_it_is_untouched(make_shop: ShopFactory) -> None:
    shop, response = page_of(make_shop, lambda order_id: "<p>Confirmed</p>")

    assert response.data == b"<p>Confirmed</p>"
    assert shop.rows("decisions") == []


# What stands in it


def test_a_title_with_markup_is_text(make_shop: ShopFactory) -> None:
    shop = make_shop()
    evil = Product(sku="mug", title="<script>alert(1)</script> & \"x\" 'y'", price=PRODUCTS[0].price, stock=1)
    with shop.app.app_context():
        shop.encore.catalog.upsert([evil])
    shop.pay()

    html = shop.page().text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;x&#34; &#39;y&#39;" in html


def test_a_title_cannot_turn_the_direction_of_the_page(make_shop: ShopFactory) -> None:
    shop = make_shop()
    with shop.app.app_context():
        shop.encore.catalog.upsert([Product(sku="mug", title="Mug \u202e99.0\u2066", price=Money(1290, "gbp"))])
    shop.pay(lines=[OrderLine(sku="pot", title="Tea\u202epot", quantity=1, unit_price=Money(3400, "gbp"))])

    assert re.search("[\u202a-\u202e\u2066-\u2069]", shop.page().text) is None


def test_an_order_key_with_markup_is_text(make_shop: ShopFactory) -> None:
    shop = make_shop()
    shop.pay('"><img src=x>')

    [section] = SECTION.findall(shop.app.test_client().get("/thanks/%22%3E%3Cimg%20src=x%3E").text)
    assert "<img src=x>" not in section


# The way back


def way_back(shop: Shop, url: str, **environ: Any) -> str:
    """Where a shopper without JavaScript lands after a decline made on the page at *url*."""
    client = shop.app.test_client()
    html = client.get(url, environ_overrides=environ).text
    token = html.split("/encore/offers/")[1].split("/")[0]
    response = client.post(f"/encore/offers/{token}/decline", environ_overrides=environ)
    assert response.status_code == 303
    return str(response.headers["Location"])


def test_a_plain_form_comes_back_to_the_page_it_was_on(shop: Shop) -> None:
    shop.pay()
    assert way_back(shop, "/thanks/1042?utm_source=mail&x=1") == "/thanks/1042?utm_source=mail&x=1#encore"


def test_a_shop_below_a_prefix_gets_its_shopper_back_below_it(shop: Shop) -> None:
    shop.pay()
    assert way_back(shop, "/thanks/1042", SCRIPT_NAME="/shop") == "/shop/thanks/1042#encore"


@pytest.mark.parametrize(
    ("order_ref", "path"),
    [
        ("10 42", "/thanks/10%2042"),
        ("Bestellung-ü", "/thanks/Bestellung-%C3%BC"),
        ("a?b", "/thanks/a%3Fb"),
        ("a#b", "/thanks/a%23b"),
        ("a%b", "/thanks/a%25b"),
        ("a\\b", "/thanks/a%5Cb"),
    ],
)
def test_an_order_key_with_odd_characters_finds_its_way_back(shop: Shop, order_ref: str, path: str) -> None:
    shop.pay(order_ref)
    assert way_back(shop, path) == f"{path}#encore"


def test_a_very_long_query_is_left_out_of_the_way_back(shop: Shop) -> None:
    shop.pay()
    assert way_back(shop, "/thanks/1042?x=" + "y" * 2_000) == "/thanks/1042#encore"


# Between requests


def test_the_offer_of_one_page_does_not_leak_onto_the_next(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_THANK_YOU={})

    @shop.app.get("/danke/<order_id>")
    @shop.encore.thank_you(order_ref="order_id")
    def danke(order_id: str) -> str:
        return PAGE

    @shop.app.get("/mark/<order_id>")
    def marked(order_id: str) -> str:
        return render_template_string("<main>{{ encore_offer(order_id) }}</main>", order_id=order_id)

    @shop.app.get("/about")
    def about() -> str:
        return PAGE

    shop.pay()
    # An app context around the requests, as many a test suite has one: then they all share one ``g``.
    with shop.app.app_context():
        client = shop.app.test_client()
        assert "encore-offer" in client.get("/danke/1042").text
        assert client.get("/about").text == PAGE
        assert "encore-offer" in client.get("/mark/1042").text
        about_page = client.get("/about")
        assert (about_page.text, about_page.headers.get("Cache-Control")) == (PAGE, None)


def test_a_template_rendered_outside_of_a_request_has_no_offer_and_decides_nothing(shop: Shop) -> None:
    # A confirmation mail made of the same template: nobody could click in it.
    shop.pay()
    with shop.app.app_context():
        assert render_template_string("<p>{{ encore_offer('1042') }}</p>") == "<p></p>"
    assert shop.rows("decisions") == []


def test_an_app_without_any_thank_you_page_costs_nothing(tmp_path: Path) -> None:
    app = Flask("host", instance_path=str(tmp_path))
    app.config |= {"TESTING": True, "SECRET_KEY": "tests-only-secret-of-32-characters"}
    Encore(app)
    app.add_url_rule("/", "index", lambda: PAGE)

    assert app.test_client().get("/").text == PAGE
    assert list(tmp_path.glob("*.sqlite3")) == []
