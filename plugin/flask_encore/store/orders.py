"""Statements on paid orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # its ON CONFLICT compiles on SQLite too

from flask_encore.domain.money import Money
from flask_encore.domain.offers import Candidate
from flask_encore.domain.orders import PaidOrder, lines_from_json, lines_to_json
from flask_encore.store.models import decisions, orders

_FINGERPRINT = sa.select(orders.c.fingerprint, orders.c.order_ref).where(
    orders.c.account == sa.bindparam("account"),
    sa.or_(
        orders.c.order_ref == sa.bindparam("order_ref"),
        orders.c.payment_intent_ref == sa.bindparam("payment_intent_ref"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What Stripe told about an order's payment. *ineligible_reason* is empty when its card can be charged again."""

    ineligible_reason: str
    customer_ref: str | None = None
    method_ref: str | None = None
    method_type: str = ""
    card_brand: str = ""
    card_last4: str = ""

    def columns(self) -> dict[str, Any]:
        """The payment as columns of ``encore_orders``."""
        return {
            "ineligible_reason": self.ineligible_reason,
            "stripe_customer_ref": self.customer_ref,
            "payment_method_ref": self.method_ref,
            "payment_method_type": self.method_type,
            "card_brand": self.card_brand,
            "card_last4": self.card_last4,
        }


def known(connection: sa.Connection, order: PaidOrder, *, account: str) -> Sequence[tuple[str, str]]:
    """(fingerprint, order_ref) of every recorded order that shares *order*'s order_ref or payment; mostly none."""
    rows = connection.execute(
        _FINGERPRINT,
        {"account": account, "order_ref": order.order_ref, "payment_intent_ref": order.payment_intent_ref},
    )
    return [(row.fingerprint, row.order_ref) for row in rows]


def insert_order(
    connection: sa.Connection,
    order: PaidOrder,
    *,
    account: str,
    payment: Payment,
    candidates: Iterable[Candidate],
    wanted: Iterable[str],
    facts: Mapping[str, Any],
    model_version: str,
    now: datetime,
) -> bool:
    """Record *order*. False when its order_ref or payment is recorded already; then nothing changed.

    Args:
        wanted: Products, and parents of variants, that deciding about the order may need.
        facts: What targeting rules may ask about the shopper, as JSON values.
    """
    ranked = list(candidates)
    statement = insert(orders).on_conflict_do_nothing().returning(orders.c.order_ref)
    values = {
        "account": account,
        "order_ref": order.order_ref,
        "fingerprint": order.fingerprint,
        "placed_at": order.placed_at,
        "currency": order.currency,
        "total_minor": order.total.minor_units,
        "lines": lines_to_json(order.lines),
        "customer_ref": order.customer_ref,
        "country": order.country,
        "locale": order.locale,
        "payment_intent_ref": order.payment_intent_ref,
        "candidates": [candidate.as_json() for candidate in ranked],
        "candidate_skus": list(dict.fromkeys(wanted)),
        "facts": dict(facts),
        "model_version": model_version,
        "recorded_at": now,
        **payment.columns(),
    }
    return connection.execute(statement, values).first() is not None


def unverified(connection: sa.Connection, *, account: str, reason: str, since: datetime) -> Sequence[tuple[Any, ...]]:
    """(order_ref, payment_intent_ref, total_minor, currency) of orders whose payment could not be asked about yet.

    Newest first: their shoppers may still be on the page, and one that can never be read keeps nobody waiting.
    """
    return [
        tuple(row)
        for row in connection.execute(
            sa.select(orders.c.order_ref, orders.c.payment_intent_ref, orders.c.total_minor, orders.c.currency)
            .where(orders.c.account == account, orders.c.ineligible_reason == reason, orders.c.recorded_at >= since)
            .order_by(orders.c.recorded_at.desc())
            .limit(50)
        )
    ]


def set_payment(connection: sa.Connection, order_ref: str, *, account: str, was: str, payment: Payment) -> None:
    """Write what Stripe told later, unless somebody else wrote it first."""
    connection.execute(
        sa.update(orders)
        .where(orders.c.account == account, orders.c.order_ref == order_ref, orders.c.ineligible_reason == was)
        .values(**payment.columns())
    )


def total_of_payment(connection: sa.Connection, payment_intent_ref: str, *, account: str) -> Money | None:
    """What the order paid by *payment_intent_ref* cost; ``None`` when it paid no order of ours."""
    row = connection.execute(
        sa.select(orders.c.total_minor, orders.c.currency).where(
            orders.c.account == account, orders.c.payment_intent_ref == payment_intent_ref
        )
    ).first()
    return None if row is None else Money(row.total_minor, row.currency)


def close(connection: sa.Connection, payment_intent_ref: str, *, account: str, reason: str, now: datetime) -> bool:
    """Let the order of *payment_intent_ref* be offered nothing any more, and end its offer if nobody accepted it.

    False when the order was ineligible before. The claim asks for an eligible order, so an accept in the same moment
    is either before this or refused.
    """
    closed = connection.execute(
        sa.update(orders)
        .where(
            orders.c.account == account,
            orders.c.payment_intent_ref == payment_intent_ref,
            orders.c.ineligible_reason == "",
        )
        .values(ineligible_reason=reason)
        .returning(orders.c.order_ref)
    ).first()
    if closed is None:
        return False
    connection.execute(
        sa.update(decisions)
        .where(decisions.c.account == account, decisions.c.order_ref == closed.order_ref, decisions.c.expires_at > now)
        .values(expires_at=now, counted_at=None)
    )
    return True


def recent_reasons(connection: sa.Connection, *, account: str, limit: int) -> Sequence[str]:
    """Why each of the newest orders cannot be charged again, or was not ranked; empty for those with neither."""
    rows = connection.execute(
        sa.select(orders.c.ineligible_reason, orders.c.facts)
        .where(orders.c.account == account)
        .order_by(orders.c.recorded_at.desc())
        .limit(limit)
    )
    return [row.ineligible_reason or (row.facts or {}).get("ranking", "") for row in rows]


def paid_order_of(row: Mapping[Any, Any]) -> PaidOrder:
    """A row of ``encore_orders`` as the value the shop handed in."""
    told: Mapping[str, Any] = row["facts"] or {}
    return PaidOrder(
        order_ref=row["order_ref"],
        placed_at=row["placed_at"],
        currency=row["currency"],
        lines=lines_from_json(row["lines"], row["currency"]),
        total=Money(row["total_minor"], row["currency"]),
        payment_intent_ref=row["payment_intent_ref"],
        customer_ref=row["customer_ref"],
        country=row["country"],
        locale=row["locale"],
        discount_codes=told.get("discount_codes"),
        loyalty_tier=told.get("loyalty_tier"),
        tags=told.get("tags"),
    )
