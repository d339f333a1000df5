"""Everything Encore knows of one order: as it was paid, every decision about it, the money, and who was told.

Read from stored rows alone; nothing here changes anything or asks Stripe. However much there is, the order, its
decisions, its money, and its messages are read by two statements each, and webhooks by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from flask_encore.domain.agreements import Agreement
from flask_encore.domain.charges import Charge
from flask_encore.domain.hooks import DeliveryStatus
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.domain.orders import OrderLine, lines_from_json
from flask_encore.domain.rules import Trace
from flask_encore.domain.timeline import Change, changes
from flask_encore.services.explaining import Explained, explained
from flask_encore.services.runtime import Runtime
from flask_encore.store import catalog, order_stories
from flask_encore.store.charge_rows import charge_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A webhook of Stripe's that was received and told of the order, or of a charge of it.

    Attributes:
        effect: What it did: ``applied``, ``duplicate``, ``ignored`` or ``quarantined``.
    """

    event_id: str
    type: str
    object_ref: str
    effect: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """One refund of a charge.

    Attributes:
        cause: ``undo`` or ``merchant``.
        status: ``requested``, ``pending``, ``succeeded`` or ``failed``.
    """

    seq: int
    amount: Money
    cause: str
    actor: str
    status: str
    refund_ref: str | None
    requested_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """The money side of one accepted offer.

    Attributes:
        changes: Its history, oldest first; empty in charges of releases that kept none.
        agreement: What was agreed to: lines, shipping, tax, text.
        consent_version: The wording of the button and the price block it was agreed under.
        fee: What Stripe kept, in the currency it settles in; ``None`` as long as that is not known.
        fee_due_at: When Stripe is asked for the fee; ``None`` when it is known, or none is to be known.
        next_run_at: When the sweeper looks at it again; ``None`` when nothing is left to do.
        reviewed_at: When somebody settled a quarantined charge by hand.
        left: What was not given back.
    """

    charge: Charge
    changes: tuple[Change, ...]
    agreement: Agreement
    consent_version: str
    cost: Money | None
    tax: Money | None
    fee: Money | None
    fee_due_at: datetime | None
    next_run_at: datetime | None
    reviewed_at: datetime | None
    refunds: tuple[Refund, ...]
    received: tuple[Received, ...]

    @property
    def left(self) -> Money:
        """What of the amount was not given back."""
        back = sum(refund.amount.minor_units for refund in self.refunds if refund.status == "succeeded")
        return self.charge.amount - Money(back, self.charge.amount.currency)

    @property
    def is_quarantined(self) -> bool:
        """Whether nothing automatic touches it and nobody has looked yet."""
        return bool(self.charge.quarantine_reason) and self.reviewed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one campaign answered.

    Attributes:
        rule: What its rule saw, condition by condition; ``None`` when it was not asked that far.
    """

    ref: str
    name: str
    version: int | None
    result: str
    because: tuple[str, ...]
    rule: Trace | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One decision, and what became of it.

    Attributes:
        told: The decision, explained.
        asked: The campaigns, in the order they were asked; *told.asked_before* more came before.
        sku: What was offered first; ``None`` when nothing was.
        snapshot: The frozen offer, as the shopper saw it; empty when there was none.
        titles: Of the products weighed and named, by SKU, as the catalogue has them now.
        paid: ``None`` while nobody accepted.
    """

    told: Explained
    asked: tuple[Asked, ...]
    arm: str
    holdout_bp: int | None
    campaign_version: int | None
    propensity: float | None
    sku: str | None
    currency: str
    snapshot: Mapping[str, Any]
    expires_at: datetime
    shown_at: datetime | None
    declined_at: datetime | None
    sold_out_at: datetime | None
    extended_at: datetime | None
    titles: Mapping[str, str]
    paid: Paid | None

    @property
    def is_offer(self) -> bool:
        """Whether the shopper was to see something."""
        return self.told.outcome is Outcome.OFFERED


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message to one of the merchant's own systems."""

    id: int
    webhook_id: int
    host: str
    is_paused: bool
    status: DeliveryStatus
    attempts: int
    next_run_at: datetime | None
    give_up_at: datetime
    response_code: int | None
    last_error: str
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of the outbox: to the handlers in this process, and to every endpoint that wants it.

    Attributes:
        attempts: How often the handlers were called with it.
        last_error: What a handler raised; empty when none did.
        delivered_at: When every handler had taken it.
    """

    id: int
    kind: str
    charge_ref: str
    created_at: datetime
    attempts: int
    next_run_at: datetime | None
    delivered_at: datetime | None
    last_error: str
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The whole page.

    Attributes:
        ineligible: Why the order's card cannot be charged again; ``None`` when it can.
        facts: What was known of the shopper when the order was paid, as JSON values.
        received: Webhooks about the order's own payment.
    """

    order_ref: str
    placed_at: datetime
    recorded_at: datetime
    total: Money
    lines: tuple[OrderLine, ...]
    customer_ref: str | None
    country: str | None
    locale: str
    payment_intent_ref: str
    payment_method_type: str
    card_brand: str
    card_last4: str
    ineligible: Reason | None
    facts: Mapping[str, Any]
    model_version: str
    chapters: tuple[Chapter, ...]
    messages: tuple[Message, ...]
    received: tuple[Received, ...]

    @property
    def quarantined(self) -> tuple[Paid, ...]:
        """Charges somebody has to look at."""
        return tuple(one.paid for one in self.chapters if one.paid is not None and one.paid.is_quarantined)


