"""The gateway against a Stripe that remembers: real sockets, the real SDK, no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from flask_encore.config import Settings
from flask_encore.domain.errors import GatewayBusy, GatewayRefused, GatewayUnknown, SignatureInvalid
from flask_encore.domain.money import Money
from flask_encore.domain.ports import Fee, IntentRequest, IntentStatus, PaymentSnapshot, RefundStatus
from flask_encore.payments.stripe_gateway import StripeGateway
from flask_encore.testing.stripe_simulator import StripeSimulator
from flask_encore.testing.stripe_simulator.webhooks import sign

SECRET = "whsec_integration"
RETURN_URL = "https://shop.example/thanks/1042"
AMOUNT = Money(1161, "gbp")


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeSimulator]:
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    with StripeSimulator() as running:
        running.webhooks.auto = False
        yield running


def gateway_to(simulator: StripeSimulator, *, timeout: tuple[float, float] = (3.05, 20.0)) -> StripeGateway:
    settings = Settings(
        stripe_secret_key=simulator.secret_key, stripe_api_base=simulator.url, stripe_webhook_secrets=(SECRET,)
    )
    return StripeGateway(settings, timeout=timeout)


@pytest.fixture
def gateway(simulator: StripeSimulator) -> StripeGateway:
    return gateway_to(simulator)


def bought(simulator: StripeSimulator, gateway: StripeGateway, card: str = "4242424242424242") -> PaymentSnapshot:
    """The original order, paid with *card*, which is kept."""
    return gateway.payment(simulator.paid_intent(amount=1530, currency="gbp", card=card)["id"])


def request_for(order: PaymentSnapshot, **changes: Any) -> IntentRequest:
    terms: dict[str, Any] = {
        "amount": AMOUNT,
        "customer_ref": order.customer_ref,
        "payment_method_ref": order.payment_method_ref,
        "payment_method_type": order.payment_method_type,
        "description": "Brown teapot, order 1042",
        "metadata": {"encore_offer": "offer-1"},
    }
    return IntentRequest(**(terms | changes))


def created(simulator: StripeSimulator, gateway: StripeGateway, card: str = "4242424242424242") -> str:
    """An unconfirmed PaymentIntent over 11.61 GBP on the kept *card*."""
    return gateway.create_intent(request_for(bought(simulator, gateway, card)), idempotency_key="create").ref


def charged(simulator: StripeSimulator, gateway: StripeGateway, card: str = "4242424242424242") -> str:
    ref = created(simulator, gateway, card)
    assert gateway.confirm_intent(ref, idempotency_key="confirm", return_url=RETURN_URL).amount_received == 1161
    return ref


def charges_of(simulator: StripeSimulator, ref: str) -> int:
    return sum(charge["payment_intent"] == ref and charge["paid"] for charge in simulator.charges())


def test_the_original_payment_is_read_with_its_saved_card(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    paid = simulator.paid_intent(amount=1530, currency="gbp")
    assert gateway.payment(paid["id"]) == PaymentSnapshot(
        payment_intent_ref=paid["id"],
        status=IntentStatus.SUCCEEDED,
        amount=Money(1530, "gbp"),
        livemode=False,
        customer_ref=paid["customer"],
        payment_method_ref=paid["payment_method"],
        payment_method_type="card",
        attached=True,
        card_brand="visa",
        card_last4="4242",
    )


@pytest.mark.parametrize("kept", [{"customer": False}, {"setup_future_usage": None}], ids=["guest", "not kept"])
def test_a_card_that_was_not_kept_is_not_attached(
    kept: dict[str, Any], simulator: StripeSimulator, gateway: StripeGateway
) -> None:
    paid = simulator.paid_intent(amount=1530, currency="gbp", **kept)
    assert gateway.payment(paid["id"]).attached is False


def test_creating_moves_no_money_and_confirming_moves_it_once(
    simulator: StripeSimulator, gateway: StripeGateway
) -> None:
    order = bought(simulator, gateway)
    intent = gateway.create_intent(request_for(order), idempotency_key="create")
    assert (intent.status, intent.amount, intent.amount_received) == (IntentStatus.REQUIRES_CONFIRMATION, AMOUNT, 0)
    assert (intent.customer_ref, intent.payment_method_ref) == (order.customer_ref, order.payment_method_ref)
    assert intent.metadata == {"encore_offer": "offer-1"}
    assert charges_of(simulator, intent.ref) == 0

    confirmed = gateway.confirm_intent(intent.ref, idempotency_key="confirm", return_url=RETURN_URL)
    assert (confirmed.status, confirmed.amount_received) == (IntentStatus.SUCCEEDED, 1161)
    assert charges_of(simulator, intent.ref) == 1


def test_the_same_key_gives_the_same_intent(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    request = request_for(bought(simulator, gateway))
    first = gateway.create_intent(request, idempotency_key="create")
    assert gateway.create_intent(request, idempotency_key="create").ref == first.ref
    assert len(simulator.intents()) == 2  # the order's and this one


def test_the_same_key_for_other_terms_is_unknown_and_stored(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    order = bought(simulator, gateway)
    gateway.create_intent(request_for(order), idempotency_key="create")
    with pytest.raises(GatewayUnknown) as unknown:
        gateway.create_intent(request_for(order, amount=Money(1, "gbp")), idempotency_key="create")
    assert unknown.value.answer_stored is True


def test_confirming_twice_with_new_keys_charges_once(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    ref = charged(simulator, gateway)
    again = gateway.confirm_intent(ref, idempotency_key="confirm again", return_url=RETURN_URL)
    assert again.status is IntentStatus.SUCCEEDED
    assert charges_of(simulator, ref) == 1


def test_a_banks_no_names_its_reason_and_leaves_the_intent_open(
    simulator: StripeSimulator, gateway: StripeGateway
) -> None:
    ref = created(simulator, gateway, card="4000000000009995")
    failed = gateway.confirm_intent(ref, idempotency_key="confirm", return_url=RETURN_URL)
    assert (failed.status, failed.failure_code) == (IntentStatus.REQUIRES_PAYMENT_METHOD, "insufficient_funds")
    assert gateway.intent(ref).failure_code == "insufficient_funds"
    assert charges_of(simulator, ref) == 0


@pytest.mark.parametrize(
    ("passes", "status", "charges"),
    [(True, IntentStatus.SUCCEEDED, 1), (False, IntentStatus.REQUIRES_PAYMENT_METHOD, 0)],
)
def test_the_banks_check_is_asked_for_in_the_page(
    passes: bool, status: IntentStatus, charges: int, simulator: StripeSimulator, gateway: StripeGateway
) -> None:
    ref = created(simulator, gateway, card="4000002760003184")
    waiting = gateway.confirm_intent(ref, idempotency_key="confirm", return_url=RETURN_URL)
    assert waiting.status is IntentStatus.REQUIRES_ACTION
    assert waiting.client_secret.startswith(f"{ref}_secret_")
    assert charges_of(simulator, ref) == 0
    simulator.authenticate(ref, success=passes)
    assert gateway.intent(ref).status is status
    assert charges_of(simulator, ref) == charges


def test_a_cancelled_intent_can_never_be_charged(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    ref = created(simulator, gateway)
    assert gateway.cancel_intent(ref, idempotency_key="cancel").status is IntentStatus.CANCELED
    confirmed = gateway.confirm_intent(ref, idempotency_key="confirm", return_url=RETURN_URL)
    assert confirmed.status is IntentStatus.CANCELED
    assert charges_of(simulator, ref) == 0


def test_cancelling_what_was_charged_tells_that_it_was(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    ref = charged(simulator, gateway)
    assert gateway.cancel_intent(ref, idempotency_key="cancel").status is IntentStatus.SUCCEEDED


def test_a_customers_intents_are_found_by_time(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    order = bought(simulator, gateway)
    intent = gateway.create_intent(request_for(order), idempotency_key="create")
    gateway.create_intent(request_for(bought(simulator, gateway)), idempotency_key="create for another customer")
    assert order.customer_ref is not None
    found = gateway.intents_of(order.customer_ref, created_since=intent.created)
    assert intent in found
    assert {item.customer_ref for item in found} == {order.customer_ref}
    assert gateway.intents_of(order.customer_ref, created_since=intent.created + 60) == ()


def test_every_page_of_a_list_is_read(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    order = bought(simulator, gateway)
    refs = {gateway.create_intent(request_for(order), idempotency_key=f"create {number}").ref for number in range(101)}
    assert order.customer_ref is not None
    found = gateway.intents_of(order.customer_ref, created_since=0)
    assert len(found) == 102
    assert {item.ref for item in found} == refs | {order.payment_intent_ref}


def test_a_refund_gives_all_back_and_no_more(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    ref = charged(simulator, gateway)
    metadata = {"encore_offer": "offer-1"}
    refund = gateway.refund(ref, AMOUNT, idempotency_key="refund", metadata=metadata)
    assert (refund.status, refund.amount, refund.payment_intent_ref) == (RefundStatus.SUCCEEDED, AMOUNT, ref)
    assert gateway.refund(ref, AMOUNT, idempotency_key="refund", metadata=metadata).ref == refund.ref
    with pytest.raises(GatewayRefused) as refused:
        gateway.refund(ref, AMOUNT, idempotency_key="refund again", metadata=metadata)
    assert refused.value.code == "charge_already_refunded"
    assert gateway.refunds_of(ref) == (refund,)


def test_a_refund_may_pend_and_then_fail(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    ref = charged(simulator, gateway)
    simulator.refunds_pend = True
    refund = gateway.refund(ref, AMOUNT, idempotency_key="refund", metadata={})
    assert refund.status is RefundStatus.PENDING
    simulator.fail_refund(refund.ref)
    assert [item.status for item in gateway.refunds_of(ref)] == [RefundStatus.FAILED]


def test_a_dispute_is_seen(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    ref = charged(simulator, gateway)
    assert gateway.is_disputed(ref) is False
    simulator.dispute(ref)
    assert gateway.is_disputed(ref) is True


def test_an_uncharged_intent_is_not_disputed(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    assert gateway.is_disputed(created(simulator, gateway)) is False


def test_an_uncharged_intent_has_no_fee(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    assert gateway.fee(created(simulator, gateway)) is None


def test_a_fee_is_known_of_what_was_charged_and_stays_when_it_is_refunded(
    simulator: StripeSimulator, gateway: StripeGateway
) -> None:
    ref = charged(simulator, gateway)
    assert gateway.fee(ref) == Fee(amount=Money(64, "gbp"))  # 2.9 % of 11.61 and 30
    gateway.refund(ref, AMOUNT, idempotency_key="refund", metadata={})
    assert gateway.fee(ref) == Fee(amount=Money(64, "gbp"))  # no refund gives it back


@pytest.mark.parametrize(
    ("settlement", "fee"),
    [
        (("gbp", 9.0), Money(64, "gbp")),
        (("eur", 1.15), Money(69, "eur")),  # of 13.35
        (("jpy", 190.0), Money(94, "jpy")),  # of 2206: a currency without decimals
    ],
)
def test_a_fee_is_in_the_currency_the_account_settles_in(
    monkeypatch: pytest.MonkeyPatch, settlement: tuple[str, float], fee: Money
) -> None:
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    with StripeSimulator(settlement=settlement) as simulator:
        simulator.webhooks.auto = False
        gateway = gateway_to(simulator)
        assert gateway.fee(charged(simulator, gateway)) == Fee(amount=fee)


CREATE = "/v1/payment_intents"
CONFIRM = "/v1/payment_intents/*/confirm"


@pytest.mark.parametrize(
    ("fault", "stored", "intents"),
    [
        ("drop_before", False, 0),
        ("drop_after", False, 1),
        ("hang_after", False, 1),
        ("error_500_before", True, 0),
        ("error_500_after", True, 1),
    ],
)
def test_a_create_without_an_answer_is_unknown_executed_or_not(
    fault: str, stored: bool, intents: int, simulator: StripeSimulator
) -> None:
    gateway = gateway_to(simulator, timeout=(3.05, 0.3))
    order = bought(simulator, gateway)
    simulator.faults.add(CREATE, fault)
    with pytest.raises(GatewayUnknown) as unknown:
        gateway.create_intent(request_for(order), idempotency_key="create")
    assert unknown.value.answer_stored is stored
    assert len(simulator.intents()) - 1 == intents
    assert len(simulator.calls(CREATE)) == 1  # asked once: repeating is not the gateway's to decide
    simulator.faults.release()


@pytest.mark.parametrize("fault", ["rate_limit_429", "lock_timeout_429", "conflict_409"])
def test_a_busy_stripe_takes_the_same_key_later(fault: str, simulator: StripeSimulator, gateway: StripeGateway) -> None:
    ref = created(simulator, gateway)
    simulator.faults.add(CONFIRM, fault)
    with pytest.raises(GatewayBusy):
        gateway.confirm_intent(ref, idempotency_key="confirm", return_url=RETURN_URL)
    assert charges_of(simulator, ref) == 0
    later = gateway.confirm_intent(ref, idempotency_key="confirm", return_url=RETURN_URL)
    assert later.status is IntentStatus.SUCCEEDED
    assert charges_of(simulator, ref) == 1


def test_nobody_listening_is_unknown(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    ref = created(simulator, gateway)
    simulator.stop()
    with pytest.raises(GatewayUnknown):
        gateway.intent(ref)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"amount": Money(29, "gbp")}, "amount_too_small"),
        ({"customer_ref": "cus_nobody"}, "resource_missing"),
        ({"payment_method_ref": "pm_nobody"}, "resource_missing"),
    ],
)
def test_impossible_terms_are_refused(
    terms: dict[str, Any], code: str, simulator: StripeSimulator, gateway: StripeGateway
) -> None:
    order = bought(simulator, gateway)
    with pytest.raises(GatewayRefused) as refused:
        gateway.create_intent(request_for(order, **terms), idempotency_key="create")
    assert refused.value.code == code
    assert len(simulator.intents()) == 1


def test_another_customers_card_is_refused(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    order, other = bought(simulator, gateway), bought(simulator, gateway)
    with pytest.raises(GatewayRefused):
        gateway.create_intent(request_for(order, payment_method_ref=other.payment_method_ref), idempotency_key="create")
    assert len(simulator.intents()) == 2


def test_a_wrong_key_is_refused(simulator: StripeSimulator) -> None:
    stranger = StripeGateway(Settings(stripe_secret_key="sk_test_stranger", stripe_api_base=simulator.url))
    with pytest.raises(GatewayRefused):
        stranger.intent("pi_1")


def test_the_simulators_own_events_are_believed(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    ref = charged(simulator, gateway)
    succeeded = [event for event in simulator.events if event["type"] == "payment_intent.succeeded"][-1]
    body = json.dumps(succeeded).encode()
    now = int(datetime.now(UTC).timestamp())
    event = gateway.event(body, sign(body, secret=SECRET, timestamp=now))
    assert (event.type, event.object_ref, event.payment_intent_ref) == ("payment_intent.succeeded", ref, ref)
    assert (event.id, event.livemode) == (succeeded["id"], False)
    with pytest.raises(SignatureInvalid):
        gateway.event(body, sign(body, secret="whsec_other", timestamp=now))


def test_the_doctor_sees_the_account_and_its_endpoint(simulator: StripeSimulator, gateway: StripeGateway) -> None:
    simulator.add_webhook("http://127.0.0.1:9/encore/stripe/webhook", SECRET, enabled_events=["refund.updated"])
    facts = gateway.doctor()
    assert (facts["account"], facts["charges_enabled"], facts["livemode"]) == ("acct_simulator", True, False)
    assert [(item["url"], item["enabled_events"]) for item in facts["webhook_endpoints"]] == [
        ("http://127.0.0.1:9/encore/stripe/webhook", ["refund.updated"])
    ]
