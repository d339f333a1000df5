"""What the merchant's pages count: every fact, by day or by campaign, the newest decisions, what needs somebody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.domain.campaigns import BUILT_IN
from flask_encore.domain.charges import PAID, ChargeStatus
from flask_encore.domain.days import Midnights
from flask_encore.domain.funnel import Facts
from flask_encore.domain.offers import Outcome, Placement
from flask_encore.store.decisions import PROVISIONAL
from flask_encore.store.models import charges, decisions, micros, orders, outbox, refunds
from flask_encore.store.quarantines import needs_somebody

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


#: The names of `domain.funnel.Facts`, in their order.
FACTS = tuple(field.name for field in fields(Facts))


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

_moved = charges.c.status.in_(sorted(PAID))
_back = sa.func.coalesce(BACK.c.refunded_minor, 0)
#: Of each charge no more than it was, whatever Stripe says went back.
_given_back = sa.case((_back > charges.c.amount_minor, charges.c.amount_minor), else_=_back)
_same_currency = sa.case((charges.c.fee_currency == charges.c.currency, charges.c.fee_minor), else_=0)
_costed = sa.and_(charges.c.status == ChargeStatus.SUCCEEDED.value, charges.c.cost_minor.is_not(None))
_left = (
    charges.c.amount_minor - _given_back - _same_currency - sa.func.coalesce(charges.c.tax_minor, 0)
) - charges.c.cost_minor
#: What of one charge stays with the shop, as `domain.earnings` has it: what was kept, less the fee of what moved.
NET = sa.case(
    (charges.c.status == ChargeStatus.SUCCEEDED.value, charges.c.amount_minor - _given_back), else_=0
) - sa.case((_moved, sa.func.coalesce(_same_currency, 0)), else_=0)

#: Whose offer it was; decisions without one are the built-in offer's, as those of releases without campaigns were.
CAMPAIGN = sa.func.coalesce(decisions.c.campaign_ref, BUILT_IN).label("campaign_ref")
#: What Stripe's fee is in, where the money moved and the fee is known.
FEE_CURRENCY = sa.case((_moved, sa.func.coalesce(charges.c.fee_currency, "")), else_="").label("fee_currency")


def _sum(amount: Any) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.coalesce(sa.func.sum(amount), 0), sa.BigInteger)


#: What a report adds up, by its names in `domain.funnel.Group`.
MEASURES = (
    *("decisions", "charged_minor", "refunded_minor"),
    *("fee_minor", "without_fee", "profit_of", "profit_minor"),
)


def measures() -> list[sa.ColumnElement[Any]]:
    """The columns of `MEASURES`."""
    return [
        sa.func.count().label("decisions"),
        _sum(charges.c.amount_minor).label("charged_minor"),
        _sum(_given_back).label("refunded_minor"),
        _sum(sa.case((_moved, charges.c.fee_minor), else_=0)).label("fee_minor"),
        _sum(
            _flag(sa.and_(_moved, charges.c.amount_minor > 0, charges.c.fee_minor.is_(None))),
        ).label("without_fee"),
        _sum(_flag(_costed)).label("profit_of"),
        _sum(sa.case((_costed, _left), else_=0)).label("profit_minor"),
    ]


def is_counted(account: str) -> sa.ColumnElement[bool]:
    """Decisions of *account* that a report counts."""
    # A missing follow-up, and an order page with nothing to add, are no order without an offer.
    return sa.and_(
        decisions.c.account == account,
        sa.or_(
            sa.and_(decisions.c.step == 0, decisions.c.placement == Placement.THANK_YOU.value),
            # Both arms: what the order page offers one of them, it keeps from the other.
            decisions.c.outcome.in_([Outcome.OFFERED.value, Outcome.HELD_OUT.value]),
        ),
    )


def _by_place(number: int) -> list[sa.ColumnElement[Any]]:
    return [sa.literal_column(str(place)) for place in range(1, number + 1)]


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

    Columns: currency, those of `domain.funnel.Facts`, fee_currency, `measures`.

    Args:
        since: Only decisions of then and later.
        until: Only decisions before then.
        by_campaign: Count each campaign apart, and add the column campaign_ref.
    """
    keys = [decisions.c.currency, *_facts(now), FEE_CURRENCY]
    if by_campaign:
        keys.append(CAMPAIGN)
    statement = (
        sa.select(*keys, *measures()).select_from(ROAD).where(is_counted(account)).group_by(*_by_place(len(keys)))
    )
    if since is not None:
        statement = statement.where(decisions.c.decided_at >= since)
    if until is not None:
        statement = statement.where(decisions.c.decided_at < until)
    return connection.execute(statement).mappings().all()


#: Microseconds of a day of 24 hours.
_DAY = 24 * 60 * 60 * 1_000_000

#: Stretches of days asked for one by one; more of them are asked for as one, so that no condition outgrows SQLite's.
_MOST_STRETCHES = 50


def within(column: Any, midnights: Midnights, stretches: Sequence[tuple[int, int]]) -> sa.ColumnElement[bool]:
    """Whether *column* is in one of *stretches*: from a day to another one, without that, counted from 0."""
    moments = midnights.moments
    return sa.or_(sa.false(), *(sa.and_(column >= moments[begin], column < moments[end]) for begin, end in stretches))


