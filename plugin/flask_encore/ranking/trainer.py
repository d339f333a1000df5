"""Trains the co-purchase model through the Trainer port and puts it live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from encore_recommender.baskets import Baskets
from encore_recommender.evaluation import Quality, best_sellers, measure, queries, split
from encore_recommender.persistence import Provenance, save
from flask_encore.domain.ports import TrainingLine, TrainingReport

if TYPE_CHECKING:
    from encore_recommender.copurchase import CoPurchaseRecommender

#: Every held-out order is asked up to so often with another line hidden, so that a small shop's figures are
#: not one draw's luck; large shops reach the limit of questions in the first round.
ROUNDS = 5

# Where the time goes, roughly, for the progress bar.
_READ, _CHOSEN, _JUDGED, _LEARNED = 0.1, 0.75, 0.85, 0.95


class CoPurchaseTrainer:
    """Learns from all order lines and judges the method on the newest fifth of the orders.

    Judging never sees what it taught: settings are chosen and a first model is fitted on the earlier orders
    alone. The model put live is then fitted on all orders with those settings.

    Args:
        model_dir: Where models live; made if absent.
        stopwatch: Seconds that never go back, for the report.
    """

    def __init__(self, model_dir: Path, *, stopwatch: Callable[[], float] = time.perf_counter) -> None:
        self._model_dir = model_dir
        self._stopwatch = stopwatch

    def train(
        self,
        lines: Iterable[TrainingLine],
        *,
        categories: Mapping[str, str],
        now: datetime,
        progress: Callable[[float], None] | None = None,
    ) -> TrainingReport:
        """Train, evaluate against popularity on the last orders, save, swap.

        Args:
            lines: Order lines without those an offer sold, in any order; read once.
            categories: Category per SKU, where known; may name products nobody bought.
            now: Timezone-aware; goes into the model's version.
            progress: Hears fractions, 0 to 1, never falling.

        Returns:
            What was learned. Without any line: zeros and an empty version, and nothing is put live. Hit
            rates are 0 where the held-out orders gave nothing to ask.

        Raises:
            BadBaskets: A line is not valid; nothing is put live.
            OSError: The model could not be written; the live one is untouched.
        """
        # scikit-learn takes over a second to import: whoever only serves never pays for it.
        from encore_recommender.copurchase import CoPurchaseRecommender, parameters

        started = self._stopwatch()
        tell = progress or _silent
        baskets = Baskets.from_rows(lines, categories=categories)
        if baskets.n_orders == 0:
            tell(1.0)
            return TrainingReport(
                version="",
                orders=0,
                lines=0,
                products=0,
                seconds=self._stopwatch() - started,
                hit_rate_at_3=0.0,
                popularity_hit_rate_at_3=0.0,
            )
        tell(_READ)
        taught, held_out = split(baskets)
        trial = CoPurchaseRecommender().fit(taught, progress=lambda share: tell(_READ + share * (_CHOSEN - _READ)))
        metrics = _judge(trial, taught, held_out)
        tell(_JUDGED)
        final = CoPurchaseRecommender(choice=trial.choice_).fit(baskets)
        tell(_LEARNED)
        times = baskets.times
        version = save(
            final.model_,
            self._model_dir,
            about=Provenance(
                created_at=now,
                parameters=parameters(final),
                metrics={name: quality.as_dict() for name, quality in metrics.items()},
                seed=final.random_state,
                first_order_at=None if times is None else float(times[0]),
                last_order_at=None if times is None else float(times[-1]),
                lines=final.n_lines_,
            ),
        )
        tell(1.0)
        return TrainingReport(
            version=version,
            orders=final.n_orders_,
            lines=final.n_lines_,
            products=final.n_features_in_,
            seconds=self._stopwatch() - started,
            hit_rate_at_3=metrics["full_basket"].hit_rate_at_3,
            popularity_hit_rate_at_3=metrics["full_basket_popularity"].hit_rate_at_3,
        )


def _judge(trial: CoPurchaseRecommender, taught: Baskets, held_out: Baskets) -> dict[str, Quality]:
    popular = best_sellers(taught)
    known = [taught.skus[item] for item in set(taught.items.tolist())]
    full = queries(held_out, context="all", rounds=ROUNDS)
    one = queries(held_out, context="one", rounds=ROUNDS)
    return {
        "full_basket": measure(trial.model_.ids, full, taught=known),
        "full_basket_popularity": measure(popular, full, taught=known),
        "one_line": measure(trial.model_.ids, one, taught=known),
        "one_line_popularity": measure(popular, one, taught=known),
    }


def _silent(share: float) -> None:
    """Report to nobody."""
