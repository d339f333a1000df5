"""The decisions of a shop as a list, newest first, a page at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.funnel import Facts
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.services.runtime import Runtime
from flask_encore.store import order_stories, reports
from flask_encore.store.reports import Place

#: Decisions on one page of the list: what a person reads through, and small enough to print.
PAGE_SIZE = 50

#: Rows of one reading of a list that is read to its end.
READ_AT_ONCE = 500

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Microseconds since 1970 and a decision's id. Sixteen digits reach the year 2286 and stay within 64 bits.
_CURSOR = re.compile(r"([0-9]{1,16})-([0-9a-f]{1,32})\Z")

#: What a list can be narrowed to: how a decision ended, why, or where its charge is.
What = Outcome | Reason | ChargeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A message to the host shop that one of its handlers would not take; it is tried again."""

    kind: str
    attempts: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One decision of the list, with its charge.

    Attributes:
        title: As the shopper saw it; empty when there was nothing to offer.
        amount: Of the charge, else of the offer; ``None`` when there was nothing to offer.
        refunded: What went back so far.
        quarantine_reason: Why nothing automatic touches the charge any more; empty when all is well.
        refund_failed: The last refund that was asked for did not happen.
    """

    id: str
    order_ref: str
    decided_at: datetime
    facts: Facts
    sku: str | None
    title: str
    quantity: int
    amount: Money | None
    refunded: Money
    charged_at: datetime | None
    quarantine_reason: str
    refund_failed: bool
    stuck: Stuck | None

    @property
    def left(self) -> Money | None:
        """What of *amount* was not given back yet."""
        return self.amount - self.refunded if self.amount is not None else None

    @property
    def refundable(self) -> bool:
        """Whether the merchant can give the money back now."""
        return self.facts.status is ChargeStatus.SUCCEEDED and not self.quarantine_reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One page of the list.

    Attributes:
        older: Cursor of the next page; ``None`` on the last one.
        any_order: Whether the shop ever told of one; *any_decision* whether a page ever asked for an offer. Both are
            looked up only when there is no entry to prove them.
    """

    entries: Sequence[Entry]
    older: str | None
    any_order: bool = True
    any_decision: bool = True


def listed(
    rt: Runtime,
    *,
    since: datetime | None = None,
    what: What | None = None,
    campaign_ref: str | None = None,
    needing_somebody: bool = False,
    after: Place | None = None,
) -> Listed:
    """A page of decisions in one statement, or two when there is none to show. Changes nothing.

    Args:
        since: Only decisions of then and later; those that need somebody are of any time.
        what: Only those that ended so, or for this reason, or whose charge is there.
        campaign_ref: Only this campaign's; the built-in offer's includes decisions of releases without campaigns.
        needing_somebody: Only what is quarantined or undelivered.
        after: Where the page begins; ``None`` at the newest.
    """
    with rt.db.read() as connection:
        rows = reports.recent(
            connection,
            account=rt.account,
            since=since,
            order_ref=None,
            needing_somebody=needing_somebody,
            after=after,
            limit=PAGE_SIZE + 1,
            now=rt.clock(),
            outcome=what if isinstance(what, Outcome) else None,
            reason=what if isinstance(what, Reason) else None,
            status=what if isinstance(what, ChargeStatus) else None,
            campaign_ref=campaign_ref,
        )
        known = None if rows else reports.standing(connection, account=rt.account, order_ref=None)
    older = cursor(rows[PAGE_SIZE - 1]) if len(rows) > PAGE_SIZE else None
    entries = [entry_of(row) for row in rows[:PAGE_SIZE]]
    if known is None:
        return Listed(entries=entries, older=older)
    return Listed(
        entries=entries, older=older, any_order=bool(known["any_order"]), any_decision=bool(known["any_decision"])
    )


