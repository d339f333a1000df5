"""The tables of the figures and of the list of decisions, as files (`web.downloads`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_encore.domain.funnel import Funnel, Leak, Rate, Step
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.services import exporting
from flask_encore.services.order_list import Entry
from flask_encore.services.reasons import REASONS
from flask_encore.web import dashboard_words as words
from flask_encore.web.downloads import Column, Table

_SUMS = {"gross": "Gross", "refunded": "Refunded", "disputed": "Disputed", "net": "Net revenue"}


def funnels(found: Sequence[Funnel]) -> Table:
    """One row per currency: the steps, what was lost between them, the sums and the two rates."""
    return Table(
        name="funnel",
        columns=[
            Column("currency", "Currency"),
            Column("offers", "Offers"),
            *(Column(step.value, words.STEPS[step][0]) for step in Step),
            *(Column(name, title, money=True) for name, title in _SUMS.items()),
            *rate_columns("conversion_rate", "Conversion rate"),
            *rate_columns("kept_rate", "Kept rate"),
            *(Column(f"lost_{leak}", f"Lost: {words.LEAKS[leak][0]}") for leak in Leak),
        ],
        rows=(
            {
                "currency": funnel.currency,
                "offers": exporting.offers(funnel),
                **{step.value: count for step, count in funnel.counts.items()},
                **{name: getattr(funnel, name) for name in _SUMS},
                **rate_cells("conversion_rate", funnel.conversion_rate),
                **rate_cells("kept_rate", funnel.kept_rate),
                **{f"lost_{leak}": funnel.leaks.get(leak, 0) for leak in Leak},
            }
            for funnel in found
        ),
    )


def rate_columns(key: str, title: str) -> list[Column]:
    """A rate with its 95 % interval, as shares from 0 to 1; empty below `MIN_TRIALS`, as on the page."""
    return [Column(key, title), Column(f"{key}_low", f"{title}, from"), Column(f"{key}_high", f"{title}, to")]


def rate_cells(key: str, rate: Rate | None) -> dict[str, float | None]:
    """What stands under `rate_columns`."""
    interval = rate.interval if rate is not None else None
    return {
        key: rate.share if rate is not None else None,
        f"{key}_low": interval.low if interval is not None else None,
        f"{key}_high": interval.high if interval is not None else None,
    }


def without_offer(found: Iterable[tuple[Outcome, Reason, int]]) -> Table:
    """One row per reason."""
    return Table(
        name="without-offer",
        columns=[
            Column("outcome", "Outcome"),
            Column("reason", "Reason"),
            Column("sentence", "What it means"),
            Column("decisions", "Orders"),
        ],
        rows=(
            {"outcome": outcome.value, "reason": reason.value, "sentence": REASONS[reason], "decisions": count}
            for outcome, reason, count in found
        ),
    )


def decisions(entries: Iterable[Entry]) -> Table:
    """One row per decision of the list. Everything that was weighed is in ``flask encore export decisions``."""
    return Table(
        name="decisions",
        columns=[
            Column("decided_at", "Time"),
            Column("order_ref", "Order"),
            Column("what", "What happened"),
            Column("reason", "Reason"),
            Column("sku", "SKU"),
            Column("title", "Product"),
            Column("quantity", "Quantity"),
            Column("amount", "Amount", money=True),
            Column("charge", "Charge"),
            Column("failure_code", "Bank’s code"),
            Column("charged_at", "Charged at"),
            Column("refunded", "Refunded", money=True),
            Column("quarantine", "Quarantined because"),
            Column("handler_error", "Handler’s error"),
        ],
        rows=(_decision(entry) for entry in entries),
    )


def _decision(entry: Entry) -> Mapping[str, Any]:
    facts = entry.facts
    return {
        "decided_at": entry.decided_at,
        "order_ref": entry.order_ref,
        "what": words.happened(entry)[0],
        "reason": facts.reason.value,
        "sku": entry.sku,
        "title": entry.title,
        "quantity": entry.quantity,
        "amount": entry.amount,
        "charge": facts.status.value if facts.status else None,
        "failure_code": facts.failure_code,
        "charged_at": entry.charged_at,
        "refunded": entry.refunded if entry.amount is not None else None,
        "quarantine": entry.quarantine_reason,
        "handler_error": entry.stuck.error if entry.stuck else "",
    }
