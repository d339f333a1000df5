"""The sums an arm of an experiment is described by.

Orders of one customer are not independent, so the customer is the unit: all sums are over customers. SQL can compute
them, they add up, and whole numbers stay whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from flask_encore.domain.errors import CurrencyMismatch, InexactMoney, InvalidInput
from flask_encore.domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """One customer (or guest order) of one arm since their first exposure.

    Attributes:
        orders: Eligible orders, at least 1.
        value: What those orders are worth, minor units: net of refunds, undo and disputes; may be negative.
        before: Spent before the first offer decision took effect, minor units: settled then, whatever came later.
            The best there is: the total of the first eligible order, which was paid before its thank-you page.
        bought: Whether an offer was charged.
    """

    orders: int
    value: int
    before: int = 0
    bought: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Sums over the customers of one arm in one currency; two halves of an arm add up to it.

    Each sum of products is over customers: ``value_before`` is the sum of every customer's ``value * before``.

    Attributes:
        customers: How many.
        buyers: How many of them bought an offer.

    Raises:
        InexactMoney: If a sum is not an ``int``. (A database may hand out decimals, or floats once 64 bits are full.)
        InvalidInput: If *currency* is not three letters, or there are orders or buyers but no customers.
    """

    currency: str
    customers: int = 0
    buyers: int = 0
    orders: int = 0
    value: int = 0
    before: int = 0
    orders_orders: int = 0
    orders_value: int = 0
    orders_before: int = 0
    value_value: int = 0
    value_before: int = 0
    before_before: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "currency", Money(0, self.currency).currency)
        if any(type(getattr(self, name)) is not int for name in _SUMS):
            raise InexactMoney("The sums of an experiment are whole minor units as int.")
        if not 0 <= self.buyers <= self.customers <= self.orders <= self.orders_orders:
            raise InvalidInput("Every customer of an experiment has an eligible order, and at most all are buyers.")

    @classmethod
    def of(cls, currency: str, customers: Iterable[Customer]) -> Moments:
        """The sums over *customers*, added up one by one in exact integers."""
        n = buyers = o = v = b = oo = ov = ob = vv = vb = bb = 0
        for each in customers:
            orders, value, before = each.orders, each.value, each.before
            n, buyers = n + 1, buyers + each.bought
            o, v, b = o + orders, v + value, b + before
            oo, ov, ob = oo + orders * orders, ov + orders * value, ob + orders * before
            vv, vb, bb = vv + value * value, vb + value * before, bb + before * before
        return cls(
            currency=currency,
            customers=n,
            buyers=buyers,
            orders=o,
            value=v,
            before=b,
            orders_orders=oo,
            orders_value=ov,
            orders_before=ob,
            value_value=vv,
            value_before=vb,
            before_before=bb,
        )

    def __add__(self, other: Moments) -> Moments:
        """Both together; no customer may be in both.

        Raises:
            CurrencyMismatch: If they are of two currencies.
        """
        self.check_currency(other)
        sums = {name: getattr(self, name) + getattr(other, name) for name in _SUMS}
        return Moments(currency=self.currency, **sums)

    def check_currency(self, other: Moments) -> None:
        """Refuse to look at two currencies together.

        Raises:
            CurrencyMismatch: If *other* is of another currency.
        """
        if other.currency != self.currency:
            raise CurrencyMismatch(
                f"{self.currency.upper()} and {other.currency.upper()} are never compared or added up."
            )

    @property
    def effective_customers(self) -> float:
        """As how many equally busy customers they count: one who orders daily does not make up for thirty."""
        return self.orders * self.orders / self.orders_orders if self.orders_orders else 0.0


_SUMS = tuple(field.name for field in fields(Moments) if field.name != "currency")
