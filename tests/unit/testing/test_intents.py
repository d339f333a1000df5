"""The PaymentIntent state machine, without HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flask_encore.testing.stripe_simulator import StripeError, customers, intents
from flask_encore.testing.stripe_simulator.errors import Json
from flask_encore.testing.stripe_simulator.ledger import Ledger

STATUSES = (
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "succeeded",
    "canceled",
)
OPEN = STATUSES[:3]

ALLOWED = {(old, new) for old in OPEN for new in STATUSES} | {
    ("processing", "succeeded"),
    ("processing", "requires_payment_method"),
}


@pytest.mark.parametrize("new", STATUSES)
@pytest.mark.parametrize("old", STATUSES)
def test_a_status_changes_as_stripe_allows_and_not_otherwise(
    intent_in: Callable[[str], Json], old: str, new: str
) -> None:
    intent = intent_in(old)
    assert intent["status"] == old

    if (old, new) in ALLOWED:
        intents.move(intent, new)
        assert intent["status"] == new
    else:
        with pytest.raises(StripeError) as refusal:
            intents.move(intent, new)
        assert refusal.value.body["error"]["code"] == "payment_intent_unexpected_state"
        assert intent["status"] == old


@pytest.mark.parametrize("status", STATUSES)
def test_confirming_with_a_good_card_works_from_every_open_status_only(
    ledger: Ledger, intent_in: Callable[[str], Json], status: str
) -> None:
    intent = intent_in(status)
    charges_before = len(ledger.tables["charge"])
    card = customers.from_number(ledger, "4242424242424242")
    params = {"payment_method": card["id"], "use_stripe_sdk": "true"}

    if status in OPEN:
        assert intents.confirm(ledger, intent["id"], params)["status"] == "succeeded"
        assert len(ledger.tables["charge"]) == charges_before + 1
    else:
        with pytest.raises(StripeError) as refusal:
            intents.confirm(ledger, intent["id"], params)
        assert refusal.value.body["error"]["payment_intent"]["status"] == status
        assert len(ledger.tables["charge"]) == charges_before


@pytest.mark.parametrize("status", STATUSES)
def test_cancelling_works_from_every_open_status_only(
    ledger: Ledger, intent_in: Callable[[str], Json], status: str
) -> None:
    intent = intent_in(status)

    if status in OPEN:
        canceled = intents.cancel(ledger, intent["id"], {"cancellation_reason": "abandoned"})
        assert (canceled["status"], canceled["cancellation_reason"]) == ("canceled", "abandoned")
        assert canceled["next_action"] is None
    else:
        with pytest.raises(StripeError) as refusal:
            intents.cancel(ledger, intent["id"], {})
        assert refusal.value.body["error"]["code"] == "payment_intent_unexpected_state"
        assert intent["status"] == status


@pytest.mark.parametrize("status", STATUSES)
def test_the_amount_changes_while_open_and_the_metadata_always(
    ledger: Ledger, intent_in: Callable[[str], Json], status: str
) -> None:
    intent = intent_in(status)

    assert intents.update(ledger, intent["id"], {"metadata": {"k": "v"}})["metadata"] == {"k": "v"}
    if status in OPEN:
        assert intents.update(ledger, intent["id"], {"amount": "1500"})["amount"] == 1500
    else:
        with pytest.raises(StripeError):
            intents.update(ledger, intent["id"], {"amount": "1500"})
        assert intent["amount"] == 1290


@pytest.mark.parametrize("status", STATUSES)
def test_only_an_intent_that_waits_for_the_shopper_can_be_authenticated(
    ledger: Ledger, intent_in: Callable[[str], Json], status: str
) -> None:
    intent = intent_in(status)

    if status == "requires_action":
        assert intents.authenticate(ledger, intent["id"], success=True)["status"] == "succeeded"
    else:
        with pytest.raises(StripeError):
            intents.authenticate(ledger, intent["id"], success=True)
        assert intent["status"] == status


def test_a_failed_check_leaves_no_charge_and_asks_for_another_card(
    ledger: Ledger, intent_in: Callable[[str], Json]
) -> None:
    intent = intent_in("requires_action")

    after = intents.authenticate(ledger, intent["id"], success=False)

    assert after["status"] == "requires_payment_method"
    assert after["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    assert ledger.tables["charge"] == {}


def test_a_declined_intent_takes_another_card_and_succeeds_once(ledger: Ledger) -> None:
    bad = customers.from_number(ledger, "4000000000009995")
    good = customers.from_number(ledger, "4242424242424242")
    params = {"amount": "1290", "currency": "gbp", "payment_method": bad["id"]}
    intent = intents.create(ledger, params)

    with pytest.raises(StripeError) as refusal:
        intents.confirm(ledger, intent["id"], {"use_stripe_sdk": "true"})
    error = refusal.value.body["error"]
    assert refusal.value.status == 402
    assert (error["type"], error["code"], error["decline_code"]) == (
        "card_error",
        "card_declined",
        "insufficient_funds",
    )
    assert error["payment_intent"]["status"] == "requires_payment_method"
    assert error["payment_intent"]["payment_method"] is None
    assert error["payment_intent"]["last_payment_error"]["payment_method"]["id"] == bad["id"]

    after = intents.confirm(ledger, intent["id"], {"payment_method": good["id"], "use_stripe_sdk": "true"})
    assert (after["status"], after["amount_received"], after["last_payment_error"]) == ("succeeded", 1290, None)
    assert [charge["status"] for charge in ledger.tables["charge"].values()] == ["failed", "succeeded"]


def test_a_slow_payment_method_ends_either_way(ledger: Ledger, intent_in: Callable[[str], Json]) -> None:
    arrived, bounced = intent_in("processing"), intent_in("processing")

    assert intents.finish_processing(ledger, arrived["id"], success=True)["status"] == "succeeded"
    after = intents.finish_processing(ledger, bounced["id"], success=False)
    assert after["status"] == "requires_payment_method"
    assert after["last_payment_error"]["code"] == "payment_intent_payment_attempt_failed"


def test_a_card_paid_without_a_customer_cannot_pay_again(ledger: Ledger) -> None:
    card = customers.from_number(ledger, "4242424242424242")
    first = {"amount": "500", "currency": "gbp", "payment_method": card["id"], "confirm": "true"}
    intents.create(ledger, {**first, "use_stripe_sdk": "true"})

    with pytest.raises(StripeError, match="used before"):
        intents.create(ledger, {**first, "use_stripe_sdk": "true"})


def test_a_kept_card_pays_for_its_own_customer_only(ledger: Ledger) -> None:
    owner, stranger = (customers.create(ledger, {})["id"] for _ in range(2))
    card = customers.from_number(ledger, "4242424242424242")
    customers.attach(ledger, card["id"], {"customer": owner})
    base = {"amount": "500", "currency": "gbp", "payment_method": card["id"]}

    with pytest.raises(StripeError, match="does not have a payment method with the ID"):
        intents.create(ledger, {**base, "customer": stranger})
    with pytest.raises(StripeError, match="Please include the Customer"):
        intents.create(ledger, base)
    assert ledger.tables["payment_intent"] == {}
    assert intents.create(ledger, {**base, "customer": owner})["status"] == "requires_confirmation"


def test_a_card_that_was_set_up_is_not_asked_again(ledger: Ledger) -> None:
    owner = customers.create(ledger, {})["id"]
    card = customers.from_number(ledger, "4000002500003155")
    base = {"amount": "500", "currency": "gbp", "customer": owner, "payment_method": card["id"]}
    confirmed = {"confirm": "true", "use_stripe_sdk": "true"}

    first = intents.create(ledger, {**base, **confirmed, "setup_future_usage": "off_session"})
    assert first["status"] == "requires_action"
    intents.authenticate(ledger, first["id"], success=True)
    assert card["customer"] == owner

    assert intents.create(ledger, {**base, **confirmed})["status"] == "succeeded"


def test_off_session_turns_the_banks_question_into_a_decline(ledger: Ledger) -> None:
    card = customers.from_number(ledger, "4000002760003184")
    params = {"amount": "500", "currency": "gbp", "payment_method": card["id"], "use_stripe_sdk": "true"}

    with pytest.raises(StripeError) as refusal:
        intents.create(ledger, {**params, "confirm": "true", "off_session": "true"})

    assert refusal.value.status == 402
    assert refusal.value.body["error"]["code"] == "authentication_required"
    assert refusal.value.body["error"]["payment_intent"]["status"] == "requires_payment_method"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"currency": "gbp"}, "amount"),
        ({"amount": "12.9", "currency": "gbp"}, "amount"),
        ({"amount": "-5", "currency": "gbp"}, "amount"),
        ({"amount": "500"}, "currency"),
        ({"amount": "500", "currency": "zzz"}, "currency"),
        ({"amount": "500", "currency": "gbp", "customer": "cus_none"}, "customer"),
        ({"amount": "500", "currency": "gbp", "payment_method": "pm_none"}, "payment_method"),
        ({"amount": "500", "currency": "gbp", "setup_future_usage": "sometimes"}, "setup_future_usage"),
        ({"amount": "500", "currency": "gbp", "off_session": "true"}, "off_session"),
        ({"amount": "500", "currency": "gbp", "statement_descriptor": "SHOP"}, "statement_descriptor"),
        (
            {"amount": "500", "currency": "gbp", "statement_descriptor_suffix": "A*B"},
            "statement_descriptor_suffix",
        ),
    ],
)
def test_bad_input_names_its_parameter_and_makes_nothing(ledger: Ledger, params: dict[str, str], param: str) -> None:
    with pytest.raises(StripeError) as refusal:
        intents.create(ledger, params)

    assert (refusal.value.status, refusal.value.body["error"]["param"]) == (400, param)
    assert ledger.tables["payment_intent"] == {}


def test_confirming_without_a_way_back_is_refused_when_redirects_are_allowed(ledger: Ledger) -> None:
    card = customers.from_number(ledger, "4242424242424242")
    intent = intents.create(ledger, {"amount": "500", "currency": "gbp", "payment_method": card["id"]})

    with pytest.raises(StripeError, match="return_url"):
        intents.confirm(ledger, intent["id"], {})
    assert intent["status"] == "requires_confirmation"
    params = {"return_url": "https://shop.example/back"}
    assert intents.confirm(ledger, intent["id"], params)["status"] == "succeeded"
