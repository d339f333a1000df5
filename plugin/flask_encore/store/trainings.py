"""Statements on the log of trainings: written once each, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.domain.training import TrainingReport
from flask_encore.store.models import trainings

#: What the column holds.
MAX_DOUBT = 300


def add(connection: sa.Connection, report: TrainingReport, *, now: datetime) -> None:
    """Write down what a training did."""
    connection.execute(
        sa.insert(trainings).values(
            trained_at=now,
            version=report.version,
            doubt=report.doubt[:MAX_DOUBT],
            report=report.as_json(),
        )
    )


def latest(connection: sa.Connection, *, limit: int | None) -> Sequence[Mapping[Any, Any]]:
    """The last trainings, newest first; all of them when *limit* is ``None``."""
    return connection.execute(sa.select(trainings).order_by(trainings.c.id.desc()).limit(limit)).mappings().all()


def newest(connection: sa.Connection) -> Mapping[Any, Any] | None:
    """The last training's row, or ``None``."""
    return connection.execute(sa.select(trainings).order_by(trainings.c.id.desc()).limit(1)).mappings().first()
