"""Statements that fetch products for a decision."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from flask_encore.domain.orders import Product
from flask_encore.store.catalog import product_of
from flask_encore.store.models import products


def fetched(connection: sa.Connection, refs: Collection[str]) -> list[Product]:
    """Every product whose sku, or whose parent, is among *refs*."""
    named = sorted(refs)
    if not named:
        return []
    wanted = sa.or_(products.c.sku.in_(named), products.c.parent.in_(named))
    return [product_of(row) for row in connection.execute(sa.select(products).where(wanted)).mappings()]


def sorted_by(connection: sa.Connection, skus: Collection[str]) -> dict[str, tuple[str | None, str | None]]:
    """(category, parent) of every product among *skus*."""
    rows = connection.execute(
        sa.select(products.c.sku, products.c.category, products.c.parent).where(products.c.sku.in_(sorted(skus)))
    )
    return {row.sku: (row.category, row.parent) for row in rows}
