"""The merchant's page in three statements: every fact counted, the newest decisions, and what needs somebody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.domain.campaigns import BUILT_IN
from flask_encore.domain.offers import Outcome, Placement
from flask_encore.store.models import charges, decisions, orders, outbox, refunds

#: Refunds that took something back, or will.
_ALIVE = ["requested", "pending", "succeeded"]

_succeeded = sa.case((refunds.c.status == "succeeded", refunds.c.amount_minor), else_=0)
#: Per charge: what went back so far, and whether the shopper asked for it.
BACK = (
    sa.select(
        refunds.c.charge_id,
        sa.func.sum(_succeeded).label("refunded_minor"),
        sa.func.max(sa.case((refunds.c.cause == "undo", 1), else_=0)).label("undone"),
    )
    .where(refunds.c.status.in_(_ALIVE))
    .group_by(refunds.c.charge_id)
    .subquery("back")
)


def _flag(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    """0 or 1, on every database."""
    return sa.case((condition, 1), else_=0)


def _facts(now: datetime) -> list[sa.ColumnElement[Any]]:
    """The columns of `domain.funnel.Facts`, under its names."""
    return [
        decisions.c.outcome,
        decisions.c.reason,
        _flag(decisions.c.shown_at.is_not(None)).label("seen"),
        _flag(decisions.c.declined_at.is_not(None)).label("declined"),
        _flag(decisions.c.sold_out_at.is_not(None)).label("sold_out"),
        _flag(decisions.c.expires_at <= now).label("expired"),
        charges.c.status,
        sa.func.coalesce(charges.c.failure_code, "").label("failure_code"),
        _flag(charges.c.attempt > 0).label("attempted"),
        sa.func.coalesce(BACK.c.undone, 0).label("undone"),
    ]


ROAD = decisions.outerjoin(charges, charges.c.id == decisions.c.id).outerjoin(BACK, BACK.c.charge_id == charges.c.id)


def counted(
    connection: sa.Connection,
    *,
    account: str,
    since: datetime | None,
    until: datetime | None = None,
    by_campaign: bool = False,
    now: datetime,
) -> Sequence[Mapping[Any, Any]]:
    """How many decisions share the same facts, per currency, and the sums of their charges and refunds.

    Columns: currency, those of `domain.funnel.Facts`, decisions, charged_minor, refunded_minor.

    Args:
        since: Only decisions of then and later.
        until: Only decisions before then.
        by_campaign: Count each campaign apart, and add the column campaign_ref; decisions without one are the
            built-in offer's, as those of releases without campaigns were.
    """
    keys = [decisions.c.currency, *_facts(now)]
    if by_campaign:
        keys.append(sa.func.coalesce(decisions.c.campaign_ref, BUILT_IN).label("campaign_ref"))
    statement = (
        sa.select(
            *keys,
            sa.func.count().label("decisions"),
            sa.func.coalesce(sa.func.sum(charges.c.amount_minor), 0).label("charged_minor"),
            sa.func.coalesce(sa.func.sum(BACK.c.refunded_minor), 0).label("refunded_minor"),
        )
        .select_from(ROAD)
        # A missing follow-up, and an order page with nothing to add, are no order without an offer.
        .where(
            decisions.c.account == account,
            sa.or_(
                sa.and_(decisions.c.step == 0, decisions.c.placement == Placement.THANK_YOU.value),
                # Both arms: what the order page offers one of them, it keeps from the other.
                decisions.c.outcome.in_([Outcome.OFFERED.value, Outcome.HELD_OUT.value]),
            ),
        )
        .group_by(*(sa.literal_column(str(place)) for place in range(1, len(keys) + 1)))
    )
    if since is not None:
        statement = statement.where(decisions.c.decided_at >= since)
    if until is not None:
        statement = statement.where(decisions.c.decided_at < until)
    return connection.execute(statement).mappings().all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page of the list begins: right after this decision."""

    decided_at: datetime
    id: str


