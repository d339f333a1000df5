"""What a PaymentIntent is made of, and which payment methods fit it."""

from __future__ import annotations

from flask_encore.testing.stripe_simulator import customers, forms
from flask_encore.testing.stripe_simulator.errors import Json, invalid, refused
from flask_encore.testing.stripe_simulator.ledger import Ledger

_FUTURE_USAGES = (None, "on_session", "off_session")


def chosen_method(ledger: Ledger, params: Json) -> Json | None:
    """The payment method a request names: by id, by data, or by confirmation token."""
    token_id = forms.text(params, "confirmation_token")
    if token_id is not None:
        token = ledger.get("confirmation_token", token_id, param="confirmation_token", status=400)
        return ledger.get("payment_method", token["payment_method"])
    if isinstance(params.get("payment_method_data"), dict):
        return customers.create_method(ledger, params["payment_method_data"])
    method_id = forms.text(params, "payment_method")
    if method_id is None:
        return None
    return customers.find_method(ledger, method_id, param="payment_method")


def check_method(ledger: Ledger, intent: Json, method: Json) -> None:
    """Refuse a payment method of another customer, a spent one, or one of a type not allowed.

    Raises:
        StripeError: 400.
    """
    owner = method["customer"]
    if owner is not None and intent["customer"] is None:
        raise refused(
            f"The payment method {method['id']} belongs to a Customer. Please include the Customer in the "
            "`customer` parameter on the PaymentIntent.",
            param="payment_method",
        )
    if owner is not None and owner != intent["customer"]:
        raise refused(
            f"The customer does not have a payment method with the ID {method['id']}. The payment method must be "
            "attached to the customer.",
            param="payment_method",
            code="resource_missing",
        )
    customers.check_unspent(ledger, method)
    if intent["automatic_payment_methods"] is None and method["type"] not in intent["payment_method_types"]:
        allowed = ", ".join(intent["payment_method_types"])
        raise refused(
            f"The PaymentMethod provided ({method['type']}) is not allowed for this PaymentIntent. Please attach a "
            f"PaymentMethod of one of the following types: {allowed}.",
            param="payment_method",
            code="payment_intent_incompatible_payment_method",
        )


def check_return_url(intent: Json, params: Json, *, by_browser: bool) -> None:
    """Ask for a way back when the shopper might be sent away to pay.

    Raises:
        StripeError: 400 without `return_url`.
    """
    automatic = intent["automatic_payment_methods"]
    if automatic is None or automatic["allow_redirects"] == "never" or by_browser:
        return
    if forms.text(params, "return_url") is None and not forms.flag(params, "use_stripe_sdk"):
        raise invalid(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of "
            "these might redirect your customer off of your page, you must provide a `return_url`.",
            param="return_url",
        )


def future_usage(params: Json) -> str | None:
    """The request's `setup_future_usage`.

    Raises:
        StripeError: 400 for an unknown one.
    """
    usage = forms.text(params, "setup_future_usage")
    if usage not in _FUTURE_USAGES:
        message = "Invalid setup_future_usage: must be one of off_session or on_session"
        raise invalid(message, param="setup_future_usage")
    return usage


def check_descriptor(params: Json) -> None:
    """Refuse what Stripe refuses on a card statement.

    Raises:
        StripeError: 400 for a full descriptor on a card payment, or a suffix that is too long, has no
            letter, or has one of the characters statements cannot print.
    """
    if forms.text(params, "statement_descriptor") is not None:
        message = "For card charges use statement_descriptor_suffix instead of statement_descriptor."
        raise invalid(message, param="statement_descriptor")
    suffix = forms.text(params, "statement_descriptor_suffix")
    if suffix is None:
        return
    if len(suffix) > 22 or set(suffix) & set("<>\\'\"*") or not any(char.isalpha() for char in suffix):
        message = "The statement descriptor suffix has up to 22 characters, a letter, and none of < > \\ ' \" *."
        raise invalid(message, param="statement_descriptor_suffix")


def blank(params: Json, *, amount: int, currency: str, customer_id: str | None) -> Json:
    """Every field of a new intent without a payment method, but its id and client secret."""
    return {
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": None,
        "confirmation_method": "automatic",
        "currency": currency,
        "customer": customer_id,
        "description": forms.text(params, "description"),
        "last_payment_error": None,
        "latest_charge": None,
        "metadata": forms.merged_metadata({}, params),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_options": params.get("payment_method_options") or {"card": {}},
        "processing": None,
        "receipt_email": forms.text(params, "receipt_email"),
        "review": None,
        "setup_future_usage": future_usage(params),
        "shipping": params.get("shipping"),
        "statement_descriptor": forms.text(params, "statement_descriptor"),
        "statement_descriptor_suffix": forms.text(params, "statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": forms.text(params, "transfer_group"),
    }
