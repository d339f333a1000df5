"""Trains the co-purchase model through the Trainer port, puts it live, and goes back to an older one."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encore_recommender import persistence
from encore_recommender.baskets import Baskets
from encore_recommender.persistence import CURRENT, ModelRefused, open_model, put_live, read_manifest, save
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.training import (
    Assortment,
    Drift,
    Judged,
    KeptRates,
    LinesSince,
    Running,
    SavedModel,
    TrainingLine,
    TrainingReport,
)
from flask_encore.ranking.alone import alone
from flask_encore.ranking.learner import Live, learn, remember
from flask_encore.ranking.under_way import running, under_way

if TYPE_CHECKING:
    from encore_recommender.training import Trained

#: A manifest keeps the rates of so many products, the worst first: what comes back most is what matters, and a manifest
#: has to stay small whatever a shop sells.
KEPT_RATES = 500

#: What the reading of the lines takes of the whole, roughly, for the progress bar.
_READ = 0.1


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
        assortment: Assortment,
        now: datetime,
        force: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> TrainingReport:
        """Train, judge against popularity on the last orders, save, swap.

        Args:
            lines: Order lines without those an offer sold, in any order; read once.
            assortment: What is known of the products.
            now: Timezone-aware; goes into the model's version.
            force: Put the model live even when it is in doubt.
            progress: Hears fractions, 0 to 1, never falling; 0 as soon as no other training can begin. What it raises
                ends the training, with nothing put live.

        Returns:
            What was learned. Hit rates are 0 where the held-out orders gave nothing to ask.

        Raises:
            BadBaskets: A line is not valid; nothing is put live.
            OSError: The model could not be written; the live one is untouched.
            TrainingBusy: Another training is under way; nothing was done.
        """
        started = self._stopwatch()
        hear = progress or _silent
        with alone(self._model_dir), under_way(self._model_dir, now=now) as leave_word:

            def tell(share: float) -> None:
                leave_word(share)
                hear(share)

            tell(0.0)
            # scikit-learn takes over a second to import: whoever only serves never pays for it.
            from encore_recommender.copurchase import CoPurchaseRecommender
            from encore_recommender.training import train

            baskets = Baskets.from_rows(
                lines, categories=assortment.categories, titles=assortment.titles, parents=assortment.parents
            )
            if baskets.n_orders == 0:
                hear(1.0)
                return _nothing(seconds=self._stopwatch() - started)
            tell(_READ)
            trained = train(
                baskets,
                CoPurchaseRecommender(),
                progress=lambda _stage, share: tell(_READ + share * (1.0 - _READ)),
            )
            version = "" if trained.verdict.doubt and not force else self._put_live(trained, assortment.kept, now=now)
        hear(1.0)
        final = trained.estimator
        return TrainingReport(
            version=version,
            orders=final.n_orders_,
            lines=final.n_lines_,
            products=final.n_features_in_,
            seconds=self._stopwatch() - started,
            hit_rate_at_3=trained.metrics["full_basket"]["hit_rate_at_3"],
            popularity_hit_rate_at_3=trained.metrics["full_basket_popularity"]["hit_rate_at_3"],
            doubt=trained.verdict.doubt,
        )

    def learn(self, lines: LinesSince, *, assortment: Assortment, now: datetime) -> str:
        """Add the orders that came since the live model to it, and put that live; its version, or empty.

        Every order is first asked about, which is what `drift` tells. Without a new order, without a model, and while
        an older model was put live by hand, nothing is done.

        Raises:
            BadBaskets: A line is not valid; nothing is put live.
            TrainingBusy: Another training is under way; nothing was done.
        """
        with alone(self._model_dir):
            newest = next(iter(self.models()), None)
            if newest is None or not newest.live:
                return ""
            return learn(self._model_dir, lines, assortment=assortment, kept=_worst(assortment.kept), now=now)

    def drift(self, lines: LinesSince) -> Drift | None:
        """How the live model does on orders that came after it was trained; ``None`` without a model."""
        live = Live.under(self._model_dir)
        return None if live is None else live.drift(lines)

    def running(self) -> Running | None:
        """The training under way, in whichever process; ``None`` without one."""
        return running(self._model_dir)

    def models(self) -> Sequence[SavedModel]:
        """The models that can be put live, newest first; one that cannot be read is not among them."""
        live = self._live()
        found = []
        for folder in sorted(self._model_dir.glob("model-*"), reverse=True):
            try:
                manifest = read_manifest(folder)
            except ModelRefused:
                continue
            judged: dict[str, Any] = manifest["metrics"].get("full_basket", {})
            window: dict[str, Any] = manifest.get("data_window") or {}
            found.append(
                SavedModel(
                    version=manifest["version"],
                    trained_at=datetime.fromisoformat(manifest["created_at"]),
                    orders=manifest["counts"]["orders"],
                    hit_rate_at_3=judged.get("hit_rate_at_3", 0.0),
                    live=folder.name == live,
                    lines=manifest["counts"].get("lines", 0),
                    products=manifest["counts"].get("products", 0),
                    first_order_at=_moment(window.get("first_order_at")),
                    last_order_at=_moment(window.get("last_order_at")),
                    judged=_judged(judged, manifest["metrics"].get("full_basket_popularity", {})),
                )
            )
        return found

    def use(self, version: str) -> None:
        """Put a saved model live; every process that serves follows within a second.

        Raises:
            InvalidInput: There is no such model, or it cannot be read; the live one stays.
            TrainingBusy: A training is under way, and would put its own live a moment later.
        """
        known = [model.version for model in self.models()]
        if version not in known:
            raise InvalidInput(f"There is no model {version!r}; there are: {', '.join(known) or 'none'}.")
        with alone(self._model_dir):
            try:
                open_model(self._model_dir / f"model-{version}")
            except ModelRefused as refusal:
                raise InvalidInput(f"The model cannot be used: {refusal}.") from refusal
            put_live(self._model_dir, version)

    def keep(self, versions: Collection[str]) -> None:
        """From now on, remove none of *versions*, and those of the call before no longer for its sake. Idempotent.

        Raises:
            OSError: It could not be written down; what was kept before still is.
        """
        persistence.keep(self._model_dir, versions)

    def _put_live(self, trained: Trained, kept: KeptRates, *, now: datetime) -> str:
        about = trained.provenance(now=now)
        about = replace(about, parameters={**about.parameters, "kept": _worst(kept)})
        live = Live.under(self._model_dir)
        version = save(trained.estimator.model_, self._model_dir, about=about, replaces=live.passing if live else "")
        remember(trained.estimator, self._model_dir, version)
        return version

    def _live(self) -> str:
        try:
            return (self._model_dir / CURRENT).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""


def _judged(ours: dict[str, Any], best_sellers: dict[str, Any]) -> Judged | None:
    """What a manifest keeps of the judging; ``None`` where nothing was asked."""
    if not ours.get("queries"):
        return None
    return Judged(
        questions=ours["queries"],
        hit_rate_at_3=ours["hit_rate_at_3"],
        popularity_hit_rate_at_3=best_sellers.get("hit_rate_at_3", 0.0),
        ndcg_at_10=ours["ndcg_at_10"],
        popularity_ndcg_at_10=best_sellers.get("ndcg_at_10", 0.0),
        coverage_at_3=ours.get("coverage_at_3", 0.0),
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _worst(kept: KeptRates) -> dict[str, Any]:
    """The rates as a manifest keeps them."""
    return {"shop": kept.shop, "of": dict(heapq.nsmallest(KEPT_RATES, kept.of.items(), key=itemgetter(1)))}


def _nothing(*, seconds: float) -> TrainingReport:
    return TrainingReport(
        version="",
        orders=0,
        lines=0,
        products=0,
        seconds=seconds,
        hit_rate_at_3=0.0,
        popularity_hit_rate_at_3=0.0,
        doubt="there is nothing to train on yet; flask encore import orders FILE.csv --currency gbp brings past orders",
    )


def _silent(share: float) -> None:
    """Report to nobody."""
