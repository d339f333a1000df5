"""The test cards and the kinds of payment method, and what a bank says to each.

Numbers are Stripe's public test numbers. `TEST_CARDS` is the whole truth; `ALIASES` are Stripe's
``pm_card_…`` names for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from flask_encore.testing.stripe_simulator.errors import Json, StripeError, invalid

#: error code -> the sentence a shopper would read.
MESSAGES = {
    "card_declined": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "incorrect_number": "Your card number is incorrect.",
    "invalid_expiry_year": "Your card's expiration year is invalid.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
    "payment_intent_authentication_failure": (
        "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCard:
    """How one test number behaves.

    Attributes:
        brand: as in ``card.brand``.
        code: error code of the decline; None when the bank agrees.
        decline_code: the bank's own reason; None when Stripe gives none.
        authentication: when the bank wants to see the shopper.
        attachable: False when attaching to a customer is refused like a charge.
        then: what happens after a good charge.
    """

    __test__ = False  # the name begins with Test; pytest need not look inside

    brand: str = "visa"
    code: str | None = None
    decline_code: str | None = None
    authentication: Literal["never", "unless_set_up", "always"] = "never"
    attachable: bool = True
    then: Literal["nothing", "dispute", "refund_pends", "refund_fails"] = "nothing"


def _declines(code: str, decline_code: str | None) -> TestCard:
    return TestCard(code=code, decline_code=decline_code, attachable=False)


TEST_CARDS: dict[str, TestCard] = {
    "4242424242424242": TestCard(),
    "4000056655665556": TestCard(),
    "5555555555554444": TestCard(brand="mastercard"),
    "378282246310005": TestCard(brand="amex"),
    "6011111111111117": TestCard(brand="discover"),
    "4000000000000002": _declines("card_declined", "generic_decline"),
    "4000000000009995": _declines("card_declined", "insufficient_funds"),
    "4000000000009987": _declines("card_declined", "lost_card"),
    "4000000000009979": _declines("card_declined", "stolen_card"),
    "4000000000000069": _declines("expired_card", None),
    "4000000000000127": _declines("incorrect_cvc", None),
    "4000000000000119": _declines("processing_error", None),
    "4000000000000341": TestCard(code="card_declined", decline_code="generic_decline"),
    "4000002500003155": TestCard(authentication="unless_set_up"),
    "4000002760003184": TestCard(authentication="always"),
    "4000000000003220": TestCard(authentication="always"),
    "4000008260003178": TestCard(authentication="always", code="card_declined", decline_code="insufficient_funds"),
    "4000000000000259": TestCard(then="dispute"),
    "4000000000007726": TestCard(then="refund_pends"),
    "4000000000005126": TestCard(then="refund_fails"),
}

ALIASES = {
    "pm_card_visa": "4242424242424242",
    "pm_card_visa_debit": "4000056655665556",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_amex": "378282246310005",
    "pm_card_discover": "6011111111111117",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
    "pm_card_authenticationRequiredSetupForOffSession": "4000002500003155",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
    "pm_card_threeDSecure2Required": "4000000000003220",
    "pm_card_threeDSecureRequired": "4000000000003220",
    "pm_card_createDispute": "4000000000000259",
    "pm_card_pendingRefund": "4000000000007726",
    "pm_card_refundFail": "4000000000005126",
} | {
    # Stripe knows each decline with and without "visa_" in its name.
    f"pm_card_{brand}{name}": number
    for brand in ("", "visa_")
    for name, number in {
        "chargeDeclined": "4000000000000002",
        "chargeDeclinedInsufficientFunds": "4000000000009995",
        "chargeDeclinedLostCard": "4000000000009987",
        "chargeDeclinedStolenCard": "4000000000009979",
        "chargeDeclinedExpiredCard": "4000000000000069",
        "chargeDeclinedIncorrectCvc": "4000000000000127",
        "chargeDeclinedProcessingError": "4000000000000119",
    }.items()
}

#: Payment method types a customer can keep (stripe docs, `setup_future_usage`).
REUSABLE = frozenset(
    (
        "card",
        "link",
        "sepa_debit",
        "us_bank_account",
        "acss_debit",
        "bacs_debit",
        "au_becs_debit",
        "paypal",
        "amazon_pay",
        "revolut_pay",
        "cashapp",
        "klarna",
    )
)
SINGLE_USE = frozenset(
    (
        "eps",
        "p24",
        "giropay",
        "multibanco",
        "affirm",
        "afterpay_clearpay",
        "zip",
        "blik",
        "alipay",
    )
)
#: Money arrives days later: confirming answers ``processing``.
DELAYED = frozenset(
    (
        "sepa_debit",
        "us_bank_account",
        "acss_debit",
        "bacs_debit",
        "au_becs_debit",
        "multibanco",
    )
)


def behaviour(number: str | None) -> TestCard:
    """How this number behaves; payment methods without one never fail."""
    return TestCard() if number is None else TEST_CARDS[number]


def card_error(code: str, *, decline_code: str | None = None, **more: Any) -> StripeError:
    """402 in Stripe's shape for a bank's no."""
    message = MESSAGES.get(decline_code or "") or MESSAGES.get(code, MESSAGES["card_declined"])
    extra: Json = {} if decline_code is None else {"decline_code": decline_code}
    return StripeError(402, "card_error", message, code=code, **extra, **more)


def checked_number(card: Json, *, year: int) -> str:
    """The test number typed in, digits only.

    Args:
        card: the ``card`` hash of the request: number, exp_month, exp_year, cvc, all strings.
        year: the current year, to refuse expired cards.

    Raises:
        StripeError: 402 for a wrong number, a real card or an expired one; 400 without a number.
    """
    number = "".join(char for char in str(card.get("number", "")) if char.isdecimal())
    if not number:
        raise invalid("Missing required param: card[number].", param="card[number]", code="parameter_missing")
    if not _luhn(number):
        raise card_error("incorrect_number", param="number")
    if number not in TEST_CARDS:
        raise StripeError(
            402,
            "card_error",
            "Your card was declined. Your request was in test mode, but used a non test card.",
            code="card_declined",
            decline_code="test_mode_live_card",
        )
    expires = int(card["exp_year"]) if str(card.get("exp_year", "")).isdecimal() else year + 8
    expires += 2000 if expires < 100 else 0
    if not year <= expires <= year + 50:
        raise card_error("invalid_expiry_year", param="exp_year")
    return number


def details(number: str, card: Json, *, year: int) -> Json:
    """The public ``card`` hash of a payment method."""
    test_card = TEST_CARDS[number]
    return {
        "brand": test_card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "GB" if number == "4000002760003184" else "US",
        "display_brand": test_card.brand,
        "exp_month": int(card.get("exp_month") or 12),
        "exp_year": int(card.get("exp_year") or year + 8),
        "fingerprint": f"sim{number[-12:]}",
        "funding": "debit" if number == "4000056655665556" else "credit",
        "generated_from": None,
        "last4": number[-4:],
        "networks": {"available": [test_card.brand], "preferred": None},
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _luhn(number: str) -> bool:
    total = 0
    for place, char in enumerate(reversed(number)):
        digit = int(char) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0
