"""Undo and refund: one path, the whole amount, exactly once, whatever the bank, the network or somebody else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Shop, ShopFactory
from money import (
    SOLD_ONCE,
    Crash,
    books,
    charge_row,
    charged,
    crash_after,
    crash_before,
    deliver,
    events,
    heal,
    listen_for_alarms,
    merchant,
    pass_time,
    told,
)

from flask_encore.domain.errors import GatewayUnknown
from flask_encore.store import charges, refunds

REFUND = "/v1/refunds"

#: The books of one offer accepted and undone.
UNDONE_ONCE = SOLD_ONCE | {
    "refunded": [1161],
    "rows": [("refunded", 1161, "gbp")],
    "told": ["charge_succeeded", "charge_refunded"],
    "stock": 40,
}

Arm = Callable[[Shop, pytest.MonkeyPatch], None]

#: What happens to an undo -> what the shopper is answered, and how to make it happen.
FAULTS: dict[str, tuple[str, Arm]] = {
    "refund lost on the way": ("undoing", lambda s, m: s.stripe.faults.add(REFUND, "drop_before")),
    "refund executed, answer lost": ("undoing", lambda s, m: s.stripe.faults.add(REFUND, "drop_after")),
    "refund executed, 500 answered": ("undoing", lambda s, m: s.stripe.faults.add(REFUND, "error_500_after")),
    "refund not executed, 500 answered": ("undoing", lambda s, m: s.stripe.faults.add(REFUND, "error_500_before")),
    "refund met a rate limit": ("undoing", lambda s, m: s.stripe.faults.add(REFUND, "rate_limit_429")),
    "refund met its twin": ("undoing", lambda s, m: s.stripe.faults.add(REFUND, "conflict_409")),
    "crash before the refund": ("crashed", lambda s, m: crash_before(m, s.rt.gateway, "refund")),
    "crash after the refund": ("crashed", lambda s, m: crash_after(m, s.rt.gateway, "refund")),
    "crash before its outcome is committed": ("crashed", lambda s, m: crash_before(m, refunds, "record")),
}


def undo(shop: Shop, token: str) -> str:
    """Undo, and answer the state; ``crashed`` when the process died of it."""
    try:
        response = shop.post(token, "undo")
    except Crash:
        return "crashed"
    assert response.status_code == 200
    return str(response.json["state"])


def dashboard_refund(shop: Shop, **changes: Any) -> dict[str, Any]:
    """The merchant refunds in Stripe's own dashboard; answers the event Stripe sends for it."""
    merchant(shop).refunds.create({"payment_intent": charge_row(shop)["payment_intent_ref"], **changes})
    return events(shop, "refund.created")[-1]


@pytest.mark.parametrize("forgets", [False, True], ids=["10 seconds", "25 hours, keys forgotten"])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_undo_is_one_refund_whatever_breaks(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch, fault: str, forgets: bool
) -> None:
    shop = any_shop
    token = charged(shop)
    answer, arm = FAULTS[fault]
    arm(shop, monkeypatch)

    assert undo(shop, token) == answer

    shop.clock.advance(seconds=25 * 3600 if forgets else 10)
    if forgets:
        shop.stripe.prune_idempotency()
    heal(shop)
    assert books(shop) == UNDONE_ONCE
    assert undo(shop, shop.token()) == "undone"
    assert books(shop) == UNDONE_ONCE


def test_undo_is_possible_until_the_very_last_microsecond(shop: Shop) -> None:
    token = charged(shop)
    shop.clock.advance(minutes=30, microseconds=-1)

    assert undo(shop, token) == "undone"

    heal(shop)
    assert books(shop) == UNDONE_ONCE


def test_undo_is_refused_from_the_instant_the_hold_ends_and_nothing_moves(any_shop: Shop) -> None:
    shop = any_shop
    token = charged(shop)
    shop.clock.advance(minutes=30)

    assert undo(shop, token) == "charged"

    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_with_no_time_to_undo_there_is_no_undo_and_the_line_is_released_at_once(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_UNDO_SECONDS=0)
    token = charged(shop)

    assert undo(shop, token) == "charged"
    shop.sweep()

    assert books(shop) == SOLD_ONCE


def test_a_merchant_may_refund_after_the_hold_and_the_shipped_piece_does_not_return_to_stock(shop: Shop) -> None:
    charged(shop)
    pass_time(shop, 31)

    with shop.app.app_context():
        refunded = shop.encore.refund(charge_row(shop)["id"], actor="anna")
        again = shop.encore.refund(charge_row(shop)["id"], actor="anna")

    assert (refunded.status, again.status) == ("refunded", "refunded")
    heal(shop)
    assert books(shop) == UNDONE_ONCE | {
        "told": ["charge_succeeded", "hold_released", "charge_refunded"],
        "stock": 39,
    }
    assert [(row["cause"], row["actor"], row["status"]) for row in shop.rows("refunds")] == [
        ("merchant", "anna", "succeeded")
    ]


