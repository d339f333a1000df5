"""How good are the recommendations, beside every public method we can run? `make bench-recommender`.

    make bench-recommender ARGS="--data data --json recommender.json"

`--data` is a folder of `*.csv` or `*.csv.gz` order histories (columns order_id, sku, and where known customer_id,
timestamp, quantity, unit_price); a seeded synthetic shop with planted complements is always judged too.

The first 80 % of the orders by time (by appearance where there is none) teach; methods are tuned on the last eighth of
those; the last 20 % ask: one line of an order is hidden, all other lines or one of them are shown, all products outside
the order are ranked. Peers are tuned for each of the two contexts apart; ours runs with its defaults. `next order` asks
those one-item questions whose customer ordered before: ours is told what they bought, the peers see the line alone, and
`bought before` offers what the customer bought most often.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from encore_recommender import Baskets, CoPurchaseRecommender
from encore_recommender.dial import by_expected_profit
from encore_recommender.evaluation import DEPTH, Context, Query, queries, split
from encore_recommender.peers import METHODS, Taught
from encore_recommender.tuning import VALIDATION_SHARE

QUERIES, ROUNDS = 5_000, 5
CONTEXTS: tuple[Context, ...] = ("all", "one")
CONTEXT_NAMES = {"all": "full basket", "one": "one item"}
NEXT = "next order"
OURS, OURS_KNOWN, HABIT = "encore", "encore + customer history", "bought before"
AT_ONCE = 256
RESAMPLES = 2_000


@dataclass(frozen=True)
class Shop:
    name: str
    baskets: Baskets
    prices: dict[str, float]


@dataclass(frozen=True)
class Witnesses:
    """Which order each query is about: queries about one order rise and fall together, so orders are drawn again."""

    order: NDArray[np.int64]

    @classmethod
    def of(cls, asked: Sequence[Query]) -> Witnesses:
        _, order = np.unique([query.order for query in asked], return_inverse=True)
        return cls(order)

    def interval(self, values: NDArray[np.float64]) -> list[float]:
        """The ends of the 95 % bootstrap interval of the mean."""
        sums, counts = np.bincount(self.order, weights=values), np.bincount(self.order)
        rng = np.random.default_rng(0)
        draws = (rng.integers(0, len(sums), len(sums)) for _ in range(RESAMPLES))
        means = [float(sums[drawn].sum() / counts[drawn].sum()) for drawn in draws]
        low, high = np.quantile(means, [0.025, 0.975]).tolist()
        return [low, high]


@dataclass(frozen=True)
class Answers:
    """Per query, the first ten products, -1 beyond the end of the list."""

    ranked: NDArray[np.int64]
    hidden: NDArray[np.int64]

    @property
    def rank(self) -> NDArray[np.float64]:
        hit = self.ranked == self.hidden[:, None]
        return np.where(hit.any(axis=1) & (self.hidden >= 0), hit.argmax(axis=1) + 1.0, np.inf)

    @property
    def gains(self) -> NDArray[np.float64]:
        return np.where(np.isinf(self.rank), 0.0, 1.0 / np.log2(self.rank + 1.0))

    def of(self, chosen: NDArray[np.bool_]) -> Answers:
        """To some of the questions."""
        return Answers(self.ranked[chosen], self.hidden[chosen])

    def metrics(self, taught: int, values: NDArray[np.float64], witnesses: Witnesses) -> dict[str, Any]:
        rank = self.rank
        shown = np.unique(self.ranked[:, :3])
        return {
            "hit_rate_at_1": float((rank <= 1).mean()),
            "hit_rate_at_3": float((rank <= 3).mean()),
            "hit_rate_at_10": float((rank <= 10).mean()),
            "mrr_at_10": float((1.0 / rank).mean()),
            "ndcg_at_10": float(self.gains.mean()),
            "ndcg_at_10_interval": witnesses.interval(self.gains),
            "coverage_at_3": float(np.count_nonzero(shown >= 0) / taught),
            "value_weighted_hit_rate_at_3": float((values * (rank <= 3)).sum() / values.sum()) if values.sum() else 0.0,
        }


def read(path: Path) -> Shop:
    """One order history; lines without a product or with fewer than one unit are returns and are left out."""
    rows: list[tuple[str, str, int, str | None, float | None]] = []
    prices: dict[str, list[float]] = {}
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
        for row in csv.DictReader(file):
            quantity = int(float(row.get("quantity") or 1))
            if quantity < 1 or not row["sku"]:
                continue
            stamp = row.get("timestamp")
            at = datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp() if stamp else None
            rows.append((row["order_id"], row["sku"], quantity, row.get("customer_id") or None, at))
            if row.get("unit_price"):
                prices.setdefault(row["sku"], []).append(float(row["unit_price"]))
    means = {sku: float(np.mean(seen)) for sku, seen in prices.items()}
    return Shop(path.name.partition(".")[0], Baskets.from_rows(rows), means)


def synthetic() -> Shop:
    """Best-sellers everybody takes, and 20 parts that half of the buyers of their tool take with it."""
    rng = np.random.default_rng(11)
    popularity = 1.0 / np.arange(1, 301)
    popularity /= popularity.sum()
    rows = []
    for order in range(6_000):
        lines = set(rng.choice(300, size=rng.integers(1, 5), p=popularity).tolist())
        if rng.random() < 0.5:
            planted = int(rng.integers(0, 20))
            lines.add(100 + planted)
            if rng.random() < 0.5:
                lines.add(200 + planted)
        rows += [(f"{order}", f"p{line:03d}") for line in sorted(lines)]
    return Shop("synthetic", Baskets.from_rows(rows), {})


def planted_in_top_5(model: CoPurchaseRecommender) -> float:
    """Share of the planted parts among the first five for their tool."""
    return float(np.mean([f"p{200 + i}" in model.recommend([f"p{100 + i}"], k=5).ids for i in range(20)]))


def asked_of(test: Baskets, context: Context, taught: Baskets) -> list[Query]:
    return queries(test, context=context, limit=QUERIES, rounds=ROUNDS, taught=taught)


def rank_densely(scores: Callable[[Any], NDArray[Any]], asked: Sequence[Query], taught: Taught) -> Answers:
    """The first ten of every query; of equal scores the better seller."""
    index = {sku: i for i, sku in enumerate(taught.baskets.skus)}
    by_sales = np.argsort(-taught.sold, kind="stable")
    n_sold = int(np.count_nonzero(taught.sold))
    ranked = np.full((len(asked), DEPTH), -1, dtype=np.int64)
    for low in range(0, len(asked), AT_ONCE):
        part = asked[low : low + AT_ONCE]
        lines = [sorted(index[sku] for sku in query.basket) for query in part]
        indptr = np.cumsum([0, *map(len, lines)])
        flat = np.concatenate(lines)
        shown = sparse.csr_array((np.ones(len(flat)), flat, indptr), shape=(len(part), len(index)))
        dense = np.asarray(scores(shown), dtype=np.float64).copy()
        for i, query in enumerate(part):
            dense[i, [index[sku] for sku in query.exclude]] = -np.inf
        dense = dense[:, by_sales[:n_sold]]
        # Scores that differ in the last bits are equal.
        order = np.argsort(-np.round(dense, 12), axis=1, kind="stable")[:, :DEPTH]
        left = np.take_along_axis(dense, order, axis=1) > -np.inf
        ranked[low : low + len(part), : order.shape[1]] = np.where(left, by_sales[order], -1)
    return Answers(ranked, hidden_of(asked, taught))


def hidden_of(asked: Sequence[Query], taught: Taught) -> NDArray[np.int64]:
    index = {sku: i for i, sku in enumerate(taught.baskets.skus)}
    known = [index[query.hidden] for query in asked]
    return np.array([i if taught.sold[i] else -1 for i in known])


def rank_by_habit(asked: Sequence[Query], taught: Taught) -> Answers:
    """What the customer bought in most orders, then the best-sellers."""
    index = {sku: i for i, sku in enumerate(taught.baskets.skus)}
    by_sales = np.argsort(-taught.sold, kind="stable").tolist()
    ranked = np.full((len(asked), DEPTH), -1, dtype=np.int64)
    for i, query in enumerate(asked):
        often = Counter(index[sku] for sku in query.history)
        barred = {index[sku] for sku in query.exclude}
        habits = sorted(often, key=lambda item: (-often[item], -taught.sold[item], item))
        found = [item for item in dict.fromkeys([*habits, *by_sales[: DEPTH + len(barred)]]) if item not in barred]
        ranked[i, : min(len(found), DEPTH)] = found[:DEPTH]
    return Answers(ranked, hidden_of(asked, taught))


def rank_ours(
    model: CoPurchaseRecommender, asked: Sequence[Query], taught: Taught, *, known: bool
) -> tuple[Answers, float]:
    """Our answers, and the expected calibration error of their probabilities in ten equal groups."""
    index = {sku: i for i, sku in enumerate(taught.baskets.skus)}
    ranked = np.full((len(asked), DEPTH), -1, dtype=np.int64)
    chances = np.zeros((len(asked), DEPTH))
    for i, query in enumerate(asked):
        history = query.history if known else None
        found = model.recommend(query.basket, k=DEPTH, exclude=query.exclude, history=history)
        ranked[i, : len(found)] = [index[sku] for sku in found.ids]
        chances[i, : len(found)] = found.probabilities
    answers = Answers(ranked, hidden_of(asked, taught))
    hit = answers.ranked == answers.hidden[:, None]
    said, held = chances[ranked >= 0], hit[ranked >= 0]
    groups = np.array_split(np.argsort(said, kind="stable"), 10)
    error = sum(len(group) * abs(said[group].mean() - held[group].mean()) for group in groups) / len(said)
    return answers, float(error)


def turned(
    model: CoPurchaseRecommender, asked: Sequence[Query], prices: dict[str, float]
) -> dict[str, dict[str, float]]:
    """Per position of the dial, hits of the first offer and what it sold for, price standing in for margin."""
    found: dict[str, dict[str, float]] = {}
    offered = [model.recommend(query.basket, k=DEPTH, exclude=query.exclude) for query in asked]
    for dial in (0.0, 0.25, 0.5, 1.0):
        hits, revenue = 0, 0.0
        for query, offer in zip(asked, offered, strict=True):
            if not offer.ids:
                continue
            margins = [round(100 * prices.get(sku, 0.0)) for sku in offer.ids]
            first = offer.ids[by_expected_profit(offer.probabilities, margins, dial=dial)[0]]
            if first == query.hidden:
                hits += 1
                revenue += prices.get(first, 0.0)
        found[f"{dial}"] = {"hit_rate_at_1": hits / len(asked), "revenue_per_offer": revenue / len(asked)}
    return found


def tuned(name: str, train: Baskets, asked: dict[Context, list[Query]]) -> dict[Context, tuple[str, Answers]]:
    """A peer's answers to the test queries with the setting that was best on the validation orders, per context."""
    earlier, later = split(train, share=VALIDATION_SHARE)
    small, whole = Taught(earlier), Taught(train)
    practice = {context: asked_of(later, context, earlier) for context in CONTEXTS}
    best: dict[Context, tuple[float, str]] = dict.fromkeys(CONTEXTS, (-1.0, ""))
    for setting, scores in METHODS[name](small):
        for context in CONTEXTS:
            gain = float(rank_densely(scores, practice[context], small).gains.mean())
            best[context] = max(best[context], (gain, setting), key=lambda found: found[0])
    chosen = {setting for _, setting in best.values()}
    answers: dict[Context, tuple[str, Answers]] = {}
    for setting, scores in METHODS[name](whole):
        if setting in chosen:
            for context in CONTEXTS:
                if best[context][1] == setting:
                    answers[context] = (setting, rank_densely(scores, asked[context], whole))
    return answers


