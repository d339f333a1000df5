"""Statements on outbound webhooks: the endpoints, and what is delivered to each.

Deliveries are handed out as the outbox is: taken by one guarded UPDATE, at most one of an order and endpoint at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from flask_encore.domain.events import EventKind
from flask_encore.domain.hooks import Delivery, DeliveryStatus, Secret, Webhook, message_ref
from flask_encore.store.models import outbox, webhook_deliveries, webhooks

_d = webhook_deliveries.c
_earlier = webhook_deliveries.alias("earlier")
_waiting = DeliveryStatus.WAITING.value

#: Deliveries with what their messages say; a delivery is nothing without its message.
_WITH_MESSAGE = sa.select(
    webhook_deliveries, outbox.c.kind, outbox.c.dedupe, outbox.c.payload, outbox.c.account
).join_from(webhook_deliveries, outbox, outbox.c.id == _d.message_id)


# Endpoints


def listed(connection: sa.Connection, *, account: str) -> list[Webhook]:
    """Every endpoint, oldest first."""
    mine = sa.select(webhooks).where(webhooks.c.account == account).order_by(webhooks.c.id)
    return [_webhook(row) for row in connection.execute(mine).mappings()]


def find(connection: sa.Connection, id: int, *, account: str) -> Webhook | None:
    """One endpoint, or ``None``."""
    mine = sa.select(webhooks).where(webhooks.c.account == account, webhooks.c.id == id)
    row = connection.execute(mine).mappings().first()
    return None if row is None else _webhook(row)


def add(
    connection: sa.Connection, *, account: str, url: str, secret: Secret, kinds: Sequence[EventKind], now: datetime
) -> int:
    """Write a new endpoint, active from *now* on, and answer its id."""
    values: dict[str, Any] = {"account": account, "url": url, "secret": secret, "kinds": [kind.value for kind in kinds]}
    values |= {"active_since": now, "created_at": now, "updated_at": now}
    return int(connection.execute(sa.insert(webhooks).values(values).returning(webhooks.c.id)).scalar_one())


def remove(connection: sa.Connection, id: int, *, account: str) -> bool:
    """Take an endpoint away, with its log. False when there is none."""
    gone = connection.execute(sa.delete(webhooks).where(webhooks.c.account == account, webhooks.c.id == id))
    if gone.rowcount != 1:
        return False
    connection.execute(sa.delete(webhook_deliveries).where(_d.webhook_id == id))
    return True


def rotate(connection: sa.Connection, webhook: Webhook, *, secret: Secret, until: datetime, now: datetime) -> bool:
    """Sign with *secret*, and *until* then with the one before too. False when somebody rotated it in the meantime."""
    return (
        connection.execute(
            sa.update(webhooks)
            .where(webhooks.c.id == webhook.id, webhooks.c.secret == webhook.secret)
            .values(secret=secret, previous_secret=webhook.secret, previous_until=until, updated_at=now)
        ).rowcount
        == 1
    )


def activate(connection: sa.Connection, id: int, *, since: datetime | None, now: datetime) -> bool:
    """Pause an endpoint, or send it what happens *since* then. False when it is so already."""
    other = webhooks.c.active_since.is_not(None) if since is None else webhooks.c.active_since.is_(None)
    return (
        connection.execute(
            sa.update(webhooks).where(webhooks.c.id == id, other).values(active_since=since, updated_at=now)
        ).rowcount
        == 1
    )


# Handing messages out


def unhooked(connection: sa.Connection, *, account: str, since: datetime, limit: int) -> Sequence[Mapping[Any, Any]]:
    """Messages since then that no endpoint was asked about yet, oldest first."""
    return (
        connection.execute(
            sa.select(outbox.c.id, outbox.c.kind, outbox.c.order_ref, outbox.c.created_at)
            .where(outbox.c.account == account, outbox.c.hooked_at.is_(None), outbox.c.created_at >= since)
            .order_by(outbox.c.created_at, outbox.c.id)
            .limit(limit)
        )
        .mappings()
        .all()
    )


def hand_out(
    connection: sa.Connection,
    pairs: Sequence[tuple[Webhook, Mapping[Any, Any]]],
    *,
    messages: Sequence[int],
    give_up_at: datetime,
    now: datetime,
) -> None:
    """Write a delivery for each endpoint and message, unless there is one, and mark the messages. Idempotent."""
    if pairs:
        connection.execute(
            insert(webhook_deliveries).on_conflict_do_nothing(index_elements=["webhook_id", "message_id"]),
            [
                {
                    "webhook_id": webhook.id,
                    "message_id": message["id"],
                    "order_ref": message["order_ref"],
                    "status": _waiting,
                    "attempts": 0,
                    "next_run_at": now,
                    "give_up_at": give_up_at,
                    "last_error": "",
                    "created_at": now,
                }
                for webhook, message in pairs
            ],
        )
    connection.execute(sa.update(outbox).where(outbox.c.id.in_(messages)).values(hooked_at=now))


# Deliveries


def busy(connection: sa.Connection, *, account: str, now: datetime) -> list[int]:
    """Active endpoints that something is due for."""
    return list(
        connection.execute(
            sa.select(webhooks.c.id)
            .where(
                webhooks.c.account == account,
                webhooks.c.active_since.is_not(None),
                sa.exists().where(_d.webhook_id == webhooks.c.id, _d.status == _waiting, _d.next_run_at <= now),
            )
            .order_by(webhooks.c.id)
        ).scalars()
    )


def due(connection: sa.Connection, webhook_id: int, *, now: datetime, limit: int) -> Sequence[Mapping[Any, Any]]:
    """What to send to an endpoint now, at most one message of an order: the next waits for the one before it."""
    return (
        connection.execute(
            _WITH_MESSAGE.where(
                _d.webhook_id == webhook_id,
                _d.status == _waiting,
                _d.next_run_at <= now,
                ~sa.exists().where(
                    _earlier.c.webhook_id == _d.webhook_id,
                    _earlier.c.order_ref == _d.order_ref,
                    _earlier.c.message_id < _d.message_id,
                    _earlier.c.status == _waiting,
                ),
            )
            .order_by(_d.next_run_at, _d.message_id)
            .limit(limit)
        )
        .mappings()
        .all()
    )


def take(connection: sa.Connection, row: Mapping[Any, Any], *, until: datetime) -> bool:
    """Reserve a delivery for this worker, and count the attempt. False when another worker was quicker."""
    return (
        connection.execute(
            sa.update(webhook_deliveries)
            .where(
                _d.id == row["id"],
                _d.status == _waiting,
                _d.attempts == row["attempts"],
                _d.next_run_at == row["next_run_at"],
            )
            .values(attempts=_d.attempts + 1, next_run_at=until)
        ).rowcount
        == 1
    )


def delivered(connection: sa.Connection, id: int, *, code: int, now: datetime) -> None:
    """The endpoint took it, whoever has it now."""
    connection.execute(
        sa.update(webhook_deliveries)
        .where(_d.id == id)
        .values(
            status=DeliveryStatus.DELIVERED.value, next_run_at=None, response_code=code, last_error="", delivered_at=now
        )
    )


def failed(
    connection: sa.Connection, row: Mapping[Any, Any], *, code: int | None, error: str, next_run_at: datetime | None
) -> bool:
    """The attempt after *row* failed; try again then, or never. False when it is another worker's by now."""
    status = DeliveryStatus.FAILED if next_run_at is None else DeliveryStatus.WAITING
    return (
        connection.execute(
            sa.update(webhook_deliveries)
            .where(_d.id == row["id"], _d.status == _waiting, _d.attempts == row["attempts"] + 1)
            .values(status=status.value, next_run_at=next_run_at, response_code=code, last_error=error[:300])
        ).rowcount
        == 1
    )


