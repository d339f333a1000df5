"""Refunds never exceed the charge, and may take their time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import stripe

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


@pytest.mark.parametrize(
    ("amount", "code", "settlement", "settled"),
    [
        (1290, "gbp", None, (1290, "gbp", None)),
        (1290, "gbp", ("gbp", 3.0), (1290, "gbp", None)),
        (1290, "gbp", ("eur", 1.15), (1484, "eur", 1.15)),  # 14.835, half up
        (1290, "gbp", ("jpy", 190.0), (2451, "jpy", 190.0)),
        (500, "jpy", ("gbp", 0.0053), (265, "gbp", 0.0053)),
        (5120, "kwd", ("usd", 3.25), (1664, "usd", 3.25)),
    ],
)
def test_a_line_of_the_balance_is_in_the_currency_of_the_account(
    ledger: Ledger, amount: int, code: str, settlement: tuple[str, float] | None, settled: tuple[int, str, float | None]
) -> None:
    ledger.settlement = settlement
    source = {"id": "ch_1", "currency": code}

    line = charges.balance(ledger, source, kind="charge", amount=amount)
    back = charges.balance(ledger, source, kind="refund", amount=-amount)

    assert (line["amount"], line["currency"], line["exchange_rate"]) == settled
    assert (line["fee"], line["net"]) == (charges.fee(settled[0]), settled[0] - charges.fee(settled[0]))
    assert [part["currency"] for part in line["fee_details"]] == [settled[1]]
    assert (back["amount"], back["fee"], back["net"]) == (-settled[0], 0, -settled[0])


def test_a_line_of_the_balance_has_the_fields_of_stripes_own(ledger: Ledger) -> None:
    line = charges.balance(ledger, {"id": "ch_1", "currency": "gbp"}, kind="charge", amount=1290)

    known = set(stripe.BalanceTransaction.__annotations__) - {"OBJECT_NAME", "balance_type"}
    assert set(line) - {"livemode"} == known
    assert set(line["fee_details"][0]) == set(stripe.BalanceTransaction.FeeDetail.__annotations__)
