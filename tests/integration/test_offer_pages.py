"""Choices, texts, timers and sequences through the shopper's own pages and routes, on the shop's real campaigns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from campaigns import launch
from conftest import Shop, ShopFactory
from flask import Blueprint
from hosts import PAGE, SECTION

from flask_encore import Money, Product

FRAGMENT = {"X-Encore-Fragment": "1"}

SHIRTS = [
    Product(sku=f"shirt-{size}", title="Shirt", price=Money(price, "gbp"), stock=stock, parent="shirt", options=options)
    for size, price, stock, options in (
        ("s", 1900, 3, {"Size": "S"}),
        ("m", 1900, 3, {"Size": "M"}),
        ("l", 2200, 1, {"Size": "L"}),
    )
]
GIFT = {"kind": "service", "sku": "wrap", "text": {"label": {"en": "Your message"}, "max_length": 10, "required": True}}


@pytest.fixture
def shirts(shop: Shop) -> Shop:
    """A shop that offers everybody a shirt in three sizes."""
    with shop.app.app_context():
        shop.encore.catalog.upsert(SHIRTS)
    launch(shop, "shirts", offer={"kind": "fixed", "skus": ["shirt"]})
    shop.pay()
    return shop


def served(shop: Shop, url: str = "/thanks/1042") -> list[str]:
    """The sections on a page."""
    return SECTION.findall(shop.app.test_client().get(url).text)


def token_of(html: str) -> str:
    return html.split("/encore/offers/")[1].split("/")[0]


def send(shop: Shop, token: str, act: str, *, headers: dict[str, str] | None = None, **fields: str) -> Any:
    """Post a form, as a page without the element does, or with *headers* as something else does."""
    return shop.app.test_client().post(f"/encore/offers/{token}/{act}", data=fields, headers=headers or {})


def button(html: str) -> str:
    """The order button's label."""
    return re.findall(r'<button class="yes"[^>]*>(.*?)</button>', html)[0]


def paid(shop: Shop) -> list[int]:
    """What Stripe charged, beside the order itself."""
    return [charge["amount"] for charge in shop.stripe.charges()][1:]


# Choices


def test_a_choice_is_answered_with_the_servers_price_and_writes_nothing(shirts: Shop) -> None:
    [html] = served(shirts)
    token, before = token_of(html), shirts.rows("decisions")

    answer = send(shirts, token, "choose", headers=FRAGMENT, choice="2")

    assert answer.status_code == 200
    assert (button(html), button(answer.text)) == ("Buy now · £19.00", "Buy now · £22.00")
    assert '<input type="hidden" name="choice" value="2"' in answer.text
    as_json = send(shirts, token, "choose", headers={"Accept": "application/json"}, choice="2").json
    assert as_json == {"state": "open", "order_ref": "1042", "choice": 2, "total": 2200, "currency": "gbp"}
    assert shirts.rows("decisions") == before
    assert shirts.rows("charges") == []


def test_the_choice_that_was_shown_is_what_is_charged_and_added(shirts: Shop) -> None:
    token = token_of(served(shirts)[0])
    answer = send(shirts, token, "accept", headers=FRAGMENT, choice="2")

    assert "Added to your order" in answer.text and "£22.00" in answer.text
    assert paid(shirts) == [2200]
    assert [(row["sku"], row["amount_minor"]) for row in shirts.rows("charges")] == [("shirt-l", 2200)]
    assert shirts.stock("shirt-l") == 0


def test_without_javascript_the_page_is_drawn_with_the_choice_and_keeps_its_own_query(shirts: Shop) -> None:
    token = token_of(served(shirts, "/thanks/1042?utm=a%20b&encore_x=1")[0])

    back = send(shirts, token, "choose", choice="2")
    assert (back.status_code, back.headers["Location"]) == (
        303,
        "/thanks/1042?utm=a%20b&encore_x=1&encore_choice=2#encore",
    )
    [html] = served(shirts, back.headers["Location"])
    assert button(html) == "Buy now · £22.00"
    away = send(shirts, token_of(html), "decline")
    assert away.headers["Location"] == "/thanks/1042?utm=a%20b&encore_x=1#encore"


