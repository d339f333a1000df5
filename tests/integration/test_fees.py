"""What Stripe kept of a charge: the sweeper asks for it later, for the reports; nothing else depends on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from campaigns import launch, only
from conftest import Shop, ShopFactory
from money import charge_row, charged, merchant, offered, pass_time, statements, story, take, together, told

from flask_encore.domain.errors import GatewayBusy, GatewayRefused, GatewayUnknown
from flask_encore.domain.money import Money
from flask_encore.domain.ports import Fee
from flask_encore.services import fee_finding
from flask_encore.store import charges, models
from flask_encore.testing import FrozenClock, StripeSimulator

HOUR = timedelta(hours=1)


def fee_of(shop: Shop, order_ref: str = "1042") -> tuple[int | None, str | None, bool]:
    """(fee_minor, fee_currency, whether it will be asked for)."""
    row = charge_row(shop, order_ref)
    return row["fee_minor"], row["fee_currency"], row["fee_due_at"] is not None


def asked(shop: Shop, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[float]:
    """Let Stripe answer these one after the other, the last for good; hours after the charge of every question."""
    hours: list[float] = []
    began, left = shop.clock(), list(answers)

    def fee(ref: str) -> Any:
        hours.append((shop.clock() - began) / HOUR)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(shop.rt.gateway, "fee", fee)
    return hours


def test_a_fee_is_learned_an_hour_after_the_money_moved_and_asked_for_once(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    pass_time(shop, 31)
    assert fee_of(shop) == (None, None, True)
    shop.stripe.forget_requests()
    pass_time(shop, 28, 1, 60, 600)

    assert fee_of(shop) == (64, "gbp", False)
    assert len(shop.stripe.requests) == 1
    assert (charge_row(shop)["status"], told(shop)) == ("succeeded", ["charge_succeeded", "hold_released"])
    assert len(story(shop)) == 4


def test_learning_a_fee_has_the_charge_counted_anew(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    pass_time(shop, 31)
    with shop.rt.db.write() as connection:
        connection.execute(sa.update(models.charges).values(counted_at=shop.clock()))
    pass_time(shop, 60)

    assert charge_row(shop)["counted_at"] is None


def test_a_fee_in_another_currency_than_the_charges_is_kept_as_such(
    make_shop: ShopFactory, clock: FrozenClock, database_uri: str
) -> None:
    with StripeSimulator(clock=clock.timestamp, settlement=("eur", 1.15)) as stripe:
        shop = make_shop(database_uri, ENCORE_STRIPE_API_BASE=stripe.url)
        shop.stripe = stripe
        charged(shop)
        pass_time(shop, 61)

        assert fee_of(shop) == (69, "eur", False)
        assert charge_row(shop)["currency"] == "gbp"


def test_a_fee_stays_what_it_was_when_the_money_goes_back(any_shop: Shop) -> None:
    shop = any_shop
    token = charged(shop)
    shop.post(token, "undo")
    pass_time(shop, 31)
    pass_time(shop, 60)

    assert charge_row(shop)["status"] == "refunded"
    assert fee_of(shop) == (64, "gbp", False)


@pytest.mark.parametrize("card", ["4000000000000341", "4000002760003184"])
def test_what_was_not_charged_has_no_fee_to_be_asked_for(any_shop: Shop, card: str) -> None:
    shop = any_shop
    shop.accept(offered(shop, card=card))
    pass_time(shop, 31)
    pass_time(shop, 600)

    assert fee_of(shop) == (None, None, False)


def test_what_was_given_away_has_no_fee_to_be_asked_for(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "gift", offer={"kind": "fixed", "skus": ["mug"], "discount": {"percent": 100}})
    shop.pay()
    take(shop, str(only(shop).decision["id"]))

    assert fee_of(shop) == (None, None, False)


def test_a_fee_stripe_does_not_tell_is_asked_for_twice_as_late_each_time_and_given_up_after_a_week(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    hours = asked(shop, monkeypatch, None)
    charged(shop)
    pass_time(shop, *[60] * 24 * 8)

    assert hours == [1, 2, 4, 8, 16, 32, 64, 128]
    assert fee_of(shop) == (None, None, False)


def test_a_fee_that_is_told_late_is_learned_late(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    hours = asked(shop, monkeypatch, None, GatewayBusy("busy"), Fee(amount=Money(41, "gbp")))
    charged(shop)
    pass_time(shop, *[60] * 9)

    assert hours == [1, 2, 4]
    assert fee_of(shop) == (41, "gbp", False)


@pytest.mark.parametrize(
    "error", [GatewayUnknown("silence"), GatewayRefused("no", code="x"), GatewayBusy("busy"), RuntimeError("a bug")]
)
def test_a_question_for_a_fee_that_fails_disturbs_nothing(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    shop = any_shop
    hours = asked(shop, monkeypatch, error)
    charged(shop)
    shop.clock.advance(hours=2)
    swept = shop.sweep()

    assert (swept.charges, len(hours)) == (1, 1)
    shop.sweep()
    assert told(shop) == ["charge_succeeded", "hold_released"]
    assert fee_of(shop) == (None, None, True)
    assert shop.rows("heartbeats")[0]["name"] == "sweep"


def test_a_silent_stripe_is_asked_for_one_fee_a_sweep_and_a_talking_one_for_ten(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    refs = [f"o{number}" for number in range(12)]
    for ref in refs:
        charged(shop, ref)
    pass_time(shop, 31)
    shop.clock.advance(hours=1)
    with monkeypatch.context() as patch:
        silent = asked(shop, patch, GatewayUnknown("silence"))
        shop.sweep()
        shop.sweep()
        assert len(silent) == 2
    assert fee_finding.BATCH == 10
    shop.sweep()

    assert [fee_of(shop, ref)[0] for ref in refs].count(64) == 10


def test_no_fee_takes_the_place_of_a_charge_to_look_at(any_shop: Shop) -> None:
    shop = any_shop
    for ref in ("o1", "o2", "o3"):
        charged(shop, ref)
    with shop.rt.db.write() as connection:
        connection.execute(sa.update(models.charges).values(fee_due_at=shop.clock() - 9 * HOUR))
    shop.clock.advance(minutes=31)
    with shop.rt.db.read() as connection:
        looks, fees = charges.due(connection, account="", now=shop.clock(), limit=4)
        other = charges.due(connection, account="acct_other", now=shop.clock(), limit=4)

    assert (len(looks), len(fees), other) == (3, 1, ([], []))


def test_two_sweepers_at_once_ask_for_a_fee_once(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    hours = asked(shop, monkeypatch, Fee(amount=Money(64, "gbp")))
    charged(shop)
    pass_time(shop, 31)
    shop.clock.advance(hours=1)
    row = charge_row(shop)
    with shop.rt.db.read() as connection:
        _, due = charges.due(connection, account="", now=shop.clock(), limit=9)
    assert [charge_id for charge_id, _ in due] == [row["id"]]

    known = together(4, lambda _: fee_finding.find(shop.rt, due))

    assert sorted(known) == [0, 0, 0, 1]
    assert len(hours) == 1


def test_a_fee_is_written_once(any_shop: Shop) -> None:
    from flask_encore.store import fees

    shop = any_shop
    charged(shop)
    with shop.rt.db.write() as connection:
        charge_id = charge_row(shop)["id"]
        assert fees.write(connection, charge_id, Fee(amount=Money(64, "gbp"))) is True
        assert fees.write(connection, charge_id, Fee(amount=Money(1, "usd"))) is False

    assert fee_of(shop) == (64, "gbp", False)


def test_asking_costs_two_statements_of_their_own_a_fee(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    pass_time(shop, 31)
    shop.clock.advance(hours=1)
    with statements(shop) as log:
        shop.sweep()

    assert log[:2] == ["SELECT encore_charges", "SELECT encore_outbox"]
    ask = ["UPDATE encore_charges", "COMMIT"]
    assert [one for one in log if one.startswith("UPDATE")] == [ask[0]] * 2


def test_the_sweepers_look_reads_two_indexes_and_no_table(shop: Shop) -> None:
    charged(shop)
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "for_fee" in statement:
            plan = cursor.connection.execute("EXPLAIN QUERY PLAN " + statement, parameters)
            plans.extend(str(row[-1]) for row in plan)

    engine = shop.rt.db.engine
    sa.event.listen(engine, "after_cursor_execute", explain)
    shop.sweep()
    sa.event.remove(engine, "after_cursor_execute", explain)

    used = [plan for plan in plans if "encore_charges" in plan]
    assert ["ix_encore_charges_due" in plan for plan in used] == [True, False]
    assert ["ix_encore_charges_fee_due" in plan for plan in used] == [False, True]
    assert not [plan for plan in used if plan.startswith("SCAN")]


def test_what_an_earlier_release_charged_is_asked_about_once(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    charged(shop)
    pass_time(shop, 31)
    hours = asked(shop, monkeypatch, None)
    shop.clock.advance(days=30)
    with shop.rt.db.write() as connection:
        connection.execute(sa.update(models.charges).values(fee_due_at=models.charges.c.charged_at))
    pass_time(shop, *[600] * 5)

    assert len(hours) == 1
    assert fee_of(shop) == (None, None, False)


def test_a_fee_of_a_quarantined_charge_is_learned_all_the_same(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.update(models.charges).values(quarantine_reason="paid_twice"))
    pass_time(shop, 61)

    assert fee_of(shop) == (64, "gbp", False)
    assert merchant(shop).payment_intents.retrieve(charge_row(shop)["payment_intent_ref"]).status == "succeeded"
