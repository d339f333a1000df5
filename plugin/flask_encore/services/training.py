"""Teach the recommender from the shop's own orders, leaving out what an offer sold."""

from __future__ import annotations

from collections.abc import Callable

from flask_encore.domain.ports import TrainingReport
from flask_encore.services.runtime import Runtime
from flask_encore.store import catalog, history


def train(rt: Runtime, *, progress: Callable[[float], None] | None = None) -> TrainingReport:
    """Train on every recorded order and put the model live. Lines an offer sold never train it."""
    with rt.db.stream() as connection:
        categories = catalog.categories(connection)
        return rt.trainer.train(
            history.training_lines(connection), categories=categories, now=rt.clock(), progress=progress
        )
