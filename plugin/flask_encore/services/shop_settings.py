"""What a merchant may set on the settings page, in place of the app's configuration: three numbers.

The configuration is what an engineer deployed; a number set on the page counts in every process from the next page on,
because it is in the one row every page reads anyway. Nothing that was decided changes by it: a decision's row keeps the
share it was dealt under, and an offer the undo window it was shown with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from flask_encore.config import MAX_HOLDOUT_PERCENT, MAX_UNDO_SECONDS, MIN_RETENTION_DAYS
from flask_encore.domain.errors import EncoreError, InvalidInput
from flask_encore.services import auditing
from flask_encore.services.auditing import Action
from flask_encore.services.runtime import Runtime
from flask_encore.store import switches

#: What the audit log calls them: no campaign can be called so.
SUBJECT = "the settings"

#: A hundred years: as good as for ever, and no date overflows.
LONGEST_RETENTION = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopSettings:
    """What is in force.

    Attributes:
        holdout_bp: Basis points of shoppers who never see an offer: 1,000 is 10 %.
        undo_seconds: How long an offer decided now can be undone once accepted, and fulfilment is held.
        retention_days: After how many days details are purged; 0 keeps them.
    """

    holdout_bp: int
    undo_seconds: int
    retention_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What was set on the page; ``None`` where the configuration counts."""

    holdout_bp: int | None = None
    undo_seconds: int | None = None
    retention_days: int | None = None


class SettingsChanged(EncoreError):
    """Somebody else changed the settings meanwhile."""


def configured(rt: Runtime) -> ShopSettings:
    """What counts while nothing is set on the page."""
    return ShopSettings(
        holdout_bp=round(rt.settings.holdout_percent * 100),
        undo_seconds=rt.settings.undo_seconds,
        retention_days=rt.settings.retention_days,
    )


def effective(rt: Runtime, row: Mapping[Any, Any] | None) -> ShopSettings:
    """What is in force.

    Args:
        row: Of ``encore_switches``, or what there is of it: a column that is missing or NULL is not set. ``None`` when
            there is no row.
    """
    told = row or {}
    given = {name: told.get(name) for name in _LIMITS}
    return ShopSettings(**asdict(configured(rt)) | {name: value for name, value in given.items() if value is not None})


def overrides(rt: Runtime) -> Overrides:
    """What is set on the page: one SELECT by primary key."""
    with rt.db.read() as connection:
        return Overrides(**switches.overrides(connection, rt.account))


def current(rt: Runtime) -> ShopSettings:
    """What is in force now: one SELECT by primary key."""
    return effective(rt, asdict(overrides(rt)))


def change(rt: Runtime, *, actor: str, wanted: Overrides, expected: Overrides | None = None) -> ShopSettings:
    """Set all three as *wanted*; answers what is in force then. Idempotent: what stands so already is no change.

    Args:
        expected: What the one who changes them saw; ``None`` does not ask.

    Raises:
        InvalidInput: If a number is none, too small or too large.
        SettingsChanged: If they are neither as *expected* nor as *wanted*. Nothing is changed.
    """
    auditing.checked_actor(actor)
    for name in _LIMITS:
        _check(name, getattr(wanted, name))
    with rt.db.write() as connection:
        switches.lock(connection, rt.account)
        before, after = switches.overrides(connection, rt.account), asdict(wanted)
        if before == after:
            return effective(rt, after)
        if expected is not None and before != asdict(expected):
            raise SettingsChanged
        switches.override(connection, rt.account, after)
        auditing.record(
            rt, connection, actor=actor, action=Action.SETTINGS, subject=SUBJECT, before=before, after=after
        )
    return effective(rt, after)


#: Setting -> the least, the most, and how a refusal reads on.
_LIMITS = {
    "holdout_bp": (0, MAX_HOLDOUT_PERCENT * 100, "basis points"),
    "undo_seconds": (0, MAX_UNDO_SECONDS, "seconds"),
    "retention_days": (MIN_RETENTION_DAYS, LONGEST_RETENTION, "days, or 0"),
}


def is_allowed(name: str, value: object) -> bool:
    """Whether the setting *name* can be *value*; ``None`` leaves it to the configuration."""
    low, high, _ = _LIMITS[name]
    if value is None or (type(value) is int and value == 0):
        return True
    return type(value) is int and low <= value <= high


def _check(name: str, value: int | None) -> None:
    low, high, unit = _LIMITS[name]
    if not is_allowed(name, value):
        raise InvalidInput(f"{name} has to be a whole number from {low:,} to {high:,} {unit}; got {value!r}.")
