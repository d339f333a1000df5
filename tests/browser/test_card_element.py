"""What the custom element does between two states, in a real browser."""

from __future__ import annotations

from dataclasses import replace

import pytest
from browser.patterns import SHIFTS, OpenPage, PatternShop, card_in, events, visit
from playwright.sync_api import Page, Route, expect

from flask_encore.web.contexts import CardState, Notice


def test_a_double_click_sends_one_accept_and_the_answer_gets_the_focus(
    page: Page, pattern_shop: PatternShop, problems: list[str]
) -> None:
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    events(page)
    pattern_shop.answers["accept"].append(CardState.CHARGED)
    pattern_shop.hold.clear()
    button = page.get_by_role("button", name="Buy now")
    button.dblclick()
    expect(page.locator(".live")).to_have_text("Charging Visa •••• 4242 – please wait")
    expect(page.locator(".method")).to_have_text("Charging Visa •••• 4242 – please wait")
    expect(page.locator("section")).to_have_attribute("aria-busy", "true")
    expect(button).to_be_disabled()
    expect(page.get_by_role("button", name="No thanks")).to_be_disabled()
    pattern_shop.hold.set()
    heading = page.get_by_role("heading", name="Added to your order #1042")
    expect(heading).to_be_focused()
    expect(page.locator("section")).not_to_have_attribute("aria-busy", "true")
    assert pattern_shop.calls == ["accept"]
    assert page.evaluate("heard") == [["accepted", "charged"], ["charged", "charged"]]
    assert page.url == f"{pattern_shop.url}/"
    assert problems == []


def test_the_keyboard_alone_declines(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    events(page)
    pattern_shop.answers["decline"].append(CardState.DECLINED)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="All right, nothing added.")).to_be_focused()
    expect(page.locator("encore-offer .box[aria-busy]")).to_have_count(0)
    assert pattern_shop.calls == ["decline"]
    assert page.evaluate("heard") == [["declined", "declined"]]


def test_a_no_is_not_kept_waiting_for_the_server(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    events(page)
    pattern_shop.answers["decline"].append(CardState.DECLINED)
    pattern_shop.hold.clear()
    page.get_by_role("button", name="No thanks").click()
    expect(page.get_by_role("heading", name="All right, nothing added.")).to_be_focused()
    assert page.locator("#below").bounding_box()["y"] < 500  # type: ignore[index]
    expect(page.locator("encore-offer .box[aria-busy]")).to_have_count(1)
    pattern_shop.hold.set()
    expect(page.locator("encore-offer .box[aria-busy]")).to_have_count(0)
    assert page.evaluate("heard") == [["declined", "declined"]]
    assert page.evaluate(SHIFTS) == 0


def test_a_no_that_came_too_late_shows_what_was_bought_elsewhere(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    pattern_shop.answers["decline"].append(CardState.CHARGED)  # accepted in another tab
    page.get_by_role("button", name="No thanks").click()
    expect(page.get_by_role("button", name="Undo until 14:33")).to_be_visible()


def test_left_alone_the_card_shrinks_to_what_it_has_to_say(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.FAILED))
    full = page.locator(".view").evaluate("(view) => view.offsetHeight")
    pattern_shop.answers["leave"].append(CardState.CANCELED)
    page.get_by_role("button", name="Leave it").click()
    expect(page.get_by_role("heading", name="Not added.")).to_be_focused()
    expect(page.get_by_text("Nothing was charged. Your order #1042 is unchanged.")).to_be_visible()
    assert page.locator(".view").evaluate("(view) => view.offsetHeight") < full * 0.6


def test_undo_tells_the_host(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.CHARGED))
    events(page)
    pattern_shop.answers["undo"].append(CardState.UNDONE)
    page.get_by_role("button", name="Undo until 14:33").click()
    expect(page.get_by_role("heading", name="Undone.")).to_be_focused()
    assert page.evaluate("heard") == [["undone", "undone"]]


def test_an_undo_that_comes_too_late_takes_the_button_away_and_says_so(page: Page, pattern_shop: PatternShop) -> None:
    charged = card_in("en", CardState.CHARGED)
    visit(page, pattern_shop, charged)
    events(page)
    pattern_shop.answers["undo"].append(replace(charged, undo_until=None, notice=Notice.NOT_UNDONE))
    button = page.get_by_role("button", name="Undo until 14:33")
    button.click()
    expect(page.get_by_role("alert").get_by_text("This can no longer be undone here.")).to_be_visible()
    expect(button).to_have_count(0)
    expect(page.get_by_role("heading", name="Added to your order #1042")).to_be_focused()
    assert page.evaluate("heard") == []


