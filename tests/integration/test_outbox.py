"""What the host is told: at least once, in order per order, with patience; and never anything that moves money."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop
from flask import current_app
from money import Crash, charge_row, charged, crash_before, deliver, events, offered, pass_time, told

from flask_encore import signals
from flask_encore.services import delivering
from flask_encore.store import outbox

HANDLER_MINUTES = 2


def _fail_for(shop: Shop, order_ref: str, kind: str, times: int) -> list[str]:
    """Let the host's handler of *kind* raise for an order the first *times*; answers a log of its calls."""
    calls: list[str] = []

    @shop.encore.on(kind)
    def handler(event: Any) -> None:
        calls.append(event.order_ref)
        if event.order_ref == order_ref and calls.count(order_ref) <= times:
            raise RuntimeError("the host's database is away")

    return calls


def _message(shop: Shop, kind: str, order_ref: str = "1042") -> dict[str, Any]:
    (row,) = [row for row in shop.rows("outbox") if (row["kind"], row["order_ref"]) == (kind, order_ref)]
    return row


def test_a_message_says_what_was_sold_for_how_much_and_until_when_to_hold_it(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    shop.sweep()

    (event,) = shop.delivered
    row = charge_row(shop)
    assert event.as_json() == {
        "kind": "charge_succeeded",
        "order_ref": "1042",
        "charge_ref": row["id"],
        "sku": "mug",
        "title": "Enamel mug",
        "quantity": 1,
        "amount_minor": 1161,
        "currency": "gbp",
        "payment_intent_ref": row["payment_intent_ref"],
        "occurred_at": "2026-03-02T14:03:00+00:00",
        "undo_until": "2026-03-02T14:33:00+00:00",
        "detail": "",
        "lines": [{"sku": "mug", "title": "Enamel mug", "quantity": 1, "item": 1290, "discount": 129, "ships": True}],
        "shipping_minor": 0,
        "tax_minor": None,
        "tax_included": True,
        "text": "",
        "campaign_ref": "built-in",
    }


def test_handlers_run_in_an_app_context_and_get_every_message_once(any_shop: Shop) -> None:
    shop = any_shop
    names: list[str] = []
    shop.encore.on("charge_succeeded")(lambda event: names.append(current_app.name))
    charged(shop)

    assert [shop.sweep().delivered for _ in range(3)] == [1, 0, 0]

    assert names == ["host"]
    assert told(shop) == ["charge_succeeded"]


def test_a_failing_handler_is_called_again_ever_more_rarely_and_never_moves_money(any_shop: Shop) -> None:
    shop = any_shop
    calls = _fail_for(shop, "1042", "charge_succeeded", times=1_000)
    charged(shop)
    before = charge_row(shop)

    called: list[int] = []
    for minute in range(0, 200):
        already = len(calls)
        shop.sweep()
        called += [minute] * (len(calls) - already)
        shop.clock.advance(minutes=1)
        if minute == 25:
            assert charge_row(shop) == before

    assert called == [0, 1, 2, 3, 4, 6, 9, 15, 26, 48, 91, 151]
    assert charge_row(shop)["status"] == "succeeded"
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400, 1161]
    assert _message(shop, "charge_succeeded")["last_error"] == "RuntimeError: the host's database is away"
    assert shop.rt.counts["handler_failed"] == 12


def test_later_messages_of_the_same_order_wait_and_those_of_other_orders_do_not(any_shop: Shop) -> None:
    shop = any_shop
    log: list[tuple[str, str]] = []
    for kind in ("charge_succeeded", "hold_released"):
        shop.encore.on(kind)(lambda event: log.append((event.order_ref, event.kind.value)))
    _fail_for(shop, "1", "charge_succeeded", times=3)
    charged(shop, "1")
    charged(shop, "2")
    shop.clock.advance(minutes=31)

    shop.sweep()
    assert log == [("1", "charge_succeeded"), ("2", "charge_succeeded"), ("2", "hold_released")]
    pass_time(shop, 1, 1, 1)

    # The first handler took it each time: a handler must be idempotent. The second event waited for the last time.
    assert log[3:] == [("1", "charge_succeeded")] * 3 + [("1", "hold_released")]
    assert _message(shop, "charge_succeeded", "1")["attempts"] == 4


