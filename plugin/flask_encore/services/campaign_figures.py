"""What a campaign did lately: shown, accepted, kept, and what a shown order brought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask_encore.domain.earnings import earnings
from flask_encore.domain.funnel import MIN_TRIALS, Funnel, Group, Rate, Step, funnels
from flask_encore.domain.intervals import Interval, fixed
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome
from flask_encore.services import rolling
from flask_encore.services.reporting import Period
from flask_encore.services.runtime import Runtime
from flask_encore.store import campaign_reports

#: How far back figures reach: a season, and an index away however long the shop has been open.
PERIOD = Period.QUARTER


@dataclass(frozen=True, slots=True, kw_only=True)
class PerShown:
    """Net revenue per shown order, in one currency.

    Attributes:
        net: After what went back, disputes and Stripe's fees where they are known.
        value: *net* / *shown*, minor units; ``None`` below `MIN_TRIALS`, as of a rate.
        interval: Of *value*, 95 %, by the normal approximation: orders that declined are worth 0.
    """

    currency: str
    shown: int
    net: Money
    value: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Offers of one campaign: counts of all currencies together, amounts of each on its own, most shown first."""

    shown: int = 0
    accepted: int = 0
    kept: int = 0
    per_shown: tuple[PerShown, ...] = ()

    @property
    def kept_rate(self) -> Rate:
        """Kept / shown, as the funnel's."""
        return Rate(self.kept, self.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The order that came last."""

    order_ref: str
    currency: str


def figures(rt: Runtime) -> Mapping[str, Figures]:
    """By campaign_ref, of the last 90 days; a campaign that was never offered is not in it. Four statements."""
    now = rt.clock()
    since = PERIOD.begins(rt)
    assert since is not None
    present = now.astimezone(rt.settings.zone).date()
    with rt.db.snapshot() as connection:
        reading = rolling.Reading.of(rt, connection, since.astimezone(rt.settings.zone).date(), present, now=now)
        rows = reading.by_campaign()
        spread = {
            (row["campaign_ref"], row["currency"]): float(row["net_squares"])
            for row in campaign_reports.squares(connection, account=rt.account, since=since)
        }
    groups: dict[str, list[Group]] = defaultdict(list)
    for ref, group in rows:
        if group.facts.outcome is Outcome.OFFERED:
            groups[ref].append(group)
    return {ref: _figures(ref, found, spread) for ref, found in groups.items()}


def _figures(ref: str, groups: Sequence[Group], spread: Mapping[tuple[str, str], float]) -> Figures:
    found = funnels(groups)
    return Figures(
        shown=sum(funnel.counts[Step.SHOWN] for funnel in found),
        accepted=sum(funnel.counts[Step.ACCEPTED] for funnel in found),
        kept=sum(funnel.counts[Step.KEPT] for funnel in found),
        per_shown=tuple(
            _per_shown(funnel, earnings(funnel, groups).net, spread.get((ref, funnel.currency), 0.0))
            for funnel in sorted(found, key=lambda funnel: (-funnel.counts[Step.SHOWN], funnel.currency))
            if funnel.counts[Step.SHOWN]
        ),
    )


def _per_shown(funnel: Funnel, net: Money, squares: float) -> PerShown:
    shown = funnel.counts[Step.SHOWN]
    value = interval = None
    if shown >= MIN_TRIALS:
        value = net.minor_units / shown
        # Rounding may leave a variance a hair below nothing.
        variance = max(0.0, squares / shown - value * value) / (shown - 1)
        interval = fixed(value, variance)
    return PerShown(currency=funnel.currency, shown=shown, net=net, value=value, interval=interval)


def newest_order(rt: Runtime) -> Newest | None:
    """What a preview is tried on unless the merchant names another order; ``None`` before the first one."""
    with rt.db.read() as connection:
        row = campaign_reports.newest_order(connection, account=rt.account)
    return None if row is None else Newest(order_ref=row["order_ref"], currency=row["currency"])
