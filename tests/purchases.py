"""Orders, offers and refunds made up from a seed, and what they come to when they are counted one by one in Python."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

import sqlalchemy as sa
from conftest import Shop

from flask_encore.services.customer_figures import CustomerReport
from flask_encore.store.models import charges, history_lines, orders, refunds

TABLES = {"history_lines": history_lines, "orders": orders, "charges": charges, "refunds": refunds}
Rows = dict[str, list[dict[str, Any]]]


def line(order_ref: str, at: datetime | None, customer_ref: str | None = None, **changes: Any) -> dict[str, Any]:
    """One line of the history."""
    values = {"sku": "pot", "quantity": 1, "unit_price_minor": 1_000, "currency": "gbp"} | changes
    return values | {"order_ref": order_ref, "customer_ref": customer_ref, "placed_at": at.timestamp() if at else None}


def handed_over(order_ref: str, at: datetime, customer_ref: str | None = None, **changes: Any) -> dict[str, Any]:
    """An order as ``order_paid`` writes it."""
    return {
        "account": "",
        "order_ref": order_ref,
        "fingerprint": "f",
        "placed_at": at,
        "currency": "gbp",
        "total_minor": 3_400,
        "lines": [],
        "customer_ref": customer_ref,
        "locale": "en",
        "payment_intent_ref": f"pi_{order_ref}",
        "payment_method_type": "card",
        "card_brand": "visa",
        "card_last4": "4242",
        "ineligible_reason": "",
        "candidates": [],
        "candidate_skus": [],
        "model_version": "",
        "recorded_at": at,
    } | changes


def charge(order_ref: str, at: datetime, *, step: int = 0, **changes: Any) -> dict[str, Any]:
    """What an offer of the order took."""
    values = {"account": "", "amount_minor": 1_161, "currency": "gbp", "status": "succeeded"} | changes
    return values | {
        "id": f"{order_ref}-{step}-{values['account']}",
        "order_ref": order_ref,
        "placement": "thank_you",
        "step": step,
        "sku": "mug",
        "quantity": 1,
        "customer_ref": "cus_1",
        "payment_method_ref": "pm_1",
        "payment_method_type": "card",
        "card_brand": "visa",
        "card_last4": "4242",
        "payment_intent_ref": f"pi_{order_ref}-{step}-{values['account']}",
        "attempt": 1,
        "epoch": 1,
        "failure_code": "",
        "consent_version": "1",
        "snapshot": {},
        "accepted_at": at,
        "expires_at": at,
        "charged_at": at,
        "quarantine_reason": "",
        "tries": 0,
        "updated_at": at,
    }


def refund(charge_id: str, at: datetime, *, seq: int = 1, amount_minor: int = 500, status: str = "succeeded") -> Any:
    """What of a charge went back."""
    return {
        "charge_id": charge_id,
        "seq": seq,
        "amount_minor": amount_minor,
        "currency": "gbp",
        "cause": "merchant",
        "actor": "anna",
        "status": status,
        "requested_at": at,
    }


def write(shop: Shop, rows: Mapping[str, list[dict[str, Any]]]) -> None:
    """Put *rows* in place of everything these tables hold."""
    with shop.rt.db.write() as connection:
        for name, table in TABLES.items():
            connection.execute(sa.delete(table))
            if rows.get(name):
                connection.execute(sa.insert(table), rows[name])


def made_up(seed: int, now: datetime, zone: tzinfo) -> Rows:
    """Few customers, so that much meets: guests, two currencies, unknown prices and times, two accounts."""
    dice = random.Random(seed)
    rows: Rows = {name: [] for name in TABLES}

    def moment() -> datetime:
        if dice.random() < 0.3:  # the edge of a month in the shop's zone
            edge = datetime(dice.choice([2025, 2026]), dice.randint(1, 12), 1, tzinfo=zone).astimezone(UTC)
            return edge + dice.choice([timedelta(0), timedelta(microseconds=-1), timedelta(hours=-3)])
        return now - timedelta(seconds=dice.uniform(-40 * 86_400, 500 * 86_400))

    for number in range(dice.randint(0, 60)):
        ref, at, currency = f"o-{number}", moment(), dice.choice(["gbp", "gbp", "eur"])
        customer = dice.choice([None, *(f"c-{one}" for one in range(7))])
        for sku in range(dice.randint(1, 3)):
            rows["history_lines"].append(
                line(
                    ref,
                    None if dice.random() < 0.06 else at + timedelta(seconds=sku),
                    "c-other" if dice.random() < 0.03 else customer,
                    sku=f"s-{sku}",
                    quantity=dice.randint(1, 4),
                    unit_price_minor=dice.choice([None, 10**13, 0, *[dice.randint(1, 9_999)] * 20]),
                    currency="usd" if dice.random() < 0.03 else currency,
                )
            )
        for account in [account for account in ("", "", "acct_other") if dice.random() < 0.3][:1]:
            # Told with another total than its lines come to, and perhaps with another customer: its own row counts.
            known = handed_over(
                ref, at, customer, account=account, currency=currency, total_minor=dice.choice([10**13, 5_000, 1_999])
            )
            rows["orders"].append(known)
            for step in range(dice.randint(0, 2)):
                made = charge(
                    ref,
                    at,
                    step=step,
                    account=account,
                    currency="usd" if dice.random() < 0.05 else currency,
                    status=dice.choice(["succeeded", "succeeded", "refunding", "refunded", "disputed", "failed"]),
                )
                rows["charges"].append(made)
                for seq in range(1, dice.randint(1, 3)):
                    status = dice.choice(["succeeded", "failed"])
                    rows["refunds"].append(
                        refund(made["id"], at, seq=seq, amount_minor=dice.choice([500, 700]), status=status)
                    )
    return rows


def recount(rows: Rows, *, now: datetime, zone: tzinfo, months: int | None) -> dict[str, Any]:
    """Everything a `CustomerReport` of account "" tells, one order after the other.

    Args:
        months: How many, with the present one; ``None`` for all time.
    """
    told = _one_by_one(rows)
    present = _month(now, zone)
    dated = [(month, *rest) for at, *rest in told if at and (month := _month(at, zone)) <= present]
    lately = [one for one in dated if months is None or one[0] > present - months]
    first: dict[str, int] = {}
    for month, customer, _currency, _value in dated:
        if customer:
            first[customer] = min(month, first.get(customer, month))
    often = [[one[1] for one in lately].count(customer) for customer in first]
    seen = {(customer, month) for month, customer, *_ in dated if customer}
    return {
        "repeat": (sum(count >= 2 for count in often), sum(count >= 1 for count in often)),
        "orders": len(lately),
        "guests": sum(one[1] is None for one in lately),
        "without_amount": sum(one[3] is None for one in lately),
        "undated": len(told) - len(dated),
        "any_order": bool(dated),
        "triangle": _triangle(first, seen, present),
        "lifetimes": _lifetimes(dated, first, present),
        "order_values": _order_values(rows, present, months, zone),
    }


def as_told(report: CustomerReport) -> dict[str, Any]:
    """The same numbers of a report."""
    rate, standing = report.standing.repeat_purchase_rate, report.standing
    return {
        "repeat": (rate.successes, rate.trials),
        "orders": standing.orders,
        "guests": standing.guest_orders,
        "without_amount": standing.without_amount,
        "undated": standing.undated,
        "any_order": standing.any_order,
        "triangle": [
            (
                cohort.first,
                cohort.customers,
                [one.rate and (one.rate.successes, one.rate.trials, one.running) for one in cohort.again],
            )
            for cohort in report.cohorts
        ],
        "lifetimes": {
            (worth.currency, one.first): (one.value.of, one.value.total.minor_units)
            for worth in report.worth
            for one in worth.lifetimes
        },
        "order_values": {
            worth.currency: (value.orders, value.totals.minor_units, value.kept.minor_units)
            for worth in report.worth
            if (value := worth.order_value)
        },
    }


def _month(at: datetime, zone: tzinfo) -> int:
    local = at.astimezone(zone)
    return local.year * 12 + local.month - 1


def _kept(rows: Rows, order: dict[str, Any]) -> int:
    kept = 0
    for one in rows["charges"]:
        mine = (one["account"], one["order_ref"], one["currency"]) == ("", order["order_ref"], order["currency"])
        if mine and one["status"] == "succeeded":
            back = [row for row in rows["refunds"] if row["charge_id"] == one["id"] and row["status"] == "succeeded"]
            kept += max(0, one["amount_minor"] - sum(row["amount_minor"] for row in back))
    return kept


def _one_by_one(rows: Rows) -> list[tuple[Any, ...]]:
    """(at, customer_ref, currency, value) of every order, once."""
    own = {order["order_ref"]: order for order in rows["orders"] if order["account"] == ""}
    told: list[tuple[Any, ...]] = [
        (
            order["placed_at"],
            order["customer_ref"],
            order["currency"],
            order["total_minor"] + _kept(rows, order) if order["total_minor"] <= 10**12 else None,
        )
        for order in own.values()
    ]
    by_order: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in rows["history_lines"]:
        if one["order_ref"] not in own:
            by_order[one["order_ref"]].append(one)
    for lines in by_order.values():
        times = [one["placed_at"] for one in lines if one["placed_at"] is not None]
        currency = _agreed(one["currency"] for one in lines)
        amounts = [one["quantity"] * (one["unit_price_minor"] or 0) for one in lines]
        is_known = currency and all(one["unit_price_minor"] is not None for one in lines) and max(amounts) <= 10**12
        told.append(
            (
                datetime.fromtimestamp(min(times), UTC) if times else None,
                _agreed(one["customer_ref"] for one in lines),
                currency,
                sum(amounts) if is_known else None,
            )
        )
    return told


def _agreed(values: Iterable[str | None]) -> str | None:
    found = {value for value in values if value is not None}
    return found.pop() if len(found) == 1 else None


def _triangle(first: dict[str, int], seen: set[tuple[str, int]], present: int) -> list[Any]:
    made: list[Any] = []
    for month in range(present - 11, present + 1):
        cohort = [customer for customer, began in first.items() if began == month]
        if not cohort and not made:
            continue
        cells = []
        for later in range(month + 1, month + 12):
            came = sum((customer, later) in seen for customer in cohort)
            cells.append((came, len(cohort), later == present) if later <= present else None)
        made.append((date(month // 12, month % 12 + 1, 1), len(cohort), cells))
    if not made:
        return []
    together = []
    for after in range(11):
        whole = [row[2][after] for row in made if row[2][after] and not row[2][after][2]]
        came, asked = sum(cell[0] for cell in whole), sum(cell[1] for cell in whole)
        together.append((came, asked, False) if asked else None)
    return [*made, (None, sum(row[1] for row in made), together)]


def _lifetimes(dated: list[tuple[Any, ...]], first: dict[str, int], present: int) -> dict[Any, Any]:
    buyers: defaultdict[Any, set[str]] = defaultdict(set)
    paid: defaultdict[Any, int] = defaultdict(int)
    for _month, customer, currency, value in dated:
        if customer and value is not None:
            began = first[customer]
            key = (currency, date(began // 12, began % 12 + 1, 1) if began > present - 12 else None)
            buyers[key].add(customer)
            paid[key] += value
    return {key: (len(found), paid[key]) for key, found in buyers.items()}


def _order_values(rows: Rows, present: int, months: int | None, zone: tzinfo) -> dict[str, tuple[int, int, int]]:
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for order in rows["orders"]:
        month = _month(order["placed_at"], zone)
        if order["account"] or order["total_minor"] > 10**12 or month > present:
            continue
        if months is None or month > present - months:
            found = sums[order["currency"]]
            for place, number in enumerate((1, order["total_minor"], _kept(rows, order))):
                found[place] += number
    return {currency: (found[0], found[1], found[2]) for currency, found in sums.items()}
