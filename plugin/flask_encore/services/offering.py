"""Decide, once per order, page and step, which offer is made, or why none is; and keep the record.

One SELECT, one INSERT, one commit: everything about the order, its candidates' stock and prices is read at once, and
the decision is a single row with a unique constraint, so that a reload, a second tab and a second server see the same.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_encore.domain.assignment import Arm, assign
from flask_encore.domain.book import Book
from flask_encore.domain.campaigns import MAX_SHOWN, CampaignState
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.offers import Outcome, Placement, Reason
from flask_encore.domain.sequence import Step, follow_up
from flask_encore.services import campaign_book, model_trials, quoting, shop_settings
from flask_encore.services.choosing import Choosing, choose
from flask_encore.services.offer_snapshots import snapshot_of
from flask_encore.services.runtime import Runtime, logger
from flask_encore.services.situation import Situation
from flask_encore.store import decisions
from flask_encore.store.decisions import Page

#: Names the standing holdout. Not a secret and never rotated: a new one would deal every shopper a new arm.
HOLDOUT_SALT = b"encore-holdout-1"

_FAILURES = {Reason.RANKER_FAILED, Reason.RANKER_TIMEOUT, Reason.QUOTE_FAILED, Reason.QUOTE_TIMEOUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """An offer and what became of it. *decision* is its row; *charge* is ``None`` while nobody accepted."""

    decision: Mapping[Any, Any]
    charge: Charge | None


def sequence_for(rt: Runtime, order_ref: str, *, page: Placement = Placement.THANK_YOU) -> tuple[Offered, ...]:
    """Every offer of a paid order to be shown on *page*, oldest first, deciding what is due. Empty: nothing is shown.

    Idempotent: later visits answer the first decisions; only one that Stripe's silence made is made anew, once Stripe
    was heard. Raises whatever the database raises; the page's caller
    (`web.injection`) turns that into a page without an offer.

    Args:
        page: The thank-you page or the order page. The order page shows what the thank-you page offered while that is
            open or was accepted, and offers something itself only while nothing of it is open.
    """
    started = time.perf_counter()
    with rt.db.read(hasty=True) as connection:
        read = decisions.page(connection, order_ref, account=rt.account, placement=page)
    if read is None:
        rt.counts.add("order_unknown")
        return ()
    earlier = _from_thank_you(read, now=rt.clock()) if page is Placement.ORDER_STATUS else ()
    steps = read.sequence(page)
    provisional = steps[0][0]["id"] if steps and read.is_provisional(steps[0][0]) else None
    if not steps or provisional is not None:
        if page is Placement.ORDER_STATUS and not _has_something_to_say(rt, read, earlier):
            return earlier
        return earlier + _decided(rt, read, page, step=0, due=None, replacing=provisional, started=started)
    shown = tuple(_offered(steps))
    due = _due(read, shown, steps)
    if due is None:
        return earlier + shown
    return earlier + shown + _decided(rt, read, page, step=len(steps), due=due, replacing=None, started=started)


def next_of(rt: Runtime, offered: Offered) -> Offered | None:
    """What follows an offer that was just answered, deciding it if it is due; ``None`` when nothing does.

    It never raises: the answer stands, and a sequence that cannot go on has ended.
    """
    row = offered.decision
    if follow_up([_step(offered)], shown=0) is None:
        return None
    try:
        sequence = sequence_for(rt, row["order_ref"], page=Placement(row["placement"]))
    except Exception as error:
        rt.counts.add(f"next_{type(error).__name__}")
        logger.exception("nothing follows offer %s", row["id"])
        return None
    after = (row["placement"], row["step"] + 1)
    return next((one for one in sequence if (one.decision["placement"], one.decision["step"]) == after), None)


def decision_row(
    rt: Runtime, read: Page, book: Book, page: Placement, *, step: int, due: str | None, exhaustive: bool = False
) -> tuple[dict[str, Any], Choosing | None]:
    """The decision as it would be written now, and what was asked; writes nothing.

    Args:
        due: The campaign that is due after the step before; ``None`` for the first step.
        exhaustive: Ask every live campaign, also those that can no longer speak.
    """
    now, order = rt.clock(), read.order
    in_force = shop_settings.effective(rt, read.overrides)
    arm, holdout_bp = _dealt(read, in_force.holdout_bp)
    row = _blank(rt, order, page, step=step, now=now) | {"arm": arm, "holdout_bp": holdout_bp}
    reason = _ineligible(rt, read, page, now, undo_seconds=in_force.undo_seconds)
    if reason is not None:
        return row | _without(reason), None
    takes_part = arm is Arm.TREATMENT
    situation = Situation(rt=rt, read=read, book=book, page=page, step=step, now=now, takes_part=takes_part)
    ranked = model_trials.exposures_of(order) if takes_part and step == 0 else ()
    choosing = choose(situation, follow_up=due, exhaustive=exhaustive, exposed=ranked)
    row["candidates"] = list(choosing.log)
    row["trace"] = choosing.as_json(dial=rt.settings.profit_dial, explore=rt.settings.explore)
    if choosing.exposed and not read.shadow:  # in shadow mode nobody is shown anything, so there is nothing to compare
        row["exposures"] = {one.experiment_ref: one.variant for one in choosing.exposed}
    if choosing.chosen is None:
        return row | _without(_nothing(order, choosing)), choosing
    chosen, campaign = choosing.chosen, choosing.chosen.listed.campaign
    row |= {"campaign_ref": campaign.ref, "campaign_version": chosen.listed.version}
    choices = quoting.quote(rt, order, chosen.alternative.choices)
    if isinstance(choices, Reason):
        return row | _without(choices), choosing
    row |= {
        "sku": choices[0].sku,
        "second_sku": choices[0].second_sku,
        "quantity": choices[0].quantity,
        "total_minor": choices[0].price.total.minor_units,
        "propensity": chosen.propensity,
        "snapshot": snapshot_of(rt, order, campaign, chosen.alternative, choices, in_force.undo_seconds),
    }
    if campaign.timer_minutes is not None:
        row["expires_at"] = min(row["expires_at"], now + timedelta(minutes=campaign.timer_minutes))
    if arm is Arm.HOLDOUT:
        return row | {"outcome": Outcome.HELD_OUT, "reason": Reason.HOLDOUT}, choosing
    if read.shadow:
        return row | {"outcome": Outcome.SHADOWED, "reason": Reason.SHADOW}, choosing
    if choosing.held_out_by is not None:
        return row | {"outcome": Outcome.HELD_OUT, "reason": Reason.EXPERIMENT_HOLDOUT}, choosing
    return row | {"outcome": Outcome.OFFERED, "reason": Reason.CHOSEN}, choosing


def _decided(
    rt: Runtime, read: Page, page: Placement, *, step: int, due: str | None, replacing: str | None, started: float
) -> tuple[Offered, ...]:
    """Decide and write it down; answers the offer to be shown, or nothing. Whoever was quicker is right."""
    book = campaign_book.current(rt, revision=read.revision)
    row, _ = decision_row(rt, read, book, page, step=step, due=due)
    row["latency_us"] = round((time.perf_counter() - started) * 1e6)
    with rt.db.write(hasty=True) as connection:
        won = (
            decisions.insert_decision(connection, row)
            if replacing is None
            else decisions.replace_provisional(connection, replacing, row)
        )
    if won:
        rt.counts.add(f"decision_{row['outcome']}")
        return (Offered(decision=row, charge=None),) if row["outcome"] == Outcome.OFFERED else ()
    with rt.db.read(hasty=True) as connection:
        again = decisions.page(connection, read.order["order_ref"], account=rt.account, placement=page)
    assert again is not None
    return tuple(one for one in _offered(again.sequence(page)) if one.decision["step"] == step)


def _offered(steps: Sequence[tuple[Mapping[Any, Any], Charge | None]]) -> list[Offered]:
    return [Offered(decision=row, charge=charge) for row, charge in steps if row["outcome"] == Outcome.OFFERED]


def _due(read: Page, shown: Sequence[Offered], steps: Sequence[tuple[Mapping[Any, Any], Charge | None]]) -> str | None:
    """The campaign that comes next; ``None`` when the last step offered nothing, is unanswered, or was the last."""
    if len(shown) < len(steps):
        return None
    count = sum(row["outcome"] == Outcome.OFFERED for row, _ in read.steps)
    return follow_up([_step(one) for one in shown], shown=count)


def _step(offered: Offered) -> Step:
    row, charge = offered.decision, offered.charge
    return Step(
        is_charged=charge is not None and charge.status is ChargeStatus.SUCCEEDED,
        is_declined=charge is None and row["declined_at"] is not None,
        on_accept=row["snapshot"].get("on_accept"),
        on_decline=row["snapshot"].get("on_decline"),
    )


def _from_thank_you(read: Page, *, now: datetime) -> tuple[Offered, ...]:
    """What the thank-you page offered and the order page shows too: there is something to do, or to undo."""
    over = {ChargeStatus.CANCELED, ChargeStatus.REFUNDED}
    return tuple(
        one
        for one in _offered(read.sequence(Placement.THANK_YOU))
        if (one.charge.status not in over if one.charge is not None else _is_open(one.decision, now))
    )


def _is_open(row: Mapping[Any, Any], now: datetime) -> bool:
    return row["declined_at"] is None and row["sold_out_at"] is None and now < row["expires_at"]


def _has_something_to_say(rt: Runtime, read: Page, earlier: Sequence[Offered]) -> bool:
    """Whether the order page makes an offer of its own: one at a time, and none without a campaign for that page."""
    if any(one.charge is None for one in earlier):
        return False
    book = campaign_book.current(rt, revision=read.revision)
    now, zone = rt.clock(), rt.settings.zone
    return any(
        one.campaign.placement is Placement.ORDER_STATUS and one.campaign.state(now, zone=zone) is CampaignState.LIVE
        for one in book.live
    )


def _dealt(read: Page, holdout_bp: int) -> tuple[Arm, int]:
    """The arm of the order's shopper, and the basis points held out when it was dealt.

    One order is on one side: what is decided about it later keeps the arm of its first decision, whatever share the
    merchant has set in between.
    """
    if read.steps and (first := read.steps[0][0])["holdout_bp"] is not None:
        return Arm(first["arm"]), first["holdout_bp"]
    subject = read.order["customer_ref"] or read.order["order_ref"]
    return assign(subject, salt=HOLDOUT_SALT, holdout_percent=holdout_bp / 100), holdout_bp


def _blank(rt: Runtime, order: Mapping[Any, Any], page: Placement, *, step: int, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex,
        "account": rt.account,
        "order_ref": order["order_ref"],
        "placement": page.value,
        "step": step,
        "customer_ref": order["customer_ref"],
        "currency": order["currency"],
        "model_version": order["model_version"],
        "decided_at": now,
        "expires_at": now + timedelta(seconds=rt.settings.offer_ttl_seconds),
        "candidates": order["candidates"],
        "trace": None,
        "snapshot": {},
        "campaign_ref": None,
        "campaign_version": None,
        "sku": None,
        "second_sku": None,
        "quantity": None,
        "total_minor": None,
        "shown_at": None,
        "declined_at": None,
        "sold_out_at": None,
        "extended_at": None,
        "propensity": None,
        "exposures": None,
    }


def _without(reason: Reason) -> dict[str, Any]:
    return {"outcome": Outcome.ERROR if reason in _FAILURES else Outcome.INELIGIBLE, "reason": reason}


def _ineligible(rt: Runtime, read: Page, page: Placement, now: datetime, *, undo_seconds: int) -> Reason | None:
    """Why this order is offered nothing, whatever there is to offer."""
    order, settings = read.order, rt.settings
    if read.off:
        return Reason.SWITCHED_OFF
    if order["ineligible_reason"]:
        return Reason(order["ineligible_reason"])
    age = now - order["placed_at"]
    if age > timedelta(seconds=settings.order_max_age_seconds):
        return Reason.ORDER_TOO_OLD
    if page is Placement.ORDER_STATUS and age > timedelta(seconds=undo_seconds):
        return Reason.HOLD_OVER
    if sum(row["outcome"] == Outcome.OFFERED for row, _ in read.steps) >= MAX_SHOWN:
        return Reason.ENOUGH_SHOWN
    return None


def _nothing(order: Mapping[Any, Any], choosing: Choosing) -> Reason:
    """Why no campaign had an offer, as one word; the trace has the sentences."""
    if choosing.log:
        return Reason.ALL_FILTERED
    ranking = (order["facts"] or {}).get("ranking")
    if ranking is not None:
        return Reason(ranking)
    if not order["candidates"] and any(one.version == 0 for one in choosing.asked):
        return Reason.NO_CANDIDATE if order["model_version"] else Reason.NO_MODEL
    return Reason.NO_CAMPAIGN
