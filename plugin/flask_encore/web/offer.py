"""The shopper's routes: look, choose, accept, decline, undo, leave, the bank's check. Each answers the offer's state.

The browser sends a token, the number of a choice and a text: prices, products and amounts in a request are not read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, abort, g, jsonify, redirect, request
from markupsafe import Markup

import encore_static
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.errors import GatewayError
from flask_encore.services import accepting, offering, recovering
from flask_encore.services.offering import Offered
from flask_encore.services.runtime import logger
from flask_encore.web.card import anchor_of
from flask_encore.web.contexts import CardState, Notice, OfferCard
from flask_encore.web.current import AppState, state
from flask_encore.web.drawing import (
    NAME,
    NOTHING,
    Asked,
    card_of,
    card_of_charge,
    fragment_of,
    is_headless,
    section_of,
)
from flask_encore.web.headless import as_json, problem
from flask_encore.web.origins import is_own_page
from flask_encore.web.policies import Room, open_to
from flask_encore.web.tokens import Ticket, asking, choice_in

#: Who may do something about an offer. It is no cookie, so no other site can make a browser send it.
THE_SHOPPER = "the holder of the offer's signed token"

#: Bytes of a form that are read: a choice, and the longest text in letters of four bytes, each written as %XX.
MAX_FORM_BYTES = 8_192

_NOT_TAKEN = "Nothing was accepted; the offer is still open."

_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}

#: Notices under which nothing was accepted because of what was sent; the card stays open.
_REFUSED = {Notice.CHOICE_GONE, Notice.TEXT_MISSING, Notice.TEXT_TOO_LONG}


def create_blueprint() -> Blueprint:
    """The routes under ``/encore/offers`` and the offer's two assets."""
    blueprint = Room(NAME, __name__, static_folder=encore_static.OFFER, static_url_path="/static/offer")
    blueprint.before_request(_refuse_other_origins)
    blueprint.after_request(_headers)
    blueprint.get("/offers/<token>")(look)
    for view in ACTS:
        blueprint.post(f"/offers/<token>/{view.__name__}")(view)
    return blueprint


@open_to(THE_SHOPPER)
def look(token: str) -> Response:
    """The state of an offer. Changes nothing."""
    ticket, offered = _open(token)
    return _answer(ticket, offered, redirecting=False)


@open_to(THE_SHOPPER)
def choose(token: str) -> Response:
    """Show another variant or quantity at the server's price for it. Changes nothing."""
    ticket, offered = _open(token)
    choice = _choice()
    card = card_of(state(), offered, ticket, asked=Asked(choice=choice))
    if card.choices and card.choice != choice:
        card = replace(card, notice=Notice.CHOICE_GONE)
    return _respond(ticket, card)


@open_to(THE_SHOPPER)
def accept(token: str) -> Response:
    """Accept and charge. A second click finds the first one's claim."""
    app, ticket = _ticket(token)
    choice, text = _choice(), _text()
    try:
        charge = accepting.accept(
            app.runtime, ticket.offer_id, return_url=_absolute(ticket.path), choice=choice, text=text
        )
    except accepting.Busy:
        asked = Asked(choice=choice, text=text, notice=Notice.BUSY)
    except accepting.ChoiceGone:
        asked = Asked(choice=choice, gone=choice, text=text, notice=Notice.CHOICE_GONE)
    except accepting.TextRefused as refused:
        asked = Asked(choice=choice, text=text, notice=Notice(f"text_{refused.reason}"))
    else:
        if charge is None:
            return _answer(ticket, _find(app, ticket))
        return _answer_charge(app, ticket, charge)
    return _answer(ticket, _find(app, ticket), asked=asked)


@open_to(THE_SHOPPER)
def extend(token: str) -> Response:
    """More time for an offer with a timer, once."""
    app, ticket = _ticket(token)
    extended = accepting.extend(app.runtime, ticket.offer_id)
    return _answer(ticket, _find(app, ticket), asked=Asked(notice=Notice.EXTENDED) if extended else NOTHING)


