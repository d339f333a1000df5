"""The card alone, in a real browser: how every state looks, and what the custom element does between them."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.patterns import HOSTILE_CSS, LANGUAGES, OpenPage, PatternShop, card_in
from playwright.sync_api import Page, Route, expect

from flask_encore.web.contexts import CardState

#: Cumulative layout shift as the Web Vitals count it: what moves within 500 ms of a click was asked for.
SHIFTS = """() => new Promise((resolve) => new PerformanceObserver((list) => resolve(
    list.getEntries().filter((entry) => !entry.hadRecentInput).reduce((sum, entry) => sum + entry.value, 0)
)).observe({ type: 'layout-shift', buffered: true }) || setTimeout(() => resolve(0), 300))"""

#: Relative luminance contrast of an element's text against the first opaque background behind it.
CONTRAST = """(element) => {
  const channels = (color) => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d');
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => channels(color).slice(0, 3).map((value) => {
    const share = value / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }).reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  let behind = element;
  while (channels(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
  const pair = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(luminance).sort();
  return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
}"""


def accessibility_findings(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{item['id']}: {node['html'][:120]}" for item in found for node in item["nodes"]]


def visit(page: Page, shop: PatternShop, card: Any, *, css: str = "") -> None:
    shop.reset(card)
    shop.css = css
    page.goto(shop.url)


def events(page: Page) -> None:
    page.evaluate(
        "() => { window.heard = []; for (const name of ['accepted', 'charged', 'declined', 'undone'])"
        " document.addEventListener(`encore:${name}`, (event) => heard.push([name, event.detail.state])); }"
    )


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
    with page.expect_response("**/decline"):
        pattern_shop.hold.set()
    assert page.evaluate("heard") == [["declined", "declined"]]
    assert page.evaluate(SHIFTS) == 0


def test_a_no_that_came_too_late_shows_what_was_bought_elsewhere(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.OPEN))
    pattern_shop.answers["decline"].append(CardState.CHARGED)  # accepted in another tab
    page.get_by_role("button", name="No thanks").click()
    expect(page.get_by_role("button", name="Undo until 14:33")).to_be_visible()


def test_undo_tells_the_host(page: Page, pattern_shop: PatternShop) -> None:
    visit(page, pattern_shop, card_in("en", CardState.CHARGED))
    events(page)
    pattern_shop.answers["undo"].append(CardState.UNDONE)
    page.get_by_role("button", name="Undo until 14:33").click()
    expect(page.get_by_role("heading", name="Undone.")).to_be_focused()
    assert page.evaluate("heard") == [["undone", "undone"]]


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
    pattern_shop.card = card_in("en", CardState.OPEN, busy=True)
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