def recent(
    connection: sa.Connection,
    *,
    account: str,
    since: datetime | None,
    order_ref: str | None,
    needing_somebody: bool,
    after: Place | None,
    limit: int,
    now: datetime,
    outcome: str | None = None,
    reason: str | None = None,
    status: str | None = None,
    campaign_ref: str | None = None,
) -> Sequence[Mapping[Any, Any]]:
    """Decisions, newest first, each with its charge, its refunds and the message a handler would not take.

    Args:
        order_ref: Only of this order, and then of any time.
        needing_somebody: Only with a quarantined charge or such a message, and then of any time.
        outcome: Only those that ended so; *reason*, only for that one; *status*, only those whose charge is there.
        campaign_ref: Only of this campaign, as `counted` tells them apart.
    """
    stuck = outbox.alias("stuck")
    first_stuck = (
        sa.select(sa.func.min(outbox.c.id))
        .where(
            outbox.c.account == decisions.c.account,
            outbox.c.order_ref == decisions.c.order_ref,
            outbox.c.charge_id == decisions.c.id,
            outbox.c.delivered_at.is_(None),
            outbox.c.last_error != "",
        )
        .scalar_subquery()
    )
    last_refund = (
        sa.select(refunds.c.status)
        .where(refunds.c.charge_id == decisions.c.id)
        .order_by(refunds.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        sa.select(
            decisions.c.id,
            decisions.c.order_ref,
            decisions.c.decided_at,
            decisions.c.sku,
            decisions.c.quantity,
            decisions.c.snapshot,
            decisions.c.currency,
            sa.func.coalesce(charges.c.amount_minor, decisions.c.total_minor).label("amount_minor"),
            *_facts(now),
            sa.func.coalesce(charges.c.quarantine_reason, "").label("quarantine_reason"),
            charges.c.charged_at,
            sa.func.coalesce(BACK.c.refunded_minor, 0).label("refunded_minor"),
            last_refund.label("last_refund"),
            stuck.c.kind.label("stuck_kind"),
            stuck.c.attempts.label("stuck_attempts"),
            stuck.c.last_error.label("stuck_error"),
        )
        .select_from(ROAD.outerjoin(stuck, stuck.c.id == first_stuck))
        .where(decisions.c.account == account)
        .order_by(decisions.c.decided_at.desc(), decisions.c.id.desc())
        .limit(limit)
    )
    if order_ref is not None:
        statement = statement.where(decisions.c.order_ref == order_ref)
    elif needing_somebody:
        statement = statement.where(sa.or_(charges.c.quarantine_reason != "", stuck.c.id.is_not(None)))
    elif since is not None:
        statement = statement.where(decisions.c.decided_at >= since)
    narrowed = {decisions.c.outcome: outcome, decisions.c.reason: reason, charges.c.status: status}
    statement = statement.where(*(column == wanted for column, wanted in narrowed.items() if wanted is not None))
    if campaign_ref is not None:
        statement = statement.where(sa.func.coalesce(decisions.c.campaign_ref, BUILT_IN) == campaign_ref)
    if after is not None:
        statement = statement.where(
            sa.or_(
                decisions.c.decided_at < after.decided_at,
                sa.and_(decisions.c.decided_at == after.decided_at, decisions.c.id < after.id),
            )
        )
    return connection.execute(statement).mappings().all()


def standing(connection: sa.Connection, *, account: str, order_ref: str | None) -> Mapping[Any, Any]:
    """What does not depend on the period: any_order, any_decision, quarantined, stuck_messages, order_known.

    Counts are of all time. *order_known* tells whether *order_ref* was ever recorded.
    """

    def some(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return sa.exists().where(table.c.account == account, *conditions)

    def how_many(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return (
            sa.select(sa.func.count())
            .select_from(table)
            .where(table.c.account == account, *conditions)
            .scalar_subquery()
        )

    statement = sa.select(
        some(orders).label("any_order"),
        some(decisions).label("any_decision"),
        how_many(charges, charges.c.quarantine_reason != "").label("quarantined"),
        how_many(outbox, outbox.c.delivered_at.is_(None), outbox.c.last_error != "").label("stuck_messages"),
        some(orders, orders.c.order_ref == (order_ref or "")).label("order_known"),
    )
    return connection.execute(statement).mappings().one()
