"""What teaches the recommender besides orders, and what a training says of itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask_encore.domain.acceptance import AcceptanceReport

#: A product speaks for itself as loudly as the shop does once an offer sold so many of it. With fewer, one shopper's
#: change of mind would bury it.
KEPT_PRIOR = 20

#: order_ref, sku, quantity, customer_ref, Unix time. Lines sold by an offer are already left out.
TrainingLine = tuple[str, str, int, str | None, float | None]

#: The lines of the orders Encore was told of since a moment.
LinesSince = Callable[[datetime], Iterable[TrainingLine]]


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
        acceptance: What was learned from the offers shown; ``None`` when that was not tried.
    """

    version: str
    orders: int
    lines: int
    products: int
    seconds: float
    hit_rate_at_3: float
    popularity_hit_rate_at_3: float
    doubt: str = ""
    acceptance: AcceptanceReport | None = None

    def as_json(self) -> dict[str, Any]:
        """The report as the training log keeps it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How the method did on the newest orders when it had learned from the older ones alone, best-sellers beside it.

    Every rate is of the same *questions*: one line of an order is hidden, the others are shown.

    Attributes:
        coverage_at_3: Of the products it had learned, those that were among the first three of some answer.
    """

    questions: int
    hit_rate_at_3: float
    popularity_hit_rate_at_3: float
    ndcg_at_10: float
    popularity_ndcg_at_10: float
    coverage_at_3: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedModel:
    """A model on disk that can be put live again.

    Attributes:
        trained_at: When it was made; new orders may have been added to an older training then.
        first_order_at: Of the orders it learned from; so *last_order_at*. ``None`` where orders had no times.
        judged: ``None`` where the held-out orders gave nothing to ask.
    """

    version: str
    trained_at: datetime
    orders: int
    hit_rate_at_3: float
    live: bool
    lines: int = 0
    products: int = 0
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    judged: Judged | None = None

    def as_json(self) -> dict[str, Any]:
        """The model as JSON."""
        moments = {name: getattr(self, name) for name in ("trained_at", "first_order_at", "last_order_at")}
        return asdict(self) | {name: moment and moment.isoformat() for name, moment in moments.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A training under way.

    Attributes:
        share: Done, 0 to 1.
        broke_off: Whether it came to no end: its process was stopped. It changed nothing then.
    """

    began_at: datetime
    share: float
    broke_off: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two products that were bought together, as the live model counted them.

    Attributes:
        together: Orders with both, of the *orders_with* sku.
        lift: together / orders_with over the other's share of all orders; 1 is chance.
        substitutes: Whether the model takes them for variants of one product, so that it never offers them together.
    """

    sku: str
    other: str
    together: int
    orders_with: int
    lift: float
    substitutes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a model was asked about orders that came after it: one question per order, as when it was judged.

    Attributes:
        hits: Questions whose answer was among its first three.
        gain: Sum of the questions' parts of NDCG@10.
        unknown_lines: Of the orders' *lines*, those of products it had never seen.
    """

    questions: int = 0
    hits: int = 0
    gain: float = 0.0
    lines: int = 0
    unknown_lines: int = 0

    def plus(self, later: Watched) -> Watched:
        """Both together."""
        return Watched(**{name: value + getattr(later, name) for name, value in asdict(self).items()})

    def as_json(self) -> dict[str, Any]:
        """The counts as a model's manifest keeps them."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the model does on orders that came after it was trained, each asked before it was learned (prequential).

    Attributes:
        trained_at: When everything was last learned anew.
        validation_hit_rate_at_3: What it had on its own held-out orders; so *validation_ndcg_at_10*.
    """

    version: str
    trained_at: datetime
    watched: Watched
    validation_hit_rate_at_3: float
    validation_ndcg_at_10: float

    @property
    def hit_rate_at_3(self) -> float:
        """Of the orders that came after; 0 before there is one."""
        return self.watched.hits / max(self.watched.questions, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """Of that rate, 95 %, by Wilson's score; from 0 to 1 before there is an order."""
        n = self.watched.questions
        if not n:
            return 0.0, 1.0
        rate, z = self.hit_rate_at_3, 1.96
        middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
        reach = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return middle - reach, middle + reach

    @property
    def ndcg_at_10(self) -> float:
        """Of the orders that came after; 0 before there is one."""
        return self.watched.gain / max(self.watched.questions, 1)

    @property
    def unknown_share(self) -> float:
        """Of the lines that came after, those of products the model had never seen."""
        return self.watched.unknown_lines / max(self.watched.lines, 1)

    @property
    def is_worse(self) -> bool:
        """Whether luck does not explain that it does worse than on its own held-out orders."""
        return self.interval[1] < self.validation_hit_rate_at_3

    def as_json(self, *, now: datetime) -> dict[str, Any]:
        """The numbers, with the age in days."""
        low, high = self.interval
        return {
            "version": self.version,
            "trained_at": self.trained_at.isoformat(),
            "age_days": round((now - self.trained_at) / timedelta(days=1), 2),
            "questions": self.watched.questions,
            "hit_rate_at_3": self.hit_rate_at_3,
            "hit_rate_at_3_low": low,
            "hit_rate_at_3_high": high,
            "validation_hit_rate_at_3": self.validation_hit_rate_at_3,
            "ndcg_at_10": self.ndcg_at_10,
            "validation_ndcg_at_10": self.validation_ndcg_at_10,
            "lines": self.watched.lines,
            "unknown_share": self.unknown_share,
            "is_worse": self.is_worse,
        }
