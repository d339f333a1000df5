"""Who changed which campaign or switch, when, and from what to what: the audit log as merchants read it."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, Response, request

from flask_encore.domain.rights import Right
from flask_encore.services import auditing, recommender, switching
from flask_encore.services.auditing import Entry
from flask_encore.web import campaign_words
from flask_encore.web.campaign_pages import is_readable, no_such_campaign
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import needs, on_database, page
from flask_encore.web.downloads import Column, Table, offered

#: Changes on one page of the history.
HISTORY_PAGE = 50


def add_to(blueprint: Blueprint) -> None:
    """The log of everything, and of one campaign."""
    blueprint.get("/dashboard/campaigns/history")(history)
    blueprint.get("/dashboard/campaigns/<ref>/history")(history_of)


@needs(Right.READ)
@on_database
def history() -> Response:
    """Every change, newest first."""
    return _history(None)


@needs(Right.READ)
@on_database
def history_of(ref: str) -> Response:
    """The changes of one campaign, also of one that was deleted."""
    return _history(ref) if is_readable(ref) else no_such_campaign()


def _changes(entries: Iterable[Entry]) -> Table:
    """One row per change."""
    return Table(
        name="changes",
        columns=[
            Column("id", "Number"),
            Column("at", "Time"),
            Column("actor", "Who"),
            Column("action", "What was done"),
            Column("subject", "To what"),
            Column("changes", "What differs"),
        ],
        rows=(
            {
                "id": entry.id,
                "at": entry.at,
                "actor": entry.actor,
                "action": entry.action,
                "subject": entry.subject,
                "changes": [
                    {"path": change.path, "before": change.before, "after": change.after} for change in entry.changes
                ],
            }
            for entry in entries
        ),
    )


def _history(ref: str | None) -> Response:
    rt = state().runtime
    answer = offered(_changes(auditing.whole_history(rt, subject=ref)))
    if answer is not None:
        return answer
    cursor = request.args.get("before", "")
    before = int(cursor) if cursor.isascii() and cursor.isdecimal() and len(cursor) <= 18 else None
    # One more than a page holds tells whether there is another one.
    entries = auditing.history(rt, subject=ref, before_id=before, limit=HISTORY_PAGE + 1)
    if ref is not None and not entries and before is None:
        return no_such_campaign()
    return page(
        "campaign_history.html",
        here="campaigns",
        ref=ref,
        entries=entries[:HISTORY_PAGE],
        paged=before is not None,
        as_text=campaign_words.as_text,
        older=entries[HISTORY_PAGE - 1].id if len(entries) > HISTORY_PAGE else None,
        campaign_words=campaign_words,
        # What is no campaign has no history of its own.
        named={switching.SUBJECT: "a switch", recommender.SUBJECT: recommender.SUBJECT},
    )