def log(
    connection: sa.Connection,
    *,
    account: str,
    webhook_id: int | None,
    status: DeliveryStatus | None,
    before_id: int | None,
    limit: int,
) -> list[Delivery]:
    """Deliveries, newest first."""
    query = _WITH_MESSAGE.where(outbox.c.account == account)
    if webhook_id is not None:
        query = query.where(_d.webhook_id == webhook_id)
    if status is not None:
        query = query.where(_d.status == status.value)
    if before_id is not None:
        query = query.where(_d.id < before_id)
    rows = connection.execute(query.order_by(_d.id.desc()).limit(limit)).mappings()
    return [_delivery(row) for row in rows]


def find_delivery(connection: sa.Connection, id: int, *, account: str) -> Delivery | None:
    """One delivery, or ``None``."""
    row = connection.execute(_WITH_MESSAGE.where(outbox.c.account == account, _d.id == id)).mappings().first()
    return None if row is None else _delivery(row)


def replay(connection: sa.Connection, ids: Sequence[int], *, now: datetime, give_up_at: datetime) -> int:
    """Send these again, from the first attempt on; answers how many. What waits already is sent at once."""
    return connection.execute(
        sa.update(webhook_deliveries)
        .where(_d.id.in_(ids))
        .values(status=_waiting, attempts=0, next_run_at=now, give_up_at=give_up_at, delivered_at=None)
    ).rowcount


def failed_since(connection: sa.Connection, webhook_id: int, *, since: datetime, limit: int) -> list[int]:
    """Deliveries of messages since then that were given up, oldest first."""
    given_up = (
        sa.select(_d.id)
        .where(_d.webhook_id == webhook_id, _d.status == DeliveryStatus.FAILED.value, _d.created_at >= since)
        .order_by(_d.id)
        .limit(limit)
    )
    return list(connection.execute(given_up).scalars())


def counts(connection: sa.Connection, *, account: str) -> dict[tuple[int, DeliveryStatus], int]:
    """How many deliveries of each endpoint stand how."""
    rows = connection.execute(
        sa.select(_d.webhook_id, _d.status, sa.func.count())
        .join_from(webhook_deliveries, webhooks, webhooks.c.id == _d.webhook_id)
        .where(webhooks.c.account == account)
        .group_by(_d.webhook_id, _d.status)
    )
    return {(id, DeliveryStatus(status)): count for id, status, count in rows}


def _webhook(row: Mapping[Any, Any]) -> Webhook:
    values = {name: value for name, value in row.items() if name != "account"}
    return Webhook(**values | {"kinds": tuple(row["kinds"])})


def _delivery(row: Mapping[Any, Any]) -> Delivery:
    kept = {name: row[name] for name in Delivery.__dataclass_fields__ if name in row and name != "status"}
    return Delivery(**kept, status=DeliveryStatus(row["status"]), message_ref=message_ref(row["dedupe"]))