@pytest.mark.parametrize("fault", [500, "network"])
def test_an_accept_without_an_answer_asks_the_server_and_offers_no_second_button(
    fault: int | str, page: Page, pattern_shop: PatternShop
) -> None:
    page.clock.install()
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    if fault == "network":
        page.route("**/accept", lambda route: route.abort("connectionreset"))
    else:
        pattern_shop.answers["accept"].append(500)
    pattern_shop.answers["refresh"].extend([502, CardState.UNKNOWN, CardState.CHARGED])
    page.get_by_role("button", name="Buy now").click()
    expect(
        page.get_by_role("heading", name="We are checking with the bank – you will not be charged twice.")
    ).to_be_focused()
    expect(page.locator("encore-offer button")).to_have_text(["Check again"])
    for seconds in (1, 2, 4):
        with page.expect_response("**/refresh"):
            page.clock.run_for(seconds * 1000)
    expect(page.get_by_role("heading", name="Added to your order #1042")).to_be_visible()
    assert pattern_shop.calls.count("refresh") == 3


def test_a_lost_accept_brings_the_offer_back_only_when_the_shopper_asks(page: Page, pattern_shop: PatternShop) -> None:
    page.clock.install()
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    page.route("**/accept", lambda route: route.abort("connectionreset"))
    page.get_by_role("button", name="Buy now").click()
    expect(page.get_by_role("button", name="Check again")).to_be_visible()
    with page.expect_response("**/refresh"):
        page.clock.run_for(1000)
    expect(page.locator("encore-offer button")).to_have_text(["Check again"])
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_role("button", name="Buy now · £11.61")).to_be_visible()


def test_asking_stops_after_two_minutes_and_says_so(page: Page, pattern_shop: PatternShop) -> None:
    page.clock.install()
    visit(page, pattern_shop, card_in("en", CardState.CHARGING))
    for seconds in (1, 2, 4, 8, 16, 30, 30, 30):
        expect(page.get_by_text("taking longer than usual")).to_have_count(0)
        with page.expect_response("**/refresh"):
            page.clock.run_for(seconds * 1000)
    expect(page.locator(".late")).to_contain_text("This is taking longer than usual. You can close this page")
    page.clock.run_for(120_000)
    assert pattern_shop.calls == ["refresh"] * 8


def test_a_result_that_arrives_by_itself_leaves_the_focus_where_the_shopper_went(
    page: Page, pattern_shop: PatternShop
) -> None:
    page.clock.install()
    visit(page, pattern_shop, card_in("en", CardState.CHARGING))
    page.locator("#below").evaluate("(it) => { it.tabIndex = 0; it.focus(); }")
    pattern_shop.answers["refresh"].append(CardState.CHARGED)
    with page.expect_response("**/refresh"):
        page.clock.run_for(1000)
    expect(page.locator(".live")).to_have_text("Added to your order #1042")
    expect(page.locator("#below")).to_be_focused()


def test_stripe_js_is_not_loaded_for_an_offer_that_needs_no_check(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    pattern_shop.answers["accept"].append(CardState.CHARGED)
    page.get_by_role("button", name="Buy now").click()
    expect(page.get_by_role("heading", name="Added to your order #1042")).to_be_visible()
    assert "stripe.js" not in pattern_shop.calls


def test_the_bank_s_check_opens_after_the_click_and_the_server_is_asked_what_came_of_it(
    page: Page, pattern_shop: PatternShop, problems: list[str]
) -> None:
    visit(page, pattern_shop, card_in("de", CardState.OPEN))
    pattern_shop.answers["accept"].append(CardState.ACTION_REQUIRED)
    pattern_shop.answers["refresh"].append(CardState.CHARGED)
    page.get_by_role("button", name="Zahlungspflichtig bestellen").click()
    expect(page.get_by_role("heading", name="Zu Ihrer Bestellung #1042 hinzugefügt")).to_be_focused()
    assert page.evaluate("stripeCalls") == [["handleNextAction", "pk_test_x", "pi_1_secret_2", "de"]]
    assert sorted(pattern_shop.calls) == ["accept", "refresh", "secret", "stripe.js"]
    assert problems == []


def test_a_reload_waits_for_the_shopper_before_it_opens_the_bank_s_check(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.ACTION_REQUIRED))
    confirm = page.get_by_role("button", name="Confirm with my bank")
    expect(confirm).to_be_visible()
    assert pattern_shop.calls == []
    confirm.click()
    expect(page.locator(".busy")).to_have_count(0)
    expect(confirm).to_be_visible()
    assert sorted(pattern_shop.calls) == ["refresh", "secret", "stripe.js"]


def test_a_blocked_stripe_js_is_said_in_plain_words_and_can_be_tried_again(
    page: Page, pattern_shop: PatternShop
) -> None:
    visit(page, pattern_shop, card_in("en", CardState.ACTION_REQUIRED))
    page.route("**/stripe.js", lambda route: route.abort())
    page.get_by_role("button", name="Confirm with my bank").click()
    expect(page.get_by_role("alert")).to_have_text("That did not work just now. Please try again.")
    page.unroute("**/stripe.js")
    pattern_shop.answers["refresh"].append(CardState.CHARGED)
    page.get_by_role("button", name="Confirm with my bank").click()
    expect(page.get_by_role("heading", name="Added to your order #1042")).to_be_visible()


