"""Give the money back: the shopper's undo and the merchant's refund are one path, with the row before the call.

`settle_refunds` is the only writer of what Stripe says about refunds; undo, merchant, webhook and sweeper end there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from flask_encore.domain.charges import Charge, ChargeStatus, sources
from flask_encore.domain.errors import GatewayBusy, GatewayRefused, GatewayUnknown
from flask_encore.domain.events import ChargeEvent, EventKind
from flask_encore.domain.ports import GatewayEvent, RefundSnapshot, RefundStatus
from flask_encore.services.runtime import Runtime, logger
from flask_encore.services.settling import METADATA_KEY, after_commit, record_event, tell
from flask_encore.store import catalog, charges, outbox, refunds

#: A bank that takes a refund as "pending" answers in days; asking once an hour is plenty beside the webhook.
PENDING_ASK_AGAIN = timedelta(hours=1)
#: After a refund call without an answer.
UNKNOWN_ASK_AGAIN = timedelta(seconds=30)


def undo(rt: Runtime, charge: Charge) -> Charge:
    """Undo an accepted offer for the shopper: full refund, stock back, exactly once, while the hold lasts.

    Answers the charge as it stands afterwards; when time was over or it is undone already, nothing moved.
    """
    return _refund(rt, charge, cause="undo", actor="shopper")


def refund(rt: Runtime, charge: Charge, *, actor: str) -> Charge:
    """Refund a charge in full for the merchant, at any time after success. Idempotent."""
    return _refund(rt, charge, cause="merchant", actor=actor)


def resume(rt: Runtime, charge: Charge) -> Charge:
    """Finish a refund that has no answer yet. Begins with GET; asks anew only when Stripe has no such refund."""
    assert rt.gateway is not None and charge.payment_intent_ref is not None
    known = rt.gateway.refunds_of(charge.payment_intent_ref)
    with rt.db.read() as connection:
        row = refunds.open_request(connection, charge.id)
    if row is None or row["refund_ref"] is not None or any(_seq(charge, told) == row["seq"] for told in known):
        return settle_refunds(rt, charge, known)
    return _ask(rt, charge, row["seq"])


def settle_refunds(
    rt: Runtime, charge: Charge, told: Sequence[RefundSnapshot], *, event: GatewayEvent | None = None
) -> Charge:
    """Write what Stripe says about the refunds of *charge*: each row, and the charge once all of it went back.

    Idempotent and monotonic, like `settling.settle`.
    """
    now = rt.clock()
    back = sum(one.amount.minor_units for one in told if one.status is RefundStatus.SUCCEEDED)
    alive = any(one.status in {RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION} for one in told)
    said: ChargeEvent | None = None
    with rt.db.write() as connection:
        moved: Charge | None = None
        if back >= charge.amount.minor_units:
            moved = charges.move(
                connection,
                charge,
                to=ChargeStatus.REFUNDED,
                sources=sources(ChargeStatus.REFUNDED),
                now=now,
                next_run_at=None,
                lease_token=None,
                lease_until=None,
            )
            if moved is not None:
                if moved.hold_released_at is None:
                    catalog.release(connection, charge.sku, charge.quantity)
                said = tell(connection, moved, now)
        elif told and not alive:
            moved = _refund_failed(connection, rt, charge)
            if moved is not None:
                said = ChargeEvent.of(EventKind.REFUND_FAILED, moved, at=now)
                outbox.add(connection, said, moved, now=now)
        for one in told:
            refunds.record(connection, charge, one, seq=_seq(charge, one), now=now)
        if event is not None:
            record_event(connection, rt, event, now, effect="applied" if moved else "duplicate")
        current = moved or charges.find(connection, charge.id)
    assert current is not None
    after_commit(rt, said)
    return current


def settle_dispute(rt: Runtime, charge: Charge, *, event: GatewayEvent) -> Charge:
    """Write that the cardholder's bank disputes *charge*, after asking Stripe whether it does."""
    assert rt.gateway is not None and charge.payment_intent_ref is not None
    disputed = rt.gateway.is_disputed(charge.payment_intent_ref)
    now = rt.clock()
    said: ChargeEvent | None = None
    with rt.db.write() as connection:
        moved = None
        if disputed:
            moved = charges.move(
                connection,
                charge,
                to=ChargeStatus.DISPUTED,
                sources=sources(ChargeStatus.DISPUTED),
                now=now,
                next_run_at=None,
            )
            if moved is not None:
                said = tell(connection, moved, now)
        record_event(connection, rt, event, now, effect="applied" if moved else "duplicate")
        current = moved or charges.find(connection, charge.id)
    assert current is not None
    after_commit(rt, said)
    return current


