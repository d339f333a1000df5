"""The simulator's Stripe.js and its hosted pages in a real browser, under a strict Content-Security-Policy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from flask_encore.testing import StripeSimulator

AUTOMATIC = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
PRICE = {"amount": 1290, "currency": "gbp", **AUTOMATIC}

HTML = """<!doctype html><html lang="en"><title>Thank you</title><main><h1>Thank you</h1>
<div id="card"></div><button id="ask">Ask</button><button id="pay">Pay</button><output id="out"></output></main>
<script src="{stripe_js}"></script><script src="/page.js"></script>"""

#: What a shop's page does with Stripe.js; the outcome is written where the test can read it.
SCRIPT = """
const secret = new URLSearchParams(location.search).get("secret");
const client = Stripe("pk_test_simulator");
const elements = client.elements({ clientSecret: secret });
elements.create("payment").mount("#card");
const say = (text) => { document.getElementById("out").textContent = text; };
const outcome = (result) => say(result.error ? result.error.code : result.paymentIntent.status);
document.getElementById("ask").onclick = () =>
  client.handleNextAction({ clientSecret: secret }).then(outcome, (error) => say(`threw: ${error.message}`));
document.getElementById("pay").onclick = async () => {
  say("");
  const { error } = await elements.submit();
  if (error) return say(error.code);
  const confirmParams = { return_url: location.href };
  outcome(await client.confirmPayment({ elements, redirect: "if_required", confirmParams }));
};
"""


@pytest.fixture
def sim() -> Iterator[StripeSimulator]:
    with StripeSimulator() as running:
        yield running


@pytest.fixture
def client(sim: StripeSimulator) -> Any:
    return stripe.StripeClient(sim.secret_key, base_addresses={"api": sim.url}).v1


@pytest.fixture
def shop_url(sim: StripeSimulator) -> Iterator[str]:
    """A shop's page that may load scripts from, and connect to, itself and Stripe, and nothing inline."""
    policy = f"default-src 'none'; script-src 'self' {sim.url}; connect-src {sim.url}; style-src 'self'"

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script = self.path == "/page.js"
            body = (SCRIPT if script else HTML.format(stripe_js=sim.stripe_js_url)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript" if script else "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", policy)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def outcome(page: Page) -> str:
    """What the page says once Stripe.js has answered."""
    return page.locator("#out:not(:empty)").inner_text()


def asked(sim: StripeSimulator, client: Any) -> Any:
    """An intent whose bank waits for the shopper."""
    paid = sim.paid_intent(amount=1530, currency="gbp", card="4000002760003184")
    kept = {"customer": paid["customer"], "payment_method": paid["payment_method"]}
    intent = client.payment_intents.create({**PRICE, **kept})
    return client.payment_intents.confirm(intent.id, {"use_stripe_sdk": True})


def type_card(page: Page, number: str) -> None:
    """Fill the Payment Element stand-in."""
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expiration date").fill("12 / 34")
    page.get_by_label("Security code").fill("123")


class TestTheBanksQuestion:
    @pytest.mark.parametrize(
        ("answer", "said", "status"),
        [
            ("Complete", "succeeded", "succeeded"),
            ("Fail", "payment_intent_authentication_failure", "requires_payment_method"),
            ("Close", "payment_intent_authentication_failure", "requires_payment_method"),
        ],
    )
    def test_every_answer_reaches_the_intent_and_the_page(
        self,
        sim: StripeSimulator,
        client: Any,
        shop_url: str,
        open_page: Callable[..., Page],
        answer: str,
        said: str,
        status: str,
    ) -> None:
        intent = asked(sim, client)
        page = open_page()
        page.goto(f"{shop_url}?secret={intent.client_secret}")

        page.get_by_role("button", name="Ask").click()
        dialog = page.get_by_role("dialog", name="Your bank asks you to confirm")
        assert "£12.90" in dialog.inner_text()
        dialog.get_by_role("button", name=answer).click()

        assert outcome(page) == said
        assert sim.intent(intent.id)["status"] == status
        assert page.get_by_role("dialog").count() == 0

    def test_escape_is_a_no(
        self, sim: StripeSimulator, client: Any, shop_url: str, open_page: Callable[..., Page]
    ) -> None:
        intent = asked(sim, client)
        page = open_page()
        page.goto(f"{shop_url}?secret={intent.client_secret}")
        page.get_by_role("button", name="Ask").click()
        page.get_by_role("dialog").wait_for()

        page.keyboard.press("Escape")

        assert outcome(page) == "payment_intent_authentication_failure"
        assert sim.intent(intent.id)["status"] == "requires_payment_method"

    def test_leaving_the_page_leaves_the_question_open(
        self, sim: StripeSimulator, client: Any, shop_url: str, open_page: Callable[..., Page]
    ) -> None:
        intent = asked(sim, client)
        page = open_page()
        page.goto(f"{shop_url}?secret={intent.client_secret}")
        page.get_by_role("button", name="Ask").click()
        page.get_by_role("dialog").wait_for()

        page.goto("about:blank")

        assert sim.intent(intent.id)["status"] == "requires_action"

    def test_without_a_question_handle_next_action_throws(
        self, client: Any, shop_url: str, open_page: Callable[..., Page]
    ) -> None:
        intent = client.payment_intents.create(PRICE)
        page = open_page()
        page.goto(f"{shop_url}?secret={intent.client_secret}")

        page.get_by_role("button", name="Ask").click()

        assert outcome(page).startswith("threw: handleNextAction")


class TestThePaymentElement:
    def test_another_card_pays_the_declined_intent_under_a_strict_policy(
        self,
        sim: StripeSimulator,
        client: Any,
        shop_url: str,
        open_page: Callable[..., Page],
        problems: list[str],
    ) -> None:
        intent = client.payment_intents.create(PRICE)
        page = open_page()
        page.goto(f"{shop_url}?secret={intent.client_secret}")
        pay = page.get_by_role("button", name="Pay")

        pay.click()
        assert outcome(page) == "incomplete_number"
        type_card(page, "4000000000009995")
        pay.click()
        page.get_by_text("card_declined").wait_for()
        type_card(page, "4242 4242 4242 4242")
        pay.click()
        page.get_by_text("succeeded").wait_for()

        assert sim.intent(intent.id)["amount_received"] == 1290
        assert [charge["amount"] for charge in sim.charges()] == [1290]
        assert [each for each in problems if "Content Security Policy" in each] == []

    def test_a_typed_card_can_meet_the_banks_question(
        self, sim: StripeSimulator, client: Any, shop_url: str, open_page: Callable[..., Page]
    ) -> None:
        intent = client.payment_intents.create(PRICE)
        page = open_page()
        page.goto(f"{shop_url}?secret={intent.client_secret}")
        type_card(page, "4000002760003184")

        page.get_by_role("button", name="Pay").click()
        page.get_by_role("button", name="Complete").click()

        assert outcome(page) == "succeeded"
        assert sim.intent(intent.id)["status"] == "succeeded"


class TestTheHostedPages:
    @pytest.fixture
    def session(self, client: Any, shop_url: str) -> Any:
        product = {"name": "White hanging heart t-light holder"}
        line = {"price_data": {"currency": "gbp", "unit_amount": 255, "product_data": product}, "quantity": 6}
        return client.checkout.sessions.create(
            {
                "mode": "payment",
                "success_url": f"{shop_url}thanks?session={{CHECKOUT_SESSION_ID}}",
                "customer_creation": "always",
                "payment_intent_data": {"setup_future_usage": "off_session"},
                "line_items": [line],
            }
        )

    @pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
    def test_a_shopper_is_declined_asked_and_sent_back(
        self, client: Any, session: Any, open_page: Callable[..., Page], scripts: bool
    ) -> None:
        page = open_page(java_script_enabled=scripts)
        page.goto(session.url)

        page.get_by_role("button", name="Insufficient funds").click()
        assert page.get_by_role("alert").inner_text() == "Your card has insufficient funds."
        page.get_by_role("button", name="The bank always asks").click()
        page.get_by_role("button", name="Complete").click()

        assert page.url.endswith(f"/thanks?session={session.id}")
        assert client.checkout.sessions.retrieve(session.id).payment_status == "paid"

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [320, 1200])
    def test_the_pages_are_accessible_and_fit(
        self, session: Any, open_page: Callable[..., Page], scheme: str, width: int
    ) -> None:
        # bypass_csp: axe is injected by the test; the page itself has no script at all.
        page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)

        for url in (session.url, f"{session.url}/bank"):
            page.goto(url)
            violations = [each["id"] for each in Axe().run(page).response["violations"]]
            assert violations == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
