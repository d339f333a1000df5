"""Stripe's webhooks come first, late, twice, in any order, forged or oversized: the row is right, and never a 500."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from conftest import WEBHOOK_SECRET, Shop, ShopFactory
from flask import request
from money import (
    SOLD_ONCE,
    Crash,
    books,
    browser,
    charge_row,
    charged,
    click,
    crash_after,
    crash_before,
    deliver,
    events,
    heal,
    listen_for_alarms,
    merchant,
    offered,
    told,
)

from flask_encore.domain.money import Money
from flask_encore.domain.ports import IntentStatus
from flask_encore.domain.timeline import Source
from flask_encore.services import charging
from flask_encore.signals import charge_succeeded
from flask_encore.store import charges, outbox
from flask_encore.store import events as stored_events
from flask_encore.store.database import StoreError
from flask_encore.testing.stripe_simulator.webhooks import sign

URL = "/encore/stripe/webhook"
DECLINED_LATER = "4000000000000341"


def _post(shop: Shop, body: bytes, signature: str, **kwargs: Any) -> Any:
    return shop.app.test_client().post(URL, data=body, headers={"Stripe-Signature": signature}, **kwargs)


def _signed(shop: Shop, event: Any, **kwargs: Any) -> tuple[bytes, str]:
    return shop.stripe.webhooks.signed(event, **{"secret": WEBHOOK_SECRET, **kwargs})


def _ours(shop: Shop) -> dict[str, Any]:
    """Stripe's last word about our charge, as an event."""
    return events(shop, "payment_intent.succeeded")[-1]


