"""The shop's rows for other programs: pages of them, and each on its own, with money as money."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from flask_encore.domain.money import Money
from flask_encore.domain.orders import Product, lines_from_json
from flask_encore.services.runtime import Runtime
from flask_encore.store import catalog, listings, refunds
from flask_encore.store.listings import Since

#: Rows of one page, when nobody says, and at most: a decision with its candidates is some kilobytes.
PAGE, MOST = 50, 200

#: Behind which row a page begins: a text, or microseconds since 1970 and a text.
Place = Sequence[str | int]

Item = TypeVar("Item")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some rows of a list. *place* is where the next page begins; ``None`` on the last one."""

    items: Sequence[Item]
    place: Place | None


def products(
    rt: Runtime, *, after: Place | None, limit: int, category: str | None = None, active: bool | None = None
) -> Page[Product]:
    """The catalogue, by SKU."""
    behind = None if after is None else str(after[0])
    with rt.db.read() as connection:
        rows = listings.product_page(connection, after=behind, limit=limit + 1, category=category, active=active)
    return _page(rows, limit, catalog.product_of, lambda row: [row["sku"]])


def orders(rt: Runtime, *, after: Place | None, limit: int, customer_ref: str | None = None) -> Page[Mapping[str, Any]]:
    """Paid orders, the last recorded first."""
    with rt.db.read() as connection:
        rows = listings.order_page(
            connection, account=rt.account, after=_since(after), limit=limit + 1, customer_ref=customer_ref
        )
    return _page(rows, limit, _order, lambda row: _place(row["recorded_at"], row["order_ref"]))


def order(rt: Runtime, order_ref: str) -> Mapping[str, Any] | None:
    """One order, with every decision about it as ``decisions``; ``None`` when there is none."""
    with rt.db.read() as connection:
        row = listings.order(connection, order_ref, account=rt.account)
        if row is None:
            return None
        rows = listings.decisions_of(connection, order_ref, account=rt.account)
    return {**_order(row), "decisions": [_decision(one) for one in rows]}


def decisions(
    rt: Runtime,
    *,
    after: Place | None,
    limit: int,
    order_ref: str | None = None,
    outcome: str | None = None,
    campaign_ref: str | None = None,
) -> Page[Mapping[str, Any]]:
    """The decision log, newest first."""
    with rt.db.read() as connection:
        rows = listings.decision_page(
            connection,
            account=rt.account,
            after=_since(after),
            limit=limit + 1,
            order_ref=order_ref,
            outcome=outcome,
            campaign_ref=campaign_ref,
        )
    return _page(rows, limit, _decision, lambda row: _place(row["decided_at"], row["id"]))


def decision(rt: Runtime, id: str) -> Mapping[str, Any] | None:
    """One decision, or ``None``."""
    with rt.db.read() as connection:
        row = listings.decision(connection, id, account=rt.account)
    return None if row is None else _decision(row)


def charges(
    rt: Runtime,
    *,
    after: Place | None,
    limit: int,
    order_ref: str | None = None,
    status: str | None = None,
) -> Page[Mapping[str, Any]]:
    """Charges, the last accepted first."""
    with rt.db.read() as connection:
        rows = listings.charge_page(
            connection, account=rt.account, after=_since(after), limit=limit + 1, order_ref=order_ref, status=status
        )
    return _page(rows, limit, _charge, lambda row: _place(row["accepted_at"], row["id"]))


def charge(rt: Runtime, id: str) -> Mapping[str, Any] | None:
    """One charge, with its refunds as ``refunds``; ``None`` when there is none."""
    with rt.db.read() as connection:
        row = listings.charge(connection, id, account=rt.account)
        if row is None:
            return None
        back = refunds.of_charge(connection, id)
    return {**_charge(row), "refunds": [{**one, "amount": _money(one, "amount")} for one in back]}


def _page(
    rows: Sequence[Mapping[Any, Any]],
    limit: int,
    made: Callable[[Mapping[Any, Any]], Item],
    place: Callable[[Mapping[Any, Any]], Place],
) -> Page[Item]:
    """Of one row more than the page has: it says that there is another page."""
    more = len(rows) > limit
    return Page(items=[made(row) for row in rows[:limit]], place=place(rows[limit - 1]) if more else None)


def _place(at: datetime, key: str) -> Place:
    return [(at - _EPOCH) // _MICROSECOND, key]


def _since(place: Place | None) -> Since | None:
    if place is None:
        return None
    return Since(at=_EPOCH + timedelta(microseconds=int(place[0])), key=str(place[1]))


def _order(row: Mapping[Any, Any]) -> dict[str, Any]:
    facts: Mapping[str, Any] = row["facts"] or {}
    told = {name: facts.get(name) for name in ("discount_codes", "loyalty_tier", "tags")}
    return {
        **row,
        **told,
        "total": _money(row, "total"),
        "lines": lines_from_json(row["lines"], row["currency"]),
        "ineligible_reason": row["ineligible_reason"] or None,
    }


def _decision(row: Mapping[Any, Any]) -> dict[str, Any]:
    trace: Mapping[str, Any] = row["trace"] or {}
    return {
        **row,
        "total": _money(row, "total"),
        "title": row["snapshot"].get("title") or None,
        "campaigns_asked": list(trace.get("asked", ())),
    }


def _charge(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        **row,
        "title": row["snapshot"].get("title") or None,
        "amount": _money(row, "amount"),
        "refunded": _money(row, "refunded"),
        "cost": _money(row, "cost"),
        "tax": _money(row, "tax"),
        "fee": None if row["fee_minor"] is None else Money(row["fee_minor"], row["fee_currency"]),
        "failure_code": row["failure_code"] or None,
        "quarantine_reason": row["quarantine_reason"] or None,
    }


def _money(row: Mapping[Any, Any], name: str) -> Money | None:
    # PostgreSQL sums 64-bit integers into a decimal; it is exact.
    minor = row[f"{name}_minor"]
    return None if minor is None else Money(int(minor), row["currency"])
