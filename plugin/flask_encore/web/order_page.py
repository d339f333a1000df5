"""One order: as it was paid, every decision about it and why, where the money is, and who was told of it.

What can be done about it stands beside what it is about: a refund, and a message sent once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel.dates import format_datetime
from flask import Blueprint, Response, g, request

from flask_encore.config import STRIPE_API
from flask_encore.domain.campaigns import BUILT_IN
from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.offers import Outcome
from flask_encore.domain.rights import Right
from flask_encore.services import hooking, order_story, resending
from flask_encore.services.hooking import NoSuchWebhook
from flask_encore.services.order_story import Chapter, Paid, Story
from flask_encore.services.reasons import REASONS, refusal
from flask_encore.services.runtime import Runtime
from flask_encore.store import hooks
from flask_encore.web import campaign_words, order_words
from flask_encore.web import dashboard_words as words
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import (
    LONGEST_ACTOR,
    ask,
    changes_something,
    is_sealed,
    message,
    needs,
    on_database,
    page,
    see,
)
from flask_encore.web.dashboard_words import Tone
from flask_encore.web.intervening_pages import is_held
from flask_encore.web.orders_page import HERE, order_url
from flask_encore.web.phrases import phrases_for

#: Digits of a row's id; more fit into no database.
LONGEST_ID = 18

NOT_SENT = "Nothing was sent"

RESEND = (
    "Hand this message to your handlers again?",
    "Every handler of its kind is called once more, as soon as a worker comes by. One that is idempotent by "
    "charge_ref, as each has to be, does nothing it did before. Webhooks are not sent again.",
    "Send again",
)
REPLAY = (
    "Send this message to the endpoint again?",
    "It is sent with the same webhook-id, now and for three days if need be; a receiver that keeps to the "
    "specification takes it for the one it had.",
    "Send again",
)

#: What a click led to -> how it is told on the order's page.
DONE = {
    "resent": ("The message is on its way to your handlers.", Tone.GOOD),
    "underway": ("Nothing was changed: the message is on its way already.", Tone.WAIT),
    "replayed": ("The message is on its way to the endpoint.", Tone.GOOD),
    "released": ("Released: your shop is told to ship it.", Tone.GOOD),
    "not-held": ("Nothing was released: it is not held.", Tone.WAIT),
    "agree": ("Stripe and Encore agree about it now; the quarantine is over.", Tone.GOOD),
    "disagree": ("Stripe and Encore still disagree; it stays quarantined.", Tone.BAD),
    "reviewed": ("Written down: somebody settled it by hand.", Tone.GOOD),
}

_say = phrases_for("en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that happened, as a timeline has it."""

    at: datetime
    headline: str
    tone: Tone
    by: str = ""
    detail: str = ""


def add_to(blueprint: Blueprint) -> None:
    """The page, and the two ways to send again."""
    # A ref may be anything: what an address cannot carry between slashes stands behind its question mark.
    blueprint.get("/dashboard/order")(order)
    blueprint.get("/dashboard/orders/<path:order_ref>")(order)
    blueprint.get("/dashboard/messages/<id>/resend")(ask_resend)
    blueprint.post("/dashboard/messages/<id>/resend")(resend)
    blueprint.get("/dashboard/deliveries/<id>/replay")(ask_replay)
    blueprint.post("/dashboard/deliveries/<id>/replay")(replay)


@needs(Right.READ)
@on_database
def order(order_ref: str | None = None) -> Response:
    """One order, and everything known of it."""
    rt = state().runtime
    wanted = request.args.get("ref", "") if order_ref is None else order_ref
    story = order_story.story(rt, wanted)
    if story is None:
        typed = wanted.replace("\0", "")[:LONGEST_ACTOR]
        return page("order_unknown.html", status=404, here=HERE, typed=typed)
    return page(
        "order.html",
        here=HERE,
        story=story,
        notices=_notices(story),
        order_words=order_words,
        campaign_words=campaign_words,
        reasons=REASONS,
        refusal=refusal,
        built_in=BUILT_IN,
        headline=headline,
        offer_moments=offer_moments,
        charge_moments=charge_moments,
        exactly=lambda moment: format_datetime(moment, "d MMM y, HH:mm:ss", tzinfo=rt.settings.zone, locale="en"),
        can_refund=lambda paid: _can_refund(rt, paid),
        is_held=is_held,
        can_resend=lambda one: resending.can_resend(one.delivered_at, one.next_run_at, now=rt.clock()),
        at_stripe=lambda ref: _at_stripe(rt, ref),
        now=rt.clock(),
    )


@needs(Right.EDIT)
@on_database
def ask_resend(id: str) -> Response:
    """Ask once more. Changes nothing."""
    row = _message(id)
    return _no_such_message() if row is None else _ask(RESEND, row["order_ref"])


@needs(Right.EDIT)
@on_database
@changes_something(NOT_SENT)
def resend(id: str) -> Response:
    """Hand a message to the handlers again."""
    row = _message(id)
    if row is None:
        return _no_such_message()
    if not is_sealed():
        return _ask(RESEND, row["order_ref"], stale=True)
    sent = resending.resend(state().runtime, row["id"], actor=g.encore_actor)
    return see(order_url(row["order_ref"], done="resent" if sent else "underway", _anchor="messages"))


@needs(Right.EDIT)
@on_database
def ask_replay(id: str) -> Response:
    """Ask once more. Changes nothing."""
    order_ref = _order_of_delivery(id)
    return _no_such_message() if order_ref is None else _ask(REPLAY, order_ref)


