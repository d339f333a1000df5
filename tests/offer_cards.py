"""One believable offer, in any state: what the tests of the card start from."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_encore.domain.money import Money
from flask_encore.web.contexts import CardChoice, CardLine, CardState, CardText, CardUrls, OfferCard

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


def shirt_card(choice: int = 0, **changes: Any) -> OfferCard:
    """A shirt in three variants of two prices, the second of them sold out, with *choice* shown."""
    names, totals = ("Blue / S", "Blue / M", "Sand / L"), (5310, 5310, 5580)
    total = Money(totals[choice], "gbp")
    values: dict[str, Any] = {
        "title": "Merino wool shirt",
        "options": names[choice],
        "item": Money(5900 + 300 * (choice == 2), "gbp"),
        "discount": Money(590 + 30 * (choice == 2), "gbp"),
        "total": total,
        "because_of_title": None,
        "choose": "variant",
        "choice": choice,
        "choices": tuple(
            CardChoice(number=number, name=name, total=Money(totals[number], "gbp"), sold_out=number == 1)
            for number, name in enumerate(names)
        ),
    }
    return offer_card(**(values | changes))


def wrapping_card(**changes: Any) -> OfferCard:
    """Gift wrapping with a message that has to be given, its tax on top."""
    values: dict[str, Any] = {
        "title": "Gift wrapping",
        "image_url": None,
        "because_of_title": None,
        "item": Money(450, "gbp"),
        "discount": Money(0, "gbp"),
        "discount_percent": 0,
        "tax": Money(90, "gbp"),
        "tax_included": False,
        "total": Money(540, "gbp"),
        "text": CardText(label="Your message", max_length=200, required=True),
    }
    return offer_card(**(values | changes))


def free_card(state: CardState = CardState.OPEN, **changes: Any) -> OfferCard:
    """The coffee pot, given away."""
    values = {"discount": Money(1290, "gbp"), "discount_percent": 100, "total": Money(0, "gbp")}
    return offer_card(state, **(values | changes))


def bundle_card(state: CardState = CardState.OPEN, **changes: Any) -> OfferCard:
    """A mug and tea at one price together."""
    values: dict[str, Any] = {
        "title": "Mug and tea",
        "lines": (
            CardLine(title="Enamel mug", quantity=1, item=Money(1290, "gbp")),
            CardLine(title="Assam tea, 250 g", quantity=1, item=Money(850, "gbp")),
        ),
        "item": Money(2140, "gbp"),
        "discount": Money(240, "gbp"),
        "discount_percent": 0,
        "total": Money(1900, "gbp"),
        "because_of_title": None,
    }
    return offer_card(state, **(values | changes))
