"""Two products sold as one: both are reserved, charged, told, given back and left out of training, or neither is."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from campaigns import launch, only
from conftest import Shop
from money import (
    Crash,
    charge_row,
    crash_after,
    crash_before,
    deliver,
    events,
    heal,
    merchant,
    pass_time,
    state_of,
    statements,
    take,
    together,
    told,
    undo_offer,
)

from flask_encore import Money, OrderLine, Product
from flask_encore.services import accepting
from flask_encore.store import catalog, history, outbox

on_postgresql = pytest.mark.parametrize(
    "database_uri", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)

CUP = Product(sku="cup", title="Cup", price=Money(700, "gbp"), stock=9)


def bundle(shop: Shop, order_ref: str = "1042", *, skus: tuple[str, str] = ("mug", "cup"), **order: Any) -> str:
    """The id of an offer of two products at 15.00."""
    with shop.app.app_context():
        if shop.encore.catalog.get("cup") is None:
            shop.encore.catalog.upsert([CUP])
    launch(shop, "pair", offer={"kind": "bundle", "skus": list(skus), "prices": {"gbp": "15.00"}})
    shop.pay(order_ref, **order)
    return str(only(shop, order_ref).decision["id"])


def stocks(shop: Shop) -> tuple[int | None, int | None]:
    """Mugs and cups left, of 40 and 9."""
    return shop.stock("mug"), shop.stock("cup")


def set_stock(shop: Shop, sku: str, stock: int) -> None:
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_products SET stock = :n WHERE sku = :s"), {"n": stock, "s": sku})


def test_both_products_are_reserved_and_told_and_one_amount_is_charged(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = bundle(shop)
    with statements(shop) as log:
        assert take(shop, offer_id) == "charged"

    assert log[:4] == ["INSERT encore_charges", "UPDATE encore_products", "UPDATE encore_products", "COMMIT"]
    row = charge_row(shop)
    assert (row["sku"], row["second_sku"], row["quantity"], row["amount_minor"]) == ("mug", "cup", 1, 1500)
    assert stocks(shop) == (39, 8)
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400, 1500]
    assert shop.stripe.intents()[-1]["description"] == "Enamel mug + Cup (added to order 1042)"
    heal(shop)
    assert told(shop) == ["charge_succeeded", "hold_released"]
    # 4.90 off, split over 12.90 and 7.00 in proportion.
    assert [(line.sku, line.amount) for line in shop.delivered[0].lines] == [
        ("mug", Money(972, "gbp")),
        ("cup", Money(528, "gbp")),
    ]


@pytest.mark.parametrize("gone", ["mug", "cup"])
def test_when_one_of_the_two_is_gone_the_other_stays_and_nothing_is_charged(any_shop: Shop, gone: str) -> None:
    shop = any_shop
    offer_id = bundle(shop)
    set_stock(shop, gone, 0)
    left = stocks(shop)

    assert take(shop, offer_id) == "sold_out"

    assert stocks(shop) == left
    assert shop.rows("charges") == []
    assert len(shop.stripe.charges()) == 1


def test_an_undo_gives_both_back_exactly_once(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = bundle(shop)
    take(shop, offer_id)

    assert [undo_offer(shop, offer_id) for _ in range(3)] == ["undone"] * 3

    heal(shop)
    for event in events(shop, "refund.created") + events(shop, "charge.refunded"):
        deliver(shop, event)
    assert stocks(shop) == (40, 9)
    assert [refund["amount"] for refund in shop.stripe.refunds()] == [1500]
    assert told(shop) == ["charge_succeeded", "charge_refunded"]


def test_a_merchants_refund_gives_both_back_during_the_hold_and_neither_after_it(any_shop: Shop) -> None:
    shop = any_shop
    for order_ref in ("1", "2"):
        take(shop, bundle(shop, order_ref))
    merchant(shop).refunds.create({"payment_intent": charge_row(shop, "1")["payment_intent_ref"]})
    deliver(shop, events(shop, "refund.created")[-1])
    assert stocks(shop) == (39, 8)
    heal(shop)

    with shop.app.app_context():
        shop.encore.refund(charge_row(shop, "2")["id"], actor="anna")

    assert stocks(shop) == (39, 8)


def test_a_charge_the_shopper_leaves_gives_both_back(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = bundle(shop, card="4000000000000341")
    assert take(shop, offer_id) == "failed"
    assert stocks(shop) == (39, 8)

    offered = accepting.find(shop.rt, offer_id)
    assert offered is not None
    accepting.leave(shop.rt, offered)

    heal(shop)
    assert state_of(shop, offer_id) == "canceled"
    assert stocks(shop) == (40, 9)


def test_a_charge_nothing_was_ever_created_for_gives_both_back(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = bundle(shop)
    shop.stripe.faults.add("/v1/payment_intents", "drop_before")
    assert take(shop, offer_id) == "unknown"
    assert stocks(shop) == (39, 8)

    shop.clock.advance(hours=72, seconds=1)
    heal(shop)

    assert state_of(shop, offer_id) == "canceled"
    assert stocks(shop) == (40, 9)


@pytest.mark.parametrize("seam", ["create_intent", "confirm_intent", "outcome", "claim"])
def test_a_crash_anywhere_takes_both_once(any_shop: Shop, monkeypatch: pytest.MonkeyPatch, seam: str) -> None:
    shop = any_shop
    offer_id = bundle(shop)
    match seam:
        case "claim":
            crash_after(monkeypatch, catalog, "reserve")  # between the two: the claim itself rolls back
        case "outcome":
            crash_before(monkeypatch, outbox, "add")
        case _:
            crash_after(monkeypatch, shop.rt.gateway, seam)
    with pytest.raises(Crash):
        take(shop, offer_id)
    assert stocks(shop) == ((40, 9) if seam == "claim" else (39, 8))

    pass_time(shop, 2)
    assert take(shop, offer_id) == "charged"
    heal(shop)

    assert stocks(shop) == (39, 8)
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400, 1500]
    assert told(shop) == ["charge_succeeded", "hold_released"]


def _crossing(shop: Shop) -> list[str]:
    """Two orders: one is offered mug and cup, the other cup and mug."""
    return [bundle(shop, "1"), bundle(shop, "2", skus=("cup", "mug"))]


def test_two_bundles_of_the_same_products_do_not_wait_for_each_other_forever(any_shop: Shop) -> None:
    shop = any_shop
    offers = _crossing(shop)

    assert together(2, lambda number: take(shop, offers[number])) == ["charged", "charged"]

    assert stocks(shop) == (38, 7)


@on_postgresql
def test_control_reserved_in_the_order_of_the_offer_two_bundles_would_lock_each_other_out(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:

    shop = any_shop
    offers = _crossing(shop)
    both = threading.Barrier(2)

    def reserve_all(connection: Any, skus: Any, quantity: int) -> bool:
        first, second = skus
        taken = catalog.reserve(connection, first, quantity)
        both.wait(timeout=10)
        return taken and catalog.reserve(connection, second, quantity)

    monkeypatch.setattr(catalog, "reserve_all", reserve_all)

    answers = together(2, lambda number: take(shop, offers[number]))

    assert sorted(type(answer).__name__ for answer in answers) == ["OperationalError", "str"]
    assert "deadlock detected" in str(answers)


def test_what_a_bundle_sold_never_trains_and_both_are_counted_and_remembered(any_shop: Shop) -> None:
    shop = any_shop
    take(shop, bundle(shop))
    rows = [("1042", sku, 1.0, "c-17", 1, 100, "gbp") for sku in ("pot", "mug", "cup")]
    with shop.rt.db.write() as connection:
        history.replace(connection, rows)

    with shop.rt.db.stream() as connection:
        assert [line[1] for line in history.training_lines(connection)] == ["pot"]
    with shop.rt.db.read() as connection:
        assert history.sold_and_kept(connection, account="") == {"mug": (1, 1), "cup": (1, 1)}
        history_now = history.bought_before(connection, "c-17", account="", but="2")
    assert sorted(history_now) == ["cup", "mug", "pot"]


def test_more_of_what_was_bought_anyway_leaves_the_purchase_that_nobody_prompted(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "more", offer={"kind": "more", "minimum": 1, "maximum": 2})
    shop.pay(lines=[OrderLine(sku="mug", title="Mug", quantity=1, unit_price=Money(3400, "gbp"))])
    take(shop, only(shop).decision["id"], 1)
    with shop.rt.db.write() as connection:
        history.replace(connection, [("1042", "mug", 1.0, "c-17", 3, 100, "gbp")])

    with shop.rt.db.stream() as connection:
        assert [line[:3] for line in history.training_lines(connection)] == [("1042", "mug", 3)]
    with shop.rt.db.read() as connection:
        assert history.sold_and_kept(connection, account="") == {"mug": (1, 1)}
