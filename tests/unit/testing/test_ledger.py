"""What the ledger remembers, expands and writes down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flask_encore.testing.stripe_simulator import StripeError, StripeSimulator
from flask_encore.testing.stripe_simulator.errors import Json
from flask_encore.testing.stripe_simulator.ledger import Ledger


def test_expansion_follows_a_path_and_leaves_the_original_alone(
    ledger: Ledger, intent_in: Callable[[str], Json]
) -> None:
    intent = intent_in("succeeded")

    full = ledger.expanded(intent, {"expand": ["latest_charge.balance_transaction", "payment_method", "customer"]})

    assert full["latest_charge"]["balance_transaction"]["fee"] == 67
    assert full["payment_method"]["card"]["last4"] == "4242"
    assert full["customer"] is None
    assert intent["latest_charge"] == full["latest_charge"]["id"]


@pytest.mark.parametrize("path", ["nothing", "status", "metadata.order"])
def test_what_is_no_reference_cannot_be_expanded(ledger: Ledger, intent_in: Callable[[str], Json], path: str) -> None:
    with pytest.raises(StripeError, match="cannot be expanded"):
        ledger.expanded(intent_in("succeeded"), {"expand": [path]})


def test_an_event_keeps_the_object_as_it_was(ledger: Ledger, intent_in: Callable[[str], Json]) -> None:
    intent = intent_in("succeeded")

    kinds = [event["type"] for event in ledger.tables["event"].values()]
    created = next(iter(ledger.tables["event"].values()))
    assert kinds == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
    assert created["data"]["object"]["status"] == "requires_payment_method"
    assert intent["status"] == "succeeded"


def test_a_simulator_with_a_state_file_remembers_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "stripe.json"
    first = StripeSimulator(state_file=path)
    intent = first.paid_intent(amount=1530, currency="gbp", metadata={"order": "7"})

    second = StripeSimulator(state_file=path)

    assert second.intent(intent["id"]) == intent
    assert [charge["amount"] for charge in second.charges()] == [1530]
    assert second.events == first.events
    second.dispute(intent["id"])
    assert json.loads(path.read_text())["tables"]["dispute"][0]["payment_intent"] == intent["id"]
    assert [each.name for each in tmp_path.iterdir()] == ["stripe.json"]


def test_the_state_file_is_in_step_after_every_kind_of_change(tmp_path: Path) -> None:
    path = tmp_path / "stripe.json"
    sim = StripeSimulator(state_file=path)
    first = sim.paid_intent(amount=1530, currency="gbp")
    second = sim.paid_intent(amount=500, currency="gbp", card="4000002760003184")
    sim.dispute(first["id"])
    sim.prune_idempotency()

    restarted = StripeSimulator(state_file=path)

    assert restarted.intents() == [first, second] == sim.intents()
    assert restarted.charges() == sim.charges()
    assert [charge["disputed"] for charge in restarted.charges()] == [True, False]
    assert restarted.payment_methods() == sim.payment_methods()


def test_a_file_that_is_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    for text in ("no json", "[]", '{"tables": {}}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"notes\.json is no state of a Stripe simulator"):
            StripeSimulator(state_file=path)
        assert path.read_text() == text


def test_a_simulator_without_a_state_file_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    StripeSimulator().paid_intent(amount=1530, currency="gbp")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("card", ["4000000000000002", "4000000000000341", "4000002760003184"])
def test_the_first_payment_of_a_paid_intent_succeeds_whatever_the_card(card: str) -> None:
    sim = StripeSimulator()

    intent = sim.paid_intent(amount=1530, currency="gbp", card=card)

    (method,) = sim.payment_methods()
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 1530)
    assert (method["customer"], method["card"]["last4"]) == (intent["customer"], card[-4:])


def test_a_paid_intent_of_a_type_that_cannot_be_kept_has_no_kept_card() -> None:
    sim = StripeSimulator()

    sim.paid_intent(amount=1530, currency="eur", payment_method_type="eps")

    (method,) = sim.payment_methods()
    assert (method["type"], method["customer"]) == ("eps", None)