def judge(shop: Shop, names: Sequence[str]) -> dict[str, Any]:
    train, test = split(shop.baskets)
    taught = Taught(train)
    n_taught = int(np.count_nonzero(taught.sold))
    asked = {context: asked_of(test, context, train) for context in CONTEXTS}
    started = time.perf_counter()
    model = CoPurchaseRecommender().fit(train)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"{shop.name}: {train.n_orders} orders, {n_taught} products; encore fitted in {seconds:.1f} s, {memory:.0f} MB")
    known = np.array([bool(query.history) for query in asked["one"]])
    regulars = [query for query in asked["one"] if query.history]
    questions = {CONTEXT_NAMES[context]: asked[context] for context in CONTEXTS} | (
        {NEXT: regulars} if regulars else {}
    )
    witnesses = {protocol: Witnesses.of(queries) for protocol, queries in questions.items()}
    found: dict[str, dict[str, Any]] = {protocol: {} for protocol in questions}
    gains: dict[str, dict[str, NDArray[np.float64]]] = {protocol: {} for protocol in questions}

    def note(name: str, protocol: str, answers: Answers, **more: Any) -> None:
        values = np.array([shop.prices.get(query.hidden, 0.0) for query in questions[protocol]])
        found[protocol][name] = {**answers.metrics(n_taught, values, witnesses[protocol]), **more}
        gains[protocol][name] = answers.gains
        if protocol == CONTEXT_NAMES["one"] and regulars:
            note(name, NEXT, answers.of(known))

    for context in CONTEXTS:
        answers, error = rank_ours(model, asked[context], taught, known=False)
        note(OURS, CONTEXT_NAMES[context], answers, calibration_error=error)
        if any(query.history for query in asked[context]):
            answers, error = rank_ours(model, asked[context], taught, known=True)
            note(OURS_KNOWN, CONTEXT_NAMES[context], answers, calibration_error=error)
    if regulars:
        note(HABIT, NEXT, rank_by_habit(regulars, taught))
    for name in names:
        try:
            for context, (setting, answers) in tuned(name, train, asked).items():
                note(name, CONTEXT_NAMES[context], answers, setting=setting)
            say(f"  {name}: {found['full basket'][name]['ndcg_at_10']:.4f} {found['one item'][name]['ndcg_at_10']:.4f}")
        except ImportError as missing:
            say(f"  {name}: left out ({missing})")
    return {
        "shop": shop.name,
        "orders": train.n_orders,
        "products": n_taught,
        "queries": {protocol: len(queries) for protocol, queries in questions.items()},
        "fit_seconds": seconds,
        "peak_megabytes": memory,
        "choice": model.choice_.as_dict(),
        "results": found,
        "against_best_peer": {
            protocol: compared(gains[protocol], witnesses[protocol], ours=OURS_KNOWN if protocol == NEXT else OURS)
            for protocol in questions
            if set(gains[protocol]) - {OURS, OURS_KNOWN}
        },
        **({"dial": {CONTEXT_NAMES[c]: turned(model, asked[c], shop.prices) for c in CONTEXTS}} if shop.prices else {}),
        **({"planted_in_top_5": planted_in_top_5(model)} if shop.name == "synthetic" else {}),
    }


