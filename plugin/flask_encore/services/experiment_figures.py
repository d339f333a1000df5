"""What an experiment has shown so far, per currency: counts, means, comparisons with the baseline. Nothing is chosen.

Everybody counts in the variant they were dealt, whatever it could offer them. Every interval may be looked at every
day, and all of an experiment's comparisons hold at once. docs/experiments.md tells how to read it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flask_encore.domain.anytime import always_valid
from flask_encore.domain.assignment import ALL
from flask_encore.domain.experiment import (
    Comparison,
    Estimate,
    Shortage,
    compare,
    mean_per_order,
    more_orders,
)
from flask_encore.domain.experiments import HOLDOUT, Experiment
from flask_encore.domain.funnel import Rate
from flask_encore.domain.intervals import ALPHA, Interval
from flask_encore.domain.moments import Moments
from flask_encore.domain.sample_ratio import SampleRatio, sample_ratio
from flask_encore.services import uplift
from flask_encore.services.runtime import Runtime
from flask_encore.store import experiment_reports


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantFigures:
    """One variant in one currency.

    Attributes:
        weight: Basis points of the customers.
        arm: Customers and orders that were dealt it.
        mean: Value per order, or why it is not told; *interval* may be looked at every day.
        shown: Offers a human saw; *accepted* and *kept* are of them.
    """

    name: str
    weight: int
    is_baseline: bool
    arm: Moments
    mean: Estimate | Shortage
    interval: Interval | None
    shown: int = 0
    accepted: int = 0
    kept: int = 0

    @property
    def conversion_rate(self) -> Rate:
        """Accepted / shown."""
        return Rate(self.accepted, self.shown)

    @property
    def kept_rate(self) -> Rate:
        """Kept / shown."""
        return Rate(self.kept, self.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One comparison, and what is missing.

    Attributes:
        worth_minor: The smallest difference per order worth knowing of, minor units; ``None`` while the baseline's
            value per order is not known.
        more_orders: About how many more orders it takes to know of that; ``None`` when nothing so far can tell.
    """

    comparison: Comparison
    worth_minor: int | None
    more_orders: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyFigures:
    """The experiment in one currency.

    Attributes:
        comparisons: Each other variant less the baseline; empty with a sample-ratio mismatch.
        against_holdout: The baseline less the experiment's own holdout, where there is one.
    """

    currency: str
    variants: tuple[VariantFigures, ...]
    comparisons: tuple[Judged, ...] = ()
    against_holdout: Judged | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentFigures:
    """Everything.

    Attributes:
        sample: Customers of each variant against the weights, of all currencies together: they were dealt alike.
        currencies: Empty before the first order, and while nothing is counted.
        is_counted: False while a shop too large for a page waits for the worker to count it.
    """

    sample: SampleRatio | None
    currencies: tuple[CurrencyFigures, ...]
    as_of: datetime
    is_counted: bool = True

    @property
    def is_mismatch(self) -> bool:
        """Whether there are too many customers in one variant for chance, so that no result can be believed."""
        return self.sample is not None and self.sample.is_mismatch


def figures(rt: Runtime, experiment: Experiment, *, since: datetime | None = None) -> ExperimentFigures:
    """How *experiment* stands now. Changes nothing.

    Args:
        since: When it began, of one that is archived: the worker counts those no more, so it is done at once.
    """
    counted = uplift.moments(rt, experiment_ref=experiment.ref, since=since)
    if counted.arms is None:
        return ExperimentFigures(sample=None, currencies=(), as_of=counted.as_of, is_counted=False)
    with rt.db.read() as connection:
        rows = experiment_reports.counted(connection, account=rt.account, experiment_ref=experiment.ref)
    rates = {(row["currency"], row["variant"]): row for row in rows}
    customers: Counter[str] = Counter()
    for arms in counted.arms.values():
        customers.update({name: arm.customers for name, arm in arms.items() if name in experiment.weights})
    sample = sample_ratio(customers, experiment.weights) if customers else None
    broken = sample is not None and sample.is_mismatch
    currencies = tuple(
        _in_currency(experiment, currency, arms, rates, broken=broken)
        for currency, arms in sorted(counted.arms.items())
    )
    return ExperimentFigures(sample=sample, currencies=currencies, as_of=counted.as_of)


def _in_currency(
    experiment: Experiment,
    currency: str,
    found: Mapping[str, Moments],
    rates: Mapping[tuple[str, str], Mapping[str, int]],
    *,
    broken: bool,
) -> CurrencyFigures:
    arms = {name: found.get(name, Moments(currency=currency)) for name in experiment.weights}
    variants = tuple(_variant(experiment, name, arm, rates.get((currency, name), {})) for name, arm in arms.items())
    if broken:
        return CurrencyFigures(currency=currency, variants=variants)
    base = mean_per_order(arms[experiment.baseline])
    worth = max(1, round(base.value * experiment.worth / ALL)) if isinstance(base, Estimate) else None
    shown = {name: arm for name, arm in arms.items() if name != HOLDOUT}
    others = len(shown) - 1
    each = ALPHA / (others + (HOLDOUT in arms))
    judged = [_judged(one, worth) for one in compare(shown, baseline=experiment.baseline, alpha=each * others)]
    held = None
    if HOLDOUT in arms:
        pair = {HOLDOUT: arms[HOLDOUT], experiment.baseline: arms[experiment.baseline]}
        [one] = compare(pair, baseline=HOLDOUT, alpha=each)
        held = _judged(one, worth)
    return CurrencyFigures(currency=currency, variants=variants, comparisons=tuple(judged), against_holdout=held)


def _judged(comparison: Comparison, worth: int | None) -> Judged:
    missing = comparison.result.more_orders if isinstance(comparison.result, Shortage) else None
    more = missing if worth is None else more_orders(comparison, worth=worth)
    return Judged(comparison=comparison, worth_minor=worth, more_orders=more)


def _variant(experiment: Experiment, name: str, arm: Moments, counted: Mapping[str, int]) -> VariantFigures:
    mean = mean_per_order(arm, held_out=name == HOLDOUT)
    interval = always_valid(mean.value, mean.variance, orders=mean.orders) if isinstance(mean, Estimate) else None
    return VariantFigures(
        name=name,
        weight=experiment.weights[name],
        is_baseline=name == experiment.baseline,
        arm=arm,
        mean=mean,
        interval=interval,
        **{key: int(counted.get(key, 0)) for key in ("shown", "accepted", "kept")},
    )
