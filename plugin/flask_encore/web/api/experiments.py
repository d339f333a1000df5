"""Experiments: written, started, stopped, rolled out, and what they show."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any

from flask import Response, request, url_for
from marshmallow import INCLUDE, Schema, fields

from flask_encore.domain.errors import TrainingBusy
from flask_encore.domain.experiment import Estimate
from flask_encore.domain.experiments import ExperimentStatus
from flask_encore.domain.scopes import Scope
from flask_encore.services import campaigning, experiment_figures, experimenting
from flask_encore.services.experiment_figures import CurrencyFigures, Judged, VariantFigures
from flask_encore.services.experiment_schema import ExperimentRefused, definition_of
from flask_encore.services.experimenting import MAX_NOTE, Conflict, NotFound, Saved
from flask_encore.web.api import etags
from flask_encore.web.api.documents import checked_by_reader, refused, there
from flask_encore.web.api.fields import Currency, Moment, OneOf, Ref, Strict, Text
from flask_encore.web.api.identity import actor
from flask_encore.web.api.problems import Fault, Kind, Problem, document
from flask_encore.web.api.reports import RateSchema
from flask_encore.web.api.rooms import Room
from flask_encore.web.current import state

room = Room("encore_api_experiments", "Experiments", "What is compared, and what came of it.")


class ExperimentDefinitionSchema(Schema):
    """An experiment as the merchant writes it. Every error is told at once, with its place."""

    class Meta:
        unknown = INCLUDE  # refused by the reader, with what was meant

    ref = checked_by_reader("string", "Its key; it never changes.")
    name = checked_by_reader("string", "What the merchant calls it.")
    varies = checked_by_reader("string", "What the variants differ in: copy, discount, campaign or model.")
    campaign = checked_by_reader("string", "The ref of its subject; left out when the model varies.")
    holdout = checked_by_reader("integer", "Basis points of customers who are offered nothing.")
    worth = checked_by_reader("integer", "The smallest difference worth knowing of, basis points.")
    baseline = checked_by_reader("string", "The name of the variant the others are compared with.")
    variants = checked_by_reader("array", "Each with name, weight (basis points) and what it changes.")


class ExperimentSchema(Schema):
    """An experiment as it is stored."""

    ref = fields.Function(lambda saved: saved.experiment.ref, required=True, metadata={"type": "string"})
    status = OneOf(ExperimentStatus, required=True)
    version = fields.Integer(required=True, metadata={"description": "Counts the changes; the ETag."})
    started_at = Moment(required=True, allow_none=True)
    ended_at = Moment(required=True, allow_none=True)
    note = fields.String(required=True, metadata={"description": "What was concluded."})
    rolled_out = fields.String(required=True, allow_none=True, metadata={"description": "Which variant, if any."})
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    updated_by = fields.String(required=True)
    definition = fields.Function(
        lambda saved: definition_of(saved.experiment), required=True, metadata={"type": "object"}
    )


class ExperimentsSchema(Schema):
    """Every experiment."""

    items = fields.List(fields.Nested(ExperimentSchema), required=True)


class NoteSchema(Strict):
    """What was concluded."""

    note = Text(MAX_NOTE, load_default="")


class RollOutSchema(NoteSchema):
    """Which variant becomes the rule."""

    variant = Ref(required=True)


class PerOrderSchema(Schema):
    """Minor units per eligible order. What is null cannot be told yet."""

    value = fields.Float(required=True, allow_none=True)
    low = fields.Float(required=True, allow_none=True, metadata={"description": "Of the interval, to be read any day."})
    high = fields.Float(required=True, allow_none=True)


class VariantFiguresSchema(Schema):
    """One variant."""

    name = fields.String(required=True)
    weight = fields.Integer(required=True, metadata={"description": "Basis points of the customers."})
    is_baseline = fields.Boolean(required=True)
    customers = fields.Integer(required=True)
    orders = fields.Integer(required=True)
    per_order = fields.Nested(PerOrderSchema, required=True)
    conversion_rate = fields.Nested(RateSchema, required=True)
    kept_rate = fields.Nested(RateSchema, required=True)


class DifferenceSchema(Schema):
    """One variant less another."""

    variant = fields.String(required=True)
    baseline = fields.String(required=True)
    per_order = fields.Nested(PerOrderSchema, required=True)
    more_orders = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "About how many more it takes; null when nothing tells."},
    )


class ExperimentCurrencySchema(Schema):
    """An experiment in one currency."""

    currency = Currency(required=True)
    variants = fields.List(fields.Nested(VariantFiguresSchema), required=True)
    comparisons = fields.List(
        fields.Nested(DifferenceSchema), required=True, metadata={"description": "Empty with a mismatch."}
    )
    against_holdout = fields.Nested(DifferenceSchema, required=True, allow_none=True)


class ExperimentFiguresSchema(Schema):
    """What an experiment shows."""

    is_mismatch = fields.Boolean(
        required=True, metadata={"description": "Customers were not dealt as they should be: believe no result."}
    )
    is_counted = fields.Boolean(required=True)
    as_of = Moment(required=True)
    currencies = fields.List(fields.Nested(ExperimentCurrencySchema), required=True)


@room.operation(HTTPMethod.GET, "/experiments", scope=Scope.EXPERIMENTS_READ, answer=ExperimentsSchema)
def list_experiments() -> dict[str, Any]:
    """List every experiment, by ref."""
    return {"items": experimenting.listed(state().runtime)}


@room.operation(
    HTTPMethod.GET,
    "/experiments/<ref>",
    scope=Scope.EXPERIMENTS_READ,
    answer=ExperimentSchema,
    tag=etags.by_version,
)
def get_experiment(ref: str) -> Saved:
    """Read an experiment."""
    return _found(ref)


@room.operation(
    HTTPMethod.GET, "/experiments/<ref>/figures", scope=Scope.EXPERIMENTS_READ, answer=ExperimentFiguresSchema
)
def get_experiment_figures(ref: str) -> dict[str, Any]:
    """Read what an experiment shows, per currency."""
    found = experiment_figures.figures(state().runtime, _found(ref).experiment)
    return {
        "is_mismatch": found.is_mismatch,
        "is_counted": found.is_counted,
        "as_of": found.as_of,
        "currencies": [_told(currency) for currency in found.currencies],
    }


@room.operation(
    HTTPMethod.POST,
    "/experiments",
    scope=Scope.EXPERIMENTS_WRITE,
    body=ExperimentDefinitionSchema,
    answer=ExperimentSchema,
    status=201,
    tag=etags.by_version,
    key=False,
)
def create_experiment(body: dict[str, Any]) -> Any:
    """Write the draft of an experiment. 409 when there is one of its ref."""
    saved = experimenting.create(state().runtime, body, actor=actor())
    return saved, 201, {"Location": url_for("encore_api_experiments.get_experiment", ref=saved.experiment.ref)}


@room.operation(
    HTTPMethod.PUT,
    "/experiments/<ref>",
    scope=Scope.EXPERIMENTS_WRITE,
    body=ExperimentDefinitionSchema,
    answer=ExperimentSchema,
    tag=etags.by_version,
    guarded=True,
)
def replace_experiment(body: dict[str, Any], ref: str) -> Saved:
    """Write an experiment's definition anew. Once it has begun only its name may differ."""
    expected = _expected(ref)
    if body.get("ref") != ref:
        fault = Fault(detail=f"has to be {ref!r}, as in the address: a ref never changes.", pointer="#/ref")
        raise Problem(Kind.INVALID, "The body cannot be used; see errors.", errors=[fault])
    return experimenting.save(state().runtime, body, actor=actor(), expected=expected)


