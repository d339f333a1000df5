"""The offer section as HTML: plain values in, markup out. No database, no Stripe, no request, no clock."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from flask_encore.domain.money import Money
from flask_encore.web.contexts import CardContext, CardState, OfferCard
from flask_encore.web.phrases import SHIPPED, Catalogues

#: State -> the template in ``encore/offer/`` that draws it. "waiting" ends by itself: the element asks until it does.
VIEWS = {
    CardState.OPEN: "open",
    CardState.CHARGING: "waiting",
    CardState.ACTION_REQUIRED: "action_required",
    CardState.FAILED: "failed",
    CardState.UNKNOWN: "waiting",
    CardState.CHARGED: "charged",
    CardState.UNDOING: "waiting",
    CardState.UNDONE: "undone",
    CardState.DECLINED: "declined",
    CardState.EXPIRED: "closed",
    CardState.SOLD_OUT: "closed",
    CardState.CANCELED: "closed",
}

#: Stripe's brand -> the name printed on the card.
BRANDS = {
    "amex": "American Express",
    "cartes_bancaires": "Cartes Bancaires",
    "diners": "Diners Club",
    "discover": "Discover",
    "eftpos_au": "eftpos",
    "jcb": "JCB",
    "link": "Link",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}

#: Codes the shopper can do something about -> the sentence that says what. All others share one plain sentence: a bank
#: that reports a card stolen must not be quoted.
FAILURES = {
    "authentication_required": "failed.authentication",
    "expired_card": "failed.expired",
    "incorrect_cvc": "failed.cvc",
    "insufficient_funds": "failed.funds",
    "invalid_cvc": "failed.cvc",
    "issuer_not_available": "failed.try_later",
    "payment_intent_authentication_failure": "failed.authentication",
    "processing_error": "failed.try_later",
    "try_again_later": "failed.try_later",
}


def render_section(
    card: OfferCard, *, environment: Environment | None = None, catalogues: Catalogues = SHIPPED
) -> Markup:
    """The whole ``<encore-offer>`` section, to be put into the host's page as it is.

    Args:
        catalogues: The languages of the app.
        environment: Of a host that overrides ``encore/offer/*.html``; has to autoescape. Default is ours.
    """
    return Markup(_render("encore/offer/section.html", card, environment, catalogues))


def render_fragment(
    card: OfferCard, *, environment: Environment | None = None, catalogues: Catalogues = SHIPPED
) -> str:
    """Only what changes with the state: the answer to the custom element's request."""
    return _render("encore/offer/fragment.html", card, environment, catalogues)


def card_name(brand: str, last4: str) -> str:
    """``Visa •••• 4242``; only the brand when there are no digits."""
    name = BRANDS.get(brand, brand.replace("_", " ").title())
    return f"{name} •••• {last4}".strip() if last4 else name


def order_name(order_ref: str) -> str:
    """``#1042`` for a bare number, which would be read as a quantity; ``SO-1042`` as it is."""
    return f"#{order_ref}" if order_ref.isdigit() else order_ref


def anchor_of(place: int) -> str:
    """The id, in the page, of the section at *place*, counted from 1."""
    return "encore" if place == 1 else f"encore-{place}"


def context_of(card: OfferCard, catalogues: Catalogues) -> CardContext:
    """Everything a template of the card may name."""
    say, view = catalogues.phrases_for(card.locale), VIEWS[card.state]
    return CardContext(
        card=card,
        say=say,
        money=say.money,
        total=say.money(card.total),
        discount=say.money(Money(-card.discount.minor_units, card.discount.currency)),
        free=not card.total.minor_units,
        order=order_name(card.order_ref),
        card_name=card_name(card.card_brand, card.card_last4),
        view=view,
        waiting=view == "waiting",
        failure=FAILURES.get(card.failure_code, "failed.declined"),
        anchor=anchor_of(card.place),
    )


def _render(template: str, card: OfferCard, environment: Environment | None, catalogues: Catalogues) -> str:
    context = context_of(card, catalogues)
    names: dict[str, Any] = {field.name: getattr(context, field.name) for field in fields(context)}
    return (environment or _environment()).get_template(template).render(names)


def environment_over(loader: BaseLoader) -> Environment:
    """Our templates, any of them replaced by one of the same name that *loader* finds."""
    return _environment_of(ChoiceLoader([loader, PackageLoader("flask_encore")]))


@cache
def _environment() -> Environment:
    return _environment_of(PackageLoader("flask_encore"))


def _environment_of(loader: BaseLoader) -> Environment:
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
