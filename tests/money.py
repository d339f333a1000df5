"""What the money suites share: processes that die at a seam, the time that passes afterwards, and the books."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
import stripe as stripe_sdk
from conftest import WEBHOOK_SECRET, Shop

from flask_encore.domain.timeline import changes
from flask_encore.services import accepting


class Crash(BaseException):
    """The process died here: no ``except Exception`` may notice."""


def crash_before(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """The process dies as it calls ``owner.name``, once; the call is not made."""
    real = getattr(owner, name)

    def dying(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr(owner, name, real)
        raise Crash(f"before {name}")

    monkeypatch.setattr(owner, name, dying)


def crash_after(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """The process dies as ``owner.name`` answers, once; what it did is done."""
    real = getattr(owner, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(owner, name, real)
        real(*args, **kwargs)
        raise Crash(f"after {name}")

    monkeypatch.setattr(owner, name, dying)


def wrap(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, before: Callable[[], None]) -> None:
    """Call *before* ahead of every ``owner.name``."""
    real = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        before()
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrapped)


def click(shop: Shop, token: str) -> str:
    """Accept, and answer the state; ``crashed`` when the process died of it."""
    try:
        return shop.accept(token)
    except Crash:
        return "crashed"


def offered(shop: Shop, order_ref: str = "1042", **changes: Any) -> str:
    """The token of the offer of a freshly paid order."""
    shop.pay(order_ref, **changes)
    return shop.token(order_ref)


def charged(shop: Shop, order_ref: str = "1042", **changes: Any) -> str:
    """The token of an offer that was accepted and charged."""
    token = offered(shop, order_ref, **changes)
    assert shop.accept(token) == "charged"
    return token


def take(shop: Shop, offer_id: str, choice: Any = 0, text: str = "") -> str:
    """Accept an offer in one of its choices, below the web, and answer its state."""
    accepting.accept(shop.rt, offer_id, return_url="", choice=choice, text=text)
    return state_of(shop, offer_id)


def state_of(shop: Shop, offer_id: str) -> str:
    """An offer's state, below the web."""
    found = accepting.find(shop.rt, offer_id)
    assert found is not None
    return accepting.state_of(shop.rt, found).value


def undo_offer(shop: Shop, offer_id: str) -> str:
    """Undo an accepted offer, below the web, and answer its state."""
    found = accepting.find(shop.rt, offer_id)
    assert found is not None
    accepting.undo(shop.rt, found)
    return state_of(shop, offer_id)


def pass_time(shop: Shop, *minutes: float) -> None:
    """Sweep, again and again, with this many minutes between the sweeps."""
    for each in minutes:
        shop.clock.advance(minutes=each)
        shop.sweep()


def heal(shop: Shop) -> None:
    """Sweep through the longest lease and backoff, to the end of the hold and past the last message."""
    shop.sweep()
    pass_time(shop, 2, 5, 16, 40, 3)


def told(shop: Shop, order_ref: str = "1042") -> list[str]:
    """The kinds of events the host's handlers took about an order, in order."""
    return [event.kind.value for event in shop.delivered if event.order_ref == order_ref]


def charge_row(shop: Shop, order_ref: str = "1042") -> dict[str, Any]:
    """The one charge row of an order."""
    (row,) = [row for row in shop.rows("charges") if row["order_ref"] == order_ref]
    return row


def story(shop: Shop, order_ref: str = "1042") -> list[tuple[str, str, str]]:
    """(status, source, detail) of every change of an order's charge, as its timeline tells them."""
    return [
        (change.status.value, change.source.value, change.detail)
        for change in changes(charge_row(shop, order_ref)["timeline"])
    ]


def untold(shop: Shop) -> list[tuple[str, str]]:
    """(order, status) of every charge whose timeline does not end with the status it has; there must be none."""
    return [
        (row["order_ref"], row["status"])
        for row in shop.rows("charges")
        if [change.status for change in changes(row["timeline"])][-1:] != [row["status"]]
    ]


