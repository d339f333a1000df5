"""How fast a model opens and answers, how much memory it takes, and how large it is on disk.

    python tests/benchmarks/bench_serving.py
    python tests/benchmarks/bench_serving.py --products 4000 100000 --queries 20000 --json out.json

The shops are generated and seeded: products sell by Zipf's law, and half of an order's lines come from the shelf of its
first one. They are fitted for real, without tuning and without the dense scores, which change weights and not sizes.
Opening and memory are measured in a fresh process each; queries on one thread, warm, their baskets drawn like orders.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encore_recommender import Baskets, Bounds, CoPurchaseModel, Provenance, load, save

#: Products of one shelf; a shelf is also a category.
SHELF = 50

#: Order lines per product sold.
LINES_PER_PRODUCT = 50

#: What a query is asked with: so many products excluded, this share allowed, so many blocked pairs.
EXCLUDED, ALLOWED, BLOCKED = 100, 0.9, 100

WARM_UP = 2_000

#: Opens a model in a process of its own and tells milliseconds and bytes.
OPENING = """
import json, sys, time
from pathlib import Path
from encore_recommender import load

def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return (sizes["Private_Clean"] + sizes["Private_Dirty"]) * 1024

root, baskets = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
load(Path(sys.argv[3]))  # imports what is imported late, and warms the code
before = private()
started, busy = time.perf_counter(), time.process_time()
model = load(root)
seconds, busy = time.perf_counter() - started, time.process_time() - busy
opened = private() - before
for basket in baskets:
    found = model.recommend(basket, k=10)
    found.explanations, found.probabilities
told = {"open_ms": seconds * 1e3, "open_cpu_ms": busy * 1e3}
print(json.dumps({**told, "private_opened": opened, "private_warm": private() - before}))
"""


def history(products: int, *, seed: int) -> tuple[Baskets, NDArray[np.float64]]:
    """A shop's orders, and each product's share of the lines."""
    rng = np.random.default_rng(seed)
    share = 1.0 / np.arange(1.0, products + 1.0)
    share /= share.sum()
    shelf = rng.permutation(products) // SHELF
    members = np.argsort(shelf, kind="stable").reshape(-1, SHELF)
    sizes = 1 + rng.geometric(0.25, size=products * LINES_PER_PRODUCT // 4)
    order = np.repeat(np.arange(len(sizes)), sizes)
    items = rng.choice(products, size=len(order), p=share)
    first = np.repeat(items[np.cumsum(sizes) - sizes], sizes)
    near = rng.random(len(order)) < 0.5
    items[near] = members[shelf[first[near]], rng.integers(0, SHELF, size=int(near.sum()))]
    names = [f"SKU-{item:06d}" for item in range(products)]
    baskets = Baskets.from_columns(
        [f"{number}" for number in order.tolist()],
        [names[item] for item in items.tolist()],
        categories={names[item]: f"shelf {shelf[item]}" for item in range(products)},
        parents={names[item]: f"parent {item // 3}" for item in range(0, products, 2)},
    )
    return baskets, share


def queries(model: CoPurchaseModel, *, lines: int, count: int, seed: int) -> list[list[str]]:
    """Baskets of so many lines, drawn by how often products are bought."""
    rng = np.random.default_rng(seed)
    share = model.orders_with / model.orders_with.sum()
    drawn = rng.choice(len(share), size=(count, lines), p=share)
    names = list(model.skus)
    return [[names[item] for item in row] for row in drawn.tolist()]


def latency(
    model: CoPurchaseModel, *, lines: int, count: int = 20_000, bounds: Bounds | None = None, seed: int = 1
) -> dict[str, float]:
    """Microseconds of a query with its filters, one thread, warm: p50, p99 and the longest.

    Args:
        model: Asked for ten products.
        lines: Known lines of the basket.
        count: Queries.
        bounds: What the merchant allows besides.
        seed: Chooses baskets and filters.
    """
    draw, names = random.Random(seed), list(model.skus)
    allowed = set(draw.sample(names, k=round(ALLOWED * len(names))))
    excluded = [set(draw.sample(names, k=EXCLUDED)) for _ in range(50)]
    asked = queries(model, lines=lines, count=WARM_UP + count, seed=seed)
    spent: list[int] = []
    for number, basket in enumerate(asked):
        exclude = excluded[number % 50]
        started = time.perf_counter_ns()
        model.recommend(basket, k=10, exclude=exclude, allowed=allowed, bounds=bounds)
        spent.append(time.perf_counter_ns() - started)
    p50, p99 = np.percentile(spent[WARM_UP:], [50, 99]) / 1e3
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1), "max": round(max(spent[WARM_UP:]) / 1e3, 1)}


def merchant(model: CoPurchaseModel, *, seed: int = 1) -> Bounds:
    """Blocked pairs, a price guard that leaves nine of ten products, and categories never offered."""
    draw, names = random.Random(seed), list(model.skus)
    return Bounds(
        blocked=[(draw.choice(names[:1_000]), name) for name in draw.sample(names, k=BLOCKED)],
        prices={name: draw.randrange(1_000) for name in names},
        max_price=900,
        never_categories=list(model.categories)[:3],
    )


def opening(root: Path, model: CoPurchaseModel, *, count: int = 5, seed: int = 2) -> dict[str, float]:
    """Milliseconds to open, and private memory after opening and after 10,000 queries: medians of fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small")
        baskets = Path(folder, "baskets.json")
        baskets.write_text(json.dumps(queries(model, lines=3, count=10_000, seed=seed)))
        tiny = Baskets.from_rows([("1", "a"), ("1", "b"), ("2", "a"), ("2", "b")])
        save(_fitted(tiny), small, about=Provenance(created_at=datetime(2026, 1, 1, tzinfo=UTC)))
        command = [sys.executable, "-c", OPENING, str(root), str(baskets), str(small)]
        told = [
            json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(count)
        ]
    middle = {name: float(np.median([run[name] for run in told])) for name in told[0]}
    return {
        "open_ms": round(middle["open_ms"], 2),
        "open_cpu_ms": round(middle["open_cpu_ms"], 2),
        "private_mb": round(middle["private_opened"] / 1e6, 2),
        "private_mb_warm": round(middle["private_warm"] / 1e6, 2),
    }