def _refund(rt: Runtime, charge: Charge, *, cause: str, actor: str) -> Charge:
    now = rt.clock()
    seq = 0
    with rt.db.write() as connection:
        moved = charges.move(
            connection,
            charge,
            to=ChargeStatus.REFUNDING,
            sources={ChargeStatus.SUCCEEDED},
            now=now,
            undoable=cause == "undo",
            next_run_at=now + UNKNOWN_ASK_AGAIN,
            lease_token=None,
            lease_until=None,
        )
        if moved is not None:
            seq = refunds.request(connection, moved, cause=cause, actor=actor, now=now)
        current = moved or charges.find(connection, charge.id)
    assert current is not None
    return current if moved is None else _ask(rt, moved, seq)


def _ask(rt: Runtime, charge: Charge, seq: int) -> Charge:
    """Ask Stripe for the refund *seq*. Its own guard refuses more than was charged, whatever happened before."""
    assert rt.gateway is not None and charge.payment_intent_ref is not None
    try:
        told: Sequence[RefundSnapshot] = [
            rt.gateway.refund(
                charge.payment_intent_ref,
                charge.amount,
                idempotency_key=f"encore:{charge.id}:refund:{seq}",
                metadata={METADATA_KEY: charge.id, "encore_refund": str(seq)},
            )
        ]
    except (GatewayUnknown, GatewayBusy) as error:
        logger.warning("refund of %s: no answer from Stripe (%s)", charge.id, type(error).__name__)
        rt.counts.add("refund_unknown")
        rt.wake()
        return charge
    except GatewayRefused as error:
        return _refused(rt, charge, seq, code=error.code)
    return settle_refunds(rt, charge, told)


def _refused(rt: Runtime, charge: Charge, seq: int, *, code: str) -> Charge:
    """Stripe will not refund: because it did already (another way), because of a dispute, or for good."""
    assert rt.gateway is not None and charge.payment_intent_ref is not None
    logger.warning("refund of %s refused by Stripe: %s", charge.id, code)
    known = rt.gateway.refunds_of(charge.payment_intent_ref)
    back = sum(one.amount.minor_units for one in known if one.status is RefundStatus.SUCCEEDED)
    now = rt.clock()
    with rt.db.write() as connection:
        refunds.fail(connection, charge.id, seq, now=now)
    if back >= charge.amount.minor_units:
        return settle_refunds(rt, charge, known)
    said: ChargeEvent | None = None
    with rt.db.write() as connection:
        moved = _refund_failed(connection, rt, charge)
        if moved is not None:
            said = ChargeEvent.of(EventKind.REFUND_FAILED, moved, at=now, detail=code)
            outbox.add(connection, said, moved, now=now)
        current = moved or charges.find(connection, charge.id)
    assert current is not None
    after_commit(rt, said)
    return current


def _refund_failed(connection: object, rt: Runtime, charge: Charge) -> Charge | None:
    """The money stays: back to succeeded, and the hold ends when it would have."""
    now = rt.clock()
    return charges.move(
        connection,  # type: ignore[arg-type]
        charge,
        to=ChargeStatus.SUCCEEDED,
        sources={ChargeStatus.REFUNDING},
        now=now,
        next_run_at=None if charge.hold_released_at else (charge.undo_until or now),
        lease_token=None,
        lease_until=None,
    )


def _seq(charge: Charge, told: RefundSnapshot) -> int | None:
    """Which of our requests this refund answers; ``None`` when somebody else asked for it."""
    if told.metadata.get(METADATA_KEY) != charge.id:
        return None
    text = told.metadata.get("encore_refund", "")
    return int(text) if text.isdecimal() else None
