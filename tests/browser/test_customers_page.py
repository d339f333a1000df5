"""The customers' page in a real browser: every size and scheme, by keyboard, under the dashboard's policy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.patterns import OpenPage
from conftest import START, Shop
from playwright.sync_api import expect
from purchases import charge, handed_over, line, write
from werkzeug.serving import make_server

PAGE = "/encore/dashboard/customers/"


def fill(shop: Shop) -> None:
    """Cohorts that are large, small and empty, two currencies, a guest, and orders that cannot be counted."""
    rows: dict[str, list[dict[str, Any]]] = {"history_lines": [line("lost", None, "c1")], "orders": [], "charges": []}
    for months, size in ((11, 130), (10, 240), (8, 30), (2, 150), (1, 120), (0, 3)):
        first = START - timedelta(days=30.4 * months)
        for number in range(size):
            customer = f"c-{months}-{number}"
            rows["history_lines"].append(line(f"{customer}-0", first, customer, unit_price_minor=123_456))
            later = first + timedelta(days=31 * (1 + number % 12))
            if number % 3 and later < START:
                euros = number % 7 == 0
                ref = f"{customer}-1"
                rows["orders"].append(handed_over(ref, later, customer, currency="eur" if euros else "gbp"))
                if number % 10 == 0:
                    rows["charges"].append(charge(ref, later, currency="eur" if euros else "gbp"))
    rows["history_lines"] += [line("guest", START), line("free", START, "c-0-0", unit_price_minor=None)]
    write(shop, rows)


@pytest.fixture
def url(shop: Shop) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, shop.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PAGE}"
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_size_is_clean_and_never_scrolls_sideways(
    scheme: Any, url: str, shop: Shop, open_page: OpenPage, problems: list[str]
) -> None:
    fill(shop)
    page = open_page(viewport={"width": 1180, "height": 900}, color_scheme=scheme)
    page.goto(url)
    for width in (1180, 860, 390, 320):
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.get_by_role("table").first.get_by_role("row")).to_have_count(14)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0, width
        assert problems == []
        # A page of its own each time would say the same; what axe writes into this one stays in it.
        found = Axe().run(page).response["violations"]
        assert [f"{item['id']}: {node['html'][:120]}" for item in found for node in item["nodes"]] == [], width
        problems.clear()


def test_another_period_is_chosen_by_keyboard_and_without_javascript(
    url: str, shop: Shop, open_page: OpenPage, problems: list[str]
) -> None:
    fill(shop)
    page = open_page(java_script_enabled=False)
    page.goto(url)
    page.get_by_role("link", name="All time").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**period=all")  # until everything is loaded: the server ends with the test
    expect(page.get_by_role("link", name="All time")).to_have_attribute("aria-current", "page")
    expect(page.get_by_text("All orders.", exact=True)).to_be_visible()
    assert problems == []
