"""Campaigns as a file: taken out as they would stand in git, and put in after a look at what that changes."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, g, request

from flask_encore.domain.rights import Right
from flask_encore.services import campaign_files, campaigning
from flask_encore.services.campaign_schema import CampaignRefused
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import changes_something, is_sealed, needs, on_database, page, see, url

#: Bytes of a file: between the look and the import it travels through a form, of which servers take half a megabyte
#: of text. Several hundred campaigns; ``flask encore campaigns import`` takes more.
LARGEST_FILE = 400_000

#: Errors of a file that are shown; whoever has more repairs these first.
MOST_ERRORS = 50

NOT_IMPORTED = "Nothing was imported"


def add_to(blueprint: Blueprint) -> None:
    """The routes of the file."""
    blueprint.get("/dashboard/campaigns/export")(export_campaigns)
    blueprint.get("/dashboard/campaigns/import")(ask_import)
    blueprint.post("/dashboard/campaigns/import")(import_campaigns)


@needs(Right.READ)
@on_database
def export_campaigns() -> Response:
    """Every campaign as one file, the same that ``flask encore campaigns export`` writes."""
    return Response(
        campaign_files.written(campaigning.export(state().runtime)),
        mimetype="application/json",
        headers={"Content-Disposition": 'attachment; filename="campaigns.json"'},
    )


@needs(Right.EDIT)
@on_database
def ask_import() -> Response:
    """Ask for a file."""
    return _page()


@needs(Right.EDIT)
@on_database
@changes_something(NOT_IMPORTED)
def import_campaigns() -> Response:
    """A file is looked at and told about; its second, confirmed, way here imports it. All of it, or nothing."""
    if not is_sealed():
        return _page(status=403, stale=True)
    content, refusal = _content()
    if refusal:
        return _page(status=422, errors=[refusal])
    confirmed = request.form.get("confirmed") == "yes"
    try:
        document = campaign_files.parsed(content)
        told = campaigning.import_(state().runtime, document, actor=g.encore_actor, dry_run=not confirmed)
    except CampaignRefused as refused:
        return _page(status=422, errors=refused.sentences())
    if confirmed:
        return see(url("campaigns"))
    return _page(told=told, document=json.dumps(document, ensure_ascii=False, separators=(",", ":")))


def _content() -> tuple[bytes | str, str]:
    """What is in the file, or why there is nothing."""
    if "document" in request.form:
        return request.form["document"], ""
    file = request.files.get("file")
    data = file.read(LARGEST_FILE + 1) if file else b""
    if not data:
        return b"", "Choose a file first."
    if len(data) > LARGEST_FILE:
        return b"", "The file is too large for this page; use “flask encore campaigns import”."
    return data, ""


def _page(
    *, status: int = 200, stale: bool = False, errors: list[str] | None = None, told: Any = None, document: str = ""
) -> Response:
    found = errors or []
    return page(
        "campaign_import.html",
        status=status,
        here="campaigns",
        stale=stale,
        errors=found[:MOST_ERRORS],
        more_errors=max(len(found) - MOST_ERRORS, 0),
        told=told,
        document=document,
    )
