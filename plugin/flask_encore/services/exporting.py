"""Hand the merchant their data: the report, the decision log, the charges and any table, as CSV, JSON and NDJSON, in
pieces. This is the one writer of such files.

Amounts are written twice: as exact decimal text in the currency's units, and as whole minor units. Times are ISO 8601
in the shop's zone, with its offset. Figures come from `services.reporting`; nothing is computed here.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any

from flask_encore.domain.days import Days
from flask_encore.domain.earnings import Earnings
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.experiment import Estimate, Shortage
from flask_encore.domain.funnel import Funnel, Leak, Rate, Step
from flask_encore.domain.money import Money
from flask_encore.services.reporting import Figures
from flask_encore.services.runtime import Runtime
from flask_encore.services.uplift import Uplift
from flask_encore.store import exports

#: Tells Excel that a file is UTF-8.
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}".encode()

#: Rows joined into one piece, so that a file of a million rows is not a million writes.
PIECE = 100

#: What a spreadsheet takes for the beginning of a formula, or strips until it finds one.
_FORMULA = re.compile(r"[\t\r]|\s*[=+\-@＝＋－＠]")
#: And what is nevertheless just a number: an apostrophe would turn it into text nobody can add up.
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z")

#: Columns that hold lists and objects: in NDJSON only, no cell is a place for them.
_NESTED = frozenset({"candidates", "trace"})

_MOMENTS = frozenset(
    {
        *("decided_at", "expires_at", "shown_at", "declined_at", "sold_out_at", "extended_at"),
        *("accepted_at", "charged_at", "undo_until", "hold_released_at", "updated_at"),
    }
)


class Log(StrEnum):
    """What can be exported row by row."""

    DECISIONS = "decisions"  #: every decision, of the days it was made on, with what became of it
    CHARGES = "charges"  #: every accepted offer, of the days it was accepted on


class Format(StrEnum):
    """How rows are written."""

    NDJSON = "ndjson"  #: one JSON object a line; everything is in it
    CSV = "csv"  #: for spreadsheets; without candidates and trace
    JSON = "json"  #: one array of the same objects, for what reads no NDJSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows to be written, read as they are asked for. *total* is how many there are."""

    columns: Sequence[str]
    total: int
    each: Iterator[Mapping[str, Any]]


_LEADING = ("id", "order_ref", "placement", "step", "campaign_ref")
_MONEY = ("amount", "amount_minor", "refunded", "refunded_minor", "undone")

#: The columns of an export, in their order. New ones are added at the end.
COLUMNS: Mapping[Log, Sequence[str]] = {
    Log.DECISIONS: (
        *_LEADING,
        *("campaign_version", "decided_at", "outcome", "reason", "arm", "customer_ref", "sku", "second_sku", "title"),
        *("quantity", "currency", "total", "total_minor", "propensity", "model_version", "latency_us", "expires_at"),
        *("shown_at", "declined_at", "sold_out_at", "extended_at", "charge_status", "failure_code"),
        *_MONEY,
        *("candidates", "trace"),
    ),
    Log.CHARGES: (
        *_LEADING,
        *("accepted_at", "status", "failure_code", "sku", "second_sku", "title", "quantity", "currency"),
        *_MONEY,
        *("charged_at", "undo_until", "hold_released_at", "quarantine_reason", "customer_ref"),
        *("payment_intent_ref", "payment_method_ref", "payment_method_type", "card_brand", "card_last4"),
        *("attempt", "epoch", "consent_version", "expires_at", "updated_at"),
    ),
}


@contextmanager
def opened(rt: Runtime, log: Log, days: Days) -> Iterator[Rows]:
    """The rows of *log* on *days*, oldest first, as one reading of the database; read them within the context."""
    since, until = days.bounds(rt.settings.zone)
    read = exports.decided if log is Log.DECISIONS else exports.accepted
    with rt.db.stream() as connection:
        total, rows = read(connection, account=rt.account, since=since, until=until)
        columns, zone = COLUMNS[log], rt.settings.zone
        with closing(rows):
            yield Rows(columns=columns, total=total, each=(_told(row, columns, zone) for row in rows))


def pieces(rows: Rows, *, format: Format, bom: bool = False) -> Iterator[tuple[int, bytes]]:
    """The file in UTF-8, piece by piece, each with how many rows it holds; the head holds none.

    Raises:
        InvalidInput: If *bom* is asked for in JSON, which must not have one (RFC 8259).
    """
    head = {name: name for name in rows.columns if name not in _NESTED}
    return written(rows.each, head, format=format, bom=bom)


