"""Stepping in by hand: the end of a hold before its time, a quarantined charge looked at again, or settled elsewhere.

Each is asked once more, and ends in `services.intervening`, which writes down who did it.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, g, request

from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.errors import GatewayError, InvalidInput
from flask_encore.domain.rights import Right
from flask_encore.services import intervening
from flask_encore.services.intervening import MAX_NOTE
from flask_encore.services.runtime import Runtime
from flask_encore.web import order_words
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import ask, changes_something, is_sealed, message, needs, on_database, page, see
from flask_encore.web.orders_page import HERE, order_url
from flask_encore.web.refund_page import charge_called, no_such_charge

RELEASE = (
    "End the time to undo now?",
    "Your shop is told to ship the line, and from that moment the shopper cannot undo it here any more. You can still "
    "refund it.",
    "Release it now",
)
RECHECK = (
    "Compare this charge with Stripe again?",
    "When Stripe and Encore agree about it now, the quarantine ends and Encore goes on where it stopped. When they do "
    "not, it stays, and the page says what was found.",
    "Compare again",
)


def add_to(blueprint: Blueprint) -> None:
    """A question and an answer each."""
    for path, question, answer in (
        ("release", ask_release, release),
        ("recheck", ask_recheck, recheck),
        ("review", ask_review, review),
    ):
        blueprint.get(f"/dashboard/charges/<charge_ref>/{path}")(question)
        blueprint.post(f"/dashboard/charges/<charge_ref>/{path}")(answer)


def is_held(charge: Charge) -> bool:
    """Whether its hold can be ended now."""
    return charge.status is ChargeStatus.SUCCEEDED and charge.hold_released_at is None and not charge.quarantine_reason


@needs(Right.EDIT)
@on_database
def ask_release(charge_ref: str) -> Response:
    """Ask once more. Changes nothing."""
    return _of(charge_ref, lambda _rt, charge: _ask(RELEASE, charge))


@needs(Right.EDIT)
@on_database
@changes_something("Nothing was released")
def release(charge_ref: str) -> Response:
    """End the hold. A second click finds it ended."""

    def act(rt: Runtime, charge: Charge) -> Response:
        if not is_sealed():
            return _ask(RELEASE, charge, stale=True)
        after = intervening.release_early(rt, charge, actor=g.encore_actor)
        return _back(charge, "released" if after.hold_released_at is not None else "not-held")

    return _of(charge_ref, act)


@needs(Right.EDIT)
@on_database
def ask_recheck(charge_ref: str) -> Response:
    """Ask once more. Changes nothing."""
    return _of(charge_ref, lambda _rt, charge: _ask(RECHECK, charge))


@needs(Right.EDIT)
@on_database
@changes_something("Nothing was compared")
def recheck(charge_ref: str) -> Response:
    """Compare with Stripe again, and end the quarantine when they agree."""

    def act(rt: Runtime, charge: Charge) -> Response:
        if not is_sealed():
            return _ask(RECHECK, charge, stale=True)
        if rt.gateway is None:
            return message(503, "Nothing was compared", "Encore has no Stripe key: set ENCORE_STRIPE_SECRET_KEY.")
        try:
            after = intervening.recheck(rt, charge, actor=g.encore_actor)
        except GatewayError:
            return message(
                503, "Nothing was compared", "Stripe did not answer. Nothing changed; try again in a minute."
            )
        return _back(charge, "disagree" if after.quarantine_reason else "agree")

    return _of(charge_ref, act)


@needs(Right.EDIT)
@on_database
def ask_review(charge_ref: str) -> Response:
    """Ask what was done. Changes nothing."""
    return _of(charge_ref, lambda _rt, charge: _review(charge))


@needs(Right.EDIT)
@on_database
@changes_something("Nothing was changed")
def review(charge_ref: str) -> Response:
    """Write down that somebody settled a quarantined charge; it stays out of everything automatic."""

    def act(rt: Runtime, charge: Charge) -> Response:
        note = request.form.get("note", "")
        if not is_sealed():
            return _review(charge, note=note, stale=True)
        try:
            intervening.mark_reviewed(rt, charge, actor=g.encore_actor, note=note)
        except InvalidInput as error:
            return _review(charge, note=note, error=str(error))
        return _back(charge, "reviewed")

    return _of(charge_ref, act)


def _of(charge_ref: str, act: Callable[[Runtime, Charge], Response]) -> Response:
    rt = state().runtime
    charge = charge_called(rt, charge_ref)
    return no_such_charge() if charge is None else act(rt, charge)


def _ask(question: tuple[str, str, str], charge: Charge, *, stale: bool = False) -> Response:
    return ask(*question, stale=stale, danger=False, here=HERE, back_url=order_url(charge.order_ref))


def _review(charge: Charge, *, note: str = "", error: str = "", stale: bool = False) -> Response:
    return page(
        "review.html",
        status=403 if stale else 422 if error else 200,
        here=HERE,
        charge=charge,
        found=order_words.quarantined(charge.quarantine_reason),
        note=note,
        longest=MAX_NOTE,
        error=error,
        stale=stale,
        back_url=order_url(charge.order_ref),
    )


def _back(charge: Charge, done: str) -> Response:
    return see(order_url(charge.order_ref, done=done))
