"""Teach the recommender from the shop's own orders, leaving out what an offer sold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from flask_encore.domain.acceptance import Shown
from flask_encore.domain.training import Assortment, KeptRates, TrainingLine, TrainingReport
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import catalog, decisions, events, history, trainings

#: Names the last training, begun or ended, among the heartbeats.
TRAINED = "train"


def train(rt: Runtime, *, force: bool = False, progress: Callable[[float], None] | None = None) -> TrainingReport:
    """Train on every recorded order and put the model live, unless it is in doubt. What an offer sold never trains it.

    Raises:
        TrainingBusy: Another training is under way; nothing was done.
    """
    now = rt.clock()
    with rt.db.write() as connection:
        # Before it begins: one that is killed for want of memory must not be tried again all night.
        events.beat(connection, TRAINED, now=now)
    report = rt.trainer.train(_lines(rt), assortment=assortment(rt), now=now, force=force, progress=progress)
    report = replace(report, acceptance=rt.acceptance.learn(_shown(rt, now), dial=rt.settings.profit_dial, now=now))
    if report.doubt:
        done = "was put live all the same" if report.version else "is not put live"
        logger.warning("the trained model %s: %s", done, report.doubt)
    with rt.db.write() as connection:
        trainings.add(connection, report, now=now)
    return report


def assortment(rt: Runtime) -> Assortment:
    """What the shop knows of its products now, returns included."""
    with rt.db.read() as connection:
        kept = KeptRates.shrunken(history.sold_and_kept(connection, account=rt.account))
        return catalog.assortment(connection, kept=kept)


def _lines(rt: Runtime) -> Iterator[TrainingLine]:
    """Every line; once the last is read no connection is held, however long the training takes."""
    with rt.db.stream() as connection:
        yield from history.training_lines(connection)


def _shown(rt: Runtime, now: datetime) -> Iterator[Shown]:
    """Every offer that was answered; no connection is held once the last is read."""
    with rt.db.stream() as connection:
        yield from decisions.answered(connection, account=rt.account, now=now)
