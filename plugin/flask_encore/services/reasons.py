"""The decision log's words as sentences, for whoever reads it: in the dashboard and on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_encore.domain.offers import Reason

#: Why there was an offer, or none; with the fix where there is one.
REASONS = {
    Reason.CHOSEN: "The best candidate passed every filter.",
    Reason.SHADOW: "Shadow mode is on: decided, and shown to nobody.",
    Reason.HOLDOUT: "In the holdout, so that uplift can be measured.",
    Reason.EXPERIMENT_HOLDOUT: "In the holdout of an experiment, so that its variants can be compared with no offer.",
    Reason.SWITCHED_OFF: "All offers are switched off: flask encore switch on",
    Reason.NO_CAMPAIGN: "No campaign applies to this order, and the built-in offer is off or is not for this page.",
    Reason.QUOTE_FAILED: "ENCORE_QUOTE failed; the log has the details.",
    Reason.QUOTE_TIMEOUT: "ENCORE_QUOTE took too long.",
    Reason.QUOTE_NOT_CHARGEABLE: "With shipping and tax the total is one that Stripe does not take.",
    Reason.HOLD_OVER: "The order page was opened after the time in which fulfilment can be held.",
    Reason.ENOUGH_SHOWN: "The order was shown as many offers as an order may be shown.",
    Reason.PAYMENT_UNVERIFIED: "Stripe could not be asked about the payment in time.",
    Reason.PAYMENT_NOT_SUCCEEDED: "Stripe says the payment has not succeeded.",
    Reason.PAYMENT_AMOUNT_MISMATCH: "The payment’s amount is not the order’s total.",
    Reason.PAYMENT_CURRENCY_MISMATCH: "The payment’s currency is not the order’s.",
    Reason.PAYMENT_MODE_MISMATCH: "A live payment met a test key, or the other way round.",
    Reason.NO_CUSTOMER: "The payment has no Stripe Customer, so its card cannot be charged again.",
    Reason.PAYMENT_METHOD_NOT_SAVED: "The card was not saved: the checkout has to set setup_future_usage.",
    Reason.PAYMENT_METHOD_NOT_REUSABLE: "Paid in a way that cannot be charged with one click.",
    Reason.NO_MODEL: "Nothing was trained yet: run “flask encore train”.",
    Reason.NO_CANDIDATE: "The recommender had nothing to say about this basket.",
    Reason.ALL_FILTERED: "Every candidate was sold out, inactive, in the order already, or had no fitting price.",
    Reason.ORDER_REFUNDED: "The order itself was refunded.",
    Reason.ORDER_DISPUTED: "The cardholder's bank disputes the order's own payment.",
    Reason.ORDER_TOO_OLD: "The page was opened long after the order was paid.",
    Reason.RANKER_FAILED: "The recommender failed; the log has the details.",
    Reason.RANKER_TIMEOUT: "The recommender took longer than ENCORE_DECISION_BUDGET_MS.",
}

#: Why one product could not be offered with an order.
REFUSALS = {
    "not_in_catalogue": "is not in the catalogue",
    "not_in_order": "is not in the order",
    "in_order": "is in the order already",
    "inactive": "is not active",
    "sold_out": "is sold out",
    "too_few": "has too few units left",
    "other_currency": "has a price in another currency",
    "blocked": "is never offered beside a product of the order",
    "category": "is outside the campaign's categories",
    "price_cap": "costs more than the campaign's share of the order",
    "price_guard": "costs more than ENCORE_PRICE_GUARD_PERCENT of the order",
    "margin": "would earn less than the campaign's floor",
    "margin_unknown": "has no cost in the catalogue, so its margin is not known",
    "no_price": "has no price in this currency that is below the full one",
    "not_chargeable": "comes to an amount that Stripe does not take",
    "over_budget": "is more than the campaign's budget has left",
    "already_offered": "was offered with this order before, for no more",
}


def refusal(entry: Mapping[str, Any]) -> str:
    """What stood against a candidate of the log, with what was seen and what would have passed; empty when nothing did.

    Logs of earlier releases have the word alone.
    """
    word = entry.get("filtered") or ""
    told = REFUSALS.get(word, word)
    if not entry.get("seen"):
        return told
    return f"{told}: {entry['seen']}" + (f", allowed {entry['bound']}" if entry.get("bound") else "")
