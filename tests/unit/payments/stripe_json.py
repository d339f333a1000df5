"""Stripe's answers as it writes them, in the fields Encore reads and some it does not."""

from __future__ import annotations

from typing import Any

URL = "https://api.stripe.com/v1"


def intent_json(**changes: Any) -> dict[str, Any]:
    """A PaymentIntent over 11.61 GBP, created and not confirmed, unless *changes* say otherwise."""
    return {
        "id": "pi_7",
        "object": "payment_intent",
        "amount": 1161,
        "amount_received": 0,
        "client_secret": "pi_7_secret_q",
        "created": 1763756400,
        "currency": "gbp",
        "customer": "cus_3",
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {"encore_offer": "offer-1"},
        "payment_method": "pm_5",
        "payment_method_types": ["card"],
        "status": "requires_confirmation",
    } | changes


def refund_json(**changes: Any) -> dict[str, Any]:
    """A finished refund of the whole `intent_json`, unless *changes* say otherwise."""
    return {
        "id": "re_9",
        "object": "refund",
        "amount": 1161,
        "currency": "gbp",
        "metadata": {"encore_offer": "offer-1"},
        "payment_intent": "pi_7",
        "status": "succeeded",
    } | changes


def page_json(url: str, *items: dict[str, Any], has_more: bool = False) -> dict[str, Any]:
    """One page of a list."""
    return {"object": "list", "url": url, "data": list(items), "has_more": has_more}


def error_json(**error: Any) -> dict[str, Any]:
    """An error, which Stripe wraps once."""
    return {"error": error}