@open_to(THE_SHOPPER)
def decline(token: str) -> Response:
    """Decline the offer."""
    return _act(token, lambda app, offered: accepting.decline(app.runtime, offered.decision["id"]))


@open_to(THE_SHOPPER)
def undo(token: str) -> Response:
    """Undo an accepted offer: full refund while the hold lasts. After that the card says that it is too late."""
    ticket, offered = _open(token)
    accepting.undo(state().runtime, offered)
    return _answer(ticket, _find(state(), ticket), asked=Asked(notice=Notice.NOT_UNDONE))


@open_to(THE_SHOPPER)
def leave(token: str) -> Response:
    """Leave a charge the bank said no to, or wants confirmed: nothing is charged, the order is unchanged."""
    return _act(token, lambda app, offered: accepting.leave(app.runtime, offered))


@open_to(THE_SHOPPER)
def refresh(token: str) -> Response:
    """Ask Stripe how it stands, when that is not known."""
    ticket, offered = _open(token)
    waiting = offered.charge is not None and offered.charge.status not in {
        ChargeStatus.SUCCEEDED,
        ChargeStatus.CANCELED,
        ChargeStatus.REFUNDED,
        ChargeStatus.DISPUTED,
    }
    if waiting:
        recovering.refresh(state().runtime, offered, return_url=_absolute(ticket.path))
        offered = _find(state(), ticket)
    return _answer(ticket, offered)


@open_to(THE_SHOPPER)
def shown(token: str) -> Response:
    """A human saw the offer; counted once."""
    app, ticket = _ticket(token)
    accepting.shown(app.runtime, ticket.offer_id)
    return Response(status=204)


@open_to(THE_SHOPPER)
def secret(token: str) -> Response:
    """What Stripe.js needs for the bank's check or another card; only while one of them is wanted."""
    app, ticket = _ticket(token)
    offered = _find(app, ticket)
    try:
        found = accepting.confirmation(app.runtime, offered)
    except GatewayError:
        return _problem(503, "The bank cannot be reached at the moment. Nothing was charged; please try again.")
    if found is None:
        return _problem(409, "There is nothing to confirm, or it was tried too often. Your order is unchanged.")
    settings = app.runtime.settings
    return jsonify(
        client_secret=found.client_secret,
        publishable_key=settings.stripe_publishable_key,
        stripe_account=settings.stripe_account,
    )


#: What can be done about an offer, each by a POST to its name.
ACTS = (choose, accept, extend, decline, undo, leave, refresh, shown, secret)


def _act(token: str, act: Callable[[AppState, Offered], object]) -> Response:
    ticket, offered = _open(token)
    act(state(), offered)
    return _answer(ticket, _find(state(), ticket))


def _ticket(token: str) -> tuple[AppState, Ticket]:
    app = state()
    ticket = app.tokens.read(token)
    if ticket is None or ticket.account != app.runtime.account:
        abort(404)
    return app, ticket


def _find(app: AppState, ticket: Ticket) -> Offered:
    offered = accepting.find(app.runtime, ticket.offer_id)
    if offered is None:
        abort(404)
    return offered


def _open(token: str) -> tuple[Ticket, Offered]:
    app, ticket = _ticket(token)
    return ticket, _find(app, ticket)


def _answer(ticket: Ticket, offered: Offered, *, redirecting: bool = True, asked: Asked = NOTHING) -> Response:
    card = card_of(state(), offered, ticket, asked=asked)
    return _respond(ticket, card, redirecting=redirecting, offered=offered)


def _answer_charge(app: AppState, ticket: Ticket, charge: Charge) -> Response:
    """The answer to a fresh accept, from the charge alone: no further read, unless another offer may follow."""
    card = card_of_charge(app, charge, ticket)
    followed = card.state is CardState.CHARGED and charge.snapshot.get("on_accept")
    return _respond(ticket, card, offered=_find(app, ticket) if followed else None)


