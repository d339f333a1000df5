"""``flask encore campaigns …``: the merchant's campaigns, on the command line and in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from flask_encore.cli.terminal import ACTOR, AS_JSON, runtime, told, who
from flask_encore.domain.campaigns import CampaignState, CampaignStatus
from flask_encore.services import auditing, campaign_files, campaigning
from flask_encore.services.auditing import Entry
from flask_encore.services.campaign_schema import definition_of
from flask_encore.services.campaigning import Imported, NotFound, Saved
from flask_encore.services.runtime import Runtime

_REF = click.argument("ref")

#: Refs that one line of an import names; the rest is counted.
_NAMED = 10


@click.group()
def campaigns() -> None:
    """What the shop offers, to which orders, when and in which words; kept in files too."""


@campaigns.command("list")
@AS_JSON
@with_appcontext
def list_(as_json: bool) -> None:
    """List the campaigns, the one that speaks first on top."""
    rt = runtime()
    found = sorted(campaigning.listed(rt), key=lambda saved: saved.campaign.precedence)
    if as_json:
        told([_as_json(rt, saved) for saved in found])
        return
    for saved in found:
        one = saved.campaign
        click.echo(f"{one.ref:<30} {_state(rt, saved):<10} {one.priority:>5}  {one.offer.kind:<13}  {one.name}")
    if not found:
        click.echo("There is no campaign yet. Write one in a file and run: flask encore campaigns import FILE")


@campaigns.command()
@_REF
@AS_JSON
@with_appcontext
def show(ref: str, as_json: bool) -> None:
    """Show a campaign as a file has it, its version, and what will keep it from selling."""
    rt = runtime()
    saved = campaigning.find(rt, ref)
    if saved is None:
        raise NotFound(f"There is no campaign {ref!r}.")
    doubts = campaigning.doubts(rt, saved.campaign)
    if as_json:
        told(_as_json(rt, saved) | {"doubts": doubts})
        return
    click.echo(
        f"{ref} is {_state(rt, saved)}; version {saved.version}, changed {saved.updated_at:%Y-%m-%d %H:%M} UTC "
        f"by {saved.updated_by}"
    )
    told(definition_of(saved.campaign))
    _list_doubts(doubts)


@campaigns.command("export")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; default is the screen.")
@with_appcontext
def export(output: Path | None) -> None:
    """Write every campaign into a file, for git. The same campaigns are the same bytes."""
    document = campaigning.export(runtime())
    text = campaign_files.written(document).encode()
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_bytes(text)
    click.echo(f"{len(document['campaigns']):,} campaigns are in {output}.")


@campaigns.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
@ACTOR
@with_appcontext
def import_(file: Path, dry_run: bool, actor: str | None) -> None:
    """Read every campaign of a file, or none when one of them is wrong. Importing it again changes nothing.

    Campaigns that the file does not name stay as they are. Exit status 1, with every error and its path, when anything
    is wrong.
    """
    document = campaign_files.parsed(file.read_bytes())
    done = campaigning.import_(runtime(), document, actor=who(actor), dry_run=dry_run)
    _list_imported(done, dry_run)


@campaigns.command()
@_REF
@ACTOR
@with_appcontext
def live(ref: str, actor: str | None) -> None:
    """Offer a campaign from now on, or from its start on; say what will keep it from selling."""
    rt, saved = _set(ref, CampaignStatus.LIVE, actor)
    _list_doubts(campaigning.doubts(rt, saved.campaign))


@campaigns.command()
@_REF
@ACTOR
@with_appcontext
def pause(ref: str, actor: str | None) -> None:
    """Offer a campaign no longer, until it is live again."""
    _set(ref, CampaignStatus.PAUSED, actor)


@campaigns.command()
@_REF
@ACTOR
@with_appcontext
def end(ref: str, actor: str | None) -> None:
    """End a campaign for good; duplicate it to have it again."""
    _set(ref, CampaignStatus.ENDED, actor)


@campaigns.command()
@_REF
@click.argument("new")
@ACTOR
@with_appcontext
def duplicate(ref: str, new: str, actor: str | None) -> None:
    """Copy a campaign into a draft of another ref."""
    campaigning.duplicate(runtime(), ref, new_ref=new, actor=who(actor))
    click.echo(f"{new} is a draft like {ref}. Next: flask encore campaigns live {new}")


@campaigns.command()
@click.argument("ref", required=False)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, auditing.MAX_ENTRIES), help="How many.")
@AS_JSON
@with_appcontext
def history(ref: str | None, limit: int, as_json: bool) -> None:
    """Say who changed what, newest first: of one campaign, or of all and the switches."""
    found = auditing.history(runtime(), subject=ref, limit=limit)
    if as_json:
        told([_entry_as_json(entry) for entry in found])
        return
    for entry in found:
        click.echo(f"{entry.at:%Y-%m-%d %H:%M} UTC  {entry.actor}  {entry.action}  {entry.subject}")
        if entry.before is not None and entry.after is not None:
            for change in entry.changes:
                click.echo(f"    {change.path}: {_shown(change.before)} → {_shown(change.after)}")
    if not found:
        click.echo("Nothing was changed yet." if ref is None else f"Nothing of {ref!r} was ever changed.")


def _set(ref: str, status: CampaignStatus, given: str | None) -> tuple[Runtime, Saved]:
    rt = runtime()
    saved = campaigning.set_status(rt, ref, status, actor=who(given))
    state = _state(rt, saved)
    start = saved.campaign.starts_at
    ahead = f", from {start:%Y-%m-%d %H:%M} on" if state == CampaignState.SCHEDULED and start else ""
    click.echo(f"{ref} is {state}{ahead}.")
    return rt, saved


def _state(rt: Runtime, saved: Saved) -> str:
    return saved.campaign.state(rt.clock(), zone=rt.settings.zone).value


def _as_json(rt: Runtime, saved: Saved) -> dict[str, Any]:
    return {
        "state": _state(rt, saved),
        "version": saved.version,
        "created_at": saved.created_at.isoformat(),
        "updated_at": saved.updated_at.isoformat(),
        "updated_by": saved.updated_by,
        "campaign": definition_of(saved.campaign),
    }


def _entry_as_json(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "before": entry.before,
        "after": entry.after,
    }


def _list_doubts(doubts: Sequence[str]) -> None:
    for doubt in doubts:
        click.echo(f"{click.style('!', fg='yellow')} {doubt}")


def _list_imported(done: Imported, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    for refs, what in ((done.created, "created"), (done.changed, "changed"), (done.unchanged, "unchanged")):
        named = ": " + ", ".join(refs[:_NAMED]) if refs and what != "unchanged" else ""
        more = f" and {len(refs) - _NAMED:,} more" if named and len(refs) > _NAMED else ""
        click.echo(f"{len(refs):,} {would}{what}{named}{more}")


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
