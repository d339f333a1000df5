"""What follows an answered offer: one after a yes that was charged, one after a no, and never more than three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask_encore.domain.campaigns import MAX_SHOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One offer of a sequence and what it was answered.

    Attributes:
        is_charged: The shopper said yes, the money moved, and it was not given back.
        is_declined: The shopper said no.
        on_accept: Ref of the campaign that follows a yes, as it was when the offer was made; so *on_decline*.
    """

    is_charged: bool
    is_declined: bool
    on_accept: str | None
    on_decline: str | None


def follow_up(steps: Sequence[Step], *, shown: int) -> str | None:
    """The ref of the campaign due after *steps*; ``None`` while the last is unanswered, or when nothing follows it.

    A bank's no, a sold-out product and an offer that ran out end the sequence: the shopper did not ask for more. So
    does an undo.

    Args:
        steps: Offers of one page's sequence, oldest first.
        shown: Offers of the order so far, on every page.
    """
    if not steps or shown >= MAX_SHOWN:
        return None
    last = steps[-1]
    if last.is_charged:
        return last.on_accept
    return last.on_decline if last.is_declined else None
