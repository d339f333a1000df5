"""The one thing on the dashboard that moves money: asked twice, done once, told as it stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from conftest import Shop
from dashboard_pages import get, guarded, nothing_moved, refund, seal_of, sold, text_of

from flask_encore.config import EXTENSION
from flask_encore.web.origins import FORM_LIFETIME_SECONDS

DECLINES_NEXT = "4000000000009995"
REFUND_PENDS = "4000000000007726"

LIST = "/encore/dashboard/orders/"
ORDER = f"{LIST}1042"


def test_a_refund_is_asked_once_more_then_done_then_told(any_shop: Shop) -> None:
    shop = any_shop
    path = sold(shop)
    assert "Refund £11.61?" in text_of(get(shop, path))

    response = refund(shop, path, seal_of(shop, path), **{"Sec-Fetch-Site": "same-origin"})

    assert response.status_code == 303
    told = text_of(get(shop, response.location))
    assert "Refunded: £11.61 of order 1042 goes back to the shopper’s card." in told
    assert "Net revenue £0.00 Of £11.61 gross." in text_of(get(shop))
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
    assert "Refund £" not in text_of(get(shop, ORDER))
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
    assert "Nothing was refunded of order 1042." in text_of(get(shop, ORDER, refund=charge_ref))


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
    assert "£1.61 of it refunded" in text_of(get(shop, LIST))
    assert "Refund £10.00?" in text_of(get(shop, path))
