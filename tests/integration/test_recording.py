"""A paid order comes in: what is believed, what is refused, and that the checkout never pays for our troubles."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from hosts import closed_port, on_postgresql, together, write_locked

from flask_encore import InvalidInput, Money, OrderConflict, OrderLine, PaidOrder, Recorded
from flask_encore.domain.offers import Candidate
from flask_encore.domain.ports import IntentRequest
from flask_encore.store import database


def record(shop: Shop, order: PaidOrder) -> Recorded:
    """Hand *order* in, as the host's checkout does after its commit."""
    with shop.app.app_context():
        return shop.encore.order_paid(order)


def only_order(shop: Shop) -> dict[str, Any]:
    """The one row of ``encore_orders``."""
    [row] = shop.rows("orders")
    return row


# What Stripe says, and nobody else


def test_a_paid_order_is_written_down_with_the_payment_as_stripe_tells_it(any_shop: Shop) -> None:
    order = any_shop.order()

    assert record(any_shop, order) is Recorded.NEW

    row, intent = only_order(any_shop), any_shop.stripe.intent(order.payment_intent_ref)
    assert (row["order_ref"], row["total_minor"], row["currency"]) == ("1042", 3400, "gbp")
    assert (row["stripe_customer_ref"], row["payment_method_ref"]) == (intent["customer"], intent["payment_method"])
    assert (row["payment_method_type"], row["card_brand"], row["card_last4"]) == ("card", "visa", "4242")
    assert row["ineligible_reason"] == ""


@pytest.mark.parametrize("field", ["stripe_customer_ref", "payment_method_ref", "card_last4", "ineligible_reason"])
def test_the_caller_has_no_way_to_name_a_customer_or_a_payment_method(shop: Shop, field: str) -> None:
    with pytest.raises(TypeError, match=field):
        shop.order(**{field: "cus_somebody_else"})


def test_the_shops_own_customer_key_is_never_sent_to_stripe_as_a_customer(shop: Shop) -> None:
    order = shop.pay(customer_ref="cus_somebody_else")

    row = only_order(shop)
    assert row["customer_ref"] == "cus_somebody_else"
    assert row["stripe_customer_ref"] == shop.stripe.intent(order.payment_intent_ref)["customer"]
    assert row["stripe_customer_ref"] != "cus_somebody_else"


def test_the_order_is_remembered_as_food_for_the_recommender(any_shop: Shop) -> None:
    lines = [
        OrderLine(sku="pot", title="Teapot", quantity=2, unit_price=Money(1000, "gbp")),
        OrderLine(sku="tea", title="Tea", quantity=1, unit_price=Money(850, "gbp")),
        OrderLine(sku="pot", title="Teapot", quantity=1, unit_price=Money(1000, "gbp")),
    ]
    any_shop.pay(lines=lines)

    assert sorted((row["sku"], row["quantity"], row["customer_ref"]) for row in any_shop.rows("history_lines")) == [
        ("pot", 3, "c-17"),
        ("tea", 1, "c-17"),
    ]


# Once


def test_the_same_order_again_changes_nothing_and_asks_nobody(any_shop: Shop) -> None:
    order = any_shop.pay()
    before = (any_shop.rows("orders"), any_shop.rows("history_lines"))
    any_shop.stripe.forget_requests()

    assert record(any_shop, order) is Recorded.DUPLICATE

    assert (any_shop.rows("orders"), any_shop.rows("history_lines")) == before
    assert any_shop.stripe.requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"total": Money(3401, "gbp")},
        {"customer_ref": "c-18"},
        {"customer_ref": None},
        {"country": "FR"},
        {"locale": "fr"},
        {"lines": [OrderLine(sku="pot", title="Pot", quantity=2, unit_price=Money(1700, "gbp"))]},
    ],
    ids=["total", "customer", "guest", "country", "locale", "lines"],
)
def test_a_known_order_with_other_content_is_a_conflict_and_nothing_moves(
    any_shop: Shop, changes: dict[str, Any]
) -> None:
    order = any_shop.pay()
    before = (any_shop.rows("orders"), any_shop.rows("history_lines"))
    other = any_shop.order(intent={"id": order.payment_intent_ref}, **changes)

    with pytest.raises(OrderConflict, match="order 1042 is recorded with different content"):
        record(any_shop, other)

    assert (any_shop.rows("orders"), any_shop.rows("history_lines")) == before


def test_a_known_order_with_another_payment_is_a_conflict_and_nothing_moves(any_shop: Shop) -> None:
    any_shop.pay()
    before = any_shop.rows("orders")

    with pytest.raises(OrderConflict, match="order 1042 is recorded with different content"):
        record(any_shop, any_shop.order())

    assert any_shop.rows("orders") == before


