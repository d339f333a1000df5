"""An experiment: who is shown which variant of a campaign's words, discount or offer, or of the recommender.

`domain.assignment` deals the variants, `domain.experiment` judges what came of them. Here is what an experiment is,
and what a variant makes of the campaign it is about. Only the offer changes, and only before it is frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from flask_encore.domain.assignment import ALL, Arm, checked_weights, variant_of
from flask_encore.domain.campaigns import BUILT_IN, MAX_NAME, Campaign, checked_campaign_ref
from flask_encore.domain.errors import IllegalTransition, InvalidInput
from flask_encore.domain.kinds import Bundle, BuyGet, Discount
from flask_encore.domain.rule_json import one_of, short
from flask_encore.domain.wording import Wording, faults

#: More variants than this are never told apart: each takes its share of the orders and of the error.
MAX_VARIANTS = 8

#: Characters of a variant's name: a column's head on a phone.
MAX_VARIANT_NAME = 40

#: Basis points an experiment of its own may hold out; half of the orders is more than any comparison needs.
MAX_HOLDOUT = 5_000

#: Characters of an experiment's ref. The audit log calls it "experiment REF" within 64.
MAX_REF = 48

#: What the log of exposures calls its own holdout.
HOLDOUT = Arm.HOLDOUT.value


class ExperimentStatus(StrEnum):
    """How far an experiment is."""

    DRAFT = "draft"  #: being written; nobody takes part
    RUNNING = "running"  #: dealt to orders; its definition stays as it is
    STOPPED = "stopped"  #: dealt no more; its result can be read and rolled out
    ARCHIVED = "archived"  #: put away; kept for the reports


NEXT: Mapping[ExperimentStatus, frozenset[ExperimentStatus]] = {
    ExperimentStatus.DRAFT: frozenset({ExperimentStatus.RUNNING, ExperimentStatus.ARCHIVED}),
    ExperimentStatus.RUNNING: frozenset({ExperimentStatus.STOPPED}),
    ExperimentStatus.STOPPED: frozenset({ExperimentStatus.ARCHIVED}),
    ExperimentStatus.ARCHIVED: frozenset(),
}


def to(current: ExperimentStatus, status: ExperimentStatus) -> ExperimentStatus:
    """Move an experiment from *current* to *status*.

    Raises:
        IllegalTransition: If ``NEXT`` forbids the move.
    """
    if status not in NEXT[current]:
        raise IllegalTransition(f"experiment: {current} -> {status}")
    return status


class Varies(StrEnum):
    """What is different between the variants; everything else is the same."""

    COPY = "copy"  #: the merchant's words beside the offer
    DISCOUNT = "discount"  #: what is taken off
    CAMPAIGN = "campaign"  #: another campaign makes its offer in place of the subject's
    MODEL = "model"  #: another saved model of the recommender ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One of the ways. One that says nothing of what varies leaves it as it is.

    Attributes:
        weight: Basis points of the customers, 1 at least.
        wording: Headline and text by language, in place of the campaign's in that language.
        discount: In place of the campaign's.
        campaign: Ref of the campaign whose offer, words, timer and follow-ups are in place of the subject's.
        model: Version of the saved model that ranks.
    """

    name: str
    weight: int
    wording: Mapping[str, Wording] | None = None
    discount: Discount | None = None
    campaign: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        for fault in faults(self.name, most=MAX_VARIANT_NAME, least=1):
            raise InvalidInput(f"name {fault}")
        if self.name.strip().casefold() == HOLDOUT:
            raise InvalidInput(f"name cannot be {HOLDOUT!r}: that is who is offered nothing.")
        if type(self.weight) is not int or not 1 <= self.weight <= ALL:
            raise InvalidInput(f"weight has to be whole basis points from 1 to {ALL:,}, got {short(self.weight)}.")
        if self.campaign is not None:
            checked_campaign_ref("campaign", self.campaign)

    def said(self, varies: Varies) -> Any:
        """What it says of *varies*; ``None`` when it leaves that as it is."""
        return getattr(self, _SAID[varies])


