"""Somebody of the shop's steps in: ends the time to undo early, has a quarantined charge looked at again, or settles it
by hand. Each is one guarded write, its line in the timeline and its entry in the audit log, in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_encore.domain.charges import PAID, Charge, ChargeStatus, Verdict, judge
from flask_encore.domain.errors import GatewayRefused, InvalidInput
from flask_encore.domain.events import ChargeEvent, EventKind
from flask_encore.domain.orders import plain
from flask_encore.domain.ports import IntentSnapshot, IntentStatus, RefundStatus
from flask_encore.domain.timeline import Source
from flask_encore.services import auditing, charging
from flask_encore.services.auditing import Action, checked_actor
from flask_encore.services.runtime import Runtime
from flask_encore.services.settling import after_commit, disagreement, last_look, outcome_of, settle
from flask_encore.store import charges, outbox, quarantines

#: Characters of a note about what was done by hand.
MAX_NOTE = 500


def subject_of(charge: Charge) -> str:
    """What the audit log calls a charge: no campaign can be called so."""
    return f"charge {charge.id}"


def release_early(rt: Runtime, charge: Charge, *, actor: str) -> Charge:
    """End the time to undo now: the merchant may fulfil and the shopper cannot undo here any more, from this commit on.

    Idempotent, and of it, an undo and the end of the hold at one time exactly one is written. Answers the charge as it
    stands afterwards; what was released before, undone, quarantined or never charged stays what it is.

    Raises:
        InvalidInput: If *actor* is no name.
    """
    who, now = checked_actor(actor), rt.clock()
    told = None
    with rt.db.write() as connection:
        released = charges.release_hold(
            connection,
            charge,
            next_run_at=last_look(charge, now),
            now=now,
            source=Source.MERCHANT,
            detail=f"early by {who}",
            early=True,
        )
        if released is not None:
            told = ChargeEvent.of(EventKind.HOLD_RELEASED, released, at=now)
            outbox.add(connection, told, released, now=now)
            undo_until = released.undo_until
            _write_down(
                rt,
                connection,
                charge,
                who,
                Action.RELEASE,
                before={"undo_until": undo_until.isoformat() if undo_until else None},
                after={"undo_until": now.isoformat()},
            )
        current = released or charges.find(connection, charge.id)
    assert current is not None
    after_commit(rt, told)
    return current


def recheck(rt: Runtime, charge: Charge, *, actor: str) -> Charge:
    """Compare a quarantined charge with Stripe again, and give it back to everything automatic if they agree now.

    Then what Stripe says is settled as ever. If they do not agree it stays where it is, for the newest reason.
    Idempotent; only the quarantine that *charge* was read with is ended, not one that began meanwhile.

    Raises:
        GatewayError: If Stripe did not answer; nothing changed.
        InvalidInput: If *actor* is no name.
    """
    who = checked_actor(actor)
    if not charge.quarantine_reason:
        return charge
    assert rt.gateway is not None
    newest, intent = _compared(rt, charge)
    now, was = rt.clock(), charge.quarantine_reason
    by: Mapping[str, Any] = {"reason": was, "now": now, "source": Source.MERCHANT, "detail": f"by {who}"}
    written = None
    with rt.db.write() as connection:
        if not newest:
            written = quarantines.end(connection, charge.id, **by)
        elif newest != was:
            written = quarantines.change(connection, charge.id, newest=newest, **by)
        if written is not None:
            after = {"quarantine": newest or None}
            _write_down(rt, connection, charge, who, Action.RECHECK, before={"quarantine": was}, after=after)
        current = written or charges.find(connection, charge.id)
    assert current is not None
    if written is None or newest:
        return current
    if intent is not None:
        current = settle(rt, current, intent, source=Source.MERCHANT)
    # A refund under way, the end of a hold: the sweeper goes on where the quarantine stopped it.
    rt.wake()
    return current


def mark_reviewed(rt: Runtime, charge: Charge, *, actor: str, note: str) -> Charge:
    """Write that somebody settled a quarantined charge by hand, such as with a refund at Stripe; it stays quarantined.

    Idempotent: the first review of a quarantine counts. Answers the charge as it stands afterwards.

    Args:
        note: What was done, for the audit log; plain text of at most `MAX_NOTE` characters, and it may be empty.

    Raises:
        InvalidInput: If *actor* is no name, or *note* is too long.
    """
    who, now = checked_actor(actor), rt.clock()
    said = plain(note).strip()
    if len(said) > MAX_NOTE:
        raise InvalidInput(f"A note has at most {MAX_NOTE} characters, got {len(said)}.")
    with rt.db.write() as connection:
        reviewed = quarantines.review(
            connection,
            charge.id,
            reason=charge.quarantine_reason,
            now=now,
            source=Source.MERCHANT,
            detail=f"by {who}",
        )
        if reviewed is not None:
            before: Mapping[str, Any] = {"quarantine": charge.quarantine_reason, "reviewed_at": None}
            after = {**before, "reviewed_at": now.isoformat(), "note": said}
            _write_down(rt, connection, charge, who, Action.REVIEW, before=before, after=after)
        current = reviewed or charges.find(connection, charge.id)
    assert current is not None
    return current


def _compared(rt: Runtime, charge: Charge) -> tuple[str, IntentSnapshot | None]:
    """Why *charge* has to stay quarantined, empty when it has not; and Stripe's object, when it has one."""
    gateway = rt.gateway
    assert gateway is not None
    if charge.is_free:
        return "", None
    try:
        intent = None if charge.payment_intent_ref is None else gateway.intent(charge.payment_intent_ref)
        if _paid_elsewhere(rt, charge):
            return ("paid_twice" if charge.status in PAID else "paid_beside_the_charge"), intent
    except GatewayRefused as error:
        return f"refused_{error.code}"[:80], None
    if intent is None:
        return "", None
    problem = disagreement(charge, intent, livemode=gateway.livemode)
    if problem:
        return problem, intent
    outcome = outcome_of(charge, intent)
    if judge(charge.status, outcome) is Verdict.DOUBLE_PAYMENT:
        return "paid_after_cancel", intent
    if charge.status in PAID and outcome is not ChargeStatus.SUCCEEDED:
        return "status_mismatch", intent
    return "", intent


def _paid_elsewhere(rt: Runtime, charge: Charge) -> bool:
    """Whether money moved on another PaymentIntent that names *charge*, and did not go back in full."""
    assert rt.gateway is not None
    for stray in charging.named(rt.gateway, charge):
        if stray.ref == charge.payment_intent_ref or stray.status is not IntentStatus.SUCCEEDED:
            continue
        known = rt.gateway.refunds_of(stray.ref)
        back = sum(refund.amount.minor_units for refund in known if refund.status is RefundStatus.SUCCEEDED)
        if back < stray.amount_received:
            return True
    return False


def _write_down(
    rt: Runtime,
    connection: Any,
    charge: Charge,
    actor: str,
    action: Action,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    auditing.record(rt, connection, actor=actor, action=action, subject=subject_of(charge), before=before, after=after)
