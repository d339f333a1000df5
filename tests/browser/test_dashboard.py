"""The merchant's page in a real browser: every size, scheme and hand, under its own strict policy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.patterns import OpenPage
from conftest import Shop
from flask import request
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server
from whole_answers import whole

DECLINES_NEXT = "4000000000009995"


@dataclass
class Served:
    """A host shop that listens, with a few orders behind it."""

    shop: Shop
    url: str
    posts: list[str]

    @property
    def dashboard(self) -> str:
        return f"{self.url}/encore/dashboard/"

    @property
    def orders(self) -> str:
        return f"{self.dashboard}orders/"

    def sell(self, order_ref: str = "1042", **changes: Any) -> None:
        self.shop.pay(order_ref, **changes)
        self.shop.accept(self.shop.token(order_ref))

    def fill(self) -> None:
        """One of everything the page can show."""
        shop = self.shop

        @shop.encore.on("charge_succeeded")
        def broken(event: Any) -> None:
            if event.order_ref == "1043":
                raise RuntimeError("ConnectionError: warehouse.example refused the connection after three attempts")

        for order_ref in ("1042", "1043", "ORDER-2026-11-0000000000000000000000000000001044"):
            self.sell(order_ref)
        self.sell("1045", card=DECLINES_NEXT)
        shop.pay("1046")
        shop.post(shop.token("1046"), "decline")
        shop.pay("1047", intent=shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None))
        shop.page("1047")
        shop.pay("1048")
        shop.page("1048")
        shop.sweep()


@pytest.fixture
def served(shop: Shop) -> Iterator[Served]:
    posts: list[str] = []

    @shop.app.after_request
    def note(response: Any) -> Any:
        if request.method == "POST" and "dashboard" in request.path:
            posts.append(request.path)
        return response

    server = make_server("127.0.0.1", 0, whole(shop.app), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Served(shop=shop, url=f"http://127.0.0.1:{server.server_port}", posts=posts)
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


def accessibility_findings(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{item['id']}: {node['html'][:120]}" for item in found for node in item["nodes"]]


def too_wide(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1180, 390, 320])
def test_every_size_and_scheme_is_clean_and_never_scrolls_sideways(
    width: int, scheme: Any, served: Served, open_page: OpenPage, problems: list[str]
) -> None:
    served.fill()
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(served.dashboard)
    expect(page.get_by_role("heading", name="British Pound")).to_be_visible()
    assert too_wide(page) == 0
    assert problems == []  # before axe looks, which writes styles of its own into the page
    assert accessibility_findings(page) == []


def test_the_empty_page_the_refund_page_and_the_refusal_are_clean_too(
    served: Served, open_page: OpenPage, problems: list[str]
) -> None:
    page = open_page(viewport={"width": 320, "height": 700})
    page.goto(served.dashboard)
    expect(page.get_by_role("heading", name="No orders yet")).to_be_visible()
    assert (too_wide(page), problems) == (0, [])
    assert accessibility_findings(page) == []

    served.sell()
    [charge] = served.shop.rows("charges")
    for address in (f"charges/{charge['id']}/refund", "charges/none/refund"):
        page.goto(served.dashboard + address)
        assert too_wide(page) == 0
        assert accessibility_findings(page) == []


def test_on_a_phone_the_rows_are_cards_and_still_a_table_to_who_hears_them(served: Served, open_page: OpenPage) -> None:
    served.fill()
    page = open_page(viewport={"width": 320, "height": 700})
    page.goto(served.orders)
    rows = page.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(8)
    sold = rows.filter(has=page.get_by_role("rowheader", name="1042", exact=True))
    expect(sold.get_by_role("cell")).to_have_count(5)
    box = sold.bounding_box()
    assert box is not None
    assert box["width"] <= 320


def test_the_bars_are_as_long_as_their_counts(served: Served, page: Page) -> None:
    served.fill()
    page.goto(served.dashboard)
    widths = [step.locator(".on").get_attribute("width") for step in page.locator(".step").all()]
    # Six eligible, five shown, four accepted, three charged, three kept; a bar's dark part is what went on.
    assert widths == ["83.33%", "66.67%", "50.00%", "50.00%", "50.00%"]
    whole = page.locator(".road .whole").first.bounding_box()
    part = page.locator(".road .on").last.bounding_box()
    assert whole is not None and part is not None
    assert round(part["width"] / whole["width"], 2) == 0.5


def test_with_javascript_a_refund_is_asked_in_place_and_done(served: Served, page: Page, problems: list[str]) -> None:
    served.sell()
    page.goto(served.orders)
    page.get_by_role("link", name="Refund £11.61 of order 1042").click()
    dialog = page.get_by_role("dialog", name="Refund £11.61?")
    expect(dialog).to_contain_text("“Enamel mug” of order 1042")
    dialog.get_by_role("button", name="Refund £11.61").click()
    expect(page.get_by_role("status")).to_have_text("Refunded: £11.61 of order 1042 goes back to the shopper’s card.")
    assert [refund["amount"] for refund in served.shop.stripe.refunds()] == [1161]
    assert problems == []


def test_without_javascript_a_refund_is_asked_on_a_page_of_its_own_and_done(
    served: Served, open_page: OpenPage
) -> None:
    served.sell()
    page = open_page(java_script_enabled=False)
    page.goto(served.orders)
    page.get_by_role("link", name="Refund £11.61 of order 1042").click()
    page.get_by_role("button", name="Refund £11.61").click()
    expect(page.get_by_role("status")).to_have_text("Refunded: £11.61 of order 1042 goes back to the shopper’s card.")
    assert len(served.shop.stripe.refunds()) == 1


def test_an_impatient_hand_sends_the_form_once(served: Served, page: Page) -> None:
    served.sell()
    page.goto(served.orders)
    page.get_by_role("link", name="Refund £11.61 of order 1042").click()
    page.get_by_role("dialog").get_by_role("button", name="Refund £11.61").dblclick()
    expect(page.get_by_role("status")).to_contain_text("Refunded")
    assert len(served.posts) == 1
    assert len(served.shop.stripe.refunds()) == 1


def test_the_keyboard_opens_leaves_and_uses_the_dialog(served: Served, page: Page) -> None:
    served.sell()
    page.goto(served.orders)
    link = page.get_by_role("link", name="Refund £11.61 of order 1042")
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    assert accessibility_findings(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()
    assert served.posts == []

    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Refunded")


def test_periods_and_typed_days_are_plain_addresses(served: Served, open_page: OpenPage) -> None:
    served.sell()
    served.shop.clock.advance(days=8)
    page = open_page(java_script_enabled=False)
    page.goto(served.dashboard)
    page.get_by_role("link", name="7 days").click()
    expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("heading", name="Nothing in this period")).to_be_visible()

    page.get_by_text("Other days").click()
    page.get_by_label("From", exact=True).fill("2026-03-02")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="British Pound")).to_be_visible()
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-03-02")
    assert page.url == f"{served.dashboard}?from=2026-03-02&to="


def test_on_paper_there_are_figures_and_no_buttons(served: Served, page: Page) -> None:
    served.fill()
    page.goto(served.orders)
    page.emulate_media(media="print")
    expect(page.get_by_role("table")).to_be_visible()
    for name in ("Find", "7 days", "Refund"):
        expect(page.get_by_text(name, exact=True).locator("visible=true")).to_have_count(0)
