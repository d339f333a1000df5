"""`fit` and `evaluate`: from orders to a model, and to how good it is."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from encore_recommender.baskets import Baskets
from encore_recommender.cli import reports
from encore_recommender.cli.frame import HOLD_OUT, HOW, SEED, BadData, Output, Reader, Refused, outputs, reads
from encore_recommender.evaluation import split
from encore_recommender.exams import CONTEXTS
from encore_recommender.model import CoPurchaseModel
from encore_recommender.persistence import Provenance, save

if TYPE_CHECKING:
    from encore_recommender.copurchase import CoPurchaseRecommender


ENGINES = ("memory", "duckdb", "spark")


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What `fit` writes and tells, wherever the counting ran."""

    model: CoPurchaseModel
    about: Provenance
    doubt: str
    orders_left_out: int
    read: Mapping[str, Any]


@click.command(epilog="Example:  encore-recommender fit orders.csv --model models")
@outputs
@reads
@click.option("--model", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where models live.")
@SEED
@click.option("--top-k", default=50, show_default=True, type=click.IntRange(1), help="Neighbours kept per product.")
@click.option("--min-support", default=2, show_default=True, type=click.IntRange(1), help="Orders a pair needs.")
@HOLD_OUT
@click.option("--engine", default="memory", show_default=True, type=click.Choice(ENGINES), help="Where to count pairs.")
@click.option("--memory-mb", default=4_096, show_default=True, type=click.IntRange(256), help="For duckdb and spark.")
@click.option("--workdir", type=click.Path(file_okay=False, path_type=Path), help="Keeps finished parts of the count.")
@click.option("--force", is_flag=True, help="Write the model even if it is not worth serving.")
def fit(
    read: Reader,
    out: Output,
    model: Path,
    seed: int,
    top_k: int,
    min_support: int,
    hold_out: float | None,
    engine: str,
    memory_mb: int,
    workdir: Path | None,
    force: bool,
) -> None:
    """Learn from DATA, judge on its newest fifth, and put the model live under --model.

    A model that learned from too little, or is worse than offering best-sellers, is not written (exit code 1) unless
    forced. The models that were live before stay beside it.

    DATA that does not fit in memory is counted by --engine duckdb on this machine, or by spark on many; stopped, it
    goes on where it was. Rows are then counted by reason and not named, a status column is not looked at, and it is
    judged on the newest 100,000 orders.
    """
    from encore_recommender.copurchase import CoPurchaseRecommender

    started = time.perf_counter()
    estimator = CoPurchaseRecommender(top_k=top_k, min_support=min_support, random_state=seed)
    parts = workdir or model / ".counting"
    if engine == "memory":
        learned = _in_memory(read, out, estimator, hold_out)
    else:
        _check_said(read, hold_out)
        learned = _on_engine(read, out, estimator, engine=engine, memory_mb=memory_mb, workdir=parts)
    version = "" if learned.doubt and not force else save(learned.model, model, about=learned.about)
    if version and workdir is None:
        shutil.rmtree(parts, ignore_errors=True)
    about = learned.about
    found = {
        "version": version,
        "written_to": str(model) if version else None,
        "doubt": learned.doubt,
        "orders": learned.model.orders,
        "lines": about.lines,
        "products": int(np.count_nonzero(learned.model.orders_with)),
        "orders_left_out": learned.orders_left_out,
        "first_order_at": about.first_order_at,
        "last_order_at": about.last_order_at,
        "seconds": round(time.perf_counter() - started, 3),
        "metrics": dict(about.metrics),
        "read": dict(learned.read),
    }
    out.result(found, reports.fitted(found))
    if not version:
        raise Refused(f"No model was written: {learned.doubt}. --force writes it all the same.")
    if learned.doubt:
        out.warn(f"Written because it was forced: {learned.doubt}.")
    out.note(f"\nModel {version} is live in {model}.")


def _in_memory(read: Reader, out: Output, estimator: CoPurchaseRecommender, hold_out: float | None) -> Learned:
    from encore_recommender.training import train

    lines = read()
    baskets = Baskets.from_lines(lines)
    if hold_out:
        baskets = split(baskets, share=hold_out)[0]
    with out.progress() as tell:
        trained = train(baskets, estimator, progress=tell)
    return Learned(
        model=trained.estimator.model_,
        about=trained.provenance(now=datetime.now(UTC)),
        doubt=trained.verdict.doubt,
        orders_left_out=trained.estimator.orders_left_out_,
        read=lines.report.as_dict(),
    )


def _on_engine(
    read: Reader, out: Output, estimator: CoPurchaseRecommender, *, engine: str, memory_mb: int, workdir: Path
) -> Learned:
    from encore_recommender.engines import fitting
    from encore_recommender.training import judged

    workdir.mkdir(parents=True, exist_ok=True)
    with out.progress() as tell:
        fitted = fitting.fit(
            [read.data],
            engine=engine,
            workdir=workdir,
            memory_mb=memory_mb,
            columns=read.columns,
            estimator=estimator,
            progress=lambda told: tell(told.step, 0.8 * told.share),
        )
        _, metrics, verdict = judged(
            fitted.newest, estimator, progress=lambda share: tell("judging", 0.8 + 0.2 * share)
        )
    opened = fitted.opened
    (out.warn if opened.kept < opened.rows else out.note)(
        f"{read.data.name}: {opened.kept:,} of {opened.rows:,} rows kept."
    )
    for reason, rows in opened.left_out.items():
        out.warn(f"{rows:,} rows left out: {reason}.")
    return Learned(
        model=fitted.model,
        about=Provenance(
            created_at=datetime.now(UTC),
            parameters=fitted.parameters,
            metrics=metrics,
            seed=estimator.random_state,
            first_order_at=fitted.first_order_at,
            last_order_at=fitted.last_order_at,
            lines=fitted.n_lines,
        ),
        doubt=verdict.doubt,
        orders_left_out=fitted.orders_left_out,
        read={
            "source": read.data.name,
            "rows": opened.rows,
            "kept": opened.kept,
            "columns": dict(opened.columns),
            "left_out": dict(opened.left_out),
        },
    )


def _check_said(read: Reader, hold_out: float | None) -> None:
    """An engine reads files itself, so it can be told of columns and of nothing else."""
    said = [f"--{name.replace('_', '-')}" for name, value in read.how.items() if value != HOW[name]]
    said += ["--hold-out"] if hold_out else []
    if said or str(read.data) == "-":
        raise click.UsageError(f"{', '.join(said) or '-'}: only with --engine memory")


@click.command(epilog="Example:  encore-recommender evaluate orders.csv --peers edlae,als --plot quality.png")
@outputs
@reads
@click.option("--peers", default="all", show_default=True, help="all, none, or some by name, with commas.")
@click.option(
    "--contexts", default="full,one", show_default=True, help="What is known of an order: full, one, or both."
)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw quality against orders (.png, .svg)."
)
@SEED
def evaluate(read: Reader, out: Output, peers: str, contexts: str, plot: Path | None, seed: int) -> None:
    """Judge on DATA: learn from its first 80 %, ask about its last 20 %, beside best-sellers and public methods.

    One line of each later order is hidden; shown are all its other lines, or one of them. Every method sees the same
    questions; brackets are 95 % intervals of a bootstrap over orders. Peers are tuned, ours runs with its defaults.
    """
    from encore_recommender import contest
    from encore_recommender.copurchase import CoPurchaseRecommender
    from encore_recommender.training import curve_sizes, learning_curve

    names = _chosen(peers, contest.PEERS, "--peers")
    asked = _chosen(contexts, tuple(CONTEXTS), "--contexts")
    if plot is not None:
        _check_plot(plot)
    lines = read()
    baskets = Baskets.from_lines(lines)
    if plot is not None and not curve_sizes(split(baskets)[0].n_orders):
        raise BadData("there are too few orders to draw a curve: 31 at least")
    estimator = CoPurchaseRecommender(random_state=seed)
    with out.progress() as tell:
        found = contest.hold(baskets, estimator, prices=lines.prices, names=names, contexts=asked, progress=tell)
    found["read"] = lines.report.as_dict()
    if plot is not None:
        with out.progress() as tell:
            points = learning_curve(baskets, estimator, progress=tell)
        _draw(points, plot, lines.report.source)
        found["learning_curve"] = [point.as_dict() for point in points]
    out.result(found, reports.evaluated(found))
    if plot is not None:
        out.note(f"\nQuality against data size is drawn in {plot}.")


def _chosen(text: str, names: tuple[str, ...], option: str) -> list[str]:
    """Names by any unmistakable beginning or part of them."""
    if text in ("all", "none"):
        return list(names) if text == "all" else []
    chosen = []
    for word in text.split(","):
        plain = word.strip().casefold().replace("-", " ").replace("_", " ")
        found = [name for name in names if plain == name.casefold()] or [
            name for name in names if plain and plain in name.casefold().replace("-", " ").replace("_", " ")
        ]
        if not found:
            raise click.UsageError(f"{option}: there is no {word.strip()!r}; there are {', '.join(names)}")
        chosen += found
    return list(dict.fromkeys(chosen))


def _check_plot(path: Path) -> None:
    if path.suffix.lower() not in (".png", ".svg"):
        raise click.UsageError(f"--plot draws a .png or an .svg file, and {path} is neither")
    if not path.parent.is_dir():
        raise click.UsageError(f"--plot: there is no folder {path.parent}")
    import matplotlib  # noqa: F401 (before minutes of work, not after them)


def _draw(points: list[Any], path: Path, source: str) -> None:
    from encore_recommender.cli.plotting import draw

    draw(points, path, title=f"What {source} teaches: quality against data size")
