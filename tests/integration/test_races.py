"""Two at once: threads, processes, shoppers, the merchant, the sweeper. Each race has a control that shows it without
the guard that wins it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from money import (
    SOLD_ONCE,
    Crash,
    books,
    charge_row,
    charged,
    click,
    crash_after,
    crash_before,
    deliver,
    events,
    heal,
    offered,
    pass_time,
    together,
    told,
    wrap,
)

from flask_encore.services import accepting, recovering, settling
from flask_encore.store import catalog, charges, decisions, outbox, refunds

CREATE = "/v1/payment_intents"
CONFIRM = "/v1/payment_intents/*/confirm"

on_postgresql = pytest.mark.parametrize(
    "database_uri", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)


def _click_sixteen_times(shop: Shop, token: str) -> Counter[str]:
    with ThreadPoolExecutor(8) as threads:
        return Counter(threads.map(lambda _: shop.accept(token), range(16)))


def test_sixteen_clicks_on_eight_threads_are_one_acceptance(make_shop: ShopFactory, database_uri: str) -> None:
    shop = make_shop(database_uri, ENCORE_MAX_CONCURRENT_ACCEPTS=16)
    token = offered(shop)

    answers = _click_sixteen_times(shop, token)

    assert set(answers) <= {"charged", "charging"} and answers["charged"] >= 1
    assert len(shop.stripe.calls(CREATE)) == 1
    assert len(shop.stripe.calls(CONFIRM)) == 1
    for event in events(shop, "payment_intent.succeeded")[-1:] * 3:
        deliver(shop, event)
    heal(shop)
    assert books(shop) == SOLD_ONCE
    assert shop.accept(shop.token()) == "charged"


def test_control_without_the_unique_claim_every_click_would_be_a_charge(
    make_shop: ShopFactory, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(database_uri, ENCORE_MAX_CONCURRENT_ACCEPTS=16)
    token = offered(shop)
    real, steps = charges.claim, iter(range(1, 99))

    def claim(connection: Any, offer_id: str, **kwargs: Any) -> Any:
        claimed = real(connection, offer_id, **kwargs)
        if claimed is not None:
            return claimed
        table = charges.charges
        row = dict(connection.execute(sa.select(table).where(table.c.id == offer_id)).mappings().one())
        row |= {"id": uuid.uuid4().hex, "step": next(steps), "payment_intent_ref": None, "status": "claimed"}
        connection.execute(sa.insert(table).values(**row | {"attempt": 0, "charged_at": None}))
        return charges.find(connection, row["id"])

    monkeypatch.setattr(charges, "claim", claim)

    for _ in range(3):
        shop.accept(token)

    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400, 1161, 1161, 1161]


#: Four processes of one server, forked before they have a thread or a connection: each thirty clicks over five offers,
#: in an order of its own. Prints what was answered how often.
_CLICKERS = """
import json, os, random, sys
from collections import Counter
from datetime import datetime
from flask import Flask
from flask_encore import Encore
from flask_encore.testing import FixedRanker, FrozenClock

told = json.load(sys.stdin)

def click(number):
    app = Flask("host", instance_path=told["instance"])
    app.config |= told["config"]
    Encore().init_app(app, clock=FrozenClock(datetime.fromisoformat(told["now"])), ranker=FixedRanker("mug"))
    client, dice, answers = app.test_client(), random.Random(number), Counter()
    os.write(ready, b"r")
    os.read(go, 1)
    for _ in range(30):
        act = dice.choice(["accept", "accept", "refresh"])
        response = client.post(f"/encore/offers/{dice.choice(told['tokens'])}/{act}", headers={"Accept": "text/html"})
        answers[response.status_code] += 1
    os.write(1, (json.dumps(answers) + "\\n").encode())

waiting, ready = os.pipe()
go, start = os.pipe()
children = []
for number in range(4):
    child = os.fork()
    if not child:
        try:
            click(number)
        finally:
            os._exit(0)
    children.append(child)
for _ in range(4):
    os.read(waiting, 1)
os.write(start, b"gogo")
for child in children:
    os.waitpid(child, 0)
