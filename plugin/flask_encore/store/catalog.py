"""Statements on products and their stock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from flask_encore.domain.money import Money
from flask_encore.domain.orders import Product
from flask_encore.domain.training import Assortment, KeptRates
from flask_encore.store.models import products

#: Rows per round trip of an executemany; enough to amortise it, few enough to show progress.
BATCH = 1_000

_INSERT = insert(products)
_UPSERT = _INSERT.on_conflict_do_update(
    index_elements=["sku"],
    set_={
        name: _INSERT.excluded[name]
        for name in (
            "title",
            "price_minor",
            "currency",
            "stock",
            "category",
            "image_url",
            "cost_minor",
            "active",
            "parent",
            "options",
            "was_minor",
        )
    }
    | {"updated_at": _INSERT.excluded.updated_at},
)

_AVAILABLE = (
    products.c.sku == sa.bindparam("of_sku"),
    products.c.active,
    sa.or_(products.c.stock.is_(None), products.c.stock >= sa.bindparam("units")),
)
_THERE = sa.select(products.c.sku).where(*_AVAILABLE)
_RESERVE = sa.update(products).where(*_AVAILABLE).values(stock=products.c.stock - sa.bindparam("units"))
_RELEASE = (
    sa.update(products)
    .where(products.c.sku == sa.bindparam("of_sku"))
    .values(stock=products.c.stock + sa.bindparam("units"))
)


def upsert(connection: sa.Connection, rows: Iterable[Product], *, now: datetime) -> int:
    """Write every product, new or known, and answer how many."""
    # Sorted, as bundles are reserved: a writer of many products must not wait for one that waits for it.
    values = [_values(product, now) for product in sorted(rows, key=lambda product: product.sku)]
    for start in range(0, len(values), BATCH):
        connection.execute(_UPSERT, values[start : start + BATCH])
    return len(values)


def add(connection: sa.Connection, product: Product, *, now: datetime) -> bool:
    """Write a new product. False: its SKU is known, and nothing was written."""
    statement = _INSERT.on_conflict_do_nothing().returning(products.c.sku)
    return connection.execute(statement, _values(product, now)).first() is not None


def held(connection: sa.Connection, sku: str) -> Product | None:
    """The product, kept as it is until the transaction ends, or ``None``."""
    row = connection.execute(sa.select(products).where(products.c.sku == sku).with_for_update()).mappings().first()
    return None if row is None else product_of(row)


def find(connection: sa.Connection, sku: str) -> Product | None:
    """The product, or ``None``."""
    row = connection.execute(sa.select(products).where(products.c.sku == sku)).mappings().first()
    return None if row is None else product_of(row)


def titles(connection: sa.Connection, skus: Iterable[str]) -> dict[str, str]:
    """By SKU, the titles of those that are in the catalogue."""
    rows = connection.execute(sa.select(products.c.sku, products.c.title).where(products.c.sku.in_(sorted(skus))))
    return {row.sku: row.title for row in rows}


def titled(connection: sa.Connection, words: str, *, limit: int) -> list[str]:
    """SKUs of at most *limit* products with *words* in their title, in whatever case, by title."""
    query = sa.select(products.c.sku).where(products.c.title.icontains(words, autoescape=True))
    return list(connection.execute(query.order_by(products.c.title, products.c.sku).limit(limit)).scalars())


def assortment(connection: sa.Connection, *, kept: KeptRates) -> Assortment:
    """What the catalogue tells the recommender about products."""
    rows = connection.execute(sa.select(products.c.sku, products.c.category, products.c.title, products.c.parent)).all()
    return Assortment(
        categories={row.sku: row.category for row in rows if row.category is not None},
        titles={row.sku: row.title for row in rows},
        parents={row.sku: row.parent for row in rows if row.parent is not None},
        kept=kept,
    )


def count(connection: sa.Connection) -> int:
    """How many products there are."""
    return connection.execute(sa.select(sa.func.count()).select_from(products)).scalar_one()


def reserve_all(connection: sa.Connection, skus: Iterable[str], quantity: int) -> bool:
    """Take *quantity* units of each, or answer False: then roll back, for some may have been taken.

    In the order of their names, whoever asks: two bundles of the same products cannot wait for each other.
    """
    return all(reserve(connection, sku, quantity) for sku in sorted(skus))


def release_all(connection: sa.Connection, skus: Iterable[str], quantity: int) -> None:
    """Give *quantity* units of each back, in the order `reserve_all` takes them."""
    for sku in sorted(skus):
        release(connection, sku, quantity)


def is_there(connection: sa.Connection, skus: Iterable[str], quantity: int) -> bool:
    """Whether *quantity* units of each could be taken now."""
    return all(connection.execute(_THERE, {"of_sku": sku, "units": quantity}).first() for sku in skus)


def reserve(connection: sa.Connection, sku: str, quantity: int) -> bool:
    """Take *quantity* units if they are there, in one guarded UPDATE. False: sold out, inactive or gone."""
    return connection.execute(_RESERVE, {"of_sku": sku, "units": quantity}).rowcount == 1


def release(connection: sa.Connection, sku: str, quantity: int) -> None:
    """Give *quantity* units back. Call it in the transaction of the one move that ends a reservation."""
    connection.execute(_RELEASE, {"of_sku": sku, "units": quantity})


def _values(product: Product, now: datetime) -> dict[str, Any]:
    """*product* as a row of ``encore_products``."""
    return {
        "sku": product.sku,
        "title": product.title,
        "price_minor": product.price.minor_units,
        "currency": product.price.currency,
        "stock": product.stock,
        "category": product.category,
        "image_url": product.image_url,
        "cost_minor": product.cost.minor_units if product.cost else None,
        "active": product.active,
        "parent": product.parent,
        "options": dict(product.options),
        "was_minor": product.was.minor_units if product.was else None,
        "updated_at": now,
    }


def product_of(row: Mapping[Any, Any]) -> Product:
    """A row of ``encore_products`` as the value the shop handed in."""
    return Product(
        sku=row["sku"],
        title=row["title"],
        price=Money(row["price_minor"], row["currency"]),
        stock=row["stock"],
        category=row["category"],
        image_url=row["image_url"],
        cost=None if row["cost_minor"] is None else Money(row["cost_minor"], row["currency"]),
        active=bool(row["active"]),
        parent=row["parent"],
        options=row["options"] or {},
        was=None if row["was_minor"] is None else Money(row["was_minor"], row["currency"]),
    )
