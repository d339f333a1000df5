"""Statements on quarantined charges, for somebody of the shop's; each is guarded by the reason they saw."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from flask_encore.domain.charges import Charge
from flask_encore.domain.timeline import Source
from flask_encore.store.charges import noted, returning
from flask_encore.store.models import charges

#: A charge that nothing automatic touches, and nobody has settled by hand.
needs_somebody = sa.and_(charges.c.quarantine_reason != "", charges.c.reviewed_at.is_(None))


def end(
    connection: sa.Connection, id: str, *, reason: str, now: datetime, source: Source, detail: str = ""
) -> Charge | None:
    """Give the charge back to everything automatic, which looks at it at once. ``None``: not quarantined for that."""
    return returning(
        connection,
        sa.update(charges)
        .where(charges.c.id == id, _quarantined_for(reason))
        .values(
            quarantine_reason="",
            reviewed_at=None,
            next_run_at=now,
            lease_token=None,
            lease_until=None,
            tries=0,
            **noted(now=now, source=source, detail=f"quarantine ended, was {reason} {detail}", status=charges.c.status),
        ),
    )


def change(
    connection: sa.Connection, id: str, *, reason: str, newest: str, now: datetime, source: Source, detail: str = ""
) -> Charge | None:
    """Keep the charge where it is, for the *newest* reason, which nobody has reviewed. ``None``: as `end` has it."""
    return returning(
        connection,
        sa.update(charges)
        .where(charges.c.id == id, _quarantined_for(reason))
        .values(
            quarantine_reason=newest,
            reviewed_at=None,
            **noted(now=now, source=source, detail=f"quarantined: {newest} {detail}", status=charges.c.status),
        ),
    )


def review(
    connection: sa.Connection, id: str, *, reason: str, now: datetime, source: Source, detail: str = ""
) -> Charge | None:
    """Write that somebody settled it by hand; it stays quarantined. ``None``: as `end` has it, or reviewed before."""
    return returning(
        connection,
        sa.update(charges)
        .where(charges.c.id == id, _quarantined_for(reason), charges.c.reviewed_at.is_(None))
        .values(
            reviewed_at=now,
            **noted(now=now, source=source, detail=f"reviewed {detail}", status=charges.c.status),
        ),
    )


def _quarantined_for(reason: str) -> sa.ColumnElement[bool]:
    return sa.and_(charges.c.quarantine_reason == reason, charges.c.quarantine_reason != "")
