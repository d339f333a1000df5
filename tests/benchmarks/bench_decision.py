"""How long a decision takes on the demo's catalogue, beside the same page without Encore, in one run.

    make bench                      the generated shop, 1,000 orders, 1,000 campaigns, SQLite
    make bench ARGS="--orders 200 --database postgresql+psycopg://localhost/bench --json out.json"

The shop stands three times: without a campaign, where the built-in offer is made, with a thousand, and with a thousand
and twenty experiments about them. A database given by its URL is then of the shop with campaigns alone.

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
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import campaign_books
import numpy as np
from flask import Flask

from flask_encore import OrderLine, PaidOrder
from flask_encore.demo import catalogue
from flask_encore.demo.app import create_app
from flask_encore.demo.checkout import StripeAccess
from flask_encore.demo.shop import KEY, Shop
from flask_encore.demo.stock import ensure_stocked
from flask_encore.services import campaigning, experimenting, offering
from flask_encore.services.runtime import utc_now
from flask_encore.testing import StripeSimulator

#: The bar of the product: a decision may cost the page this much at the 99th percentile, ms.
BAR_MS = 20.0

WARM_UP = 20


def main() -> int:
    options = _options()
    logging.disable(logging.WARNING)
    with StripeSimulator() as stripe, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        plain = _shop(Path(folder, "plain"), stripe, options)
        busy = _shop(Path(folder, "busy"), stripe, options, campaigns=options.campaigns)
        tried = _shop(
            Path(folder, "tried"), stripe, options, campaigns=options.campaigns, experiments=options.experiments
        )
        samples = _measure(plain, busy, tried, stripe, orders=options.orders, seed=options.seed)
        database = _close(plain, tried, busy)
    table = {name: _row(values[WARM_UP:]) for name, values in samples.items()}
    _print(table, database=database, orders=options.orders, campaigns=options.campaigns)
    if options.json:
        found = {"database": database, "orders": options.orders, "campaigns": options.campaigns, "ms": table}
        Path(options.json).write_text(json.dumps(found, indent=2))
    return 0


def _shop(
    folder: Path, stripe: StripeSimulator, options: argparse.Namespace, *, campaigns: int = 0, experiments: int = 0
) -> Flask:
    """The demo shop, stocked and trained, with that many live campaigns, and experiments about the first of them."""
    access = StripeAccess(
        secret_key="sk_test_simulator",
        publishable_key="pk_test_simulator",
        api_base=stripe.url,
        js_url=stripe.stripe_js_url,
        webhook_secrets=("whsec_bench",),
    )
    config: dict[str, Any] = {"TESTING": True, "ENCORE_PRICE_GUARD_PERCENT": 10_000}
    if options.database and campaigns and not experiments:
        config["ENCORE_DATABASE_URI"] = options.database
    app = create_app(instance=folder, stripe=access, config=config)
    shop: Shop = app.extensions[KEY]
    app.add_url_rule("/bench/<order_ref>", endpoint="bench", view_func=lambda order_ref: _page(order_ref))
    with app.app_context():
        ensure_stocked(shop, data=options.data, now=utc_now(), tell=lambda _line: None, bar=_quiet)
        rt = shop.encore.runtime
        rt.settings.thank_you["bench"] = "order_ref"  # type: ignore[index]
        products = [item.product for item in catalogue.products()]
        book = campaign_books.campaigns(products, count=campaigns, seed=1, currency=products[0].price.currency)
        campaigning.import_(rt, {"format": 1, "campaigns": book}, actor="bench")
        if experiments:
            _experiment(rt, [None, *sorted(book, key=lambda one: -one["priority"])], count=experiments)
    return app


def _experiment(rt: Any, subjects: list[Any], *, count: int) -> None:
    """Start *count* experiments: about the built-in offer, and about the campaigns that are asked first."""
    for number, subject in enumerate(subjects[:count]):
        draft = experimenting.create(
            rt,
            {
                "ref": f"e-{number:02}",
                "name": f"Experiment {number}",
                "varies": "copy",
                "campaign": "built-in" if subject is None else subject["ref"],
                "holdout": 500,
                "baseline": "as it is",
                "variants": [
                    {"name": "as it is", "weight": 4_750},
                    {"name": "new", "weight": 4_750, "copy": {"en": {"headline": "One more thing"}}},
                ],
            },
            actor="bench",
        )
        experimenting.start(rt, draft.experiment.ref, actor="bench", expected=draft.version)


def _close(*apps: Flask) -> str:
    """The kind of database the last one had."""
    name = ""
    for app in apps:
        with app.app_context():
            db = app.extensions[KEY].encore.runtime.db
            name = db.engine.url.get_backend_name()
            db.dispose()
    return name


def _measure(
    plain: Flask, busy: Flask, tried: Flask, stripe: StripeSimulator, *, orders: int, seed: int
) -> dict[str, list[float]]:
    """Milliseconds of every step, order by order."""
    rng = np.random.default_rng(seed)
    bare = Flask("bare")
    bare.add_url_rule("/orders/<order_ref>/thanks", view_func=lambda order_ref: _page(order_ref))
    samples: dict[str, list[float]] = defaultdict(list)
    client, naked = plain.test_client(), bare.test_client()
    for number in range(orders + WARM_UP):
        order = _order(rng, stripe, f"B-{seed}-{number}")
        with plain.app_context():
            encore = plain.extensions[KEY].encore
            _time(samples["ranking"], partial(encore.runtime.ranker.rank, order.skus, k=20))
            _time(samples["order_paid"], partial(encore.order_paid, order))
            _time(samples["decision"], partial(offering.sequence_for, encore.runtime, order.order_ref))
            _time(samples["reload"], partial(offering.sequence_for, encore.runtime, order.order_ref))
        with busy.app_context():
            encore = busy.extensions[KEY].encore
            _time(samples["order_paid, campaigns"], partial(encore.order_paid, order))
            _time(samples["decision, campaigns"], partial(offering.sequence_for, encore.runtime, order.order_ref))
        with tried.app_context():
            encore = tried.extensions[KEY].encore
            _time(samples["order_paid, experiments"], partial(encore.order_paid, order))
            _time(samples["decision, experiments"], partial(offering.sequence_for, encore.runtime, order.order_ref))
        _time(samples["page, reload"], partial(client.get, f"/bench/{order.order_ref}"))
        _time(samples["page without Encore"], partial(naked.get, f"/orders/{order.order_ref}/thanks"))
    return samples


def _order(rng: np.random.Generator, stripe: StripeSimulator, order_ref: str) -> PaidOrder:
    products = [item.product for item in catalogue.products()]
    picked = [products[i] for i in rng.choice(len(products), size=int(rng.integers(1, 6)), replace=False)]
    lines = [OrderLine(sku=p.sku, title=p.title, quantity=1, unit_price=p.price) for p in picked]
    total = sum((line.unit_price for line in lines[1:]), lines[0].unit_price)
    return PaidOrder(
        order_ref=order_ref,
        placed_at=utc_now(),
        currency=total.currency,
        lines=lines,
        total=total,
        payment_intent_ref=stripe.paid_intent(amount=total.minor_units, currency=total.currency)["id"],
        customer_ref=f"c-{order_ref}",
        country="GB",
        locale="en",
    )


def _page(order_ref: str) -> str:
    return f"<!doctype html><html><body><main><h1>Order {order_ref} is confirmed</h1></main></body></html>"


def _time(into: list[float], run: Callable[[], object]) -> None:
    started = time.perf_counter()
    run()
    into.append((time.perf_counter() - started) * 1e3)


def _row(values: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(max(values), 3)}


def _print(table: dict[str, dict[str, float]], *, database: str, orders: int, campaigns: int) -> None:
    print(f"{orders:,} orders on {database}, {campaigns:,} campaigns where so named, milliseconds")
    print(f"{'':22}{'p50':>9}{'p99':>9}{'max':>9}")
    for name, row in table.items():
        print(f"{name:22}{row['p50']:9.2f}{row['p99']:9.2f}{row['max']:9.2f}")
    for name in ("decision", "decision, campaigns", "decision, experiments"):
        p99 = table[name]["p99"]
        if name == "decision, experiments":
            ratio = table[name]["p50"] / table["decision, campaigns"]["p50"]
            print(f"Experiments make the median decision with campaigns {ratio:.2f} times as long.")
        print(f"The p99 of a {name} is {p99:.1f} ms; the bar is {BAR_MS:.0f}: {'kept' if p99 <= BAR_MS else 'MISSED'}.")


@contextmanager
def _quiet(_label: str) -> Any:
    yield lambda _share: None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--orders", type=int, default=1_000, help="orders measured (1000)")
    parser.add_argument("--campaigns", type=int, default=1_000, help="live campaigns of the second shop (1000)")
    parser.add_argument("--experiments", type=int, default=20, help="experiments of the third shop (20)")
    parser.add_argument("--database", help="SQLAlchemy URL; SQLite in a temporary folder by default")
    parser.add_argument("--data", type=Path, help="order history to stock from instead of the generated shop")
    parser.add_argument("--seed", type=int, default=1, help="chooses the baskets (1)")
    parser.add_argument("--json", help="write the figures to this file, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
