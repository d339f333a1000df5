"""What the merchant's own systems are sent: signed, once per message and endpoint, in order, for three days."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from conftest import Shop
from money import Crash, charge_row, charged, crash_before, pass_time, statements, told
from receivers import Receiver, Request, add, closed_port, deliveries, not_for, receiver, verifies

from flask_encore.services import delivering, hooking, sending
from flask_encore.services.couriers import Couriers
from flask_encore.store import hooks as table

#: Reached only when a test fails.
PATIENCE = 20.0

ACTOR = "merchant"


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    """The merchant's system; it takes everything."""
    with receiver() as made:
        yield made


@pytest.fixture
def second() -> Iterator[Receiver]:
    """Another one."""
    with receiver() as made:
        yield made


def test_a_message_is_what_a_handler_is_told_signed_and_dated(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url)
    charged(shop)
    shop.sweep()

    (request,) = endpoint.requests
    (event,) = shop.delivered
    charge = charge_row(shop)["id"]
    assert verifies(request, webhook.secret)
    assert request.headers["webhook-id"] == f"msg_{charge}_charge_succeeded_1"
    assert request.headers["webhook-timestamp"] == "1772460180"
    assert request.headers["content-type"] == "application/json"
    assert request.json == {
        "type": "charge_succeeded",
        "timestamp": "2026-03-02T14:03:00+00:00",
        "data": event.as_json(),
    }
    secretive = ("client_secret", "_secret_", "4242", "card", "@", "cus_", "pm_")
    assert [word for word in secretive if word in request.body.decode()] == []
    (delivery,) = hooking.deliveries(shop.rt)
    assert (delivery.status, delivery.response_code, delivery.delivered_at) == ("delivered", 204, shop.clock())


def test_nothing_is_sent_twice_and_nothing_from_before_the_endpoint_was_there(
    any_shop: Shop, endpoint: Receiver
) -> None:
    shop = any_shop
    charged(shop, "1")
    shop.clock.advance(seconds=1)
    add(shop, endpoint.url)
    charged(shop, "2")
    for _ in range(3):
        shop.sweep()

    assert endpoint.told == [("charge_succeeded", "2")]


def test_a_message_that_one_endpoint_waits_for_is_not_sent_to_one_that_came_later(
    any_shop: Shop, endpoint: Receiver, second: Receiver
) -> None:
    shop = any_shop
    add(shop, endpoint.url)
    charged(shop)
    shop.clock.advance(seconds=1)
    add(shop, second.url)
    shop.sweep()

    assert (endpoint.told, second.told) == ([("charge_succeeded", "1042")], [])


def test_each_endpoint_is_sent_the_kinds_it_named(any_shop: Shop, endpoint: Receiver, second: Receiver) -> None:
    shop = any_shop
    add(shop, endpoint.url)
    add(shop, second.url, "hold_released", "charge_failed")
    charged(shop)
    pass_time(shop, 31, 1)

    assert endpoint.told == [("charge_succeeded", "1042"), ("hold_released", "1042")]
    assert second.told == [("hold_released", "1042")]


