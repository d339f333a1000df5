"""Aligned tables for terminals."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import combining, east_asian_width

#: Between two columns.
GAP = "  "

#: A column is not cut narrower than this; a terminal that cannot hold it breaks the line itself.
NARROWEST = 12


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: str = "", width: int | None = None) -> str:
    """Lay out rows under a head, a line each.

    Args:
        head: One word or more per column; empty heads are fine, and all empty leave the line out.
        rows: As many cells each.
        numbers: One letter per column: `r` aligns to the right, anything else to the left.
        width: Of the terminal; the widest left-aligned column is cut to fit it. None where nobody looks.

    Returns:
        The lines, without spaces at their ends.
    """
    lines = [list(head), *map(list, rows)] if any(head) else list(map(list, rows))
    widths = [max(map(wide, column)) for column in zip(*lines, strict=True)] if lines else []
    sides = numbers.ljust(len(widths), "l")[: len(widths)]
    texts = [i for i, side in enumerate(sides) if side != "r"]
    beyond = sum(widths) + len(GAP) * (len(widths) - 1) - width if width and widths else 0
    if beyond > 0 and texts:
        widest = max(texts, key=lambda i: widths[i])
        widths[widest] = max(widths[widest] - beyond, min(widths[widest], NARROWEST))
    return "\n".join(
        GAP.join(_laid(cell, each, side) for cell, each, side in zip(line, widths, sides, strict=True)).rstrip()
        for line in lines
    )


def wide(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _laid(cell: str, width: int, side: str) -> str:
    if wide(cell) > width:
        while wide(cell) > width - 1:
            cell = cell[:-1]
        cell += "…"
    blank = " " * (width - wide(cell))
    return blank + cell if side == "r" else cell + blank
