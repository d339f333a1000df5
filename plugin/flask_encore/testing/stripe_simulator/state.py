"""The simulator's memory on disk: one JSON file, replaced whole, so it is never half written."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from flask_encore.testing.stripe_simulator.errors import Json
from flask_encore.testing.stripe_simulator.idempotency import IdempotencyStore
from flask_encore.testing.stripe_simulator.ledger import Ledger

#: How many events are kept: Stripe keeps 30 days, a demo needs the latest pages.
EVENTS_KEPT = 500


class StateFile:
    """Keeps a file in step with the ledger and the idempotency keys.

    A write encodes only the objects touched since the last one, so it stays quick in a shop with
    thousands of orders.
    """

    def __init__(self, path: Path, *, ledger: Ledger, idempotency: IdempotencyStore) -> None:
        self._path = path
        self._ledger = ledger
        self._idempotency = idempotency
        self._rows: dict[str, str] = {}
        self._answers: dict[str, tuple[Json, str]] = {}

    def load(self) -> None:
        """Replace the memory by the file's; does nothing when there is no file.

        Raises:
            ValueError: the file is not one that `save` wrote.
        """
        if not self._path.exists():
            return
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
            self._ledger.load(state["tables"], state["vault"])
            self._idempotency.load(state["idempotency"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self._path} is no state of a Stripe simulator; delete it to start anew") from error

    def save(self) -> None:
        """Write everything, in one step: a reader sees the old state or the new."""
        with self._ledger.lock:
            for object_id in self._ledger.touched:
                self._rows.pop(object_id, None)
            self._ledger.touched.clear()
            tables = ",".join(f"{_json(kind)}:[{self._table(kind)}]" for kind in self._ledger.tables)
            vault = _json(self._ledger.vault)
            text = f'{{"tables":{{{tables}}},"vault":{vault},"idempotency":{{{self._keys()}}}}}'
            scratch = self._path.with_name(self._path.name + ".new")
            scratch.write_text(text, encoding="utf-8")
            os.replace(scratch, self._path)

    def _table(self, kind: str) -> str:
        rows = list(self._ledger.tables[kind].values())
        if kind == "event":
            rows = rows[-EVENTS_KEPT:]
        for row in rows:
            if row["id"] not in self._rows:
                self._rows[row["id"]] = _json(row)
        return ",".join(self._rows[row["id"]] for row in rows)

    def _keys(self) -> str:
        entries = self._idempotency.answered()
        known = self._answers
        self._answers = {
            key: known[key] if key in known and known[key][0] is entry else (entry, _json(entry))
            for key, entry in entries.items()
        }
        return ",".join(f"{_json(key)}:{text}" for key, (_, text) in self._answers.items())


def around(ledger: Ledger, intents: Collection[str]) -> Ledger:
    """A ledger of those PaymentIntents and of what belongs to them: charges, refunds, disputes, customers and cards."""
    smaller = Ledger(clock=lambda: 0.0, account=ledger.account)
    wanted = set(intents)
    # What names a wanted object is wanted too: a charge its intent, a refund its charge, a balance entry any of them.
    for kind in ("payment_intent", "charge", "refund", "dispute", "balance_transaction"):
        for row in ledger.tables[kind].values():
            if row["id"] in wanted or wanted & {row.get("payment_intent"), row.get("charge"), row.get("source")}:
                smaller.tables[kind][row["id"]] = row
                wanted.add(row["id"])
    for row in smaller.tables["payment_intent"].values():
        wanted |= {row["customer"], row["payment_method"]}
    for kind in ("customer", "payment_method"):
        smaller.tables[kind] = {key: row for key, row in ledger.tables[kind].items() if key in wanted}
    smaller.vault = {key: known for key, known in ledger.vault.items() if key in wanted}
    return smaller


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
