"""Refunds never exceed the charge, and may take their time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flask_encore.testing.stripe_simulator import StripeError, charges, refunds
from flask_encore.testing.stripe_simulator.errors import Json
from flask_encore.testing.stripe_simulator.ledger import Ledger


@pytest.fixture
def paid(intent_in: Callable[[str], Json]) -> str:
    """The id of a succeeded intent over 12.90 GBP."""
    return str(intent_in("succeeded")["id"])


def test_a_refund_gives_everything_back_when_no_amount_is_named(ledger: Ledger, paid: str) -> None:
    refund = refunds.create(ledger, {"payment_intent": paid, "reason": "requested_by_customer"})

    assert (refund["amount"], refund["status"]) == (1290, "succeeded")
    (charge,) = ledger.tables["charge"].values()
    assert (charge["amount_refunded"], charge["refunded"]) == (1290, True)


def test_parts_add_up_to_the_charge_and_not_a_penny_more(ledger: Ledger, paid: str) -> None:
    refunds.create(ledger, {"payment_intent": paid, "amount": "290"})

    with pytest.raises(StripeError, match="greater than unrefunded amount") as refusal:
        refunds.create(ledger, {"payment_intent": paid, "amount": "1001"})
    assert refusal.value.body["error"]["param"] == "amount"

    refunds.create(ledger, {"payment_intent": paid, "amount": "1000"})
    with pytest.raises(StripeError) as again:
        refunds.create(ledger, {"payment_intent": paid, "amount": "1"})
    assert again.value.body["error"]["code"] == "charge_already_refunded"
    assert [refund["amount"] for refund in ledger.tables["refund"].values()] == [290, 1000]


def test_a_pending_refund_counts_until_the_bank_sends_it_back(ledger: Ledger, paid: str) -> None:
    refund = refunds.create(ledger, {"payment_intent": paid}, pending=True)
    assert (refund["status"], refund["pending_reason"]) == ("pending", "processing")
    with pytest.raises(StripeError):
        refunds.create(ledger, {"payment_intent": paid})

    assert refunds.fail(ledger, refund["id"])["status"] == "failed"

    assert refunds.create(ledger, {"payment_intent": paid})["status"] == "succeeded"


def test_a_pending_refund_completes_once(ledger: Ledger, paid: str) -> None:
    refund = refunds.create(ledger, {"payment_intent": paid}, pending=True)

    assert refunds.complete(ledger, refund["id"])["status"] == "succeeded"
    with pytest.raises(StripeError):
        refunds.complete(ledger, refund["id"])


def test_a_disputed_charge_cannot_be_refunded(ledger: Ledger, paid: str) -> None:
    (charge,) = ledger.tables["charge"].values()
    dispute = charges.dispute(ledger, charge)

    with pytest.raises(StripeError) as refusal:
        refunds.create(ledger, {"payment_intent": paid})

    assert refusal.value.body["error"]["code"] == "charge_disputed"
    assert ledger.tables["refund"] == {}
    assert charges.close_dispute(ledger, dispute["id"], won=False)["status"] == "lost"


def test_an_intent_that_never_paid_has_nothing_to_refund(ledger: Ledger, intent_in: Callable[[str], Json]) -> None:
    intent = intent_in("requires_confirmation")

    with pytest.raises(StripeError, match="does not have a successful charge"):
        refunds.create(ledger, {"payment_intent": intent["id"]})


@pytest.mark.parametrize(
    ("more", "param"), [({"amount": "0"}, "amount"), ({"amount": "x"}, "amount"), ({"reason": "mood"}, "reason")]
)
def test_bad_refund_input_names_its_parameter(ledger: Ledger, paid: str, more: dict[str, str], param: str) -> None:
    with pytest.raises(StripeError) as refusal:
        refunds.create(ledger, {"payment_intent": paid, **more})

    assert refusal.value.body["error"]["param"] == param
    assert ledger.tables["refund"] == {}


@pytest.mark.parametrize(("amount", "fee"), [(1290, 67), (1000, 59), (50, 31), (30, 31)])
def test_the_fee_is_two_point_nine_percent_and_thirty(amount: int, fee: int) -> None:
    assert charges.fee(amount) == fee
