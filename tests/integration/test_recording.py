"""A paid order comes in: what is believed, what is refused, and that the checkout never pays for our troubles."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from conftest import Shop, ShopFactory
from hosts import only_order, record, together

from flask_encore import InvalidInput, Money, OrderConflict, OrderLine, PaidOrder, Recorded
from flask_encore.domain.ports import IntentRequest

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
