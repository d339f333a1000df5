"""From an offer's rows to its card: what the shopper sees was frozen in the decision, or happened to the charge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from math import ceil
from typing import Any
from urllib.parse import urljoin

from flask import Flask, current_app, has_request_context, request, url_for
from jinja2 import Environment
from markupsafe import Markup

import encore_static
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.money import Money
from flask_encore.services import accepting
from flask_encore.services.offering import Offered
from flask_encore.services.runtime import logger
from flask_encore.web.card import environment_over, render_fragment, render_section
from flask_encore.web.contexts import CardChoice, CardLine, CardState, CardText, CardUrls, Notice, OfferCard
from flask_encore.web.current import AppState
from flask_encore.web.tokens import Ticket

#: The blueprint of the shopper's routes.
NAME = "encore_offer"

#: The blueprint of those for pages of other origins.
STOREFRONT = "encore_storefront"

#: Where an app keeps its environment, beside Encore itself.
_TEMPLATES = "flask-encore-templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request says about an open offer; nothing of it is kept.

    Attributes:
        choice: To be shown; one that does not exist is the first.
        gone: A choice the server has just refused: not to be chosen again.
        text: What was typed so far.
    """

    choice: int = 0
    gone: int | None = None
    text: str = ""
    notice: Notice = Notice.NONE


NOTHING = Asked()


def card_of(app: AppState, offered: Offered, ticket: Ticket, *, asked: Asked = NOTHING) -> OfferCard:
    """Everything the card shows, from the decision's frozen snapshot and the charge."""
    row, charge = offered.decision, offered.charge
    state = CardState(accepting.state_of(app.runtime, offered))
    if charge is not None:
        values = _charged(app, charge)
        # True only of what is charged and cannot be undone, wherever the notice comes from.
        too_late = asked.notice is Notice.NOT_UNDONE and state is CardState.CHARGED and values["undo_until"] is None
        notice = Notice.NOT_UNDONE if too_late else Notice.NONE
        return _card(app, ticket, charge.snapshot, row, state=state, notice=notice, **values)
    snapshot, expires_at = row["snapshot"], row["expires_at"].astimezone(app.runtime.settings.zone)
    if state is not CardState.OPEN:
        return _card(app, ticket, snapshot, row, state=state, quantity=row["quantity"], expires_at=expires_at)
    shown, chooser = _chooser(snapshot, row["currency"], asked)
    text, timer = snapshot.get("text"), bool(snapshot.get("timer"))
    left = (row["expires_at"] - app.runtime.clock()).total_seconds()
    return _card(
        app,
        ticket,
        snapshot | shown,
        row,
        state=state,
        quantity=shown.get("quantity", row["quantity"]),
        expires_at=expires_at,
        text=CardText(**text, given=asked.text) if text else None,
        seconds_left=max(1, ceil(left)) if timer else None,
        extendable=timer and row.get("extended_at") is None,
        # What follows stands in the page: a second dialog on top of the first one's answer would hide it.
        dialog=row["id"] if snapshot.get("dialog") and row["step"] == 0 else "",
        follows=row["step"] > 0,
        upsell=bool(snapshot.get("on_accept")),
        downsell=bool(snapshot.get("on_decline")),
        notice=Notice.NONE if asked.notice is Notice.NOT_UNDONE else asked.notice,
        **chooser,
    )


def card_of_charge(app: AppState, charge: Charge, ticket: Ticket) -> OfferCard:
    """The card right after an accept, from the charge alone: no further read."""
    row = {"order_ref": charge.order_ref, "currency": charge.amount.currency}
    state = CardState(accepting.state_of_charge(charge))
    return _card(app, ticket, charge.snapshot, row, state=state, **_charged(app, charge))


def section_of(app: AppState, card: OfferCard) -> Markup:
    """The card's section for a page of the shop; raises when a template of the shop's own is broken."""
    return render_section(card, environment=_environment(), catalogues=app.catalogues)


def fragment_of(app: AppState, card: OfferCard) -> Markup:
    """The card's fragment. A broken template of the shop's own is replaced by ours: here something may be paid."""
    try:
        return Markup(render_fragment(card, environment=_environment(), catalogues=app.catalogues))
    except Exception as error:
        app.runtime.counts.add(f"template_{type(error).__name__}")
        logger.exception("a template of the shop's own cannot draw %s, order %s", card.state, card.order_ref)
        return Markup(render_fragment(card, catalogues=app.catalogues))


def asset_url(name: str) -> str:
    """The address of an asset, new whenever its content is."""
    return _url("static", filename=name, v=_fingerprint(name))


def is_headless() -> bool:
    """Whether the page that asks is none of this host's: then every address has to be whole."""
    return has_request_context() and request.blueprint == STOREFRONT


def _url(view: str, **arguments: str) -> str:
    elsewhere = is_headless()
    return url_for(f"{STOREFRONT if elsewhere else NAME}.{view}", _external=elsewhere, **arguments)


