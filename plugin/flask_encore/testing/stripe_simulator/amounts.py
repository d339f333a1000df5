"""Which amounts Stripe takes: known currencies, minimums, and the currencies with odd decimals.

All amounts are integers in the currency's minor unit as Stripe counts it.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from flask_encore.testing.stripe_simulator import forms
from flask_encore.testing.stripe_simulator.errors import Json, invalid

MAXIMUM = 99_999_999

_NAMES = """
aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad
cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd
hnl hrk htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad
mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln
pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs
uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw
"""
CURRENCIES = frozenset(_NAMES.split())

#: The smallest charge per currency, settled in the same currency.
MINIMUMS = {
    **dict.fromkeys(("usd", "aud", "brl", "cad", "chf", "eur", "inr", "nzd", "sgd"), 50),
    **dict.fromkeys(("ars", "cop", "idr", "ils", "krw", "php", "rub", "zar"), 50),
    **dict.fromkeys(("aed", "myr", "pln", "ron"), 200),
    **dict.fromkeys(("mxn", "thb"), 1000),
    **dict.fromkeys(("nok", "sek"), 300),
    "gbp": 30,
    "jpy": 50,
    "bgn": 100,
    "dkk": 250,
    "hkd": 400,
    "czk": 1500,
    "huf": 17500,
}

#: Three decimals, of which the last must be zero.
THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))

#: Without decimals in life, counted in hundredths by Stripe.
WHOLE_ONLY = frozenset(("isk", "ugx"))


def currency(params: Json) -> str:
    """The request's currency, lower case.

    Raises:
        StripeError: 400 when absent or unknown.
    """
    code = forms.text(params, "currency")
    if code is None:
        raise invalid("Missing required param: currency.", param="currency", code="parameter_missing")
    if code.lower() not in CURRENCIES:
        raise invalid(f"Invalid currency: {code.lower()}.", param="currency")
    return code.lower()


def check(amount: int, code: str) -> int:
    """`amount` when Stripe would charge it in currency `code`.

    Raises:
        StripeError: 400 below one, below the minimum, over eight digits, or with a fraction the
            currency does not have.
    """
    if amount < 1:
        raise invalid(
            "This value must be greater than or equal to 1.", param="amount", code="parameter_invalid_integer"
        )
    if amount > MAXIMUM:
        raise invalid("Amount must be no more than 999,999.99.", param="amount", code="amount_too_large")
    if code in THREE_DECIMAL and amount % 10:
        message = f"Invalid amount: in {code} the last of the three decimals must be 0."
        raise invalid(message, param="amount", code="parameter_invalid_integer")
    if code in WHOLE_ONLY and amount % 100:
        message = f"Invalid amount: {code} has no decimals; the amount must be divisible by 100."
        raise invalid(message, param="amount", code="invalid_charge_amount_no_decimal_compatible")
    least = MINIMUMS.get(code, 1)
    if amount < least:
        raise invalid(f"Amount must be at least {least} ({code}).", param="amount", code="amount_too_small")
    return amount


_SYMBOLS = {"gbp": "£", "eur": "€", "usd": "$", "jpy": "¥"}
_ZERO_NAMES = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_ZERO_DECIMAL = frozenset(_ZERO_NAMES.split())


def places_of(code: str) -> int:
    """Decimals of a currency, as Stripe counts them."""
    return 0 if code in _ZERO_DECIMAL else 3 if code in THREE_DECIMAL else 2


def converted(amount: int, code: str, into: str, rate: float) -> int:
    """`amount` in the other currency's minor units, rounded half up; `rate` is of whole units, as Stripe tells it."""
    exact = Decimal(amount).scaleb(-places_of(code)) * Decimal(str(rate))
    return int(exact.scaleb(places_of(into)).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def pretty(amount: int, code: str) -> str:
    """An amount for a person: ``£12.90``, ``¥500``, ``5.120 KWD``."""
    places = places_of(code)
    whole, part = divmod(amount, 10**places)
    number = f"{whole:,}" + (f".{part:0{places}d}" if places else "")
    return f"{_SYMBOLS[code]}{number}" if code in _SYMBOLS else f"{number} {code.upper()}"
