"""The campaign pages in a real browser: one is written, tried, launched and fought over; every page fits a phone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from browser.patterns import OpenPage, accessibility_findings
from conftest import Shop
from dashboard_campaigns import LIST, save, stored
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server
from whole_answers import whole

from flask_encore.domain.campaigns import CampaignStatus
from flask_encore.services import switching


@pytest.fixture
def url(shop: Shop) -> Iterator[str]:
    """Where the shop's campaigns are."""
    server = make_server("127.0.0.1", 0, whole(shop.app), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{LIST}"
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


def too_wide(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without"])
def test_a_campaign_is_written_tried_and_launched(
    script: bool, shop: Shop, url: str, open_page: OpenPage, problems: list[str]
) -> None:
    shop.pay()
    page = open_page(java_script_enabled=script, viewport={"width": 1180, "height": 900})
    page.goto(url)
    page.get_by_role("link", name="Write the first campaign").click()
    page.get_by_label("Name", exact=True).fill("Tea with every pot")
    page.get_by_label("Ref", exact=True).fill("tea")
    expect(page.get_by_label("Only these categories")).to_be_visible()
    page.get_by_role("radio", name="A product").check()
    expect(page.get_by_label("Only these categories")).to_be_hidden()
    page.get_by_label("Products", exact=True).fill("tea")
    page.get_by_role("group", name="A product").get_by_role("textbox", name="Discount").fill("10")
    page.get_by_label("Headline").first.fill("Tea for your pot?")
    page.get_by_role("button", name="Preview").click()

    preview = page.get_by_role("region", name="Try it on a past order")
    expect(preview).to_contain_text("Order 1042: An offer")
    expect(preview.locator("encore-offer").get_by_text("Tea for your pot?")).to_be_visible()
    expect(preview.locator("encore-offer").get_by_text("Buy now · £7.65")).to_be_visible()
    assert stored(shop) is None

    page.get_by_role("button", name="Save and set live").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    page.get_by_role("link", name="Campaigns", exact=True).click()
    expect(page.get_by_role("listitem").filter(has_text="Tea with every pot")).to_contain_text("Live")
    page.get_by_role("button", name="Pause Tea with every pot").click()
    expect(page.get_by_role("status")).to_contain_text("“Tea with every pot” is paused")
    assert stored(shop).status is CampaignStatus.PAUSED
    assert shop.rows("decisions") == []
    assert problems == []


def test_enter_in_a_field_tries_the_campaign_and_saves_nothing(shop: Shop, url: str, page: Page) -> None:
    save(shop)
    shop.pay()
    page.goto(f"{url}tea/")
    page.get_by_label("Name", exact=True).fill("Renamed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Try it on a past order")).to_contain_text("Order 1042: An offer")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Renamed")
    assert stored(shop).name == "Tea with every pot"


def test_of_two_who_edit_one_campaign_the_second_decides_with_the_difference_before_their_eyes(
    shop: Shop, url: str, page: Page
) -> None:
    save(shop)
    page.goto(f"{url}tea/")
    page.get_by_label("Name", exact=True).fill("My tea")
    save(shop, expected=1, actor="ben", priority=5)
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_role("heading", name="Somebody changed “Tea with every pot” meanwhile")).to_be_visible()
    expect(page.get_by_role("row", name="priority")).to_contain_text("5")
    assert accessibility_findings(page) == []
    page.get_by_role("button", name="Go on editing mine").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("My tea")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    assert (stored(shop).name, stored(shop).priority) == ("My tea", 0)


def test_an_error_is_reached_from_the_top_and_described_to_who_cannot_see_it(url: str, page: Page) -> None:
    page.goto(f"{url}new")
    page.get_by_label("Ref", exact=True).fill("tea")
    page.get_by_role("button", name="Save draft").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Nothing was saved: 1 place needs a change.")
    expect(page.get_by_label("Name", exact=True)).to_have_accessible_description(
        "Only you see it. Has to be a text of 1 to 120 characters, got 0."
    )
    assert accessibility_findings(page) == []


@pytest.mark.parametrize(("width", "scheme"), [(1180, "dark"), (320, "light")])
def test_every_page_is_clean_and_never_scrolls_sideways(
    width: int, scheme: Any, shop: Shop, url: str, open_page: OpenPage, problems: list[str]
) -> None:
    save(shop, name="A campaign with a name that is rather long for a telephone")
    save(shop, ref="wrap", name="Wrap", status="draft", rule={"any": [{"country": ["GB"]}]})
    save(shop, expected=1, priority=5)
    with shop.app.app_context():
        switching.turn(shop.rt, actor="anna", shadow=True)
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for path in ("", "wrap/", "history", "tea/duplicate"):
        page.goto(url + path)
        expect(page.get_by_text("Shadow mode is on.")).to_be_visible()
        assert (path, too_wide(page)) == (path, 0)
        assert problems == []  # before axe looks, which writes styles of its own into the page
        assert (path, accessibility_findings(page)) == (path, [])


def test_patterns_fit_a_phone_and_are_light_and_dark_side_by_side(
    shop: Shop, url: str, open_page: OpenPage, problems: list[str]
) -> None:
    patterns = url.replace("campaigns/", "patterns")
    page = open_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{patterns}?locale=ar")
    first = page.get_by_role("region", name="Open open").locator("figure")
    backgrounds = [
        figure.locator(".box").evaluate("element => getComputedStyle(element).backgroundColor")
        for figure in first.all()
    ]
    assert backgrounds == ["rgb(255, 255, 255)", "rgb(25, 27, 33)", "rgb(255, 255, 255)"]
    assert too_wide(page) == 0
    page.set_viewport_size({"width": 320, "height": 700})
    assert too_wide(page) == 0
    assert problems == []
