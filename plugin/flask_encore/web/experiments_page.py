"""The merchant's experiments: the list, one with its results, and what a button does to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, g, request

from flask_encore.domain.campaigns import BUILT_IN, Campaign
from flask_encore.domain.errors import InvalidInput, TrainingBusy
from flask_encore.domain.experiment import Estimate
from flask_encore.domain.experiments import Experiment, ExperimentStatus, Varies
from flask_encore.domain.rights import Right
from flask_encore.services import campaigning, experiment_figures, experiment_starts, experimenting
from flask_encore.services.experiment_figures import CurrencyFigures, Judged
from flask_encore.services.experiment_schema import ExperimentRefused, definition_of
from flask_encore.services.experimenting import MAX_NOTE, Conflict, NotFound, Saved
from flask_encore.web import experiment_editor, experiment_words
from flask_encore.web.campaign_pages import version_of
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import changes_something, is_sealed, message, needs, on_database, page, see, url
from flask_encore.web.downloads import Column, Table, offered
from flask_encore.web.experiments_shown import find, no_such_experiment

NOT_CHANGED = "Nothing was changed"

#: The order in which the list shows them.
_STATUSES = (
    ExperimentStatus.RUNNING,
    ExperimentStatus.DRAFT,
    ExperimentStatus.STOPPED,
    ExperimentStatus.ARCHIVED,
)


def add_to(blueprint: Blueprint) -> None:
    """The routes below ``/dashboard/experiments``; as campaigns', so that no ref can hide a page."""
    blueprint.get("/dashboard/experiments/")(experiments)
    blueprint.get("/dashboard/experiments/<ref>/")(experiment)
    blueprint.post("/dashboard/experiments/<ref>/note")(note_experiment)
    for name in _QUESTIONS:
        blueprint.get(f"/dashboard/experiments/<ref>/{name}", endpoint=f"ask_{name}_experiment")(_asking(name))
        blueprint.post(f"/dashboard/experiments/<ref>/{name}", endpoint=f"{name}_experiment")(_doing(name))
    blueprint.get("/dashboard/experiments/<ref>/roll-out/<int:place>")(ask_roll_out)
    blueprint.post("/dashboard/experiments/<ref>/roll-out/<int:place>")(roll_out)
    experiment_editor.add_to(blueprint)


# The list


@needs(Right.READ)
@on_database
def experiments() -> Response:
    """Every experiment and how it stands."""
    rt = state().runtime
    found = sorted(experimenting.listed(rt), key=lambda saved: _STATUSES.index(saved.status))
    answer = offered(_listed(found))
    if answer is not None:
        return answer
    return page(
        "experiments.html",
        here="experiments",
        groups=[(status, [one for one in found if one.status is status]) for status in _STATUSES],
        any_experiment=bool(found),
        names=_names(),
        told=_told(found),
        experiment_words=experiment_words,
    )


def _listed(found: list[Saved]) -> Table:
    keys = ("ref", "name", "status", "varies", "campaign", "started_at", "ended_at", "rolled_out", "note")
    return Table(
        name="experiments",
        columns=[Column(key, key.replace("_", " ").capitalize()) for key in keys],
        rows=(
            {
                "ref": one.experiment.ref,
                "name": one.experiment.name,
                "status": one.status.value,
                "varies": one.experiment.varies.value,
                "campaign": one.experiment.campaign,
                "started_at": one.started_at,
                "ended_at": one.ended_at,
                "rolled_out": one.rolled_out,
                "note": one.note,
            }
            for one in found
        ),
    )


def _told(found: list[Saved]) -> str:
    """What the last click did, read from how things stand and not from the address."""
    changed = next((one for one in found if one.experiment.ref == request.args.get("changed", "")), None)
    return f"“{changed.experiment.name}” {experiment_words.MOVED[changed.status]}." if changed else ""


def _campaigns() -> dict[str, Campaign]:
    return {saved.campaign.ref: saved.campaign for saved in campaigning.listed(state().runtime)}


def _names() -> dict[str, str]:
    return {ref: campaign.name for ref, campaign in _campaigns().items()}


# One experiment


@needs(Right.READ)
@on_database
def experiment(ref: str) -> Response:
    """A draft's form, or what an experiment has shown so far."""
    saved = find(state().runtime, ref)
    if saved is None:
        return no_such_experiment()
    if saved.status is not ExperimentStatus.DRAFT:
        return _results(saved)
    draft = experiment_editor.of_saved(saved, definition_of(saved.experiment))
    doubts = experiment_starts.doubts(saved.experiment, _campaigns())
    return experiment_editor.editor(draft, told=request.args.get("saved") == "yes", doubts=doubts)


