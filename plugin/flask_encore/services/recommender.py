"""The recommender as its merchant sees it: what is live, how well it does, and what can be done about it by hand."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_encore.domain.errors import TrainingBusy
from flask_encore.domain.ports import Inspectable, Pairing
from flask_encore.domain.training import Drift, Pair, Running, SavedModel, TrainingReport
from flask_encore.services import auditing, learning, training
from flask_encore.services.auditing import Action
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import catalog, trainings
from flask_encore.store.database import StoreError

#: What the audit log calls it; no campaign can have a ref with a space.
SUBJECT = "the recommender"

#: Name of the thread a training begun by hand runs in, for whoever reads a stack dump.
THREAD = "encore-training"

#: Trainings that are told, newest first.
TOLD = 10

#: Pairs that are told: a page's worth, whether of all or of what was searched for.
PAIRS = 15

#: Pairs in a file: more than anybody reads, and no more products than a statement can name.
PAIRS_IN_A_FILE = 5_000

#: Pairs looked through for one certain pair; no product stands in more lists than a best-seller of a large shop.
MOST_OF_ONE = 100_000

#: Products a search can find pairs of; who means another one types more of its name.
FOUND = 50

#: In fewer orders a pair is luck, so it is not told among the strongest; who searches for a product sees it.
FEWEST_ORDERS = 5

#: A page asks anew how the model does once this is over: every order since it learned is asked about, which takes 0.2 s
#: for a thousand of them.
DRIFT_FRESH = timedelta(minutes=5)

#: Seconds a page waits to hear that a training has begun, or that another one is under way: reading the catalogue, and
#: no more, lies before that.
BEGIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training of the log.

    Attributes:
        version: Of the model that was put live; empty when none was.
        report: A `TrainingReport` as JSON.
    """

    at: datetime
    version: str
    doubt: str
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the recommender stands.

    Attributes:
        problem: Why the newest model is not in use, with the fix; empty when all is well.
        is_own: Whether the shop ranks with a ranker of its own, which no model of ours reaches.
        trained_at: When everything the live model knows was last learned anew.
        has_pairs: Whether the ranker can be asked for pairs.
    """

    problem: str
    is_own: bool
    live: SavedModel | None
    trained_at: datetime | None
    drift: Drift | None
    models: Sequence[SavedModel]
    trainings: Sequence[Training]
    running: Running | None
    has_pairs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What was bought together.

    Attributes:
        titles: By SKU, of the products that are in the catalogue.
    """

    found: Sequence[Pair]
    titles: Mapping[str, str]


def view(rt: Runtime) -> View:
    """How it stands now."""
    models = rt.trainer.models()
    live = next((model for model in models if model.live), None)
    drift = _drift(rt, live.version) if live is not None else None
    inspected = rt.ranker if isinstance(rt.ranker, Inspectable) else None
    return View(
        problem="" if inspected is None else inspected.problem,
        is_own=inspected is None,
        live=live,
        trained_at=drift.trained_at if drift is not None else None,
        drift=drift,
        models=models,
        trainings=trained(rt),
        running=rt.trainer.running(),
        has_pairs=isinstance(rt.ranker, Pairing),
    )


def drift_of_live(rt: Runtime) -> Drift | None:
    """How the live model does on orders after its training, at most `DRIFT_FRESH` old; ``None`` without a model."""
    live = next((model for model in rt.trainer.models() if model.live), None)
    return None if live is None else _drift(rt, live.version)


def _drift(rt: Runtime, version: str) -> Drift | None:
    now, kept = rt.clock(), rt.drift.latest
    if kept is not None and kept[0] == version and now - kept[1] < DRIFT_FRESH:
        return kept[2]
    found = learning.drift(rt)
    rt.drift.latest = (version, now, found)
    return found


def trained(rt: Runtime, *, limit: int | None = TOLD) -> list[Training]:
    """The last trainings, newest first; all of them without a *limit*."""
    with rt.db.read() as connection:
        rows = trainings.latest(connection, limit=limit)
    return [
        Training(at=row["trained_at"], version=row["version"], doubt=row["doubt"], report=row["report"]) for row in rows
    ]


