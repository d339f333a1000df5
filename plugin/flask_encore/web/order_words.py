"""What the merchant reads about single orders and what became of them. English, like the logs."""

from __future__ import annotations

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.web.dashboard_words import CHARGES

#: How a decision ended, as a filter of the list has it.
OUTCOMES = {
    Outcome.OFFERED: "Offered",
    Outcome.SHADOWED: "Shadowed",
    Outcome.HELD_OUT: "Held out",
    Outcome.INELIGIBLE: "No offer",
    Outcome.ERROR: "Error",
}

#: Why there was no offer, in few words; `reasons.REASONS` has the sentences. What only repeats an outcome is not here.
REASONS = {
    Reason.SWITCHED_OFF: "Offers switched off",
    Reason.NO_CAMPAIGN: "No campaign applies",
    Reason.ALL_FILTERED: "Every candidate refused",
    Reason.NO_CANDIDATE: "Nothing recommended",
    Reason.NO_MODEL: "No model",
    Reason.ENOUGH_SHOWN: "Enough offers shown",
    Reason.HOLD_OVER: "Order page opened too late",
    Reason.ORDER_TOO_OLD: "Order too old",
    Reason.ORDER_REFUNDED: "Order refunded",
    Reason.ORDER_DISPUTED: "Order disputed",
    Reason.NO_CUSTOMER: "No Stripe Customer",
    Reason.PAYMENT_METHOD_NOT_SAVED: "Card not saved",
    Reason.PAYMENT_METHOD_NOT_REUSABLE: "Cannot be charged again",
    Reason.PAYMENT_UNVERIFIED: "Payment not verified",
    Reason.PAYMENT_NOT_SUCCEEDED: "Payment not succeeded",
    Reason.PAYMENT_AMOUNT_MISMATCH: "Payment of another amount",
    Reason.PAYMENT_CURRENCY_MISMATCH: "Payment in another currency",
    Reason.PAYMENT_MODE_MISMATCH: "Test and live keys mixed",
    Reason.QUOTE_FAILED: "Quote failed",
    Reason.QUOTE_TIMEOUT: "Quote too slow",
    Reason.QUOTE_NOT_CHARGEABLE: "Quoted total not chargeable",
    Reason.RANKER_FAILED: "Recommender failed",
    Reason.RANKER_TIMEOUT: "Recommender too slow",
}

#: Steps of a charge that pass within a second are no filter of their own.
_PASSING = {ChargeStatus.CLAIMED, ChargeStatus.INTENT, ChargeStatus.CONFIRMING}

#: What the list can be narrowed to, in groups: (name of the group, value -> name).
WHAT = (
    ("How it ended", OUTCOMES),
    ("The charge", {status: words for status, (words, _) in CHARGES.items() if status not in _PASSING}),
    ("Why there was none", REASONS),
)
