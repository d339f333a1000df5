"""What the customers' page tells, against the rows it is told from."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from conftest import START, Shop, ShopFactory
from dashboard_pages import get, guarded, text_of
from money import statements
from purchases import as_told, charge, handed_over, line, made_up, recount, refund, write

from flask_encore import Money
from flask_encore.domain.customers import Mean, Span
from flask_encore.domain.funnel import Rate
from flask_encore.services import customer_figures

PAGE = "/encore/dashboard/customers/"
MONTHS = {Span.QUARTER: 3, Span.YEAR: 12, Span.ALL: None}


def told(shop: Shop, span: Span = Span.YEAR) -> customer_figures.CustomerReport:
    return customer_figures.report(shop.rt, span=span)


def day(month: int, number: int = 10, year: int = 2026) -> datetime:
    return datetime(year, month, number, 12, tzinfo=UTC)


def assert_every_number_is_the_recounts(shop: Shop, seed: int) -> None:
    zone = shop.rt.settings.zone
    rows = made_up(seed, START, zone)
    write(shop, rows)
    for span, months in MONTHS.items():
        assert as_told(told(shop, span)) == recount(rows, now=START, zone=zone, months=months), (seed, span)


@pytest.mark.parametrize("zone", ["UTC", "Europe/London", "Pacific/Auckland", "America/New_York"])
def test_every_number_equals_a_recount_of_the_rows(make_shop: ShopFactory, zone: str) -> None:
    shop = make_shop(ENCORE_TIME_ZONE=zone)
    for seed in range(40):
        assert_every_number_is_the_recounts(shop, seed)


def test_every_number_equals_a_recount_of_the_rows_on_every_database(any_shop: Shop) -> None:
    for seed in range(100, 108):
        assert_every_number_is_the_recounts(any_shop, seed)


def test_an_order_that_was_handed_over_counts_once_though_its_lines_are_in_the_history(any_shop: Shop) -> None:
    any_shop.pay("1042", total=Money(9_900, "gbp"))
    report = told(any_shop)

    assert report.standing.orders == 1
    [pounds] = report.worth
    assert pounds.everybody == Mean(Money(9_900, "gbp"), 1)  # the total, and not the line of 34.00 too


def test_what_offers_kept_is_beside_the_totals_of_the_same_orders(any_shop: Shop) -> None:
    shop = any_shop
    for order_ref in ("yes", "undone", "no"):
        shop.pay(order_ref)
    assert shop.accept(shop.token("yes")) == "charged"
    undone = shop.token("undone")
    shop.accept(undone)
    shop.post(undone, "undo")

    [pounds] = told(shop).worth
    assert pounds.order_value is not None
    assert pounds.order_value.without_offers == Mean(Money(10_200, "gbp"), 3)
    assert pounds.order_value.with_offers == Mean(Money(11_361, "gbp"), 3)
    assert pounds.everybody == Mean(Money(11_361, "gbp"), 1)


def test_a_part_that_was_given_back_is_not_kept(shop: Shop) -> None:
    taken = charge("1", day(3, 1))
    write(
        shop,
        {
            "orders": [handed_over("1", day(3, 1), "anna")],
            "charges": [taken],
            "refunds": [
                refund(taken["id"], day(3, 1), amount_minor=161),
                refund(taken["id"], day(3, 1), seq=2, status="failed"),
            ],
        },
    )
    [pounds] = told(shop).worth
    assert pounds.order_value is not None
    assert (pounds.order_value.totals, pounds.order_value.kept) == (Money(3_400, "gbp"), Money(1_000, "gbp"))


def test_a_customer_who_comes_back_is_one_and_a_guest_is_nobody(any_shop: Shop) -> None:
    write(
        any_shop,
        {
            "history_lines": [
                line("1", day(1), "anna"),
                line("2", day(2), "anna"),
                line("3", day(2), "bert"),
                line("4", day(2)),
                line("5", day(2)),
            ]
        },
    )
    report = told(any_shop)
    assert report.standing.repeat_purchase_rate == Rate(1, 2)
    assert (report.standing.orders, report.standing.guest_orders) == (5, 2)

    january, february, _march, _together = report.cohorts
    assert (january.first, january.customers, january.again[0].rate) == (date(2026, 1, 1), 1, Rate(1, 1))
    assert (february.first, february.customers, february.again[0].running) == (date(2026, 2, 1), 1, True)


def test_the_rate_is_of_the_chosen_months_and_the_cohorts_are_not(any_shop: Shop) -> None:
    write(any_shop, {"history_lines": [line("1", day(6, year=2025), "anna"), line("2", day(2), "anna")]})
    assert told(any_shop, Span.QUARTER).standing.repeat_purchase_rate == Rate(0, 1)
    assert told(any_shop, Span.YEAR).standing.repeat_purchase_rate == Rate(1, 1)
    assert told(any_shop, Span.QUARTER).cohorts == told(any_shop, Span.YEAR).cohorts


def test_a_line_of_unknown_price_takes_its_order_out_of_every_amount_and_out_of_no_count(any_shop: Shop) -> None:
    rows = [
        line("1", day(2), "anna"),
        line("1", day(2), "anna", sku="mug", unit_price_minor=None),
        line("2", day(2), "bert", quantity=3),
    ]
    write(any_shop, {"history_lines": rows})
    report = told(any_shop)
    assert report.standing.repeat_purchase_rate == Rate(0, 2)
    assert report.standing.without_amount == 1
    [pounds] = report.worth
    assert pounds.everybody == Mean(Money(3_000, "gbp"), 1)


@pytest.mark.parametrize("amount", [10**12 + 1, 2**63 - 1])
def test_an_amount_no_card_can_pay_is_a_slip_and_breaks_no_sum(any_shop: Shop, amount: int) -> None:
    rows: dict[str, Any] = {
        "history_lines": [line(str(n), day(2), "anna", quantity=9, unit_price_minor=amount) for n in range(3)],
        "orders": [handed_over(f"o{n}", day(2), "anna", total_minor=amount) for n in range(3)],
    }
    write(any_shop, rows)
    report = told(any_shop)
    assert (report.standing.without_amount, report.worth) == (6, [])


def test_the_whole_page_is_two_statements(any_shop: Shop) -> None:
    any_shop.pay("1042")
    with statements(any_shop) as log:
        told(any_shop)
    assert len(log) == 2


# The page


def hundred(shop: Shop) -> None:
    """A hundred customers of January of whom twelve came back in February, and one order without a time."""
    rows = [line(f"j{n}", day(1), f"c{n}") for n in range(100)]
    rows += [line(f"f{n}", day(2), f"c{n}") for n in range(12)]
    write(shop, {"history_lines": [*rows, line("lost", None, "c1")]})


def test_the_page_says_each_number_with_its_interval_and_its_definition(shop: Shop) -> None:
    hundred(shop)
    text = text_of(get(shop, PAGE))
    assert "12.0% 95% interval: 7.0% to 19.8%" in text
    assert "12 of 100 customers ordered twice or more." in text
    assert "Customers with two orders or more ÷ customers with one order or more." in text
    assert "Jan 2026 100 customers +1 12.0% 95% interval 7.0–20% +2 0.0% 95% interval 0.0–3.7% so far" in text
    assert "Jan 2026 100 customers £1,120.00 £11.20" in text
    assert "What has been, not a forecast" in text
    assert "1 order is left out of this page: it has no time, or one after this month." in text


def test_below_a_hundred_there_are_counts_and_no_rate(shop: Shop) -> None:
    write(shop, {"history_lines": [line("1", day(1), "anna"), line("2", day(2), "anna")]})
    text = text_of(get(shop, PAGE))
    assert "Repeat-purchase rate Not enough data yet A rate is shown from 100 customers on." in text
    assert "Jan 2026 1 customer +1 1 of 1 +2 0 of 1 so far" in text
    assert "Jan 2026 1 customer £20.00 Not enough data" in text


def test_the_page_has_a_place_in_the_navigation(shop: Shop) -> None:
    assert f'<a href="{PAGE}" aria-current="page">Customers</a>' in get(shop, PAGE).text
    assert f'<a href="{PAGE}">Customers</a>' in get(shop).text


def test_a_shop_without_orders_is_told_how_they_come_in(shop: Shop) -> None:
    text = text_of(get(shop, PAGE))
    assert "No orders yet" in text
    assert "Repeat-purchase rate" not in text


def test_a_period_that_is_none_is_told_and_the_year_is_shown(shop: Shop) -> None:
    hundred(shop)
    response = get(shop, PAGE, period="7'; --")
    assert response.status_code == 200
    assert "There is no such period; these are the last 12 months." in text_of(response)


def test_only_the_merchant_sees_it(shop: Shop) -> None:
    guarded(shop, lambda: None)
    response = get(shop, PAGE)
    assert response.status_code == 403
    assert "Retention" not in response.text
