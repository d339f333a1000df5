"""What every command shares: how it reads, where it writes, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from encore_recommender.baskets import BadBaskets
from encore_recommender.bounds import BadBounds
from encore_recommender.engines.parts import OtherPlan
from encore_recommender.persistence import ModelRefused
from encore_recommender.reading.lines import Lines

CODES = """\b
Exit codes:
  0    done
  1    refused: the model is not worth serving, or worse
  2    the command line is wrong
  65   the orders or the model cannot be used
  69   an optional package is missing
  74   a file cannot be read or written
  130  interrupted; nothing half-done is left
"""

#: Steps of a progress bar; finer than any terminal.
_STEPS = 1_000

#: Which extra brings which package.
_EXTRAS = {"pyarrow": "parquet", "matplotlib": "plot", "duckdb": "big", "sparse_dot_topn": "big", "pyspark": "spark"}


class Refused(click.ClickException):
    """The result is not good enough for what was asked."""

    exit_code: ClassVar[int] = 1


# From here on, the numbers of sysexits.h.
class BadData(click.ClickException):
    """The orders or the model cannot be used."""

    exit_code: ClassVar[int] = 65


class Missing(click.ClickException):
    """An optional package is not installed."""

    exit_code: ClassVar[int] = 69


class Inaccessible(click.ClickException):
    """A file cannot be read or written."""

    exit_code: ClassVar[int] = 74


class Sentences(click.Group):
    """Says what went wrong in a sentence, with an exit code of its own, instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (BadBaskets, ModelRefused, OtherPlan) as error:
            raise BadData(str(error)) from error
        except BadBounds as error:
            raise click.UsageError(str(error)) from error
        except ModuleNotFoundError as error:
            raise Missing(_install(error)) from error
        except BrokenPipeError as error:
            # Whoever reads has seen enough. Python would complain once more when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from error
        except OSError as error:
            named = f"{error.filename}: " if error.filename else ""
            raise Inaccessible(f"{named}{error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class Output:
    """Where answers go: stdout holds the result and nothing else, stderr all that is said along the way."""

    as_json: bool
    quiet: bool

    def result(self, found: Mapping[str, Any], text: str) -> None:
        click.echo(json.dumps(found, ensure_ascii=False, allow_nan=False, indent=2) if self.as_json else text)

    def note(self, sentence: str) -> None:
        if not self.quiet:
            click.echo(sentence, err=True)

    def warn(self, sentence: str) -> None:
        """What may not be overlooked, quiet or not."""
        click.echo(sentence, err=True)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, float], None]]:
        """A bar on stderr with the stage and the time left; nothing where nobody looks."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda stage, share: None
            return
        with click.progressbar(
            length=_STEPS, file=sys.stderr, show_eta=True, item_show_func=lambda stage: stage or ""
        ) as bar:
            yield lambda stage, share: bar.update(max(round(share * _STEPS) - bar.pos, 0), stage)


#: What DATA's options are beside --column, and what they are unless said.
HOW = {"encoding": None, "delimiter": None, "time_zone": "UTC", "day_first": None, "not_products": (), "strict": False}


@dataclass(frozen=True, slots=True)
class Reader:
    """DATA and how to read it; called, it reads, and tells of every row left out."""

    data: Path
    columns: Mapping[str, str]
    how: Mapping[str, Any]
    out: Output

    def __call__(self) -> Lines:
        with self.out.progress() as tell:
            lines = read_file(self.data, tell, columns=self.columns, **self.how)
        for sentence in lines.report.sentences():
            (self.out.warn if lines.report.bad_rows else self.out.note)(sentence)
        if not lines.report.kept:
            raise BadData(f"{lines.report.source} has a header and no orders")
        return lines


def outputs(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --json and --quiet, and hands the command an `Output`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
    @click.option("--quiet", "-q", is_flag=True, help="No progress and no notes; rows left out as bad are still told.")
    @wraps(command)
    def run(*args: Any, as_json: bool, quiet: bool, **options: Any) -> None:
        command(*args, out=Output(as_json, quiet), **options)

    return run


def reads(command: Callable[..., None]) -> Callable[..., None]:
    """Adds DATA and what says how to read it, and hands the command a function that reads it."""

    @click.argument("data", type=click.Path(exists=True, allow_dash=True, path_type=Path))
    @click.option(
        "--column", "columns", multiple=True, metavar="FIELD=HEADER", help="Which column is which; repeatable."
    )
    @click.option("--encoding", help="Of a CSV file that is not UTF-8, such as cp1252.")
    @click.option("--delimiter", help="Of a CSV file, where the header does not tell.")
    @click.option(
        "--time-zone", default=HOW["time_zone"], show_default=True, help="Of times that name none, as Europe/Berlin."
    )
    @click.option("--day-first/--month-first", default=None, help="Whether 1/2/2024 is 1 February or 2 January.")
    @click.option("--not-product", "not_products", multiple=True, help="A SKU or title that is no product; repeatable.")
    @click.option("--strict", is_flag=True, help="Refuse DATA for its first bad row.")
    @wraps(command)
    def run(data: Path, columns: tuple[str, ...], out: Output, **options: Any) -> None:
        how = {name: options.pop(name) for name in HOW}
        command(read=Reader(data, _columns(columns), how, out), out=out, **options)

    return run


def read_file(
    data: Path,
    tell: Callable[[str, float], None],
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    time_zone: str = "UTC",
    **how: Any,
) -> Lines:
    """Lines of a CSV or Parquet file; `-` is CSV on standard input."""
    from encore_recommender.reading.readers import read_csv, read_parquet

    how["zone"] = _zone(time_zone)
    if data.is_dir() or data.suffix == ".parquet":
        tell("reading", 0.0)
        return read_parquet(data, **how)
    source = sys.stdin.buffer if str(data) == "-" else data
    return read_csv(
        source, encoding=encoding, delimiter=delimiter, progress=lambda share: tell("reading", share), **how
    )


SEED = click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="Of every draw; the same gives the same.",
)
HOLD_OUT = click.option(
    "--hold-out", type=click.FloatRange(0, 0.9, max_open=True), help="Share of the newest orders to keep back."
)


def width() -> int | None:
    """Of the terminal; None where the answer goes to a file or another program."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _columns(texts: tuple[str, ...]) -> dict[str, str]:
    parted = [text.partition("=") for text in texts]
    if any(not mark for _, mark, _ in parted):
        raise click.UsageError("--column takes FIELD=HEADER, such as --column sku='Lineitem name'")
    return {name.strip(): header.strip() for name, _, header in parted}


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise click.UsageError(f"there is no time zone {name!r}; write it like Europe/Berlin") from None


def _install(error: ModuleNotFoundError) -> str:
    extra = _EXTRAS.get((error.name or "").partition(".")[0])
    return f"{error.name} is missing: pip install 'flask-encore[{extra}]'" if extra else str(error)
