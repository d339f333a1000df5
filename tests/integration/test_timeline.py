"""The history of a charge: each change of its state has one line, written by the statement that makes it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from campaigns import launch, only
from conftest import Shop
from money import (
    browser,
    charge_row,
    charged,
    click,
    crash_after,
    crash_before,
    deliver,
    events,
    merchant,
    offered,
    pass_time,
    story,
    take,
    together,
    undo_offer,
    untold,
)

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.ports import IntentStatus
from flask_encore.domain.timeline import MAX_HISTORY, Source, changes
from flask_encore.services import refunding
from flask_encore.store import charges, models

DECLINED = "4000000000000341"
ALWAYS = "4000002760003184"


def intent(shop: Shop) -> str:
    return str(charge_row(shop)["payment_intent_ref"])


def event_id(shop: Shop, kind: str, place: int = -1) -> str:
    return str(events(shop, kind)[place]["id"])


def begun(shop: Shop) -> list[tuple[str, str, str]]:
    """What a click leaves behind before the bank answers."""
    return [("claimed", "click", ""), ("confirming", "click", intent(shop))]


def clicked(shop: Shop, status: str, detail: str = "") -> list[tuple[str, str, str]]:
    """What a click leaves behind, up to its outcome."""
    return [*begun(shop), (status, "click", detail)]


def test_a_click_that_is_charged_and_a_hold_that_ends(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    pass_time(shop, 31)

    assert story(shop) == [*clicked(shop, "succeeded"), ("succeeded", "sweeper", "hold released")]
    assert untold(shop) == []


def test_the_times_are_the_clocks(any_shop: Shop) -> None:
    shop = any_shop
    before = shop.clock()
    charged(shop)
    pass_time(shop, 31)

    told = changes(charge_row(shop)["timeline"])
    assert [change.at for change in told] == [before] * 3 + [shop.clock()]


def test_an_undo(any_shop: Shop) -> None:
    shop = any_shop
    token = charged(shop)
    assert shop.post(token, "undo").json["state"] == "undone"

    assert story(shop)[3:] == [("refunding", "shopper", "refund requested"), ("refunded", "shopper", "")]
    assert untold(shop) == []


def test_a_refund_of_the_merchants_names_who_asked_for_it(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    with shop.rt.db.read() as connection:
        charge = charges.find(connection, charge_row(shop)["id"])
    assert charge is not None
    refunding.refund(shop.rt, charge, actor="mallory\n2026-01-01T00:00:00+00:00|disputed|webhook|x")

    assert story(shop)[3:] == [
        ("refunding", "merchant", "refund requested by mallory 2026-01-01T00:00:00+00:00 disputed webhook x"),
        ("refunded", "merchant", ""),
    ]
    assert untold(shop) == []


def test_a_refund_the_bank_takes_days_for_and_then_sends_back_is_two_lines_however_often_it_is_asked_about(
    any_shop: Shop,
) -> None:
    shop = any_shop
    shop.stripe.refunds_pend = True
    token = charged(shop)
    shop.post(token, "undo")
    pass_time(shop, *[61] * 20)
    shop.stripe.fail_refund(shop.stripe.refunds()[-1]["id"])
    assert deliver(shop, events(shop, "refund.failed")[-1])[0] == 200

    assert story(shop)[3:] == [
        ("refunding", "shopper", "refund requested"),
        ("succeeded", "webhook", f"refund failed {event_id(shop, 'refund.failed')}"),
    ]
    assert untold(shop) == []


def test_a_refund_in_stripes_own_dashboard(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    merchant(shop).refunds.create({"payment_intent": intent(shop)})
    deliver(shop, events(shop, "refund.created")[-1])

    assert story(shop)[3:] == [("refunded", "webhook", event_id(shop, "refund.created"))]


def test_a_banks_no_another_banks_no_and_a_card_that_pays(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop, card=DECLINED)
    shop.accept(token)
    for card in ("pm_card_chargeDeclinedInsufficientFunds", "pm_card_visa"):
        secret = shop.post(token, "secret").json["client_secret"]
        try:
            browser(shop).payment_intents.confirm(intent(shop), {"payment_method": card, "client_secret": secret})
        except Exception as error:
            assert type(error).__name__ == "CardError"
        shop.post(token, "refresh")

    assert story(shop) == [
        *clicked(shop, "failed", "generic_decline"),
        ("failed", "poll", "insufficient_funds"),
        ("succeeded", "poll", ""),
    ]
    assert untold(shop) == []


def test_a_banks_check_that_is_left(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop, card=ALWAYS)
    shop.accept(token)
    shop.post(token, "leave")

    assert story(shop) == [*clicked(shop, "action_required"), ("canceled", "shopper", "")]


def test_a_banks_check_nobody_passes(any_shop: Shop) -> None:
    shop = any_shop
    shop.accept(offered(shop, card=ALWAYS))
    pass_time(shop, 31)

    assert story(shop) == [*clicked(shop, "action_required"), ("canceled", "sweeper", "")]


def test_an_answer_that_never_came_and_a_webhook_that_did(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    click(shop, offered(shop))
    for _ in range(2):
        deliver(shop, events(shop, "payment_intent.succeeded")[-1])

    assert story(shop) == [*begun(shop), ("succeeded", "webhook", event_id(shop, "payment_intent.succeeded"))]


def test_a_call_without_an_answer_and_the_sweeper_that_finds_out(any_shop: Shop) -> None:
    shop = any_shop
    shop.stripe.faults.add("/v1/payment_intents", "error_500_after")
    assert shop.accept(offered(shop)) == "unknown"
    pass_time(shop, 1)

    assert story(shop) == [
        ("claimed", "click", ""),
        ("unknown", "click", "no answer from Stripe"),
        ("confirming", "sweeper", intent(shop)),
        ("succeeded", "sweeper", ""),
    ]
    assert untold(shop) == []


def test_a_claim_nobody_came_back_to_for_days(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    crash_before(monkeypatch, shop.rt.gateway, "create_intent")
    click(shop, offered(shop))
    pass_time(shop, 73 * 60)

    assert story(shop) == [("claimed", "click", ""), ("canceled", "sweeper", "abandoned")]


def test_what_is_given_away_and_taken_back(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "gift", offer={"kind": "fixed", "skus": ["mug"], "discount": {"percent": 100}})
    shop.pay()
    offer_id = str(only(shop, "1042").decision["id"])
    take(shop, offer_id)
    undo_offer(shop, offer_id)

    assert story(shop) == [
        ("claimed", "click", ""),
        ("succeeded", "click", "free"),
        ("refunded", "shopper", ""),
    ]
    assert untold(shop) == []


def test_a_quarantine_keeps_the_status_and_names_the_reason(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    click(shop, offered(shop))
    real = shop.rt.gateway.intent
    monkeypatch.setattr(shop.rt.gateway, "intent", lambda ref: replace(real(ref), customer_ref="cus_another"))
    for _ in range(2):
        deliver(shop, events(shop, "payment_intent.succeeded")[-1])
    pass_time(shop, 31)

    event = event_id(shop, "payment_intent.succeeded")
    assert story(shop) == [
        *begun(shop),
        ("confirming", "webhook", f"quarantined: customer_mismatch {event}"),
    ]
    assert untold(shop) == []


def test_money_on_what_was_given_up(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    token = offered(shop, card=ALWAYS)
    shop.accept(token)
    shop.post(token, "leave")
    real = shop.rt.gateway.intent
    monkeypatch.setattr(
        shop.rt.gateway,
        "intent",
        lambda ref: replace(real(ref), status=IntentStatus.SUCCEEDED, amount_received=1161),
    )
    deliver(shop, events(shop, "payment_intent.canceled")[0])

    event = event_id(shop, "payment_intent.canceled", 0)
    assert story(shop)[-1] == ("canceled", "webhook", f"quarantined: paid_after_cancel {event}")
    assert untold(shop) == []


def test_a_dispute(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    shop.stripe.dispute(intent(shop))
    deliver(shop, events(shop, "charge.dispute.created")[0])

    assert story(shop)[3:] == [("disputed", "webhook", event_id(shop, "charge.dispute.created", 0))]
    assert untold(shop) == []


def test_who_loses_a_race_leaves_no_line(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop)

    assert together(4, lambda _: shop.accept(token)).count("charged") >= 1
    event = events(shop, "payment_intent.succeeded")[-1]
    together(4, lambda _: deliver(shop, event))

    assert story(shop) == clicked(shop, "succeeded")


def test_a_guarded_move_from_a_stale_charge_changes_neither_status_nor_timeline(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    before = charge_row(shop)
    with shop.rt.db.write() as connection:
        charge = charges.find(connection, before["id"])
        assert charge is not None
        now = shop.clock()
        assert not charges.move(
            connection, charge, to=ChargeStatus.FAILED, sources={ChargeStatus.CLAIMED}, now=now, source=Source.POLL
        )
        assert not charges.commit_intent(connection, charge.id, "pi_x", confirming=True, now=now, source=Source.SWEEPER)
        assert not charges.release_hold(connection, charge, next_run_at=None, now=now, source=Source.SWEEPER)
        assert charges.quarantine(connection, charge.id, reason="x", now=now, source=Source.POLL)
        assert not charges.quarantine(connection, charge.id, reason="y", now=now, source=Source.POLL)

    assert charge_row(shop)["timeline"].startswith(before["timeline"])
    assert story(shop)[3:] == [("succeeded", "poll", "quarantined: x")]


def test_control_a_change_that_forgets_its_line_is_noticed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    token = charged(shop)
    real = charges.noted
    monkeypatch.setattr(
        charges, "noted", lambda **told: {key: v for key, v in real(**told).items() if key != "timeline"}
    )
    shop.post(token, "undo")

    assert untold(shop) == [("1042", "refunded")]


def test_a_history_without_end_keeps_its_beginning_and_its_present(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    row = charge_row(shop)
    line = "\n2026-03-02T14:03:00.000000+00:00|failed|webhook|insufficient_funds"
    with shop.rt.db.write() as connection:
        connection.execute(sa.update(models.charges).values(timeline=row["timeline"] + line * 1_000))
    pass_time(shop, 31)

    told = story(shop)
    assert told[:3] == clicked(shop, "succeeded")
    assert told[-1] == ("succeeded", "sweeper", "hold released")
    assert len(charge_row(shop)["timeline"]) < MAX_HISTORY + 250
    assert {one[0] for one in told[3:-1]} == {"failed"}


def test_a_charge_of_a_release_without_timelines_begins_in_the_middle(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.update(models.charges).values(timeline=""))
    pass_time(shop, 31)

    assert story(shop) == [("succeeded", "sweeper", "hold released")]
    assert untold(shop) == []
