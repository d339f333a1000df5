"""What the host shop hands us: its products and its paid orders. Snapshots; Encore never changes them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask_encore.domain.errors import CurrencyMismatch, InvalidInput
from flask_encore.domain.money import Money

#: Long enough for any shop's keys, short enough to index and to fit Stripe's metadata value (500 characters).
MAX_REF = 200
#: What a product title may hold; longer ones break cards and receipts.
MAX_TITLE = 300
#: The longest language tag that a protocol has to take (RFC 5646, section 4.4.1).
MAX_LOCALE = 35
#: Options of a variant, such as size and colour, and the characters of each.
MAX_OPTIONS, MAX_OPTION = 5, 60
#: Discount codes, or tags, of one order.
MAX_WORDS = 100
#: A line of a million pieces is a typing mistake, and its product still fits 64-bit arithmetic.
MAX_QUANTITY = 1_000_000

#: Control characters, line separators and direction overrides hide or reorder what stands around them; a lone half
#: of a surrogate pair cannot be stored at all.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_WEB = re.compile(r"/|https?://")
_COUNTRY = re.compile(r"[A-Za-z]{2}\Z")


def checked_ref(name: str, value: object) -> str:
    """*value* as someone else's key: a non-empty string without control characters.

    Raises:
        InvalidInput: Naming the field and the fix.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"{name} has to be a non-empty string, got {value!r}.")
    if len(value) > MAX_REF or _CONTROL.search(value):
        raise InvalidInput(f"{name} has to be at most {MAX_REF} characters without control characters.")
    return value


def plain(text: str) -> str:
    """*text* with a space for every character that would hide or reorder what stands around it."""
    return _CONTROL.sub(" ", text)


def checked_title(value: object) -> str:
    """*value* as text a shopper may see: control and direction-override characters removed, length limited."""
    if not isinstance(value, str):
        raise InvalidInput(f"title has to be a string, got {value!r}.")
    title = plain(value).strip()
    if not title:
        raise InvalidInput("title is empty.")
    return title[:MAX_TITLE]


def checked_quantity(value: object) -> int:
    """*value* as a number of pieces, at least one."""
    if type(value) is not int or not 1 <= value <= MAX_QUANTITY:
        raise InvalidInput(f"quantity has to be a whole number from 1 to {MAX_QUANTITY}, got {value!r}.")
    return value


