"""Every way a call to Stripe can end badly, and which of the three errors it is told as."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import requests
import responses
from unit.payments.stripe_json import URL, error_json, intent_json, page_json, refund_json

from flask_encore.domain.errors import GatewayBusy, GatewayError, GatewayRefused, GatewayUnknown
from flask_encore.domain.money import Money
from flask_encore.domain.ports import IntentRequest
from flask_encore.payments.stripe_gateway import StripeGateway

REQUEST = IntentRequest(
    amount=Money(1161, "gbp"),
    customer_ref="cus_3",
    payment_method_ref="pm_5",
    payment_method_type="card",
    description="Brown teapot",
    metadata={},
)

Call = Callable[[StripeGateway], object]

#: Every method that speaks, by the request it makes.
CALLS: dict[str, tuple[str, str, Call]] = {
    "payment": ("GET", "/payment_intents/pi_7", lambda g: g.payment("pi_7")),
    "create": ("POST", "/payment_intents", lambda g: g.create_intent(REQUEST, idempotency_key="k")),
    "confirm": (
        "POST",
        "/payment_intents/pi_7/confirm",
        lambda g: g.confirm_intent("pi_7", idempotency_key="k", return_url="https://shop.example/"),
    ),
    "intent": ("GET", "/payment_intents/pi_7", lambda g: g.intent("pi_7")),
    "cancel": ("POST", "/payment_intents/pi_7/cancel", lambda g: g.cancel_intent("pi_7", idempotency_key="k")),
    "intents of": ("GET", "/payment_intents", lambda g: g.intents_of("cus_3", created_since=0)),
    "refund": ("POST", "/refunds", lambda g: g.refund("pi_7", Money(1, "gbp"), idempotency_key="k", metadata={})),
    "refunds of": ("GET", "/refunds", lambda g: g.refunds_of("pi_7")),
    "fee of": ("GET", "/payment_intents/pi_7", lambda g: g.fee("pi_7")),
    "dispute of": ("GET", "/payment_intents/pi_7", lambda g: g.is_disputed("pi_7")),
    "account": ("GET", "/account", lambda g: g.doctor()),
}

each_call = pytest.mark.parametrize(("method", "path", "call"), CALLS.values(), ids=CALLS.keys())


def create(gateway: StripeGateway) -> object:
    return gateway.create_intent(REQUEST, idempotency_key="k")


@each_call
def test_no_answer_in_time_is_unknown_and_is_asked_once(
    method: str, path: str, call: Call, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.add(method, URL + path, body=requests.exceptions.ReadTimeout("read timed out"))
    with pytest.raises(GatewayUnknown) as unknown:
        call(gateway)
    assert unknown.value.answer_stored is False
    assert len(stripe_api.calls) == 1


@each_call
def test_a_stored_failure_is_unknown_and_says_that_it_is_stored(
    method: str, path: str, call: Call, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.add(method, URL + path, status=500, json=error_json(type="api_error"))
    with pytest.raises(GatewayUnknown) as unknown:
        call(gateway)
    assert unknown.value.answer_stored is True
    assert len(stripe_api.calls) == 1


@each_call
def test_too_many_requests_is_busy(
    method: str, path: str, call: Call, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.add(method, URL + path, status=429, json=error_json(type="invalid_request_error", code="rate_limit"))
    with pytest.raises(GatewayBusy):
        call(gateway)
    assert len(stripe_api.calls) == 1


@each_call
def test_what_does_not_exist_is_refused_with_stripes_code(
    method: str, path: str, call: Call, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.add(
        method, URL + path, status=404, json=error_json(type="invalid_request_error", code="resource_missing")
    )
    with pytest.raises(GatewayRefused) as refused:
        call(gateway)
    assert refused.value.code == "resource_missing"
    assert len(stripe_api.calls) == 1


@each_call
def test_an_answer_that_is_no_object_is_unknown(
    method: str, path: str, call: Call, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.add(method, URL + path, body="[]")
    with pytest.raises(GatewayUnknown) as unknown:
        call(gateway)
    assert unknown.value.answer_stored is False


@pytest.mark.parametrize(
    "fault",
    [
        requests.exceptions.ConnectTimeout("connect timed out"),
        requests.exceptions.ConnectionError("connection refused"),
        requests.exceptions.ConnectionError("connection reset by peer"),
        requests.exceptions.ChunkedEncodingError("answer broke off"),
        requests.exceptions.SSLError("certificate verify failed"),
    ],
    ids=str,
)
def test_every_network_fault_is_unknown(
    fault: Exception, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.post(f"{URL}/payment_intents", body=fault)
    with pytest.raises(GatewayUnknown) as unknown:
        create(gateway)
    assert unknown.value.answer_stored is False
    assert len(stripe_api.calls) == 1


@pytest.mark.parametrize(
    ("status", "error", "stored"),
    [
        (500, {"type": "api_error"}, True),
        (502, {"type": "api_error"}, True),
        (503, {"type": "api_error", "code": "service_unavailable"}, True),
        # The key was used with other parameters: the first answer stands under it for ever.
        (400, {"type": "idempotency_error"}, True),
        (400, {"type": "idempotency_error", "code": "idempotency_error"}, True),
    ],
)
def test_what_may_have_been_executed_is_unknown(
    status: int, error: dict[str, str], stored: bool, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.post(f"{URL}/payment_intents", status=status, json=error_json(**error))
    with pytest.raises(GatewayUnknown) as unknown:
        create(gateway)
    assert unknown.value.answer_stored is stored


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (409, {"type": "idempotency_error", "code": "idempotency_key_in_use"}),
        (409, {"type": "invalid_request_error"}),
        (429, {"type": "invalid_request_error", "code": "lock_timeout"}),
        (429, {"type": "invalid_request_error", "code": "payment_intent_rate_limit_exceeded"}),
        (429, {"type": "api_error"}),
        (400, {"type": "invalid_request_error", "code": "rate_limit"}),
        (400, {"type": "invalid_request_error", "code": "lock_timeout"}),
    ],
)
def test_what_met_a_lock_or_a_limit_is_busy(
    status: int, error: dict[str, str], gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.post(f"{URL}/payment_intents", status=status, json=error_json(**error))
    with pytest.raises(GatewayBusy):
        create(gateway)


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, {"type": "invalid_request_error", "code": "amount_too_small"}, "amount_too_small"),
        (400, {"type": "invalid_request_error", "code": "parameter_unknown"}, "parameter_unknown"),
        (
            400,
            {"type": "invalid_request_error", "code": "payment_intent_incompatible_payment_method"},
            "payment_intent_incompatible_payment_method",
        ),
        # Only confirming and cancelling may take this one for an answer.
        (
            400,
            {"type": "invalid_request_error", "code": "payment_intent_unexpected_state"},
            "payment_intent_unexpected_state",
        ),
        (400, {"type": "invalid_request_error"}, "invalid_request_error"),
        (401, {"type": "invalid_request_error"}, "invalid_request_error"),
        (402, {"type": "card_error", "code": "card_declined", "decline_code": "lost_card"}, "card_declined"),
        (403, {"type": "invalid_request_error", "code": "secret_key_required"}, "secret_key_required"),
    ],
)
def test_what_stripe_understood_and_will_not_do_is_refused(
    status: int, error: dict[str, str], code: str, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.post(f"{URL}/payment_intents", status=status, json=error_json(**error))
    with pytest.raises(GatewayRefused) as refused:
        create(gateway)
    assert refused.value.code == code


@pytest.mark.parametrize("verb", ["confirm", "cancel"])
def test_another_bad_request_on_confirm_and_cancel_is_refused(
    verb: str, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    method, path, call = CALLS[verb]
    stripe_api.add(
        method,
        URL + path,
        status=400,
        json=error_json(type="invalid_request_error", code="payment_method_unactivated"),
    )
    with pytest.raises(GatewayRefused) as refused:
        call(gateway)
    assert refused.value.code == "payment_method_unactivated"
    assert len(stripe_api.calls) == 1


@pytest.mark.parametrize("verb", ["confirm", "cancel"])
def test_when_it_moved_on_and_the_second_look_fails_the_end_is_unknown(
    verb: str, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    method, path, call = CALLS[verb]
    stripe_api.add(
        method,
        URL + path,
        status=400,
        json=error_json(type="invalid_request_error", code="payment_intent_unexpected_state"),
    )
    stripe_api.get(f"{URL}/payment_intents/pi_7", body=requests.exceptions.ReadTimeout("read timed out"))
    with pytest.raises(GatewayUnknown):
        call(gateway)
    assert len(stripe_api.calls) == 2


def test_an_over_refund_is_refused_by_stripes_own_guard(
    gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.post(
        f"{URL}/refunds",
        status=400,
        json=error_json(type="invalid_request_error", code="charge_already_refunded"),
    )
    with pytest.raises(GatewayRefused) as refused:
        gateway.refund("pi_7", Money(1161, "gbp"), idempotency_key="k", metadata={})
    assert refused.value.code == "charge_already_refunded"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, ""),
        (200, "<html>login to the hotel's network</html>"),
        (200, '{"id": "pi_7", "client_secret": "pi_7_secret_q", "amount": 11'),
        (200, "null"),
        (200, '"pi_7"'),
        (200, "\xff\xfe"),
        (200, "{}"),
        (402, "<html>blocked</html>"),
        (403, '{"message": "denied by a firewall"}'),
        (400, '{"error": "not the way Stripe writes one"}'),
        (400, '{"error": null}'),
        (429, "slow down"),
        (502, "<html>bad gateway</html>"),
        (503, "[]"),
    ],
)
def test_an_answer_stripe_did_not_write_is_unknown_whatever_its_status(
    status: int, text: str, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.post(f"{URL}/payment_intents", status=status, body=text.encode("latin-1"))
    with pytest.raises(GatewayUnknown) as unknown:
        create(gateway)
    assert unknown.value.answer_stored is False


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "requires_source"},
        {"status": None},
        {"amount": 11.61},
        {"amount": "1161"},
        {"amount": None},
        {"amount_received": True},
        {"created": "1763756400"},
        {"livemode": "false"},
        {"metadata": None},
        {"currency": "pounds"},
        {"id": None},
    ],
    ids=str,
)
def test_an_intent_with_a_field_nobody_can_read_is_unknown(
    changes: dict[str, Any], gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.get(f"{URL}/payment_intents/pi_7", json=intent_json(**changes))
    with pytest.raises(GatewayUnknown):
        gateway.intent("pi_7")


@pytest.mark.parametrize(
    "field", ["id", "status", "amount", "amount_received", "currency", "livemode", "created", "metadata", "customer"]
)
def test_an_intent_with_a_missing_field_is_unknown(
    field: str, gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    intent = intent_json()
    del intent[field]
    stripe_api.get(f"{URL}/payment_intents/pi_7", json=intent)
    with pytest.raises(GatewayUnknown):
        gateway.intent("pi_7")


@pytest.mark.parametrize("changes", [{"status": "lost"}, {"payment_intent": None}, {"amount": 0.5}], ids=str)
def test_a_refund_nobody_can_read_is_unknown(
    changes: dict[str, Any], gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.get(f"{URL}/refunds", json=page_json("/v1/refunds", refund_json(**changes)))
    with pytest.raises(GatewayUnknown):
        gateway.refunds_of("pi_7")


def test_a_second_page_that_fails_fails_the_whole_list(
    gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.get(f"{URL}/payment_intents", json=page_json("/v1/payment_intents", intent_json(), has_more=True))
    stripe_api.get(f"{URL}/payment_intents", status=429, json=error_json(type="api_error"))
    with pytest.raises(GatewayBusy):
        gateway.intents_of("cus_3", created_since=0)


def test_a_failure_is_logged_by_its_ids_and_codes(
    gateway: StripeGateway, stripe_api: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    stripe_api.get(
        f"{URL}/payment_intents/pi_7",
        status=404,
        headers={"Request-Id": "req_1"},
        json=error_json(type="invalid_request_error", code="resource_missing", message="for ann@example.org"),
    )
    with caplog.at_level(logging.DEBUG, logger="flask_encore"), pytest.raises(GatewayRefused):
        gateway.intent("pi_7")
    assert caplog.record_tuples == [
        (
            "flask_encore.payments",
            logging.WARNING,
            "stripe intent pi_7: InvalidRequestError (http 404, code resource_missing, req_1)",
        )
    ]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, '{"id": "pi_7", "client_secret": "pi_7_secret_q", "amount": 11'),
        (200, '{"id": "pi_7", "client_secret": "pi_7_secret_q", "status": "requires_source"}'),
        (402, '{"error": {"type": "card_error", "payment_intent": {"client_secret": "pi_7_secret_q"}}}'),
        (500, '{"client_secret": "pi_7_secret_q"}'),
    ],
)
def test_a_client_secret_is_in_no_log_and_no_traceback(
    status: int,
    text: str,
    gateway: StripeGateway,
    stripe_api: responses.RequestsMock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stripe_api.post(f"{URL}/payment_intents/pi_7/confirm", status=status, body=text)
    with caplog.at_level(logging.DEBUG, logger="flask_encore"), pytest.raises(GatewayError) as caught:
        gateway.confirm_intent("pi_7", idempotency_key="k", return_url="https://shop.example/")
    assert "secret_q" not in "".join(traceback.format_exception(caught.value))
    assert "secret_q" not in caplog.text
    assert [record.name for record in caplog.records] == ["flask_encore.payments"]


def test_a_client_secret_is_not_in_the_snapshots_representation(
    gateway: StripeGateway, stripe_api: responses.RequestsMock
) -> None:
    stripe_api.get(f"{URL}/payment_intents/pi_7", json=intent_json())
    assert "secret_q" not in repr(gateway.intent("pi_7"))
