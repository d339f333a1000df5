"""Customers and the payment methods they keep."""

from __future__ import annotations

import datetime
from typing import Any

from flask_encore.testing.stripe_simulator import cards, forms
from flask_encore.testing.stripe_simulator.errors import Json, invalid, refused
from flask_encore.testing.stripe_simulator.ledger import Ledger

_NO_BILLING: Json = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}


def create(ledger: Ledger, params: Json) -> Json:
    """A new customer."""
    return ledger.add(
        "customer",
        address=params.get("address"),
        balance=0,
        currency=None,
        default_source=None,
        delinquent=False,
        description=forms.text(params, "description"),
        email=forms.text(params, "email"),
        invoice_settings={"default_payment_method": None},
        metadata=forms.merged_metadata({}, params),
        name=forms.text(params, "name"),
        phone=forms.text(params, "phone"),
        preferred_locales=params.get("preferred_locales") or [],
        shipping=params.get("shipping"),
        tax_exempt="none",
    )


def update(ledger: Ledger, customer_id: str, params: Json) -> Json:
    """Change a customer's plain fields and metadata."""
    customer = ledger.take("customer", customer_id)
    for name in ("description", "email", "name", "phone"):
        if name in params:
            customer[name] = forms.text(params, name)
    customer["metadata"] = forms.merged_metadata(customer["metadata"], params)
    return customer


def create_method(ledger: Ledger, params: Json) -> Json:
    """A payment method from a test number, or of another type by its name.

    Raises:
        StripeError: 402 for a number that is no test card, 400 for an unknown type.
    """
    kind = forms.text(params, "type") or ("card" if "card" in params else None)
    if kind is None:
        raise invalid("Missing required param: type.", param="type", code="parameter_missing")
    billing = {**_NO_BILLING, **_hash(params, "billing_details")}
    metadata = forms.merged_metadata({}, params)
    if kind == "card":
        card = _hash(params, "card")
        number = _token_number(card) or cards.checked_number(card, year=_year(ledger))
        return _store(ledger, "card", number, card, billing_details=billing, metadata=metadata)
    if kind not in cards.REUSABLE | cards.SINGLE_USE:
        raise invalid(f"Invalid type: {kind}", param="type")
    return _store(ledger, kind, None, {}, billing_details=billing, metadata=metadata)


def from_number(ledger: Ledger, number: str) -> Json:
    """A payment method straight from a number of `cards.TEST_CARDS`."""
    return _store(ledger, "card", number, {}, billing_details=dict(_NO_BILLING), metadata={})


def find_method(ledger: Ledger, method_id: str, *, param: str, status: int = 400) -> Json:
    """The stored payment method, or a fresh one for a ``pm_card_…`` name, as Stripe mints it.

    Raises:
        StripeError: ``resource_missing``.
    """
    if method_id in cards.ALIASES:
        return from_number(ledger, cards.ALIASES[method_id])
    return ledger.get("payment_method", method_id, param=param, status=status)


def attach(ledger: Ledger, method_id: str, params: Json) -> Json:
    """Let a customer keep a payment method. Attaching again to the same customer changes nothing.

    Raises:
        StripeError: 400 for a type that cannot be kept, one that is spent or someone else's; 402 when
            the bank declines the check.
    """
    customer_id = forms.text(params, "customer")
    if customer_id is None:
        raise invalid("Missing required param: customer.", param="customer", code="parameter_missing")
    ledger.get("customer", customer_id, param="customer", status=400)
    method = find_method(ledger, method_id, param="payment_method", status=404)
    if method["customer"] == customer_id:
        return method
    if method["customer"] is not None:
        raise refused("The payment method you provided has already been attached to a customer.")
    if method["type"] not in cards.REUSABLE:
        raise refused(f"PaymentMethods of type {method['type']} cannot be attached to customers.")
    check_unspent(ledger, method)
    test_card = cards.behaviour(ledger.vault[method["id"]]["number"])
    if not test_card.attachable:
        raise cards.card_error(test_card.code or "card_declined", decline_code=test_card.decline_code)
    keep(ledger, method, customer_id)
    return method


def keep(ledger: Ledger, method: Json, customer_id: str) -> None:
    """Attach without asking anyone, as a successful payment with `setup_future_usage` does."""
    method["customer"] = customer_id
    ledger.emit("payment_method.attached", method)


def detach(ledger: Ledger, method_id: str) -> Json:
    """Take a payment method from its customer, for good: it can never be used again."""
    method = ledger.get("payment_method", method_id)
    if method["customer"] is None:
        raise refused("The payment method you provided is not attached to a customer so detachment is impossible.")
    method["customer"] = None
    ledger.vault[method_id]["spent"] = True
    ledger.emit("payment_method.detached", method)
    return method


def check_unspent(ledger: Ledger, method: Json) -> None:
    """Refuse a payment method that was used up.

    Raises:
        StripeError: 400.
    """
    if method["customer"] is None and ledger.vault[method["id"]]["spent"]:
        raise refused(
            "The provided PaymentMethod was used before without being attached to a Customer, or was detached "
            "from one. It may not be used again.",
            param="payment_method",
        )


def _store(
    ledger: Ledger, kind: str, number: str | None, card: Json, *, billing_details: Json, metadata: dict[str, str]
) -> Json:
    public: Any = {} if number is None else cards.details(number, card, year=_year(ledger))
    method = ledger.add(
        "payment_method",
        type=kind,
        allow_redisplay="unspecified",
        billing_details=billing_details,
        customer=None,
        metadata=metadata,
        **{kind: public},
    )
    ledger.vault[method["id"]] = {
        "number": number,
        "set_up": False,
        "spent": False,
        "lenient": False,
    }
    return method


def _token_number(card: Json) -> str | None:
    """Stripe's ``tok_visa`` style tokens, under their ``pm_card_`` name."""
    token = card.get("token")
    if token is None:
        return None
    alias = "pm_card_" + str(token).removeprefix("tok_")
    if alias not in cards.ALIASES:
        raise invalid(f"No such token: '{token}'", param="card[token]", code="resource_missing")
    return cards.ALIASES[alias]


def _hash(params: Json, name: str) -> Json:
    value = params.get(name) or {}
    if not isinstance(value, dict):
        raise invalid("Invalid hash", param=name, code="parameter_invalid_hash")
    return value


def _year(ledger: Ledger) -> int:
    return datetime.datetime.fromtimestamp(ledger.now(), datetime.UTC).year