def test_a_refund_the_bank_takes_days_for_is_undoing_until_it_arrives_and_asked_about_once_an_hour(shop: Shop) -> None:
    token = charged(shop)
    shop.stripe.refunds_pend = True
    assert undo(shop, token) == "undoing"
    assert undo(shop, token) == "undoing"
    shop.stripe.forget_requests()

    pass_time(shop, *[5] * 24)

    assert told(shop) == ["charge_succeeded"]
    fees = f"/v1/payment_intents/{charge_row(shop)['payment_intent_ref']}"
    assert [request.path for request in shop.stripe.requests if request.path != fees] == ["/v1/refunds"] * 2
    shop.stripe.complete_refund(shop.stripe.refunds()[0]["id"])
    pass_time(shop, 61)
    assert shop.state(shop.token()) == "undone"
    assert books(shop) == UNDONE_ONCE


def test_a_refund_the_bank_sends_back_leaves_the_charge_and_may_be_asked_for_again(any_shop: Shop) -> None:
    shop = any_shop
    listen_for_alarms(shop)
    token = charged(shop)
    shop.stripe.refunds_pend = True
    for _ in range(2):
        assert undo(shop, token) == "undoing"
        shop.stripe.fail_refund(shop.stripe.refunds()[-1]["id"])
        assert deliver(shop, events(shop, "refund.failed")[-1]) == (200, {"effect": "applied"})
        assert shop.state(token) == "charged"
    shop.stripe.refunds_pend = False

    assert undo(shop, token) == "undone"

    shop.sweep()
    assert told(shop) == ["charge_succeeded", "refund_failed", "refund_failed", "charge_refunded"]
    assert [row["status"] for row in shop.rows("refunds")] == ["failed", "failed", "succeeded"]
    assert [refund["amount"] for refund in shop.stripe.refunds() if refund["status"] == "succeeded"] == [1161]
    assert shop.stock("mug") == 40


def test_a_refund_that_succeeded_and_comes_back_later_is_told_to_the_merchant(shop: Shop) -> None:
    listen_for_alarms(shop)
    token = charged(shop)
    assert undo(shop, token) == "undone"
    shop.stripe.fail_refund(shop.stripe.refunds()[0]["id"])

    for event in (events(shop, "refund.failed")[0], events(shop, "refund.updated")[0]):
        assert deliver(shop, event)[0] == 200

    shop.sweep()
    assert told(shop) == ["charge_succeeded", "charge_refunded", "refund_failed"]
    assert shop.state(token) == "undone"
    assert shop.stock("mug") == 40


def test_a_full_refund_in_stripes_dashboard_is_an_undo_by_another_way(any_shop: Shop) -> None:
    shop = any_shop
    token = charged(shop)
    event = dashboard_refund(shop)

    assert deliver(shop, event) == (200, {"effect": "applied"})
    assert undo(shop, token) == "undone"

    heal(shop)
    assert books(shop) == UNDONE_ONCE
    assert [(row["cause"], row["actor"]) for row in shop.rows("refunds")] == [("merchant", "stripe")]


def test_an_undo_after_a_dashboard_refund_nobody_told_us_of_finds_it_and_refunds_nothing_more(shop: Shop) -> None:
    token = charged(shop)
    dashboard_refund(shop)

    assert undo(shop, token) == "undone"

    heal(shop)
    assert books(shop)["refunded"] == [1161]
    assert books(shop)["stock"] == 40
    assert books(shop)["waiting"] == []


def test_an_undo_while_a_dashboard_refund_is_on_its_way_waits_for_that_one(any_shop: Shop) -> None:
    shop = any_shop
    token = charged(shop)
    shop.stripe.refunds_pend = True
    assert deliver(shop, dashboard_refund(shop)) == (200, {"effect": "applied"})

    assert shop.state(token) == "undoing"
    assert undo(shop, token) == "undoing"

    shop.stripe.complete_refund(shop.stripe.refunds()[0]["id"])
    pass_time(shop, 61)
    assert books(shop) == UNDONE_ONCE


@pytest.mark.parametrize("heard", [True, False], ids=["with its webhook", "without its webhook"])
def test_an_undo_after_a_partial_dashboard_refund_gives_the_rest_back(any_shop: Shop, heard: bool) -> None:
    shop = any_shop
    token = charged(shop)
    event = dashboard_refund(shop, amount=500)
    if heard:
        assert deliver(shop, event)[0] == 200

    assert undo(shop, token) == "undone"

    heal(shop)
    assert [refund["amount"] for refund in shop.stripe.refunds()] == [500, 661]
    assert books(shop)["rows"] == [("refunded", 1161, "gbp")]
    assert books(shop)["stock"] == 40
    assert books(shop)["waiting"] == []


