"""What one app keeps of Encore: ``app.extensions["flask-encore"]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask, current_app

from flask_encore.config import EXTENSION
from flask_encore.domain.errors import ConfigurationError
from flask_encore.services.runtime import Runtime
from flask_encore.services.working import Worker
from flask_encore.web.phrases import Catalogues
from flask_encore.web.tokens import Tokens

#: Decides who may see the merchant's pages: an actor's name lets in, ``None`` or False answers 403, a response is sent.
AdminGuard = Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppState:
    """The parts of one app that its web pages use."""

    runtime: Runtime
    tokens: Tokens
    admin_guard: AdminGuard | None
    worker: Worker
    catalogues: Catalogues


def state(app: Flask | None = None) -> AppState:
    """The state of *app*, or of the current one.

    Raises:
        ConfigurationError: If Encore is not bound to that app.
    """
    found = (app or current_app).extensions.get(EXTENSION)
    if found is None:
        raise ConfigurationError("Encore is not bound to this app; call encore.init_app(app) where the app is made.")
    return cast(AppState, found)
