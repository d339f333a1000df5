"""For machines that watch: is the process alive, may it get traffic, and how is everything.

``live`` and ``ready`` are for whoever asks and tell one word. ``metrics`` is for the holder of the token, or for whom
the admin_guard lets in; it has counts and ages, and never an order, a shopper or a message.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from hmac import compare_digest

from flask import Blueprint, Response, jsonify, request
from werkzeug.wrappers import Response as AnyResponse

from flask_encore.domain.alarms import Verdict
from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.hooks import DeliveryStatus
from flask_encore.domain.rights import Actor, Right
from flask_encore.services import health
from flask_encore.services.health import LATENCY_BOUNDS_US, Vitals
from flask_encore.services.runtime import Runtime
from flask_encore.web.current import AppState, state
from flask_encore.web.exposition import CONTENT_TYPE, Family, single, text
from flask_encore.web.policies import open_to

NAME = "encore_health"


def create_blueprint() -> Blueprint:
    """The routes ``/encore/health/live``, ``/encore/health/ready`` and ``/encore/metrics``."""
    blueprint = Blueprint(NAME, __name__)
    blueprint.get("/health/live")(live)
    blueprint.get("/health/ready")(ready)
    blueprint.get("/metrics")(metrics)
    return blueprint


@open_to("everybody: it is one word")
def live() -> Response:
    """200 as long as the process answers at all; asks nobody else."""
    return _plain(jsonify(status="ok"))


@open_to("everybody: it is one word")
def ready() -> Response:
    """200 when the database answers in time and is migrated, else 503. Why not is in the log, not here."""
    if health.is_ready(state().runtime):
        return _plain(jsonify(status="ready"))
    answer = jsonify(status="unavailable")
    answer.status_code = 503
    return _plain(answer)


@open_to("the holder of ENCORE_METRICS_TOKEN, and whom the admin_guard lets read")
def metrics() -> AnyResponse:
    """Everything a monitor watches, in Prometheus' text format. 200 also while the database is away: that is told."""
    app = state()
    refusal = _refusal(app)
    if refusal is not None:
        return refusal
    body = text([*_of_the_process(app.runtime), *_of_the_database(app.runtime)])
    return _plain(Response(body, content_type=CONTENT_TYPE))


def _refusal(app: AppState) -> AnyResponse | None:
    """What to answer somebody who may not see the numbers; ``None`` for who may."""
    token = app.runtime.settings.metrics_token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if token and scheme.lower() == "bearer":
        if compare_digest(given.strip().encode(), token.encode()):
            return None
        return _no(401, "This is not the metrics token.")
    if app.admin_guard is None:
        if token:
            return _no(401, "Send the metrics token as a bearer token.")
        return _no(403, "Nobody can see the metrics until ENCORE_METRICS_TOKEN is set, or an admin_guard given.")
    answer = app.admin_guard()
    if isinstance(answer, AnyResponse):
        return answer
    may_read = Right.READ in answer.rights if isinstance(answer, Actor) else bool(answer)
    return None if may_read else _no(401 if token else 403, "The metrics are for the merchant and the monitor.")


def _no(status: int, sentence: str) -> Response:
    answer = _plain(Response(f"{sentence}\n", status=status, mimetype="text/plain"))
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="encore metrics"'
    return answer


