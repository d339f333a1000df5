"""``flask encore switch …``: all offers off at once, and shadow mode."""

from __future__ import annotations

from dataclasses import asdict

import click
from flask.cli import with_appcontext

from flask_encore.cli.terminal import ACTOR, AS_JSON, runtime, told, who
from flask_encore.services import switching
from flask_encore.services.switching import Switches


@click.group(invoke_without_command=True)
@AS_JSON
@click.pass_context
@with_appcontext
def switch(context: click.Context, as_json: bool) -> None:
    """Say how the switches stand, or turn one. Every process follows with the next page it serves."""
    if context.invoked_subcommand is not None:
        return
    found = switching.switches(runtime())
    if as_json:
        told(asdict(found))
    else:
        _say(found)


@switch.command()
@ACTOR
@with_appcontext
def off(actor: str | None) -> None:
    """Stop every offer at once: the kill switch."""
    _turn(actor, off=True)


@switch.command()
@ACTOR
@with_appcontext
def on(actor: str | None) -> None:
    """Let offers be made again."""
    _turn(actor, off=False)


@switch.command()
@click.argument("state", type=click.Choice(["on", "off"]), metavar="STATE")
@ACTOR
@with_appcontext
def shadow(state: str, actor: str | None) -> None:
    """Turn shadow mode on or off: decide and log every offer, and show none."""
    _turn(actor, shadow=state == "on")


def _turn(given: str | None, *, off: bool | None = None, shadow: bool | None = None) -> None:
    _say(switching.turn(runtime(), actor=who(given), off=off, shadow=shadow))


def _say(found: Switches) -> None:
    click.echo(f"Offers are {'off' if found.off else 'on'}. Shadow mode is {'on' if found.shadow else 'off'}.")
