"""What one app keeps of the API: ``app.extensions["flask-encore-api"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from flask import current_app

from flask_encore.web.api.cursors import Cursors
from flask_encore.web.api.limiting import Limiter

EXTENSION = "flask-encore-api"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiState:
    """The parts of one app that its API uses.

    Attributes:
        api: The `spec.Api`, which knows the description.
    """

    api: Any
    limiter: Limiter
    cursors: Cursors


def api_state() -> ApiState:
    """The API's parts of the current app."""
    return cast(ApiState, current_app.extensions[EXTENSION])
