"""The merchant's page over HTTP: who sees it, what it says, and the one thing on it that moves money."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from flask import redirect
from flask_wtf import CSRFProtect

from flask_encore.config import EXTENSION
from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.funnel import Leak, Step
from flask_encore.domain.offers import Reason
from flask_encore.services.reporting import Period
from flask_encore.web import dashboard_words as words
from flask_encore.web.origins import FORM_LIFETIME_SECONDS

HOME = "/encore/dashboard/"
DECLINES_NEXT = "4000000000009995"
REFUND_PENDS = "4000000000007726"


def guarded(shop: Shop, guard: Callable[[], Any] | None) -> None:
    shop.app.extensions[EXTENSION] = replace(shop.app.extensions[EXTENSION], admin_guard=guard)


def get(shop: Shop, path: str = HOME, **query: str) -> Any:
    return shop.app.test_client().get(path, query_string=query or None)


def text_of(response: Any) -> str:
    """What a reader reads: no tags, single spaces."""
    body = re.sub(r"<(title|dialog).*?</\1>", " ", response.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def sold(shop: Shop, order_ref: str = "1042", **changes: Any) -> str:
    """An accepted and charged offer; answers the path of its refund."""
    shop.pay(order_ref, **changes)
    assert shop.accept(shop.token(order_ref)) == "charged"
    [charge] = [row for row in shop.rows("charges") if row["order_ref"] == order_ref]
    return f"/encore/dashboard/charges/{charge['id']}/refund"


def seal_of(shop: Shop, path: str) -> str:
    return re.search(r'name="seal" value="([^"]+)"', get(shop, path).text)[1]  # type: ignore[index]


def refund(shop: Shop, path: str, seal: str | None = None, **headers: str) -> Any:
    data = {} if seal is None else {"seal": seal}
    return shop.app.test_client().post(path, data=data, headers=headers)


def nothing_moved(shop: Shop) -> bool:
    return shop.stripe.refunds() == [] and shop.rows("refunds") == []


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


def test_a_sold_offer_stands_in_the_funnel_the_sums_and_the_list(any_shop: Shop) -> None:
    shop = any_shop
    sold(shop)
    told = text_of(get(shop))
    for words_ in (
        "British Pound GBP Net revenue £11.61 Gross £11.61 Refunded £0.00",
        "Not enough data yet A rate is shown from 100 shown orders on. 1 of 1 shown orders were accepted.",
        "Eligible 1 Shown 1 Accepted 1 Charged 1 Kept 1",
        "2 Mar 2026, 14:03 1042 Accepted Charged and kept. Enamel mug £11.61 Charged Refund £11.61 of order 1042",
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


def test_times_are_the_shops(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_TIME_ZONE="America/New_York")
    sold(shop)
    assert "2 Mar 2026, 09:03" in text_of(get(shop))


def test_a_declined_card_is_told_with_the_banks_code(shop: Shop) -> None:
    shop.pay(card=DECLINES_NEXT)
    shop.accept(shop.token())
    assert "Bank said no The paid order is unchanged. Enamel mug £11.61 Failed insufficient_funds" in text_of(get(shop))


def test_why_an_order_got_no_offer_is_said_with_the_fix(shop: Shop) -> None:
    shop.pay(intent=shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None))
    shop.page()
    told = text_of(get(shop))
    assert "Orders without an offer They are not in the funnel above. 1 The card was not saved" in told
    assert "Nothing in this period No eligible order" in told


def test_a_handler_that_fails_and_a_quarantined_charge_are_said_at_the_top_and_in_the_list(shop: Shop) -> None:
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
    assert "Quarantined: amount_mismatch" in told
    assert "Your handler of charge_succeeded failed 1×: RuntimeError: warehouse <closed>" in told
    assert "Refund £" not in told


def test_the_alarms_link_lists_only_what_needs_somebody(shop: Shop) -> None:
    sold(shop, "1042")
    sold(shop, "1043")
    with shop.rt.db.write() as connection:
        connection.execute(
            sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch' WHERE order_ref = '1043'")
        )

    [link] = re.findall(r'href="([^"]+)">Show it', get(shop).text)
    told = text_of(get(shop, unescape(link)))

    assert link.endswith("#decisions")
    assert "Decisions that need you" in told
    assert "1043" in told and "1042" not in told


def test_a_search_finds_the_order_and_only_it(shop: Shop) -> None:
    sold(shop, "1042")
    sold(shop, "1043")
    told = text_of(get(shop, order_ref=" 1042 "))
    assert "Decisions about order 1042" in told
    assert "1043" not in told


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
        {"after": "forged"},
        {"after": "9" * 40 + "-a"},
        {"order_ref": "no such order"},
        {"order_ref": "\0"},
        {"order_ref": "x" * 5000},
        {"order_ref": "<script>alert(1)</script>"},
        {"refund": "'; DROP TABLE encore_charges; --"},
    ],
)
def test_nonsense_in_the_address_is_a_page_and_not_an_error(any_shop: Shop, query: dict[str, str]) -> None:
    sold(any_shop)
    response = get(any_shop, **query)
    assert response.status_code == 200
    assert "<script>alert" not in response.text
    assert nothing_moved(any_shop)


def test_an_unknown_period_cursor_and_order_are_said(shop: Shop) -> None:
    sold(shop)
    assert "There is no such period; these are the last 30 days." in text_of(get(shop, period="banana"))
    assert "There is no such page of the list; this is the newest." in text_of(get(shop, after="forged"))
    assert "No order 77 was ever recorded." in text_of(get(shop, order_ref="77"))


def test_an_order_known_but_never_looked_at_is_said(shop: Shop) -> None:
    sold(shop)
    shop.pay("1043")
    assert "Order 1043 is known, but its thank-you page was not opened yet" in text_of(get(shop, order_ref="1043"))


def test_tables_that_are_not_there_are_a_page_with_the_fix(make_shop: ShopFactory) -> None:
    shop = make_shop(upgrade=False)
    response = get(shop)
    assert response.status_code == 503
    assert "flask encore db upgrade" in text_of(response)


# The refund


def test_a_refund_is_asked_once_more_then_done_then_told(any_shop: Shop) -> None:
    shop = any_shop
    path = sold(shop)
    assert "Refund £11.61?" in text_of(get(shop, path))

    response = refund(shop, path, seal_of(shop, path), **{"Sec-Fetch-Site": "same-origin"})

    assert response.status_code == 303
    told = text_of(get(shop, response.location))
    assert "Refunded: £11.61 of order 1042 goes back to the shopper’s card." in told
    assert "Net revenue £0.00 Gross £11.61 Refunded −£11.61" in told
    assert [refund["amount"] for refund in shop.stripe.refunds()] == [1161]
    assert [(row["cause"], row["actor"], row["status"]) for row in shop.rows("refunds")] == [
        ("merchant", "merchant", "succeeded")
    ]
    assert shop.stock("mug") == 40


def test_a_second_click_refunds_nothing_more_and_tells_the_same(shop: Shop) -> None:
    path = sold(shop)
    seal = seal_of(shop, path)
    first, second = refund(shop, path, seal), refund(shop, path, seal)
    assert (first.status_code, second.status_code, first.location) == (303, 303, second.location)
    assert len(shop.stripe.refunds()) == 1
    assert "Nothing to refund Refunded" in text_of(get(shop, path))


@pytest.mark.parametrize("seal", [None, "", "forged", "a.b.c", "é" * 200])
def test_a_form_without_our_seal_moves_nothing_and_asks_again(shop: Shop, seal: str | None) -> None:
    path = sold(shop)
    response = refund(shop, path, seal)
    assert response.status_code == 403
    assert "please confirm again" in text_of(response)
    assert nothing_moved(shop)


def test_a_seal_is_the_actors_own(shop: Shop) -> None:
    path = sold(shop)
    seal = seal_of(shop, path)
    guarded(shop, lambda: "somebody else")
    assert refund(shop, path, seal).status_code == 403
    assert nothing_moved(shop)


def test_a_seal_grows_old(shop: Shop) -> None:
    path = sold(shop)
    seal = seal_of(shop, path)
    shop.clock.advance(seconds=FORM_LIFETIME_SECONDS + 1)
    assert refund(shop, path, seal).status_code == 403
    assert nothing_moved(shop)


def test_an_offers_token_is_no_seal(shop: Shop) -> None:
    path = sold(shop)
    assert refund(shop, path, shop.token()).status_code == 403
    assert nothing_moved(shop)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_form_on_another_site_moves_nothing_even_with_a_seal(shop: Shop, headers: dict[str, str]) -> None:
    path = sold(shop)
    assert refund(shop, path, seal_of(shop, path), **headers).status_code == 403
    assert nothing_moved(shop)


@pytest.mark.parametrize("charge_ref", ["0" * 32, "banana", "%00", "é", "..%2f..", "x" * 3000])
def test_a_charge_that_is_not_there_is_a_page(any_shop: Shop, charge_ref: str) -> None:
    shop = any_shop
    seal = seal_of(shop, sold(shop))
    path = f"/encore/dashboard/charges/{charge_ref}/refund"
    assert (get(shop, path).status_code, refund(shop, path, seal).status_code) == (404, 404)
    assert nothing_moved(shop)


def test_another_accounts_charge_is_not_there(shop: Shop) -> None:
    path = sold(shop)
    seal = seal_of(shop, path)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_charges SET account = 'acct_other'"))
    assert (get(shop, path).status_code, refund(shop, path, seal).status_code) == (404, 404)
    assert nothing_moved(shop)


def test_what_was_never_charged_cannot_be_refunded(shop: Shop) -> None:
    path = sold(shop)
    seal = seal_of(shop, path)
    shop.pay("1043", card=DECLINES_NEXT)
    shop.accept(shop.token("1043"))
    [failed] = [row["id"] for row in shop.rows("charges") if row["status"] == "failed"]

    response = refund(shop, f"/encore/dashboard/charges/{failed}/refund", seal)

    assert "Nothing was refunded of order 1043." in text_of(get(shop, response.location))
    assert nothing_moved(shop)


def test_without_a_stripe_key_nothing_is_claimed_to_be_refunded(shop: Shop) -> None:
    path = sold(shop)
    seal = seal_of(shop, path)
    state = shop.app.extensions[EXTENSION]
    shop.app.extensions[EXTENSION] = replace(state, runtime=replace(state.runtime, gateway=None))

    response = refund(shop, path, seal)

    assert response.status_code == 503
    assert "Refund £" not in text_of(get(shop))
    assert [row["status"] for row in shop.rows("charges")] == ["succeeded"]
    assert nothing_moved(shop)


def test_a_refund_without_an_answer_is_told_as_under_way_and_ends_by_itself(shop: Shop) -> None:
    path = sold(shop)
    seal = seal_of(shop, path)
    shop.stripe.faults.add("/v1/refunds", "drop_after")

    response = refund(shop, path, seal)
    assert "is under way. Encore keeps asking; do not click again." in text_of(get(shop, response.location))

    shop.clock.advance(minutes=2)
    shop.sweep()
    assert "Refunded: £11.61" in text_of(get(shop, response.location))
    assert len(shop.stripe.refunds()) == 1


def test_a_pending_refund_the_bank_sends_back_is_told_and_may_be_asked_again(shop: Shop) -> None:
    path = sold(shop, card=REFUND_PENDS)
    response = refund(shop, path, seal_of(shop, path))
    assert "is under way." in text_of(get(shop, response.location))
    shop.clock.advance(hours=2)
    [told] = shop.stripe.refunds()
    shop.stripe.fail_refund(told["id"])
    shop.sweep()
    assert "Not refunded: Stripe would not give £11.61 of order 1042 back." in text_of(get(shop, response.location))
    assert "Refund £11.61?" in text_of(get(shop, path))


def test_the_address_of_a_status_line_cannot_claim_what_is_not_so(shop: Shop) -> None:
    path = sold(shop)
    charge_ref = path.split("/")[-2]
    assert "Nothing was refunded of order 1042." in text_of(get(shop, order_ref="1042", refund=charge_ref))


def test_the_list_offers_what_is_left_after_a_partial_refund(shop: Shop) -> None:
    path = sold(shop)
    with shop.rt.db.write() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO encore_refunds "
                "(charge_id, seq, amount_minor, currency, cause, actor, status, refund_ref, requested_at) "
                "SELECT id, 1, 161, 'gbp', 'merchant', 'stripe', 'succeeded', 're_x', accepted_at FROM encore_charges"
            )
        )
    assert "£1.61 of it refunded" in text_of(get(shop))
    assert "Refund £10.00?" in text_of(get(shop, path))


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
    page = get(shop, "/shop/more/dashboard/").text
    assert "&lt;b&gt;1042" in page
    assert "<b>1042" not in page


def test_a_shop_that_mounts_the_app_below_a_path_gets_addresses_below_it(shop: Shop) -> None:
    path = sold(shop)
    page = shop.app.test_client().get(HOME, environ_overrides={"SCRIPT_NAME": "/sub"}).text
    assert f"/sub{path}" in page
