"""How much the amounts of each campaign's offers vary, and the order a preview begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.store.models import charges, decisions, orders
from flask_encore.store.reports import CAMPAIGN, NET, ROAD


def squares(connection: sa.Connection, *, account: str, since: datetime) -> Sequence[Mapping[Any, Any]]:
    """campaign_ref, currency and net_squares of charges whose offer was decided since *since*, in one statement.

    net_squares is the sum of the squares of each charge's net, and a float: only an interval is made of it, and squares
    outgrow 64 bits.
    """
    net = sa.cast(NET, sa.Double)
    statement = (
        sa.select(CAMPAIGN, charges.c.currency, sa.func.sum(net * net).label("net_squares"))
        .select_from(ROAD)
        .where(decisions.c.account == account, decisions.c.decided_at >= since, charges.c.id.is_not(None))
        .group_by(sa.literal_column("1"), sa.literal_column("2"))
    )
    return connection.execute(statement).mappings().all()


def newest_order(connection: sa.Connection, *, account: str) -> Mapping[Any, Any] | None:
    """order_ref and currency of the order that was recorded last; ``None`` before the first one."""
    statement = (
        sa.select(orders.c.order_ref, orders.c.currency)
        .where(orders.c.account == account)
        .order_by(orders.c.recorded_at.desc())
        .limit(1)
    )
    return connection.execute(statement).mappings().first()