def _results(saved: Saved, *, status: int = 200, refusal: str = "", note: str | None = None) -> Response:
    rt, one = state().runtime, saved.experiment
    is_archived = saved.status is ExperimentStatus.ARCHIVED
    figures = experiment_figures.figures(rt, one, since=saved.started_at if is_archived else None)
    answer = offered(*_tables(figures.currencies))
    if answer is not None:
        return answer
    campaigns = _campaigns()
    names = {ref: campaign.name for ref, campaign in campaigns.items()}
    changed = request.args.get("changed")
    return page(
        "experiment.html",
        status=status,
        here="experiments",
        saved=saved,
        experiment=one,
        figures=figures,
        names=names,
        doubts=experiment_starts.doubts(one, campaigns) if saved.status is ExperimentStatus.RUNNING else [],
        days=((saved.ended_at or rt.clock()) - saved.started_at).days if saved.started_at else 0,
        told=changed == "yes",
        refusal=refusal,
        note=saved.note if note is None else note,
        most_note=MAX_NOTE,
        ruler=_ruler,
        is_estimate=lambda result: isinstance(result, Estimate),
        experiment_words=experiment_words,
        subject_url=_subject_url(one),
    )


def _subject_url(one: Experiment) -> str | None:
    if one.campaign in (None, BUILT_IN):
        return url("recommender") if one.campaign is None else None
    return url("edit_campaign", ref=one.campaign)


def _ruler(judged: Judged) -> dict[str, str] | None:
    """Where the interval, its value and 0 lie on a line, as SVG percentages; 0 is always on it."""
    result, any_day = judged.comparison.result, judged.comparison.any_day
    if not isinstance(result, Estimate) or any_day is None:
        return None
    low, high = min(any_day.low, 0.0), max(any_day.high, 0.0)
    span = high - low

    def at(value: float) -> float:
        return 4 + 92 * (value - low) / span  # some room at both ends, so that neither point is cut

    return {
        "x": f"{at(any_day.low):.2f}%",
        "width": f"{at(any_day.high) - at(any_day.low):.2f}%",
        "at": f"{at(result.value):.2f}%",
        "zero": f"{at(0.0):.2f}%",
    }


def _tables(currencies: tuple[CurrencyFigures, ...]) -> list[Table]:
    keys = ("currency", "variant", "customers", "orders", "value_per_order", "shown", "accepted", "kept")
    return [
        Table(
            name="variants",
            columns=[Column(key, key.replace("_", " ").capitalize()) for key in keys],
            rows=(
                {
                    "currency": one.currency,
                    "variant": each.name,
                    "customers": each.arm.customers,
                    "orders": each.arm.orders,
                    "value_per_order": each.mean.value if isinstance(each.mean, Estimate) else None,
                    "shown": each.shown,
                    "accepted": each.accepted,
                    "kept": each.kept,
                }
                for one in currencies
                for each in one.variants
            ),
        )
    ]


# What a button does


#: Act -> its question, what it does, its button, and whether it cannot be undone.
_QUESTIONS: dict[str, tuple[str, str, str, bool]] = {
    "start": (
        "Start “{name}”?",
        "From the next order on customers are dealt its variants. What it compares cannot be changed any more, only "
        "stopped. You may look at it every day.",
        "Start",
        False,
    ),
    "stop": (
        "Stop “{name}”?",
        "Nobody is dealt a variant any more: the campaign goes on as it is. Offers on screen stay as they are. "
        "It cannot be started again.",
        "Stop",
        True,
    ),
    "archive": ("Archive “{name}”?", "It is put away. Nothing is deleted, and its result stays.", "Archive", False),
}

_ACTS: dict[str, Callable[..., Saved]] = {
    "start": experimenting.start,
    "stop": experimenting.stop,
    "archive": experimenting.archive,
}


def _asking(name: str) -> Callable[..., Response]:
    @needs(Right.READ)
    @on_database
    def ask_once_more(ref: str) -> Response:
        """Ask once more. Changes nothing."""
        saved = find(state().runtime, ref)
        return no_such_experiment() if saved is None else _ask(saved, name)

    return ask_once_more


def _doing(name: str) -> Callable[..., Response]:
    @needs(Right.EDIT)
    @on_database
    @changes_something(NOT_CHANGED)
    def do(ref: str) -> Response:
        """Start, stop or archive the experiment that was on the page."""
        saved = find(state().runtime, ref)
        if saved is None:
            return no_such_experiment()
        if not is_sealed():
            return _ask(saved, name, stale=True)
        told = {"note": request.form.get("note", "")} if name == "stop" else {}
        expected = version_of(request.form.get("version", ""))
        return _done(
            lambda: _ACTS[name](state().runtime, ref, actor=g.encore_actor, expected=expected, **told), saved, name
        )

    return do


