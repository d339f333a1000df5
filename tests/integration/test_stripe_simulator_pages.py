"""The simulator's hosted pages, and what a browser may ask of it, over plain HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests
import stripe

from flask_encore.testing import StripeSimulator

CREATE = {
    "amount": 1290,
    "currency": "gbp",
    "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
}


@pytest.fixture
def sim() -> Iterator[StripeSimulator]:
    with StripeSimulator() as running:
        yield running


@pytest.fixture
def client(sim: StripeSimulator) -> Any:
    return stripe.StripeClient(sim.secret_key, base_addresses={"api": sim.url}).v1


class TestTheHostedCheckout:
    @pytest.fixture
    def session(self, client: Any) -> Any:
        return client.checkout.sessions.create(
            {
                "mode": "payment",
                "success_url": "http://127.0.0.1:9/thanks?session={CHECKOUT_SESSION_ID}",
                "cancel_url": "http://127.0.0.1:9/cart",
                "customer_creation": "always",
                "client_reference_id": "1042",
                "payment_intent_data": {"setup_future_usage": "off_session", "metadata": {"order": "1042"}},
                "custom_text": {"submit": {"message": "We may show you one <offer> afterwards."}},
                "line_items": [
                    {
                        "price_data": {
                            "currency": "gbp",
                            "unit_amount": 255,
                            "product_data": {"name": "Mug & saucer"},
                        },
                        "quantity": 6,
                    }
                ],
            }
        )

    def pay(self, session: Any, **fields: str) -> requests.Response:
        data = {"email": "ann@example.com", "number": "4242424242424242", "exp": "12/34", "cvc": "123", **fields}
        return requests.post(session.url, {"pay": "number", **data}, allow_redirects=False, timeout=15)

    def test_the_page_shows_lines_total_and_both_notices(self, session: Any) -> None:
        page = requests.get(session.url, timeout=5)

        assert page.status_code == 200
        assert "Mug &amp; saucer" in page.text and "6 × £2.55" in page.text and "Pay £15.30" in page.text
        assert "We may show you one &lt;offer&gt; afterwards." in page.text
        assert "charge it for future payments" in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]

    def test_paying_leads_back_with_a_kept_card(self, client: Any, session: Any) -> None:
        answer = self.pay(session)

        assert answer.status_code == 303
        assert answer.headers["Location"] == f"http://127.0.0.1:9/thanks?session={session.id}"
        expand = {"expand": ["payment_intent.payment_method", "customer", "line_items"]}
        after = client.checkout.sessions.retrieve(session.id, expand)
        assert (after.status, after.payment_status, after.client_reference_id) == ("complete", "paid", "1042")
        assert after.payment_intent.payment_method.customer == after.customer.id
        assert (after.payment_intent.amount_received, after.payment_intent.metadata["order"]) == (1530, "1042")
        assert (after.customer.email, after.line_items.data[0].quantity) == ("ann@example.com", 6)

    def test_a_decline_keeps_the_page_open_on_the_same_intent(
        self, sim: StripeSimulator, client: Any, session: Any
    ) -> None:
        declined = self.pay(session, pay="4000000000009995")
        assert (declined.status_code, "insufficient funds" in declined.text) == (402, True)

        assert self.pay(session).status_code == 303
        assert len(sim.intents()) == 1
        assert [charge["amount"] for charge in sim.charges()] == [1530]

    def test_the_banks_question_is_a_page_of_its_own(self, client: Any, session: Any) -> None:
        asked = self.pay(session, number="4000002760003184")
        assert asked.headers["Location"] == f"/checkout/{session.id}/bank"

        bank = f"{session.url}/bank"
        assert "Your bank asks you to confirm" in requests.get(bank, timeout=5).text
        assert requests.post(bank, {"success": "false"}, timeout=5).status_code == 402
        assert client.checkout.sessions.retrieve(session.id).status == "open"
        self.pay(session, number="4000002760003184")
        passed = requests.post(bank, {"success": "true"}, allow_redirects=False, timeout=15)
        assert passed.status_code == 303
        assert client.checkout.sessions.retrieve(session.id).payment_status == "paid"

    def test_a_bank_transfer_pays_but_cannot_be_kept(self, client: Any, session: Any) -> None:
        self.pay(session, pay="eps")

        after = client.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.payment_method"]})
        method = after.payment_intent.payment_method
        assert (after.payment_status, method.type, method.customer) == ("paid", "eps", None)

    def test_one_test_card_pays_the_order_and_declines_the_next_charge(self, client: Any, session: Any) -> None:
        assert self.pay(session, pay="declined_later").status_code == 303

        paid = client.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]}).payment_intent
        again = {**CREATE, "customer": paid.customer, "payment_method": paid.payment_method, "confirm": True}
        with pytest.raises(stripe.CardError):
            client.payment_intents.create(again)

    def test_a_session_is_paid_once(self, sim: StripeSimulator, session: Any) -> None:
        self.pay(session)
        again = self.pay(session)

        assert again.status_code == 400
        assert len(sim.charges()) == 1
        # The address is gone from the session, the page is not.
        assert "complete" in requests.get(f"{sim.url}/checkout/{session.id}", timeout=5).text

    def test_an_expired_session_cannot_be_paid(self, sim: StripeSimulator, client: Any, session: Any) -> None:
        assert client.checkout.sessions.expire(session.id).status == "expired"

        assert self.pay(session).status_code == 400
        assert sim.charges() == []

    def test_the_shop_hears_of_the_payment_before_the_shopper_returns(self, sim: StripeSimulator, session: Any) -> None:
        heard: list[str] = []

        class Shop(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["type"])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        shop = HTTPServer(("127.0.0.1", 0), Shop)
        thread = threading.Thread(target=shop.serve_forever, args=(0.02,))
        thread.start()
        try:
            wanted = ["checkout.session.completed", "payment_intent.succeeded"]
            sim.add_webhook(f"http://127.0.0.1:{shop.server_port}/", "whsec_x", enabled_events=wanted)
            self.pay(session)
            assert heard == ["payment_intent.succeeded", "checkout.session.completed"]
        finally:
            shop.shutdown()
            thread.join()
            shop.server_close()

    def test_a_test_completes_a_session_without_the_page(self, sim: StripeSimulator, session: Any) -> None:
        after = sim.complete_checkout(session.id, card="4000002760003184")
        assert after["status"] == "open"

        sim.authenticate(after["payment_intent"])

        assert sim.events[-1]["type"] == "checkout.session.completed"

    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({"mode": "subscription"}, "mode"),
            ({"line_items": []}, "line_items"),
            ({"customer": "cus_none"}, "customer"),
            (
                {"line_items": [{"price_data": {"currency": "gbp", "unit_amount": 5, "product_data": {"name": "x"}}}]},
                "amount",
            ),
        ],
    )
    def test_a_session_that_could_not_be_paid_is_refused(self, client: Any, change: dict[str, Any], param: str) -> None:
        line = {"price_data": {"currency": "gbp", "unit_amount": 255, "product_data": {"name": "x"}}}
        params = {"mode": "payment", "success_url": "http://127.0.0.1:9/", "line_items": [line], **change}

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.checkout.sessions.create(params)

        assert refusal.value.param == param

    def test_an_unknown_page_is_a_friendly_404(self, sim: StripeSimulator) -> None:
        assert requests.get(f"{sim.url}/checkout/cs_test_none", timeout=5).status_code == 404
        assert requests.get(f"{sim.url}/", timeout=5).status_code == 404


def unconfirmed(sim: StripeSimulator, client: Any) -> Any:
    """An intent on a kept card whose bank always asks."""
    paid = sim.paid_intent(amount=1530, currency="gbp", card="4000002760003184")
    kept = {"customer": paid["customer"], "payment_method": paid["payment_method"]}
    return client.payment_intents.create({**CREATE, **kept})


class TestTheBrowserSide:
    def test_the_stand_in_is_served_as_javascript(self, sim: StripeSimulator) -> None:
        script = requests.get(sim.stripe_js_url, timeout=5)

        assert script.headers["Content-Type"].startswith("text/javascript")
        assert "window.Stripe" in script.text

    def test_a_redirecting_check_leads_back_to_the_return_url(self, sim: StripeSimulator, client: Any) -> None:
        intent = unconfirmed(sim, client)
        back = "http://127.0.0.1:9/back?order=7"
        asked = client.payment_intents.confirm(intent.id, {"return_url": back})
        page = asked.next_action.redirect_to_url.url

        assert "Your bank asks you to confirm" in requests.get(page, timeout=5).text
        data = {"success": "true", "client_secret": intent.client_secret}
        answer = requests.post(page.split("?")[0], data, allow_redirects=False, timeout=5)

        assert answer.status_code == 303
        assert answer.headers["Location"].startswith(f"{back}&payment_intent={intent.id}&")
        assert answer.headers["Location"].endswith("redirect_status=succeeded")
        assert sim.intent(intent.id)["status"] == "succeeded"

    def test_the_banks_page_needs_the_client_secret(self, sim: StripeSimulator, client: Any) -> None:
        intent = unconfirmed(sim, client)
        client.payment_intents.confirm(intent.id)

        assert requests.get(f"{sim.url}/3ds/{intent.id}", timeout=5).status_code == 404
        assert requests.post(f"{sim.url}/3ds/{intent.id}", {"success": "true"}, timeout=5).status_code == 404
        assert sim.intent(intent.id)["status"] == "requires_action"

    def test_a_confirmation_token_from_the_browser_confirms_on_the_server(
        self, sim: StripeSimulator, client: Any
    ) -> None:
        card = {"number": "5555555555554444", "exp_month": "12", "exp_year": "34", "cvc": "123"}
        body = {f"payment_method_data[card][{name}]": value for name, value in card.items()}
        key = {"Authorization": f"Bearer {sim.publishable_key}"}
        where = f"{sim.url}/v1/confirmation_tokens"
        token = requests.post(where, {"payment_method_data[type]": "card", **body}, headers=key, timeout=5).json()

        intent = client.payment_intents.create(CREATE)
        after = client.payment_intents.confirm(
            intent.id, {"confirmation_token": token["id"], "expand": ["payment_method"]}
        )

        assert (after.status, after.payment_method.card.brand) == ("succeeded", "mastercard")