def checked_price(name: str, value: object) -> Money:
    """*value* as an amount that is not negative."""
    if not isinstance(value, Money) or value.minor_units < 0:
        raise InvalidInput(f"{name} has to be Money of at least 0, got {value!r}.")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One thing the shop sells.

    Attributes:
        price: What it costs today, tax included.
        stock: Units Encore may still sell; ``None`` when the shop does not count them.
        cost: What it costs the merchant, for profit reports; same currency as *price*.
        active: False hides it from offers.
        parent: What several products are variants of, such as the shirt of a shirt in blue and L. A variant is never
            offered beside another one.
        options: What tells a variant from its siblings, such as ``{"Size": "L", "Colour": "Blue"}``, in the words and
            the order shoppers are to read.
        was: The lowest price of the last 30 days, where the shop announces a reduction (Directive 98/6/EC, article 6a);
            same currency as *price* and above it. Encore shows no former price that it was not told.
    """

    sku: str
    title: str
    price: Money
    stock: int | None = None
    category: str | None = None
    image_url: str | None = None
    cost: Money | None = None
    active: bool = True
    parent: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    was: Money | None = None

    def __post_init__(self) -> None:
        checked_ref("sku", self.sku)
        object.__setattr__(self, "title", checked_title(self.title))
        checked_price(f"price of {self.sku}", self.price)
        if self.stock is not None and (type(self.stock) is not int or self.stock < 0):
            raise InvalidInput(f"stock of {self.sku} has to be None or a whole number of at least 0.")
        if self.category is not None:
            checked_ref(f"category of {self.sku}", self.category)
        if self.parent is not None:
            checked_ref(f"parent of {self.sku}", self.parent)
        object.__setattr__(self, "options", _checked_options(self.sku, self.options))
        if self.was is not None:
            checked_price(f"was of {self.sku}", self.was)
            if self.was <= self.price:
                raise InvalidInput(
                    f"was of {self.sku} has to be above its price; leave it out when nothing is reduced."
                )
        if self.cost is not None:
            checked_price(f"cost of {self.sku}", self.cost)
            if self.cost.currency != self.price.currency:
                raise CurrencyMismatch(f"price and cost of {self.sku} are in different currencies.")
        if self.image_url is not None and not (
            isinstance(self.image_url, str) and _WEB.match(self.image_url) and not _CONTROL.search(self.image_url)
        ):
            raise InvalidInput(f"image_url of {self.sku} has to start with / or https://.")


def _checked_options(sku: str, options: object) -> dict[str, str]:
    if not isinstance(options, Mapping) or len(options) > MAX_OPTIONS:
        raise InvalidInput(f"options of {sku} have to be at most {MAX_OPTIONS}, such as {{'Size': 'L'}}.")
    for name, value in options.items():
        for text in (name, value):
            if not isinstance(text, str) or not text.strip() or len(text) > MAX_OPTION or _CONTROL.search(text):
                raise InvalidInput(f"options of {sku} have to be texts of 1 to {MAX_OPTION} characters, got {text!r}.")
    return dict(options)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One line of a paid order. *unit_price* is per piece, after the shop's own discounts."""

    sku: str
    title: str
    quantity: int
    unit_price: Money

    def __post_init__(self) -> None:
        checked_ref("sku", self.sku)
        object.__setattr__(self, "title", checked_title(self.title))
        checked_quantity(self.quantity)
        checked_price(f"unit_price of {self.sku}", self.unit_price)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidOrder:
    """An order the shop has been paid for; final before any offer (invariant I9).

    Attributes:
        order_ref: The shop's key of the order.
        placed_at: When, timezone-aware.
        total: What the shopper paid, shipping and tax included; equals the PaymentIntent's amount.
        payment_intent_ref: The Stripe PaymentIntent that paid it (``pi_…``).
        customer_ref: The shop's key of the shopper, ``None`` for a guest.
        country: Two-letter code, for targeting.
        locale: Language tag of the page, such as ``de`` or ``en-GB``.
        discount_codes: Codes used on this order; empty when none was, ``None`` when the shop does not tell.
        loyalty_tier: The customer's, empty when they have none; ``None`` when the shop does not tell.
        tags: The customer's; ``None`` when the shop does not tell.
    """

    order_ref: str
    placed_at: datetime
    currency: str
    lines: Sequence[OrderLine] = field()
    total: Money
    payment_intent_ref: str
    customer_ref: str | None = None
    country: str | None = None
    locale: str = "en"
    discount_codes: Sequence[str] | None = None
    loyalty_tier: str | None = None
    tags: Sequence[str] | None = None

    def __post_init__(self) -> None:
        checked_ref("order_ref", self.order_ref)
        checked_ref("payment_intent_ref", self.payment_intent_ref)
        if self.customer_ref is not None:
            checked_ref("customer_ref", self.customer_ref)
        if not isinstance(self.placed_at, datetime) or self.placed_at.tzinfo is None:
            raise InvalidInput("placed_at has to be a timezone-aware datetime.")
        object.__setattr__(self, "currency", Money(0, self.currency).currency)
        object.__setattr__(self, "lines", tuple(self.lines) if isinstance(self.lines, Iterable) else (None,))
        if not all(isinstance(line, OrderLine) for line in self.lines):
            raise InvalidInput(f"lines of order {self.order_ref} have to be OrderLine.")
        if not self.lines:
            raise InvalidInput(f"order {self.order_ref} has no lines.")
        checked_price(f"total of order {self.order_ref}", self.total)
        if self.country is not None:
            if not isinstance(self.country, str) or not _COUNTRY.match(self.country):
                raise InvalidInput(f"country has to be a two-letter code such as 'GB' or None, got {self.country!r}.")
            object.__setattr__(self, "country", self.country.upper())
        if not isinstance(self.locale, str) or not 0 < len(self.locale) <= MAX_LOCALE or _CONTROL.search(self.locale):
            raise InvalidInput("locale has to be a language tag such as 'en' or 'de-AT'.")
        for name in ("discount_codes", "tags"):
            object.__setattr__(self, name, _checked_words(name, getattr(self, name)))
        if self.loyalty_tier is not None and self.loyalty_tier != "":
            checked_ref("loyalty_tier", self.loyalty_tier)
        for amount in (self.total, *(line.unit_price for line in self.lines)):
            if amount.currency != self.currency:
                raise CurrencyMismatch(
                    f"order {self.order_ref} is in {self.currency}, but {amount} is not; "
                    "hand Encore the amounts as they were charged."
                )

    @property
    def skus(self) -> tuple[str, ...]:
        """The distinct products of the order, in the order of its lines."""
        return tuple(dict.fromkeys(line.sku for line in self.lines))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content, the same for the same order whenever and wherever it is handed in."""
        content = {
            "order_ref": self.order_ref,
            "placed_at": self.placed_at.timestamp(),
            "currency": self.currency,
            "lines": lines_to_json(self.lines),
            "total": self.total.minor_units,
            "payment_intent_ref": self.payment_intent_ref,
            "customer_ref": self.customer_ref,
            "country": self.country,
            "locale": self.locale,
        }
        # Only where told: orders of shops that do not tell keep the fingerprint they were recorded with.
        told = {"discount_codes": self.discount_codes, "loyalty_tier": self.loyalty_tier, "tags": self.tags}
        content |= {name: value for name, value in told.items() if value is not None}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _checked_words(name: str, words: object) -> tuple[str, ...] | None:
    if words is None:
        return None
    if isinstance(words, str) or not isinstance(words, Iterable):
        raise InvalidInput(f"{name} has to be a list of texts or None, got {words!r}.")
    found = tuple(dict.fromkeys(checked_ref(name, word) for word in words))
    if len(found) > MAX_WORDS:
        raise InvalidInput(f"{name} has to be at most {MAX_WORDS}, got {len(found)}.")
    return found


def lines_to_json(lines: Sequence[OrderLine]) -> list[dict[str, Any]]:
    """Lines as the store keeps them; the inverse of `lines_from_json`."""
    return [
        {
            "sku": line.sku,
            "title": line.title,
            "quantity": line.quantity,
            "unit_price": line.unit_price.minor_units,
        }
        for line in lines
    ]


def lines_from_json(rows: Sequence[dict[str, Any]], currency: str) -> tuple[OrderLine, ...]:
    """Lines as the order had them; the inverse of `lines_to_json`."""
    return tuple(
        OrderLine(
            sku=row["sku"],
            title=row["title"],
            quantity=row["quantity"],
            unit_price=Money(row["unit_price"], currency),
        )
        for row in rows
    )
