"""The orders' room and the health page in a real browser: every size and scheme, by keyboard, in one's own language."""

from __future__ import annotations

from typing import Any

import pytest
from browser.patterns import OpenPage
from browser.test_dashboard import Served, accessibility_findings, served, too_wide  # noqa: F401 - a fixture
from playwright.sync_api import Page, expect


@pytest.mark.parametrize(("width", "scheme"), [(1180, "light"), (375, "dark")])
def test_every_page_of_the_room_is_clean_and_never_scrolls_sideways(
    width: int,
    scheme: Any,
    served: Served,  # noqa: F811
    open_page: OpenPage,
    problems: list[str],
) -> None:
    served.fill()
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for path, heading in (
        ("orders/", "Orders"),
        ("orders/1042", "Order 1042"),
        ("orders/1047", "Order 1047"),
        ("orders/none", "No order none"),
        ("health", "Health"),
    ):
        page.goto(served.dashboard + path)
        expect(page.get_by_role("heading", name=heading, exact=True, level=1)).to_be_visible()
        for folded in page.locator("main details").all():
            folded.evaluate("element => { element.open = true; }")
        assert (path, too_wide(page)) == (path, 0)
        assert problems == [] or path == "orders/none"
        assert accessibility_findings(page) == []
        problems.clear()


def test_an_order_is_found_opened_and_told_again_by_keyboard_alone(served: Served, page: Page) -> None:  # noqa: F811
    served.sell()
    served.shop.sweep()
    page.goto(served.dashboard + "orders/")
    page.get_by_role("searchbox", name="Order").fill("#1042")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Order 1042")).to_be_visible()
    page.get_by_role("link", name="Send again").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Send again").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The message is on its way to your handlers.")
    assert [row["action"] for row in served.shop.rows("audit")] == ["resend"]
