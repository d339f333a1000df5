"""The shopper's routes: look, accept, decline, undo, leave, and the bank's check. Every road answers the offer's state.

The browser sends a token and nothing else that counts: prices, products and amounts in a request are not read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, request, url_for

import encore_static
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.errors import GatewayError
from flask_encore.domain.money import Money
from flask_encore.domain.offers import OfferState
from flask_encore.services import accepting, recovering
from flask_encore.services.offering import Offered
from flask_encore.web.card import render_fragment
from flask_encore.web.contexts import CardState, CardUrls, OfferCard
from flask_encore.web.current import AppState, state
from flask_encore.web.origins import is_own_page
from flask_encore.web.tokens import Ticket

NAME = "encore_offer"


def create_blueprint() -> Blueprint:
    """The routes under ``/encore/offers`` and the offer's two assets."""
    blueprint = Blueprint(NAME, __name__, static_folder=encore_static.OFFER, static_url_path="/static/offer")
    blueprint.before_request(_refuse_other_origins)
    blueprint.after_request(_headers)
    blueprint.get("/offers/<token>")(look)
    for view in (accept, decline, undo, leave, refresh, shown, secret):
        blueprint.post(f"/offers/<token>/{view.__name__}")(view)
    return blueprint


def look(token: str) -> Response:
    """The state of an offer. Changes nothing."""
    ticket, offered = _open(token)
    return _answer(ticket, offered, redirecting=False)


def accept(token: str) -> Response:
    """Accept and charge. A second click finds the first one's claim."""
    app, ticket = _ticket(token)
    try:
        charge = accepting.accept(app.runtime, ticket.offer_id, return_url=_absolute(ticket.path))
    except accepting.Busy:
        return _answer(ticket, _find(app, ticket), busy=True)
    if charge is None:
        return _answer(ticket, _find(app, ticket))
    return _answer_charge(app, ticket, charge)


def decline(token: str) -> Response:
    """Decline the offer."""
    return _act(token, lambda app, offered: accepting.decline(app.runtime, offered.decision["id"]))


def undo(token: str) -> Response:
    """Undo an accepted offer: full refund while the hold lasts."""
    return _act(token, lambda app, offered: accepting.undo(app.runtime, offered))


def leave(token: str) -> Response:
    """Leave a charge the bank said no to, or wants confirmed: nothing is charged, the order is unchanged."""
    return _act(token, lambda app, offered: accepting.leave(app.runtime, offered))


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


def shown(token: str) -> Response:
    """A human saw the offer; counted once."""
    app, ticket = _ticket(token)
    accepting.shown(app.runtime, ticket.offer_id)
    return Response(status=204)


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


def card_of(app: AppState, offered: Offered, ticket: Ticket, *, busy: bool = False) -> OfferCard:
    """Everything the card shows, from the decision's frozen snapshot and the charge."""
    row = offered.decision
    return _card(
        app,
        ticket,
        snapshot=row["snapshot"],
        order_ref=row["order_ref"],
        currency=row["currency"],
        quantity=row["quantity"],
        expires_at=row["expires_at"],
        status=accepting.state_of(app.runtime, offered),
        charge=offered.charge,
        busy=busy,
    )