"""


def test_four_processes_clicking_on_the_same_five_offers_make_five_charges(
    any_shop: Shop, database_uri: str, tmp_path: Path
) -> None:
    shop = any_shop
    tokens = [offered(shop, str(number)) for number in range(5)]
    shop.stripe.faults.add(CREATE, "drop_after", times=2)
    shop.stripe.faults.add(CONFIRM, "drop_after")
    shop.stripe.faults.add(CONFIRM, "drop_before")
    config = {key: value for key, value in shop.app.config.items() if key.startswith("ENCORE_")}
    config |= {"TESTING": True, "SECRET_KEY": shop.app.config["SECRET_KEY"], "ENCORE_DATABASE_URI": database_uri}
    about = {"config": config, "instance": str(tmp_path), "now": shop.clock().isoformat(), "tokens": tokens}

    done = subprocess.run(
        [sys.executable, "-c", _CLICKERS],
        input=json.dumps(about),
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers == [{"303": 30}] * 4, done.stderr
    heal(shop)
    assert sorted(row["order_ref"] for row in shop.rows("charges")) == ["0", "1", "2", "3", "4"]
    assert {row["status"] for row in shop.rows("charges")} == {"succeeded"}
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400] * 5 + [1161] * 5
    assert Counter(row["kind"] for row in shop.rows("outbox")) == {"charge_succeeded": 5, "hold_released": 5}
    assert {intent["status"] for intent in shop.stripe.intents()} == {"succeeded"}
    assert len(shop.stripe.intents()) == 10
    assert shop.stock("mug") == 35


def test_yes_and_no_in_the_same_moment_are_one_of_the_two(any_shop: Shop) -> None:
    shop = any_shop
    for number in range(4):
        token = offered(shop, str(number))
        together(2, lambda who, token=token: shop.accept(token) if who else shop.post(token, "decline"))

        accepted = [row for row in shop.rows("charges") if row["order_ref"] == str(number)]
        assert shop.state(token) == ("charged" if accepted else "declined")
        assert shop.accept(token) == shop.state(token)
    assert len(shop.stripe.charges()) == 4 + len(shop.rows("charges"))


def test_a_no_that_slips_in_beside_a_yes_does_not_hide_the_charge(shop: Shop) -> None:
    token = charged(shop)
    with shop.rt.db.write() as connection:
        decisions.mark(connection, shop.rows("decisions")[0]["id"], "declined_at", at=shop.clock())

    assert shop.state(token) == "charged"
    assert shop.post(token, "undo").json["state"] == "undone"


def _three_refunds_at_once(shop: Shop, token: str) -> list[Any]:
    charge_id = charge_row(shop)["id"]

    def refund(who: int) -> Any:
        if who == 0:
            with shop.app.app_context():
                return shop.encore.refund(charge_id, actor="anna").status.value
        return shop.post(token, "undo").json["state"]

    return together(3, refund)


def test_an_undo_a_second_undo_and_the_merchants_refund_are_one_refund(any_shop: Shop) -> None:
    shop = any_shop
    token = charged(shop)

    answers = _three_refunds_at_once(shop, token)

    assert set(answers) <= {"undone", "undoing", "refunded", "refunding"}
    assert len(shop.stripe.calls("/v1/refunds")) == 1
    heal(shop)
    assert books(shop) == SOLD_ONCE | {
        "refunded": [1161],
        "rows": [("refunded", 1161, "gbp")],
        "told": ["charge_succeeded", "charge_refunded"],
        "stock": 40,
    }


def test_control_without_the_guards_of_refunds_stripe_would_be_asked_more_than_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = charged(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("DROP INDEX uq_encore_refunds_one_open"))
    real = charges.move
    monkeypatch.setattr(
        charges,
        "move",
        lambda connection, charge, *, to, sources, **kwargs: real(
            connection, charge, to=to, sources={*sources, "refunding"}, **kwargs
        ),
    )
    monkeypatch.setattr(refunds, "of_charge", lambda *_: [])
    wrap(monkeypatch, shop.rt.gateway, "refund", threading.Barrier(3).wait)

    _three_refunds_at_once(shop, token)

    assert len(shop.stripe.calls("/v1/refunds")) == 3
    # Stripe's own guard is the last: more than was charged never goes back.
    assert [refund["amount"] for refund in shop.stripe.refunds()] == [1161]


def _undo_as_the_hold_ends(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> str:
    """Undo in the last moment, and lose it between reading the time and writing; the state that came back."""
    token = charged(shop)
    shop.clock.advance(minutes=30, microseconds=-1)
    real = shop.rt.db.write

    def overtaken() -> Any:
        # The undo has read its time; before it writes, the hold ends and the merchant is told to ship.
        monkeypatch.setattr(shop.rt.db, "write", real)
        pass_time(shop, 1)
        return real()

    monkeypatch.setattr(shop.rt.db, "write", overtaken)
    return str(shop.post(token, "undo").json["state"])


def test_an_undo_overtaken_by_the_end_of_the_hold_changes_nothing(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _undo_as_the_hold_ends(any_shop, monkeypatch) == "charged"

    assert told(any_shop) == ["charge_succeeded", "hold_released"]
    assert any_shop.stripe.refunds() == []


def test_control_without_the_guard_of_undo_what_is_shipped_would_be_given_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = charges.move
    monkeypatch.setattr(charges, "move", lambda *args, **kwargs: real(*args, **kwargs | {"undoable": False}))

    assert _undo_as_the_hold_ends(shop, monkeypatch) == "undone"

    shop.sweep()
    assert told(shop) == ["charge_succeeded", "hold_released", "charge_refunded"]
    assert [refund["amount"] for refund in shop.stripe.refunds()] == [1161]


def _refund_as_the_hold_ends(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The merchant refunds between the sweeper's look at a charge and its word to ship."""
    charged(shop)
    charge_id = charge_row(shop)["id"]
    shop.clock.advance(minutes=31)
    release = recovering._release_hold

    def overtaken(rt: Any, charge: Any, **told: Any) -> Any:
        with shop.app.app_context():
            shop.encore.refund(charge_id, actor="anna")
        return release(rt, charge, **told)

    monkeypatch.setattr(recovering, "_release_hold", overtaken)
    heal(shop)


