"""The PaymentIntent state machine.

```
requires_payment_method -> requires_confirmation -> requires_action -> processing -> succeeded
        ^------------------ a bank's no --------------------'                  any open one -> canceled
```
"""

from __future__ import annotations

import copy
import secrets
from types import MappingProxyType

from flask_encore.testing.stripe_simulator import amounts, cards, charges, customers, forms, intent_rules
from flask_encore.testing.stripe_simulator.errors import Json, StripeError, invalid, refused
from flask_encore.testing.stripe_simulator.ledger import Ledger

_OPEN = frozenset(("requires_payment_method", "requires_confirmation", "requires_action"))

#: status -> the statuses it may become; a status may always stay where it is while open.
NEXT = MappingProxyType(
    {
        "requires_payment_method": _OPEN | {"processing", "succeeded", "canceled"},
        "requires_confirmation": _OPEN | {"processing", "succeeded", "canceled"},
        "requires_action": _OPEN | {"processing", "succeeded", "canceled"},
        "processing": frozenset(("succeeded", "requires_payment_method")),
        "succeeded": frozenset(),
        "canceled": frozenset(),
    }
)

CANCELLATION_REASONS = frozenset(("duplicate", "fraudulent", "requested_by_customer", "abandoned"))


def unexpected_state(intent: Json, verb: str) -> StripeError:
    """400 ``payment_intent_unexpected_state`` with the intent inside, as Stripe answers."""
    if intent["status"] == "succeeded":
        why = "it has already succeeded after being previously confirmed"
    else:
        why = f"it has a status of {intent['status']}"
    return refused(
        f"You cannot {verb} this PaymentIntent because {why}.",
        code="payment_intent_unexpected_state",
        payment_intent=copy.deepcopy(intent),
    )


def move(intent: Json, status: str, *, verb: str = "change") -> None:
    """Change the status by the table.

    Raises:
        StripeError: 400 ``payment_intent_unexpected_state`` when `NEXT` forbids it.
    """
    if status not in NEXT[intent["status"]]:
        raise unexpected_state(intent, verb)
    intent["status"] = status
    if status != "requires_action":
        intent["next_action"] = None


def create(ledger: Ledger, params: Json) -> Json:
    """A new intent; with ``confirm=true`` also its first confirmation.

    Raises:
        StripeError: 400 for bad input, 402 when confirmed and declined.
    """
    currency = amounts.currency(params)
    amount = amounts.check(forms.integer(params, "amount"), currency)
    confirming = forms.flag(params, "confirm")
    if forms.text(params, "off_session") not in (None, "false") and not confirming:
        raise invalid("off_session can only be used with confirm=true.", param="off_session")
    customer_id = forms.text(params, "customer")
    if customer_id is not None:
        ledger.get("customer", customer_id, param="customer", status=400)
    types = params.get("payment_method_types") or params.get("allowed_payment_method_types")
    automatic = None
    if types is None:
        # Since API version 2023-08-16 the dashboard's methods are the default.
        asked = params.get("automatic_payment_methods") or {}
        automatic = {"allow_redirects": asked.get("allow_redirects", "always"), "enabled": True}
    intent_rules.check_descriptor(params)
    method = intent_rules.chosen_method(ledger, params)
    draft = intent_rules.blank(params, amount=amount, currency=currency, customer_id=customer_id)
    draft |= {"automatic_payment_methods": automatic, "payment_method_types": types or ["card", "link"]}
    if method is not None:
        intent_rules.check_method(ledger, draft, method)
        draft |= {"payment_method": method["id"], "status": "requires_confirmation"}
    intent = ledger.add("payment_intent", **draft)
    intent["client_secret"] = f"{intent['id']}_secret_{secrets.token_hex(12)}"
    ledger.emit("payment_intent.created", intent)
    if confirming:
        rest = {key: value for key, value in params.items() if not key.startswith("payment_method")}
        return confirm(ledger, intent["id"], rest)
    return intent


