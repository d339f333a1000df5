"""The shopper answers: accept, decline, leave, ask for the bank's check. One claim row per offer (invariant I1)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta

from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.errors import GatewayError
from flask_encore.domain.offers import OfferState
from flask_encore.services import charging, refunding
from flask_encore.services.offering import Offered
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import catalog, charges, decisions
from flask_encore.store.database import StoreError


class Busy(Exception):
    """Too many accepts are waiting for Stripe in this process; nothing was claimed and nothing charged."""


class _SoldOut(Exception):
    """The last unit went to somebody else; rolls the claim back."""


_STATE_OF_CHARGE = {
    ChargeStatus.CLAIMED: OfferState.CHARGING,
    ChargeStatus.INTENT: OfferState.CHARGING,
    ChargeStatus.CONFIRMING: OfferState.CHARGING,
    ChargeStatus.PROCESSING: OfferState.UNKNOWN,
    ChargeStatus.UNKNOWN: OfferState.UNKNOWN,
    ChargeStatus.ACTION_REQUIRED: OfferState.ACTION_REQUIRED,
    ChargeStatus.FAILED: OfferState.FAILED,
    ChargeStatus.SUCCEEDED: OfferState.CHARGED,
    ChargeStatus.DISPUTED: OfferState.CHARGED,
    ChargeStatus.REFUNDING: OfferState.UNDOING,
    ChargeStatus.REFUNDED: OfferState.UNDONE,
    ChargeStatus.CANCELED: OfferState.CANCELED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What the page needs to let the bank, or another card, confirm the charge. Never stored, never logged."""

    client_secret: str


def state_of(rt: Runtime, offered: Offered) -> OfferState:
    """The state of an offer, derived: a charge outranks every other answer, an answer outranks time."""
    charge, row = offered.charge, offered.decision
    if charge is not None:
        return state_of_charge(charge)
    if row["declined_at"] is not None:
        return OfferState.DECLINED
    if row["sold_out_at"] is not None:
        return OfferState.SOLD_OUT
    return OfferState.OPEN if rt.clock() < row["expires_at"] else OfferState.EXPIRED


def state_of_charge(charge: Charge) -> OfferState:
    """The state of an accepted offer. A quarantined charge is being looked at: no promise is made about it."""
    if charge.quarantine_reason and charge.status is not ChargeStatus.SUCCEEDED:
        return OfferState.UNKNOWN
    return _STATE_OF_CHARGE[charge.status]


def find(rt: Runtime, offer_id: str) -> Offered | None:
    """The offer *offer_id* of this account, or ``None``."""
    with rt.db.read() as connection:
        found = decisions.offer(connection, offer_id, account=rt.account)
    if found is None or found[0]["outcome"] != "offered":
        return None
    return Offered(decision=found[0], charge=found[1])


def accept(rt: Runtime, offer_id: str, *, return_url: str) -> Charge | None:
    """Accept an offer and charge it. ``None``: it cannot be accepted (any more); `find` tells its state.

    Idempotent: the second click finds the claim of the first and changes nothing.

    Raises:
        Busy: If too many accepts are waiting for Stripe; nothing happened.
    """
    if rt.gateway is None:
        return None
    if not rt.accepts.acquire(blocking=False):
        rt.counts.add("accept_busy")
        raise Busy
    charge: Charge | None = None
    try:
        token = uuid.uuid4().hex
        charge = _claim(rt, offer_id, token)
        if charge is None:
            return None
        return charging.drive(rt, charge, token=token, source="accept", resuming=False, return_url=return_url)
    except StoreError:
        if charge is None:
            raise
        # The claim stands and the bank may have been asked: the sweeper finds out, and the shopper is told so.
        rt.counts.add("charge_unknown")
        logger.exception("charge %s: its progress could not be written", charge.id)
        return replace(charge, status=ChargeStatus.UNKNOWN)
    finally:
        rt.accepts.release()


def _claim(rt: Runtime, offer_id: str, token: str) -> Charge | None:
    now = rt.clock()
    try:
        with rt.db.write() as connection:
            charge = charges.claim(
                connection,
                offer_id,
                account=rt.account,
                now=now,
                expires_at=now + timedelta(seconds=rt.settings.offer_ttl_seconds),
                consent_version=rt.consent_version,
                lease_token=token,
                lease_until=now + charging.LEASE,
            )
            if charge is not None and not catalog.reserve(connection, charge.sku, charge.quantity):
                raise _SoldOut
    except _SoldOut:
        with rt.db.write() as connection:
            decisions.mark(connection, offer_id, "sold_out_at", at=now)
        rt.counts.add("sold_out")
        return None
    return charge


def decline(rt: Runtime, offer_id: str) -> bool:
    """Write the shopper's no. False when there is an answer already; then nothing changed."""
    with rt.db.write() as connection:
        return decisions.decline(connection, offer_id, at=rt.clock())


def shown(rt: Runtime, offer_id: str) -> bool:
    """Write that a human saw the offer; once. False when that is known."""
    with rt.db.write() as connection:
        return decisions.mark(connection, offer_id, "shown_at", at=rt.clock())


def undo(rt: Runtime, offered: Offered) -> Charge | None:
    """Undo an accepted offer while its hold lasts; `refunding.undo` has the rules."""
    if offered.charge is None or rt.gateway is None:
        return offered.charge
    return refunding.undo(rt, offered.charge)


def leave(rt: Runtime, offered: Offered) -> Charge | None:
    """The shopper leaves a failed or unconfirmed charge: cancel it at Stripe, stock goes back, order unchanged."""
    charge = offered.charge
    if charge is None or charge.status not in {ChargeStatus.FAILED, ChargeStatus.ACTION_REQUIRED}:
        return charge
    try:
        return charging.cancel(rt, charge, source="leave")
    except GatewayError as error:
        logger.warning("charge %s could not be cancelled now (%s)", charge.id, type(error).__name__)
        return charge


def confirmation(rt: Runtime, offered: Offered) -> Confirmation | None:
    """The client secret for the bank's check or another card, and one attempt less. ``None``: not now, or no more.

    Raises:
        GatewayError: If Stripe did not answer.
    """
    charge = offered.charge
    if charge is None or charge.payment_intent_ref is None or rt.gateway is None:
        return None
    with rt.db.write() as connection:
        allowed = charges.count_attempt(connection, charge.id, limit=charging.MAX_ATTEMPTS, now=rt.clock())
    if not allowed:
        return None
    intent = rt.gateway.intent(charge.payment_intent_ref)
    return Confirmation(client_secret=intent.client_secret) if intent.client_secret else None
