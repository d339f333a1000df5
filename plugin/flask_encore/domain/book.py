"""All campaigns of a shop, ordered and indexed, so that of a thousand only those are asked that could apply.

The experiments that run ride along: they change with the same revision, and cost a page nothing of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from flask_encore.domain.campaigns import BUILT_IN, Campaign, CampaignStatus
from flask_encore.domain.experiments import RunningExperiment, varied
from flask_encore.domain.facts import RuleFacts
from flask_encore.domain.kinds import Complementary, Discount
from flask_encore.domain.rules import Key, conditions, keys, keys_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A campaign and which version of it."""

    campaign: Campaign
    version: int


class Book:
    """Campaigns as a decision needs them. Immutable; a change makes a new one.

    Args:
        listed: Every campaign of the shop, whatever its status.
        revision: Of the shop's campaigns when they were read.
        experiments: Those that run; at most one about each campaign, and one about the model.
    """

    def __init__(
        self, listed: Iterable[Listed] = (), *, revision: int = 0, experiments: Iterable[RunningExperiment] = ()
    ) -> None:
        self.revision = revision
        self._experiments = {one.experiment.campaign: one for one in experiments}
        everything = sorted(listed, key=lambda one: one.campaign.precedence)
        self._by_ref = {one.campaign.ref: one for one in everything}
        self._groups: dict[str, set[str]] = defaultdict(set)
        for one in everything:
            if one.campaign.limits.group is not None:
                self._groups[one.campaign.limits.group].add(one.campaign.ref)
        self.live = tuple(one for one in everything if one.campaign.status is CampaignStatus.LIVE)
        self._keyed: dict[Key, list[int]] = defaultdict(list)
        self._always: list[int] = []
        for place, one in enumerate(self.live):
            if not one.campaign.begins:
                continue
            needed = keys(one.campaign.rule)
            if needed is None:
                self._always.append(place)
            for key in needed or ():
                self._keyed[key].append(place)
        asked = chain.from_iterable(conditions(one.campaign.rule) for one in self.live)
        #: What any live campaign asks of an order or its shopper, by the name of the field.
        self.fields = frozenset(getattr(condition, "field", "") for condition in asked)

    def find(self, ref: str) -> Listed | None:
        """The campaign *ref*, whatever its status, or ``None``."""
        return self._by_ref.get(ref)

    def could_apply(self, facts: RuleFacts) -> Sequence[Listed]:
        """Live campaigns that begin a sequence and whose rule may be true of an order, best first."""
        return self.of_keys(keys_of(facts))

    def of_keys(self, found: Iterable[Key]) -> Sequence[Listed]:
        """Live campaigns that begin a sequence and need none of any keys, or one of *found*, best first."""
        places = set(self._always)
        for key in found:
            places.update(self._keyed.get(key, ()))
        return [self.live[place] for place in sorted(places)]

    def group(self, name: str) -> frozenset[str]:
        """Refs of the campaigns of a group, whatever their status."""
        return frozenset(self._groups.get(name, ()))

    def experiment_about(self, campaign_ref: str | None) -> RunningExperiment | None:
        """The experiment that runs about a campaign, or, for ``None``, about the model."""
        return self._experiments.get(campaign_ref)

    def varied(self, listed: Listed, variant: str) -> Listed | None:
        """A campaign as a variant of the experiment about it makes it.

        ``None`` when that cannot be done any more: there is no such variant, or the campaign it names has gone.
        """
        running = self._experiments.get(listed.campaign.ref)
        found = None if running is None else running.experiment.variant(variant)
        if found is None:
            return None
        other = None if found.campaign is None else self._by_ref.get(found.campaign)
        made = varied(listed.campaign, found, other=None if other is None else other.campaign)
        return None if made is None else Listed(campaign=made, version=listed.version)

    def dealt(self, listed: Listed, subject: str) -> Listed:
        """A campaign as an experiment about it, if there is one, deals it to *subject*; else as it is."""
        running = self._experiments.get(listed.campaign.ref)
        if running is None:
            return listed
        return self.varied(listed, running.variant_for(subject)) or listed

    def replaced(self, listed: Listed) -> Book:
        """The same book with one campaign in place of the one of its ref, or beside the others."""
        others: Mapping[str, Listed] = {**self._by_ref, listed.campaign.ref: listed}
        return Book(others.values(), revision=self.revision, experiments=self._experiments.values())

    def with_experiment(self, running: RunningExperiment) -> Book:
        """The same book with one experiment in place of the one about the same thing, or beside the others."""
        others = {**self._experiments, running.experiment.campaign: running}
        return Book(self._by_ref.values(), revision=self.revision, experiments=others.values())


def built_in(*, discount_percent: int) -> Listed:
    """The offer that is made where no campaign applies: the recommender's choice, less the shop's discount."""
    campaign = Campaign(
        ref="placeholder",
        name="The recommender's choice",
        offer=Complementary(discount=Discount(percent=discount_percent)),
        status=CampaignStatus.LIVE,
    )
    # Its own ref is one that no merchant can write down.
    object.__setattr__(campaign, "ref", BUILT_IN)
    return Listed(campaign=campaign, version=0)
