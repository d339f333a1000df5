"""Whether a rate of the last day is worse than it was: an exact test on counts, and never on less than a few dozen.

Fisher's exact test, one-sided: given how many of all trials succeeded, how often would chance alone put so many of the
bad ones into the last day? It is exact for any counts, where a normal approximation cries wolf on small ones. It takes
trials as independent; what comes in bursts, such as one card tried again and again, makes it a little too eager.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import exp, lgamma

#: Trials of the last day below which nothing is said: even if all of them were bad, a bad hour could explain it.
MIN_RECENT = 30

#: Trials of the four weeks before below which they are no standard to compare with.
MIN_BEFORE = 300

#: One look in ten thousand at a healthy shop is a false alarm at most. Whoever looks once an hour looks 720 times a
#: month, at days that overlap: `docs/operations.md` has what that comes to, measured.
ALPHA = 0.0001

#: A change smaller than this, relative to the rate before, is no alarm however certain it is: in a large shop the mix
#: of customers alone moves rates by a tenth from one day to the next.
LEAST_CHANGE = 0.25


class Verdict(StrEnum):
    """What the counts say."""

    TOO_FEW = "too_few"  #: there are not enough of them to say anything
    FINE = "fine"  #: no worse than chance and a day's mix explain
    WORSE = "worse"  #: worse, by more than either explains


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Some trials, and how many of them were bad: refused by a bank, or not accepted."""

    trials: int
    bad: int

    @property
    def rate(self) -> float | None:
        """The share that was bad; ``None`` without trials."""
        return self.bad / self.trials if self.trials else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """The last day against the four weeks before it; *p* is ``None`` where there were too few to ask."""

    recent: Counted
    before: Counted
    verdict: Verdict
    p: float | None


def watch(recent: Counted, before: Counted) -> Alarm:
    """Compare two periods of one rate, of which more is worse.

    Raises:
        ValueError: Unless ``0 <= bad <= trials`` in both.
    """
    for one in (recent, before):
        if not 0 <= one.bad <= one.trials:
            raise ValueError(f"{one.bad} of {one.trials} is not a rate")
    if recent.trials < MIN_RECENT or before.trials < MIN_BEFORE:
        return Alarm(recent=recent, before=before, verdict=Verdict.TOO_FEW, p=None)
    p = chance(recent, before)
    share, standard = recent.bad / recent.trials, before.bad / before.trials
    # Of what is mostly bad the good part counts: who sold to ten in a hundred and now sells to seven has lost a quarter
    # of the sales and more, though the bad part grew by a thirtieth only.
    is_large = share >= standard * (1 + LEAST_CHANGE) or (1 - share) <= (1 - standard) * (1 - LEAST_CHANGE)
    worse = p < ALPHA and is_large
    return Alarm(recent=recent, before=before, verdict=Verdict.WORSE if worse else Verdict.FINE, p=p)


def chance(recent: Counted, before: Counted) -> float:
    """How often chance alone puts at least so many bad trials into *recent*: the one-sided p of Fisher's test."""
    drawn, everything, bad = recent.trials, recent.trials + before.trials, recent.bad + before.bad
    most = min(drawn, bad)
    if recent.bad * before.trials <= before.bad * recent.trials:
        return 1.0  # no worse than before; the exact value is above one half, and nobody needs it
    term = exp(
        _log_choose(bad, recent.bad)
        + _log_choose(everything - bad, drawn - recent.bad)
        - _log_choose(everything, drawn)
    )
    total = 0.0
    for k in range(recent.bad, most + 1):
        total += term
        if term < total * 1e-17:
            break
        term *= (bad - k) * (drawn - k) / ((k + 1) * (everything - bad - drawn + k + 1))
    return min(1.0, total)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
