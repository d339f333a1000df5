"""Campaigns as the merchant keeps them: every change guarded by a version, written down, and seen by every process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask_encore.domain.campaigns import Campaign, CampaignStatus
from flask_encore.domain.errors import EncoreError
from flask_encore.services import auditing, campaign_doubts, campaign_files
from flask_encore.services.auditing import Action
from flask_encore.services.campaign_schema import CampaignRefused, campaign_of, definition_of
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import audit, campaigns, switches

#: What a merchant may make of a campaign. An ended one stays ended, so that its reports stay true: duplicate it.
NEXT: Mapping[CampaignStatus, frozenset[CampaignStatus]] = {
    CampaignStatus.DRAFT: frozenset({CampaignStatus.LIVE, CampaignStatus.ENDED}),
    CampaignStatus.LIVE: frozenset({CampaignStatus.PAUSED, CampaignStatus.ENDED}),
    CampaignStatus.PAUSED: frozenset({CampaignStatus.LIVE, CampaignStatus.ENDED}),
    CampaignStatus.ENDED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A campaign as it is stored.

    Attributes:
        version: Hand it to `save` as *expected*, so that nobody's change in between is overwritten.
    """

    campaign: Campaign
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One value on which the stored campaign and the one that was to be saved differ; defaults are written out."""

    path: str
    theirs: Any
    mine: Any


class Conflict(EncoreError):
    """Somebody else changed this campaign meanwhile; nothing was saved.

    Attributes:
        current: The campaign as it is stored now; ``None`` when it was removed.
        changes: Where it differs from what was to be saved.
    """

    def __init__(self, message: str, *, current: Saved | None, changes: tuple[Change, ...] = ()) -> None:
        super().__init__(message)
        self.current = current
        self.changes = changes


class NotFound(EncoreError):
    """There is no such campaign."""


# Reading


def listed(rt: Runtime) -> list[Saved]:
    """Every campaign, by ref.

    One that cannot be read, as a newer release may have written it, is left out and logged: the others go on.
    """
    with rt.db.read() as connection:
        rows = campaigns.all_of(connection, rt.account)
    found = []
    for row in rows:
        try:
            known = rt.book.understood.get((row["campaign_ref"], row["version"], row["updated_at"]))
            found.append(saved_of(row, known=known.campaign if known else None))
        except CampaignRefused as refusal:
            rt.counts.add("campaign_unreadable")
            logger.warning("The campaign %s cannot be read and is left out: %s", row["campaign_ref"], refusal)
    return found


def find(rt: Runtime, ref: str) -> Saved | None:
    """The campaign, or ``None``."""
    with rt.db.read() as connection:
        row = campaigns.find(connection, rt.account, ref)
    return None if row is None else saved_of(row)


def saved_of(row: Mapping[Any, Any], *, known: Campaign | None = None) -> Saved:
    """A row of ``encore_campaigns``; *known* is its definition where this process has read it before.

    Raises:
        CampaignRefused: If its definition is not one this release can read.
    """
    return Saved(
        campaign=known or campaign_of(row["definition"]),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
    )


# Changing


def save(rt: Runtime, definition: object, *, actor: str, expected: int | None) -> Saved:
    """Store a campaign: a new one when *expected* is ``None``, else over that version of the one with its ref.

    Idempotent: what is stored already is not stored again.

    Raises:
        CampaignRefused: If the definition is wrong, or its status cannot follow the stored one; every error at once.
        Conflict: If the stored version is another one, or there is one already; nothing was written.
    """
    auditing.checked_actor(actor)
    campaign = campaign_of(definition, linted=True)
    with rt.db.write() as connection:
        switches.lock(connection, rt.account)
        return save_within(rt, connection, campaign, actor=actor, expected=expected)


def save_within(
    rt: Runtime,
    connection: Any,
    campaign: Campaign,
    *,
    actor: str,
    expected: int | None,
    action: Action | None = None,
) -> Saved:
    """As `save`, within a change that called `switches.lock`; *action* is what the audit log calls it."""
    row = campaigns.find(connection, rt.account, campaign.ref)
    if row is None and expected is None:
        return _add(rt, connection, campaign, actor=actor, action=action or Action.CREATE)
    _agreed(row, campaign, expected)
    assert row is not None
    status_refusal(CampaignStatus(row["definition"]["status"]), campaign.status)
    return _change(rt, connection, row, campaign, actor=actor, action=action or Action.EDIT)


def set_status(
    rt: Runtime, ref: str, status: CampaignStatus | str, *, actor: str, expected: int | None = None
) -> Saved:
    """Put a campaign live, pause it or end it. Idempotent.

    Args:
        expected: The version it has to have; ``None`` takes it as it is.

    Raises:
        NotFound: If there is none.
        CampaignRefused: If its status cannot become *status*.
        Conflict: If it has another version; nothing was written.
    """
    auditing.checked_actor(actor)
    wanted = CampaignStatus(status)
    with rt.db.write() as connection:
        switches.lock(connection, rt.account)
        row = _known(campaigns.find(connection, rt.account, ref), ref)
        campaign = replace(saved_of(row).campaign, status=wanted)
        if expected is not None:
            _agreed(row, campaign, expected)
        status_refusal(CampaignStatus(row["definition"]["status"]), wanted)
        return _change(rt, connection, row, campaign, actor=actor, action=Action.STATUS)


def duplicate(rt: Runtime, ref: str, *, new_ref: str, actor: str) -> Saved:
    """Copy a campaign into a draft of another ref.

    Raises:
        NotFound: If there is none.
        CampaignRefused: If *new_ref* cannot be one.
        Conflict: If there is a campaign of that ref.
    """
    auditing.checked_actor(actor)
    with rt.db.write() as connection:
        switches.lock(connection, rt.account)
        original = saved_of(_known(campaigns.find(connection, rt.account, ref), ref)).campaign
        copy = campaign_of(definition_of(original) | {"ref": new_ref, "status": CampaignStatus.DRAFT.value})
        row = campaigns.find(connection, rt.account, copy.ref)
        if row is not None:
            _agreed(row, copy, None)
        return _add(rt, connection, copy, actor=actor, action=Action.DUPLICATE)


def remove(rt: Runtime, ref: str, *, actor: str, expected: int) -> None:
    """Take a draft away. A campaign that was ever live cannot be: orders were decided by it, so end it instead.

    Raises:
        NotFound: If there is none.
        CampaignRefused: If it is no draft.
        Conflict: If it has another version; nothing was written.
    """
    auditing.checked_actor(actor)
    with rt.db.write() as connection:
        switches.lock(connection, rt.account)
        row = _known(campaigns.find(connection, rt.account, ref), ref)
        _agreed(row, None, expected)
        # Nothing becomes a draft again, so a draft was never offered.
        if row["definition"]["status"] != CampaignStatus.DRAFT:
            raise CampaignRefused({"status": ["has to be draft for it to be removed: end it instead."]})
        campaigns.remove(connection, rt.account, ref, version=row["version"])
        auditing.record(
            rt, connection, actor=actor, action=Action.REMOVE, subject=ref, before=row["definition"], after=None
        )
        switches.bump(connection, rt.account)


def export(rt: Runtime) -> dict[str, Any]:
    """Every campaign as one document, by ref; `campaign_files.written` makes its text."""
    with rt.db.read() as connection:
        rows = campaigns.all_of(connection, rt.account)
    return {"format": campaign_files.FORMAT, "campaigns": [row["definition"] for row in rows]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a file did, or would do: refs in its order. Campaigns that it does not name stay as they are."""

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


