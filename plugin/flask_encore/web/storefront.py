"""Offers for pages that Flask does not render: the same cards and the same answers, for scripts of other origins.

Nothing is decided, charged or drawn here. The views of an offer are those of `web.offer`; this room adds the list that
a shop's signed order token opens, who may ask from where, and refusals that a script can read. No cookie is ever read.
"""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response, g, jsonify, request
from flask_cors import CORS
from werkzeug.exceptions import HTTPException

import encore_static
from flask_encore.domain.offers import Placement
from flask_encore.services.offering import sequence_for
from flask_encore.services.runtime import Counts, logger
from flask_encore.store.database import StoreError
from flask_encore.web import offer
from flask_encore.web.api.limiting import Limiter
from flask_encore.web.current import state
from flask_encore.web.drawing import STOREFRONT as NAME
from flask_encore.web.drawing import section_of
from flask_encore.web.headless import as_json, problem
from flask_encore.web.injection import cards_of
from flask_encore.web.origins import is_own_page
from flask_encore.web.policies import Room, open_to
from flask_encore.web.tokens import OrderTicket

#: Seconds a browser need not ask anew whether it may ask.
PREFLIGHT_SECONDS = 600

AWAY = "There is no offer at the moment. The order is not touched by that."


def create_blueprint(origins: Sequence[str], *, rate_limit_storage: str, counts: Counts) -> Blueprint:
    """The routes under ``/encore/storefront/v1``, for pages of *origins*."""
    blueprint = Room(NAME, __name__, static_folder=encore_static.OFFER, static_url_path="/storefront/v1/static")
    limiter = Limiter(rate_limit_storage, per_minute=0, counts=counts)

    def admit() -> Response | None:
        return _refusal(origins, limiter)

    blueprint.before_request(admit)
    blueprint.get("/storefront/v1/offers")(offers)
    blueprint.get("/storefront/v1/offers/<token>")(offer.look)
    for view in offer.ACTS:
        blueprint.post(f"/storefront/v1/offers/<token>/{view.__name__}")(view)
    # Registered first, called last: what flask-cors says of Vary is not lost.
    blueprint.after_request(_headers)
    CORS(
        blueprint,
        origins=list(origins),
        methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-Encore-Fragment"],
        expose_headers=["Retry-After"],
        supports_credentials=False,
        send_wildcard=False,
        max_age=PREFLIGHT_SECONDS,
    )
    blueprint.register_error_handler(HTTPException, _told)
    blueprint.register_error_handler(StoreError, _away)
    return blueprint


@open_to("the holder of an order token that the shop's own server has signed")
def offers() -> Response:
    """The offers of the order whose token is sent, oldest first, deciding what is due; an empty list when none is."""
    app, ticket = state(), g.encore_order
    rt = app.runtime
    try:
        found = rt.deciding.run(
            lambda: sequence_for(rt, ticket.order_ref, page=Placement.THANK_YOU.surface), seconds=rt.budget_seconds
        )
        cards = cards_of(app, found, path=ticket.path, args={})
        told = [as_json(app, card, html=section_of(app, card)) for card in cards]
    except Exception as error:
        # As on a page of the shop: whatever it is, it costs the offer and nothing else.
        rt.counts.add(f"storefront_{type(error).__name__}")
        logger.exception("no offer for the storefront, order %s", ticket.order_ref)
        return problem(503, AWAY, headers={"Retry-After": "5"})
    return jsonify(order_ref=ticket.order_ref, offers=told)


def _refusal(origins: Sequence[str], limiter: Limiter) -> Response | None:
    """Who is not let in: other pages, and who holds no token of ours. Costs no statement."""
    if request.endpoint == f"{NAME}.static" or request.method == "OPTIONS":
        return None
    origin = request.headers.get("Origin")
    if origin in origins:
        g.encore_page_origin = origin
    elif request.method == "POST" and not is_own_page():
        return problem(403, "The shop has not named this page in ENCORE_STOREFRONT_ORIGINS.", code="foreign_origin")
    tokens = state().tokens
    token = (request.view_args or {}).get("token")
    ticket = tokens.read_order(_given()) if token is None else tokens.read(token)
    if ticket is not None and ticket.account == state().runtime.account:
        if isinstance(ticket, OrderTicket):
            g.encore_order = ticket
        return None
    counted = limiter.of_bad_token(request.remote_addr or "")
    if counted is not None and counted.is_over:
        return problem(429, "Too many tokens that are none of ours.", headers=counted.headers("bad-token"))
    if token is None:
        return problem(
            401,
            "Send the order's token as “Authorization: Bearer …”, signed lately by the shop's server.",
            code="token",
            headers={"WWW-Authenticate": 'Bearer realm="encore storefront"'},
        )
    return problem(404, "There is no such offer, or its token is too old.", code="token")


def _given() -> str:
    """The order's token: of the header, which no log keeps, else of the query."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else request.args.get("token", "")


def _told(error: HTTPException) -> Response:
    kept = {name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After"}}
    return problem(error.code or 500, error.description or "", headers=kept)


def _away(error: StoreError) -> Response:
    logger.error("the storefront could not reach Encore's tables", exc_info=error)
    return problem(503, "Encore cannot answer at the moment; please try again.", headers={"Retry-After": "5"})


def _headers(response: Response) -> Response:
    """What every answer has, for whomever it is."""
    response.vary.add("Origin")
    if request.endpoint != f"{NAME}.static":
        response.headers["Cache-Control"] = "no-store"
        response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
