"""The shopper's journeys in a real browser: the demo shop, its own strict policy, and the Stripe.js stand-in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from acceptance import journey
from acceptance.journey import BANK_ASKS, DECLINED_LATER, WORKS, Bought
from browser.patterns import SHIFTS, OpenPage, accessibility_findings
from playwright.sync_api import Locator, Page, expect
from served_shop import Served, generated_instance, served

#: Milliseconds. A machine that is busy elsewhere is slow, not wrong.
PATIENCE = 30_000

#: The Web Vitals call up to 0.1 good; the offer is in the page, so there is no reason for more than rounding.
LARGEST_SHIFT = 0.01

#: Says on the console what the page's policy refused, whatever else the browser says about it.
TELL_VIOLATIONS = (
    "document.addEventListener('securitypolicyviolation', (event) =>"
    " console.error(`violates ${event.violatedDirective}: ${event.blockedURI}`))"
)

expect.set_options(timeout=PATIENCE)

#: The fixture ``confirmed``: a card, and options of a browser context, to the page of an order just paid with it.
Confirmed = Callable[..., "Thanks"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Served]:
    """The generated shop, open for all tests here."""
    with served(generated_instance(tmp_path_factory, worker_id)) as shop:
        yield shop


class Thanks:
    """A browser on the thank-you page.

    Attributes:
        asked: Every address the browser asked for since the page began to load.
    """

    def __init__(self, page: Page, shop: Served, bought: Bought) -> None:
        self.page, self.shop, self.order_ref = page, shop, bought.order_ref
        self.total = bought.thanks.total
        self.asked: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(bought.thanks.url)

    def expect(self, state: str) -> None:
        """The card shows *state*."""
        expect(self.page.locator(f'encore-offer[data-state="{state}"]')).to_be_attached()
        expect(self.page.locator(f'encore-offer .view[data-state="{state}"]')).to_be_visible()

    @property
    def yes(self) -> Locator:
        return self.page.get_by_role("button", name=re.compile("^Buy now · £"))

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    def type_card(self, number: str) -> None:
        """Fill in the Payment Element and pay."""
        self.page.get_by_label("Card number").fill(number)
        self.page.get_by_label("Expiration date").fill("12 / 34")
        self.page.get_by_label("Security code").fill("123")
        self.yes.click()

    def intents(self) -> list[dict[str, Any]]:
        """The PaymentIntents Encore made for the order."""
        made = self.shop.stripe.intents()
        return [each for each in made if each["metadata"].get("encore_order") == self.order_ref]

    def charged(self) -> list[int]:
        """What Encore charged, in pence."""
        return [each["amount_received"] for each in self.intents() if each["status"] == "succeeded"]

    def origins(self) -> set[str]:
        """Where the browser's requests went; pictures drawn into the page went nowhere."""
        return {"/".join(url.split("/")[:3]) for url in self.asked if not url.startswith("data:")}


@pytest.fixture
def confirmed(open_page: OpenPage, shop: Served) -> Confirmed:
    """Buys over HTTP, and opens the confirmation in a browser of its own."""

    def open_(card: str = WORKS, *, favourite: int = 0, **options: Any) -> Thanks:
        bought = journey.buy(shop.at, card, favourite=favourite)
        page = open_page(**options)
        page.set_default_timeout(PATIENCE)
        page.add_init_script(TELL_VIOLATIONS)
        session = bought.shopper.http.cookies["pottle"]
        page.context.add_cookies([{"name": "pottle", "value": session, "url": shop.at.url}])
        return Thanks(page, shop, bought)

    return open_


@pytest.fixture(autouse=True)
def quiet(problems: list[str]) -> Iterator[None]:
    """Nothing here may break the page's policy, throw, or leave this computer."""
    yield
    assert problems == []