def test_a_refund_that_overtakes_the_end_of_the_hold_leaves_nothing_to_ship(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    _refund_as_the_hold_ends(shop, monkeypatch)

    assert told(shop) == ["charge_succeeded", "charge_refunded"]
    assert shop.stock("mug") == 40
    assert books(shop)["waiting"] == []


def test_control_without_the_guard_of_the_hold_what_is_given_back_would_be_shipped(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charges, "release_hold", lambda _connection, charge, **_: charge)

    _refund_as_the_hold_ends(shop, monkeypatch)

    assert told(shop) == ["charge_succeeded", "charge_refunded", "hold_released"]


def _one_left(shop: Shop) -> list[str]:
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_products SET stock = 1 WHERE sku = 'mug'"))
    return [offered(shop, "1"), offered(shop, "2")]


def test_the_last_piece_is_sold_to_one_shopper_and_the_other_is_charged_nothing(any_shop: Shop) -> None:
    shop = any_shop
    tokens = _one_left(shop)

    answers = together(2, lambda number: shop.accept(tokens[number]))

    assert sorted(answers) == ["charged", "sold_out"]
    assert len(shop.stripe.calls(CREATE)) == 1
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400, 3400, 1161]
    assert len(shop.rows("charges")) == 1
    assert shop.stock("mug") == 0
    loser = tokens[answers.index("sold_out")]
    assert shop.state(loser) == "sold_out"
    assert shop.accept(loser) == "sold_out"


