"""Ask campaign after campaign, best first, until one can make its offer; and keep what each of them answered.

The first that passes every question speaks. What was asked, seen and answered is the decision's trace: from it alone
the decision can be made again (`domain.replay`).

An experiment about a campaign is dealt when that campaign has passed every question and is about to make its offer,
before anybody knows whether its variant has one: who counts as exposed must not hang on the variant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from flask_encore.domain.acceptance import Eligible, Pick
from flask_encore.domain.book import Listed, built_in
from flask_encore.domain.budgets import within
from flask_encore.domain.campaigns import BUILT_IN, CampaignState
from flask_encore.domain.experiments import HOLDOUT, Exposure
from flask_encore.domain.kinds import Complementary, skus_of
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Placement
from flask_encore.domain.pricing import Alternative, alternatives
from flask_encore.domain.refusals import evidence
from flask_encore.domain.rules import Trace, evaluate
from flask_encore.services.campaign_limits import left, limited, spent
from flask_encore.services.reasons import REFUSALS
from flask_encore.services.runtime import logger
from flask_encore.services.situation import Situation

#: Campaigns whose whole answer is kept with a decision; of the others that were asked their number is. A row stays
#: within some tens of kilobytes however many campaigns there are.
MOST_KEPT = 40


class Result(StrEnum):
    """What a campaign answered."""

    CHOSEN = "chosen"  #: its offer is the one
    WINDOW = "window"  #: not now: it has not begun, or is over
    PLACE = "place"  #: it is for another page
    ONLY_FOLLOWS = "only_follows"  #: it never begins a sequence
    RULE = "rule"  #: its rule is not true of this order
    LIMIT = "limit"  #: this shopper had it, or one of its group, often enough
    BUDGET = "budget"  #: it has sold what it may
    NOTHING = "nothing"  #: none of its products can be offered with this order
    OUTRANKED = "outranked"  #: it could have spoken, and another one spoke first


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One campaign that was asked.

    Attributes:
        because: Why, a sentence each; empty for the one that was chosen.
        rule: What its rule saw; ``None`` when it was not asked that far.
    """

    ref: str
    name: str
    version: int
    rank: tuple[Any, ...]
    result: Result
    because: tuple[str, ...] = ()
    rule: Trace | None = None

    def as_json(self) -> dict[str, Any]:
        """As the trace keeps it."""
        return {
            "ref": self.ref,
            "name": self.name,
            "version": self.version,
            "rank": list(self.rank),
            "result": self.result.value,
            "because": list(self.because),
            "rule": None if self.rule is None else self.rule.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The campaign that speaks, and the one of its alternatives that is offered."""

    listed: Listed
    alternative: Alternative
    propensity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choosing:
    """Everything asked and answered.

    Attributes:
        log: The alternatives of the chosen campaign, or of the last one that had none; each with what refused it.
        tied: Refs of campaigns of the chosen one's rank that could have spoken as well: their refs decided.
        exposed: The experiments this hangs on.
    """

    chosen: Chosen | None
    asked: tuple[Asked, ...]
    log: tuple[dict[str, Any], ...]
    tied: tuple[str, ...]
    exposed: tuple[Exposure, ...] = ()

    @property
    def held_out_by(self) -> str | None:
        """The experiment whose own holdout the chosen offer falls into; ``None`` when it may be shown."""
        subjects = {None} if self.chosen is None else {None, self.chosen.listed.campaign.ref}
        held = (one for one in self.exposed if one.variant == HOLDOUT and one.campaign in subjects)
        return next((one.experiment_ref for one in held), None)

    def as_json(self, *, dial: float, explore: bool) -> dict[str, Any]:
        """The trace as the decision keeps it."""
        kept = [one for one in self.asked if one.result is not Result.OUTRANKED]
        whole = kept[-MOST_KEPT:]
        told = {"experiments": [one.as_json() for one in self.exposed]} if self.exposed else {}
        return told | {
            "asked": [one.as_json() for one in whole],
            "asked_before": len(kept) - len(whole),
            "tied": list(self.tied),
            "picked": None if self.chosen is None else self.chosen.alternative.candidate.sku,
            "dial": dial,
            "explore": explore,
        }


def choose(
    situation: Situation,
    *,
    follow_up: str | None = None,
    exhaustive: bool = False,
    exposed: Sequence[Exposure] = (),
) -> Choosing:
    """The campaign that speaks for *situation*, and its offer.

    Args:
        follow_up: Only this campaign: the one that is due after the step before.
        exhaustive: Ask every campaign there is to the end, for a merchant who wants to know why not the others.
        exposed: Experiments it hangs on already, such as one about the model.
    """
    exposures = list(exposed)
    asked: list[Asked] = []
    tied: list[str] = []
    chosen: Chosen | None = None
    log: list[dict[str, Any]] = []
    for listed in _in_order(situation, follow_up=follow_up, exhaustive=exhaustive):
        campaign = listed.campaign
        if chosen is not None and not exhaustive and campaign.rank != chosen.listed.campaign.rank:
            break
        answer = _ask(situation, listed, follows=follow_up is not None)
        if answer.result is Result.CHOSEN and chosen is None:
            turn, exposure = _turn(situation, listed)
            if exposure is not None:
                exposures.append(exposure)
            found, entries = _offer(situation, turn)
            if found is None:
                log = log or entries
                answer = _replaced(answer, Result.NOTHING, _refusals(entries))
            else:
                chosen, log = found, entries
        elif answer.result is Result.CHOSEN and chosen is not None:
            answer = _replaced(answer, Result.OUTRANKED, (f"{chosen.listed.campaign.ref} spoke first",))
            if campaign.rank == chosen.listed.campaign.rank and chosen.listed.campaign.ref != BUILT_IN:
                tied.append(campaign.ref)
        asked.append(answer)
    return Choosing(chosen=chosen, asked=tuple(asked), log=tuple(log), tied=tuple(tied), exposed=tuple(exposures))


def _in_order(situation: Situation, *, follow_up: str | None, exhaustive: bool) -> Sequence[Listed]:
    if follow_up is not None:
        found = situation.book.find(follow_up)
        if found is None:
            return []
        situation.shelf(_needed(situation, found))  # all at once, before its rule asks for some of it
        return [found]
    live: Sequence[Listed] = situation.book.live
    if live and not exhaustive:
        live = situation.book.could_apply(situation.facts)
    if situation.page is not Placement.THANK_YOU or not situation.rt.settings.built_in_offer:
        return list(live)
    return [*live, built_in(discount_percent=situation.rt.settings.discount_percent)]


def _ask(situation: Situation, listed: Listed, *, follows: bool) -> Asked:
    """Every question but the last, whether there is something to offer."""
    campaign = listed.campaign
    answer = Asked(
        ref=campaign.ref, name=campaign.name, version=listed.version, rank=campaign.rank, result=Result.CHOSEN
    )
    if campaign.ref == BUILT_IN:
        return answer
    state = campaign.state(situation.now, zone=situation.rt.settings.zone)
    if state is not CampaignState.LIVE:
        return _replaced(answer, Result.WINDOW, (f"the campaign is {state}",))
    if campaign.placement.surface is not situation.page:
        return _replaced(answer, Result.PLACE, (f"the campaign is for {campaign.placement}",))
    if not campaign.begins and not follows:
        return _replaced(answer, Result.ONLY_FOLLOWS, ("the campaign only follows others",))
    verdict = evaluate(campaign.rule, situation.facts)
    if not verdict.applies:
        return _replaced(answer, Result.RULE, verdict.because, rule=verdict.trace)
    if why := limited(situation, campaign):
        return _replaced(answer, Result.LIMIT, (why,), rule=verdict.trace)
    if why := spent(situation, campaign):
        return _replaced(answer, Result.BUDGET, (why,), rule=verdict.trace)
    return _replaced(answer, Result.CHOSEN, (), rule=verdict.trace)


def _replaced(answer: Asked, result: Result, because: Sequence[str], *, rule: Trace | None = None) -> Asked:
    return replace(answer, result=result, because=tuple(because), rule=rule or answer.rule)


def _turn(situation: Situation, listed: Listed) -> tuple[Listed, Exposure | None]:
    """A campaign whose turn it is as the experiment about it deals it, and that this hangs on that experiment.

    A change that cannot be made any more leaves the campaign as it is; the exposure stands, and says so.
    """
    ref = listed.campaign.ref
    running = situation.book.experiment_about(ref)
    if running is None or not (situation.takes_part or running.forced is not None):
        return listed, None
    variant = running.variant_for(situation.subject)
    made = listed if variant == HOLDOUT else situation.book.varied(listed, variant)
    if made is None:
        situation.rt.counts.add("experiment_not_applied")
        logger.warning("variant %r of experiment %s cannot be made of %s", variant, running.experiment.ref, ref)
    exposure = Exposure(
        experiment_ref=running.experiment.ref,
        version=running.version,
        variant=variant,
        campaign=ref,
        applied=made is not None,
    )
    return made or listed, exposure


def _offer(situation: Situation, listed: Listed) -> tuple[Chosen | None, list[dict[str, Any]]]:
    """One of the campaign's alternatives, with its propensity; and all of them with what refused each."""
    rt, kind = situation.rt, listed.campaign.offer
    shelved = situation.shelf(_needed(situation, listed))
    recommended = [shelved.product(candidate.sku) for candidate in situation.candidates]
    siblings = isinstance(kind, Complementary)
    parents = {product.parent for product in recommended if siblings and product is not None and product.parent}
    found = alternatives(
        kind,
        candidates=situation.candidates,
        basket=situation.basket,
        shelf=situation.shelf(parents),
        guard_percent=rt.settings.price_guard_percent,
        shown=situation.shown,
    )
    rest = left(situation, listed.campaign)
    if rest is not None:
        found = [within(one, rest) for one in found]
    log = [one.candidate.as_json() | {"filtered": str(one.refused)} | evidence(one.refused) for one in found]
    passed = [place for place, one in enumerate(found) if not one.refused]
    if not passed:
        return None, log
    first = found[passed[0]]
    if not isinstance(kind, Complementary) or first.candidate.kind == "pinned":
        log[passed[0]]["propensity"] = 1.0
        return Chosen(listed=listed, alternative=first, propensity=1.0), log
    offers = [_eligible(found[place], situation.basket.total) for place in passed]
    pick = rt.acceptance.pick(
        offers,
        order_ref=situation.read.order["order_ref"],
        placement=situation.page,
        step=situation.step,
        dial=rt.settings.profit_dial,
        explore=rt.settings.explore,
    )
    for i, place in enumerate(passed):
        log[place] |= _weighed(offers[i], pick, i)
    picked = found[passed[pick.position]]
    return Chosen(listed=listed, alternative=picked, propensity=pick.propensities[pick.position]), log


def _needed(situation: Situation, listed: Listed) -> list[str]:
    """Products that pricing a campaign's offer looks at, but for the siblings of variants."""
    kind = listed.campaign.offer
    recommended = [candidate.sku for candidate in situation.candidates] if isinstance(kind, Complementary) else []
    before = [sku for sku, _ in situation.shown]
    return [*situation.skus, *skus_of(kind), *recommended, *before]


def _eligible(alternative: Alternative, total: Money) -> Eligible:
    choice, product = alternative.choices[0], alternative.product
    assert product is not None
    price = choice.price
    return Eligible(
        candidate=alternative.candidate,
        price_ratio=price.total.minor_units / total.minor_units,
        discount=price.discount.minor_units / price.item.minor_units,
        category=product.category or "",
        margin_minor=None if choice.cost is None else (price.total - choice.cost).minor_units,
    )


def _weighed(offer: Eligible, pick: Pick, i: int) -> dict[str, Any]:
    """What the choice saw of an offer: from this, and only this, another choice can be learned and judged later."""
    return {
        "price_ratio": offer.price_ratio,
        "discount": offer.discount,
        "category": offer.category,
        "margin": offer.margin_minor,
        "chance": pick.chances[i] if pick.chances else None,
        "propensity": pick.propensities[i],
        "worth": pick.worths[i] if pick.worths else None,
    }


def _refusals(entries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Why nothing can be offered, a sentence per product."""
    if not entries:
        return ("the recommender had nothing to say about this order",)
    return tuple(f"{entry['sku']} {REFUSALS[entry['filtered']]}" for entry in entries[:MOST_KEPT])
