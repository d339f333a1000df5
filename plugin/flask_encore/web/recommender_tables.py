"""The tables of the recommender's room as files (`web.downloads`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from flask_encore.domain.training import SavedModel
from flask_encore.services import recommender
from flask_encore.services.recommender import View
from flask_encore.services.runtime import Runtime
from flask_encore.web.downloads import Column, Table

_JUDGED = {
    "questions": "Questions",
    "hit_rate_at_3": "Hit rate, first three",
    "popularity_hit_rate_at_3": "Hit rate, first three, best-sellers",
    "ndcg_at_10": "NDCG, first ten",
    "popularity_ndcg_at_10": "NDCG, first ten, best-sellers",
    "coverage_at_3": "Coverage",
}


def quality(view: View) -> Table:
    """How the live model does: one row, none without a model that was asked anything."""
    judged = view.live.judged if view.live is not None else None
    drift = view.drift if view.drift is not None and view.drift.watched.questions else None
    since = {
        "since_questions": drift.watched.questions if drift else None,
        "since_hit_rate_at_3": drift.hit_rate_at_3 if drift else None,
        "since_low": drift.interval[0] if drift else None,
        "since_high": drift.interval[1] if drift else None,
    }
    titles = {
        "since_questions": "Orders since its training",
        "since_hit_rate_at_3": "Hit rate since its training",
        "since_low": "Hit rate since, from",
        "since_high": "Hit rate since, to",
    }
    version = view.live.version if view.live is not None else ""
    return Table(
        name="quality",
        columns=[Column(key, title) for key, title in ({"version": "Version"} | _JUDGED | titles).items()],
        rows=[] if judged is None else [{"version": version} | asdict(judged) | since],
    )


def pairs(rt: Runtime, *, words: str, by_lift: bool) -> Table:
    """One row per pair of what was searched for, strongest first, `PAIRS_IN_A_FILE` at most."""
    return Table(
        name="pairs",
        columns=[
            Column("sku", "SKU"),
            Column("title", "Product"),
            Column("other", "Other SKU"),
            Column("other_title", "Other product"),
            Column("together", "Orders with both"),
            Column("orders_with", "Orders with the first"),
            Column("lift", "Times chance"),
            Column("substitutes", "Never offered together"),
        ],
        rows=_pairs(rt, words, by_lift=by_lift),
    )


def _pairs(rt: Runtime, words: str, *, by_lift: bool) -> Iterator[Mapping[str, Any]]:
    told = recommender.pairs(rt, words=words, by_lift=by_lift, most=recommender.PAIRS_IN_A_FILE)
    for pair in told.found:
        yield asdict(pair) | {
            "title": told.titles.get(pair.sku, ""),
            "other_title": told.titles.get(pair.other, ""),
        }


def trainings(rt: Runtime) -> Table:
    """One row per training of the log."""
    figures = {
        "orders": "Orders",
        "lines": "Lines",
        "products": "Products",
        "seconds": "Seconds",
        "hit_rate_at_3": "Hit rate, first three",
        "popularity_hit_rate_at_3": "Hit rate, first three, best-sellers",
    }
    return Table(
        name="trainings",
        columns=[
            Column("at", "Time"),
            Column("version", "Put live as"),
            Column("doubt", "Doubt"),
            *(Column(key, title) for key, title in figures.items()),
        ],
        rows=(
            {"at": one.at, "version": one.version, "doubt": one.doubt} | {key: one.report.get(key) for key in figures}
            for one in _trainings(rt)
        ),
    )


def _trainings(rt: Runtime) -> Iterator[recommender.Training]:
    yield from recommender.trained(rt, limit=None)


def models(saved: Iterable[SavedModel]) -> Table:
    """One row per model that can be put live again."""
    return Table(
        name="models",
        columns=[
            Column("version", "Version"),
            Column("live", "Live"),
            Column("trained_at", "Trained at"),
            Column("orders", "Orders"),
            Column("lines", "Lines"),
            Column("products", "Products"),
            Column("first_order_at", "First order at"),
            Column("last_order_at", "Last order at"),
            Column("hit_rate_at_3", "Hit rate, first three"),
        ],
        rows=(asdict(model) for model in saved),
    )
