"""What the gateway sends, to the last field, and how it reads a good answer. Moves no money and needs no network."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import responses
import stripe
from responses.matchers import header_matcher, query_param_matcher, urlencoded_params_matcher
from unit.payments.conftest import only_expected_requests
from unit.payments.stripe_json import URL, error_json, intent_json, page_json, refund_json

from flask_encore.config import STRIPE_JS, Settings
from flask_encore.domain.errors import ConfigurationError, GatewayRefused, GatewayUnknown
from flask_encore.domain.money import Money
from flask_encore.domain.ports import (
    Fee,
    Gateway,
    IntentRequest,
    IntentSnapshot,
    IntentStatus,
    PaymentSnapshot,
    RefundSnapshot,
    RefundStatus,
)
from flask_encore.payments.stripe_gateway import API_VERSION, StripeGateway

REQUEST = IntentRequest(
    amount=Money(1161, "gbp"),
    customer_ref="cus_3",
    payment_method_ref="pm_5",
    payment_method_type="card",
    description="Brown teapot, order 1042",
    metadata={"encore_offer": "offer-1", "encore_order": "1042"},
)

#: Sent with every single call.
ALWAYS = {"Authorization": "Bearer sk_test_unit", "Stripe-Version": "2026-10-28.endive"}


def with_key(key: str) -> Any:
    return header_matcher(ALWAYS | {"Idempotency-Key": key})


def body(sent: dict[str, str]) -> Any:
    return urlencoded_params_matcher(sent)


def test_the_gateway_is_the_port(gateway: StripeGateway) -> None:
    port: Gateway = gateway
    assert port.livemode is False


def test_creating_sends_exactly_the_frozen_terms_and_never_confirms(
    gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.post(
        f"{URL}/payment_intents",
        json=intent_json(),
        match=[
            with_key("pp:offer-1:create:0"),
            body(
                {
                    "amount": "1161",
                    "currency": "gbp",
                    "customer": "cus_3",
                    "payment_method": "pm_5",
                    "allowed_payment_method_types[0]": "card",
                    "description": "Brown teapot, order 1042",
                    "metadata[encore_offer]": "offer-1",
                    "metadata[encore_order]": "1042",
                }
            ),
        ],
    )
    assert gateway.create_intent(REQUEST, idempotency_key="pp:offer-1:create:0") == IntentSnapshot(
        ref="pi_7",
        status=IntentStatus.REQUIRES_CONFIRMATION,
        amount=Money(1161, "gbp"),
        amount_received=0,
        customer_ref="cus_3",
        payment_method_ref="pm_5",
        livemode=False,
        created=1763756400,
        metadata={"encore_offer": "offer-1"},
        failure_code="",
        client_secret="pi_7_secret_q",
    )


def test_confirming_is_on_session_with_the_check_in_the_page(
    gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.post(
        f"{URL}/payment_intents/pi_7/confirm",
        json=intent_json(status="succeeded", amount_received=1161),
        match=[
            with_key("pp:offer-1:confirm:1"),
            # The whole body: an off_session here would tell the bank that the shopper is absent (invariant I7).
            body({"use_stripe_sdk": "true", "return_url": "https://shop.example/thanks/1042"}),
        ],
    )
    snapshot = gateway.confirm_intent(
        "pi_7", idempotency_key="pp:offer-1:confirm:1", return_url="https://shop.example/thanks/1042"
    )
    assert (snapshot.status, snapshot.amount_received) == (IntentStatus.SUCCEEDED, 1161)


def test_a_bank_that_wants_the_shopper_is_an_answer(gateway: StripeGateway, stripe_api: responses.RequestsMock) -> None:
    stripe_api.post(f"{URL}/payment_intents/pi_7/confirm", json=intent_json(status="requires_action"))
    snapshot = gateway.confirm_intent("pi_7", idempotency_key="k", return_url="https://shop.example/")
    assert (snapshot.status, snapshot.client_secret) == (IntentStatus.REQUIRES_ACTION, "pi_7_secret_q")


@pytest.mark.parametrize(
    ("error", "failure_code"),
    [
        ({"code": "card_declined", "decline_code": "insufficient_funds"}, "insufficient_funds"),
        ({"code": "card_declined", "decline_code": "generic_decline"}, "generic_decline"),
        ({"code": "expired_card"}, "expired_card"),
        ({"code": "authentication_required", "decline_code": "authentication_required"}, "authentication_required"),
    ],
)
def test_a_banks_no_is_an_answer_with_its_decline_code(
    error: dict[str, str], failure_code: str, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    declined = intent_json(status="requires_payment_method", payment_method=None)
    stripe_api.post(
        f"{URL}/payment_intents/pi_7/confirm",
        status=402,
        json=error_json(type="card_error", payment_intent=declined, **error),
    )
    snapshot = gateway.confirm_intent("pi_7", idempotency_key="k", return_url="https://shop.example/")
    assert snapshot == IntentSnapshot(
        ref="pi_7",
        status=IntentStatus.REQUIRES_PAYMENT_METHOD,
        amount=Money(1161, "gbp"),
        amount_received=0,
        customer_ref="cus_3",
        payment_method_ref=None,
        livemode=False,
        created=1763756400,
        metadata={"encore_offer": "offer-1"},
        failure_code=failure_code,
        client_secret="pi_7_secret_q",
    )


@pytest.mark.parametrize(
    ("stands", "failure_code"),
    [
        ({"status": "requires_payment_method"}, "do_not_honor"),
        (
            {
                "status": "requires_payment_method",
                "last_payment_error": {"code": "card_declined", "decline_code": "fraudulent"},
            },
            "fraudulent",
        ),
        # Paid by another card in the meantime: the old no is no news any more.
        ({"status": "succeeded"}, ""),
    ],
)
def test_a_no_without_its_payment_intent_is_read_anew(
    stands: dict[str, Any], failure_code: str, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.post(
        f"{URL}/payment_intents/pi_7/confirm",
        status=402,
        json=error_json(type="card_error", code="card_declined", decline_code="do_not_honor"),
    )
    stripe_api.get(f"{URL}/payment_intents/pi_7", json=intent_json(**stands))
    snapshot = gateway.confirm_intent("pi_7", idempotency_key="k", return_url="https://shop.example/")
    assert (snapshot.status, snapshot.failure_code) == (IntentStatus(stands["status"]), failure_code)


def test_confirming_what_had_moved_on_answers_how_it_stands(
    gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.post(
        f"{URL}/payment_intents/pi_7/confirm",
        status=400,
        json=error_json(type="invalid_request_error", code="payment_intent_unexpected_state"),
    )
    stripe_api.get(f"{URL}/payment_intents/pi_7", json=intent_json(status="succeeded", amount_received=1161))
    snapshot = gateway.confirm_intent("pi_7", idempotency_key="k", return_url="https://shop.example/")
    assert snapshot.status is IntentStatus.SUCCEEDED
    assert [call.request.method for call in stripe_api.calls] == ["POST", "GET"]


def test_cancelling_sends_nothing_but_its_key(gateway: StripeGateway, stripe_api: responses.RequestsMock) -> None:
    stripe_api.post(
        f"{URL}/payment_intents/pi_7/cancel",
        json=intent_json(status="canceled"),
        match=[with_key("pp:offer-1:cancel")],
    )
    assert gateway.cancel_intent("pi_7", idempotency_key="pp:offer-1:cancel").status is IntentStatus.CANCELED
    assert not stripe_api.calls[0].request.body


def test_cancelling_what_was_paid_answers_that_it_was_paid(
    gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.post(
        f"{URL}/payment_intents/pi_7/cancel",
        status=400,
        json=error_json(type="invalid_request_error", code="payment_intent_unexpected_state"),
    )
    stripe_api.get(f"{URL}/payment_intents/pi_7", json=intent_json(status="succeeded", amount_received=1161))
    assert gateway.cancel_intent("pi_7", idempotency_key="k").status is IntentStatus.SUCCEEDED


def test_reading_an_intent_is_one_get_without_a_key(gateway: StripeGateway, stripe_api: responses.RequestsMock) -> None:
    stripe_api.get(f"{URL}/payment_intents/pi_7", json=intent_json(), match=[header_matcher(ALWAYS)])
    assert gateway.intent("pi_7").ref == "pi_7"
    assert len(stripe_api.calls) == 1
    assert "Idempotency-Key" not in stripe_api.calls[0].request.headers


PAID = {"status": "succeeded", "amount_received": 1161}
CARD = {"id": "pm_5", "object": "payment_method", "type": "card", "card": {"brand": "visa", "last4": "4242"}}


@pytest.mark.parametrize(
    ("answered", "attached", "method", "card"),
    [
        ({"payment_method": CARD | {"customer": "cus_3"}}, True, ("pm_5", "card"), ("visa", "4242")),
        ({"payment_method": CARD | {"customer": None}}, False, ("pm_5", "card"), ("visa", "4242")),
        ({"payment_method": CARD | {"customer": "cus_9"}}, False, ("pm_5", "card"), ("visa", "4242")),
        ({"payment_method": CARD | {"customer": None}, "customer": None}, False, ("pm_5", "card"), ("visa", "4242")),
        ({"payment_method": None}, False, (None, ""), ("", "")),
        (
            {"payment_method": {"id": "pm_6", "type": "link", "link": {"email": "a@b.c"}, "customer": "cus_3"}},
            True,
            ("pm_6", "link"),
            ("", ""),
        ),
    ],
    ids=["saved", "not saved", "saved to someone else", "guest", "no method", "link"],
)
def test_a_payment_is_read_with_its_method_in_one_call(
    answered: dict[str, Any],
    attached: bool,
    method: tuple[str | None, str],
    card: tuple[str, str],
    gateway: StripeGateway,
    stripe_api: responses.RequestsMock,
) -> None:
    stripe_api.get(
        f"{URL}/payment_intents/pi_7",
        json=intent_json(**PAID, **answered),
        match=[query_param_matcher({"expand[0]": "payment_method"})],
    )
    assert gateway.payment("pi_7") == PaymentSnapshot(
        payment_intent_ref="pi_7",
        status=IntentStatus.SUCCEEDED,
        amount=Money(1161, "gbp"),
        livemode=False,
        customer_ref=answered.get("customer", "cus_3"),
        payment_method_ref=method[0],
        payment_method_type=method[1],
        attached=attached,
        card_brand=card[0],
        card_last4=card[1],
    )
    assert len(stripe_api.calls) == 1


def test_a_customers_intents_come_from_the_list_and_from_all_its_pages(
    gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    asked = {"customer": "cus_3", "created[gte]": "1763750000", "limit": "100"}
    url = f"{URL}/payment_intents"
    stripe_api.get(
        url,
        json=page_json("/v1/payment_intents", intent_json(id="pi_9"), intent_json(id="pi_8"), has_more=True),
        match=[query_param_matcher(asked)],
    )
    stripe_api.get(
        url,
        json=page_json("/v1/payment_intents", intent_json(id="pi_7")),
        match=[query_param_matcher(asked | {"starting_after": "pi_8"})],
    )
    found = gateway.intents_of("cus_3", created_since=1763750000)
    assert [intent.ref for intent in found] == ["pi_9", "pi_8", "pi_7"]


def test_a_customer_without_intents_has_none(gateway: StripeGateway, stripe_api: responses.RequestsMock) -> None:
    stripe_api.get(f"{URL}/payment_intents", json=page_json("/v1/payment_intents"))
    assert gateway.intents_of("cus_3", created_since=0) == ()


def test_refunding_sends_the_amount_and_its_own_key(gateway: StripeGateway, stripe_api: responses.RequestsMock) -> None:
    stripe_api.post(
        f"{URL}/refunds",
        json=refund_json(status="pending"),
        match=[
            with_key("pp:offer-1:refund:0"),
            body(
                {
                    "payment_intent": "pi_7",
                    "amount": "1161",
                    "reason": "requested_by_customer",
                    "metadata[encore_offer]": "offer-1",
                }
            ),
        ],
    )
    refund = gateway.refund(
        "pi_7", Money(1161, "gbp"), idempotency_key="pp:offer-1:refund:0", metadata={"encore_offer": "offer-1"}
    )
    assert refund == RefundSnapshot(
        ref="re_9",
        status=RefundStatus.PENDING,
        amount=Money(1161, "gbp"),
        payment_intent_ref="pi_7",
        metadata={"encore_offer": "offer-1"},
    )


def test_refunds_are_listed_newest_first(gateway: StripeGateway, stripe_api: responses.RequestsMock) -> None:
    stripe_api.get(
        f"{URL}/refunds",
        json=page_json("/v1/refunds", refund_json(id="re_2", metadata=None), refund_json(id="re_1", status="failed")),
        match=[query_param_matcher({"payment_intent": "pi_7", "limit": "100"})],
    )
    found = gateway.refunds_of("pi_7")
    assert [(refund.ref, refund.status.value, refund.metadata) for refund in found] == [
        ("re_2", "succeeded", {}),
        ("re_1", "failed", {"encore_offer": "offer-1"}),
    ]


@pytest.mark.parametrize(
    ("charge", "disputed"),
    [(None, False), ({"id": "ch_1", "disputed": False}, False), ({"id": "ch_1", "disputed": True}, True)],
)
def test_a_dispute_is_read_off_the_latest_charge(
    charge: dict[str, Any] | None, disputed: bool, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.get(
        f"{URL}/payment_intents/pi_7",
        json=intent_json(latest_charge=charge),
        match=[query_param_matcher({"expand[0]": "latest_charge"})],
    )
    assert gateway.is_disputed("pi_7") is disputed


@pytest.mark.parametrize(
    ("charge", "fee"),
    [
        (None, None),
        ({"id": "ch_1", "balance_transaction": None}, None),
        ({"id": "ch_1", "balance_transaction": {"id": "txn_1", "fee": 64, "currency": "gbp"}}, Money(64, "gbp")),
        ({"id": "ch_1", "balance_transaction": {"id": "txn_1", "fee": 0, "currency": "eur"}}, Money(0, "eur")),
    ],
)
def test_a_fee_is_read_off_the_line_of_the_balance(
    charge: dict[str, Any] | None, fee: Money | None, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.get(
        f"{URL}/payment_intents/pi_7",
        json=intent_json(latest_charge=charge),
        match=[query_param_matcher({"expand[0]": "latest_charge.balance_transaction"})],
    )
    assert gateway.fee("pi_7") == (None if fee is None else Fee(amount=fee))


@pytest.mark.parametrize("line", ["txn_1", {"fee": "64", "currency": "gbp"}, {"fee": True, "currency": "gbp"}, {}])
def test_a_fee_that_cannot_be_read_is_no_answer(
    line: Any, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    charge = {"id": "ch_1", "balance_transaction": line}
    stripe_api.get(f"{URL}/payment_intents/pi_7", json=intent_json(latest_charge=charge))
    with pytest.raises(GatewayUnknown):
        gateway.fee("pi_7")


ENDPOINT = {
    "id": "we_1",
    "object": "webhook_endpoint",
    "url": "https://shop.example/encore/stripe/webhook",
    "status": "enabled",
    "api_version": "2026-10-28.endive",
    "enabled_events": ["payment_intent.succeeded"],
    "livemode": False,
}


def test_the_doctor_reads_the_account_and_its_webhook_endpoints(
    gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.get(f"{URL}/account", json={"id": "acct_1", "object": "account", "charges_enabled": True})
    stripe_api.get(f"{URL}/webhook_endpoints", json=page_json("/v1/webhook_endpoints", ENDPOINT))
    assert gateway.doctor() == {
        "account": "acct_1",
        "charges_enabled": True,
        "livemode": False,
        "webhook_endpoints": [
            {
                "url": "https://shop.example/encore/stripe/webhook",
                "status": "enabled",
                "api_version": "2026-10-28.endive",
                "enabled_events": ["payment_intent.succeeded"],
            }
        ],
    }


def test_the_doctor_says_none_for_what_a_restricted_key_may_not_see(
    gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    denied = error_json(type="invalid_request_error", message="The provided key does not have access")
    stripe_api.get(f"{URL}/account", status=403, json=denied)
    stripe_api.get(f"{URL}/webhook_endpoints", status=403, json=denied)
    assert gateway.doctor() == {
        "account": None,
        "charges_enabled": None,
        "livemode": False,
        "webhook_endpoints": None,
    }


def test_the_doctor_does_not_hide_a_wrong_key(gateway: StripeGateway, stripe_api: responses.RequestsMock) -> None:
    stripe_api.get(f"{URL}/account", status=401, json=error_json(type="invalid_request_error", code="api_key_expired"))
    with pytest.raises(GatewayRefused) as refused:
        gateway.doctor()
    assert refused.value.code == "api_key_expired"


def test_a_connected_account_is_named_on_reading_and_on_writing(stripe_api: responses.RequestsMock) -> None:
    gateway = StripeGateway(Settings(stripe_secret_key="sk_test_unit", stripe_account="acct_77"))
    named = header_matcher({"Stripe-Account": "acct_77"})
    stripe_api.post(f"{URL}/payment_intents", json=intent_json(), match=[named])
    stripe_api.get(f"{URL}/payment_intents/pi_7", json=intent_json(), match=[named])
    gateway.create_intent(REQUEST, idempotency_key="k")
    assert gateway.intent("pi_7").ref == "pi_7"


def test_no_account_is_named_for_ones_own(gateway: StripeGateway, stripe_api: responses.RequestsMock) -> None:
    stripe_api.get(f"{URL}/payment_intents/pi_7", json=intent_json())
    gateway.intent("pi_7")
    assert "Stripe-Account" not in stripe_api.calls[0].request.headers


def test_another_address_gets_every_call(stripe_api: responses.RequestsMock) -> None:
    gateway = StripeGateway(Settings(stripe_secret_key="sk_test_unit", stripe_api_base="http://127.0.0.1:8420/"))
    stripe_api.get("http://127.0.0.1:8420/v1/payment_intents/pi_7", json=intent_json())
    assert gateway.intent("pi_7").ref == "pi_7"


def test_connecting_gets_three_seconds_and_answering_twenty(
    gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.get(f"{URL}/payment_intents/pi_7", json=intent_json())
    gateway.intent("pi_7")
    assert stripe_api.calls[0].request.req_kwargs["timeout"] == (3.05, 20.0)  # type: ignore[attr-defined]


def test_the_api_and_stripe_js_are_of_one_release() -> None:
    """Stripe.js solves what the API asks for; releases share a name, here "endive"."""
    assert API_VERSION.partition(".")[2] == "endive"
    assert STRIPE_JS == "https://js.stripe.com/endive/stripe.js"


def test_a_live_key_is_known_to_be_live() -> None:
    assert StripeGateway(Settings(stripe_secret_key="rk_live_unit")).livemode is True


def test_without_a_key_there_is_no_gateway() -> None:
    with pytest.raises(ConfigurationError, match="ENCORE_STRIPE_SECRET_KEY is missing"):
        StripeGateway(Settings())


def test_the_hosts_own_use_of_the_sdk_is_left_alone() -> None:
    switches = ("api_key", "api_base", "api_version", "enable_telemetry", "max_network_retries", "app_info", "log")
    before = {name: getattr(stripe, name) for name in switches}
    StripeGateway(Settings(stripe_secret_key="sk_test_unit", stripe_api_base="http://127.0.0.1:8420"))
    assert {name: getattr(stripe, name) for name in switches} == before


def test_a_request_nobody_expected_fails_the_test_that_made_it(gateway: StripeGateway) -> None:
    with pytest.raises(AssertionError, match=r"GET https://api\.stripe\.com/v1/payment_intents/pi_8"):  # noqa: SIM117
        with only_expected_requests() as mock:
            mock.get(f"{URL}/payment_intents/pi_7", json=intent_json())
            gateway.intent("pi_7")
            with pytest.raises(Exception, match="did not answer"):
                gateway.intent("pi_8")


def test_a_matcher_compares_the_whole_body() -> None:
    """The guard of the exact-body tests above: one field more must not match."""
    with responses.RequestsMock() as mock:
        mock.post(f"{URL}/refunds", match=[body({"amount": "1"})])
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{URL}/refunds", data={"amount": "1", "off_session": "true"}, timeout=1)
        requests.post(f"{URL}/refunds", data={"amount": "1"}, timeout=1)