def written(
    each: Iterable[Mapping[str, Any]], head: Mapping[str, str], *, format: Format, bom: bool = False
) -> Iterator[tuple[int, bytes]]:
    """Rows of JSON values as a file, as `pieces`.

    Args:
        head: The columns of a CSV file: key -> what its first line calls it. In JSON every key of a row is there.

    Raises:
        InvalidInput: As `pieces`.
    """
    if bom and format is not Format.CSV:
        raise InvalidInput("A byte order mark is for CSV; JSON must not have one.")
    return _written(each, head, format, bom=bom)


def _written(
    each: Iterable[Mapping[str, Any]], head: Mapping[str, str], format: Format, *, bom: bool
) -> Iterator[tuple[int, bytes]]:
    if format is Format.CSV:
        yield 0, (BOM if bom else b"") + csv_line(head.values())
        yield from _joined(csv_line([row[name] for name in head]) for row in each)
    elif format is Format.NDJSON:
        yield from _joined(json_text(row) + b"\n" for row in each)
    else:
        yield 0, b"["
        yield from _joined((b",\n" if number else b"\n") + json_text(row) for number, row in enumerate(each))
        yield 0, b"\n]\n"


def _joined(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    held: list[bytes] = []
    for line in lines:
        held.append(line)
        if len(held) == PIECE:
            yield len(held), b"".join(held)
            held.clear()
    if held:
        yield len(held), b"".join(held)


def csv_line(cells: Iterable[object]) -> bytes:
    """One line of a CSV file (RFC 4180) in UTF-8, each cell safe to open in a spreadsheet."""
    line = io.StringIO()
    csv.writer(line).writerow([cell(value) for value in cells])
    return line.getvalue().encode(errors="replace")


def cell(value: object) -> str:
    """A value as a CSV cell: nothing for ``None``, JSON for a list, a formula's text behind an apostrophe.

    Text is a formula to a spreadsheet when it begins with ``=``, ``+``, ``-`` or ``@``, also behind white space or in
    full width, or with a tab or a carriage return. A plain number, such as ``-12.90``, stays one.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json_text(value).decode()
    text = str(value)
    if isinstance(value, int | float) or _NUMBER.match(text) or not _FORMULA.match(text):
        return text
    return f"'{text}"


def figures_as_json(found: Figures, uplifts: Mapping[str, Uplift]) -> dict[str, Any]:
    """The report in JSON values.

    Args:
        uplifts: By currency; empty where nobody is held out.
    """
    return {
        "from": None if found.days.first is None else found.days.first.isoformat(),
        "to": None if found.days.last is None else found.days.last.isoformat(),
        "currencies": [_told_as_json(found, "", funnel) for funnel in found.funnels],
        "campaigns": [{"campaign_ref": ref} | _told_as_json(found, ref, funnel) for ref, funnel in found.campaigns],
        "uplift": [_uplift_as_json(uplifts[funnel.currency]) for funnel in found.funnels if funnel.currency in uplifts],
        "without_offer": [
            {"outcome": outcome.value, "reason": reason.value, "decisions": count}
            for outcome, reason, count in found.without_offer
        ],
    }


def figures_as_csv(found: Figures, uplifts: Mapping[str, Uplift], *, bom: bool = False) -> bytes:
    """The report as one table: a row per currency (campaign_ref is empty), then one per campaign and currency."""
    rows = [("", funnel) for funnel in found.funnels] + list(found.campaigns)
    sums = [name for amount in _SUMS for name in (amount, f"{amount}_minor")]
    head = ["currency", "campaign_ref", "offers", *Step, *sums, *(f"lost_{leak}" for leak in Leak)]
    earned = [name for amount in _EARNED for name in (amount, f"{amount}_minor")]
    head += [*earned, "charges_without_fee", "profit_of", *(f"{name}_minor" for name in _INCREMENTAL)]
    lines = [csv_line(head)]
    for ref, funnel in rows:
        amounts = [part for amount in _SUMS for part in _amount(getattr(funnel, amount)).values()]
        leaks = [funnel.leaks.get(leak, 0) for leak in Leak]
        of = found.earnings[ref, funnel.currency]
        after = [part for money in _earned(of).values() for part in (_amount(money) if money else _NO_AMOUNT).values()]
        # Of a campaign alone there is none: the holdout is offered nothing by any of them.
        added = uplifts[funnel.currency].incremental if not ref and funnel.currency in uplifts else None
        told = [funnel.currency, ref, offers(funnel), *funnel.counts.values(), *amounts, *leaks, *after]
        told += [of.charges_without_fee, of.profit_of, *([each.minor_units for each in added] if added else [None] * 3)]
        lines.append(csv_line(told))
    return (BOM if bom else b"") + b"".join(lines)


#: The amounts of a funnel, by their names there.
_SUMS = ("gross", "refunded", "disputed", "net")
#: What is told beside them, and what offers added.
_EARNED = ("fees", "net_after_fees", "profit")
_INCREMENTAL = ("incremental_low", "incremental", "incremental_high")
_NO_AMOUNT: Mapping[str, Any] = {"amount": None, "minor": None}


def _earned(of: Earnings) -> dict[str, Money | None]:
    return dict(zip(_EARNED, (of.fees, of.net, of.profit), strict=True))


def _told_as_json(found: Figures, ref: str, funnel: Funnel) -> dict[str, Any]:
    of = found.earnings[ref, funnel.currency]
    return _funnel_as_json(funnel) | {
        **{name: None if money is None else _amount(money) for name, money in _earned(of).items()},
        "fees_elsewhere": {code: _amount(fee) for code, fee in of.fees_elsewhere.items()},
        "charges_without_fee": of.charges_without_fee,
        "profit_of": of.profit_of,
    }


def _uplift_as_json(told: Uplift) -> dict[str, Any]:
    comparison = told.comparison
    result = None if comparison is None else comparison.result
    each = None
    if isinstance(result, Estimate) and comparison is not None and comparison.any_day is not None:
        each = {"value": result.value, "interval": [comparison.any_day.low, comparison.any_day.high]}
    return {
        "currency": told.currency,
        "counted": told.counted,
        "as_of": told.as_of.isoformat(),
        "holdout_basis_points": told.share_bp,
        "since": None if told.since is None else told.since.isoformat(),
        "customers": {name: arm.customers for name, arm in told.arms.items()},
        "orders": {name: arm.orders for name, arm in told.arms.items()},
        "sample_ratio_mismatch": told.sample is not None and told.sample.is_mismatch,
        "minor_units_per_order": each,
        "lack": result.lack.value if isinstance(result, Shortage) else None,
        **{
            name: None if told.incremental is None else _amount(told.incremental[place])
            for place, name in enumerate(_INCREMENTAL)
        },
        "more_orders": told.more_orders,
    }


def offers(funnel: Funnel) -> int:
    """Offers that were put on a page: eligible less held out."""
    return funnel.counts[Step.ELIGIBLE] - funnel.held_out


def _funnel_as_json(funnel: Funnel) -> dict[str, Any]:
    return {
        "currency": funnel.currency,
        "offers": offers(funnel),
        "counts": {step.value: count for step, count in funnel.counts.items()},
        "leaks": {leak.value: funnel.leaks[leak] for leak in Leak if leak in funnel.leaks},
        **{name: _amount(getattr(funnel, name)) for name in _SUMS},
        "conversion_rate": _rate_as_json(funnel.conversion_rate),
        "kept_rate": _rate_as_json(funnel.kept_rate),
    }


def _rate_as_json(rate: Rate) -> dict[str, Any]:
    interval = rate.interval
    return {
        "successes": rate.successes,
        "trials": rate.trials,
        "share": rate.share,
        "interval_95": None if interval is None else [interval.low, interval.high],
    }


def _amount(money: Money) -> dict[str, Any]:
    return {"amount": str(money.decimal), "minor": money.minor_units}


def _told(row: Mapping[Any, Any], columns: Sequence[str], zone: tzinfo) -> dict[str, Any]:
    """One row in JSON values, under the names of *columns*."""
    currency = row["currency"]
    amounts = {
        "total": row.get("total_minor"),
        "amount": row["amount_minor"],
        "refunded": row["refunded_minor"] if row["amount_minor"] is not None else None,
    }
    values: dict[str, Any] = {**row, "undone": bool(row["undone"])}
    for name, minor in amounts.items():
        # PostgreSQL sums 64-bit integers into a decimal; it is exact.
        values[f"{name}_minor"] = None if minor is None else int(minor)
        values[name] = None if minor is None else str(Money(int(minor), currency).decimal)
    return {name: moment(values[name], zone) if name in _MOMENTS else values[name] for name in columns}


def moment(at: datetime | None, zone: tzinfo) -> str | None:
    """A time in ISO 8601 with the offset of *zone*; ``None`` stays ``None``."""
    return None if at is None else at.astimezone(zone).isoformat(timespec="microseconds")


def json_text(value: Any) -> bytes:
    """A JSON value on one line, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(errors="replace")