def test_an_undo_while_a_partial_dashboard_refund_is_on_its_way_changes_nothing_yet(any_shop: Shop) -> None:
    shop = any_shop
    token = charged(shop)
    shop.stripe.refunds_pend = True
    assert deliver(shop, dashboard_refund(shop, amount=500))[0] == 200

    assert undo(shop, token) == "charged"

    assert [refund["amount"] for refund in shop.stripe.refunds()] == [500]
    assert charge_row(shop)["status"] == "succeeded"


def test_late_news_of_an_earlier_failed_refund_does_not_give_up_the_new_one(shop: Shop) -> None:
    token = charged(shop)
    shop.stripe.refunds_pend = True
    undo(shop, token)
    shop.stripe.fail_refund(shop.stripe.refunds()[0]["id"])
    assert deliver(shop, events(shop, "refund.failed")[0])[0] == 200
    shop.stripe.refunds_pend = False
    shop.stripe.faults.add(REFUND, "drop_before")
    assert undo(shop, token) == "undoing"

    assert deliver(shop, events(shop, "refund.updated")[0])[0] == 200

    assert shop.state(token) == "undoing"
    heal(shop)
    assert books(shop)["rows"] == [("refunded", 1161, "gbp")]
    assert books(shop)["refunded"] == [1161]
    assert books(shop)["waiting"] == []


def test_a_disputed_charge_cannot_be_undone_and_the_merchant_hears_of_both(any_shop: Shop) -> None:
    shop = any_shop
    listen_for_alarms(shop)
    token = charged(shop)
    shop.stripe.dispute(charge_row(shop)["payment_intent_ref"])

    assert undo(shop, token) == "charged"
    assert deliver(shop, events(shop, "charge.dispute.created")[0]) == (200, {"effect": "applied"})

    heal(shop)
    assert told(shop) == ["charge_succeeded", "refund_failed", "charge_disputed"]
    assert shop.stripe.refunds() == []
    assert books(shop)["rows"] == [("disputed", 1161, "gbp")]
    assert books(shop)["waiting"] == []


def test_a_refused_refund_whose_reason_cannot_be_read_stays_undoing_and_is_never_an_error(shop: Shop) -> None:
    token = charged(shop)
    dashboard_refund(shop)
    shop.stripe.faults.add(REFUND, "drop_before", method="GET")

    assert undo(shop, token) == "undoing"

    heal(shop)
    assert books(shop)["rows"] == [("refunded", 1161, "gbp")]
    assert books(shop)["refunded"] == [1161]
    assert books(shop)["waiting"] == []


def test_a_crash_after_a_refusal_leaves_nothing_stuck(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    listen_for_alarms(shop)
    token = charged(shop)
    shop.stripe.dispute(charge_row(shop)["payment_intent_ref"])
    crash_after(monkeypatch, refunds, "fail")

    assert undo(shop, token) == "crashed"

    heal(shop)
    assert books(shop)["rows"] == [("succeeded", 1161, "gbp")]
    assert books(shop)["waiting"] == []
    assert told(shop) == ["charge_succeeded", "refund_failed", "hold_released"]


def test_a_refund_stripe_stored_a_failure_for_and_did_not_make_is_asked_for_under_a_new_key(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = charged(shop)
    asked: list[str] = []
    real = shop.rt.gateway.refund

    def stored_failure(*args: Any, idempotency_key: str, **kwargs: Any) -> Any:
        asked.append(idempotency_key.rpartition(":")[2])
        if asked[-1] == "1":
            raise GatewayUnknown("stored", answer_stored=True)
        return real(*args, idempotency_key=idempotency_key, **kwargs)

    monkeypatch.setattr(shop.rt.gateway, "refund", stored_failure)

    assert undo(shop, token) == "undoing"

    heal(shop)
    assert asked == ["1", "1", "2"]
    assert books(shop) == UNDONE_ONCE


def test_the_hold_is_not_released_while_a_refund_is_on_its_way(shop: Shop) -> None:
    token = charged(shop)
    shop.clock.advance(minutes=29)
    shop.stripe.faults.add(REFUND, "drop_before", times=3)
    assert undo(shop, token) == "undoing"

    pass_time(shop, 1, 1, 1)

    assert "hold_released" not in told(shop)
    heal(shop)
    assert books(shop) == UNDONE_ONCE


def test_control_without_the_guard_of_the_hold_an_undo_after_release_would_refund_a_shipped_line(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = charged(shop)
    pass_time(shop, 31)
    real = charges.move
    monkeypatch.setattr(charges, "move", lambda *args, undoable=False, **kwargs: real(*args, undoable=False, **kwargs))

    assert undo(shop, token) == "undone"
    assert told(shop) == ["charge_succeeded", "hold_released"]
    assert [refund["amount"] for refund in shop.stripe.refunds()] == [1161]
