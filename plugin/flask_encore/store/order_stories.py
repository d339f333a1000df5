"""Everything known of one order, a statement for each part of it, however much there is."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from flask_encore.store.models import charges, orders


def orders_called(connection: sa.Connection, names: Sequence[str], *, account: str) -> dict[str, str]:
    """Each of *names* that means an order -> its order_ref, in one statement.

    A name is an order_ref, the PaymentIntent that paid an order or an offer of it, or a charge_ref.
    """

    def looked_up(table: sa.Table, column: sa.ColumnElement[str]) -> sa.Select[tuple[str, str]]:
        return sa.select(column.label("name"), table.c.order_ref).where(table.c.account == account, column.in_(names))

    known = sa.union_all(
        looked_up(orders, orders.c.order_ref),
        looked_up(orders, orders.c.payment_intent_ref),
        looked_up(charges, charges.c.payment_intent_ref),
        looked_up(charges, charges.c.id),
    )
    found: dict[str, str] = {}
    for row in connection.execute(known):
        # An order_ref comes before anything else that happens to be called the same.
        if row.name == row.order_ref or row.name not in found:
            found[row.name] = row.order_ref
    return found


def is_known(connection: sa.Connection, order_ref: str, *, account: str) -> bool:
    """Whether the order was ever recorded."""
    mine = sa.exists().where(orders.c.account == account, orders.c.order_ref == order_ref)
    return bool(connection.execute(sa.select(mine)).scalar_one())
