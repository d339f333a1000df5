"""Give the money back: the shopper's undo and the merchant's refund are one path, with the row before the call.

`settle_refunds` is the only writer of what Stripe says about refunds; undo, merchant, webhook and sweeper end there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from flask_encore.domain.charges import Charge, ChargeStatus, sources
from flask_encore.domain.errors import GatewayError, GatewayRefused, GatewayUnknown
from flask_encore.domain.events import ChargeEvent, EventKind
from flask_encore.domain.money import Money
from flask_encore.domain.ports import CHARGE_KEY, GatewayEvent, RefundSnapshot
from flask_encore.domain.timeline import Source
from flask_encore.services.runtime import Runtime, logger
from flask_encore.services.settling import after_commit, last_look, record_event, tell, words
from flask_encore.store import catalog, charges, outbox, refunds

#: A bank that takes a refund as "pending" answers in days; asking once an hour is plenty beside the webhook.
PENDING_ASK_AGAIN = timedelta(hours=1)
#: After a refund call without an answer.
UNKNOWN_ASK_AGAIN = timedelta(seconds=30)


class _Underway(Exception):
    """Another refund of this charge has no answer yet; rolls the request for a second one back."""


def undo(rt: Runtime, charge: Charge) -> Charge:
    """Undo an accepted offer for the shopper: full refund, stock back, exactly once, while the hold lasts.

    Answers the charge as it stands afterwards; when time was over or it is undone already, nothing moved.
    """
    return _refund(rt, charge, cause="undo", actor="shopper", source=Source.SHOPPER)


def refund(rt: Runtime, charge: Charge, *, actor: str) -> Charge:
    """Refund a charge in full for the merchant, at any time after success. Idempotent."""
    return _refund(rt, charge, cause="merchant", actor=actor, source=Source.MERCHANT)


def resume(rt: Runtime, charge: Charge, *, source: Source) -> Charge:
    """Finish a refund that has no answer yet. Begins with GET; asks anew only when Stripe has no such refund."""
    assert rt.gateway is not None and charge.payment_intent_ref is not None
    known = rt.gateway.refunds_of(charge.payment_intent_ref)
    with rt.db.read() as connection:
        row = refunds.open_request(connection, charge.id)
    if row is None or row["refund_ref"] is not None or any(_seq(charge, told) == row["seq"] for told in known):
        return settle_refunds(rt, charge, known, source=source)
    return _ask(rt, charge, row["seq"], row["amount_minor"], source=source, looked=True)


def settle_refunds(
    rt: Runtime,
    charge: Charge,
    told: Sequence[RefundSnapshot],
    *,
    source: Source,
    event: GatewayEvent | None = None,
    refused: tuple[int, str] | None = None,
) -> Charge:
    """Write what Stripe says about refunds of *charge*: each row, then the charge as its rows add up.

    Idempotent and monotonic, like `settling.settle`. A charge is refunding as long as one of its refunds is open and
    the rest of its money went back.

    Args:
        told: Any of its refunds; those that are missing stay what they were.
        source: Who brought the news; *event* when it was a webhook.
        refused: The seq of a request Stripe will not execute, and its code for why.
    """
    now = rt.clock()
    with rt.db.write() as connection:
        charges.recount(connection, charge.id)
        for one in told:
            refunds.record(connection, charge, one, seq=_seq(charge, one), now=now)
        if refused is not None:
            refunds.fail(connection, charge.id, refused[0], now=now)
        rows = refunds.of_charge(connection, charge.id)
        detail = words(refused[1] if refused else None, event)
        moved = _add_up(connection, charge, rows, now, source=source, detail=detail)
        said = [] if moved is None else [tell(connection, moved, now)] if moved.status is ChargeStatus.REFUNDED else []
        current = moved or charges.find(connection, charge.id)
        assert current is not None
        said += [_tell_failed(connection, current, row, now) for row in rows if row["status"] == "failed"]
        record_event(connection, rt, event, now, effect="applied" if moved else "duplicate")
    after_commit(rt, *said)
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
                source=Source.WEBHOOK,
                detail=event.id,
                next_run_at=None,
            )
            if moved is not None:
                said = tell(connection, moved, now)
        record_event(connection, rt, event, now, effect="applied" if moved else "duplicate")
        current = moved or charges.find(connection, charge.id)
    assert current is not None
    after_commit(rt, said)
    return current


def _take_back(rt: Runtime, charge: Charge, *, cause: str, actor: str, source: Source) -> Charge:
    """Undo what was given for free: no money has to come back and nobody has to be asked, so one write does it."""
    now = rt.clock()
    said = None
    with rt.db.write() as connection:
        moved = charges.move(
            connection,
            charge,
            to=ChargeStatus.REFUNDED,
            sources=sources(ChargeStatus.REFUNDED, free=True),
            now=now,
            source=source,
            detail=_by(actor, source),
            undoable=cause == "undo",
            next_run_at=None,
            lease_token=None,
            lease_until=None,
        )
        if moved is not None:
            # Who took it back, and why, is written down as for every other charge.
            seq = refunds.request(connection, moved, amount_minor=0, cause=cause, actor=actor, now=now)
            refunds.succeed(connection, charge.id, seq, now=now)
            if moved.hold_released_at is None:
                catalog.release_all(connection, moved.skus, moved.reserved)
            said = tell(connection, moved, now)
        current = moved or charges.find(connection, charge.id)
    assert current is not None
    after_commit(rt, said)
    return current


def _refund(rt: Runtime, charge: Charge, *, cause: str, actor: str, source: Source) -> Charge:
    if charge.is_free:
        return _take_back(rt, charge, cause=cause, actor=actor, source=source)
    now = rt.clock()
    try:
        with rt.db.write() as connection:
            moved = charges.move(
                connection,
                charge,
                to=ChargeStatus.REFUNDING,
                sources={ChargeStatus.SUCCEEDED},
                now=now,
                source=source,
                detail=f"refund requested {_by(actor, source)}",
                undoable=cause == "undo",
                next_run_at=now + UNKNOWN_ASK_AGAIN,
                lease_token=None,
                lease_until=None,
                tries=0,
            )
            if moved is None:
                current = charges.find(connection, charge.id)
                assert current is not None
                return current
            rows = refunds.of_charge(connection, charge.id)
            if _open(rows):
                raise _Underway
            amount_minor = charge.amount.minor_units - _back(rows)
            seq = refunds.request(connection, moved, amount_minor=amount_minor, cause=cause, actor=actor, now=now)
    except _Underway:
        return charge
    current = _ask(rt, moved, seq, amount_minor, source=source)
    if current.status is ChargeStatus.SUCCEEDED:
        with rt.db.read() as connection:
            left = charge.amount.minor_units - _back(refunds.of_charge(connection, charge.id))
        if 0 < left < amount_minor:
            # Somebody else had refunded a part of it and nobody had told us: now that we know, the rest.
            return _refund(rt, current, cause=cause, actor=actor, source=source)
    return current


def _by(actor: str, source: Source) -> str:
    """Who asked, where the source does not say it already."""
    return f"by {actor}" if source is Source.MERCHANT else ""


def _ask(rt: Runtime, charge: Charge, seq: int, amount_minor: int, *, source: Source, looked: bool = False) -> Charge:
    """Ask Stripe for the refund *seq*. Its own guard refuses more than was charged, whatever happened before.

    Args:
        looked: Whether Stripe was seen to have no such refund just now.
    """
    assert rt.gateway is not None and charge.payment_intent_ref is not None
    try:
        told = rt.gateway.refund(
            charge.payment_intent_ref,
            Money(amount_minor, charge.amount.currency),
            idempotency_key=f"encore:{charge.id}:refund:{seq}",
            metadata={CHARGE_KEY: charge.id, "encore_refund": str(seq)},
        )
        return settle_refunds(rt, charge, [told], source=source)
    except GatewayRefused as error:
        logger.warning("refund of %s refused by Stripe: %s", charge.id, error.code)
        return _refused(rt, charge, seq, source=source, code=error.code)
    except GatewayError as error:
        logger.warning("refund of %s: no answer from Stripe (%s)", charge.id, type(error).__name__)
        if looked and isinstance(error, GatewayUnknown) and error.answer_stored:
            # Stripe would repeat this failure for a day, and has no such refund: the next request is a new one.
            with rt.db.write() as connection:
                charges.recount(connection, charge.id)
                refunds.renumber(connection, charge.id, seq)
        rt.counts.add("refund_unknown")
        rt.wake()
        return charge


def _refused(rt: Runtime, charge: Charge, seq: int, *, source: Source, code: str) -> Charge:
    """Stripe will not refund: because it did already (another way), because of a dispute, or for good."""
    assert rt.gateway is not None and charge.payment_intent_ref is not None
    try:
        known = rt.gateway.refunds_of(charge.payment_intent_ref)
    except GatewayError:
        return charge  # the request stays open; the sweeper asks again and gets here again
    return settle_refunds(rt, charge, known, source=source, refused=(seq, code))


def _add_up(
    connection: Any,
    charge: Charge,
    rows: Sequence[Mapping[Any, Any]],
    now: datetime,
    *,
    source: Source,
    detail: str,
) -> Charge | None:
    """Move the charge to where the refunds in *rows* put it; ``None`` when it is there already."""
    wanted, back = charge.amount.minor_units, _back(rows)
    if back >= wanted:
        moved = charges.move(
            connection,
            charge,
            to=ChargeStatus.REFUNDED,
            sources=sources(ChargeStatus.REFUNDED),
            now=now,
            source=source,
            detail=detail,
            next_run_at=last_look(charge, now),
            lease_token=None,
            lease_until=None,
        )
        if moved is not None and moved.hold_released_at is None:
            catalog.release_all(connection, charge.skus, charge.reserved)
        return moved
    underway = _open(rows)
    if not underway:
        return _refund_failed(connection, charge, now, source=source, detail=detail)
    pending = sum(row["amount_minor"] for row in underway if row["status"] == "pending")
    if back + pending >= wanted:
        return charges.move(
            connection,
            charge,
            to=ChargeStatus.REFUNDING,
            sources={ChargeStatus.SUCCEEDED, ChargeStatus.REFUNDING},
            now=now,
            source=source,
            detail=words("refund pending", detail),
            again=False,
            next_run_at=now + PENDING_ASK_AGAIN,
            lease_token=None,
            lease_until=None,
        )
    return None


def _refund_failed(connection: Any, charge: Charge, now: datetime, *, source: Source, detail: str) -> Charge | None:
    """The money stays: back to succeeded, and the hold ends when it would have."""
    return charges.move(
        connection,
        charge,
        to=ChargeStatus.SUCCEEDED,
        sources={ChargeStatus.REFUNDING},
        now=now,
        source=source,
        detail=words("refund failed", detail),
        next_run_at=None if charge.hold_released_at else (charge.undo_until or now),
        lease_token=None,
        lease_until=None,
    )


def _tell_failed(connection: Any, charge: Charge, row: Mapping[Any, Any], now: datetime) -> ChargeEvent | None:
    """Tell the merchant of a refund that failed, once, even when it had succeeded before (banks send money back)."""
    said = ChargeEvent.of(EventKind.REFUND_FAILED, charge, at=now)
    return said if outbox.add(connection, said, charge, now=now, about=row["seq"]) else None


def _open(rows: Sequence[Mapping[Any, Any]]) -> list[Mapping[Any, Any]]:
    return [row for row in rows if row["status"] in {"requested", "pending"}]


def _back(rows: Sequence[Mapping[Any, Any]]) -> int:
    """Minor units that went back."""
    return sum(row["amount_minor"] for row in rows if row["status"] == "succeeded")


def _seq(charge: Charge, told: RefundSnapshot) -> int | None:
    """Which of our requests this refund answers; ``None`` when somebody else asked for it."""
    if told.metadata.get(CHARGE_KEY) != charge.id:
        return None
    text = told.metadata.get("encore_refund", "")
    return int(text) if text.isdecimal() else None