def every(
    rt: Runtime,
    *,
    since: datetime | None = None,
    order_ref: str | None = None,
    what: What | None = None,
    campaign_ref: str | None = None,
    needing_somebody: bool = False,
) -> Iterator[Entry]:
    """The whole list that `listed` has a page of, newest first, in constant memory.

    It is read page after page, each a reading of its own, so nothing in it is there twice and what is decided meanwhile
    is not there.
    """
    after: Place | None = None
    while True:
        with rt.db.read() as connection:
            rows = reports.recent(
                connection,
                account=rt.account,
                since=since,
                order_ref=order_ref,
                needing_somebody=needing_somebody,
                after=after,
                limit=READ_AT_ONCE,
                now=rt.clock(),
                outcome=what if isinstance(what, Outcome) else None,
                reason=what if isinstance(what, Reason) else None,
                status=what if isinstance(what, ChargeStatus) else None,
                campaign_ref=campaign_ref,
            )
        yield from map(entry_of, rows)
        if len(rows) < READ_AT_ONCE:
            return
        after = Place(decided_at=rows[-1]["decided_at"], id=rows[-1]["id"])


def find(rt: Runtime, typed: str) -> str | None:
    """The order_ref of the order somebody means, in one statement; ``None`` when there is none such.

    People paste an order_ref with a # before it or in the other case, and out of Stripe or a log a PaymentIntent or a
    charge_ref: the order's own or an offer's. What is typed exactly so comes first.
    """
    wanted = meant(typed)
    if not wanted:
        return None
    with rt.db.read() as connection:
        found = order_stories.orders_called(connection, wanted, account=rt.account)
    return next((found[one] for one in wanted if one in found), None)


def meant(typed: str) -> tuple[str, ...]:
    """What somebody who typed this can mean, likeliest first; nothing when no order can be called so."""
    text = " ".join(typed.replace("\0", " ").split())
    if not text or len(text) > LONGEST_SEARCH:
        return ()
    bare = text.removeprefix("#").strip()
    forms = [text, bare, f"#{bare}", bare.upper(), bare.lower(), f"#{bare.upper()}"]
    return tuple(form for form in dict.fromkeys([typed.strip(), *forms]) if form and "\0" not in form)


#: As long as a ref may be, and a # before it.
LONGEST_SEARCH = 201


def place_of(cursor: str) -> Place | None:
    """Where a page begins, from its cursor; ``None`` when that is not one of ours."""
    found = _CURSOR.match(cursor)
    if found is None:
        return None
    return Place(decided_at=_EPOCH + timedelta(microseconds=int(found[1])), id=found[2])


def cursor(row: Mapping[Any, Any]) -> str:
    """Where the page after *row* begins."""
    return f"{(row['decided_at'] - _EPOCH) // _MICROSECOND}-{row['id']}"


def facts_of(row: Mapping[Any, Any]) -> Facts:
    """The facts a row of `store.reports` tells."""
    return Facts(
        outcome=Outcome(row["outcome"]),
        reason=Reason(row["reason"]),
        seen=bool(row["seen"]),
        declined=bool(row["declined"]),
        sold_out=bool(row["sold_out"]),
        expired=bool(row["expired"]),
        status=ChargeStatus(row["status"]) if row["status"] else None,
        failure_code=row["failure_code"],
        attempted=bool(row["attempted"]),
        undone=bool(row["undone"]),
    )


def entry_of(row: Mapping[Any, Any]) -> Entry:
    """A row of `store.reports.recent` as a value."""
    amount, currency = row["amount_minor"], row["currency"]
    stuck = None
    if row["stuck_error"]:
        stuck = Stuck(kind=row["stuck_kind"], attempts=row["stuck_attempts"], error=row["stuck_error"])
    return Entry(
        id=row["id"],
        order_ref=row["order_ref"],
        decided_at=row["decided_at"],
        facts=facts_of(row),
        sku=row["sku"],
        title=row["snapshot"].get("title", ""),
        quantity=row["quantity"] or 0,
        amount=None if amount is None else Money(int(amount), currency),
        refunded=Money(int(row["refunded_minor"]), currency),
        charged_at=row["charged_at"],
        quarantine_reason=row["quarantine_reason"],
        refund_failed=row["last_refund"] == "failed",
        stuck=stuck,
    )
