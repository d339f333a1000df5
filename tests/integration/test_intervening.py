"""Somebody of the shop's steps in: the hold ended early, a quarantine looked at again, or settled by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from conftest import Shop
from money import (
    books,
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
    pass_time,
    story,
    together,
    told,
    untold,
)

from flask_encore.domain.charges import Charge
from flask_encore.domain.errors import GatewayRefused, GatewayUnknown, InvalidInput
from flask_encore.domain.ports import IntentStatus
from flask_encore.services import auditing, intervening
from flask_encore.store import charges

RELEASED = ["charge_succeeded", "hold_released"]


def the_charge(shop: Shop, order_ref: str = "1042") -> Charge:
    with shop.rt.db.read() as connection:
        found = charges.find(connection, charge_row(shop, order_ref)["id"])
    assert found is not None
    return found


def audited(shop: Shop) -> list[tuple[str, str, Any, Any]]:
    """(actor, action, before, after) of everything in the audit log, oldest first."""
    return [(one.actor, one.action, one.before, one.after) for one in reversed(auditing.history(shop.rt))]


def test_a_hold_that_is_ended_early_is_told_once_and_cannot_be_undone(any_shop: Shop) -> None:
    shop = any_shop
    token = charged(shop)
    now, promised = shop.clock(), the_charge(shop).undo_until
    assert promised is not None and promised > now

    released = intervening.release_early(shop.rt, the_charge(shop), actor="anna")
    again = intervening.release_early(shop.rt, the_charge(shop), actor="bert")

    assert (released.hold_released_at, again.hold_released_at) == (now, now)
    assert shop.post(token, "undo").json == {"state": "charged", "order_ref": "1042"}
    heal(shop)
    assert told(shop) == RELEASED
    assert shop.stripe.refunds() == []
    assert books(shop)["waiting"] == []
    assert story(shop)[3:] == [("succeeded", "merchant", "hold released early by anna")]
    before, after = {"undo_until": promised.isoformat()}, {"undo_until": now.isoformat()}
    assert audited(shop) == [("anna", "release", before, after)]


SENTENCE = "This can no longer be undone here. If you have changed your mind, please contact the shop."


def test_a_shopper_who_undoes_too_late_is_told_so_and_nobody_else(any_shop: Shop) -> None:
    shop = any_shop
    token = charged(shop)
    assert SENTENCE not in shop.page().text
    intervening.release_early(shop.rt, the_charge(shop), actor="anna")
    assert SENTENCE not in shop.page().text

    fragment = shop.app.test_client().post(f"/encore/offers/{token}/undo", headers={"X-Encore-Fragment": "1"})
    form = shop.app.test_client().post(f"/encore/offers/{token}/undo", follow_redirects=True)

    assert (fragment.status_code, form.status_code) == (200, 200)
    assert fragment.text.count(SENTENCE) == form.text.count(SENTENCE) == 1
    assert charge_row(shop)["status"] == "succeeded"
    assert shop.stripe.refunds() == []


@pytest.mark.parametrize("state", ["open", "undoable", "undone"])
def test_nobody_can_have_a_card_say_that_it_is_too_late_when_it_is_not(any_shop: Shop, state: str) -> None:
    shop = any_shop
    token = offered(shop)
    if state != "open":
        shop.accept(token)
    if state == "undone":
        shop.post(token, "undo")
    late = charged(shop, "late")
    intervening.release_early(shop.rt, the_charge(shop, "late"), actor="anna")
    redirect = shop.app.test_client().post(f"/encore/offers/{late}/undo")

    assert SENTENCE in shop.app.test_client().get(redirect.location).text
    assert SENTENCE not in shop.app.test_client().get(redirect.location.replace("late", "1042")).text


@pytest.mark.parametrize("answer", ["undone", "released", "refunded"])
def test_what_is_over_cannot_be_released_early(any_shop: Shop, answer: str) -> None:
    shop = any_shop
    token = charged(shop)
    charge = the_charge(shop)
    if answer == "undone":
        shop.post(token, "undo")
    elif answer == "released":
        pass_time(shop, 31)
    else:
        merchant(shop).refunds.create({"payment_intent": charge.payment_intent_ref})
        deliver(shop, events(shop, "refund.created")[-1])
    before, heard = charge_row(shop), told(shop)

    intervening.release_early(shop.rt, charge, actor="anna")

    shop.sweep()
    assert charge_row(shop) == before
    assert told(shop)[: len(heard)] == heard
    assert told(shop).count("hold_released") == (1 if answer == "released" else 0)
    assert audited(shop) == []


def test_a_quarantined_charge_is_not_released(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    _quarantine(shop)
    before = charge_row(shop)

    intervening.release_early(shop.rt, the_charge(shop), actor="anna")

    assert charge_row(shop) == before
    assert audited(shop) == []


def _undo_beside_a_release(shop: Shop) -> tuple[list[str], int]:
    """Which of the two was written, and how much went back, when both come at one time."""
    token, charge = charged(shop), the_charge(shop)
    acts: list[Callable[[], Any]] = [
        lambda: shop.post(token, "undo"),
        lambda: intervening.release_early(shop.rt, charge, actor="anna"),
    ]
    together(2, lambda number: acts[number]())
    shop.sweep()
    heal(shop)
    return told(shop)[1:], sum(refund["amount"] for refund in shop.stripe.refunds())


def test_an_undo_and_an_early_release_at_one_time_are_one_of_the_two(any_shop: Shop) -> None:
    assert _undo_beside_a_release(any_shop) in ((["hold_released"], 0), (["charge_refunded"], 1161))
    assert untold(any_shop) == []


def test_a_release_that_comes_between_an_undos_look_and_its_write_wins(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _overtaken(any_shop, monkeypatch) == "charged"
    heal(any_shop)
    assert told(any_shop) == RELEASED
    assert any_shop.stripe.refunds() == []


def test_control_without_the_guard_of_undo_what_was_released_early_would_be_given_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = charges.move
    monkeypatch.setattr(charges, "move", lambda *args, **kwargs: real(*args, **kwargs | {"undoable": False}))

    assert _overtaken(shop, monkeypatch) == "undone"
    heal(shop)
    assert told(shop) == [*RELEASED, "charge_refunded"]


def _overtaken(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> str:
    """The merchant ends the hold after the shopper's undo has read the charge and before it writes."""
    token = charged(shop)
    real = shop.rt.db.write

    def overtaken() -> Any:
        monkeypatch.setattr(shop.rt.db, "write", real)
        intervening.release_early(shop.rt, the_charge(shop), actor="anna")
        return real()

    monkeypatch.setattr(shop.rt.db, "write", overtaken)
    return str(shop.post(token, "undo").json["state"])