@room.operation(
    HTTPMethod.POST,
    "/experiments/<ref>/start",
    scope=Scope.EXPERIMENTS_WRITE,
    answer=ExperimentSchema,
    tag=etags.by_version,
    guarded=True,
    key=False,
)
def start_experiment(ref: str) -> Saved:
    """Begin to deal an experiment's variants."""
    return experimenting.start(state().runtime, ref, actor=actor(), expected=_expected(ref))


@room.operation(
    HTTPMethod.POST,
    "/experiments/<ref>/stop",
    scope=Scope.EXPERIMENTS_WRITE,
    body=NoteSchema,
    answer=ExperimentSchema,
    tag=etags.by_version,
    guarded=True,
    key=False,
)
def stop_experiment(body: dict[str, Any], ref: str) -> Saved:
    """End an experiment, for good."""
    return experimenting.stop(state().runtime, ref, actor=actor(), expected=_expected(ref), note=body["note"])


@room.operation(
    HTTPMethod.POST,
    "/experiments/<ref>/roll-out",
    scope=Scope.EXPERIMENTS_WRITE,
    body=RollOutSchema,
    answer=ExperimentSchema,
    tag=etags.by_version,
    guarded=True,
    key=False,
)
def roll_out_experiment(body: dict[str, Any], ref: str) -> Saved:
    """Write what a variant changes into its campaign, or put its model live."""
    rt, saved = state().runtime, _found(ref)
    expected, subject = _expected(ref), saved.experiment.campaign
    campaign = None if subject is None else campaigning.find(rt, subject)
    try:
        return experimenting.roll_out(
            rt,
            ref,
            body["variant"],
            actor=actor(),
            expected=expected,
            note=body["note"],
            campaign_version=None if campaign is None else campaign.version,
        )
    except TrainingBusy as busy:
        raise Problem(Kind.CONFLICT, str(busy)) from None


