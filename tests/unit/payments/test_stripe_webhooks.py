"""Which bytes from a stranger are believed to be Stripe's."""

from __future__ import annotations

import hashlib
import hmac
import json
import traceback
from datetime import UTC, datetime
from typing import Any

import pytest

from flask_encore.config import Settings
from flask_encore.domain.errors import SignatureInvalid
from flask_encore.domain.ports import GatewayEvent
from flask_encore.payments.stripe_gateway import StripeGateway

NOW = 1763756400
SECRET = "whsec_new"
OLD_SECRET = "whsec_old"

EVENT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "type": "payment_intent.succeeded",
    "livemode": False,
    "data": {"object": {"id": "pi_7", "object": "payment_intent", "amount": 1161}},
}


def v1(body: bytes, *, secret: str = SECRET, at: int = NOW) -> str:
    return hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()


def signed(body: bytes, *, secret: str = SECRET, at: int = NOW) -> str:
    return f"t={at},v1={v1(body, secret=secret, at=at)}"


@pytest.fixture
def gateway() -> StripeGateway:
    settings = Settings(stripe_secret_key="sk_test_unit", stripe_webhook_secrets=(SECRET, OLD_SECRET))
    return StripeGateway(settings, clock=lambda: datetime.fromtimestamp(NOW, UTC))


def event_body(**changes: Any) -> bytes:
    return json.dumps(EVENT | changes).encode()


def about(**fields: Any) -> bytes:
    return event_body(data={"object": fields})


def test_a_signed_event_is_told_by_its_identity(gateway: StripeGateway) -> None:
    body = event_body()
    assert gateway.event(body, signed(body)) == GatewayEvent(
        id="evt_1",
        type="payment_intent.succeeded",
        object_ref="pi_7",
        payment_intent_ref="pi_7",
        livemode=False,
        account=None,
    )


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_every_configured_secret_is_tried(secret: str, gateway: StripeGateway) -> None:
    body = event_body()
    assert gateway.event(body, signed(body, secret=secret)).id == "evt_1"


def test_one_right_signature_among_wrong_ones_is_enough(gateway: StripeGateway) -> None:
    body = event_body()
    header = f"t={NOW},v1={'0' * 64},v1={v1(body)},v0={'1' * 64}"
    assert gateway.event(body, header).id == "evt_1"


@pytest.mark.parametrize(
    ("fields", "object_ref", "payment_intent_ref"),
    [
        ({"id": "re_1", "object": "refund", "payment_intent": "pi_7"}, "re_1", "pi_7"),
        ({"id": "dp_1", "object": "dispute", "payment_intent": "pi_7"}, "dp_1", "pi_7"),
        ({"id": "ch_1", "object": "charge", "payment_intent": {"id": "pi_7"}}, "ch_1", "pi_7"),
        ({"id": "ch_1", "object": "charge", "payment_intent": None}, "ch_1", None),
        ({"id": "pm_1", "object": "payment_method"}, "pm_1", None),
        # A shop's endpoint may be subscribed to everything; an object without an id is still Stripe's word.
        ({"object": "balance"}, "", None),
    ],
)
def test_an_event_names_its_object_and_the_payment_intent_behind_it(
    fields: dict[str, Any], object_ref: str, payment_intent_ref: str | None, gateway: StripeGateway
) -> None:
    body = about(**fields)
    event = gateway.event(body, signed(body))
    assert (event.object_ref, event.payment_intent_ref) == (object_ref, payment_intent_ref)


@pytest.mark.parametrize(
    ("metadata", "charge_ref"),
    [
        ({"encore_charge": "offer-1", "other": "x"}, "offer-1"),
        ({"other": "x"}, ""),
        ({}, ""),
        (None, ""),
        ({"encore_charge": 7}, ""),
    ],
    ids=repr,
)
def test_an_event_names_our_charge_when_its_metadata_does(
    metadata: Any, charge_ref: str, gateway: StripeGateway
) -> None:
    body = about(id="pi_7", object="payment_intent", metadata=metadata)
    assert gateway.event(body, signed(body)).charge_ref == charge_ref


