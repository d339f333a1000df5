"""The recommender's room: what is live and how well it does, what goes with what, and training by hand."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, g, jsonify, request

from flask_encore.domain.errors import InvalidInput, TrainingBusy
from flask_encore.domain.rights import Right
from flask_encore.domain.training import Drift, Pair
from flask_encore.services import recommender
from flask_encore.services.recommender import Training
from flask_encore.web import recommender_tables
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import (
    ask,
    changes_something,
    is_sealed,
    message,
    needs,
    on_database,
    page,
    see,
    url,
)
from flask_encore.web.dashboard_words import Tone
from flask_encore.web.downloads import offered

HERE = "recommender"

NOT_BEGUN = "Nothing was begun"

BUSY = (
    "The recommender is being trained already, here or in another process, and one at a time is enough. "
    "Try again when it has ended."
)

#: In fewer orders a ratio says more about luck than about the products.
SUPPORT_FOR_A_RATIO = 5

#: Characters of a search: no title and no SKU is longer.
LONGEST_SEARCH = 300

#: The drawing of a rate ends at the first of these shares that holds all that is on it.
SCALES = (0.1, 0.25, 0.5, 1.0)

FORCE = (
    "Train, and put the model live even when it is in doubt?",
    "A model that learned from too little, or that does worse than the best-sellers, offers what few shoppers want. "
    "The one before can be put live again at any time.",
    "Train and put live",
)

TRAIN = (
    "Train the recommender now?",
    "It learns every recorded order anew. The model goes live when it is done, unless it is in doubt.",
    "Train now",
)


def add_to(blueprint: Blueprint) -> None:
    """The routes below ``/dashboard/recommender``."""
    blueprint.get("/dashboard/recommender/", endpoint=HERE)(overview)
    blueprint.get("/dashboard/recommender/train")(ask_train)
    blueprint.post("/dashboard/recommender/train")(train_now)
    blueprint.get("/dashboard/recommender/force")(ask_force_training)
    blueprint.post("/dashboard/recommender/force")(force_training)
    blueprint.get("/dashboard/recommender/training")(watch_training)
    blueprint.get("/dashboard/recommender/training.json")(training_share)
    blueprint.get("/dashboard/recommender/models/<version>/use")(ask_use_model)
    blueprint.post("/dashboard/recommender/models/<version>/use")(use_model)


@needs(Right.READ)
@on_database
def overview() -> Response:
    """How the recommender stands, and what it saw bought together."""
    rt = state().runtime
    words = request.args.get("q", "").replace("\0", "").strip()[:LONGEST_SEARCH]
    by_lift = request.args.get("by") == "lift"
    view = recommender.view(rt)
    answer = offered(
        recommender_tables.quality(view),
        recommender_tables.pairs(rt, words=words, by_lift=by_lift),
        recommender_tables.trainings(rt),
        recommender_tables.models(view.models),
    )
    if answer is not None:
        return answer
    return page(
        "recommender.html",
        here=HERE,
        view=view,
        pairs=recommender.pairs(rt, words=words, by_lift=by_lift),
        searched=words,
        by_lift=by_lift,
        fewest=recommender.FEWEST_ORDERS,
        told=_told(request.args.get("used", ""), view.live.version if view.live else ""),
        drift_says=_drift_says(view.drift),
        ruler=_ruler(view.drift),
        age_days=(rt.clock() - view.trained_at) // timedelta(days=1) if view.trained_at else 0,
        evidence=evidence,
        outcome=outcome,
    )


def _told(used: str, live: str) -> str:
    """What the last click did, read from how things stand and not from the address."""
    return f"Model {used} is live; every process follows within a second." if used and used == live else ""


def evidence(pair: Pair) -> str:
    """A pair in counts that anyone can check against the orders."""
    counts = f"in {pair.together:,} of {pair.orders_with:,} orders"
    if pair.together < SUPPORT_FOR_A_RATIO or pair.lift <= 1.0:
        return counts
    return f"{counts}, {pair.lift:,.1f} times more than chance"


def outcome(one: Training) -> tuple[str, Tone]:
    """What became of a training, in two words."""
    if not one.version:
        return ("Not put live", Tone.BAD)
    return ("Put live by force", Tone.WAIT) if one.doubt else ("Put live", Tone.GOOD)


def _drift_says(drift: Drift | None) -> tuple[str, Tone] | None:
    if drift is None or not drift.watched.questions:
        return None
    if drift.is_worse:
        return ("Worse than luck explains. Train anew.", Tone.BAD)
    return ("No worse than luck explains.", Tone.GOOD)


def _ruler(drift: Drift | None) -> dict[str, str] | None:
    """Where the rate since, its interval and the rate before lie on a line from 0 to a round share."""
    if drift is None or not drift.watched.questions:
        return None
    low, high = drift.interval
    end = next(scale for scale in SCALES if max(high, drift.validation_hit_rate_at_3) <= scale or scale == SCALES[-1])
    return {
        "x": f"{100 * low / end:.2f}%",
        "width": f"{100 * (high - low) / end:.2f}%",
        "at": f"{100 * drift.hit_rate_at_3 / end:.2f}%",
        "before": f"{100 * drift.validation_hit_rate_at_3 / end:.2f}%",
        "end": f"{end:.0%}",
    }


# Training


@needs(Right.EDIT)
@on_database
def ask_train() -> Response:
    """Ask once more. Changes nothing."""
    return ask(*TRAIN, stale=False, danger=False, here=HERE)


@needs(Right.EDIT)
@on_database
@changes_something(NOT_BEGUN)
def train_now() -> Response:
    """Begin a training in the background."""
    return _begin() if is_sealed() else ask(*TRAIN, stale=True, danger=False, here=HERE)


@needs(Right.EDIT)
@on_database
def ask_force_training() -> Response:
    """Ask once more. Changes nothing."""
    return ask(*FORCE, stale=False, danger=True, here=HERE)


@needs(Right.EDIT)
@on_database
@changes_something(NOT_BEGUN)
def force_training() -> Response:
    """Begin a training whose model goes live whatever is to be said against it."""
    return _begin(force=True) if is_sealed() else ask(*FORCE, stale=True, danger=True, here=HERE)


def _begin(*, force: bool = False) -> Response:
    try:
        recommender.begin(state().runtime, actor=g.encore_actor, force=force)
    except TrainingBusy:
        return message(409, NOT_BEGUN, BUSY)
    return see(url("watch_training"))


@needs(Right.READ)
@on_database
def watch_training() -> Response:
    """How far the training is; when there is none, how the last one ended."""
    rt = state().runtime
    running = rt.trainer.running()
    last = next(iter(recommender.trained(rt, limit=1)), None)
    return page("recommender_training.html", here=HERE, running=running, last=last, outcome=outcome)


@needs(Right.READ)
def training_share() -> Response:
    """The same for the page's script: ``{"running": true, "percent": 43}``."""
    running = state().runtime.trainer.running()
    if running is None or running.broke_off:
        return jsonify(running=False)
    return jsonify(running=True, percent=round(100 * running.share))


# Going back


@needs(Right.EDIT)
@on_database
def ask_use_model(version: str) -> Response:
    """Ask once more. Changes nothing."""
    return _ask_use(version)


@needs(Right.EDIT)
@on_database
@changes_something("Nothing was changed")
def use_model(version: str) -> Response:
    """Put an older model live. A second click finds it live."""
    if not is_sealed():
        return _ask_use(version, stale=True)
    try:
        recommender.use(state().runtime, version, actor=g.encore_actor)
    except TrainingBusy:
        return message(409, "Nothing was changed", BUSY)
    except InvalidInput as refusal:
        return message(409, "Nothing was changed", str(refusal))
    return see(url(HERE, used=version))


def _ask_use(version: str, *, stale: bool = False) -> Response:
    model = next((one for one in state().runtime.trainer.models() if one.version == version), None)
    if model is None:
        return message(404, "There is no such model", "Nothing was changed. Old models are removed as new ones come.")
    return ask(
        f"Use model {version}?",
        "It is served within a second, in every process. While an older model is live, new orders are not added to it; "
        "the next training, by hand or by night, puts a new one live.",
        "Use this model",
        stale=stale,
        danger=False,
        here=HERE,
    )
