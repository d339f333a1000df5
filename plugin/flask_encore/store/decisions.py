"""Statements on decisions and the offers in them. `page` is the one read of the thank-you page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from flask_encore.domain.acceptance import Shown
from flask_encore.domain.charges import Charge
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.domain.orders import Product
from flask_encore.store.catalog import product_of
from flask_encore.store.charge_rows import charge_of
from flask_encore.store.models import Instant, charges, decisions, orders, switches


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All a page needs, read at once.

    Attributes:
        order: Row of ``encore_orders``.
        steps: (row of ``encore_decisions``, its charge) of every decision about the order, oldest first; the row also
            says ``switched_off``, whether the kill switch is on.
        products: What a decision may need of the catalogue, as it stands; empty when the page's first is made already.
        looked_up: The skus and parents *products* was looked up by; another one is not there only if it is among them.
        off: The kill switch; *shadow* is shadow mode.
        revision: Of the shop's campaigns.
        overrides: What the merchant set on the settings page, by column of ``encore_switches``.
    """

    order: Mapping[Any, Any]
    steps: tuple[tuple[Mapping[Any, Any], Charge | None], ...]
    products: tuple[Product, ...]
    looked_up: frozenset[str]
    off: bool
    shadow: bool
    revision: int
    overrides: Mapping[str, int | None] = field(default_factory=dict)

    def sequence(self, page: str) -> tuple[tuple[Mapping[Any, Any], Charge | None], ...]:
        """The decisions made for *page*, step by step."""
        return tuple(step for step in self.steps if step[0]["placement"] == page)

    def is_provisional(self, decision: Mapping[Any, Any]) -> bool:
        """Whether *decision* only says that Stripe could not be asked, and by now Stripe was asked."""
        return bool(decision["reason"] == PROVISIONAL and self.order["ineligible_reason"] != PROVISIONAL)


#: The one reason that passes by itself: a shopper is on the page before the sweeper has asked Stripe again.
PROVISIONAL = Reason.PAYMENT_UNVERIFIED

#: Columns of a product that a decision looks at.
_PRODUCT = (
    "sku",
    "title",
    "price_minor",
    "currency",
    "stock",
    "category",
    "image_url",
    "cost_minor",
    "active",
    "parent",
    "was_minor",
)

#: The products come as one JSON list in each row: joined, they would repeat the order, and its JSON be read, for every
#: one of them. Each database has words of its own for such a list, and for a table of the skus in another one.
_JSON = {
    "sqlite": (
        "json_group_array(json_object("
        + ", ".join(f"'{name}', p.{name}" for name in _PRODUCT)
        + ", 'options', json(p.options)))",
        "json_each(o.candidate_skus) AS k",
    ),
    "postgresql": (
        "json_agg(row_to_json(p))",
        "json_array_elements_text(o.candidate_skus) AS k (value)",
    ),
}
_PARTS = {"o": orders, "d": decisions, "c": charges, "s": switches}


@cache
def _page_statement(dialect: str) -> sa.TextualSelect:
    names = [
        (f"{alias}_{column.name}", f'{alias}."{column.name}"', column) for alias in _PARTS for column in _PARTS[alias].c
    ]
    listed, each = _JSON[dialect]
    # A page that is decided needs no products.
    sql = f"""
        SELECT {", ".join(f"{expression} AS {label}" for label, expression, _ in names)},
            CASE WHEN NOT EXISTS (
                SELECT 1 FROM encore_decisions x WHERE x.account = o.account AND x.order_ref = o.order_ref
                AND x.placement = :placement AND x.reason <> '{PROVISIONAL}'
            ) THEN (
                SELECT {listed} FROM {each} JOIN encore_products p ON p.sku = k.value OR p.parent = k.value
            ) END AS products
        FROM encore_orders o
        LEFT JOIN encore_switches s ON s.account = o.account
        LEFT JOIN encore_decisions d ON d.account = o.account AND d.order_ref = o.order_ref
        LEFT JOIN encore_charges c ON c.id = d.id
        WHERE o.account = :account AND o.order_ref = :order_ref
        ORDER BY d.decided_at, d.placement, d.step
    """
    columns = [sa.column(label, column.type) for label, _, column in names]
    return sa.text(sql).columns(*columns, sa.column("products", sa.JSON))


