"""How every state of the card looks, in a real browser: light, dark, narrow, printed, without JavaScript."""

from __future__ import annotations

from typing import Any

import pytest
from browser.patterns import (
    CONTRAST,
    HOSTILE_CSS,
    LANGUAGES,
    SHIFTS,
    OpenPage,
    PatternShop,
    accessibility_findings,
    card_in,
    visit,
)
from playwright.sync_api import Page, expect

from flask_encore.web.contexts import CardState


@pytest.mark.parametrize("state", CardState)
def test_no_state_has_an_accessibility_finding_in_light_or_dark(
    state: CardState, page: Page, pattern_shop: PatternShop, problems: list[str]
) -> None:
    visit(page, pattern_shop, card_in("en", state))
    assert problems == []  # before axe looks, which writes styles of its own into the page
    assert accessibility_findings(page) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert accessibility_findings(page) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_state_of_any_language_overflows_a_phone_or_has_a_small_target(
    language: str, open_page: OpenPage, pattern_shop: PatternShop, problems: list[str]
) -> None:
    page = open_page(viewport={"width": 320, "height": 640})
    for state in CardState:
        visit(page, pattern_shop, card_in(language, state))
        assert page.evaluate("document.documentElement.scrollWidth") == 320, state
        box = page.locator("encore-offer section").evaluate("(box) => [box.scrollWidth, box.clientWidth]")
        assert box[0] <= box[1], state
        sizes = [button.bounding_box() for button in page.locator("encore-offer button:visible").all()]
        assert all(size and size["height"] >= 44 and size["width"] >= 44 for size in sizes), state
    assert problems == []


@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("ar", "rtl")])
def test_the_card_runs_in_its_language_s_direction(
    language: str, direction: str, page: Page, pattern_shop: PatternShop
) -> None:
    visit(page, pattern_shop, card_in(language, CardState.OPEN))
    picture, title = page.locator(".picture").bounding_box(), page.locator(".title").bounding_box()
    assert picture and title
    assert (picture["x"] < title["x"]) == (direction == "ltr")
    assert accessibility_findings(page) == []


def test_the_offer_never_moves_the_page_even_when_its_stylesheet_is_late(
    open_page: OpenPage, pattern_shop: PatternShop
) -> None:
    page = open_page()
    pattern_shop.reset(card_in("en", CardState.OPEN))
    pattern_shop.style.clear()
    page.goto(pattern_shop.url, wait_until="commit")
    with page.expect_response("**/offer.css"):
        pattern_shop.style.set()
    page.wait_for_load_state()
    assert page.evaluate(SHIFTS) == 0


@pytest.mark.parametrize("state", [CardState.CHARGED, CardState.FAILED, CardState.UNKNOWN])
def test_a_slow_bank_does_not_move_what_is_below_the_offer(
    state: CardState, page: Page, pattern_shop: PatternShop
) -> None:
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    pattern_shop.answers["accept"].append(state)
    pattern_shop.hold.clear()
    before = page.locator("#below").bounding_box()
    page.get_by_role("button", name="Buy now").click()
    page.wait_for_timeout(700)  # the browser forgives shifts within 500 ms of a click; this one comes later
    pattern_shop.hold.set()
    expect(page.locator(f'encore-offer[data-state="{state}"]')).to_be_attached()
    assert page.locator("#below").bounding_box() == before
    assert page.evaluate(SHIFTS) == 0


def test_no_is_as_easy_as_yes(page: Page, pattern_shop: PatternShop) -> None:
    for language in LANGUAGES:
        for width in (320, 760):
            page.set_viewport_size({"width": width, "height": 900})
            visit(page, pattern_shop, card_in(language, CardState.OPEN))
            yes, no = page.locator("button.yes"), page.locator("button.no")
            yes_box, no_box = yes.bounding_box(), no.bounding_box()
            assert yes_box and no_box
            assert (yes_box["width"], yes_box["height"]) == (no_box["width"], no_box["height"])
            assert no.evaluate(CONTRAST) >= yes.evaluate(CONTRAST)
    yes.focus()
    page.keyboard.press("Tab")
    expect(no).to_be_focused()


def test_the_exact_total_and_the_card_stand_directly_above_the_button(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("de", CardState.OPEN))
    order = page.get_by_role("button", name="Zahlungspflichtig bestellen", exact=True)
    expect(order).to_have_accessible_description(
        "Jetzt zu zahlen inkl. MwSt. 11,61 € Visa •••• 4242, Ihre soeben benutzte Karte"
    )