def story(rt: Runtime, order_ref: str) -> Story | None:
    """Everything known of the order; ``None`` when Encore was never told of it. Eight statements, or one."""
    if "\0" in order_ref:
        return None
    with rt.db.read() as connection:
        order = order_stories.order(connection, order_ref, account=rt.account)
        if order is None:
            return None
        rows = order_stories.decisions_of(connection, order_ref, account=rt.account)
        titles = catalog.titles(connection, {sku for row in rows for sku in _named(row)})
        money = order_stories.charges_of(connection, order_ref, account=rt.account)
        refunds = order_stories.refunds_of(connection, order_ref, account=rt.account)
        refs = {order["payment_intent_ref"], *(row["payment_intent_ref"] for row in money)}
        refs |= {row["refund_ref"] for row in refunds}
        events = order_stories.events_about(connection, refs - {None}, account=rt.account)
        messages = order_stories.messages_of(connection, order_ref, account=rt.account)
        deliveries = order_stories.deliveries_of(connection, order_ref, account=rt.account)
    received = [_received(row) for row in events]
    paid = {row["id"]: _paid(row, refunds, received) for row in money}
    return Story(
        order_ref=order["order_ref"],
        placed_at=order["placed_at"],
        recorded_at=order["recorded_at"],
        total=Money(order["total_minor"], order["currency"]),
        lines=lines_from_json(order["lines"], order["currency"]),
        customer_ref=order["customer_ref"],
        country=order["country"],
        locale=order["locale"],
        payment_intent_ref=order["payment_intent_ref"],
        payment_method_type=order["payment_method_type"],
        card_brand=order["card_brand"],
        card_last4=order["card_last4"],
        ineligible=Reason(order["ineligible_reason"]) if order["ineligible_reason"] else None,
        facts=order["facts"] or {},
        model_version=order["model_version"],
        chapters=tuple(_chapter(row, paid.get(row["id"]), titles) for row in rows),
        messages=tuple(_message(row, deliveries) for row in messages),
        received=tuple(one for one in received if one.object_ref == order["payment_intent_ref"]),
    )


def _named(row: Mapping[Any, Any]) -> set[str]:
    """Every product a decision tells of."""
    candidates = row["candidates"]
    told = {entry["sku"] for entry in candidates} | {entry.get("because_of") for entry in candidates}
    return {sku for sku in told | {row["sku"], row["second_sku"]} if sku is not None}