def stretches_of(days: Sequence[int]) -> list[tuple[int, int]]:
    """*days* (numbers, ascending) as stretches; as one that covers them all where there would be too many."""
    found: list[tuple[int, int]] = []
    for day in days:
        if found and found[-1][1] == day:
            found[-1] = found[-1][0], day + 1
        else:
            found.append((day, day + 1))
    return found if len(found) <= _MOST_STRETCHES else [(found[0][0], found[-1][1])]


def day_number(column: Any, midnights: Midnights, stretches: Sequence[tuple[int, int]]) -> sa.ColumnElement[int]:
    """The number of the day *column* is in, of those in *stretches*. No database is asked about time zones."""
    at = sa.type_coerce(column, sa.BigInteger)
    cases: list[tuple[Any, Any]] = []
    for begin, end in stretches:
        for moment, number, regular in midnights.runs(begin, end):
            since = at - sa.literal(micros(moment), sa.BigInteger)
            cases.append((column >= moment, sa.literal(number) + since // _DAY if regular else number))
    return sa.case(*cases[::-1], else_=-1)


#: What one row of `daily` is about, besides its day.
KEYS = ("currency", "campaign_ref", "arm", *FACTS, "fee_currency")


def daily(
    connection: sa.Connection,
    *,
    account: str,
    midnights: Midnights,
    stretches: Sequence[tuple[int, int]],
    provisional_in: Sequence[tuple[int, int]] = (),
    is_final: bool = False,
    now: datetime,
) -> Sequence[sa.Row[Any]]:
    """As `counted`, by day, campaign and arm: day (a number from 0), `KEYS`, `measures`. One statement, or none.

    Args:
        stretches: Which of the days of *midnights*.
        provisional_in: On which other days those decisions are read too that may still be replaced.
        is_final: Only decisions that will not be replaced.
    """
    provisional = decisions.c.reason == PROVISIONAL.value
    parts = []
    for days, conditions in (
        (stretches, [~provisional] if is_final else []),
        # They are never marked, so that the index of unmarked rows finds them.
        (provisional_in, [provisional, decisions.c.counted_at.is_(None)]),
    ):
        if not days:
            continue
        day = day_number(decisions.c.decided_at, midnights, days).label("day")
        keys = [day, decisions.c.currency, CAMPAIGN, decisions.c.arm, *_facts(now), FEE_CURRENCY]
        parts.append(
            sa.select(*keys, *measures())
            .select_from(ROAD)
            .where(is_counted(account), within(decisions.c.decided_at, midnights, days), *conditions)
            .group_by(*_by_place(len(keys)))
        )
    if not parts:
        return []
    return connection.execute(sa.union_all(*parts) if len(parts) > 1 else parts[0]).all()


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
        statement = statement.where(sa.or_(needs_somebody, stuck.c.id.is_not(None)))
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
    """What does not depend on the period: any_order, any_decision, quarantined, stuck_messages, order_known,
    first_decided_at, last_decided_at.

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
        how_many(charges, needs_somebody).label("quarantined"),
        how_many(outbox, outbox.c.delivered_at.is_(None), outbox.c.last_error != "").label("stuck_messages"),
        some(orders, orders.c.order_ref == (order_ref or "")).label("order_known"),
        _edge(account, decisions.c.decided_at.asc()).label("first_decided_at"),
        _edge(account, decisions.c.decided_at.desc()).label("last_decided_at"),
    )
    return connection.execute(statement).mappings().one()


def reach(connection: sa.Connection, *, account: str) -> tuple[datetime, datetime] | None:
    """When the first and the last decision were made; ``None`` without one. One statement."""
    row = connection.execute(
        sa.select(*(_edge(account, order) for order in (decisions.c.decided_at.asc(), decisions.c.decided_at.desc())))
    ).one()
    return None if row[0] is None else (row[0], row[1])


def _edge(account: str, order: sa.UnaryExpression[Any]) -> sa.ScalarSelect[Any]:
    return (
        sa.select(decisions.c.decided_at)
        .where(decisions.c.account == account)
        .order_by(order)
        .limit(1)
        .scalar_subquery()
    )


def moved(
    connection: sa.Connection, *, account: str, midnights: Midnights, stretches: Sequence[tuple[int, int]]
) -> Sequence[Mapping[Any, Any]]:
    """Charges whose money moved, of decisions in *stretches*; a row per refund, or one without.

    In no order: SQLite would read every charge there is, in that order, for the few of a day.

    Columns: id, decided_at, charged_at, updated_at, timeline, status, amount_minor, currency, fee_minor,
    fee_currency; of the refund: seq, back_minor, cause, back_status, requested_at, settled_at.
    """
    if not stretches:
        return []
    alive = sa.and_(refunds.c.charge_id == charges.c.id, refunds.c.status.in_(_ALIVE))
    statement = (
        sa.select(
            *(charges.c[name] for name in ("id", "charged_at", "updated_at", "timeline", "status")),
            *(charges.c[name] for name in ("amount_minor", "currency", "fee_minor", "fee_currency")),
            decisions.c.decided_at,
            refunds.c.seq,
            refunds.c.amount_minor.label("back_minor"),
            refunds.c.cause,
            refunds.c.status.label("back_status"),
            refunds.c.requested_at,
            refunds.c.settled_at,
        )
        .select_from(decisions.join(charges, charges.c.id == decisions.c.id).outerjoin(refunds, alive))
        .where(
            decisions.c.account == account,
            decisions.c.outcome == Outcome.OFFERED.value,
            within(decisions.c.decided_at, midnights, stretches),
            _moved,
            charges.c.amount_minor > 0,
        )
    )
    return connection.execute(statement).mappings().all()
