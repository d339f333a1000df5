"""What an order would be offered now, and why not the others: the decision of the page, made and not written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask_encore.domain.book import Book, Listed
from flask_encore.domain.campaigns import CampaignStatus
from flask_encore.domain.errors import EncoreError, InvalidInput
from flask_encore.domain.experiments import Experiment, Exposure, RunningExperiment
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome, Placement, Reason
from flask_encore.domain.ports import Versioned
from flask_encore.services import campaign_book, model_trials
from flask_encore.services.campaign_schema import campaign_of
from flask_encore.services.choosing import Asked
from flask_encore.services.offering import decision_row
from flask_encore.services.recording import CANDIDATES
from flask_encore.services.runtime import Runtime
from flask_encore.store import decisions
from flask_encore.store.decisions import Page


class OrderUnknown(EncoreError):
    """There is no such order: Encore was never told of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One order's decision as it would be made now.

    Attributes:
        reason: Why there would be an offer, or none.
        campaign_ref: Of the campaign that would speak; ``None`` when none would.
        card: The offer's snapshot; ``None`` when there would be none.
        asked: Every live campaign, best first, with what it answers; empty when the order is eligible for nothing.
        candidates: What the campaign weighed, as the decision log keeps it.
        tied: Refs of campaigns that could have spoken as well; their refs decided.
        exposed: Running experiments it would hang on, with the variant this order is dealt.
    """

    order_ref: str
    page: Placement
    outcome: Outcome
    reason: Reason
    campaign_ref: str | None
    title: str
    total: Money | None
    card: Mapping[str, Any] | None
    asked: tuple[Asked, ...]
    candidates: tuple[Mapping[str, Any], ...]
    tied: tuple[str, ...]
    exposed: tuple[Exposure, ...] = ()


def preview(
    rt: Runtime, definition: Mapping[str, Any] | None, order_ref: str, *, page: Placement = Placement.THANK_YOU
) -> Preview:
    """What *order_ref* would be offered now on *page*, with every live campaign. Writes nothing.

    The order is taken as freshly paid and never offered anything; stock, prices, budgets and limits are today's. The
    switches and the holdout are left aside: the question is what there would be to show.

    Args:
        definition: A campaign that need not be saved, taken as live, in place of the one of its ref.

    Raises:
        OrderUnknown: If Encore was never told of that order.
        CampaignRefused: If *definition* cannot be used as it is written.
    """
    with rt.db.read() as connection:
        read = decisions.page(connection, order_ref, account=rt.account, placement=page)
    if read is None:
        raise OrderUnknown(f"There is no order {order_ref!r}: Encore was never told of it.")
    book = campaign_book.current(rt, revision=read.revision)
    if definition is not None:
        campaign = replace(campaign_of(definition), status=CampaignStatus.LIVE)
        known = book.find(campaign.ref)
        book = book.replaced(Listed(campaign=campaign, version=known.version + 1 if known else 1))
        page = campaign.placement.surface
    return _previewed(rt, _fresh(rt, read), book, page)


def preview_variant(rt: Runtime, experiment: Experiment, variant: str, order_ref: str) -> Preview:
    """What *order_ref* would be offered now if it were dealt *variant*, its subject taken as live. Writes nothing.

    Args:
        variant: A variant's name, or ``holdout``: what would be offered, and is not shown.

    Raises:
        OrderUnknown: If Encore was never told of that order.
        InvalidInput: If the variant's model cannot rank.
    """
    with rt.db.read() as connection:
        read = decisions.page(connection, order_ref, account=rt.account, placement=Placement.THANK_YOU)
    if read is None:
        raise OrderUnknown(f"There is no order {order_ref!r}: Encore was never told of it.")
    forced = RunningExperiment(experiment=experiment, salt=b"", version=0, forced=variant)
    book = campaign_book.current(rt, revision=read.revision).with_experiment(forced)
    page = Placement.THANK_YOU
    subject = book.find(experiment.campaign or "")
    if subject is not None:
        live = replace(subject.campaign, status=CampaignStatus.LIVE)
        book = book.replaced(Listed(campaign=live, version=subject.version))
        page = live.placement.surface
    read = _fresh(rt, read)
    found = experiment.variant(variant)
    if found is not None and found.model is not None:
        read = _ranked_by(rt, read, found.model)
    return _previewed(rt, read, book, page)


def _ranked_by(rt: Runtime, read: Page, version: str) -> Page:
    """The order as if *version* had ranked it, without what its customer had bought before."""
    if not isinstance(rt.ranker, Versioned):
        raise InvalidInput("The shop's own ranker has no versions to choose from.")
    skus = [line["sku"] for line in read.order["lines"]]
    found = rt.ranker.ranked_by(version, skus, k=CANDIDATES)
    order = {**read.order, "candidates": [one.as_json() for one in found], "model_version": version}
    return replace(read, order=order)


def _fresh(rt: Runtime, read: Page) -> Page:
    """The order as if it were paid now, and nobody had decided anything about it."""
    return replace(
        read,
        order={
            **read.order,
            "placed_at": rt.clock(),
            "facts": model_trials.forgotten(read.order["facts"]),
        },
        steps=(),
        looked_up=frozenset(product.sku for product in read.products),
        off=False,
        shadow=False,
    )


def _previewed(rt: Runtime, read: Page, book: Book, page: Placement) -> Preview:
    row, choosing = decision_row(rt, read, book, page, step=0, due=None, exhaustive=True)
    order = read.order
    outcome, reason = Outcome(row["outcome"]), Reason(row["reason"])
    if row["snapshot"]:
        outcome, reason = Outcome.OFFERED, Reason.CHOSEN
    return Preview(
        order_ref=order["order_ref"],
        page=page,
        outcome=outcome,
        reason=reason,
        campaign_ref=row["campaign_ref"],
        title=row["snapshot"].get("title", ""),
        total=None if row["total_minor"] is None else Money(row["total_minor"], order["currency"]),
        card=row["snapshot"] or None,
        asked=choosing.asked if choosing else (),
        candidates=tuple(row["candidates"]),
        tied=choosing.tied if choosing else (),
        exposed=choosing.exposed if choosing else (),
    )
