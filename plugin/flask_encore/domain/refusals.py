"""Why a product could not be offered, with the number that decided it: what was seen, and what would have passed."""

from __future__ import annotations

from flask_encore.domain.money import Money


class Refused(str):
    """A word of the decision log that knows its evidence; as a string it is that word and nothing else.

    Attributes:
        seen: What was found, such as ``45.00 GBP``.
        bound: What would have passed, such as ``at most 8.50 GBP (25% of the order)``; empty when nothing would have.
    """

    __slots__ = ("bound", "seen")

    seen: str
    bound: str

    def __new__(cls, word: str, *, seen: object, bound: str = "") -> Refused:
        made = super().__new__(cls, word)
        made.seen, made.bound = str(seen), bound
        return made


def evidence(refused: str) -> dict[str, str]:
    """What the decision log keeps beside the word; nothing where the word says it all."""
    if not isinstance(refused, Refused):
        return {}
    return {"seen": refused.seen} | ({"bound": refused.bound} if refused.bound else {})


def too_dear(word: str, total: Money, *, percent: int, of: Money) -> Refused:
    """An offer of *total* beside an order *of* that much, where *percent* of it is the most."""
    most = Money(of.minor_units * percent // 100, of.currency)
    return Refused(word, seen=total, bound=f"at most {most} ({percent}% of the order)")