@room.operation(
    HTTPMethod.POST,
    "/experiments/<ref>/archive",
    scope=Scope.EXPERIMENTS_WRITE,
    answer=ExperimentSchema,
    tag=etags.by_version,
    guarded=True,
    key=False,
)
def archive_experiment(ref: str) -> Saved:
    """Put an experiment away."""
    return experimenting.archive(state().runtime, ref, actor=actor(), expected=_expected(ref))


def _found(ref: str) -> Saved:
    return there(experimenting.find(state().runtime, ref), "experiment")


def _expected(ref: str) -> int:
    """The version in If-Match, or the present one when any will do."""
    version = etags.version()
    saved = _found(ref)
    return saved.version if version is None else version


def _told(figures: CurrencyFigures) -> dict[str, Any]:
    held = figures.against_holdout
    return {
        "currency": figures.currency,
        "variants": [_variant(one) for one in figures.variants],
        "comparisons": [_difference(one) for one in figures.comparisons],
        "against_holdout": None if held is None else _difference(held),
    }


def _variant(one: VariantFigures) -> dict[str, Any]:
    return {
        "name": one.name,
        "weight": one.weight,
        "is_baseline": one.is_baseline,
        "customers": one.arm.customers,
        "orders": one.arm.orders,
        "per_order": _per_order(one.mean, one.interval),
        "conversion_rate": one.conversion_rate,
        "kept_rate": one.kept_rate,
    }


def _difference(one: Judged) -> dict[str, Any]:
    comparison = one.comparison
    return {
        "variant": comparison.variant,
        "baseline": comparison.baseline,
        "per_order": _per_order(comparison.result, comparison.any_day),
        "more_orders": one.more_orders,
    }


def _per_order(told: Any, interval: Any) -> dict[str, float | None]:
    return {
        "value": told.value if isinstance(told, Estimate) else None,
        "low": interval.low if interval is not None else None,
        "high": interval.high if interval is not None else None,
    }


def _conflict(conflict: Conflict) -> Response:
    kind = Kind.PRECONDITION_FAILED if "If-Match" in request.headers else Kind.CONFLICT
    return document(Problem(kind, str(conflict)))


def _not_there(_error: NotFound) -> Response:
    return document(Problem(Kind.NOT_FOUND, "There is no such experiment."))


room.register_error_handler(ExperimentRefused, refused)
room.register_error_handler(Conflict, _conflict)
room.register_error_handler(NotFound, _not_there)
