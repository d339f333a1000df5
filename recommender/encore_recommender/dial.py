"""The merchant's dial from most relevant to most profitable. Needs nothing."""

from __future__ import annotations

from collections.abc import Sequence

#: Profit chooses among the so many likeliest offers, and only those at least so likely as the likeliest: unbounded,
#: it drifts to expensive oddities nobody takes.
SHORTLIST, FLOOR = 5, 0.3

#: So much more than the likeliest another offer has to promise. The best of several estimates is flattered less than
#: the one that profit picks among the others: at 1.15 a position of the dial lost least for what it earned.
LEAD = 1.15


def shortlist(chances: Sequence[float]) -> list[int]:
    """Positions that profit, or curiosity, may choose from: likeliest first, of equal ones the earlier."""
    likeliest = sorted(range(len(chances)), key=lambda i: -chances[i])[:SHORTLIST]
    return [i for i in likeliest if chances[i] >= FLOOR * chances[likeliest[0]]]


def worths(chances: Sequence[float], margins: Sequence[int], *, dial: float) -> dict[int, float]:
    """Per position of the shortlist, likeliest first, what showing it is worth, in minor units.

    A sale is worth dial * its own margin + (1 - dial) * the margin that is typical of the shortlist, so at 0 only
    the chance counts, at 1 the expected profit, and in between nothing depends on the currency. (The sum of hits
    and profit is what to maximize when the most profit is wanted for a given loss of hits.)

    Raises:
        ValueError: The dial or a chance is not between 0 and 1, or lengths differ.
    """
    if not 0.0 <= dial <= 1.0:
        raise ValueError(f"the dial goes from 0 to 1, not to {dial!r}")
    if len(margins) != len(chances):
        raise ValueError(f"{len(chances)} chances but {len(margins)} margins")
    for position, chance in enumerate(chances):
        if not 0.0 <= chance <= 1.0:
            raise ValueError(f"chance {position} goes from 0 to 1, not to {chance!r}")
    near = shortlist(chances)
    earned = {i: chances[i] * max(margins[i], 0) for i in near}
    chance = sum(chances[i] for i in near)
    typical = sum(earned.values()) / chance if chance > 0.0 else 0.0
    if dial == 0.0 or typical == 0.0:
        return {i: float(chances[i]) for i in near}
    return {i: dial * earned[i] + (1.0 - dial) * chances[i] * typical for i in near}


def compared(chances: Sequence[float], margins: Sequence[int], *, dial: float) -> dict[int, float]:
    """`worths` with the likeliest offer's lead: what the shortlist is ordered by."""
    worth = worths(chances, margins, dial=dial)
    if worth:
        worth[next(iter(worth))] *= LEAD
    return worth


def by_expected_profit(chances: Sequence[float], margins: Sequence[int], *, dial: float) -> list[int]:
    """Positions, best first, every one once: the shortlist by what showing it is worth, then the others by chance.

    Args:
        chances: Probability of a sale per offer.
        margins: What each earns if sold, minor units of one currency; a loss counts as nothing.
        dial: From most relevant (0: the order of the chances) to most profitable (1).

    Raises:
        ValueError: The dial or a chance is not between 0 and 1, or lengths differ.
    """
    worth = compared(chances, margins, dial=dial)
    others = [i for i in range(len(chances)) if i not in worth]
    return sorted(worth, key=lambda i: -worth[i]) + sorted(others, key=lambda i: -chances[i])
