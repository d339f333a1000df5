"""Everything the simulator remembers, behind one lock.

Objects are plain dicts in the shape Stripe answers with. One lock covers every operation, which is
stronger than Stripe's lock per object; `Ledger.hold` shows the outside of the latter (429
``lock_timeout``) when a test wants to see it.
"""

from __future__ import annotations

import copy
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask_encore.testing.stripe_simulator.errors import Json, lock_timeout, missing, refused

API_VERSION = "2026-10-28.endive"

#: Object kind -> the prefix of its ids.
PREFIXES = {
    "payment_intent": "pi",
    "setup_intent": "seti",
    "payment_method": "pm",
    "confirmation_token": "ctoken",
    "customer": "cus",
    "charge": "ch",
    "refund": "re",
    "dispute": "dp",
    "balance_transaction": "txn",
    "checkout.session": "cs_test",
    "event": "evt",
}
_KIND_OF = {prefix: kind for kind, prefix in PREFIXES.items()}


def new_id(prefix: str) -> str:
    """A fresh id in Stripe's look: prefix, underscore, 24 random characters."""
    return f"{prefix}_{secrets.token_hex(12)}"


class Ledger:
    """The objects, their secrets and their events.

    Args:
        clock: answers the time as unix seconds.
        account: id of the one Stripe account simulated.
        settlement: currency and exchange rate of what arrives on the account; None keeps each charge's own currency.
    """

    def __init__(
        self, *, clock: Callable[[], float], account: str, settlement: tuple[str, float] | None = None
    ) -> None:
        self.lock = threading.RLock()
        self.account = account
        self.settlement = settlement
        self.origin = ""
        self.tables: dict[str, dict[str, Json]] = {kind: {} for kind in PREFIXES}
        #: payment method id -> what Stripe knows and never shows: number, set_up, spent, lenient.
        self.vault: dict[str, Json] = {}
        #: ids of objects that were handed out for writing since somebody last cleared this.
        self.touched: set[str] = set()
        self.request: Json = {"id": None, "idempotency_key": None}
        self.on_event: Callable[[Json], None] = lambda event: None
        self._clock = clock
        self._held: set[str] = set()

    def now(self) -> int:
        """The simulated time in whole unix seconds."""
        return int(self._clock())

    def add(self, kind: str, **fields: Any) -> Json:
        """Store a new object and return the live dict."""
        object_id = new_id(PREFIXES[kind])
        made: Json = {"id": object_id, "object": kind, "created": self.now(), "livemode": False, **fields}
        self.tables[kind][object_id] = made
        self.touched.add(object_id)
        return made

    def get(self, kind: str, object_id: str, *, param: str = "id", status: int = 404) -> Json:
        """The live dict.

        Raises:
            StripeError: ``resource_missing``; 404 by default, 400 for one named in a parameter.
        """
        try:
            found = self.tables[kind][object_id]
        except KeyError:
            raise missing(kind, object_id, param=param, status=status) from None
        self.touched.add(object_id)
        return found

    def take(self, kind: str, object_id: str) -> Json:
        """The live dict, for writing.

        Raises:
            StripeError: 404 ``resource_missing``, 429 ``lock_timeout`` while a test holds it.
        """
        found = self.get(kind, object_id)
        if object_id in self._held:
            raise lock_timeout()
        return found

    @contextmanager
    def hold(self, object_id: str) -> Iterator[None]:
        """Inside the block every write to this object answers 429 ``lock_timeout``."""
        self._held.add(object_id)
        try:
            yield
        finally:
            self._held.discard(object_id)

    def emit(self, kind: str, subject: Json) -> Json:
        """Record an event holding a snapshot of `subject` and hand it to the webhooks."""
        event = self.add(
            "event",
            type=kind,
            api_version=API_VERSION,
            data={"object": copy.deepcopy(subject)},
            pending_webhooks=0,
            request=dict(self.request),
        )
        self.on_event(event)
        return event

    def copies(self, kind: str) -> list[Json]:
        """Deep copies of every object of a kind, oldest first."""
        with self.lock:
            return copy.deepcopy(list(self.tables[kind].values()))

    def expanded(self, subject: Json, params: Json) -> Json:
        """A deep copy with every path of ``expand[]`` replaced by the object it names.

        Raises:
            StripeError: 400 when a path leads to something that is not a reference.
        """
        result = copy.deepcopy(subject)
        for path in params.get("expand") or []:
            self._expand(result, str(path).split("."), str(path))
        return result

    def _expand(self, node: Any, steps: list[str], path: str) -> None:
        if isinstance(node, list):
            for each in node:
                self._expand(each, steps, path)
            return
        head, rest = steps[0], steps[1:]
        if not isinstance(node, dict) or head not in node:
            raise refused(f"This property cannot be expanded ({path}).", param="expand")
        if isinstance(node[head], str):
            kind = _KIND_OF.get(node[head].rsplit("_", 1)[0])
            if kind is None:
                raise refused(f"This property cannot be expanded ({path}).", param="expand")
            node[head] = copy.deepcopy(self.get(kind, node[head]))
        if rest and node[head] is not None:
            self._expand(node[head], rest, path)

    def load(self, tables: dict[str, list[Json]], vault: dict[str, Json]) -> None:
        """Replace everything remembered."""
        for kind in PREFIXES:
            self.tables[kind] = {row["id"]: row for row in tables[kind]}
        self.vault = dict(vault)