def test_one_payment_cannot_pay_a_second_order(any_shop: Shop) -> None:
    order = any_shop.pay()
    before = (any_shop.rows("orders"), any_shop.rows("history_lines"))

    with pytest.raises(OrderConflict, match=r"already paid order 1042; order 1043 needs a payment of its own"):
        record(any_shop, any_shop.order("1043", intent={"id": order.payment_intent_ref}))

    assert (any_shop.rows("orders"), any_shop.rows("history_lines")) == before


def test_eight_threads_that_hand_in_one_order_write_one_row(any_shop: Shop) -> None:
    order = any_shop.order()

    answers = together(8, lambda _: record(any_shop, order))

    assert sorted(answers) == [Recorded.DUPLICATE] * 7 + [Recorded.NEW]
    assert len(any_shop.rows("orders")) == 1


def test_two_orders_that_race_for_one_payment_get_it_once(any_shop: Shop) -> None:
    first = any_shop.order("1042")
    orders = [first, any_shop.order("1043", intent={"id": first.payment_intent_ref})]

    answers = together(2, lambda number: record(any_shop, orders[number]))

    assert answers.count(Recorded.NEW) == 1
    assert [type(answer) for answer in answers].count(OrderConflict) == 1
    assert len(any_shop.rows("orders")) == 1


# Why an order can have no offer


def ineligible(shop: Shop, order: PaidOrder) -> str:
    """Record *order*; the reason in its row, once its page is seen to be without an offer."""
    assert record(shop, order) is Recorded.NEW
    assert "encore-offer" not in shop.page(order.order_ref).text
    [decision] = shop.rows("decisions")
    assert (decision["outcome"], decision["reason"]) == ("ineligible", only_order(shop)["ineligible_reason"])
    return str(decision["reason"])


def test_a_payment_of_another_amount_makes_the_order_ineligible(shop: Shop) -> None:
    intent = shop.stripe.paid_intent(amount=3399, currency="gbp")
    assert ineligible(shop, shop.order(intent=intent)) == "payment_amount_mismatch"


def test_a_payment_in_another_currency_makes_the_order_ineligible(shop: Shop) -> None:
    intent = shop.stripe.paid_intent(amount=3400, currency="eur")
    assert ineligible(shop, shop.order(intent=intent)) == "payment_currency_mismatch"


def test_a_payment_without_a_customer_makes_the_order_ineligible(shop: Shop) -> None:
    intent = shop.stripe.paid_intent(amount=3400, currency="gbp", customer=False)
    assert ineligible(shop, shop.order(intent=intent)) == "no_customer"


def test_a_card_that_was_not_kept_makes_the_order_ineligible(shop: Shop) -> None:
    intent = shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None)
    assert ineligible(shop, shop.order(intent=intent)) == "payment_method_not_saved"


@pytest.mark.parametrize("kind", ["sepa_debit", "eps"])
def test_a_payment_method_that_cannot_be_charged_with_one_click_makes_the_order_ineligible(
    shop: Shop, kind: str
) -> None:
    intent = shop.stripe.paid_intent(amount=3400, currency="eur", payment_method_type=kind)
    assert ineligible(shop, shop.order(intent=intent, total=Money(3400, "eur"))) == "payment_method_not_reusable"


def test_a_payment_that_has_not_succeeded_makes_the_order_ineligible(shop: Shop) -> None:
    with shop.app.app_context():
        gateway = shop.encore.runtime.gateway
    assert gateway is not None
    paid = shop.order()
    row = gateway.payment(paid.payment_intent_ref)
    assert row.customer_ref is not None and row.payment_method_ref is not None
    unpaid = gateway.create_intent(
        IntentRequest(
            amount=Money(3400, "gbp"),
            customer_ref=row.customer_ref,
            payment_method_ref=row.payment_method_ref,
            payment_method_type="card",
            description="An order nobody paid yet",
            metadata={},
        ),
        idempotency_key="unpaid",
    )
    assert ineligible(shop, shop.order(intent={"id": unpaid.ref})) == "payment_not_succeeded"


@pytest.mark.parametrize("ref", ["pi_nobody_knows", "ch_not_an_intent", "pi_../../v1/customers", "pi_a?expand[]=b"])
def test_a_payment_stripe_does_not_know_makes_the_order_ineligible(shop: Shop, ref: str) -> None:
    assert ineligible(shop, shop.order(intent={"id": ref})) == "payment_not_succeeded"


def test_without_a_stripe_key_every_order_is_recorded_and_ineligible(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_STRIPE_SECRET_KEY="", ENCORE_STRIPE_PUBLISHABLE_KEY="")
    assert ineligible(shop, shop.order()) == "payment_unverified"


def test_with_a_wrong_stripe_key_the_order_waits_for_the_right_one(make_shop: ShopFactory) -> None:
    assert ineligible(make_shop(ENCORE_STRIPE_SECRET_KEY="sk_test_wrong"), make_shop().order()) == "payment_unverified"


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

    def rank(self, basket: Sequence[str], *, k: int, exclude: Collection[str] = ()) -> Any:
        """Whatever it was told."""
        return self._answer()


