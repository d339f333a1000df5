"""Whole days of the shop's calendar, as a merchant asks for them: from one day to another, both included."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from flask_encore.domain.errors import InvalidInput

#: The first and the last day that can be asked for: no order is older, and the day after the last one still exists.
EARLIEST, LATEST = date(2000, 1, 1), date(2199, 12, 31)

#: The longest range with two ends, days: ten years with their leap days. A longer one is a slip of the keyboard.
LONGEST = 3653

#: One spelling, so that nobody has to guess which of 03-02 is the month.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """From *first* to *last*, both included; ``None`` where the range is open."""

    first: date | None = None
    last: date | None = None

    @classmethod
    def parse(cls, first: str | None, last: str | None, *, today: date) -> Days:
        """Read two days such as ``2026-03-02``; either may be left out.

        Args:
            today: In the shop's zone: a range that begins later holds nothing, and is refused.

        Raises:
            InvalidInput: If one is no day or out of reach, they are the wrong way round, or too far apart.
        """
        made = cls(first=_day(first, "first"), last=_day(last, "last"))
        if made.first is None:
            return made
        if made.last is not None and made.last < made.first:
            raise InvalidInput(f"The range ends ({made.last}) before it begins ({made.first}); exchange the two.")
        if made.first > today:
            raise InvalidInput(f"The range begins on {made.first}, and today is {today}: nothing happened there yet.")
        if ((made.last or today) - made.first).days >= LONGEST:
            raise InvalidInput(f"From {made.first} to {made.last or today} is longer than ten years; ask for less.")
        return made

    def bounds(self, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
        """The first moment in it and the first moment after it, in UTC, where days begin at midnight in *zone*."""
        return (
            None if self.first is None else _midnight(self.first, zone),
            None if self.last is None else _midnight(self.last + timedelta(days=1), zone),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Midnights:
    """When each of some days in a row begins, in UTC.

    Attributes:
        first: The first of them.
        moments: The first moment of each, and last that of the day after them.
    """

    first: date
    moments: tuple[datetime, ...]

    @classmethod
    def of(cls, first: date, last: date, zone: tzinfo) -> Midnights:
        """Those of the days from *first* to *last*, both included, where days begin at midnight in *zone*."""
        return cls(first=first, moments=_midnights(first, max(first, last), zone))

    @property
    def days(self) -> list[date]:
        """Every day, oldest first."""
        return [self.first + timedelta(days=number) for number in range(len(self.moments) - 1)]

    def day_of(self, at: datetime) -> date:
        """The day *at* is in; a moment before the first day is in that one, one after the last in the day after."""
        return self.first + timedelta(days=max(0, bisect_right(self.moments, at) - 1))

    def runs(self, begin: int, end: int) -> list[tuple[datetime, int, bool]]:
        """(moment, day, regular) of stretches of the days *begin* to *end* (without it), counted from 0.

        In a regular stretch every day has 24 hours, so that a day is a division away; any other day stands alone.
        """
        found: list[tuple[datetime, int, bool]] = []
        for number in range(begin, end):
            regular = self.moments[number + 1] - self.moments[number] == _DAY_LONG
            if not (found and regular and found[-1][2]):
                found.append((self.moments[number], number, regular))
        return found


_DAY_LONG = timedelta(days=1)


@lru_cache(maxsize=32)
def _midnights(first: date, last: date, zone: tzinfo) -> tuple[datetime, ...]:
    return tuple(_midnight(first + timedelta(days=number), zone) for number in range((last - first).days + 2))


def _day(text: str | None, which: str) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text) if _DAY.match(text) else None
    except ValueError:
        day = None
    if day is None:
        raise InvalidInput(f"The {which} day {text!r} is no day; write it as year-month-day, such as 2026-03-02.")
    if not EARLIEST <= day <= LATEST:
        raise InvalidInput(f"The {which} day {day} is out of reach; ask for days from {EARLIEST} to {LATEST}.")
    return day


def _midnight(day: date, zone: tzinfo) -> datetime:
    # Where clocks are put forward at midnight, this is the moment they are: the day's first one.
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)