def update(ledger: Ledger, intent_id: str, params: Json) -> Json:
    """Change an open intent; a finished one only in its description, receipt and metadata.

    Raises:
        StripeError: 400 ``payment_intent_unexpected_state`` or bad input.
    """
    intent = ledger.take("payment_intent", intent_id)
    harmless = {"metadata", "description", "receipt_email", "expand"}
    if intent["status"] not in _OPEN and set(params) - harmless:
        raise unexpected_state(intent, "update")
    draft = dict(intent)
    if "currency" in params:
        draft["currency"] = amounts.currency(params)
    if "amount" in params or "currency" in params:
        wanted = forms.integer(params, "amount") if "amount" in params else intent["amount"]
        draft["amount"] = amounts.check(wanted, draft["currency"])
    if (customer_id := forms.text(params, "customer")) is not None:
        ledger.get("customer", customer_id, param="customer", status=400)
        draft["customer"] = customer_id
    for name in ("description", "receipt_email", "statement_descriptor_suffix"):
        if name in params:
            draft[name] = forms.text(params, name)
    if "setup_future_usage" in params:
        draft["setup_future_usage"] = intent_rules.future_usage(params)
    types = params.get("payment_method_types") or params.get("allowed_payment_method_types")
    if types:
        draft |= {"payment_method_types": types, "automatic_payment_methods": None}
    draft["metadata"] = forms.merged_metadata(intent["metadata"], params)
    method = intent_rules.chosen_method(ledger, params)
    if method is not None:
        intent_rules.check_method(ledger, draft, method)
        draft["payment_method"] = method["id"]
    intent.update(draft)
    if method is not None:
        move(intent, "requires_confirmation", verb="update")
    return intent


def confirm(ledger: Ledger, intent_id: str, params: Json, *, by_browser: bool = False) -> Json:
    """Try to move the money.

    Args:
        by_browser: called by Stripe.js with the publishable key.

    Raises:
        StripeError: 402 for a bank's no, 400 for a wrong state or a payment method that does not fit.
    """
    intent = ledger.take("payment_intent", intent_id)
    if intent["status"] not in _OPEN:
        raise unexpected_state(intent, "confirm")
    method = intent_rules.chosen_method(ledger, params)
    if method is None and intent["payment_method"] is not None:
        method = ledger.get("payment_method", intent["payment_method"])
    if method is None:
        raise refused(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
            payment_intent=copy.deepcopy(intent),
        )
    intent_rules.check_return_url(intent, params, by_browser=by_browser)
    intent_rules.check_method(ledger, intent, method)
    off_session = forms.text(params, "off_session") not in (None, "false")
    intent["payment_method"] = method["id"]
    if "setup_future_usage" in params:
        intent["setup_future_usage"] = intent_rules.future_usage(params)
    if "receipt_email" in params:
        intent["receipt_email"] = forms.text(params, "receipt_email")
    if _wants_shopper(ledger, method):
        if off_session or forms.flag(params, "error_on_requires_action"):
            fail(ledger, intent, method, code="authentication_required", decline_code="authentication_required")
            raise bank_refusal(intent)
        _ask_shopper(ledger, intent, method, params)
        return intent
    settle(ledger, intent, method)
    if intent["status"] == "requires_payment_method":
        raise bank_refusal(intent)
    return intent


def authenticate(ledger: Ledger, intent_id: str, *, success: bool) -> Json:
    """The shopper passes, or does not pass, the bank's check. Never raises for a bank's no.

    Raises:
        StripeError: 400 ``payment_intent_unexpected_state`` unless the intent waits for an action.
    """
    intent = ledger.take("payment_intent", intent_id)
    if intent["status"] != "requires_action":
        raise unexpected_state(intent, "authenticate")
    method = ledger.get("payment_method", intent["payment_method"])
    if success:
        settle(ledger, intent, method)
    else:
        fail(ledger, intent, method, code="payment_intent_authentication_failure", decline_code=None, charged=False)
    return intent


def settle(ledger: Ledger, intent: Json, method: Json) -> None:
    """Ask the bank. Ends in succeeded, processing, or requires_payment_method."""
    vault = ledger.vault[method["id"]]
    test_card = cards.behaviour(vault["number"])
    lenient, vault["lenient"] = vault["lenient"], False
    if test_card.code is not None and not lenient:
        fail(ledger, intent, method, code=test_card.code, decline_code=test_card.decline_code)
    elif method["type"] in cards.DELAYED:
        move(intent, "processing")
        intent["processing"] = {"type": method["type"]}
        ledger.emit("payment_intent.processing", intent)
    else:
        succeed(ledger, intent, method)