def import_(rt: Runtime, document: object, *, actor: str, dry_run: bool = False) -> Imported:
    """Store every campaign of a document, or none. Idempotent: what is stored already is not stored again.

    A file is the merchant's word, as git has it: it replaces what was changed elsewhere, and the audit log keeps that.

    Args:
        dry_run: Say what it would do, and do nothing.

    Raises:
        CampaignRefused: With every error of every campaign, by its path in the document; nothing was written.
    """
    auditing.checked_actor(actor)
    found, errors = campaign_files.read(document)
    if dry_run or errors:
        with rt.db.read() as connection:
            return _sorted(found, errors, campaigns.all_of(connection, rt.account))
    with rt.db.write() as connection:
        switches.lock(connection, rt.account)
        rows = campaigns.all_of(connection, rt.account)
        imported = _sorted(found, errors, rows)
        known, new = {row["campaign_ref"]: row for row in rows}, {campaign.ref: campaign for _, campaign in found}
        for ref in imported.created:
            _add(rt, connection, new[ref], actor=actor, action=Action.IMPORT)
        for ref in imported.changed:
            _change(rt, connection, known[ref], new[ref], actor=actor, action=Action.IMPORT)
    return imported


def _sorted(
    found: Sequence[tuple[str, Campaign]], errors: Mapping[str, list[str]], rows: Sequence[Mapping[Any, Any]]
) -> Imported:
    """What importing would do beside the stored *rows*; refuses it when anything is wrong."""
    wrong = dict(errors)
    stored = {row["campaign_ref"]: row["definition"] for row in rows}
    did: dict[str, list[str]] = {"created": [], "changed": [], "unchanged": []}
    for at, campaign in found:
        definition = stored.get(campaign.ref)
        if definition is None:
            did["created"].append(campaign.ref)
            continue
        did["unchanged" if definition == definition_of(campaign) else "changed"].append(campaign.ref)
        try:
            status_refusal(CampaignStatus(definition["status"]), campaign.status)
        except CampaignRefused as refusal:
            wrong |= {f"{at}.{path}": told for path, told in refusal.errors.items()}
    if wrong:
        raise CampaignRefused(wrong)
    return Imported(**{name: tuple(refs) for name, refs in did.items()})