def test_a_choice_that_does_not_exist_shows_the_first_and_is_never_charged(shirts: Shop) -> None:
    token = token_of(served(shirts)[0])
    for choice in ("3", "-1", "99", "x", "1e1", "٣", "0x1", "1 ", "9" * 400):
        assert button(served(shirts, f"/thanks/1042?encore_choice={choice}")[0]) == "Buy now · £19.00"
        shown = send(shirts, token, "choose", headers=FRAGMENT, choice=choice)
        refused = send(shirts, token, "accept", headers=FRAGMENT, choice=choice)

        assert [answer.status_code for answer in (shown, refused)] == [422, 422], choice
        assert "no longer available" in shown.text and "no longer available" in refused.text
        assert button(refused.text) == "Buy now · £19.00"
    assert (shirts.rows("charges"), paid(shirts), shirts.stock("shirt-s")) == ([], [], 3)


def test_a_variant_that_sold_out_meanwhile_cannot_be_chosen_again_in_the_answer(shirts: Shop) -> None:
    token = token_of(served(shirts)[0])
    with shirts.app.app_context():
        shirts.encore.catalog.upsert(
            [Product(sku="shirt-l", title="Shirt", price=Money(2200, "gbp"), stock=0, parent="shirt")]
        )

    answer = send(shirts, token, "accept", headers=FRAGMENT, choice="2")

    assert answer.status_code == 422
    assert '<option value="2" disabled>L – sold out</option>' in answer.text
    assert button(answer.text) == "Buy now · £19.00"
    assert (shirts.rows("charges"), paid(shirts)) == ([], [])
    as_form = send(shirts, token, "accept", choice="2")
    assert as_form.headers["Location"] == "/thanks/1042?encore_notice=choice_gone#encore"
    assert "no longer available" in served(shirts, as_form.headers["Location"])[0]


# Text


@pytest.fixture
def wrapping(shop: Shop) -> Shop:
    """A shop that offers everybody gift wrapping with a message of at most ten characters."""
    with shop.app.app_context():
        shop.encore.catalog.upsert([Product(sku="wrap", title="Gift wrapping", price=Money(450, "gbp"))])
    launch(shop, "wrap", offer=GIFT)
    shop.pay()
    return shop


def test_a_text_that_is_missing_or_too_long_keeps_the_offer_open_and_what_was_typed(wrapping: Shop) -> None:
    token = token_of(served(wrapping)[0])
    for text, said, error in (
        ("", "Please fill this in first. Nothing was charged.", "text_missing"),
        (" \r\n ", "Please fill this in first. Nothing was charged.", "text_missing"),
        ("<b>Love</b>, Ann", "This text is too long. Nothing was charged.", "text_too_long"),
    ):
        answer = send(wrapping, token, "accept", headers=FRAGMENT, text=text)
        as_json = send(wrapping, token, "accept", headers={"Accept": "application/json"}, text=text)

        assert answer.status_code == 422
        assert said in answer.text
        assert ("&lt;b&gt;Love&lt;/b&gt;, Ann</textarea>" in answer.text) == bool(text.strip())
        assert (as_json.status_code, as_json.json) == (422, {"state": "open", "order_ref": "1042", "error": error})
    assert (wrapping.rows("charges"), paid(wrapping)) == ([], [])


def test_a_text_is_counted_with_one_character_for_a_line_end_and_shown_with_what_was_bought(wrapping: Shop) -> None:
    token = token_of(served(wrapping)[0])

    answer = send(wrapping, token, "accept", headers=FRAGMENT, text="Love,\r\nAnn!")

    assert "Your text: Love,\nAnn!" in answer.text
    assert "Your text: Love,\nAnn!" in served(wrapping)[0]
    assert paid(wrapping) == [450]


def test_a_form_larger_than_any_text_is_not_read(wrapping: Shop) -> None:
    token = token_of(served(wrapping)[0])

    assert send(wrapping, token, "accept", headers=FRAGMENT, text="x" * 9_000).status_code == 413
    assert (wrapping.rows("charges"), paid(wrapping)) == ([], [])


# Free


def test_a_free_item_is_added_without_a_card_being_charged(shop: Shop) -> None:
    launch(shop, "free", offer={"kind": "fixed", "skus": ["tea"], "discount": {"percent": 100}})
    shop.pay()
    [html] = served(shop)
    assert (button(html), "Free: your card is not charged" in html) == ("Add for free", True)

    answer = send(shop, token_of(html), "accept", headers=FRAGMENT)

    assert "It was free: nothing was charged." in answer.text
    assert paid(shop) == []
    assert "It was taken off your order." in send(shop, token_of(html), "undo", headers=FRAGMENT).text


