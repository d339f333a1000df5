"""The form of an experiment: written, each variant tried on a past order, saved. Whole without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, g, request

from flask_encore.domain.campaigns import BUILT_IN, MAX_NAME, CampaignStatus
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.experiments import HOLDOUT, MAX_VARIANT_NAME, MAX_VARIANTS, ExperimentStatus, Varies
from flask_encore.domain.ports import Versioned
from flask_encore.domain.rights import Right
from flask_encore.domain.wording import MAX_BODY, MAX_HEADLINE
from flask_encore.services import campaign_figures, campaigning, experimenting, previewing
from flask_encore.services.experiment_schema import ExperimentRefused, experiment_of
from flask_encore.services.experimenting import Conflict, NotFound, Saved
from flask_encore.services.previewing import OrderUnknown, Preview
from flask_encore.web import experiment_form, experiment_words
from flask_encore.web.campaign_pages import version_of
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import changes_something, is_sealed, message, needs, on_database, page, see, url
from flask_encore.web.experiments_shown import find, no_such_experiment
from flask_encore.web.sample_card import card_of_snapshot, inert

NOT_SAVED = "Nothing was saved"

#: Characters of an order_ref that is looked for.
LONGEST_REF = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is in the form.

    Attributes:
        saved: The experiment as it is stored; ``None`` for a new one.
        version: Of the experiment the form was filled from; ``None`` for a new one.
        errors: By field.
    """

    fields: Mapping[str, str]
    saved: Saved | None = None
    version: int | None = None
    errors: Mapping[str, list[str]]
    definition: Mapping[str, Any] | None = None


def add_to(blueprint: Blueprint) -> None:
    """The routes of the form."""
    blueprint.get("/dashboard/experiments/new")(new_experiment)
    blueprint.post("/dashboard/experiments/new")(create_experiment)
    blueprint.post("/dashboard/experiments/<ref>/")(save_experiment)


@needs(Right.READ)
@on_database
def new_experiment() -> Response:
    """An empty form, about the campaign that was asked for."""
    asked = request.args.get("campaign", "").replace("\0", "").strip()[:64]
    return editor(Draft(fields=experiment_form.empty() | ({"campaign": asked} if asked else {}), errors={}))


@needs(Right.EDIT)
@on_database
@changes_something(NOT_SAVED)
def create_experiment() -> Response:
    """Save a new draft, or do what another button of the form says."""
    return _answered(_typed(None))


@needs(Right.EDIT)
@on_database
@changes_something(NOT_SAVED)
def save_experiment(ref: str) -> Response:
    """Save over the version the form was made of."""
    saved = find(state().runtime, ref)
    if saved is None:
        return no_such_experiment()
    if saved.status is not ExperimentStatus.DRAFT:
        return message(409, NOT_SAVED, "This experiment has begun: what it compares stays as it is.")
    return _answered(_typed(saved))


def of_saved(saved: Saved, definition: Mapping[str, Any]) -> Draft:
    """The form, filled with what is stored."""
    fields = experiment_form.fields_of(definition)
    return Draft(fields=fields, saved=saved, version=saved.version, errors={}, definition=definition)


def _typed(saved: Saved | None) -> Draft:
    """The form as it was sent, checked as far as it can be without saving it."""
    fields = {name: text.replace("\r\n", "\n").replace("\0", "") for name, text in request.form.items()}
    if saved is not None:
        fields["ref"] = saved.experiment.ref
    reading = experiment_form.read(fields)
    errors = dict(reading.errors)
    try:
        experiment_of(reading.definition, linted=True)
    except ExperimentRefused as refusal:
        errors = experiment_form.errors_by_field(refusal.errors, fields=fields, rows=reading.rows) | errors
    return Draft(
        fields=fields,
        saved=saved,
        version=None if saved is None else version_of(fields.get("version", "")),
        errors=errors,
        definition=reading.definition,
    )


def _answered(draft: Draft) -> Response:
    then = request.form.get("then", "save")
    if not is_sealed():
        return editor(draft, status=403, stale=True)
    fields = _rearranged(draft.fields, then)
    if fields is not None:
        return editor(replace(draft, fields=fields, errors={}))
    if draft.errors:
        return editor(draft, status=422)
    return _preview(draft) if then == "preview" else _save(draft)


