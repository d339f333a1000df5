"""The REST API, under ``/encore/api/v1``: flask-smorest, with everything of the host left to the host.

Each resource is a room of its own; what they share is beside them. Nothing here decides anything: services do.
"""

from __future__ import annotations

from flask import Blueprint, Flask

from flask_encore.config import Settings
from flask_encore.services.runtime import Counts
from flask_encore.web.api import campaigns, charges, decisions, experiments, models, orders, products, reports
from flask_encore.web.api.current import EXTENSION, ApiState
from flask_encore.web.api.cursors import Cursors
from flask_encore.web.api.limiting import Limiter
from flask_encore.web.api.root import root
from flask_encore.web.api.spec import VERSION, Api

#: In the order of the documentation.
ROOMS = (
    products.room,
    orders.room,
    decisions.room,
    charges.room,
    campaigns.room,
    experiments.room,
    models.room,
    reports.room,
)


def install(app: Flask, settings: Settings, *, counts: Counts) -> list[Blueprint]:
    """Put the API into *app*; answers its blueprints.

    Raises:
        ConfigurationError: If the storage of the rate limits cannot be used.
    """
    limiter = Limiter(settings.rate_limit_storage, per_minute=settings.api_requests_per_minute, counts=counts)
    api = Api(app)
    app.extensions[EXTENSION] = ApiState(
        api=api, limiter=limiter, cursors=Cursors(settings.secret_keys, account=settings.stripe_account)
    )
    prefix = f"{settings.url_prefix}/api/v{VERSION}"
    for room in (*ROOMS, root):
        api.add(room, url_prefix=prefix)
    return [*ROOMS, root]
