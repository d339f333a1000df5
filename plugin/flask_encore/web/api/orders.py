"""Paid orders: hand them over, and read what became of them."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any

from flask import url_for
from marshmallow import Schema, fields, post_load, validate

from flask_encore.domain.errors import OrderConflict
from flask_encore.domain.orders import MAX_LOCALE, MAX_QUANTITY, MAX_TITLE, MAX_WORDS, OrderLine, PaidOrder
from flask_encore.domain.scopes import Scope
from flask_encore.services import listings, recording
from flask_encore.services.recording import Recorded
from flask_encore.web.api import etags
from flask_encore.web.api.decisions import DecisionSchema
from flask_encore.web.api.documents import Paged, PageSchema, page, there
from flask_encore.web.api.fields import Amount, Currency, Moment, Ref, Strict, Text, Whole
from flask_encore.web.api.problems import Kind, Problem, away
from flask_encore.web.api.rooms import Room
from flask_encore.web.current import state

#: Lines of one order; no basket of a shop's till has more.
MOST_LINES = 1_000

room = Room("encore_api_orders", "Orders", "Orders that are paid. Encore never changes one.")


class LineSchema(Strict):
    """One line of an order."""

    sku = Ref(required=True)
    title = Text(MAX_TITLE, least=1, required=True)
    quantity = Whole(1, MAX_QUANTITY, required=True)
    unit_price = Amount(required=True, metadata={"description": "Per piece, after the shop's own discounts."})

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> OrderLine:
        return self.made(OrderLine, **data)


class NewOrderSchema(Strict):
    """An order that was paid."""

    order_ref = Ref(required=True, metadata={"description": "The shop's key of the order."})
    placed_at = Moment(required=True)
    lines = fields.List(
        fields.Nested(LineSchema),
        required=True,
        validate=validate.Length(1, MOST_LINES, error=f"has to hold 1 to {MOST_LINES:,} lines."),
    )
    total = Amount(required=True, metadata={"description": "What was paid, shipping and tax included."})
    payment_intent_ref = Ref(required=True, metadata={"description": "The Stripe PaymentIntent that paid it."})
    customer_ref = Ref(
        allow_none=True, load_default=None, metadata={"description": "The shop's key of the shopper; null for a guest."}
    )
    country = fields.String(
        allow_none=True,
        load_default=None,
        metadata={"description": "ISO 3166, two letters.", "pattern": "^[A-Za-z]{2}$"},
    )
    locale = Text(MAX_LOCALE, least=1, load_default="en", metadata={"description": "The page's language tag."})
    discount_codes = fields.List(Ref(), allow_none=True, load_default=None, validate=validate.Length(max=MAX_WORDS))
    loyalty_tier = Text(allow_none=True, load_default=None)
    tags = fields.List(Ref(), allow_none=True, load_default=None, validate=validate.Length(max=MAX_WORDS))

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> PaidOrder:
        return self.made(PaidOrder, currency=data["total"].currency, **data)


class OrderSchema(Schema):
    """An order as it was recorded."""

    order_ref = fields.String(required=True)
    placed_at = Moment(required=True)
    recorded_at = Moment(required=True)
    currency = Currency(required=True)
    lines = fields.List(fields.Nested(LineSchema), required=True)
    total = Amount(required=True)
    payment_intent_ref = fields.String(required=True)
    customer_ref = fields.String(required=True, allow_none=True)
    country = fields.String(required=True, allow_none=True)
    locale = fields.String(required=True)
    discount_codes = fields.List(fields.String(), required=True, allow_none=True)
    loyalty_tier = fields.String(required=True, allow_none=True)
    tags = fields.List(fields.String(), required=True, allow_none=True)
    ineligible_reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why its card cannot be charged again; null when it can."},
    )
    model_version = fields.String(required=True, metadata={"description": "What ranked it; may be empty."})


class OrderWithDecisionsSchema(OrderSchema):
    """An order with every decision about it."""

    decisions = fields.List(fields.Nested(DecisionSchema), required=True)


class OrderPageSchema(PageSchema):
    """Some of the orders."""

    items = fields.List(fields.Nested(OrderSchema), required=True)


class OrderQuery(Paged):
    """Which orders."""

    customer_ref = Ref()


class RecordedSchema(Schema):
    """What became of an order that was handed over."""

    order_ref = fields.String(required=True)
    recorded = fields.String(
        required=True,
        metadata={"enum": [Recorded.NEW.value, Recorded.DUPLICATE.value], "description": "The first time, or again."},
    )


@room.operation(
    HTTPMethod.POST,
    "/orders",
    scope=Scope.ORDERS_WRITE,
    body=NewOrderSchema,
    answer=RecordedSchema,
    status=201,
    also=(200,),
    key=False,
)
def record_order(body: PaidOrder) -> Any:
    """Hand over a paid order.

    Idempotent by its `order_ref`, with or without an Idempotency-Key: 201 the first time, 200 with the same content
    again, 409 with another content. Stripe is asked about the payment; what it says decides whether there is an offer.
    """
    try:
        recorded = recording.record(state().runtime, body)
    except OrderConflict as conflict:
        raise Problem(Kind.CONFLICT, str(conflict)) from None
    if recorded is Recorded.NOT_RECORDED:
        raise away("The order could not be written down now; hand it over again.")
    told = {"order_ref": body.order_ref, "recorded": recorded.value}
    location = url_for("encore_api_orders.get_order", order_ref=body.order_ref)
    return told, 201 if recorded is Recorded.NEW else 200, {"Location": location}


@room.operation(HTTPMethod.GET, "/orders", scope=Scope.ORDERS_READ, query=OrderQuery, answer=OrderPageSchema)
def list_orders(query: dict[str, Any]) -> dict[str, Any]:
    """List orders, the last recorded first."""
    return page("orders", query, listings.orders)


@room.operation(
    HTTPMethod.GET,
    "/orders/<path:order_ref>",
    scope=Scope.ORDERS_READ,
    answer=OrderWithDecisionsSchema,
    tag=etags.by_content,
)
def get_order(order_ref: str) -> Any:
    """Read an order, with every decision about it."""
    return there(listings.order(state().runtime, order_ref), "order")
