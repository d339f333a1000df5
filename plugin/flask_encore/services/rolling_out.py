"""Write what a variant changes into the campaign it was tried on, by the same guarded road as every other change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask_encore.domain.book import built_in
from flask_encore.domain.campaigns import BUILT_IN, MAX_PRIORITY, Campaign
from flask_encore.domain.experiments import Experiment, Variant, varied
from flask_encore.services import campaigning
from flask_encore.services.auditing import Action
from flask_encore.services.campaign_schema import campaign_of, definition_of
from flask_encore.services.campaigning import Saved
from flask_encore.services.experiment_schema import ExperimentRefused
from flask_encore.services.experiment_starts import campaign_at
from flask_encore.services.runtime import Runtime


def write(
    rt: Runtime, connection: Any, experiment: Experiment, variant: Variant, *, actor: str, expected: int | None
) -> Saved:
    """Within a change: the subject as *variant* has it, over version *expected*.

    The built-in offer is configuration and has no row; in its place a campaign of the experiment's ref is written, of
    the lowest priority and for every order, so that it speaks where the built-in offer would have spoken.

    Raises:
        ExperimentRefused: If there is no such campaign any more, or the change cannot be made of it.
        campaigning.Conflict: If somebody changed the campaign; nothing was written.
    """
    made = campaign_of(definition_of(rolled(rt, connection, experiment, variant)), linted=True)
    is_new = experiment.campaign == BUILT_IN
    return campaigning.save_within(
        rt, connection, made, actor=actor, expected=None if is_new else expected, action=Action.ROLL_OUT
    )


def rolled(rt: Runtime, connection: Any, experiment: Experiment, variant: Variant) -> Campaign:
    """The subject of *experiment* as *variant* would leave it.

    Raises:
        ExperimentRefused: If there is no such campaign any more, or the change cannot be made of it.
    """
    ref = experiment.campaign or ""
    subject = (
        replace(
            built_in(discount_percent=rt.settings.discount_percent).campaign,
            ref=experiment.ref,
            name=experiment.name,
            priority=-MAX_PRIORITY,
        )
        if ref == BUILT_IN
        else campaign_at(connection, rt, ref)
    )
    if subject is None:
        raise ExperimentRefused({"campaign": [f"there is no campaign {ref!r} any more."]})
    other = None if variant.campaign is None else campaign_at(connection, rt, variant.campaign)
    made = varied(subject, variant, other=other)
    if made is None:
        raise ExperimentRefused({"variant": [f"what {variant.name!r} changes cannot be made of {ref!r} any more."]})
    return made
