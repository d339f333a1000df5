"""The shop's own payment: Stripe's hosted Checkout, spoken to over plain HTTP. Encore has no part in it.

A real shop would use Stripe's SDK here. This one does not, because in this package one module alone imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from flask_encore.domain.money import Money
from flask_encore.domain.orders import OrderLine

#: Seconds to connect and to wait for an answer. A shopper waits, so not long.
TIMEOUT = (3, 20)

STRIPE_API = "https://api.stripe.com"

#: The API version this shop was written against; an account's own default may be any other.
STRIPE_VERSION = "2026-10-28.endive"


class CheckoutUnavailable(Exception):
    """Stripe could not be reached, or refused; nothing was charged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeAccess:
    """Where Stripe is and who we are there: the simulator, or Stripe's test mode.

    Attributes:
        js_url: Address of Stripe.js, empty for Stripe's own.
    """

    secret_key: str
    publishable_key: str
    api_base: str = STRIPE_API
    js_url: str = ""
    webhook_secrets: tuple[str, ...] = ()

    @property
    def simulated(self) -> bool:
        """Whether this is the shipped simulator."""
        return self.api_base != STRIPE_API

    @property
    def origins(self) -> dict[str, tuple[str, ...]]:
        """Content-Security-Policy directive -> the origins Stripe needs there."""
        if self.simulated:
            here = tuple({_origin(self.api_base): None, _origin(self.js_url or self.api_base): None})
            return dict.fromkeys(("script-src", "connect-src", "frame-src", "form-action"), here)
        return {
            "script-src": ("https://js.stripe.com",),
            "connect-src": ("https://api.stripe.com",),
            "frame-src": ("https://js.stripe.com", "https://hooks.stripe.com"),
            "form-action": ("https://checkout.stripe.com",),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutSession:
    """A Checkout Session as Stripe last told it. *payment_intent_ref* is empty until the shopper has paid."""

    ref: str
    url: str
    paid: bool
    total: Money
    payment_intent_ref: str


class Checkout:
    """Creates and reads Checkout Sessions."""

    def __init__(self, access: StripeAccess) -> None:
        self._access = access

    def create(
        self, order_ref: str, lines: Sequence[OrderLine], *, success_url: str, cancel_url: str, locale: str
    ) -> CheckoutSession:
        """A hosted payment page for *lines*. The card is kept, so that one click can pay an offer.

        *success_url* may hold Stripe's placeholder ``{CHECKOUT_SESSION_ID}``.

        Raises:
            CheckoutUnavailable: Nothing was charged.
        """
        form: dict[str, str | int] = {
            "mode": "payment",
            "success_url": success_url,
            "cancel_url": cancel_url,
            "client_reference_id": order_ref,
            "metadata[order_ref]": order_ref,
            "locale": locale,
            "customer_creation": "always",
            "payment_intent_data[setup_future_usage]": "off_session",
            "payment_intent_data[description]": f"Pottle & Quill, order {order_ref}",
            "payment_intent_data[metadata][order_ref]": order_ref,
        }
        for number, line in enumerate(lines):
            item = f"line_items[{number}]"
            form[f"{item}[quantity]"] = line.quantity
            form[f"{item}[price_data][currency]"] = line.unit_price.currency
            form[f"{item}[price_data][unit_amount]"] = line.unit_price.minor_units
            form[f"{item}[price_data][product_data][name]"] = line.title
        return _session(self._call("POST", "/v1/checkout/sessions", form, key=f"shop-checkout-{order_ref}"))

    def session(self, ref: str) -> CheckoutSession:
        """The session as it stands now.

        Raises:
            CheckoutUnavailable: Stripe did not tell.
        """
        return _session(self._call("GET", f"/v1/checkout/sessions/{ref}", {"expand[]": "payment_intent"}))

    def pay_directly(self, order_ref: str, total: Money) -> str:
        """Pay *total* with the test Visa, without a page, for the ready-made order; its PaymentIntent.

        Raises:
            CheckoutUnavailable: Nothing was charged.
        """
        customer = self._call("POST", "/v1/customers", {"name": "Sample Shopper"}, key=f"shop-customer-{order_ref}")
        intent = self._call(
            "POST",
            "/v1/payment_intents",
            {
                "amount": total.minor_units,
                "currency": total.currency,
                "customer": customer["id"],
                "payment_method": "pm_card_visa",
                "automatic_payment_methods[enabled]": "true",
                "automatic_payment_methods[allow_redirects]": "never",
                "setup_future_usage": "off_session",
                "confirm": "true",
                "description": f"Pottle & Quill, order {order_ref}",
                "metadata[order_ref]": order_ref,
            },
            key=f"shop-pay-{order_ref}",
        )
        return str(intent["id"])

    def _call(self, method: str, path: str, form: dict[str, Any], *, key: str = "") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._access.secret_key}", "Stripe-Version": STRIPE_VERSION}
        if key:
            headers["Idempotency-Key"] = key
        reading = method == "GET"
        try:
            with requests.Session() as http:
                http.trust_env = not self._access.simulated  # a proxy of the machine's cannot reach its loopback
                answer = http.request(
                    method,
                    self._access.api_base + path,
                    params=form if reading else None,
                    data=None if reading else form,
                    headers=headers,
                    timeout=TIMEOUT,
                    allow_redirects=False,
                )
            body = answer.json()
        except requests.RequestException as error:
            raise CheckoutUnavailable("Stripe could not be reached.") from error
        if answer.status_code != 200 or not isinstance(body, dict):
            told = body.get("error", {}).get("message", "") if isinstance(body, dict) else ""
            raise CheckoutUnavailable(f"Stripe answered {answer.status_code}. {told}")
        return body


def _session(body: dict[str, Any]) -> CheckoutSession:
    intent = body.get("payment_intent")
    return CheckoutSession(
        ref=body["id"],
        url=body.get("url") or "",
        paid=body.get("payment_status") == "paid",
        total=Money(body["amount_total"], body["currency"]),
        payment_intent_ref=(intent["id"] if isinstance(intent, dict) else intent) or "",
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