def page(connection: sa.Connection, order_ref: str, *, account: str, placement: str) -> Page | None:
    """Everything about *order_ref* in one SELECT; ``None`` when the order was never recorded."""
    rows = (
        connection.execute(
            _page_statement(connection.dialect.name),
            {"account": account, "order_ref": order_ref, "placement": placement},
        )
        .mappings()
        .all()
    )
    if not rows:
        return None
    order, switch = _strip(rows[0], "o"), _strip(rows[0], "s")
    off = bool(switch["off"])
    return Page(
        order=order,
        steps=tuple(
            (_strip(row, "d") | {"switched_off": off}, charge_of(_strip(row, "c")) if row["c_id"] else None)
            for row in rows
            if row["d_id"]
        ),
        products=tuple(product_of(found) for found in rows[0]["products"] or ()),
        looked_up=frozenset(order["candidate_skus"]),
        off=off,
        shadow=bool(switch["shadow"]),
        revision=switch["revision"] or 0,
        overrides={name: switch[name] for name in ("holdout_bp", "undo_seconds", "retention_days")},
    )


def _strip(row: Mapping[Any, Any], alias: str) -> dict[str, Any]:
    return {column.name: row[f"{alias}_{column.name}"] for column in _PARTS[alias].c}


_INSERT = insert(decisions).on_conflict_do_nothing().returning(decisions.c.id)

_OFFER = (
    sa.select(*(column.label(f"d_{column.name}") for column in decisions.c))
    .add_columns(*(column.label(f"c_{column.name}") for column in charges.c))
    .add_columns(sa.exists().where(switches.c.account == decisions.c.account, switches.c.off).label("switched_off"))
    .select_from(decisions.outerjoin(charges, charges.c.id == decisions.c.id))
    .where(decisions.c.id == sa.bindparam("id"), decisions.c.account == sa.bindparam("account"))
)


def insert_decision(connection: sa.Connection, values: Mapping[Any, Any]) -> bool:
    """Write the one decision of an order and placement. False when another request was quicker."""
    return connection.execute(_INSERT, dict(values)).first() is not None


def replace_provisional(connection: sa.Connection, id: str, values: Mapping[Any, Any]) -> bool:
    """Write a decision in place of the provisional one *id*. False when another request was quicker."""
    statement = (
        sa.update(decisions)
        .where(decisions.c.id == id, decisions.c.reason == PROVISIONAL)
        .values({**values, "counted_at": None})
    )
    return connection.execute(statement).rowcount == 1


def offer(connection: sa.Connection, id: str, *, account: str) -> tuple[Mapping[Any, Any], Charge | None] | None:
    """The decision that made the offer *id*, and its charge; ``None`` when there is no such offer.

    The decision also says, as ``switched_off``, whether the shop's kill switch is on.
    """
    row = connection.execute(_OFFER, {"id": id, "account": account}).mappings().first()
    if row is None:
        return None
    charge = _strip(row, "c")
    decision = _strip(row, "d") | {"switched_off": bool(row["switched_off"])}
    return decision, charge_of(charge) if charge["id"] else None


#: Impressions that teach: 20,000 meet the truth within half a percent, and each brings the log of its candidates.
NEWEST_IMPRESSIONS = 20_000

#: Rows fetched at a time, each of them some kilobytes of candidates.
_FETCH = 500

