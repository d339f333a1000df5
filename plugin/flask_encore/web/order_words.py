"""What the merchant reads about single orders and what became of them. English, like the logs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.events import EventKind
from flask_encore.domain.hooks import DeliveryStatus
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.domain.timeline import Source
from flask_encore.web.dashboard_words import CHARGES, Tone

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

PAGES = {"thank_you": "Thank-you page", "order_status": "Order page"}

ARMS = {"treatment": "shown offers", "holdout": "held out"}

SOURCES = {
    Source.CLICK: "the shopper’s click",
    Source.POLL: "the shopper’s page, which asked how it stands",
    Source.WEBHOOK: "a webhook of Stripe’s",
    Source.SWEEPER: "the sweeper",
    Source.SHOPPER: "the shopper",
    Source.MERCHANT: "the merchant",
}

#: What a message told the shop.
MESSAGES = {
    EventKind.CHARGE_SUCCEEDED: "Charged: add the line, and hold it",
    EventKind.CHARGE_FAILED: "The bank said no",
    EventKind.CHARGE_CANCELED: "Given up; nothing was charged",
    EventKind.CHARGE_REFUNDED: "Refunded: take the line off",
    EventKind.REFUND_FAILED: "A refund did not happen",
    EventKind.CHARGE_DISPUTED: "Disputed",
    EventKind.CHARGE_QUARANTINED: "Quarantined",
    EventKind.HOLD_RELEASED: "The time to undo is over: ship it",
}

DELIVERIES = {
    DeliveryStatus.WAITING: ("Waiting", Tone.WAIT),
    DeliveryStatus.DELIVERED: ("Taken", Tone.GOOD),
    DeliveryStatus.FAILED: ("Given up", Tone.BAD),
}

REFUNDS = {
    "requested": ("Asked for", Tone.WAIT),
    "pending": ("On its way", Tone.WAIT),
    "succeeded": ("Refunded", Tone.PLAIN),
    "failed": ("Did not happen", Tone.BAD),
}

EFFECTS = {
    "applied": "changed something",
    "duplicate": "nothing new",
    "ignored": "nothing to do",
    "quarantined": "quarantined the charge",
}

#: Quarantine reason -> what was found, and what to do. A code of Stripe's stands behind ``refused_``.
QUARANTINES = {
    "intent_mismatch": "Stripe answered for another PaymentIntent than the one this charge made.",
    "metadata_mismatch": "The PaymentIntent at Stripe does not name this charge.",
    "amount_mismatch": "The amount at Stripe is not the one the shopper agreed to.",
    "currency_mismatch": "The currency at Stripe is not the one the shopper agreed to.",
    "amount_received_mismatch": "Stripe received another amount than was charged.",
    "customer_mismatch": "The customer at Stripe is not the one who paid the order.",
    "livemode_mismatch": "A live object met a test key, or the other way round.",
    "paid_after_cancel": "Money moved after the charge was given up.",
    "status_mismatch": "The money moved here, and Stripe says that it did not.",
    "paid_twice": "Another PaymentIntent that names this charge was paid as well.",
    "paid_beside_the_charge": "A PaymentIntent that is not this charge’s own was paid in its name.",
}

#: Orders together below which a ratio says more about luck than about the products.
SUPPORT_FOR_A_RATIO = 5

_BY_THE_MERCHANT = {
    "pinned": "pinned by the campaign",
    "fixed": "named by the campaign",
    "service": "the campaign’s service",
    "bundle": "the campaign’s bundle",
    "buy_get": "bought with this order",
    "more": "bought with this order",
}


def quarantined(reason: str) -> str:
    """Why a charge is quarantined, as a sentence."""
    if reason.startswith("refused_"):
        return f"Stripe refused to tell about it for three days ({reason.removeprefix('refused_')})."
    return QUARANTINES.get(reason, reason)


def why(entry: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """The evidence for a candidate of the log, in counts that anyone can check against the orders."""
    named = _BY_THE_MERCHANT.get(entry["kind"], "")
    support, of_orders, because_of = entry.get("support", 0), entry.get("of_orders", 0), entry.get("because_of")
    counted = f"{support:,} of {of_orders:,} orders"
    if support and because_of and entry.get("kind") != "category":
        told = f"bought together with {titles.get(because_of, because_of)} in {counted}"
        lift = entry.get("lift")
        if lift is not None and lift > 1 and support >= SUPPORT_FOR_A_RATIO:
            told += f", {lift:,.1f} times more than chance"
        return f"{named}; {told}" if named else told
    if named:
        return named
    if entry["kind"] == "category":
        beside = titles.get(because_of, because_of) if because_of else "one of the order"
        return f"of the same category as {beside}, itself in {counted}"
    return f"a best-seller, in {counted}" if support else "a best-seller"


def scores(entry: Mapping[str, Any]) -> list[str]:
    """What a candidate was weighed by, as far as it was: the recommender's score, how likely, how much it is worth."""
    told = [f"score {entry['score']:.4g}"]
    if entry.get("chance") is not None:
        told.append(f"chance {entry['chance']:.1%}")
    if entry.get("worth") is not None:
        told.append(f"worth {entry['worth']:.4g}")
    # Where nothing is drawn it is all or nothing, and the one that was offered says so itself.
    if 0 < (entry.get("propensity") or 0) < 1:
        told.append(f"drawn with {entry['propensity']:.1%}")
    return told


def facts(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was known of the shopper, (name, value) each; what nobody knows says so."""
    made = []
    for name, value in told.items():
        words = _FACTS.get(name, name.replace("_", " "))
        if value is None:
            shown = "not known"
        elif name == "last_order_at":
            shown = f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M} UTC"
        elif name == "lifetime_value":
            shown = ", ".join(str(Money(minor, currency)) for currency, minor in value.items()) or "nothing"
        elif isinstance(value, list):
            shown = ", ".join(map(str, value)) or "none"
        else:
            shown = str(value)
        made.append((words, shown))
    return made


_FACTS = {
    "order_count": "Earlier orders",
    "last_order_at": "Last order",
    "lifetime_value": "Paid before",
    "discount_codes": "Discount codes",
    "loyalty_tier": "Loyalty tier",
    "tags": "Tags",
    "bought_skus": "Bought before",
    "bought_categories": "Categories bought before",
    "ranking": "Recommender",
}
