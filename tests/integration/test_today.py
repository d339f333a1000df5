"""The home page's figures: equal to a recount from the rows, whatever happened, and when."""

from __future__ import annotations

from datetime import UTC, date, datetime

from conftest import START, Shop, ShopFactory
from histories import write

from flask_encore.domain.days import Days
from flask_encore.domain.funnel import Step
from flask_encore.domain.money import Money
from flask_encore.services import reporting
from flask_encore.services.today import today


def test_the_figures_are_the_reports_and_the_days_add_up_to_them(make_shop: ShopFactory, database_uri: str) -> None:
    shop = make_shop(database_uri, ENCORE_TIME_ZONE="America/New_York")
    write(shop, seed=5, count=400, begins=datetime(2026, 2, 13, tzinfo=UTC), days=11)
    week = Days.parse("2026-02-15", "2026-02-21", today=START.date())

    told, report = today(shop.rt, week), reporting.figures(shop.rt, week)

    assert [one.funnel for one in told.figures] == list(report.funnels)
    assert sorted(told.without_offer) == sorted(report.without_offer)
    for one in told.figures:
        assert [day.day for day in one.series] == [date(2026, 2, number) for number in range(15, 22)]
        for step in Step:
            assert sum(day.counts[step] for day in one.series) == one.funnel.counts[step]
        nothing = Money(0, one.currency)
        assert sum((day.gross for day in one.series), nothing) == one.earnings.gross
        assert sum((day.net for day in one.series), nothing) == one.earnings.net


def test_a_refund_of_next_month_is_told_as_what_changed_last_month(any_shop: Shop) -> None:
    shop = any_shop
    shop.pay()
    shop.accept(shop.token())
    [charge] = shop.rows("charges")
    shop.clock.advance(days=40)
    with shop.app.app_context():
        shop.encore.refund(charge["id"], actor="merchant")

    [pounds] = today(shop.rt, Days.parse("2026-03-01", "2026-03-31", today=shop.clock().date())).figures

    [march] = pounds.months
    assert (march.at_close, march.now, march.is_restated) == (Money(1161, "gbp"), Money(0, "gbp"), True)
    assert {cause.value: amount.minor_units for cause, amount in march.later.items()} == {"refunded": -1161}
    assert pounds.earnings.net == Money(0, "gbp")


def test_a_shop_without_decisions_has_no_figures(any_shop: Shop) -> None:
    told = today(any_shop.rt, Days())
    assert (told.currencies, told.figures, told.any_order, told.any_decision) == ([], [], False, False)
