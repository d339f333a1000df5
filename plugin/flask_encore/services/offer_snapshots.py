"""What the shopper is shown, frozen: the charge copies it, and it is the evidence of what was agreed to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from flask_encore.domain.campaigns import Campaign
from flask_encore.domain.kinds import Bundle, BuyGet, Service
from flask_encore.domain.offers import Placement
from flask_encore.domain.prices import Choice
from flask_encore.domain.pricing import Alternative
from flask_encore.domain.wording import Wording
from flask_encore.services.runtime import Runtime

V = TypeVar("V")

#: Below this many common orders "often bought together" is not a fact but an anecdote.
WHY_SUPPORT = 5

#: Candidates whose evidence is of products bought together. Those the merchant named keep no other (`pricing`); a
#: category's, or a best-seller's, counts orders with one product.
_TOGETHER = {"co_purchase", "pinned", "fixed", "service", "bundle"}


def snapshot_of(
    rt: Runtime,
    order: Mapping[Any, Any],
    campaign: Campaign,
    alternative: Alternative,
    choices: Sequence[Choice],
    undo_seconds: int,
) -> dict[str, Any]:
    """The frozen offer, in JSON values and minor units of the order's currency.

    Args:
        order: Row of ``encore_orders``.
        choices: Those of *alternative*, with the quote in their prices; the first is shown at first.
        undo_seconds: How long it can be undone once accepted: what is shown is what success grants.
    """
    locale, kind = order["locale"], campaign.offer
    words = _in_language(campaign.wording, locale) or Wording()
    text = kind.text if isinstance(kind, Service) else None
    return {
        **_frozen(choices[0]),
        "kind": kind.kind,
        "discount_percent": 0 if isinstance(kind, BuyGet | Bundle) else kind.discount.percent,
        "choose": alternative.choose,
        "choices": _told(alternative, choices),
        "headline": words.headline,
        "body": words.body,
        "text": None
        if text is None
        else {
            "label": _in_language(text.label, locale) or text.label["en"],
            "max_length": text.max_length,
            "required": text.required,
        },
        **_why(alternative, order),
        "card_brand": order["card_brand"],
        "card_last4": order["card_last4"],
        "locale": locale,
        "consent_version": rt.consent_version,
        "undo_seconds": undo_seconds,
        "timer": campaign.timer_minutes is not None,
        "dialog": campaign.placement is Placement.DIALOG,
        "budget": campaign.budget is not None,
        "on_accept": campaign.on_accept,
        "on_decline": campaign.on_decline,
    }


def _frozen(choice: Choice) -> dict[str, Any]:
    """A choice, with what its goods cost the shop today: for its reports, and told to no shopper."""
    return choice.as_json() | {"cost": None if choice.cost is None else choice.cost.minor_units}


def _told(alternative: Alternative, choices: Sequence[Choice]) -> list[dict[str, Any]]:
    if len(choices) < 2:
        return []
    return [
        _frozen(choice) | ({"sold_out": True} if place in alternative.sold_out else {})
        for place, choice in enumerate(choices)
    ]


def _why(alternative: Alternative, order: Mapping[Any, Any]) -> dict[str, Any]:
    """The evidence for the offer; its title is there only where the evidence carries the sentence.

    Evidence for a variant that is sold out is none for its sibling.
    """
    candidate, titles = alternative.candidate, {line["sku"]: line["title"] for line in order["lines"]}
    is_it = alternative.product is not None and alternative.product.sku == candidate.sku
    carries = is_it and candidate.kind in _TOGETHER and candidate.support >= WHY_SUPPORT
    return {
        "because_of_title": titles.get(candidate.because_of or "") if carries else None,
        "support": candidate.support,
        "of_orders": candidate.of_orders,
    }


def _in_language(texts: Mapping[str, V], locale: str) -> V | None:
    """The text for *locale* (``de-AT``): its own, else its language's. A shopper is not spoken to in another one."""
    plain = {tag.replace("_", "-").lower(): text for tag, text in texts.items()}
    tag = locale.replace("_", "-").lower()
    found = plain.get(tag)
    return plain.get(tag.partition("-")[0]) if found is None else found
