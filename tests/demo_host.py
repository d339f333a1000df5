"""The demo shop as a host for tests: opened on a simulated Stripe, visited by one browser."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask
from flask.testing import FlaskClient
from hosts import closed_port
from werkzeug.serving import make_server
from werkzeug.test import TestResponse
from whole_answers import whole

from flask_encore.demo.app import create_app
from flask_encore.demo.checkout import StripeAccess
from flask_encore.demo.shop import KEY, Shop
from flask_encore.demo.stock import ensure_stocked
from flask_encore.testing import FrozenClock, StripeSimulator

NOW = datetime(2026, 3, 2, 14, 3, tzinfo=UTC)

#: Two products of the generated shop that belong together.
MATCHA, WHISK = "TEA-20", "POT-26"


@dataclass(frozen=True)
class Visit:
    """One browser in one shop."""

    app: Flask
    shop: Shop
    client: FlaskClient
    stripe: StripeSimulator
    clock: FrozenClock

    def put(self, sku: str, quantity: int = 1) -> TestResponse:
        """Put *quantity* of a product into the basket."""
        return self.client.post("/basket", data={"sku": sku, "quantity": quantity, "add": "1"})

    def to_stripe(self) -> str:
        """Order and pay; the Checkout Session that was opened."""
        answer = self.client.post("/checkout")
        assert answer.status_code == 303
        assert answer.location.startswith(f"{self.stripe.url}/checkout/cs_test_")
        return answer.location.rpartition("/")[2]

    def buy(self, *skus: str, card: str = "4242424242424242") -> str:
        """Fill the basket, pay at Stripe, come back; the order_ref."""
        for sku in skus:
            self.put(sku)
        session = self.to_stripe()
        self.stripe.complete_checkout(session, card=card)
        answer = self.client.get(f"/checkout/done?session_id={session}")
        assert answer.status_code == 303
        return answer.location.split("/")[2]

    def deliver(self) -> None:
        """Do what the background worker would: deliver events, finish what is open."""
        with self.app.app_context():
            self.shop.encore.sweep()

    def stock_of(self, sku: str) -> int:
        """Units on the shop's own shelf."""
        found = self.shop.books.product(sku)
        assert found is not None
        assert found.product.stock is not None
        return found.product.stock

    def known_stock_of(self, sku: str) -> int | None:
        """Units Encore may sell."""
        with self.app.app_context():
            known = self.shop.encore.catalog.get(sku)
        assert known is not None
        return known.stock


@contextmanager
def open_shop(instance: Path) -> Iterator[Visit]:
    """The shop of *instance*, open as long as the block runs."""
    clock = FrozenClock(NOW)
    with StripeSimulator(clock=clock.timestamp) as stripe:
        app = create_app(instance=instance, stripe=at(stripe), config={"TESTING": True}, clock=clock)
        shop: Shop = app.extensions[KEY]
        yield Visit(app=app, shop=shop, client=app.test_client(), stripe=stripe, clock=clock)
        with app.app_context():
            shop.encore.runtime.db.dispose()


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The app on a free port of 127.0.0.1; its address, without a slash at the end."""
    server = make_server("127.0.0.1", 0, whole(app), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def stocked_instance(folder: Path) -> Path:
    """*folder*, stocked with the generated shop and trained."""
    app = create_app(instance=folder, stripe=nowhere(), config={"TESTING": True}, clock=FrozenClock(NOW))
    with app.app_context():
        shop: Shop = app.extensions[KEY]
        assert ensure_stocked(shop, data=None, now=NOW, tell=str, bar=silent).fresh
        shop.encore.runtime.db.dispose()
    return folder


def at(stripe: StripeSimulator) -> StripeAccess:
    """How a shop reaches *stripe*."""
    return StripeAccess(
        secret_key=stripe.secret_key,
        publishable_key=stripe.publishable_key,
        api_base=stripe.url,
        js_url=stripe.stripe_js_url,
    )


def nowhere() -> StripeAccess:
    """A Stripe that nobody answers for."""
    return StripeAccess(
        secret_key="sk_test_nowhere", publishable_key="pk_test_nowhere", api_base=f"http://127.0.0.1:{closed_port()}"
    )


@contextmanager
def silent(_label: str) -> Iterator[Callable[[float], None]]:
    yield lambda _share: None


def form_action(page: str, act: str) -> str:
    """Where the offer's form *act* posts to."""
    found = re.search(rf'action="([^"]+/{act})"', page)
    assert found, page
    return urlsplit(unescape(found[1])).path
