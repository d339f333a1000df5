"""The history of one charge: every change of its state, one line each, in the order in which they were written.

A line is written by the very statement that makes the change, so there is no change without one and no line of a change
that was refused. Lines look like this::

    2026-11-22T09:15:02.120000+00:00|succeeded|webhook|evt_1042

The text of a line comes last and holds no line's end and no separator, so nothing that somebody else wrote, a bank's
code or an actor's name, can look like a line of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from flask_encore.domain.charges import ChargeStatus

#: Characters of a line's text: a bank's code, an event's id and an actor's name fit.
MAX_DETAIL = 160

#: Characters that are kept of a history before the newest line is added. A charge has some hundred; only one whose
#: card is refused without end, with Stripe's own form, gets here. It keeps its beginning and its present.
MAX_HISTORY = 20_000

_SEPARATOR = "|"


class Source(StrEnum):
    """Who brought a change about, or the news of it."""

    CLICK = "click"  #: the shopper accepted, and waited for the answer
    POLL = "poll"  #: the shopper's page asked how it stands
    WEBHOOK = "webhook"  #: Stripe told
    SWEEPER = "sweeper"  #: the worker that looks after what nobody waits for
    SHOPPER = "shopper"  #: the shopper undid it, or left it
    MERCHANT = "merchant"  #: somebody of the shop's


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line.

    Attributes:
        at: When it was written, in UTC, by the clock of the process that wrote it.
        status: Of the charge after it; the same as before where something else changed (a hold, a quarantine).
        detail: A few words: a failure code, the webhook's id, who did it. Plain text of one line; what could break a
            line out of it is replaced by spaces, and it is cut to `MAX_DETAIL`.
    """

    at: datetime
    status: ChargeStatus
    source: Source
    detail: str = ""

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"{self.at!r} has no time zone")
        object.__setattr__(self, "at", self.at.astimezone(UTC))
        object.__setattr__(self, "detail", _one_line(self.detail))


def entry(change: Change) -> str:
    """*change* as a line, without the line's end."""
    before, after = around_status(at=change.at, source=change.source, detail=change.detail)
    return before + change.status + after


def around_status(*, at: datetime, source: Source, detail: str) -> tuple[str, str]:
    """What stands before and after the status in a line, for a statement that reads the status from the row."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    return moment + _SEPARATOR, _SEPARATOR.join(["", Source(source).value, _one_line(detail)])


def changes(text: str) -> tuple[Change, ...]:
    """Every change in *text*, oldest first.

    A line that was cut in two, which a very long history has one of, is left out. A charge of a release before
    timelines has none, or begins in the middle.
    """
    return tuple(change for line in text.split("\n") if (change := _read(line)) is not None)


def _read(line: str) -> Change | None:
    parts = line.split(_SEPARATOR)
    if len(parts) != 4:
        return None
    try:
        return Change(
            at=datetime.fromisoformat(parts[0]),
            status=ChargeStatus(parts[1]),
            source=Source(parts[2]),
            detail=parts[3],
        )
    except ValueError:
        return None


def _one_line(text: str) -> str:
    """*text* without what ends a line, separates its parts or cannot be seen, and no longer than it may be."""
    seen = (letter if letter.isprintable() and letter != _SEPARATOR else " " for letter in text[: 4 * MAX_DETAIL])
    return " ".join("".join(seen).split())[:MAX_DETAIL].rstrip()