def test_a_process_that_dies_between_the_handler_and_its_mark_delivers_again(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    charged(shop)
    crash_before(monkeypatch, outbox, "delivered")
    with pytest.raises(Crash):
        shop.sweep()
    assert told(shop) == ["charge_succeeded"]

    pass_time(shop, HANDLER_MINUTES - 0.01)
    assert told(shop) == ["charge_succeeded"]
    pass_time(shop, 0.01)

    assert told(shop) == ["charge_succeeded", "charge_succeeded"]
    assert _message(shop, "charge_succeeded")["delivered_at"] is not None


def test_two_deliverers_at_once_hand_a_message_over_once(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    charged(shop)
    _both_see_the_same(monkeypatch)

    _deliver_twice_at_once(shop)

    assert told(shop) == ["charge_succeeded"]


def test_control_without_taking_it_first_two_deliverers_would_hand_it_over_twice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged(shop)
    _both_see_the_same(monkeypatch)
    monkeypatch.setattr(outbox, "take", lambda *_, **__: True)

    _deliver_twice_at_once(shop)

    assert told(shop) == ["charge_succeeded", "charge_succeeded"]


def _both_see_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    both, real = threading.Barrier(2), outbox.due
    seen = threading.local()

    def due(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        if not getattr(seen, "once", False):
            seen.once = True
            both.wait(timeout=10)
        return found

    monkeypatch.setattr(outbox, "due", due)


def _deliver_twice_at_once(shop: Shop) -> None:
    threads = [threading.Thread(target=delivering.deliver, args=(shop.rt,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_message_that_cannot_be_read_stops_nobody_elses(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop, "1")
    charged(shop, "2")
    with shop.rt.db.write() as connection:
        connection.execute(
            sa.text("UPDATE encore_outbox SET payload = :junk WHERE order_ref = '1'"),
            {"junk": json.dumps({"kind": "of_a_newer_release"})},
        )

    shop.sweep()

    assert [event.order_ref for event in shop.delivered] == ["2"]
    assert _message(shop, "charge_succeeded", "1")["delivered_at"] is None
    assert _message(shop, "charge_succeeded", "1")["last_error"] != ""


def test_a_signal_is_sent_once_after_the_commit_it_tells_of(any_shop: Shop) -> None:
    shop = any_shop
    seen: list[tuple[str, str]] = []

    def observe(sender: Any, event: Any) -> None:
        seen.append((event.kind.value, charge_row(shop)["status"]))

    with (
        signals.charge_succeeded.connected_to(observe, sender=shop.app),
        signals.charge_refunded.connected_to(observe, sender=shop.app),
    ):
        token = charged(shop)
        for event in events(shop, "payment_intent.succeeded") * 3:
            deliver(shop, event)
        shop.sweep()
        shop.post(token, "undo")
        for event in events(shop, "refund.created") * 3:
            deliver(shop, event)
        shop.sweep()

    assert seen == [("charge_succeeded", "succeeded"), ("charge_refunded", "refunded")]


def test_a_signal_is_not_sent_for_what_was_rolled_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    with signals.charge_succeeded.connected_to(lambda *_, **__: seen.append(1), sender=shop.app):
        token = offered(shop)
        crash_before(monkeypatch, outbox, "add")
        with pytest.raises(Crash):
            shop.accept(token)

    assert seen == []


def test_an_observer_that_raises_costs_neither_the_answer_nor_the_message(any_shop: Shop) -> None:
    shop = any_shop

    def observe(sender: Any, event: Any) -> None:
        raise RuntimeError("a bug of the host's")

    with (
        signals.charge_succeeded.connected_to(observe, sender=shop.app),
        signals.hold_released.connected_to(observe, sender=shop.app),
    ):
        charged(shop)
        pass_time(shop, 31)

    assert told(shop) == ["charge_succeeded", "hold_released"]
    assert shop.rt.counts["observer_failed"] == 2
