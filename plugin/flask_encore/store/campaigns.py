"""Statements on campaigns. Who changes one calls `switches.lock` first and `switches.bump` after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flask_encore.store.models import campaigns, experiments, orders


def all_of(connection: sa.Connection, account: str) -> Sequence[Mapping[Any, Any]]:
    """Every campaign's row, by ref."""
    query = sa.select(campaigns).where(campaigns.c.account == account).order_by(campaigns.c.campaign_ref)
    return connection.execute(query).mappings().all()


def of_book(connection: sa.Connection, account: str) -> Sequence[Mapping[Any, Any]]:
    """Every campaign and every running experiment in one SELECT: ref, version, definition, updated_at and salt.

    A campaign has no salt, an experiment has one.
    """
    mine = sa.select(
        campaigns.c.campaign_ref.label("ref"),
        campaigns.c.version,
        campaigns.c.definition,
        campaigns.c.updated_at,
        sa.null().label("salt"),
    ).where(campaigns.c.account == account)
    running = sa.select(
        experiments.c.experiment_ref,
        experiments.c.version,
        experiments.c.definition,
        experiments.c.updated_at,
        experiments.c.salt,
    ).where(experiments.c.account == account, experiments.c.status == "running")
    return connection.execute(mine.union_all(running)).mappings().all()


def find(connection: sa.Connection, account: str, ref: str) -> Mapping[Any, Any] | None:
    """One campaign's row, or ``None``."""
    query = sa.select(campaigns).where(campaigns.c.account == account, campaigns.c.campaign_ref == ref)
    return connection.execute(query).mappings().first()


def add(
    connection: sa.Connection,
    account: str,
    ref: str,
    definition: Mapping[str, Any],
    *,
    version: int,
    actor: str,
    now: datetime,
) -> None:
    """Write a new campaign."""
    connection.execute(
        sa.insert(campaigns).values(
            account=account,
            campaign_ref=ref,
            version=version,
            definition=definition,
            created_at=now,
            updated_at=now,
            updated_by=actor,
        )
    )


def change(
    connection: sa.Connection,
    account: str,
    ref: str,
    definition: Mapping[str, Any],
    *,
    version: int,
    actor: str,
    now: datetime,
) -> bool:
    """Write *definition* over *version* of a campaign, in one guarded UPDATE. False: it has another one now."""
    return (
        connection.execute(
            sa.update(campaigns)
            .where(
                campaigns.c.account == account,
                campaigns.c.campaign_ref == ref,
                campaigns.c.version == version,
            )
            .values(definition=definition, version=version + 1, updated_at=now, updated_by=actor)
        ).rowcount
        == 1
    )


def remove(connection: sa.Connection, account: str, ref: str, *, version: int) -> bool:
    """Take *version* of a campaign away. False: it is not that version any more."""
    gone = sa.delete(campaigns).where(
        campaigns.c.account == account, campaigns.c.campaign_ref == ref, campaigns.c.version == version
    )
    return connection.execute(gone).rowcount == 1


def currencies(connection: sa.Connection, account: str, *, since: datetime) -> frozenset[str]:
    """What orders recorded since then were paid in."""
    paid = sa.select(orders.c.currency).where(orders.c.account == account, orders.c.recorded_at >= since).distinct()
    return frozenset(connection.execute(paid).scalars())
