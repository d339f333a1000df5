"""Why an order was offered what it was, from stored data alone; and whether the log, made again, leads to the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.domain.replay import is_purged, replay
from flask_encore.services.runtime import Runtime
from flask_encore.store import decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaigned:
    """What one campaign answered: see `choosing.Result`."""

    ref: str
    name: str
    result: str
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TookPart:
    """An experiment that a decision hung on.

    Attributes:
        variant: Its name, or ``holdout``.
        campaign: The one it is about; ``None`` where the model varies.
        applied: False where the variant's change could not be made, and things were left as they are.
        is_logged: Whether it counts: in shadow mode nobody was shown anything.
    """

    experiment_ref: str
    variant: str
    campaign: str | None
    applied: bool
    is_logged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One decision.

    Attributes:
        page: What it was made for.
        asked: Campaigns in the order they were asked; *asked_before* more were asked and are only counted.
        candidates: What the campaign that spoke weighed, best first, each with what refused it.
        is_reproduced: Whether the log, made again, leads to what was decided; ``None`` for decisions of earlier
            releases, whose log has no trace, and for those whose details were purged.
        is_purged: The candidates and the trace are gone, because the shop does not keep them for so long.
        charge_status: Where the money of the accepted offer is; empty while nobody accepted.
    """

    id: str
    page: str
    step: int
    decided_at: datetime
    outcome: Outcome
    reason: Reason
    campaign_ref: str | None
    title: str
    total: Money | None
    asked: tuple[Campaigned, ...]
    asked_before: int
    tied: tuple[str, ...]
    candidates: tuple[Mapping[str, Any], ...]
    model_version: str
    latency_us: int
    is_reproduced: bool | None
    is_purged: bool
    charge_status: str
    experiments: tuple[TookPart, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Everything, in JSON values."""
        return {
            "id": self.id,
            "page": self.page,
            "step": self.step,
            "decided_at": self.decided_at.isoformat(),
            "outcome": self.outcome.value,
            "reason": self.reason.value,
            "campaign_ref": self.campaign_ref,
            "title": self.title,
            "total": None if self.total is None else str(self.total),
            "asked": [
                {"ref": one.ref, "name": one.name, "result": one.result, "because": list(one.because)}
                for one in self.asked
            ],
            "asked_before": self.asked_before,
            "tied": list(self.tied),
            "candidates": [dict(entry) for entry in self.candidates],
            "model_version": self.model_version,
            "latency_us": self.latency_us,
            "is_reproduced": self.is_reproduced,
            "is_purged": self.is_purged,
            "charge_status": self.charge_status,
            "experiments": [
                {
                    "ref": one.experiment_ref,
                    "variant": one.variant,
                    "campaign": one.campaign,
                    "applied": one.applied,
                    "is_logged": one.is_logged,
                }
                for one in self.experiments
            ],
        }


def explain(rt: Runtime, order_ref: str) -> Sequence[Explained] | None:
    """Every decision about *order_ref*, oldest first; ``None`` when Encore was never told of that order."""
    with rt.db.read() as connection:
        read = decisions.page(connection, order_ref, account=rt.account, placement="")
    if read is None:
        return None
    return [explained(row, charge.status if charge else "") for row, charge in read.steps]


def explained(row: Mapping[Any, Any], charge_status: str) -> Explained:
    """A row of ``encore_decisions`` as what it explains; *charge_status* is empty while nobody accepted."""
    trace: Mapping[str, Any] = row["trace"] or {}
    return Explained(
        id=row["id"],
        page=row["placement"],
        step=row["step"],
        decided_at=row["decided_at"],
        outcome=Outcome(row["outcome"]),
        reason=Reason(row["reason"]),
        campaign_ref=row["campaign_ref"],
        title=row["snapshot"].get("title", ""),
        total=None if row["total_minor"] is None else Money(row["total_minor"], row["currency"]),
        asked=tuple(
            Campaigned(ref=one["ref"], name=one["name"], result=one["result"], because=tuple(one["because"]))
            for one in trace.get("asked", ())
        ),
        asked_before=trace.get("asked_before", 0),
        tied=tuple(trace.get("tied", ())),
        candidates=tuple(row["candidates"]),
        model_version=row["model_version"],
        latency_us=row["latency_us"],
        is_reproduced=_is_reproduced(row),
        is_purged=is_purged(row["trace"]),
        charge_status=charge_status,
        experiments=tuple(
            TookPart(
                experiment_ref=one["ref"],
                variant=one["variant"],
                campaign=one["campaign"],
                applied=one["applied"],
                is_logged=one["ref"] in (row["exposures"] or {}),
            )
            for one in trace.get("experiments", ())
        ),
    )


def _is_reproduced(row: Mapping[Any, Any]) -> bool | None:
    """Whether the stored trace and candidates lead to the stored decision."""
    if row["trace"] is None or is_purged(row["trace"]):
        return None
    picked = row["trace"].get("picked")
    try:
        again = replay(row["trace"], row["candidates"], drawn=picked)
    except (KeyError, TypeError, ValueError):
        return False
    return (again.campaign_ref, again.sku) == (row["campaign_ref"], picked)
