"""Refunds: never more than was charged, and not always at once."""

from __future__ import annotations

from flask_encore.testing.stripe_simulator import cards, charges, forms
from flask_encore.testing.stripe_simulator.errors import Json, invalid, missing, refused
from flask_encore.testing.stripe_simulator.ledger import Ledger

REASONS = frozenset(("duplicate", "fraudulent", "requested_by_customer"))


def create(ledger: Ledger, params: Json, *, pending: bool = False) -> Json:
    """Give money back; all that is left when no amount is given.

    Args:
        pending: answer ``pending`` and settle later, as some banks make Stripe do.

    Raises:
        StripeError: 400 when nothing is left, more is asked than is left, or the charge is disputed.
    """
    charge = _charge_of(ledger, params)
    left = charge["amount"] - charge["amount_refunded"]
    if charge["disputed"]:
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise refused(message, code="charge_disputed")
    if left == 0:
        raise refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = forms.integer(params, "amount") if "amount" in params else left
    if amount < 1:
        raise invalid("Invalid positive integer", param="amount", code="parameter_invalid_integer")
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise refused(message, param="amount", code="amount_too_large")
    reason = forms.text(params, "reason")
    if reason is not None and reason not in REASONS:
        raise invalid(f"Invalid reason: must be one of {', '.join(sorted(REASONS))}", param="reason")
    number = ledger.vault[charge["payment_method"]]["number"]
    pending = pending or cards.behaviour(number).then == "refund_pends"
    refund = ledger.add(
        "refund",
        amount=amount,
        balance_transaction=None,
        charge=charge["id"],
        currency=charge["currency"],
        metadata=forms.merged_metadata({}, params),
        payment_intent=charge["payment_intent"],
        reason=reason,
        receipt_number=None,
        status="pending" if pending else "succeeded",
    )
    if pending:
        refund["pending_reason"] = "processing"
    refund["balance_transaction"] = charges.balance(ledger, refund, kind="refund", amount=-amount)["id"]
    _count(charge, amount)
    ledger.emit("refund.created", refund)
    ledger.emit("charge.refunded", charge)
    return refund


def update(ledger: Ledger, refund_id: str, params: Json) -> Json:
    """Change a refund's metadata."""
    refund = ledger.take("refund", refund_id)
    refund["metadata"] = forms.merged_metadata(refund["metadata"], params)
    ledger.emit("refund.updated", refund)
    return refund


def complete(ledger: Ledger, refund_id: str) -> Json:
    """A pending refund arrives.

    Raises:
        StripeError: 400 when it is not pending.
    """
    refund = ledger.take("refund", refund_id)
    if refund["status"] != "pending":
        raise refused(f"Refund {refund_id} is {refund['status']}, not pending.")
    refund["status"] = "succeeded"
    refund.pop("pending_reason", None)
    ledger.emit("refund.updated", refund)
    return refund


def fail(ledger: Ledger, refund_id: str, *, reason: str = "expired_or_canceled_card") -> Json:
    """The bank sends a refund back, even one that had succeeded; the money is the merchant's again.

    Raises:
        StripeError: 400 when it failed already.
    """
    refund = ledger.take("refund", refund_id)
    if refund["status"] not in ("pending", "succeeded"):
        raise refused(f"Refund {refund_id} is {refund['status']}.")
    refund["status"] = "failed"
    refund["failure_reason"] = reason
    refund.pop("pending_reason", None)
    line = charges.balance(ledger, refund, kind="refund_failure", amount=refund["amount"])
    refund["failure_balance_transaction"] = line["id"]
    _count(ledger.get("charge", refund["charge"]), -refund["amount"])
    ledger.emit("refund.failed", refund)
    ledger.emit("refund.updated", refund)
    return refund


def _count(charge: Json, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]


def _charge_of(ledger: Ledger, params: Json) -> Json:
    charge_id = forms.text(params, "charge")
    intent_id = forms.text(params, "payment_intent")
    if charge_id is None and intent_id is None:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise invalid(message, code="parameter_missing", param="payment_intent")
    if intent_id is not None:
        intent = ledger.get("payment_intent", intent_id, param="payment_intent", status=404)
        charge_id = intent["latest_charge"]
        if intent["status"] != "succeeded" or charge_id is None:
            raise refused(f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.")
    if charge_id is None:  # unreachable by the checks above; said for the reader
        raise missing("charge", "")
    charge = ledger.get("charge", charge_id, param="charge", status=404)
    if charge["status"] != "succeeded":
        raise refused(f"Charge {charge_id} failed; there is nothing to refund.")
    return charge
