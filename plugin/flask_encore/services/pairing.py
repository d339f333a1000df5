"""A pair of products as the merchant's word: which is offered first beside which, and which never together.

The built-in offer has no place for such words; a campaign of the recommender's choice has, and is changed here like
everywhere else: under its version, written down, seen by every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from flask_encore.domain.campaigns import Campaign, CampaignStatus
from flask_encore.domain.kinds import Complementary
from flask_encore.services import campaigning
from flask_encore.services.campaign_schema import definition_of
from flask_encore.services.campaigning import Saved
from flask_encore.services.runtime import Runtime


class Word(StrEnum):
    """What a merchant can say of a pair; the name of the list it stands in."""

    PINNED = "pinned"  #: the second is offered first when the first is in the order
    BLOCKED = "blocked"  #: never together, whichever of them is in the order


def campaigns(rt: Runtime) -> list[Saved]:
    """The campaigns that can take a pair: the recommender's choice, and not ended."""
    return [
        saved
        for saved in campaigning.listed(rt)
        if isinstance(saved.campaign.offer, Complementary) and saved.campaign.status is not CampaignStatus.ENDED
    ]


def says(campaign: Campaign, word: Word, sku: str, other: str) -> bool:
    """Whether *campaign* says that already."""
    offer = campaign.offer
    if not isinstance(offer, Complementary):
        return False
    if word is Word.PINNED:
        return (sku, other) in offer.pinned
    return (sku, other) in offer.blocked or (other, sku) in offer.blocked


def saying(campaign: Campaign, word: Word, sku: str, other: str) -> Mapping[str, Any]:
    """The definition of *campaign* that says that too: a new pin comes before the older ones of that product."""
    definition = definition_of(campaign)
    if says(campaign, word, sku, other):
        return definition
    offer = dict(definition["offer"])
    pairs = [list(pair) for pair in offer.get(word.value) or ()]
    return {**definition, "offer": {**offer, word.value: [[sku, other], *pairs]}}
