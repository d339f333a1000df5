"""A refund next month changes last month's net, and the report says so."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money
from flask_encore.domain.restatement import Cause, MonthlyNet, Movement, monthly_net

FEBRUARY = date(2027, 2, 1)


def moved(ordered: str, booked: str, cause: Cause, amount: int, currency: str = "gbp") -> Movement:
    return Movement(
        ordered=date.fromisoformat(ordered),
        booked=date.fromisoformat(booked),
        cause=cause,
        amount=Money(amount, currency),
    )


STORY = [
    moved("2027-02-27", "2027-02-27", Cause.CHARGED, 1_290),
    moved("2027-02-27", "2027-02-27", Cause.FEE, -39),
    moved("2027-02-28", "2027-02-28", Cause.CHARGED, 900),
    moved("2027-02-28", "2027-02-28", Cause.UNDONE, -900),
    moved("2027-02-27", "2027-03-01", Cause.REFUNDED, -290),
    moved("2027-02-27", "2027-03-09", Cause.DISPUTED, -1_000),
    moved("2027-02-27", "2027-04-02", Cause.DISPUTED, 1_000),
    moved("2027-03-05", "2027-03-05", Cause.CHARGED, 500),
]


def february(today: str) -> MonthlyNet:
    [found] = [each for each in monthly_net(STORY, today=date.fromisoformat(today)) if each.month == FEBRUARY]
    return found


def test_a_refund_next_month_changes_last_months_net_visibly() -> None:
    on_the_first = february("2027-03-01")
    assert (on_the_first.at_close, on_the_first.now) == (Money(1_251, "gbp"), Money(961, "gbp"))
    assert on_the_first.is_restated
    assert on_the_first.later == {Cause.REFUNDED: Money(-290, "gbp")}


def test_what_was_undone_within_the_month_restates_nothing() -> None:
    early = [movement for movement in STORY if movement.booked < date(2027, 3, 1)]
    [found] = monthly_net(early, today=date(2027, 3, 31))
    assert (found.at_close, found.now, found.later) == (Money(1_251, "gbp"), Money(1_251, "gbp"), {})
    assert not found.is_restated


def test_a_month_that_is_not_over_has_nothing_to_restate() -> None:
    found = february("2027-02-28")
    assert (found.at_close, found.now, found.is_restated) == (None, Money(1_251, "gbp"), False)


def test_a_dispute_that_is_won_brings_the_money_back_and_the_way_there_is_told() -> None:
    lost, won = february("2027-03-31"), february("2027-04-30")
    assert (lost.now, won.now) == (Money(-39, "gbp"), Money(961, "gbp"))
    assert won.later == {Cause.REFUNDED: Money(-290, "gbp"), Cause.DISPUTED: Money(0, "gbp")}


def test_the_other_months_stay_as_they_were() -> None:
    found = monthly_net(STORY, today=date(2027, 12, 31))
    assert [(each.month, each.now.minor_units) for each in found] == [(FEBRUARY, 961), (date(2027, 3, 1), 500)]
    assert not found[1].is_restated


def test_december_ends_with_the_year() -> None:
    story = [
        moved("2027-12-31", "2027-12-31", Cause.CHARGED, 500),
        moved("2027-12-31", "2028-01-01", Cause.UNDONE, -500),
    ]
    [found] = monthly_net(story, today=date(2028, 1, 1))
    assert (found.month, found.at_close, found.now) == (date(2027, 12, 1), Money(500, "gbp"), Money(0, "gbp"))


def test_currencies_are_never_added_up() -> None:
    story = [
        moved("2027-02-01", "2027-02-01", Cause.CHARGED, 500, "jpy"),
        moved("2027-02-01", "2027-02-01", Cause.CHARGED, 700, "gbp"),
    ]
    assert [each.now for each in monthly_net(story, today=FEBRUARY)] == [Money(700, "gbp"), Money(500, "jpy")]


def test_without_movements_there_are_no_months() -> None:
    assert monthly_net([], today=FEBRUARY) == []
    assert monthly_net(STORY, today=date(2027, 1, 31)) == []


def test_money_cannot_move_before_its_order() -> None:
    with pytest.raises(InvalidInput, match="of 2027-02-02 cannot have moved on 2027-02-01"):
        moved("2027-02-02", "2027-02-01", Cause.CHARGED, 1)


def test_over_a_year_of_refunds_every_months_change_is_told_to_the_last_penny() -> None:
    """The control is the report by day of booking: there last month never changes, and no month is its orders' own."""
    rng, story = Random(1), list[Movement]()
    for _ in range(3_000):
        ordered = date(2027, 1, 1) + timedelta(days=rng.randrange(360))
        charged = rng.randrange(300, 3_000)
        story.append(Movement(ordered=ordered, booked=ordered, cause=Cause.CHARGED, amount=Money(charged, "gbp")))
        if rng.random() < 0.1:
            booked = ordered + timedelta(days=rng.randrange(60))
            story.append(Movement(ordered=ordered, booked=booked, cause=Cause.REFUNDED, amount=Money(-charged, "gbp")))
    found = monthly_net(story, today=date(2028, 12, 31))
    nothing = Money(0, "gbp")
    assert [each.is_restated for each in found] == [True] * 12
    assert all(each.at_close == each.now - each.later[Cause.REFUNDED] for each in found)
    assert sum((each.now for each in found), nothing) == sum((each.amount for each in story), nothing)

    by_booking = [Movement(ordered=m.booked, booked=m.booked, cause=m.cause, amount=m.amount) for m in story]
    assert [each.is_restated for each in monthly_net(by_booking, today=date(2028, 12, 31))] == [False] * 14
