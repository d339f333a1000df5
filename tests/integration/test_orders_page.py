"""The orders' room over HTTP: the list and what it is narrowed to, the search, and orders of every name."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop
from dashboard_pages import get, nothing_moved, sold, text_of

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.web import order_words
from flask_encore.web.orders_page import order_url

ORDERS = "/encore/dashboard/orders/"
DECLINES_NEXT = "4000000000009995"


def listed(shop: Shop, **query: str) -> list[str]:
    """The order_refs of the list, in its order."""
    rows = re.findall(r'<th role="rowheader"[^>]*>(.*?)</th>', get(shop, ORDERS, **query).text)
    return [unescape(re.sub(r"<[^>]+>", "", row)) for row in rows]


def one_of_each(shop: Shop) -> None:
    """A sold offer, one the bank refused, one left open, and an order without an offer; a minute apart."""
    sold(shop, "sold")
    shop.clock.advance(minutes=1)
    shop.pay("no", card=DECLINES_NEXT)
    shop.accept(shop.token("no"))
    shop.clock.advance(minutes=1)
    shop.pay("open")
    shop.page("open")
    shop.clock.advance(minutes=1)
    shop.pay("none", intent=shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None))
    shop.page("none")


# The list


def test_before_the_first_order_the_room_says_how_to_tell_encore_of_one(shop: Shop) -> None:
    assert "No orders yet Here is the one line that tells Encore of one" in text_of(get(shop, ORDERS))


def test_before_the_first_page_the_room_says_how_to_name_one(shop: Shop) -> None:
    shop.pay()
    assert "Orders, but no thank-you page yet" in text_of(get(shop, ORDERS))


def test_decisions_are_listed_newest_first_each_with_a_link_to_its_order(any_shop: Shop) -> None:
    one_of_each(any_shop)
    assert listed(any_shop) == ["none", "open", "no", "sold"]
    assert '<a href="/encore/dashboard/orders/sold">sold</a>' in get(any_shop, ORDERS).text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"what": "ineligible"}, ["none"]),
        ({"what": "payment_method_not_saved"}, ["none"]),
        ({"what": "offered"}, ["open", "no", "sold"]),
        ({"what": "failed"}, ["no"]),
        ({"what": "succeeded", "campaign": "built-in"}, ["sold"]),
        ({"what": "refunded"}, []),
        ({"what": ""}, ["none", "open", "no", "sold"]),
    ],
)
def test_the_list_is_narrowed_to_how_why_and_where_the_charge_is(
    any_shop: Shop, query: dict[str, str], found: list[str]
) -> None:
    one_of_each(any_shop)
    assert listed(any_shop, **query) == found


def test_of_more_than_fifty_the_older_ones_are_a_page_away_and_keep_what_was_chosen(shop: Shop) -> None:
    shop.pay("first")
    shop.page("first")
    columns = ", ".join(f'"{name}"' for name in shop.rows("decisions")[0] if name not in {"id", "order_ref"})
    with shop.rt.db.write() as connection:
        for number in range(50):
            connection.execute(
                sa.text(
                    f"INSERT INTO encore_decisions (id, order_ref, {columns}) SELECT '{number:04}', 'copy-{number}', "
                    f"{columns} FROM encore_decisions WHERE order_ref = 'first'"
                )
            )
    shown = listed(shop, what="offered")
    [link] = re.findall(r'rel="next" href="([^"]+)"', get(shop, ORDERS, what="offered").text)
    older = get(shop, unescape(link))

    assert len(shown) == 50
    assert "what=offered" in link
    assert text_of(older).count("£11.61") == 1
    assert "older ones. Back to the newest" in text_of(older)


def test_only_what_needs_somebody_is_of_any_time(shop: Shop) -> None:
    sold(shop, "1042")
    shop.clock.advance(minutes=1)
    sold(shop, "1043")
    with shop.rt.db.write() as connection:
        connection.execute(
            sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch' WHERE order_ref = '1042'")
        )
    shop.clock.advance(days=200)

    assert listed(shop) == []
    assert listed(shop, only="needing-somebody") == ["1042"]
    assert listed(shop, period="all") == ["1043", "1042"]


def test_no_word_of_the_filter_means_two_things_and_each_is_known() -> None:
    words = [*Outcome, *Reason, *ChargeStatus]
    assert len({str(word) for word in words}) == len(words)
    offered = {str(one) for _, names in order_words.WHAT for one in names}
    # What only repeats an outcome, and what a charge passes through in a moment, is no choice of its own.
    assert {str(word) for word in words} - offered == {
        "chosen",
        "holdout",
        "experiment_holdout",
        "shadow",
        "claimed",
        "intent",
        "confirming",
    }


# The search


@pytest.mark.parametrize("typed", ["A-1042", "  A-1042 ", "#A-1042", "# a-1042", "a-1042", "\tA-1042\n"])
def test_an_order_is_found_as_people_paste_it(any_shop: Shop, typed: str) -> None:
    sold(any_shop, "A-1042")
    answer = get(any_shop, ORDERS, order_ref=typed)
    assert (answer.status_code, answer.location) == (303, "/encore/dashboard/orders/A-1042")


def test_an_order_is_found_by_its_payment_by_an_offers_and_by_the_charge(any_shop: Shop) -> None:
    order = any_shop.pay()
    any_shop.accept(any_shop.token())
    [charge] = any_shop.rows("charges")
    for typed in (order.payment_intent_ref, charge["payment_intent_ref"], charge["id"]):
        assert get(any_shop, ORDERS, order_ref=typed).location == "/encore/dashboard/orders/1042"


def test_a_ref_comes_before_what_else_is_called_so(shop: Shop) -> None:
    order = shop.pay("1042")
    shop.pay(order.payment_intent_ref)
    assert get(shop, ORDERS, order_ref=order.payment_intent_ref).location.endswith(f"/{order.payment_intent_ref}")


def test_what_is_not_found_is_said_above_the_list(shop: Shop) -> None:
    sold(shop)
    told = text_of(get(shop, ORDERS, order_ref="77"))
    assert "No order 77 Nothing was ever recorded under that name." in told
    assert listed(shop, order_ref="77") == ["1042"]


# Every name


#: What addresses are rewritten for on their way, and what ends or begins something in them.
NAMES = [
    *("2026/11/1042", "/lead", "trail/", "a//b", ".", "..", "x/../y", "\\x"),
    *("a b", "Ärger №7 طلب", "100%", "a+b", "?x=1&y", "#7", "<b>1042", "'; --", '"'),
]


def test_an_order_of_any_name_has_a_page_and_a_link_that_leads_there(shop: Shop) -> None:
    for order_ref in NAMES:
        shop.pay(order_ref)
        with shop.app.test_request_context():
            address = order_url(order_ref)
        page = get(shop, address)

        assert page.status_code == 200
        assert f"Order {order_ref} Order Find As it was paid" in text_of(page)
        assert get(shop, ORDERS, order_ref=order_ref).location == address


def test_an_order_known_but_never_looked_at_is_said(shop: Shop) -> None:
    shop.pay()
    assert "its thank-you page was not opened yet, so nothing was decided" in text_of(get(shop, ORDERS + "1042"))


@pytest.mark.parametrize("order_ref", ["77", "x" * 10_000, "a%00b", "%F0%9F%A6%86"])
def test_an_unknown_order_is_a_page_with_the_search(any_shop: Shop, order_ref: str) -> None:
    sold(any_shop)
    answer = get(any_shop, ORDERS + order_ref)
    assert answer.status_code == 404
    assert 'type="search"' in answer.text


@pytest.mark.parametrize(
    "query",
    [
        {"period": "banana"},
        {"after": "forged"},
        {"after": "9" * 40 + "-a"},
        {"order_ref": "\0"},
        {"order_ref": "x" * 10_000},
        {"order_ref": "<script>alert(1)</script>"},
        {"what": "everything"},
        {"what": "x" * 10_000},
        {"campaign": "\0"},
        {"campaign": "x" * 10_000},
        {"only": "x"},
    ],
)
def test_nonsense_in_the_address_is_a_page_and_not_an_error(any_shop: Shop, query: dict[str, Any]) -> None:
    sold(any_shop)
    answer = get(any_shop, ORDERS, **query)
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert listed(any_shop, **query) == ["1042"]
    assert nothing_moved(any_shop)


def test_nonsense_is_said(shop: Shop) -> None:
    sold(shop)
    told = text_of(get(shop, ORDERS, period="banana", after="forged", what="all", campaign="none"))
    for sentence in (
        "There is no such period; these are the last 30 days.",
        "There is no such page of the list; this is the newest.",
        "Nothing is called so; these are all decisions.",
        "There is no such campaign; these are the decisions of all.",
    ):
        assert sentence in told
