"""Make a decision again from what was written down of it, without the catalogue, the campaigns or the model.

If what comes out is not what was decided, the log does not tell the truth; a test holds it to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_encore.domain.conditions import Answer
from flask_encore.domain.rules import Trace, replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What follows from the log.

    Attributes:
        campaign_ref: The campaign that speaks; ``None`` when none does.
        sku: What was ranked first of what could be offered; ``None`` when nothing could. For a variant, or the parent
            of some, what is offered first may be a sibling of it.
        is_drawn: It was drawn among the best with its propensity, so the log can only tell that it could be.
    """

    campaign_ref: str | None
    sku: str | None
    is_drawn: bool = False


def is_purged(trace: Mapping[str, Any] | None) -> bool:
    """Whether a decision's details are gone: its trace is empty, which no decision writes."""
    return trace is not None and not trace


def replay(trace: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]], *, drawn: str | None = None) -> Replayed:
    """The decision that *trace* and *candidates*, as a decision's row keeps them, lead to.

    Args:
        drawn: While exploring, the product that was drawn.

    Raises:
        ValueError: If the log contradicts itself: a campaign whose rule was not true was chosen, or one that had no
            reason against it was passed over.
    """
    speaks = next((str(one["ref"]) for one in trace["asked"] if _speaks(one)), None)
    open_ = [entry for entry in candidates if not entry["filtered"]]
    if speaks is None or not open_:
        return Replayed(campaign_ref=None, sku=None)
    compared = [entry for entry in open_ if entry.get("worth") is not None]
    if open_[0]["kind"] == "pinned" or not compared:
        return Replayed(campaign_ref=speaks, sku=open_[0]["sku"])
    if trace["explore"]:
        possible = {entry["sku"] for entry in open_ if entry["propensity"] > 0}
        return Replayed(campaign_ref=speaks, sku=drawn if drawn in possible else None, is_drawn=True)
    # Of equals the likelier one, of equally likely ones the first.
    best = max(compared, key=lambda entry: (entry["worth"], entry["chance"]))
    return Replayed(campaign_ref=speaks, sku=best["sku"])


def _speaks(asked: Mapping[str, Any]) -> bool:
    """Whether a campaign's own answers let it speak; checks that its rule's answer follows from what was seen."""
    if asked["rule"] is not None:
        trace = Trace.from_json(asked["rule"])
        applies = replayed(trace) is Answer.TRUE
        if applies is (asked["result"] == "rule"):
            raise ValueError(f"the rule of {asked['ref']} answered {trace.answer}, but its result is {asked['result']}")
    return bool(asked["result"] == "chosen")
