"""``flask encore …``: what a merchant's engineer and a cron table need."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from flask_encore.cli.campaigns import campaigns
from flask_encore.cli.experiments import experiments
from flask_encore.cli.explain import explain
from flask_encore.cli.purge import purge
from flask_encore.cli.reports import export, report
from flask_encore.cli.switch import switch
from flask_encore.cli.terminal import Sentences, runtime
from flask_encore.cli.tokens import tokens
from flask_encore.cli.webhooks import webhooks
from flask_encore.config import EXTENSION
from flask_encore.domain.acceptance import AcceptanceReport
from flask_encore.services import doctoring, learning, recovering, retention, sending, stocking, training
from flask_encore.services.csv_files import Problems
from flask_encore.services.working import COUNT_PERIOD, Worker, count_once, work_once
from flask_encore.store import migrations

#: Steps of a progress bar; finer than any terminal.
_STEPS = 1_000

_FORCE = " The one before stays. To put it live all the same: flask encore train --force"

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@click.group(cls=Sentences)
def cli() -> None:
    """Post-purchase offers: campaigns, data, training, the sweeper, and a check of the whole installation."""


cli.add_command(campaigns)
cli.add_command(experiments)
cli.add_command(explain)
cli.add_command(switch)
cli.add_command(webhooks)
cli.add_command(tokens)
cli.add_command(purge)
cli.add_command(report)
cli.add_command(export)


@cli.group()
def db() -> None:
    """Encore's own tables."""


@db.command("upgrade")
@with_appcontext
def db_upgrade() -> None:
    """Create or migrate Encore's tables. Safe to run again."""
    rt = runtime()
    migrations.upgrade(rt.db.engine)
    click.echo(f"Encore's tables are at revision {migrations.current(rt.db.engine)}.")


@db.command("current")
@with_appcontext
def db_current() -> None:
    """Show the revision of the tables, and the newest one."""
    rt = runtime()
    click.echo(f"at {migrations.current(rt.db.engine) or 'nothing'}, newest is {migrations.head()}")


@cli.group("import")
def import_() -> None:
    """Read products or past orders from a CSV file (.csv or .csv.gz)."""


_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_CURRENCY = click.option("--currency", required=True, help="Currency of the prices, such as gbp.")


@import_.command("products")
@_FILE
@_CURRENCY
@with_appcontext
def import_products(file: Path, currency: str) -> None:
    """Read products into the catalogue.

    Columns: sku, title, price; also stock, category, image_url, cost, active, currency, parent (what it is a variant
    of). Known SKUs are updated. Rows that cannot be used are counted and listed; a file that cannot be read changes
    nothing.
    """
    with _bar("Importing products") as progress:
        found = stocking.import_products(runtime(), file, currency=currency, progress=progress)
    click.echo(f"{len(found.products):,} products are in the catalogue.")
    _list(found.problems)


@import_.command("orders")
@_FILE
@_CURRENCY
@with_appcontext
def import_orders(file: Path, currency: str) -> None:
    """Read past orders for the recommender, one line per product bought.

    Columns: order_id, sku; also customer_id, timestamp, title, quantity, unit_price, category. Importing the same
    file again changes nothing. Then run: flask encore train
    """
    with _bar("Importing orders") as progress:
        found = stocking.import_orders(runtime(), file, currency=currency, progress=progress)
    click.echo(f"{found.orders:,} orders with {len(found.rows):,} lines are in the history. Next: flask encore train")
    _list(found.problems)


@cli.command()
@click.option("--force", is_flag=True, help="Put the model live even when it is in doubt.")
@with_appcontext
def train(force: bool) -> None:
    """Train the recommender on every recorded order and put it live.

    A model that learned from too little, or does worse than the best-sellers, is not put live: the one before stays.
    Exit status 1 then.
    """
    with _bar("Training") as progress:
        report = training.train(runtime(), force=force, progress=progress)
    if not report.version:
        raise click.ClickException(f"The model is not put live: {report.doubt}." + (_FORCE if report.orders else ""))
    click.echo(
        f"Model {report.version} is live: {report.orders:,} orders, {report.products:,} products, "
        f"{report.seconds:.1f} s.\n"
        f"On the newest orders it finds the next product among its first three in {report.hit_rate_at_3:.1%} "
        f"of cases; best-sellers would in {report.popularity_hit_rate_at_3:.1%}."
    )
    if report.acceptance is not None and report.acceptance.impressions:
        click.echo(_learned(report.acceptance))
    if report.doubt:
        click.echo(f"It is live because of --force, although {report.doubt}.")


def _learned(found: AcceptanceReport) -> str:
    """What the offers shown taught, in two lines."""
    live = f"{found.version} is live" if found.version else "it would do worse than what is live, which stays"
    return f"From {found.impressions:,} offers shown, {found.accepted:,} accepted: {live}.\n{found.judgement}"


