"""The figures of some days: equal to a recount from the rows, whatever happened."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from conftest import START, Shop, ShopFactory
from histories import statements, write

from flask_encore.domain.days import Days
from flask_encore.domain.funnel import Funnel, Leak, Step
from flask_encore.services import exporting, reporting
from flask_encore.services.exporting import Log
from flask_encore.services.reporting import Figures

#: 15 to 21 February in New York, as UTC.
WEEK = Days.parse("2026-02-15", "2026-02-21", today=START.date())
BEGINS, ENDS = datetime(2026, 2, 15, 5, tzinfo=UTC), datetime(2026, 2, 22, 5, tzinfo=UTC)

MOVED = {"succeeded", "refunding", "refunded", "disputed"}


def micros(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000


def recounted(shop: Shop) -> dict[tuple[str, str | None], Counter[str]]:
    """(currency, campaign or ``None`` for all) -> what there was, in words and minor units, from the rows alone."""
    charge_of = {row["id"]: row for row in shop.rows("charges")}
    back: Counter[str] = Counter()
    for refund in shop.rows("refunds"):
        if refund["status"] == "succeeded":
            back[refund["charge_id"]] += refund["amount_minor"]
    found: dict[tuple[str, str | None], Counter[str]] = {}
    for row in shop.rows("decisions"):
        is_counted = row["account"] == "" and micros(BEGINS) <= row["decided_at"] < micros(ENDS)
        if not is_counted or row["outcome"] not in {"offered", "held_out"}:
            continue
        charge = charge_of.get(row["id"])
        for campaign in (None, row["campaign_ref"] or "built-in"):
            tally = found.setdefault((row["currency"], campaign), Counter())
            tally.update(_one(row, charge, back[row["id"]]))
    return found


def without(shop: Shop) -> dict[tuple[str, str], int]:
    """(ineligible or error, why) -> how many orders got nothing, from the rows alone."""
    return Counter(
        (row["outcome"], row["reason"])
        for row in shop.rows("decisions")
        if row["account"] == ""
        and micros(BEGINS) <= row["decided_at"] < micros(ENDS)
        and row["outcome"] in {"ineligible", "error"}
        and (row["step"], row["placement"]) == (0, "thank_you")
    )


def _one(row: dict[str, Any], charge: dict[str, Any] | None, back: int) -> Counter[str]:
    told: Counter[str] = Counter(eligible=1)
    if row["outcome"] == "held_out":
        return told
    told["offers"] = 1
    if charge or row["shown_at"] or row["declined_at"] or row["sold_out_at"]:
        told["shown"] = 1
    if charge is None:
        return told
    told["accepted"] = 1
    amount, status = charge["amount_minor"], charge["status"]
    if status in MOVED:
        told["charged"], told["gross"] = 1, amount
    match status:
        case "succeeded":
            told["kept"], told["refunded"] = 1, min(back, amount)
        case "refunding" | "refunded":
            told["refunded"] = amount
        case "disputed":
            told["disputed"] = amount
    return told


def as_told(funnel: Funnel) -> Counter[str]:
    told: Counter[str] = Counter({step.value: funnel.counts[step] for step in Step})
    told["offers"] = exporting.offers(funnel)
    for name in ("gross", "refunded", "disputed"):
        told[name] = getattr(funnel, name).minor_units
    assert funnel.net.minor_units == told["gross"] - told["refunded"] - told["disputed"]
    return told


def test_every_figure_equals_a_recount_of_the_rows_to_the_minor_unit(make_shop: ShopFactory, database_uri: str) -> None:
    shop = make_shop(database_uri, ENCORE_TIME_ZONE="America/New_York")
    for seed in range(4):
        write(shop, seed=seed, count=400, begins=datetime(2026, 2, 13, tzinfo=UTC), days=11)
        told = reporting.figures(shop.rt, WEEK)
        assert tallies(told) == recounted(shop)
        assert {(outcome, reason): count for outcome, reason, count in told.without_offer} == without(shop)
    # Four currencies, and in each three campaigns (none is the built-in one's): nothing is missing on both sides.
    assert len(tallies(told)) == 4 + 4 * 3


def tallies(told: Figures) -> dict[tuple[str, str | None], Counter[str]]:
    found: dict[tuple[str, str | None], Counter[str]] = {(one.currency, None): as_told(one) for one in told.funnels}
    found |= {(one.currency, ref): as_told(one) for ref, one in told.campaigns}
    return found


def test_the_exported_decisions_are_enough_to_count_the_report_again(any_shop: Shop) -> None:
    shop = any_shop
    write(shop, seed=9, count=300, begins=datetime(2026, 2, 13, tzinfo=UTC), days=11)
    days = Days.parse("2026-02-15", "2026-02-21", today=START.date())

    gross: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    with exporting.opened(shop.rt, Log.DECISIONS, days) as rows:
        for row in rows.each:
            if row["charge_status"] in MOVED and row["outcome"] == "offered":
                gross[row["currency"]] += row["amount_minor"]
                kept[row["currency"]] += row["charge_status"] == "succeeded"

    told = reporting.figures(shop.rt, days)
    assert gross == {one.currency: one.gross.minor_units for one in told.funnels}
    assert kept == {one.currency: one.counts[Step.KEPT] for one in told.funnels}


def test_the_figures_are_one_statement(any_shop: Shop) -> None:
    write(any_shop, seed=1, count=50, begins=START, days=1)
    with statements(any_shop) as sent:
        reporting.figures(any_shop.rt, Days())
    assert len(sent) == 1


def test_one_currency_can_be_asked_for_alone(shop: Shop) -> None:
    write(shop, seed=1, count=100, begins=START, days=1)

    told = reporting.figures(shop.rt, Days(), currency="EUR")

    assert [one.currency for one in told.funnels] == ["eur"]
    assert {one.currency for _, one in told.campaigns} == {"eur"}


def test_a_refund_of_next_month_lowers_the_net_of_the_month_of_the_offer(shop: Shop) -> None:
    shop.pay()
    shop.accept(shop.token())
    march = Days.parse("2026-03-01", "2026-03-31", today=START.date())
    [before] = reporting.figures(shop.rt, march).funnels
    [charge] = shop.rows("charges")

    shop.clock.advance(days=40)
    with shop.app.app_context():
        shop.encore.refund(charge["id"], actor="merchant")

    [after] = reporting.figures(shop.rt, march).funnels
    april = Days.parse("2026-04-01", "2026-04-30", today=shop.clock().date())
    assert (before.net.minor_units, before.leaks) == (1161, {})
    assert (after.gross.minor_units, after.net.minor_units, after.leaks) == (1161, 0, {Leak.REFUNDED: 1})
    assert reporting.figures(shop.rt, april).funnels == []
