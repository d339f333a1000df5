"""Small stand-ins for what is slow or random: a clock that stands still and a ranker that always says the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from flask_encore.domain.offers import Candidate


class FrozenClock:
    """A clock that moves when told to.

    >>> from datetime import UTC
    >>> clock = FrozenClock(datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
    >>> clock.advance(minutes=30)
    >>> clock().isoformat()
    '2026-03-01T12:30:00+00:00'
    """

    def __init__(self, now: datetime) -> None:
        if now.tzinfo is None:
            raise ValueError("FrozenClock needs a timezone-aware datetime")
        self._now = now

    def __call__(self) -> datetime:
        return self._now

    def advance(self, **timedelta_arguments: float) -> None:
        """Move on by a `timedelta` of these arguments, such as ``minutes=30``."""
        self._now += timedelta(**timedelta_arguments)

    def timestamp(self) -> float:
        """Unix time, for `StripeSimulator(clock=clock.timestamp)`."""
        return self._now.timestamp()


class FixedRanker:
    """A ranker that proposes the same products, in the given order, for every basket."""

    def __init__(self, *skus: str, version: str = "fixed") -> None:
        self._skus = skus
        self._version = version

    @property
    def version(self) -> str:
        """The name it was given."""
        return self._version

    def rank(
        self, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()
    ) -> Sequence[Candidate]:
        """Its products without those of *basket* and *exclude*, whatever the *history*."""
        left_out = {*basket, *exclude}
        return [
            Candidate(sku=sku, score=1.0 / (rank + 1), kind="popularity")
            for rank, sku in enumerate(self._skus)
            if sku not in left_out
        ][:k]
