"""What targeting rules may ask: gathered when the order is paid, completed when it is decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask_encore.domain.book import Book
from flask_encore.domain.facts import FactLine, RuleFacts
from flask_encore.domain.money import Money
from flask_encore.domain.orders import PaidOrder
from flask_encore.domain.pricing import Shelf
from flask_encore.services.runtime import Runtime
from flask_encore.store import shoppers

#: Names the draws of random samples. Not a secret and never rotated: a new one would draw everybody anew.
SAMPLE_SALT = b"encore-sample-1"

#: Different products a customer may have bought and still have all of them written down; a wholesaler with more is
#: not known to have bought, or not to have bought, any of them.
MAX_BOUGHT = 2_000

#: Fields that need a look at everything the customer bought.
_BOUGHT = {"bought_sku", "bought_category"}


def gather(rt: Runtime, connection: Any, order: PaidOrder, book: Book) -> dict[str, Any]:
    """What is known of the shopper before this order, as JSON values; ``None`` where nobody knows.

    At most two statements, none for a guest; the second only while a live campaign asks for what was bought before.
    """
    found: dict[str, Any] = {
        "discount_codes": None if order.discount_codes is None else list(order.discount_codes),
        "loyalty_tier": order.loyalty_tier,
        "tags": None if order.tags is None else list(order.tags),
    }
    if order.customer_ref is None:
        return found
    past = shoppers.spent_before(connection, order.customer_ref, but=order.order_ref)
    found |= {"order_count": past.orders, "last_order_at": past.last_at, "lifetime_value": dict(past.spent)}
    if book.fields & _BOUGHT:
        bought = shoppers.products_before(connection, order.customer_ref, but=order.order_ref, limit=MAX_BOUGHT + 1)
        if len(bought) <= MAX_BOUGHT:
            found["bought_skus"] = sorted(bought)
            found["bought_categories"] = sorted({category for category in bought.values() if category is not None})
    return found


def facts_of(rt: Runtime, order: Mapping[Any, Any], shelf: Shelf, *, now: datetime) -> RuleFacts:
    """Everything a rule can ask about a recorded order, a row of ``encore_orders``."""
    told: Mapping[str, Any] = order["facts"] or {}
    last = told.get("last_order_at")
    spent = told.get("lifetime_value")
    return RuleFacts(
        total=Money(order["total_minor"], order["currency"]),
        lines=tuple(_line(line, shelf) for line in order["lines"]),
        now=now,
        zone=rt.settings.zone,
        subject=order["customer_ref"] or order["order_ref"],
        salt=SAMPLE_SALT,
        locale=order["locale"],
        country=order["country"],
        payment_method=order["payment_method_type"] or None,
        discount_codes=_set(told.get("discount_codes")),
        order_count=told.get("order_count"),
        last_order_at=None if last is None else datetime.fromtimestamp(last, UTC),
        lifetime_value=None if spent is None else tuple(Money(minor, currency) for currency, minor in spent.items()),
        bought_skus=_set(told.get("bought_skus")),
        bought_categories=_set(told.get("bought_categories")),
        loyalty_tier=told.get("loyalty_tier"),
        tags=_set(told.get("tags")),
    )


def _line(line: Mapping[str, Any], shelf: Shelf) -> FactLine:
    product = shelf.product(line["sku"])
    return FactLine(
        sku=line["sku"],
        quantity=line["quantity"],
        category=product.category if product else None,
        parent=product.parent if product else None,
        in_catalog=product is not None,
    )


def _set(values: Any) -> frozenset[str] | None:
    return None if values is None else frozenset(values)
