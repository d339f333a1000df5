"""The learning curve as a picture. Needs matplotlib, imported where it draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from encore_recommender.training import CurvePoint

#: Inches; 8 by 4 is half a printed page, and 1,200 by 600 pixels of a screen.
SIZE, DOTS_PER_INCH = (8.0, 4.0), 150

#: Okabe and Ito's blue and orange: apart for every kind of colour vision, and, with marks and dashes, in grey.
STYLES = {"encore": ("#0072b2", "o", "-"), "best-sellers": ("#d55e00", "s", "--")}

TITLES = {"full_basket": "all other lines known", "one_line": "one line known"}


def draw(points: Sequence[CurvePoint], path: Path, *, title: str) -> None:
    """Write quality against data size as PNG or SVG, whichever the name ends with.

    Args:
        points: From `training.learning_curve`, at least one.
        path: Where to; replaced if there.
        title: Whose orders these are.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
        ValueError: The name ends with neither.
        OSError: It cannot be written.
    """
    if path.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"a plot is a .png or an .svg file, and {path.name} is neither")
    import matplotlib
    from matplotlib.figure import Figure

    # Text stays text in an SVG, and the same points give the same bytes.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "encore", "font.size": 10}):
        figure = Figure(figsize=SIZE, dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
        every = figure.subplots(1, len(TITLES), sharey=True)
        for axes, (context, told) in zip(every, TITLES.items(), strict=True):
            _curve(axes, [point for point in points if point.context == context])
            axes.set_title(told, fontsize=10)
            axes.set_xlabel("orders learned from")
        every[0].legend(frameon=False, loc="upper left")
        every[0].set_ylabel("NDCG@10 on the newest orders")
        figure.supxlabel("bands: 95 % intervals of a bootstrap over orders", fontsize=8, color="#555555")
        figure.suptitle(title, fontsize=11, fontweight="bold")
        dated = {"Date": None} if path.suffix.lower() == ".svg" else None
        figure.savefig(path, metadata=dated)


def _curve(axes: object, points: Sequence[CurvePoint]) -> None:
    """One line with its 95 % band per method, and where it ends in numbers."""
    from matplotlib.axes import Axes
    from matplotlib.ticker import FuncFormatter, NullLocator

    assert isinstance(axes, Axes)
    for method, (colour, mark, dash) in STYLES.items():
        own = [point for point in points if point.method == method]
        orders = [point.orders for point in own]
        axes.fill_between(
            orders,
            [point.ndcg_at_10.low for point in own],
            [point.ndcg_at_10.high for point in own],
            color=colour,
            alpha=0.18,
            linewidth=0,
        )
        axes.plot(
            orders,
            [point.ndcg_at_10.value for point in own],
            color=colour,
            marker=mark,
            linestyle=dash,
            label=method,
        )
    lowest_first = sorted(points[-len(STYLES) :], key=lambda point: point.ndcg_at_10.value)
    for last, side in zip(lowest_first, ("top", "bottom"), strict=True):
        axes.annotate(
            f"{last.ndcg_at_10.value:.3f}",
            (last.orders, last.ndcg_at_10.value),
            xytext=(7, 0),
            textcoords="offset points",
            va=side,
            color=STYLES[last.method][0],
            fontweight="bold",
            annotation_clip=False,
        )
    axes.set_xscale("log")
    axes.set_xticks(sorted({point.orders for point in points}))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda orders, _: f"{orders:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", rotation=45)
    axes.margins(x=0.04, y=0.12)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
