"""A paid order comes in while Stripe, the recommender or the database is away: the checkout never pays for it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from hosts import closed_port, on_postgresql, only_order, record, write_locked

from flask_encore import Recorded
from flask_encore.domain.offers import Candidate
from flask_encore.store import database


def ranking_of(shop: Shop) -> tuple[str, str]:
    """Why the only order cannot be charged again, and why it was not ranked. A campaign may do without a ranking."""
    row = only_order(shop)
    facts = row["facts"] if isinstance(row["facts"], dict) else json.loads(row["facts"])
    return row["ineligible_reason"], facts["ranking"]


# Stripe is away


@pytest.mark.parametrize("fault", ["drop_before", "error_500_before", "rate_limit_429"])
def test_while_stripe_is_away_the_order_is_recorded_as_unverified(any_shop: Shop, fault: str) -> None:
    any_shop.stripe.faults.add("/v1/payment_intents/*", fault, method="GET", times=10)

    assert record(any_shop, any_shop.order()) is Recorded.NEW

    assert only_order(any_shop)["ineligible_reason"] == "payment_unverified"
    assert any_shop.rt.counts["payment_unverified"] == 1


def test_a_sweep_verifies_the_payment_later_and_then_the_offer_appears(any_shop: Shop) -> None:
    shop = any_shop
    shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET", times=10)
    shop.pay()
    shop.stripe.faults.clear()

    assert shop.sweep().payments == 1

    assert only_order(shop)["ineligible_reason"] == ""
    assert "encore-offer" in shop.page().text
    assert [row["outcome"] for row in shop.rows("decisions")] == ["offered"]


def test_a_page_seen_while_the_payment_was_unverified_gets_its_offer_once_it_is_verified(any_shop: Shop) -> None:
    # The shopper lands on the page seconds after paying, always before the sweeper comes round.
    shop = any_shop
    shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET", times=10)
    shop.pay()
    shop.stripe.faults.clear()
    assert "encore-offer" not in shop.page().text
    assert [(row["outcome"], row["reason"]) for row in shop.rows("decisions")] == [("ineligible", "payment_unverified")]

    shop.sweep()

    assert "encore-offer" in shop.page().text
    assert [(row["outcome"], row["reason"]) for row in shop.rows("decisions")] == [("offered", "chosen")]
    assert shop.accept(shop.token()) == "charged"


def test_a_payment_that_turns_out_to_be_wrong_later_stays_without_an_offer(any_shop: Shop) -> None:
    shop = any_shop
    order = shop.order(intent=shop.stripe.paid_intent(amount=3400, currency="eur"))
    shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET", times=10)
    record(shop, order)
    shop.stripe.faults.clear()
    shop.page()

    shop.sweep()

    assert "encore-offer" not in shop.page().text
    assert [(row["outcome"], row["reason"]) for row in shop.rows("decisions")] == [
        ("ineligible", "payment_currency_mismatch")
    ]


def test_the_sweeper_stops_asking_after_a_day(shop: Shop) -> None:
    shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET", times=10)
    shop.pay()
    shop.stripe.faults.clear()
    shop.clock.advance(hours=25)
    shop.stripe.forget_requests()

    assert shop.sweep().payments == 0
    assert shop.stripe.requests == []


def test_a_sweep_does_not_knock_at_a_closed_door_for_every_order(shop: Shop) -> None:
    shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET", times=100)
    for number in range(6):
        shop.pay(f"o{number}")
    shop.stripe.forget_requests()

    assert shop.sweep().payments == 0
    assert len(shop.stripe.calls("/v1/payment_intents/*", method="GET")) == 3


def test_orders_that_can_never_be_verified_keep_nobody_waiting(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET", times=100)
    garbled = [shop.pay(f"o{number}").payment_intent_ref for number in range(4)]
    shop.clock.advance(seconds=1)
    shop.pay("1042")
    shop.stripe.faults.clear()
    gateway: Any = shop.rt.gateway
    payment = gateway.payment

    def read(ref: str) -> Any:
        if ref in garbled:
            raise ValueError("nobody can read this")
        return payment(ref)

    monkeypatch.setattr(gateway, "payment", read)

    assert shop.sweep().payments == 1
    assert "encore-offer" in shop.page().text


def test_an_answer_of_stripe_that_nobody_understands_is_unverified_and_not_the_checkouts_problem(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    order = shop.order()

    def garble(_ref: str) -> None:
        raise ValueError("'requires_blessing' is not a valid IntentStatus")

    monkeypatch.setattr(shop.rt.gateway, "payment", garble)
    with caplog.at_level(logging.WARNING, "flask_encore"):
        assert record(shop, order) is Recorded.NEW

    assert only_order(shop)["ineligible_reason"] == "payment_unverified"
    assert order.payment_intent_ref in caplog.text


# The recommender is away, or mad


class Ranker:
    """A ranker that does what it is told."""

    version = "told"

    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer

    def rank(self, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()) -> Any:
        """Whatever it was told."""
        return self._answer()


def _raise(error: BaseException) -> Any:
    raise error


def test_a_ranker_that_raises_costs_the_offer_and_not_the_order(
    make_shop: ShopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(ranker=Ranker(lambda: _raise(RuntimeError("no memory left"))))

    assert record(shop, shop.order()) is Recorded.NEW

    assert ranking_of(shop) == ("", "ranker_failed")
    assert shop.rt.counts["ranker_failed"] == 1
    assert "ranking order 1042 failed" in caplog.text and "no memory left" in caplog.text
    assert "encore-offer" not in shop.page().text
    assert [(row["outcome"], row["reason"]) for row in shop.rows("decisions")] == [("error", "ranker_failed")]


def test_a_ranker_that_exits_does_not_take_the_checkout_with_it(make_shop: ShopFactory) -> None:
    shop = make_shop(ranker=Ranker(lambda: _raise(SystemExit(3))))

    assert record(shop, shop.order()) is Recorded.NEW
    assert ranking_of(shop) == ("", "ranker_failed")


_GOOD = {"sku": "mug", "score": 1.0, "kind": "popularity"}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        42,
        "mug",
        ["mug", "tea"],
        [("mug", 1.0)],
        [Candidate(**_GOOD | {"score": float("nan")})],
        [Candidate(**_GOOD | {"score": Decimal("1.0")})],
        [Candidate(**_GOOD | {"sku": 7})],
        [Candidate(**_GOOD | {"sku": "mug\0"})],
        [Candidate(**_GOOD | {"sku": "mug\ud800"})],
        [Candidate(**_GOOD | {"kind": object()})],
        [Candidate(**_GOOD | {"support": object()})],
        [Candidate(**_GOOD | {"probability": 1.5})],
        [Candidate(**_GOOD | {"probability": "0.5"})],
        [Candidate(**_GOOD | {"kept_rate": float("nan")})],
    ],
    ids=[
        "None",
        "number",
        "string",
        "strings",
        "tuples",
        "nan",
        "decimal",
        "int sku",
        "NUL",
        "surrogate",
        "kind",
        "support",
        "probability above 1",
        "text for a probability",
        "nan for a rate",
    ],
)
def test_a_ranker_that_answers_rubbish_costs_the_offer_and_not_the_order(
    make_shop: ShopFactory, database_uri: str, answer: Any
) -> None:
    shop = make_shop(database_uri, ranker=Ranker(lambda: answer))

    assert record(shop, shop.order()) is Recorded.NEW

    assert ranking_of(shop) == ("", "ranker_failed")
    assert shop.page().status_code == 200


def test_a_ranker_whose_version_raises_costs_the_offer_and_not_the_order(make_shop: ShopFactory) -> None:
    class Versionless(Ranker):
        @property
        def version(self) -> str:  # type: ignore[override]
            raise OSError("the model's folder is gone")

    shop = make_shop(ranker=Versionless(lambda: [Candidate(**_GOOD)]))

    assert record(shop, shop.order()) is Recorded.NEW
    assert ranking_of(shop) == ("", "ranker_failed")


def test_a_ranker_that_answers_with_its_whole_catalogue_is_cut_to_a_page(make_shop: ShopFactory) -> None:
    many = [Candidate(sku=f"s{number}", score=1.0, kind="popularity") for number in range(5_000)]
    shop = make_shop(ranker=Ranker(lambda: many))
    shop.pay()
    shop.page()

    [decision] = shop.rows("decisions")
    assert str(decision["candidates"]).count('"sku"') == 20


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """Set at the end of the test: lets a hanging ranker go."""
    event = threading.Event()
    yield event
    event.set()


def test_a_ranker_over_its_budget_is_not_waited_for(
    make_shop: ShopFactory, stuck: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(ranker=Ranker(lambda: stuck.wait(60)), ENCORE_DECISION_BUDGET_MS=20)

    assert record(shop, shop.order()) is Recorded.NEW

    assert not stuck.is_set()
    assert ranking_of(shop) == ("", "ranker_timeout")
    assert shop.rt.counts["ranker_timeout"] == 1
    assert "ranking order 1042 took over 20 ms" in caplog.text


def test_a_recommender_that_never_comes_back_takes_no_more_than_its_share_of_threads(
    make_shop: ShopFactory, stuck: threading.Event
) -> None:
    shop = make_shop(ranker=Ranker(lambda: stuck.wait(60)), ENCORE_DECISION_BUDGET_MS=10)
    for number in range(24):
        shop.pay(f"o{number}")

    assert {json.loads(row["facts"])["ranking"] for row in shop.rows("orders")} == {"ranker_timeout"}
    assert [thread.name for thread in threading.enumerate()].count("encore-ranking") == 16


def test_what_stripe_told_is_kept_when_only_the_ranking_failed(make_shop: ShopFactory) -> None:
    shop = make_shop(ranker=Ranker(lambda: _raise(RuntimeError())))
    shop.pay()

    row = only_order(shop)
    assert (row["payment_method_type"], row["card_last4"]) == ("card", "4242")
    assert row["stripe_customer_ref"].startswith("cus_")


# The database is away


def test_while_another_connection_holds_the_write_lock_the_order_is_not_recorded_and_the_checkout_goes_on(
    make_shop: ShopFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 20)
    shop = make_shop()
    order = shop.order()

    with write_locked(tmp_path / "encore.sqlite3"):
        assert record(shop, order) is Recorded.NOT_RECORDED

    assert shop.rt.counts["order_not_recorded"] == 1
    assert "order 1042 could not be recorded" in caplog.text
    assert shop.rows("orders") == []
    assert record(shop, order) is Recorded.NEW


@on_postgresql
def test_a_locked_table_on_postgresql_is_not_waited_for_forever(
    make_shop: ShopFactory, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
    shop = make_shop(database_uri)
    order = shop.order()
    other = sa.create_engine(database_uri)

    with other.begin() as connection:
        connection.execute(sa.text("LOCK TABLE encore_orders IN ACCESS EXCLUSIVE MODE"))
        assert record(shop, order) is Recorded.NOT_RECORDED
    other.dispose()

    assert record(shop, order) is Recorded.NEW


def test_before_the_tables_are_there_the_order_is_not_recorded_and_the_checkout_goes_on(
    make_shop: ShopFactory, database_uri: str
) -> None:
    shop = make_shop(database_uri, upgrade=False)

    assert record(shop, shop.order()) is Recorded.NOT_RECORDED
    assert shop.rt.counts["order_not_recorded"] == 1


def test_a_server_that_is_gone_leaves_the_checkout_alone(make_shop: ShopFactory) -> None:
    shop = make_shop(f"postgresql+psycopg://encore@127.0.0.1:{closed_port()}/nothing", upgrade=False)

    assert record(shop, shop.order()) is Recorded.NOT_RECORDED


def test_a_bug_of_ours_is_not_the_checkouts_problem_either(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AttributeError("'NoneType' object has no attribute 'sku'")

    monkeypatch.setattr("flask_encore.services.recording.history.add", broken)

    assert record(shop, shop.order()) is Recorded.NOT_RECORDED
    assert shop.rows("orders") == []
    assert "order 1042 could not be recorded" in caplog.text