@on_postgresql
def test_control_a_stock_that_is_read_before_it_is_written_sells_the_last_piece_twice(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    tokens = _one_left(shop)
    both = threading.Barrier(2)

    def reserve(connection: Any, sku: str, quantity: int) -> bool:
        stock = connection.execute(sa.text("SELECT stock FROM encore_products WHERE sku = :sku"), {"sku": sku}).scalar()
        both.wait(timeout=10)
        if stock < quantity:
            return False
        left = {"sku": sku, "left": stock - quantity}
        connection.execute(sa.text("UPDATE encore_products SET stock = :left WHERE sku = :sku"), left)
        return True

    monkeypatch.setattr(catalog, "reserve", reserve)

    assert together(2, lambda number: shop.accept(tokens[number])) == ["charged", "charged"]


def test_a_shopper_who_polls_while_the_click_waits_for_the_bank_disturbs_nothing(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop)
    shop.stripe.faults.add(CONFIRM, "hang", seconds=20)
    answers: list[str] = []
    clicking = threading.Thread(target=lambda: answers.append(shop.accept(token)))
    clicking.start()
    assert shop.stripe.faults.await_hanging()
    asked = len(shop.stripe.requests)

    polled = [shop.post(token, act).json["state"] for act in ("refresh", "accept", "undo", "leave", "decline")]
    swept = shop.sweep()

    assert polled == ["charging"] * 5
    assert (swept.charges, len(shop.stripe.requests)) == (0, asked)
    shop.stripe.faults.release()
    clicking.join()
    assert answers == ["charged"]
    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_control_without_the_lease_a_poll_would_ask_stripe_beside_the_click(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = offered(shop)
    shop.stripe.faults.add(CONFIRM, "hang", seconds=20)
    answers: list[str] = []
    clicking = threading.Thread(target=lambda: answers.append(shop.accept(token)))
    clicking.start()
    assert shop.stripe.faults.await_hanging()
    asked = len(shop.stripe.requests)
    real = charges.lease
    later = timedelta(minutes=10)
    monkeypatch.setattr(charges, "lease", lambda *args, now, **kwargs: real(*args, now=now + later, **kwargs))

    polled = shop.post(token, "refresh").json["state"]

    assert (polled, len(shop.stripe.requests) - asked) == ("charged", 2)  # it looked, and confirmed once more
    shop.stripe.faults.release()
    clicking.join()
    # The lease saves work; that there is one charge is the PaymentIntent's doing.
    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_a_click_that_comes_back_after_its_lease_finds_the_work_done(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop)
    shop.stripe.faults.add(CONFIRM, "hang_after", seconds=20)
    answers: list[str] = []
    clicking = threading.Thread(target=lambda: answers.append(shop.accept(token)))
    clicking.start()
    assert shop.stripe.faults.await_hanging()

    pass_time(shop, 2)

    assert charge_row(shop)["status"] == "succeeded"
    shop.stripe.faults.release()
    clicking.join()
    assert answers == ["charged"]
    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_a_create_that_comes_back_after_its_lease_is_overtaken_and_never_confirmed(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    token = offered(shop)
    real = accepting.charging._commit

    def slow(rt: Any, charge: Any, intent: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(accepting.charging, "_commit", real)
        monkeypatch.setattr(shop.rt.gateway, "intents_of", lambda *_, **__: ())
        shop.stripe.prune_idempotency()
        pass_time(shop, 2)  # the sweeper thinks us dead, cannot see our intent, and makes one of its own
        return real(rt, charge, intent, **kwargs)

    monkeypatch.setattr(accepting.charging, "_commit", slow)

    assert shop.accept(token) == "charged"

    assert [intent["status"] for intent in shop.stripe.intents()] == ["succeeded", "requires_confirmation", "succeeded"]
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400, 1161]
    assert charge_row(shop)["payment_intent_ref"] == shop.stripe.intents()[2]["id"]


def test_control_without_the_compare_and_swap_of_the_intent_both_would_be_confirmed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = offered(shop)
    real = accepting.charging._commit

    def slow(rt: Any, charge: Any, intent: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(accepting.charging, "_commit", real)
        monkeypatch.setattr(shop.rt.gateway, "intents_of", lambda *_, **__: ())
        shop.stripe.prune_idempotency()
        pass_time(shop, 2)
        shop.stripe.prune_idempotency()
        with rt.db.write() as connection:  # the id is overwritten instead of compared
            table = charges.charges
            connection.execute(
                sa.update(table)
                .values(payment_intent_ref=intent.ref, status="confirming")
                .where(table.c.id == charge.id)
            )
            return charges.find(connection, charge.id)

    monkeypatch.setattr(accepting.charging, "_commit", slow)

    shop.accept(token)

    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400, 1161, 1161]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_in_whatever_order_there_is_one_charge_at_most_and_one_message_for_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    token = offered(shop, card=dice.choice(["4242424242424242", "4000000000000341", "4000002760003184"]))
    gateway = shop.rt.gateway
    seams = [(gateway, "create_intent"), (gateway, "confirm_intent"), (outbox, "add"), (settling, "after_commit")]

    def webhook() -> None:
        ours = [event for event in shop.stripe.events if event["type"].startswith(("payment_intent.", "refund."))]
        deliver(shop, dice.choice(ours))

    def fault() -> None:
        kind = dice.choice(["drop_before", "drop_after", "error_500_after", "rate_limit_429", "conflict_409"])
        path, method = dice.choice([(CREATE, "POST"), (CONFIRM, "POST"), ("/v1/payment_intents/**", "*")])
        shop.stripe.faults.add(path, kind, method=method)

    def bank() -> None:
        ref = charge_row(shop)["payment_intent_ref"] if shop.rows("charges") else None
        if ref and shop.stripe.intent(ref)["status"] == "requires_action":
            shop.stripe.authenticate(ref, success=dice.random() < 0.7)

    acts = {
        "click": lambda: click(shop, token),
        "poll": lambda: shop.post(token, "refresh"),
        "undo": lambda: shop.post(token, "undo") if dice.random() < 0.2 else None,
        "webhook": webhook,
        "fault": fault,
        "bank": bank,
        "crash": lambda: dice.choice([crash_before, crash_after])(monkeypatch, *dice.choice(seams)),
        "forget": shop.stripe.prune_idempotency,
        "sweep": lambda: pass_time(shop, dice.choice([0, 0.2, 2])),
    }
    for _ in range(40):
        try:
            acts[dice.choice(list(acts))]()
        except Crash:
            shop.clock.advance(seconds=dice.choice([1, 100]))
    monkeypatch.undo()
    shop.stripe.faults.clear()
    heal(shop)
    heal(shop)

    made = [charge["amount"] for charge in shop.stripe.charges()][1:]
    kinds = Counter(row["kind"] for row in shop.rows("outbox"))
    assert made in ([], [1161])
    assert kinds["charge_succeeded"] == len(made)
    assert kinds["charge_refunded"] == len([1 for refund in shop.stripe.refunds()])
    assert books(shop)["waiting"] == []
    assert shop.stock("mug") == 40 - len(made) + len(shop.stripe.refunds())
    assert {row["quarantine_reason"] for row in shop.rows("charges")} <= {""}
    assert "requires_confirmation" not in {intent["status"] for intent in shop.stripe.intents()}
