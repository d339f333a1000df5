"""What teaches the recommender besides orders, and what a training says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

#: A product speaks for itself as loudly as the shop does once an offer sold so many of it. With fewer, one shopper's
#: change of mind would bury it.
KEPT_PRIOR = 20

#: order_ref, sku, quantity, customer_ref, Unix time. Lines sold by an offer are already left out.
TrainingLine = tuple[str, str, int, str | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRates:
    """How much of what offers sold was kept: neither undone nor refunded nor disputed.

    Attributes:
        shop: Of everything, 0 to 1; also the rate of a product no offer ever sold.
        of: By SKU, of those an offer sold.
    """

    shop: float = 1.0
    of: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def shrunken(cls, counts: Mapping[str, tuple[int, int]]) -> KeptRates:
        """Rates from (sold, kept) by SKU, each drawn towards the shop's, and the shop's towards all of it.

        (kept + m * shop) / (sold + m), the mean of a beta distribution that has seen m sales of the shop's kind before.
        """
        sold, kept = (sum(pair[side] for pair in counts.values()) for side in (0, 1))
        shop = (kept + KEPT_PRIOR) / (sold + KEPT_PRIOR)
        of = {sku: (kept + KEPT_PRIOR * shop) / (sold + KEPT_PRIOR) for sku, (sold, kept) in counts.items()}
        return cls(shop=shop, of=of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assortment:
    """What the shop knows of its products besides who bought them, by SKU. May name products nobody bought.

    Attributes:
        titles: Products with nearly the same one are taken for substitutes of each other.
        parents: What the products are variants of; variants of one product are substitutes of each other.
    """

    categories: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    kept: KeptRates = field(default_factory=KeptRates)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """What a training run did. Hit rates are of the held-out last orders, 0 to 1.

    Attributes:
        version: Of the model that was put live; empty when none was.
        doubt: Why the model should not be put live, as a sentence with the fix; empty when all is well. It was put live
            in spite of it when *version* is not empty, because somebody asked for that.
    """

    version: str
    orders: int
    lines: int
    products: int
    seconds: float
    hit_rate_at_3: float
    popularity_hit_rate_at_3: float
    doubt: str = ""

    def as_json(self) -> dict[str, Any]:
        """The report as the training log keeps it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedModel:
    """A model on disk that can be put live again."""

    version: str
    trained_at: datetime
    orders: int
    hit_rate_at_3: float
    live: bool

    def as_json(self) -> dict[str, Any]:
        """The model as JSON."""
        return asdict(self) | {"trained_at": self.trained_at.isoformat()}
