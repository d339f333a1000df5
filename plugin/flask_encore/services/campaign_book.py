"""The shop's campaigns and experiments in memory: read anew when their revision says that something changed."""

from __future__ import annotations

from datetime import datetime

from flask_encore.domain.book import Book, Listed
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.experiments import RunningExperiment
from flask_encore.services.campaign_schema import campaign_of
from flask_encore.services.experiment_schema import running_of
from flask_encore.services.lanes import OverBudget
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import campaigns, switches


def current(rt: Runtime, *, revision: int | None = None) -> Book:
    """The campaigns at *revision*, as the page read it, or newer; without one, as they stand now.

    Idempotent, and one thread reads while the others wait for it. A definition that this release does not understand
    is left out, and said: one campaign must not take the others away.
    """
    if revision is None:
        with rt.db.read(hasty=True) as connection:
            revision = switches.revision_of(connection, rt.account)
    kept = rt.book
    if kept.latest.revision >= revision:
        return kept.latest
    with kept.reading:
        if kept.latest.revision >= revision:
            return kept.latest
        with rt.db.read(hasty=True) as connection:
            # The revision first: what is read after it may be newer than it says, and never older.
            revision = switches.revision_of(connection, rt.account)
            rows = campaigns.of_book(connection, rt.account)
        understood: dict[tuple[str, int, datetime], Listed] = {}
        running: list[RunningExperiment] = []
        for row in rows:
            # The time, because a campaign may be removed and another one take its ref.
            key = (row["ref"], row["version"], row["updated_at"])
            kind = "campaign" if row["salt"] is None else "experiment"
            try:
                if row["salt"] is not None:
                    running.append(running_of(row))
                    continue
                understood[key] = kept.understood.get(key) or Listed(
                    campaign=campaign_of(row["definition"]), version=row["version"]
                )
            except InvalidInput as refusal:
                rt.counts.add(f"{kind}_not_understood")
                logger.error("%s %s is left out: %s", kind, row["ref"], refusal)
        kept.understood = understood
        kept.latest = Book(understood.values(), revision=revision, experiments=running)
        return kept.latest


def at_hand(rt: Runtime) -> Book:
    """The campaigns as they stand now if they are read within a page's time, else as this process read them last.

    For a checkout: a process that has just begun needs a second for a thousand campaigns, and goes on reading them.
    """
    try:
        return rt.deciding.run(lambda: current(rt), seconds=rt.budget_seconds)
    except OverBudget:
        rt.counts.add("campaigns_not_at_hand")
        return rt.book.latest
