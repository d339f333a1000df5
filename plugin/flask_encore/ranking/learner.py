"""Between two trainings: new orders are asked about, then learned, with the blends of the training before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encore_recommender.baskets import BadBaskets, Baskets
from encore_recommender.evaluation import measure, queries
from encore_recommender.model import CoPurchaseModel
from encore_recommender.persistence import ModelRefused, Provenance, load, read_manifest, save
from flask_encore.domain.training import Assortment, Drift, LinesSince, TrainingLine, Watched

if TYPE_CHECKING:
    from encore_recommender.copurchase import CoPurchaseRecommender

#: An order is recorded at a moment and can be read a little later. What is read twice is learned once.
OVERLAP = timedelta(minutes=5)

#: Where a manifest keeps what was seen of the orders that came after the training, and when that was.
WATCHED, TRAINED_AT = "watched", "trained_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The model that is served, and what its manifest says."""

    model: CoPurchaseModel
    manifest: Mapping[str, Any]

    @classmethod
    def under(cls, model_dir: Path) -> Live | None:
        """The live model; ``None`` without one that can be read."""
        try:
            model = load(model_dir)
            return cls(model=model, manifest=read_manifest(model_dir / f"model-{model.version}"))
        except ModelRefused:
            return None

    @property
    def created_at(self) -> datetime:
        """Orders recorded up to this moment were learned."""
        return datetime.fromisoformat(self.manifest["created_at"])

    @property
    def trained_at(self) -> datetime:
        """When everything was last learned anew."""
        return datetime.fromisoformat(self.manifest["parameters"].get(TRAINED_AT, self.manifest["created_at"]))

    def watched(self, lines: Iterable[TrainingLine]) -> Watched:
        """What was seen of orders that came after the training, those of *lines* included."""
        before = Watched(**self.manifest["metrics"].get(WATCHED, {}))
        return before.plus(_ask(self.model, Baskets.from_rows(lines)))

    def drift(self, lines: LinesSince) -> Drift:
        """Against what it had on its own held-out orders."""
        judged = self.manifest["metrics"].get("full_basket", {})
        return Drift(
            version=self.model.version,
            trained_at=self.trained_at,
            watched=self.watched(lines(self.created_at)),
            validation_hit_rate_at_3=judged.get("hit_rate_at_3", 0.0),
            validation_ndcg_at_10=judged.get("ndcg_at_10", 0.0),
        )


class Learner:
    """Adds new orders to the live model.

    What a training knows of every order is kept in the memory of this process alone. Without it, as after a start or
    after a training elsewhere, all orders are counted again, with the blends the live model has.
    """

    def __init__(self, model_dir: Path) -> None:
        self._model_dir = model_dir
        self._knows: tuple[str, CoPurchaseRecommender] | None = None

    def learn(self, lines: LinesSince, *, assortment: Assortment, kept: Mapping[str, Any], now: datetime) -> str:
        """See `Trainer.learn`. *kept* is what the manifest says of returns."""
        live = Live.under(self._model_dir)
        if live is None or "blends" not in live.manifest["parameters"]:
            return ""
        new = list(lines(live.created_at))
        if not new:
            return ""
        watched = live.watched(new)
        estimator = self._taught(live, lines, assortment)
        orders = estimator.ledger_.orders
        version = save(
            estimator.model_,
            self._model_dir,
            about=Provenance(
                created_at=now,
                parameters={
                    **live.manifest["parameters"],
                    "kept": kept,
                    TRAINED_AT: live.trained_at.isoformat(),
                },
                metrics={**live.manifest["metrics"], WATCHED: watched.as_json()},
                seed=live.manifest["seed"],
                first_order_at=None if orders.times is None else float(orders.times[0]),
                last_order_at=None if orders.times is None else float(orders.times[-1]),
                lines=estimator.n_lines_,
            ),
        )
        self._knows = version, estimator
        return version

    def _taught(self, live: Live, lines: LinesSince, assortment: Assortment) -> CoPurchaseRecommender:
        known, estimator = self._knows or ("", None)
        self._knows = None
        if estimator is not None and known == live.model.version:
            try:
                return estimator.partial_fit(_baskets(lines(live.created_at - OVERLAP), assortment))
            except BadBaskets:
                # A history without times, and now orders that have them: only all of it together makes sense.
                pass
        from encore_recommender.copurchase import CoPurchaseRecommender
        from encore_recommender.tuning import Choice

        choice = Choice.from_dict(live.manifest["parameters"]["blends"])
        return CoPurchaseRecommender(choice=choice).fit(_baskets(lines(None), assortment))


def _baskets(lines: Iterable[TrainingLine], assortment: Assortment) -> Baskets:
    return Baskets.from_rows(
        lines, categories=assortment.categories, titles=assortment.titles, parents=assortment.parents
    )


def _ask(model: CoPurchaseModel, orders: Baskets) -> Watched:
    """One question per order, as when the model was judged."""
    if not orders.n_orders:
        return Watched()
    asked = queries(orders, context="all")
    found = measure(model.ids, asked, taught=())
    known = {sku for sku, count in zip(model.skus, model.orders_with.tolist(), strict=True) if count}
    bought = [orders.skus[item] for item in orders.items.tolist()]
    return Watched(
        questions=found.queries,
        hits=round(found.hit_rate_at_3 * found.queries),
        gain=found.ndcg_at_10 * found.queries,
        lines=len(bought),
        unknown_lines=sum(sku not in known for sku in bought),
    )
