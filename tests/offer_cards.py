"""One believable offer, in any state: what the tests of the card start from."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_encore.domain.money import Money
from flask_encore.web.contexts import CardState, CardUrls, OfferCard

LONDON = ZoneInfo("Europe/London")

URLS = CardUrls(
    state="/encore/offers/t0k3n",
    shown="/encore/offers/t0k3n/shown",
    choose="/encore/offers/t0k3n/choose",
    accept="/encore/offers/t0k3n/accept",
    extend="/encore/offers/t0k3n/extend",
    decline="/encore/offers/t0k3n/decline",
    undo="/encore/offers/t0k3n/undo",
    leave="/encore/offers/t0k3n/leave",
    secret="/encore/offers/t0k3n/secret",
    refresh="/encore/offers/t0k3n/refresh",
)


def offer_card(state: CardState = CardState.OPEN, **changes: Any) -> OfferCard:
    """A coffee pot at £12.90 less 10 %, for order 1042 paid with a Visa card, with *changes*."""
    values: dict[str, Any] = {
        "state": state,
        "locale": "en-GB",
        "order_ref": "1042",
        "title": "Enamel coffee pot, 1 litre",
        "image_url": "/pot.svg",
        "quantity": 1,
        "item": Money(1290, "gbp"),
        "discount": Money(129, "gbp"),
        "discount_percent": 10,
        "shipping": Money(0, "gbp"),
        "total": Money(1161, "gbp"),
        "because_of_title": "Hand coffee mill",
        "support": 41,
        "of_orders": 380,
        "card_brand": "visa",
        "card_last4": "4242",
        "expires_at": datetime(2100, 1, 1, 14, 30, tzinfo=LONDON),
        "charged_at": datetime(2026, 11, 21, 14, 3, tzinfo=LONDON),
        "undo_until": datetime(2026, 11, 21, 14, 33, tzinfo=LONDON),
        "refunded_at": datetime(2026, 11, 21, 14, 21, tzinfo=LONDON),
        "urls": URLS,
        "css_url": "/assets/offer.css",
        "js_url": "/assets/offer.js",
        "stripe_js_url": "/stripe.js",
        "publishable_key": "pk_test_x",
    }
    return OfferCard(**(values | changes))
