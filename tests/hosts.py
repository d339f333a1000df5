"""A host shop's pages and checkout, and its bad company: a locked database, eight threads, a port nobody listens on."""

from __future__ import annotations

import re
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Shop, ShopFactory
from flask.typing import ResponseReturnValue

from flask_encore import PaidOrder, Recorded

#: Runs a test of the ``database_uri`` fixture on PostgreSQL only.
on_postgresql = pytest.mark.parametrize(
    "database_uri", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)


def together(count: int, run: Callable[[int], object]) -> list[Any]:
    """What *run* answers, or raises, in *count* threads that start at one moment."""
    barrier = threading.Barrier(count)

    def one(number: int) -> object:
        barrier.wait(timeout=30)
        try:
            return run(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@contextmanager
def write_locked(path: Path) -> Iterator[None]:
    """Somebody else holds SQLite's one write lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def closed_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def record(shop: Shop, order: PaidOrder) -> Recorded:
    """Hand *order* in, as the host's checkout does after its commit."""
    with shop.app.app_context():
        return shop.encore.order_paid(order)


def only_order(shop: Shop) -> dict[str, Any]:
    """The one row of ``encore_orders``."""
    [row] = shop.rows("orders")
    return row


SECTION = re.compile(
    r"(?:<link\b[^>]*>\s*)?<encore-offer\b.*?</encore-offer>(?:\s*<script\b[^>]*></script>)?", re.DOTALL
)
PAGE = "<!doctype html><html><body><main><h1>Confirmed</h1></main></body></html>"

View = Callable[[str], ResponseReturnValue]


def page_of(make_shop: ShopFactory, view: View, **config: Any) -> tuple[Shop, Any]:
    """A shop whose thank-you page is *view*, with one paid order; and the answer to GETting that page."""
    shop = make_shop(**{"ENCORE_THANK_YOU": {"page": "order_id"}} | config)
    shop.app.add_url_rule("/page/<order_id>", "page", view)
    shop.pay()
    return shop, shop.app.test_client().get("/page/1042")


def around(html: str) -> tuple[str, str]:
    """What stands before the one offer section, and after it."""
    assert len(SECTION.findall(html)) == 1
    before, after = SECTION.split(html)
    return before.rstrip(), after.lstrip()
