"""Today: which days and which currency are told, what is said of earnings and of uplift, and what is not said."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa
from busy_shops import trade
from conftest import Shop, ShopFactory
from dashboard_pages import get, sold, text_of

from flask_encore.domain.days import Days
from flask_encore.domain.moments import Customer, Moments
from flask_encore.services.today import today
from flask_encore.services.uplift import judged
from flask_encore.web.dashboard_frame import environment
from flask_encore.web.today_page import Verdict


def caption(shop: Shop, **query: str) -> str:
    """The days the page says it is of."""
    return re.search(r"offers (?:Until )?(.*?), UTC\.", text_of(get(shop, **query)))[1]  # type: ignore[index]


def notices(shop: Shop, **query: str) -> list[str]:
    page = get(shop, **query).text
    return [" ".join(unescape(told).split()) for told in re.findall(r'role="status">([^<]+)<', page)]


def price_in(shop: Shop, currency: str) -> None:
    with shop.rt.db.write() as connection:
        for table in ("orders", "decisions", "charges"):
            connection.execute(sa.text(f"UPDATE encore_{table} SET currency = '{currency}' WHERE order_ref = '1043'"))


# Which days


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ({}, "1 Feb 2026 to 2 Mar 2026"),
        ({"period": "7"}, "24 Feb 2026 to 2 Mar 2026"),
        ({"period": "90"}, "3 Dec 2025 to 2 Mar 2026"),
        ({"period": "all"}, "2 Mar 2026"),
        ({"from": "2026-02-27"}, "27 Feb 2026 to 2 Mar 2026"),
        ({"from": "2026-02-20", "to": "2026-03-02"}, "20 Feb 2026 to 2 Mar 2026"),
        ({"from": " 2026-02-20 ", "to": "2027-01-01"}, "20 Feb 2026 to 2 Mar 2026"),
        ({"period": "7", "from": "2026-03-02", "to": "2026-03-02"}, "2 Mar 2026"),
    ],
)
def test_the_address_says_which_days(shop: Shop, query: dict[str, str], days: str) -> None:
    sold(shop)
    assert caption(shop, **query) == days
    assert notices(shop, **query) == []


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"period": "banana"}, "There is no such period; these are the last 30 days."),
        (
            {"from": "2026-03-02", "to": "2026-02-01"},
            "The range ends (2026-02-01) before it begins (2026-03-02); exchange the two. These are the last 30 days.",
        ),
        (
            {"from": "02.03.2026"},
            "The first day '02.03.2026' is no day; write it as year-month-day, such as 2026-03-02. "
            "These are the last 30 days.",
        ),
        (
            {"from": "2010-01-01"},
            "From 2010-01-01 to 2026-03-02 is longer than ten years; ask for less. These are the last 30 days.",
        ),
        (
            {"from": "2026-03-03"},
            "The range begins on 2026-03-03, and today is 2026-03-02: nothing happened there yet. "
            "These are the last 30 days.",
        ),
    ],
)
def test_days_that_make_no_sense_are_said_and_the_last_thirty_are_told(
    shop: Shop, query: dict[str, str], told: str
) -> None:
    sold(shop)
    assert notices(shop, **query) == [told]
    assert caption(shop, **query) == "1 Feb 2026 to 2 Mar 2026"


def test_what_was_typed_stands_in_the_fields_again(shop: Shop) -> None:
    page = get(shop, **{"from": "2026-03-02", "to": "2026-02-01"}).text
    assert 'name="from" value="2026-03-02"' in page
    assert 'name="to" value="2026-02-01"' in page


# Which currency


def test_several_currencies_are_told_one_at_a_time_and_never_added_up(any_shop: Shop) -> None:
    shop = any_shop
    for order_ref in ("1041", "1042", "1043"):
        sold(shop, order_ref)
    price_in(shop, "eur")

    page = get(shop, period="7")
    links = re.findall(r'<a href="([^"]+)"[^>]*>(GBP|EUR)</a>', page.text)
    euros = get(shop, unescape(links[1][0]))

    assert [name for _, name in links] == ["GBP", "EUR"]
    assert "British Pound GBP GBP EUR Net revenue £23.22" in text_of(page)
    assert "Euro EUR GBP EUR Net revenue €11.61" in text_of(euros)
    assert "£" not in text_of(euros)
    assert 'aria-current="page">7 days' in euros.text


def test_one_currency_needs_no_choice(shop: Shop) -> None:
    sold(shop)
    assert 'aria-label="Currency"' not in get(shop).text


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("usd", ["No eligible order of these days was paid in USD."]),
        ("pounds", ["“pounds” is no currency."]),
        ("GBP", []),
    ],
)
def test_a_currency_there_is_none_of_is_said_and_the_usual_one_told(shop: Shop, asked: str, told: list[str]) -> None:
    sold(shop)
    assert notices(shop, currency=asked) == told
    assert "Net revenue £11.61" in text_of(get(shop, currency=asked))


# Earnings


def test_what_came_off_stands_below_what_came_in(any_shop: Shop) -> None:
    shop = any_shop
    for order_ref in ("1041", "1042", "1043"):
        sold(shop, order_ref)
    with shop.rt.db.write() as connection:
        for order_ref, change in {
            "1041": "fee_minor = 37, fee_currency = 'gbp', cost_minor = 400, tax_minor = 194",
            "1042": "fee_minor = 50, fee_currency = 'eur'",
            "1043": "status = 'disputed'",
        }.items():
            connection.execute(sa.text(f"UPDATE encore_charges SET {change} WHERE order_ref = '{order_ref}'"))

    told = text_of(get(shop))

    assert (
        "Gross revenue £34.83 Refunded £0.00 Disputed −£11.61 "
        "Stripe's fees The fee of 1 charge is not known yet. −£0.37 Net revenue £22.85 "
        "Fees in Euro, not taken off €0.50 "
        "Profit Of the 1 of 2 kept charges whose cost is known. £5.30"
    ) in told


def test_a_month_says_what_it_was_and_what_changed_it_since(shop: Shop) -> None:
    sold(shop)
    [charge] = shop.rows("charges")
    shop.clock.advance(days=40)
    with shop.app.app_context():
        shop.encore.refund(charge["id"], actor="merchant")
    told = text_of(get(shop, period="90"))
    assert "March 2026 At month’s end £11.61 Now £0.00 −£11.61 refunded" in told


# Uplift


def test_where_nothing_is_held_out_the_page_says_what_to_do(shop: Shop) -> None:
    sold(shop)
    told = text_of(get(shop))
    assert "Incremental revenue Cannot be told" in told
    assert "Uplift against the holdout Nothing is held out" in told


def test_with_enough_orders_the_uplift_has_an_interval(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=10)
    trade(shop, days=30, per_day=60)
    told = text_of(get(shop))
    amount = r"[+−]£[0-9.,]+"
    assert re.search(rf"Incremental revenue {amount} 95% interval: {amount} to {amount} On [0-9,]+ eligible", told)
    assert re.search(rf"the holdout {amount} per eligible order .* {amount} to {amount} is the 95% interval\.", told)
    assert "You may look every day" in told
    assert re.search(rf"Adjusted {amount}, plain {amount} By chance one arm", told)
    assert "10% of customers are held out. This counts everybody since 1 Feb 2026" in told
    assert "As of 2 Mar 2026, 14:03." in told


def test_with_too_few_orders_it_says_what_is_missing_and_shows_no_number(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=10)
    trade(shop, days=3, per_day=30)
    told = text_of(get(shop))
    assert "Uplift against the holdout Not enough data yet" in told
    assert re.search(r"It needs about [0-9,]+ more eligible orders there\.", told)
    assert "is the 95% interval" not in told


def test_arms_whose_sizes_cannot_be_chance_have_no_result(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=10)
    trade(shop, days=40, per_day=60, held_out=0.04)
    page = get(shop)
    told = text_of(page)
    assert '<p class="banner bad"><strong>The arms’ sizes do not fit.</strong>' in page.text
    assert "Incremental revenue No result" in told
    assert "per eligible order" not in told
    assert "is the 95% interval" not in told


def crowd(customers: int, *, value: int, buyers: int = 0) -> Moments:
    """Customers with one order each of about *value*; the first *buyers* of them bought an offer."""
    return Moments.of(
        "gbp",
        (
            Customer(orders=1, value=value + 7 * (number % 50), before=1_000 + number % 13, bought=number < buyers)
            for number in range(customers)
        ),
    )


def told_of(shop: Shop, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> str:
    """The panel, where uplift is what two crowds say, with *changes*."""
    sold(shop)
    figures = today(shop.rt, Days())
    [pounds] = figures.figures
    arms = {"treatment": changes.pop("treatment"), "holdout": changes.pop("holdout")}
    found = judged("gbp", arms, share_bp=1_000, since=None, as_of=shop.clock())
    shown = replace(figures, figures=[replace(pounds, uplift=replace(found, **changes))])
    monkeypatch.setattr("flask_encore.services.today.today", lambda *_, **__: shown)
    panel = text_of(get(shop)).split("Uplift against the holdout ")[1]
    return panel.split(" Arm ")[0].split(" As of ")[0]


def test_an_interval_below_zero_says_that_offers_take(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    told = told_of(
        shop, monkeypatch, treatment=crowd(9_000, value=3_000, buyers=900), holdout=crowd(1_000, value=3_500)
    )
    assert re.match(r"−£5\.00 per eligible order [−£0-9. ]+ −£5\.\d\d to −£4\.\d\d is the 95% interval\.", told)
    assert "All of it lies below zero: offers take from what orders are worth." in told


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (1, "it needs about 1 more eligible order until a difference of £0.63 would show."),
        (12_000, "it needs about 12,000 more eligible orders until a difference of £0.63 would show."),
        (0, "A difference of £0.63 would most likely have shown by now; if there is one, it is probably smaller."),
        (None, "no shop has as many orders as it would take to know of a difference of £0.63."),
    ],
)
def test_an_interval_that_holds_zero_says_what_it_would_take(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, more: int | None, sentence: str
) -> None:
    arms = {"treatment": crowd(9_000, value=3_000, buyers=900), "holdout": crowd(1_000, value=3_000)}
    told = told_of(shop, monkeypatch, more_orders=more, **arms)
    assert "It holds zero" in told
    assert told.count(sentence) == 1
    assert "All of it lies" not in told


def test_sums_the_worker_has_not_made_yet_are_waited_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Moments(currency="gbp")
    told = told_of(
        shop, monkeypatch, treatment=nobody, holdout=nobody, counted=False, arms={}, sample=None, comparison=None
    )
    assert told.startswith("Not counted yet There are too many orders to count while you wait.")
    assert "As of" not in text_of(get(shop))


def test_every_verdict_has_its_place_in_the_template() -> None:
    made = environment()
    assert made.loader is not None
    source, _, _ = made.loader.get_source(made, "encore/dashboard/uplift.html")
    said = set(re.findall(r'verdict == "(\w+)"', source))
    assert said == set(Verdict) - {Verdict.ESTIMATE}  # which is what is left


# Charts, definitions, files


def test_behind_each_chart_stands_its_table(any_shop: Shop) -> None:
    trade(any_shop, days=6, per_day=200)
    page = get(any_shop, period="7").text
    for key, rows in {"revenue": 7, "offered": 7, "taken": 7, "rates": 7}.items():
        chart = page.split(f'<figure class="chart" id="{key}">')[1].split("</figure>")[0]
        assert chart.count('<th role="rowheader"') == rows, key
    assert re.search(r"<td role=\"cell\">\d+\.\d% \(\d+\.\d–\d+\.\d\)</td>", page)


def test_a_number_explains_itself_without_a_script(shop: Shop) -> None:
    sold(shop)
    page = get(shop).text
    terms = re.findall(r'<button [^>]*popovertarget="([\w-]+)"[^>]* title="([^"]+)">([^<]+)</button>', page)
    meanings = re.findall(r'<span class="meaning" id="([\w-]+)" popover>([^<]+)</span>', page)
    assert [(id_, sentence) for id_, sentence, _ in terms] == meanings
    assert len({id_ for id_, _, _ in terms}) == len(terms)
    assert {name for _, _, name in terms} == {
        *("Net revenue", "Incremental revenue", "Conversion rate", "Kept rate"),
        *("Gross revenue", "Stripe&#39;s fees", "Profit", "Uplift"),
        *("Eligible", "Shown", "Accepted", "Charged", "Kept"),
    }


def test_the_days_are_a_file_with_one_row_each(any_shop: Shop) -> None:
    sold(any_shop)
    answer = get(any_shop, period="7", download="csv", table="days")
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True), newline="")))
    assert [row["Day"] for row in rows] == [
        (any_shop.clock().date() - timedelta(days=back)).isoformat() for back in range(6, -1, -1)
    ]
    assert rows[-1]["Net revenue, minor units"] == "1161"
    assert rows[-1]["Kept"] == "1"


@pytest.mark.parametrize("table", ["funnel", "days", "months", "without-offer"])
def test_every_table_of_the_page_is_a_file_in_both_formats(shop: Shop, table: str) -> None:
    sold(shop)
    page = get(shop).text
    assert get(shop, download="json", table=table).mimetype == "application/json"
    assert get(shop, download="csv", table=table).mimetype == "text/csv"
    assert (f"table={table}" in unescape(page)) is (table != "without-offer")
