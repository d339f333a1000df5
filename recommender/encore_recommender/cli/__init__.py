"""``encore-recommender …``: learn from an export of orders, judge, ask. No shop, no database."""

from __future__ import annotations

import os
import sys

import click

from encore_recommender.cli.asking import compare, explain, recommend
from encore_recommender.cli.frame import CODES, Sentences
from encore_recommender.cli.learning import evaluate, fit

#: As a shell tells of a process that Ctrl-C ended.
INTERRUPTED = 130


@click.group(cls=Sentences, context_settings={"help_option_names": ["-h", "--help"]}, epilog=CODES)
@click.version_option(package_name="flask-encore", prog_name="encore-recommender")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Learn what is bought together from an export of orders, judge it, and ask it.

    DATA is a CSV file (.csv, .csv.gz; comma, semicolon or tab) or a Parquet file with one line per product and
    order; `-` is a CSV file on standard input. Columns are found by their usual names.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False


for command in (fit, evaluate, recommend, explain, compare):
    cli.add_command(command)


def main() -> None:
    """The entry point: Ctrl-C and a closed pipe end it without a traceback."""
    try:
        code = cli.main(prog_name="encore-recommender", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        click.echo("Interrupted.", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has seen enough. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
