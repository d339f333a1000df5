"""Campaigns: the merchant's own offers, in the same JSON as their files."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any

from flask import Response, request, url_for
from marshmallow import INCLUDE, Schema, fields

from flask_encore.domain.campaigns import CampaignStatus
from flask_encore.domain.scopes import Scope
from flask_encore.services import campaigning
from flask_encore.services.campaign_schema import CampaignRefused, definition_of
from flask_encore.services.campaigning import Conflict, NotFound, Saved
from flask_encore.web.api import etags
from flask_encore.web.api.documents import checked_by_reader, refused, there
from flask_encore.web.api.fields import Moment, OneOf, Strict
from flask_encore.web.api.identity import actor
from flask_encore.web.api.problems import Fault, Kind, Problem, document
from flask_encore.web.api.rooms import Room
from flask_encore.web.current import state

room = Room(
    "encore_api_campaigns",
    "Campaigns",
    "The merchant's own offers, in the JSON of their files.",
)


class CampaignDefinitionSchema(Schema):
    """A campaign, as in a file of campaigns. Every error is told at once, with its place."""

    class Meta:
        unknown = INCLUDE  # refused by the reader, with what was meant

    ref = checked_by_reader("string", "Its key; it never changes.")
    name = checked_by_reader("string", "What the merchant calls it.")
    status = fields.Raw(
        metadata={
            "type": "string",
            "description": "draft when not said.",
            "examples": [one.value for one in CampaignStatus],
        }
    )
    priority = checked_by_reader("integer", "The highest that applies speaks first.")
    placement = checked_by_reader("string", "thank_you, order_status or dialog.")
    begins = checked_by_reader("boolean", "False for one that only follows another.")
    rule = checked_by_reader(["object", "null"], "Which orders it is for.")
    offer = checked_by_reader("object", "What it offers: an object with a kind.")
    on_accept = checked_by_reader(["string", "null"], "The ref of the campaign that follows a yes.")
    on_decline = checked_by_reader(["string", "null"], "The ref of the campaign that follows a no.")
    starts_at = checked_by_reader(["string", "null"], "In the shop's wall time.")
    ends_at = checked_by_reader(["string", "null"], "In the shop's wall time.")
    limits = checked_by_reader("object", "How often one customer sees it.")
    budget = checked_by_reader(["object", "null"], "How much it sells at most.")
    timer_minutes = checked_by_reader(["integer", "null"], "A true timer; null for none.")
    copy = checked_by_reader("object", "The merchant's own words, by language.")


class CampaignSchema(Schema):
    """A campaign as it is stored."""

    ref = fields.Function(lambda saved: saved.campaign.ref, required=True, metadata={"type": "string"})
    status = fields.Function(
        lambda saved: saved.campaign.status.value,
        required=True,
        metadata={"type": "string", "enum": [one.value for one in CampaignStatus]},
    )
    version = fields.Integer(required=True, metadata={"description": "Counts the changes; the ETag."})
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    updated_by = fields.String(required=True)
    definition = fields.Function(
        lambda saved: definition_of(saved.campaign),
        required=True,
        metadata={"type": "object", "description": "As in a file; what has its default is left out."},
    )


class CampaignsSchema(Schema):
    """Every campaign."""

    items = fields.List(fields.Nested(CampaignSchema), required=True)


class StatusSchema(Strict):
    """What becomes of a campaign."""

    status = OneOf(CampaignStatus, required=True)


@room.operation(HTTPMethod.GET, "/campaigns", scope=Scope.CAMPAIGNS_READ, answer=CampaignsSchema)
def list_campaigns() -> dict[str, Any]:
    """List every campaign, by ref."""
    return {"items": campaigning.listed(state().runtime)}


@room.operation(
    HTTPMethod.GET, "/campaigns/<ref>", scope=Scope.CAMPAIGNS_READ, answer=CampaignSchema, tag=etags.by_version
)
def get_campaign(ref: str) -> Saved:
    """Read a campaign."""
    return there(campaigning.find(state().runtime, ref), "campaign")


@room.operation(
    HTTPMethod.POST,
    "/campaigns",
    scope=Scope.CAMPAIGNS_WRITE,
    body=CampaignDefinitionSchema,
    answer=CampaignSchema,
    status=201,
    tag=etags.by_version,
    key=False,
)
def create_campaign(body: dict[str, Any]) -> Any:
    """Create a campaign. 409 when there is one of its ref."""
    saved = campaigning.save(state().runtime, body, actor=actor(), expected=None)
    return saved, 201, {"Location": url_for("encore_api_campaigns.get_campaign", ref=saved.campaign.ref)}


@room.operation(
    HTTPMethod.PUT,
    "/campaigns/<ref>",
    scope=Scope.CAMPAIGNS_WRITE,
    body=CampaignDefinitionSchema,
    answer=CampaignSchema,
    tag=etags.by_version,
    guarded=True,
)
def replace_campaign(body: dict[str, Any], ref: str) -> Saved:
    """Write a campaign's definition anew, the whole of it."""
    rt, version = state().runtime, etags.version()
    saved = there(campaigning.find(rt, ref), "campaign")
    if body.get("ref") != ref:
        fault = Fault(detail=f"has to be {ref!r}, as in the address: a ref never changes.", pointer="#/ref")
        raise Problem(Kind.INVALID, "The body cannot be used; see errors.", errors=[fault])
    return campaigning.save(rt, body, actor=actor(), expected=saved.version if version is None else version)


@room.operation(
    HTTPMethod.POST,
    "/campaigns/<ref>/status",
    scope=Scope.CAMPAIGNS_WRITE,
    body=StatusSchema,
    answer=CampaignSchema,
    tag=etags.by_version,
    guarded=True,
    key=False,
)
def set_campaign_status(body: dict[str, Any], ref: str) -> Saved:
    """Put a campaign live, pause it or end it. An ended one stays ended."""
    return campaigning.set_status(state().runtime, ref, body["status"], actor=actor(), expected=etags.version())


@room.operation(
    HTTPMethod.DELETE,
    "/campaigns/<ref>",
    scope=Scope.CAMPAIGNS_WRITE,
    answer=None,
    status=204,
    guarded=True,
    refuses=(422,),
)
def remove_campaign(ref: str) -> Response:
    """Take a draft away. What was ever live is ended instead: orders were decided by it."""
    rt, version = state().runtime, etags.version()
    if version is None:
        version = there(campaigning.find(rt, ref), "campaign").version
    campaigning.remove(rt, ref, actor=actor(), expected=version)
    return Response(status=204)


def _conflict(conflict: Conflict) -> Response:
    kind = Kind.PRECONDITION_FAILED if "If-Match" in request.headers else Kind.CONFLICT
    return document(Problem(kind, str(conflict)))


def _not_there(_error: NotFound) -> Response:
    return document(Problem(Kind.NOT_FOUND, "There is no such campaign."))


room.register_error_handler(CampaignRefused, refused)
room.register_error_handler(Conflict, _conflict)
room.register_error_handler(NotFound, _not_there)