def test_livemode_and_connected_account_are_told(gateway: StripeGateway) -> None:
    body = event_body(livemode=True, account="acct_77")
    event = gateway.event(body, signed(body))
    assert (event.livemode, event.account) == (True, "acct_77")


@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_a_signature_may_be_five_minutes_off(seconds: int, gateway: StripeGateway) -> None:
    body = event_body()
    assert gateway.event(body, signed(body, at=NOW + seconds)).id == "evt_1"


@pytest.mark.parametrize("seconds", [-86400, -301, 301, 3600])
def test_an_older_and_a_future_signature_are_refused(seconds: int, gateway: StripeGateway) -> None:
    body = event_body()
    with pytest.raises(SignatureInvalid, match="300 seconds away from now"):
        gateway.event(body, signed(body, at=NOW + seconds))


BODY = event_body()
STALE = signed(BODY, at=NOW - 3600)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        "t=",
        f"t={NOW}",
        f"v1={v1(BODY)}",
        f"t={NOW},v1=",
        f"t={NOW},v0={v1(BODY)}",
        f"t={NOW},v1={v1(BODY)[:-1]}",
        f"t={NOW},v1={v1(BODY, secret='whsec_other')}",
        f"t={NOW},v1={v1(BODY, at=NOW + 1)}",
        f"t=-{NOW},v1={v1(BODY)}",
        f"t={NOW}.0,v1={v1(BODY)}",
        f"t=1{'0' * 30},v1={v1(BODY)}",
        f"t=\u0661\u0662\u0663,v1={v1(BODY)}",
        f"t={NOW},v1=\u00fcml\u00e4ut",
        f"t={NOW},v1=\x00",
        # The signature of an hour ago beside the time of now, in every order.
        f"{STALE},t={NOW}",
        f"t={NOW},{STALE}",
        STALE.replace(",", "=x,", 1) + f",t={NOW}",
        f" {STALE},t={NOW}",
        f"t ={NOW},{STALE}",
    ],
)
def test_a_header_that_proves_nothing_is_refused(header: str, gateway: StripeGateway) -> None:
    with pytest.raises(SignatureInvalid):
        gateway.event(BODY, header)


def test_a_changed_body_is_refused(gateway: StripeGateway) -> None:
    with pytest.raises(SignatureInvalid, match="not signed by any"):
        gateway.event(BODY.replace(b"pi_7", b"pi_8"), signed(BODY))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"[1]",
        b"null",
        b"7",
        b'"event"',
        b"{}",
        b'{"object": "event"}',
        b"[" * 100_000,
        event_body(object="v2.core.event"),
        event_body(object="charge"),
        event_body(id=None),
        event_body(id=7),
        event_body(type=None),
        event_body(livemode="false"),
        event_body(livemode=None),
        event_body(data=None),
        event_body(data={}),
        event_body(data={"object": "pi_7"}),
        event_body(data={"object": [1]}),
        event_body(data={"object": {"id": "pi_7", "metadata": "encore_charge"}}),
    ],
    ids=lambda body: repr(body[:40]) if len(body) < 40 else f"{len(body)} bytes, {hashlib.md5(body).hexdigest()[:6]}",
)
def test_a_signed_body_that_is_no_v1_event_is_refused(body: bytes, gateway: StripeGateway) -> None:
    with pytest.raises(SignatureInvalid):
        gateway.event(body, signed(body))


def test_without_secrets_nothing_is_believed() -> None:
    gateway = StripeGateway(Settings(stripe_secret_key="sk_test_unit"), clock=lambda: datetime.fromtimestamp(NOW, UTC))
    with pytest.raises(SignatureInvalid, match="ENCORE_STRIPE_WEBHOOK_SECRETS"):
        gateway.event(BODY, signed(BODY, secret=""))


def test_a_refusal_quotes_nothing_of_what_was_sent(gateway: StripeGateway) -> None:
    body = b'{"email": "ann@example.org"'
    with pytest.raises(SignatureInvalid) as refused:
        gateway.event(body, signed(body))
    assert "ann@example.org" not in "".join(traceback.format_exception(refused.value))
    assert str(refused.value) == "The webhook cannot be read (JSONDecodeError)."
    assert refused.value.__suppress_context__  # what was being read when it failed stays out of every traceback
