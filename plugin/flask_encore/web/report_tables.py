"""The tables of the figures and of the list of decisions, as files (`web.downloads`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_encore.domain.assignment import Arm
from flask_encore.domain.funnel import Leak, Rate, Step
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.domain.restatement import Cause
from flask_encore.services import exporting
from flask_encore.services.order_list import Entry
from flask_encore.services.reasons import REASONS
from flask_encore.services.today import CurrencyFigures
from flask_encore.services.uplift import Uplift
from flask_encore.web import dashboard_words as words
from flask_encore.web.downloads import Column, Table

_SUMS = {
    "gross": "Gross",
    "refunded": "Refunded",
    "disputed": "Disputed",
    "fees": "Stripe’s fees",
    "net": "Net revenue",
}


def funnels(found: Sequence[CurrencyFigures]) -> Table:
    """One row per currency: the steps, what was lost between them, the sums and the two rates."""
    return Table(
        name="funnel",
        columns=[
            Column("currency", "Currency"),
            Column("offers", "Offers"),
            *(Column(step.value, words.STEPS[step][0]) for step in Step),
            *(Column(name, title, money=True) for name, title in _SUMS.items()),
            Column("charges_without_fee", "Charges whose fee is not known"),
            Column("profit", "Profit", money=True),
            Column("profit_of", "Kept charges whose cost is known"),
            *rate_columns("conversion_rate", "Conversion rate"),
            *rate_columns("kept_rate", "Kept rate"),
            *(Column(f"lost_{leak}", f"Lost: {words.LEAKS[leak][0]}") for leak in Leak),
        ],
        rows=(
            {
                "currency": one.currency,
                "offers": exporting.offers(one.funnel),
                **{step.value: count for step, count in one.funnel.counts.items()},
                **{name: getattr(one.earnings, name) for name in _SUMS},
                "charges_without_fee": one.earnings.charges_without_fee,
                "profit": one.earnings.profit,
                "profit_of": one.earnings.profit_of,
                **rate_cells("conversion_rate", one.funnel.conversion_rate),
                **rate_cells("kept_rate", one.funnel.kept_rate),
                **{f"lost_{leak}": one.funnel.leaks.get(leak, 0) for leak in Leak},
            }
            for one in found
        ),
    )


def days(found: Sequence[CurrencyFigures]) -> Table:
    """One row per day and currency: what the charts are drawn from, before it is pooled into weeks or months."""
    return Table(
        name="days",
        columns=[
            Column("day", "Day"),
            Column("currency", "Currency"),
            *(Column(step.value, words.STEPS[step][0]) for step in Step),
            Column("gross", "Gross", money=True),
            Column("net", "Net revenue", money=True),
            *rate_columns("conversion_rate", "Conversion rate"),
            *rate_columns("kept_rate", "Kept rate"),
        ],
        rows=(
            {
                "day": day.day,
                "currency": one.currency,
                **{step.value: day.counts[step] for step in Step},
                "gross": day.gross,
                "net": day.net,
                **rate_cells("conversion_rate", day.conversion_rate),
                **rate_cells("kept_rate", day.kept_rate),
            }
            for one in found
            for day in one.series
        ),
    )


def earnings(found: Sequence[CurrencyFigures]) -> Table:
    """One row per currency: what came in, what came off, and what is left."""
    amounts = {
        "gross": "Gross",
        "refunded": "Refunded",
        "disputed": "Disputed",
        "fees": "Stripe’s fees",
        "net": "Net revenue",
        "profit": "Profit",
    }
    counts = {"kept": "Charges kept", "profit_of": "Profit is of", "charges_without_fee": "Charges without a known fee"}
    return Table(
        name="earnings",
        columns=[
            Column("currency", "Currency"),
            *(Column(name, title, money=True) for name, title in amounts.items()),
            *(Column(name, title) for name, title in counts.items()),
        ],
        rows=(
            {"currency": one.currency} | {name: getattr(one.earnings, name) for name in (*amounts, *counts)}
            for one in found
        ),
    )


def arms(found: Sequence[CurrencyFigures]) -> Table:
    """One row per currency and arm of the standing holdout; what offers added stands with the treatment."""
    bounds = {"added_low": "Added, from", "added": "Added", "added_high": "Added, to"}
    return Table(
        name="uplift",
        columns=[
            Column("currency", "Currency"),
            Column("arm", "Arm"),
            Column("customers", "Customers"),
            Column("expected", "Expected customers"),
            Column("orders", "Eligible orders"),
            Column("buyers", "Bought an offer"),
            *(Column(name, title, money=True) for name, title in bounds.items()),
        ],
        rows=(
            {
                "currency": one.currency,
                "arm": name,
                "customers": arm.customers,
                "expected": one.uplift.sample.expected[name] if one.uplift.sample else None,
                "orders": arm.orders,
                "buyers": arm.buyers,
                **dict(zip(bounds, _added(one.uplift, name), strict=True)),
            }
            for one in found
            for name, arm in one.uplift.arms.items()
        ),
    )


def _added(uplift: Uplift, arm: str) -> Sequence[Money | None]:
    """What offers added: low, value, high; nothing where the page tells no result."""
    fits = uplift.sample is not None and not uplift.sample.is_mismatch
    return uplift.incremental if arm == Arm.TREATMENT and fits and uplift.incremental else (None, None, None)


def months(found: Sequence[CurrencyFigures]) -> Table:
    """One row per month and currency: its net revenue as it was, as it is, and what changed it since."""
    return Table(
        name="months",
        columns=[
            Column("month", "Month"),
            Column("currency", "Currency"),
            Column("at_close", "At month’s end", money=True),
            Column("now", "Now", money=True),
            *(Column(cause.value, f"Since: {words.CAUSES[cause]}", money=True) for cause in Cause),
        ],
        rows=(
            {
                "month": month.month,
                "currency": one.currency,
                "at_close": month.at_close,
                "now": month.now,
                **{cause.value: month.later.get(cause) for cause in Cause},
            }
            for one in found
            for month in one.months
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
