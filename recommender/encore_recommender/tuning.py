"""Choosing how to blend, on the shop's own orders: teach on the earlier ones, ask about the later ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from encore_recommender import evaluation
from encore_recommender.baskets import Baskets
from encore_recommender.blending import SCORES, Blend, Pairs
from encore_recommender.model import Calibration, Memory, memory_of
from encore_recommender.neighbours import SIZES, size_of

#: The newest eighth of the training orders chooses between blends.
VALIDATION_SHARE = 0.125

#: Enough to see a difference of 0.01 in NDCG between two blends asked the same questions.
VALIDATION_QUERIES = 3_500

#: Each order is asked up to so often with another line hidden, so that a short history is not judged by luck.
ROUNDS = 6

#: With fewer questions than this, luck would choose; the defaults are kept.
ENOUGH_QUERIES = 50

#: Counting for the choice looks at the newest orders only, so that choosing never outgrows counting.
ORDERS_FOR_CHOICE = 100_000

#: Of every score, the so many best products of a question compete; the tenth of a blend is always among them.
CANDIDATES = 50

#: Questions scored at once: 64 dense rows of 100,000 products are 26 MB per score.
QUERIES_AT_ONCE = 64

#: What a weight may be: nothing, a whisper, or about as loud as another score.
STEPS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
FACTOR_STEPS = {"recency": (0.0, 0.25, 0.5), "rarity": (0.0, 0.1)}
MEMORY_STEPS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)

#: A step is taken when it gains half a standard error of the paired difference, and a five-hundredth at least.
STANDARD_ERRORS, LEAST_GAIN = 0.5, 0.002

#: One line known: what else do its buyers take? Several: also what each adds to the others.
DEFAULTS: Mapping[str, Blend] = {
    "one": Blend(conditional=1.0),
    "few": Blend(conditional=1.0, smooth_ease=1.0),
    "many": Blend(conditional=0.5, cosine=0.5, ease=0.5, smooth_ease=0.5),
}

#: Where else the search may begin: dense scores that err apart, with best-sellers a little quieter, which held up best
#: from one season to the next where the assortment is wide; or one score alone.
STARTS = (
    Blend(cosine=0.1, ease=1.0, smooth_ease=0.5, plain_ease=0.5, rarity=0.1),
    *(Blend(**{name: 1.0}) for name in SCORES),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was found, per size of basket (`SIZES`); everything that fitting needs besides the orders."""

    blends: Mapping[str, Blend] = field(default_factory=lambda: dict(DEFAULTS))
    memories: Mapping[str, Memory] = field(default_factory=lambda: {size: Memory() for size in SIZES})
    calibrations: Mapping[str, Calibration] = field(default_factory=lambda: {size: Calibration() for size in SIZES})

    def __post_init__(self) -> None:
        for values in (self.blends, self.memories, self.calibrations):
            if set(values) != set(SIZES):
                raise ValueError(f"a choice is made for every size of basket, {SIZES}, not for {tuple(values)}")
        for size, found in self.as_dict().items():
            memory, calibration = found.pop("memory"), found.pop("calibration")
            if not all(map(math.isfinite, [*found.values(), *memory, *calibration])):
                raise ValueError(f"the weights chosen for baskets of {size!r} must be finite")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return {
            size: {
                **self.blends[size].as_dict(),
                "memory": list(self.memories[size]),
                "calibration": list(self.calibrations[size]),
            }
            for size in SIZES
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exam:
    """Questions about baskets of one size, with every score of every candidate."""

    candidates: NDArray[np.int64]
    """Questions x candidates, ascending; repeated ones are barred."""
    scores: NDArray[np.float32]
    """SCORES x questions x candidates, -inf where barred."""
    hidden: NDArray[np.int64]
    """Per question, the answer, -1 where it was never taught."""
    hidden_scores: NDArray[np.float32]
    factor: Callable[[Blend], NDArray[np.float32] | None]
    """See `Pairs.factor`."""
    bought: NDArray[np.float32]
    """Questions x candidates: how far the customer is known to buy the product, 0 to 1."""
    hidden_bought: NDArray[np.float32]
    lines: NDArray[np.float64]
    """Per question, how many lines are shown and known."""

    def totals(self, blend: Blend) -> tuple[NDArray[Any], NDArray[Any]]:
        weights = np.array([getattr(blend, name) for name in SCORES], dtype=np.float32)
        used = np.flatnonzero(weights)
        totals = np.tensordot(weights[used], self.scores[used], 1)
        hidden = weights[used] @ self.hidden_scores[used]
        factor = self.factor(blend)
        if factor is not None:
            totals, hidden = totals * factor[self.candidates], hidden * factor[self.hidden]
        return totals, hidden

    def gains(self, blend: Blend, memory: Memory | None = None) -> NDArray[np.float64]:
        """Per question, 1 / log2(rank + 1), or 0 beyond the tenth."""
        totals, hidden = self.totals(blend)
        if memory is not None:
            best = np.maximum(totals.max(axis=1), 0.0)
            totals = totals * (1 + memory.boost * self.bought) + memory.bonus * best[:, None] * self.bought
            hidden = hidden * (1 + memory.boost * self.hidden_bought) + memory.bonus * best * self.hidden_bought
        ahead = (totals > hidden[:, None]).sum(axis=1)
        ahead += ((totals == hidden[:, None]) & (self.candidates < self.hidden[:, None])).sum(axis=1)
        found = (ahead < evaluation.DEPTH) & (hidden > 0.0) & (self.hidden >= 0)
        gains: NDArray[np.float64] = np.where(found, 1.0 / np.log2(ahead + 2.0), 0.0)
        return gains


def split_for_choice(baskets: Baskets) -> tuple[Baskets, Baskets]:
    """Orders that teach and orders that ask, from the newest of the training orders."""
    recent = baskets.take(np.arange(max(baskets.n_orders - ORDERS_FOR_CHOICE, 0), baskets.n_orders))
    return evaluation.split(recent, share=VALIDATION_SHARE, by_content=recent.times is None)


def choose(
    taught: Baskets,
    asked: Baskets,
    pairs: Pairs,
    item_of_sku: NDArray[np.int64],
    n_sold: int,
    *,
    seed: int,
    progress: Callable[[float], None],
) -> Choice:
    """Blends, the weight of customer history, and calibration, per size of basket.

    Every blend starts from its default and moves one weight at a time, and only where that clearly gains on
    the same questions: with little data nothing does, and the defaults stand.

    Args:
        taught: Orders behind `pairs`.
        asked: Later orders.
        pairs: From `blending.score_pairs`.
        item_of_sku: Per entry of `baskets.skus`, the product's row.
        n_sold: Products somebody bought.
        seed: Chooses the hidden lines.
        progress: Told the finished share, from 0 to 1.
    """
    options: dict[str, Any] = {"limit": VALIDATION_QUERIES, "rounds": ROUNDS, "seed": seed, "taught": taught}
    everything = evaluation.queries(asked, context="all", **options)
    one = evaluation.queries(asked, context="one", **options)
    rows = {sku: int(item_of_sku[i]) for i, sku in enumerate(taught.skus)}
    bought = np.bincount(taught.items, minlength=len(taught.skus))
    known = {sku: row for i, (sku, row) in enumerate(rows.items()) if bought[i]}
    questions: dict[str, list[evaluation.Query]] = {size: [] for size in SIZES}
    for query in [*one, *everything]:
        lines = sum(sku in known for sku in query.basket)
        if lines:
            questions[size_of(lines)].append(query)
    blends, memories, calibrations = dict(DEFAULTS), {s: Memory() for s in SIZES}, {s: Calibration() for s in SIZES}
    for done, size in enumerate(SIZES):
        if len(questions[size]) >= ENOUGH_QUERIES:
            exam = _exam(questions[size], pairs, known, n_sold)
            blends[size] = _search(exam, DEFAULTS[size])
            memories[size] = _remember(exam, blends[size])
            # Orders of two lines would be asked twice as often as others: fine for ranking, not for frequencies.
            calibrations[size] = _calibrate(exam, blends[size], first=len(one) if size == "one" else len(exam.hidden))
        progress((done + 1) / len(SIZES))
    return Choice(blends=blends, memories=memories, calibrations=calibrations)


def _exam(questions: Sequence[evaluation.Query], pairs: Pairs, known: Mapping[str, int], n_sold: int) -> _Exam:
    n = len(pairs.start) - 1
    tables = [sparse.csr_array((pairs.scores[s], pairs.columns, pairs.start), shape=(n, n)) for s in SCORES]
    hidden = np.array([known.get(query.hidden, -1) for query in questions])
    parts: list[tuple[NDArray[Any], ...]] = []
    for low in range(0, len(questions), QUERIES_AT_ONCE):
        part = questions[low : low + QUERIES_AT_ONCE]
        shown = [[known[sku] for sku in query.basket if sku in known] for query in part]
        indptr = np.concatenate([[0], np.cumsum([len(lines) for lines in shown])])
        flat = np.concatenate([np.asarray(lines, dtype=np.int64) for lines in shown])
        asked = sparse.csr_array((np.ones(len(flat), dtype=np.float32), flat, indptr), shape=(len(part), n))
        dense = np.stack([(asked @ table).toarray() for table in tables])
        bought = np.zeros((len(part), n), dtype=np.float32)
        for i, query in enumerate(part):
            barred = [known[sku] for sku in query.exclude if sku in known]
            dense[:, i, barred] = -np.inf
            for sku, habit in memory_of(query.history).items():
                if sku in known:
                    bought[i, known[sku]] = habit
            bought[i, barred] = 0.0
        dense[:, :, n_sold:] = -np.inf
        width = min(CANDIDATES, n)
        best = np.argpartition(-dense, width - 1, axis=2)[:, :, :width]
        habits = np.argsort(-bought, axis=1, kind="stable")[:, :width]
        candidates = np.sort(np.concatenate([*best, habits], axis=1), axis=1)
        repeated = np.zeros(candidates.shape, dtype=np.bool_)
        repeated[:, 1:] = candidates[:, 1:] == candidates[:, :-1]
        line = np.arange(len(part))
        scores = dense[:, line[:, None], candidates]
        scores[:, repeated] = -np.inf
        answer = hidden[low : low + len(part)]
        parts.append(
            (
                candidates,
                scores,
                dense[:, line, answer],
                np.take_along_axis(bought, candidates, axis=1),
                bought[line, answer],
            )
        )
    return _Exam(
        candidates=np.concatenate([part[0] for part in parts]),
        scores=np.concatenate([part[1] for part in parts], axis=1),
        hidden=hidden,
        hidden_scores=np.concatenate([part[2] for part in parts], axis=1),
        factor=pairs.factor,
        bought=np.concatenate([part[3] for part in parts]),
        hidden_bought=np.concatenate([part[4] for part in parts]),
        lines=np.array([float(sum(sku in known for sku in query.basket)) for query in questions]),
    )


def _better(now: NDArray[np.float64], then: NDArray[np.float64]) -> bool:
    ahead = now - then
    luck = STANDARD_ERRORS * float(ahead.std()) / math.sqrt(len(ahead))
    return float(ahead.mean()) > max(luck, LEAST_GAIN * float(then.mean()))


def _search(exam: _Exam, default: Blend) -> Blend:
    blend, gains = default, exam.gains(default)
    start = max(STARTS, key=lambda start: float(exam.gains(start).mean()))
    if _better(exam.gains(start), gains):
        blend, gains = start, exam.gains(start)
    for _ in range(2):
        for name in (*SCORES, *FACTOR_STEPS):
            for step in FACTOR_STEPS.get(name, STEPS):
                moved = replace(blend, **{name: step})
                if moved == blend or not any(getattr(moved, score) for score in SCORES):
                    continue
                tried = exam.gains(moved)
                if _better(tried, gains):
                    blend, gains = moved, tried
    return blend


def _remember(exam: _Exam, blend: Blend) -> Memory:
    """How much a product counts for having been bought before; asked only where a customer is known."""
    if np.count_nonzero(exam.bought.any(axis=1)) < ENOUGH_QUERIES:
        return Memory()
    memory, gains = Memory(), exam.gains(blend)
    for _ in range(2):
        for name in ("bonus", "boost"):
            for step in MEMORY_STEPS:
                moved = memory._replace(**{name: step})
                tried = exam.gains(blend, moved)
                if _better(tried, gains):
                    memory, gains = moved, tried
    return memory


def _calibrate(exam: _Exam, blend: Blend, *, first: int) -> Calibration:
    """A logistic of scores, rank and size, from the first ten answers to each of the `first` questions."""
    totals, _ = exam.totals(blend)
    order = np.argsort(-totals, axis=1, kind="stable")[:, : evaluation.DEPTH]
    values = np.take_along_axis(totals, order, axis=1)
    hit = np.take_along_axis(exam.candidates, order, axis=1) == exam.hidden[:, None]
    ranks = np.broadcast_to(np.arange(1.0, order.shape[1] + 1), values.shape)
    lines = np.broadcast_to(exam.lines[:, None], values.shape)
    best = np.broadcast_to(values[:, :1], values.shape)
    asked = (values > 0.0) & (np.arange(len(values)) < first)[:, None]
    if not 0 < int(hit[asked].sum()) < int(asked.sum()):
        return Calibration()
    logs = np.log(np.column_stack([values[asked] / best[asked], best[asked], ranks[asked], lines[asked]]))
    fitted = LogisticRegression(C=10.0, max_iter=1_000).fit(logs, hit[asked])
    wrong_way = [k for k, sign in ((0, -1.0), (2, 1.0)) if sign * fitted.coef_[0, k] > 0.0]
    if wrong_way:
        # A better score or a better rank never means a lower probability: then it does not count at all.
        logs[:, wrong_way] = 0.0
        fitted = LogisticRegression(C=10.0, max_iter=1_000).fit(logs, hit[asked])
    relative, height, rank, size = fitted.coef_[0].tolist()
    found = (float(fitted.intercept_[0]), max(relative, 0.0), height, min(rank, 0.0), size)
    # Rounded, so that the order of the orders, which moves the last bits, changes nothing.
    return Calibration(*(round(float(value), 4) for value in found))
