"""The merchant's page over HTTP: who sees it, what it says, and what it makes of nonsense."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from dashboard_pages import HOME, get, guarded, nothing_moved, refund, seal_of, sold, text_of
from flask import redirect
from flask_wtf import CSRFProtect

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.funnel import Leak, Step
from flask_encore.domain.offers import Reason
from flask_encore.services.reporting import Period
from flask_encore.web import dashboard_words as words

DECLINES_NEXT = "4000000000009995"


# Who sees it


def test_without_a_guard_everybody_is_told_how_to_pass_one(shop: Shop) -> None:
    guarded(shop, None)
    response = get(shop)
    assert response.status_code == 403
    assert "admin_guard" in text_of(response)


@pytest.mark.parametrize("answer", [None, False, ""])
def test_who_the_guard_does_not_name_is_refused_everywhere(shop: Shop, answer: Any) -> None:
    path = sold(shop)
    seal = seal_of(shop, path)
    guarded(shop, lambda: answer)

    assert [get(shop).status_code, get(shop, path).status_code, refund(shop, path, seal).status_code] == [403] * 3
    assert nothing_moved(shop)


def test_a_response_of_the_guard_is_sent_as_it_is(shop: Shop) -> None:
    guarded(shop, lambda: redirect("/login"))
    response = get(shop)
    assert (response.status_code, response.location) == (302, "/login")
    assert "Content-Security-Policy" not in response.headers


def test_a_guard_that_says_true_lets_in_the_merchant(shop: Shop) -> None:
    guarded(shop, lambda: True)
    assert "Signed in as merchant" in text_of(get(shop))


# What it says


def test_before_the_first_order_the_page_says_how_to_tell_encore_of_one(shop: Shop) -> None:
    response = get(shop)
    assert response.status_code == 200
    assert "No orders yet" in text_of(response)
    assert "encore.order_paid(PaidOrder(" in text_of(response)


def test_orders_without_a_thank_you_page_are_told_how_to_name_one(shop: Shop) -> None:
    shop.pay()
    assert "ENCORE_THANK_YOU" in text_of(get(shop))


def test_a_sold_offer_stands_in_the_funnel_and_the_sums(any_shop: Shop) -> None:
    sold(any_shop)
    told = text_of(get(any_shop))
    for words_ in (
        "British Pound GBP Net revenue £11.61 Of £11.61 gross.",
        "Not enough data yet A rate is shown from 100 shown orders on. 1 of 1 shown orders were accepted.",
        "Eligible 1 Shown 1 Accepted 1 Charged 1 Kept 1",
    ):
        assert words_ in told


def test_from_a_hundred_shown_orders_on_the_rate_and_its_interval_are_shown(shop: Shop) -> None:
    sold(shop)
    [row] = shop.rows("decisions")
    columns = ", ".join(f'"{name}"' for name in row if name not in {"id", "order_ref"})
    with shop.rt.db.write() as connection:
        for number in range(99):
            connection.execute(
                sa.text(
                    f"INSERT INTO encore_decisions (id, order_ref, {columns}) "
                    f"SELECT 'copy{number}', 'copy{number}', {columns} FROM encore_decisions WHERE order_ref = '1042'"
                )
            )
        connection.execute(sa.text("UPDATE encore_decisions SET shown_at = decided_at"))

    told = text_of(get(shop))

    assert "Conversion rate 1.0% 95% interval: 0.2% to 5.4% 0% 10% 1 of 100 shown orders were accepted." in told


def test_why_an_order_got_no_offer_is_said_with_the_fix(shop: Shop) -> None:
    shop.pay(intent=shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None))
    shop.page()
    told = text_of(get(shop))
    assert "Orders without an offer They are not in the funnel, and are counted in all currencies together." in told
    assert "1 The card was not saved" in told
    assert "Nothing in this period No order of these days was eligible for an offer." in told


def test_a_handler_that_fails_and_a_quarantined_charge_are_said_at_the_top(shop: Shop) -> None:
    @shop.encore.on("charge_succeeded")
    def broken(_event: Any) -> None:
        raise RuntimeError("warehouse <closed>")

    sold(shop)
    shop.sweep()
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch'"))

    told = text_of(get(shop))

    assert "1 charge needs you." in told
    assert "1 message your shop would not take." in told


def test_the_alarms_link_leads_to_what_needs_somebody(shop: Shop) -> None:
    sold(shop, "1042")
    sold(shop, "1043")
    with shop.rt.db.write() as connection:
        connection.execute(
            sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch' WHERE order_ref = '1043'")
        )

    [link] = re.findall(r'href="([^"]+)">Show it', get(shop).text)
    told = text_of(get(shop, unescape(link)))

    assert "1043" in told and "1042" not in told


def test_test_mode_is_said_and_live_mode_is_not(make_shop: ShopFactory, shop: Shop) -> None:
    assert "Test mode" in text_of(get(shop))
    live = make_shop(
        ENCORE_STRIPE_SECRET_KEY="sk_live_x",
        ENCORE_STRIPE_PUBLISHABLE_KEY="pk_live_x",
        ENCORE_STRIPE_API_BASE="https://api.stripe.com",
        ENCORE_STRIPE_JS_URL="https://js.stripe.com/endive/stripe.js",
    )
    assert "Test mode" not in text_of(get(live))


def test_every_word_the_page_may_need_is_there() -> None:
    assert set(words.PERIODS) == set(Period)
    assert set(words.STEPS) == set(Step)
    assert set(words.LEAKS) == set(Leak)
    assert set(words.REASONS) == set(Reason)
    assert set(words.CHARGES) == set(ChargeStatus)


def test_the_policy_allows_only_our_own_files_and_nothing_is_inline(shop: Shop) -> None:
    path = sold(shop)
    for response in (get(shop), get(shop, path)):
        assert response.headers["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        assert response.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", response.text)


def test_assets_are_open_versioned_and_typed(shop: Shop) -> None:
    guarded(shop, None)
    urls = re.findall(r'"(/encore/static/dashboard/[^"]+)"', get(shop).text)
    assert [re.sub(r"v=\w{12}$", "v=…", url) for url in urls] == [
        "/encore/static/dashboard/dashboard.css?v=…",
        "/encore/static/dashboard/dashboard.js?v=…",
    ]
    for url, mimetype in zip(urls, ["text/css", "text/javascript"], strict=True):
        with get(shop, url) as response:
            assert (response.status_code, response.mimetype) == (200, mimetype)


# Bad input


@pytest.mark.parametrize(
    "query",
    [
        {"period": "banana"},
        {"period": ""},
        {"period": "\0"},
        {"currency": "<script>alert(1)</script>"},
        {"currency": "x" * 5000},
        {"currency": "\0"},
        {"currency": "£££"},
        {"from": "<script>alert(1)</script>"},
        {"from": "\0"},
        {"from": "9" * 5000, "to": "-1"},
        {"from": "2026-02-30"},
        {"from": "2000-01-01", "to": "2199-12-31"},
        {"to": "2000-01-01"},
        {"from": "", "to": ""},
        {"download": "exe", "table": "funnel"},
        {"download": "csv", "table": "'; DROP TABLE encore_charges; --"},
    ],
)
def test_nonsense_in_the_address_is_a_page_and_not_an_error(any_shop: Shop, query: dict[str, str]) -> None:
    sold(any_shop)
    response = get(any_shop, **query)
    assert response.status_code == (404 if "download" in query else 200)
    assert "<script>alert" not in response.text
    assert nothing_moved(any_shop)


def test_tables_that_are_not_there_are_a_page_with_the_fix(make_shop: ShopFactory) -> None:
    shop = make_shop(upgrade=False)
    response = get(shop)
    assert response.status_code == 503
    assert "flask encore db upgrade" in text_of(response)


# Neighbours


def test_the_hosts_own_csrf_protection_does_not_stand_in_the_way(make_shop: ShopFactory) -> None:
    shop = make_shop()
    CSRFProtect(shop.app)
    path = sold(shop)
    assert refund(shop, path, seal_of(shop, path)).status_code == 303
    assert len(shop.stripe.refunds()) == 1


def test_the_page_moves_with_the_prefix_and_ignores_the_hosts_templates(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_URL_PREFIX="/shop/more")
    shop.app.jinja_env.autoescape = False
    shop.pay("<b>1042")
    shop.app.test_client().get("/thanks/%3Cb%3E1042")
    page = get(shop, "/shop/more/dashboard/orders/").text
    assert "&lt;b&gt;1042" in page
    assert "<b>1042" not in page


def test_a_shop_that_mounts_the_app_below_a_path_gets_addresses_below_it(shop: Shop) -> None:
    path = sold(shop)
    client = shop.app.test_client()
    for below in ("?period=7", "orders/"):
        page = client.get(f"{HOME}{below}", environ_overrides={"SCRIPT_NAME": "/sub"}).text
        assert f'href="/sub{HOME}"' in page
        assert f'href="{HOME}' not in page
    assert f"/sub{path}" in page


# The way about


def test_the_rooms_stand_on_every_page_and_the_present_one_is_marked(shop: Shop) -> None:
    names = ["Today", "Orders", "Campaigns", "Experiments", "Recommender", "Customers", "Health", "Settings"]
    for below, here in {
        "": ("", "Today"),
        "customers/": ("customers/", "Customers"),
        "patterns": ("campaigns/", "Campaigns"),
    }.items():
        page = get(shop, f"{HOME}{below}").text
        [row] = re.findall(r'<nav class="rooms".*?</nav>', page, re.DOTALL)
        assert re.findall(r">(\w+)</a>", row) == names
        assert re.findall(r'href="([^"]+)" aria-current="page">(\w+)<', row) == [(f"{HOME}{here[0]}", here[1])]


def test_every_room_opens(shop: Shop) -> None:
    [row] = re.findall(r'<nav class="rooms".*?</nav>', get(shop).text, re.DOTALL)
    assert [get(shop, room).status_code for room in re.findall(r'href="([^"]+)"', row)] == [200] * 8
