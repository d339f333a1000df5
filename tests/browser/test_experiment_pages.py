"""The experiment pages in a real browser: one is written, tried, started and read; every page fits a phone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from browser.patterns import OpenPage, accessibility_findings
from campaigns import launch, only
from conftest import Shop
from experiments import begin, defined, discounts, exposed, for_everybody
from playwright.sync_api import expect
from werkzeug.serving import make_server
from whole_answers import whole

from flask_encore.services import experimenting


@pytest.fixture
def url(shop: Shop) -> Iterator[str]:
    """Where the shop's experiments are."""
    server = make_server("127.0.0.1", 0, whole(shop.app), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/encore/dashboard/experiments/"
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without"])
def test_an_experiment_is_written_tried_started_and_its_result_read(
    script: bool, shop: Shop, url: str, open_page: OpenPage, problems: list[str]
) -> None:
    launch(shop, "tea")
    shop.pay("past")
    page = open_page(java_script_enabled=script, viewport={"width": 1180, "height": 900})
    page.goto(url)
    page.get_by_role("link", name="Write the first experiment").click()
    page.get_by_label("Name", exact=True).first.fill("How much off")
    page.get_by_label("Ref", exact=True).fill("off")
    expect(page.get_by_label("Headline").first).to_be_visible()
    page.get_by_role("radio", name="Discount").check()
    expect(page.get_by_label("Headline").first).to_be_hidden()
    page.get_by_label("Of which campaign").select_option("tea")
    second = page.get_by_role("group", name="Variant 2")
    second.get_by_label("Name").fill("A fifth off")
    second.get_by_label("A discount of its own").check()
    second.get_by_label("Percent off").fill("20")
    page.get_by_label("Holdout").fill("10")
    page.get_by_role("button", name="Equal shares").click()
    expect(second.get_by_label("Share of customers")).to_have_value("45")
    page.locator("#preview").get_by_role("button", name="Preview").click()

    preview = page.get_by_role("region", name="Try it on a past order")
    expect(preview.get_by_text("Buy now · £8.50")).to_be_visible()
    expect(preview.get_by_text("Buy now · £6.80")).to_be_visible()
    assert experimenting.listed(shop.rt) == []

    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_role("status")).to_contain_text("It is a draft")
    page.get_by_role("link", name="Start").click()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("status")).to_contain_text("It is running.")
    expect(page.get_by_text("No order yet")).to_be_visible()

    for number in range(4):
        shop.pay(f"o-{number}", customer_ref=f"c-{number}")
        shop.page(f"o-{number}")
    page.reload()
    expect(page.get_by_role("row", name="A fifth off")).to_be_visible()
    expect(page.get_by_text("Not enough data: fewer than 100 customers").first).to_be_visible()
    assert len([row for row in shop.rows("decisions") if row["exposures"]]) == 4
    assert problems == []


@pytest.mark.parametrize(("width", "scheme"), [(1180, "dark"), (375, "light")])
def test_every_page_is_clean_and_never_scrolls_sideways(
    width: int, scheme: Any, shop: Shop, url: str, open_page: OpenPage, problems: list[str]
) -> None:
    launch(shop, "tea")
    begin(shop, varies="discount", variants=discounts(10, 20), baseline="10 %")
    exposed(shop, [(f"c-{n}", "10 %" if n % 2 else "20 %", 0 if n % 8 > 1 else 800) for n in range(1_200)])
    long = "An experiment with a name that is rather long for a telephone"
    experimenting.create(shop.rt, defined("later", name=long), actor="anna")
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for path in ("", "new", "later/", "words/", "words/stop", "later/start"):
        page.goto(url + path)
        assert (path, page.evaluate("document.documentElement.scrollWidth - innerWidth")) == (path, 0)
        assert problems == []  # before axe looks, which writes styles of its own into the page
        assert (path, accessibility_findings(page)) == (path, [])


def test_what_the_shopper_pays_is_what_the_variant_says(shop: Shop, url: str, open_page: OpenPage) -> None:
    launch(shop, "tea")
    begin(shop, varies="discount", variants=for_everybody(discount={"percent": 40}))
    shop.pay()
    page = open_page()
    page.goto(url.replace("/encore/dashboard/experiments/", "/thanks/1042"))
    expect(page.get_by_role("button", name="Buy now · £5.10")).to_be_visible()
    assert only(shop).decision["total_minor"] == 510
