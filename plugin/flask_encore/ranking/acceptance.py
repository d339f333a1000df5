"""Picks the offer to show through the Acceptance port, and learns from those that were shown."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from encore_recommender.dial import compared
from encore_recommender.exploration import Seen, believed, greedily, thompson
from encore_recommender.offpolicy import Decision, EvaluationRefused, evaluate
from encore_recommender.persistence import ModelRefused
from encore_recommender.scorecard import PRIOR, Impression, Scorecard
from encore_recommender.scorecard_file import load, save
from flask_encore.domain.acceptance import AcceptanceReport, Eligible, Pick, Shown

_log = logging.getLogger(__name__)

#: Beside the co-purchase models.
FILE = "acceptance.json"

#: The earlier impressions teach a scorecard that is judged on the later ones before all of them teach the one put live.
TAUGHT = 0.8

#: Products whose impressions are kept with the scorecard, those shown most first; others count as never shown.
MOST_PRODUCTS = 5_000

#: What is free counts as costing a thousandth of the order, at a thousandth of its price: a scorecard weighs the
#: logarithm of what something costs, which nothing does not have.
ALMOST_NOTHING = 0.001


class LearnedAcceptance:
    """Knows how likely an offer is accepted, from the scorecard in a folder. Safe to share between threads.

    Without a scorecard, or with one that is refused, the last good one stays, and before there was any the probability
    that the product is bought beside the basket stands for it.

    Args:
        model_dir: Where the models live; need not exist yet.
    """

    def __init__(self, model_dir: Path) -> None:
        self._path = model_dir / FILE
        self._served: tuple[object, Scorecard] = (None, PRIOR)

    def pick(
        self, offers: Sequence[Eligible], *, order_ref: str, placement: str, step: int, dial: float, explore: bool
    ) -> Pick:
        """One of *offers*, which are best first and at least one; the same for the same order and scorecard.

        A candidate without a probability comes from a ranker of the shop's own: then its first one is shown.
        """
        if any(offer.candidate.probability is None for offer in offers):
            return Pick(position=0, chances=(), propensities=(1.0, *(0.0 for _ in offers[1:])))
        card = self._card()
        chances = [
            card.probability(_impression(offer, placement=placement, step=step)) * _kept(offer.candidate.kept_rate)
            for offer in offers
        ]
        seen = _records(card, [offer.candidate.sku for offer in offers])
        margins, dial = _comparable([offer.margin_minor for offer in offers], dial)
        choice = (
            thompson(chances, margins, seen, dial=dial, order_ref=order_ref)
            if explore
            else greedily(chances, margins, seen, dial=dial)
        )
        worth = compared(believed(chances, seen), margins, dial=dial)
        return Pick(
            position=choice.shown,
            chances=tuple(chances),
            propensities=choice.propensities,
            worths=tuple(worth.get(i) for i in range(len(offers))),
        )

    def learn(self, shown: Iterable[Shown], *, dial: float, now: datetime) -> AcceptanceReport:
        """Learn from offers that were answered, oldest first; put it live unless it is judged worse than what was live.

        Raises:
            OSError: It could not be written; what was live still is.
        """
        # scikit-learn takes over a second to import: whoever only serves never pays for it.
        from encore_recommender.acceptance import AcceptanceModel

        known = [answer for decision in shown if (answer := _answer(decision)) is not None]
        if not known:
            return AcceptanceReport(version="", impressions=0, accepted=0, judgement="")

        def taught(answers: Sequence[_Answer]) -> Scorecard:
            model = AcceptanceModel().fit([a.offers[a.shown] for a in answers], [a.accepted for a in answers])
            return replace(model.scorecard_, seen=_seen(answers))

        early = round(len(known) * TAUGHT)
        judgement, worse = _judged(taught(known[:early]), known[early:], dial=dial)
        version = ""
        if not worse:
            version = save(taught(known), self._path, created_at=now, metrics={"judgement": judgement})
        accepted = sum(answer.accepted for answer in known)
        return AcceptanceReport(version=version, impressions=len(known), accepted=accepted, judgement=judgement)

    def _card(self) -> Scorecard:
        """The live scorecard; looking whether it was replaced costs a few microseconds."""
        try:
            found = self._path.stat()
            stamp: object = (found.st_mtime_ns, found.st_ino, found.st_size)
        except OSError:
            stamp = None
        known, card = self._served
        if stamp != known:
            if stamp is not None:
                try:
                    card = load(self._path)
                except ModelRefused as refusal:
                    _log.warning("%s (keeping %s)", refusal, card.version or "what is known without one")
            self._served = (stamp, card)
        return card


def _impression(offer: Eligible, *, placement: str, step: int) -> Impression:
    assert offer.candidate.probability is not None
    return Impression(
        co_purchase=offer.candidate.probability,
        price_ratio=max(offer.price_ratio, ALMOST_NOTHING),
        support=offer.candidate.support,
        kind=offer.candidate.kind,
        discount=min(offer.discount, 1 - ALMOST_NOTHING),
        category=offer.category,
        position=step + 1,
        placement=placement,
    )


def _kept(rate: float | None) -> float:
    return 1.0 if rate is None else rate


def _comparable(margins: Sequence[int | None], dial: float) -> tuple[list[int], float]:
    """Margins and dial; a product whose cost is unknown cannot be compared by what it earns: then relevance counts."""
    known = [margin for margin in margins if margin is not None]
    return (known, dial) if len(known) == len(margins) else ([0] * len(margins), 0.0)


def _records(card: Scorecard, skus: Sequence[str]) -> list[Seen]:
    return [Seen(*card.seen.get(sku, (0, 0))) for sku in skus]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """One offer that was answered, and the others that could have been shown: sequences of one length."""

    skus: tuple[str, ...]
    offers: tuple[Impression, ...]
    kept: tuple[float, ...]
    margins: tuple[int | None, ...]
    propensities: tuple[float, ...]
    shown: int
    subject: str
    accepted: bool


def _answer(decision: Shown) -> _Answer | None:
    """From the log, in which decisions of an earlier release, and of a shop's own ranker, lack what is weighed."""
    entries = [entry for entry in decision.entries if entry.get("chance") is not None]
    skus = tuple(entry["sku"] for entry in entries)
    if decision.sku not in skus:
        return None
    return _Answer(
        skus=skus,
        offers=tuple(_logged(entry, decision) for entry in entries),
        kept=tuple(_kept(entry["kept_rate"]) for entry in entries),
        margins=tuple(entry["margin"] for entry in entries),
        propensities=tuple(entry["propensity"] for entry in entries),
        shown=skus.index(decision.sku),
        subject=decision.subject,
        accepted=decision.accepted,
    )


