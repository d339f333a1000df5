"""Experiments as the merchant keeps them: written, started, stopped, rolled out; every change guarded and written down.

Like campaigns they are one JSON value each, guarded by a version, and every change bumps the revision that pages read.
While one runs only its name and its note can change: what is compared has to stay what it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_encore.domain.errors import EncoreError
from flask_encore.domain.experiments import NEXT, Experiment, ExperimentStatus, Variant, Varies
from flask_encore.domain.wording import faults
from flask_encore.services import auditing, campaigning, experiment_starts, recommender, rolling_out
from flask_encore.services.auditing import Action
from flask_encore.services.experiment_schema import ExperimentRefused, definition_of, experiment_of
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import audit, experiments, switches

#: Characters of what a merchant concludes: a page of it.
MAX_NOTE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """An experiment as it is stored.

    Attributes:
        version: Hand it to a change as *expected*, so that nobody's change in between is overwritten.
        note: What was concluded, in the merchant's words.
        rolled_out: The name of the variant that was written into the campaign; ``None`` while none was.
    """

    experiment: Experiment
    status: ExperimentStatus
    version: int
    started_at: datetime | None
    ended_at: datetime | None
    note: str
    rolled_out: str | None
    created_at: datetime
    updated_at: datetime
    updated_by: str


class Conflict(EncoreError):
    """Somebody else changed this experiment meanwhile; nothing was saved.

    Attributes:
        current: The experiment as it is stored now; ``None`` when there is none.
    """

    def __init__(self, message: str, *, current: Saved | None) -> None:
        super().__init__(message)
        self.current = current


class NotFound(EncoreError):
    """There is no such experiment."""


def subject_of(ref: str) -> str:
    """What the audit log calls an experiment; no campaign can have a ref with a space."""
    return f"experiment {ref}"


# Reading


def listed(rt: Runtime) -> list[Saved]:
    """Every experiment, the newest first. One that this release cannot read is left out, and logged."""
    with rt.db.read() as connection:
        rows = experiments.all_of(connection, rt.account)
    found = []
    for row in rows:
        try:
            found.append(saved_of(row))
        except ExperimentRefused as refusal:
            rt.counts.add("experiment_not_understood")
            logger.warning("The experiment %s cannot be read and is left out: %s", row["experiment_ref"], refusal)
    return found


def find(rt: Runtime, ref: str) -> Saved | None:
    """The experiment, or ``None``."""
    with rt.db.read() as connection:
        row = experiments.find(connection, rt.account, ref)
    return None if row is None else saved_of(row)


def saved_of(row: Mapping[Any, Any]) -> Saved:
    """A row of ``encore_experiments``.

    Raises:
        ExperimentRefused: If its definition is not one this release can read.
    """
    return Saved(
        experiment=experiment_of(row["definition"]),
        status=ExperimentStatus(row["status"]),
        **{name: row[name] for name in _TOLD},
    )


_TOLD = ("version", "started_at", "ended_at", "note", "rolled_out", "created_at", "updated_at", "updated_by")


# Changing


def create(rt: Runtime, definition: object, *, actor: str) -> Saved:
    """Write a draft.

    Raises:
        ExperimentRefused: If the definition is wrong; every error at once.
        Conflict: If there is an experiment of its ref already.
    """
    auditing.checked_actor(actor)
    experiment = experiment_of(definition, linted=True)
    with rt.db.write() as connection:
        switches.lock(connection, rt.account)
        row = experiments.find(connection, rt.account, experiment.ref)
        if row is not None:
            told = f"There is an experiment {experiment.ref!r} already; nothing was saved."
            raise Conflict(told, current=saved_of(row))
        # Goes on where the log of the ref ended, as a campaign's does: a version names one definition for ever.
        version = audit.count(connection, rt.account, subject_of(experiment.ref)) + 1
        written = definition_of(experiment)
        experiments.add(
            connection,
            rt.account,
            experiment.ref,
            written,
            salt=secrets.token_hex(16),
            version=version,
            actor=actor,
            now=rt.clock(),
        )
        _record(rt, connection, experiment.ref, Action.CREATE, actor=actor, before=None, after=written)
        switches.bump(connection, rt.account)
        return saved_of(_known(experiments.find(connection, rt.account, experiment.ref), experiment.ref))


def save(rt: Runtime, definition: object, *, actor: str, expected: int) -> Saved:
    """Write over version *expected* of the experiment of its ref. Idempotent.

    Once it has begun only its name may differ.

    Raises:
        NotFound: If there is none.
        ExperimentRefused: If the definition is wrong, or it has begun and differs; every error at once.
        Conflict: If the stored version is another one; nothing was written.
    """
    auditing.checked_actor(actor)
    experiment = experiment_of(definition, linted=True)
    with rt.db.write() as connection:
        row = _at(rt, connection, experiment.ref, expected)
        before, after = row["definition"], definition_of(experiment)
        if row["status"] != ExperimentStatus.DRAFT:
            wrong = {path: [_FROZEN] for path, _, _ in auditing.differences(before, after) if path != "name"}
            if wrong:
                raise ExperimentRefused(wrong)
        if before == after:
            return saved_of(row)
        return _change(rt, connection, row, Action.EDIT, actor, before=before, after=after, definition=after)


_FROZEN = "cannot change: the experiment has begun, and what it compares has to stay what it was."


def annotate(rt: Runtime, ref: str, note: str, *, actor: str, expected: int) -> Saved:
    """Write the merchant's note. Idempotent.

    Raises:
        NotFound: If there is none.
        ExperimentRefused: If *note* is too long or has hidden characters.
        Conflict: If the stored version is another one; nothing was written.
    """
    auditing.checked_actor(actor)
    said = checked_note(note)
    with rt.db.write() as connection:
        row = _at(rt, connection, ref, expected)
        if row["note"] == said:
            return saved_of(row)
        before, after = {"note": row["note"]}, {"note": said}
        return _change(rt, connection, row, Action.EDIT, actor, before=before, after=after, note=said)


def start(rt: Runtime, ref: str, *, actor: str, expected: int) -> Saved:
    """Deal a draft's variants from now on.

    Raises:
        NotFound: If there is none.
        ExperimentRefused: If it is no draft, its subject or a variant cannot be had, or another one runs about the
            same; every error at once.
        Conflict: If the stored version is another one; nothing was written.
    """
    auditing.checked_actor(actor)
    models = experiment_starts.models(rt)
    with rt.db.write() as connection:
        row = _at(rt, connection, ref, expected)
        saved = saved_of(row)
        _moves(saved, ExperimentStatus.RUNNING)
        others = _running(connection, rt, but=ref)
        wrong = experiment_starts.refusals(rt, connection, saved.experiment, others=others, models=models)
        if wrong:
            raise ExperimentRefused(wrong)
        # Before the commit: a model that could be removed meanwhile must not be one somebody is dealt.
        try:
            _keep_models(rt, [*others, saved.experiment])
        except OSError as error:
            told = f"its models cannot be kept from being removed ({type(error).__name__}: {error})."
            raise ExperimentRefused({"varies": [told]}) from error
        return _status(rt, connection, row, ExperimentStatus.RUNNING, actor, started_at=rt.clock())


def stop(rt: Runtime, ref: str, *, actor: str, expected: int, note: str = "") -> Saved:
    """Deal it no more; what was dealt stays in the log. A stopped one does not run again: write another.

    Args:
        note: What is concluded; an empty one leaves the note as it is.

    Raises:
        NotFound: If there is none.
        ExperimentRefused: If it does not run, or *note* is too long.
        Conflict: If the stored version is another one; nothing was written.
    """
    auditing.checked_actor(actor)
    said = checked_note(note)
    with rt.db.write() as connection:
        row = _at(rt, connection, ref, expected)
        _moves(saved_of(row), ExperimentStatus.STOPPED)
        told = {"note": said} if said else {}
        stopped = _status(rt, connection, row, ExperimentStatus.STOPPED, actor, ended_at=rt.clock(), **told)
        others = _running(connection, rt, but=ref)
    try:
        _keep_models(rt, others)
    except OSError:
        # It is stopped; its models are kept a while longer, until the next start or stop.
        logger.exception("the models of experiment %s are still kept", ref)
    return stopped


def archive(rt: Runtime, ref: str, *, actor: str, expected: int) -> Saved:
    """Put a draft or a stopped one away. Nothing is deleted.

    Raises:
        NotFound: If there is none.
        ExperimentRefused: If it runs.
        Conflict: If the stored version is another one; nothing was written.
    """
    auditing.checked_actor(actor)
    with rt.db.write() as connection:
        row = _at(rt, connection, ref, expected)
        _moves(saved_of(row), ExperimentStatus.ARCHIVED)
        return _status(rt, connection, row, ExperimentStatus.ARCHIVED, actor)


def roll_out(
    rt: Runtime,
    ref: str,
    variant: str,
    *,
    actor: str,
    expected: int,
    note: str = "",
    campaign_version: int | None = None,
) -> Saved:
    """Write what a variant of a stopped experiment changes into its campaign, or put its model live.

    What it replaces is in the audit log of the campaign (or of the recommender), from where it can be put back.

    Args:
        campaign_version: Of the subject, as the merchant saw it; ``None`` for a model, and for the built-in offer,
            in whose place a campaign of the experiment's ref is written.

    Raises:
        NotFound: If there is none.
        ExperimentRefused: If it is not stopped, has no such variant, or that cannot be made of the campaign any more.
        Conflict: If the stored version is another one, or somebody changed the campaign; nothing was written.
        TrainingBusy: A training is under way, and would put its own model live.
    """
    auditing.checked_actor(actor)
    said = checked_note(note)
    with rt.db.read() as connection:
        saved = saved_of(_known(experiments.find(connection, rt.account, ref), ref))
    model = _rolled(saved, variant).model if saved.version == expected else None
    if model is not None:
        recommender.use(rt, model, actor=actor)  # idempotent, and a transaction of its own: files are moved
    with rt.db.write() as connection:
        row = _at(rt, connection, ref, expected)
        saved = saved_of(row)
        made = _rolled(saved, variant)
        after: dict[str, Any] = {"variant": variant, "note": said or row["note"]}
        if saved.experiment.varies is Varies.MODEL:
            after["model"] = made.model
        else:
            try:
                written = rolling_out.write(
                    rt, connection, saved.experiment, made, actor=actor, expected=campaign_version
                )
            except campaigning.Conflict as conflict:
                raise Conflict(str(conflict), current=saved) from conflict
            after |= {"campaign": written.campaign.ref, "campaign_version": written.version}
        values = {"rolled_out": variant, "note": said or row["note"]}
        before = {"variant": row["rolled_out"], "note": row["note"]}
        return _change(rt, connection, row, Action.ROLL_OUT, actor, before=before, after=after, **values)


def checked_note(note: object) -> str:
    """*note* as it is kept; new lines stay.

    Raises:
        ExperimentRefused: If it is too long or has hidden characters.
    """
    said = note.replace("\r\n", "\n").strip() if isinstance(note, str) else note
    flat = said.replace("\n", " ") if isinstance(said, str) else said
    wrong = faults(flat, most=MAX_NOTE)
    if wrong:
        raise ExperimentRefused({"note": wrong})
    return str(said)


def _rolled(saved: Saved, variant: str) -> Variant:
    if saved.status is not ExperimentStatus.STOPPED:
        told = f"has to be stopped for a variant to be rolled out; it is {saved.status.value}."
        raise ExperimentRefused({"status": [told]})
    found = saved.experiment.variant(variant)
    if found is None:
        raise ExperimentRefused({"variant": [f"{variant!r} is no variant of this experiment."]})
    return found


def _running(connection: Any, rt: Runtime, *, but: str) -> list[Experiment]:
    """The experiments that run beside *but*; what this release cannot read it does not deal either."""
    found = []
    for row in experiments.all_of(connection, rt.account):
        if row["status"] == ExperimentStatus.RUNNING and row["experiment_ref"] != but:
            try:
                found.append(saved_of(row).experiment)
            except ExperimentRefused:
                rt.counts.add("experiment_not_understood")
    return found


def _keep_models(rt: Runtime, running: Sequence[Experiment]) -> None:
    """Have the trainer remove none of the models that *running* deal."""
    rt.trainer.keep({one.model for experiment in running for one in experiment.variants if one.model is not None})


def _moves(saved: Saved, wanted: ExperimentStatus) -> None:
    if wanted not in NEXT[saved.status]:
        can = " or ".join(sorted(NEXT[saved.status]))
        fix = f"it can become {can}." if can else "write a new one instead."
        raise ExperimentRefused(
            {"status": [f"cannot become {wanted.value}: the experiment is {saved.status.value}, and {fix}"]}
        )


def _known(row: Mapping[Any, Any] | None, ref: str) -> Mapping[Any, Any]:
    if row is None:
        raise NotFound(f"There is no experiment {ref!r}.")
    return row


def _at(rt: Runtime, connection: Any, ref: str, expected: int) -> Mapping[Any, Any]:
    """Begin a change of version *expected*."""
    switches.lock(connection, rt.account)
    row = _known(experiments.find(connection, rt.account, ref), ref)
    if row["version"] != expected:
        raise Conflict(f"{row['updated_by']} changed {ref!r} meanwhile; nothing was saved.", current=saved_of(row))
    return row


def _status(
    rt: Runtime, connection: Any, row: Mapping[Any, Any], status: ExperimentStatus, actor: str, **values: Any
) -> Saved:
    before, after = {"status": row["status"]}, {"status": status.value}
    if "note" in values:
        before["note"], after["note"] = row["note"], values["note"]
    return _change(rt, connection, row, Action.STATUS, actor, before=before, after=after, status=status.value, **values)


def _change(
    rt: Runtime,
    connection: Any,
    row: Mapping[Any, Any],
    action: Action,
    actor: str,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    **values: Any,
) -> Saved:
    """One guarded UPDATE, its entry in the audit log, and the revision."""
    ref = row["experiment_ref"]
    moved = experiments.change(
        connection, rt.account, ref, version=row["version"], actor=actor, now=rt.clock(), **values
    )
    if not moved:  # the lock makes it impossible; the guard is what makes it true
        raise Conflict(f"{ref!r} was changed meanwhile; nothing was saved.", current=saved_of(row))
    _record(rt, connection, ref, action, actor=actor, before=before, after=after)
    switches.bump(connection, rt.account)
    return saved_of(_known(experiments.find(connection, rt.account, ref), ref))


def _record(
    rt: Runtime,
    connection: Any,
    ref: str,
    action: Action,
    *,
    actor: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    auditing.record(rt, connection, actor=actor, action=action, subject=subject_of(ref), before=before, after=after)
