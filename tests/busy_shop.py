"""A shop in which every page of the dashboard has something to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from conftest import START, Shop, ShopFactory, shops
from dashboard_campaigns import save

from flask_encore.domain.orders import PaidOrder
from flask_encore.services import hooking
from flask_encore.store import history
from flask_encore.testing import FrozenClock, StripeSimulator


@contextmanager
def opened(folder: Path, migrated: Path) -> Iterator[Shop]:
    """One for all tests of a module, which leave it as they found it."""
    clock = FrozenClock(START)
    stripe = StripeSimulator(clock=clock.timestamp)
    stripe.start()
    try:
        with shops(stripe=stripe, clock=clock, folder=folder, migrated=migrated) as make:
            yield busy(make)
    finally:
        stripe.stop()


def busy(make_shop: ShopFactory) -> Shop:
    """Orders with and without offers, sold and quarantined, customers who came back, campaigns in every status, a
    trained recommender with a history."""
    shop = make_shop(trained=True)
    first = START - timedelta(days=160)
    rows = [
        (f"p{number}", sku, (first + timedelta(days=number)).timestamp(), f"c{number % 40}", 1, 900, "gbp")
        for number in range(160)
        for sku in ("pot", "mug")
    ]
    with shop.rt.db.write() as connection:
        history.add(connection, rows)
    with shop.app.app_context():
        assert shop.encore.train().version
        shop.clock.advance(hours=1)
        assert shop.encore.train().version
    for status in ("live", "paused", "draft"):
        save(shop, ref=f"tea-{status}", name=f"Tea, {status}", status=status)
    save(shop, ref="tea-ended", name="Tea, ended", status="live")
    save(shop, ref="tea-ended", name="Tea, ended", status="ended", expected=1)
    with shop.app.app_context():
        hooking.add(shop.rt, "https://93.184.216.34/encore", kinds=(), actor="anna")
    for order_ref in ("1042", "1043"):
        shop.pay(order_ref)
        assert shop.accept(shop.token(order_ref)) == "charged"
    pay_without_card(shop)
    shop.pay("1045")
    shop.page("1045")
    with shop.rt.db.write() as connection:
        connection.execute(
            sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch' WHERE order_ref = '1043'")
        )
    return shop


def pay_without_card(shop: Shop, order_ref: str = "1044") -> PaidOrder:
    """An order that gets no offer."""
    intent = shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None)
    order = shop.pay(order_ref, intent=intent)
    shop.page(order_ref)
    return order


def charge_ref(shop: Shop, order_ref: str = "1042") -> str:
    """Encore's key of an order's charge."""
    [found] = [row["id"] for row in shop.rows("charges") if row["order_ref"] == order_ref]
    return str(found)


def live_model(shop: Shop) -> str:
    """A model that could be put live again."""
    return next(model.version for model in shop.rt.trainer.models() if not model.live)