@cli.group()
def models() -> None:
    """The models on disk: what is live, and how to go back."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the models as JSON.")
@with_appcontext
def models_list(as_json: bool) -> None:
    """List the models that can be put live, newest first."""
    found = runtime().trainer.models()
    if as_json:
        click.echo(json.dumps([model.as_json() for model in found], indent=2))
        return
    for model in found:
        click.echo(
            f"{'*' if model.live else ' '} {model.version}  {model.trained_at:%Y-%m-%d %H:%M} UTC  "
            f"{model.orders:,} orders, hit rate@3 {model.hit_rate_at_3:.1%}"
        )
    if not found:
        click.echo("There is no model yet. Run: flask encore train")


@models.command("use")
@click.argument("version")
@with_appcontext
def models_use(version: str) -> None:
    """Put a saved model live again. The next training puts a new one live."""
    runtime().trainer.use(version)
    click.echo(f"Model {version} is live; every process follows within a second.")


@cli.command()
@with_appcontext
def sweep() -> None:
    """Do everything that is due, once: for cron, every minute.

    Finishes charges and refunds without an answer, cancels abandoned ones, ends fulfilment holds, delivers events to
    your handlers, and to your webhooks.
    """
    rt = runtime()
    done = recovering.sweep(rt)
    click.echo(f"charges {done.charges}, payments verified {done.payments}, events delivered {done.delivered}")
    sending.send(rt, patience_seconds=sending.PATIENCE_SECONDS)
    retention.tend(rt)


@cli.command()
@with_appcontext
def work() -> None:
    """Sweep and train for ever, until Ctrl-C or SIGTERM.

    Any number of workers may run. Sweeping never waits for training, which has a thread of its own here: anew at
    ENCORE_TRAIN_AT, and the new orders every ENCORE_LEARN_MINUTES. Killed while training, it leaves nothing behind.
    """
    rt = runtime()
    sweeper = Worker(lambda: work_once(rt, aside=True))
    counter = Worker(lambda: count_once(rt), period=COUNT_PERIOD, name="encore-counter")
    trainer = Worker(lambda: learning.tend(rt), period=learning.PERIOD, name="encore-trainer")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sweeper.stop())
    click.echo("Working. Press Ctrl-C to end.")
    trainer.start()
    counter.start()
    sweeper.loop()
    trainer.stop()
    counter.stop()
    rt.couriers.wait(sending.PATIENCE_SECONDS)
    click.echo("Ended.")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@with_appcontext
def drift(as_json: bool) -> None:
    """Say how the live model does on orders that came after its training."""
    rt = runtime()
    found = learning.drift(rt)
    if found is None:
        raise click.ClickException("There is no model yet. Run: flask encore train")
    if as_json:
        click.echo(json.dumps(found.as_json(now=rt.clock()), indent=2))
        return
    low, high = found.interval
    click.echo(
        f"Model {found.version}, trained {(rt.clock() - found.trained_at).days} days ago.\n"
        f"Of {found.watched.questions:,} orders since it found the next product among its first three in "
        f"{found.hit_rate_at_3:.1%} (95 %: {low:.1%} to {high:.1%}); on its own validation in "
        f"{found.validation_hit_rate_at_3:.1%}.\n"
        f"NDCG@10 {found.ndcg_at_10:.3f}, on its own validation {found.validation_ndcg_at_10:.3f}.\n"
        f"{found.unknown_share:.1%} of {found.watched.lines:,} lines are of products it had never seen."
    )


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@with_appcontext
def doctor(as_json: bool) -> None:
    """Check this installation and say the fix for each finding. Exit status 1 when something is wrong."""
    findings = doctoring.examine(runtime(), guarded=current_app.extensions[EXTENSION].admin_guard is not None)
    if as_json:
        click.echo(json.dumps([finding.as_json() for finding in findings], indent=2))
    else:
        for finding in findings:
            mark, colour = _MARKS[finding.severity]
            click.echo(f"{click.style(mark, fg=colour)} {finding.subject}: {finding.found}")
            if finding.fix:
                click.echo(f"    {finding.fix}")
    if any(finding.severity == "problem" for finding in findings):
        raise SystemExit(1)


@contextmanager
def _bar(label: str) -> Iterator[Callable[[float], None]]:
    """A progress bar that hears fractions, 0 to 1."""
    with click.progressbar(length=_STEPS, label=label) as bar:
        done = 0

        def progress(share: float) -> None:
            nonlocal done
            reached = min(_STEPS, int(share * _STEPS))
            bar.update(max(0, reached - done))
            done = max(done, reached)

        yield progress
        progress(1.0)


def _list(problems: Problems) -> None:
    for sentence in problems.sentences():
        click.echo(sentence)
