"""The merchant's own endpoints: added, tried, paused, rotated, removed; what was delivered to each, and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, request

from flask_encore import signals
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.events import EventKind
from flask_encore.domain.hooks import ROTATION, Delivery, DeliveryStatus, Webhook
from flask_encore.domain.rights import Right
from flask_encore.domain.targets import MAX_URL
from flask_encore.services import hooking
from flask_encore.services.hooking import NoSuchWebhook
from flask_encore.services.runtime import Runtime
from flask_encore.web import settings_words
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import (
    ask,
    changes_something,
    is_sealed,
    message,
    needs,
    on_database,
    page,
    see,
    url,
)
from flask_encore.web.dashboard_words import Tone
from flask_encore.web.downloads import Column, Table, offered
from flask_encore.web.orders_page import order_url

#: Deliveries on one page of the log.
LOG_PAGE = 50

#: Kind of event -> what it says happened, as the signals say it.
KINDS = {kind: (signals.BY_KIND[kind].__doc__ or "").partition("; carries")[0] for kind in EventKind}

NOT_CHANGED = "Nothing was changed"

Told = Sequence[tuple[str, Tone]]


def add_to(blueprint: Blueprint) -> None:
    """The list with its form, one endpoint with its log, and what can be done to either."""
    blueprint.get("/dashboard/settings/webhooks/")(webhooks)
    blueprint.post("/dashboard/settings/webhooks/")(add_webhook)
    blueprint.get("/dashboard/settings/webhooks/<id>/")(webhook)
    for act, question, done in (
        ("remove", ask_remove, remove_webhook),
        ("rotate", ask_rotate, rotate_webhook),
    ):
        blueprint.get(f"/dashboard/settings/webhooks/<id>/{act}")(question)
        blueprint.post(f"/dashboard/settings/webhooks/<id>/{act}")(done)
    blueprint.post("/dashboard/settings/webhooks/<id>/pause")(pause_webhook)
    blueprint.post("/dashboard/settings/webhooks/<id>/resume")(resume_webhook)
    blueprint.post("/dashboard/settings/webhooks/<id>/test")(test_webhook)
    blueprint.post("/dashboard/settings/webhooks/<id>/replay")(replay_failed)
    blueprint.post("/dashboard/settings/webhooks/<id>/deliveries/<delivery>/replay")(replay_delivery)


def of_webhook(view: Callable[..., Response]) -> Callable[..., Response]:
    """Hand a view the endpoint its address names; one that is not there, or not any more, is a page that says so."""

    @wraps(view)
    def answer(id: str, **more: str) -> Response:
        try:
            return view(hooking.find(state().runtime, number_of(id) or 0), **more)
        except NoSuchWebhook:
            return message(404, "There is no such webhook", "Nothing was changed. It may have been removed meanwhile.")

    return answer


# All of them


@needs(Right.READ)
@on_database
def webhooks() -> Response:
    """Every endpoint, how its deliveries stand, and the form of a new one."""
    gone = number_of(request.args.get("removed", ""))
    told: Told = [(f"Webhook {gone} is removed: its secret and its log are forgotten.", Tone.GOOD)] if gone else ()
    return _list(told=told)


@needs(Right.EDIT)
@on_database
@changes_something("No webhook was added")
def add_webhook() -> Response:
    """Add an endpoint. Its signing secret stands on this answer and nowhere else."""
    typed, kinds = request.form.get("url", "").strip()[: MAX_URL + 1], request.form.getlist("kind")[: len(KINDS)]
    if not is_sealed():
        stale = "This page was open for too long. No webhook was added yet; please send it again."
        return _list(status=403, typed=typed, kinds=kinds, told=[(stale, Tone.WAIT)])
    try:
        added = hooking.add(state().runtime, typed, kinds=kinds, actor=g.encore_actor)
    except InvalidInput as error:
        return _list(status=422, typed=typed, kinds=kinds, error=str(error))
    return _secret(added, f"Webhook {added.id} is added")


# One of them


@needs(Right.READ)
@on_database
@of_webhook
def webhook(found: Webhook) -> Response:
    """One endpoint and its log."""
    answer = offered(_log(state().runtime, found))
    if answer is not None:
        return answer
    return _one(found, told=_just_done(found))


@needs(Right.EDIT)
@on_database
@changes_something(NOT_CHANGED)
@of_webhook
def pause_webhook(found: Webhook) -> Response:
    """Send nothing for the time being. A second click finds it paused."""
    return _turn(found, active=False)


@needs(Right.EDIT)
@on_database
@changes_something(NOT_CHANGED)
@of_webhook
def resume_webhook(found: Webhook) -> Response:
    """Send again from now on. A second click finds it active."""
    return _turn(found, active=True)


def _log(rt: Runtime, webhook: Webhook) -> Table:
    """Every delivery to one endpoint."""
    titles = {
        "created_at": "When",
        "message_ref": "Message",
        "kind": "Event",
        "order_ref": "Order",
        "status": "How it stands",
        "attempts": "Attempts",
        "response_code": "HTTP status",
        "delivered_at": "Taken at",
        "next_run_at": "Next attempt at",
        "last_error": "Last error",
    }
    return Table(
        name="deliveries",
        columns=[Column(key, title) for key, title in titles.items()],
        rows=({key: getattr(one, key) for key in titles} for one in _every_delivery(rt, webhook)),
    )


def _every_delivery(rt: Runtime, webhook: Webhook) -> Iterator[Delivery]:
    before_id: int | None = None
    while found := hooking.deliveries(rt, webhook_id=webhook.id, before_id=before_id, limit=hooking.MAX_LOGGED):
        yield from found
        before_id = found[-1].id


@needs(Right.EDIT)
@on_database
@changes_something("Nothing was sent")
@of_webhook
def test_webhook(found: Webhook) -> Response:
    """Send one signed test message now, and say how it fared. It is in no log, so the answer to this says it."""
    if not is_sealed():
        return _stale(found)
    tried = hooking.try_out(state().runtime, found.id)
    if tried.error:
        return _one(found, told=[(f"The test message was not taken: {tried.error}", Tone.BAD)])
    return _one(found, told=[(f"The test message was taken: HTTP {tried.code}, {tried.message_ref}.", Tone.GOOD)])


@needs(Right.EDIT)
@on_database
@of_webhook
def ask_rotate(found: Webhook) -> Response:
    """Ask once more. Changes nothing."""
    return _ask_rotate(found, stale=False)


@needs(Right.EDIT)
@on_database
@changes_something("The secret stays as it is")
@of_webhook
def rotate_webhook(found: Webhook) -> Response:
    """Give an endpoint a new secret, which stands on this answer and nowhere else."""
    if not is_sealed():
        return _ask_rotate(found, stale=True)
    try:
        rotated = hooking.rotate(state().runtime, found.id, actor=g.encore_actor)
    except InvalidInput as error:
        return message(409, "The secret was replaced just now", str(error))
    return _secret(rotated, f"Webhook {found.id} has a new secret")


@needs(Right.EDIT)
@on_database
@of_webhook
def ask_remove(found: Webhook) -> Response:
    """Ask once more. Changes nothing."""
    return _ask_remove(found, stale=False)


@needs(Right.EDIT)
@on_database
@changes_something("Nothing was removed")
@of_webhook
def remove_webhook(found: Webhook) -> Response:
    """Take an endpoint away, with its secret and its log."""
    if not is_sealed():
        return _ask_remove(found, stale=True)
    hooking.remove(state().runtime, found.id, actor=g.encore_actor)
    return see(url("webhooks", removed=found.id))


@needs(Right.EDIT)
@on_database
@changes_something("Nothing is sent again")
@of_webhook
def replay_failed(found: Webhook) -> Response:
    """Send again all that was given up."""
    if not is_sealed():
        return _stale(found)
    count = hooking.replay_failed(state().runtime, found.id, since=found.created_at, actor=g.encore_actor)
    return see(url("webhook", id=found.id, replayed=count))


@needs(Right.EDIT)
@on_database
@changes_something("Nothing is sent again")
@of_webhook
def replay_delivery(found: Webhook, delivery: str) -> Response:
    """Send one message again, with the same id."""
    if not is_sealed():
        return _stale(found)
    try:
        hooking.replay(state().runtime, number_of(delivery) or 0, of_webhook=found.id, actor=g.encore_actor)
    except NoSuchWebhook:
        return message(404, "There is no such delivery", "Nothing is sent again. The log may have been purged.")
    return see(url("webhook", id=found.id, replayed=1))


def number_of(text: str) -> int | None:
    """The id *text* is; ``None`` when it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def shown_url(webhook: Webhook) -> str:
    """The URL without its query, which may hold a key of the receiver's."""
    parts = urlsplit(webhook.url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}{'?…' if parts.query else ''}"


