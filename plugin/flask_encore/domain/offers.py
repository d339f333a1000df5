"""An offer: one product proposed once to one paid order, and the decision behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flask_encore.domain.errors import IllegalTransition


class Placement(StrEnum):
    """Where a campaign's offer appears."""

    THANK_YOU = "thank_you"  #: a section in the shop's own thank-you page
    ORDER_STATUS = "order_status"  #: a section in the shop's own order page, as long as fulfilment can be held
    DIALOG = "dialog"  #: beside the thank-you page's content, opened once, never over the confirmation

    @property
    def surface(self) -> Placement:
        """The page decisions about it are made for: a dialog is the thank-you page's."""
        return Placement.THANK_YOU if self is Placement.DIALOG else self


THANK_YOU = Placement.THANK_YOU


class OfferStatus(StrEnum):
    """What the shopper, or time, did with an offer."""

    OPEN = "open"  #: may still be accepted or declined
    ACCEPTED = "accepted"  #: the shopper said yes; a charge row exists
    DECLINED = "declined"  #: the shopper said no
    EXPIRED = "expired"  #: nobody answered in time, or it sold out first


NEXT: dict[OfferStatus, frozenset[OfferStatus]] = {
    OfferStatus.OPEN: frozenset({OfferStatus.ACCEPTED, OfferStatus.DECLINED, OfferStatus.EXPIRED}),
    OfferStatus.ACCEPTED: frozenset(),
    OfferStatus.DECLINED: frozenset(),
    OfferStatus.EXPIRED: frozenset(),
}


def to(current: OfferStatus, status: OfferStatus) -> OfferStatus:
    """Move an offer from *current* to *status*.

    Raises:
        IllegalTransition: If ``NEXT`` forbids the move.
    """
    if status not in NEXT[current]:
        raise IllegalTransition(f"offer: {current} -> {status}")
    return status


class OfferState(StrEnum):
    """An offer and its charge as one word, for the page and for JSON."""

    OPEN = "open"  #: may be accepted or declined
    CHARGING = "charging"  #: accepted; the charge is on its way
    ACTION_REQUIRED = "action_required"  #: the bank asks the shopper
    FAILED = "failed"  #: the bank said no; another card, or leave it
    CHARGED = "charged"  #: the line is added; may be undone until the hold ends
    UNDOING = "undoing"  #: the refund is on its way
    UNDONE = "undone"  #: the money went back
    DECLINED = "declined"  #: the shopper said no
    EXPIRED = "expired"  #: nobody answered in time; nothing was charged
    SOLD_OUT = "sold_out"  #: the last unit was gone; nothing was charged
    UNKNOWN = "unknown"  #: we are checking with the bank
    CANCELED = "canceled"  #: left, or the bank's check was not finished in time; nothing was charged


class Outcome(StrEnum):
    """How a decision ended. Every paid order that asks for an offer gets exactly one."""

    OFFERED = "offered"  #: an offer was put on the page
    SHADOWED = "shadowed"  #: an offer was decided on and shown to nobody, because the shop is in shadow mode
    HELD_OUT = "held_out"  #: the order is in the holdout; an offer existed and was not shown
    INELIGIBLE = "ineligible"  #: nothing could be offered, for the reason given
    ERROR = "error"  #: something of ours failed; the shop's page did not notice


class Reason(StrEnum):
    """Why a decision ended the way it did, in the words of the decision log."""

    CHOSEN = "chosen"  #: the best candidate passed every filter
    HOLDOUT = "holdout"  #: assigned to the holdout by the hash of its customer
    EXPERIMENT_HOLDOUT = "experiment_holdout"  #: held out by an experiment, which deals its own holdout
    SHADOW = "shadow"  #: shadow mode is on
    SWITCHED_OFF = "switched_off"  #: the kill switch is on
    NO_CAMPAIGN = "no_campaign"  #: no campaign applies, and the built-in offer is off
    QUOTE_FAILED = "quote_failed"  #: the shop's own quote raised, or answered nonsense
    QUOTE_TIMEOUT = "quote_timeout"  #: the shop's own quote took too long
    QUOTE_NOT_CHARGEABLE = "quote_not_chargeable"  #: with the quote the total is one that Stripe does not take
    HOLD_OVER = "hold_over"  #: the order page was opened after fulfilment could be held
    ENOUGH_SHOWN = "enough_shown"  #: the order was shown as many offers as an order may be shown
    PAYMENT_UNVERIFIED = "payment_unverified"  #: Stripe could not be asked about the payment yet
    PAYMENT_NOT_SUCCEEDED = "payment_not_succeeded"  #: the PaymentIntent is not succeeded
    PAYMENT_AMOUNT_MISMATCH = "payment_amount_mismatch"  #: the PaymentIntent's amount is not the order's total
    PAYMENT_CURRENCY_MISMATCH = "payment_currency_mismatch"  #: the PaymentIntent's currency is not the order's
    PAYMENT_MODE_MISMATCH = "payment_mode_mismatch"  #: a live payment on a test key, or the other way round
    NO_CUSTOMER = "no_customer"  #: the PaymentIntent has no Stripe Customer, so its card cannot be charged again
    PAYMENT_METHOD_NOT_SAVED = "payment_method_not_saved"  #: paid without setup_future_usage
    PAYMENT_METHOD_NOT_REUSABLE = "payment_method_not_reusable"  #: a kind that cannot be charged with one click
    NO_MODEL = "no_model"  #: nothing was trained yet: run ``flask encore train``
    NO_CANDIDATE = "no_candidate"  #: the recommender had nothing to say about this basket
    ALL_FILTERED = "all_filtered"  #: every candidate was sold out, inactive, of another currency or too cheap
    ORDER_REFUNDED = "order_refunded"  #: the whole order was refunded, so nothing is added to it
    ORDER_DISPUTED = "order_disputed"  #: the cardholder's bank disputes the order's own payment
    ORDER_TOO_OLD = "order_too_old"  #: the page was opened long after the order was paid
    RANKER_FAILED = "ranker_failed"  #: the recommender raised
    RANKER_TIMEOUT = "ranker_timeout"  #: the recommender took longer than ENCORE_DECISION_BUDGET_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A product the ranker proposes, with the evidence for it.

    Attributes:
        score: Higher is better; comparable within one ranking only.
        kind: ``co_purchase``, ``category`` or ``popularity``: what the score rests on.
        because_of: The basket's product that carried it, for ``co_purchase``.
        support: Orders that held both products.
        of_orders: Orders that held *because_of*.
        lift: How many times more often than chance; ``None`` when it is not a co-purchase.
        probability: That a shopper with this basket buys it beside the basket, 0 to 1; ``None`` when unknown.
        kept_rate: Share of what offers sold of it that was kept, 0 to 1, shrunken; ``None`` when unknown.
    """

    sku: str
    score: float
    kind: str
    because_of: str | None = None
    support: int = 0
    of_orders: int = 0
    lift: float | None = None
    probability: float | None = None
    kept_rate: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The candidate as the decision log keeps it."""
        return {
            "sku": self.sku,
            "score": self.score,
            "kind": self.kind,
            "because_of": self.because_of,
            "support": self.support,
            "of_orders": self.of_orders,
            "lift": self.lift,
            "probability": self.probability,
            "kept_rate": self.kept_rate,
        }
