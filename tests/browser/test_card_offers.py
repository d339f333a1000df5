"""What the custom element does for choices, texts, timers, sequences and dialogs, in a real browser."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from browser.patterns import SHIFTS, OpenPage, PatternShop, accessibility_findings, events, visit
from offer_cards import bundle_card, free_card, offer_card, shirt_card, wrapping_card
from playwright.sync_api import Page, expect

from flask_encore.web.contexts import CardState, Notice, OfferCard

TIMED = {"seconds_left": 90, "extendable": True}

CARDS = {
    "variants": shirt_card(headline="A shirt for your coat?", body="Woven in the same mill, in the same blue."),
    "text refused": wrapping_card(notice=Notice.TEXT_MISSING),
    "timer": offer_card(**TIMED),
    "free": free_card(),
    "bundle": bundle_card(),
    "dialog": offer_card(dialog="f00"),
    "free, added": free_card(CardState.CHARGED, text_given="Love,\nAnn"),
}


def follow_up(**changes: Any) -> Any:
    """An offer that comes after another one."""
    return offer_card(title="Tea strainer", follows=True, **changes)


# Looks


@pytest.mark.parametrize("language", ["en", "de", "ar"])
def test_no_kind_of_offer_overflows_a_phone_has_a_small_target_or_an_accessibility_finding(
    language: str, open_page: OpenPage, pattern_shop: PatternShop, problems: list[str]
) -> None:
    page = open_page(viewport={"width": 320, "height": 640}, color_scheme="dark" if language == "de" else "light")
    for what, card in CARDS.items():
        visit(page, pattern_shop, replace(card, locale=language))
        assert page.evaluate("document.documentElement.scrollWidth") == 320, what
        targets = page.locator("encore-offer :is(button, select, textarea):visible").all()
        sizes = [target.bounding_box() for target in targets]
        assert all(size and size["height"] >= 44 and size["width"] >= 44 for size in sizes), what
        if what != "dialog":
            yes, no = page.locator("button.yes").all(), page.locator("button.no").all()
            assert [button.bounding_box()["height"] for button in yes] == [  # type: ignore[index]
                button.bounding_box()["height"]
                for button in no  # type: ignore[index]
            ], what
        assert page.evaluate(SHIFTS) == 0, what
        assert problems == []  # before axe looks, which writes styles of its own into the page
        assert accessibility_findings(page) == [], what
        problems.clear()


# Choices


def test_the_price_follows_the_choice_and_is_what_the_button_accepts(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, shirt_card())
    pattern_shop.answers["choose"].append(shirt_card(2))
    pattern_shop.answers["accept"].append(CardState.CHARGED)
    select = page.get_by_label("Version")
    assert select.locator("option").all_inner_texts() == [
        "Blue / S · £53.10",
        "Blue / M – sold out",
        "Sand / L · £55.80",
    ]
    expect(select.locator("option:disabled")).to_have_text(["Blue / M – sold out"])
    expect(page.get_by_role("button", name="Show price")).to_be_hidden()
    before = page.locator("#below").bounding_box()
    select.focus()
    select.select_option("2")
    button = page.get_by_role("button", name="Buy now · £55.80")
    expect(button).to_be_visible()
    expect(page.get_by_label("Version")).to_be_focused()
    expect(page.locator(".live")).to_have_text("To pay now tax included£55.80")
    assert page.locator("#below").bounding_box() == before
    button.click()
    expect(page.get_by_role("heading", name="Added to your order #1042")).to_be_visible()
    assert pattern_shop.forms == [("choose", {"choice": "2"}), ("accept", {"choice": "2"})]


def test_nothing_can_be_bought_while_a_price_is_asked_for_and_the_last_choice_wins(
    page: Page, pattern_shop: PatternShop
) -> None:
    visit(page, pattern_shop, shirt_card())
    pattern_shop.answers["choose"].extend([shirt_card(2), shirt_card(0)])
    pattern_shop.hold.clear()
    page.get_by_label("Version").select_option("2")
    expect(page.locator("section")).to_have_attribute("aria-busy", "true")
    page.locator("button.yes").evaluate("(button) => button.click()")
    page.get_by_label("Version").select_option("0")
    pattern_shop.hold.set()
    expect(page.locator("section")).not_to_have_attribute("aria-busy", "true")
    expect(page.get_by_role("button", name="Buy now · £53.10")).to_be_visible()
    assert pattern_shop.forms == [("choose", {"choice": "2"}), ("choose", {"choice": "0"})]


def test_a_price_that_cannot_be_asked_for_leaves_choice_and_amount_as_they_were(
    page: Page, pattern_shop: PatternShop
) -> None:
    visit(page, pattern_shop, shirt_card())
    page.route("**/choose", lambda route: route.abort("connectionreset"))
    page.get_by_label("Version").select_option("2")
    expect(page.get_by_role("alert")).to_have_text("That did not work just now. Please try again.")
    expect(page.get_by_label("Version")).to_have_value("0")
    expect(page.get_by_role("button", name="Buy now · £53.10")).to_be_enabled()
    assert page.locator('input[name="choice"]').input_value() == "0"


def test_without_the_element_a_button_asks_for_the_price(open_page: OpenPage, pattern_shop: PatternShop) -> None:
    page = open_page(java_script_enabled=False)
    visit(page, pattern_shop, shirt_card())
    pattern_shop.answers["choose"].append(shirt_card(2))
    expect(page.get_by_role("button", name="Buy now · £53.10")).to_be_visible()
    page.get_by_label("Version").select_option("2")
    # What the list says and what the price says is not the same yet: neither of them can be bought.
    expect(page.get_by_role("button", name="Buy now")).to_be_hidden()
    page.get_by_role("button", name="Show price").click()
    expect(page.get_by_role("button", name="Buy now · £55.80")).to_be_visible()
    assert pattern_shop.forms == [("choose", {"choice": "2"})]


# Text


def test_what_was_typed_survives_a_choice_and_a_refusal_and_is_sent(page: Page, pattern_shop: PatternShop) -> None:
    text = wrapping_card().text
    visit(page, pattern_shop, shirt_card(text=text))
    pattern_shop.answers["choose"].append(shirt_card(2, text=text))
    pattern_shop.answers["accept"].append(shirt_card(2, text=text, notice=Notice.TEXT_TOO_LONG))
    field = page.get_by_label("Your message")
    page.get_by_role("button", name="Buy now").click()
    expect(field).to_be_focused()  # the browser's own check: it is required
    field.fill("Love, Ann")
    page.get_by_label("Version").select_option("2")
    page.get_by_role("button", name="Buy now · £55.80").click()
    expect(page.get_by_role("alert").first).to_have_text("This text is too long. Nothing was charged.")
    expect(field).to_have_value("Love, Ann")
    expect(field).to_have_accessible_description("This text is too long. Nothing was charged. Maximum length: 200")
    assert pattern_shop.forms[-1] == ("accept", {"choice": "2", "text": "Love, Ann"})


# Timer


def test_the_timer_counts_what_the_server_said_and_the_server_ends_the_offer(
    page: Page, pattern_shop: PatternShop
) -> None:
    page.clock.install()
    visit(page, pattern_shop, offer_card(**TIMED))
    pattern_shop.answers["refresh"].extend([offer_card(seconds_left=5), CardState.EXPIRED])
    expect(page.get_by_text("You can accept this offer until 14:30")).to_be_visible()
    expect(page.locator(".left")).to_have_text("1:30")
    page.clock.run_for(60_000)
    expect(page.locator(".left")).to_have_text("0:30")
    expect(page.locator(".live")).to_have_text("")
    with page.expect_response("**/refresh"):
        page.clock.run_for(30_000)
    expect(page.locator(".left")).to_have_text("0:05")
    with page.expect_response("**/refresh"):
        page.clock.run_for(5_000)
    expect(page.get_by_role("heading", name="This offer is no longer available.")).to_be_visible()
    page.clock.run_for(60_000)
    assert [call for call in pattern_shop.calls if call != "shown"] == ["refresh", "refresh"]


def test_more_time_is_given_once_and_nothing_ticks_for_somebody_who_wants_it_calm(
    open_page: OpenPage, pattern_shop: PatternShop
) -> None:
    page = open_page(reduced_motion="reduce")
    visit(page, pattern_shop, offer_card(**TIMED))
    pattern_shop.answers["extend"].append(offer_card(seconds_left=180, notice=Notice.EXTENDED))
    expect(page.locator(".left")).to_be_empty()
    page.get_by_role("button", name="Give me more time").click()
    expect(page.get_by_text("You have time until 14:30")).to_be_visible()
    expect(page.get_by_role("button", name="Give me more time")).to_have_count(0)
    expect(page.locator(".left")).to_be_empty()


# Sequences


def test_after_a_yes_the_next_offer_stands_below_what_was_bought(
    page: Page, pattern_shop: PatternShop, problems: list[str]
) -> None:
    visit(page, pattern_shop, offer_card())
    events(page)
    pattern_shop.answers["accept"].append(CardState.CHARGED)
    pattern_shop.following = follow_up(place=2)
    page.get_by_role("button", name="Buy now").click()
    expect(page.get_by_role("heading", name="Added to your order #1042")).to_be_focused()
    expect(page.locator("encore-offer#encore + encore-offer#encore-2")).to_have_attribute("data-state", "open")
    expect(page.get_by_role("heading", name="One more thing for your order #1042")).to_be_visible()
    expect(page.locator("#encore .live")).to_have_text("Added to your order #1042 One more thing for your order #1042")
    pattern_shop.following = None
    pattern_shop.answers["decline"].append(CardState.DECLINED)
    page.locator("#encore-2").get_by_role("button", name="No thanks").click()
    expect(page.locator("#encore-2")).to_have_attribute("data-state", "declined")
    expect(page.locator("#encore")).to_have_attribute("data-state", "charged")
    assert page.evaluate("heard") == [["accepted", "charged"], ["charged", "charged"], ["declined", "declined"]]
    assert problems == []


def test_after_a_no_the_next_offer_takes_its_place_without_a_gap_in_between(
    page: Page, pattern_shop: PatternShop
) -> None:
    visit(page, pattern_shop, offer_card(downsell=True))
    events(page)
    pattern_shop.answers["decline"].append(CardState.DECLINED)
    pattern_shop.following = follow_up()
    pattern_shop.hold.clear()
    page.get_by_role("button", name="No thanks").click()
    expect(page.locator("section")).to_have_attribute("aria-busy", "true")
    expect(page.get_by_role("heading", name="One more thing?")).to_be_visible()
    pattern_shop.hold.set()
    expect(page.get_by_role("heading", name="One more thing for your order #1042")).to_be_focused()
    expect(page.locator("encore-offer")).to_have_count(1)
    assert page.evaluate("heard") == [["declined", "declined"]]


@pytest.mark.parametrize(
    ("act", "state", "following"),
    [
        ("accept", CardState.CHARGED, follow_up(place=2)),
        ("accept", CardState.CHARGED, shirt_card(place=2, follows=True)),
        ("accept", CardState.FAILED, None),
        ("decline", CardState.DECLINED, follow_up(because_of_title=None)),
    ],
    ids=["a yes", "a yes and a larger card", "a yes that fails", "a no"],
)
def test_a_slow_answer_that_brings_another_offer_moves_nothing_below_it(
    act: str, state: CardState, following: OfferCard | None, page: Page, pattern_shop: PatternShop
) -> None:
    page.set_viewport_size({"width": 760, "height": 1400})
    visit(page, pattern_shop, offer_card(upsell=True, downsell=True))
    pattern_shop.answers[act].append(state)
    pattern_shop.following = following
    pattern_shop.hold.clear()
    page.locator(f'form[data-act="{act}"] button').click()
    page.wait_for_timeout(700)  # the browser forgives shifts within 500 ms of a click; this one comes later
    before = page.locator("#below").bounding_box()
    pattern_shop.hold.set()
    expect(page.locator(f"encore-offer{'#encore-2' if following and following.place == 2 else ''}")).to_have_attribute(
        "data-state", "open" if following else state
    )
    expect(page.locator("encore-offer .box[aria-busy]")).to_have_count(0)
    assert page.locator("#below").bounding_box() == before
    assert page.evaluate(SHIFTS) == 0


# Dialog

LONG = "main h1 { margin-block-end: 900px; } body { padding-block-end: 900px; }"


def test_a_dialog_opens_once_below_the_confirmation_and_escape_puts_it_into_the_page(
    page: Page, pattern_shop: PatternShop, problems: list[str]
) -> None:
    visit(page, pattern_shop, offer_card(dialog="f00"), css=LONG)
    dialog = page.get_by_role("dialog", name="An offer for your order #1042")
    expect(dialog).to_be_visible()
    assert page.evaluate("document.activeElement === document.body")
    box, heading = dialog.bounding_box(), page.get_by_role("heading", level=1).bounding_box()
    assert box and heading
    assert box["y"] > heading["y"] + heading["height"]
    assert box["y"] + box["height"] <= 900
    assert page.evaluate(SHIFTS) == 0
    assert problems == []
    assert accessibility_findings(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Buy now")).not_to_be_in_viewport()
    page.reload()
    expect(page.get_by_role("button", name="Buy now")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_closed_dialog_gives_the_focus_back_and_one_scrolled_to_stays_in_the_page(
    page: Page, pattern_shop: PatternShop
) -> None:
    visit(page, pattern_shop, offer_card(dialog="f00"), css=LONG)
    page.get_by_role("heading", level=1).evaluate("(it) => { it.tabIndex = 0; it.focus(); }")
    page.get_by_role("button", name="Close").focus()
    page.get_by_role("button", name="Close").press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_focused()

    visit(page, pattern_shop, offer_card(dialog="f01"), css=LONG)
    expect(page.get_by_role("dialog")).to_be_visible()
    pattern_shop.answers["accept"].append(CardState.CHARGED)
    page.mouse.wheel(0, 900)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Buy now").click()
    expect(page.get_by_role("heading", name="Added to your order #1042")).to_be_visible()
    assert page.evaluate(SHIFTS) == 0


def test_a_dialog_bought_from_keeps_the_answer_and_one_declined_goes(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, offer_card(dialog="f00"), css=LONG)
    pattern_shop.answers["accept"].append(CardState.CHARGED)
    pattern_shop.following = follow_up(place=2)
    page.get_by_role("dialog").get_by_role("button", name="Buy now").click()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Added to your order #1042")).to_be_in_viewport()
    expect(page.locator("#encore-2").get_by_role("button", name="Buy now")).not_to_be_in_viewport()

    visit(page, pattern_shop, offer_card(dialog="f01"), css=LONG)
    pattern_shop.answers["decline"].append(CardState.DECLINED)
    page.get_by_role("dialog").get_by_role("button", name="No thanks").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("encore-offer")).to_have_attribute("data-state", "declined")


@pytest.mark.parametrize(
    ("options", "css"),
    [({"viewport": {"width": 390, "height": 300}}, LONG), ({"java_script_enabled": False}, LONG), ({}, "")],
    ids=["a small screen", "no script", "its place is in view"],
)
def test_where_a_dialog_would_cover_the_confirmation_or_cannot_be_it_is_a_section(
    options: dict[str, Any], css: str, open_page: OpenPage, pattern_shop: PatternShop
) -> None:
    page = open_page(**options)
    visit(page, pattern_shop, offer_card(dialog="f00"), css=css)
    expect(page.get_by_role("button", name="Buy now")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
