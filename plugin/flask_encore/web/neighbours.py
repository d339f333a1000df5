"""Get along with the host's other extensions, whichever of us came first.

They may be set up before Encore or after it, so each is met when an app context is pushed: cheap, and idempotent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, appcontext_pushed

#: Our tables' names begin with this; the host's migrations are told to leave them alone.
TABLES = "encore_"


def install(app: Flask, blueprints: list[Blueprint]) -> None:
    """Meet every neighbour of *app* as soon as it is there."""
    met: set[str] = set()

    def meet(_sender: Flask, **_: Any) -> None:
        for name, greet in (("csrf", _csrf), ("limiter", _limiter), ("migrate", _migrate)):
            if name in app.extensions and name not in met:
                met.add(name)
                greet(app.extensions[name], blueprints)

    # A strong reference: the receiver lives as long as the app does.
    appcontext_pushed.connect(meet, app, weak=False)


def _csrf(extension: Any, blueprints: list[Blueprint]) -> None:
    """Flask-WTF: our routes carry a signed token or Stripe's signature instead of the host's CSRF field."""
    for blueprint in blueprints:
        extension.exempt(blueprint)


def _limiter(extension: Any, blueprints: list[Blueprint]) -> None:
    """Flask-Limiter: the host's default limits are for its own pages; Stripe delivers in bursts."""
    for limiter in extension if isinstance(extension, set | list | tuple) else [extension]:
        for blueprint in blueprints:
            limiter.exempt(blueprint)


def _migrate(extension: Any, _blueprints: list[Blueprint]) -> None:
    """Flask-Migrate: tables it does not know would be dropped by the host's next autogenerate."""
    arguments: dict[str, Any] = extension.configure_args
    before: Callable[..., bool] | None = arguments.get("include_name")

    def include_name(name: str | None, type_: str, parent_names: Any) -> bool:
        if type_ == "table" and name is not None and name.startswith(TABLES):
            return False
        return before(name, type_, parent_names) if before is not None else True

    arguments["include_name"] = include_name
