"""The demo shop in a browser: readable by everybody, on a phone and by keyboard, under its own strict policy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.patterns import OpenPage
from demo_host import MATCHA, Visit, open_shop, served, stocked_instance
from playwright.sync_api import Page, expect

#: A product in several variants.
GLOVES = "GLOVES-S-RUST"

#: Shows what waits behind a summary.
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """The generated shop."""
    with open_shop(stocked_instance(tmp_path_factory.mktemp("shop"))) as visit:
        yield visit


@pytest.fixture(scope="module")
def shop(visit: Visit) -> Iterator[str]:
    """Its address."""
    with served(visit.app) as url:
        yield url


def buy(page: Page, shop: str) -> None:
    """One matcha, from the shelf to the thank-you page."""
    page.goto(f"{shop}/products/{MATCHA}")
    page.locator("button[name=add]").click()
    page.locator(".wide-button").click()
    page.locator("button", has_text="Pay £18.90").click()
    page.wait_for_url("**/thanks")


def complaints(page: Page) -> list[str]:
    """What axe finds, a line each."""
    found = Axe().run(page).response["violations"]
    return [f"{page.url}: {violation['id']}: {node['target']}" for violation in found for node in violation["nodes"]]


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en"), ("dark", "de"), ("light", "ar"), ("dark", "en")])
def test_no_page_shuts_anybody_out(open_page: OpenPage, shop: str, scheme: str, locale: str) -> None:
    page = open_page(color_scheme=scheme)
    found: list[str] = []
    for path in (f"/?lang={locale}", "/shelves/tea", "/search?q=mug", f"/products/{GLOVES}", "/basket", "/nowhere"):
        page.goto(shop + path)
        page.evaluate(OPEN_ALL)
        found += complaints(page)
    buy(page, shop)
    found += complaints(page)
    page.goto(page.url.removesuffix("/thanks"))
    found += complaints(page)

    assert found == []


def test_nothing_hangs_over_the_edge_of_a_small_phone_or_breaks_the_policy(
    open_page: OpenPage, problems: list[str], shop: str
) -> None:
    page = open_page(viewport={"width": 320, "height": 640})
    wide: list[str] = []
    for locale in ("en", "de", "ar"):
        for path in (f"/?lang={locale}", "/shelves/kitchen", "/search?q=mug", f"/products/{GLOVES}", "/basket"):
            page.goto(shop + path)
            page.evaluate(OPEN_ALL)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wide.append(f"{locale} {path}")
        buy(page, shop)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(f"{locale} thanks")

    assert wide == []
    assert problems == []


@pytest.mark.parametrize("javascript", [True, False])
def test_a_shopper_buys_and_takes_the_offer_with_and_without_javascript(
    open_page: OpenPage, problems: list[str], shop: str, visit: Visit, javascript: bool
) -> None:
    page = open_page(java_script_enabled=javascript)
    buy(page, shop)
    expect(page.get_by_role("heading", name="Thank you. Your order is confirmed.")).to_be_visible()
    before = len(visit.stripe.charges())

    page.get_by_role("button", name="Buy now").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()

    assert len(visit.stripe.charges()) == before + 1
    assert problems == []


def test_the_whole_journey_works_by_keyboard(open_page: OpenPage, shop: str) -> None:
    page = open_page()
    page.goto(f"{shop}/products/{MATCHA}")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the shelves")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_attribute("name", "quantity")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/basket")
    page.locator(".wide-button").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/checkout/**")
    page.get_by_role("button", name="Pay £18.90").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/thanks")
    page.get_by_role("button", name="Buy now").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