def _raise(error: BaseException) -> Any:
    raise error


def test_a_ranker_that_raises_costs_the_offer_and_not_the_order(
    make_shop: ShopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(ranker=Ranker(lambda: _raise(RuntimeError("no memory left"))))

    assert record(shop, shop.order()) is Recorded.NEW

    assert only_order(shop)["ineligible_reason"] == "ranker_failed"
    assert shop.rt.counts["ranker_failed"] == 1
    assert "ranking order 1042 failed" in caplog.text and "no memory left" in caplog.text
    assert "encore-offer" not in shop.page().text
    assert [(row["outcome"], row["reason"]) for row in shop.rows("decisions")] == [("error", "ranker_failed")]


def test_a_ranker_that_exits_does_not_take_the_checkout_with_it(make_shop: ShopFactory) -> None:
    shop = make_shop(ranker=Ranker(lambda: _raise(SystemExit(3))))

    assert record(shop, shop.order()) is Recorded.NEW
    assert only_order(shop)["ineligible_reason"] == "ranker_failed"


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
    ],
)
def test_a_ranker_that_answers_rubbish_costs_the_offer_and_not_the_order(
    make_shop: ShopFactory, database_uri: str, answer: Any
) -> None:
    shop = make_shop(database_uri, ranker=Ranker(lambda: answer))

    assert record(shop, shop.order()) is Recorded.NEW

    assert only_order(shop)["ineligible_reason"] == "ranker_failed"
    assert shop.page().status_code == 200


def test_a_ranker_whose_version_raises_costs_the_offer_and_not_the_order(make_shop: ShopFactory) -> None:
    class Versionless(Ranker):
        @property
        def version(self) -> str:  # type: ignore[override]
            raise OSError("the model's folder is gone")

    shop = make_shop(ranker=Versionless(lambda: [Candidate(**_GOOD)]))

    assert record(shop, shop.order()) is Recorded.NEW
    assert only_order(shop)["ineligible_reason"] == "ranker_failed"


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
    assert only_order(shop)["ineligible_reason"] == "ranker_timeout"
    assert shop.rt.counts["ranker_timeout"] == 1
    assert "ranking order 1042 took over 20 ms" in caplog.text


def test_a_recommender_that_never_comes_back_takes_no_more_than_its_share_of_threads(
    make_shop: ShopFactory, stuck: threading.Event
) -> None:
    shop = make_shop(ranker=Ranker(lambda: stuck.wait(60)), ENCORE_DECISION_BUDGET_MS=10)
    for number in range(24):
        shop.pay(f"o{number}")

    assert {row["ineligible_reason"] for row in shop.rows("orders")} == {"ranker_timeout"}
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


# Bad input


def test_order_paid_takes_a_paid_order_and_nothing_like_it(shop: Shop) -> None:
    with shop.app.app_context(), pytest.raises(InvalidInput, match="order_paid takes a PaidOrder, got"):
        shop.encore.order_paid({"order_ref": "1042"})  # type: ignore[arg-type]
    assert shop.rows("orders") == []


def test_float_money_is_refused_with_the_fix() -> None:
    with pytest.raises(InvalidInput, match=r'got 12\.9; write Money\(1290, "gbp"\)'):
        Money(12.9, "gbp")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"placed_at": datetime(2026, 3, 2, 14, 3)}, "placed_at has to be a timezone-aware datetime"),  # noqa: DTZ001
        ({"currency": "eur"}, "order 1042 is in eur, but 34.00 GBP is not"),
        ({"lines": []}, "order 1042 has no lines"),
        ({"lines": ["pot"]}, "lines of order 1042 have to be OrderLine"),
        ({"total": 3400}, "total of order 1042 has to be Money of at least 0, got 3400"),
        ({"payment_intent_ref": ""}, "payment_intent_ref has to be a non-empty string"),
        ({"order_ref": 1042}, "order_ref has to be a non-empty string, got 1042"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    price = Money(3400, "gbp")
    values: dict[str, Any] = {
        "order_ref": "1042",
        "placed_at": datetime.fromisoformat("2026-03-02T14:03:00+00:00"),
        "currency": "gbp",
        "lines": [OrderLine(sku="pot", title="Teapot", quantity=1, unit_price=price)],
        "total": price,
        "payment_intent_ref": "pi_1",
    }
    with pytest.raises(InvalidInput, match=sentence):
        PaidOrder(**values | changes)


@pytest.mark.parametrize("quantity", [0, -1, 1.5, True, "2"])
def test_a_quantity_is_a_whole_number_of_at_least_one(quantity: Any) -> None:
    with pytest.raises(InvalidInput, match="quantity has to be a whole number from 1"):
        OrderLine(sku="pot", title="Teapot", quantity=quantity, unit_price=Money(100, "gbp"))