def _plain(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def _of_the_process(rt: Runtime) -> Iterator[Family]:
    process = str(os.getpid())
    yield Family(
        name="encore_events_total",
        kind="counter",
        help="How often something happened in the process that answered, since it started.",
        samples=[({"event": name, "process": process}, count) for name, count in sorted(rt.counts.as_dict().items())],
    )
    yield single(
        "encore_model_age_seconds",
        "Since the model in use was trained; missing without a model.",
        _age(rt, health.model_trained_at(rt)),
    )


def _of_the_database(rt: Runtime) -> Iterator[Family]:
    found = health.examined(rt)
    yield single(
        "encore_database_up", "1 when the database gave the numbers below, 0 when it did not.", int(bool(found))
    )
    if found is None:
        return
    yield Family(
        name="encore_charges",
        kind="gauge",
        help="Charges by where their money is.",
        samples=[({"status": status.value}, found.charges.get(status, 0)) for status in ChargeStatus],
    )
    yield single("encore_charges_quarantined", "Charges nothing automatic touches any more.", found.quarantined)
    yield single("encore_holds_stuck", "Holds that are over for 5 minutes and were not released.", found.stuck_holds)
    yield single("encore_refunds_failed", "Charges whose last refund did not happen.", found.refunds_failed)
    yield single(
        "encore_charge_unknown_oldest_seconds",
        "Since the oldest charge whose outcome nobody knows was accepted; 0 when there is none.",
        _age(rt, found.unknown_since) or 0.0,
    )
    yield single("encore_outbox_messages", "Messages to the shop's handlers that wait.", found.messages)
    yield single("encore_outbox_failing", "Of those, messages that a handler would not take.", found.failing)
    yield single(
        "encore_outbox_oldest_seconds",
        "Age of the oldest message that waits; 0 when none does.",
        _age(rt, found.oldest_message) or 0.0,
    )
    yield single(
        "encore_sweeper_lag_seconds",
        "Since the sweeper last ran; missing when it never did.",
        _age(rt, found.swept_at),
    )
    yield single(
        "encore_webhook_age_seconds",
        "Since the last webhook was received; missing before the first.",
        _age(rt, found.webhook_at),
    )
    yield Family(
        name="encore_webhook_deliveries",
        kind="gauge",
        help="Deliveries to each webhook endpoint by how they stand.",
        samples=[
            ({"webhook": str(webhook), "status": status.value}, found.deliveries.get((webhook, status), 0))
            for webhook in sorted({webhook for webhook, _ in found.deliveries})
            for status in DeliveryStatus
        ],
    )
    yield from _alarms(found)
    yield from _latency(found)


def _alarms(found: Vitals) -> Iterator[Family]:
    told = found.alarms.found
    yield Family(
        name="encore_alarm",
        kind="gauge",
        help="1 when a rate of the last day is worse than before, 0 when not; missing while there are too few.",
        samples=[
            ({"alarm": watched.value}, int(alarm.verdict is Verdict.WORSE))
            for watched, alarm in told.items()
            if alarm.verdict is not Verdict.TOO_FEW
        ],
    )
    for name, what in (("trials", "were counted"), ("bad", "were bad")):
        yield Family(
            name=f"encore_alarm_{name}",
            kind="gauge",
            help=f"How many {what}, of the last day and of the 28 before it.",
            samples=[
                ({"alarm": watched.value, "period": period}, getattr(counted, name))
                for watched, alarm in told.items()
                for period, counted in (("day", alarm.recent), ("before", alarm.before))
            ],
        )


def _latency(found: Vitals) -> Iterator[Family]:
    """Gauges, not a histogram: they are of the newest decisions, and fall as well as rise; ``rate()`` means nothing."""
    name, what = "encore_recent_decision_seconds", f"the newest {health.NEWEST_DECISIONS:,} decisions"
    bounds = [*(f"{bound / 1_000_000:g}" for bound in LATENCY_BOUNDS_US), "+Inf"]
    yield Family(
        name=f"{name}_bucket",
        kind="gauge",
        help=f"How many of {what} took at most le seconds.",
        samples=[
            ({"le": bound}, count)
            for bound, count in zip(bounds, [*found.latency_buckets, found.latency_count], strict=True)
        ],
    )
    yield single(f"{name}_count", f"How many there are of {what}.", found.latency_count)
    yield single(f"{name}_sum", f"What {what} took together, seconds.", found.latency_sum_us / 1_000_000)


def _age(rt: Runtime, moment: datetime | None) -> float | None:
    """Seconds since *moment*; clocks of two machines differ, and an age below zero is none."""
    return None if moment is None else max(0.0, (rt.clock() - moment).total_seconds())
