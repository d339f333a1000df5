"""``flask encore webhooks …``: the merchant's own systems, told by signed requests."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import click
from flask.cli import with_appcontext

from flask_encore.cli.terminal import ACTOR, AS_JSON, runtime, told, who
from flask_encore.domain.events import EventKind
from flask_encore.domain.hooks import ROTATION, Delivery, DeliveryStatus, Webhook
from flask_encore.services import hooking

_ID = click.argument("id", type=int, metavar="ID")

#: How far back ``replay --failed`` goes when nothing is said.
_BACK = timedelta(days=30)


@click.group()
def webhooks() -> None:
    """Endpoints of your own that are sent what handlers are told, and what became of each message."""


@webhooks.command("list")
@AS_JSON
@with_appcontext
def list_(as_json: bool) -> None:
    """List the endpoints; never their secrets."""
    rt = runtime()
    found, counts = hooking.listed(rt), hooking.counts(rt)
    stands = [{status: counts.get((webhook.id, status), 0) for status in DeliveryStatus} for webhook in found]
    if as_json:
        told([_as_json(webhook) | {"deliveries": each} for webhook, each in zip(found, stands, strict=True)])
        return
    for webhook, each in zip(found, stands, strict=True):
        click.echo(
            f"{webhook.id:>4}  {'active' if webhook.active_since else 'paused'}  {webhook.url}  "
            f"{', '.join(webhook.kinds) or 'every event'}; " + ", ".join(f"{each[one]:,} {one}" for one in each)
        )
    if not found:
        click.echo("There is no webhook yet. Add one: flask encore webhooks add URL")


@webhooks.command()
@click.argument("url")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([kind.value for kind in EventKind]),
    help="This event only; may be repeated.",
)
@ACTOR
@with_appcontext
def add(url: str, only: tuple[str, ...], actor: str | None) -> None:
    """Send every event from now on to a URL, and show its signing secret, once."""
    webhook = hooking.add(runtime(), url, kinds=only, actor=who(actor))
    click.echo(f"Webhook {webhook.id} is added. Its signing secret, which is not shown again:\n{webhook.secret}")


@webhooks.command()
@_ID
@ACTOR
@with_appcontext
def remove(id: int, actor: str | None) -> None:
    """Send nothing to an endpoint any more, and forget its secret and its log."""
    hooking.remove(runtime(), id, actor=who(actor))
    click.echo(f"Webhook {id} is removed.")


@webhooks.command()
@_ID
@ACTOR
@with_appcontext
def rotate(id: int, actor: str | None) -> None:
    """Give an endpoint a new secret, shown once; the old one signs beside it for a day."""
    webhook = hooking.rotate(runtime(), id, actor=who(actor))
    hours = int(ROTATION.total_seconds() // 3600)
    click.echo(
        f"Webhook {id} has a new signing secret, which is not shown again; the old one signs too for {hours} hours:\n"
        f"{webhook.secret}"
    )


@webhooks.command()
@_ID
@ACTOR
@with_appcontext
def pause(id: int, actor: str | None) -> None:
    """Send nothing to an endpoint for the time being; what happens meanwhile is not sent later."""
    is_new = hooking.pause(runtime(), id, actor=who(actor))
    click.echo(f"Webhook {id} is paused." if is_new else f"Webhook {id} is paused already.")


@webhooks.command()
@_ID
@ACTOR
@with_appcontext
def resume(id: int, actor: str | None) -> None:
    """Send an endpoint what happens from now on, and what waited for it."""
    is_new = hooking.resume(runtime(), id, actor=who(actor))
    click.echo(f"Webhook {id} is active." if is_new else f"Webhook {id} is active already.")


@webhooks.command()
@click.option("--failed", is_flag=True, help="Only what was given up.")
@click.option("--webhook", type=int, help="Only this endpoint's.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, hooking.MAX_LOGGED), help="How many.")
@AS_JSON
@with_appcontext
def deliveries(failed: bool, webhook: int | None, limit: int, as_json: bool) -> None:
    """Say what became of each message, newest first."""
    status = DeliveryStatus.FAILED if failed else None
    found = hooking.deliveries(runtime(), webhook_id=webhook, status=status, limit=limit)
    if as_json:
        told([_delivery_as_json(one) for one in found])
        return
    for one in found:
        click.echo(
            f"{one.id:>6}  {one.created_at:%Y-%m-%d %H:%M} UTC  webhook {one.webhook_id}  {one.status:<9}  "
            f"{one.kind}  order {one.order_ref}  {one.attempts} attempts"
            + (f"  {one.last_error}" * bool(one.last_error))
        )
    if not found:
        click.echo("Nothing was given up." if failed else "Nothing was sent yet.")


@webhooks.command()
@_ID
@click.option("--failed", is_flag=True, help="ID is a webhook's: send again all that was given up.")
@click.option("--since", type=click.DateTime(), help="With --failed: of messages since then, UTC; default is 30 days.")
@ACTOR
@with_appcontext
def replay(id: int, failed: bool, since: datetime | None, actor: str | None) -> None:
    """Send a delivery again, with the same webhook-id, or all that a webhook gave up."""
    rt = runtime()
    if not failed:
        if since is not None:
            raise click.UsageError("--since goes with --failed.")
        found = hooking.replay(rt, id, actor=who(actor))
        click.echo(f"Delivery {id} ({found.kind}, order {found.order_ref}) is sent again within the next round.")
        return
    start = rt.clock() - _BACK if since is None else since.replace(tzinfo=rt.clock().tzinfo)
    count = hooking.replay_failed(rt, id, since=start, actor=who(actor))
    click.echo(f"{count:,} deliveries are sent again within the next rounds.")


@webhooks.command("test")
@_ID
@with_appcontext
def test_(id: int) -> None:
    """Send an endpoint a signed message of the type test, now. Exit status 1 when it is not taken."""
    tried = hooking.try_out(runtime(), id)
    if tried.error:
        raise click.ClickException(f"Webhook {id} did not take {tried.message_ref}: {tried.error}")
    click.echo(f"Webhook {id} took {tried.message_ref}: HTTP {tried.code}.")


def _as_json(webhook: Webhook) -> dict[str, Any]:
    """An endpoint without its secrets: named one by one, so that a new field is not shown by itself."""
    return {
        "id": webhook.id,
        "url": webhook.url,
        "kinds": list(webhook.kinds),
        "active": webhook.active_since is not None,
        "created_at": webhook.created_at.isoformat(),
        "updated_at": webhook.updated_at.isoformat(),
    }


def _delivery_as_json(one: Delivery) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(one).items()}