def compared(gains: dict[str, NDArray[np.float64]], witnesses: Witnesses, *, ours: str) -> dict[str, Any]:
    """Ours against the peer that did best on the test itself: a paired bootstrap over the orders."""
    peers = {name: found for name, found in gains.items() if name not in (OURS, OURS_KNOWN)}
    best = max(peers, key=lambda name: float(peers[name].mean()))
    ahead = gains[ours] - peers[best]
    low, high = witnesses.interval(ahead)
    base = float(peers[best].mean())
    return {"peer": best, "relative": float(ahead.mean()) / base, "low": low / base, "high": high / base}


def table(reports: Sequence[dict[str, Any]]) -> str:
    """Markdown: NDCG@10 per shop and context, then the details."""
    lines: list[str] = []
    for context in (*CONTEXT_NAMES.values(), NEXT):
        names = list(dict.fromkeys(name for report in reports for name in report["results"].get(context, {})))
        names.sort(key=lambda name: name not in (OURS, OURS_KNOWN))
        lines += ["", f"NDCG@10, {context}", "", f"| method | {' | '.join(r['shop'] for r in reports)} | mean |"]
        lines += ["|---|" + "---:|" * (len(reports) + 1)]
        for name in names:
            cells = [r["results"].get(context, {}).get(name, {}).get("ndcg_at_10") for r in reports]
            mean = f"{np.mean(cells):.4f}" if None not in cells else ""
            lines.append(f"| {name} | {' | '.join('' if c is None else f'{c:.4f}' for c in cells)} | {mean} |")
        against = [r["against_best_peer"].get(context) for r in reports]
        cells = ["" if a is None else f"{a['relative']:+.1%} [{a['low']:+.1%}, {a['high']:+.1%}]" for a in against]
        lines.append(f"| over the shop's best peer | {' | '.join(cells)} | |")
    shown = ("hit_rate_at_1", "hit_rate_at_3", "hit_rate_at_10", "mrr_at_10", "coverage_at_3")
    more = ("value_weighted_hit_rate_at_3", "calibration_error")
    for report in reports:
        for context, results in report["results"].items():
            lines += ["", f"{report['shop']}, {context}, {report['queries'][context]} queries", ""]
            lines += [
                "| method | NDCG@10 | HR@1 | HR@3 | HR@10 | MRR | coverage@3 | value HR@3 | calibration |",
                "|---|" + "---:|" * 8,
            ]
            for name, found in results.items():
                low, high = found["ndcg_at_10_interval"]
                cells = [f"{found[key]:.4f}" if key in found else "" for key in (*shown, *more)]
                lines.append(f"| {name} | {found['ndcg_at_10']:.4f} [{low:.4f}, {high:.4f}] | {' | '.join(cells)} |")
        for context, dials in report.get("dial", {}).items():
            lines += [
                "",
                f"{report['shop']}, {context}: the dial",
                "",
                "| dial | HR@1 | revenue per offer |",
                "|---|---:|---:|",
            ]
            lines += [f"| {d} | {v['hit_rate_at_1']:.4f} | {v['revenue_per_offer']:.4f} |" for d, v in dials.items()]
        if "planted_in_top_5" in report:
            lines += ["", f"Planted complements in the first five: {report['planted_in_top_5']:.0%}."]
    return "\n".join(lines)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of order histories")
    parser.add_argument("--json", type=Path, help="write everything measured here")
    parser.add_argument("--only", nargs="*", default=list(METHODS), help="peers to run")
    arguments = parser.parse_args()
    shops = [synthetic()]
    if arguments.data:
        paths = sorted(path for path in arguments.data.iterdir() if path.name.endswith((".csv", ".csv.gz")))
        shops = [*map(read, paths), *shops]
    reports = [judge(shop, arguments.only) for shop in shops]
    if arguments.json:
        arguments.json.write_text(json.dumps(reports, indent=2))
    print(table(reports))


if __name__ == "__main__":
    main()
