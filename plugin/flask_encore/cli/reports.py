"""``flask encore report`` and ``flask encore export …``: the figures and the rows they are counted from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar

import click
from flask.cli import with_appcontext

from flask_encore.cli.terminal import runtime
from flask_encore.domain.campaigns import BUILT_IN
from flask_encore.domain.days import Days
from flask_encore.domain.earnings import Earnings
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.funnel import MIN_TRIALS, Funnel, Rate, Step
from flask_encore.services import exporting, reporting, rolling, uplift
from flask_encore.services.exporting import Format, Log
from flask_encore.services.reporting import Figures
from flask_encore.services.runtime import Runtime
from flask_encore.services.uplift import Uplift

C = TypeVar("C", bound=Callable[..., Any])

_FROM = click.option(
    "--from", "first", metavar="DATE", help="First day, such as 2026-03-01; default is the first ever."
)
_TO = click.option("--to", "last", metavar="DATE", help="Last day, included; default is today.")
_BOM = click.option("--bom", is_flag=True, help="Begin a CSV file with a byte order mark, for Excel.")


def _days(rt: Runtime, first: str | None, last: str | None) -> Days:
    return Days.parse(first, last, today=rt.clock().astimezone(rt.settings.zone).date())


@click.group(invoke_without_command=True)
@_FROM
@_TO
@click.option("--currency", help="Only of this one, such as gbp; amounts of different ones are never added.")
@click.option("--format", "format", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@_BOM
@click.pass_context
@with_appcontext
def report(
    ctx: click.Context, first: str | None, last: str | None, currency: str | None, format: str, bom: bool
) -> None:
    """Say what was offered, accepted and kept, and what it brought in: per currency, and per campaign.

    Days are the shop's (ENCORE_TIME_ZONE), and those a decision was made on. A refund of next month changes the net
    revenue of the month the offer was made in.
    """
    if ctx.invoked_subcommand is not None:
        return
    rt = runtime()
    if bom and format != "csv":
        raise InvalidInput("A byte order mark is for CSV: add --format csv.")
    found = reporting.figures(rt, _days(rt, first, last), currency=currency)
    added = uplift.uplifts(rt) if found.funnels else {}
    if format == "json":
        told = {"time_zone": rt.settings.time_zone} | exporting.figures_as_json(found, added)
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif format == "csv":
        _say(exporting.figures_as_csv(found, added, bom=bom))
    else:
        click.echo("\n".join(_lines(rt, found, added)))


@report.command()
@with_appcontext
def rebuild() -> None:
    """Drop the days the dashboard counted beforehand and count them anew.

    Never needed for a number to be right: what is counted beforehand is left aside wherever a row changed since. It is
    for whoever changed rows by hand. Pages count from the rows meanwhile.
    """
    rt = runtime()
    bar: Any = None
    with ExitStack() as stack:

        def progress(done: int, every: int) -> None:
            nonlocal bar
            if bar is None and sys.stderr.isatty():
                bar = stack.enter_context(click.progressbar(length=every, label="Counting days", file=sys.stderr))
            if bar is not None:
                bar.update(1)

        counted = rolling.rebuild(rt, progress=progress)
    click.echo(f"{counted:,} {'day is' if counted == 1 else 'days are'} counted.")


@click.group()
def export() -> None:
    """Write the decision log or the charges row by row, however many there are."""


def _options(command: C) -> C:
    for option in (
        _FROM,
        _TO,
        click.option(
            "--format",
            "format",
            type=click.Choice([each.value for each in Format]),
            default="ndjson",
            show_default=True,
        ),
        _BOM,
        click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; default is stdout."),
    )[::-1]:
        command = option(command)
    return command


@export.command()
@_options
@with_appcontext
def decisions(first: str | None, last: str | None, format: str, bom: bool, output: Path | None) -> None:
    """Write every decision: what was weighed, what was offered or why not, and what became of it."""
    _export(Log.DECISIONS, first, last, Format(format), bom=bom, output=output)


@export.command()
@_options
@with_appcontext
def charges(first: str | None, last: str | None, format: str, bom: bool, output: Path | None) -> None:
    """Write every accepted offer: its charge, and what went back of it."""
    _export(Log.CHARGES, first, last, Format(format), bom=bom, output=output)


def _export(log: Log, first: str | None, last: str | None, format: Format, *, bom: bool, output: Path | None) -> None:
    rt = runtime()
    days = _days(rt, first, last)
    with exporting.opened(rt, log, days) as rows:
        pieces = exporting.pieces(rows, format=format, bom=bom)
        with _sink(output) as write, _bar(rows.total, f"Exporting {log}", output) as advance:
            for count, piece in pieces:
                write(piece)
                advance(count)
    if output is not None:
        click.echo(f"{rows.total:,} {log} are in {output}.")


def _say(piece: bytes) -> None:
    click.echo(piece, nl=False)


@contextmanager
def _sink(output: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Where bytes go. A file is there whole at the end, or as it was before."""
    if output is None:
        yield _say
        return
    output = output.resolve()
    if output.exists() and not output.is_file():
        # A pipe or a device is written to; put in its place, a file would take it away.
        with output.open("wb") as stream:
            yield stream.write
        return
    try:
        file = NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False)  # noqa: SIM115
    except OSError as error:
        raise InvalidInput(f"{output} cannot be written ({error.strerror}).") from error
    try:
        with file:
            yield file.write
        os.replace(file.name, output)
    except BaseException:
        Path(file.name).unlink(missing_ok=True)
        raise