def books(shop: Shop) -> dict[str, Any]:
    """Everything that has to agree once the dust has settled, of a shop with one order.

    ``charged`` holds minor units Stripe really moved, the original payment first. ``intents`` holds every
    PaymentIntent's status. ``waiting`` names what anybody would still look at.
    """
    waiting = [f"charge {row['status']}" for row in shop.rows("charges") if row["next_run_at"] is not None]
    waiting += [f"message {row['kind']}" for row in shop.rows("outbox") if row["delivered_at"] is None]
    return {
        "charged": [charge["amount"] for charge in shop.stripe.charges()],
        "refunded": [refund["amount"] for refund in shop.stripe.refunds() if refund["status"] == "succeeded"],
        "intents": [intent["status"] for intent in shop.stripe.intents()],
        "rows": [(row["status"], row["amount_minor"], row["currency"]) for row in shop.rows("charges")],
        "told": [event.kind.value for event in shop.delivered],
        "stock": shop.stock("mug"),
        "waiting": waiting,
    }


#: The books of one offer accepted, charged once and handed to fulfilment.
SOLD_ONCE = {
    "charged": [3400, 1161],
    "refunded": [],
    "intents": ["succeeded", "succeeded"],
    "rows": [("succeeded", 1161, "gbp")],
    "told": ["charge_succeeded", "hold_released"],
    "stock": 39,
    "waiting": [],
}

#: The books of an order that was left alone.
NOTHING_SOLD = {
    "charged": [3400],
    "refunded": [],
    "rows": [("canceled", 1161, "gbp")],
    "told": ["charge_canceled"],
    "stock": 40,
    "waiting": [],
}


def browser(shop: Shop) -> Any:
    """Stripe as the shopper's browser reaches it: with the publishable key."""
    return stripe_sdk.StripeClient("pk_test_simulator", base_addresses={"api": shop.stripe.url}).v1


def merchant(shop: Shop) -> Any:
    """Stripe as the merchant's Stripe dashboard reaches it."""
    return stripe_sdk.StripeClient("sk_test_simulator", base_addresses={"api": shop.stripe.url}).v1


def events(shop: Shop, kind: str) -> list[dict[str, Any]]:
    """Every event of a kind Stripe has emitted, oldest first."""
    return [event for event in shop.stripe.events if event["type"] == kind]


def deliver(shop: Shop, event: dict[str, Any], *, secret: str = WEBHOOK_SECRET, client: Any = None) -> tuple[int, Any]:
    """Post a signed event to the webhook; answers status and body."""
    body, signature = shop.stripe.webhooks.signed(event, secret=secret)
    response = (client or shop.app.test_client()).post(
        "/encore/stripe/webhook", data=body, headers={"Stripe-Signature": signature, "Content-Type": "application/json"}
    )
    return response.status_code, response.json


@contextmanager
def statements(shop: Shop) -> Iterator[list[str]]:
    """Every statement and commit on Encore's engines meanwhile, as ``SELECT encore_orders`` or ``COMMIT``."""
    log: list[str] = []

    def execute(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        flat = " ".join(statement.split())
        while flat != (flat := re.sub(r"\([^()]*\)", "", flat)):
            pass  # what stands in brackets (a list of columns, an EXISTS) names no table of its own here
        verb = flat.split()[0]
        found = re.search({"INSERT": r"INTO (\w+)", "UPDATE": r"UPDATE (\w+)"}.get(verb, r"FROM (\w+)"), flat)
        log.append(f"{verb} {found[1] if found else flat}")

    def commit(_c: Any) -> None:
        log.append("COMMIT")

    engines = {shop.rt.db.engine, shop.rt.db._hasty}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", execute)
        sa.event.listen(engine, "commit", commit)
    try:
        yield log
    finally:
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", execute)
            sa.event.remove(engine, "commit", commit)


#: The kinds of events `make_shop` does not listen to.
ALARMS = ("refund_failed", "charge_disputed", "charge_quarantined")


def listen_for_alarms(shop: Shop) -> None:
    """Let the host's handlers take the alarms too; `told` and `books` show them then."""
    for kind in ALARMS:
        shop.encore.on(kind)(shop.delivered.append)


def together(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Call ``act(0)``, ``act(1)``, … at the same moment, each on a thread of its own; answers what they answered."""
    start = threading.Barrier(count)
    answers: list[Any] = [None] * count

    def run(number: int) -> None:
        start.wait(timeout=10)
        try:
            answers[number] = act(number)
        except Exception as error:
            answers[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
