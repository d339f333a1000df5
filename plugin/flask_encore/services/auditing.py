"""Who changed what a merchant can change, when, from what to what. Written with the change, or neither is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.orders import checked_ref
from flask_encore.services.runtime import Runtime
from flask_encore.store import audit

#: Entries of one page; more nobody reads, and each carries two whole campaigns.
MAX_ENTRIES = 500


class Action(StrEnum):
    """What was done."""

    CREATE = "create"  #: a new campaign
    EDIT = "edit"  #: another definition
    STATUS = "status"  #: put live, paused or ended
    DUPLICATE = "duplicate"  #: a new draft after another campaign
    REMOVE = "remove"  #: a draft taken away
    IMPORT = "import"  #: created or changed by a file
    SWITCH = "switch"  #: a switch turned
    TRAIN = "train"  #: a training begun by hand
    USE_MODEL = "use_model"  #: another model put live by hand
    RESEND = "resend"  #: a message handed to the shop's handlers again
    ROLL_OUT = "roll_out"  #: a variant of an experiment written into its campaign
    CATALOGUE = "catalogue"  #: products written through the API
    RELEASE = "release"  #: the time to undo ended before its time
    RECHECK = "recheck"  #: a quarantined charge compared with Stripe again
    REVIEW = "review"  #: a quarantined charge settled by hand
    REVOKE = "revoke"  #: a token refused from then on
    SETTINGS = "settings"  #: the holdout, the undo window or how long details are kept


class About(StrEnum):
    """What a change was made to."""

    CAMPAIGNS = "campaigns"  #: a campaign; only a campaign's ref has no space
    EXPERIMENTS = "experiments"  #: an experiment
    SWITCHES = "switches"  #: all offers, or shadow mode
    SETTINGS = "settings"  #: the numbers of the settings page
    TOKENS = "tokens"  #: a token of the API
    WEBHOOKS = "webhooks"  #: an endpoint, or what was sent to it again
    CATALOGUE = "catalogue"  #: products
    MODELS = "models"  #: the recommender
    CHARGES = "charges"  #: a charge, or what the shop is told of it


#: What a change was made to -> patterns of its subjects, and of those that are not. Services name their own.
_PATTERNS: Mapping[About, tuple[str, tuple[str, ...]]] = {
    About.CAMPAIGNS: ("%", ("% %", "switches")),
    About.EXPERIMENTS: ("experiment %", ()),
    About.SWITCHES: ("switches", ()),
    About.SETTINGS: ("the settings", ()),
    About.TOKENS: ("token %", ()),
    About.WEBHOOKS: ("webhook %", ()),
    About.CATALOGUE: ("the catalogue", ()),
    About.MODELS: ("the recommender", ()),
    About.CHARGES: ("% %", tuple(f"{word} %" for word in ("experiment", "token", "webhook", "the"))),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One value that changed; ``None`` where there was none, or where the default stood."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change.

    Attributes:
        subject: The campaign's ref, ``experiment`` and its ref, ``switches``, or ``recommender``.
        subject: The campaign's ref, or what else it was: ``switches``, ``the settings``, ``webhook 3``, …
        before: The whole of it, as JSON values; ``None`` when it was not there.
    """

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def changes(self) -> tuple[Edit, ...]:
        """What differs, by path."""
        pairs = differences(self.before or {}, self.after or {})
        return tuple(Edit(path=path, before=before, after=after) for path, before, after in pairs)


def checked_actor(actor: object) -> str:
    """*actor* as the audit log keeps it.

    Raises:
        InvalidInput: If it is empty, too long, or has control characters.
    """
    return checked_ref("actor", actor)


def record(
    rt: Runtime,
    connection: Any,
    *,
    actor: str,
    action: Action,
    subject: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Write one change down, in the transaction that makes it."""
    audit.add(
        connection,
        account=rt.account,
        actor=actor,
        action=action.value,
        subject=subject,
        before=before,
        after=after,
        now=rt.clock(),
    )


def history(
    rt: Runtime,
    *,
    subject: str | None = None,
    about: About | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Changes of one subject, of one kind of them, or of all, newest first; *before_id* of the last one gives the next
    page.
    """
    if not 1 <= limit <= MAX_ENTRIES:
        raise InvalidInput(f"limit has to be from 1 to {MAX_ENTRIES}, got {limit}.")
    with rt.db.read() as connection:
        like, unlike = _PATTERNS[about] if about is not None else (None, ())
        rows = audit.history(
            connection, rt.account, subject=subject, before_id=before_id, limit=limit, like=like, unlike=unlike
        )
    return [Entry(**{name: value for name, value in row.items() if name != "account"}) for row in rows]


def whole_history(rt: Runtime, *, subject: str | None = None, about: About | None = None) -> Iterator[Entry]:
    """Every change of one subject, of one kind of them, or of all, newest first, read page after page."""
    before_id: int | None = None
    while True:
        found = history(rt, subject=subject, about=about, before_id=before_id, limit=MAX_ENTRIES)
        yield from found
        if len(found) < MAX_ENTRIES:
            return
        before_id = found[-1].id


def differences(a: Any, b: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON values differ: the path, what stands there in *a*, and in *b*.

    Lists of one length are compared place by place where they hold objects, and as a whole otherwise.
    """
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys([*a, *b]):
            yield from differences(a.get(key), b.get(key), f"{path}.{key}" if path else str(key))
    elif _are_objects(a) and _are_objects(b) and len(a) == len(b):
        for place, (one, other) in enumerate(zip(a, b, strict=True)):
            yield from differences(one, other, f"{path}[{place}]")
    elif a != b:
        yield path, a, b


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)
