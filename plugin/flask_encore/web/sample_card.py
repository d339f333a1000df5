"""The offer card where nobody can buy: in a preview and on the patterns page. It looks alike and does nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import request
from markupsafe import Markup

from flask_encore.services.offering import Offered
from flask_encore.web.contexts import OfferCard
from flask_encore.web.current import AppState
from flask_encore.web.drawing import card_of, section_of
from flask_encore.web.tokens import Ticket

#: What stands for the key of an offer that was never made; no row has it, so its token opens nothing.
NO_OFFER = "preview"

#: Stands for a picture that is not on this host: the dashboard loads nothing from elsewhere.
ELSEWHERE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 96 96'%3E%3Crect width='96' "
    "height='96' fill='%23dfe6ee'/%3E%3Cpath d='m18 70 20-26 14 17 9-11 17 20z' fill='%238796ab'/%3E%3Ccircle cx='66' "
    "cy='32' r='8' fill='%238796ab'/%3E%3C/svg%3E"
)

_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
_ID = re.compile(r'(<encore-offer\b[^>]*?)\sid="[^"]*"')


def inert(app: AppState, card: OfferCard) -> Markup:
    """The whole section as a shopper sees it, without the script that would make it work.

    Its element is never defined on our page, so nothing is reported as shown; the place it stands in is ``inert``.
    """
    html = _ID.sub(r"\1", _SCRIPT.sub("", str(section_of(app, card))))
    return Markup(html)


def card_of_snapshot(app: AppState, snapshot: Mapping[str, Any], *, order_ref: str, currency: str) -> OfferCard:
    """The open card of a decision that was only tried. A dialog is shown as a section: it would be in the way here."""
    rt = app.runtime
    row = {
        "id": NO_OFFER,
        "account": rt.account,
        "order_ref": order_ref,
        "currency": currency,
        "snapshot": _with_own_pictures({**snapshot, "dialog": False}),
        "quantity": snapshot.get("quantity") or _quantity(snapshot),
        "step": 0,
        "expires_at": rt.clock() + timedelta(seconds=rt.settings.offer_ttl_seconds),
        "declined_at": None,
        "sold_out_at": None,
        "extended_at": None,
    }
    return card_of(app, Offered(decision=row, charge=None), Ticket(offer_id=NO_OFFER, account=rt.account, path="/"))


def _with_own_pictures(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """The snapshot, and each of its choices, without a picture the dashboard's policy would refuse."""
    told = {**snapshot, "image_url": _own_picture(snapshot.get("image_url"))}
    choices = told.get("choices")
    return told | ({"choices": [_with_own_pictures(choice) for choice in choices]} if choices else {})


def _own_picture(url: str | None) -> str | None:
    if not url:
        return None
    address = urlsplit(url)
    is_ours = address.scheme == "data" or address.netloc in {"", request.host}
    return url if is_ours else ELSEWHERE


def _quantity(snapshot: Mapping[str, Any]) -> int:
    """Pieces of each line; the row keeps it beside the snapshot, and here there is no row."""
    lines = snapshot.get("lines") or ()
    return int(lines[0]["quantity"]) if lines else 1
