"""The whole shop's health on one page: what is fine, what wants a look, what is broken, and the fix of each.

What ``flask encore doctor`` finds and what a monitor reads, from the same functions; without a call to Stripe, so that
the page opens while Stripe does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from flask_encore.domain.alarms import LEAST_CHANGE, MIN_BEFORE, MIN_RECENT, Alarm, Verdict
from flask_encore.services import doctoring, health
from flask_encore.services.alarms import Watched
from flask_encore.services.doctoring import Finding
from flask_encore.services.health import Vitals
from flask_encore.services.runtime import Runtime
from flask_encore.store import vitals

#: A database that takes this long for the smallest question, milliseconds, leaves no time for a decision.
SLOW_MS = 50.0

#: What is watched -> its name, what is counted, what to look at when it is worse.
ALARMS = {
    Watched.BANK_SAID_NO: (
        "bank refusals",
        "charges refused by the bank",
        "Look at the failure codes of the newest refused charges, and at Stripe's status page.",
    ),
    Watched.NOT_ACCEPTED: (
        "acceptance",
        "offers seen and not accepted",
        "Open a thank-you page as a shopper does: was a campaign, a price, the theme or the model changed lately?",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the shop, with what was found in it."""

    name: str
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """Everything looked at."""

    sections: Sequence[Section]

    def how_many(self, severity: str) -> int:
        """Findings of this severity: ``ok``, ``warning`` or ``problem``."""
        return sum(finding.severity == severity for section in self.sections for finding in section.findings)


def checkup(rt: Runtime, *, guarded: bool, is_working: bool) -> Checkup:
    """Look at everything that is cheap. Changes nothing, and asks nobody but the database.

    Args:
        guarded: Whether there is an admin_guard.
        is_working: Whether a worker runs in this process.

    Raises:
        StoreError: If the database is away, or not migrated.
    """
    found = health.read(rt)
    parts: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("Money", lambda: doctoring.money(rt, found)),
        ("Alarms", lambda: _alarms(found)),
        ("Worker and messages", lambda: _worker(rt, found, is_working=is_working)),
        ("Webhooks", lambda: _webhooks(rt)),
        ("Database", lambda: _database(rt)),
        ("Catalogue and recommender", lambda: doctoring.data(rt)),
        ("Offers and campaigns", lambda: _offers(rt)),
        ("Configuration", lambda: doctoring.configuration(rt, guarded=guarded)),
    )
    return Checkup(sections=[Section(name=name, findings=sorted(look(), key=_urgency)) for name, look in parts])


def _urgency(finding: Finding) -> int:
    """What is broken comes first."""
    return ("problem", "warning", "ok").index(finding.severity)


def _alarms(found: Vitals) -> Iterator[Finding]:
    for watched, alarm in found.alarms.found.items():
        name, counted, fix = ALARMS[watched]
        worse = alarm.verdict is Verdict.WORSE
        yield Finding(
            severity="problem" if worse else "ok",
            subject=name,
            found=_compared(counted, alarm),
            fix=fix if worse else "",
        )


def _compared(counted: str, alarm: Alarm) -> str:
    """Both periods in counts, and what follows."""
    recent, before = alarm.recent, alarm.before
    told = f"{counted}: {_of(recent.bad, recent.trials)} in the last day, "
    told += f"{_of(before.bad, before.trials)} in the 28 before"
    match alarm.verdict:
        case Verdict.TOO_FEW:
            return f"{told}; too few to compare ({MIN_RECENT} and {MIN_BEFORE} are needed)"
        case Verdict.WORSE:
            return (
                f"{told}; chance explains that once in {_once_in(alarm.p)} looks, and it is worse by {LEAST_CHANGE:.0%}"
            )
    return f"{told}; no more than chance and a day's mix explain"


def _of(part: int, whole: int) -> str:
    share = f" ({part / whole:.1%})" if whole else ""
    return f"{part:,} of {whole:,}{share}"


def _once_in(p: float | None) -> str:
    # A chance this small needs no digits.
    return f"{min(1 / p, 1e6):,.0f}" if p else "a million"


def _worker(rt: Runtime, found: Vitals, *, is_working: bool) -> Iterator[Finding]:
    yield from doctoring.worker(rt)
    # Where none runs, or none was seen for long, the sweeper's own line says it.
    if is_working:
        yield Finding(severity="ok", subject="worker", found="runs in this web process")
    elif found.swept_at is not None and rt.clock() - found.swept_at <= doctoring.SWEEPER_AGE:
        yield Finding(severity="ok", subject="worker", found="runs in another process")


def _webhooks(rt: Runtime) -> Iterator[Finding]:
    yield from doctoring.webhooks(rt)
    yield from doctoring.endpoints(rt)


def _database(rt: Runtime) -> Iterator[Finding]:
    yield from doctoring.tables(rt)
    with rt.db.read() as connection:
        begun = time.perf_counter()
        name, version, size = vitals.database(connection)
        took = 1_000 * (time.perf_counter() - begun)
    slow = took > SLOW_MS
    yield Finding(
        severity="warning" if slow else "ok",
        subject=f"{name} {version}",
        found=f"answers in {took:.1f} ms, {'' if size is None else _bytes(size)}",
        fix="Is it on the same network, and not busy? Decisions have ENCORE_DECISION_BUDGET_MS." if slow else "",
    )


def _bytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB" if size < 1_000_000_000 else f"{size / 1_000_000_000:,.1f} GB"


def _offers(rt: Runtime) -> Iterator[Finding]:
    yield from doctoring.campaigns(rt)
    yield from doctoring.recent_orders(rt)