def pairs(rt: Runtime, *, words: str = "", by_lift: bool = False, most: int = PAIRS) -> Pairs:
    """The strongest pairs of the live model, or those of the products that have *words* in their title or are that SKU.

    Empty when the ranker cannot tell.
    """
    if not isinstance(rt.ranker, Pairing):
        return Pairs(found=(), titles={})
    of: list[str] | None = None
    if words:
        with rt.db.read() as connection:
            # What the catalogue does not know may still be in past orders.
            of = [words, *catalog.titled(connection, words, limit=FOUND)]
    found = rt.ranker.pairs(most=most, fewest_orders=1 if words else FEWEST_ORDERS, by_lift=by_lift, of=of)
    with rt.db.read() as connection:
        titles = catalog.titles(connection, {sku for pair in found for sku in (pair.sku, pair.other)})
    return Pairs(found=found, titles=titles)


def pair(rt: Runtime, sku: str, other: str) -> Pair | None:
    """What the live model knows of two products, *sku* first; ``None`` when it keeps nothing of them."""
    if not isinstance(rt.ranker, Pairing):
        return None
    found = rt.ranker.pairs(most=MOST_OF_ONE, fewest_orders=1, of=[sku])
    return next((one for one in found if one.other == other), None)


def titles(rt: Runtime, *skus: str) -> Mapping[str, str]:
    """By SKU, of those that are in the catalogue."""
    with rt.db.read() as connection:
        return catalog.titles(connection, skus)


def use(rt: Runtime, version: str, *, actor: str) -> None:
    """Put a saved model live, and write down who did. Idempotent: the live one is not put live again.

    Raises:
        InvalidInput: There is no such model, or it cannot be read; the live one stays.
        TrainingBusy: A training is under way, and would put its own live a moment later.
    """
    auditing.checked_actor(actor)
    before = next((model.version for model in rt.trainer.models() if model.live), "")
    if before == version:
        return
    with rt.db.write() as connection:
        auditing.record(
            rt,
            connection,
            actor=actor,
            action=Action.USE_MODEL,
            subject=SUBJECT,
            before={"model": before},
            after={"model": version},
        )
        rt.trainer.use(version)


def begin(rt: Runtime, *, actor: str, force: bool = False) -> None:
    """Train in a thread of this process, and come back as soon as that has begun.

    It goes on without the page that asked, and ends with the process, which leaves nothing half: a model is put live in
    one step. How it ended is in the log of trainings, also when it failed.

    Raises:
        TrainingBusy: Another training is under way, in whichever process; nothing was begun.
        StoreError: The database is away; nothing was begun.
        InvalidInput: The actor has no name.
    """
    auditing.checked_actor(actor)
    begun: Future[None] = Future()

    def hear(_share: float) -> None:
        if begun.done():
            return
        # The folder of the models is ours from here on: what is written down is a training that begins.
        with rt.db.write() as connection:
            auditing.record(
                rt,
                connection,
                actor=actor,
                action=Action.TRAIN,
                subject=SUBJECT,
                before=None,
                after={"even_if_in_doubt": force},
            )
        begun.set_result(None)

    def run() -> None:
        try:
            training.train(rt, force=force, progress=hear)
        except Exception as error:
            if not isinstance(error, TrainingBusy):
                logger.exception("a training begun by hand failed")
                _tell_failure(rt, error)
            if not begun.done():
                if isinstance(error, (TrainingBusy, StoreError)):
                    begun.set_exception(error)
                else:
                    begun.set_result(None)

    threading.Thread(target=run, name=THREAD, daemon=True).start()
    try:
        begun.result(timeout=BEGIN_SECONDS)
    except FutureTimeout:
        logger.warning("a training begun by hand takes long to begin")


def _tell_failure(rt: Runtime, error: Exception) -> None:
    """Into the log of trainings, where the merchant looks for the result."""
    report = TrainingReport(
        version="",
        orders=0,
        lines=0,
        products=0,
        seconds=0.0,
        hit_rate_at_3=0.0,
        popularity_hit_rate_at_3=0.0,
        doubt=f"it failed ({type(error).__name__}: {error})",
    )
    try:
        with rt.db.write() as connection:
            trainings.add(connection, report, now=rt.clock())
    except Exception:
        logger.exception("that the training failed could not be written down")
