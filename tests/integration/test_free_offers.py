"""What is given away: the same claim, the same line, the same undo, and never a word to Stripe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from campaigns import launch, only
from conftest import Shop, ShopFactory
from money import (
    Crash,
    charge_row,
    crash_after,
    crash_before,
    deliver,
    events,
    heal,
    offered,
    pass_time,
    state_of,
    statements,
    take,
    together,
    told,
    undo_offer,
)
from sqlalchemy.exc import IntegrityError

from flask_encore import Money
from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.errors import IllegalTransition
from flask_encore.domain.timeline import Source
from flask_encore.services import accepting, settling
from flask_encore.store import charges, outbox, refunds


def gift(shop: Shop, order_ref: str = "1042", **order: Any) -> str:
    """The id of an offer of a mug for nothing."""
    launch(shop, "gift", offer={"kind": "fixed", "skus": ["mug"], "discount": {"percent": 100}})
    shop.pay(order_ref, **order)
    return str(only(shop, order_ref).decision["id"])


def asked(shop: Shop) -> int:
    """Requests Stripe has received."""
    return len(shop.stripe.requests)


def test_a_gift_is_a_line_without_a_payment(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = gift(shop)
    before = asked(shop)
    with statements(shop) as log:
        assert take(shop, offer_id) == "charged"

    assert log[:6] == [
        "INSERT encore_charges",
        "UPDATE encore_products",
        "COMMIT",
        "UPDATE encore_charges",
        "INSERT encore_outbox",
        "COMMIT",
    ]
    row = charge_row(shop)
    assert (row["status"], row["amount_minor"], row["payment_intent_ref"], row["attempt"]) == ("succeeded", 0, None, 0)
    assert shop.stock("mug") == 39
    heal(shop)
    assert told(shop) == ["charge_succeeded", "hold_released"]
    event = shop.delivered[0]
    assert (event.amount, event.payment_intent_ref) == (Money(0, "gbp"), None)
    assert [(line.item, line.discount) for line in event.lines] == [(Money(1290, "gbp"), Money(1290, "gbp"))]
    assert event.undo_until is not None
    assert asked(shop) == before
    assert [row["next_run_at"] for row in shop.rows("charges")] == [None]


def test_a_second_click_on_a_gift_finds_the_first_ones_line(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = gift(shop)

    answers = together(8, lambda _: take(shop, offer_id))

    assert set(answers) <= {"charged", "charging"}
    heal(shop)
    assert shop.stock("mug") == 39
    assert told(shop) == ["charge_succeeded", "hold_released"]


def test_a_gift_is_given_while_stripe_is_down_and_every_slot_waits_for_it(
    make_shop: ShopFactory, database_uri: str
) -> None:
    shop = make_shop(database_uri, ENCORE_MAX_CONCURRENT_ACCEPTS=1)
    offer_id, before = gift(shop), asked(shop)
    assert shop.rt.accepts.acquire(blocking=False)
    shop.stripe.stop()

    assert take(shop, offer_id) == "charged"
    assert undo_offer(shop, offer_id) == "undone"
    assert asked(shop) == before
    shop.stripe.start()


def test_what_costs_something_is_told_to_wait_when_every_slot_is_taken(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_MAX_CONCURRENT_ACCEPTS=1)
    launch(shop, "tea")
    shop.pay()
    offer_id = only(shop).decision["id"]
    assert shop.rt.accepts.acquire(blocking=False)

    with pytest.raises(accepting.Busy):
        take(shop, offer_id)

    assert shop.rows("charges") == []
    shop.rt.accepts.release()
    assert take(shop, offer_id) == "charged"


SEAMS = {
    "before the success": (crash_before, "settle_free"),
    "within the success": (crash_before, "add"),
    "after the success": (crash_before, "after_commit"),
}


@pytest.mark.parametrize("seam", SEAMS)
def test_a_crash_between_claim_and_success_heals_by_the_sweeper(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch, seam: str
) -> None:
    shop = any_shop
    offer_id, before = gift(shop), asked(shop)
    crash, name = SEAMS[seam]
    owner: Any = {"settle_free": accepting.charging, "add": outbox, "after_commit": settling}[name]
    crash(monkeypatch, owner, name)
    with pytest.raises(Crash):
        take(shop, offer_id)

    heal(shop)

    assert state_of(shop, offer_id) == "charged"
    assert told(shop) == ["charge_succeeded", "hold_released"]
    assert shop.stock("mug") == 39
    assert asked(shop) == before


def test_a_page_that_asks_how_a_gift_stands_finishes_it(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    offer_id = gift(shop)
    crash_before(monkeypatch, accepting.charging, "settle_free")
    with pytest.raises(Crash):
        take(shop, offer_id)
    assert state_of(shop, offer_id) == "charging"

    pass_time(shop, 2)

    assert state_of(shop, offer_id) == "charged"


def test_a_gift_nobody_could_finish_for_three_days_is_given_up_without_asking_stripe(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    offer_id, before = gift(shop), asked(shop)
    crash_before(monkeypatch, accepting.charging, "settle_free")
    with pytest.raises(Crash):
        take(shop, offer_id)

    shop.clock.advance(hours=72, seconds=1)
    heal(shop)

    assert state_of(shop, offer_id) == "canceled"
    assert told(shop) == ["charge_canceled"]
    assert shop.stock("mug") == 40
    assert asked(shop) == before


def test_an_undone_gift_returns_to_stock_once_and_is_written_down(any_shop: Shop) -> None:
    shop = any_shop
    offer_id, before = gift(shop), asked(shop)
    take(shop, offer_id)

    assert [undo_offer(shop, offer_id) for _ in range(3)] == ["undone"] * 3

    heal(shop)
    assert told(shop) == ["charge_succeeded", "charge_refunded"]
    assert shop.stock("mug") == 40
    assert asked(shop) == before
    assert [(row["cause"], row["actor"], row["status"], row["amount_minor"]) for row in shop.rows("refunds")] == [
        ("undo", "shopper", "succeeded", 0)
    ]


def test_a_gift_cannot_be_undone_after_its_hold_and_the_merchant_may_still_take_it_back(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = gift(shop)
    take(shop, offer_id)
    shop.clock.advance(minutes=30)
    assert undo_offer(shop, offer_id) == "charged"
    heal(shop)

    with shop.app.app_context():
        taken_back = [shop.encore.refund(charge_row(shop)["id"], actor="anna").status for _ in range(2)]

    assert taken_back == ["refunded", "refunded"]
    heal(shop)
    assert told(shop) == ["charge_succeeded", "hold_released", "charge_refunded"]
    assert shop.stock("mug") == 39  # it was shipped
    assert [(row["cause"], row["actor"]) for row in shop.rows("refunds")] == [("merchant", "anna")]


def test_undo_and_the_merchants_refund_of_a_gift_at_one_moment_are_one(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = gift(shop)
    take(shop, offer_id)
    charge_id = charge_row(shop)["id"]

    def back(number: int) -> str:
        if number:
            return undo_offer(shop, offer_id)
        with shop.app.app_context():
            return str(shop.encore.refund(charge_id, actor="anna").status)

    answers = together(4, back)

    assert set(answers) == {"undone", "refunded"}
    heal(shop)
    assert told(shop) == ["charge_succeeded", "charge_refunded"]
    assert len(shop.rows("refunds")) == 1
    assert shop.stock("mug") == 40


def test_a_crash_within_the_undo_of_a_gift_leaves_it_as_it_was(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    offer_id = gift(shop)
    take(shop, offer_id)
    crash_after(monkeypatch, refunds, "request")
    with pytest.raises(Crash):
        undo_offer(shop, offer_id)

    assert state_of(shop, offer_id) == "charged"
    assert (shop.rows("refunds"), shop.stock("mug")) == ([], 39)
    assert undo_offer(shop, offer_id) == "undone"
    assert shop.stock("mug") == 40


def paid_claim(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The row of a charge of 11.61 that was claimed and not begun."""
    crash_before(monkeypatch, shop.rt.gateway, "create_intent")
    token = offered(shop)
    with pytest.raises(Crash):
        shop.post(token, "accept")
    return charge_row(shop)