def test_a_careless_host_stylesheet_does_not_reach_the_card(page: Page, pattern_shop: PatternShop) -> None:
    def look() -> Any:
        return page.locator("encore-offer button, encore-offer .heading, encore-offer dd").evaluate_all(
            "(all) => all.map((one) => { const style = getComputedStyle(one); return [style.color, style.display,"
            " style.fontSize, style.letterSpacing, style.textTransform, style.textAlign]; })"
        )

    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    clean = look()
    visit(page, pattern_shop, card_in("en", CardState.OPEN), css=HOSTILE_CSS)
    assert look() == clean


def test_a_light_page_keeps_a_light_card_on_a_dark_system(open_page: OpenPage, pattern_shop: PatternShop) -> None:
    page = open_page(color_scheme="dark")
    visit(page, pattern_shop, card_in("en", CardState.OPEN), css=":root { color-scheme: normal !important; }")
    assert page.locator(".box").evaluate("(box) => getComputedStyle(box).backgroundColor") == "rgb(255, 255, 255)"


def test_a_shop_gives_the_card_its_own_colours(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.OPEN), css="encore-offer { --encore-accent: rgb(0, 100, 0); }")
    assert page.locator("button.yes").evaluate("(it) => getComputedStyle(it).backgroundColor") == "rgb(0, 100, 0)"


def test_a_printed_confirmation_holds_what_was_bought_and_not_what_was_proposed(
    page: Page, pattern_shop: PatternShop
) -> None:
    page.emulate_media(media="print")
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    expect(page.locator(".box")).to_be_hidden()
    visit(page, pattern_shop, card_in("en", CardState.CHARGED))
    expect(page.locator(".box")).to_be_visible()


def test_forced_colours_keep_the_buttons_apart_from_the_page(page: Page, pattern_shop: PatternShop) -> None:
    page.emulate_media(forced_colors="active")
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    for button in page.locator("encore-offer button").all():
        assert button.evaluate("(it) => getComputedStyle(it).borderTopStyle") == "solid"
        assert button.evaluate(CONTRAST) >= 4.5


def test_a_host_with_nonces_instead_of_self_needs_nothing_else(
    page: Page, pattern_shop: PatternShop, problems: list[str]
) -> None:
    pattern_shop.reset(card_in("en", CardState.ACTION_REQUIRED, csp_nonce="r4nd0m"))
    pattern_shop.policy = "default-src 'none'; script-src 'nonce-r4nd0m'; style-src 'nonce-r4nd0m'; connect-src 'self'"
    page.goto(pattern_shop.url)
    assert page.locator(".box").evaluate("(box) => getComputedStyle(box).borderRadius") == "16px"
    pattern_shop.answers["refresh"].append(CardState.CHARGED)
    page.get_by_role("button", name="Confirm with my bank").click()
    expect(page.get_by_role("heading", name="Added to your order #1042")).to_be_visible()
    assert [text for text in problems if "host.css" not in text and "pot.svg" not in text and "data:" not in text] == []


def test_nothing_moves_for_somebody_who_asked_for_less_motion(open_page: OpenPage, pattern_shop: PatternShop) -> None:
    page = open_page(reduced_motion="reduce")
    visit(page, pattern_shop, card_in("en", CardState.CHARGING))
    assert page.locator(".turn").evaluate("(path) => path.getAnimations().length") == 0


def test_buying_and_undoing_work_without_javascript(open_page: OpenPage, pattern_shop: PatternShop) -> None:
    page = open_page(java_script_enabled=False)
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    pattern_shop.answers["accept"].append(CardState.CHARGED)
    pattern_shop.answers["undo"].append(CardState.UNDONE)
    page.get_by_role("button", name="Buy now · £11.61").click()
    page.get_by_role("button", name="Undo until 14:33").click()
    expect(page.get_by_role("heading", name="Undone.")).to_be_visible()
    expect(page.get_by_text("The refund of £11.61 started at 14:21.")).to_be_visible()
    assert pattern_shop.calls == ["accept", "undo"]


@pytest.mark.parametrize("state", [CardState.ACTION_REQUIRED, CardState.FAILED])
def test_without_javascript_only_the_step_that_needs_it_says_so(
    state: CardState, open_page: OpenPage, pattern_shop: PatternShop
) -> None:
    page = open_page(java_script_enabled=False)
    visit(page, pattern_shop, card_in("en", state))
    expect(page.locator("encore-offer").get_by_text("needs JavaScript")).to_be_visible()
    expect(page.locator("encore-offer button:visible")).to_have_text(["Leave it"])
