"""The home page's numbers counted again from the rows, one by one, by nothing the product counts with."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from conftest import Shop

from flask_encore.domain.funnel import Step
from flask_encore.services.today import Today

MOVED = {"succeeded", "refunding", "refunded", "disputed"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(micros: int | None) -> datetime | None:
    """A column of microseconds."""
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)


def recounted(shop: Shop, first: date, last: date, *, now: datetime) -> dict[str, Any]:
    """Everything `as_told` tells of the days from *first* to *last*, from the rows."""
    zone = shop.rt.settings.zone
    charge_of = {row["id"]: row for row in shop.rows("charges")}
    back_of: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for refund in sorted(shop.rows("refunds"), key=lambda row: row["seq"]):
        back_of[refund["charge_id"]].append(refund)
    told: dict[str, Any] = {"currencies": {}, "without": Counter()}
    months: defaultdict[str, list[tuple[date, date, str, int]]] = defaultdict(list)
    begin, end = first.replace(day=1), (last.replace(day=28) + timedelta(days=4)).replace(day=1)
    for row in shop.rows("decisions"):
        at = moment(row["decided_at"])
        assert at is not None
        day = at.astimezone(zone).date()
        if row["account"]:
            continue
        charge, back = charge_of.get(row["id"]), back_of[row["id"]]
        eligible = row["outcome"] in {"offered", "held_out"}
        if row["outcome"] == "offered" and charge and charge["status"] in MOVED and begin <= day < end:
            months[row["currency"]] += _movements(charge, back, day, zone)
        if not first <= day <= last:
            continue
        if not eligible:
            is_told = row["outcome"] in {"ineligible", "error"}
            if is_told and (row["step"], row["placement"]) == (0, "thank_you"):
                told["without"][row["outcome"], row["reason"]] += 1
            continue
        currency = told["currencies"].setdefault(row["currency"], {"all": Counter(), "days": defaultdict(Counter)})
        counted = _one(row, charge, back, now)
        currency["all"].update(counted)
        currency["days"][day].update(counted)
    for code, currency in told["currencies"].items():
        currency["days"] = {day: +found for day, found in currency["days"].items() if +found}
        currency["months"] = _months(months[code], max(now.astimezone(zone).date(), last))
    return told


def _one(row: dict[str, Any], charge: dict[str, Any] | None, back: list[dict[str, Any]], now: datetime) -> Counter[str]:
    told = Counter(eligible=1)
    if row["outcome"] == "held_out":
        return told + Counter({"leak held_out": 1})
    if not (charge or row["shown_at"] or row["declined_at"] or row["sold_out_at"]):
        return told + Counter({"leak not_seen": 1})
    told["shown"] = 1
    if charge is None:
        if row["declined_at"]:
            return told + Counter({"leak declined": 1})
        if row["sold_out_at"]:
            return told + Counter({"leak sold_out": 1})
        over = moment(row["expires_at"]) <= now  # type: ignore[operator]
        return told + Counter({"leak expired" if over else "leak open": 1})
    told["accepted"] = 1
    if charge["status"] not in MOVED:
        return told
    amount = charge["amount_minor"]
    told["charged"], told["gross"] = 1, amount
    fee = charge["fee_minor"] or 0
    if charge["fee_minor"] is None:
        told["without fee"] = int(amount > 0)
    else:
        told[f"fee {charge['fee_currency']}"] = fee
    own = fee if charge["fee_currency"] == row["currency"] else 0
    gone = min(amount, sum(one["amount_minor"] for one in back if one["status"] == "succeeded"))
    match charge["status"]:
        case "succeeded":
            told["kept"], told["refunded"] = 1, gone
            if charge["cost_minor"] is not None:
                told["profit of"] = 1
                # Counters forget what is not above 0 when they are added up; a profit may be a loss.
                told["profit"] = amount - gone - own - (charge["tax_minor"] or 0) - charge["cost_minor"]
        case "disputed":
            told["disputed"] = amount
        case _:
            told["refunded"] = amount
    return told


def _movements(
    charge: dict[str, Any], back: list[dict[str, Any]], day: date, zone: tzinfo
) -> list[tuple[date, date, str, int]]:
    def booked(micros: int) -> date:
        at = moment(micros)
        assert at is not None
        return max(day, at.astimezone(zone).date())

    amount, status = charge["amount_minor"], charge["status"]
    if not amount:
        return []
    found = [(day, booked(charge["charged_at"]), "charged", amount)]
    if charge["fee_minor"] and charge["fee_currency"] == charge["currency"]:
        found.append((day, booked(charge["charged_at"]), "fee", -charge["fee_minor"]))
    left = amount
    alive = [one for one in back if one["status"] != "failed"]
    done = [one for one in alive if one["status"] == "succeeded"]
    for one in sorted(done, key=lambda one: one["settled_at"] or one["requested_at"]):
        gone = min(left, one["amount_minor"])
        left -= gone
        cause = "undone" if one["cause"] == "undo" else "refunded"
        found.append((day, booked(one["settled_at"] or one["requested_at"]), cause, -gone))
    if status == "succeeded" or not left:
        return found
    if status == "disputed":
        lines = [line.split("|") for line in charge["timeline"].splitlines() if "|disputed|" in line]
        at = (datetime.fromisoformat(lines[0][0]) - _EPOCH) // timedelta(microseconds=1) if lines else None
        return [*found, (day, booked(at or charge["updated_at"]), "disputed", -left)]
    waiting = [one for one in alive if one["status"] != "succeeded"]
    undone = (waiting or alive)[-1]["cause"] == "undo" if alive else False
    at = waiting[-1]["requested_at"] if waiting else charge["updated_at"]
    if not waiting and charge["timeline"]:
        lines = [line.split("|") for line in charge["timeline"].splitlines() if f"|{status}|" in line]
        at = (datetime.fromisoformat(lines[0][0]) - _EPOCH) // timedelta(microseconds=1) if lines else at
    return [*found, (day, booked(at), "undone" if undone else "refunded", -left)]


def _months(moved: list[tuple[date, date, str, int]], today: date) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for day, booked, cause, minor in moved:
        if booked > today:
            continue
        month = day.replace(day=1)
        following = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
        one = told.setdefault(month.isoformat(), {"now": 0, "close": 0 if today >= following else None, "later": {}})
        one["now"] += minor
        if booked >= following:
            one["later"][cause] = one["later"].get(cause, 0) + minor
        elif one["close"] is not None:
            one["close"] += minor
    for one in told.values():
        one["later"] = {cause: minor for cause, minor in one["later"].items() if minor}
    return told


def as_told(report: Today) -> dict[str, Any]:
    """The same numbers of the page."""
    told: dict[str, Any] = {
        "currencies": {},
        "without": Counter({(outcome.value, reason.value): count for outcome, reason, count in report.without_offer}),
    }
    for one in report.figures:
        every = Counter({step.value: one.funnel.counts[step] for step in Step})
        for leak, count in one.funnel.leaks.items():
            if leak.value in {"held_out", "not_seen", "declined", "sold_out", "expired", "open"}:
                every[f"leak {leak}"] = count
        earned = one.earnings
        for name in ("gross", "refunded", "disputed"):
            every[name] = getattr(earned, name).minor_units
        every[f"fee {one.currency}"] = earned.fees.minor_units
        for code, fee in earned.fees_elsewhere.items():
            every[f"fee {code}"] = fee.minor_units
        every["without fee"], every["profit of"] = earned.charges_without_fee, earned.profit_of
        every["profit"] = earned.profit.minor_units if earned.profit is not None else 0
        assert (earned.profit is None) == (earned.profit_of == 0)
        assert earned.kept == every["kept"]
        taken = every["refunded"] + every["disputed"] + earned.fees.minor_units
        assert earned.net.minor_units == every["gross"] - taken
        told["currencies"][one.currency] = {
            "all": every,
            "days": {day.day: day for day in one.series},
            "months": {
                month.month.isoformat(): {
                    "now": month.now.minor_units,
                    "close": None if month.at_close is None else month.at_close.minor_units,
                    "later": {
                        cause.value: moved.minor_units for cause, moved in month.later.items() if moved.minor_units
                    },
                }
                for month in one.months
            },
        }
    return told


def assert_is_a_recount(shop: Shop, report: Today, first: date, last: date) -> None:
    """Every number of *report*, which is of the days from *first* to *last*, is that of the rows."""
    told, again = as_told(report), recounted(shop, first, last, now=shop.clock())
    assert told["without"] == again["without"]
    assert set(told["currencies"]) == set(again["currencies"])
    for code, one in again["currencies"].items():
        page = told["currencies"][code]
        names = set(page["all"]) | set(one["all"])
        assert {name: page["all"][name] for name in names} == {name: one["all"][name] for name in names}
        assert page["months"] == one["months"], (page["months"], one["months"])
        for day, figures in page["days"].items():
            counted = one["days"].get(day, Counter())
            net = counted["gross"] - counted["refunded"] - counted["disputed"] - counted[f"fee {code}"]
            assert {step: figures.counts[step] for step in Step} == {step: counted[step.value] for step in Step}
            assert (figures.gross.minor_units, figures.net.minor_units) == (counted["gross"], net)
            assert (figures.conversion_rate.successes, figures.kept_rate.successes) == (
                counted["accepted"],
                counted["kept"],
            )
        assert set(one["days"]) <= set(page["days"])


def as_json(rows: list[dict[str, Any]]) -> list[str]:
    """Rows of a table, comparable byte by byte whatever their order."""
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)
