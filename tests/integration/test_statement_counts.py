"""How many statements and commits each road costs, named one by one; and that none is open while Stripe is asked."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Shop
from money import (
    charge_row,
    charged,
    click,
    crash_after,
    deliver,
    events,
    heal,
    merchant,
    offered,
    pass_time,
    statements,
)

#: Recording Stripe's progress between the two steps: not counted among accept's own.
PROGRESS = ["UPDATE encore_charges", "COMMIT"]


def test_the_first_visit_of_the_page_costs_two_statements_and_one_commit(any_shop: Shop) -> None:
    shop = any_shop
    shop.pay()
    with statements(shop) as log:
        assert "Enamel mug" in shop.page().text

    assert log == ["SELECT encore_orders", "INSERT encore_decisions", "COMMIT"]


def test_every_later_visit_costs_one_statement_and_no_commit(any_shop: Shop) -> None:
    shop = any_shop
    offered(shop)
    with statements(shop) as log:
        assert "Enamel mug" in shop.page().text
        shop.page()

    assert log == ["SELECT encore_orders"] * 2


def test_a_page_without_an_order_of_ours_costs_one_statement(any_shop: Shop) -> None:
    shop = any_shop
    with statements(shop) as log:
        shop.page("unknown")

    assert log == ["SELECT encore_orders"]


def test_accept_costs_four_statements_and_two_commits_besides_stripes_progress(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop)
    with statements(shop) as log:
        assert shop.accept(token) == "charged"

    claim = ["INSERT encore_charges", "UPDATE encore_products", "COMMIT"]
    outcome = ["UPDATE encore_charges", "INSERT encore_outbox", "COMMIT"]
    assert log == claim + PROGRESS + outcome


def test_a_second_click_costs_two_statements(any_shop: Shop) -> None:
    shop = any_shop
    token = charged(shop)
    with statements(shop) as log:
        assert shop.accept(token) == "charged"

    assert log == ["INSERT encore_charges", "COMMIT", "SELECT encore_decisions"]


def test_a_webhook_costs_four_statements_and_one_commit(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    assert click(shop, offered(shop)) == "crashed"
    event = events(shop, "payment_intent.succeeded")[-1]
    with statements(shop) as first:
        assert deliver(shop, event) == (200, {"effect": "applied"})
    with statements(shop) as copy:
        assert deliver(shop, event) == (200, {"effect": "duplicate"})
    with statements(shop) as nothing_new:
        assert deliver(shop, events(shop, "payment_intent.created")[-1])[0] == 200

    assert first == [
        "SELECT encore_charges",
        "UPDATE encore_charges",
        "INSERT encore_outbox",
        "INSERT encore_events",
        "COMMIT",
    ]
    assert copy == ["SELECT encore_charges"]
    assert nothing_new == [
        "SELECT encore_charges",
        "UPDATE encore_charges",
        "SELECT encore_charges",
        "INSERT encore_events",
        "COMMIT",
    ]


def test_an_event_of_the_shops_own_costs_two_statements_and_one_commit(any_shop: Shop) -> None:
    shop = any_shop
    shop.pay()
    with statements(shop) as log:
        deliver(shop, events(shop, "payment_intent.succeeded")[0])

    assert log == ["SELECT encore_charges", "INSERT encore_events", "COMMIT"]


@pytest.mark.parametrize(
    ("act", "log"),
    [
        ("decline", ["SELECT encore_decisions", "UPDATE encore_decisions", "COMMIT", "SELECT encore_decisions"]),
        ("shown", ["UPDATE encore_decisions", "COMMIT"]),
    ],
)
def test_the_small_answers_are_small(any_shop: Shop, act: str, log: list[str]) -> None:
    shop = any_shop
    token = offered(shop)
    with statements(shop) as counted:
        shop.post(token, act)

    assert counted == log


def test_a_sweep_with_nothing_due_costs_four_looks_and_a_heartbeat(any_shop: Shop) -> None:
    shop = any_shop
    shop.sweep()
    with statements(shop) as log:
        shop.sweep()

    assert log == [
        "SELECT encore_charges",
        "SELECT encore_outbox",
        "SELECT encore_orders",
        "INSERT encore_heartbeats",
        "COMMIT",
        "SELECT encore_webhooks",
    ]


#: Every call that goes to Stripe.
CALLS = [
    "payment",
    "create_intent",
    "confirm_intent",
    "intent",
    "cancel_intent",
    "intents_of",
    "refund",
    "refunds_of",
    "is_disputed",
    "fee",
]


def test_no_connection_is_held_while_stripe_is_asked(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    held: dict[str, set[int]] = {name: set() for name in CALLS}
    engines = {shop.rt.db.engine, shop.rt.db._hasty}

    def watch(name: str) -> None:
        real = getattr(shop.rt.gateway, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            held[name].add(sum(engine.pool.checkedout() for engine in engines))  # type: ignore[attr-defined]
            return real(*args, **kwargs)

        monkeypatch.setattr(shop.rt.gateway, name, watched)

    for name in CALLS:
        watch(name)
    shop.stripe.faults.add("/v1/payment_intents", "error_500_after")
    assert shop.accept(offered(shop, "1")) == "unknown"
    heal(shop)
    token = charged(shop, "2")
    shop.stripe.faults.add("/v1/refunds", "drop_before")
    shop.post(token, "undo")
    pass_time(shop, 1)
    left = offered(shop, "3", card="4000002760003184")
    shop.accept(left)
    shop.post(left, "secret")
    shop.post(left, "refresh")
    shop.post(left, "leave")
    charged(shop, "4")
    ref = charge_row(shop, "4")["payment_intent_ref"]
    merchant(shop).refunds.create({"payment_intent": ref, "amount": 1})
    deliver(shop, events(shop, "refund.created")[-1])
    shop.stripe.dispute(ref)
    deliver(shop, events(shop, "charge.dispute.created")[0])
    pass_time(shop, 60)

    assert held == {name: {0} for name in CALLS}


def test_the_watch_above_would_notice_a_held_connection(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop.rt.db.write():
        assert shop.rt.db.engine.pool.checkedout() == 1  # type: ignore[attr-defined]
    assert shop.rt.db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
