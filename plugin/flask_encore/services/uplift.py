"""What offers added, and not what they took: the standing holdout against everybody else, customer by customer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_encore.domain.assignment import ALL, Arm
from flask_encore.domain.experiment import Comparison, Estimate, compare, more_orders
from flask_encore.domain.moments import Customer, Moments
from flask_encore.domain.money import Money
from flask_encore.domain.sample_ratio import SampleRatio, sample_ratio
from flask_encore.services.runtime import Runtime
from flask_encore.store import moment_reports, rollups

#: Decisions up to which a page counts the customers itself.
LIVE_BOUND = 5_000

#: How old an answer of the worker's may be that a page shows, with its age: a day, in which little becomes of an
#: experiment with more decisions than `LIVE_BOUND`.
FRESH_FOR = timedelta(days=1)

#: When the worker counts it again.
AGAIN_AFTER = timedelta(hours=1)

#: What the standing holdout's answer is kept as.
HOLDOUT = "holdout"

#: The smallest difference worth knowing of, unless the merchant says: this part of what an order of the holdout is
#: worth. 2 % is what an offer of a fifth of the order adds when one shopper in ten takes it.
WORTH_SHARE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplift:
    """One currency's uplift against the standing holdout.

    Attributes:
        share_bp: Basis points held out: the share in force, of which alone decisions are counted; 0 when nobody is.
        since: When that share was first in force; ``None`` when nobody is held out.
        arms: ``"treatment"`` and ``"holdout"``; empty when nobody is held out, or it is not counted yet.
        sample: Whether there are as many customers in each arm as there should be.
        comparison: The treatment against the holdout.
        treated_orders: Eligible orders that were not held out.
        incremental: (low, value, high): what offers added on those orders, by the always-valid interval.
        worth_minor: The smallest uplift per order worth knowing of, minor units.
        more_orders: About how many more orders it takes to know of that; ``None`` when nothing so far can tell.
        as_of: When it was counted.
        counted: False while a shop too large for a page waits for the worker to count it; nothing is here then.
    """

    currency: str
    share_bp: int
    since: datetime | None
    arms: Mapping[str, Moments]
    sample: SampleRatio | None
    comparison: Comparison | None
    treated_orders: int
    incremental: tuple[Money, Money, Money] | None
    worth_minor: int
    more_orders: int | None
    as_of: datetime
    counted: bool = True


#: By currency, the sums of each arm.
Arms = Mapping[str, Mapping[str, Moments]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The sums of an experiment's arms.

    Attributes:
        arms: By currency, by arm or variant; ``None`` while they wait to be counted.
    """

    arms: Arms | None
    as_of: datetime


def default_bp(rt: Runtime) -> int:
    """Basis points the configuration holds out: what decisions were made under that do not say."""
    return round(rt.settings.holdout_percent * 100)


