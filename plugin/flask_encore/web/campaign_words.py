"""What the merchant reads about campaigns: their kinds, states, places and history. English, like the logs."""

from __future__ import annotations

import json

from flask_encore.domain.campaigns import CampaignState, CampaignStatus
from flask_encore.domain.facts import FIELDS
from flask_encore.domain.offers import Outcome, Placement
from flask_encore.services.auditing import Action
from flask_encore.services.choosing import Result
from flask_encore.services.reasons import REFUSALS
from flask_encore.web.dashboard_words import Tone

#: Kind -> its name, and what it is.
KIND_WORDS = {
    "complementary": ("What goes with it", "The recommender’s choice, within your bounds"),
    "fixed": ("A product", "One you choose, or the first of a list that can be offered"),
    "service": ("A service", "Gift wrapping, engraving, a warranty: no stock, nothing to ship"),
    "buy_get": ("Buy some, get some", "More of what was just bought, some of it cheaper or free"),
    "bundle": ("A bundle", "Two products at one price"),
    "more": ("More of the same", "More of what was just bought; the shopper chooses how many"),
}

STATES = {
    CampaignState.DRAFT: ("Draft", Tone.PLAIN),
    CampaignState.SCHEDULED: ("Scheduled", Tone.WAIT),
    CampaignState.LIVE: ("Live", Tone.GOOD),
    CampaignState.PAUSED: ("Paused", Tone.WAIT),
    CampaignState.ENDED: ("Ended", Tone.PLAIN),
}

PLACEMENTS = {
    Placement.THANK_YOU: ("Thank-you page", "In the page, below the confirmation"),
    Placement.ORDER_STATUS: ("Order page", "As long as fulfilment can be held"),
    Placement.DIALOG: ("Dialog", "Beside the thank-you page, opened once, never over the confirmation"),
}

#: What a button does -> the status it asks for, its name.
MOVES = {
    CampaignStatus.LIVE: "Set live",
    CampaignStatus.PAUSED: "Pause",
    CampaignStatus.ENDED: "End",
    CampaignStatus.DRAFT: "Back to draft",
}

#: Status -> what is told once a campaign has it.
MOVED = {
    CampaignStatus.LIVE: "is live",
    CampaignStatus.PAUSED: "is paused: nobody is offered it until it is live again",
    CampaignStatus.ENDED: "is ended",
    CampaignStatus.DRAFT: "is a draft",
}

#: What the history calls what was done.
ACTIONS = {
    Action.CREATE: "Created",
    Action.EDIT: "Changed",
    Action.STATUS: "Changed the status of",
    Action.DUPLICATE: "Duplicated into",
    Action.REMOVE: "Deleted",
    Action.IMPORT: "Imported",
    Action.SWITCH: "Turned",
    Action.TRAIN: "Began to train",
    Action.USE_MODEL: "Put another model live in",
    Action.RESEND: "Sent again",
    Action.ROLL_OUT: "Rolled a variant out into",
    Action.CATALOGUE: "Wrote products into",
    Action.RELEASE: "Ended the time to undo of",
    Action.RECHECK: "Compared with Stripe again",
    Action.REVIEW: "Settled by hand",
    Action.REVOKE: "Revoked",
    Action.SETTINGS: "Changed",
}

OUTCOMES = {
    Outcome.OFFERED: ("An offer", Tone.GOOD),
    Outcome.SHADOWED: ("An offer, shown to nobody: shadow mode is on", Tone.WAIT),
    Outcome.HELD_OUT: ("Held out: nothing is shown, so that uplift can be measured", Tone.PLAIN),
    Outcome.INELIGIBLE: ("No offer", Tone.PLAIN),
    Outcome.ERROR: ("An error", Tone.BAD),
}

#: Condition -> what it asks, for the reference beside the rule.
CONDITIONS = {kind: words for kind, (words, _) in FIELDS.items()} | {
    "customer": "new, or returning",
    "time": "time of day, by the shop’s clock",
    "weekday": "day of the week: mon, tue, wed, thu, fri, sat, sun",
    "sample": "a random share of customers, the same ones every time",
    "known": "whether something is known at all",
}


#: What one campaign answered when an order asked.
RESULTS = {
    Result.CHOSEN: "Chosen",
    Result.WINDOW: "Not now",
    Result.PLACE: "Another page",
    Result.ONLY_FOLLOWS: "Only follows",
    Result.RULE: "Does not apply",
    Result.LIMIT: "Had it already",
    Result.BUDGET: "Sold enough",
    Result.NOTHING: "Nothing to offer",
    Result.OUTRANKED: "Another one spoke first",
}


def filtered(reason: str) -> str:
    """Why a product cannot be offered, from the decision log's word for it; empty there is that it can."""
    return REFUSALS.get(reason, reason) if reason else "can be offered"


def field_name(name: str) -> str:
    """A field as the list of errors calls it: ``fixed.discount.percent`` is “Discount percent”."""
    words = [part for part in name.split(".") if part != "if" and part not in KIND_WORDS] or [name]
    return sentence(" ".join(words).replace("_", " "))


def sentence(told: str) -> str:
    """A refusal as it stands alone beside its field: it begins with a capital."""
    return told[:1].upper() + told[1:]


def as_text(value: object) -> str:
    """A value of a campaign as differences show it: a text as it is, anything else as JSON."""
    if value is None:
        return "—"
    return value if isinstance(value, str) and value else as_line(value)


def as_line(value: object) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False)
