"""What Stripe remembers per Idempotency-Key, and for how long: until somebody prunes it."""

from __future__ import annotations

import hashlib
import json
import threading

from flask_encore.testing.stripe_simulator.errors import Json, idempotency_mismatch, invalid, key_in_use

#: Stripe's limit, in characters.
LONGEST_KEY = 255

Answer = tuple[int, Json]


class IdempotencyStore:
    """One entry per key: the path, a hash of the parameters, and the answer once there is one.

    A key belongs to one path for its whole life: sending it to another is an error at Stripe, not
    a second request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, Json] = {}

    def begin(self, key: str, path: str, params: Json) -> Answer | None:
        """Claim the key; the stored answer when there is one, None when the caller must execute.

        Raises:
            StripeError: 400 ``idempotency_error`` for another path or other parameters, 409
                ``idempotency_key_in_use`` while the first request runs.
        """
        if len(key) > LONGEST_KEY:
            raise invalid(f"Idempotency keys hold up to {LONGEST_KEY} characters.")
        digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                self._entries[key] = {"path": path, "digest": digest, "answer": None}
                return None
            if entry["path"] != path:
                raise idempotency_mismatch(
                    "Keys for idempotent requests can only be used for the same endpoint they were first used for "
                    f"('{path}' vs '{entry['path']}'). Use a key other than '{key}' for a different request."
                )
            if entry["digest"] != digest:
                raise idempotency_mismatch(
                    "Keys for idempotent requests can only be used with the same parameters they were first used "
                    f"with. Use a key other than '{key}' for a different request."
                )
            if entry["answer"] is None:
                raise key_in_use(key)
            status, body = entry["answer"]
            return status, body

    def finish(self, key: str, status: int, body: Json) -> None:
        """Keep the answer. Does nothing when the key was pruned meanwhile."""
        with self._lock:
            if key in self._entries:
                self._entries[key]["answer"] = [status, body]

    def release(self, key: str) -> None:
        """Forget a claim that never began to execute."""
        with self._lock:
            self._entries.pop(key, None)

    def prune(self) -> None:
        """Forget every key, as Stripe does some time after 24 hours."""
        with self._lock:
            self._entries.clear()

    def answered(self) -> dict[str, Json]:
        """The entries to keep on disk, none of which changes any more; a running one is lost with its process."""
        with self._lock:
            return {key: entry for key, entry in self._entries.items() if entry["answer"] is not None}

    def load(self, state: Json) -> None:
        """Replace the entries by what `answered` gave."""
        with self._lock:
            self._entries = dict(state)
