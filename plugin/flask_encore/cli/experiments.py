"""``flask encore experiments …``: the merchant's experiments on the command line; they are written in the dashboard."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import with_appcontext

from flask_encore.cli.terminal import ACTOR, AS_JSON, runtime, told, who
from flask_encore.services import experimenting
from flask_encore.services.experiment_schema import definition_of
from flask_encore.services.experimenting import NotFound, Saved
from flask_encore.services.runtime import Runtime

_REF = click.argument("ref")


@click.group()
def experiments() -> None:
    """Which variants of words, discounts, campaigns or models are compared."""


@experiments.command("list")
@AS_JSON
@with_appcontext
def list_(as_json: bool) -> None:
    """List the experiments, the newest first."""
    found = experimenting.listed(runtime())
    if as_json:
        told([_as_json(saved) for saved in found])
        return
    for saved in found:
        one = saved.experiment
        about = one.campaign or "the recommender"
        click.echo(f"{one.ref:<30} {saved.status:<10} {one.varies:<9} {about:<20}  {one.name}")
    if not found:
        click.echo("There is no experiment yet. Write one in the dashboard, under Experiments.")


@experiments.command()
@_REF
@AS_JSON
@with_appcontext
def show(ref: str, as_json: bool) -> None:
    """Show an experiment: its definition, how it stands, and since when."""
    saved = _found(runtime(), ref)
    if as_json:
        told(_as_json(saved))
        return
    click.echo(f"{ref} is {saved.status}; version {saved.version}, changed {saved.updated_at:%Y-%m-%d %H:%M} UTC")
    for name, at in (("started", saved.started_at), ("ended", saved.ended_at)):
        if at is not None:
            click.echo(f"{name} {at:%Y-%m-%d %H:%M} UTC")
    if saved.rolled_out is not None:
        click.echo(f"rolled out: {saved.rolled_out}")
    if saved.note:
        click.echo(saved.note)
    told(definition_of(saved.experiment))


@experiments.command()
@_REF
@ACTOR
@with_appcontext
def start(ref: str, actor: str | None) -> None:
    """Deal a draft's variants from now on. Its definition stays as it is from then on."""
    rt = runtime()
    saved = experimenting.start(rt, ref, actor=who(actor), expected=_found(rt, ref).version)
    click.echo(f"{ref} is {saved.status}.")


@experiments.command()
@_REF
@click.option("--note", default="", help="What is concluded.")
@ACTOR
@with_appcontext
def stop(ref: str, note: str, actor: str | None) -> None:
    """Deal an experiment's variants no more. It does not run again."""
    rt = runtime()
    saved = experimenting.stop(rt, ref, actor=who(actor), expected=_found(rt, ref).version, note=note)
    click.echo(f"{ref} is {saved.status}.")


def _found(rt: Runtime, ref: str) -> Saved:
    saved = experimenting.find(rt, ref)
    if saved is None:
        raise NotFound(f"There is no experiment {ref!r}.")
    return saved


def _as_json(saved: Saved) -> dict[str, Any]:
    return {
        "status": saved.status.value,
        "version": saved.version,
        "started_at": None if saved.started_at is None else saved.started_at.isoformat(),
        "ended_at": None if saved.ended_at is None else saved.ended_at.isoformat(),
        "rolled_out": saved.rolled_out,
        "note": saved.note,
        "experiment": definition_of(saved.experiment),
    }