# -- the whole way ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_from_the_front_page_to_one_click_and_back(javascript: bool, open_page: OpenPage, shop: Served) -> None:
    page = open_page(java_script_enabled=javascript)
    page.set_default_timeout(PATIENCE)
    page.add_init_script(TELL_VIOLATIONS)
    page.goto(shop.at.url)
    page.get_by_role("searchbox").fill("ceremonial matcha")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Ceremonial Matcha").click()
    page.get_by_role("button", name="Add to basket").click()
    page.get_by_role("button", name="Order and pay").click()
    page.get_by_role("button", name="Pay £18.90", exact=True).click()
    expect(page.get_by_role("heading", name="Thank you. Your order is confirmed.")).to_be_visible()
    expect(page.get_by_role("heading", name="Bamboo Matcha Whisk")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.get_by_role("button", name="Buy now · £10.71").click()

    expect(page.get_by_role("heading", name="Added to your order")).to_be_visible()
    expect(page.get_by_role("heading", name="Thank you. Your order is confirmed.")).to_be_visible()
    page.get_by_role("button", name=re.compile(r"^Undo until \d{1,2}:\d\d")).click()
    expect(page.get_by_role("heading", name="Undone.")).to_be_visible()
    expect(page.get_by_text("The refund of £10.71 started at")).to_be_visible()
    assert {url.split("/")[2] for url in asked} == {shop.at.url.split("/")[2]}
    # With JavaScript a click is one small request; without, the page comes back.
    assert len([url for url in asked if url.endswith("/thanks")]) == (0 if javascript else 2)
    page.get_by_role("link", name="See your order").click()
    expect(page.get_by_role("listitem").filter(has_text="Undone, refunded")).to_contain_text("Bamboo Matcha Whisk")


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_double_click_is_one_charge(javascript: bool, confirmed: Confirmed) -> None:
    thanks = confirmed(favourite=1, java_script_enabled=javascript)
    thanks.yes.dblclick(no_wait_after=True)
    expect(thanks.page.get_by_role("heading", name="Added to your order")).to_be_visible()
    assert thanks.charged() == [thanks.total]
    assert len(thanks.intents()) == 1


def test_the_common_path_asks_nobody_but_the_shop_and_moves_nothing(confirmed: Confirmed) -> None:
    thanks = confirmed(favourite=2)
    with thanks.page.expect_response("**/shown") as counted:
        thanks.page.locator("encore-offer").scroll_into_view_if_needed()
    assert counted.value.status == 204
    assert thanks.page.evaluate(SHIFTS) <= LARGEST_SHIFT

    thanks.yes.click()
    thanks.expect("charged")
    thanks.page.get_by_role("button", name=re.compile("^Undo until")).click()
    thanks.expect("undone")

    assert thanks.page.evaluate(SHIFTS) <= LARGEST_SHIFT
    assert thanks.origins() == {thanks.shop.at.url}


def test_no_thanks_is_answered_at_once_and_for_good(confirmed: Confirmed) -> None:
    thanks = confirmed(favourite=3)
    thanks.button("No thanks").click()
    thanks.expect("declined")
    expect(thanks.page.locator("encore-offer .box[aria-busy]")).to_have_count(0)
    thanks.page.reload()
    thanks.expect("declined")
    assert thanks.intents() == []


# -- the bank asks ---------------------------------------------------------------------------------------------------


def test_the_banks_check_runs_in_the_page_and_only_then_is_stripe_js_loaded(confirmed: Confirmed) -> None:
    thanks = confirmed(BANK_ASKS, favourite=4)
    assert thanks.origins() == {thanks.shop.at.url}

    thanks.yes.click()
    expect(thanks.page.get_by_role("dialog")).to_contain_text("Your bank asks you to confirm")
    thanks.expect("action_required")
    assert thanks.charged() == []
    thanks.button("Complete").click()

    thanks.expect("charged")
    assert thanks.origins() == {thanks.shop.at.url, thanks.shop.at.stripe_url}
    assert thanks.charged() == [thanks.total]


@pytest.mark.parametrize("way", ["Fail", "Close", "Escape"])
def test_a_check_that_is_not_passed_charges_nothing_and_leaves_a_choice(way: str, confirmed: Confirmed) -> None:
    thanks = confirmed(BANK_ASKS, favourite=5)
    thanks.yes.click()
    expect(thanks.page.get_by_role("dialog")).to_be_visible()
    if way == "Escape":
        thanks.page.keyboard.press("Escape")
    else:
        thanks.button(way).click()
    thanks.expect("failed")
    expect(thanks.page.locator("encore-offer")).to_contain_text("is unchanged")
    expect(thanks.button("Use another card")).to_be_visible()
    thanks.button("Leave it").click()
    thanks.expect("canceled")
    assert thanks.charged() == []
    assert [each["status"] for each in thanks.intents()] == ["canceled"]


def test_a_reload_in_the_middle_of_the_check_does_not_open_it_uninvited(confirmed: Confirmed) -> None:
    thanks = confirmed(BANK_ASKS, favourite=6)
    thanks.yes.click()
    expect(thanks.page.get_by_role("dialog")).to_be_visible()
    thanks.page.reload()
    thanks.expect("action_required")
    expect(thanks.page.get_by_role("dialog")).to_have_count(0)
    thanks.button("Confirm with my bank").click()
    thanks.button("Complete").click()
    thanks.expect("charged")
    assert thanks.charged() == [thanks.total]


def test_without_javascript_the_bank_cannot_ask_and_the_shopper_leaves_it(confirmed: Confirmed) -> None:
    thanks = confirmed(BANK_ASKS, favourite=7, java_script_enabled=False)
    thanks.yes.click()
    expect(thanks.page.get_by_text("Only this step needs JavaScript")).to_be_visible()
    thanks.button("Leave it").click()
    thanks.expect("canceled")
    assert thanks.charged() == []


# -- the bank says no ------------------------------------------------------------------------------------------------


def test_another_card_pays_the_same_payment(confirmed: Confirmed) -> None:
    thanks = confirmed(DECLINED_LATER, favourite=8)
    thanks.yes.click()
    thanks.expect("failed")
    (refused,) = thanks.intents()
    assert refused["status"] == "requires_payment_method"

    thanks.button("Use another card").click()
    thanks.type_card("5555 5555 5555 4444")

    thanks.expect("charged")
    (paid,) = thanks.intents()
    assert (paid["id"], paid["status"], paid["amount_received"]) == (refused["id"], "succeeded", thanks.total)
    assert thanks.origins() == {thanks.shop.at.url, thanks.shop.at.stripe_url}


def test_another_card_may_be_refused_too_or_be_asked_about(confirmed: Confirmed) -> None:
    thanks = confirmed(DECLINED_LATER, favourite=9)
    thanks.yes.click()
    thanks.button("Use another card").click()
    thanks.type_card("4000 0000 0000 9995")
    expect(thanks.page.get_by_label("Card number")).to_have_count(0)
    thanks.expect("failed")
    assert thanks.charged() == []

    thanks.button("Use another card").click()
    thanks.type_card("4000 0027 6000 3184")
    thanks.button("Complete").click()

    thanks.expect("charged")
    assert thanks.charged() == [thanks.total]
    assert len(thanks.intents()) == 1


def test_the_card_that_paid_is_the_card_that_is_named(confirmed: Confirmed) -> None:
    thanks = confirmed(DECLINED_LATER, favourite=5)
    thanks.yes.click()
    thanks.button("Use another card").click()
    thanks.type_card("5555 5555 5555 4444")
    thanks.expect("charged")
    assert "Mastercard •••• 4444" in thanks.page.locator("encore-offer .view").inner_text()


def test_the_newest_refusal_is_the_one_that_is_told(confirmed: Confirmed) -> None:
    thanks = confirmed(DECLINED_LATER, favourite=6)
    thanks.yes.click()
    thanks.button("Use another card").click()
    thanks.type_card("4000 0000 0000 9995")
    expect(thanks.page.get_by_label("Card number")).to_have_count(0)
    thanks.expect("failed")
    assert "not enough money on Visa •••• 9995" in thanks.page.locator("encore-offer .heading").inner_text()


def test_a_card_number_with_a_gap_is_told_before_anything_is_sent(confirmed: Confirmed) -> None:
    thanks = confirmed(DECLINED_LATER, favourite=10)
    thanks.yes.click()
    thanks.button("Use another card").click()
    thanks.type_card("4242 4242")
    expect(thanks.page.locator("encore-offer .error")).to_have_text("Your card number is incomplete.")
    thanks.type_card("4242 4242 4242 4242")
    thanks.expect("charged")
    assert thanks.charged() == [thanks.total]


def test_leaving_a_refused_charge_ends_it(confirmed: Confirmed) -> None:
    thanks = confirmed(DECLINED_LATER, favourite=11)
    thanks.yes.click()
    thanks.expect("failed")
    thanks.button("Leave it").click()
    thanks.expect("canceled")
    expect(thanks.page.locator("encore-offer")).to_contain_text("is unchanged")
    assert [each["status"] for each in thanks.intents()] == ["canceled"]


# -- everybody -------------------------------------------------------------------------------------------------------


def test_the_keyboard_is_enough(confirmed: Confirmed) -> None:
    thanks = confirmed(favourite=0)
    keyboard = thanks.page.keyboard
    for _ in range(20):
        keyboard.press("Tab")
        if thanks.page.evaluate("document.activeElement.localName") == "encore-offer":
            break
    expect(thanks.yes).to_be_focused()
    keyboard.press("Tab")
    expect(thanks.button("No thanks")).to_be_focused()
    keyboard.press("Shift+Tab")
    keyboard.press("Enter")
    expect(thanks.page.get_by_role("heading", name="Added to your order")).to_be_focused()
    keyboard.press("Tab")
    expect(thanks.page.get_by_role("button", name=re.compile("^Undo until"))).to_be_focused()
    keyboard.press("Enter")
    expect(thanks.page.get_by_role("heading", name="Undone.")).to_be_focused()
    assert thanks.charged() == [thanks.total]


def test_the_bank_and_another_card_can_be_answered_by_keyboard(confirmed: Confirmed) -> None:
    thanks = confirmed(BANK_ASKS, favourite=1)
    keyboard = thanks.page.keyboard
    thanks.yes.press("Enter")
    expect(thanks.page.get_by_role("dialog")).to_be_visible()
    keyboard.press("Escape")
    thanks.expect("failed")
    expect(thanks.page.locator("encore-offer .heading")).to_be_focused()
    keyboard.press("Tab")
    expect(thanks.button("Use another card")).to_be_focused()
    keyboard.press("Enter")
    expect(thanks.page.get_by_label("Card number")).to_be_visible()
    keyboard.press("Tab")
    keyboard.type("4242424242424242")
    keyboard.press("Tab")
    keyboard.type("1234")
    keyboard.press("Tab")
    keyboard.type("123")
    keyboard.press("Tab")
    expect(thanks.yes).to_be_focused()
    keyboard.press("Enter")
    thanks.expect("charged")
    assert thanks.charged() == [thanks.total]


def inspect(page: Page) -> list[str]:
    """What axe finds in light and in dark, and whether a small phone has to scroll sideways."""
    found = []
    size = page.viewport_size
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        found += [f"{scheme}: {finding}" for finding in accessibility_findings(page)]
    page.set_viewport_size({"width": 320, "height": 640})
    if (width := page.evaluate("document.documentElement.scrollWidth")) != 320:
        found.append(f"{width} pixels wide on a phone of 320")
    if size:
        page.set_viewport_size(size)
    return found


def test_no_state_of_the_page_shuts_anybody_out(confirmed: Confirmed, problems: list[str]) -> None:
    found: dict[str, list[str]] = {}
    kept = confirmed(favourite=2)
    found["open"] = inspect(kept.page)
    kept.yes.click()
    kept.expect("charged")
    found["charged"] = inspect(kept.page)
    kept.page.get_by_role("button", name=re.compile("^Undo until")).click()
    kept.expect("undone")
    found["undone"] = inspect(kept.page)

    asked = confirmed(BANK_ASKS, favourite=3)
    asked.yes.click()
    expect(asked.page.get_by_role("dialog")).to_be_visible()
    found["the bank's dialog"] = inspect(asked.page)
    asked.page.reload()
    asked.expect("action_required")
    found["action_required"] = inspect(asked.page)
    asked.button("Confirm with my bank").click()
    asked.button("Fail").click()
    asked.expect("failed")
    found["failed"] = inspect(asked.page)
    asked.button("Use another card").click()
    expect(asked.page.get_by_label("Card number")).to_be_visible()
    found["another card"] = inspect(asked.page)
    asked.button("Leave it").click()
    asked.expect("canceled")
    found["canceled"] = inspect(asked.page)

    declined = confirmed(favourite=4)
    declined.button("No thanks").click()
    declined.expect("declined")
    found["declined"] = inspect(declined.page)

    assert {state: each for state, each in found.items() if each} == {}
    # axe writes styles into the page it looks at, which the policy rightly refuses
    problems[:] = [each for each in problems if "style" not in each]


@pytest.mark.parametrize(
    ("language", "direction", "confirmation", "accept", "decline", "charged"),
    [
        ("de", "ltr", "Ihre Bestellung ist bestätigt", "Zahlungspflichtig bestellen", "Nein, danke", "hinzugefügt"),
        ("ar", "rtl", "تم تأكيد طلبك", "اشترِ الآن · ", "لا، شكرًا", "أُضيف إلى طلبك"),
    ],
)
def test_the_locked_labels_speak_the_shoppers_language(
    language: str,
    direction: str,
    confirmation: str,
    accept: str,
    decline: str,
    charged: str,
    open_page: OpenPage,
    shop: Served,
) -> None:
    page = open_page(locale=language)
    page.set_default_timeout(PATIENCE)
    page.add_init_script(TELL_VIOLATIONS)
    page.goto(f"{shop.at.url}/search?q=matcha")
    page.get_by_role("link", name="Ceremonial Matcha").click()
    page.locator('button[name="add"]').click()
    page.locator('form[action="/checkout"] button').click()
    page.locator('button[name="pay"]').first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(confirmation)
    assert page.locator("html").evaluate("(html) => [html.lang, html.dir]") == [language, direction]
    assert page.locator("encore-offer .box").evaluate("(box) => [box.lang, box.dir]") == [language, direction]
    yes = page.locator("encore-offer button.yes")
    expect(yes).to_have_text(re.compile(f"^{accept}"))
    expect(page.locator("encore-offer button.no")).to_have_text(decline)
    # German law wants these two words and nothing else on the button; the amount stands right above it.
    assert (yes.inner_text() == accept) == (language == "de")
    assert re.search(r"10[.,]71", page.locator("encore-offer #total").inner_text())
    yes.click()
    expect(page.locator("encore-offer .heading")).to_contain_text(charged)