def _card(
    app: AppState,
    ticket: Ticket,
    *,
    snapshot: dict[str, Any],
    order_ref: str,
    currency: str,
    quantity: int,
    expires_at: datetime,
    status: OfferState,
    charge: Charge | None,
    busy: bool = False,
) -> OfferCard:
    settings, now, zone = app.runtime.settings, app.runtime.clock(), app.runtime.settings.zone
    token = app.tokens.issue(ticket)
    undo_until = charged_at = refunded_at = None
    if charge is not None:
        undoable = charge.undo_until is not None and charge.hold_released_at is None and now < charge.undo_until
        undo_until = charge.undo_until.astimezone(zone) if undoable and charge.undo_until else None
        charged_at = charge.charged_at.astimezone(zone) if charge.charged_at else None
        refunded_at = charge.updated_at.astimezone(zone) if charge.status is ChargeStatus.REFUNDED else None
    return OfferCard(
        state=CardState(status),
        locale=snapshot["locale"],
        order_ref=order_ref,
        title=snapshot["title"],
        image_url=snapshot["image_url"],
        quantity=quantity,
        item=Money(snapshot["item"], currency),
        discount=Money(snapshot["discount"], currency),
        discount_percent=snapshot["discount_percent"],
        shipping=Money(snapshot["shipping"], currency),
        total=Money(snapshot["total"], currency),
        because_of_title=snapshot["because_of_title"],
        support=snapshot["support"],
        of_orders=snapshot["of_orders"],
        card_brand=charge.card_brand if charge else snapshot["card_brand"],
        card_last4=charge.card_last4 if charge else snapshot["card_last4"],
        expires_at=expires_at,
        charged_at=charged_at,
        undo_until=undo_until,
        refunded_at=refunded_at,
        failure_code=charge.failure_code if charge else "",
        busy=busy,
        publishable_key=settings.stripe_publishable_key,
        stripe_js_url=settings.stripe_js_url,
        stripe_account=settings.stripe_account,
        urls=_urls(token),
        css_url=asset_url("offer.css"),
        js_url=asset_url("offer.js"),
    )


def asset_url(name: str) -> str:
    """The address of an asset, new whenever its content is."""
    return url_for(f"{NAME}.static", filename=name, v=_fingerprint(name))


@cache
def _fingerprint(name: str) -> str:
    return sha256((encore_static.OFFER / name).read_bytes()).hexdigest()[:12]


def _urls(token: str) -> CardUrls:
    def url(view: str) -> str:
        return url_for(f"{NAME}.{view}", token=token)

    return CardUrls(
        state=url("look"),
        shown=url("shown"),
        accept=url("accept"),
        decline=url("decline"),
        undo=url("undo"),
        leave=url("leave"),
        secret=url("secret"),
        refresh=url("refresh"),
    )


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


def _answer(ticket: Ticket, offered: Offered, *, redirecting: bool = True, busy: bool = False) -> Response:
    return _respond(ticket, card_of(state(), offered, ticket, busy=busy), redirecting=redirecting)


def _answer_charge(app: AppState, ticket: Ticket, charge: Charge) -> Response:
    """The answer to a fresh accept, from the charge alone: no further read."""
    card = _card(
        app,
        ticket,
        snapshot=charge.snapshot,
        order_ref=charge.order_ref,
        currency=charge.amount.currency,
        quantity=charge.quantity,
        expires_at=charge.expires_at,
        status=accepting.state_of_charge(charge),
        charge=charge,
    )
    return _respond(ticket, card, redirecting=True)


def _respond(ticket: Ticket, card: OfferCard, *, redirecting: bool) -> Response:
    """HTML for the element, JSON for who asks for it, and for a plain form the way back to its page."""
    status, headers = (503, {"Retry-After": "2"}) if card.busy else (200, {})
    if request.headers.get("X-Encore-Fragment"):
        html = render_fragment(card, catalogues=state().catalogues)
        return Response(html, status=status, mimetype="text/html", headers=headers)
    wants_json = request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
    if redirecting and not wants_json:
        return redirect(f"{ticket.path}#encore", code=303)  # type: ignore[return-value]
    body = {"state": card.state.value, "order_ref": card.order_ref}
    if card.undo_until:
        body["undo_until"] = card.undo_until.isoformat()
    response = jsonify(body | ({"error": "busy"} if card.busy else {}))
    response.status_code = status
    response.headers.update(headers)
    return response


def _problem(status: int, sentence: str) -> Response:
    response = jsonify(error=sentence)
    response.status_code = status
    return response


def _absolute(path: str) -> str:
    return request.host_url.rstrip("/") + path


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
