"""Who changed what, when, and from what to what: the audit log as merchants read it."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, Response, request

from flask_encore.domain.rights import Right
from flask_encore.services import api_tokens, auditing, shop_settings, switching
from flask_encore.services.auditing import About, Entry
from flask_encore.web import campaign_words
from flask_encore.web.campaign_pages import is_readable, no_such_campaign
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import needs, on_database, page, url
from flask_encore.web.downloads import Column, Table, offered

#: Changes on one page of the history.
HISTORY_PAGE = 50

#: What a change was made to -> the name of its filter.
ABOUT = {
    About.CAMPAIGNS: "Campaigns",
    About.EXPERIMENTS: "Experiments",
    About.SWITCHES: "Switches",
    About.SETTINGS: "Settings",
    About.TOKENS: "API tokens",
    About.WEBHOOKS: "Webhooks",
    About.CATALOGUE: "Catalogue",
    About.MODELS: "Recommender",
    About.CHARGES: "Charges and messages",
}


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
    rt, asked = state().runtime, request.args.get("of", "")
    about = About(asked) if ref is None and asked in set(About) else None
    answer = offered(_changes(auditing.whole_history(rt, subject=ref, about=about)))
    if answer is not None:
        return answer
    cursor = request.args.get("before", "")
    before = int(cursor) if cursor.isascii() and cursor.isdecimal() and len(cursor) <= 18 else None
    # One more than a page holds tells whether there is another one.
    entries = auditing.history(rt, subject=ref, about=about, before_id=before, limit=HISTORY_PAGE + 1)
    if ref is not None and not entries and before is None:
        return no_such_campaign()
    return page(
        "campaign_history.html",
        here="settings" if ref is None else "campaigns",
        ref=ref,
        about=about,
        filters=ABOUT,
        told=_told,
        entries=entries[:HISTORY_PAGE],
        paged=before is not None,
        as_text=campaign_words.as_text,
        older=entries[HISTORY_PAGE - 1].id if len(entries) > HISTORY_PAGE else None,
        campaign_words=campaign_words,
    )


def _told(entry: Entry) -> tuple[str, str | None]:
    """What was changed, as a sentence names it, and where it is found; only campaigns have a history of their own."""
    word, _, rest = entry.subject.partition(" ")
    if entry.subject == switching.SUBJECT:
        return "a switch", url("settings")
    if entry.subject == shop_settings.SUBJECT:
        return entry.subject, url("settings")
    if word == "experiment":
        return entry.subject, url("experiment", ref=rest)
    if word == "webhook":
        return entry.subject, url("webhook", id=rest)
    if entry.subject == api_tokens.subject_of(rest):
        name = (entry.after or entry.before or {}).get("name", rest)
        return f"the token “{name}”", url("tokens")
    return entry.subject, None if rest else url("history_of", ref=entry.subject)
