"""Deliveries that wait, repeat, reorder and get lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flask_encore.testing import StripeSimulator
from flask_encore.testing.stripe_simulator.webhooks import RETRY_AFTER_SECONDS, sign

SECRET = "whsec_test"


@dataclass
class Shop:
    """A shop that writes down what it is sent and answers as told."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[tuple[bytes, str]] = field(default_factory=list)


@pytest.fixture
def shop() -> Iterator[Shop]:
    book = Shop()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            book.received.append((body, self.headers["Stripe-Signature"]))
            self.send_response(book.answers.pop(0) if book.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    book.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield book
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Clock:
    """A clock moved by hand."""

    now: float = 1_760_000_000

    def __call__(self) -> float:
        return self.now


def manual(shop: Shop, clock: Clock | None = None) -> StripeSimulator:
    """A simulator that sends nothing by itself, with `shop` as its one endpoint."""
    sim = StripeSimulator(clock=clock or Clock())
    sim.webhooks.auto = False
    sim.add_webhook(shop.url, SECRET, enabled_events=["payment_intent.created", "payment_intent.succeeded"])
    return sim


def kinds(shop: Shop) -> list[str]:
    return [json.loads(body)["type"] for body, _ in shop.received]


def test_nothing_is_sent_until_told_when_auto_is_off(shop: Shop) -> None:
    sim = manual(shop)
    sim.paid_intent(amount=500, currency="gbp")

    assert [each.type for each in sim.webhooks.pending()] == ["payment_intent.created", "payment_intent.succeeded"]
    assert shop.received == []
    assert sim.webhooks.deliver() == [200, 200]
    assert kinds(shop) == ["payment_intent.created", "payment_intent.succeeded"]
    assert sim.webhooks.pending() == []


def test_the_signature_is_stripes(shop: Shop) -> None:
    sim = manual(shop)
    sim.paid_intent(amount=500, currency="gbp")
    sim.webhooks.deliver()

    body, signature = shop.received[0]
    assert signature == sign(body, secret=SECRET, timestamp=1_760_000_000)
    assert signature.startswith("t=1760000000,v1=")


def test_the_known_answer_of_the_signature_scheme() -> None:
    assert sign(b'{"id":"evt_1"}', secret="whsec_x", timestamp=12345) == (
        "t=12345,v1=66479879da96502b0386e2db84ef3e5a10277811c60c0ca10d96d996128df9e9"
    )


def test_events_arrive_in_reverse_or_any_order_asked_for(shop: Shop) -> None:
    sim = manual(shop)
    sim.paid_intent(amount=500, currency="gbp")
    sim.webhooks.deliver(order="reverse")
    assert kinds(shop) == ["payment_intent.succeeded", "payment_intent.created"]

    shop.received.clear()
    sim.paid_intent(amount=500, currency="gbp")
    created, succeeded = (each.event_id for each in sim.webhooks.pending())
    sim.webhooks.deliver(order=[succeeded, created])
    assert kinds(shop) == ["payment_intent.succeeded", "payment_intent.created"]


def test_an_event_can_arrive_twice_and_again_later(shop: Shop) -> None:
    sim = manual(shop)
    sim.paid_intent(amount=500, currency="gbp")
    first = sim.webhooks.pending()[0].event_id

    assert sim.webhooks.deliver(first, times=2) == [200, 200]
    assert sim.webhooks.deliver(first) == [200]
    assert kinds(shop) == ["payment_intent.created"] * 3
    assert len({body for body, _ in shop.received}) == 1
    assert [each.type for each in sim.webhooks.pending()] == ["payment_intent.succeeded"]


def test_a_dropped_event_never_arrives(shop: Shop) -> None:
    sim = manual(shop)
    sim.paid_intent(amount=500, currency="gbp")

    assert sim.webhooks.drop(sim.webhooks.pending()[0].event_id) == 1
    sim.webhooks.deliver()

    assert kinds(shop) == ["payment_intent.succeeded"]


@pytest.mark.parametrize("answer", [500, 404, 303])
def test_a_refused_event_is_retried_when_due_until_stripe_gives_up(shop: Shop, answer: int) -> None:
    clock = Clock()
    sim = manual(shop, clock)
    sim.paid_intent(amount=500, currency="gbp")
    sim.webhooks.drop(sim.webhooks.pending()[0].event_id)
    shop.answers = [answer] * 4

    assert sim.webhooks.deliver() == [answer]
    assert sim.webhooks.retry_due() == []
    for seconds in RETRY_AFTER_SECONDS:
        clock.now += seconds
        assert sim.webhooks.retry_due() == [answer]

    assert len(shop.received) == 4
    assert sim.webhooks.pending() == []
    assert [each.attempts for each in sim.webhooks.undelivered()] == [3]


def test_each_try_is_signed_anew(shop: Shop) -> None:
    clock = Clock()
    sim = manual(shop, clock)
    sim.paid_intent(amount=500, currency="gbp")
    sim.webhooks.drop(sim.webhooks.pending()[0].event_id)
    shop.answers = [500]

    sim.webhooks.deliver()
    clock.now += 10
    assert sim.webhooks.retry_due() == [200]

    assert [header[:12] for _, header in shop.received] == ["t=1760000000", "t=1760000010"]


def test_a_delay_holds_events_back_on_the_simulated_clock(shop: Shop) -> None:
    clock = Clock()
    sim = manual(shop, clock)
    sim.webhooks.delay(60)
    sim.paid_intent(amount=500, currency="gbp")

    assert sim.webhooks.retry_due() == []
    clock.now += 60
    assert sim.webhooks.retry_due() == [200, 200]


def test_with_auto_on_events_arrive_by_themselves(shop: Shop) -> None:
    sim = StripeSimulator()
    sim.add_webhook(shop.url, SECRET)
    sim.paid_intent(amount=500, currency="gbp")

    assert sim.webhooks.wait_until_sent()
    sim.webhooks.stop()
    assert kinds(shop) == [
        "payment_intent.created",
        "payment_method.attached",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


def test_nobody_listening_counts_as_a_failed_try() -> None:
    sim = StripeSimulator()
    sim.webhooks.auto = False
    sim.add_webhook("http://127.0.0.1:9/hook", SECRET, enabled_events=["payment_intent.succeeded"])
    sim.paid_intent(amount=500, currency="gbp")

    assert sim.webhooks.deliver() == [0]
    assert [each.attempts for each in sim.webhooks.pending()] == [1]


@pytest.mark.parametrize(("url", "secret"), [("http://127.0.0.1/hook", ""), ("ftp://127.0.0.1/hook", "whsec_x")])
def test_an_endpoint_needs_a_secret_and_an_http_address(url: str, secret: str) -> None:
    with pytest.raises(ValueError):
        StripeSimulator().add_webhook(url, secret)
