"""The two rates that say first that something broke: how often banks say no, and how often shoppers say yes.

Each compares a day with the four weeks before it. The day ended `GRACE` ago, and an answer counts when it came within
that time of the decision: what is a minute old was not answered yet, and would look like a drop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flask_encore.domain.alarms import Alarm, Counted, watch
from flask_encore.services.runtime import Runtime
from flask_encore.store import vitals

#: How long an answer may take to count: as long as an offer stands unless a shop says otherwise, twice over.
GRACE = timedelta(hours=1)
DAY = timedelta(hours=24)
BEFORE = timedelta(days=28)

#: A process counts anew when this is over: it reads 29 days of decisions, and a day moves by a five-minute's share.
FRESH = timedelta(minutes=5)


class Watched(StrEnum):
    """What is watched; of each more is worse."""

    BANK_SAID_NO = "bank_said_no"  #: of the charges a bank was asked about, those it refused for good
    NOT_ACCEPTED = "not_accepted"  #: of the offers a human saw, those that were not accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """Both, as of *at*: the day from 25 hours to one hour before then, against the 28 days before that day."""

    at: datetime
    found: Mapping[Watched, Alarm]


def alarms(rt: Runtime) -> Alarms:
    """Both alarms, at most `FRESH` old; one statement when they are counted anew."""
    now, kept = rt.clock(), rt.alarms.latest
    if isinstance(kept, Alarms) and timedelta(0) <= now - kept.at < FRESH:
        return kept
    until = now - GRACE
    with rt.db.read() as connection:
        counts = vitals.answers(
            connection, account=rt.account, since=until - DAY - BEFORE, day=until - DAY, until=until, within=GRACE
        )
    found = {
        Watched.BANK_SAID_NO: watch(*(Counted(trials=one.asked, bad=one.refused) for one in counts)),
        Watched.NOT_ACCEPTED: watch(*(Counted(trials=one.seen, bad=one.seen - one.accepted) for one in counts)),
    }
    rt.alarms.latest = fresh = Alarms(at=now, found=found)
    return fresh
