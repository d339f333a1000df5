"""The merchant's funnel: counted facts in, steps, leaks, rates and revenue out.

Every rate says its denominator in its docstring. Nothing is ever added up across currencies. Every order of the funnel
ends in exactly one place: it is kept, or it left at exactly one `Leak`, so that each step is the one before it less
its leaks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from flask_encore.domain.charges import PAID, ChargeStatus
from flask_encore.domain.intervals import Interval, wilson
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome, Reason

#: Below this many trials no rate is shown. With 100 the 95 % interval reaches at most ten points to either side; with
#: fewer it reaches further, and a number that vague is read as one it is not.
MIN_TRIALS = 100


class Step(StrEnum):
    """The funnel, from wide to narrow. Each holds the orders that came this far, whatever happened to them later."""

    ELIGIBLE = "eligible"  #: a paid order for which there was an offer: offered or held out
    SHOWN = "shown"  #: a human saw the offer; an answer to it implies that
    ACCEPTED = "accepted"  #: the shopper said yes; a charge exists
    CHARGED = "charged"  #: the money moved
    KEPT = "kept"  #: the money moved and stayed


class Leak(StrEnum):
    """Where an order left the funnel, or where it stands now."""

    HELD_OUT = "held_out"  #: in the holdout; nothing was put on the page
    NOT_SEEN = "not_seen"  #: on the page, but nobody scrolled to it
    DECLINED = "declined"  #: the shopper said no
    EXPIRED = "expired"  #: nobody answered in time
    SOLD_OUT = "sold_out"  #: the last unit went to somebody else
    OPEN = "open"  #: may still be answered
    BANK_SAID_NO = "bank_said_no"  #: the bank said no, and no other card was used
    CHECK_ABANDONED = "check_abandoned"  #: the bank's check was not finished in time
    CANCELED = "canceled"  #: given up before the bank was asked
    IN_CHECK = "in_check"  #: the bank is waiting for the shopper
    UNKNOWN = "unknown"  #: under way, or without an answer from the bank yet
    UNDONE = "undone"  #: the shopper undid it
    REFUNDED = "refunded"  #: the merchant gave the money back
    REFUNDING = "refunding"  #: the money is on its way back
    DISPUTED = "disputed"  #: the cardholder's bank disputes it


_L = Leak

#: The leaks between a step and the next one.
LEAKS_AFTER: dict[Step, tuple[Leak, ...]] = {
    Step.ELIGIBLE: (_L.HELD_OUT, _L.NOT_SEEN),
    Step.SHOWN: (_L.DECLINED, _L.EXPIRED, _L.SOLD_OUT, _L.OPEN),
    Step.ACCEPTED: (_L.BANK_SAID_NO, _L.CHECK_ABANDONED, _L.CANCELED, _L.IN_CHECK, _L.UNKNOWN),
    Step.CHARGED: (_L.UNDONE, _L.REFUNDED, _L.REFUNDING, _L.DISPUTED),
    Step.KEPT: (),
}

_LEAK_OF_STATUS = {
    ChargeStatus.FAILED: _L.BANK_SAID_NO,
    ChargeStatus.ACTION_REQUIRED: _L.IN_CHECK,
    ChargeStatus.REFUNDING: _L.REFUNDING,
    ChargeStatus.DISPUTED: _L.DISPUTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one decision and its charge; equal facts are counted together.

    Attributes:
        seen: The page told that a human saw the offer.
        status: Of the charge; ``None`` when nobody accepted.
        attempted: Whether the bank was ever asked to confirm the charge.
        undone: Whether it was the shopper who asked for the refund.
    """

    outcome: Outcome
    reason: Reason
    seen: bool = False
    declined: bool = False
    sold_out: bool = False
    expired: bool = False
    status: ChargeStatus | None = None
    failure_code: str = ""
    attempted: bool = False
    undone: bool = False

    @property
    def leak(self) -> Leak | None:
        """Where the order left the funnel; ``None`` when it is kept, or was never eligible.

        A charge outranks every other answer, an answer outranks time, as everywhere in Encore.
        """
        if self.outcome is Outcome.HELD_OUT:
            return _L.HELD_OUT
        if self.outcome is not Outcome.OFFERED or self.status is ChargeStatus.SUCCEEDED:
            return None
        if self.status is not None:
            return self._leak_of_charge(self.status)
        if self.declined:
            return _L.DECLINED
        if self.sold_out:
            return _L.SOLD_OUT
        if not self.seen:
            return _L.NOT_SEEN
        return _L.EXPIRED if self.expired else _L.OPEN

    def _leak_of_charge(self, status: ChargeStatus) -> Leak:
        if status is ChargeStatus.REFUNDED:
            return _L.UNDONE if self.undone else _L.REFUNDED
        if status is ChargeStatus.CANCELED:
            if not self.attempted:
                return _L.CANCELED
            return _L.BANK_SAID_NO if self.failure_code else _L.CHECK_ABANDONED
        return _LEAK_OF_STATUS.get(status, _L.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """How many decisions of one currency share the same facts.

    Attributes:
        charged_minor: Sum of their charges, minor units; read only where the money moved.
        refunded_minor: What was given back of them so far by refunds that succeeded, minor units; of each charge no
            more than it was.
        fee_currency: What Stripe's fees of their charges are in; empty where no fee is known.
        fee_minor: Those fees, minor units of *fee_currency*; only where the money moved.
        without_fee: Charges whose money moved and whose fee is not known.
        profit_of: Kept charges whose goods' cost is known.
        profit_minor: What these left: charged, less what went back, fees in the same currency, tax and cost.
    """

    currency: str
    facts: Facts
    decisions: int
    charged_minor: int = 0
    refunded_minor: int = 0
    fee_currency: str = ""
    fee_minor: int = 0
    without_fee: int = 0
    profit_of: int = 0
    profit_minor: int = 0


@dataclass(frozen=True, slots=True)
class Rate:
    """*successes* out of *trials*."""

    successes: int
    trials: int

    @property
    def is_enough(self) -> bool:
        """Whether there are `MIN_TRIALS`; below that a rate must not be shown."""
        return self.trials >= MIN_TRIALS

    @property
    def share(self) -> float | None:
        """Successes / trials, 0 to 1; ``None`` below `MIN_TRIALS`."""
        return self.successes / self.trials if self.is_enough else None

    @property
    def interval(self) -> Interval | None:
        """The 95 % Wilson score interval of `share`; ``None`` below `MIN_TRIALS`."""
        return wilson(self.successes, self.trials) if self.is_enough else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """One currency's funnel.

    Attributes:
        counts: Orders that came to each step; never rises from one step to the next.
        leaks: Orders lost at each leak; leaks without orders are left out.
        gross: Every charge that succeeded, whatever happened to it later.
        refunded: What went back, or is on its way back, of *gross*.
        disputed: Of *gross*, charges the cardholder's bank disputes, in full.
    """

    currency: str
    counts: Mapping[Step, int]
    leaks: Mapping[Leak, int]
    gross: Money
    refunded: Money
    disputed: Money

    @property
    def net(self) -> Money:
        """``gross - refunded - disputed``: what stayed."""
        return self.gross - self.refunded - self.disputed

    @property
    def conversion_rate(self) -> Rate:
        """Accepted / shown. What the bank and the shopper did afterwards does not change it."""
        return Rate(self.counts[Step.ACCEPTED], self.counts[Step.SHOWN])

    @property
    def kept_rate(self) -> Rate:
        """Kept / shown: charged, and neither refunded, being refunded nor disputed."""
        return Rate(self.counts[Step.KEPT], self.counts[Step.SHOWN])

    @property
    def held_out(self) -> int:
        """Eligible orders that were shown nothing, so that uplift can be measured."""
        return self.leaks.get(Leak.HELD_OUT, 0)

    def leaks_after(self, step: Step) -> list[tuple[Leak, int]]:
        """The leaks between *step* and the next one, largest first."""
        found = [(leak, self.leaks[leak]) for leak in LEAKS_AFTER[step] if leak in self.leaks]
        return sorted(found, key=lambda item: -item[1])


def funnels(groups: Iterable[Group]) -> list[Funnel]:
    """One funnel per currency that had an eligible order, the one with most eligible orders first."""
    by_currency: dict[str, list[Group]] = {}
    for group in groups:
        if group.facts.outcome in {Outcome.OFFERED, Outcome.HELD_OUT}:
            by_currency.setdefault(group.currency, []).append(group)
    made = [_funnel(currency, found) for currency, found in by_currency.items()]
    return sorted(made, key=lambda funnel: (-funnel.counts[Step.ELIGIBLE], funnel.currency))


def without_offer(groups: Iterable[Group]) -> list[tuple[Outcome, Reason, int]]:
    """Decisions for which there was no offer: (ineligible or error, why, how many), most frequent first.

    Counts of orders, not amounts, so they are of all currencies together.
    """
    found: Counter[tuple[Outcome, Reason]] = Counter()
    for group in groups:
        if group.facts.outcome in {Outcome.INELIGIBLE, Outcome.ERROR}:
            found[group.facts.outcome, group.facts.reason] += group.decisions
    return [(outcome, reason, count) for (outcome, reason), count in found.most_common()]


def _funnel(currency: str, groups: list[Group]) -> Funnel:
    leaks: Counter[Leak] = Counter()
    eligible = gross = refunded = disputed = 0
    for group in groups:
        eligible += group.decisions
        leak = group.facts.leak
        if leak is not None:
            leaks[leak] += group.decisions
        if group.facts.status in PAID:
            gross += group.charged_minor
            if leak is Leak.DISPUTED:
                disputed += group.charged_minor
            elif leak is None:
                refunded += min(group.refunded_minor, group.charged_minor)
            else:
                refunded += group.charged_minor
    counts = {Step.ELIGIBLE: eligible}
    for step, following in pairwise(Step):
        counts[following] = counts[step] - sum(leaks[leak] for leak in LEAKS_AFTER[step])
    return Funnel(
        currency=currency,
        counts=counts,
        leaks={leak: count for leak, count in leaks.items() if count},
        gross=Money(gross, currency),
        refunded=Money(refunded, currency),
        disputed=Money(disputed, currency),
    )
