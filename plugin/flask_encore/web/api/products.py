"""The catalogue: what Encore may offer, with price and stock."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any

from flask import url_for
from marshmallow import Schema, fields, post_load, validate

from flask_encore.domain.orders import MAX_OPTION, MAX_OPTIONS, MAX_TITLE, Product, checked_title
from flask_encore.domain.scopes import Scope
from flask_encore.services import cataloguing, listings
from flask_encore.services.runtime import Runtime
from flask_encore.web.api import etags
from flask_encore.web.api.documents import Paged, PageSchema, page, there
from flask_encore.web.api.fields import Amount, Flag, Ref, Strict, Text, Whole
from flask_encore.web.api.identity import actor
from flask_encore.web.api.problems import Kind, Problem
from flask_encore.web.api.rooms import Room
from flask_encore.web.current import state

#: Products of one batch.
MOST = 1_000

room = Room(
    "encore_api_products", "Products", "What the shop sells: Encore offers nothing else, and at no other price."
)


def _title(name: str, value: object) -> str:
    return checked_title(value)


class ProductBodySchema(Strict):
    """A product, without its SKU."""

    title = Text(MAX_TITLE, least=1, check=_title, required=True)
    price = Amount(required=True, metadata={"description": "What it costs today, tax included."})
    stock = Whole(
        0,
        allow_none=True,
        load_default=None,
        metadata={"description": "Units Encore may still sell; null when the shop does not count them."},
    )
    category = Ref(allow_none=True, load_default=None)
    image_url = Text(2_000, allow_none=True, load_default=None, metadata={"description": "Begins with / or https://."})
    cost = Amount(
        allow_none=True, load_default=None, metadata={"description": "What it costs the shop; in the price's currency."}
    )
    active = Flag(load_default=True, metadata={"description": "False hides it from offers."})
    parent = Ref(allow_none=True, load_default=None, metadata={"description": "What this and others are variants of."})
    options = fields.Dict(
        keys=Text(MAX_OPTION, least=1),
        values=Text(MAX_OPTION, least=1),
        load_default=dict,
        metadata={
            "description": "What tells a variant from its siblings.",
            "examples": [{"Size": "L"}],
            "maxProperties": MAX_OPTIONS,
        },
    )
    was = Amount(
        allow_none=True,
        load_default=None,
        metadata={"description": "The lowest price of the last 30 days where a reduction is announced; above price."},
    )


class NewProductSchema(ProductBodySchema):
    """A product with its SKU."""

    sku = Ref(required=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Product:
        return self.made(Product, **data)


class ProductSchema(NewProductSchema):
    """A product as it stands."""

    version = fields.Function(
        cataloguing.version_of,
        required=True,
        metadata={"type": "string", "description": "Another one whenever anything changed; the ETag."},
    )


class ProductPageSchema(PageSchema):
    """Some of the catalogue."""

    items = fields.List(fields.Nested(ProductSchema), required=True)


class ProductQuery(Paged):
    """Which products."""

    category = Ref()
    active = Flag(in_query=True)


class BatchSchema(Strict):
    """Products to be written together."""

    items = fields.List(
        fields.Nested(NewProductSchema),
        required=True,
        validate=validate.Length(1, MOST, error=f"has to hold 1 to {MOST:,} products."),
    )


class WrittenSchema(Schema):
    """What a batch did."""

    written = fields.Integer(required=True)


@room.operation(HTTPMethod.GET, "/products", scope=Scope.PRODUCTS_READ, query=ProductQuery, answer=ProductPageSchema)
def list_products(query: dict[str, Any]) -> dict[str, Any]:
    """List products, by SKU."""
    return page("products", query, listings.products)


@room.operation(
    HTTPMethod.GET, "/products/<path:sku>", scope=Scope.PRODUCTS_READ, answer=ProductSchema, tag=etags.by_version
)
def get_product(sku: str) -> Product:
    """Read a product."""
    return there(cataloguing.find(state().runtime, sku), "product")


@room.operation(
    HTTPMethod.PUT,
    "/products/<path:sku>",
    scope=Scope.PRODUCTS_WRITE,
    body=ProductBodySchema,
    answer=ProductSchema,
    also=(201,),
    tag=etags.by_version,
    guarded=False,
)
def put_product(body: dict[str, Any], sku: str) -> Any:
    """Write a product, new or known.

    A new one needs no If-Match, and may be guarded by `If-None-Match: *`. A known one needs If-Match: its stock falls
    with every offer that is accepted, and a shop that counts would overwrite that.
    """
    rt = state().runtime
    product = ProductBodySchema().made(Product, sku=sku, **body)
    tag = etags.given()
    if tag is None:
        return _create(rt, product)
    try:
        cataloguing.replace(rt, product, actor=actor(), expected=None if tag == etags.ANY else tag)
    except cataloguing.Changed as changed:
        raise etags.stale(str(changed)) from None
    return product


@room.operation(
    HTTPMethod.POST,
    "/products/batch",
    scope=Scope.PRODUCTS_WRITE,
    body=BatchSchema,
    answer=WrittenSchema,
    key=False,
)
def write_products(body: dict[str, Any]) -> dict[str, Any]:
    """Write many products, new or known, all of them or none.

    Without If-Match: what is handed in is the shop's word, stock included. For the nightly export.
    """
    return {"written": cataloguing.write_all(state().runtime, body["items"], actor=actor())}


def _create(rt: Runtime, product: Product) -> Any:
    try:
        cataloguing.create(rt, product, actor=actor())
    except cataloguing.Known as known:
        if etags.wants_new():
            raise etags.stale(str(known)) from None
        raise Problem(
            Kind.PRECONDITION_REQUIRED,
            "There is such a product: send If-Match with its ETag, or * to write over it however it stands.",
        ) from None
    return product, 201, {"Location": url_for("encore_api_products.get_product", sku=product.sku)}
