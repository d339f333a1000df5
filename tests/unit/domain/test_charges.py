"""The charge machine, pair by pair. The tables here are written by hand: they are the specification."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from flask_encore.domain.charges import FREE, NEXT, PAID, SETTLED, Charge, ChargeStatus, Verdict, judge, sources
from flask_encore.domain.errors import IllegalTransition
from flask_encore.domain.money import Money

ORDER = (
    "claimed",
    "intent",
    "confirming",
    "action_required",
    "processing",
    "unknown",
    "failed",
    "succeeded",
    "canceled",
    "refunding",
    "refunded",
    "disputed",
)

#: From each status, to which of `ORDER`: x may, - may not.
MOVES = {
    "claimed": "- x x - - x - - x - - -",
    "intent": "- - x x x x x x x - - -",
    "confirming": "- - - x x x x x x - - -",
    "action_required": "- - - - x - x x x - - -",
    "processing": "- - - - - - x x x - - -",
    "unknown": "- x x x x - x x x - - -",
    "failed": "- - x x x - - x x - - -",
    "succeeded": "- - - - - - - - - x x x",
    "canceled": "- - - - - - - - - - - -",
    "refunding": "- - - - - - - x - - x x",
    "refunded": "- - - - - - - - - - - -",
    "disputed": "- - - - - - - - - - - -",
}

#: What a report of each of `ORDER` means: A apply, D duplicate, I illegal, ! double payment.
VERDICTS = {
    "claimed": "D A A D I A I I A I I I",
    "intent": "I D A A A A A A A I I I",
    "confirming": "I D D A A A A A A I I I",
    "action_required": "I D D D A I A A A I I I",
    "processing": "I D D D D I A A A I I I",
    "unknown": "I A A A A D A A A I I I",
    "failed": "I D A A A I D A A I I I",
    "succeeded": "D D D D D D D D D A A A",
    "canceled": "D D D D D D D ! D D D D",
    "refunding": "D D D D D D D A D D A A",
    "refunded": "D D D D D D D D D D D D",
    "disputed": "D D D D D D D D D D D D",
}

LETTERS = {"A": Verdict.APPLY, "D": Verdict.DUPLICATE, "I": Verdict.ILLEGAL, "!": Verdict.DOUBLE_PAYMENT}

PAIRS = list(product(ORDER, ORDER))

AT = datetime(2026, 11, 21, 14, 3, tzinfo=UTC)


def cell(table: dict[str, str], current: str, other: str) -> str:
    return table[current].split()[ORDER.index(other)]


def a_charge(status: str, *, minor_units: int = 1161) -> Charge:
    return Charge(
        id="offer-1",
        account="",
        order_ref="1042",
        sku="POT-1",
        quantity=1,
        amount=Money(minor_units, "gbp"),
        customer_ref="cus_3",
        payment_method_ref="pm_5",
        payment_method_type="card",
        card_brand="visa",
        card_last4="4242",
        status=ChargeStatus(status),
        payment_intent_ref="pi_7",
        attempt=1,
        epoch=0,
        failure_code="",
        accepted_at=AT,
        expires_at=AT,
        charged_at=None,
        undo_until=None,
        hold_released_at=None,
        quarantine_reason="",
        updated_at=AT,
        snapshot={},
    )


def test_the_tables_below_speak_of_every_status() -> None:
    assert [status.value for status in ChargeStatus] == list(ORDER)
    assert set(NEXT) == set(ChargeStatus)
    assert len(PAIRS) == 144


@pytest.mark.parametrize(("current", "status"), PAIRS)
def test_a_charge_moves_where_the_table_says_and_nowhere_else(current: str, status: str) -> None:
    charge = a_charge(current)
    if cell(MOVES, current, status) == "x":
        assert charge.to(ChargeStatus(status)).status.value == status
    else:
        with pytest.raises(IllegalTransition, match=f"charge offer-1: {current} -> {status}"):
            charge.to(ChargeStatus(status))
    assert charge.status.value == current


def test_moving_changes_nothing_but_the_status() -> None:
    moved = a_charge("confirming").to(ChargeStatus.SUCCEEDED)
    assert moved == a_charge("succeeded")


@pytest.mark.parametrize("status", ORDER)
def test_the_guard_of_an_update_is_the_table_read_backwards(status: str) -> None:
    allowed = {current for current in ORDER if cell(MOVES, current, status) == "x"}
    assert {current.value for current in sources(ChargeStatus(status))} == allowed


@pytest.mark.parametrize(("current", "reported"), PAIRS)
def test_every_report_gets_the_verdict_of_the_table(current: str, reported: str) -> None:
    verdict = judge(ChargeStatus(current), ChargeStatus(reported))
    assert verdict is LETTERS[cell(VERDICTS, current, reported)]


@pytest.mark.parametrize(("current", "reported"), PAIRS)
def test_only_a_legal_move_is_ever_applied(current: str, reported: str) -> None:
    applied = judge(ChargeStatus(current), ChargeStatus(reported)) is Verdict.APPLY
    assert applied is (cell(MOVES, current, reported) == "x")


def test_money_that_moved_is_never_forgotten() -> None:
    """From a paid status no path leads to one that says nothing was paid."""
    assert {status.value for status in PAID} == {"succeeded", "refunding", "refunded", "disputed"}
    for status in PAID:
        assert NEXT[status] <= PAID


def test_what_is_settled_waits_for_nobody() -> None:
    assert {status.value for status in SETTLED} == {"succeeded", "canceled", "refunded", "disputed"}


def test_from_every_unfinished_status_there_is_a_way_to_the_end() -> None:
    for start in ChargeStatus:
        reached = {start}
        while (grown := reached.union(*(NEXT[status] for status in reached))) != reached:
            reached = grown
        assert reached & SETTLED


#: All a charge of nothing may do.
FREE_MOVES = {("claimed", "succeeded"), ("claimed", "canceled"), ("succeeded", "refunded")}


@pytest.mark.parametrize(("current", "status"), PAIRS)
def test_a_free_charge_moves_along_three_ways_and_no_other(current: str, status: str) -> None:
    charge = a_charge(current, minor_units=0)
    if (current, status) in FREE_MOVES:
        assert charge.to(ChargeStatus(status)).status.value == status
    else:
        with pytest.raises(IllegalTransition, match=f"charge offer-1: {current} -> {status}"):
            charge.to(ChargeStatus(status))
    assert (ChargeStatus(current) in sources(ChargeStatus(status), free=True)) is ((current, status) in FREE_MOVES)


def test_a_charge_that_costs_something_never_succeeds_straight_from_its_claim() -> None:
    assert set(FREE) == set(ChargeStatus)
    assert [minor for minor in (0, 1, 1161) if a_charge("claimed", minor_units=minor).is_free] == [0]
    with pytest.raises(IllegalTransition):
        a_charge("claimed", minor_units=1).to(ChargeStatus.SUCCEEDED)


def test_a_bundle_takes_both_products_from_stock_and_a_service_none() -> None:
    charge = replace(a_charge("claimed"), quantity=2, second_sku="TEA-1")
    assert (charge.skus, charge.reserved) == (("POT-1", "TEA-1"), 2)
    service = replace(charge, second_sku=None, snapshot={"kind": "service"})
    assert (service.skus, service.reserved) == (("POT-1",), 0)
