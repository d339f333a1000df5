"""Which saved model ranks an order while an experiment varies the recommender, and what the order remembers of it.

The variant is dealt when the order is recorded, because that is when it is ranked (ADR 6). Who is in the standing
holdout is dealt one too: nothing of it is shown to them, and nothing of it is logged as an exposure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask_encore.domain.book import Book
from flask_encore.domain.experiments import HOLDOUT, Exposure
from flask_encore.domain.orders import PaidOrder

#: Where ``orders.facts`` remembers it.
_KEY = "model_experiment"


def dealt(book: Book, order: PaidOrder) -> tuple[Exposure | None, str | None]:
    """What *order* is dealt of the experiment about the model, and the version that shall rank it.

    ``None`` for the version is the live model: of the holdout, of a variant that names none, and without experiment.
    """
    running = book.experiment_about(None)
    if running is None:
        return None, None
    name = running.variant_for(order.customer_ref or order.order_ref)
    variant = None if name == HOLDOUT else running.experiment.variant(name)
    exposure = Exposure(experiment_ref=running.experiment.ref, version=running.version, variant=name, campaign=None)
    return exposure, None if variant is None else variant.model


def not_ranked_so(exposure: Exposure) -> Exposure:
    """The exposure of an order whose model could not be had: the live one ranked it."""
    return replace(exposure, applied=False)


def remembered(exposure: Exposure | None) -> dict[str, Any]:
    """What the order's facts keep of it."""
    return {} if exposure is None else {_KEY: exposure.as_json()}


def forgotten(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """*facts* of an order as if it had never been dealt any: for a preview, which is of now."""
    return {name: told for name, told in (facts or {}).items() if name != _KEY}


def exposures_of(order: Mapping[Any, Any]) -> Sequence[Exposure]:
    """What a row of ``encore_orders`` remembers: one exposure, or none."""
    told = (order["facts"] or {}).get(_KEY)
    if told is None:
        return ()
    return (
        Exposure(
            experiment_ref=told["ref"],
            version=told["version"],
            variant=told["variant"],
            campaign=None,
            applied=told["applied"],
        ),
    )
