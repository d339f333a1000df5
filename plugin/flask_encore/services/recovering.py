"""Learn outcomes nobody waited for. The sweeper, the poll and the webhook look a charge up, ask Stripe, and settle.

Nothing here is a retry in the sense of a second charge: every road begins with GET and ends in `settling.settle` or
`refunding.settle_refunds`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_encore.domain.charges import PAID, Charge, ChargeStatus
from flask_encore.domain.errors import GatewayError, GatewayRefused
from flask_encore.domain.events import ChargeEvent, EventKind
from flask_encore.domain.offers import Reason
from flask_encore.domain.ports import CHARGE_KEY, GatewayEvent, IntentStatus, RefundStatus
from flask_encore.domain.timeline import Source
from flask_encore.services import charging, delivering, fee_finding, recording, refunding
from flask_encore.services.offering import Offered
from flask_encore.services.runtime import Runtime, logger
from flask_encore.services.settling import AlreadySeen, after_commit, last_look, quarantine, record_event, settle
from flask_encore.store import charges, events, orders, outbox

#: How long an accepted offer whose outcome is unknown is still carried through: a Friday's bad deploy plus the
#: weekend. After that the shopper has long been told nothing, so it is cancelled instead.
RECOVER_FOR = timedelta(hours=72)

#: Wait before looking again, doubled each time: 5 s, 10 s, … up to 15 minutes.
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=15)

#: Charges of one sweep; the next sweep comes in seconds.
BATCH = 100

HEARTBEAT = "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one sweep did."""

    charges: int
    payments: int
    delivered: int


def sweep(rt: Runtime, *, return_url: str = "") -> Swept:
    """Look once at everything that is due: stale claims, unknown outcomes, expired actions, ends of holds, refunds
    without an answer, payments that could not be verified, undelivered messages; then fees nobody knows yet. Safe to
    run anywhere, any number of times at once.
    """
    seen = 0
    without_fee: list[tuple[str, datetime]] = []
    if rt.gateway is not None:
        with rt.db.read() as connection:
            due, without_fee = charges.due(connection, account=rt.account, now=rt.clock(), limit=BATCH)
        for charge_id in due:
            try:
                seen += look(rt, charge_id, source=Source.SWEEPER, return_url=return_url) is not None
            except Exception:
                # One bad row keeps its lease for a while; the others, and the messages, must not wait for it.
                rt.counts.add("look_failed")
                logger.exception("the sweeper could not look at charge %s", charge_id)
    delivered = delivering.deliver(rt)
    verified = recording.verify_later(rt)
    with rt.db.write() as connection:
        events.beat(connection, HEARTBEAT, now=rt.clock())
    fee_finding.find(rt, without_fee)
    return Swept(charges=seen, payments=verified, delivered=delivered)


def refresh(rt: Runtime, offered: Offered, *, return_url: str) -> Charge | None:
    """The shopper's page asks how it stands: ask Stripe, unless somebody is doing that right now."""
    charge = offered.charge
    if charge is None or rt.gateway is None:
        return charge
    return look(rt, charge.id, source=Source.POLL, return_url=return_url) or charge


def look(rt: Runtime, charge_id: str, *, source: Source, return_url: str) -> Charge | None:
    """Take one charge and carry it as far as it goes now. ``None``: another worker has it."""
    now, token = rt.clock(), uuid.uuid4().hex
    with rt.db.write() as connection:
        leased = charges.lease(connection, charge_id, token=token, now=now, until=now + charging.LEASE)
    if leased is None:
        return None
    charge, tries = leased
    next_run_at: datetime | None = now + min(FIRST_WAIT * 2 ** min(tries, 10), LONGEST_WAIT)
    try:
        current = _one(rt, charge, token=token, source=source, return_url=return_url)
        next_run_at = _next_look(current, next_run_at)
    except GatewayError as error:
        logger.warning("charge %s: Stripe gave no answer to the %s (%s)", charge_id, source, type(error).__name__)
        current = charge
        if isinstance(error, GatewayRefused) and now - charge.accepted_at > RECOVER_FOR:
            # It will be refused tomorrow as well (another key, an object that is gone): somebody has to look.
            current = quarantine(rt, charge, reason=f"refused_{error.code}"[:80], source=source)
    with rt.db.write() as connection:
        # Whoever settled it gave the lease back and said when to look again; then this changes nothing.
        charges.postpone(connection, charge_id, token=token, next_run_at=next_run_at, now=now)
    return current


def _next_look(charge: Charge, backoff: datetime | None) -> datetime | None:
    match charge.status:
        case ChargeStatus.CANCELED | ChargeStatus.REFUNDED | ChargeStatus.DISPUTED:
            return None
        case ChargeStatus.SUCCEEDED:
            return None if charge.hold_released_at else charge.undo_until
        case ChargeStatus.ACTION_REQUIRED | ChargeStatus.FAILED if backoff is not None:
            return max(backoff, charge.expires_at)
    return backoff


