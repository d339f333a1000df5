"""Which of the host's pages are touched, and what caches and compressors are told of them."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ShopFactory
from flask import Flask, Response, make_response, redirect, request, send_file
from hosts import PAGE, View, around, page_of
from markupsafe import Markup

from flask_encore import Encore

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
        patch.setattr("flask_encore.web.injection.section", lambda order_ref, page: Markup("<p>the offer</p>"))
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
