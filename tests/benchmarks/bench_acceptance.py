"""Does the model of acceptance say the truth, and does exploring pay? A simulated shopper knows both.

    python tests/benchmarks/bench_acceptance.py --json acceptance.json

The shopper is no logistic curve: interest saturates, offers dearer than a third of the order put off more the dearer
they are and not in every category alike, pairs of categories attract or repel, and all of that multiplies.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encore_recommender.acceptance import AcceptanceModel
from encore_recommender.exploration import BELIEF, Seen, thompson
from encore_recommender.scorecard import Impression

#: Acceptance on average: careful, usual, and eager shoppers.
LEVELS = {"3 %": 0.4, "8 %": 1.0, "20 %": 2.5}
IMPRESSIONS = (0, 200, 2_000, 20_000, 200_000)
SEEDS, SEEDS_OF_THE_LARGEST = 5, 1
HELD_OUT = 20_000
CATEGORIES = 12

#: A greedy policy shows the likeliest of so many.
OFFERED = 5

#: Worlds with so many candidates each, whose true rates scatter around what the model says.
WORLDS, CANDIDATES, SCATTER = 12, 20, 0.6

#: Impressions after which the share of the best possible acceptances is taken; answers arrive in batches.
SHOWN, TOLD_EVERY = (500, 2_000, 10_000), 10


class Shopper:
    """Offers, and how likely each is to be accepted."""

    def __init__(self, seed: int, level: float) -> None:
        rng = np.random.default_rng(seed)
        self.level = level
        self.affinity = np.exp(rng.normal(0.0, 0.35, (CATEGORIES, CATEGORIES)))
        self.thrift = np.exp(rng.normal(0.0, 0.2, CATEGORIES))

    def offers(self, n: int, rng: np.random.Generator) -> tuple[list[Impression], NDArray[np.float64]]:
        of_rank = np.arange(CATEGORIES, 0, -1) / np.arange(1, CATEGORIES + 1).sum()
        chance, ratio = rng.beta(0.8, 18.0, n), np.exp(rng.normal(-1.2, 0.8, n))
        discount = rng.choice([0.0, 0.1, 0.2], n)
        habit = np.where(rng.random(n) < 0.8, 0.0, 1.0 - 0.5 ** rng.integers(1, 4, n))
        position = rng.choice([1, 2, 3], n, p=[0.7, 0.2, 0.1])
        support = np.floor(np.exp(rng.normal(2.5, 1.2, n)) * (1.0 + 10.0 * chance)).astype(int)
        offered, beside = rng.choice(CATEGORIES, n, p=of_rank), rng.choice(CATEGORIES, n, p=of_rank)
        later = rng.random(n) < 0.2
        popular = chance < 0.004
        known = chance * support / (support + 4.0)
        truth = 0.35 * self.level * (known + 0.01) / (known + 0.12)
        truth *= np.exp(-np.maximum(ratio - 0.3, 0.0) * self.thrift[offered]) * (1.0 + 1.5 * discount)
        truth *= self.affinity[offered, beside] * (1.0 + 0.5 * habit) * 0.7 ** (position - 1)
        truth *= np.where(later, 0.8, 1.0) * np.where(popular, 0.7, 1.0)
        impressions = [
            Impression(
                co_purchase=float(chance[i]),
                price_ratio=float(ratio[i]),
                support=int(support[i]),
                kind="popularity" if popular[i] else "co_purchase",
                discount=float(discount[i]),
                category=f"category {offered[i]}",
                beside=f"category {beside[i]}",
                bought_before=float(habit[i]),
                position=int(position[i]),
                placement="order_status" if later[i] else "thank_you",
            )
            for i in range(n)
        ]
        return impressions, np.clip(truth, 0.0, 0.95)

    def chosen(
        self, n: int, model: AcceptanceModel, rng: np.random.Generator
    ) -> tuple[list[Impression], NDArray[np.float64]]:
        """What a greedy policy shows: the likeliest of a few, as the model says."""
        impressions, truth = self.offers(OFFERED * n, rng)
        said = np.array(model.scorecard_.probabilities(impressions)).reshape(n, OFFERED)
        best = said.argmax(axis=1) + OFFERED * np.arange(n)
        return [impressions[i] for i in best], truth[best]


def calibration_error(model: AcceptanceModel, impressions: list[Impression], truth: NDArray[np.float64]) -> float:
    """Expected distance of what is said from the truth, in ten equal groups."""
    said = np.array(model.scorecard_.probabilities(impressions))
    groups = np.array_split(np.argsort(said, kind="stable"), 10)
    return float(sum(len(g) * abs(said[g].mean() - truth[g].mean()) for g in groups) / len(said))


def calibrated(level: float, n: int, seed: int) -> dict[str, float]:
    """Errors on offers at random and on those a greedy policy shows, learned at random and from greedy impressions."""
    rng, shopper = np.random.default_rng(1_000 + seed), Shopper(seed, level)
    impressions, truth = shopper.offers(n, rng)
    started = time.perf_counter()
    model = AcceptanceModel().fit(impressions, rng.random(n) < truth)
    seconds = time.perf_counter() - started
    held_out = shopper.offers(HELD_OUT, rng)
    # The first fifth at random, as before there was a model; then whatever a model of that fifth thinks best.
    early, answers = impressions[: n // 5], rng.random(n // 5) < truth[: n // 5]
    first = AcceptanceModel().fit(early, answers)
    shown, likely = shopper.chosen(n - n // 5, first, rng)
    biased = AcceptanceModel().fit([*early, *shown], np.concatenate([answers, rng.random(len(shown)) < likely]))
    return {
        "at_random": calibration_error(model, *held_out),
        "as_shown": calibration_error(biased, *shopper.chosen(HELD_OUT // OFFERED, first, rng)),
        "biased_at_random": calibration_error(biased, *held_out),
        "fit_seconds": seconds,
    }


def explored(policy: str, seed: int) -> list[float]:
    """Share of the acceptances that the best offer would have had, after SHOWN impressions."""
    rng = np.random.default_rng(seed)
    chances = np.sort(np.clip(rng.beta(2.0, 30.0, CANDIDATES), 0.005, 0.5))[::-1]
    truth = np.clip(chances * np.exp(rng.normal(0.0, SCATTER, CANDIDATES)), 0.0, 0.95)
    rng = np.random.default_rng(1_000 + seed)
    shown, accepted, gained, marks = np.zeros(CANDIDATES, int), np.zeros(CANDIDATES, int), 0.0, []
    for order in range(SHOWN[-1]):
        if order % TOLD_EVERY == 0:
            known, taken = shown.copy(), accepted.copy()
        as_seen = np.where(known > 0, taken / np.maximum(known, 1), chances)
        if policy == "greedy, rates as seen":
            pick = int(np.argmax(as_seen))
        elif policy == "greedy, rates believed":
            pick = int(np.argmax((BELIEF * chances + taken) / (BELIEF + known)))
        elif policy == "one in ten at random":
            pick = int(rng.integers(CANDIDATES)) if rng.random() < 0.1 else int(np.argmax(as_seen))
        elif policy == "Thompson, flat prior":
            pick = int(np.argmax(rng.beta(1.0 + taken, 1.0 + known - taken)))
        elif policy == "Thompson, the model's prior, all":
            pick = int(np.argmax(rng.beta(BELIEF * chances + taken, BELIEF * (1.0 - chances) + known - taken)))
        else:
            seen = [Seen(int(n), int(k)) for n, k in zip(known, taken, strict=True)]
            pick = thompson(chances.tolist(), [1] * CANDIDATES, seen, dial=0.0, order_ref=f"{order}", seed=seed).shown
        gained += truth[pick]
        shown[pick] += 1
        accepted[pick] += rng.random() < truth[pick]
        if order + 1 in SHOWN:
            marks.append(float(gained / ((order + 1) * truth.max())))
    return marks


POLICIES = (
    "greedy, rates as seen",
    "greedy, rates believed",
    "one in ten at random",
    "Thompson, flat prior",
    "Thompson, the model's prior, all",
    "Thompson, the model's prior, the shortlist (ours)",
)


def speed() -> dict[str, float]:
    """Microseconds: one offer's probability, twenty with their impressions made, and one explored choice."""
    rng, shopper = np.random.default_rng(0), Shopper(0, 1.0)
    impressions, truth = shopper.offers(5_000, rng)
    card = AcceptanceModel().fit(impressions, rng.random(5_000) < truth).scorecard_
    twenty = impressions[:20]
    chances = [0.1, 0.08, 0.05, 0.04, 0.03]

    def of(work: Any) -> float:
        runs = []
        for _ in range(300):
            started = time.perf_counter()
            work()
            runs.append(time.perf_counter() - started)
        return float(np.median(runs) * 1e6)

    made = {"co_purchase": 0.1, "price_ratio": 0.4, "support": 12, "category": "category 1", "beside": "category 2"}
    return {
        "one": of(lambda: card.probability(twenty[0])),
        "twenty": of(lambda: card.probabilities(twenty)),
        "twenty, impressions made": of(lambda: card.probabilities([Impression(**made) for _ in range(20)])),
        "choice": of(lambda: thompson(chances, [1] * 5, dial=0.5, order_ref="an order")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write everything measured here")
    arguments = parser.parse_args()
    found: dict[str, Any] = {"calibration": [], "exploration": {}, "microseconds": speed()}
    print("microseconds:", {name: round(value, 1) for name, value in found["microseconds"].items()})
    print("\n| accepted | impressions | at random | as shown by greed | learned from greed | fit |")
    print("|---:|---:|---:|---:|---:|---:|")
    for rate, level in LEVELS.items():
        for n in IMPRESSIONS:
            seeds = SEEDS_OF_THE_LARGEST if n == IMPRESSIONS[-1] else SEEDS
            rows = [calibrated(level, n, seed) for seed in range(seeds)]
            found["calibration"].append({"rate": rate, "impressions": n, "errors": rows})
            cells = [
                f"{np.mean([row[key] for row in rows]):.4f} (≤ {max(row[key] for row in rows):.4f})"
                for key in ("at_random", "as_shown", "biased_at_random")
            ]
            print(f"| {rate} | {n:,} | {' | '.join(cells)} | {np.mean([r['fit_seconds'] for r in rows]):.1f} s |")
            sys.stdout.flush()
    print(f"\n| policy | {' | '.join(f'{n:,}' for n in SHOWN)} |\n|---|" + "---:|" * len(SHOWN))
    for policy in POLICIES:
        shares = np.mean([explored(policy, seed) for seed in range(WORLDS)], axis=0)
        found["exploration"][policy] = dict(zip(map(str, SHOWN), shares.tolist(), strict=True))
        print(f"| {policy} | {' | '.join(f'{share:.3f}' for share in shares)} |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
