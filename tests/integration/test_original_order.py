"""What happens to the order's own payment later: nothing is added to an order that was refunded or is disputed."""

from __future__ import annotations

import pytest
from conftest import Shop
from money import deliver, events, merchant


def refund_order(shop: Shop, intent: str, amount: int) -> tuple[int, object]:
    """The merchant refunds the order itself in Stripe's dashboard; answers what we said to the webhook."""
    merchant(shop).refunds.create({"payment_intent": intent, "amount": amount})
    return deliver(shop, events(shop, "charge.refunded")[-1])


def test_an_open_offer_ends_when_its_order_is_refunded(any_shop: Shop) -> None:
    shop = any_shop
    order = shop.pay()
    token = shop.token()

    answer = refund_order(shop, order.payment_intent_ref, 3400)

    assert answer == (200, {"effect": "applied"})
    assert shop.accept(token) == "expired"
    assert shop.rows("charges") == []
    assert shop.stock("mug") == 40
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400]


def test_an_order_that_was_refunded_before_its_page_was_opened_is_offered_nothing(shop: Shop) -> None:
    order = shop.pay()

    refund_order(shop, order.payment_intent_ref, 3400)

    assert "encore-offer" not in shop.page().text
    assert [(row["outcome"], row["reason"]) for row in shop.rows("decisions")] == [("ineligible", "order_refunded")]


def test_a_partial_refund_of_the_order_leaves_its_offer_open(shop: Shop) -> None:
    order = shop.pay()
    token = shop.token()

    answer = refund_order(shop, order.payment_intent_ref, 500)

    assert answer == (200, {"effect": "ignored"})
    assert shop.accept(token) == "charged"


def test_a_disputed_order_is_offered_nothing_more(shop: Shop) -> None:
    order = shop.pay()
    token = shop.token()
    shop.stripe.dispute(order.payment_intent_ref)
    dispute = events(shop, "charge.dispute.created")[-1]

    assert deliver(shop, dispute) == (200, {"effect": "applied"})
    assert deliver(shop, dispute)[1] == {"effect": "duplicate"}
    assert shop.accept(token) == "expired"
    assert [row["ineligible_reason"] for row in shop.rows("orders")] == ["order_disputed"]


@pytest.mark.parametrize("act", ["undo", "state"])
def test_a_charge_made_before_lives_on_its_own(shop: Shop, act: str) -> None:
    order = shop.pay()
    token = shop.token()
    shop.accept(token)

    refund_order(shop, order.payment_intent_ref, 3400)

    assert shop.state(token) == "charged"
    if act == "undo":
        assert shop.post(token, "undo").json["state"] == "undone"
