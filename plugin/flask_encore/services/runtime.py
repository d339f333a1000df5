"""What every service works with: the parts of one app, wired once by the extension."""

from __future__ import annotations

import inspect
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flask_encore.config import Settings
from flask_encore.domain.book import Book, Listed
from flask_encore.domain.errors import ConfigurationError
from flask_encore.domain.events import ChargeEvent, EventKind
from flask_encore.domain.ports import Acceptance, Clock, Gateway, Ranker, Trainer
from flask_encore.domain.prices import Quoter
from flask_encore.domain.training import Drift
from flask_encore.services.couriers import Couriers
from flask_encore.services.lanes import Lanes
from flask_encore.services.posting import Poster
from flask_encore.store.database import Database

logger = logging.getLogger("flask_encore")

#: Monitors ask one at a time; a second and a third may while a database hangs, and no more threads than that.
EXAMINING_LANES = 4

Handler = Callable[[ChargeEvent], object]


def utc_now() -> datetime:
    """The wall clock, the only place that reads it."""
    return datetime.now(UTC)


class Counts:
    """How often things happened in this process since it started, by a short name; for health and for doubts."""

    def __init__(self) -> None:
        self._counter: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        """Count one more *name*."""
        with self._lock:
            self._counter[name] += 1

    def __getitem__(self, name: str) -> int:
        return self._counter[name]

    def as_dict(self) -> dict[str, int]:
        """All counts so far."""
        with self._lock:
            return dict(self._counter)


class BookKept:
    """The campaigns of the shop as this process read them last, and each definition it understood."""

    def __init__(self) -> None:
        self.latest = Book()
        self.understood: dict[tuple[str, int, datetime], Listed] = {}
        self.reading = threading.Lock()


class DriftKept:
    """How the live model does, as a page of this process asked last: (its version, when, what was found)."""

    def __init__(self) -> None:
        self.latest: tuple[str, datetime, Drift | None] | None = None


class AlarmsKept:
    """The alarms as a page, or a monitor, of this process asked last: a `services.alarms.Alarms`."""

    def __init__(self) -> None:
        self.latest: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The parts of one app.

    Attributes:
        gateway: ``None`` without a Stripe key; then every order is ineligible.
        publish: Sends the signal of an event; called after its commit.
        wake: Tells the embedded worker that there is something to do; does nothing without one.
        handlers: Host handlers by kind of event, in order of registration.
        consent_version: Which wording of the button and the price block shoppers accept.
        ranking: Where the recommender runs, apart from *deciding*, so that a stuck one leaves known offers alone.
        deciding: Where the thank-you page's offer is looked up.
        quote: The shop's own shipping and tax, run in an app context; ``None`` when it has none.
        quoting: Where it runs.
        examining: Where health is looked at; a database that hangs takes no other lane.
        book: The campaigns as last read.
        poster: Sends webhooks.
        couriers: Where each endpoint is served, apart from everything else.
        drift: How the live model did, as last asked.
        alarms: Whether a rate of the last day is worse than before, as last counted.
    """

    settings: Settings
    db: Database
    gateway: Gateway | None
    ranker: Ranker
    trainer: Trainer
    acceptance: Acceptance
    clock: Clock
    publish: Callable[[ChargeEvent], None]
    wake: Callable[[], None]
    handlers: Mapping[EventKind, Sequence[Handler]]
    consent_version: str
    quote: Quoter | None = None
    counts: Counts = field(default_factory=Counts)
    accepts: threading.BoundedSemaphore = field(init=False)
    ranking: Lanes = field(default_factory=lambda: Lanes("encore-ranking"))
    deciding: Lanes = field(default_factory=lambda: Lanes("encore-deciding"))
    quoting: Lanes = field(default_factory=lambda: Lanes("encore-quoting"))
    examining: Lanes = field(default_factory=lambda: Lanes("encore-examining", lanes=EXAMINING_LANES))
    book: BookKept = field(default_factory=lambda: BookKept())
    poster: Poster = field(default_factory=Poster)
    couriers: Couriers = field(default_factory=Couriers)
    drift: DriftKept = field(default_factory=lambda: DriftKept())
    alarms: AlarmsKept = field(default_factory=lambda: AlarmsKept())

    def __post_init__(self) -> None:
        try:
            inspect.signature(self.ranker.rank).bind((), k=1, history=())
        except TypeError as error:
            raise ConfigurationError(
                "The ranker's rank has to take (basket, *, k, exclude=(), history=()); history is what the customer "
                f"bought before ({error})."
            ) from error
        slots = threading.BoundedSemaphore(self.settings.max_concurrent_accepts)
        object.__setattr__(self, "accepts", slots)

    @property
    def budget_seconds(self) -> float:
        """How long a page, or a checkout, waits for us."""
        return self.settings.decision_budget_ms / 1000

    @property
    def account(self) -> str:
        """The Stripe account every row belongs to; empty for the key's own."""
        return self.settings.stripe_account