# Timer


def test_a_timer_shows_the_shops_time_is_extended_once_and_then_over(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_TIME_ZONE="Europe/Berlin")
    launch(shop, "soon", timer_minutes=5)
    shop.pay()
    [html] = served(shop)
    token = token_of(html)
    assert re.search(r'You can accept this offer until <time datetime="2026-03-02T15:08:00\+01:00">15:08</time>', html)
    assert 'data-left="300"' in html

    shop.clock.advance(seconds=60)
    answer = send(shop, token, "extend", headers=FRAGMENT)
    assert "You have time until" in answer.text and ">15:13</time>" in answer.text
    assert 'data-left="540"' in answer.text
    assert "/extend" not in answer.text
    assert ">15:13</time>" in send(shop, token, "extend", headers=FRAGMENT).text

    shop.clock.advance(seconds=540)
    assert 'data-state="expired"' in send(shop, token, "refresh", headers=FRAGMENT).text
    assert (shop.accept(token), paid(shop)) == ("expired", [])


def test_without_a_timer_nothing_counts(shop: Shop) -> None:
    shop.pay()
    [html] = served(shop)
    assert "data-left" not in html and "/extend" not in html and "<time" not in html


# Sequences


def follow(shop: Shop) -> None:
    """The mug; after a yes the tea, after a no the mug's cheaper brother."""
    with shop.app.app_context():
        shop.encore.catalog.upsert([Product(sku="cup", title="Tin cup", price=Money(500, "gbp"), stock=9)])
    launch(shop, "cup", begins=False, offer={"kind": "fixed", "skus": ["cup"]})
    launch(shop, "tea", begins=False)
    launch(shop, "mug", offer={"kind": "fixed", "skus": ["mug"]}, on_accept="tea", on_decline="cup")
    shop.pay()


def test_after_a_yes_the_answer_brings_the_next_offer_and_the_page_holds_both(any_shop: Shop) -> None:
    shop = any_shop
    follow(shop)
    [html] = served(shop)

    answer = send(shop, token_of(html), "accept", headers=FRAGMENT)

    assert re.findall(r'data-state="(\w+)"', answer.text.split("<template")[0]) == ["charged", "open"]
    [following] = SECTION.findall(answer.text)
    assert 'id="encore-2"' in following and "Assam tea" in following
    first, second = served(shop)
    assert ('id="encore"' in first, 'data-state="charged"' in first) == (True, True)
    assert ('id="encore-2"' in second, "One more thing for your order #1042" in second) == (True, True)
    back = send(shop, token_of(second), "accept")
    assert (back.status_code, back.headers["Location"]) == (303, "/thanks/1042#encore-2")
    assert paid(shop) == [1290, 850]


def test_after_a_no_the_next_offer_takes_its_place_on_the_page(shop: Shop) -> None:
    follow(shop)
    [html] = served(shop)
    assert '<template data-view="declined">' not in html

    answer = send(shop, token_of(html), "decline", headers=FRAGMENT)

    [following] = SECTION.findall(answer.text)
    assert 'id="encore"' in following and "Tin cup" in following
    [page] = served(shop)
    assert "Tin cup" in page
    assert send(shop, token_of(page), "decline").headers["Location"] == "/thanks/1042#encore"
    assert ["All right, nothing added." in section for section in served(shop)] == [True]


def test_the_same_answer_twice_makes_one_next_offer(shop: Shop) -> None:
    follow(shop)
    token = token_of(served(shop)[0])

    first, second = (SECTION.findall(send(shop, token, "decline", headers=FRAGMENT).text) for _ in range(2))

    assert (len(first), len(second)) == (1, 1)
    assert [row["sku"] for row in shop.rows("decisions")] == ["mug", "cup"]


def test_a_next_offer_that_cannot_be_decided_costs_itself_and_not_the_answer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(shop)
    token = token_of(served(shop)[0])

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("flask_encore.web.offer.section_of", broken)
    answer = send(shop, token, "accept", headers=FRAGMENT)

    assert (answer.status_code, SECTION.findall(answer.text)) == (200, [])
    assert "Added to your order" in answer.text
    assert shop.rt.counts["next_OSError"] == 1


# The order page


