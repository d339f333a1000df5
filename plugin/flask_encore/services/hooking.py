"""The merchant's endpoints: added, removed, rotated, paused, tried; and what was delivered to them, and again.

Every change is in the audit log, and no secret is.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from flask_encore.domain.errors import EncoreError, InvalidInput
from flask_encore.domain.events import EventKind
from flask_encore.domain.hooks import (
    GIVE_UP_AFTER,
    ROTATION,
    SECRET_BYTES,
    Delivery,
    DeliveryStatus,
    Webhook,
    body_of,
    secret_of,
)
from flask_encore.domain.targets import parse
from flask_encore.services import auditing, sending
from flask_encore.services.auditing import Action
from flask_encore.services.posting import Unreachable
from flask_encore.services.runtime import Runtime
from flask_encore.store import hooks

#: Endpoints of one shop: each costs a thread and a delivery of every message.
MAX_WEBHOOKS = 20
#: Deliveries of one page of the log.
MAX_LOGGED = 500
#: Deliveries that one command sends again; more would be a load nobody asked the receiver about.
MAX_REPLAYED = 10_000
#: Deliveries that the audit log names one by one.
NAMED = 10


class NoSuchWebhook(EncoreError):
    """There is no such webhook, or no such delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How a test message fared. *code* is ``None`` when there was no answer; *error* is empty when it was taken."""

    message_ref: str
    code: int | None
    error: str


def subject_of(id: int) -> str:
    """What the audit log calls an endpoint: no campaign can be called so."""
    return f"webhook {id}"


def listed(rt: Runtime) -> list[Webhook]:
    """Every endpoint, oldest first."""
    with rt.db.read() as connection:
        return hooks.listed(connection, account=rt.account)


def find(rt: Runtime, id: int) -> Webhook:
    """One endpoint.

    Raises:
        NoSuchWebhook: If there is none.
    """
    with rt.db.read() as connection:
        found = hooks.find(connection, id, account=rt.account)
    if found is None:
        raise NoSuchWebhook(f"There is no webhook {id}.")
    return found


def add(rt: Runtime, url: str, *, kinds: Sequence[str] = (), actor: str) -> Webhook:
    """Send events to *url* from now on: these *kinds*, or every one. Answers it with its secret, to be shown once.

    Raises:
        InvalidInput: If the URL, or the address behind it, may not be sent to, or a kind is unknown.
    """
    auditing.checked_actor(actor)
    wanted = tuple(dict.fromkeys(_kind(kind) for kind in kinds))
    try:
        rt.poster.check(parse(url, allow_loopback=not rt.settings.livemode))
    except Unreachable as error:
        raise InvalidInput(f"The webhook's host cannot be used: {error}.") from error
    existing = listed(rt)
    if len(existing) >= MAX_WEBHOOKS:
        raise InvalidInput(f"There are {MAX_WEBHOOKS} webhooks already; remove one first.")
    if any(webhook.url == url for webhook in existing):
        raise InvalidInput("There is a webhook with this URL already; remove it first, or rotate its secret.")
    secret = secret_of(secrets.token_bytes(SECRET_BYTES))
    with rt.db.write() as connection:
        id = hooks.add(connection, account=rt.account, url=url, secret=secret, kinds=wanted, now=rt.clock())
        added = hooks.find(connection, id, account=rt.account)
        assert added is not None
        _record(rt, connection, id, actor, Action.CREATE, None, _described(added))
    return added


def remove(rt: Runtime, id: int, *, actor: str) -> None:
    """Send nothing to it any more, and forget its secret and its log.

    Raises:
        NoSuchWebhook: If there is none.
    """
    auditing.checked_actor(actor)
    webhook = find(rt, id)
    with rt.db.write() as connection:
        if hooks.remove(connection, id, account=rt.account):
            _record(rt, connection, id, actor, Action.REMOVE, _described(webhook), None)


def rotate(rt: Runtime, id: int, *, actor: str) -> Webhook:
    """Give it a new secret, which is answered once; the one before signs beside it for another day.

    Raises:
        NoSuchWebhook: If there is none.
        InvalidInput: If somebody else rotated it at this moment.
    """
    auditing.checked_actor(actor)
    webhook, now = find(rt, id), rt.clock()
    secret = secret_of(secrets.token_bytes(SECRET_BYTES))
    until = now + ROTATION
    with rt.db.write() as connection:
        if not hooks.rotate(connection, webhook, secret=secret, until=until, now=now):
            raise InvalidInput(f"The secret of webhook {id} was replaced a moment ago; look there, or rotate it again.")
        after = replace(webhook, secret=secret, previous_secret=webhook.secret, previous_until=until, updated_at=now)
        _record(rt, connection, id, actor, Action.EDIT, _described(webhook), _described(after))
    return after


def pause(rt: Runtime, id: int, *, actor: str) -> bool:
    """Send nothing to it for the time being; what happens meanwhile is not sent later. False when it is paused already.

    Raises:
        NoSuchWebhook: If there is none.
    """
    return _activate(rt, id, None, actor)


def resume(rt: Runtime, id: int, *, actor: str) -> bool:
    """Send it what happens from now on, and what waited when it was paused. False when it is active already.

    Raises:
        NoSuchWebhook: If there is none.
    """
    return _activate(rt, id, rt.clock(), actor)


def deliveries(
    rt: Runtime,
    *,
    webhook_id: int | None = None,
    status: DeliveryStatus | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """The delivery log, newest first: of one endpoint or of all; *before_id* of the last one gives the next page."""
    if not 1 <= limit <= MAX_LOGGED:
        raise InvalidInput(f"limit has to be from 1 to {MAX_LOGGED}, got {limit}.")
    with rt.db.read() as connection:
        return hooks.log(
            connection, account=rt.account, webhook_id=webhook_id, status=status, before_id=before_id, limit=limit
        )


def counts(rt: Runtime) -> Mapping[tuple[int, DeliveryStatus], int]:
    """How many deliveries of each endpoint stand how."""
    with rt.db.read() as connection:
        return hooks.counts(connection, account=rt.account)


def replay(rt: Runtime, delivery_id: int, *, actor: str, of_webhook: int | None = None) -> Delivery:
    """Send one message again, with the same id and for three days anew, whether it was taken or given up.

    Raises:
        NoSuchWebhook: If there is no such delivery, or it is not one of the webhook *of_webhook*.
    """
    auditing.checked_actor(actor)
    with rt.db.read() as connection:
        found = hooks.find_delivery(connection, delivery_id, account=rt.account)
    if found is None or of_webhook not in {None, found.webhook_id}:
        raise NoSuchWebhook(f"There is no delivery {delivery_id}.")
    _replay(rt, found.webhook_id, [delivery_id], actor)
    return found


def replay_failed(rt: Runtime, webhook_id: int, *, since: datetime, actor: str) -> int:
    """Send again what was given up, of messages since then; answers how many.

    Raises:
        NoSuchWebhook: If there is no such webhook.
    """
    auditing.checked_actor(actor)
    find(rt, webhook_id)
    with rt.db.read() as connection:
        ids = hooks.failed_since(connection, webhook_id, since=since, limit=MAX_REPLAYED)
    return _replay(rt, webhook_id, ids, actor) if ids else 0


def try_out(rt: Runtime, id: int) -> Tried:
    """Send one signed message of the type ``test`` now. It is in no log, and is not sent again.

    Raises:
        NoSuchWebhook: If there is none.
    """
    webhook, now = find(rt, id), rt.clock()
    ref = f"msg_test_{uuid.uuid4().hex}"
    answer, error = sending.post(rt, webhook, ref, body_of("test", {"webhook": id}, at=now.isoformat()))
    return Tried(message_ref=ref, code=None if answer is None else answer.code, error=error)


def _replay(rt: Runtime, webhook_id: int, ids: Sequence[int], actor: str) -> int:
    now, done = rt.clock(), 0
    with rt.db.write() as connection:
        for start in range(0, len(ids), sending.BATCH):
            some = ids[start : start + sending.BATCH]
            done += hooks.replay(connection, some, now=now, give_up_at=now + GIVE_UP_AFTER)
        told = {"replayed": list(ids) if len(ids) <= NAMED else f"{len(ids)} deliveries"}
        _record(rt, connection, webhook_id, actor, Action.EDIT, {"replayed": None}, told)
    return done


def _activate(rt: Runtime, id: int, since: datetime | None, actor: str) -> bool:
    auditing.checked_actor(actor)
    webhook = find(rt, id)
    with rt.db.write() as connection:
        if not hooks.activate(connection, id, since=since, now=rt.clock()):
            return False
        after = replace(webhook, active_since=since)
        _record(rt, connection, id, actor, Action.STATUS, _described(webhook), _described(after))
    return True


def _record(
    rt: Runtime,
    connection: Any,
    id: int,
    actor: str,
    action: Action,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    subject = subject_of(id)
    auditing.record(rt, connection, actor=actor, action=action, subject=subject, before=before, after=after)


def _described(webhook: Webhook) -> dict[str, Any]:
    """An endpoint as the audit log keeps it: no secret, and nothing of the URL that could hold one."""
    until = webhook.previous_until
    return {
        "host": _host(webhook.url),
        "kinds": list(webhook.kinds),
        "active": webhook.active_since is not None,
        "secret_before_signs_until": None if until is None else until.isoformat(),
    }


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _kind(kind: str) -> EventKind:
    try:
        return EventKind(kind)
    except ValueError as error:
        raise InvalidInput(f"There is no event {kind!r}; the events are {', '.join(EventKind)}.") from error
