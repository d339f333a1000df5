"""The test cards and who may keep what."""

from __future__ import annotations

import pytest

from flask_encore.testing.stripe_simulator import TEST_CARDS, StripeError, cards, customers
from flask_encore.testing.stripe_simulator.ledger import Ledger


@pytest.mark.parametrize(
    ("number", "brand", "last4"),
    [
        ("4242 4242 4242 4242", "visa", "4242"),
        ("5555555555554444", "mastercard", "4444"),
        ("378282246310005", "amex", "0005"),
    ],
)
def test_a_number_becomes_a_card_that_shows_brand_and_last_four(
    ledger: Ledger, number: str, brand: str, last4: str
) -> None:
    params = {"type": "card", "card": {"number": number, "exp_month": "12", "exp_year": "2034", "cvc": "123"}}

    method = customers.create_method(ledger, params)

    assert (method["card"]["brand"], method["card"]["last4"]) == (brand, last4)
    assert number.replace(" ", "") not in str(method)


@pytest.mark.parametrize(
    ("card", "status", "code"),
    [
        ({"number": "4242424242424241"}, 402, "incorrect_number"),
        ({"number": "4111111111111111"}, 402, "card_declined"),
        ({"number": "4242424242424242", "exp_year": "2001"}, 402, "invalid_expiry_year"),
        ({}, 400, "parameter_missing"),
        ({"token": "tok_nothing"}, 400, "resource_missing"),
    ],
    ids=["checksum", "real card", "expired", "no number", "unknown token"],
)
def test_a_number_that_is_no_test_card_is_refused(ledger: Ledger, card: dict[str, str], status: int, code: str) -> None:
    with pytest.raises(StripeError) as refusal:
        customers.create_method(ledger, {"type": "card", "card": card})

    assert (refusal.value.status, refusal.value.body["error"]["code"]) == (status, code)
    assert ledger.tables["payment_method"] == {}


def test_every_alias_names_a_test_card() -> None:
    assert set(cards.ALIASES.values()) <= set(TEST_CARDS)


def test_each_use_of_an_alias_mints_a_new_payment_method(ledger: Ledger) -> None:
    first = customers.find_method(ledger, "pm_card_visa", param="payment_method")
    second = customers.find_method(ledger, "pm_card_visa", param="payment_method")

    assert first["id"] != second["id"]


def test_a_declining_card_cannot_be_kept_and_0341_can(ledger: Ledger) -> None:
    owner = customers.create(ledger, {})["id"]

    with pytest.raises(StripeError) as refusal:
        customers.attach(ledger, "pm_card_chargeDeclined", {"customer": owner})
    assert (refusal.value.status, refusal.value.body["error"]["code"]) == (402, "card_declined")

    assert customers.attach(ledger, "pm_card_chargeCustomerFail", {"customer": owner})["customer"] == owner


def test_a_card_has_one_owner_until_it_is_detached_for_good(ledger: Ledger) -> None:
    owner, other = (customers.create(ledger, {})["id"] for _ in range(2))
    card = customers.from_number(ledger, "4242424242424242")

    customers.attach(ledger, card["id"], {"customer": owner})
    customers.attach(ledger, card["id"], {"customer": owner})
    with pytest.raises(StripeError, match="already been attached"):
        customers.attach(ledger, card["id"], {"customer": other})

    assert customers.detach(ledger, card["id"])["customer"] is None
    with pytest.raises(StripeError, match="may not be used again"):
        customers.attach(ledger, card["id"], {"customer": owner})


def test_a_type_that_cannot_be_kept_says_so(ledger: Ledger) -> None:
    owner = customers.create(ledger, {})["id"]
    method = customers.create_method(ledger, {"type": "eps"})

    with pytest.raises(StripeError, match="of type eps cannot be attached"):
        customers.attach(ledger, method["id"], {"customer": owner})


def test_an_unknown_type_is_refused(ledger: Ledger) -> None:
    with pytest.raises(StripeError, match="Invalid type: gold"):
        customers.create_method(ledger, {"type": "gold"})
