"""Write an outcome. The only writer of what Stripe says about a charge: the click, the webhook, the sweeper and the
poll all end here, in one guarded UPDATE and its outbox row, in one transaction (invariant I3).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask_encore.domain.charges import Charge, ChargeStatus, Verdict, judge, sources
from flask_encore.domain.errors import GatewayError, IllegalTransition
from flask_encore.domain.events import EVENT_OF, ChargeEvent, EventKind
from flask_encore.domain.ports import CHARGE_KEY, GatewayEvent, IntentSnapshot, IntentStatus
from flask_encore.domain.timeline import Source
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import catalog, charges, events, outbox

#: How soon an outcome that is not final is asked about again, when no webhook came first.
ASK_AGAIN = timedelta(seconds=60)

#: How long after the money moved Stripe is asked what it kept. It writes that within an hour, and nobody waits for it.
ASK_FOR_FEE = timedelta(hours=1)


class AlreadySeen(Exception):
    """The webhook's effect is committed; roll back and answer 200."""


def outcome_of(charge: Charge, intent: IntentSnapshot) -> ChargeStatus:
    """A PaymentIntent's status as the status of *charge*."""
    match intent.status:
        case IntentStatus.SUCCEEDED:
            return ChargeStatus.SUCCEEDED
        case IntentStatus.REQUIRES_ACTION:
            return ChargeStatus.ACTION_REQUIRED
        case IntentStatus.PROCESSING:
            return ChargeStatus.PROCESSING
        case IntentStatus.CANCELED:
            return ChargeStatus.CANCELED
        case IntentStatus.REQUIRES_PAYMENT_METHOD:
            return ChargeStatus.FAILED
        case _:
            return ChargeStatus.INTENT


def disagreement(charge: Charge, intent: IntentSnapshot, *, livemode: bool) -> str:
    """How Stripe's object differs from what was frozen in the row; empty when it does not."""
    if intent.ref != charge.payment_intent_ref:
        return "intent_mismatch"
    if intent.metadata.get(CHARGE_KEY) != charge.id:
        return "metadata_mismatch"
    if intent.amount != charge.amount:
        return "amount_mismatch" if intent.amount.currency == charge.amount.currency else "currency_mismatch"
    if intent.status is IntentStatus.SUCCEEDED and intent.amount_received != charge.amount.minor_units:
        return "amount_received_mismatch"
    if intent.customer_ref != charge.customer_ref:
        return "customer_mismatch"
    return "" if intent.livemode == livemode else "livemode_mismatch"


def settle(
    rt: Runtime, charge: Charge, intent: IntentSnapshot, *, source: Source, event: GatewayEvent | None = None
) -> Charge:
    """Write what *intent* says about *charge*, and answer the charge as it stands afterwards.

    Idempotent and monotonic: the same news twice, or older news after newer, changes nothing.

    Args:
        source: Who brought the news, for the charge's timeline and the log.
        event: The webhook that brought it; its row is written in the same transaction.

    Raises:
        AlreadySeen: If the effect of *event* is committed.
    """
    now = rt.clock()
    assert rt.gateway is not None
    problem = disagreement(charge, intent, livemode=rt.gateway.livemode)
    if problem:
        return quarantine(rt, charge, reason=problem, source=source, event=event)
    status = outcome_of(charge, intent)
    card = _card(rt, charge, intent, status)
    allowed = sources(status)
    if status is ChargeStatus.FAILED and (intent.failure_code[:80], card) != (charge.failure_code, _card_of(charge)):
        # Another card, or another reason: news, although the status says the same.
        allowed |= {ChargeStatus.FAILED}
    told: ChargeEvent | None = None
    with rt.db.write() as connection:
        moved = None
        if status is not ChargeStatus.INTENT:
            values = _columns(rt, charge, status, intent, now)
            moved = charges.move(
                connection,
                charge,
                to=status,
                sources=allowed,
                now=now,
                source=source,
                detail=words(values["failure_code"], event),
                card_brand=card[0],
                card_last4=card[1],
                **values,
            )
        if moved is not None:
            if status is ChargeStatus.CANCELED:
                catalog.release_all(connection, charge.skus, charge.reserved)
            told = tell(connection, moved, now)
        current = moved or charges.find(connection, charge.id)
        assert current is not None
        if moved is None and judge(current.status, status) is Verdict.DOUBLE_PAYMENT:
            moved, told = _alarm(connection, current, reason="paid_after_cancel", now=now, source=source, event=event)
        record_event(connection, rt, event, now, effect="applied" if moved else "duplicate")
    if moved is None and judge(current.status, status) is Verdict.ILLEGAL:
        rt.counts.add("illegal_transition")
        logger.error("%s", IllegalTransition(f"charge {current.id}: {current.status} -> {status}"))
    elif moved is not None:
        logger.info("charge %s -> %s by %s", charge.id, moved.status, source)
        current = moved
    _raise_alarm(rt, told)
    after_commit(rt, told)
    return current


