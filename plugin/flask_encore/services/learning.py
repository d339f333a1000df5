"""Keep the recommender fresh between two trainings, and say how fresh it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from flask_encore.domain.errors import TrainingBusy
from flask_encore.domain.training import Drift, LinesSince, TrainingLine
from flask_encore.services import training
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import events, history

#: Names the last learning of new orders, begun or ended, among the heartbeats.
LEARNED = "learn"

#: Seconds between two looks whether something is due.
PERIOD = 60.0


def tend(rt: Runtime) -> None:
    """Do what is due now: train everything anew, or learn the new orders. Never two at once, whoever else tends."""
    now = rt.clock()
    with rt.db.read() as connection:
        trained, learned = (events.last_beat(connection, name) for name in (training.TRAINED, LEARNED))
    try:
        if _is_over(rt.settings.train_at, since=trained, now=now.astimezone(rt.settings.zone)):
            training.train(rt)
        elif rt.settings.learn_minutes and (
            learned is None or now - learned >= timedelta(minutes=rt.settings.learn_minutes)
        ):
            learn(rt)
    except TrainingBusy:
        logger.info("somebody else is training")


def learn(rt: Runtime) -> str:
    """Learn the orders recorded since the live model and put the new one live; its version, or empty.

    Raises:
        TrainingBusy: Another training is under way; nothing was done.
    """
    now = rt.clock()
    with rt.db.write() as connection:
        events.beat(connection, LEARNED, now=now)
    version = rt.trainer.learn(_lines(rt), assortment=training.assortment(rt), now=now)
    if version:
        logger.info("learned new orders: model %s is live", version)
    return version


def drift(rt: Runtime) -> Drift | None:
    """How the live model does on orders that came after it was trained; ``None`` without a model."""
    return rt.trainer.drift(_lines(rt))


def _lines(rt: Runtime) -> LinesSince:
    def since(moment: datetime) -> Iterator[TrainingLine]:
        with rt.db.stream() as connection:
            yield from history.training_lines(connection, account=rt.account, recorded_since=moment)

    return since


def _is_over(time_of_day: str, *, since: datetime | None, now: datetime) -> bool:
    """Whether the time of day came since then; at once in a shop that never trained. *now* is in the shop's zone."""
    if not time_of_day:
        return False
    hour, minute = map(int, time_of_day.split(":"))
    last = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if last > now:
        last -= timedelta(days=1)
    return since is None or since < last