def test_the_webhook_settles_a_charge_whose_process_died_before_the_sweeper_looks(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    assert click(shop, offered(shop)) == "crashed"

    assert deliver(shop, _ours(shop)) == (200, {"effect": "applied"})

    assert charge_row(shop)["status"] == "succeeded"
    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_the_webhook_may_overtake_the_click_it_tells_of(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    token = offered(shop)
    real = shop.rt.gateway.confirm_intent

    def confirm(*args: Any, **kwargs: Any) -> Any:
        answer = real(*args, **kwargs)
        assert deliver(shop, _ours(shop)) == (200, {"effect": "applied"})
        return answer

    monkeypatch.setattr(shop.rt.gateway, "confirm_intent", confirm)

    assert shop.accept(token) == "charged"

    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_five_copies_in_a_row_have_one_effect(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    click(shop, offered(shop))

    answers = [deliver(shop, _ours(shop))[1]["effect"] for _ in range(5)]

    assert answers == ["applied", "duplicate", "duplicate", "duplicate", "duplicate"]
    assert [(row["type"], row["effect"]) for row in shop.rows("events")] == [("payment_intent.succeeded", "applied")]
    heal(shop)
    assert books(shop) == SOLD_ONCE


def _five_at_once(shop: Shop) -> list[tuple[int, str]]:
    answers: list[tuple[int, str]] = []

    def post() -> None:
        status, body = deliver(shop, _ours(shop))
        answers.append((status, body["effect"]))

    threads = [threading.Thread(target=post) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answers)


def test_five_copies_at_once_have_one_effect(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    click(shop, offered(shop))
    together = threading.Barrier(5)
    real = charges.of_event

    def of_event(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        together.wait(timeout=10)  # all five have seen the event as new before one of them writes
        return found

    monkeypatch.setattr(charges, "of_event", of_event)

    assert _five_at_once(shop) == [(200, "applied")] + [(200, "duplicate")] * 4

    assert len(shop.rows("events")) == 1
    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_control_without_the_guard_of_settle_five_copies_would_be_five_successes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    click(shop, offered(shop))
    signals: list[Any] = []
    real = charges.move

    def unguarded(*args: Any, sources: Any, **kwargs: Any) -> Any:
        return real(*args, sources={"confirming", "succeeded"}, **kwargs)

    monkeypatch.setattr(charges, "move", unguarded)
    monkeypatch.setattr(stored_events, "record", lambda *_, **__: True)
    monkeypatch.setattr(outbox, "add", lambda *_, **__: True)
    with charge_succeeded.connected_to(lambda *_, **__: signals.append(1), sender=shop.app):
        for _ in range(5):
            assert deliver(shop, _ours(shop))[0] == 200

    assert len(signals) == 5


def test_a_failure_delivered_after_the_success_it_preceded_changes_nothing(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop, card=DECLINED_LATER)
    assert shop.accept(token) == "failed"
    secret = shop.post(token, "secret").json["client_secret"]
    ref = charge_row(shop)["payment_intent_ref"]
    browser(shop).payment_intents.confirm(ref, {"payment_method": "pm_card_visa", "client_secret": secret})

    answers = [deliver(shop, _ours(shop)), deliver(shop, events(shop, "payment_intent.payment_failed")[0])]

    assert answers == [(200, {"effect": "applied"}), (200, {"effect": "applied"})]
    assert [row["effect"] for row in shop.rows("events")] == ["applied", "duplicate"]
    assert charge_row(shop)["status"] == "succeeded"
    shop.sweep()
    assert told(shop) == ["charge_failed", "charge_succeeded"]


def test_an_event_about_an_intent_that_is_not_committed_yet_is_noted_and_the_sweeper_finds_it(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    crash_after(monkeypatch, shop.rt.gateway, "create_intent")
    assert click(shop, offered(shop)) == "crashed"

    assert deliver(shop, events(shop, "payment_intent.created")[-1]) == (200, {"effect": "ignored"})
    assert deliver(shop, events(shop, "payment_intent.created")[-1]) == (200, {"effect": "duplicate"})

    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_events_of_the_shops_own_payments_are_noted_and_touch_nothing(shop: Shop) -> None:
    shop.pay()

    assert deliver(shop, events(shop, "payment_intent.succeeded")[0]) == (200, {"effect": "ignored"})
    assert deliver(shop, events(shop, "charge.succeeded")[0]) == (200, {"effect": "ignored"})

    assert shop.rows("charges") == []


#: What Stripe's object says otherwise than the row -> why the charge is quarantined.
LIES: dict[str, Callable[[Any], Any]] = {
    "amount_mismatch": lambda told: replace(told, amount=Money(116_100, "gbp"), amount_received=116_100),
    "currency_mismatch": lambda told: replace(told, amount=Money(1161, "eur")),
    "customer_mismatch": lambda told: replace(told, customer_ref="cus_somebody_else"),
    "metadata_mismatch": lambda told: replace(told, metadata={**told.metadata, "encore_charge": "another"}),
    "amount_received_mismatch": lambda told: replace(told, amount_received=1),
    "livemode_mismatch": lambda told: replace(told, livemode=True),
    "intent_mismatch": lambda told: replace(told, ref="pi_another"),
}


@pytest.mark.parametrize("reason", LIES)
@pytest.mark.parametrize("settled", [False, True], ids=["before success", "after success"])
def test_what_disagrees_with_the_row_is_quarantined_once_and_moves_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, reason: str, settled: bool
) -> None:
    listen_for_alarms(shop)
    if settled:
        charged(shop)
    else:
        crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
        click(shop, offered(shop))
    shop.sweep()
    before = charge_row(shop)
    real = shop.rt.gateway.intent
    monkeypatch.setattr(shop.rt.gateway, "intent", lambda ref: LIES[reason](real(ref)))

    for event in (_ours(shop), _ours(shop), events(shop, "payment_intent.created")[-1]):
        assert deliver(shop, event)[0] == 200

    after = charge_row(shop)
    assert after["quarantine_reason"] == reason
    assert after["status"] == before["status"] == ("succeeded" if settled else "confirming")
    heal(shop)
    assert told(shop) == (["charge_succeeded"] if settled else []) + ["charge_quarantined"]
    assert shop.delivered[-1].detail == reason
    assert shop.rt.counts["charge_quarantined"] == 1
    assert books(shop)["waiting"] == []
    assert shop.stock("mug") == 39


def test_a_quarantined_charge_is_not_moved_by_later_good_news(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    token = offered(shop)
    click(shop, token)
    with shop.rt.db.write() as connection:
        charges.quarantine(
            connection, charge_row(shop)["id"], reason="amount_mismatch", now=shop.clock(), source=Source.WEBHOOK
        )

    assert deliver(shop, _ours(shop))[0] == 200
    heal(shop)

    assert charge_row(shop)["status"] == "confirming"
    assert shop.state(shop.token()) == "unknown"


def test_money_on_a_canceled_charge_raises_an_alarm_that_a_crash_cannot_lose(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    listen_for_alarms(shop)
    token = offered(shop, card="4000002760003184")
    shop.accept(token)
    assert shop.post(token, "leave").json["state"] == "canceled"
    real = shop.rt.gateway.intent

    def paid(ref: str) -> Any:
        return replace(real(ref), status=IntentStatus.SUCCEEDED, amount_received=1161)

    monkeypatch.setattr(shop.rt.gateway, "intent", paid)
    event = events(shop, "payment_intent.canceled")[0]
    crash_before(monkeypatch, charges, "quarantine")
    with pytest.raises(Crash):
        deliver(shop, event)

    assert deliver(shop, event) == (200, {"effect": "applied"})
    assert deliver(shop, event) == (200, {"effect": "duplicate"})

    row = charge_row(shop)
    assert (row["status"], row["quarantine_reason"]) == ("canceled", "paid_after_cancel")
    shop.sweep()
    assert told(shop) == ["charge_canceled", "charge_quarantined"]


@pytest.mark.parametrize(
    ("card", "status", "reason"),
    [
        ("4242424242424242", "succeeded", "paid_twice"),
        ("4000000000000341", "failed", "paid_beside_the_charge"),
    ],
)
def test_money_on_an_intent_that_is_not_the_charges_own_raises_the_alarm_once(
    any_shop: Shop, card: str, status: str, reason: str
) -> None:
    shop = any_shop
    listen_for_alarms(shop)
    shop.accept(offered(shop, card=card))
    with shop.rt.db.read() as connection:
        charge = charges.find(connection, charge_row(shop)["id"])
    assert charge is not None
    stray = shop.rt.gateway.create_intent(charging.request_of(charge), idempotency_key="by hand")
    assert deliver(shop, events(shop, "payment_intent.created")[-1]) == (200, {"effect": "ignored"})
    merchant(shop).payment_intents.confirm(stray.ref, {"payment_method": "pm_card_visa"})

    for effect in ("applied", "duplicate"):
        assert deliver(shop, events(shop, "payment_intent.succeeded")[-1]) == (200, {"effect": effect})

    row = charge_row(shop)
    assert (row["status"], row["quarantine_reason"]) == (status, reason)
    heal(shop)
    assert told(shop)[1:] == ["charge_quarantined"]


@pytest.mark.parametrize("seam", [(outbox, "add"), (stored_events, "record"), (charges, "move")])
def test_the_events_row_and_its_effect_are_committed_together_or_not_at_all(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch, seam: tuple[Any, str]
) -> None:
    shop = any_shop
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    click(shop, offered(shop))
    crash_after(monkeypatch, *seam)
    with pytest.raises(Crash):
        deliver(shop, _ours(shop))
    assert (shop.rows("events"), shop.rows("outbox"), charge_row(shop)["status"]) == ([], [], "confirming")

    assert deliver(shop, _ours(shop)) == (200, {"effect": "applied"})

    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_when_stripe_or_the_database_is_away_the_event_is_asked_for_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    click(shop, offered(shop))
    shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET")
    assert deliver(shop, _ours(shop))[0] == 503

    real = charges.of_event

    def locked(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr(charges, "of_event", real)
        raise StoreError("database is locked")

    monkeypatch.setattr(charges, "of_event", locked)
    assert deliver(shop, _ours(shop))[0] == 503
    assert shop.rows("events") == []

    assert deliver(shop, _ours(shop)) == (200, {"effect": "applied"})


def test_a_body_over_a_megabyte_is_refused_before_it_is_read(shop: Shop) -> None:
    body, signature = b"x" * 10_000_000, "t=1,v1=00"

    assert _post(shop, body, signature).status_code == 413


def test_a_body_of_unstated_length_is_read_up_to_a_megabyte(shop: Shop) -> None:
    response = shop.app.test_client().post(
        URL, input_stream=io.BytesIO(b"x" * 2_000_000), environ_overrides={"wsgi.input_terminated": True}
    )

    assert response.status_code == 413


#: Headers that are no signature.
SCRAWLS = ["", "nonsense", "t=,v1=", "v1=abc", "t=1772460180", "t=1772460180,v1=é", "t=\u0661,v1=0", "t=9" * 500]


def test_a_header_that_is_no_signature_is_400(shop: Shop) -> None:
    shop.pay()
    body, _ = _signed(shop, shop.stripe.events[0])

    for scrawl in SCRAWLS:
        assert _post(shop, body, scrawl.encode("utf-8").decode("latin-1")).status_code == 400, scrawl
    assert shop.rows("events") == []


#: Bodies that are no event of Stripe's first API.
JUNK = [
    b"",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"[1]",
    b"{",
    b'{"object": "event"}',
    b'{"object": "v2.core.event", "id": "e"}',
    b"1" * 999,
]


def test_a_well_signed_body_that_is_no_event_is_400(shop: Shop) -> None:
    for body in JUNK:
        signature = sign(body, secret=WEBHOOK_SECRET, timestamp=int(shop.clock.timestamp()))
        assert _post(shop, body, signature).status_code == 400, body
    assert shop.rows("events") == []


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_from_another_time_is_400(shop: Shop, seconds: int) -> None:
    shop.pay()
    body, signature = _signed(shop, shop.stripe.events[0], timestamp=int(shop.clock.timestamp()) + seconds)

    assert _post(shop, body, signature).status_code == 400


def test_a_wrong_secret_is_400_and_every_configured_one_is_read(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_STRIPE_WEBHOOK_SECRETS=["whsec_new", "whsec_old"])
    shop.pay()
    first, second = shop.stripe.events[:2]

    assert deliver(shop, first, secret="whsec_wrong")[0] == 400
    assert deliver(shop, first, secret="whsec_new")[0] == 200
    assert deliver(shop, second, secret="whsec_old")[0] == 200
    assert shop.rt.counts["webhook_refused"] == 1


def test_events_of_the_other_mode_or_of_another_account_are_answered_and_ignored(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    click(shop, offered(shop))

    for stranger in ({"livemode": True}, {"account": "acct_another"}):
        assert deliver(shop, _ours(shop) | stranger) == (200, {"effect": "ignored"})

    assert charge_row(shop)["status"] == "confirming"
    assert shop.rows("events") == []
    assert deliver(shop, _ours(shop)) == (200, {"effect": "applied"})


def test_without_a_stripe_key_the_webhook_asks_to_be_delivered_later(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_STRIPE_SECRET_KEY="", ENCORE_STRIPE_PUBLISHABLE_KEY="")

    assert _post(shop, b"{}", "t=1,v1=0").status_code == 503


def test_the_webhook_takes_post_only(shop: Shop) -> None:
    assert shop.app.test_client().get(URL).status_code == 405


def test_a_host_that_reads_every_body_first_does_not_break_the_signature(shop: Shop) -> None:
    shop.app.before_request(lambda: request.get_data() and None)
    shop.pay()

    assert deliver(shop, shop.stripe.events[0])[0] == 200


def test_an_event_changed_by_a_single_byte_is_400(shop: Shop) -> None:
    shop.pay()
    body, signature = _signed(shop, shop.stripe.events[0])

    assert _post(shop, body.replace(b"evt_", b"evT_", 1), signature).status_code == 400


def test_a_refund_in_the_dashboard_reaches_the_host_by_webhook_alone(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    merchant(shop).refunds.create({"payment_intent": charge_row(shop)["payment_intent_ref"]})

    assert deliver(shop, events(shop, "charge.refunded")[0]) == (200, {"effect": "applied"})

    shop.sweep()
    assert told(shop) == ["charge_succeeded", "charge_refunded"]
    assert shop.stock("mug") == 40
