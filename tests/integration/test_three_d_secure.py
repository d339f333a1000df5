"""The bank wants the shopper: passed, failed, abandoned, left. On-session, in the page, on one PaymentIntent."""

from __future__ import annotations

import json
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
    charged,
    deliver,
    events,
    heal,
    offered,
    pass_time,
    told,
)

ALWAYS = "4000002760003184"
UNLESS_SET_UP = "4000002500003155"
THEN_DECLINED = "4000008260003178"

#: Who may bring the news that the bank's check was passed.
MESSENGERS: dict[str, Callable[[Shop, str], object]] = {
    "the page's poll": lambda shop, token: shop.post(token, "refresh"),
    "the webhook": lambda shop, token: deliver(shop, events(shop, "payment_intent.succeeded")[-1]),
    "the sweeper": lambda shop, token: pass_time(shop, 31),
}


@pytest.mark.parametrize("messenger", MESSENGERS)
def test_passing_the_banks_check_charges_once_whoever_brings_the_news(any_shop: Shop, messenger: str) -> None:
    shop = any_shop
    token = offered(shop, card=ALWAYS)
    assert shop.accept(token) == "action_required"
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400]
    shop.stripe.authenticate(charge_row(shop)["payment_intent_ref"])

    MESSENGERS[messenger](shop, token)

    assert shop.state(token) == "charged"
    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_a_card_set_up_at_the_checkout_is_charged_without_a_second_check(shop: Shop) -> None:
    charged(shop, card=UNLESS_SET_UP)


def test_failing_the_banks_check_is_a_failure_and_the_order_is_untouched(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop, card=ALWAYS)
    shop.accept(token)
    original = shop.stripe.intents()[0]
    shop.stripe.authenticate(charge_row(shop)["payment_intent_ref"], success=False)

    assert shop.post(token, "refresh").json["state"] == "failed"

    assert charge_row(shop)["failure_code"] == "payment_intent_authentication_failure"
    assert shop.stripe.intents()[0] == original
    pass_time(shop, 31, 1)
    assert books(shop) == NOTHING_SOLD | {
        "intents": ["succeeded", "canceled"],
        "told": ["charge_failed", "charge_canceled"],
    }


def test_a_check_that_is_passed_and_then_declined_is_a_failure_with_the_banks_own_reason(shop: Shop) -> None:
    token = offered(shop, card=THEN_DECLINED)
    assert shop.accept(token) == "action_required"
    shop.stripe.authenticate(charge_row(shop)["payment_intent_ref"])

    assert shop.post(token, "refresh").json["state"] == "failed"

    assert charge_row(shop)["failure_code"] == "insufficient_funds"
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400]


def test_an_abandoned_check_is_cancelled_at_its_time_and_passing_it_later_charges_nothing(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop, card=ALWAYS)
    shop.accept(token)
    original = shop.stripe.intents()[0]

    pass_time(shop, 30, 1)

    assert shop.state(token) == "canceled"
    with pytest.raises(Exception, match="canceled"):
        shop.stripe.authenticate(charge_row(shop)["payment_intent_ref"])
    assert shop.stripe.intents()[0] == original
    assert books(shop) == NOTHING_SOLD | {"intents": ["succeeded", "canceled"]}


def test_leaving_the_check_cancels_it_at_once(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop, card=ALWAYS)
    shop.accept(token)

    assert shop.post(token, "leave").json["state"] == "canceled"
    assert shop.post(token, "leave").json["state"] == "canceled"

    shop.sweep()
    assert books(shop) == NOTHING_SOLD | {"intents": ["succeeded", "canceled"]}


def test_leaving_after_the_check_was_passed_finds_the_charge(shop: Shop) -> None:
    token = offered(shop, card=ALWAYS)
    shop.accept(token)
    shop.stripe.authenticate(charge_row(shop)["payment_intent_ref"])

    assert shop.post(token, "leave").json["state"] == "charged"

    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_leaving_while_stripe_is_away_changes_nothing_and_is_no_error(shop: Shop) -> None:
    token = offered(shop, card=ALWAYS)
    shop.accept(token)
    shop.stripe.faults.add("/v1/payment_intents/**", "drop_before", method="*", times=2)

    assert shop.post(token, "leave").json["state"] == "action_required"

    pass_time(shop, 31, 1)
    assert books(shop) == NOTHING_SOLD | {"intents": ["succeeded", "canceled"]}


def test_polling_an_unfinished_check_changes_nothing(shop: Shop) -> None:
    token = offered(shop, card=ALWAYS)
    shop.accept(token)

    states = [shop.post(token, "refresh").json["state"] for _ in range(3)]

    assert states == ["action_required"] * 3
    assert len(shop.stripe.calls("/v1/payment_intents/*/confirm")) == 1
    assert told(shop) == []


def test_the_confirmation_is_on_session_in_the_page_and_knows_the_way_back(shop: Shop) -> None:
    token = offered(shop, card=ALWAYS)
    shop.accept(token)

    (confirm,) = shop.stripe.calls("/v1/payment_intents/*/confirm")
    assert confirm.params == {"use_stripe_sdk": "true", "return_url": "http://localhost/thanks/1042"}
    (create,) = shop.stripe.calls("/v1/payment_intents")
    assert "confirm" not in create.params and "off_session" not in create.params


def test_the_client_secret_is_handed_out_on_request_only_and_stored_nowhere(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop, card=ALWAYS)
    accepted = shop.post(token, "accept")
    intent = shop.stripe.intents()[-1]

    told_secret = shop.post(token, "secret")

    assert told_secret.json == {
        "client_secret": intent["client_secret"],
        "publishable_key": "pk_test_simulator",
        "stripe_account": "",
    }
    assert told_secret.headers["Cache-Control"] == "no-store"
    stored = json.dumps([shop.rows(name) for name in ("charges", "decisions", "outbox", "events")], default=str)
    for text in (accepted.text, shop.page().text, stored):
        assert "_secret_" not in text


@pytest.mark.parametrize("act", [None, "accept", "decline"])
def test_there_is_no_client_secret_while_nothing_waits_for_the_shopper(shop: Shop, act: str | None) -> None:
    token = offered(shop)
    if act:
        shop.post(token, act)

    response = shop.post(token, "secret")

    assert response.status_code == 409
    assert "client_secret" not in response.json


def test_a_secret_while_stripe_is_away_is_503(shop: Shop) -> None:
    token = offered(shop, card=ALWAYS)
    shop.accept(token)
    shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET")

    assert shop.post(token, "secret").status_code == 503


def test_the_browser_cannot_confirm_with_another_intents_secret(shop: Shop) -> None:
    shop.accept(offered(shop, card="4000000000000341"))
    other = shop.stripe.intents()[0]["client_secret"]

    with pytest.raises(stripe_sdk.InvalidRequestError):
        browser(shop).payment_intents.confirm(
            charge_row(shop)["payment_intent_ref"], {"payment_method": "pm_card_visa", "client_secret": other}
        )
    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400]