def moments(rt: Runtime, *, experiment_ref: str, since: datetime | None = None) -> Counted:
    """The sums of an experiment's variants, by its logged exposures. Changes nothing.

    Args:
        since: Only decisions of then and later; then they are always counted at once, however many there are.
    """
    now = rt.clock()
    with rt.db.snapshot() as connection:
        if since is None and not is_small(rt, connection):
            kept = _kept(rt, connection, f"experiment {experiment_ref}", now)
            return Counted(arms=None, as_of=now) if kept is None else Counted(arms=kept.arms, as_of=kept.as_of)
        found = moment_reports.customers(connection, account=rt.account, experiment_ref=experiment_ref, since=since)
        return Counted(arms=summed(found), as_of=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The standing experiment, of every currency.

    Attributes:
        found: By currency; a currency that is missing had no decision under the share in force.
        is_counted: False while it waits to be counted.
    """

    found: Mapping[str, Uplift]
    as_of: datetime
    is_counted: bool = True

    def of(self, currency: str) -> Uplift:
        """The uplift in *currency*, or that there is none."""
        there = self.found.get(currency)
        return there or nobody_held_out(currency, as_of=self.as_of, is_counted=self.is_counted)


def uplifts(rt: Runtime, *, worth_minor: Mapping[str, int] | None = None) -> Mapping[str, Uplift]:
    """By currency, the uplift since the share in force; empty where nobody is held out. Changes nothing.

    Args:
        worth_minor: By currency, the smallest uplift per order worth knowing of.
    """
    with rt.db.snapshot() as connection:
        return read(rt, connection, worth_minor=worth_minor).found


def read(rt: Runtime, connection: Any, *, worth_minor: Mapping[str, int] | None = None) -> Standing:
    """As `uplifts`, on a connection of `Database.snapshot`. At most three statements."""
    now = rt.clock()
    if is_small(rt, connection):
        kept = _count(rt, connection, now)
    else:
        there = _kept(rt, connection, HOLDOUT, now)
        if there is None:
            return Standing(found={}, as_of=now, is_counted=False)
        kept = there
    found = {
        currency: judged(
            currency,
            arms,
            share_bp=kept.share_bp,
            since=kept.since,
            as_of=kept.as_of,
            worth_minor=(worth_minor or {}).get(currency),
        )
        for currency, arms in kept.arms.items()
    }
    return Standing(found=found, as_of=kept.as_of)


def is_small(rt: Runtime, connection: Any) -> bool:
    """Whether there are so few decisions that a page counts customers itself. One statement."""
    return moment_reports.at_most(connection, LIVE_BOUND, account=rt.account)


def count_due(rt: Runtime) -> bool:
    """Count one answer that is due, of a shop too large for its pages to count it; False when none is.

    It is counted again when it is an hour old, and a hundred times as old as counting it took.
    """
    now = rt.clock()
    with rt.db.read() as connection:
        if is_small(rt, connection):
            return False
        names = [HOLDOUT, *(f"experiment {ref}" for ref in moment_reports.measured(connection, account=rt.account))]
        for name in names:
            kept = rollups.saved(connection, name, account=rt.account)
            if kept is None or now - kept[0] >= max(AGAIN_AFTER, 100 * timedelta(seconds=kept[1]["seconds"])):
                break
        else:
            return False
    begun = time.monotonic()
    with rt.db.snapshot() as connection:
        if name == HOLDOUT:
            found = _count(rt, connection, now)
        else:
            customers = moment_reports.customers(
                connection, account=rt.account, experiment_ref=name.removeprefix("experiment ")
            )
            found = _Kept(arms=summed(customers), share_bp=0, since=None, as_of=now)
    body = _as_json(found) | {"seconds": time.monotonic() - begun}
    with rt.db.write() as connection:
        rollups.save(connection, name, account=rt.account, as_of=now, body=body)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    arms: Arms
    share_bp: int
    since: datetime | None
    as_of: datetime


def _count(rt: Runtime, connection: Any, now: datetime) -> _Kept:
    """The arms of the share in force, from the rows."""
    default = default_bp(rt)
    share = moment_reports.share_in_force(connection, account=rt.account, default_bp=default)
    if share is None:
        return _Kept(arms={}, share_bp=0, since=None, as_of=now)
    found = moment_reports.customers(
        connection,
        account=rt.account,
        experiment_ref=None,
        holdout_bp=share["holdout_bp"],
        default_bp=default,
    )
    return _Kept(arms=summed(found), share_bp=share["holdout_bp"], since=share["since"], as_of=now)


def _kept(rt: Runtime, connection: Any, name: str, now: datetime) -> _Kept | None:
    """What the worker counted last; ``None`` when that is too long ago, or never was."""
    there = rollups.saved(connection, name, account=rt.account)
    if there is None or now - there[0] > FRESH_FOR:
        return None
    as_of, body = there
    arms = {
        currency: {
            name: Moments(currency=currency, **{key: int(value) for key, value in sums.items()})
            for name, sums in found.items()
        }
        for currency, found in body["arms"].items()
    }
    since = None if body["since"] is None else datetime.fromisoformat(body["since"])
    return _Kept(arms=arms, share_bp=body["share_bp"], since=since, as_of=as_of)


def _as_json(found: _Kept) -> dict[str, Any]:
    """Sums as decimal text: they outgrow what JSON readers take for a number."""
    arms = {
        currency: {name: {key: str(getattr(arm, key)) for key in _SUMS} for name, arm in named.items()}
        for currency, named in found.arms.items()
    }
    return {
        "arms": arms,
        "share_bp": found.share_bp,
        "since": None if found.since is None else found.since.isoformat(),
    }


def summed(customers: Iterable[tuple[str, str, Customer]]) -> dict[str, dict[str, Moments]]:
    """By currency and arm, the sums over *customers*, added up as they come."""
    sums: dict[tuple[str, str], list[int]] = {}
    for arm, currency, one in customers:
        found = sums.get((currency, arm))
        if found is None:
            found = sums[currency, arm] = [0] * 11
        orders, value, before = one.orders, one.value, one.before
        found[0] += 1
        found[1] += one.bought
        found[2] += orders
        found[3] += value
        found[4] += before
        found[5] += orders * orders
        found[6] += orders * value
        found[7] += orders * before
        found[8] += value * value
        found[9] += value * before
        found[10] += before * before
    arms: dict[str, dict[str, Moments]] = {}
    for (currency, arm), values in sorted(sums.items()):
        named = dict(zip(_SUMS, values, strict=True))
        arms.setdefault(currency, {})[arm] = Moments(currency=currency, **named)
    return arms


_SUMS = (
    *("customers", "buyers", "orders", "value", "before"),
    *("orders_orders", "orders_value", "orders_before", "value_value", "value_before", "before_before"),
)


def judged(
    currency: str,
    arms: Mapping[str, Moments],
    *,
    share_bp: int,
    since: datetime | None,
    as_of: datetime,
    worth_minor: int | None = None,
) -> Uplift:
    """What the sums of two arms say."""
    nobody = Moments(currency=currency)
    treatment, holdout = (arms.get(arm.value, nobody) for arm in (Arm.TREATMENT, Arm.HOLDOUT))
    both = {Arm.TREATMENT.value: treatment, Arm.HOLDOUT.value: holdout}
    weights = {Arm.TREATMENT.value: ALL - share_bp, Arm.HOLDOUT.value: share_bp}
    sample = sample_ratio({name: arm.customers for name, arm in both.items()}, weights)
    [comparison] = compare(both, baseline=Arm.HOLDOUT.value)
    worth = worth_minor or _worth(holdout if holdout.orders else treatment)
    return Uplift(
        currency=currency,
        share_bp=share_bp,
        since=since,
        arms=both,
        sample=sample,
        comparison=comparison,
        treated_orders=treatment.orders,
        incremental=_incremental(comparison, treatment.orders),
        worth_minor=worth,
        more_orders=more_orders(comparison, worth=worth),
        as_of=as_of,
    )


def nobody_held_out(currency: str, *, as_of: datetime, is_counted: bool = True) -> Uplift:
    """What can be said of uplift where nobody is held out, or it is not counted yet: nothing."""
    return Uplift(
        currency=currency,
        share_bp=0,
        since=None,
        arms={},
        sample=None,
        comparison=None,
        treated_orders=0,
        incremental=None,
        worth_minor=1,
        more_orders=None,
        as_of=as_of,
        counted=is_counted,
    )


def _worth(arm: Moments) -> int:
    return max(1, round(WORTH_SHARE * arm.value / arm.orders)) if arm.orders else 1


def _incremental(comparison: Comparison, orders: int) -> tuple[Money, Money, Money] | None:
    result, interval = comparison.result, comparison.any_day
    if not isinstance(result, Estimate) or interval is None:
        return None
    low, value, high = (
        Money(round(each * orders), result.currency) for each in (interval.low, result.value, interval.high)
    )
    return low, value, high
