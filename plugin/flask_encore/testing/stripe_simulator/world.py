"""The simulated Stripe as one value: what it remembers, what it sends, what goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from flask_encore.testing.stripe_simulator.faults import Faults
from flask_encore.testing.stripe_simulator.idempotency import IdempotencyStore
from flask_encore.testing.stripe_simulator.ledger import Ledger
from flask_encore.testing.stripe_simulator.webhooks import Webhooks


@dataclass(slots=True, kw_only=True)
class World:
    """Shared by every request.

    Attributes:
        refunds_pend: new refunds answer ``pending`` until completed.
        search_lag_seconds: how far search trails behind, on the simulated clock.
        stopping: set when the server is going away.
        save: writes the state file; does nothing without one.
    """

    ledger: Ledger
    webhooks: Webhooks
    faults: Faults
    idempotency: IdempotencyStore
    secret_key: str
    publishable_key: str
    refunds_pend: bool = False
    search_lag_seconds: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)
    save: Callable[[], None] = lambda: None
