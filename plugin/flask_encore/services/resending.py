"""Hand a message to the shop's handlers once more, because a merchant asked: it was lost there, or they are mended.

Handlers are idempotent by charge_ref, so who has taken a message takes it again without effect. What a worker has in
its hands at this moment is left to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask_encore.services import auditing
from flask_encore.services.auditing import Action
from flask_encore.services.delivering import HANDLER_TIME
from flask_encore.services.runtime import Runtime
from flask_encore.store import outbox


def subject_of(id: int) -> str:
    """What the audit log calls a message: no campaign can be called so."""
    return f"message {id}"


def find(rt: Runtime, id: int) -> Mapping[Any, Any] | None:
    """The row of a message of this shop; ``None`` when there is none."""
    with rt.db.read() as connection:
        return outbox.find(connection, id, account=rt.account)


def can_resend(delivered_at: datetime | None, next_run_at: datetime | None, *, now: datetime) -> bool:
    """Whether a message is in nobody's hands: it was taken, or it waits for longer than a handler may take."""
    return delivered_at is not None or (next_run_at is not None and next_run_at > now + HANDLER_TIME)


def resend(rt: Runtime, id: int, *, actor: str) -> bool:
    """Hand the message to every handler of its kind again, as soon as a worker comes by. Audited.

    It is the same message, in the same place among those of its order: later ones that were not taken yet wait for it.
    Webhooks are not sent again. False, and nothing changed, when there is no such message or it is on its way anyway.
    """
    auditing.checked_actor(actor)
    now = rt.clock()
    with rt.db.write() as connection:
        row = outbox.resend(connection, id, account=rt.account, now=now, held_until=now + HANDLER_TIME)
        if row is None:
            return False
        auditing.record(
            rt,
            connection,
            actor=actor,
            action=Action.RESEND,
            subject=subject_of(id),
            before=None,
            after={"order_ref": row["order_ref"], "kind": row["kind"], "charge_ref": row["charge_id"]},
        )
    rt.wake()
    return True