def _one(rt: Runtime, charge: Charge, *, token: str, source: Source, return_url: str) -> Charge:
    assert rt.gateway is not None
    now = rt.clock()
    match charge.status:
        case ChargeStatus.CLAIMED | ChargeStatus.INTENT | ChargeStatus.CONFIRMING | ChargeStatus.UNKNOWN:
            if now - charge.accepted_at > RECOVER_FOR:
                return charging.cancel(rt, charge, source=source)
            return charging.drive(rt, charge, token=token, source=source, resuming=True, return_url=return_url)
        case ChargeStatus.ACTION_REQUIRED | ChargeStatus.FAILED if now >= charge.expires_at:
            return charging.cancel(rt, charge, source=source)
        case ChargeStatus.ACTION_REQUIRED | ChargeStatus.FAILED | ChargeStatus.PROCESSING:
            assert charge.payment_intent_ref is not None
            return settle(rt, charge, rt.gateway.intent(charge.payment_intent_ref), source=source)
        case ChargeStatus.SUCCEEDED if charge.hold_released_at is None:
            return _release_hold(rt, charge, source=source)
        case ChargeStatus.REFUNDING:
            return refunding.resume(rt, charge, source=source)
    if charge.epoch:
        charging.cancel_orphans(rt, charge)
    return charge


def _release_hold(rt: Runtime, charge: Charge, *, source: Source) -> Charge:
    """The time to undo is over: tell the merchant to fulfil, once. Undo is refused from this commit on."""
    now = rt.clock()
    with rt.db.write() as connection:
        released = charges.release_hold(connection, charge, next_run_at=last_look(charge, now), now=now, source=source)
        if released is not None:
            told = ChargeEvent.of(EventKind.HOLD_RELEASED, released, at=now)
            outbox.add(connection, told, released, now=now)
    if released is None:
        return charge
    after_commit(rt, told)
    return released


def receive(rt: Runtime, event: GatewayEvent) -> str:
    """Apply a verified webhook; answers what it did: ``applied``, ``duplicate`` or ``ignored``.

    Its content is not believed: the object is read anew from Stripe, outside any transaction, and the event's row is
    written in the transaction of its effect (invariant I6). Raises what the database or Stripe raises, so that
    Stripe delivers it again.
    """
    assert rt.gateway is not None
    if event.livemode != rt.gateway.livemode or (event.account or "") != rt.account:
        return "ignored"
    with rt.db.read() as connection:
        found = charges.of_event(connection, event, account=rt.account) if event.payment_intent_ref else None
    if found is None:
        # The shop's own payments come this way too, and an intent we created and did not commit.
        return _stray(rt, event) if event.charge_ref else _original(rt, event)
    charge, seen = found
    if seen:
        return "duplicate"
    try:
        if event.type.startswith(("charge.refund", "refund.")):
            assert charge.payment_intent_ref is not None
            told = rt.gateway.refunds_of(charge.payment_intent_ref)
            refunding.settle_refunds(rt, charge, told, source=Source.WEBHOOK, event=event)
        elif event.type.startswith("charge.dispute."):
            refunding.settle_dispute(rt, charge, event=event)
        elif event.type.startswith("payment_intent."):
            assert charge.payment_intent_ref is not None
            settle(rt, charge, rt.gateway.intent(charge.payment_intent_ref), source=Source.WEBHOOK, event=event)
        else:
            return _note(rt, event)
    except AlreadySeen:
        return "duplicate"
    return "applied"


def _stray(rt: Runtime, event: GatewayEvent) -> str:
    """An intent that names a charge of ours and is not its committed one: the sweeper's to find or to cancel.

    Unless it is paid, which we never do: somebody confirmed it by hand. Then money moved beside the charge.
    """
    assert rt.gateway is not None
    with rt.db.read() as connection:
        charge = charges.find(connection, event.charge_ref)
    waiting = {ChargeStatus.CLAIMED, ChargeStatus.UNKNOWN}
    if charge is None or charge.account != rt.account or event.payment_intent_ref is None:
        return _note(rt, event)
    if event.type != "payment_intent.succeeded" or (charge.payment_intent_ref is None and charge.status in waiting):
        rt.wake()
        return _note(rt, event)
    intent = rt.gateway.intent(event.payment_intent_ref)
    if intent.status is not IntentStatus.SUCCEEDED or intent.metadata.get(CHARGE_KEY) != charge.id:
        return _note(rt, event)
    try:
        reason = "paid_twice" if charge.status in PAID else "paid_beside_the_charge"
        quarantine(rt, charge, reason=reason, source=Source.WEBHOOK, event=event)
    except AlreadySeen:
        return "duplicate"
    return "applied"


def _original(rt: Runtime, event: GatewayEvent) -> str:
    """News of the payment of an order: once it is disputed, or refunded in full, nothing is added to that order."""
    assert rt.gateway is not None
    paid_by = event.payment_intent_ref
    disputed = event.type == "charge.dispute.created"
    if paid_by is None or not (disputed or event.type == "charge.refunded"):
        return _note(rt, event)
    with rt.db.read() as connection:
        total = orders.total_of_payment(connection, paid_by, account=rt.account)
    if total is None:
        return _note(rt, event)
    if disputed:
        over, reason = rt.gateway.is_disputed(paid_by), Reason.ORDER_DISPUTED
    else:
        refunds = rt.gateway.refunds_of(paid_by)
        back = sum(refund.amount.minor_units for refund in refunds if refund.status is RefundStatus.SUCCEEDED)
        over, reason = back >= total.minor_units, Reason.ORDER_REFUNDED
    if not over:
        return _note(rt, event)
    now = rt.clock()
    try:
        with rt.db.write() as connection:
            closed = orders.close(connection, paid_by, account=rt.account, reason=reason, now=now)
            record_event(connection, rt, event, now, effect="applied" if closed else "duplicate")
    except AlreadySeen:
        return "duplicate"
    return "applied" if closed else "duplicate"


def _note(rt: Runtime, event: GatewayEvent) -> str:
    try:
        with rt.db.write() as connection:
            record_event(connection, rt, event, rt.clock(), effect="ignored")
    except AlreadySeen:
        return "duplicate"
    return "ignored"