def test_a_charge_that_costs_something_cannot_take_the_free_way(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    row = paid_claim(shop, monkeypatch)
    with shop.rt.db.read() as connection:
        charge = charges.find(connection, row["id"])
    assert charge is not None

    with pytest.raises(IllegalTransition, match=r"of 11\.61 GBP cannot succeed without a PaymentIntent"):
        settling.settle_free(shop.rt, charge, source=Source.SWEEPER)
    # Nor with a forged amount: the guard compares it with the row's.
    assert (
        settling.settle_free(shop.rt, replace(charge, amount=Money(0, "gbp")), source=Source.SWEEPER).status
        == "claimed"
    )

    assert charge_row(shop) == row
    assert shop.rows("outbox") == []


def test_the_database_lets_nothing_succeed_unpaid_but_what_costs_nothing(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    row = paid_claim(shop, monkeypatch)
    take(shop, gift(shop, "2"))
    update = "UPDATE encore_charges SET "
    paid, free = " WHERE order_ref = '1042'", " WHERE order_ref = '2'"

    for status in set(ChargeStatus) - {ChargeStatus.CLAIMED, ChargeStatus.UNKNOWN, ChargeStatus.CANCELED}:
        with pytest.raises(IntegrityError), shop.rt.db.write() as connection:
            connection.execute(sa.text(f"{update}status = '{status}', charged_at = 1{paid}"))
    for change in ("payment_intent_ref = 'pi_9'", "amount_minor = 1", "amount_minor = -1", "charged_at = NULL"):
        with pytest.raises(IntegrityError), shop.rt.db.write() as connection:
            connection.execute(sa.text(f"{update}{change}{free}"))

    assert charge_row(shop) == row
    assert charge_row(shop, "2")["status"] == "succeeded"


def test_a_payment_somebody_makes_by_hand_for_a_gift_raises_the_alarm(any_shop: Shop) -> None:
    shop = any_shop
    take(shop, gift(shop))
    shop.stripe.paid_intent(amount=500, currency="gbp", metadata={"encore_charge": charge_row(shop)["id"]})

    deliver(shop, events(shop, "payment_intent.succeeded")[-1])

    assert charge_row(shop)["quarantine_reason"] == "paid_twice"
