"""``flask encore tokens …``: who may use the API."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from flask.cli import with_appcontext

from flask_encore.cli.terminal import ACTOR, AS_JSON, runtime, told, who
from flask_encore.domain.scopes import Scope
from flask_encore.services import api_tokens
from flask_encore.services.api_tokens import Token


@click.group()
def tokens() -> None:
    """Who may use the API: tokens with scopes, shown once and kept as a hash."""


@tokens.command("list")
@AS_JSON
@with_appcontext
def list_(as_json: bool) -> None:
    """List every token there ever was, newest first; never the secrets."""
    rt = runtime()
    found, now = api_tokens.listed(rt), rt.clock()
    if as_json:
        told([_as_json(token) for token in found])
        return
    for token in found:
        stands = "revoked" if token.revoked_at else "usable" if token.is_usable(now) else "expired"
        until = f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else "no end"
        used = f"used {token.last_used_at:%Y-%m-%d %H:%M} UTC" if token.last_used_at else "not used yet"
        click.echo(f"{token.id}  {stands:<7}  {token.name}; {' '.join(sorted(token.scopes))}; {until}; {used}")
    if not found:
        click.echo("There is no token yet. Make one: flask encore tokens create NAME --scope reports:read")


@tokens.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in Scope]),
    metavar="SCOPE",
    help="What it may be used for, such as reports:read; may be repeated.",
)
@click.option(
    "--days", type=click.IntRange(1, api_tokens.LONGEST_DAYS), help="Good for so many days; without, for ever."
)
@ACTOR
@with_appcontext
def create(name: str, scopes: tuple[str, ...], days: int | None, actor: str | None) -> None:
    """Make a token, and show its secret, once."""
    token, secret = api_tokens.issue(runtime(), name=name, scopes=scopes, actor=who(actor), days=days)
    click.echo(f"Token {token.id} is made. Its secret, which is not shown again:\n{secret}")


@tokens.command()
@click.argument("id")
@ACTOR
@with_appcontext
def revoke(id: str, actor: str | None) -> None:
    """Refuse a token from now on, for good."""
    is_new = api_tokens.revoke(runtime(), id, actor=who(actor))
    click.echo(f"Token {id} is revoked." if is_new else f"Token {id} is revoked already.")


def _as_json(token: Token) -> dict[str, Any]:
    values = asdict(token) | {"scopes": sorted(token.scopes)}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
