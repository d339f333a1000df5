"""Which of several eligible offers is shown, and what shoppers said to those that were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flask_encore.domain.offers import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligible:
    """A candidate that passed every filter, as it would be offered.

    Attributes:
        price_ratio: The offer's price over the order's total.
        discount: Share taken off the catalogue's price, from 0 to 1.
        margin_minor: What is earned when it is accepted; ``None`` when its cost is not known.
    """

    candidate: Candidate
    price_ratio: float
    discount: float
    category: str
    margin_minor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Which offer is shown, and how likely each was to be.

    Attributes:
        position: Of the one shown.
        chances: Per offer, the probability that it is accepted and kept; empty when nothing tells.
        propensities: Per offer, the probability that it is shown; they add up to 1.
        worths: Per offer, what it was compared by, ``None`` where it was too unlikely to be compared; empty when
            nothing tells. Without exploring the greatest is shown, of equals the likelier one.
    """

    position: int
    chances: tuple[float, ...]
    propensities: tuple[float, ...]
    worths: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One decision whose offer a human saw and answered, or left.

    Attributes:
        entries: The decision's log of candidates, those that could have been shown with `Pick`'s numbers.
        subject: Whose decision it was: the customer, or the order of a guest.
        step: In the sequence of offers, from 0.
    """

    entries: Sequence[Mapping[str, Any]]
    sku: str
    subject: str
    placement: str
    step: int
    accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceReport:
    """What was learned from the offers shown.

    Attributes:
        version: Of what was put live; empty when nothing was.
        judgement: How the new choice compares with what was shown, or why the log cannot tell, as a sentence.
    """

    version: str
    impressions: int
    accepted: int
    judgement: str

    def as_json(self) -> dict[str, Any]:
        """The report as the training log keeps it."""
        return asdict(self)
