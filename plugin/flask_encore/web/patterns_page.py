"""Every state of the offer card, in every language, light and dark and on a phone: for merchants and for reviewers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request

from flask_encore.domain.money import Money, exponent
from flask_encore.domain.rights import Right
from flask_encore.web.catalogues import FALLBACK
from flask_encore.web.contexts import CardChoice, CardLine, CardState, CardText, CardUrls, OfferCard
from flask_encore.web.current import AppState, state
from flask_encore.web.dashboard_frame import needs, page
from flask_encore.web.drawing import asset_url
from flask_encore.web.languages import language_name
from flask_encore.web.pattern_words import SAMPLES, Sample
from flask_encore.web.sample_card import inert

#: Characters of a gift message on the sample card.
TEXT = 200

#: A picture that needs no request: a blue pot on grey.
POT = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 96 96'%3E%3Crect width='96' "
    "height='96' fill='%23dfe6ee'/%3E%3Cg fill='%2327406b'%3E%3Cpath d='M34 30h26l4 44H30z'/%3E%3Cpath d='M34 38 20 "
    "30l10 22'/%3E%3Crect x='36' y='22' width='22' height='8' rx='3'/%3E%3C/g%3E%3Cpath d='M64 40c14-2 14 20 1 22' "
    "fill='none' stroke='%2327406b' stroke-width='5'/%3E%3C/svg%3E"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One state of the card and when a shopper meets it."""

    name: str
    title: str
    when: str
    card: OfferCard


def add_to(blueprint: Blueprint) -> None:
    """The one route."""
    blueprint.get("/dashboard/patterns")(patterns)


@needs(Right.READ)
def patterns() -> Response:
    """The page. Nothing on it can be pressed."""
    app = state()
    known = {name.replace("_", "-"): name for name in app.catalogues.sentences}
    asked = request.args.get("locale", FALLBACK)
    locale = asked if asked in known else FALLBACK
    shown = [(pattern, inert(app, pattern.card)) for pattern in made(app, locale)]
    return page(
        "patterns.html",
        here="campaigns",
        locale=locale,
        unknown="" if asked in known else asked[:35],
        locales=sorted(((tag, language_name(tag)) for tag in known), key=lambda pair: pair[1]),
        shown=shown,
    )


def made(app: AppState, locale: str) -> list[Pattern]:
    """One pattern for each way the card can look."""
    sample = SAMPLES.get(locale) or SAMPLES.get(locale.partition("-")[0]) or SAMPLES[FALLBACK]
    told = [
        Pattern(name=name, title=title, when=when, card=_card(app, sample, locale, **changes))
        for name, title, when, changes in _open(sample) + _answered(app)
    ]
    return told