def measure(products: int, *, count: int, tell: Callable[[str], None], seed: int = 1) -> dict[str, Any]:
    """Everything about one shop."""
    tell(f"{products:,} products: fitting")
    baskets, _ = history(products, seed=seed)
    fitted = _fitted(baskets)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        save(fitted, root, about=Provenance(created_at=datetime(2026, 1, 1, tzinfo=UTC)))
        (directory,) = root.glob("model-*")
        sizes = {path.stem: path.stat().st_size for path in directory.iterdir()}
        model = load(root)
        tell(f"{products:,} products: asking")
        bounds = merchant(model)
        return {
            "products": products,
            "order_lines": baskets.n_lines,
            "pairs": len(model.tables["one"].items),
            "disk_mb": round(sum(sizes.values()) / 1e6, 2),
            "lists_mb": round(
                sum(size for name, size in sizes.items() if name.startswith(("items", "start", "together", "weights")))
                / 1e6,
                2,
            ),
            **opening(root, model),
            "us": {f"{lines}": latency(model, lines=lines, count=count) for lines in (1, 2, 3, 5, 10, 30)},
            "us_bounded": {f"{lines}": latency(model, lines=lines, count=count, bounds=bounds) for lines in (1, 5)},
        }


def _fitted(baskets: Baskets) -> CoPurchaseModel:
    from encore_recommender import CoPurchaseRecommender

    return CoPurchaseRecommender(tune=False, dense_items=0).fit(baskets).model_


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--products", type=int, nargs="+", default=[4_000, 100_000], help="sizes of the shops")
    parser.add_argument("--queries", type=int, default=20_000, help="queries per row (20000)")
    parser.add_argument("--json", help="write the figures to this file, too")
    options = parser.parse_args()
    measured = [
        measure(products, count=options.queries, tell=lambda line: print(line, file=sys.stderr))
        for products in options.products
    ]
    for shop in measured:
        print(f"\n{shop['products']:,} products, {shop['order_lines']:,} order lines, {shop['pairs']:,} pairs")
        print(f"  opens in {shop['open_ms']} ms ({shop['open_cpu_ms']} ms of processor)")
        print(f"  {shop['disk_mb']} MB on disk, {shop['lists_mb']} MB of them lists")
        print(f"  private memory {shop['private_mb']} MB, {shop['private_mb_warm']} MB after 10,000 queries")
        for name, rows in (("known lines", shop["us"]), ("with bounds", shop["us_bounded"])):
            for lines, row in rows.items():
                print(
                    f"  {name} {lines:>3}: p50 {row['p50']:7.1f} us  p99 {row['p99']:7.1f} us  max {row['max']:9.1f} us"
                )
    if options.json:
        Path(options.json).write_text(json.dumps(measured, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
