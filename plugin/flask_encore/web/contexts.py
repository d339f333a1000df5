"""What the templates receive. Each dataclass is a contract: a host that overrides a template may rely on its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flask_encore.domain.money import Money
from flask_encore.web.phrases import Phrases


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


class Notice(StrEnum):
    """Why the offer is still open, or what became of a request for more time or for an undo; said above it."""

    NONE = ""  #: nothing to say
    BUSY = "busy"  #: the server had no room for this accept; nothing was charged
    CHOICE_GONE = "choice_gone"  #: what was chosen is sold out, or was never a choice
    TEXT_MISSING = "text_missing"  #: the offer needs a text and got none
    TEXT_TOO_LONG = "text_too_long"  #: the text is longer than the field takes
    EXTENDED = "extended"  #: the shopper asked for more time and has it
    NOT_UNDONE = "not_undone"  #: the time to undo is over, or the shop ended it: the charge stays


@dataclass(frozen=True, slots=True, kw_only=True)
class CardUrls:
    """Where the card's buttons go. Each carries the signed token; all but *state* take POST only."""

    state: str
    shown: str
    choose: str
    accept: str
    extend: str
    decline: str
    undo: str
    leave: str
    secret: str
    refresh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLine:
    """One of several lines an offer adds, such as one half of a bundle.

    Attributes:
        item: All of *quantity* pieces before the discount.
    """

    title: str
    quantity: int
    item: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class CardChoice:
    """One way to take the offer, as the chooser lists it.

    Attributes:
        name: The variant's options (``Blue / L``), or the number of pieces.
        total: What this choice costs; ``None`` where all of them cost the same.
        sold_out: Shown, so that nobody looks for it, but not to be chosen.
    """

    number: int
    name: str
    total: Money | None
    sold_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CardText:
    """The text a shopper may give with the offer, such as a gift message.

    Attributes:
        max_length: In characters.
        given: What was typed already, when the server could not take it.
    """

    label: str
    max_length: int
    required: bool
    given: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferCard:
    """Everything one rendering of the offer section needs; nothing is looked up while rendering.

    Attributes:
        locale: As the host names it (``de``, ``de-AT``, ``de_AT``); an unknown one falls back to its language, then
            to English.
        item: All of *quantity* pieces before the discount, tax included unless *tax* is added.
        discount_percent: Of the whole offer; 0 where the discount is an amount, which then stands alone.
        total: What is charged, to the minor unit: ``item - discount + shipping``, and *tax* where it is added. Zero for
            a free item: then no card is charged, and nothing says so.
        card_brand: As Stripe names it (``visa``); *card_last4* may be empty, as for Link.
        because_of_title: The bought product that carried the offer; ``None`` leaves the why line out.
        support: Orders that held both products, out of *of_orders* that held the bought one.
        expires_at: When the server begins to refuse, in the shop's zone.
        tax: The tax on everything; ``None`` when the shop does not tell it apart from its prices.
        tax_included: Whether *tax* is part of the prices; else it is a line of its own.
        was: The lowest price of the last 30 days for *quantity* pieces; ``None`` when the catalogue does not say.
        headline: The merchant's own words instead of ours; empty without.
        body: A short text of the merchant's; empty without.
        lines: The lines of the offer when there are several; empty for one.
        options: The chosen variant in words (``Blue / L``); empty where nothing tells variants apart.
        choose: ``variant`` or ``quantity``, what the chooser is for; empty without one.
        choices: What can be chosen; *choice* is the number of the one that is shown, priced and accepted.
        text: The field for a text; ``None`` without one.
        text_given: What the shopper wrote, once accepted.
        seconds_left: Until *expires_at*, as the server counts, when the offer has a timer; ``None`` hides the timer.
        extendable: The timer can be doubled, once.
        dialog: A name for this offer in the browser's memory, when it opens as a dialog; empty for a section.
        place: On the page, counted from 1: offers of one order stand below each other.
        follows: It follows another offer of the same order.
        upsell: Another offer may follow a yes, so that room is kept for it.
        downsell: Another offer may follow a no, so that the server's answer to it is waited for.
        charged_at: When the money moved, in the shop's zone.
        undo_until: Until when the shopper may undo, in the shop's zone; ``None`` leaves the undo button out.
        refunded_at: When the refund was started, in the shop's zone.
        failure_code: The bank's decline code, or Stripe's error code; read in `CardState.FAILED` only.
        notice: Said above the still open offer, or above the charged one.
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
    tax: Money | None = None
    tax_included: bool = True
    was: Money | None = None
    headline: str = ""
    body: str = ""
    lines: tuple[CardLine, ...] = ()
    options: str = ""
    choose: str = ""
    choices: tuple[CardChoice, ...] = ()
    choice: int = 0
    text: CardText | None = None
    text_given: str = ""
    seconds_left: int | None = None
    extendable: bool = False
    dialog: str = ""
    place: int = 1
    follows: bool = False
    upsell: bool = False
    downsell: bool = False
    charged_at: datetime | None = None
    undo_until: datetime | None = None
    refunded_at: datetime | None = None
    failure_code: str = ""
    notice: Notice = Notice.NONE
    csp_nonce: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardContext:
    """Every name in a template of ``encore/offer/``.

    Attributes:
        card: The offer, see `OfferCard`.
        say: The shopper's language: ``say("decline")`` is a sentence of the catalogue, ``say.accept_label(total)`` the
            locked button label, ``say.moment(when)`` a time, ``say.percent(n)`` a percentage.
        money: ``money(amount)`` writes an amount as the shopper's language does.
        total: ``card.total``, written.
        discount: ``card.discount`` with a minus, written.
        free: Nothing is charged for it.
        order: The order's key as it is said, ``#1042``.
        card_name: The bank card as it is said, ``Visa •••• 4242``.
        view: The template of the card's state, without ``.html``.
        waiting: The state ends by itself.
        failure: The sentence for the bank's no.
        anchor: The section's id in the page, ``encore``, ``encore-2``, …
    """

    card: OfferCard
    say: Phrases
    money: Callable[[Money], str]
    total: str
    discount: str
    free: bool
    order: str
    card_name: str
    view: str
    waiting: bool
    failure: str
    anchor: str
