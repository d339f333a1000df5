"""What became of an experiment's offers, counted in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.offers import Outcome
from flask_encore.store.models import charges, decisions


def counted(connection: sa.Connection, *, account: str, experiment_ref: str) -> Sequence[Mapping[Any, Any]]:
    """By variant and currency: decisions it was logged with, and of their offers shown, accepted and kept.

    Shown, accepted and kept count as `domain.funnel` does. Who was held out is a variant called ``holdout``.
    """
    variant = decisions.c.exposures[experiment_ref].as_string()
    answered = sa.or_(
        decisions.c.shown_at.is_not(None),
        decisions.c.declined_at.is_not(None),
        decisions.c.sold_out_at.is_not(None),
        charges.c.id.is_not(None),
    )
    is_offer = decisions.c.outcome == Outcome.OFFERED.value

    def how_many(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

    statement = (
        sa.select(
            variant.label("variant"),
            decisions.c.currency,
            sa.func.count().label("decisions"),
            how_many(is_offer).label("offered"),
            how_many(sa.and_(is_offer, answered)).label("shown"),
            sa.func.count(charges.c.id).label("accepted"),
            how_many(charges.c.status == ChargeStatus.SUCCEEDED.value).label("kept"),
        )
        .select_from(decisions.outerjoin(charges, charges.c.id == decisions.c.id))
        .where(decisions.c.account == account, variant.is_not(None))
        .group_by(sa.literal_column("1"), sa.literal_column("2"))
    )
    return connection.execute(statement).mappings().all()
