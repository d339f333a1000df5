"""What the templates receive. Each dataclass is a contract: a host that overrides a template may rely on its fields."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flask_encore.domain.money import Money


class CardState(StrEnum):
    """What the shopper is looking at; `web.card.VIEWS` names the template that draws it."""

    OPEN = "open"  #: the offer, its exact price, yes and no
    CHARGING = "charging"  #: accepted; the bank is being asked
    ACTION_REQUIRED = "action_required"  #: the bank wants the shopper to confirm
    FAILED = "failed"  #: the bank said no; another card, or leave it
    UNKNOWN = "unknown"  #: no answer from the bank yet; we are asking, nothing is charged twice
    CHARGED = "charged"  #: paid; the line belongs to the order, and can be undone for a while
    UNDOING = "undoing"  #: undo was asked for; the refund is not confirmed yet
    UNDONE = "undone"  #: the money is on its way back
    DECLINED = "declined"  #: the shopper said no
    EXPIRED = "expired"  #: nobody answered in time
    SOLD_OUT = "sold_out"  #: the last piece went to somebody else; nothing was charged
    CANCELED = "canceled"  #: left after the bank said no or asked; nothing was charged


@dataclass(frozen=True, slots=True, kw_only=True)
class CardUrls:
    """Where the card's buttons go. Each carries the signed token; all but *state* take POST only."""

    state: str
    shown: str
    accept: str
    decline: str
    undo: str
    leave: str
    secret: str
    refresh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferCard:
    """Everything one rendering of the offer section needs; nothing is looked up while rendering.

    Attributes:
        locale: As the host names it (``de``, ``de-AT``, ``de_AT``); an unknown one falls back to its language, then
            to English.
        item: All of *quantity* pieces before the discount, tax included.
        total: What is charged, to the minor unit: ``item - discount + shipping``.
        card_brand: As Stripe names it (``visa``); *card_last4* may be empty, as for Link.
        because_of_title: The bought product that carried the offer; ``None`` leaves the why line out.
        support: Orders that held both products, out of *of_orders* that held the bought one.
        expires_at: When the server begins to refuse; never shown as a countdown.
        charged_at: When the money moved, in the shop's zone.
        undo_until: Until when the shopper may undo, in the shop's zone; ``None`` leaves the undo button out.
        refunded_at: When the refund was started, in the shop's zone.
        failure_code: The bank's decline code, or Stripe's error code; read in `CardState.FAILED` only.
        busy: The server had no room for this accept: said above the still open offer.
        publishable_key: Without it neither the bank's check nor another card can be offered in the page.
        csp_nonce: For a host whose policy names ``'nonce-…'`` instead of ``'self'``; empty leaves it out.
    """

    state: CardState
    locale: str
    order_ref: str
    title: str
    image_url: str | None
    quantity: int
    item: Money
    discount: Money
    discount_percent: int
    shipping: Money
    total: Money
    card_brand: str
    card_last4: str
    expires_at: datetime
    urls: CardUrls
    css_url: str
    js_url: str
    stripe_js_url: str
    publishable_key: str = ""
    stripe_account: str = ""
    because_of_title: str | None = None
    support: int = 0
    of_orders: int = 0
    charged_at: datetime | None = None
    undo_until: datetime | None = None
    refunded_at: datetime | None = None
    failure_code: str = ""
    busy: bool = False
    csp_nonce: str = ""