def _chapter(row: Mapping[Any, Any], paid: Paid | None, titles: Mapping[str, str]) -> Chapter:
    trace: Mapping[str, Any] = row["trace"] or {}
    return Chapter(
        told=explained(row, paid.charge.status if paid else ""),
        asked=tuple(
            Asked(
                ref=one["ref"],
                name=one["name"],
                version=one.get("version"),
                result=one["result"],
                because=tuple(one["because"]),
                rule=None if one.get("rule") is None else Trace.from_json(one["rule"]),
            )
            for one in trace.get("asked", ())
        ),
        arm=row["arm"],
        holdout_bp=row["holdout_bp"],
        campaign_version=row["campaign_version"],
        propensity=row["propensity"],
        sku=row["sku"],
        currency=row["currency"],
        snapshot=row["snapshot"],
        expires_at=row["expires_at"],
        shown_at=row["shown_at"],
        declined_at=row["declined_at"],
        sold_out_at=row["sold_out_at"],
        extended_at=row["extended_at"],
        titles=titles,
        paid=paid,
    )


def _paid(row: Mapping[Any, Any], refunds: Sequence[Mapping[Any, Any]], received: Sequence[Received]) -> Paid:
    charge = charge_of(row)
    mine = tuple(_refund(one) for one in refunds if one["charge_id"] == charge.id)
    refs = {charge.payment_intent_ref, *(refund.refund_ref for refund in mine)}
    currency = charge.amount.currency
    return Paid(
        charge=charge,
        changes=changes(row["timeline"]),
        agreement=Agreement.of(charge),
        consent_version=row["consent_version"],
        cost=None if row["cost_minor"] is None else Money(row["cost_minor"], currency),
        tax=None if row["tax_minor"] is None else Money(row["tax_minor"], currency),
        fee=None if row["fee_minor"] is None else Money(row["fee_minor"], row["fee_currency"]),
        fee_due_at=row["fee_due_at"],
        next_run_at=row["next_run_at"],
        reviewed_at=row["reviewed_at"],
        refunds=mine,
        received=tuple(one for one in received if one.object_ref in refs),
    )


def _refund(row: Mapping[Any, Any]) -> Refund:
    return Refund(
        seq=row["seq"],
        amount=Money(row["amount_minor"], row["currency"]),
        cause=row["cause"],
        actor=row["actor"],
        status=row["status"],
        refund_ref=row["refund_ref"],
        requested_at=row["requested_at"],
        settled_at=row["settled_at"],
    )


def _received(row: Mapping[Any, Any]) -> Received:
    return Received(
        event_id=row["event_id"],
        type=row["type"],
        object_ref=row["object_ref"],
        effect=row["effect"],
        received_at=row["received_at"],
    )


def _message(row: Mapping[Any, Any], deliveries: Sequence[Mapping[Any, Any]]) -> Message:
    return Message(
        id=row["id"],
        kind=row["kind"],
        charge_ref=row["charge_id"],
        created_at=row["created_at"],
        attempts=row["attempts"],
        next_run_at=row["next_run_at"],
        delivered_at=row["delivered_at"],
        last_error=row["last_error"],
        deliveries=tuple(_delivery(one) for one in deliveries if one["message_id"] == row["id"]),
    )


def _delivery(row: Mapping[Any, Any]) -> Delivery:
    return Delivery(
        id=row["id"],
        webhook_id=row["webhook_id"],
        host=urlsplit(row["url"]).netloc,
        is_paused=row["active_since"] is None,
        status=DeliveryStatus(row["status"]),
        attempts=row["attempts"],
        next_run_at=row["next_run_at"],
        give_up_at=row["give_up_at"],
        response_code=row["response_code"],
        last_error=row["last_error"],
        delivered_at=row["delivered_at"],
    )
