"""The list of campaigns as a file (`web.downloads`), without their rules: to take campaigns elsewhere, export them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flask_encore.domain.campaigns import BUILT_IN, Campaign, CampaignState
from flask_encore.services.campaign_figures import Figures, PerShown
from flask_encore.web.downloads import Column, Table
from flask_encore.web.report_tables import rate_cells, rate_columns


def campaigns(
    found: Iterable[tuple[CampaignState, Campaign]], figures: Mapping[str, Figures], *, built_in: bool
) -> Table:
    """One row per campaign that was searched for, with its counts of the last 90 days; *built_in* adds that offer."""
    return Table(
        name="campaigns",
        columns=[
            Column("ref", "Ref"),
            Column("name", "Name"),
            Column("state", "State"),
            Column("kind", "Kind"),
            Column("placement", "Placement"),
            Column("priority", "Priority"),
            Column("begins", "Begins a sequence"),
            Column("starts_at", "From"),
            Column("ends_at", "Until"),
            Column("shown", "Shown"),
            Column("accepted", "Accepted"),
            Column("kept", "Kept"),
            *rate_columns("kept_rate", "Kept rate"),
            Column("per_shown", "Net revenue per shown order, minor units by currency"),
        ],
        rows=_rows(found, figures, built_in=built_in),
    )


def _rows(
    found: Iterable[tuple[CampaignState, Campaign]], figures: Mapping[str, Figures], *, built_in: bool
) -> Iterator[Mapping[str, Any]]:
    for how, campaign in found:
        yield {
            "ref": campaign.ref,
            "name": campaign.name,
            "state": how.value,
            "kind": campaign.offer.kind,
            "placement": campaign.placement.value,
            "priority": campaign.priority,
            "begins": campaign.begins,
            "starts_at": campaign.starts_at,
            "ends_at": campaign.ends_at,
            **_counts(figures.get(campaign.ref, Figures())),
        }
    if built_in:
        unsaid = dict.fromkeys(("state", "kind", "placement", "priority", "begins", "starts_at", "ends_at"))
        yield {"ref": BUILT_IN, "name": "Built-in offer"} | unsaid | _counts(figures.get(BUILT_IN, Figures()))


def _counts(counts: Figures) -> dict[str, Any]:
    return {
        "shown": counts.shown,
        "accepted": counts.accepted,
        "kept": counts.kept,
        **rate_cells("kept_rate", counts.kept_rate),
        "per_shown": "; ".join(map(_per_shown, counts.per_shown)),
    }


def _per_shown(one: PerShown) -> str:
    """Such as ``gbp 131.9 (94.1 to 169.7)``; below the least number of trials the amount and the orders."""
    if one.value is None or one.interval is None:
        return f"{one.currency} {one.net.minor_units} of {one.shown}"
    return f"{one.currency} {one.value:.1f} ({one.interval.low:.1f} to {one.interval.high:.1f})"
