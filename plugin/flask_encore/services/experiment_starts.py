"""What stands against starting an experiment now, and what will keep it from telling anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flask_encore.domain.book import built_in
from flask_encore.domain.campaigns import BUILT_IN, Campaign, CampaignStatus
from flask_encore.domain.experiments import Experiment, Varies, stands_in_for, takes_discount
from flask_encore.domain.ports import Versioned
from flask_encore.services.campaign_schema import CampaignRefused, campaign_of
from flask_encore.services.runtime import Runtime
from flask_encore.store import campaigns


def models(rt: Runtime) -> frozenset[str] | None:
    """Versions that can rank; ``None`` where the shop's own ranker knows no versions."""
    if not isinstance(rt.ranker, Versioned):
        return None
    return frozenset(model.version for model in rt.trainer.models())


def refusals(
    rt: Runtime,
    connection: Any,
    experiment: Experiment,
    *,
    others: Sequence[Experiment],
    models: Collection[str] | None,
) -> dict[str, list[str]]:
    """Why *experiment* cannot start, by path; empty when nothing stands against it.

    Args:
        others: The experiments that run.
        models: As `models` answers.
    """
    if experiment.varies is Varies.MODEL:
        return _of_models(experiment, others, models)
    wrong: dict[str, list[str]] = {}
    same = next((one.ref for one in others if one.campaign == experiment.campaign), None)
    if same is not None:
        told = f"{same!r} runs about it already: stop that first, or nobody could tell which of them did what."
        wrong.setdefault("campaign", []).append(told)
    subject = _subject(rt, connection, experiment)
    if isinstance(subject, str):
        wrong.setdefault("campaign", []).append(subject)
        return wrong
    if experiment.varies is Varies.DISCOUNT and not takes_discount(subject):
        told = f"its offer ({subject.offer.kind}) has a price of its own and no discount to vary."
        wrong.setdefault("campaign", []).append(told)
    for place, variant in enumerate(experiment.variants):
        if variant.campaign is None:
            continue
        found = campaign_at(connection, rt, variant.campaign)
        told = "there is no such campaign." if found is None else stands_in_for(found, subject)
        if told:
            wrong[f"variants[{place}].campaign"] = [told]
    return wrong


def campaign_at(connection: Any, rt: Runtime, ref: str) -> Campaign | None:
    """The stored campaign; one that this release cannot read is as good as none."""
    row = campaigns.find(connection, rt.account, ref)
    try:
        return None if row is None else campaign_of(row["definition"])
    except CampaignRefused:
        return None


def _subject(rt: Runtime, connection: Any, experiment: Experiment) -> Campaign | str:
    """The campaign, or why there is nothing to vary."""
    ref = experiment.campaign or ""
    if ref == BUILT_IN:
        if not rt.settings.built_in_offer:
            return "the built-in offer is off (ENCORE_BUILT_IN_OFFER)."
        return built_in(discount_percent=rt.settings.discount_percent).campaign
    found = campaign_at(connection, rt, ref)
    if found is None:
        return f"there is no campaign {ref!r}."
    return "it has ended, and is offered to nobody." if found.status is CampaignStatus.ENDED else found


def _of_models(
    experiment: Experiment, others: Sequence[Experiment], models: Collection[str] | None
) -> dict[str, list[str]]:
    running = next((one.ref for one in others if one.varies is Varies.MODEL), None)
    wrong: dict[str, list[str]] = {}
    if running is not None:
        wrong["varies"] = [f"{running!r} varies the model already: stop that first."]
    if models is None:
        wrong.setdefault("varies", []).append("the shop's own ranker has no versions to choose from.")
        return wrong
    for place, variant in enumerate(experiment.variants):
        if variant.model is not None and variant.model not in models:
            known = ", ".join(sorted(models)) or "none"
            wrong[f"variants[{place}].model"] = [f"there is no such model; there are: {known}."]
    return wrong


def doubts(experiment: Experiment, subjects: Mapping[str, Campaign]) -> list[str]:
    """What is not wrong, but will keep it from telling anything: one sentence each."""
    found = []
    subject = subjects.get(experiment.campaign or "")
    if subject is not None and subject.status is not CampaignStatus.LIVE:
        found.append(f"{subject.ref!r} is {subject.status.value}: nobody takes part until it is live.")
    if experiment.varies is Varies.CAMPAIGN:
        for variant in experiment.variants:
            other = subjects.get(variant.campaign or "")
            if other is not None and other.status is CampaignStatus.LIVE:
                found.append(f"{other.ref!r} is live itself, so orders meet its offer outside of the experiment too.")
    said = [repr(variant.said(experiment.varies)) for variant in experiment.variants]
    if len(set(said)) < len(said):
        found.append("Two variants are the same: that measures nothing but chance (an A/A test).")
    return found
