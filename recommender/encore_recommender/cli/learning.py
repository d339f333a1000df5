"""`fit` and `evaluate`: from orders to a model, and to how good it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from encore_recommender import reports
from encore_recommender.baskets import Baskets
from encore_recommender.cli.frame import HOLD_OUT, SEED, BadData, Output, Refused, outputs, reads
from encore_recommender.evaluation import split
from encore_recommender.exams import CONTEXTS
from encore_recommender.lines import Lines
from encore_recommender.persistence import save


@click.command(epilog="Example:  encore-recommender fit orders.csv --model models")
@outputs
@reads
@click.option("--model", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where models live.")
@SEED
@click.option("--top-k", default=50, show_default=True, type=click.IntRange(1), help="Neighbours kept per product.")
@click.option("--min-support", default=2, show_default=True, type=click.IntRange(1), help="Orders a pair needs.")
@HOLD_OUT
@click.option("--force", is_flag=True, help="Write the model even if it is not worth serving.")
def fit(
    read: Callable[..., Lines],
    out: Output,
    model: Path,
    seed: int,
    top_k: int,
    min_support: int,
    hold_out: float | None,
    force: bool,
) -> None:
    """Learn from DATA, judge on its newest fifth, and put the model live under --model.

    A model that learned from too little, or is worse than offering best-sellers, is not written (exit code 1) unless
    forced. The models that were live before stay beside it.
    """
    from encore_recommender.copurchase import CoPurchaseRecommender
    from encore_recommender.training import train

    started = time.perf_counter()
    lines = read()
    baskets = Baskets.from_lines(lines)
    if hold_out:
        baskets = split(baskets, share=hold_out)[0]
    estimator = CoPurchaseRecommender(top_k=top_k, min_support=min_support, random_state=seed)
    with out.progress() as tell:
        trained = train(baskets, estimator, progress=tell)
    about = trained.provenance(now=datetime.now(UTC))
    doubt = trained.verdict.doubt
    version = "" if doubt and not force else save(trained.estimator.model_, model, about=about)
    found = {
        "version": version,
        "written_to": str(model) if version else None,
        "doubt": doubt,
        "orders": trained.estimator.n_orders_,
        "lines": trained.estimator.n_lines_,
        "products": trained.estimator.n_features_in_,
        "orders_left_out": trained.estimator.orders_left_out_,
        "first_order_at": about.first_order_at,
        "last_order_at": about.last_order_at,
        "seconds": round(time.perf_counter() - started, 3),
        "metrics": dict(about.metrics),
        "read": lines.report.as_dict(),
    }
    out.result(found, reports.fitted(found))
    if not version:
        raise Refused(f"No model was written: {doubt}. --force writes it all the same.")
    if doubt:
        out.warn(f"Written because it was forced: {doubt}.")
    out.note(f"\nModel {version} is live in {model}.")


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
def evaluate(read: Callable[..., Lines], out: Output, peers: str, contexts: str, plot: Path | None, seed: int) -> None:
    """Judge on DATA: learn from its first 80 %, ask about its last 20 %, beside best-sellers and public methods.

    One line of each later order is hidden; shown are all its other lines, or one of them. Every method sees the same
    questions; brackets are 95 % intervals of a bootstrap over orders. Peers are tuned, ours runs with its defaults.
    """
    from encore_recommender import contest
    from encore_recommender.copurchase import CoPurchaseRecommender
    from encore_recommender.training import learning_curve

    names = _chosen(peers, contest.PEERS, "--peers")
    asked = _chosen(contexts, tuple(CONTEXTS), "--contexts")
    if plot is not None:
        _check_plot(plot)
    lines = read()
    baskets = Baskets.from_lines(lines)
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
    from encore_recommender.plotting import draw

    if not points:
        raise BadData("there are too few orders to draw a curve: 32 at least")
    draw(points, path, title=f"What {source} teaches: quality against data size")
