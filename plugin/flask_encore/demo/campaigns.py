"""The campaigns the generated shop opens with, and a basket for each: every kind of offer can be seen by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from flask_encore.services import campaigning
from flask_encore.services.runtime import Runtime

#: Who the audit log says wrote them.
ACTOR = "demo shop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What to buy to see an offer.

    Attributes:
        kind: What it is called in the table.
        shows: What there is to see, and what to do, in English as all of the demo's own remarks.
        basket: SKU -> quantity.
        campaign: Which speaks; ``None`` for the recommender.
    """

    kind: str
    shows: str
    basket: Mapping[str, int]
    campaign: str | None

    @property
    def slug(self) -> str:
        """Its kind, in an address."""
        return self.kind.lower().replace(" ", "-")


TRIALS = (
    Trial(
        kind="Recommended",
        shows="What others bought with it. Any ordinary basket gets such an offer.",
        basket={"TEA-20": 1},
        campaign=None,
    ),
    Trial(
        kind="Variants",
        shows="Sizes and colours to choose from, one of them sold out, and a former price.",
        basket={"PEN-03": 1},
        campaign="gloves",
    ),
    Trial(
        kind="Service",
        shows="Gift wrapping with your words on the tag, for a greeting card and £30 in all.",
        basket={"PAP-16": 1, "POT-01": 1, "PAN-11": 1},
        campaign="gift-wrapping",
    ),
    Trial(kind="More", shows="Two, three or four more at 15 % off.", basket={"PAN-07": 4}, campaign="more-curd"),
    Trial(kind="Deal", shows="Buy another one, get one free.", basket={"POT-13": 1}, campaign="another-mug"),
    Trial(kind="Bundle", shows="Two products at one price.", basket={"PEN-01": 1}, campaign="ink-and-blotter"),
    Trial(
        kind="Sequence",
        shows="One offer follows a yes, another one a no.",
        basket={"KIT-06": 1},
        campaign="whetstone",
    ),
    Trial(
        kind="Free",
        shows="A sample, and no charge at all, for five pieces and £100 in all.",
        basket={"POT-10": 4, "KIT-20": 1},
        campaign="tea-sample",
    ),
    Trial(
        kind="Timer",
        shows="An offer that really ends after ten minutes; you can ask for ten more.",
        basket={"PAN-22": 1},
        campaign="chocolate-while-packing",
    ),
    Trial(
        kind="Order page",
        shows="Say no on the thank-you page, then follow “See your order”.",
        basket={"SEE-24": 2},
        campaign="packed-today",
    ),
    Trial(
        kind="Dialog",
        shows="At the foot of a small window, once the paused campaign of the trivet is live: see the dashboard.",
        basket={"POT-06": 1},
        campaign="trivet",
    ),
)


def introduce(rt: Runtime) -> None:
    """Import the shop's campaigns, before it first opens: later it would undo a merchant's edits. Idempotent."""
    document = json.loads(resources.files("flask_encore.demo").joinpath("campaigns.json").read_text("utf-8"))
    campaigning.import_(rt, document, actor=ACTOR)
