"""What a campaign did lately: shown, accepted, kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask_encore.domain.funnel import Rate
from flask_encore.services.reporting import Period
from flask_encore.services.runtime import Runtime
from flask_encore.store import campaign_reports

#: How far back figures reach: a season, and an index away however long the shop has been open.
PERIOD = Period.QUARTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Offers of one campaign, of all currencies together: counts, never amounts."""

    shown: int = 0
    accepted: int = 0
    kept: int = 0

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
    """By campaign_ref, of the last 90 days; a campaign that was never offered is not in it."""
    with rt.db.read() as connection:
        rows = campaign_reports.counted(connection, account=rt.account, since=PERIOD.begins(rt))
    return {
        row["campaign_ref"]: Figures(shown=int(row["shown"]), accepted=int(row["accepted"]), kept=int(row["kept"]))
        for row in rows
    }


def newest_order(rt: Runtime) -> Newest | None:
    """What a preview is tried on unless the merchant names another order; ``None`` before the first one."""
    with rt.db.read() as connection:
        row = campaign_reports.newest_order(connection, account=rt.account)
    return None if row is None else Newest(order_ref=row["order_ref"], currency=row["currency"])
