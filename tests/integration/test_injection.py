"""The offer in the host's own page: where it goes, which pages are touched, and that the rest is left alone."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PRODUCTS, Shop, ShopFactory
from flask import Flask, Response, make_response, redirect, render_template_string, request, send_file
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from markupsafe import Markup

from flask_encore import Encore, Money, OrderLine, Product

SECTION = re.compile(
    r"(?:<link\b[^>]*>\s*)?<encore-offer\b.*?</encore-offer>(?:\s*<script\b[^>]*></script>)?", re.DOTALL
)
PAGE = "<!doctype html><html><body><main><h1>Confirmed</h1></main></body></html>"

View = Callable[[str], ResponseReturnValue]


def page_of(make_shop: ShopFactory, view: View, **config: Any) -> tuple[Shop, Any]:
    """A shop whose thank-you page is *view*, with one paid order; and the answer to GETting that page."""
    shop = make_shop(**{"ENCORE_THANK_YOU": {"page": "order_id"}} | config)
    shop.app.add_url_rule("/page/<order_id>", "page", view)
    shop.pay()
    return shop, shop.app.test_client().get("/page/1042")


def around(html: str) -> tuple[str, str]:
    """What stands before the one offer section, and after it."""
    assert len(SECTION.findall(html)) == 1
    before, after = SECTION.split(html)
    return before.rstrip(), after.lstrip()


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


# Which pages are touched


def plain(content: bytes | str = PAGE, **more: Any) -> Response:
    """A page as a ``Response``."""
    return Response(content, **{"mimetype": "text/html"} | more)


def chunks() -> Iterator[bytes]:
    """A page as it is streamed."""
    yield PAGE.encode()


UNTOUCHED: dict[str, View] = {
    "json": lambda order_id: {"html": PAGE},
    "text": lambda order_id: plain(mimetype="text/plain"),
    "xhtml": lambda order_id: plain(mimetype="application/xhtml+xml"),
    "another charset": lambda order_id: plain(PAGE.encode("utf-16"), content_type="text/html; charset=utf-16"),
    "created": lambda order_id: plain(status=201),
    "not found": lambda order_id: plain(status=404),
    "an error": lambda order_id: plain(status=500),
    "gzip": lambda order_id: plain(gzip.compress(PAGE.encode(), mtime=0), headers={"Content-Encoding": "gzip"}),
    "a stream": lambda order_id: plain(chunks()),  # type: ignore[arg-type]
    "a redirect": lambda order_id: redirect("/elsewhere"),
    "part of a page": lambda order_id: plain(status=206, headers={"Content-Range": "bytes 0-9/100"}),
}


@pytest.mark.parametrize("kind", UNTOUCHED)
def test_only_complete_html_pages_are_touched(make_shop: ShopFactory, kind: str) -> None:
    shop, response = page_of(make_shop, UNTOUCHED[kind])
    with shop.app.test_request_context():
        own = make_response(UNTOUCHED[kind]("1042"))

    assert response.data == own.data
    assert dict(response.headers) == dict(own.headers)
    assert shop.rows("decisions") == []


def test_a_file_that_is_sent_is_untouched(make_shop: ShopFactory, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(PAGE)
    shop, response = page_of(make_shop, lambda order_id: send_file(file))

    assert response.data == PAGE.encode()
    assert response.content_length == len(PAGE)
    response.close()
    assert shop.rows("decisions") == []


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_only_a_get_makes_a_decision(make_shop: ShopFactory, method: str) -> None:
    shop = make_shop(ENCORE_THANK_YOU={"page": "order_id"})
    shop.app.add_url_rule("/page/<order_id>", "page", lambda order_id: PAGE, methods=["GET", "POST"])
    shop.pay()

    assert "encore-offer" not in shop.app.test_client().open("/page/1042", method=method).text
    assert shop.rows("decisions") == []


def test_bytes_that_are_no_utf8_are_kept_as_they_are(make_shop: ShopFactory) -> None:
    page = b"<main>caf\xe9 \xff</main>"
    _, response = page_of(make_shop, lambda order_id: plain(page, content_type="text/html; charset=utf-8"))

    assert around(response.data.decode("utf-8", "surrogateescape")) == ("<main>caf\udce9 \udcff", "</main>")


def test_an_order_encore_never_heard_of_leaves_the_page_and_its_headers_as_they_are(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_THANK_YOU={"page": "order_id"})

    @shop.app.get("/page/<order_id>")
    def page(order_id: str) -> Response:
        response = plain(headers={"Cache-Control": "private, max-age=60"})
        response.add_etag()
        return response

    with shop.app.test_request_context():
        own = page("9999")
    response = shop.app.test_client().get("/page/9999")

    assert response.data == PAGE.encode()
    assert dict(response.headers) == dict(own.headers)


# Caches


def tagged(order_id: str) -> Response:
    """A page with an ETag, as a host that answers conditionally makes it."""
    response = plain(headers={"Cache-Control": "max-age=600", "Last-Modified": "Mon, 02 Mar 2026 14:00:00 GMT"})
    response.add_etag()
    return response.make_conditional(request)


def test_the_headers_speak_of_the_page_as_it_is_sent(make_shop: ShopFactory) -> None:
    _, response = page_of(make_shop, tagged)

    expected = Response(response.data)
    expected.add_etag()
    assert "encore-offer" in response.text
    assert response.headers["Content-Length"] == str(len(response.data))
    assert response.headers["ETag"] == expected.headers["ETag"]
    assert response.headers["Cache-Control"] == "no-store"
    assert "Last-Modified" not in response.headers


def test_a_host_without_etags_gets_none(make_shop: ShopFactory) -> None:
    _, response = page_of(make_shop, lambda order_id: PAGE)
    assert "ETag" not in response.headers


def test_the_hosts_own_304_is_left_alone(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_THANK_YOU={"page": "order_id"})
    shop.app.add_url_rule("/page/<order_id>", "page", tagged)
    client = shop.app.test_client()
    etag = client.get("/page/1042").headers["ETag"]
    shop.pay()

    response = client.get("/page/1042", headers={"If-None-Match": etag})

    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == etag
    assert response.headers["Cache-Control"] == "max-age=600"


@pytest.mark.parametrize("first", [True, False], ids=["set up before Encore", "set up after Encore"])
def test_a_host_that_makes_every_answer_conditional_gets_along(tmp_path: Path, first: bool) -> None:
    def conditional(response: Response) -> Response:
        response.add_etag()
        return response.make_conditional(request)

    response = _hooked(tmp_path, conditional, first=first)

    expected = Response(response.data)
    expected.add_etag()
    assert "the offer" in response.text
    assert response.headers["ETag"] == expected.headers["ETag"]
    assert response.headers["Content-Length"] == str(len(response.data))


@pytest.mark.parametrize("first", [True, False], ids=["set up before Encore", "set up after Encore"])
def test_a_host_that_compresses_every_answer_compresses_the_offer_with_it(tmp_path: Path, first: bool) -> None:
    def compress(response: Response) -> Response:
        response.set_data(gzip.compress(response.get_data()))
        response.headers["Content-Encoding"] = "gzip"
        return response

    response = _hooked(tmp_path, compress, first=first)

    assert b"the offer" in gzip.decompress(response.data)
    assert response.headers["Content-Length"] == str(len(response.data))


def _hooked(folder: Path, hook: Callable[[Response], Response], *, first: bool) -> Any:
    """The first answer of an app with *hook*, whose offer is three words."""
    app = Flask("host", instance_path=str(folder))
    app.config |= {
        "TESTING": True,
        "SECRET_KEY": "tests-only-secret-of-32-characters",
        "ENCORE_THANK_YOU": {"page": "order_id"},
    }
    if first:
        app.after_request(hook)
    Encore(app)
    if not first:
        app.after_request(hook)
    app.add_url_rule("/page/<order_id>", "page", lambda order_id: PAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flask_encore.web.injection.section", lambda order_ref: Markup("<p>the offer</p>"))
        return app.test_client().get("/page/1042")


def test_the_hosts_hooks_keep_their_order(tmp_path: Path) -> None:
    app = Flask("host", instance_path=str(tmp_path))
    app.config |= {"TESTING": True, "SECRET_KEY": "tests-only-secret-of-32-characters"}
    called: list[int] = []
    for number in range(4):
        if number == 2:
            Encore(app)
        app.after_request(lambda response, number=number: called.append(number) or response)  # type: ignore[func-returns-value]
    app.add_url_rule("/", "index", lambda: PAGE)

    for _ in range(2):
        app.test_client().get("/")
    assert called == [3, 2, 1, 0] * 2


def test_a_thank_you_page_that_cannot_be_touched_is_counted(make_shop: ShopFactory) -> None:
    shop, _ = page_of(make_shop, UNTOUCHED["gzip"])
    assert shop.rt.counts["page_not_touchable"] == 1


def test_a_view_without_the_argument_that_was_named_is_told_of(
    make_shop: ShopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    shop, response = page_of(make_shop, lambda order_id: PAGE, ENCORE_THANK_YOU={"page": "order_number"})

    assert response.text == PAGE
    assert shop.rt.counts["page_without_order_ref"] == 1
    assert "the thank-you page page does not have the argument that holds its order" in caplog.text


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
