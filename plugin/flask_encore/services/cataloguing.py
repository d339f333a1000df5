"""Change the catalogue for somebody who is named in the audit log: one product with its version, or many at once."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flask_encore.domain.errors import EncoreError, InvalidInput
from flask_encore.domain.orders import Product
from flask_encore.services import auditing
from flask_encore.services.auditing import Action
from flask_encore.services.runtime import Runtime
from flask_encore.store import catalog

#: What the audit log calls it; no campaign can have a ref with a space.
SUBJECT = "the catalogue"

#: SKUs that the audit log names of one batch.
NAMED = 20


class Known(EncoreError):
    """There is such a product already; nothing was written."""


class Changed(EncoreError):
    """This product was changed or sold meanwhile, or is gone; nothing was written."""


def find(rt: Runtime, sku: str) -> Product | None:
    """The product, or ``None``."""
    with rt.db.read() as connection:
        return catalog.find(connection, sku)


def version_of(product: Product) -> str:
    """Another one whenever anything of *product* is another, its stock too."""
    return hashlib.sha256(json.dumps(_described(product), sort_keys=True).encode()).hexdigest()[:32]


def create(rt: Runtime, product: Product, *, actor: str) -> None:
    """Write a new product.

    Raises:
        Known: If there is one of its SKU.
    """
    auditing.checked_actor(actor)
    with rt.db.write() as connection:
        if not catalog.add(connection, product, now=rt.clock()):
            raise Known
        _record(rt, connection, actor, None, _described(product))


def replace(rt: Runtime, product: Product, *, actor: str, expected: str | None) -> None:
    """Write *product* over the one of its SKU. Idempotent: what is written already is not written again.

    Args:
        expected: The `version_of` the one it replaces; ``None`` takes it as it is.

    Raises:
        Changed: If it has another version, or is gone; nothing was written.
    """
    auditing.checked_actor(actor)
    with rt.db.write() as connection:
        before = catalog.held(connection, product.sku)
        if before is None or expected not in {None, version_of(before)}:
            raise Changed
        if before == product:
            return
        catalog.upsert(connection, [product], now=rt.clock())
        _record(rt, connection, actor, _described(before), _described(product))


def write_all(rt: Runtime, products: Sequence[Product], *, actor: str) -> int:
    """Write every product, new or known, as `Encore.catalog.upsert` does, in one transaction; answers how many.

    Raises:
        InvalidInput: If a SKU is among them twice; then nothing is written.
    """
    auditing.checked_actor(actor)
    skus = [product.sku for product in products]
    twice = [sku for sku, times in Counter(skus).items() if times > 1]
    if twice:
        raise InvalidInput(f"{twice[0]!r} is among the products twice; which of the two is meant?")
    with rt.db.write() as connection:
        written = catalog.upsert(connection, products, now=rt.clock())
        _record(rt, connection, actor, None, {"products": written, "skus": skus[:NAMED]})
    return written


def _record(rt: Runtime, connection: Any, actor: str, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
    auditing.record(rt, connection, actor=actor, action=Action.CATALOGUE, subject=SUBJECT, before=before, after=after)


def _described(product: Product) -> dict[str, Any]:
    """A product in JSON values."""
    return asdict(product) | {"options": dict(product.options)}