def test_a_failing_endpoint_is_tried_ever_more_rarely_for_three_days_and_then_given_up(
    any_shop: Shop, endpoint: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url, "charge_succeeded")
    endpoint.answer = lambda _: (503, {}, b"down for maintenance")
    charged(shop)
    start = shop.clock()

    at: list[timedelta] = []
    while any(status == "waiting" for _, status, _ in deliveries(shop)) or not at:
        before = len(endpoint.requests)
        sending.send(shop.rt, patience_seconds=PATIENCE)
        at += [shop.clock() - start] * (len(endpoint.requests) - before)
        (row,) = shop.rows("webhook_deliveries")
        if row["next_run_at"] is not None:
            shop.clock.advance(seconds=row["next_run_at"] / 1e6 - shop.clock().timestamp())

    waits = [(b - a).total_seconds() for a, b in pairwise(at)]
    assert at[0] == timedelta() and at[-1] == timedelta(days=3)
    assert all(0.8 <= wait / (5 * 2**place) <= 1.2 for place, wait in enumerate(waits[:12]))
    assert all(4.8 * 3600 <= wait <= 7.2 * 3600 for wait in waits[13:-1])
    assert len({request.headers["webhook-id"] for request in endpoint.requests}) == 1
    assert len({request.headers["webhook-timestamp"] for request in endpoint.requests}) == len(at)
    assert all(verifies(request, webhook.secret) for request in endpoint.requests)
    (delivery,) = hooking.deliveries(shop.rt)
    assert (delivery.status, delivery.response_code, delivery.attempts) == ("failed", 503, len(at))
    assert delivery.last_error == "HTTP 503: down for maintenance"
    assert (shop.rt.counts["webhook_failed"], shop.rt.counts["webhook_given_up"]) == (len(at), 1)
    (alarm,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert f"is given up after {len(at)} attempts (HTTP 503" in alarm.getMessage()

    shop.clock.advance(days=30)
    sending.send(shop.rt, patience_seconds=PATIENCE)
    assert len(endpoint.requests) == len(at)


def test_later_messages_of_the_same_order_wait_and_those_of_other_orders_do_not(
    any_shop: Shop, endpoint: Receiver
) -> None:
    shop = any_shop
    add(shop, endpoint.url)
    endpoint.answer = not_for("1", times=2)
    charged(shop, "1")
    charged(shop, "2")
    shop.clock.advance(minutes=31)
    shop.sweep()
    assert endpoint.told == [("charge_succeeded", "1"), ("charge_succeeded", "2"), ("hold_released", "2")]
    for _ in range(5):
        shop.clock.advance(minutes=1)
        shop.sweep()

    by_order = {ref: [kind for kind, of in endpoint.told if of == ref] for ref in ("1", "2")}
    assert by_order["1"] == ["charge_succeeded"] * 3 + ["hold_released"]
    assert by_order["2"] == ["charge_succeeded", "hold_released"]
    assert deliveries(shop)[0] == ("1", "delivered", 3)


def test_what_was_given_up_lets_the_next_message_of_its_order_through(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    add(shop, endpoint.url)
    endpoint.answer = lambda request: 500 if request.json["type"] == "charge_succeeded" else 204
    charged(shop)
    sending.send(shop.rt, patience_seconds=PATIENCE)
    shop.clock.advance(days=3)
    for _ in range(2):
        shop.sweep()
        shop.clock.advance(minutes=1)

    assert deliveries(shop) == [("1042", "failed", 2), ("1042", "delivered", 1)]


def test_an_endpoint_in_trouble_is_not_sent_all_that_waits(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    add(shop, endpoint.url)
    endpoint.answer = lambda _: 503
    for order_ref in "12345":
        charged(shop, order_ref)
    sending.send(shop.rt, patience_seconds=PATIENCE)

    assert endpoint.told == [("charge_succeeded", order_ref) for order_ref in "123"]
    assert [attempts for _, _, attempts in deliveries(shop)] == [1, 1, 1, 0, 0]


def test_a_dead_endpoint_delays_neither_the_living_one_nor_the_handlers(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    webhook = add(shop, f"http://127.0.0.1:{closed_port()}/hook")
    add(shop, endpoint.url)
    for order_ref in ("1", "2", "3"):
        charged(shop, order_ref)
    shop.sweep()

    assert endpoint.told == [("charge_succeeded", "1"), ("charge_succeeded", "2"), ("charge_succeeded", "3")]
    assert [told(shop, order_ref) for order_ref in ("1", "2", "3")] == [["charge_succeeded"]] * 3
    dead = [one for one in hooking.deliveries(shop.rt) if one.webhook_id == webhook.id]
    # A dead endpoint costs one try a round, however much waits for it.
    assert sorted((one.attempts, one.last_error) for one in dead) == [(0, ""), (0, ""), (1, "no connection")]


def test_an_endpoint_that_does_not_answer_holds_up_no_round_no_handler_and_no_other_endpoint(
    any_shop: Shop, endpoint: Receiver, second: Receiver
) -> None:
    shop = any_shop
    asked, go_on = threading.Event(), threading.Event()

    def hang(_request: Request) -> int:
        asked.set()
        go_on.wait(PATIENCE)
        return 204

    endpoint.answer = hang
    add(shop, endpoint.url)
    add(shop, second.url)
    charged(shop, "1")
    sending.send(shop.rt)
    assert asked.wait(PATIENCE)
    charged(shop, "2")
    # While the first endpoint hangs, rounds come and go; its courier is the only one under way at the end.
    while len(second.requests) < 2:
        sending.send(shop.rt)
    with shop.app.app_context():
        assert delivering.deliver(shop.rt) == 2
    assert not shop.rt.couriers.wait(0)
    assert len(endpoint.requests) == 1

    go_on.set()
    assert shop.rt.couriers.wait(PATIENCE)
    shop.sweep()
    assert endpoint.told == second.told == [("charge_succeeded", "1"), ("charge_succeeded", "2")]


def test_a_process_that_dies_before_it_marks_a_delivery_sends_it_again_under_the_same_id(
    any_shop: Shop, endpoint: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url)
    charged(shop)
    crash_before(monkeypatch, table, "delivered")
    sending.hand_out(shop.rt, hooking.listed(shop.rt))
    with pytest.raises(Crash):
        sending._serve(shop.rt, webhook.id)

    shop.clock.advance(seconds=59)
    shop.sweep()
    assert len(endpoint.requests) == 1
    shop.clock.advance(seconds=1)
    shop.sweep()

    assert len({request.headers["webhook-id"] for request in endpoint.requests}) == 1
    assert (len(endpoint.requests), deliveries(shop)) == (2, [("1042", "delivered", 2)])


def _twice_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers of two processes see the same delivery as due, and then both go for it."""
    both, real, seen = threading.Barrier(2), table.due, threading.local()

    def due(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        if not getattr(seen, "once", False):
            seen.once = True
            both.wait(timeout=PATIENCE)
        return found

    monkeypatch.setattr(table, "due", due)
    sending.hand_out(shop.rt, hooking.listed(shop.rt))
    processes = [Couriers(), Couriers()]
    for couriers in processes:
        couriers.send([hooking.listed(shop.rt)[0].id], lambda webhook_id: sending._serve(shop.rt, webhook_id))
    assert [couriers.wait(PATIENCE) for couriers in processes] == [True, True]


def test_two_workers_at_once_send_a_message_once(
    any_shop: Shop, endpoint: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(any_shop, endpoint.url)
    charged(any_shop)
    _twice_at_once(any_shop, monkeypatch)

    assert (len(endpoint.requests), deliveries(any_shop)) == (1, [("1042", "delivered", 1)])


def test_control_without_taking_it_first_two_workers_would_send_it_twice(
    shop: Shop, endpoint: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(shop, endpoint.url)
    charged(shop)
    monkeypatch.setattr(table, "take", lambda *_, **__: True)
    _twice_at_once(shop, monkeypatch)

    assert len(endpoint.requests) == 2


def test_two_workers_that_hand_out_the_same_messages_make_one_delivery_of_each(
    any_shop: Shop, endpoint: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    add(shop, endpoint.url)
    charged(shop)
    both, real = threading.Barrier(2), table.unhooked

    def unhooked(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        if found:
            both.wait(timeout=PATIENCE)
        return found

    monkeypatch.setattr(table, "unhooked", unhooked)
    endpoints = hooking.listed(shop.rt)
    threads = [threading.Thread(target=sending.hand_out, args=(shop.rt, endpoints)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert deliveries(shop) == [("1042", "waiting", 0)]


def test_a_replay_sends_the_same_message_under_the_same_id_and_only_that(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    add(shop, endpoint.url)
    charged(shop, "1")
    charged(shop, "2")
    shop.sweep()
    shop.clock.advance(days=5)

    found = hooking.replay(shop.rt, hooking.deliveries(shop.rt)[-1].id, actor=ACTOR)
    for _ in range(2):
        sending.send(shop.rt, patience_seconds=PATIENCE)

    first, _, again = [request for request in endpoint.requests if request.json["type"] == "charge_succeeded"]
    assert found.order_ref == "1"
    assert (again.headers["webhook-id"], again.body) == (first.headers["webhook-id"], first.body)
    assert again.headers["webhook-timestamp"] == str(int(shop.clock().timestamp()))
    assert deliveries(shop) == [("1", "delivered", 1), ("2", "delivered", 1)]


def test_all_that_was_given_up_since_a_time_is_sent_again(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url, "charge_succeeded")
    endpoint.answer = lambda _: 500
    for order_ref in ("1", "2"):
        charged(shop, order_ref)
        sending.send(shop.rt, patience_seconds=PATIENCE)
        shop.clock.advance(days=4)
        sending.send(shop.rt, patience_seconds=PATIENCE)
    assert deliveries(shop) == [("1", "failed", 2), ("2", "failed", 2)]
    endpoint.answer, endpoint.requests = (lambda _: 204), []

    assert hooking.replay_failed(shop.rt, webhook.id, since=shop.clock() - timedelta(days=5), actor=ACTOR) == 1
    sending.send(shop.rt, patience_seconds=PATIENCE)
    assert endpoint.told == [("charge_succeeded", "2")]
    assert hooking.replay_failed(shop.rt, webhook.id, since=shop.clock() - timedelta(days=9), actor=ACTOR) == 1
    assert hooking.replay_failed(shop.rt, webhook.id, since=shop.clock() - timedelta(days=9), actor=ACTOR) == 0


def test_no_connection_is_held_while_an_endpoint_is_asked(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    held: list[int] = []

    def answer(_request: Request) -> int:
        held.append(shop.rt.db.engine.pool.checkedout())  # type: ignore[attr-defined]
        return 204

    endpoint.answer = answer
    add(shop, endpoint.url)
    charged(shop)
    shop.sweep()

    assert held == [0]


def test_a_shop_without_endpoints_pays_one_statement_a_round(any_shop: Shop) -> None:
    charged(any_shop)
    with statements(any_shop) as log:
        assert sending.send(any_shop.rt) == 0

    assert log == ["SELECT encore_webhooks"]


def test_a_message_of_another_release_goes_out_as_it_is(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    add(shop, endpoint.url)
    charged(shop)
    with shop.rt.db.write() as connection:
        connection.exec_driver_sql("""UPDATE encore_outbox SET payload = '{"new": "shape"}', kind = 'newer'""")
    sending.send(shop.rt, patience_seconds=PATIENCE)

    assert [request.json for request in endpoint.requests] == [
        {"type": "newer", "timestamp": "2026-03-02T14:03:00+00:00", "data": {"new": "shape"}}
    ]


def test_the_embedded_worker_sends_without_anybody_calling(
    make_shop: Any, endpoint: Receiver, database_uri: str
) -> None:
    shop = make_shop(database_uri, TESTING=False)
    taken = threading.Event()

    def answer(_request: Request) -> int:
        taken.set()
        return 204

    endpoint.answer = answer
    add(shop, endpoint.url)
    charged(shop)

    assert taken.wait(PATIENCE)
    with shop.app.app_context():
        shop.encore.close()
    assert deliveries(shop) == [("1042", "delivered", 1)]


def test_no_more_than_a_few_endpoints_are_served_at_one_time_and_the_others_next() -> None:
    inside, go_on, done = threading.Semaphore(0), threading.Event(), []

    def work(endpoint: int) -> None:
        inside.release()
        go_on.wait(PATIENCE)
        done.append(endpoint)

    couriers = Couriers(couriers=2)
    assert len(couriers.send([1, 2, 3], work)) == 2
    assert inside.acquire(timeout=PATIENCE) and inside.acquire(timeout=PATIENCE)
    assert couriers.send([1, 2, 3], work) == []
    go_on.set()
    assert couriers.wait(PATIENCE)
    assert len(couriers.send([3], work)) == 1
    assert couriers.wait(PATIENCE)
    assert sorted(done) == [1, 2, 3]
