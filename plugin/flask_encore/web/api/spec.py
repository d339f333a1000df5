"""The API's description: flask-smorest's, which here leaves the host's error pages, keys and commands to the host."""

from __future__ import annotations

from threading import Lock
from typing import Any

import flask_smorest
from flask import Flask
from marshmallow import Schema, fields

from flask_encore.web.api import problems
from flask_encore.web.api.rooms import Room

VERSION = "1"

#: flask-smorest reads its own keys with this before them; Encore knows no such key, so nobody's are read.
CONFIG_PREFIX = "ENCORE_REST"

ABOUT = """\
What the shop and its systems hand to Encore and ask of it: products, paid orders, decisions, campaigns, experiments,
charges, models and reports.

Amounts are whole minor units with their currency. Times are RFC 3339, in UTC. Every refusal is a problem document.
"""


class FaultSchema(Schema):
    """One thing that is wrong."""

    detail = fields.String(required=True, metadata={"description": "A sentence with the fix."})
    pointer = fields.String(metadata={"description": "Where in the body: a JSON Pointer, as a URI fragment."})
    parameter = fields.String(metadata={"description": "Or which parameter of query, path or headers."})


class ProblemSchema(Schema):
    """Why something was refused (RFC 9457)."""

    type = fields.String(required=True, metadata={"description": "Where the kind of problem is explained."})
    title = fields.String(required=True)
    status = fields.Integer(required=True, metadata={"minimum": 400, "maximum": 599})
    code = fields.String(
        required=True,
        metadata={"description": "What clients may branch on.", "enum": [kind.value for kind in problems.Kind]},
    )
    detail = fields.String(required=True, metadata={"description": "What happened, in a sentence."})
    errors = fields.List(fields.Nested(FaultSchema), metadata={"description": "Everything that is wrong, each where."})


class Api(flask_smorest.Api):
    """One description of one app.

    flask-smorest answers every error of the app in JSON, describes errors as ``application/json``, and adds a command
    ``openapi`` to the app; a host that uses it itself wants that once, and one that does not wants none of it.
    """

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask) -> None:
        spec = {
            "title": "Encore",
            "version": VERSION,
            "openapi_version": "3.1.0",
            "info": {"description": ABOUT},
            "components": {
                "securitySchemes": {
                    "bearer": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "A token of the settings page, with the scope the operation names.",
                    }
                }
            },
        }
        self._rooms: list[Room] = []
        self._described: dict[str, Any] | None = None
        self._describing = Lock()
        commands = dict(app.cli.commands)
        super().__init__(app, spec_kwargs=spec, config_prefix=CONFIG_PREFIX)
        if "openapi" in commands:
            app.cli.commands["openapi"] = commands["openapi"]
        else:
            app.cli.commands.pop("openapi", None)

    def add(self, room: Room, *, url_prefix: str) -> None:
        """Put *room* into the app, and later into the description."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][room.name] = self
        self._app.register_blueprint(room, url_prefix=url_prefix)
        self._rooms.append(room)

    @property
    def description(self) -> dict[str, Any]:
        """The whole of it, as JSON values; made when it is first asked for, not when the app starts."""
        with self._describing:
            if self._described is None:
                for room in (room for room in self._rooms if room.title):
                    room.register_views_in_doc(self, self._app, self.spec, name=room.name, parameters=None)
                    self.spec.tag({"name": room.title, "description": room.description})
                self._described = self.spec.to_dict()
            return self._described

    def _register_error_handlers(self) -> None:
        """None for the app: the rooms have their own."""

    def _register_pagination_header(self) -> None:
        """None: pages are in the body, see `documents`."""

    def _register_responses(self) -> None:
        # The components are made from these when they are first named; what is changed later changes nothing.
        self.DEFAULT_RESPONSE_CONTENT_TYPE = problems.MEDIA_TYPE
        super()._register_responses()
        del self.DEFAULT_RESPONSE_CONTENT_TYPE
