"""The shopper answers: accept, decline, leave, ask for the bank's check. One claim row per offer (invariant I1)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from flask_encore.domain import agreements
from flask_encore.domain.agreements import Agreement, ChoiceGone, TextRefused
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.errors import GatewayError, IllegalTransition
from flask_encore.domain.offers import OfferState
from flask_encore.domain.timeline import Source
from flask_encore.services import budgeting, charging, refunding
from flask_encore.services.offering import Offered
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import catalog, charges, decisions
from flask_encore.store.database import StoreError

__all__ = [
    "Busy",
    "ChoiceGone",
    "Confirmation",
    "TextRefused",
    "accept",
    "confirmation",
    "decline",
    "extend",
    "find",
    "leave",
    "shown",
    "state_of",
    "state_of_charge",
    "undo",
]


class Busy(Exception):
    """Too many accepts are waiting for Stripe in this process; nothing was claimed and nothing charged."""


class _OverBudget(Exception):
    """The campaign has sold what it may; rolls the claim back."""


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
    """The state of an offer, derived: a charge outranks every other answer, an answer outranks time.

    With the kill switch on, an open offer is over like one whose time is: it cannot be accepted, nothing is charged.
    """
    charge, row = offered.charge, offered.decision
    if charge is not None:
        return state_of_charge(charge)
    if row["declined_at"] is not None:
        return OfferState.DECLINED
    if row["sold_out_at"] is not None:
        return OfferState.SOLD_OUT
    is_open = rt.clock() < row["expires_at"] and not row.get("switched_off")
    return OfferState.OPEN if is_open else OfferState.EXPIRED


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


def accept(rt: Runtime, offer_id: str, *, return_url: str, choice: int = 0, text: str = "") -> Charge | None:
    """Accept an offer and charge it. ``None``: it cannot be accepted (any more); `find` tells its state.

    Idempotent: the second click finds the claim of the first and changes nothing, whatever it chooses or says.

    Args:
        choice: Which of the offer's choices; 0 is the one it shows first.
        text: What the shopper wrote, as it was sent; ignored by offers that ask for none.

    Raises:
        Busy: If too many accepts are waiting for Stripe; nothing happened.
        ChoiceGone: If there is no such choice, or it is sold out; nothing happened.
        TextRefused: If the text is missing or too long; nothing happened.
    """
    if rt.gateway is None:
        return None
    snapshot = None
    if choice != 0 or type(choice) is not int or text:
        offered = find(rt, offer_id)
        if offered is None or offered.charge is not None:
            return None
        snapshot = _taken(offered, choice, text)
    waits = rt.accepts.acquire(blocking=False)
    if not waits and not _is_free(rt, offer_id, snapshot):
        rt.counts.add("accept_busy")
        raise Busy
    charge: Charge | None = None
    try:
        token = uuid.uuid4().hex
        charge = _claim(rt, offer_id, token, snapshot)
        if charge is None:
            return None
        return charging.drive(rt, charge, token=token, source=Source.CLICK, resuming=False, return_url=return_url)
    except StoreError:
        if charge is None:
            raise
        # The claim stands and the bank may have been asked: the sweeper finds out, and the shopper is told so.
        rt.counts.add("charge_unknown")
        logger.exception("charge %s: its progress could not be written", charge.id)
        return replace(charge, status=ChargeStatus.UNKNOWN)
    finally:
        if waits:
            rt.accepts.release()


def _taken(offered: Offered, choice: int, text: str) -> dict[str, Any]:
    """What is taken, from the offer as it was decided.

    It is read before the claim's transaction, and that is safe: an offer's snapshot, its products and its prices are
    written when it is decided and by nothing afterwards. Whether it may still be accepted is the claim's own question.
    """
    row = offered.decision
    own = {"sku": row["sku"], "second_sku": row["second_sku"], "quantity": row["quantity"]}
    return agreements.taken(row["snapshot"] | own, choice, text)


def _is_free(rt: Runtime, offer_id: str, snapshot: Mapping[str, Any] | None) -> bool:
    """Whether nothing would be charged: then nobody is waited for, however many wait for Stripe."""
    if snapshot is None:
        offered = find(rt, offer_id)
        return offered is not None and offered.decision["total_minor"] == 0
    return bool(snapshot["total"] == 0)


def _claim(rt: Runtime, offer_id: str, token: str, snapshot: Mapping[str, Any] | None) -> Charge | None:
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
                source=Source.CLICK,
                snapshot=snapshot,
            )
            if charge is None:
                return None
            Agreement.of(charge).check(charge)
            if charge.snapshot.get("budget") and not budgeting.fits(connection, charge):
                raise _OverBudget
            if not catalog.reserve_all(connection, charge.skus, charge.reserved):
                raise _SoldOut
    except IllegalTransition as error:
        rt.counts.add("offer_does_not_add_up")
        logger.critical("nothing was charged: %s", error)
        return None
    except (_SoldOut, _OverBudget) as over:
        if isinstance(over, _SoldOut) and _another_is_there(rt, offer_id):
            raise ChoiceGone from None
        with rt.db.write() as connection:
            decisions.mark(connection, offer_id, "sold_out_at", at=now)
        rt.counts.add("sold_out")
        return None
    return charge


def _another_is_there(rt: Runtime, offer_id: str) -> bool:
    """Whether an offer with choices can still be taken in another one than that which just sold out."""
    offered = find(rt, offer_id)
    choices = offered.decision["snapshot"].get("choices") or [] if offered is not None else []
    with rt.db.read() as connection:
        return any(
            catalog.is_there(connection, [sku for sku in (one["sku"], one["second_sku"]) if sku], one["quantity"])
            for one in choices
            if not one.get("sold_out")
        )


def extend(rt: Runtime, offer_id: str) -> bool:
    """Double the time of an offer with a timer, once, before it is over. False: not so; then nothing changed."""
    with rt.db.write() as connection:
        return decisions.extend(connection, offer_id, account=rt.account, now=rt.clock())


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
        return charging.cancel(rt, charge, source=Source.SHOPPER)
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