def test_the_order_page_makes_its_own_offer_by_configuration_and_by_decorator(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_ORDER_STATUS={"order": "number"}, ENCORE_BUILT_IN_OFFER=False)
    shop.app.add_url_rule("/order/<number>", "order", lambda number: PAGE)

    @shop.app.get("/bestellung/<nummer>")
    @shop.encore.order_status(order_ref="nummer")
    def bestellung(nummer: str) -> str:
        return PAGE

    @shop.app.get("/marked/<number>")
    def marked(number: str) -> str:
        return shop.app.jinja_env.from_string("<main>{{ encore_offer(n, placement='order_status') }}</main>").render(
            n=number
        )

    launch(shop, "later", placement="order_status")
    shop.pay()

    assert served(shop) == []
    assert [len(served(shop, url)) for url in ("/order/1042", "/bestellung/1042", "/marked/1042")] == [1, 1, 1]
    assert [(row["placement"], row["sku"]) for row in shop.rows("decisions") if row["sku"]] == [("order_status", "tea")]
    assert send(shop, token_of(served(shop, "/order/1042")[0]), "decline").headers["Location"] == "/order/1042#encore"


def test_a_placement_nobody_knows_costs_the_offer_and_not_the_page(shop: Shop) -> None:
    @shop.app.get("/marked/<number>")
    def marked(number: str) -> str:
        return shop.app.jinja_env.from_string("<main>{{ encore_offer(n, placement='lobby') }}</main>").render(n=number)

    shop.pay()
    assert shop.app.test_client().get("/marked/1042").text == "<main></main>"
    assert shop.rt.counts["page_ValueError"] == 1


# Templates of the shop's own


def override(shop: Shop, folder: Path, name: str, source: str) -> None:
    """A template in a blueprint's folder, or in the app's own."""
    (folder / "encore" / "offer").mkdir(parents=True)
    (folder / "encore" / "offer" / name).write_text(source, encoding="utf-8")
    shop.app.register_blueprint(Blueprint("theirs", "theirs", template_folder=str(folder)))


def test_a_template_of_the_shops_own_replaces_one_of_ours_and_is_escaped_as_ours_are(
    shop: Shop, tmp_path: Path
) -> None:
    override(shop, tmp_path / "theirs", "declined.html", "<p>{{ card.title }} {{ '<b>' }} {{ say('decline') }}</p>")
    shop.pay()
    [html] = served(shop)
    assert "One more thing?" in html

    answer = send(shop, token_of(html), "decline", headers=FRAGMENT)
    assert "<p>Enamel mug &lt;b&gt; No thanks</p>" in answer.text


@pytest.mark.parametrize("source", ["{{ card.nonsense.at.all }}", "{% if %}"], ids=["raises", "syntax"])
def test_a_broken_template_of_the_shops_own_costs_the_offer_but_never_what_was_paid_for(
    shop: Shop, tmp_path: Path, source: str
) -> None:
    override(shop, tmp_path / "theirs", "charged.html", source)
    shop.pay()
    token = token_of(served(shop)[0])

    answer = send(shop, token, "accept", headers=FRAGMENT)

    assert "Added to your order" in answer.text
    assert served(shop) == []
    assert "is confirmed" in shop.page().text
    assert paid(shop) == [1161]


# The dialog


def test_a_dialog_is_a_section_with_a_name_for_the_browser_until_it_is_answered(shop: Shop) -> None:
    launch(shop, "dialog", placement="dialog")
    shop.pay()
    [html] = served(shop)
    offer_id = shop.rows("decisions")[0]["id"]

    assert f'data-dialog="{offer_id}" data-label="An offer for your order #1042" data-close="Close"' in html
    assert "<dialog" not in html
    send(shop, token_of(html), "decline")
    assert "data-dialog" not in served(shop)[0]


def test_what_follows_a_dialog_stands_in_the_page(shop: Shop) -> None:
    launch(shop, "next", begins=False, placement="dialog")
    launch(shop, "dialog", placement="dialog", offer={"kind": "fixed", "skus": ["mug"]}, on_accept="next")
    shop.pay()

    answer = send(shop, token_of(served(shop)[0]), "accept", headers=FRAGMENT)

    [following] = SECTION.findall(answer.text)
    assert "Assam tea" in following and "data-dialog" not in following


def test_an_ordinary_offer_is_no_dialog(shop: Shop) -> None:
    shop.pay()
    assert "data-dialog" not in served(shop)[0]