def test_another_card_is_typed_into_stripe_s_own_fields_in_the_page(
    page: Page, pattern_shop: PatternShop, problems: list[str]
) -> None:
    visit(page, pattern_shop, card_in("en", CardState.FAILED, failure_code="insufficient_funds"))
    expect(page.get_by_role("heading", name="There is not enough money on Visa •••• 4242 for £11.61.")).to_be_visible()
    page.get_by_role("button", name="Use another card").click()
    expect(page.get_by_label("Card number")).to_be_visible()
    expect(page.locator("encore-offer button:visible")).to_have_text(["Buy now · £11.61", "Leave it"])
    pattern_shop.answers["refresh"].append(CardState.CHARGED)
    page.get_by_role("button", name="Buy now · £11.61").click()
    expect(page.get_by_role("heading", name="Added to your order #1042")).to_be_visible()
    expect(page.get_by_label("Card number")).to_have_count(0)
    assert page.evaluate("stripeCalls") == [
        ["mount", "payment", "pi_1_secret_2", True],
        ["confirmPayment", "if_required"],
    ]
    assert "accept" not in pattern_shop.calls
    assert problems == []


def test_a_mistyped_card_number_keeps_the_fields_open(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.FAILED))
    page.get_by_role("button", name="Use another card").click()
    page.evaluate(
        "window.stripeAnswer = {error: {type: 'validation_error', message: 'Your card number is incomplete.'}}"
    )
    page.get_by_role("button", name="Buy now").click()
    expect(page.get_by_role("alert")).to_have_text("Your card number is incomplete.")
    expect(page.get_by_label("Card number")).to_be_visible()
    assert "refresh" not in pattern_shop.calls


def test_a_second_decline_is_shown_as_a_new_one(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.FAILED, failure_code="expired_card"))
    page.get_by_role("button", name="Use another card").click()
    pattern_shop.card = card_in("en", CardState.FAILED, failure_code="generic_decline")
    page.get_by_role("button", name="Buy now").click()
    expect(page.get_by_role("heading", name="Your bank declined £11.61.")).to_be_focused()
    expect(page.get_by_role("button", name="Use another card")).to_be_visible()


def test_an_offer_is_seen_once_after_a_second_in_view(page: Page, pattern_shop: PatternShop) -> None:
    with page.expect_request("**/shown"):
        visit(page, pattern_shop, card_in("en", CardState.OPEN), css="body { padding-block-end: 2000px; }")
        assert pattern_shop.calls == []
    assert page.evaluate("performance.now()") >= 1000
    page.mouse.wheel(0, 1500)
    page.mouse.wheel(0, -1500)
    page.wait_for_timeout(1300)
    assert pattern_shop.calls == ["shown"]


def test_an_offer_below_the_fold_is_not_seen_until_it_is_scrolled_to(
    open_page: OpenPage, pattern_shop: PatternShop
) -> None:
    page = open_page(viewport={"width": 760, "height": 300})
    visit(page, pattern_shop, card_in("en", CardState.OPEN), css="h1 { margin-block-end: 900px !important; }")
    page.wait_for_timeout(1300)
    assert pattern_shop.calls == []
    with page.expect_request("**/shown"):
        page.locator("encore-offer .price").scroll_into_view_if_needed()


def test_a_card_taller_than_the_screen_is_seen_when_it_fills_half_of_it(
    open_page: OpenPage, pattern_shop: PatternShop
) -> None:
    page = open_page(viewport={"width": 320, "height": 240})
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    with page.expect_request("**/shown"):
        page.locator("encore-offer .price").scroll_into_view_if_needed()


def test_a_busy_server_leaves_the_offer_open_and_says_nothing_was_charged(
    page: Page, pattern_shop: PatternShop
) -> None:
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    events(page)
    pattern_shop.card = card_in("en", CardState.OPEN, notice=Notice.BUSY)
    page.get_by_role("button", name="Buy now").click()
    expect(page.get_by_text("Many people are ordering right now. Nothing was charged")).to_be_visible()
    expect(page.get_by_role("button", name="Buy now")).to_be_enabled()
    assert page.evaluate("heard") == []


def test_a_page_put_together_by_script_still_draws_the_card(page: Page, pattern_shop: PatternShop) -> None:
    pattern_shop.reset(card_in("en", CardState.OPEN))
    pattern_shop.policy = ""

    def without_parser(route: Route) -> None:
        response = route.fetch()
        route.fulfill(
            response=response, body=response.text().replace('shadowrootmode="open"', 'shadowrootmode="later"')
        )

    page.route(f"{pattern_shop.url}/", without_parser)
    page.goto(pattern_shop.url)
    expect(page.get_by_role("button", name="Buy now · £11.61")).to_be_visible()
