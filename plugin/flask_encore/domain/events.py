"""What the host shop is told, in the past tense; the payload is the same for handlers, signals and the outbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask_encore.domain.agreements import Agreement
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.money import Money
from flask_encore.domain.prices import OfferLine


class EventKind(StrEnum):
    """Every event the host shop can hear."""

    CHARGE_SUCCEEDED = "charge_succeeded"  #: the money moved: add the line, and hold it until `HOLD_RELEASED`
    CHARGE_FAILED = "charge_failed"  #: the bank said no; the order is unchanged
    CHARGE_CANCELED = "charge_canceled"  #: given up before any money moved; the order is unchanged
    CHARGE_REFUNDED = "charge_refunded"  #: undone or refunded in full: take the line off again
    REFUND_FAILED = "refund_failed"  #: the bank would not take the money back; somebody has to look
    CHARGE_DISPUTED = "charge_disputed"  #: the cardholder's bank disputes the charge
    CHARGE_QUARANTINED = "charge_quarantined"  #: Stripe's object and our row disagree; nothing automatic happens now
    HOLD_RELEASED = "hold_released"  #: the time to undo is over: ship the line


#: Which outcome tells the host what. Outcomes that are missing here are on their way to one that is not.
EVENT_OF = {
    ChargeStatus.SUCCEEDED: EventKind.CHARGE_SUCCEEDED,
    ChargeStatus.FAILED: EventKind.CHARGE_FAILED,
    ChargeStatus.CANCELED: EventKind.CHARGE_CANCELED,
    ChargeStatus.REFUNDED: EventKind.CHARGE_REFUNDED,
    ChargeStatus.DISPUTED: EventKind.CHARGE_DISPUTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeEvent:
    """One thing that happened to one charge.

    Attributes:
        charge_ref: Encore's key of the charge; the same in every event about it. Make handlers idempotent by it.
        sku: Of the first line; *title* is what the offer was called, *quantity* the pieces of each line.
        lines: What to add to the order, one line or, of a bundle, two. They, *shipping*, and *tax* where it is added,
            make *amount* to the minor unit.
        amount: The whole charge, tax included; 0 for what was given for free.
        payment_intent_ref: ``None`` before there is one, and always for what was given for free.
        shipping: What was charged for it besides the lines.
        tax: ``None`` when `ENCORE_QUOTE` did not tell.
        tax_included: Whether *tax* is within the other amounts; else it was added to them.
        text: What the shopper wrote for it, such as a gift message; plain text of any characters, so escape it.
        campaign_ref: The campaign whose offer it was.
        occurred_at: When it was settled, not when it is delivered.
        undo_until: Until when the line has to be held; ``None`` before success.
        detail: A bank's failure code, or why a charge is quarantined; empty otherwise.
    """

    kind: EventKind
    order_ref: str
    charge_ref: str
    sku: str
    title: str
    quantity: int
    amount: Money
    payment_intent_ref: str | None
    occurred_at: datetime
    undo_until: datetime | None
    detail: str
    lines: tuple[OfferLine, ...]
    shipping: Money
    tax: Money | None = None
    tax_included: bool = True
    text: str = ""
    campaign_ref: str | None = None

    @classmethod
    def of(cls, kind: EventKind, charge: Charge, *, at: datetime, detail: str = "") -> ChargeEvent:
        """The event *kind* about *charge*, settled *at*."""
        agreed = Agreement.of(charge)
        return cls(
            kind=kind,
            order_ref=charge.order_ref,
            charge_ref=charge.id,
            sku=charge.sku,
            title=charge.snapshot["title"],
            quantity=charge.quantity,
            amount=charge.amount,
            payment_intent_ref=charge.payment_intent_ref,
            occurred_at=at,
            undo_until=charge.undo_until,
            detail=detail,
            lines=agreed.lines,
            shipping=agreed.shipping,
            tax=agreed.tax,
            tax_included=agreed.tax_included,
            text=agreed.text,
            campaign_ref=charge.campaign_ref,
        )

    def as_json(self) -> dict[str, Any]:
        """The payload as the outbox keeps it; the inverse of `from_json`."""
        return {
            "kind": self.kind,
            "order_ref": self.order_ref,
            "charge_ref": self.charge_ref,
            "sku": self.sku,
            "title": self.title,
            "quantity": self.quantity,
            "amount_minor": self.amount.minor_units,
            "currency": self.amount.currency,
            "payment_intent_ref": self.payment_intent_ref,
            "occurred_at": self.occurred_at.isoformat(),
            "undo_until": self.undo_until.isoformat() if self.undo_until else None,
            "detail": self.detail,
            "lines": [line.as_json() for line in self.lines],
            "shipping_minor": self.shipping.minor_units,
            "tax_minor": None if self.tax is None else self.tax.minor_units,
            "tax_included": self.tax_included,
            "text": self.text,
            "campaign_ref": self.campaign_ref,
        }

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> ChargeEvent:
        """The event a payload was made of; one of an earlier release, which may wait in the outbox, is of one line."""
        currency, tax = payload["currency"], payload.get("tax_minor")
        lines = payload.get("lines") or [
            {
                "sku": payload["sku"],
                "title": payload["title"],
                "quantity": payload["quantity"],
                "item": payload["amount_minor"],
                "discount": 0,
                "ships": True,
            }
        ]
        return cls(
            kind=EventKind(payload["kind"]),
            order_ref=payload["order_ref"],
            charge_ref=payload["charge_ref"],
            sku=payload["sku"],
            title=payload["title"],
            quantity=payload["quantity"],
            amount=Money(payload["amount_minor"], currency),
            payment_intent_ref=payload["payment_intent_ref"],
            occurred_at=datetime.fromisoformat(payload["occurred_at"]),
            undo_until=datetime.fromisoformat(payload["undo_until"]) if payload["undo_until"] else None,
            detail=payload["detail"],
            lines=tuple(OfferLine.from_json(line, currency) for line in lines),
            shipping=Money(payload.get("shipping_minor", 0), currency),
            tax=None if tax is None else Money(tax, currency),
            tax_included=payload.get("tax_included", True),
            text=payload.get("text", ""),
            campaign_ref=payload.get("campaign_ref"),
        )