def _turn(found: Webhook, *, active: bool) -> Response:
    if not is_sealed():
        return _stale(found)
    turn = hooking.resume if active else hooking.pause
    turn(state().runtime, found.id, actor=g.encore_actor)
    return see(url("webhook", id=found.id))


def _ask_rotate(webhook: Webhook, *, stale: bool) -> Response:
    hours = int(ROTATION.total_seconds() // 3600)
    return ask(
        f"Give webhook {webhook.id} a new secret?",
        f"It is shown once. For {hours} hours both secrets sign every message, so the receiver can change over without "
        "missing any; after that only the new one does.",
        "Rotate the secret",
        stale=stale,
        danger=False,
        here="settings",
        back_url=url("webhook", id=webhook.id),
    )


def _ask_remove(webhook: Webhook, *, stale: bool) -> Response:
    return ask(
        f"Remove webhook {webhook.id}?",
        f"Nothing is sent to {shown_url(webhook)} any more. Its secret and its log are forgotten, what waits is not "
        "sent, and none of it can be brought back. To stop for a while, pause it instead.",
        "Remove it",
        stale=stale,
        danger=True,
        here="settings",
        back_url=url("webhook", id=webhook.id),
    )


def _stale(webhook: Webhook) -> Response:
    stale = "This page was open for too long. Nothing was done yet; please press the button again."
    return _one(webhook, status=403, told=[(stale, Tone.WAIT)])


def _just_done(webhook: Webhook) -> Told:
    if "replayed" not in request.args:
        return ()
    count = number_of(request.args["replayed"])
    if not count:
        return [("Nothing was given up, so nothing is sent again.", Tone.PLAIN)]
    later = "" if webhook.active_since else " when it is resumed"
    number = "1 message is" if count == 1 else f"{count:,} messages are"
    return [(f"{number} sent again{later}, with the ids they had.", Tone.GOOD)]


def _secret(webhook: Webhook, title: str) -> Response:
    return page(
        "secret.html",
        here="settings",
        title=title,
        what="This is its signing secret. The receiver checks every message with it:",
        example="webhook-signature: v1,…",
        secret=str(webhook.secret),
        back_url=url("webhook", id=webhook.id),
    )


def _list(
    *, status: int = 200, typed: str = "", kinds: Sequence[str] = (), error: str = "", told: Told = ()
) -> Response:
    rt = state().runtime
    counts = hooking.counts(rt)
    return page(
        "webhooks.html",
        here="settings",
        status=status,
        webhooks=[
            (one, shown_url(one), [(words, counts.get((one.id, how), 0)) for how, words in _DELIVERIES])
            for one in hooking.listed(rt)
        ],
        most=hooking.MAX_WEBHOOKS,
        kinds=KINDS,
        typed=typed,
        chosen=frozenset(kinds),
        error=error,
        told=told,
    )


_DELIVERIES = tuple(settings_words.DELIVERIES.items())


def _one(webhook: Webhook, *, status: int = 200, told: Told = ()) -> Response:
    rt = state().runtime
    asked = request.args.get("status", "")
    how = DeliveryStatus(asked) if asked in set(DeliveryStatus) else None
    before = number_of(request.args.get("before", ""))
    # One more than a page holds tells whether there is another one.
    log = hooking.deliveries(rt, webhook_id=webhook.id, status=how, before_id=before, limit=LOG_PAGE + 1)
    counts = hooking.counts(rt)
    current = hooking.find(rt, webhook.id)
    return page(
        "webhook.html",
        here="settings",
        status=status,
        webhook=current,
        shown_url=shown_url(current),
        kinds=KINDS,
        log=log[:LOG_PAGE],
        older=log[LOG_PAGE - 1].id if len(log) > LOG_PAGE else None,
        paged=before is not None,
        how=how,
        counts={one: counts.get((webhook.id, one), 0) for one in DeliveryStatus},
        deliveries=settings_words.DELIVERIES,
        both_until=current.previous_until
        if current.previous_until is not None and rt.clock() < current.previous_until
        else None,
        order_url=order_url,
        told=told,
    )
