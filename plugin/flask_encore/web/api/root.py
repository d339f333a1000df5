"""What stands at the root: what this is, its description, its documentation, and the answer for everything else."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any

from flask import Response, current_app, jsonify, request, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from flask_encore.web import policies
from flask_encore.web.api import handbook
from flask_encore.web.api.current import api_state
from flask_encore.web.api.problems import Kind, Problem
from flask_encore.web.api.rooms import Room
from flask_encore.web.api.spec import VERSION
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import asset_url, environment

#: In the name of the endpoints; `problems` links to the documentation by it.
NAME = "encore_api"

#: It says what the API can do, and nothing of the shop.
EVERYBODY = "everybody: it says nothing of the shop"

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

#: The endpoint of every address that no room has.
THE_REST = f"{NAME}.nothing_here"

#: Not in the description: it is the description.
#: Our stylesheet and the drawing in the page itself; no script at all.
POLICY = "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'"

root = Room(NAME, "", "")


@root.open(HTTPMethod.GET, "", EVERYBODY)
def index() -> Response:
    """What this is, and where it is described."""
    return jsonify(
        name="Encore",
        version=VERSION,
        description=url_for(f"{NAME}.description"),
        documentation=url_for(f"{NAME}.documentation"),
    )


@root.open(HTTPMethod.GET, "/openapi.json", EVERYBODY)
def description() -> Response:
    """The description, OpenAPI 3.1."""
    described: dict[str, Any] = api_state().api.description
    # Below a prefix the host is mounted at, which only a request knows.
    return jsonify(described | {"servers": [{"url": request.script_root or "/"}]})


@root.open(HTTPMethod.GET, "/docs", EVERYBODY)
def documentation() -> Response:
    """The documentation, for people: whole without JavaScript, and nothing in it from elsewhere."""
    described = api_state().api.description
    html = (
        environment()
        .get_template("encore/api/docs.html")
        .render(
            css_url=asset_url("dashboard.css"),
            version=VERSION,
            description_url=url_for(f"{NAME}.description"),
            root_url=url_for(f"{NAME}.index"),
            server=request.host_url.rstrip("/"),
            per_minute=state().runtime.settings.api_requests_per_minute,
            sections=handbook.sections(described, server=request.host_url.rstrip("/")),
            documents=handbook.documents(described),
            problems=handbook.problems(),
        )
    )
    return Response(html, mimetype="text/html", headers={"Content-Security-Policy": POLICY})


@policies.open_to(EVERYBODY)
def nothing_here(**_path: str) -> Response:
    """What has no route: 404, or 405 with what can be done, or what OPTIONS asks."""
    adapter = current_app.create_url_adapter(request)
    assert adapter is not None
    allowed = [method for method in _METHODS if _is_routed(adapter, method)]
    if not allowed:
        raise Problem(Kind.NOT_FOUND, "There is nothing at this address.")
    told = {"Allow": ", ".join([*allowed, "OPTIONS"])}
    if request.method == "OPTIONS":
        return Response(status=204, headers=told)
    raise Problem(Kind.METHOD_NOT_ALLOWED, f"{request.method} cannot be used here.", headers=told)


def _is_routed(adapter: MapAdapter, method: str) -> bool:
    try:
        endpoint, _ = adapter.match(method=method)
    except HTTPException:
        return False
    return bool(endpoint != THE_REST)


def _take_the_rest(setup: BlueprintSetupState) -> None:
    """Take every address below the prefix, in whatever method: what routing refuses, the host answers in HTML."""
    app, prefix = setup.app, setup.url_prefix
    for path in (prefix, f"{prefix}/", f"{prefix}/<path:rest>"):
        # Flask's own way in knows no rule for every method, and would answer OPTIONS itself.
        app.url_map.add(app.url_rule_class(path, endpoint=THE_REST, merge_slashes=False, strict_slashes=True))
    app.view_functions[THE_REST] = nothing_here


root.record(_take_the_rest)
