"""Fill Encore from files: products into the catalogue, order history into the recommender's food. All of it or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flask_encore.services.importing import (
    OrderFile,
    ProductFile,
    read_orders,
    read_products,
    store_orders,
)
from flask_encore.services.runtime import Runtime
from flask_encore.store import catalog, history

Progress = Callable[[float], None]

#: Share of the work that is reading; the rest is writing.
_READING = 0.5


def import_products(rt: Runtime, path: Path, *, currency: str, progress: Progress | None = None) -> ProductFile:
    """Read a product file into the catalogue. Importing it again updates the same products.

    Raises:
        InvalidInput: When the file cannot be read as products; then nothing is imported.
    """
    told = progress or _silent
    file = read_products(path, currency=currency, progress=lambda share: told(share * _READING))
    with rt.db.write() as connection:
        catalog.upsert(connection, file.products, now=rt.clock())
    told(1.0)
    return file


def import_orders(rt: Runtime, path: Path, *, currency: str, progress: Progress | None = None) -> OrderFile:
    """Read an order history. Importing it again changes nothing.

    Raises:
        InvalidInput: When the file cannot be read as order lines; then nothing is imported.
    """
    told = progress or _silent
    zone = rt.settings.zone
    file = read_orders(path, currency=currency, zone=zone, progress=lambda share: told(share * _READING))
    with rt.db.write() as connection:
        store_orders(file, history.Sink(connection), progress=lambda share: told(_READING + share * (1 - _READING)))
    return file


def _silent(_share: float) -> None:
    """Nobody listens."""
