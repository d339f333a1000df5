"""Which amounts Stripe takes."""

from __future__ import annotations

import pytest

from flask_encore.testing.stripe_simulator import StripeError, amounts


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        (30, "gbp"),
        (50, "usd"),
        (50, "jpy"),
        (17_500, "huf"),
        (5_120, "kwd"),
        (500, "isk"),
        (100, "ugx"),
        (99_999_999, "eur"),
    ],
)
def test_a_good_amount_is_answered_as_it_is(amount: int, currency: str) -> None:
    assert amounts.check(amount, currency) == amount


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        (29, "gbp", "amount_too_small"),
        (49, "eur", "amount_too_small"),
        (399, "hkd", "amount_too_small"),
        (0, "usd", "parameter_invalid_integer"),
        (-1, "usd", "parameter_invalid_integer"),
        (100_000_000, "usd", "amount_too_large"),
        (5_124, "kwd", "parameter_invalid_integer"),
        (550, "isk", "invalid_charge_amount_no_decimal_compatible"),
        (501, "ugx", "invalid_charge_amount_no_decimal_compatible"),
    ],
)
def test_a_bad_amount_is_refused_with_stripes_code(amount: int, currency: str, code: str) -> None:
    with pytest.raises(StripeError) as refusal:
        amounts.check(amount, currency)

    assert refusal.value.status == 400
    assert refusal.value.body["error"]["code"] == code
    assert not refusal.value.stored


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1290, "gbp", "£12.90"),
        (500, "jpy", "¥500"),
        (5120, "kwd", "5.120 KWD"),
        (123_456, "sek", "1,234.56 SEK"),
        (700, "isk", "7.00 ISK"),
    ],
)
def test_an_amount_for_a_person(amount: int, currency: str, text: str) -> None:
    assert amounts.pretty(amount, currency) == text