def settle_free(rt: Runtime, charge: Charge, *, source: Source) -> Charge:
    """End the charge of an offer that costs nothing: there is nobody to ask, so the claim is its success.

    The same guarded UPDATE and outbox row as `settle`; idempotent like it. A charge that costs something cannot get
    here, nor through the guard, nor past the table's constraint ``intent_first``.

    Raises:
        IllegalTransition: If *charge* is not free.
    """
    if not charge.is_free:
        raise IllegalTransition(f"charge {charge.id} of {charge.amount} cannot succeed without a PaymentIntent")
    now, status = rt.clock(), ChargeStatus.SUCCEEDED
    told = None
    with rt.db.write() as connection:
        moved = charges.move(
            connection,
            charge,
            to=status,
            sources=sources(status, free=True),
            now=now,
            source=source,
            detail="free",
            lease_token=None,
            lease_until=None,
            tries=0,
            **_held(rt, charge, now),
        )
        if moved is not None:
            told = tell(connection, moved, now)
        current = moved or charges.find(connection, charge.id)
    assert current is not None
    if moved is not None:
        logger.info("charge %s -> %s by %s, for free", charge.id, moved.status, source)
    after_commit(rt, told)
    return current


def cancel_unborn(rt: Runtime, charge: Charge, *, failure_code: str, source: Source) -> Charge:
    """End a charge that never got a PaymentIntent: nothing exists that could be charged. Its stock goes back."""
    now = rt.clock()
    told = None
    with rt.db.write() as connection:
        moved = charges.move(
            connection,
            charge,
            to=ChargeStatus.CANCELED,
            sources={ChargeStatus.CLAIMED, ChargeStatus.UNKNOWN},
            now=now,
            source=source,
            detail=failure_code,
            failure_code=failure_code[:80],
            next_run_at=last_look(charge, now),
            lease_token=None,
            lease_until=None,
        )
        if moved is not None:
            catalog.release_all(connection, charge.skus, charge.reserved)
            told = tell(connection, moved, now)
        current = moved or charges.find(connection, charge.id)
    assert current is not None
    after_commit(rt, told)
    return current


def quarantine(
    rt: Runtime, charge: Charge, *, reason: str, source: Source, event: GatewayEvent | None = None
) -> Charge:
    """Stop everything automatic about *charge* and raise the alarm. Its status stays what it is."""
    now = rt.clock()
    with rt.db.write() as connection:
        record_event(connection, rt, event, now, effect="quarantined")
        marked, told = _alarm(connection, charge, reason=reason, now=now, source=source, event=event)
        current = marked or charges.find(connection, charge.id)
    assert current is not None
    _raise_alarm(rt, told)
    after_commit(rt, told)
    return current


def _alarm(
    connection: Any, charge: Charge, *, reason: str, now: datetime, source: Source, event: GatewayEvent | None
) -> tuple[Charge | None, ChargeEvent | None]:
    """Quarantine, in the transaction that found out; nothing when it already is."""
    detail = words(event)
    marked = charges.quarantine(connection, charge.id, reason=reason, now=now, source=source, detail=detail)
    if marked is None:
        return None, None
    told = ChargeEvent.of(EventKind.CHARGE_QUARANTINED, marked, at=now, detail=reason)
    # Each quarantine is told, and the update above lets each begin once.
    outbox.add(connection, told, marked, now=now, about=int(now.timestamp() * 1_000_000))
    return marked, told