def _open(sample: Sample) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Ways an offer can stand open."""

    def money(hundredths: int) -> Money:
        return _money(hundredths, sample.currency)

    sizes = ("S", "M", "L")
    return [
        ("open", "Open", "The offer as the recommender makes it.", {}),
        (
            "words",
            "Open, with the merchant’s words and the earlier price",
            "A campaign with copy; the catalogue knows the lowest price of the last 30 days.",
            {"headline": sample.headline, "body": sample.body, "was": money(1490)},
        ),
        (
            "variants",
            "Open, with variants",
            "A parent product: what is sold out can be seen and not chosen.",
            {
                "choose": "variant",
                "options": sizes[0],
                "choices": tuple(
                    CardChoice(number=number, name=size, total=None, sold_out=number == 1)
                    for number, size in enumerate(sizes)
                ),
            },
        ),
        (
            "quantities",
            "Open, with quantities",
            "More of the same: it starts at the least, each choice with its own total.",
            {
                "choose": "quantity",
                "quantity": 2,
                "item": money(2580),
                "discount": money(258),
                "total": money(2322),
                "choices": tuple(
                    CardChoice(number=number, name=str(pieces), total=money(1161 * pieces), sold_out=False)
                    for number, pieces in enumerate((2, 4, 6))
                ),
            },
        ),
        (
            "bundle",
            "Open, a bundle",
            "Two products at one price.",
            {
                "title": f"{sample.pot} + {sample.beans}",
                "item": money(2180),
                "discount": money(280),
                "discount_percent": 0,
                "total": money(1900),
                "lines": (
                    CardLine(title=sample.pot, quantity=1, item=money(1290)),
                    CardLine(title=sample.beans, quantity=1, item=money(890)),
                ),
            },
        ),
        (
            "service",
            "Open, a service with a text",
            "Gift wrapping with the shopper’s own message.",
            {
                "title": sample.wrap,
                "image_url": None,
                "item": money(390),
                "discount": money(0),
                "discount_percent": 0,
                "total": money(390),
                "because_of_title": None,
                "text": CardText(label=sample.message, max_length=TEXT, required=False),
            },
        ),
        (
            "free",
            "Open, for free",
            "100 % off: no card is charged, and the button does not speak of paying.",
            {"discount": money(1290), "discount_percent": 100, "total": money(0)},
        ),
        (
            "timer",
            "Open, with a timer",
            "Off unless a campaign turns it on; the server refuses afterwards. It can be doubled once.",
            {"seconds_left": 600, "extendable": True},
        ),
        (
            "quoted",
            "Open, with shipping and tax",
            "The shop’s own quote adds them; the total is what is charged.",
            {"shipping": money(250), "tax": money(282), "tax_included": False, "total": money(1693)},
        ),
    ]


def _answered(app: AppState) -> list[tuple[str, str, str, dict[str, Any]]]:
    """What becomes of an offer."""
    now = app.runtime.clock().astimezone(app.runtime.settings.zone)
    undoable = {"charged_at": now, "undo_until": now + timedelta(seconds=app.runtime.settings.undo_seconds)}
    states: list[tuple[CardState, str, str, dict[str, Any]]] = [
        (CardState.CHARGING, "Charging", "Accepted; the bank is being asked.", {}),
        (CardState.ACTION_REQUIRED, "The bank asks", "The shopper passes the bank’s check in the page.", {}),
        (CardState.FAILED, "Failed", "The bank said no: another card, or leave it.", {"failure_code": "expired_card"}),
        (CardState.UNKNOWN, "Unknown", "No answer yet; Encore keeps asking, nothing is charged twice.", {}),
        (CardState.CHARGED, "Charged", "The line is added, and can be undone for a while.", undoable),
        (CardState.UNDOING, "Undoing", "The refund is on its way.", {"charged_at": now}),
        (CardState.UNDONE, "Undone", "The money goes back.", {"charged_at": now, "refunded_at": now}),
        (CardState.DECLINED, "Declined", "The shopper said no.", {}),
        (CardState.EXPIRED, "Expired", "Nobody answered in time.", {}),
        (CardState.SOLD_OUT, "Sold out", "The last piece went to somebody else.", {}),
        (CardState.CANCELED, "Canceled", "Left after the bank said no, or asked.", {}),
    ]
    return [(one.value, title, when, {"state": one, **changes}) for one, title, when, changes in states]


def _card(app: AppState, sample: Sample, locale: str, **changes: Any) -> OfferCard:
    rt = app.runtime
    values: dict[str, Any] = {
        "state": CardState.OPEN,
        "locale": locale,
        "order_ref": "1042",
        "title": sample.pot,
        "image_url": POT,
        "quantity": 1,
        "item": _money(1290, sample.currency),
        "discount": _money(129, sample.currency),
        "discount_percent": 10,
        "shipping": _money(0, sample.currency),
        "total": _money(1161, sample.currency),
        "because_of_title": sample.mill,
        "support": 41,
        "of_orders": 380,
        "card_brand": "visa",
        "card_last4": "4242",
        "expires_at": (rt.clock() + timedelta(seconds=600)).astimezone(rt.settings.zone),
        # Neither is asked for anything: what is inert cannot be pressed.
        "urls": CardUrls(**{field.name: "" for field in fields(CardUrls)}),
        "publishable_key": "pk_none",
        "stripe_js_url": "",
        "css_url": asset_url("offer.css"),
        "js_url": asset_url("offer.js"),
    }
    return OfferCard(**(values | changes))


def _money(hundredths: int, currency: str) -> Money:
    """An amount of two decimals in a currency of any number of them: 12.90, and ¥1,290."""
    return Money(hundredths * (10 if exponent(currency) == 3 else 1), currency)
