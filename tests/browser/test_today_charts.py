"""Today's charts under the page's own strict policy: read by keys, by mouse, by finger, on paper, at 320 pixels."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.patterns import OpenPage
from busy_shops import trade
from conftest import START, shops
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server
from whole_answers import whole

from flask_encore.testing import FrozenClock, StripeSimulator


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[str]:
    """The address of the page of a shop that traded for forty days, a tenth held out. No test writes to it."""
    clock = FrozenClock(START)
    simulator = StripeSimulator(clock=clock.timestamp)
    simulator.start()
    folder = tmp_path_factory.mktemp("busy")
    try:
        with shops(stripe=simulator, clock=clock, folder=folder, migrated=migrated) as make:
            shop = make(ENCORE_HOLDOUT_PERCENT=10)
            trade(shop, days=40, per_day=200)
            server = make_server("127.0.0.1", 0, whole(shop.app), threaded=True)
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/encore/dashboard/"
            finally:
                server.shutdown()
                thread.join(timeout=10)
                server.server_close()
    finally:
        simulator.stop()


def first_row(page: Page, chart: str) -> list[str]:
    """The chart's table at its first day: what the cursor has to tell there."""
    row = page.locator(f"#{chart} tbody tr").first
    return [str(cell.text_content()) for cell in row.locator("th, td").all()]


def test_arrow_keys_move_along_a_chart_and_read_it_out(today: str, page: Page, problems: list[str]) -> None:
    page.goto(today)
    plot = page.get_by_role("application", name="Conversion rate and kept rate")
    voice = page.locator("#rates").get_by_role("status")
    plot.focus()
    expect(voice).to_be_empty()

    page.keyboard.press("Home")
    day, conversion, kept, shown = first_row(page, "rates")
    assert day == "1 Feb 2026"
    expect(voice).to_have_text(f"{day}, conversion rate {conversion}, kept rate {kept}, shown {shown}")
    page.keyboard.press("ArrowRight")
    expect(voice).to_contain_text("2 Feb 2026, conversion rate")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(voice).to_contain_text(f"{day}, conversion rate")  # it stops at the end
    page.keyboard.press("End")
    expect(voice).to_contain_text("2 Mar 2026, so far, conversion rate")
    expect(plot.locator(".tip")).to_contain_text("2 Mar 2026, so far")

    page.keyboard.press("Escape")
    expect(plot.locator(".tip")).to_be_hidden()
    assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_with_a_tip_open_on_a_phone_nothing_is_too_wide_and_axe_is_content(
    scheme: str, today: str, open_page: OpenPage, problems: list[str]
) -> None:
    page = open_page(viewport={"width": 320, "height": 800}, color_scheme=scheme, has_touch=True)
    page.goto(today)
    for chart in ("revenue", "rates"):
        plot = page.locator(f"#{chart} .plot")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box is not None
        page.touchscreen.tap(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
        expect(plot.locator(".tip")).to_contain_text("2 Mar 2026")
    expect(page.locator("#revenue .tip")).to_be_hidden()  # the next touch elsewhere took it away
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    assert problems == []
    found = Axe().run(page).response["violations"]
    assert [f"{item['id']}: {node['html'][:120]}" for item in found for node in item["nodes"]] == []


def test_the_mouse_shows_the_point_below_it_and_leaves_nothing_behind(today: str, page: Page) -> None:
    page.goto(today)
    plot = page.locator("#taken .plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5 / 30, box["y"] + 20)
    day, *counts = first_row(page, "taken")
    expect(plot.locator(".tip strong")).to_have_text(day)
    assert plot.locator(".tip p span:last-child").all_text_contents() == counts
    page.mouse.move(0, 0)
    expect(plot.locator(".tip")).to_be_hidden()


def test_a_name_is_explained_by_keyboard_without_a_script(today: str, open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(today)
    term = page.get_by_role("button", name="Profit")
    meaning = page.locator("#meaning-profit")
    expect(meaning).to_be_hidden()
    term.focus()
    page.keyboard.press("Enter")
    expect(meaning).to_be_visible()
    page.keyboard.press("Escape")
    expect(meaning).to_be_hidden()
    expect(term).to_have_accessible_description(str(meaning.text_content()))


def test_the_first_tab_skips_the_rooms(today: str, page: Page) -> None:
    page.goto(today)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="7 days")).to_be_focused()


def test_on_paper_charts_stay_and_chrome_does_not(today: str, page: Page) -> None:
    page.goto(today)
    page.emulate_media(media="print")
    expect(page.locator("#revenue svg").first).to_be_visible()
    expect(page.get_by_role("heading", name="Earnings")).to_be_visible()
    for chrome in (".rooms", ".skip", ".dates", ".data", ".downloads"):
        assert [one.is_visible() for one in page.locator(chrome).all()].count(True) == 0, chrome