def _rearranged(fields: Mapping[str, str], then: str) -> dict[str, str] | None:
    """The form with a row more or less, or other shares; ``None`` when that is not what was asked for."""
    if then == "add":
        return experiment_form.with_row(fields)
    if then == "equal":
        return experiment_form.with_equal_shares(fields)
    word, _, row = then.partition("-")
    if word == "remove" and row in {str(one) for one in range(MAX_VARIANTS)}:
        return experiment_form.without_row(fields, int(row))
    return None


def _save(draft: Draft) -> Response:
    rt = state().runtime
    try:
        if draft.version is None:
            saved = experimenting.create(rt, draft.definition, actor=g.encore_actor)
        else:
            saved = experimenting.save(rt, draft.definition, actor=g.encore_actor, expected=draft.version)
    except Conflict as conflict:
        if draft.version is None:
            told = {"ref": ["There is an experiment with this ref already."]}
            return editor(replace(draft, errors=told), status=409)
        return editor(draft, status=409, conflict=str(conflict))
    except NotFound:
        return no_such_experiment()
    except ExperimentRefused as refusal:
        return editor(replace(draft, errors={"": refusal.sentences()}), status=422)
    return see(url("experiment", ref=saved.experiment.ref, saved="yes"))


def _preview(draft: Draft) -> Response:
    order_ref = request.form.get("order_ref", "").replace("\0", "").strip()[:LONGEST_REF]
    if not order_ref:
        return editor(replace(draft, errors={"order_ref": ["Name an order to try the variants on."]}), status=422)
    rt, experiment = state().runtime, experiment_of(draft.definition)
    try:
        found = [
            (name, previewing.preview_variant(rt, experiment, name, order_ref))
            for name in experiment.weights
            if name != HOLDOUT
        ]
    except OrderUnknown as refusal:
        return editor(replace(draft, errors={"order_ref": [str(refusal)]}), status=422)
    except InvalidInput as refusal:
        return editor(replace(draft, errors={"": [str(refusal)]}), status=422)
    return editor(draft, previews=found)


def editor(
    draft: Draft,
    *,
    status: int = 200,
    told: bool = False,
    stale: bool = False,
    conflict: str = "",
    doubts: list[str] | None = None,
    previews: list[tuple[str, Preview]] | None = None,
) -> Response:
    """The form's page."""
    rt = state().runtime
    newest = campaign_figures.newest_order(rt)
    campaigns = [one.campaign for one in campaigning.listed(rt)]
    subjects = [("", "Choose one"), *((one.ref, f"{one.name} ({one.ref})") for one in campaigns)]
    if rt.settings.built_in_offer:
        subjects.append((BUILT_IN, "The built-in offer"))
    return page(
        "experiment_editor.html",
        status=status,
        here="experiments",
        fields=draft.fields,
        errors=draft.errors,
        saved=draft.saved,
        version=draft.version,
        told=told,
        stale=stale,
        conflict=conflict,
        doubts=doubts or [],
        rows=range(experiment_form.rows_of(draft.fields)),
        languages=lambda row: experiment_form.languages_of(draft.fields, row),
        varies=_varies(),
        subjects=subjects,
        others=[
            ("", "As it is"),
            *((one.ref, f"{one.name} ({one.ref})") for one in campaigns if _is_usable(one.status)),
        ],
        models=[("", "The live model"), *((one.version, _model(one)) for one in rt.trainer.models())],
        order_ref=draft.fields.get("order_ref") or (newest.order_ref if newest else ""),
        previews=[(name, one, _card(one)) for name, one in previews or []],
        experiment_words=experiment_words,
        # The fields' macros read their sentences from here.
        campaign_words=experiment_words,
        most={"name": MAX_NAME, "variant": MAX_VARIANT_NAME, "headline": MAX_HEADLINE, "body": MAX_BODY},
        most_variants=MAX_VARIANTS,
    )


def _varies() -> list[tuple[str, str, str]]:
    """What can vary here: models only where the ranker has some."""
    versioned = isinstance(state().runtime.ranker, Versioned)
    return [
        (one.value, *words) for one, words in experiment_words.VARIES.items() if versioned or one is not Varies.MODEL
    ]


def _is_usable(status: CampaignStatus) -> bool:
    return status is not CampaignStatus.ENDED


def _model(model: Any) -> str:
    return f"{model.version}{' (live now)' if model.live else ''}"


def _card(preview: Preview) -> Any:
    if preview.card is None or preview.total is None:
        return None
    app = state()
    return inert(app, card_of_snapshot(app, preview.card, order_ref=preview.order_ref, currency=preview.total.currency))
