"""From a paid order to one click and back, over HTTP, on both databases."""

from __future__ import annotations

from conftest import Shop


def test_one_click_charges_the_stored_card_exactly_once_and_tells_the_shop(any_shop: Shop) -> None:
    shop = any_shop
    shop.pay()

    html = shop.page().text
    assert "Enamel mug" in html and "£11.61" in html
    token = shop.token()
    assert shop.accept(token) == "charged"

    assert [charge["amount"] for charge in shop.stripe.charges()] == [3400, 1161]
    assert shop.stock("mug") == 39
    shop.sweep()
    assert [(event.kind, event.order_ref, event.sku) for event in shop.delivered] == [
        ("charge_succeeded", "1042", "mug")
    ]


def test_undo_gives_everything_back_exactly_once(any_shop: Shop) -> None:
    shop = any_shop
    shop.pay()
    token = shop.token()
    shop.accept(token)

    assert shop.post(token, "undo").json["state"] == "undone"
    assert shop.post(token, "undo").json["state"] == "undone"

    assert [refund["amount"] for refund in shop.stripe.refunds()] == [1161]
    assert shop.stock("mug") == 40
    shop.sweep()
    assert [event.kind for event in shop.delivered] == ["charge_succeeded", "charge_refunded"]


def test_the_hosts_page_stays_what_it_was_around_the_offer(shop: Shop) -> None:
    shop.pay()

    html = shop.page().text

    assert html.startswith("<!doctype html><html><body><main><h1>Order 1042 is confirmed</h1>")
    assert html.endswith("</main></body></html>")
