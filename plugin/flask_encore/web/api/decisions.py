"""The decision log: what every order was offered, or why nothing."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any

from marshmallow import Schema, fields

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.offers import Outcome
from flask_encore.domain.scopes import Scope
from flask_encore.services import listings
from flask_encore.web.api import etags
from flask_encore.web.api.documents import Paged, PageSchema, page, there
from flask_encore.web.api.fields import Amount, Moment, OneOf, Ref
from flask_encore.web.api.rooms import Room
from flask_encore.web.current import state

room = Room(
    "encore_api_decisions", "Decisions", "One for every order, page and step: what was offered, to whom, and why."
)


class DecisionSchema(Schema):
    """A decision, and the offer in it."""

    id = fields.String(required=True)
    order_ref = fields.String(required=True)
    placement = fields.String(required=True)
    step = fields.Integer(required=True, metadata={"description": "In a sequence of offers, from 0."})
    outcome = OneOf(Outcome, required=True)
    reason = fields.String(required=True)
    arm = fields.String(
        required=True, metadata={"description": "treatment or holdout; empty when nobody was dealt one."}
    )
    customer_ref = fields.String(required=True, allow_none=True)
    campaign_ref = fields.String(required=True, allow_none=True)
    campaign_version = fields.Integer(required=True, allow_none=True)
    sku = fields.String(required=True, allow_none=True)
    second_sku = fields.String(required=True, allow_none=True, metadata={"description": "Of a bundle."})
    title = fields.String(required=True, allow_none=True)
    quantity = fields.Integer(required=True, allow_none=True)
    total = Amount(required=True, allow_none=True, metadata={"description": "What accepting it costs."})
    propensity = fields.Float(
        required=True, allow_none=True, metadata={"description": "How likely this product was to be chosen here."}
    )
    model_version = fields.String(required=True)
    latency_us = fields.Integer(required=True, metadata={"description": "Microseconds deciding took."})
    decided_at = Moment(required=True)
    expires_at = Moment(required=True)
    shown_at = Moment(required=True, allow_none=True)
    declined_at = Moment(required=True, allow_none=True)
    sold_out_at = Moment(required=True, allow_none=True)
    charge_status = OneOf(
        ChargeStatus, required=True, allow_none=True, metadata={"description": "null while nobody accepted."}
    )


class DecisionWithCandidatesSchema(DecisionSchema):
    """A decision with everything that was weighed."""

    candidates = fields.List(
        fields.Dict(), required=True, metadata={"description": "Best first, each with its scores and what refused it."}
    )
    campaigns_asked = fields.List(
        fields.Dict(), required=True, metadata={"description": "Each with what it answered, and why."}
    )
    exposures = fields.Dict(
        required=True, allow_none=True, metadata={"description": "Experiment -> variant this decision took part in."}
    )


class DecisionPageSchema(PageSchema):
    """Some of the decision log."""

    items = fields.List(fields.Nested(DecisionSchema), required=True)


class DecisionQuery(Paged):
    """Which decisions."""

    order_ref = Ref()
    outcome = OneOf(Outcome)
    campaign_ref = Ref()


@room.operation(
    HTTPMethod.GET, "/decisions", scope=Scope.DECISIONS_READ, query=DecisionQuery, answer=DecisionPageSchema
)
def list_decisions(query: dict[str, Any]) -> dict[str, Any]:
    """List decisions, newest first."""
    return page("decisions", query, listings.decisions)


@room.operation(
    HTTPMethod.GET,
    "/decisions/<id>",
    scope=Scope.DECISIONS_READ,
    answer=DecisionWithCandidatesSchema,
    tag=etags.by_content,
)
def get_decision(id: str) -> Any:
    """Read a decision, with what was weighed."""
    return there(listings.decision(state().runtime, id), "decision")
