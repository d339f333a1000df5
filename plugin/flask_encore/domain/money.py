"""Amounts as integers of a currency's minor unit, by Stripe's table rather than ISO's or CLDR's.

CLDR says the Icelandic króna has no decimals, Stripe wants two that are always zero; a shop that follows
CLDR charges a hundredth of the price. Therefore the table is here, and Babel is used for text only.
Source: Stripe documentation, "Supported currencies" (zero-decimal, three-decimal and special cases).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow

from flask_encore.domain.errors import CurrencyMismatch, InexactMoney, InvalidInput

#: The smallest unit is the whole unit.
ZERO_DECIMAL = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
)
#: A thousandth, of which Stripe accepts only full tens.
THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
#: Sent with two decimals that have to be 00.
WHOLE_ONLY = frozenset({"isk", "ugx"})

#: Stripe's smallest charge, minor units. It depends on the settlement currency, so a charge above it can still be
#: refused (``amount_too_small``); a currency missing here is left to Stripe to judge.
MINIMUM_CHARGE = {
    **dict.fromkeys(("usd", "aud", "brl", "cad", "chf", "eur", "inr", "nzd", "sgd", "jpy"), 50),
    "gbp": 30,
    **dict.fromkeys(("aed", "myr", "pln", "ron"), 200),
    "bgn": 100,
    "dkk": 250,
    **dict.fromkeys(("nok", "sek"), 300),
    "hkd": 400,
    **dict.fromkeys(("mxn", "thb"), 1000),
    "czk": 1500,
    "huf": 17500,
}

#: Stripe takes at most eight digits.
MAXIMUM_CHARGE = 99_999_999

#: What a 64-bit column holds; an amount beyond it is a mistake, and would be one of the database's otherwise.
MAXIMUM = 2**63 - 1

#: Arithmetic of our own: nineteen digits are what `MAXIMUM` has, what would be rounded raises instead, and the host
#: application's decimal context can change neither.
_EXACT = Context(prec=19, Emin=-19, Emax=19, traps=[InvalidOperation, Inexact, Overflow])

_CURRENCY = re.compile(r"[a-z]{3}\Z")


def _code(currency: object) -> str:
    code = currency.lower() if isinstance(currency, str) else ""
    if not _CURRENCY.match(code):
        raise InvalidInput(f"{currency!r} is not a currency; use a three-letter ISO 4217 code such as 'gbp'.")
    return code


def exponent(currency: str) -> int:
    """Number of decimals between a unit and a minor unit of *currency*: 0, 2 or 3."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def step(currency: str) -> int:
    """Amounts charged in *currency* are multiples of this many minor units."""
    if currency in THREE_DECIMAL:
        return 10
    return 100 if currency in WHOLE_ONLY else 1


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An exact amount: *minor_units* of *currency* (lower-case ISO 4217 code).

    >>> Money(1290, "gbp").decimal
    Decimal('12.90')
    >>> Money.parse("5", "jpy")
    Money(minor_units=5, currency='jpy')

    Raises:
        InexactMoney: If *minor_units* is not an ``int``; floats are refused, never rounded.
        InvalidInput: If *currency* is not three letters, or *minor_units* does not fit 64 bits.
    """

    minor_units: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor_units) is not int:
            raise InexactMoney(
                f"Money takes whole minor units as int, got {self.minor_units!r}; "
                'write Money(1290, "gbp") for 12.90, or Money.parse("12.90", "gbp").'
            )
        if abs(self.minor_units) > MAXIMUM:
            raise InvalidInput("An amount that does not fit 64 bits is too large.")
        object.__setattr__(self, "currency", _code(self.currency))

    @classmethod
    def parse(cls, amount: str | Decimal | int, currency: str) -> Money:
        """Read a decimal amount such as ``"12.90"``.

        Raises:
            InexactMoney: If it is not finite, has more decimals than the currency, or more than nineteen digits.
            InvalidInput: If *currency* is not three letters.
        """
        code = _code(currency)
        if isinstance(amount, bool) or not isinstance(amount, str | Decimal | int):
            raise InexactMoney(f"{amount!r} is not an exact amount; pass a string such as '12.90'.")
        try:
            scaled = _EXACT.scaleb(_EXACT.create_decimal(amount), exponent(code))
            whole = scaled.is_finite() and scaled == scaled.to_integral_value()
        except DecimalException as error:
            raise InexactMoney(f"{amount!r} is not an amount.") from error
        if not whole:
            raise InexactMoney(f"{amount!r} cannot be paid exactly in {code}.")
        return cls(int(scaled), code)

    @property
    def decimal(self) -> Decimal:
        """The amount in units of the currency, with the currency's number of decimals."""
        return _EXACT.scaleb(Decimal(self.minor_units), -exponent(self.currency))

    def __add__(self, other: Money) -> Money:
        return Money(self.minor_units + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor_units - self._same(other), self.currency)

    def __mul__(self, quantity: int) -> Money:
        return Money(self.minor_units * quantity, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor_units < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.minor_units <= self._same(other)

    def less_percent(self, percent: int) -> Money:
        """This amount less *percent* (0 to 100), rounded down to an amount the currency can be charged in.

        Rounding down favours the shopper: the discount shown is never smaller than promised.
        """
        if type(percent) is not int or not 0 <= percent <= 100:
            raise InvalidInput(f"A discount is a whole percentage from 0 to 100, got {percent!r}.")
        size = step(self.currency)
        return Money(self.minor_units * (100 - percent) // 100 // size * size, self.currency)

    @property
    def is_chargeable(self) -> bool:
        """Whether Stripe would take this amount: its step, its minimum where known, its eight digits."""
        return (
            self.minor_units % step(self.currency) == 0
            and MINIMUM_CHARGE.get(self.currency, 1) <= self.minor_units <= MAXIMUM_CHARGE
        )

    def _same(self, other: Money) -> int:
        if not isinstance(other, Money) or other.currency != self.currency:
            raise CurrencyMismatch(f"{self} and {other} are not of one currency.")
        return other.minor_units

    def __str__(self) -> str:
        return f"{self.decimal} {self.currency.upper()}"
