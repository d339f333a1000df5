"""``flask encore purge``: forget the details the shop does not keep."""

from __future__ import annotations

from dataclasses import asdict

import click
from flask.cli import with_appcontext

from flask_encore.cli.terminal import AS_JSON, runtime, told
from flask_encore.services import retention, shop_settings

#: Field of `Purged` -> what it counts.
_WORDS = {
    "decisions": "decisions without their candidates and trace",
    "deliveries": "deliveries of webhooks",
    "messages": "messages of the outbox",
    "events": "ids of Stripe's events",
    "answers": "answers of the API",
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@AS_JSON
@with_appcontext
def purge(dry_run: bool, as_json: bool) -> None:
    """Forget the details of what is over and older than the shop keeps them; the worker does it by itself.

    Figures, charges and the audit log stay as they are. Interrupted, the next run goes on.
    """
    rt = runtime()
    days = shop_settings.current(rt).retention_days
    found = retention.due(rt) if dry_run else retention.purge(rt)
    counts = {name: value for name, value in asdict(found).items() if name in _WORDS}
    if as_json:
        told({"dry_run": dry_run, "retention_days": days, **counts})
        return
    click.echo(f"Details are kept for {days:,} days." if days else "Details are kept for ever; nothing of them goes.")
    for name, value in counts.items():
        click.echo(f"{'would go' if dry_run else 'gone'}: {value:,} {_WORDS[name]}")