def _picture(address: str | None) -> str | None:
    """A picture's address as the page has to write it."""
    return urljoin(request.host_url, address) if address and is_headless() else address


def _card(
    app: AppState, ticket: Ticket, snapshot: Mapping[str, Any], row: Mapping[Any, Any], **values: Any
) -> OfferCard:
    settings, currency = app.runtime.settings, row["currency"]

    def amount(name: str) -> Money | None:
        return None if snapshot.get(name) is None else Money(snapshot[name], currency)

    given: dict[str, Any] = {
        "locale": snapshot["locale"],
        "order_ref": row["order_ref"],
        "title": snapshot["title"],
        "image_url": _picture(snapshot["image_url"]),
        "item": amount("item"),
        "discount": amount("discount"),
        "discount_percent": snapshot["discount_percent"],
        "shipping": amount("shipping"),
        "total": amount("total"),
        "tax": amount("tax"),
        "tax_included": snapshot.get("tax_included", True),
        "was": amount("was"),
        "headline": snapshot.get("headline", ""),
        "body": snapshot.get("body", ""),
        "lines": _lines(snapshot.get("lines", ()), currency),
        "options": _named(snapshot.get("options")),
        "because_of_title": snapshot["because_of_title"],
        "support": snapshot["support"],
        "of_orders": snapshot["of_orders"],
        "card_brand": snapshot["card_brand"],
        "card_last4": snapshot["card_last4"],
        "publishable_key": settings.stripe_publishable_key,
        "stripe_js_url": settings.stripe_js_url,
        "stripe_account": settings.stripe_account,
        "place": ticket.place,
        "urls": _urls(app.tokens.issue(ticket)),
        "css_url": asset_url("offer.css"),
        "js_url": asset_url("offer.js"),
    }
    return OfferCard(**(given | values))


def _charged(app: AppState, charge: Charge) -> dict[str, Any]:
    """What a charge adds to the card, or knows better than the decision."""
    now, zone = app.runtime.clock(), app.runtime.settings.zone

    def local(when: datetime | None) -> datetime | None:
        return when.astimezone(zone) if when is not None else None

    undoable = charge.undo_until is not None and charge.hold_released_at is None and now < charge.undo_until
    return {
        "quantity": charge.quantity,
        "expires_at": charge.expires_at.astimezone(zone),
        "card_brand": charge.card_brand,
        "card_last4": charge.card_last4,
        "charged_at": local(charge.charged_at),
        "undo_until": local(charge.undo_until) if undoable else None,
        "refunded_at": local(charge.updated_at) if charge.status is ChargeStatus.REFUNDED else None,
        "failure_code": charge.failure_code,
        "text_given": charge.snapshot.get("text_given", ""),
    }


def _chooser(snapshot: Mapping[str, Any], currency: str, asked: Asked) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """The choice to be shown, as its part of the snapshot, and the chooser around it."""
    entries: Sequence[Mapping[str, Any]] = snapshot.get("choices") or ()
    if not entries:
        return {}, {}
    gone = {number for number, entry in enumerate(entries) if entry.get("sold_out") or number == asked.gone}
    left = [number for number in range(len(entries)) if number not in gone]
    shown = asked.choice if asked.choice in left else next(iter(left), 0)
    priced = len({entry["total"] for entry in entries}) > 1
    choices = tuple(
        CardChoice(
            number=number,
            name=_named(entry["options"]) or entry["title"]
            if snapshot["choose"] == "variant"
            else str(entry["quantity"]),
            total=Money(entry["total"], currency) if priced else None,
            sold_out=number in gone,
        )
        for number, entry in enumerate(entries)
    )
    return entries[shown], {"choose": snapshot["choose"], "choices": choices, "choice": shown}


def _lines(told: Sequence[Mapping[str, Any]], currency: str) -> tuple[CardLine, ...]:
    if len(told) < 2:
        return ()
    return tuple(
        CardLine(title=line["title"], quantity=line["quantity"], item=Money(line["item"], currency)) for line in told
    )


def _named(options: Mapping[str, str] | None) -> str:
    return " / ".join((options or {}).values())


def _environment() -> Environment:
    """Our templates under those of the same name in the shop's own template folders; made once for each app."""
    app: Flask = current_app
    found = app.extensions.get(_TEMPLATES)
    if found is None:
        # Flask's own loader looks into the app's folder and those of its blueprints.
        found = app.extensions.setdefault(_TEMPLATES, environment_over(app.create_global_jinja_loader()))
    return found  # type: ignore[no-any-return]


@cache
def _fingerprint(name: str) -> str:
    return sha256((encore_static.OFFER / name).read_bytes()).hexdigest()[:12]


def _urls(token: str) -> CardUrls:
    def url(view: str) -> str:
        return _url(view, token=token)

    return CardUrls(
        state=url("look"),
        shown=url("shown"),
        choose=url("choose"),
        accept=url("accept"),
        extend=url("extend"),
        decline=url("decline"),
        undo=url("undo"),
        leave=url("leave"),
        secret=url("secret"),
        refresh=url("refresh"),
    )