def _raise_alarm(rt: Runtime, told: ChargeEvent | None) -> None:
    if told is not None and told.kind is EventKind.CHARGE_QUARANTINED:
        rt.counts.add("charge_quarantined")
        logger.critical("charge %s quarantined: %s", told.charge_ref, told.detail)


def words(*known: str | GatewayEvent | None) -> str:
    """What is *known* of a change, in the few words of its line in the timeline; a webhook is named by its id."""
    return " ".join(word.id if isinstance(word, GatewayEvent) else word for word in known if word)


def last_look(charge: Charge, now: datetime) -> datetime | None:
    """When an ended charge is looked at once more, for PaymentIntents that creating it anew may have left behind."""
    return now if charge.epoch else None


def _card_of(charge: Charge) -> tuple[str, str]:
    return charge.card_brand, charge.card_last4


def _card(rt: Runtime, charge: Charge, intent: IntentSnapshot, status: ChargeStatus) -> tuple[str, str]:
    """Brand and last digits of the card this news is about, so that the shopper reads the right one.

    Only a card other than the offered one costs a question, and one without an answer costs no outcome: then the
    charge names no card rather than the wrong one.
    """
    if intent.card_last4:
        return intent.card_brand[:40], intent.card_last4[:4]
    if status is not ChargeStatus.SUCCEEDED or intent.payment_method_ref in {None, charge.payment_method_ref}:
        return _card_of(charge)
    assert rt.gateway is not None
    try:
        paid = rt.gateway.payment(intent.ref)
    except GatewayError:
        return "card", ""
    return paid.card_brand[:40], paid.card_last4[:4]


def _columns(
    rt: Runtime, charge: Charge, status: ChargeStatus, intent: IntentSnapshot, now: datetime
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "failure_code": intent.failure_code[:80] if status in {ChargeStatus.FAILED, ChargeStatus.CANCELED} else "",
        "lease_token": None,
        "lease_until": None,
        "tries": 0,
    }
    match status:
        case ChargeStatus.SUCCEEDED:
            return values | _held(rt, charge, now)
        case ChargeStatus.CANCELED:
            failure_code = intent.failure_code[:80] or charge.failure_code
            return values | {"next_run_at": last_look(charge, now), "failure_code": failure_code}
        case ChargeStatus.FAILED | ChargeStatus.ACTION_REQUIRED:
            # The sweeper's business only when the shopper's time is over.
            return values | {"next_run_at": max(charge.expires_at, now + ASK_AGAIN)}
        case _:
            return values | {"next_run_at": now + ASK_AGAIN}


def _held(rt: Runtime, charge: Charge, now: datetime) -> dict[str, Any]:
    """What success writes: the line is the order's, and held until it cannot be undone any more.

    For as long as its offer said; offers of earlier releases said what the configuration says.
    """
    undo_until = now + timedelta(seconds=charge.snapshot.get("undo_seconds", rt.settings.undo_seconds))
    fee_due_at = None if charge.is_free else now + ASK_FOR_FEE
    return {"charged_at": now, "undo_until": undo_until, "next_run_at": undo_until, "fee_due_at": fee_due_at}


def tell(connection: Any, charge: Charge, now: datetime) -> ChargeEvent | None:
    """Queue the event of the charge's status; ``None`` when it has none, or it was told about this attempt."""
    kind = EVENT_OF.get(charge.status)
    if kind is None:
        return None
    told = ChargeEvent.of(kind, charge, at=now, detail=charge.failure_code)
    return told if outbox.add(connection, told, charge, now=now) else None


def record_event(
    connection: Any, rt: Runtime, event: GatewayEvent | None, now: datetime, *, effect: str = "applied"
) -> None:
    if event is not None and not events.record(connection, event, account=rt.account, effect=effect, now=now):
        raise AlreadySeen


def after_commit(rt: Runtime, *told: ChargeEvent | None) -> None:
    """After the commit: in-process observers first, then the worker that feeds the host's handlers.

    What an observer raises is its own business: the money has moved, and whoever settled it goes on.
    """
    said = [event for event in told if event is not None]
    for event in said:
        try:
            rt.publish(event)
        except Exception:
            rt.counts.add("observer_failed")
            logger.exception("an observer of %s for order %s failed", event.kind, event.order_ref)
    if said:
        rt.wake()
