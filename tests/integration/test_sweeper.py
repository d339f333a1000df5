"""The sweeper: everything that waits is found, nothing is looked at forever, and one bad row stops nobody else."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop
from money import (
    NOTHING_SOLD,
    SOLD_ONCE,
    Crash,
    books,
    charge_row,
    charged,
    click,
    crash_after,
    crash_before,
    heal,
    listen_for_alarms,
    merchant,
    offered,
    pass_time,
    told,
    wrap,
)

from flask_encore.domain.errors import GatewayRefused, GatewayUnknown
from flask_encore.domain.timeline import Source
from flask_encore.services import charging, recovering
from flask_encore.store import catalog, charges
from flask_encore.store.database import StoreError

CREATE = "/v1/payment_intents"
CONFIRM = "/v1/payment_intents/*/confirm"
CANCEL = "/v1/payment_intents/*/cancel"
NEEDS_BANK = "4000002760003184"


def _write(shop: Shop, sql: str, **values: Any) -> None:
    with shop.rt.db.write() as connection:
        connection.execute(sa.text(sql), values)


def test_a_claim_is_left_alone_while_somebody_has_its_lease_and_taken_over_afterwards(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    crash_before(monkeypatch, shop.rt.gateway, "create_intent")
    assert click(shop, offered(shop)) == "crashed"
    shop.stripe.forget_requests()

    pass_time(shop, 1.49)
    assert shop.stripe.requests == []
    assert charge_row(shop)["status"] == "claimed"

    pass_time(shop, 0.01)
    assert charge_row(shop)["status"] == "succeeded"


def test_while_stripe_is_away_an_unknown_charge_is_asked_about_ever_more_rarely(shop: Shop) -> None:
    token = offered(shop)
    shop.stripe.faults.add("/v1/**", "drop_before", method="*", times=10_000)
    assert shop.accept(token) == "unknown"
    shop.stripe.forget_requests()

    looks: list[int] = []
    for second in range(5, 3601, 5):
        shop.clock.advance(seconds=5)
        before = len(shop.stripe.requests)
        shop.sweep()
        looks += [second] * (len(shop.stripe.requests) - before)

    assert looks == [5, 15, 35, 75, 155, 315, 635, 1275, 2175, 3075]
    shop.stripe.faults.clear()
    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_messages_reach_the_host_while_stripe_is_away(shop: Shop) -> None:
    token = offered(shop)
    shop.pay("1043")
    other = shop.token("1043")
    assert shop.accept(token) == "charged"
    shop.stripe.faults.add("/v1/**", "drop_before", method="*", times=100)
    assert shop.accept(other) == "unknown"

    pass_time(shop, 1)

    assert told(shop) == ["charge_succeeded"]


def test_a_row_that_cannot_be_looked_at_stops_neither_the_others_nor_the_messages(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    for order_ref in ("1", "2", "3"):
        shop.stripe.faults.add(CREATE, "drop_before")
        assert shop.accept(offered(shop, order_ref)) == "unknown"
    poisoned = charge_row(shop, "1")["id"]
    real = recovering._one

    def one(rt: Any, charge: Any, **kwargs: Any) -> Any:
        if charge.id == poisoned:
            raise RuntimeError("a bug of ours")
        return real(rt, charge, **kwargs)

    monkeypatch.setattr(recovering, "_one", one)

    pass_time(shop, 1)

    assert [charge_row(shop, ref)["status"] for ref in ("1", "2", "3")] == ["unknown", "succeeded", "succeeded"]
    assert sorted(event.order_ref for event in shop.delivered) == ["2", "3"]  # due at one moment, in either order
    assert shop.rt.counts["look_failed"] == 1


def test_two_sweepers_at_once_take_a_stale_claim_once(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    crash_before(monkeypatch, shop.rt.gateway, "create_intent")
    assert click(shop, offered(shop)) == "crashed"
    shop.clock.advance(minutes=2)
    both = threading.Barrier(2)
    real = charges.due

    def due(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        both.wait(timeout=10)  # both have seen the same work before either takes it
        return found

    monkeypatch.setattr(charges, "due", due)
    swept: list[int] = []
    threads = [threading.Thread(target=lambda: swept.append(shop.sweep().charges)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monkeypatch.setattr(charges, "due", real)

    assert len(swept) == 2
    assert len(shop.stripe.calls(CREATE)) == 1
    assert len(shop.stripe.calls(CONFIRM)) == 1
    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_control_without_the_lease_two_sweepers_would_both_create(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    crash_before(monkeypatch, shop.rt.gateway, "create_intent")
    assert click(shop, offered(shop)) == "crashed"
    monkeypatch.setattr(charges, "lease", lambda connection, id, **_: (charges.find(connection, id), 0))
    both = threading.Barrier(2)
    wrap(monkeypatch, shop.rt.gateway, "create_intent", lambda: both.wait(timeout=10))
    charge_id = charge_row(shop)["id"]

    def look() -> None:
        recovering.look(shop.rt, charge_id, source=Source.SWEEPER, return_url="")

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(shop.stripe.calls(CREATE)) == 2
    # And even so the shopper is charged once: the lease saves work, the two steps save money.
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400, 1161]


def test_an_intent_that_appeared_only_later_is_an_orphan_and_cancelled(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    token = offered(shop)
    shop.stripe.faults.add(CREATE, "error_500_after")
    assert shop.accept(token) == "unknown"
    # Stripe answered 500 and lets the intent appear only after we looked for it.
    real = shop.rt.gateway.intents_of
    monkeypatch.setattr(shop.rt.gateway, "intents_of", lambda *_, **__: ())
    pass_time(shop, 1)
    assert charge_row(shop)["status"] == "succeeded"
    assert [intent["status"] for intent in shop.stripe.intents()] == ["succeeded", "requires_confirmation", "succeeded"]
    monkeypatch.setattr(shop.rt.gateway, "intents_of", real)

    heal(shop)

    assert books(shop) == SOLD_ONCE | {"intents": ["succeeded", "canceled", "succeeded"]}


def test_cancelling_an_orphan_is_tried_again_until_stripe_answers(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    token = offered(shop)
    shop.stripe.faults.add(CREATE, "error_500_after")
    assert shop.accept(token) == "unknown"
    real = shop.rt.gateway.intents_of
    monkeypatch.setattr(shop.rt.gateway, "intents_of", lambda *_, **__: ())
    pass_time(shop, 1)
    monkeypatch.setattr(shop.rt.gateway, "intents_of", real)
    shop.stripe.faults.add(CANCEL, "drop_before", times=3)

    pass_time(shop, 31, 1, 1, 1, 1)

    assert told(shop) == ["charge_succeeded", "hold_released"]
    assert books(shop) == SOLD_ONCE | {"intents": ["succeeded", "canceled", "succeeded"]}


def test_an_unfinished_bank_check_is_cancelled_at_its_time_and_not_before(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop, card=NEEDS_BANK)
    assert shop.accept(token) == "action_required"
    original = shop.stripe.intents()[0]

    pass_time(shop, 29.9)
    assert (shop.state(token), shop.stock("mug")) == ("action_required", 39)
    pass_time(shop, 0.1)
    assert (shop.state(token), shop.stock("mug")) == ("canceled", 40)

    heal(shop)
    assert books(shop) == NOTHING_SOLD | {"intents": ["succeeded", "canceled"]}
    assert shop.stripe.intents()[0] == original


@pytest.mark.parametrize(
    "fault", ["drop_before", "drop_after", "error_500_after", "error_500_before", "rate_limit_429"]
)
def test_a_cancellation_without_an_answer_ends_in_one_cancellation(any_shop: Shop, fault: str) -> None:
    shop = any_shop
    assert shop.accept(offered(shop, card=NEEDS_BANK)) == "action_required"
    shop.stripe.faults.add(CANCEL, fault)

    pass_time(shop, 31, 1)

    assert books(shop) == NOTHING_SOLD | {"intents": ["succeeded", "canceled"]}


def test_a_cancellation_stripe_stored_a_failure_for_is_asked_for_under_a_new_key(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop.accept(offered(shop, card=NEEDS_BANK)) == "action_required"
    keys: list[str] = []
    real = shop.rt.gateway.cancel_intent

    def cancel(ref: str, *, idempotency_key: str) -> Any:
        keys.append(idempotency_key)
        if idempotency_key == keys[0]:
            raise GatewayUnknown("stored", answer_stored=True)
        return real(ref, idempotency_key=idempotency_key)

    monkeypatch.setattr(shop.rt.gateway, "cancel_intent", cancel)

    pass_time(shop, 31, 1)

    assert len(set(keys)) == 2
    assert books(shop) == NOTHING_SOLD | {"intents": ["succeeded", "canceled"]}


def test_a_shopper_who_passes_the_bank_check_in_the_last_instant_is_charged_and_not_cancelled(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop, card=NEEDS_BANK)
    assert shop.accept(token) == "action_required"
    shop.stripe.authenticate(charge_row(shop)["payment_intent_ref"])

    pass_time(shop, 31)

    assert charge_row(shop)["status"] == "succeeded"
    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_a_processing_payment_is_asked_about_until_the_bank_answers(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    token = offered(shop)
    ledger = shop.stripe._world.ledger
    (method,) = ledger.tables["payment_method"].values()
    method["type"], method["sepa_debit"] = "sepa_debit", {}
    _write(shop, "UPDATE encore_orders SET payment_method_type = 'sepa_debit'")

    assert shop.accept(token) == "unknown"
    assert charge_row(shop)["status"] == "processing"
    pass_time(shop, 2, 60, 600)
    assert charge_row(shop)["status"] == "processing"
    shop.stripe.finish_processing(charge_row(shop)["payment_intent_ref"])
    heal(shop)

    assert books(shop) == SOLD_ONCE


def test_an_intent_changed_at_stripe_before_it_was_confirmed_is_quarantined_and_never_confirmed(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    listen_for_alarms(shop)
    crash_before(monkeypatch, shop.rt.gateway, "confirm_intent")
    assert click(shop, offered(shop)) == "crashed"
    merchant(shop).payment_intents.update(charge_row(shop)["payment_intent_ref"], {"amount": 99_900})

    heal(shop)

    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400]
    assert charge_row(shop)["quarantine_reason"] == "amount_mismatch"
    assert told(shop) == ["charge_quarantined"]
    assert books(shop)["waiting"] == []


def test_an_uncommitted_intent_changed_at_stripe_is_adopted_into_quarantine_and_never_confirmed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen_for_alarms(shop)
    crash_after(monkeypatch, shop.rt.gateway, "create_intent")
    assert click(shop, offered(shop)) == "crashed"
    merchant(shop).payment_intents.update(shop.stripe.intents()[-1]["id"], {"amount": 99_900})

    heal(shop)

    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400]
    assert told(shop) == ["charge_quarantined"]


def test_an_alarm_between_the_look_and_the_confirmation_stops_the_confirmation(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_before(monkeypatch, shop.rt.gateway, "confirm_intent")
    assert click(shop, offered(shop)) == "crashed"
    real = charging._open_attempt

    def alarmed(rt: Any, charge: Any) -> Any:
        _write(shop, "UPDATE encore_charges SET quarantine_reason = 'amount_mismatch'")
        return real(rt, charge)

    monkeypatch.setattr(charging, "_open_attempt", alarmed)

    pass_time(shop, 2)

    assert shop.stripe.calls(CONFIRM) == []
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400]


def test_a_charge_stripe_refuses_to_tell_about_for_three_days_raises_the_alarm_and_is_left(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen_for_alarms(shop)
    shop.stripe.faults.add(CONFIRM, "drop_before")
    assert shop.accept(offered(shop)) == "unknown"

    def gone(*_: Any, **__: Any) -> Any:
        raise GatewayRefused("gone", code="resource_missing")

    for name in ("intent", "cancel_intent"):
        monkeypatch.setattr(shop.rt.gateway, name, gone)

    pass_time(shop, 60, 71 * 60)
    assert books(shop)["waiting"] == ["charge unknown"]
    pass_time(shop, 61, 20)

    assert charge_row(shop)["quarantine_reason"] == "refused_resource_missing"
    assert told(shop) == ["charge_quarantined"]
    assert books(shop)["waiting"] == []
    assert shop.state(shop.token()) == "unknown"


def test_a_database_restored_from_before_the_charge_finds_the_paid_intent_and_charges_nothing_more(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    crash_before(monkeypatch, shop.rt.gateway, "create_intent")
    assert click(shop, offered(shop)) == "crashed"
    with shop.rt.db.read() as connection:
        charge = charges.find(connection, charge_row(shop)["id"])
    assert charge is not None
    request = charging.request_of(charge)
    shop.rt.gateway.create_intent(request, idempotency_key="forgotten-1")
    paid = shop.rt.gateway.create_intent(request, idempotency_key="forgotten-2")
    shop.rt.gateway.confirm_intent(paid.ref, idempotency_key="forgotten-3", return_url="http://localhost/")

    heal(shop)

    assert charge_row(shop)["payment_intent_ref"] == paid.ref
    assert books(shop)["charged"] == [3400, 1161]
    assert books(shop)["rows"] == [("succeeded", 1161, "gbp")]


def test_a_payment_stripe_could_not_be_asked_about_is_verified_later_and_then_gets_its_offer(any_shop: Shop) -> None:
    shop = any_shop
    order = shop.order()
    shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET")
    with shop.app.app_context():
        shop.encore.order_paid(order)

    assert shop.sweep().payments == 1

    assert shop.accept(shop.token()) == "charged"


def test_a_database_that_fails_after_the_claim_is_answered_with_we_are_checking(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = offered(shop)

    def locked(*_: Any, **__: Any) -> Any:
        monkeypatch.undo()
        raise StoreError("database is locked")

    monkeypatch.setattr(charges, "move", locked)

    assert shop.accept(token) == "unknown"

    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_a_sweep_of_nothing_asks_stripe_nothing_and_leaves_word_that_it_ran(shop: Shop) -> None:
    shop.sweep()

    assert shop.stripe.requests == []
    assert [row["name"] for row in shop.rows("heartbeats")] == ["sweep"]


def test_the_stock_of_an_ended_charge_returns_once_however_often_it_is_looked_at(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[str] = []
    wrap(monkeypatch, catalog, "release", lambda: released.append("once"))
    token = offered(shop, card=NEEDS_BANK)
    shop.accept(token)
    shop.post(token, "leave")

    for _ in range(3):
        shop.post(token, "leave")
        recovering.look(shop.rt, charge_row(shop)["id"], source=Source.SWEEPER, return_url="")
    heal(shop)

    assert released == ["once"]
    assert shop.stock("mug") == 40


def test_a_dead_sweeper_gives_its_row_back_to_the_next(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    charged(shop)
    shop.clock.advance(minutes=31)
    crash_before(monkeypatch, charges, "release_hold")
    with pytest.raises(Crash):
        shop.sweep()

    pass_time(shop, 1)
    assert told(shop) == ["charge_succeeded"]
    pass_time(shop, 1)

    assert told(shop) == ["charge_succeeded", "hold_released"]
