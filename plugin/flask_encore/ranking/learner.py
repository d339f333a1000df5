"""Between two trainings: new orders are asked about, then learned, with the blends of the training before."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encore_recommender.baskets import BadBaskets, Baskets
from encore_recommender.evaluation import measure, queries
from encore_recommender.model import CoPurchaseModel
from encore_recommender.persistence import ModelRefused, Provenance, load, read_manifest, save
from flask_encore.domain.training import Assortment, Drift, LinesSince, TrainingLine, Watched

if TYPE_CHECKING:
    from encore_recommender.copurchase import CoPurchaseRecommender

_log = logging.getLogger(__name__)

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
        return trained_at(self.manifest)

    @property
    def passing(self) -> str:
        """Its version when it was learned between two trainings, else empty: only trainings are gone back to."""
        return self.model.version if self.trained_at != self.created_at else ""

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


def trained_at(manifest: Mapping[str, Any]) -> datetime:
    """When everything the model knows was last learned anew.

    Raises:
        ModelRefused: The manifest does not say.
    """
    try:
        return datetime.fromisoformat(manifest["parameters"].get(TRAINED_AT, manifest["created_at"])).astimezone(UTC)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ModelRefused("the manifest does not say when the model was trained: train again") from None


def learn(model_dir: Path, lines: LinesSince, *, assortment: Assortment, kept: Mapping[str, Any], now: datetime) -> str:
    """See `Trainer.learn`. *kept* is what the manifest says of returns.

    Without what the training of the live model remembered nothing is done; the next training remembers again.
    """
    live = Live.under(model_dir)
    if live is None:
        return ""
    new = list(lines(live.created_at))
    if not new:
        return ""
    from encore_recommender.learned import restore

    try:
        estimator = restore(_memory(model_dir, live.model.version))
        estimator.partial_fit(
            Baskets.from_rows(
                lines(live.created_at - OVERLAP),
                categories=assortment.categories,
                titles=assortment.titles,
                parents=assortment.parents,
            )
        )
    except (ModelRefused, BadBaskets) as refusal:
        _log.warning("new orders wait for the next training (%s)", refusal)
        return ""
    orders = estimator.ledger_.orders
    version = save(
        estimator.model_,
        model_dir,
        about=Provenance(
            created_at=now,
            parameters={**live.manifest["parameters"], "kept": kept, TRAINED_AT: live.trained_at.isoformat()},
            metrics={**live.manifest["metrics"], WATCHED: live.watched(new).as_json()},
            seed=live.manifest["seed"],
            first_order_at=None if orders.times is None else float(orders.times[0]),
            last_order_at=None if orders.times is None else float(orders.times[-1]),
            lines=estimator.n_lines_,
        ),
        replaces=live.passing,
    )
    remember(estimator, model_dir, version)
    return version


def remember(estimator: CoPurchaseRecommender, model_dir: Path, version: str) -> None:
    """Keep beside a model what learning on from it takes; it goes when the model goes."""
    from encore_recommender import learned

    learned.save(estimator, _memory(model_dir, version))


def _memory(model_dir: Path, version: str) -> Path:
    return model_dir / f"model-{version}" / "learned.zip"


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
