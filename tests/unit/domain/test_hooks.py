"""Signatures, secrets and patience of outbound webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from receivers import Request, verifies

from flask_encore.domain.hooks import (
    GIVE_UP_AFTER,
    Webhook,
    body_of,
    headers_of,
    message_ref,
    secret_of,
    signature,
    wait_after,
)

NOW = datetime(2026, 3, 2, 14, 3, tzinfo=UTC)
OLD, NEW = secret_of(b"o" * 32), secret_of(b"n" * 32)


def webhook(**changes: object) -> Webhook:
    values: dict[str, object] = {"id": 1, "url": "https://hooks.example.com/?key=k-17", "secret": NEW, "kinds": ()}
    values |= {
        "active_since": NOW,
        "previous_secret": None,
        "previous_until": None,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Webhook(**values | changes)  # type: ignore[arg-type]


def test_the_specifications_own_example_comes_out() -> None:
    said = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_headers_carry_one_signature_per_secret_and_each_receiver_finds_its_own() -> None:
    body = body_of("charge_succeeded", {"order_ref": "1042"}, at=NOW.isoformat())
    headers = headers_of("msg_1", body, secrets=[NEW, OLD], now=NOW)
    request = Request(path="/", headers=headers, body=body)

    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_1", "1772460180")
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert [verifies(request, secret) for secret in (NEW, OLD, secret_of(b"x" * 32))] == [True, True, False]


def test_what_is_changed_on_the_way_does_not_verify() -> None:
    body = b'{"type":"charge_succeeded"}'
    headers = headers_of("msg_1", body, secrets=[NEW], now=NOW)

    assert verifies(Request(path="/", headers=headers, body=body), NEW)
    for name, value in (("webhook-id", "msg_2"), ("webhook-timestamp", "1772460181")):
        assert not verifies(Request(path="/", headers=headers | {name: value}, body=body), NEW)
    assert not verifies(Request(path="/", headers=headers, body=body + b" "), NEW)


def test_a_body_says_type_time_and_data_and_survives_every_character() -> None:
    body = body_of("charge_succeeded", {"text": "Grüße \ud83d\ud800 <b>"}, at="2026-03-02T14:03:00+00:00")

    assert json.loads(body) == {
        "type": "charge_succeeded",
        "timestamp": "2026-03-02T14:03:00+00:00",
        "data": {"text": "Grüße \ud83d\ud800 <b>"},
    }


def test_a_secret_has_the_specifications_form_and_does_not_say_itself() -> None:
    secret = secret_of(bytes(range(32)))

    assert secret == "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert repr(secret) == "Secret('whsec_…')"
    for length in (23, 65):
        with pytest.raises(ValueError, match="24 to 64"):
            secret_of(b"x" * length)


def test_an_endpoints_repr_has_neither_its_secrets_nor_its_url() -> None:
    said = repr(webhook(previous_secret=OLD, previous_until=NOW))

    assert not any(part in said for part in (NEW[6:], OLD[6:], "k-17"))


def test_a_replaced_secret_signs_until_its_time_is_over() -> None:
    found = webhook(previous_secret=OLD, previous_until=NOW + timedelta(hours=24))

    assert found.secrets(NOW) == (NEW, OLD)
    assert found.secrets(NOW + timedelta(hours=24)) == (NEW,)
    assert webhook().secrets(NOW) == (NEW,)


def test_an_endpoint_wants_what_it_named_or_everything() -> None:
    assert webhook().wants("charge_failed")
    assert webhook(kinds=("hold_released",)).wants("hold_released")
    assert not webhook(kinds=("hold_released",)).wants("charge_failed")


def test_a_messages_id_is_its_key_without_colons() -> None:
    assert message_ref("0f3a:charge_succeeded:1") == "msg_0f3a_charge_succeeded_1"


def test_the_wait_doubles_up_to_six_hours_give_or_take_a_fifth() -> None:
    waits = [wait_after(attempts, seed="7").total_seconds() for attempts in range(1, 40)]
    plain = [min(5 * 2**place, 21_600) for place in range(39)]

    assert all(0.8 * p <= wait <= 1.2 * p for wait, p in zip(waits, plain, strict=True))
    assert waits == [wait_after(attempts, seed="7").total_seconds() for attempts in range(1, 40)]
    assert len({wait_after(20, seed=str(seed)) for seed in range(100)}) == 100


def test_three_days_are_a_few_dozen_attempts() -> None:
    gone, attempts = timedelta(), 1
    while gone < GIVE_UP_AFTER:
        gone += wait_after(attempts, seed="7")
        attempts += 1

    assert 20 <= attempts <= 30
