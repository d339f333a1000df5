"""Statements on order history, the recommender's food. Lines sold by an offer are left out when they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.training import TrainingLine
from flask_encore.store.models import charges, history_lines, orders

_ADD = insert(history_lines)
_ADD = _ADD.on_conflict_do_update(
    index_elements=["order_ref", "sku"],
    set_={
        name: _ADD.excluded[name] for name in ("placed_at", "customer_ref", "quantity", "unit_price_minor", "currency")
    },
)
_COLUMNS = ("order_ref", "sku", "placed_at", "customer_ref", "quantity", "unit_price_minor", "currency")

#: Rows fetched at a time; keeps memory flat while half a million lines are read.
_FETCH = 20_000

#: Order_refs named in one DELETE; far below SQLite's limit of 32,766 parameters.
_REFS = 1_000

#: A customer's newest orders that say what they buy: a product of one order counts half, of two three quarters, so what
#: the fifty-first would add is nothing.
NEWEST_ORDERS = 50

#: Kinds of offer that sell more of what the order holds anyway.
_MORE_OF_IT = ["buy_get", "more"]

#: And so many lines of them at most: a wholesaler's fifty orders must not hold up a checkout.
NEWEST_LINES = 2_000

_NEWEST = (
    sa.select(history_lines.c.order_ref, sa.func.max(history_lines.c.placed_at).label("at"))
    .where(
        history_lines.c.customer_ref == sa.bindparam("customer_ref"),
        history_lines.c.order_ref != sa.bindparam("but"),
    )
    .group_by(history_lines.c.order_ref)
    .order_by(sa.desc("at").nulls_last(), history_lines.c.order_ref.desc())
    .limit(NEWEST_ORDERS)
    .cte("newest")
)
_ORDERED = [_NEWEST.c.at.label("at"), _NEWEST.c.order_ref.label("order_ref")]
_BOUGHT = (
    sa.select(*_ORDERED, history_lines.c.sku.label("sku"))
    .select_from(_NEWEST.join(history_lines, history_lines.c.order_ref == _NEWEST.c.order_ref))
    .union(
        *(
            sa.select(*_ORDERED, sku.label("sku"))
            .select_from(_NEWEST.join(charges, charges.c.order_ref == _NEWEST.c.order_ref))
            .where(
                charges.c.account == sa.bindparam("account"),
                charges.c.status == ChargeStatus.SUCCEEDED.value,
                sku.is_not(None),
            )
            for sku in (charges.c.sku, charges.c.second_sku)
        )
    )
    .order_by(sa.desc("at").nulls_last(), sa.desc("order_ref"), sa.desc("sku"))
    .limit(NEWEST_LINES)
)


def add(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write lines (order_ref, sku, Unix time, customer_ref, quantity, unit_price minor units, currency).

    The same (order_ref, sku) again overwrites, so importing a file twice changes nothing.
    """
    if rows:
        connection.execute(_ADD, [dict(zip(_COLUMNS, row, strict=True)) for row in rows])


def replace(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Put every order of *rows* in place of what was kept of it; all lines of an order come in one call."""
    refs = list(dict.fromkeys(row[0] for row in rows))
    for start in range(0, len(refs), _REFS):
        connection.execute(sa.delete(history_lines).where(history_lines.c.order_ref.in_(refs[start : start + _REFS])))
    add(connection, rows)


class Sink:
    """Takes imported lines in the caller's transaction, so that a file is imported whole or not at all."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Put every order of *rows* in place of what was kept of it."""
        replace(self._connection, rows)


def training_lines(
    connection: sa.Connection, *, account: str = "", recorded_since: datetime | None = None
) -> Iterator[TrainingLine]:
    """Every line that was bought unprompted, orders in order of their time.

    With *recorded_since*, those of the orders alone that *account* was paid and Encore was told of since then.
    """
    # Of what was bought anyway, more was sold: the line stands for the purchase that nobody prompted.
    more_of_it = sa.func.coalesce(charges.c.snapshot["kind"].as_string(), "").in_(_MORE_OF_IT)
    # Joined, and kept where nothing was found: SQLite would read every charge for each line of an EXISTS or a NOT IN.
    sold_by_offer = sa.union_all(
        *(
            sa.select(charges.c.order_ref, sku.label("sku")).where(
                charges.c.charged_at.is_not(None), sku.is_not(None), ~more_of_it
            )
            for sku in (charges.c.sku, charges.c.second_sku)
        )
    ).subquery("sold_by_offer")
    the_same = sa.and_(
        sold_by_offer.c.order_ref == history_lines.c.order_ref, sold_by_offer.c.sku == history_lines.c.sku
    )
    statement = sa.select(
        history_lines.c.order_ref,
        history_lines.c.sku,
        history_lines.c.quantity,
        history_lines.c.customer_ref,
        history_lines.c.placed_at,
    )
    statement = statement.select_from(history_lines.outerjoin(sold_by_offer, the_same)).where(
        sold_by_offer.c.order_ref.is_(None)
    )
    if recorded_since is not None:
        new = sa.select(orders.c.order_ref).where(orders.c.account == account, orders.c.recorded_at > recorded_since)
        statement = statement.where(history_lines.c.order_ref.in_(new))
    result = connection.execution_options(yield_per=_FETCH).execute(
        statement.order_by(history_lines.c.placed_at, history_lines.c.order_ref, history_lines.c.sku)
    )
    for row in result:
        yield row[0], row[1], row[2], row[3], row[4]


def bought_before(connection: sa.Connection, customer_ref: str | None, *, account: str, but: str) -> list[str]:
    """What a customer's orders held, each product once per order that had it, oldest first, without the order *but*.

    What an offer sold and the customer kept is among it: it never trains, but they have it. Nothing, and no statement,
    for a guest.
    """
    if customer_ref is None:
        return []
    rows = connection.execute(_BOUGHT, {"customer_ref": customer_ref, "account": account, "but": but})
    return [row.sku for row in rows][::-1]


def sold_and_kept(connection: sa.Connection, *, account: str) -> dict[str, tuple[int, int]]:
    """By SKU, how often offers sold it, and how often it was kept: not undone, refunded, disputed or about to be."""
    kept = sa.case((charges.c.status == ChargeStatus.SUCCEEDED.value, 1), else_=0).label("kept")
    each = sa.union_all(
        *(
            sa.select(sku.label("sku"), kept).where(
                charges.c.account == account, charges.c.charged_at.is_not(None), sku.is_not(None)
            )
            for sku in (charges.c.sku, charges.c.second_sku)
        )
    ).subquery("each")
    rows = connection.execute(sa.select(each.c.sku, sa.func.count(), sa.func.sum(each.c.kept)).group_by(each.c.sku))
    return {sku: (sold, int(kept)) for sku, sold, kept in rows}


def counts(connection: sa.Connection) -> tuple[int, int]:
    """(orders, lines) of the history."""
    row = connection.execute(
        sa.select(sa.func.count(sa.distinct(history_lines.c.order_ref)), sa.func.count()).select_from(history_lines)
    ).one()
    return row[0], row[1]