def test_a_crash_after_the_early_release_loses_no_message(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    charged(shop)
    shop.sweep()
    crash_before(monkeypatch, intervening, "after_commit")
    with pytest.raises(BaseException, match="before after_commit"):
        intervening.release_early(shop.rt, the_charge(shop), actor="anna")
    heal(shop)

    assert told(shop) == RELEASED


def _quarantine(shop: Shop) -> None:
    """Have Stripe's object disagree with the row for one look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shop.rt.gateway, "intent", _lying(shop, customer_ref="cus_x"))
        assert deliver(shop, events(shop, "payment_intent.succeeded")[-1])[0] == 200
    assert charge_row(shop)["quarantine_reason"] != ""


def test_a_charge_that_agrees_with_stripe_again_goes_on_where_it_was_stopped(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    listen_for_alarms(shop)
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    click(shop, offered(shop))
    _quarantine(shop)
    shop.sweep()

    current = intervening.recheck(shop.rt, the_charge(shop), actor="anna")

    assert (current.status, current.quarantine_reason) == ("succeeded", "")
    assert shop.state(shop.token()) == "charged"
    heal(shop)
    assert told(shop) == ["charge_quarantined", "charge_succeeded", "hold_released"]
    assert books(shop)["waiting"] == []
    assert story(shop)[2:] == [
        (
            "confirming",
            "webhook",
            f"quarantined: customer_mismatch {events(shop, 'payment_intent.succeeded')[-1]['id']}",
        ),
        ("confirming", "merchant", "quarantine ended, was customer_mismatch by anna"),
        ("succeeded", "merchant", ""),
        ("succeeded", "sweeper", "hold released"),
    ]
    assert audited(shop) == [("anna", "recheck", {"quarantine": "customer_mismatch"}, {"quarantine": None})]


def test_a_second_quarantine_is_told_like_the_first(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    listen_for_alarms(shop)
    charged(shop)
    _quarantine(shop)
    intervening.recheck(shop.rt, the_charge(shop), actor="anna")
    shop.clock.advance(minutes=1)
    event = events(shop, "payment_intent.created")[-1]
    monkeypatch.setattr(shop.rt.gateway, "intent", _lying(shop, livemode=True))
    deliver(shop, event)
    shop.sweep()

    assert [(event.kind, event.detail) for event in shop.delivered[1:]] == [
        ("charge_quarantined", "customer_mismatch"),
        ("charge_quarantined", "livemode_mismatch"),
    ]
    assert shop.rt.counts["charge_quarantined"] == 2


def _lying(shop: Shop, **lie: Any) -> Callable[[str], Any]:
    assert shop.rt.gateway is not None
    real = shop.rt.gateway.intent
    return lambda ref: replace(real(ref), **lie)


def test_a_charge_that_still_disagrees_stays_with_the_newest_reason(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    charged(shop)
    _quarantine(shop)
    monkeypatch.setattr(shop.rt.gateway, "intent", _lying(shop, livemode=True))

    for _ in range(2):
        current = intervening.recheck(shop.rt, the_charge(shop), actor="anna")

    assert (current.status, current.quarantine_reason) == ("succeeded", "livemode_mismatch")
    pass_time(shop, 31)
    assert charge_row(shop)["hold_released_at"] is None
    assert story(shop)[4:] == [("succeeded", "merchant", "quarantined: livemode_mismatch by anna")]
    assert audited(shop) == [
        ("anna", "recheck", {"quarantine": "customer_mismatch"}, {"quarantine": "livemode_mismatch"})
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(GatewayRefused("gone", code="resource_missing"), "refused_resource_missing"), (GatewayUnknown("silence"), None)],
)
def test_a_refusal_is_a_reason_and_a_silence_is_none(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str | None
) -> None:
    shop = any_shop
    charged(shop)
    _quarantine(shop)
    before = charge_row(shop)

    def failing(ref: str) -> Any:
        raise error

    monkeypatch.setattr(shop.rt.gateway, "intent", failing)
    if reason is None:
        with pytest.raises(GatewayUnknown):
            intervening.recheck(shop.rt, the_charge(shop), actor="anna")
        assert charge_row(shop) == before
    else:
        assert intervening.recheck(shop.rt, the_charge(shop), actor="anna").quarantine_reason == reason


def test_money_on_what_was_given_up_stays_in_quarantine(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    token = offered(shop, card="4000002760003184")
    shop.accept(token)
    shop.post(token, "leave")
    paid = _lying(shop, status=IntentStatus.SUCCEEDED, amount_received=1161)
    monkeypatch.setattr(shop.rt.gateway, "intent", paid)
    deliver(shop, events(shop, "payment_intent.canceled")[0])
    before = charge_row(shop)

    intervening.recheck(shop.rt, the_charge(shop), actor="anna")

    assert charge_row(shop) == before
    assert before["quarantine_reason"] == "paid_after_cancel"


def test_money_beside_the_charge_keeps_it_until_that_money_went_back(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    charge = the_charge(shop)
    stripe = merchant(shop)
    stray = stripe.payment_intents.create(
        {
            "amount": 1161,
            "currency": "gbp",
            "customer": charge.customer_ref,
            "payment_method": charge.payment_method_ref,
            "allowed_payment_method_types": ["card"],
            "metadata": {"encore_charge": charge.id},
            "confirm": True,
        }
    )
    deliver(shop, events(shop, "payment_intent.succeeded")[-1])
    assert charge_row(shop)["quarantine_reason"] == "paid_twice"

    assert intervening.recheck(shop.rt, the_charge(shop), actor="anna").quarantine_reason == "paid_twice"
    stripe.refunds.create({"payment_intent": stray.id, "amount": 1000})
    assert intervening.recheck(shop.rt, the_charge(shop), actor="anna").quarantine_reason == "paid_twice"
    stripe.refunds.create({"payment_intent": stray.id})

    assert intervening.recheck(shop.rt, the_charge(shop), actor="anna").quarantine_reason == ""
    heal(shop)
    assert charge_row(shop)["status"] == "succeeded"
    assert told(shop) == RELEASED


def test_a_reason_that_changed_meanwhile_is_not_ended_unseen(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    _quarantine(shop)
    seen = replace(the_charge(shop), quarantine_reason="livemode_mismatch")
    before = charge_row(shop)

    intervening.recheck(shop.rt, seen, actor="anna")
    intervening.mark_reviewed(shop.rt, seen, actor="anna", note="")

    assert charge_row(shop) == before
    assert audited(shop) == []


def test_what_is_not_quarantined_is_left_alone(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    before, asked = charge_row(shop), len(shop.stripe.requests)

    intervening.recheck(shop.rt, the_charge(shop), actor="anna")
    intervening.mark_reviewed(shop.rt, the_charge(shop), actor="anna", note="x")

    assert charge_row(shop) == before
    assert len(shop.stripe.requests) == asked
    assert audited(shop) == []


def test_two_who_recheck_at_one_time_end_it_once(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    click(shop, offered(shop))
    _quarantine(shop)
    charge = the_charge(shop)

    together(4, lambda number: intervening.recheck(shop.rt, charge, actor=f"a{number}"))

    heal(shop)
    assert told(shop) == RELEASED
    assert [action for _, action, _, _ in audited(shop)] == ["recheck"]
    assert len([one for one in story(shop) if one[2].startswith("quarantine ended")]) == 1


def test_a_crash_after_a_quarantine_ended_loses_nothing(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    crash_after(monkeypatch, shop.rt.gateway, "confirm_intent")
    click(shop, offered(shop))
    _quarantine(shop)
    crash_before(monkeypatch, intervening, "settle")
    with pytest.raises(BaseException, match="before settle"):
        intervening.recheck(shop.rt, the_charge(shop), actor="anna")
    heal(shop)

    assert told(shop) == RELEASED
    assert untold(shop) == []


def test_what_was_settled_by_hand_says_who_did_and_stays_quarantined(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    _quarantine(shop)
    now = shop.clock()

    reviewed = intervening.mark_reviewed(shop.rt, the_charge(shop), actor="anna", note=" refunded at\x00Stripe ")
    shop.clock.advance(minutes=1)
    again = intervening.mark_reviewed(shop.rt, the_charge(shop), actor="bert", note="me too")

    assert (reviewed.reviewed_at, again.reviewed_at) == (now, now)
    assert again.quarantine_reason == "customer_mismatch"
    assert story(shop)[4:] == [("succeeded", "merchant", "reviewed by anna")]
    before = {"quarantine": "customer_mismatch", "reviewed_at": None}
    after = {"quarantine": "customer_mismatch", "reviewed_at": now.isoformat(), "note": "refunded at Stripe"}
    assert audited(shop) == [("anna", "review", before, after)]


def test_a_new_reason_has_to_be_looked_at_again(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    charged(shop)
    _quarantine(shop)
    intervening.mark_reviewed(shop.rt, the_charge(shop), actor="anna", note="")
    monkeypatch.setattr(shop.rt.gateway, "intent", _lying(shop, livemode=True))

    current = intervening.recheck(shop.rt, the_charge(shop), actor="anna")

    assert (current.quarantine_reason, current.reviewed_at) == ("livemode_mismatch", None)


@pytest.mark.parametrize("actor", ["", "x" * 300, "a\nb", None, 7])
def test_somebody_without_a_name_changes_nothing(shop: Shop, actor: Any) -> None:
    charged(shop)
    _quarantine(shop)
    before = charge_row(shop)
    for act in (intervening.release_early, intervening.recheck):
        with pytest.raises(InvalidInput):
            act(shop.rt, the_charge(shop), actor=actor)
    with pytest.raises(InvalidInput):
        intervening.mark_reviewed(shop.rt, the_charge(shop), actor=actor, note="")
    with pytest.raises(InvalidInput, match="at most 500"):
        intervening.mark_reviewed(shop.rt, the_charge(shop), actor="anna", note="x" * 501)

    assert charge_row(shop) == before
    assert audited(shop) == []