def _done(act: Callable[[], Saved], saved: Saved, name: str, place: int | None = None) -> Response:
    """What came of it."""
    try:
        done = act()
    except NotFound:
        return no_such_experiment()
    except Conflict as conflict:
        return message(409, NOT_CHANGED, f"{conflict} Look at it again, and do it if you still want to.")
    except ExperimentRefused as refusal:
        return _ask(saved, name, place=place, refusal=refusal, status=422)
    except TrainingBusy:
        return message(409, NOT_CHANGED, "A training is under way, and would put its own model live a moment later.")
    except InvalidInput as refusal:
        return message(409, NOT_CHANGED, str(refusal))
    return see(url("experiment", ref=done.experiment.ref, changed="yes"))


def _ask(
    saved: Saved,
    name: str,
    *,
    stale: bool = False,
    place: int | None = None,
    refusal: ExperimentRefused | None = None,
    status: int = 200,
) -> Response:
    one = saved.experiment
    variant = one.variants[place] if place is not None else None
    if variant is not None:
        question, what, button, danger = (
            f"Roll out “{variant.name}”?",
            _rolled(saved, variant.name),
            "Roll out",
            False,
        )
    else:
        question, what, button, danger = _QUESTIONS[name]
        question = question.format(name=one.name)
    campaign = _campaigns().get(one.campaign or "")
    found = None if campaign is None else campaigning.find(state().runtime, campaign.ref)
    return page(
        "experiment_question.html",
        status=403 if stale else status,
        here="experiments",
        saved=saved,
        question=question,
        what=what,
        button=button,
        danger=danger,
        stale=stale,
        with_note=name in ("stop", "roll_out"),
        note=request.form.get("note", saved.note if name == "roll_out" else ""),
        most_note=MAX_NOTE,
        refusals=[] if refusal is None else [_refusal(path, told) for path, told in refusal.errors.items()],
        campaign_version=None if found is None else found.version,
        doubts=experiment_starts.doubts(one, _campaigns()) if name == "start" else [],
        changes=[] if variant is None else experiment_words.changes(variant, one.varies, _names()),
    )


def _refusal(path: str, told: list[str]) -> str:
    """One sentence of a refusal, as it reads alone."""
    name = {"campaign": "The campaign:", "status": "It", "variant": "", "note": "The note"}.get(path, f"{path}:")
    return experiment_words.sentence(" ".join([name, *told]).strip())


def _rolled(saved: Saved, name: str) -> str:
    one = saved.experiment
    if one.varies is Varies.MODEL:
        return "Its model is put live for every order. You can go back to another one on the recommender’s page."
    if one.campaign == BUILT_IN:
        return (
            f"A campaign “{one.name}” is written that offers this to every order no other campaign speaks for, in "
            "place of the built-in offer. End it to go back."
        )
    return (
        "What it changes is written into the campaign, for every order. The campaign’s history keeps what it replaced, "
        "so that you can put it back."
    )


@needs(Right.READ)
@on_database
def ask_roll_out(ref: str, place: int) -> Response:
    """Ask once more. Changes nothing."""
    saved = find(state().runtime, ref)
    if saved is None or place >= len(saved.experiment.variants):
        return no_such_experiment()
    return _ask(saved, "roll_out", place=place)


@needs(Right.EDIT)
@on_database
@changes_something(NOT_CHANGED)
def roll_out(ref: str, place: int) -> Response:
    """Write what a variant changes into its campaign, as it was on the page."""
    saved = find(state().runtime, ref)
    if saved is None or place >= len(saved.experiment.variants):
        return no_such_experiment()
    if not is_sealed():
        return _ask(saved, "roll_out", place=place, stale=True)
    values: dict[str, Any] = {
        "expected": version_of(request.form.get("version", "")),
        "note": request.form.get("note", ""),
        "campaign_version": version_of(request.form.get("campaign_version", "")) or None,
    }
    variant = saved.experiment.variants[place].name
    return _done(
        lambda: experimenting.roll_out(state().runtime, ref, variant, actor=g.encore_actor, **values),
        saved,
        "roll_out",
        place,
    )


@needs(Right.EDIT)
@on_database
@changes_something(NOT_CHANGED)
def note_experiment(ref: str) -> Response:
    """Write the merchant's note."""
    rt = state().runtime
    saved = find(rt, ref)
    if saved is None:
        return no_such_experiment()
    if saved.status is ExperimentStatus.DRAFT:
        return message(409, NOT_CHANGED, "A draft has no result yet to write a note about.")
    typed = request.form.get("note", "").replace("\0", "")
    if not is_sealed():
        told = "This page was open for too long. Nothing was saved yet; please do it again."
        return _results(saved, status=403, refusal=told, note=typed)
    expected = version_of(request.form.get("version", ""))
    try:
        experimenting.annotate(rt, ref, typed, actor=g.encore_actor, expected=expected)
    except Conflict as conflict:
        return _results(find(rt, ref) or saved, status=409, refusal=f"{conflict} Your note is still here.", note=typed)
    except ExperimentRefused as refusal:
        return _results(saved, status=422, refusal="The note " + " ".join(refusal.errors["note"]), note=typed)
    return see(url("experiment", ref=ref, changed="yes"))
