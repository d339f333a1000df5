"""SetupIntents: keep a card without charging it."""

from __future__ import annotations

import copy
import secrets

from flask_encore.testing.stripe_simulator import cards, customers, forms, intent_rules
from flask_encore.testing.stripe_simulator.errors import Json, StripeError, refused
from flask_encore.testing.stripe_simulator.ledger import Ledger

_OPEN = frozenset(("requires_payment_method", "requires_confirmation", "requires_action"))


def unexpected_state(setup: Json, verb: str) -> StripeError:
    """400 ``setup_intent_unexpected_state`` with the SetupIntent inside."""
    return refused(
        f"You cannot {verb} this SetupIntent because it has a status of {setup['status']}.",
        code="setup_intent_unexpected_state",
        setup_intent=copy.deepcopy(setup),
    )


def create(ledger: Ledger, params: Json) -> Json:
    """A new SetupIntent; with ``confirm=true`` also confirmed.

    Raises:
        StripeError: 400 for bad input, 402 when confirmed and declined.
    """
    customer_id = forms.text(params, "customer")
    if customer_id is not None:
        ledger.get("customer", customer_id, param="customer", status=400)
    method = intent_rules.chosen_method(ledger, params)
    if method is not None:
        customers.check_unspent(ledger, method)
    types = params.get("payment_method_types") or params.get("allowed_payment_method_types")
    setup = ledger.add(
        "setup_intent",
        application=None,
        automatic_payment_methods=None if types else {"allow_redirects": "always", "enabled": True},
        cancellation_reason=None,
        customer=customer_id,
        description=forms.text(params, "description"),
        last_setup_error=None,
        latest_attempt=None,
        metadata=forms.merged_metadata({}, params),
        next_action=None,
        payment_method=None if method is None else method["id"],
        payment_method_types=types or ["card", "link"],
        status="requires_payment_method" if method is None else "requires_confirmation",
        usage=forms.text(params, "usage") or "off_session",
    )
    setup["client_secret"] = f"{setup['id']}_secret_{secrets.token_hex(12)}"
    ledger.emit("setup_intent.created", setup)
    if forms.flag(params, "confirm"):
        rest = {key: value for key, value in params.items() if not key.startswith("payment_method")}
        return confirm(ledger, setup["id"], rest)
    return setup


def confirm(ledger: Ledger, setup_id: str, params: Json) -> Json:
    """Ask the bank whether the card may be kept.

    Raises:
        StripeError: 402 when it may not, 400 in a wrong state or without a payment method.
    """
    setup = ledger.take("setup_intent", setup_id)
    method = intent_rules.chosen_method(ledger, params)
    if method is None and setup["payment_method"] is not None:
        method = ledger.get("payment_method", setup["payment_method"])
    if setup["status"] not in _OPEN or method is None:
        raise unexpected_state(setup, "confirm")
    customers.check_unspent(ledger, method)
    setup["payment_method"] = method["id"]
    test_card = cards.behaviour(ledger.vault[method["id"]]["number"])
    if not test_card.attachable:
        _fail(ledger, setup, method, code=test_card.code or "card_declined", decline_code=test_card.decline_code)
        error = dict(setup["last_setup_error"])
        kind, message, code = error.pop("type"), error.pop("message"), error.pop("code")
        error.pop("doc_url", None)
        raise StripeError(402, kind, message, code=code, setup_intent=copy.deepcopy(setup), **error)
    if test_card.authentication != "never":
        setup["status"] = "requires_action"
        setup["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
        ledger.emit("setup_intent.requires_action", setup)
        return setup
    _succeed(ledger, setup, method)
    return setup


def authenticate(ledger: Ledger, setup_id: str, *, success: bool) -> Json:
    """The shopper passes, or does not pass, the bank's check.

    Raises:
        StripeError: 400 unless the SetupIntent waits for an action.
    """
    setup = ledger.take("setup_intent", setup_id)
    if setup["status"] != "requires_action":
        raise unexpected_state(setup, "authenticate")
    method = ledger.get("payment_method", setup["payment_method"])
    if success:
        _succeed(ledger, setup, method)
    else:
        _fail(ledger, setup, method, code="setup_intent_authentication_failure", decline_code=None)
    return setup


def cancel(ledger: Ledger, setup_id: str, params: Json) -> Json:
    """Give an open SetupIntent up.

    Raises:
        StripeError: 400 when it is finished.
    """
    setup = ledger.take("setup_intent", setup_id)
    if setup["status"] not in _OPEN:
        raise unexpected_state(setup, "cancel")
    setup.update(status="canceled", next_action=None, cancellation_reason=forms.text(params, "cancellation_reason"))
    ledger.emit("setup_intent.canceled", setup)
    return setup


def _succeed(ledger: Ledger, setup: Json, method: Json) -> None:
    setup.update(status="succeeded", next_action=None, last_setup_error=None)
    ledger.vault[method["id"]]["set_up"] = True
    if setup["customer"] is not None and method["customer"] is None:
        customers.keep(ledger, method, setup["customer"])
    ledger.emit("setup_intent.succeeded", setup)


def _fail(ledger: Ledger, setup: Json, method: Json, *, code: str, decline_code: str | None) -> None:
    error: Json = cards.card_error(code, decline_code=decline_code).body["error"]
    error["payment_method"] = copy.deepcopy(method)
    setup.update(status="requires_payment_method", next_action=None, payment_method=None, last_setup_error=error)
    ledger.emit("setup_intent.setup_failed", setup)
