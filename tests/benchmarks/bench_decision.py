"""How long a decision takes on the demo's catalogue, beside the same page without Encore, in one run.

    make bench                      the generated shop, 1,000 orders, SQLite
    make bench ARGS="--orders 200 --database postgresql+psycopg://localhost/bench --json out.json"

Each order is paid at the simulated Stripe, handed to Encore, and its thank-you page is opened: the first visit decides
(one SELECT, one INSERT, one commit), the second reads. The machine's speed drifts, so every order contributes one
sample to every row, in turn, and the ratios count. Stripe's own time is not in any row but "order_paid".
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask

from flask_encore import OrderLine, PaidOrder
from flask_encore.demo import catalogue
from flask_encore.demo.app import create_app
from flask_encore.demo.checkout import StripeAccess
from flask_encore.demo.shop import KEY, Shop
from flask_encore.demo.stock import ensure_stocked
from flask_encore.services import offering
from flask_encore.services.runtime import utc_now
from flask_encore.testing import StripeSimulator

#: The bar of the product: a decision may cost the page this much at the 99th percentile, ms.
BAR_MS = 20.0

WARM_UP = 20


def main() -> int:
    options = _options()
    logging.disable(logging.WARNING)
    with StripeSimulator() as stripe, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        access = StripeAccess(
            secret_key="sk_test_simulator",
            publishable_key="pk_test_simulator",
            api_base=stripe.url,
            js_url=stripe.stripe_js_url,
            webhook_secrets=("whsec_bench",),
        )
        config: dict[str, Any] = {"TESTING": True, "ENCORE_PRICE_GUARD_PERCENT": 10_000}
        if options.database:
            config["ENCORE_DATABASE_URI"] = options.database
        app = create_app(instance=Path(folder), stripe=access, config=config)
        shop: Shop = app.extensions[KEY]
        with app.app_context():
            ensure_stocked(shop, data=options.data, now=utc_now(), tell=lambda _line: None, bar=_quiet)
        samples = _measure(app, shop, stripe, orders=options.orders, seed=options.seed)
        with app.app_context():
            shop.encore.runtime.db.dispose()
            database = shop.encore.runtime.db.engine.url.get_backend_name()
    table = {name: _row(values[WARM_UP:]) for name, values in samples.items()}
    _print(table, database=database, orders=options.orders)
    if options.json:
        Path(options.json).write_text(
            json.dumps({"database": database, "orders": options.orders, "ms": table}, indent=2)
        )
    return 0


def _measure(app: Flask, shop: Shop, stripe: StripeSimulator, *, orders: int, seed: int) -> dict[str, list[float]]:
    """Milliseconds of every step, order by order."""
    rng = np.random.default_rng(seed)
    bare = Flask("bare")
    bare.add_url_rule("/orders/<order_ref>/thanks", view_func=lambda order_ref: _page(order_ref))
    app.add_url_rule("/bench/<order_ref>", endpoint="bench", view_func=lambda order_ref: _page(order_ref))
    samples: dict[str, list[float]] = {
        name: [] for name in ("ranking", "order_paid", "decision", "reload", "page, reload", "page without Encore")
    }
    products = [item.product for item in catalogue.products()]
    client, plain = app.test_client(), bare.test_client()
    with app.app_context():
        rt = shop.encore.runtime
        rt.settings.thank_you["bench"] = "order_ref"  # type: ignore[index]
        for number in range(orders + WARM_UP):
            picked = [products[i] for i in rng.choice(len(products), size=int(rng.integers(1, 6)), replace=False)]
            lines = [OrderLine(sku=p.sku, title=p.title, quantity=1, unit_price=p.price) for p in picked]
            total = sum((line.unit_price for line in lines[1:]), lines[0].unit_price)
            intent = stripe.paid_intent(amount=total.minor_units, currency=total.currency)
            order = PaidOrder(
                order_ref=f"B-{seed}-{number}",
                placed_at=utc_now(),
                currency=total.currency,
                lines=lines,
                total=total,
                payment_intent_ref=intent["id"],
                customer_ref=f"c-{number}",
                locale="en",
            )
            _time(samples["ranking"], partial(rt.ranker.rank, order.skus, k=20))
            _time(samples["order_paid"], partial(shop.encore.order_paid, order))
            _time(samples["decision"], partial(offering.offer_for, rt, order.order_ref))
            _time(samples["reload"], partial(offering.offer_for, rt, order.order_ref))
            _time(samples["page, reload"], partial(client.get, f"/bench/{order.order_ref}"))
            _time(samples["page without Encore"], partial(plain.get, f"/orders/{order.order_ref}/thanks"))
    return samples


def _page(order_ref: str) -> str:
    return f"<!doctype html><html><body><main><h1>Order {order_ref} is confirmed</h1></main></body></html>"


def _time(into: list[float], run: Callable[[], object]) -> None:
    started = time.perf_counter()
    run()
    into.append((time.perf_counter() - started) * 1e3)


def _row(values: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(max(values), 3)}


def _print(table: dict[str, dict[str, float]], *, database: str, orders: int) -> None:
    print(f"{orders:,} orders on {database}, milliseconds")
    print(f"{'':22}{'p50':>9}{'p99':>9}{'max':>9}")
    for name, row in table.items():
        print(f"{name:22}{row['p50']:9.2f}{row['p99']:9.2f}{row['max']:9.2f}")
    p99 = table["decision"]["p99"]
    print(f"\nA decision's p99 is {p99:.1f} ms; the bar is {BAR_MS:.0f} ms: {'kept' if p99 <= BAR_MS else 'MISSED'}.")


@contextmanager
def _quiet(_label: str) -> Any:
    yield lambda _share: None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--orders", type=int, default=1_000, help="orders measured (1000)")
    parser.add_argument("--database", help="SQLAlchemy URL; SQLite in a temporary folder by default")
    parser.add_argument("--data", type=Path, help="order history to stock from instead of the generated shop")
    parser.add_argument("--seed", type=int, default=1, help="chooses the baskets (1)")
    parser.add_argument("--json", help="write the figures to this file, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
