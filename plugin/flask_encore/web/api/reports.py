"""Reports: what offers did and earned, per currency, and what every number means."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any

from marshmallow import Schema, fields

from flask_encore.domain.days import Days
from flask_encore.domain.definitions import DEFINITIONS
from flask_encore.domain.funnel import Leak, Step
from flask_encore.domain.scopes import Scope
from flask_encore.services import today
from flask_encore.services.runtime import Runtime
from flask_encore.services.today import CurrencyFigures
from flask_encore.web.api.fields import Amount, Currency, Moment, Strict
from flask_encore.web.api.rooms import Room
from flask_encore.web.current import state

room = Room(
    "encore_api_reports", "Reports", "Counted by the day of the decision, in the shop's zone; never across currencies."
)

_DAY = {"format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}


class DaysQuery(Strict):
    """Which days, and which currency."""

    first = fields.String(metadata={"description": "The first day, in the shop's zone.", **_DAY})
    last = fields.String(metadata={"description": "The last day, included.", **_DAY})
    currency = Currency()


class RateSchema(Schema):
    """A share, as far as it can be told."""

    successes = fields.Integer(required=True)
    trials = fields.Integer(required=True)
    share = fields.Float(
        required=True, allow_none=True, metadata={"description": "null while there are too few trials."}
    )
    interval_95 = fields.Function(
        lambda rate: None if rate.interval is None else [rate.interval.low, rate.interval.high],
        required=True,
        metadata={"type": ["array", "null"], "items": {"type": "number"}, "description": "Wilson's, at 95 %."},
    )


class FunnelSchema(Schema):
    """From eligible to kept."""

    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": f"Orders that came as far as {', '.join(Step)}."},
    )
    leaks = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": f"Where the others left: {', '.join(Leak)}."},
    )
    conversion_rate = fields.Nested(RateSchema, required=True)
    kept_rate = fields.Nested(RateSchema, required=True)


class EarningsSchema(Schema):
    """What came in and what stayed."""

    gross = Amount(required=True)
    refunded = Amount(required=True)
    disputed = Amount(required=True)
    fees = Amount(required=True, metadata={"description": "Stripe's, as far as they are known and in this currency."})
    charges_without_fee = fields.Integer(required=True)
    net = Amount(required=True)
    profit = Amount(required=True, allow_none=True, metadata={"description": "null when no cost is known."})
    profit_of = fields.Integer(required=True, metadata={"description": "Charges the profit is of."})
    kept = fields.Integer(required=True)


class DaySchema(Schema):
    """One day."""

    day = fields.Date(required=True)
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    gross = Amount(required=True)
    net = Amount(required=True)


class IncrementalSchema(Schema):
    """What offers added: the estimate and its always-valid interval."""

    low = Amount(required=True)
    value = Amount(required=True)
    high = Amount(required=True)


class UpliftSchema(Schema):
    """What offers added, against the shoppers who were held out."""

    holdout_bp = fields.Integer(required=True, metadata={"description": "Basis points held out; 0 when nobody is."})
    since = Moment(required=True, allow_none=True)
    treated_orders = fields.Integer(required=True)
    incremental = fields.Nested(
        IncrementalSchema,
        required=True,
        allow_none=True,
        metadata={"description": "null while there is not enough data."},
    )
    more_orders = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "About how many more it takes; null when nothing tells."},
    )
    as_of = Moment(required=True)


class CurrencyReportSchema(Schema):
    """One currency."""

    currency = Currency(required=True)
    funnel = fields.Nested(FunnelSchema, required=True)
    earnings = fields.Nested(EarningsSchema, required=True)
    series = fields.List(fields.Nested(DaySchema), required=True)
    uplift = fields.Nested(
        UpliftSchema, required=True, metadata={"description": "Since the holdout in force, whatever the days."}
    )


class WithoutOfferSchema(Schema):
    """Decisions without an offer."""

    outcome = fields.String(required=True)
    reason = fields.String(required=True)
    decisions = fields.Integer(required=True)


class ReportSchema(Schema):
    """The figures of some days."""

    first = fields.Date(required=True, allow_none=True)
    last = fields.Date(required=True, allow_none=True)
    currencies = fields.List(fields.Nested(CurrencyReportSchema), required=True)
    without_offer = fields.List(fields.Nested(WithoutOfferSchema), required=True)


class DefinitionOfNumberSchema(Schema):
    """What a number means."""

    name = fields.String(required=True)
    counted = fields.String(required=True)
    per = fields.String(required=True, metadata={"description": "Empty for what is divided by nothing."})
    note = fields.String(required=True)


class DefinitionsSchema(Schema):
    """What every number means."""

    items = fields.List(fields.Nested(DefinitionOfNumberSchema), required=True)


@room.operation(HTTPMethod.GET, "/reports/figures", scope=Scope.REPORTS_READ, query=DaysQuery, answer=ReportSchema)
def report_figures(query: dict[str, Any]) -> dict[str, Any]:
    """Read the figures of some days: funnel, earnings, each day, and what offers added."""
    rt = state().runtime
    days = Days.parse(query.get("first"), query.get("last"), today=_present(rt))
    found = today.today(rt, days, currency=query.get("currency"))
    return {
        "first": days.first,
        "last": days.last,
        "currencies": [_told(figures) for figures in found.figures],
        "without_offer": [
            {"outcome": outcome.value, "reason": reason.value, "decisions": count}
            for outcome, reason, count in found.without_offer
        ],
    }


@room.operation(HTTPMethod.GET, "/reports/definitions", scope=Scope.REPORTS_READ, answer=DefinitionsSchema)
def report_definitions() -> dict[str, Any]:
    """Read what every number means, and what is divided by what."""
    return {"items": DEFINITIONS}


def _present(rt: Runtime) -> Any:
    return rt.clock().astimezone(rt.settings.zone).date()


def _told(figures: CurrencyFigures) -> dict[str, Any]:
    uplift = figures.uplift
    incremental = uplift.incremental and dict(zip(("low", "value", "high"), uplift.incremental, strict=True))
    return {
        "currency": figures.currency,
        "funnel": {
            "counts": figures.funnel.counts,
            "leaks": figures.funnel.leaks,
            "conversion_rate": figures.funnel.conversion_rate,
            "kept_rate": figures.funnel.kept_rate,
        },
        "earnings": figures.earnings,
        "series": figures.series,
        "uplift": {
            "holdout_bp": uplift.share_bp,
            "since": uplift.since,
            "treated_orders": uplift.treated_orders,
            "incremental": incremental,
            "more_orders": uplift.more_orders,
            "as_of": uplift.as_of,
        },
    }
