"""A charge: the money side of one accepted offer, and the only tables of what may follow what.

The same rule stands in the database: `store.models` builds its CHECK from `ChargeStatus`, and `services.settling`
builds the guard of its single UPDATE from `NEXT`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask_encore.domain.errors import IllegalTransition
from flask_encore.domain.money import Money


class ChargeStatus(StrEnum):
    """Where the money of an accepted offer is."""

    CLAIMED = "claimed"  #: the offer is accepted and stock reserved; Stripe knows nothing yet
    INTENT = "intent"  #: an unconfirmed PaymentIntent exists and its id is committed
    CONFIRMING = "confirming"  #: confirmation was asked for; the answer is not written yet
    ACTION_REQUIRED = "action_required"  #: the bank wants the shopper to confirm
    PROCESSING = "processing"  #: the bank took it and will answer later
    UNKNOWN = "unknown"  #: a call ended without an answer; recovering asks Stripe what happened
    FAILED = "failed"  #: the bank said no; another card may still be used on the same PaymentIntent
    SUCCEEDED = "succeeded"  #: the money moved; the line belongs to the order
    CANCELED = "canceled"  #: given up before any money moved; it never will
    REFUNDING = "refunding"  #: a refund is asked for; its answer is not written yet
    REFUNDED = "refunded"  #: the money went back in full
    DISPUTED = "disputed"  #: the cardholder's bank disputes it


_S = ChargeStatus
_ANSWERS = frozenset({_S.SUCCEEDED, _S.ACTION_REQUIRED, _S.PROCESSING, _S.FAILED, _S.CANCELED})

#: What may follow what. A status that maps to nothing is final.
NEXT: dict[ChargeStatus, frozenset[ChargeStatus]] = {
    _S.CLAIMED: frozenset({_S.INTENT, _S.CONFIRMING, _S.UNKNOWN, _S.CANCELED}),
    _S.INTENT: _ANSWERS | {_S.CONFIRMING, _S.UNKNOWN},
    _S.CONFIRMING: _ANSWERS | {_S.UNKNOWN},
    _S.ACTION_REQUIRED: frozenset({_S.SUCCEEDED, _S.PROCESSING, _S.FAILED, _S.CANCELED}),
    _S.PROCESSING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELED}),
    _S.UNKNOWN: _ANSWERS | {_S.INTENT, _S.CONFIRMING},
    _S.FAILED: frozenset({_S.CONFIRMING, _S.ACTION_REQUIRED, _S.PROCESSING, _S.SUCCEEDED, _S.CANCELED}),
    _S.SUCCEEDED: frozenset({_S.REFUNDING, _S.REFUNDED, _S.DISPUTED}),
    _S.CANCELED: frozenset(),
    _S.REFUNDING: frozenset({_S.REFUNDED, _S.SUCCEEDED, _S.DISPUTED}),
    _S.REFUNDED: frozenset(),
    _S.DISPUTED: frozenset(),
}

#: The same for an offer that costs nothing. There is no bank to wait for and no money to come back, so nothing lies
#: between the claim and the line, or between the line and its undo. A charge that costs something never reads this one.
FREE: dict[ChargeStatus, frozenset[ChargeStatus]] = dict.fromkeys(_S, frozenset[ChargeStatus]()) | {
    _S.CLAIMED: frozenset({_S.SUCCEEDED, _S.CANCELED}),
    _S.SUCCEEDED: frozenset({_S.REFUNDED}),
}

#: Money moved and was not given back: a second success is a duplicate, a first one after `CANCELED` is an alarm.
PAID = frozenset({_S.SUCCEEDED, _S.REFUNDING, _S.REFUNDED, _S.DISPUTED})

#: Nobody is waiting for these any more: neither the shopper nor the sweeper.
SETTLED = frozenset({_S.SUCCEEDED, _S.CANCELED, _S.REFUNDED, _S.DISPUTED})


def sources(status: ChargeStatus, *, free: bool = False) -> frozenset[ChargeStatus]:
    """Every status from which `NEXT`, or `FREE`, allows a move to *status*: the guard of settle's UPDATE."""
    table = FREE if free else NEXT
    return frozenset(current for current, allowed in table.items() if status in allowed)


