"""Charges: the money side of accepted offers, and giving it back."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPMethod
from typing import Any

from marshmallow import Schema, fields

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.scopes import Scope
from flask_encore.domain.timeline import Source, changes
from flask_encore.services import listings, refunding
from flask_encore.services.runtime import Runtime
from flask_encore.store import charges
from flask_encore.web.api import etags
from flask_encore.web.api.documents import Paged, PageSchema, page, there
from flask_encore.web.api.fields import Amount, Moment, OneOf, Ref
from flask_encore.web.api.identity import actor
from flask_encore.web.api.problems import Kind, Problem, away
from flask_encore.web.api.rooms import Room
from flask_encore.web.current import state

room = Room("encore_api_charges", "Charges", "Accepted offers, where their money is, and how it got there.")

#: What a refund ends in, and what it does.
_BACK = {ChargeStatus.REFUNDED: 200, ChargeStatus.REFUNDING: 202}


class ChargeSchema(Schema):
    """A charge."""

    id = fields.String(required=True)
    order_ref = fields.String(required=True)
    placement = fields.String(required=True)
    step = fields.Integer(required=True)
    campaign_ref = fields.String(required=True, allow_none=True)
    sku = fields.String(required=True)
    second_sku = fields.String(required=True, allow_none=True)
    title = fields.String(required=True, allow_none=True)
    quantity = fields.Integer(required=True)
    amount = Amount(required=True)
    refunded = Amount(required=True, metadata={"description": "What went back so far."})
    tax = Amount(required=True, allow_none=True, metadata={"description": "Within the amount; null when not told."})
    cost = Amount(required=True, allow_none=True, metadata={"description": "Of its goods; null when not told."})
    fee = Amount(required=True, allow_none=True, metadata={"description": "What Stripe kept; null until it told."})
    status = OneOf(ChargeStatus, required=True)
    failure_code = fields.String(required=True, allow_none=True)
    quarantine_reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why nothing automatic touches it; null when all is well."},
    )
    payment_intent_ref = fields.String(required=True, allow_none=True)
    card_brand = fields.String(required=True)
    card_last4 = fields.String(required=True)
    consent_version = fields.String(required=True, metadata={"description": "Which wording the shopper accepted."})
    accepted_at = Moment(required=True)
    charged_at = Moment(required=True, allow_none=True)
    undo_until = Moment(required=True, allow_none=True, metadata={"description": "Do not fulfil before."})
    hold_released_at = Moment(required=True, allow_none=True)
    reviewed_at = Moment(required=True, allow_none=True)


class RefundSchema(Schema):
    """One refund of a charge."""

    amount = Amount(required=True)
    cause = fields.String(required=True, metadata={"enum": ["undo", "merchant"]})
    actor = fields.String(required=True)
    status = fields.String(required=True, metadata={"enum": ["requested", "pending", "succeeded", "failed"]})
    requested_at = Moment(required=True)
    settled_at = Moment(required=True, allow_none=True)


class ChangeSchema(Schema):
    """One line of a charge's history."""

    at = Moment(required=True)
    status = OneOf(ChargeStatus, required=True)
    source = OneOf(Source, required=True, metadata={"description": "Who brought it about, or the news of it."})
    detail = fields.String(required=True)


class ChargeWithHistorySchema(ChargeSchema):
    """A charge with everything that happened to it."""

    refunds = fields.List(fields.Nested(RefundSchema), required=True)
    timeline = fields.List(fields.Nested(ChangeSchema), required=True, metadata={"description": "Oldest first."})


class ChargePageSchema(PageSchema):
    """Some of the charges."""

    items = fields.List(fields.Nested(ChargeSchema), required=True)


class ChargeQuery(Paged):
    """Which charges."""

    order_ref = Ref()
    status = OneOf(ChargeStatus)


@room.operation(HTTPMethod.GET, "/charges", scope=Scope.CHARGES_READ, query=ChargeQuery, answer=ChargePageSchema)
def list_charges(query: dict[str, Any]) -> dict[str, Any]:
    """List charges, the last accepted first."""
    return page("charges", query, listings.charges)


@room.operation(
    HTTPMethod.GET,
    "/charges/<id>",
    scope=Scope.CHARGES_READ,
    answer=ChargeWithHistorySchema,
    tag=etags.by_content,
)
def get_charge(id: str) -> Any:
    """Read a charge, with its refunds and its history."""
    return _whole(state().runtime, id)


@room.operation(
    HTTPMethod.POST,
    "/charges/<id>/refund",
    scope=Scope.CHARGES_REFUND,
    answer=ChargeWithHistorySchema,
    also=(202,),
    key=True,
)
def refund_charge(id: str) -> Any:
    """Give a charge's money back, all that is left of it.

    Needs an Idempotency-Key, because money moves. 200 once it is back, 202 while the bank takes its time. A charge that
    is refunded already is answered as it stands, and nothing moves a second time, whoever asks.
    """
    rt = state().runtime
    with rt.db.read() as connection:
        charge = charges.find(connection, id)
    if charge is None or charge.account != rt.account:
        raise Problem(Kind.NOT_FOUND, "There is no such charge.")
    if charge.status not in _BACK:
        if charge.quarantine_reason:
            raise Problem(Kind.CONFLICT, "This charge is quarantined: look at it on the dashboard first.")
        if charge.status is ChargeStatus.SUCCEEDED and rt.gateway is None and not charge.is_free:
            raise away("Encore has no Stripe key, so it cannot ask for a refund; nothing was refunded.")
        charge = refunding.refund(rt, charge, actor=actor())
    if charge.status not in _BACK:
        raise Problem(
            Kind.CONFLICT, f"This charge is {charge.status}; only what succeeded, and Stripe takes back, is refunded."
        )
    return _whole(rt, id), _BACK[charge.status]


def _whole(rt: Runtime, id: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = there(listings.charge(rt, id), "charge")
    return {**found, "timeline": changes(found["timeline"])}
