"""What the code must never do, the database refuses by itself: raw rows, no service in between, on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop
from money import charged, deliver, events, offered
from sqlalchemy.exc import IntegrityError, StatementError

from flask_encore.store import decisions


def _insert(shop: Shop, table: str, row: dict[str, Any]) -> None:
    values = {name: json.dumps(each) if isinstance(each, list | dict) else each for name, each in row.items()}
    columns, places = ", ".join(f'"{name}"' for name in values), ", ".join(f":{name}" for name in values)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text(f"INSERT INTO encore_{table} ({columns}) VALUES ({places})"), values)


def _update(shop: Shop, sql: str) -> None:
    with shop.rt.db.write() as connection:
        connection.execute(sa.text(sql))


def _sold(shop: Shop) -> Shop:
    """A shop with one row of everything."""
    token = charged(shop)
    shop.post(token, "undo")
    deliver(shop, events(shop, "refund.created")[0])
    return shop


#: A second row like the first one, but for these columns -> what it is.
REFUSED = {
    "a second decision for one order and placement": ("decisions", {"id": "another"}),
    "a decision of an unknown outcome": ("decisions", {"id": "another", "step": 1, "outcome": "maybe"}),
    "an offer of nothing": ("decisions", {"id": "another", "step": 1, "sku": None}),
    "an offer without a price": ("decisions", {"id": "another", "step": 1, "total_minor": None}),
    "an offer of no piece": ("decisions", {"id": "another", "step": 1, "quantity": 0}),
    "a second charge for one offer": ("charges", {"step": 1, "payment_intent_ref": "pi_2"}),
    "a second charge for one order and step": ("charges", {"id": "another", "payment_intent_ref": "pi_2"}),
    "one intent for two charges": ("charges", {"id": "another", "step": 1}),
    "a charge of an unknown status": ("charges", {"id": "a", "step": 1, "payment_intent_ref": "p", "status": "paid"}),
    "a charge of nothing": ("charges", {"id": "a", "step": 1, "payment_intent_ref": "p", "amount_minor": 0}),
    "a charge that gives money away": (
        "charges",
        {"id": "a", "step": 1, "payment_intent_ref": "p", "amount_minor": -1},
    ),
    "a success without its time": (
        "charges",
        {"id": "a", "step": 1, "payment_intent_ref": "p", "status": "succeeded", "charged_at": None},
    ),
    "a refund of an unknown status": ("refunds", {"seq": 2, "refund_ref": "re_2", "status": "maybe"}),
    "a refund for an unknown cause": ("refunds", {"seq": 2, "refund_ref": "re_2", "cause": "mood"}),
    "one refund of Stripe's in two rows": ("refunds", {"seq": 2}),
    "the same event twice": ("events", {}),
    "the same message twice": ("outbox", {"id": 999}),
    "one payment for two orders": ("orders", {"order_ref": "1043"}),
    "one order twice": ("orders", {"payment_intent_ref": "pi_2"}),
    "a negative stock": ("products", {"sku": "cup", "stock": -1}),
    "a negative price": ("products", {"sku": "cup", "price_minor": -1}),
}

#: The same, where nothing is wrong: proof that the columns above are what is refused.
TAKEN = {
    "decisions": {"id": "another", "step": 1},
    "charges": {"id": "another", "step": 1, "payment_intent_ref": "pi_2"},
    "refunds": {"seq": 2, "refund_ref": "re_2"},
    "events": {"event_id": "evt_2"},
    "outbox": {"id": 999, "dedupe": "another"},
    "orders": {"order_ref": "1043", "payment_intent_ref": "pi_2"},
    "products": {"sku": "cup"},
}


def test_the_database_refuses_what_the_code_must_never_write(any_shop: Shop) -> None:
    shop = _sold(any_shop)
    for what, (table, changes) in REFUSED.items():
        rows = shop.rows(table)
        with pytest.raises(IntegrityError):
            _insert(shop, table, rows[0] | changes)
            pytest.fail(f"{what} was taken")
        assert len(shop.rows(table)) == len(rows), what


def test_the_database_takes_the_same_rows_without_the_mistake(any_shop: Shop) -> None:
    shop = _sold(any_shop)
    for table, changes in TAKEN.items():
        rows = shop.rows(table)
        _insert(shop, table, rows[0] | changes)
        assert len(shop.rows(table)) == len(rows) + 1


def test_nothing_beyond_a_claim_can_be_written_without_the_intent_that_is_charged(any_shop: Shop) -> None:
    shop = _sold(any_shop)
    row = shop.rows("charges")[0] | {"id": "another", "step": 1, "payment_intent_ref": None}

    for status in ("intent", "confirming", "action_required", "processing", "failed", "succeeded", "refunding"):
        with pytest.raises(IntegrityError):
            _insert(shop, "charges", row | {"status": status})
    for without in ("claimed", "unknown", "canceled"):
        _insert(shop, "charges", row | {"status": without, "id": without, "order_ref": without})


def test_one_charge_has_at_most_one_open_refund(any_shop: Shop) -> None:
    shop = _sold(any_shop)
    first = shop.rows("refunds")[0]
    _insert(shop, "refunds", first | {"seq": 2, "refund_ref": None, "status": "requested"})

    for status in ("requested", "pending"):
        with pytest.raises(IntegrityError):
            _insert(shop, "refunds", first | {"seq": 3, "refund_ref": None, "status": status})
    _insert(shop, "refunds", first | {"seq": 3, "refund_ref": None, "status": "failed"})
    _insert(shop, "refunds", first | {"charge_id": "another", "refund_ref": None, "status": "requested"})


def test_the_database_refuses_the_same_as_an_update(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    before = shop.rows("charges"), shop.stock("mug")

    for sql in (
        "UPDATE encore_products SET stock = stock - 41 WHERE sku = 'mug'",
        "UPDATE encore_charges SET status = 'paid'",
        "UPDATE encore_charges SET payment_intent_ref = NULL",
        "UPDATE encore_charges SET charged_at = NULL",
        "UPDATE encore_charges SET customer_ref = NULL",
        "UPDATE encore_charges SET payment_method_ref = NULL",
        "UPDATE encore_charges SET amount_minor = NULL",
    ):
        with pytest.raises(IntegrityError):
            _update(shop, sql)
        assert (shop.rows("charges"), shop.stock("mug")) == before, sql


def test_a_time_without_a_zone_is_refused_before_it_reaches_the_database(shop: Shop) -> None:
    offered(shop)
    offer_id = shop.rows("decisions")[0]["id"]
    with pytest.raises(StatementError, match="has no time zone"), shop.rt.db.write() as connection:
        decisions.mark(connection, offer_id, "shown_at", at=shop.clock().replace(tzinfo=None))
    assert shop.rows("decisions")[0]["shown_at"] is None