_SAID = {
    Varies.COPY: "wording",
    Varies.DISCOUNT: "discount",
    Varies.CAMPAIGN: "campaign",
    Varies.MODEL: "model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment, whole and checked.

    Attributes:
        campaign: Ref of its subject, or `BUILT_IN`; ``None`` for one that varies the model.
        holdout: Basis points of customers who are offered nothing where the subject would have made its offer.
        baseline: The name of the variant the others are compared with.
        worth: The smallest difference worth knowing of, basis points of the baseline's value per eligible order. It
            only says how many orders are needed, and is settled before the first one.
    """

    ref: str
    name: str
    varies: Varies
    variants: tuple[Variant, ...]
    baseline: str
    campaign: str | None = None
    holdout: int = 0
    worth: int = 100

    def __post_init__(self) -> None:
        checked_campaign_ref("ref", self.ref)
        if len(self.ref) > MAX_REF:
            raise InvalidInput(f"ref has to be at most {MAX_REF} characters, got {len(self.ref)}.")
        if not isinstance(self.name, str) or not 0 < len(self.name.strip()) <= MAX_NAME:
            raise InvalidInput(f"name has to be a text of 1 to {MAX_NAME} characters.")
        one_of("varies", self.varies, Varies)
        object.__setattr__(self, "varies", Varies(self.varies))
        object.__setattr__(self, "variants", tuple(self.variants))
        self._check_subject()
        if type(self.holdout) is not int or not 0 <= self.holdout <= MAX_HOLDOUT:
            raise InvalidInput(f"holdout has to be whole basis points from 0 to {MAX_HOLDOUT:,}.")
        if type(self.worth) is not int or not 1 <= self.worth <= ALL:
            raise InvalidInput(f"worth has to be whole basis points from 1 to {ALL:,}, got {short(self.worth)}.")
        self._check_variants()

    def _check_subject(self) -> None:
        if self.varies is Varies.MODEL:
            if self.campaign is not None:
                raise InvalidInput("campaign has to be left out: a model ranks for all of them.")
        elif self.campaign is None:
            raise InvalidInput(f"campaign is missing: the one whose {_SUBJECTS[self.varies]} varies.")
        elif self.campaign != BUILT_IN:
            checked_campaign_ref("campaign", self.campaign)

    def _check_variants(self) -> None:
        if not 2 <= len(self.variants) <= MAX_VARIANTS:
            raise InvalidInput(f"variants have to be 2 to {MAX_VARIANTS}, got {len(self.variants)}.")
        if len({one.name.strip().casefold() for one in self.variants}) < len(self.variants):
            raise InvalidInput("variants need a name each, all different.")
        if any(one.said(other) is not None for one in self.variants for other in Varies if other is not self.varies):
            raise InvalidInput(f"variants can only say what varies, which is the {self.varies.value}.")
        if any(one.campaign == self.campaign for one in self.variants if one.campaign is not None):
            raise InvalidInput("variants that leave the campaign as it is name none.")
        if self.baseline not in {one.name for one in self.variants}:
            raise InvalidInput(f"baseline has to be the name of a variant, got {short(self.baseline)}.")
        total = sum(self.weights.values())
        if total != ALL:
            told = f"{total:,} ({total / 100:g} %)"
            raise InvalidInput(f"variants with the holdout have to be {ALL:,} basis points (100 %) in all, got {told}.")
        checked_weights(self.weights)

    @property
    def weights(self) -> Mapping[str, int]:
        """Basis points by variant, the holdout's too where there is one: as `assignment.variant_of` wants them."""
        held_out = {HOLDOUT: self.holdout} if self.holdout else {}
        return {one.name: one.weight for one in self.variants} | held_out

    def variant(self, name: str) -> Variant | None:
        """The variant *name*; ``None`` for the holdout."""
        return next((one for one in self.variants if one.name == name), None)


#: What an experiment varies -> what of its subject that is.
_SUBJECTS = {Varies.COPY: "words", Varies.DISCOUNT: "discount", Varies.CAMPAIGN: "offer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningExperiment:
    """An experiment as decisions need it.

    Attributes:
        salt: Its own, so that it deals independently of every other one.
        version: Of its definition.
        forced: Everybody gets this one: to look at it beforehand. Nobody's order is ever decided with it.
    """

    experiment: Experiment
    salt: bytes
    version: int
    forced: str | None = None

    def variant_for(self, subject: str) -> str:
        """The name of the variant of *subject* (a customer_ref, or the order_ref of a guest), or ``holdout``."""
        if self.forced is not None:
            return self.forced
        return variant_of(subject, salt=self.salt, weights=self.experiment.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A decision that depends on an experiment, whatever comes of it.

    Attributes:
        variant: Its name, or ``holdout``.
        campaign: The subject; ``None`` where the model varies.
        applied: False where the variant's change could not be made, and things were left as they are.
    """

    experiment_ref: str
    version: int
    variant: str
    campaign: str | None
    applied: bool = True

    def as_json(self) -> dict[str, Any]:
        """As the trace keeps it."""
        return {
            "ref": self.experiment_ref,
            "version": self.version,
            "variant": self.variant,
            "campaign": self.campaign,
            "applied": self.applied,
        }


def takes_discount(campaign: Campaign) -> bool:
    """Whether the offer of *campaign* has a discount that could be another; bundles have prices of their own."""
    return not isinstance(campaign.offer, BuyGet | Bundle)


def stands_in_for(other: Campaign, subject: Campaign) -> str:
    """Why *other* cannot make its offer in place of *subject*, as a sentence; empty when it can."""
    if other.placement.surface is not subject.placement.surface:
        return f"{other.ref!r} is for another page ({other.placement.value})."
    if other.budget is not None:
        return f"{other.ref!r} has a budget, and what it sold in place of another one would not count in it."
    return ""


def varied(campaign: Campaign, variant: Variant, *, other: Campaign | None = None) -> Campaign | None:
    """*campaign* as *variant* makes it; ``None`` when that cannot be done any more.

    Its ref, rule, window, limits and budget stay: who is offered something, and how often, must not hang on the
    variant.

    Args:
        other: The campaign that the variant names, as it is now.
    """
    if variant.wording is not None:
        return _with(campaign, wording={**campaign.wording, **variant.wording})
    if variant.discount is not None:
        offer = campaign.offer
        if isinstance(offer, BuyGet | Bundle):
            return None
        return _with(campaign, offer=replace(offer, discount=variant.discount))
    if variant.campaign is None:
        return campaign
    if other is None or stands_in_for(other, campaign):
        return None
    # What follows may lead back to the subject, which has just been answered.
    follows = {
        name: None if getattr(other, name) == campaign.ref else getattr(other, name)
        for name in ("on_accept", "on_decline")
    }
    return _with(
        campaign,
        offer=other.offer,
        wording=other.wording,
        placement=other.placement,
        timer_minutes=other.timer_minutes,
        **follows,
    )


def _with(campaign: Campaign, **changes: Any) -> Campaign:
    """*campaign* with *changes*; the built-in one too, whose ref no merchant can write down."""
    if campaign.ref != BUILT_IN:
        return replace(campaign, **changes)
    made = replace(campaign, ref="placeholder", **changes)
    object.__setattr__(made, "ref", BUILT_IN)
    return made
