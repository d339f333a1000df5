"""The bank says no: another card on the SAME PaymentIntent, or leave it. The paid order never notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import stripe as stripe_sdk
from conftest import Shop
from money import (
    NOTHING_SOLD,
    SOLD_ONCE,
    books,
    browser,
    charge_row,
    deliver,
    events,
    heal,
    merchant,
    offered,
    pass_time,
    told,
    wrap,
)

DECLINED = "4000000000000341"

#: The books of one offer that was declined first and paid with another card.
SOLD_SECOND = SOLD_ONCE | {"told": ["charge_failed", "charge_succeeded", "hold_released"]}


def declined(shop: Shop) -> str:
    """The token of an offer whose charge the bank has just declined."""
    token = offered(shop, card=DECLINED)
    assert shop.accept(token) == "failed"
    return token


def pay_with(shop: Shop, token: str, method: str) -> str:
    """The shopper types another card into the page; answers the intent's status, or the bank's code."""
    secret = shop.post(token, "secret").json["client_secret"]
    try:
        intent = browser(shop).payment_intents.confirm(
            charge_row(shop)["payment_intent_ref"], {"payment_method": method, "client_secret": secret}
        )
    except stripe_sdk.CardError as error:
        return str(error.code)
    return str(intent["status"])


MESSENGERS: dict[str, Callable[[Shop, str], object]] = {
    "the page's poll": lambda shop, token: shop.post(token, "refresh"),
    "the webhook": lambda shop, token: deliver(shop, events(shop, "payment_intent.succeeded")[-1]),
    "the sweeper": lambda shop, token: pass_time(shop, 31),
}


def test_a_decline_leaves_the_order_alone_and_tells_the_banks_reason(any_shop: Shop) -> None:
    shop = any_shop
    shop.pay(card="4000000000009995")
    before = shop.rows("orders"), shop.stripe.intents()[0]
    token = shop.token()

    assert shop.accept(token) == "failed"
    assert shop.accept(token) == "failed"

    assert charge_row(shop)["failure_code"] == "insufficient_funds"
    assert (shop.rows("orders"), shop.stripe.intents()[0]) == before
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400]
    shop.sweep()
    assert [(event.kind, event.detail) for event in shop.delivered] == [("charge_failed", "insufficient_funds")]


@pytest.mark.parametrize("messenger", MESSENGERS)
def test_another_card_pays_on_the_same_intent_whoever_brings_the_news(any_shop: Shop, messenger: str) -> None:
    shop = any_shop
    token = declined(shop)
    assert pay_with(shop, token, "pm_card_visa") == "succeeded"

    MESSENGERS[messenger](shop, token)

    assert shop.state(token) == "charged"
    heal(shop)
    assert books(shop) == SOLD_SECOND


def test_the_charge_names_the_card_that_was_tried_last(shop: Shop) -> None:
    token = declined(shop)
    first = charge_row(shop)["card_last4"]
    pay_with(shop, token, "pm_card_chargeDeclinedInsufficientFunds")
    shop.post(token, "refresh")
    refused = charge_row(shop)
    pay_with(shop, token, "pm_card_mastercard")
    shop.post(token, "refresh")
    paid = charge_row(shop)

    assert first == "0341"
    assert (refused["failure_code"], refused["card_last4"]) == ("insufficient_funds", "9995")
    assert (paid["card_brand"], paid["card_last4"]) == ("mastercard", "4444")
    assert (paid["payment_method_ref"], paid["snapshot"]) == (refused["payment_method_ref"], refused["snapshot"])


def test_asking_again_about_the_same_refusal_tells_the_merchant_nothing_new(shop: Shop) -> None:
    token = declined(shop)

    for _ in range(3):
        shop.post(token, "refresh")

    shop.sweep()
    assert [event.kind for event in shop.delivered] == ["charge_failed"]


def test_another_card_may_be_declined_too_and_a_third_one_pay(shop: Shop) -> None:
    token = declined(shop)
    assert pay_with(shop, token, "pm_card_chargeDeclined") == "card_declined"
    assert shop.post(token, "refresh").json["state"] == "failed"

    assert pay_with(shop, token, "pm_card_visa") == "succeeded"
    assert shop.post(token, "refresh").json["state"] == "charged"

    heal(shop)
    assert books(shop) == SOLD_SECOND | {
        "told": ["charge_failed", "charge_failed", "charge_succeeded", "hold_released"]
    }


def test_another_card_may_want_the_banks_check(any_shop: Shop) -> None:
    shop = any_shop
    token = declined(shop)
    assert pay_with(shop, token, "pm_card_authenticationRequired") == "requires_action"
    assert shop.post(token, "refresh").json["state"] == "action_required"

    shop.stripe.authenticate(charge_row(shop)["payment_intent_ref"])
    assert shop.post(token, "refresh").json["state"] == "charged"

    heal(shop)
    assert books(shop) == SOLD_SECOND


def test_after_five_attempts_no_further_card_is_let_in_and_nothing_moves(any_shop: Shop) -> None:
    shop = any_shop
    token = declined(shop)

    answers = [shop.post(token, "secret").status_code for _ in range(6)]

    assert answers == [200, 200, 200, 200, 409, 409]
    assert charge_row(shop)["attempt"] == 5
    assert shop.state(token) == "failed"
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400]


def test_leaving_it_cancels_the_intent_and_no_card_can_pay_it_any_more(any_shop: Shop) -> None:
    shop = any_shop
    token = declined(shop)
    secret = shop.post(token, "secret").json["client_secret"]

    assert shop.post(token, "leave").json["state"] == "canceled"

    with pytest.raises(stripe_sdk.InvalidRequestError, match="canceled"):
        browser(shop).payment_intents.confirm(
            charge_row(shop)["payment_intent_ref"], {"payment_method": "pm_card_visa", "client_secret": secret}
        )
    assert shop.post(token, "secret").status_code == 409
    shop.sweep()
    assert books(shop) == NOTHING_SOLD | {
        "intents": ["succeeded", "canceled"],
        "told": ["charge_failed", "charge_canceled"],
    }


def test_a_failed_charge_nobody_comes_back_to_is_cancelled_at_its_time(any_shop: Shop) -> None:
    shop = any_shop
    token = declined(shop)

    pass_time(shop, 29)
    assert (shop.state(token), shop.stock("mug")) == ("failed", 39)
    pass_time(shop, 1, 1)

    assert books(shop) == NOTHING_SOLD | {
        "intents": ["succeeded", "canceled"],
        "told": ["charge_failed", "charge_canceled"],
    }


def test_another_card_that_pays_while_the_shopper_leaves_is_a_charge(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    token = declined(shop)
    secret = shop.post(token, "secret").json["client_secret"]
    ref = charge_row(shop)["payment_intent_ref"]
    wrap(
        monkeypatch,
        shop.rt.gateway,
        "cancel_intent",
        lambda: browser(shop).payment_intents.confirm(ref, {"payment_method": "pm_card_visa", "client_secret": secret}),
    )

    assert shop.post(token, "leave").json["state"] == "charged"

    heal(shop)
    assert books(shop) == SOLD_SECOND


def test_a_card_taken_away_between_the_two_steps_is_a_failure_another_card_can_mend(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    token = offered(shop)
    (method,) = shop.stripe.payment_methods()
    gone: list[str] = []

    def detach() -> None:
        if not gone:
            gone.append(merchant(shop).payment_methods.detach(method["id"])["id"])

    wrap(monkeypatch, shop.rt.gateway, "confirm_intent", detach)
    assert shop.accept(token) == "failed"
    assert shop.post(token, "refresh").json["state"] == "failed"

    assert pay_with(shop, token, "pm_card_visa") == "succeeded"
    assert shop.post(token, "refresh").json["state"] == "charged"

    heal(shop)
    assert books(shop) == SOLD_SECOND
    assert told(shop) == ["charge_failed", "charge_succeeded", "hold_released"]
