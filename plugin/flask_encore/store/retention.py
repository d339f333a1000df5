"""Statements that purge what is over: the details of old decisions, and logs nobody asks about any more.

A decision's row stays, with everything a figure, a charge or a dispute needs. Only its log of candidates and its trace
go; an empty trace tells that they did, where NULL is a decision that never had one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.hooks import DeliveryStatus
from flask_encore.store.models import api_answers, charges, decisions, events, outbox, webhook_deliveries, webhooks

#: Charges of these will not change any more by themselves. A disputed one may be asked about for months, so it stays.
_ENDED = (ChargeStatus.SUCCEEDED.value, ChargeStatus.CANCELED.value, ChargeStatus.REFUNDED.value)

#: Nobody has anything left to do: not the shopper, not the sweeper, not the merchant.
_IS_OVER = sa.and_(
    charges.c.status.in_(_ENDED),
    sa.or_(charges.c.status != ChargeStatus.SUCCEEDED.value, charges.c.hold_released_at.is_not(None)),
    charges.c.next_run_at.is_(None),
    sa.or_(charges.c.quarantine_reason == "", charges.c.reviewed_at.is_not(None)),
)


_others = events.alias("others")


def _open_charge(id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return sa.exists().where(charges.c.id == id, sa.not_(_IS_OVER))


def _details(account: str, before: datetime, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    d = decisions.c
    return (
        d.decided_at < before,
        # Wrapped, so that rows are found by their time and not by their account, which is mostly everybody's.
        sa.func.coalesce(d.account, "") == account,
        d.expires_at < now,
        # As text: PostgreSQL has no equality for JSON.
        sa.func.coalesce(sa.cast(d.trace, sa.Text), "") != "{}",
        ~_open_charge(d.id),
    )


def count_details(connection: sa.Connection, *, account: str, before: datetime, now: datetime) -> int:
    """Decisions whose details would be purged."""
    return _count(connection, decisions, _details(account, before, now))


def next_details(
    connection: sa.Connection,
    *,
    account: str,
    before: datetime,
    now: datetime,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[tuple[datetime, str]]:
    """(decided_at, id) of the next decisions to purge, oldest first."""
    d = decisions.c
    query = sa.select(d.decided_at, d.id).where(*_details(account, before, now))
    if after is not None:
        at, id = after
        # The first of the two lets the index begin where the last batch ended.
        query = query.where(d.decided_at >= at, sa.or_(d.decided_at > at, d.id > id))
    rows = connection.execute(query.order_by(d.decided_at, d.id).limit(limit))
    return [(row.decided_at, row.id) for row in rows]


def purge_details(connection: sa.Connection, ids: Sequence[str]) -> int:
    """Empty the details of these decisions of `next_details`; answers how many. What is counted stays as it is.

    A decision does not get younger, nor an offer that is over open again; only a charge is asked about once more. More
    conditions would lead a planner away from the primary key, to every decision there is.
    """
    d = decisions.c
    statement = sa.update(decisions).where(d.id.in_(ids), ~_open_charge(d.id)).values(candidates=[], trace={})
    return connection.execute(statement).rowcount


def _deliveries(account: str, before: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    mine = sa.select(webhooks.c.id).where(webhooks.c.account == account)
    return (webhook_deliveries.c.webhook_id.in_(mine), *_taken(before))


def _taken(before: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    d = webhook_deliveries.c
    return (d.status == DeliveryStatus.DELIVERED.value, d.delivered_at < before)


def count_deliveries(connection: sa.Connection, *, account: str, before: datetime) -> int:
    """Deliveries that were taken before then."""
    return _count(connection, webhook_deliveries, _deliveries(account, before))


def purge_deliveries(connection: sa.Connection, *, account: str, before: datetime, limit: int) -> int:
    """Forget deliveries that were taken before then; those that were given up stay, to be sent again."""
    return _delete(connection, webhook_deliveries, _deliveries(account, before), limit)


def _messages(account: str, before: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    m = outbox.c
    # A delivery that is not taken reads its message from here.
    needed = sa.select(webhook_deliveries.c.message_id).where(sa.not_(sa.and_(*_taken_at_all(before))))
    waited_for = sa.exists().where(
        webhooks.c.account == account, webhooks.c.active_since.is_not(None), webhooks.c.active_since <= m.created_at
    )
    return (
        m.account == account,
        m.created_at < before,
        m.delivered_at < before,
        sa.or_(m.hooked_at.is_not(None), ~waited_for),
        m.id.not_in(needed),
        ~_open_charge(m.charge_id),
    )


def _taken_at_all(before: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """As `_taken`, and never NULL, so that it can be negated."""
    d = webhook_deliveries.c
    return (d.status == DeliveryStatus.DELIVERED.value, d.delivered_at.is_not(None), d.delivered_at < before)


def count_messages(connection: sa.Connection, *, account: str, before: datetime) -> int:
    """Messages to the shop that were taken before then, by everybody they were for."""
    return _count(connection, outbox, _messages(account, before))


def purge_messages(connection: sa.Connection, *, account: str, before: datetime, limit: int) -> int:
    """Forget messages that everybody took before then, of charges that are over."""
    return _delete(connection, outbox, _messages(account, before), limit)


def _events(account: str, before: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    newest = sa.select(sa.func.max(_others.c.received_at)).where(_others.c.account == account).scalar_subquery()
    # The newest stays, however old: it tells when Stripe was heard last.
    return (events.c.account == account, events.c.received_at < before, events.c.received_at < newest)


def count_events(connection: sa.Connection, *, account: str, before: datetime) -> int:
    """Stripe's events that were received before then."""
    return _count(connection, events, _events(account, before))


def purge_events(connection: sa.Connection, *, account: str, before: datetime, limit: int) -> int:
    """Forget the ids of events that were received before then; Stripe does not send those again."""
    chosen = sa.select(events.c.event_id).where(*_events(account, before)).limit(limit)
    statement = sa.delete(events).where(events.c.account == account, events.c.event_id.in_(chosen))
    return connection.execute(statement).rowcount


def count_answers(connection: sa.Connection, *, before: datetime) -> int:
    """Answers of the API that were given before then."""
    return _count(connection, api_answers, (api_answers.c.created_at < before,))


def purge_answers(connection: sa.Connection, *, before: datetime) -> int:
    """Forget what requests with an Idempotency-Key were answered before then."""
    return connection.execute(sa.delete(api_answers).where(api_answers.c.created_at < before)).rowcount


def _count(connection: sa.Connection, table: sa.Table, which: Sequence[sa.ColumnElement[bool]]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(*which)).scalar_one())


def _delete(connection: sa.Connection, table: sa.Table, which: Sequence[sa.ColumnElement[bool]], limit: int) -> int:
    chosen = sa.select(table.c.id).where(*which).order_by(table.c.id).limit(limit)
    return connection.execute(sa.delete(table).where(table.c.id.in_(chosen))).rowcount
