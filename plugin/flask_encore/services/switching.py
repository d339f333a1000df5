"""The switches a merchant has for everything at once: off, and shadow mode."""

from __future__ import annotations

from dataclasses import dataclass

from flask_encore.domain.errors import InvalidInput
from flask_encore.services import auditing
from flask_encore.services.runtime import Runtime
from flask_encore.store import switches as table

#: What the audit log calls them.
SUBJECT = "switches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """How they stand.

    Attributes:
        off: The kill switch: no order gets an offer, and offers on screen cannot be accepted.
        shadow: Everything is decided and logged, and nothing is shown.
        revision: Grows with every change of a switch or a campaign; campaigns read at another one are old.
    """

    off: bool = False
    shadow: bool = False
    revision: int = 0


def switches(rt: Runtime) -> Switches:
    """How they stand now: one SELECT by primary key."""
    with rt.db.read() as connection:
        row = table.find(connection, rt.account)
    return Switches() if row is None else Switches(**row)


def turn(rt: Runtime, *, actor: str, off: bool | None = None, shadow: bool | None = None) -> Switches:
    """Turn one switch or both; ``None`` leaves one as it is. Idempotent: what stands so already is no change."""
    auditing.checked_actor(actor)
    for name, wanted in (("off", off), ("shadow", shadow)):
        if wanted is not None and not isinstance(wanted, bool):
            raise InvalidInput(f"{name} has to be True, False or None, got {wanted!r}.")
    with rt.db.write() as connection:
        row = table.lock(connection, rt.account)
        before = {"off": bool(row["off"]), "shadow": bool(row["shadow"])}
        after = {
            "off": before["off"] if off is None else off,
            "shadow": before["shadow"] if shadow is None else shadow,
        }
        if before == after:
            return Switches(**after, revision=row["revision"])
        table.turn(connection, rt.account, **after)
        auditing.record(
            rt, connection, actor=actor, action=auditing.Action.SWITCH, subject=SUBJECT, before=before, after=after
        )
        return Switches(**after, revision=table.bump(connection, rt.account))