def _respond(ticket: Ticket, card: OfferCard, *, redirecting: bool = True, offered: Offered | None = None) -> Response:
    """HTML for the element, JSON for who asks for it, and for a plain form the way back to its page."""
    refused = card.notice in _REFUSED and card.state is CardState.OPEN
    status, headers = (422, {}) if refused else (200, {})
    if card.notice is Notice.BUSY and card.state is CardState.OPEN:
        status, headers = 503, {"Retry-After": "2"}
    if request.headers.get("X-Encore-Fragment"):
        html = fragment_of(state(), card) + _next(ticket, card, offered)
        return Response(html, status=status, mimetype="text/html", headers=headers)
    wants_json = request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
    if redirecting and not wants_json and not is_headless():
        path = asking(ticket.path, place=ticket.place, choice=card.choice, notice=card.notice)
        return redirect(f"{path}#{anchor_of(ticket.place)}", code=303)  # type: ignore[return-value]
    body: dict[str, Any] = {"state": card.state.value, "order_ref": card.order_ref}
    if card.undo_until:
        body["undo_until"] = card.undo_until.isoformat()
    if card.choices:
        body |= {"choice": card.choice, "total": card.total.minor_units, "currency": card.total.currency}
    if is_headless():
        app = state()
        told = as_json(app, card, html=fragment_of(app, card))
        if status != 200:
            return problem(status, _NOT_TAKEN, code=card.notice.value, headers=headers, offer=told)
        return jsonify(body | {"offer": told, "next": str(_next(ticket, card, offered)) or None})
    response = jsonify(body | ({"error": card.notice.value} if status != 200 else {}))
    response.status_code = status
    response.headers.update(headers)
    return response


def _next(ticket: Ticket, card: OfferCard, offered: Offered | None) -> Markup:
    """The section of the offer that follows this answer; empty when nothing does, and when it cannot be drawn."""
    if offered is None or card.state not in {CardState.CHARGED, CardState.DECLINED}:
        return Markup("")
    app = state()
    following = offering.next_of(app.runtime, offered)
    if following is None:
        return Markup("")
    # It takes the place of a no, and comes after a yes: as the page is drawn from then on.
    place = ticket.place + (card.state is CardState.CHARGED)
    after = replace(ticket, offer_id=following.decision["id"], place=place)
    try:
        return section_of(app, card_of(app, following, after))
    except Exception as error:
        app.runtime.counts.add(f"next_{type(error).__name__}")
        logger.exception("the offer after %s cannot be drawn", ticket.offer_id)
        return Markup("")


def _field(name: str) -> str:
    """A field of the form that was sent; empty without one. What is no form is not read."""
    if request.mimetype not in _FORMS:
        return ""
    if (request.content_length or 0) > MAX_FORM_BYTES:
        abort(413)
    return request.form.get(name, "")


def _choice() -> int:
    """The number of the choice. What is not one is -1, which no offer has: a wrong price is never taken for another."""
    return choice_in(_field("choice") or "0")


def _text() -> str:
    """The text, with line ends as everywhere but in forms."""
    return _field("text").replace("\r\n", "\n")


def _problem(status: int, sentence: str) -> Response:
    if is_headless():
        return problem(status, sentence)
    response = jsonify(error=sentence)
    response.status_code = status
    return response


def _absolute(path: str) -> str:
    # Of a storefront the page is elsewhere: its origin was found among those the shop named.
    return str(g.get("encore_page_origin") or request.host_url.rstrip("/")) + path


def _refuse_other_origins() -> Response | None:
    """A POST has to come from the shop's own pages."""
    if request.method != "POST" or is_own_page():
        return None
    return _problem(403, "This request did not come from the shop's own page.")


def _headers(response: Response) -> Response:
    """For our own answers only; the host's pages keep their own headers."""
    if request.endpoint != f"{NAME}.static":
        response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    return response