_NEWEST = (
    sa.select(decisions.c.id, decisions.c.decided_at, charges.c.id.is_not(None).label("accepted"))
    .select_from(decisions.outerjoin(charges, charges.c.id == decisions.c.id))
    .where(
        decisions.c.account == sa.bindparam("account"),
        decisions.c.outcome == Outcome.OFFERED.value,
        decisions.c.shown_at.is_not(None),
        sa.or_(
            charges.c.id.is_not(None),
            decisions.c.declined_at.is_not(None),
            decisions.c.expires_at <= sa.bindparam("now", type_=Instant),
        ),
    )
    .order_by(decisions.c.decided_at.desc(), decisions.c.id.desc())
    .limit(NEWEST_IMPRESSIONS)
    .cte("newest")
)
_ANSWERED = (
    sa.select(
        decisions.c.candidates,
        decisions.c.sku,
        decisions.c.customer_ref,
        decisions.c.order_ref,
        decisions.c.placement,
        decisions.c.step,
        _NEWEST.c.accepted,
    )
    .select_from(_NEWEST.join(decisions, decisions.c.id == _NEWEST.c.id))
    .order_by(_NEWEST.c.decided_at, _NEWEST.c.id)
)


def answered(connection: sa.Connection, *, account: str, now: datetime) -> Iterator[Shown]:
    """Offers a human saw and accepted, declined or let expire, oldest first; those still open say nothing yet."""
    rows = connection.execution_options(yield_per=_FETCH).execute(_ANSWERED, {"account": account, "now": now})
    for row in rows:
        yield Shown(
            entries=row.candidates,
            sku=row.sku,
            subject=row.customer_ref or row.order_ref,
            placement=row.placement,
            step=row.step,
            accepted=bool(row.accepted),
        )


def mark(connection: sa.Connection, id: str, column: str, *, at: datetime) -> bool:
    """Set *column* (``shown_at``, ``declined_at`` or ``sold_out_at``) once. False when it was set before."""
    field = decisions.c[column]
    return (
        connection.execute(
            sa.update(decisions).where(decisions.c.id == id, field.is_(None)).values({field: at, "counted_at": None})
        ).rowcount
        == 1
    )


_DECLINE = (
    sa.update(decisions)
    .where(
        decisions.c.id == sa.bindparam("of_id"),
        decisions.c.declined_at.is_(None),
        ~sa.exists().where(charges.c.id == decisions.c.id),
    )
    .values(declined_at=sa.bindparam("at"), counted_at=None)
)


def decline(connection: sa.Connection, id: str, *, at: datetime) -> bool:
    """Write the shopper's no, unless there is an answer already.

    An accept in the very same moment may still pass on PostgreSQL; then there is a charge, and a charge outranks the
    no wherever an offer's status is read.
    """
    return connection.execute(_DECLINE, {"of_id": id, "at": at}).rowcount == 1


_length = sa.type_coerce(decisions.c.expires_at, sa.BigInteger) - sa.type_coerce(decisions.c.decided_at, sa.BigInteger)
_EXTEND = (
    sa.update(decisions)
    .where(
        decisions.c.id == sa.bindparam("of_id"),
        decisions.c.account == sa.bindparam("of_account"),
        decisions.c.outcome == Outcome.OFFERED.value,
        decisions.c.snapshot["timer"].as_boolean().is_(True),
        decisions.c.extended_at.is_(None),
        decisions.c.declined_at.is_(None),
        decisions.c.expires_at > sa.bindparam("now", type_=Instant),
        ~sa.exists().where(charges.c.id == decisions.c.id),
    )
    .values(
        expires_at=sa.type_coerce(decisions.c.expires_at, sa.BigInteger) + _length,
        extended_at=sa.bindparam("now", type_=Instant),
        counted_at=None,
    )
)


def extend(connection: sa.Connection, id: str, *, account: str, now: datetime) -> bool:
    """Add a timer's whole length to it, once. False: it has none, is over, was extended, or the offer is answered."""
    return connection.execute(_EXTEND, {"of_id": id, "of_account": account, "now": now}).rowcount == 1