@contextmanager
def _bar(total: int, label: str, output: Path | None) -> Iterator[Callable[[int], object]]:
    """A progress bar beside the rows, on a terminal that does not show the rows themselves."""
    if not sys.stderr.isatty() or (output is None and sys.stdout.isatty()):
        yield lambda _count: None
        return
    with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
        yield bar.update


def _lines(rt: Runtime, found: Figures, added: Mapping[str, Uplift]) -> Iterator[str]:
    first, last = found.days.first or "the first one", found.days.last or "today"
    yield f"Decisions from {first} to {last}, days of {rt.settings.time_zone}"
    if not found.funnels:
        yield "There was no order that could be offered anything."
    for funnel in found.funnels:
        yield ""
        yield from _funnel(funnel)
        yield from _earned(found.earnings["", funnel.currency])
        yield f"  uplift    {_added(added.get(funnel.currency))}"
        yield from _campaigns(found, funnel.currency)
    if found.without_offer:
        yield ""
        yield "Orders without an offer"
        for outcome, reason, count in found.without_offer:
            yield f"  {count:>9,}  {reason.replace('_', ' ')}{' (error)' if outcome == 'error' else ''}"


def _funnel(funnel: Funnel) -> Iterator[str]:
    yield funnel.currency.upper()
    for step in Step:
        yield f"  {step:<10} {funnel.counts[step]:>9,}"
        for leak, count in funnel.leaks_after(step):
            yield f"  {'':<10} {-count:>9,}  {leak.replace('_', ' ')}"
    yield f"  accepted / shown  {_rate(funnel.conversion_rate)}"
    yield f"  kept / shown      {_rate(funnel.kept_rate)}"
    yield f"  gross     {funnel.gross.decimal:>14,}"
    yield f"  refunded  {funnel.refunded.decimal:>14,}"
    yield f"  disputed  {funnel.disputed.decimal:>14,}"
    yield f"  net       {funnel.net.decimal:>14,}"


def _earned(of: Earnings) -> Iterator[str]:
    unknown = f"  not known of {of.charges_without_fee:,} more charges" if of.charges_without_fee else ""
    yield f"  fees      {of.fees.decimal:>14,}{unknown}"
    for fee in of.fees_elsewhere.values():
        yield f"            {fee.decimal:>14,}  in {fee.currency.upper()}, taken off nothing"
    yield f"  net after fees {of.net.decimal:>9,}"
    if of.profit is None:
        yield "  profit    not known: no kept charge's goods have a cost in the catalogue"
    else:
        yield f"  profit    {of.profit.decimal:>14,}  of {of.profit_of:,} of {of.kept:,} kept charges"


def _added(told: Uplift | None) -> str:
    """One line about what offers added, whatever days were asked for."""
    if told is None:
        return "not known: nobody is held out"
    if not told.counted:
        return "is being counted by the worker"
    if told.sample is not None and told.sample.is_mismatch:
        return "cannot be told: the arms' sizes do not fit"
    if told.incremental is None:
        more = f", about {told.more_orders:,} more orders" if told.more_orders else ""
        return f"not enough data{more}"
    low, value, high = (f"{each.decimal:,}" for each in told.incremental)
    return f"{value} (95 %, any day: {low} to {high}) on {told.treated_orders:,} orders, since {told.since:%Y-%m-%d}"


def _campaigns(found: Figures, currency: str) -> Iterator[str]:
    yield f"  {'campaign':<30} {'offers':>8} {'shown':>8} {'accepted':>8} {'kept':>8} {'gross':>14} {'net':>14}"
    for ref, funnel in found.campaigns:
        if funnel.currency == currency:
            name = "the built-in offer" if ref == BUILT_IN else ref
            counts = (exporting.offers(funnel), *(funnel.counts[step] for step in _COUNTED))
            numbers = " ".join(f"{count:>8,}" for count in counts)
            yield f"  {name:<30} {numbers} {funnel.gross.decimal:>14,} {funnel.net.decimal:>14,}"


_COUNTED = (Step.SHOWN, Step.ACCEPTED, Step.KEPT)


def _rate(rate: Rate) -> str:
    if rate.share is None or rate.interval is None:
        return f"not enough data: {rate.trials:,} shown, a rate takes {MIN_TRIALS}"
    return f"{rate.share:.1%} (95 %: {rate.interval.low:.1%} to {rate.interval.high:.1%})"
