"""Charges, the fees they cost and the disputes they meet."""

from __future__ import annotations

from flask_encore.testing.stripe_simulator import amounts, forms
from flask_encore.testing.stripe_simulator.errors import Json, refused
from flask_encore.testing.stripe_simulator.ledger import Ledger

#: Stripe's common card price: 2.9 % of the amount plus 30 minor units.
FEE_PER_THOUSAND = 29
FEE_FIXED = 30

#: Seconds until what was paid can be paid out.
AVAILABLE_AFTER = 2 * 86_400


def fee(amount: int) -> int:
    """What Stripe keeps of a charge, in minor units, the percentage rounded half up."""
    return (amount * FEE_PER_THOUSAND + 500) // 1000 + FEE_FIXED


def record(ledger: Ledger, intent: Json, method: Json, *, failure: Json | None) -> Json:
    """One attempt at the bank, good (`failure` None) or bad (the error hash)."""
    paid = failure is None
    outcome = {
        "network_status": "approved_by_network" if paid else "declined_by_network",
        "reason": None if failure is None else failure.get("decline_code", failure.get("code")),
        "risk_level": "normal",
        "seller_message": "Payment complete." if paid else "The bank did not return any further details.",
        "type": "authorized" if paid else "issuer_declined",
    }
    charge = ledger.add(
        "charge",
        amount=intent["amount"],
        amount_captured=intent["amount"] if paid else 0,
        amount_refunded=0,
        balance_transaction=None,
        billing_details=method["billing_details"],
        captured=paid,
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        dispute=None,
        disputed=False,
        failure_code=None if failure is None else failure.get("code"),
        failure_message=None if failure is None else failure.get("message"),
        metadata=dict(intent["metadata"]),
        outcome=outcome,
        paid=paid,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details={"type": method["type"], method["type"]: method[method["type"]]},
        receipt_email=intent["receipt_email"],
        refunded=False,
        statement_descriptor_suffix=intent["statement_descriptor_suffix"],
        status="succeeded" if paid else "failed",
    )
    if paid:
        charge["balance_transaction"] = balance(ledger, charge, kind="charge", amount=charge["amount"])["id"]
    return charge


def balance(ledger: Ledger, source: Json, *, kind: str, amount: int) -> Json:
    """A line of the balance, in the currency the account settles in; the fee is taken on charges and not given back."""
    currency, rate = source["currency"], None
    if ledger.settlement is not None and ledger.settlement[0] != currency:
        settled_in, rate = ledger.settlement
        amount, currency = amounts.converted(amount, currency, settled_in, rate), settled_in
    cost = fee(amount) if kind == "charge" else 0
    details = {"amount": cost, "application": None, "currency": currency, "description": "Stripe processing fees"}
    return ledger.add(
        "balance_transaction",
        amount=amount,
        available_on=ledger.now() + AVAILABLE_AFTER,
        currency=currency,
        description=None,
        exchange_rate=rate,
        fee=cost,
        fee_details=[{**details, "type": "stripe_fee"}] if cost else [],
        net=amount - cost,
        reporting_category=kind,
        source=source["id"],
        status="pending",
        type=kind,
    )


def update(ledger: Ledger, charge_id: str, params: Json) -> Json:
    """Change a charge's description and metadata."""
    charge = ledger.take("charge", charge_id)
    if "description" in params:
        charge["description"] = forms.text(params, "description")
    charge["metadata"] = forms.merged_metadata(charge["metadata"], params)
    return charge


def dispute(ledger: Ledger, charge: Json, *, reason: str = "fraudulent") -> Json:
    """The shopper's bank takes the money back; the charge can no longer be refunded.

    Raises:
        StripeError: 400 when the charge failed or is disputed already.
    """
    if charge["status"] != "succeeded" or charge["disputed"]:
        raise refused(f"Charge {charge['id']} cannot be disputed.")
    made = ledger.add(
        "dispute",
        amount=charge["amount"] - charge["amount_refunded"],
        charge=charge["id"],
        currency=charge["currency"],
        is_charge_refundable=False,
        metadata={},
        payment_intent=charge["payment_intent"],
        reason=reason,
        status="needs_response",
    )
    charge["disputed"] = True
    charge["dispute"] = made["id"]
    ledger.emit("charge.dispute.created", made)
    return made


def close_dispute(ledger: Ledger, dispute_id: str, *, won: bool) -> Json:
    """The bank decides."""
    made = ledger.take("dispute", dispute_id)
    made["status"] = "won" if won else "lost"
    ledger.emit("charge.dispute.closed", made)
    return made
