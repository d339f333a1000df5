"""Whatever changes what a report counts says so on its row, in the statement or the transaction of the change."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from campaigns import launch
from conftest import Shop
from money import charge_row, charged, deliver, events, merchant, offered, pass_time

import flask_encore.store
from flask_encore.domain.errors import GatewayUnknown
from flask_encore.domain.offers import Reason
from flask_encore.services import accepting
from flask_encore.store import charges, models
from flask_encore.store import decisions as stored_decisions
from flask_encore.store import orders as stored_orders
from flask_encore.store import refunds as stored_refunds
from flask_encore.store.database import StoreError

#: Statements that write to charges or decisions and change nothing a report counts.
NOT_COUNTED = {
    ("charges", "count_attempt"): "how often a card was tried",
    ("charges", "begin_epoch"): "an idempotency key",
    ("charges", "postpone"): "when the sweeper looks again",
    ("charges", "lease"): "who looks at it just now",
    ("fees", "take"): "when its fee is asked for",
    ("retention", "purge_details"): "why an offer was chosen",
}

#: Statements on refunds; their charge is marked by another statement of the transaction, which `RULES` holds them to.
OF_REFUNDS = {"request", "record", "succeed", "fail", "renumber"}


def _statements() -> Iterator[tuple[str, str, str, str]]:
    """(module, function or constant, ``update charges``, source) of every statement the store writes with."""
    for file in sorted(Path(flask_encore.store.__path__[0]).glob("*.py")):
        text = file.read_text()
        for node in ast.parse(text).body:
            targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
            name = getattr(node, "name", None) or getattr(targets[0], "id", "")
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Name):
                    verb = getattr(call.func, "attr", getattr(call.func, "id", ""))
                    if verb in {"update", "insert"} and call.args[0].id in {"charges", "decisions", "refunds"}:
                        yield file.stem, name, f"{verb} {call.args[0].id}", ast.get_source_segment(text, node) or ""


def test_every_statement_of_the_store_has_what_it_changes_counted_anew() -> None:
    found = list(_statements())
    forgetful = {
        (module, name)
        for module, name, what, source in found
        if what in {"update charges", "update decisions"} and "counted_at" not in source and "noted(" not in source
    }

    assert forgetful == set(NOT_COUNTED)
    assert {name for _, name, what, _ in found if what.endswith("refunds")} == OF_REFUNDS
    assert {what for _, _, what, _ in found} == {
        "insert charges",
        "insert decisions",
        "insert refunds",
        "update charges",
        "update decisions",
        "update refunds",
    }


def test_no_statement_of_the_store_is_written_as_text_where_the_test_above_would_not_see_it() -> None:
    for file in sorted(Path(flask_encore.store.__path__[0]).glob("*.py")):
        for table in ("charges", "decisions", "refunds"):
            assert f"UPDATE encore_{table}" not in file.read_text(), file


#: What the database itself refuses, while these tests run: a change that leaves the row counted, or the timeline as is.
RULES = (
    """
    CREATE TRIGGER charge_counted BEFORE UPDATE ON encore_charges WHEN NEW.counted_at IS NOT NULL AND OLD.counted_at = 1
        AND (NEW.status, NEW.quarantine_reason, NEW.hold_released_at IS NULL, NEW.charged_at IS NULL,
             NEW.fee_minor IS NULL, NEW.cost_minor IS NULL, NEW.amount_minor, NEW.reviewed_at IS NULL)
        IS NOT (OLD.status, OLD.quarantine_reason, OLD.hold_released_at IS NULL, OLD.charged_at IS NULL,
                OLD.fee_minor IS NULL, OLD.cost_minor IS NULL, OLD.amount_minor, OLD.reviewed_at IS NULL)
    BEGIN SELECT RAISE(ABORT, 'the charge is not counted anew'); END
    """,
    """
    CREATE TRIGGER charge_told BEFORE UPDATE ON encore_charges
        WHEN (NEW.status, NEW.quarantine_reason, NEW.hold_released_at) IS NOT
             (OLD.status, OLD.quarantine_reason, OLD.hold_released_at) AND NEW.timeline = OLD.timeline
    BEGIN SELECT RAISE(ABORT, 'the change is not in the timeline'); END
    """,
    """
    CREATE TRIGGER decision_counted BEFORE UPDATE ON encore_decisions
        WHEN NEW.counted_at IS NOT NULL AND OLD.counted_at = 1
        AND (NEW.shown_at, NEW.declined_at, NEW.sold_out_at, NEW.expires_at, NEW.outcome, NEW.reason)
        IS NOT (OLD.shown_at, OLD.declined_at, OLD.sold_out_at, OLD.expires_at, OLD.outcome, OLD.reason)
    BEGIN SELECT RAISE(ABORT, 'the decision is not counted anew'); END
    """,
    """
    CREATE TRIGGER refund_counted BEFORE INSERT ON encore_refunds
        WHEN (SELECT counted_at FROM encore_charges WHERE id = NEW.charge_id) IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'the charge of a new refund is not counted anew'); END
    """,
    """
    CREATE TRIGGER refund_recounted BEFORE UPDATE ON encore_refunds
        WHEN (SELECT counted_at FROM encore_charges WHERE id = NEW.charge_id) IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'the charge of a refund is not counted anew'); END
    """,
)


def watched(shop: Shop) -> None:
    """Have the database refuse what `RULES` forbids."""
    with shop.rt.db.write() as connection:
        for rule in RULES:
            connection.execute(sa.text(rule))


def counted(shop: Shop) -> None:
    """As if every row had just been counted."""
    with shop.rt.db.write() as connection:
        for table in (models.decisions, models.charges):
            connection.execute(sa.text(f"UPDATE {table.name} SET counted_at = 1"))


def uncounted(shop: Shop) -> set[str]:
    """The tables that have a row to be counted anew."""
    return {table for table in ("decisions", "charges") if any(row["counted_at"] is None for row in shop.rows(table))}


def _offer_id(shop: Shop) -> str:
    return str(shop.rows("decisions")[-1]["id"])


def _sell_out(shop: Shop) -> None:
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_products SET stock = 0"))
    assert shop.accept(shop.token()) == "sold_out"


def _dispute_order(shop: Shop) -> None:
    with shop.rt.db.write() as connection:
        ref = shop.rows("orders")[0]["payment_intent_ref"]
        assert stored_orders.close(connection, ref, account="", reason=Reason.ORDER_DISPUTED, now=shop.clock())


OF_AN_OFFER: dict[str, tuple[Callable[[Shop], Any], set[str]]] = {
    "shown": (lambda shop: shop.post(shop.token(), "shown"), {"decisions"}),
    "declined": (lambda shop: shop.post(shop.token(), "decline"), {"decisions"}),
    "extended": (lambda shop: accepting.extend(shop.rt, _offer_id(shop)), {"decisions"}),
    "sold out": (_sell_out, {"decisions"}),
    "its order disputed": (_dispute_order, {"decisions"}),
    "accepted": (lambda shop: shop.accept(shop.token()), {"charges"}),
    "looked at again": (lambda shop: shop.page(), set()),
    "swept": (lambda shop: shop.sweep(), set()),
}


@pytest.mark.parametrize("act", OF_AN_OFFER)
def test_an_offer_is_counted_anew_when(any_shop: Shop, act: str) -> None:
    shop = any_shop
    launch(shop, "timed", offer={"kind": "fixed", "skus": ["mug"]}, timer_minutes=5)
    offered(shop)
    counted(shop)

    OF_AN_OFFER[act][0](shop)

    assert uncounted(shop) == OF_AN_OFFER[act][1]


def test_a_decision_made_in_place_of_a_provisional_one_is_counted_anew(any_shop: Shop) -> None:
    shop = any_shop
    shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET")
    shop.pay()
    shop.page()
    assert [row["reason"] for row in shop.rows("decisions")] == ["payment_unverified"]
    counted(shop)
    shop.sweep()
    assert uncounted(shop) == set()
    shop.page()

    assert [row["outcome"] for row in shop.rows("decisions")] == ["offered"]
    assert uncounted(shop) == {"decisions"}


def _part_back(shop: Shop) -> None:
    merchant(shop).refunds.create({"payment_intent": charge_row(shop)["payment_intent_ref"], "amount": 1})
    deliver(shop, events(shop, "refund.created")[-1])
    assert charge_row(shop)["status"] == "succeeded"


def _dispute(shop: Shop) -> None:
    shop.stripe.dispute(charge_row(shop)["payment_intent_ref"])
    deliver(shop, events(shop, "charge.dispute.created")[0])


OF_A_CHARGE: dict[str, Callable[[Shop], Any]] = {
    "undone": lambda shop: shop.post(shop.token(), "undo"),
    "released": lambda shop: pass_time(shop, 31),
    "refunded in part at Stripe": _part_back,
    "disputed": _dispute,
}


@pytest.mark.parametrize("act", OF_A_CHARGE)
def test_a_charge_is_counted_anew_when(any_shop: Shop, act: str) -> None:
    shop = any_shop
    charged(shop)
    counted(shop)

    OF_A_CHARGE[act](shop)

    assert uncounted(shop) == {"charges"}


def _free(shop: Shop, order_ref: str) -> str:
    launch(shop, "gift", offer={"kind": "fixed", "skus": ["tea"], "discount": {"percent": 100}})
    return offered(shop, order_ref)


def _other_roads(shop: Shop) -> None:
    """Every other road a charge can take, with its row counted before each step."""
    steps: list[Callable[[], Any]] = []
    steps += [lambda: shop.accept(offered(shop, "no", card="4000000000000341")), lambda: pass_time(shop, 31)]
    steps += [lambda: shop.accept(offered(shop, "check", card="4000002760003184"))]
    steps += [lambda: shop.post(shop.token("check"), "leave")]
    steps += [lambda: charged(shop, "undo"), lambda: shop.stripe.faults.add("/v1/refunds", "error_500_before")]
    steps += [lambda: shop.post(shop.token("undo"), "undo"), lambda: pass_time(shop, 1, 5, 16)]
    steps += [lambda: shop.stripe.faults.add("/v1/payment_intents", "error_500_after")]
    steps += [lambda: shop.accept(offered(shop, "lost")), lambda: pass_time(shop, 1, 40)]
    steps += [lambda: shop.accept(_free(shop, "gift")), lambda: shop.post(shop.token("gift"), "undo")]
    for step in steps:
        counted(shop)
        step()


def test_no_road_changes_a_row_that_stays_counted_or_a_state_without_a_line(shop: Shop) -> None:
    watched(shop)
    _other_roads(shop)

    assert {row["order_ref"]: row["status"] for row in shop.rows("charges")} == {
        "no": "canceled",
        "check": "canceled",
        "undo": "refunded",
        "lost": "succeeded",
        "gift": "refunded",
    }


def test_a_request_under_a_new_key_has_its_charge_counted_anew(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(shop)
    token = charged(shop)
    real = shop.rt.gateway.refund

    def stored_failure(*args: Any, idempotency_key: str, **kwargs: Any) -> Any:
        if idempotency_key.endswith(":1"):
            raise GatewayUnknown("stored", answer_stored=True)
        return real(*args, idempotency_key=idempotency_key, **kwargs)

    monkeypatch.setattr(shop.rt.gateway, "refund", stored_failure)
    for step in (lambda: shop.post(token, "undo"), *[lambda: pass_time(shop, 16)] * 3):
        counted(shop)
        step()

    assert [(row["seq"], row["status"]) for row in shop.rows("refunds")] == [(2, "succeeded")]
    assert charge_row(shop)["status"] == "refunded"


@pytest.mark.parametrize("forgotten", ["counted_at", "timeline"])
def test_control_a_change_that_forgets_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch, forgotten: str) -> None:
    watched(shop)
    charged(shop)
    counted(shop)
    real = charges.noted
    monkeypatch.setattr(charges, "noted", lambda **told: {k: v for k, v in real(**told).items() if k != forgotten})

    pass_time(shop, 31)

    assert charge_row(shop)["hold_released_at"] is None
    assert shop.rt.counts["look_failed"] >= 1


def test_control_a_refund_that_forgets_its_charge_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(shop)
    charged(shop)
    counted(shop)
    monkeypatch.setattr(charges, "recount", lambda *_: None)

    with shop.rt.db.read() as connection:
        charge = charges.find(connection, charge_row(shop)["id"])
    assert charge is not None
    with pytest.raises(StoreError), shop.rt.db.write() as connection:
        stored_refunds.request(connection, charge, amount_minor=1, cause="merchant", actor="x", now=shop.clock())
    assert shop.rows("refunds") == []


def test_control_a_decision_that_forgets_is_refused(shop: Shop) -> None:
    watched(shop)
    offered(shop)
    counted(shop)
    with pytest.raises(StoreError), shop.rt.db.write() as connection:
        connection.execute(sa.update(models.decisions).values(shown_at=shop.clock()))
    with shop.rt.db.write() as connection:
        assert stored_decisions.mark(connection, _offer_id(shop), "shown_at", at=shop.clock())