def _logged(entry: Mapping[str, Any], decision: Shown) -> Impression:
    return Impression(
        co_purchase=entry["probability"],
        price_ratio=max(entry["price_ratio"], ALMOST_NOTHING),
        support=entry["support"],
        kind=entry["kind"],
        discount=min(entry["discount"], 1 - ALMOST_NOTHING),
        category=entry["category"],
        position=decision.step + 1,
        placement=decision.placement,
    )


def _seen(answers: Sequence[_Answer]) -> dict[str, tuple[int, int]]:
    shown = Counter(answer.skus[answer.shown] for answer in answers)
    accepted = Counter(answer.skus[answer.shown] for answer in answers if answer.accepted)
    return {sku: (times, accepted[sku]) for sku, times in shown.most_common(MOST_PRODUCTS)}


def _judged(card: Scorecard, later: Sequence[_Answer], *, dial: float) -> tuple[str, bool]:
    """What the scorecard would have made of the later decisions, as a sentence; and whether it is clearly worse."""
    log: list[Decision] = []
    policy: list[tuple[float, ...]] = []
    foreseen: list[list[float]] = []
    for answer in later:
        said = card.probabilities(answer.offers)
        chances = [chance * kept for chance, kept in zip(said, answer.kept, strict=True)]
        margins, turned = _comparable(answer.margins, dial)
        log.append(
            Decision(
                propensities=answer.propensities,
                shown=answer.shown,
                reward=float(answer.accepted),
                customer=answer.subject,
            )
        )
        policy.append(greedily(chances, margins, _records(card, answer.skus), dial=turned).propensities)
        foreseen.append(said)
    try:
        found = evaluate(log, policy, foreseen)
    except EvaluationRefused as refusal:
        return str(refusal), False
    return f"Accepted {found.sentence()}.", found.gain.high < 0.0