class Verdict(StrEnum):
    """What to do with a reported outcome: three refusals that must not be confused."""

    APPLY = "apply"  #: write it
    DUPLICATE = "duplicate"  #: said before, or overtaken by something later; give the same answer again
    ILLEGAL = "illegal"  #: the table forbids it: a bug of ours, or an object that is not what it says
    DOUBLE_PAYMENT = "double_payment"  #: money moved on something we had given up: record and alarm


def judge(current: ChargeStatus, reported: ChargeStatus) -> Verdict:
    """What a report of *reported* means for a charge that is *current*.

    Reports come late, twice and out of order (webhooks do), so an answer the charge has moved past is a duplicate.
    """
    if reported in NEXT[current]:
        return Verdict.APPLY
    if current is ChargeStatus.CANCELED and reported is ChargeStatus.SUCCEEDED:
        return Verdict.DOUBLE_PAYMENT
    if reported is current or current in PAID or current is ChargeStatus.CANCELED:
        return Verdict.DUPLICATE
    if reported in {ChargeStatus.INTENT, ChargeStatus.CONFIRMING, ChargeStatus.ACTION_REQUIRED}:
        return Verdict.DUPLICATE
    return Verdict.ILLEGAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The charge row as read. Amount, currency, customer and card were frozen before any call (invariant I4).

    Attributes:
        id: Our key, equal to the offer's, so one offer can never have two (invariant I1).
        payment_intent_ref: ``None`` until the id of the unconfirmed PaymentIntent is committed (invariant I2).
        card_brand: Of the card that was charged, or refused, last; the offered one at first. *snapshot* keeps that one.
        attempt: How many confirmations were asked for; part of their idempotency keys.
        epoch: How many times creating was begun anew after a stored failure; part of create's idempotency key.
        failure_code: The bank's decline code, or Stripe's error code; empty unless `FAILED`.
        undo_until: Until when the shopper may undo, which is when the fulfilment hold ends; set by success.
        hold_released_at: When the merchant was told to fulfil.
        quarantine_reason: Why nothing automatic touches this charge any more; empty when all is well.
        snapshot: What the shopper was shown and chose (title, lines, price block, card, locale), for fragments and
            evidence. `agreements` reads it.
        second_sku: The other product of a bundle; of each there are *quantity* pieces.
        campaign_ref: Whose offer it was; ``None`` in charges of releases without campaigns.
        reviewed_at: When somebody of the shop's had looked at a quarantined charge and settled it by hand.
    """

    id: str
    account: str
    order_ref: str
    sku: str
    quantity: int
    amount: Money
    customer_ref: str
    payment_method_ref: str
    payment_method_type: str
    card_brand: str
    card_last4: str
    status: ChargeStatus
    payment_intent_ref: str | None
    attempt: int
    epoch: int
    failure_code: str
    accepted_at: datetime
    expires_at: datetime
    charged_at: datetime | None
    undo_until: datetime | None
    hold_released_at: datetime | None
    quarantine_reason: str
    updated_at: datetime
    snapshot: dict[str, Any]
    second_sku: str | None = None
    campaign_ref: str | None = None
    reviewed_at: datetime | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing is charged: then there is no PaymentIntent and no call to Stripe."""
        return self.amount.minor_units == 0

    @property
    def skus(self) -> tuple[str, ...]:
        """Every product it sells."""
        return (self.sku,) if self.second_sku is None else (self.sku, self.second_sku)

    @property
    def reserved(self) -> int:
        """Units of each product that were taken from stock for it: none of a service, which has no stock to count."""
        return 0 if self.snapshot.get("kind") == "service" else self.quantity

    def to(self, status: ChargeStatus) -> Charge:
        """Move to *status*.

        Raises:
            IllegalTransition: If ``NEXT``, or ``FREE`` where nothing is charged, forbids the move.
        """
        if status not in (FREE if self.is_free else NEXT)[self.status]:
            raise IllegalTransition(f"charge {self.id}: {self.status} -> {status}")
        return replace(self, status=status)
