"""The statement that fetches products for a decision: those named, and all variants of those that are parents."""

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
