"""What became of each campaign's offers, counted in one statement, and the order a preview begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.domain.campaigns import BUILT_IN
from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.offers import Outcome
from flask_encore.store.models import charges, decisions, orders


def _how_many(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def counted(connection: sa.Connection, *, account: str, since: datetime | None) -> Sequence[Mapping[Any, Any]]:
    """Offers decided since *since*, by campaign: campaign_ref, shown, accepted, kept, each as `domain.funnel` counts.

    Offers of releases without campaigns were the built-in one's.
    """
    answered = sa.or_(
        decisions.c.shown_at.is_not(None),
        decisions.c.declined_at.is_not(None),
        decisions.c.sold_out_at.is_not(None),
        charges.c.id.is_not(None),
    )
    campaign = sa.func.coalesce(decisions.c.campaign_ref, BUILT_IN)
    statement = (
        sa.select(
            campaign.label("campaign_ref"),
            _how_many(answered).label("shown"),
            sa.func.count(charges.c.id).label("accepted"),
            _how_many(charges.c.status == ChargeStatus.SUCCEEDED.value).label("kept"),
        )
        .select_from(decisions.outerjoin(charges, charges.c.id == decisions.c.id))
        .where(decisions.c.account == account, decisions.c.outcome == Outcome.OFFERED.value)
        .group_by(sa.literal_column("1"))
    )
    if since is not None:
        statement = statement.where(decisions.c.decided_at >= since)
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
