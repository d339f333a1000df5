"""A ledger at a known second, without a server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flask_encore.testing.stripe_simulator import customers, intents
from flask_encore.testing.stripe_simulator.errors import Json
from flask_encore.testing.stripe_simulator.ledger import Ledger

NOON = 1_760_000_000


@pytest.fixture
def ledger() -> Ledger:
    """An empty account whose clock stands still."""
    return Ledger(clock=lambda: NOON, account="acct_test")


@pytest.fixture
def intent_in(ledger: Ledger) -> Callable[[str], Json]:
    """Makes a PaymentIntent and brings it into a status the way a shop would."""

    def make(status: str) -> Json:
        intent = intents.create(ledger, {"amount": "1290", "currency": "gbp"})
        number = "4000002760003184" if status == "requires_action" else "4242424242424242"
        method = customers.from_number(ledger, number)
        if status == "processing":
            method = customers.create_method(ledger, {"type": "sepa_debit"})
        if status == "requires_confirmation":
            return intents.update(ledger, intent["id"], {"payment_method": method["id"]})
        if status == "canceled":
            return intents.cancel(ledger, intent["id"], {})
        if status in ("requires_action", "processing", "succeeded"):
            params = {"payment_method": method["id"], "use_stripe_sdk": "true"}
            return intents.confirm(ledger, intent["id"], params)
        return intent

    return make