def succeed(ledger: Ledger, intent: Json, method: Json) -> None:
    """The money moved: a charge, the kept card, the events."""
    move(intent, "succeeded", verb="confirm")
    charge = charges.record(ledger, intent, method, failure=None)
    intent.update(
        amount_received=intent["amount"], latest_charge=charge["id"], last_payment_error=None, processing=None
    )
    vault = ledger.vault[method["id"]]
    keeps = intent["setup_future_usage"] is not None and method["type"] in cards.REUSABLE
    if keeps:
        vault["set_up"] = vault["set_up"] or intent["setup_future_usage"] == "off_session"
    if method["customer"] is None:
        if keeps and intent["customer"] is not None:
            customers.keep(ledger, method, intent["customer"])
        vault["spent"] = not keeps
    ledger.emit("charge.succeeded", charge)
    ledger.emit("payment_intent.succeeded", intent)
    if cards.behaviour(vault["number"]).then == "dispute":
        charges.dispute(ledger, charge)


def fail(
    ledger: Ledger, intent: Json, method: Json, *, code: str, decline_code: str | None, charged: bool = True
) -> None:
    """A bank's no: the intent wants another payment method and remembers why.

    Args:
        charged: False when the bank was never asked for money (a failed check), so no charge exists.
    """
    move(intent, "requires_payment_method", verb="confirm")
    error: Json = cards.card_error(code, decline_code=decline_code).body["error"]
    if charged:
        charge = charges.record(ledger, intent, method, failure=error)
        intent["latest_charge"] = error["charge"] = charge["id"]
    else:
        error["type"] = "invalid_request_error"
    error["payment_method"] = copy.deepcopy(method)
    intent.update(payment_method=None, last_payment_error=error, processing=None)
    if charged:
        ledger.emit("charge.failed", ledger.get("charge", intent["latest_charge"]))
    ledger.emit("payment_intent.payment_failed", intent)


def bank_refusal(intent: Json) -> StripeError:
    """402 with the declined intent inside."""
    error = dict(intent["last_payment_error"])
    kind, message, code = error.pop("type"), error.pop("message"), error.pop("code")
    error.pop("doc_url", None)
    return StripeError(402, kind, message, code=code, payment_intent=copy.deepcopy(intent), **error)


def cancel(ledger: Ledger, intent_id: str, params: Json) -> Json:
    """Give an open intent up.

    Raises:
        StripeError: 400 ``payment_intent_unexpected_state`` when it is finished or with the bank.
    """
    intent = ledger.take("payment_intent", intent_id)
    reason = forms.text(params, "cancellation_reason")
    if reason is not None and reason not in CANCELLATION_REASONS:
        allowed = ", ".join(sorted(CANCELLATION_REASONS))
        raise invalid(f"Invalid cancellation_reason: must be one of {allowed}", param="cancellation_reason")
    move(intent, "canceled", verb="cancel")
    intent.update(canceled_at=ledger.now(), cancellation_reason=reason)
    ledger.emit("payment_intent.canceled", intent)
    return intent


def finish_processing(ledger: Ledger, intent_id: str, *, success: bool) -> Json:
    """A slow payment method's bank answers at last.

    Raises:
        StripeError: 400 unless the intent is processing.
    """
    intent = ledger.take("payment_intent", intent_id)
    if intent["status"] != "processing":
        raise unexpected_state(intent, "finish")
    method = ledger.get("payment_method", intent["payment_method"])
    if success:
        succeed(ledger, intent, method)
    else:
        fail(ledger, intent, method, code="payment_intent_payment_attempt_failed", decline_code=None)
    return intent


def _wants_shopper(ledger: Ledger, method: Json) -> bool:
    vault = ledger.vault[method["id"]]
    when = cards.behaviour(vault["number"]).authentication
    return when == "always" or (when == "unless_set_up" and not vault["set_up"])


def _ask_shopper(ledger: Ledger, intent: Json, method: Json, params: Json) -> None:
    move(intent, "requires_action", verb="confirm")
    return_url = forms.text(params, "return_url")
    page = f"{ledger.origin}/3ds/{intent['id']}?client_secret={intent['client_secret']}"
    if return_url is not None and not forms.flag(params, "use_stripe_sdk"):
        intent["next_action"] = {
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": return_url, "url": page},
        }
    else:
        intent["next_action"] = {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {
                "type": "three_d_secure_redirect",
                "source": f"payatt_{intent['id'][3:]}",
                "stripe_js": page,
            },
        }
    ledger.emit("payment_intent.requires_action", intent)
