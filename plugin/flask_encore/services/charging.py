"""Take a claimed charge to its outcome, in two steps: an unconfirmed PaymentIntent whose id is committed, then its
confirmation (invariant I2).

Crash anywhere: before the id is committed, what exists at Stripe cannot be charged, and the next run finds it by list;
after that, the next run begins with GET. No call to Stripe is made inside a transaction (invariant I5).
Source of the flow and its proof: Brandur Leach, "Implementing Stripe-like idempotency keys in Postgres" (phases and
recovery points), made safe against forgotten keys.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from flask_encore.domain.agreements import Agreement
from flask_encore.domain.charges import Charge, ChargeStatus, sources
from flask_encore.domain.errors import GatewayBusy, GatewayError, GatewayRefused, GatewayUnknown
from flask_encore.domain.ports import CHARGE_KEY, Gateway, IntentRequest, IntentSnapshot, IntentStatus
from flask_encore.domain.timeline import Source
from flask_encore.services.runtime import Runtime, logger
from flask_encore.services.settling import cancel_unborn, disagreement, outcome_of, settle, settle_free
from flask_encore.store import charges

#: Longer than three Stripe calls at their longest (3 s to connect, 20 s to read each), so that a worker that is merely
#: slow is not overtaken.
LEASE = timedelta(seconds=90)

#: How far before the claim an intent of it can have been created by clocks that disagree.
CLOCK_SKEW = timedelta(minutes=10)

#: Attempts on one PaymentIntent, the first click included. Card networks punish more (Mastercard: 10 in 24 h), and
#: card testers need many.
MAX_ATTEMPTS = 5


#: After a click without an answer.
ASK_SOON = timedelta(seconds=5)


#: What a timeline says of a call that ended without an outcome.
_SILENCE: dict[type[GatewayError], str] = {
    GatewayUnknown: "no answer from Stripe",
    GatewayBusy: "Stripe was too busy",
    GatewayRefused: "refused by Stripe",
}


class _Overtaken(Exception):
    """Another worker was quicker, or the alarm went off: what we have in hand is not confirmed (invariant I2)."""

    def __init__(self, charge: Charge) -> None:
        super().__init__(charge.id)
        self.charge = charge


def keys(charge: Charge) -> dict[str, str]:
    """The idempotency keys of *charge*, pure functions of its row."""
    return {
        "create": f"encore:{charge.id}:create:{charge.epoch}",
        "confirm": f"encore:{charge.id}:confirm:{charge.attempt}",
        # Begun anew with every look at the row: a stored failure must not answer for a day. Cancelling twice is once.
        "cancel": f"encore:{charge.id}:cancel:{int(charge.updated_at.timestamp() * 1e6)}",
    }


def request_of(charge: Charge) -> IntentRequest:
    """What its PaymentIntent is created from; nothing that was not frozen in the row (invariant I4)."""
    return IntentRequest(
        amount=charge.amount,
        customer_ref=charge.customer_ref,
        payment_method_ref=charge.payment_method_ref,
        payment_method_type=charge.payment_method_type,
        description=f"{Agreement.of(charge).description} (added to order {charge.order_ref})",
        metadata={CHARGE_KEY: charge.id, "encore_order": charge.order_ref},
    )


def drive(rt: Runtime, charge: Charge, *, token: str, source: Source, resuming: bool, return_url: str) -> Charge:
    """Take a leased charge as far as it goes without the shopper, and give the lease back.

    Args:
        token: The lease.
        resuming: Whether anything may exist at Stripe already; then the first call is a GET.
        return_url: Where a bank that insists on a redirect sends the shopper.
    """
    if charge.is_free:
        return settle_free(rt, charge, source=source)
    gateway = rt.gateway
    assert gateway is not None
    try:
        if charge.payment_intent_ref is None:
            charge, intent = _begin(rt, gateway, charge, source=source, resuming=resuming)
        else:
            intent = gateway.intent(charge.payment_intent_ref)
            if intent.status is IntentStatus.REQUIRES_CONFIRMATION:
                charge = _open_attempt(rt, charge, source=source)
        agreed = not disagreement(charge, intent, livemode=gateway.livemode)
        if agreed and intent.status is IntentStatus.REQUIRES_CONFIRMATION:
            # What is not what was accepted is never confirmed; settle quarantines it.
            intent = _confirm(gateway, charge, return_url=return_url)
        return settle(rt, charge, intent, source=source)
    except _Overtaken as overtaken:
        return overtaken.charge
    except GatewayError as error:
        logger.warning("charge %s: %s by Stripe", charge.id, type(error).__name__)
        if isinstance(error, GatewayRefused) and charge.payment_intent_ref is None:
            return cancel_unborn(rt, charge, failure_code=error.code, source=source)
        return _unknown(rt, charge, token=None if resuming else token, source=source, error=error)


def cancel(rt: Runtime, charge: Charge, *, source: Source) -> Charge:
    """Give up on a charge whose money has not moved. If it moved meanwhile, Stripe says so and that is settled.

    Raises:
        GatewayError: If Stripe did not answer; nothing is decided then, the sweeper comes back to it.
    """
    if charge.is_free:
        return cancel_unborn(rt, charge, failure_code="abandoned", source=source)
    assert rt.gateway is not None
    if charge.payment_intent_ref is None:
        found = _existing(rt.gateway, charge)
        if found is None:
            return cancel_unborn(rt, charge, failure_code="abandoned", source=source)
        try:
            charge = _commit(rt, charge, found, confirming=False, source=source)
        except _Overtaken as overtaken:
            charge = overtaken.charge
    assert charge.payment_intent_ref is not None
    try:
        intent = rt.gateway.cancel_intent(charge.payment_intent_ref, idempotency_key=keys(charge)["cancel"])
    except GatewayUnknown:
        intent = rt.gateway.intent(charge.payment_intent_ref)
        if outcome_of(charge, intent) is charge.status:
            raise  # not executed, or not yet
    return settle(rt, charge, intent, source=source)


def cancel_orphans(rt: Runtime, charge: Charge) -> int:
    """Cancel every PaymentIntent that names *charge* and is not its committed one. They cannot be charged; this
    keeps the merchant's Stripe dashboard clean. Answers how many there were.
    """
    assert rt.gateway is not None
    orphans = [
        intent
        for intent in named(rt.gateway, charge)
        if intent.ref != charge.payment_intent_ref
        and intent.status not in {IntentStatus.CANCELED, IntentStatus.SUCCEEDED}
    ]
    for intent in orphans:
        rt.gateway.cancel_intent(intent.ref, idempotency_key=f"encore:{charge.id}:orphan:{intent.ref}")
    return len(orphans)


def _begin(
    rt: Runtime, gateway: Gateway, charge: Charge, *, source: Source, resuming: bool
) -> tuple[Charge, IntentSnapshot]:
    """An unconfirmed PaymentIntent, its id committed and the first attempt opened in the same write."""
    intent = _existing(gateway, charge) if resuming else None
    if intent is None:
        try:
            intent = gateway.create_intent(request_of(charge), idempotency_key=keys(charge)["create"])
        except GatewayUnknown as error:
            if error.answer_stored:
                # Stripe would repeat this failure for a day. A fresh key is safe: an intent whose id was never
                # committed is never confirmed.
                with rt.db.write() as connection:
                    charges.begin_epoch(connection, charge, now=rt.clock())
            raise
    return _commit(rt, charge, intent, confirming=True, source=source), intent


def _commit(rt: Runtime, charge: Charge, intent: IntentSnapshot, *, confirming: bool, source: Source) -> Charge:
    with rt.db.write() as connection:
        committed = charges.commit_intent(
            connection, charge.id, intent.ref, confirming=confirming, now=rt.clock(), source=source
        )
        current = committed or charges.find(connection, charge.id)
    assert current is not None
    if committed is None:
        raise _Overtaken(current)
    return current


def _open_attempt(rt: Runtime, charge: Charge, *, source: Source) -> Charge:
    with rt.db.write() as connection:
        opened = charges.move(
            connection,
            charge,
            to=ChargeStatus.CONFIRMING,
            sources=sources(ChargeStatus.CONFIRMING) | {ChargeStatus.CONFIRMING},
            now=rt.clock(),
            source=source,
            detail="another attempt",
            new_attempt=True,
        )
        current = opened or charges.find(connection, charge.id)
    assert current is not None
    if opened is None:
        raise _Overtaken(current)
    return current


def _confirm(gateway: Gateway, charge: Charge, *, return_url: str) -> IntentSnapshot:
    """Confirm the committed intent; after a call without an answer, look once."""
    assert charge.payment_intent_ref is not None
    try:
        return gateway.confirm_intent(
            charge.payment_intent_ref, idempotency_key=keys(charge)["confirm"], return_url=return_url
        )
    except GatewayUnknown:
        intent = gateway.intent(charge.payment_intent_ref)
        if intent.status is IntentStatus.REQUIRES_CONFIRMATION:
            raise  # not executed, or not yet: recovering asks again and confirms then
        return intent
    except GatewayRefused as error:
        intent = gateway.intent(charge.payment_intent_ref)
        if intent.status is IntentStatus.REQUIRES_CONFIRMATION:
            # The stored card cannot be used at all (detached, say). For the shopper that is a bank's no.
            return replace(intent, status=IntentStatus.REQUIRES_PAYMENT_METHOD, failure_code=error.code)
        return intent


def named(gateway: Gateway, charge: Charge) -> list[IntentSnapshot]:
    """Every PaymentIntent that names *charge* in its metadata, its own among them, newest first."""
    since = int((charge.accepted_at - CLOCK_SKEW).timestamp())
    return [
        intent
        for intent in gateway.intents_of(charge.customer_ref, created_since=since)
        if intent.metadata.get(CHARGE_KEY) == charge.id
    ]


def _existing(gateway: Gateway, charge: Charge) -> IntentSnapshot | None:
    """A PaymentIntent an earlier run created and did not live to commit. Found by list, which is never behind.

    One that was paid comes first: a database restored from a backup has forgotten it, the shopper has not.
    """
    alive = [intent for intent in named(gateway, charge) if intent.status is not IntentStatus.CANCELED]
    order = {IntentStatus.SUCCEEDED: 0, IntentStatus.PROCESSING: 1}
    return min(alive, key=lambda intent: (order.get(intent.status, 2), intent.created, intent.ref), default=None)


def _unknown(rt: Runtime, charge: Charge, *, token: str | None, source: Source, error: GatewayError) -> Charge:
    """Write that nobody knows, and let recovering ask soon.

    Args:
        token: The lease to give back; ``None`` when whoever has it says when to look again.
    """
    now = rt.clock()
    with rt.db.write() as connection:
        marked = charges.move(
            connection,
            charge,
            to=ChargeStatus.UNKNOWN,
            sources=sources(ChargeStatus.UNKNOWN),
            now=now,
            source=source,
            detail=_SILENCE.get(type(error), ""),
        )
        if token is not None:
            charges.postpone(connection, charge.id, token=token, next_run_at=now + ASK_SOON, now=now)
        current = marked or charges.find(connection, charge.id)
    assert current is not None
    rt.counts.add("charge_unknown")
    rt.wake()
    return current