def doubts(rt: Runtime, campaign: Campaign) -> list[str]:
    """What is not wrong with a campaign but will keep it from selling: one sentence each, none when all is well."""
    return campaign_doubts.doubts(rt, campaign, [saved.campaign for saved in listed(rt)])


def status_refusal(now: CampaignStatus, wanted: CampaignStatus) -> None:
    """Refuse a status that cannot follow.

    Raises:
        CampaignRefused: Naming what can.
    """
    if wanted is now or wanted in NEXT[now]:
        return
    can = " or ".join(sorted(NEXT[now]))
    fix = f"it can become {can}." if can else "duplicate it instead."
    raise CampaignRefused({"status": [f"cannot become {wanted.value}: the campaign is {now.value}, and {fix}"]})


def _add(rt: Runtime, connection: Any, campaign: Campaign, *, actor: str, action: Action) -> Saved:
    now, definition = rt.clock(), definition_of(campaign)
    # Goes on where a removed one of this ref ended: a version names one definition for ever.
    version = audit.count(connection, rt.account, campaign.ref) + 1
    campaigns.add(connection, rt.account, campaign.ref, definition, version=version, actor=actor, now=now)
    auditing.record(rt, connection, actor=actor, action=action, subject=campaign.ref, before=None, after=definition)
    switches.bump(connection, rt.account)
    return Saved(campaign=campaign, version=version, created_at=now, updated_at=now, updated_by=actor)


def _change(
    rt: Runtime, connection: Any, row: Mapping[Any, Any], campaign: Campaign, *, actor: str, action: Action
) -> Saved:
    now, definition = rt.clock(), definition_of(campaign)
    if definition == row["definition"]:
        return saved_of(row)
    moved = campaigns.change(
        connection, rt.account, campaign.ref, definition, version=row["version"], actor=actor, now=now
    )
    if not moved:  # the lock makes it impossible; the guard is what makes it true
        raise _conflict(saved_of(row), campaign)
    auditing.record(
        rt,
        connection,
        actor=actor,
        action=action,
        subject=campaign.ref,
        before=row["definition"],
        after=definition,
    )
    switches.bump(connection, rt.account)
    return Saved(
        campaign=campaign,
        version=row["version"] + 1,
        created_at=row["created_at"],
        updated_at=now,
        updated_by=actor,
    )


def _known(row: Mapping[Any, Any] | None, ref: str) -> Mapping[Any, Any]:
    if row is None:
        raise NotFound(f"There is no campaign {ref!r}.")
    return row


def _agreed(row: Mapping[Any, Any] | None, mine: Campaign | None, expected: int | None) -> None:
    if row is None:
        raise Conflict("This campaign was removed meanwhile; nothing was saved.", current=None)
    if row["version"] != expected:
        raise _conflict(saved_of(row), mine, is_new=expected is None)


def _conflict(current: Saved, mine: Campaign | None, *, is_new: bool = False) -> Conflict:
    ref = current.campaign.ref
    told = (
        f"There is a campaign {ref!r} already; nothing was saved."
        if is_new
        else f"{current.updated_by} changed {ref!r} meanwhile; nothing was saved."
    )
    pairs = (
        auditing.differences(definition_of(current.campaign, whole=True), definition_of(mine, whole=True))
        if mine
        else ()
    )
    changes = tuple(Change(path=path, theirs=theirs, mine=mine) for path, theirs, mine in pairs)
    return Conflict(told, current=current, changes=changes)
