"""How often one may ask: each token so many times a minute, and each address so many times with a token that is none.

Counted in memory the limit is each process's own: a server of four workers lets through four times as many. A shared
storage counts once; when it is away nobody is refused for that, because a limit must not be what takes a shop down.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cached_property

from limits import RateLimitItemPerMinute
from limits.errors import ConfigurationError as LimitsConfigurationError
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from flask_encore.domain.errors import ConfigurationError
from flask_encore.services.runtime import Counts, logger

#: Requests a minute from one address with a token that opens nothing: a person who mistypes has enough, a guesser of
#: 256 bits has none anyway, and the database is asked no more often than this.
BAD_TOKENS = 30

WINDOW_SECONDS = 60
MEMORY = "memory://"

#: What every key begins with, beside the keys of others in a shared storage.
NAMESPACE = "encore-api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How one caller stands.

    Attributes:
        quota: Requests a minute.
        left: Of them, in this window.
        reset_seconds: Until the window ends.
    """

    is_over: bool
    quota: int
    left: int
    reset_seconds: int

    def headers(self, policy: str) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers writes it, and Retry-After when it is over."""
        told = {
            "RateLimit-Policy": f'"{policy}";q={self.quota};w={WINDOW_SECONDS}',
            "RateLimit": f'"{policy}";r={self.left};t={self.reset_seconds}',
        }
        return told | ({"Retry-After": str(self.reset_seconds)} if self.is_over else {})


class Limiter:
    """Counts requests.

    Args:
        uri: Where: ``memory://``, or what the ``limits`` package knows, such as ``redis://…``.
        per_minute: Of one token; 0 for no limit.

    Raises:
        ConfigurationError: If the storage cannot be used at all, as without its driver.
    """

    def __init__(self, uri: str, *, per_minute: int, counts: Counts) -> None:
        self._uri, self._counts = uri, counts
        self._per_token = RateLimitItemPerMinute(per_minute, namespace=NAMESPACE) if per_minute else None
        self._per_address = RateLimitItemPerMinute(BAD_TOKENS, namespace=NAMESPACE)
        if uri != MEMORY:
            # Now, so that a mistake stops the start. Memory waits for the first request: it has a thread, and a server
            # may fork in between.
            self._strategy = FixedWindowRateLimiter(_storage(uri))

    @cached_property
    def _strategy(self) -> FixedWindowRateLimiter:
        return FixedWindowRateLimiter(_storage(self._uri))

    def of_token(self, token_id: str) -> Allowance | None:
        """Count a request with this token. ``None``: there is no limit, or nobody counts now."""
        return None if self._per_token is None else self._hit(self._per_token, "token", token_id)

    def of_bad_token(self, address: str) -> Allowance | None:
        """Count a request without a valid token from this address."""
        return self._hit(self._per_address, "address", address)

    def _hit(self, item: RateLimitItemPerMinute, *of: str) -> Allowance | None:
        try:
            is_within = self._strategy.hit(item, *of)
            reset_at, left = self._strategy.get_window_stats(item, *of)
        except Exception as error:
            # Every storage raises its own driver's errors, and all of them mean the same here.
            self._counts.add("api_limit_unknown")
            logger.warning("the API's rate limit could not be counted (%s)", type(error).__name__)
            return None
        return Allowance(
            is_over=not is_within,
            quota=item.amount,
            left=left,
            reset_seconds=max(1, math.ceil(reset_at - time.time())),
        )


def _storage(uri: str) -> Storage:
    try:
        storage = storage_from_string(uri)
    except LimitsConfigurationError as error:
        raise ConfigurationError(
            f"ENCORE_RATE_LIMIT_STORAGE cannot be used ({error}); install its driver, or leave it at {MEMORY}."
        ) from error
    assert isinstance(storage, Storage)
    return storage
