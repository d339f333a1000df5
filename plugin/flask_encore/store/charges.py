"""Statements on charges: each a single guarded write, so that two processes can ask and one of them is answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert

from flask_encore.domain.agreements import taken
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.offers import Outcome
from flask_encore.domain.ports import GatewayEvent
from flask_encore.domain.timeline import MAX_HISTORY, Change, Source, around_status, entry
from flask_encore.store.charge_rows import charge_of
from flask_encore.store.models import Instant, charges, decisions, events, orders, switches

_CLAIM_COLUMNS: dict[str, Any] = {
    "id": decisions.c.id,
    "account": decisions.c.account,
    "order_ref": decisions.c.order_ref,
    "placement": decisions.c.placement,
    "step": decisions.c.step,
    "sku": decisions.c.sku,
    "quantity": decisions.c.quantity,
    "amount_minor": decisions.c.total_minor,
    "currency": decisions.c.currency,
    "customer_ref": orders.c.stripe_customer_ref,
    "payment_method_ref": orders.c.payment_method_ref,
    "payment_method_type": orders.c.payment_method_type,
    "card_brand": orders.c.card_brand,
    "card_last4": orders.c.card_last4,
    "status": sa.literal(ChargeStatus.CLAIMED.value, sa.String),
    "attempt": sa.literal(0, sa.Integer),
    "epoch": sa.literal(0, sa.Integer),
    "failure_code": sa.literal("", sa.String),
    "consent_version": sa.bindparam("consent_version", type_=sa.String),
    "snapshot": decisions.c.snapshot,
    "campaign_ref": decisions.c.campaign_ref,
    "second_sku": decisions.c.second_sku,
    "accepted_at": sa.bindparam("now", type_=Instant),
    "expires_at": sa.bindparam("expires_at", type_=Instant),
    "quarantine_reason": sa.literal("", sa.String),
    "lease_token": sa.bindparam("lease_token", type_=sa.String),
    "lease_until": sa.bindparam("lease_until", type_=Instant),
    "next_run_at": sa.bindparam("lease_until", type_=Instant),
    "tries": sa.literal(0, sa.Integer),
    "updated_at": sa.bindparam("now", type_=Instant),
    "timeline": sa.bindparam("timeline", type_=sa.Text),
    # Read as text: a whole number of JSON is 32 bits wide otherwise, and an amount is not.
    "cost_minor": sa.cast(decisions.c.snapshot["cost"].as_string(), sa.BigInteger),
    "tax_minor": sa.cast(decisions.c.snapshot["tax"].as_string(), sa.BigInteger),
}

#: What a choice other than the default brings along: read from the same decision, whose snapshot never changes.
_TAKEN: dict[str, Any] = {
    "sku": sa.bindparam("sku", type_=sa.String),
    "second_sku": sa.bindparam("second_sku", type_=sa.String),
    "quantity": sa.bindparam("quantity", type_=sa.Integer),
    "amount_minor": sa.bindparam("amount_minor", type_=sa.BigInteger),
    "snapshot": sa.bindparam("snapshot", type_=sa.JSON),
    "cost_minor": sa.bindparam("cost_minor", type_=sa.BigInteger),
    "tax_minor": sa.bindparam("tax_minor", type_=sa.BigInteger),
}


def _claim_statement(columns: Mapping[str, Any]) -> ReturningInsert[Any]:
    """INSERT … SELECT of the one charge of an offer that may be accepted now. Declined, expired, claimed: no row."""
    switched_off = sa.exists().where(switches.c.account == decisions.c.account, switches.c.off)
    return (
        insert(charges)
        .from_select(
            list(columns),
            sa.select(*(column.label(f"v_{name}") for name, column in columns.items()))
            .select_from(
                decisions.join(
                    orders,
                    sa.and_(orders.c.account == decisions.c.account, orders.c.order_ref == decisions.c.order_ref),
                )
            )
            .where(
                decisions.c.id == sa.bindparam("of_id"),
                decisions.c.account == sa.bindparam("of_account"),
                decisions.c.outcome == Outcome.OFFERED.value,
                decisions.c.declined_at.is_(None),
                decisions.c.expires_at > sa.bindparam("now", type_=Instant),
                orders.c.ineligible_reason == "",
                ~switched_off,
            ),
        )
        .on_conflict_do_nothing()
        .returning(*charges.c)
    )


#: The claim copies amount, currency, customer and card from our own rows: nothing the browser sent is in it.
_CLAIM = _claim_statement(_CLAIM_COLUMNS)
_CLAIM_TAKEN = _claim_statement(_CLAIM_COLUMNS | _TAKEN)

_BY_ID = sa.select(charges).where(charges.c.id == sa.bindparam("of_id"))
_BY_INTENT = sa.select(
    charges,
    sa.exists()
    .where(events.c.account == sa.bindparam("of_account"), events.c.event_id == sa.bindparam("event_id"))
    .label("event_seen"),
).where(charges.c.account == sa.bindparam("of_account"), charges.c.payment_intent_ref == sa.bindparam("ref"))


def claim(
    connection: sa.Connection,
    offer_id: str,
    *,
    account: str,
    now: datetime,
    expires_at: datetime,
    consent_version: str,
    lease_token: str,
    lease_until: datetime,
    source: Source,
    snapshot: Mapping[str, Any] | None = None,
) -> Charge | None:
    """Turn an open offer into its one charge. ``None``: accepted before, declined, expired, or not an offer.

    What its goods cost the shop, and the tax, are copied beside its amount, from what was frozen with the offer.

    Args:
        snapshot: What was taken, as `agreements.taken` makes it of the offer's own; ``None`` for the default choice.

    Raises:
        ChoiceGone: If the default choice cannot be taken.
        TextRefused: If the offer asks for a text that is not there. Both: roll back.
    """
    values: dict[str, Any] = {
        "of_id": offer_id,
        "of_account": account,
        "now": now,
        "expires_at": expires_at,
        "consent_version": consent_version,
        "lease_token": lease_token,
        "lease_until": lease_until,
        "timeline": entry(Change(at=now, status=ChargeStatus.CLAIMED, source=source)),
    }
    if snapshot is not None:
        values |= {name: snapshot[name] for name in ("sku", "second_sku", "quantity")}
        values |= {"amount_minor": snapshot["total"], "snapshot": snapshot}
        values |= {"cost_minor": snapshot.get("cost"), "tax_minor": snapshot.get("tax")}
    row = connection.execute(_CLAIM if snapshot is None else _CLAIM_TAKEN, values).mappings().first()
    if row is None:
        return None
    if snapshot is None:
        taken(row["snapshot"])
    return charge_of(row)


def find(connection: sa.Connection, id: str) -> Charge | None:
    """The charge *id*, or ``None``."""
    row = connection.execute(_BY_ID, {"of_id": id}).mappings().first()
    return None if row is None else charge_of(row)


def of_event(connection: sa.Connection, event: GatewayEvent, *, account: str) -> tuple[Charge, bool] | None:
    """The charge whose committed PaymentIntent *event* is about, and whether its effect is committed already."""
    values = {"ref": event.payment_intent_ref, "event_id": event.id, "of_account": account}
    row = connection.execute(_BY_INTENT, values).mappings().first()
    return None if row is None else (charge_of(row), bool(row["event_seen"]))


def noted(
    *, now: datetime, source: Source, detail: str, status: ChargeStatus | sa.ColumnElement[Any]
) -> dict[str, Any]:
    """What every change of a charge's state writes besides: its line in the timeline, and that reports count it anew.

    Args:
        status: After the change; the column itself where the change leaves it as it is, whatever it is by then.
    """
    before, after = around_status(at=now, source=source, detail=detail)
    line = "\n" + before + status.value + after if isinstance(status, ChargeStatus) else None
    known = sa.func.substr(charges.c.timeline, 1, MAX_HISTORY)
    return {
        "timeline": known + (sa.literal("\n" + before) + status + sa.literal(after) if line is None else line),
        "counted_at": None,
        "updated_at": now,
    }


def commit_intent(
    connection: sa.Connection, id: str, ref: str, *, confirming: bool, now: datetime, source: Source
) -> Charge | None:
    """Write the id of the unconfirmed PaymentIntent where none is yet (invariant I2). ``None``: there is one.

    With *confirming* the same write opens the first attempt: it is committed before confirmation is asked for.
    """
    status = ChargeStatus.CONFIRMING if confirming else ChargeStatus.INTENT
    return returning(
        connection,
        sa.update(charges)
        .where(
            charges.c.id == id,
            charges.c.payment_intent_ref.is_(None),
            charges.c.status.in_([ChargeStatus.CLAIMED, ChargeStatus.UNKNOWN]),
        )
        .values(
            payment_intent_ref=ref,
            status=status.value,
            attempt=charges.c.attempt + (1 if confirming else 0),
            **noted(now=now, source=source, detail=ref, status=status),
        ),
    )


def move(
    connection: sa.Connection,
    charge: Charge,
    *,
    to: ChargeStatus,
    sources: Collection[ChargeStatus],
    now: datetime,
    source: Source,
    detail: str = "",
    undoable: bool = False,
    again: bool = True,
    new_attempt: bool = False,
    **values: Any,
) -> Charge | None:
    """Move *charge* to *to*, if it still is in one of *sources* and what was frozen is unchanged. ``None``: it is not.

    This is the guarded, monotonic UPDATE of invariant I3.

    Args:
        source: Who brings the change, and *detail* what is to be known about it, for the timeline.
        undoable: Move only while the shopper may undo and the merchant was not told to fulfil.
        again: Whether it is worth a line in the timeline when the charge is *to* already.
        new_attempt: Count one more confirmation.
        values: Further columns.
    """
    guards = []
    if undoable:
        guards = [charges.c.undo_until > now, charges.c.hold_released_at.is_(None)]
    written = noted(now=now, source=source, detail=detail, status=to)
    if not again:
        written["timeline"] = sa.case((charges.c.status == to.value, charges.c.timeline), else_=written["timeline"])
    if new_attempt:
        values["attempt"] = charges.c.attempt + 1
    return returning(
        connection,
        sa.update(charges)
        .where(
            charges.c.id == charge.id,
            charges.c.payment_intent_ref.is_not_distinct_from(charge.payment_intent_ref),
            charges.c.status.in_(sorted(sources)),
            charges.c.amount_minor == charge.amount.minor_units,
            charges.c.currency == charge.amount.currency,
            charges.c.customer_ref == charge.customer_ref,
            charges.c.quarantine_reason == "",
            *guards,
        )
        .values(status=to.value, **written, **values),
    )


def count_attempt(connection: sa.Connection, id: str, *, limit: int, now: datetime) -> bool:
    """Allow one more attempt by the shopper in the page, unless *limit* is used up or time is over."""
    return (
        connection.execute(
            sa.update(charges)
            .where(
                charges.c.id == id,
                charges.c.status.in_([ChargeStatus.FAILED, ChargeStatus.ACTION_REQUIRED]),
                charges.c.attempt < limit,
                charges.c.expires_at > now,
                charges.c.quarantine_reason == "",
            )
            .values(attempt=charges.c.attempt + 1, updated_at=now)
        ).rowcount
        == 1
    )


def begin_epoch(connection: sa.Connection, charge: Charge, *, now: datetime) -> bool:
    """Open a new idempotency key for creating, after a stored failure. Safe: nothing unconfirmed can be charged."""
    return (
        connection.execute(
            sa.update(charges)
            .where(charges.c.id == charge.id, charges.c.epoch == charge.epoch, charges.c.payment_intent_ref.is_(None))
            .values(epoch=charges.c.epoch + 1, updated_at=now)
        ).rowcount
        == 1
    )


def postpone(connection: sa.Connection, id: str, *, token: str, next_run_at: datetime | None, now: datetime) -> None:
    """Give the lease *token* back and say when to look again."""
    connection.execute(
        sa.update(charges)
        .where(charges.c.id == id, charges.c.lease_token == token)
        .values(lease_token=None, lease_until=None, next_run_at=next_run_at, tries=charges.c.tries + 1, updated_at=now)
    )


def recount(connection: sa.Connection, id: str) -> None:
    """Have reports count the charge anew, because its refunds change in this transaction.

    And let nobody else write about it until the transaction ends; SQLite's writers are alone already.
    """
    connection.execute(sa.update(charges).where(charges.c.id == id).values(counted_at=None))


def lease(
    connection: sa.Connection, id: str, *, token: str, now: datetime, until: datetime
) -> tuple[Charge, int] | None:
    """Take the charge for a while, in one UPDATE. ``None``: somebody else has it. Answers it and its tries so far.

    A lease saves work, it does not guard money: a stale owner is harmless by invariants I2 and I3.
    """
    row = (
        connection.execute(
            sa.update(charges)
            .where(
                charges.c.id == id,
                charges.c.quarantine_reason == "",
                sa.or_(charges.c.lease_until.is_(None), charges.c.lease_until <= now),
            )
            .values(lease_token=token, lease_until=until)
            .returning(*charges.c)
        )
        .mappings()
        .first()
    )
    return None if row is None else (charge_of(row), row["tries"])


def due(
    connection: sa.Connection, *, account: str, now: datetime, limit: int
) -> tuple[list[str], list[tuple[str, datetime]]]:
    """Ids of charges the sweeper has to look at, and (id, charged_at) of those whose fee is to be asked for.

    The longest waiting come first. One SELECT of *limit* rows at most, in which no fee takes the place of a look.
    """
    # Every charge is of the account, and few of them are due: SQLite, which counts neither, would read the account's.
    mine = charges.c.account.concat("") == account
    looks = sa.select(
        charges.c.id, charges.c.charged_at, sa.literal(0).label("for_fee"), charges.c.next_run_at.label("due_at")
    ).where(
        mine,
        charges.c.next_run_at <= now,
        charges.c.quarantine_reason == "",
        sa.or_(charges.c.lease_until.is_(None), charges.c.lease_until <= now),
    )
    fees = sa.select(charges.c.id, charges.c.charged_at, sa.literal(1), charges.c.fee_due_at).where(
        mine, charges.c.fee_due_at <= now
    )
    both = sa.union_all(looks, fees).order_by("for_fee", "due_at").limit(limit)
    rows = connection.execute(both).all()
    return [row.id for row in rows if not row.for_fee], [(row.id, row.charged_at) for row in rows if row.for_fee]


def quarantine(
    connection: sa.Connection, id: str, *, reason: str, now: datetime, source: Source, detail: str = ""
) -> Charge | None:
    """Take the charge out of everything automatic. ``None`` when it already is."""
    return returning(
        connection,
        sa.update(charges)
        .where(charges.c.id == id, charges.c.quarantine_reason == "")
        .values(
            quarantine_reason=reason,
            reviewed_at=None,
            next_run_at=None,
            lease_token=None,
            lease_until=None,
            **noted(now=now, source=source, detail=f"quarantined: {reason} {detail}", status=charges.c.status),
        ),
    )


def returning(connection: sa.Connection, statement: sa.Update) -> Charge | None:
    row = connection.execute(statement.returning(*charges.c)).mappings().first()
    return None if row is None else charge_of(row)


def release_hold(
    connection: sa.Connection,
    charge: Charge,
    *,
    next_run_at: datetime | None,
    now: datetime,
    source: Source,
    detail: str = "",
    early: bool = False,
) -> Charge | None:
    """Write that the merchant may fulfil. ``None``: told before, undone meanwhile, or still undoable.

    With *early* the merchant does not wait for the end of the time to undo; from then on nobody can undo it.
    """
    return returning(
        connection,
        sa.update(charges)
        .where(
            charges.c.id == charge.id,
            charges.c.status == ChargeStatus.SUCCEEDED,
            charges.c.hold_released_at.is_(None),
            sa.true() if early else charges.c.undo_until <= now,
            charges.c.quarantine_reason == "",
        )
        .values(
            hold_released_at=now,
            next_run_at=next_run_at,
            lease_token=None,
            lease_until=None,
            **noted(now=now, source=source, detail=f"hold released {detail}", status=charges.c.status),
        ),
    )
