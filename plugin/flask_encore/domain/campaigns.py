"""A campaign: which offer is made, to which orders, when, in which words, and what follows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.kinds import Kind
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Placement
from flask_encore.domain.rule_json import one_of, short
from flask_encore.domain.rules import ALWAYS, Rule, specificity
from flask_encore.domain.wording import Wording

#: Merchants write these into files and follow-ups, so they are short and safe in a URL.
_REF = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")

#: Characters of a campaign's name, which only the merchant sees.
MAX_NAME = 120

#: A priority outside this is a typing mistake.
MAX_PRIORITY = 1000

#: Offers of one order, whatever campaigns there are. Shopify's own limit, and a shopper's patience.
MAX_SHOWN = 3

#: The campaign that is there without any campaign; its ref cannot be taken.
BUILT_IN = "built-in"


class CampaignStatus(StrEnum):
    """What the merchant decided about a campaign."""

    DRAFT = "draft"  #: being written; never offered
    LIVE = "live"  #: offered, from its start to its end
    PAUSED = "paused"  #: not offered until it is live again
    ENDED = "ended"  #: over; kept for the reports


class CampaignState(StrEnum):
    """How a campaign stands at a moment: what the merchant decided, and what time made of it."""

    DRAFT = "draft"  #: being written
    SCHEDULED = "scheduled"  #: live, but its start is ahead
    LIVE = "live"  #: offered now
    PAUSED = "paused"  #: taken back by the merchant
    ENDED = "ended"  #: ended by the merchant, or by its end time


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often one shopper is offered a campaign. Guests are nobody twice: for them only the order itself counts.

    Attributes:
        offers: At most so many offers of the campaign to one customer within *days*; no limit when ``None``.
        once_per_customer: Never again to a customer who accepted it.
        group: Campaigns of one group exclude each other: who was offered one within *group_days* is offered no other.
    """

    offers: int | None = None
    days: int | None = None
    once_per_customer: bool = False
    group: str | None = None
    group_days: int = 30

    def __post_init__(self) -> None:
        if (self.offers is None) != (self.days is None):
            raise InvalidInput("limits need offers and days together: so many offers in so many days.")
        for name, value, most in (("offers", self.offers, 1000), ("days", self.days, 3650)):
            if value is not None and (type(value) is not int or not 1 <= value <= most):
                raise InvalidInput(f"{name} has to be a whole number from 1 to {most}, got {short(value)}.")
        if not isinstance(self.once_per_customer, bool):
            raise InvalidInput(f"once_per_customer has to be true or false, got {short(self.once_per_customer)}.")
        if self.group is not None and (not isinstance(self.group, str) or not _REF.match(self.group)):
            raise InvalidInput(f"group has to be small letters, digits and hyphens, got {short(self.group)}.")
        if type(self.group_days) is not int or not 1 <= self.group_days <= 3650:
            raise InvalidInput(f"group_days has to be a whole number from 1 to 3650, got {short(self.group_days)}.")

    @property
    def ask_history(self) -> bool:
        """Whether earlier offers have to be looked up."""
        return self.offers is not None or self.once_per_customer or self.group is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a campaign has sold enough: accepted units, or accepted money of one currency. What is undone comes back.

    An order in another currency is not offered a campaign whose budget is money.
    """

    units: int | None = None
    amount: Money | None = None

    def __post_init__(self) -> None:
        if (self.units is None) == (self.amount is None):
            raise InvalidInput("a budget is units or an amount, one of them.")
        if self.units is not None and (type(self.units) is not int or not 1 <= self.units <= 1_000_000_000):
            raise InvalidInput(f"units has to be a whole number of at least 1, got {short(self.units)}.")
        if self.amount is not None and (not isinstance(self.amount, Money) or self.amount.minor_units < 1):
            raise InvalidInput(f"amount of a budget has to be above 0, got {short(self.amount)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One campaign, whole and checked.

    Attributes:
        ref: The merchant's key of it, the same in every export and import.
        name: For the merchant alone.
        priority: Higher speaks first; among equals the more specific rule, see `rules.specificity`.
        begins: False for a campaign that only ever follows another one.
        on_accept: The ref of what is offered after a yes that was charged; *on_decline* after a no.
        starts_at: By the shop's wall clock, without a time zone; so *ends_at*. ``None``: at once, and for good.
        timer_minutes: The offer really ends so soon, and says so; ``None`` shows no timer.
        wording: Headline and text by language tag.
    """

    ref: str
    name: str
    offer: Kind
    status: CampaignStatus = CampaignStatus.DRAFT
    priority: int = 0
    placement: Placement = Placement.THANK_YOU
    rule: Rule = ALWAYS
    begins: bool = True
    on_accept: str | None = None
    on_decline: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    limits: Limits = field(default_factory=Limits)
    budget: Budget | None = None
    timer_minutes: int | None = None
    wording: Mapping[str, Wording] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_campaign_ref("ref", self.ref)
        if not isinstance(self.name, str) or not 0 < len(self.name.strip()) <= MAX_NAME:
            raise InvalidInput(f"name has to be a text of 1 to {MAX_NAME} characters.")
        one_of("status", self.status, CampaignStatus)
        one_of("placement", self.placement, Placement)
        object.__setattr__(self, "status", CampaignStatus(self.status))
        object.__setattr__(self, "placement", Placement(self.placement))
        if type(self.priority) is not int or abs(self.priority) > MAX_PRIORITY:
            raise InvalidInput(f"priority has to be a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}.")
        if not isinstance(self.begins, bool):
            raise InvalidInput(f"begins has to be true or false, got {short(self.begins)}.")
        for name in ("on_accept", "on_decline"):
            if getattr(self, name) is not None:
                checked_campaign_ref(name, getattr(self, name))
        if self.ref in (self.on_accept, self.on_decline):
            raise InvalidInput(f"{self.ref!r} cannot follow itself: the shopper has just answered it.")
        for name in ("starts_at", "ends_at"):
            moment = getattr(self, name)
            if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is not None):
                raise InvalidInput(f"{name} has to be a time by the shop's wall clock, without a time zone.")
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise InvalidInput(f"ends_at {self.ends_at:%Y-%m-%d %H:%M} is not after starts_at.")
        if self.timer_minutes is not None and (
            type(self.timer_minutes) is not int or not 2 <= self.timer_minutes <= 60
        ):
            raise InvalidInput("timer_minutes has to be a whole number from 2 to 60: less is pressure, not a choice.")
        for language in self.wording:
            if not isinstance(language, str) or not 2 <= len(language) <= 35:
                raise InvalidInput(f"copy is by language tag such as 'en' or 'de', got {short(language)}.")

    def state(self, now: datetime, *, zone: tzinfo) -> CampaignState:
        """How it stands at *now*, timezone-aware, in a shop whose wall clock is that of *zone*."""
        if self.status is not CampaignStatus.LIVE:
            return CampaignState(self.status.value)
        if self.ends_at is not None and now >= instant(self.ends_at, zone=zone):
            return CampaignState.ENDED
        if self.starts_at is not None and now < instant(self.starts_at, zone=zone):
            return CampaignState.SCHEDULED
        return CampaignState.LIVE

    @property
    def follows(self) -> tuple[str, ...]:
        """Refs of what may come after it."""
        return tuple(dict.fromkeys(ref for ref in (self.on_accept, self.on_decline) if ref is not None))

    @property
    def precedence(self) -> tuple[Any, ...]:
        """Sorts campaigns: the smallest speaks first. Two that differ in nothing but their ref are a tie."""
        return (*self.rank, self.ref)

    @property
    def rank(self) -> tuple[Any, ...]:
        """Priority and specificity, negated; equal for campaigns that are tied."""
        return (-self.priority, *(-part for part in specificity(self.rule)))


def instant(wall: datetime, *, zone: tzinfo) -> datetime:
    """The moment, in UTC, when a wall clock shows *wall*.

    Where it shows it twice, the first; where it skips it, as much later as it skips (PEP 495).
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def checked_campaign_ref(name: str, value: object) -> str:
    """*value* as a campaign's key.

    Raises:
        InvalidInput: Naming the field and the fix.
    """
    if not isinstance(value, str) or not _REF.match(value):
        raise InvalidInput(f"{name} has to be 1 to 64 small letters, digits and hyphens, got {short(value)}.")
    if value == BUILT_IN:
        raise InvalidInput(f"{name} cannot be {BUILT_IN!r}: that is the offer made where no campaign applies.")
    return value
