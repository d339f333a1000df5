"""What is known about a paid order and its shopper when a rule is asked. ``None`` is "not known", never "no"."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import Literal

from flask_encore.domain.money import Money

#: A draw is one of so many numbers: a share in percent is right to a 40-millionth of the whole.
DRAWS = 1 << 32


#: It is known that there is no earlier order to count from.
NEVER: Literal["never"] = "never"


#: Field -> how people call it, and where it stands in the facts.
AMOUNTS: Mapping[str, tuple[str, str]] = {
    "order_total": ("order total", "total"),
    "lifetime_value": ("lifetime value", "spent"),
}
COUNTS: Mapping[str, tuple[str, str]] = {
    "item_count": ("item count", "item_count"),
    "order_count": ("earlier orders", "order_count"),
    "days_since_last_order": ("days since the last order", "days_since_last_order"),
}
WORDS: Mapping[str, tuple[str, str]] = {
    "currency": ("currency", "total"),
    "country": ("country", "country"),
    "locale": ("locale", "locale"),
    "payment_method": ("payment method", "payment_method"),
    "loyalty_tier": ("loyalty tier", "loyalty_tier"),
}
CONTENTS: Mapping[str, tuple[str, str]] = {
    "sku": ("products of the order", "sku"),
    "category": ("categories of the order", "category"),
    "variant_of": ("parent products of the order", "parent"),
}
COLLECTIONS: Mapping[str, tuple[str, str]] = {
    "discount_code": ("discount codes used", "discount_codes"),
    "bought_sku": ("products bought before", "bought_skus"),
    "bought_category": ("categories bought before", "bought_categories"),
    "tag": ("tags of the customer", "tags"),
}
FIELDS = {**AMOUNTS, **COUNTS, **WORDS, **CONTENTS, **COLLECTIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class FactLine:
    """One line of the order with what the catalogue says about its product.

    Attributes:
        category: ``None`` when the product has none.
        parent: What it is a variant of; ``None`` when it is no variant.
        in_catalog: False when the catalogue does not have the product: then its category and parent are not known.
    """

    sku: str
    quantity: int
    category: str | None = None
    parent: str | None = None
    in_catalog: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """Everything a rule can ask for. A field that is ``None`` is not known, and no rule takes that for a no.

    Attributes:
        total: What the shopper paid.
        now: When the decision is made, timezone-aware.
        zone: The shop's time zone; hours, weekdays and days since an order are counted there.
        subject: Who is drawn for a random sample: the customer_ref, or the order_ref of a guest.
        salt: The shop's secret, so that nobody can tell in advance who is drawn.
        payment_method: Stripe's type, such as ``card`` or ``sepa_debit``.
        discount_codes: Those used on this order; empty when none was.
        order_count: Earlier paid orders of the customer; this one is not counted.
        last_order_at: When the last of them was paid, timezone-aware.
        lifetime_value: What they paid in them, at most one amount per currency.
        bought_skus: Products of earlier orders.
        bought_categories: And their categories.
        loyalty_tier: Empty when the customer has none.
    """

    total: Money
    lines: tuple[FactLine, ...]
    now: datetime
    zone: tzinfo
    subject: str
    salt: bytes = field(repr=False)
    locale: str | None = None
    country: str | None = None
    payment_method: str | None = None
    discount_codes: frozenset[str] | None = None
    order_count: int | None = None
    last_order_at: datetime | None = None
    lifetime_value: tuple[Money, ...] | None = None
    bought_skus: frozenset[str] | None = None
    bought_categories: frozenset[str] | None = None
    loyalty_tier: str | None = None
    tags: frozenset[str] | None = None

    @property
    def local_now(self) -> datetime:
        """The shop's wall clock."""
        return self.now.astimezone(self.zone)

    @property
    def item_count(self) -> int:
        """Pieces in the order."""
        return sum(line.quantity for line in self.lines)

    @property
    def days_since_last_order(self) -> int | Literal["never"] | None:
        """Nights between the last order's day and today, both in the shop's time zone."""
        if self.order_count == 0:
            return NEVER
        if self.last_order_at is None:
            return None
        last: date = self.last_order_at.astimezone(self.zone).date()
        return max((self.local_now.date() - last).days, 0)

    @property
    def spent(self) -> Mapping[str, Money] | None:
        """Lifetime value by currency."""
        return None if self.lifetime_value is None else {amount.currency: amount for amount in self.lifetime_value}

    def pieces(self, attribute: str) -> tuple[Counter[str], int]:
        """Pieces per ``sku``, ``category`` or ``parent``, and pieces of products whose value is not known."""
        counted: Counter[str] = Counter()
        unknown = 0
        for line in self.lines:
            if attribute != "sku" and not line.in_catalog:
                unknown += line.quantity
                continue
            value = getattr(line, attribute)
            if value is not None:
                counted[value] += line.quantity
        return counted, unknown

    def draw(self, name: str) -> float:
        """A number from 0 to below 100 that depends on the shop, the subject and *name* alone, evenly spread."""
        message = f"{len(name)}:{name}:{self.subject}".encode()
        digest = hmac.new(self.salt, b"sample:" + message, hashlib.sha256).digest()
        return int.from_bytes(digest[:4], "big") / DRAWS * 100
