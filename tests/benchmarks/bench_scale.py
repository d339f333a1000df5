"""How fast and how large: counting co-purchases beside other ways, serving, learning. `make bench-scale`.

    make bench-scale                                              1 M and 10 M lines, a few minutes
    make bench-scale ARGS="--lines 1e6 1e7 1e8 --json scale.json"
    make bench-scale ARGS="--lines 1e8 --only out_of_core --memory-mb 4096 --folder /big/disk"

Order lines are drawn from a seed: baskets of 4.3 lines on average, half of them from a topic, all by Zipf's law. Every
contestant counts the same lines in a process of its own, so that its peak of memory (VmHWM, from /proc) is its own;
reading the lines from disk and imports are in the peak and not in the time. All keep the 100 strongest pairs of each
product. On a busy machine compare processor seconds: they do not wait for others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Neighbours kept per product.
TOP_K = 100

#: Products by number of lines.
SKUS = {1_000_000: 10_000, 10_000_000: 50_000, 100_000_000: 200_000, 1_000_000_000: 200_000}

#: The bar: at most so many times the seconds of sparse_dot_topn, and at most its memory.
BAR = 1.3

THREADS = 2

#: Products of a topic.
TOPIC = 100

#: Online Retail: where `make bench-recommender` is shown it, too.
HISTORY = Path(__file__).parents[3] / "shared" / "data" / "online_retail_2011.csv.gz"

Orders = tuple[NDArray[np.int64], NDArray[np.int32], int]
"""Order i holds the products `items[start[i]:start[i + 1]]`; how many products there are."""


def draw(lines: int, skus: int, folder: Path) -> Path:
    """Write order lines, oldest order first, as arrays and as Parquet; at most 1 M orders in memory."""
    import pyarrow
    import pyarrow.parquet

    target = folder / f"{lines}"
    if (target / "start.npy").exists():
        return target
    target.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    shelf = rng.permutation(skus)
    schema = pyarrow.schema([("order_id", pyarrow.int64()), ("sku", pyarrow.int32())])
    starts, done, orders = [np.zeros(1, dtype=np.int64)], 0, 0
    with (
        pyarrow.parquet.ParquetWriter(target / "lines.parquet", schema) as parquet,
        (target / "items.raw").open("wb") as raw,
    ):
        while done < lines:
            n = min(1_000_000, max(int((lines - done) / 4.12), 1))
            sizes = 1 + rng.negative_binomial(2.66, 0.446, size=n)
            order = np.repeat(np.arange(n), sizes)
            # x = n**u - 1 for even u has the density 1 / (x + 1): Zipf's law.
            anything = np.exp(rng.random(len(order)) * np.log(skus)).astype(np.int64) - 1
            within = np.exp(rng.random(len(order)) * np.log(TOPIC)).astype(np.int64) - 1
            topic = rng.integers(0, skus // TOPIC, size=n)[order]
            item = np.where(rng.random(len(order)) < 0.5, shelf[topic * TOPIC + within], anything)
            key = order * skus + item
            key.sort()
            key = key[np.append(True, key[1:] != key[:-1])]
            items = (key % skus).astype(np.int32)
            starts.append(done + np.cumsum(np.bincount(key // skus, minlength=n)))
            parquet.write_table(pyarrow.table({"order_id": key // skus + orders, "sku": items}, schema=schema))
            items.tofile(raw)
            done, orders = done + len(items), orders + n
    np.save(target / "start.npy", np.concatenate(starts))
    return target


def orders_in(folder: str, skus: int) -> Orders:
    return np.load(f"{folder}/start.npy"), np.fromfile(f"{folder}/items.raw", dtype=np.int32), skus


def encore(folder: str, skus: int) -> Callable[[], int]:
    from encore_recommender.counting import top_pairs

    orders = orders_in(folder, skus)
    return lambda: int(top_pairs(orders, k=TOP_K, threads=THREADS, progress=_tell).counts.sum())


def sparse_dot_topn(folder: str, skus: int) -> Callable[[], int]:
    from scipy import sparse
    from sparse_dot_topn import sp_matmul_topn

    start, items, n = orders_in(folder, skus)
    orders = sparse.csr_matrix(
        (np.ones(len(items), dtype=np.int32), items, start.astype(np.int32)), (len(start) - 1, n)
    )

    def run() -> int:
        # One more than asked for: a product's strongest neighbour is itself.
        found = sp_matmul_topn(orders.T.tocsr(), orders, top_n=TOP_K + 1, sort=True, n_threads=THREADS)
        return int(found.sum()) - len(items)

    return run


def scipy_product(folder: str, skus: int) -> Callable[[], int]:
    from scipy import sparse

    start, items, n = orders_in(folder, skus)
    orders = sparse.csr_array((np.ones(len(items), dtype=np.int32), items, start.astype(np.int32)), (len(start) - 1, n))

    def run() -> int:
        pairs = (orders.T.tocsr() @ orders).tocsr()
        pairs.setdiag(0)
        kept = 0
        for row in range(n):
            counts = pairs.data[pairs.indptr[row] : pairs.indptr[row + 1]]
            kept += int(counts.sum() if len(counts) <= TOP_K else np.partition(counts, -TOP_K)[-TOP_K:].sum())
        return kept

    return run


def duckdb_join(folder: str, skus: int) -> Callable[[], int]:
    import duckdb

    database = duckdb.connect()
    database.execute(f"SET threads = {THREADS}")
    database.execute(f"CREATE TABLE lines AS SELECT * FROM '{folder}/lines.parquet'")
    counted = """
        SELECT a.sku AS item, b.sku AS other, COUNT(*) AS n
        FROM lines a JOIN lines b ON a.order_id = b.order_id AND a.sku <> b.sku GROUP BY a.sku, b.sku
    """
    ranked = f"SELECT n, ROW_NUMBER() OVER (PARTITION BY item ORDER BY n DESC, other) AS place FROM ({counted})"

    def run() -> int:
        return int(database.execute(f"SELECT SUM(n) FROM ({ranked}) WHERE place <= {TOP_K}").fetchall()[0][0])

    return run


def out_of_core(folder: str, skus: int, *, memory_mb: int) -> Callable[[], int]:
    """Ours on DuckDB, from the file on: lines merged, orders weighed, counts and two sums of weights per pair."""
    from encore_recommender.engines import counts, sources
    from encore_recommender.engines.databases import DuckDB

    def run() -> int:
        with tempfile.TemporaryDirectory(dir=folder) as work:
            engine = DuckDB(Path(work), memory_mb=memory_mb // 2, threads=THREADS)
            sources.open_files(engine, [f"{folder}/lines.parquet"])
            counted = counts.count(
                engine,
                Path(work) / "pairs",
                top_k=TOP_K,
                memory_mb=memory_mb // 2,
                progress=lambda told: print(told.sentence(), file=sys.stderr, flush=True),
            )
            engine.close()
            # Kept by weight, not by count: the number of pairs is what has to agree, not their sum.
            return sum(len(pairs) for pairs in counted.pairs())

    return run


CONTESTANTS = {
    "sparse_dot_topn": sparse_dot_topn,
    "encore": encore,
    "scipy": scipy_product,
    "duckdb": duckdb_join,
    "out_of_core": out_of_core,
}

#: Beyond so many lines a contestant does not fit into the memory of a small machine and is left out.
MOST_LINES = {"scipy": 20_000_000, "duckdb": 20_000_000}


def count_task(name: str, folder: str, skus: int, memory_mb: int) -> dict[str, Any]:
    options = {"memory_mb": memory_mb} if name == "out_of_core" else {}
    run = CONTESTANTS[name](folder, skus, **options)  # type: ignore[operator]
    began, used = time.perf_counter(), time.process_time()
    check = run()
    return {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used, "check": check}


def learn_task(history: str) -> dict[str, Any]:
    """Fit Online Retail, then add its last 1,000 orders to a fit of the others."""
    from encore_recommender import Baskets, CoPurchaseRecommender

    baskets = Baskets.from_csv(history)
    began = time.perf_counter()
    model = CoPurchaseRecommender().fit(baskets)
    told = {"fit_seconds": time.perf_counter() - began, "peak_mb_fit": _peak_mb()}
    older, newer = (baskets.take(part) for part in np.split(np.arange(baskets.n_orders), [baskets.n_orders - 1_000]))
    part = CoPurchaseRecommender(choice=model.choice_).fit(older)
    began = time.perf_counter()
    part.partial_fit(newer)
    told["partial_fit_ms"] = (time.perf_counter() - began) * 1e3
    began = time.perf_counter()
    assert part.model_.orders == model.model_.orders
    return told | {"lists_anew_seconds": time.perf_counter() - began}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "count": count_task,
    "learn": learn_task,
}


def alone(task: str, **options: Any) -> dict[str, Any]:
    """Run a task in a process of its own; its figures and its peak of memory."""
    asked = json.dumps({"task": task, **options})
    done = subprocess.run([sys.executable, __file__, "--alone", asked], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return {"failed": done.returncode}
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> int:
    options = _options()
    if options.alone:
        asked = json.loads(options.alone)
        told = TASKS[asked.pop("task")](**asked)
        print(json.dumps({**told, "peak_mb": _peak_mb()}))
        return 0
    figures: dict[str, Any] = {"counting": {}}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for lines in map(int, options.lines):
            figures["counting"][lines] = _count(lines, Path(folder), options)
        if not options.only:
            figures["serving"] = _serve(Path(folder))
            figures["learning"] = _learn(options.history)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0


def _count(lines: int, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    skus = min((size for size in SKUS if size >= lines), default=max(SKUS))
    data = draw(lines, SKUS[skus], folder)
    found: dict[str, Any] = {}
    print(f"\n{lines:,} lines, {SKUS[skus]:,} products, the {TOP_K} strongest of each")
    print(f"{'':18}{'seconds':>10}{'processor':>11}{'peak MB':>10}{'× time':>9}{'× memory':>10}")
    for name in options.only or CONTESTANTS:
        if lines > MOST_LINES.get(name, lines):
            print(f"{name:18}{'left out: would not fit into memory':>40}")
            continue
        rounds = 3 if lines <= 1_000_000 else 1
        runs = [
            alone("count", name=name, folder=str(data), skus=SKUS[skus], memory_mb=options.memory_mb)
            for _ in range(rounds)
        ]
        found[name] = min(runs, key=lambda run: run.get("seconds", np.inf))
        _tell_row(name, found[name], found.get("sparse_dot_topn"))
    ours, theirs = found.get("encore", {}), found.get("sparse_dot_topn", {})
    if "seconds" in ours and "seconds" in theirs:
        kept = ours["seconds"] <= BAR * theirs["seconds"] and ours["peak_mb"] <= theirs["peak_mb"]
        print(
            f"encore / sparse_dot_topn: {ours['seconds'] / theirs['seconds']:.2f} of the time,"
            f" {ours['peak_mb'] / theirs['peak_mb']:.2f} of the memory; the bar is {BAR} and 1: {_verdict(kept)}"
        )
        checks = {name: run.get("check") for name, run in found.items() if name != "out_of_core"}
        print(f"same counts: {'yes' if len(set(checks.values())) == 1 else checks}")
    return found


def _serve(folder: Path) -> list[dict[str, Any]]:
    """What `bench_serving.py` says, which can be run alone, too."""
    told = folder / "serving.json"
    program = Path(__file__).with_name("bench_serving.py")
    print()
    if subprocess.run([sys.executable, program, "--queries", "5000", "--json", told], check=False).returncode:
        return []
    found: list[dict[str, Any]] = json.loads(told.read_text())
    return found


def _learn(history: Path) -> dict[str, Any]:
    if not history.exists():
        print(f"\nOnline Retail is not at {history}: name it with --history")
        return {}
    found = alone("learn", history=str(history))
    if "failed" in found:
        print("\nOnline Retail: failed")
        return found
    print(f"\nOnline Retail: fitted in {found['fit_seconds']:.1f} s, {found['peak_mb_fit']:,.0f} MB;", end=" ")
    print(
        f"partial_fit of 1,000 orders {found['partial_fit_ms']:.0f} ms, lists anew {found['lists_anew_seconds']:.1f} s"
    )
    return found


def _tell_row(name: str, run: dict[str, Any], theirs: dict[str, Any] | None) -> None:
    if "failed" in run:
        print(f"{name:18}{'failed':>10}")
        return
    ratios = ""
    if theirs and "seconds" in theirs:
        ratios = f"{run['seconds'] / theirs['seconds']:9.2f}{run['peak_mb'] / theirs['peak_mb']:10.2f}"
    print(f"{name:18}{run['seconds']:10.2f}{run['cpu_seconds']:11.2f}{run['peak_mb']:10,.0f}{ratios}", flush=True)


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3


def _tell(share: float) -> None:
    if sys.stderr.isatty():
        print(f"\rcounting: {share:.0%}", end="" if share < 1 else "\n", file=sys.stderr, flush=True)


def _verdict(kept: bool) -> str:
    return "kept" if kept else "MISSED"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=float, nargs="+", default=[1e6, 1e7], help="order lines (1e6 1e7)")
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS), help="count with these alone, and no more")
    parser.add_argument("--memory-mb", type=int, default=4_096, help="for counting out of core (4096)")
    parser.add_argument("--folder", type=Path, help="for the order lines, 8 bytes each, and what is spilled")
    parser.add_argument("--history", type=Path, default=HISTORY, help="Online Retail 2011, CSV")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