@needs(Right.EDIT)
@on_database
@changes_something(NOT_SENT)
def replay(id: str) -> Response:
    """Send one message to one endpoint again."""
    order_ref = _order_of_delivery(id)
    if order_ref is None:
        return _no_such_message()
    if not is_sealed():
        return _ask(REPLAY, order_ref, stale=True)
    try:
        hooking.replay(state().runtime, int(id), actor=g.encore_actor)
    except NoSuchWebhook:
        return _no_such_message()
    return see(order_url(order_ref, done="replayed", _anchor="messages"))


def _ask(question: tuple[str, str, str], order_ref: str, *, stale: bool = False) -> Response:
    return ask(*question, stale=stale, danger=False, here=HERE, back_url=order_url(order_ref, _anchor="messages"))


def _message(id: str) -> Mapping[Any, Any] | None:
    rt = state().runtime
    return resending.find(rt, int(id)) if _is_id(id) else None


def _order_of_delivery(id: str) -> str | None:
    rt = state().runtime
    if not _is_id(id):
        return None
    with rt.db.read() as connection:
        found = hooks.find_delivery(connection, int(id), account=rt.account)
    return None if found is None else found.order_ref


def _is_id(id: str) -> bool:
    return id.isascii() and id.isdecimal() and len(id) <= LONGEST_ID


def _no_such_message() -> Response:
    return message(404, "There is no such message", "Nothing was sent. Look for its order.")


# What the page says


def headline(chapter: Chapter) -> tuple[str, str, Tone]:
    """How a decision ended: in a word, in a sentence, its colour."""
    told = chapter.told
    if chapter.paid is not None:
        name, tone = words.CHARGES[chapter.paid.charge.status]
        return (name, "The shopper said yes.", tone)
    if told.outcome is not Outcome.OFFERED:
        tone = Tone.BAD if told.outcome is Outcome.ERROR else Tone.PLAIN
        return (order_words.OUTCOMES[told.outcome], REASONS[told.reason], tone)
    if chapter.declined_at is not None:
        return ("Declined", "The shopper said no.", Tone.PLAIN)
    if chapter.sold_out_at is not None:
        return ("Sold out", "The last unit went to somebody else; nothing was charged.", Tone.WAIT)
    return ("Offered", "", Tone.PLAIN)


def offer_moments(chapter: Chapter, now: datetime) -> list[Moment]:
    """What became of the offer, oldest first; the charge has a timeline of its own."""
    made = [Moment(at=chapter.told.decided_at, headline="Decided", tone=Tone.PLAIN)]
    accepted_at = chapter.paid.charge.accepted_at if chapter.paid is not None else None
    for at, name in (
        (chapter.shown_at, "Seen by a human"),
        (accepted_at, "Accepted by the shopper"),
        (chapter.extended_at, "The shopper asked for more time"),
        (chapter.declined_at, "Declined by the shopper"),
        (chapter.sold_out_at, "Sold out under the shopper’s hands"),
    ):
        if at is not None:
            made.append(Moment(at=at, headline=name, tone=Tone.PLAIN))
    answered = chapter.paid is not None or chapter.declined_at is not None
    if chapter.is_offer and not answered:
        over = chapter.expires_at <= now
        made.append(Moment(at=chapter.expires_at, headline="Expired" if over else "Will expire", tone=Tone.PLAIN))
    return sorted(made, key=lambda moment: moment.at)


def charge_moments(paid: Paid) -> list[Moment]:
    """Every change of the charge, oldest first; of one without a history, what its row tells."""
    if paid.changes:
        return [
            Moment(
                at=change.at,
                headline=words.CHARGES[change.status][0],
                tone=words.CHARGES[change.status][1],
                by=order_words.SOURCES[change.source],
                detail=change.detail,
            )
            for change in paid.changes
        ]
    charge = paid.charge
    known = (
        (charge.accepted_at, "Accepted", Tone.PLAIN),
        (charge.charged_at, "Charged", Tone.GOOD),
        (charge.hold_released_at, "Released to be shipped", Tone.PLAIN),
    )
    return [Moment(at=at, headline=name, tone=tone) for at, name, tone in known if at is not None]


def _notices(story: Story) -> Sequence[tuple[str, Tone]]:
    told = []
    if request.args.get("done") in DONE:
        told.append(DONE[request.args["done"]])
    for one in story.chapters:
        if one.paid is not None and one.paid.charge.id == request.args.get("refund"):
            told.append(_refund_told(one.paid))
    return told


def _refund_told(paid: Paid) -> tuple[str, Tone]:
    failed = bool(paid.refunds) and paid.refunds[-1].status == "failed"
    charge = paid.charge
    return words.refund_stands(charge.status, _say.money(charge.amount), charge.order_ref, failed=failed)


def _can_refund(rt: Runtime, paid: Paid) -> bool:
    charge = paid.charge
    return charge.status is ChargeStatus.SUCCEEDED and not charge.quarantine_reason and rt.gateway is not None


def _at_stripe(rt: Runtime, ref: str | None) -> str | None:
    """Where Stripe's own dashboard has a PaymentIntent; ``None`` for a simulated Stripe, which has no such page."""
    if ref is None or rt.settings.stripe_api_base.rstrip("/") != STRIPE_API:
        return None
    account = f"{rt.account}/" if rt.account else ""
    return f"https://dashboard.stripe.com/{account}{'' if rt.settings.livemode else 'test/'}payments/{ref}"
