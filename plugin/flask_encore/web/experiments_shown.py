"""Finding an experiment for a page, and saying that there is none."""

from __future__ import annotations

from flask import Response

from flask_encore.services import experimenting
from flask_encore.services.experiment_schema import ExperimentRefused
from flask_encore.services.experimenting import Saved
from flask_encore.services.runtime import Runtime
from flask_encore.web.campaign_pages import is_readable
from flask_encore.web.dashboard_frame import message


def find(rt: Runtime, ref: str) -> Saved | None:
    """The experiment; one that this release cannot read is as good as none."""
    try:
        return experimenting.find(rt, ref) if is_readable(ref) else None
    except ExperimentRefused:
        return None


def no_such_experiment() -> Response:
    """Of that ref, in this account."""
    return message(404, "There is no such experiment", "Nothing was changed. The list has all there are.")
