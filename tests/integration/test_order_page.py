"""One order's page over HTTP: the decision and why, the money and its history, who was told, and telling them again."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from dashboard_pages import get, guarded, nothing_moved, refund, seal_of, sold, text_of
from money import browser, charge_row, deliver, statements, told
from receivers import add, deliveries, receiver

from flask_encore import Money, Product
from flask_encore.domain.events import EventKind
from flask_encore.domain.offers import Candidate
from flask_encore.domain.rights import Actor, Right
from flask_encore.domain.timeline import Source
from flask_encore.services import campaigning
from flask_encore.store.models import decisions
from flask_encore.testing import FixedRanker
from flask_encore.web import order_words

ORDER = "/encore/dashboard/orders/1042"
DECLINES_NEXT = "4000000000009995"


def post(shop: Shop, path: str, seal: str | None = None, **headers: str) -> Any:
    return refund(shop, path, seal, **headers)


# The decision


class Weighing(FixedRanker):
    """A ranker with evidence of every kind, and *more* best-sellers."""

    def __init__(self, more: int = 0) -> None:
        super().__init__("mug")
        self.more = more

    def rank(self, basket: Any, *, k: int, exclude: Any = (), history: Any = ()) -> Any:
        return [
            Candidate(sku="mug", score=0.5, kind="co_purchase", because_of="pot", support=41, of_orders=380, lift=3.21),
            Candidate(sku="tea", score=0.4, kind="category", because_of="pot", support=7, of_orders=900),
            Candidate(sku="gone", score=0.3, kind="popularity", support=5, of_orders=900),
            *(Candidate(sku=f"p{number}", score=0.1, kind="popularity") for number in range(self.more)),
        ]


def test_a_decision_tells_what_was_weighed_with_its_evidence_and_what_stood_against_it(make_shop: ShopFactory) -> None:
    shop = make_shop(ranker=Weighing())
    shop.pay()
    shop.page()

    page = text_of(get(shop, ORDER))

    assert "Thank-you page Offered What was offered Enamel mug mug £12.90 Discount −£1.29 Total £11.61" in page
    for one in (
        "Products that were weighed: 3",
        "Enamel mug mug Offered Bought together with Teapot in 41 of 380 orders, 3.2 times more than chance score 0.5",
        "Assam tea, 250 g tea Of the same category as Teapot, itself in 7 of 900 orders score 0.4",
        "gone gone A best-seller, in 5 of 900 orders Is not in the catalogue score 0.3",
        "Made again the log leads to the same decision",
    ):
        assert one in page


@pytest.mark.parametrize(
    ("offer", "told"),
    [
        (
            {"kind": "complementary", "price_cap_percent": 20},
            "Costs more than the campaign's share of the order: 12.90 GBP, allowed at most 6.80 GBP (20% of the order)",
        ),
        (
            {"kind": "complementary", "only_categories": ["Tea"]},
            "Is outside the campaign's categories: Kitchen, allowed only Tea",
        ),
        (
            {"kind": "complementary", "margin_floor_percent": 60},
            "Would earn less than the campaign's floor: 6.90 GBP, allowed at least 7.74 GBP (60% of 12.90 GBP)",
        ),
        ({"kind": "fixed", "skus": ["dear"]}, "PERCENT of the order: 90.00 GBP, allowed at most 37.40 GBP (110% of"),
        ({"kind": "fixed", "skus": ["euro"]}, "Has a price in another currency: 9.00 EUR, allowed GBP"),
        (
            {"kind": "more", "skus": ["pot"], "minimum": 9, "maximum": 10},
            "Has too few units left: 5 in stock, allowed at least 9",
        ),
    ],
)
def test_each_filter_tells_what_it_saw_and_what_would_have_passed(
    make_shop: ShopFactory, offer: dict[str, Any], told: str
) -> None:
    shop = make_shop(ENCORE_BUILT_IN_OFFER=False, ENCORE_PRICE_GUARD_PERCENT=110)
    definition = {"ref": "one", "name": "One", "status": "live", "placement": "thank_you", "offer": offer}
    with shop.app.app_context():
        shop.encore.catalog.upsert(
            [
                Product(sku="dear", title="Samovar", price=Money(9000, "gbp")),
                Product(sku="euro", title="Tasse", price=Money(900, "eur")),
                Product(
                    sku="mug", title="Enamel mug", price=Money(1290, "gbp"), category="Kitchen", cost=Money(600, "gbp")
                ),
            ]
        )
        campaigning.save(shop.rt, definition, actor="anna", expected=None)
    shop.pay()
    shop.page()

    assert told in text_of(get(shop, ORDER))


def test_a_campaigns_answer_is_told_condition_by_condition(shop: Shop) -> None:
    rule = {"all": [{"order_total": {"at_least": "50.00", "currency": "gbp"}}, {"country": ["GB"]}]}
    definition = {
        "ref": "spring",
        "name": "Spring & tea",
        "status": "live",
        "placement": "thank_you",
        "offer": {"kind": "fixed", "skus": ["tea"], "discount": {"percent": 10}},
        "rule": rule,
    }
    with shop.app.app_context():
        campaigning.save(shop.rt, definition, actor="anna", expected=None)
    shop.pay()
    shop.page()

    answer = get(shop, ORDER)

    assert "Spring & tea spring Does not apply order total 34.00 GBP is not ≥ 50.00 GBP" in text_of(answer)
    assert "all of false false order total 34.00 GBP is not ≥ 50.00 GBP true country GB is GB" in text_of(answer)
    assert "Spring &amp; tea" in answer.text


def test_an_order_without_an_offer_says_why_twice(shop: Shop) -> None:
    shop.pay(intent=shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None))
    shop.page()
    page = text_of(get(shop, ORDER))
    assert "One click No The card was not saved: the checkout has to set setup_future_usage." in page
    assert "Thank-you page No offer The card was not saved" in page
    assert "What was offered" not in page


def test_an_offer_that_was_declined_and_one_that_expired_say_when(shop: Shop) -> None:
    shop.pay("1042")
    token = shop.token("1042")
    shop.clock.advance(seconds=7)
    shop.post(token, "decline")
    shop.pay("1043")
    shop.page("1043")
    shop.clock.advance(days=9)

    assert "Decided 2 Mar 2026, 14:03:07 Declined by the shopper" in text_of(get(shop, ORDER))
    assert "Expired" in text_of(get(shop, "/encore/dashboard/orders/1043"))


def test_titles_of_any_direction_stand_apart_and_markup_in_them_is_text(make_shop: ShopFactory) -> None:
    shop = make_shop()
    with shop.app.app_context():
        shop.encore.catalog.upsert(
            [Product(sku="mug", title="كوب <b>أزرق</b>", price=Money(1290, "gbp"), stock=4, category="Kitchen")]
        )
    shop.pay()
    shop.page()
    assert "<bdi>كوب &lt;b&gt;أزرق&lt;/b&gt;</bdi>" in get(shop, ORDER).text


def test_a_decision_whose_details_were_purged_says_so(any_shop: Shop) -> None:
    shop = any_shop
    shop.pay()
    shop.page()
    with shop.rt.db.write() as connection:
        connection.execute(sa.update(decisions).values(candidates=[], trace={}))
    page = text_of(get(shop, ORDER))
    assert "Made again not possible: its details were purged" in page
    assert "No product was weighed" not in page


# The money


def test_a_sale_tells_every_change_with_who_brought_it(any_shop: Shop) -> None:
    shop = any_shop
    sold(shop)
    shop.clock.advance(minutes=31)
    shop.sweep()

    page = text_of(get(shop, ORDER))

    assert "Thank-you page Charged The shopper said yes. Refund £11.61" in page
    assert "2 Mar 2026, 14:03:00 Charged by the shopper’s click" in page
    assert "2 Mar 2026, 14:34:00 Charged by the sweeper" in page
    assert "Made before Encore kept a history" not in page


def test_a_charge_without_a_history_says_so_and_tells_what_its_row_knows(any_shop: Shop) -> None:
    shop = any_shop
    sold(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_charges SET timeline = ''"))

    page = text_of(get(shop, ORDER))

    assert "The charge 2 Mar 2026, 14:03:00 Accepted 2 Mar 2026, 14:03:00 Charged Made before Encore kept" in page


def test_a_refused_card_is_told_with_the_banks_code(shop: Shop) -> None:
    shop.pay(card=DECLINES_NEXT)
    shop.accept(shop.token())
    page = text_of(get(shop, ORDER))
    assert "Thank-you page Failed" in page
    assert "The bank said insufficient_funds" in page
    assert "Refund £" not in page


def test_a_refused_card_and_the_one_that_paid_stand_in_one_history(shop: Shop) -> None:
    shop.pay(card=DECLINES_NEXT)
    token = shop.token()
    assert shop.accept(token) == "failed"
    secret = shop.post(token, "secret").json["client_secret"]
    browser(shop).payment_intents.confirm(
        charge_row(shop)["payment_intent_ref"], {"payment_method": "pm_card_mastercard", "client_secret": secret}
    )
    shop.clock.advance(seconds=40)
    shop.post(token, "refresh")

    page = text_of(get(shop, ORDER))

    assert "2 Mar 2026, 14:03:00 Failed by the shopper’s click insufficient_funds" in page
    assert "2 Mar 2026, 14:03:40 Charged by the shopper’s page, which asked how it stands" in page
    assert "Card Mastercard •••• 4444" in page
    assert "Thank-you page Charged" in page


def test_a_refund_is_told_with_who_asked_and_stripes_id(any_shop: Shop) -> None:
    shop = any_shop
    path = sold(shop)
    response = refund(shop, path, seal_of(shop, path))

    page = text_of(get(shop, response.location))

    [row] = shop.rows("refunds")
    assert response.location.startswith(ORDER)
    assert "Refunded: £11.61 of order 1042 goes back to the shopper’s card." in page
    assert f"Refunded: £11.61 by merchant, settled 2 Mar 2026, 14:03:00 {row['refund_ref']}" in page
    assert "Refund £" not in page.replace("Refunds", "")


def test_webhooks_about_the_charge_are_told_with_what_they_did(any_shop: Shop) -> None:
    shop = any_shop
    sold(shop)
    for event in list(shop.stripe.events):
        deliver(shop, event)

    page = text_of(get(shop, ORDER))

    assert "Webhooks about its own payment: 2" in page
    assert "Webhooks about it: 2" in page
    assert "payment_intent.succeeded nothing new evt_" in page


def test_a_quarantined_charge_says_what_was_found_and_what_to_do(shop: Shop) -> None:
    sold(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch'"))
    page = text_of(get(shop, ORDER))
    assert "Quarantined. The amount at Stripe is not the one the shopper agreed to. Nothing automatic happens" in page
    assert "Refund £" not in page


def test_every_reason_event_and_source_has_its_words() -> None:
    assert set(order_words.MESSAGES) == set(EventKind)
    assert set(order_words.SOURCES) == set(Source)
    assert order_words.quarantined("refused_resource_missing").endswith("for three days (resource_missing).")
    assert order_words.quarantined("something_new") == "something_new"


# What it costs


@pytest.mark.parametrize("more", [0, 12])
def test_the_page_costs_eight_statements_however_much_there_is(make_shop: ShopFactory, more: int) -> None:
    shop = make_shop(ranker=Weighing(more))
    sold(shop)
    if more:
        _multiply(shop, more)
    with statements(shop) as log:
        assert get(shop, ORDER).status_code == 200

    assert sorted(log) == sorted(
        [
            *("SELECT encore_orders", "SELECT encore_events"),
            *("SELECT encore_decisions", "SELECT encore_products"),
            *("SELECT encore_charges", "SELECT encore_refunds"),
            *("SELECT encore_outbox", "SELECT encore_webhook_deliveries"),
            "SELECT encore_switches",
        ]
    )


def _multiply(shop: Shop, times: int) -> None:
    """More decisions, charges, messages and webhooks of the same order."""
    with shop.rt.db.write() as connection:
        for table, keys in {
            "decisions": {"id": "'d{0}'", "step": "{0}"},
            "charges": {"id": "'d{0}'", "step": "{0}", "payment_intent_ref": "'pi_{0}'"},
            "outbox": {"id": "{0}00", "dedupe": "'m{0}'", "charge_id": "'d{0}'"},
        }.items():
            columns = [name for name in shop.rows(table)[0] if name not in keys]
            for number in range(1, times + 1):
                chosen = ", ".join([*(one.format(number) for one in keys.values()), *(f'"{name}"' for name in columns)])
                names = ", ".join([*keys, *(f'"{name}"' for name in columns)])
                first = f"SELECT {chosen} FROM encore_{table} ORDER BY {next(iter(keys))} LIMIT 1"
                connection.execute(sa.text(f"INSERT INTO encore_{table} ({names}) SELECT * FROM ({first}) AS one"))


# Telling again


def test_a_message_is_handed_to_the_handlers_again_and_written_down(any_shop: Shop) -> None:
    shop = any_shop
    sold(shop)
    shop.sweep()
    [message] = shop.rows("outbox")
    path = f"/encore/dashboard/messages/{message['id']}/resend"

    assert "Send again" in get(shop, ORDER).text
    assert "Hand this message to your handlers again?" in text_of(get(shop, path))
    response = post(shop, path, seal_of(shop, path))
    shop.sweep()

    assert response.location == "/encore/dashboard/orders/1042?done=resent#messages"
    assert "The message is on its way to your handlers." in text_of(get(shop, response.location))
    assert told(shop) == ["charge_succeeded", "charge_succeeded"]
    assert [event.charge_ref for event in shop.delivered] == [charge_row(shop)["id"]] * 2
    [entry] = shop.rows("audit")
    assert (entry["actor"], entry["action"], entry["subject"]) == ("merchant", "resend", f"message {message['id']}")
    assert f"Sent again message {message['id']} by merchant" in text_of(
        get(shop, "/encore/dashboard/campaigns/history")
    )


def test_a_message_that_a_worker_may_have_is_left_to_it(any_shop: Shop) -> None:
    shop = any_shop

    @shop.encore.on("charge_succeeded")
    def broken(_event: Any) -> None:
        raise RuntimeError("closed")

    sold(shop)
    shop.sweep()
    [before] = shop.rows("outbox")
    path = f"/encore/dashboard/messages/{before['id']}/resend"
    response = post(shop, path, seal_of(shop, path))

    assert "Nothing was changed: the message is on its way already." in text_of(get(shop, response.location))
    assert shop.rows("outbox") == [before]
    assert shop.rows("audit") == []


def test_a_message_that_waits_for_long_can_be_tried_now(shop: Shop) -> None:
    mended: list[str] = []

    @shop.encore.on("charge_succeeded")
    def broken(event: Any) -> None:
        if not mended:
            raise RuntimeError("closed")

    sold(shop)
    for minutes in (0, 1, 1, 2, 4, 8):
        shop.clock.advance(minutes=minutes)
        shop.sweep()
    [message] = shop.rows("outbox")
    assert "RuntimeError: closed" in text_of(get(shop, ORDER))
    assert ">Try now<" in get(shop, ORDER).text

    mended.append("yes")
    path = f"/encore/dashboard/messages/{message['id']}/resend"
    post(shop, path, seal_of(shop, path))
    shop.sweep()

    assert "Taken your handlers" in text_of(get(shop, ORDER))


def test_a_webhook_delivery_is_told_and_sent_again(any_shop: Shop) -> None:
    shop = any_shop
    with receiver() as endpoint:
        endpoint.answer = lambda _request: (410, {}, b"the warehouse has moved")
        add(shop, endpoint.url)
        sold(shop)
        shop.sweep()
        page = text_of(get(shop, ORDER))
        assert f"Given up webhook 1, 127.0.0.1:{endpoint.port}, HTTP 410, 1 attempt" in page
        assert "HTTP 410: the warehouse has moved" in page

    [delivery] = shop.rows("webhook_deliveries")
    path = f"/encore/dashboard/deliveries/{delivery['id']}/replay"
    assert "Send this message to the endpoint again?" in text_of(get(shop, path))
    response = post(shop, path, seal_of(shop, path))

    assert "The message is on its way to the endpoint." in text_of(get(shop, response.location))
    assert deliveries(shop) == [("1042", "waiting", 0)]
    assert "waits while the endpoint is paused" in text_of(get(shop, ORDER))


@pytest.mark.parametrize("path", ["messages/{}/resend", "deliveries/{}/replay"])
@pytest.mark.parametrize("id", ["0", "77", "9" * 30, "-1", "x", "1e3"])
def test_a_message_that_is_not_there_is_not_sent(shop: Shop, path: str, id: str) -> None:
    charge = sold(shop)
    address = "/encore/dashboard/" + path.format(id)
    answers = get(shop, address), post(shop, address, seal_of(shop, charge))
    assert [answer.status_code for answer in answers] == [404, 404]
    assert shop.rows("audit") == []


def test_without_a_seal_from_elsewhere_or_without_the_right_nothing_is_sent(shop: Shop) -> None:
    sold(shop)
    shop.sweep()
    [before] = shop.rows("outbox")
    path = f"/encore/dashboard/messages/{before['id']}/resend"
    seal = seal_of(shop, path)
    assert post(shop, path).status_code == 403
    assert post(shop, path, seal, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    guarded(shop, lambda: Actor("ben", frozenset({Right.READ})))
    assert post(shop, path, seal).status_code == 403
    assert "Send again" not in get(shop, ORDER).text
    assert shop.rows("outbox") == [before]
    assert nothing_moved(shop)


# Stepping in


def test_a_hold_is_ended_before_its_time_and_the_shop_is_told(any_shop: Shop) -> None:
    shop = any_shop
    sold(shop)
    path = f"/encore/dashboard/charges/{charge_row(shop)['id']}/release"

    assert "Release the hold" in get(shop, ORDER).text
    assert "End the time to undo now?" in text_of(get(shop, path))
    seal = seal_of(shop, path)
    first, second = post(shop, path, seal), post(shop, path, seal)
    shop.sweep()

    assert "Released: your shop is told to ship it." in text_of(get(shop, first.location))
    assert (second.status_code, second.location) == (303, first.location)
    assert told(shop) == ["charge_succeeded", "hold_released"]
    assert "Release the hold" not in get(shop, ORDER).text
    assert [(row["action"], row["subject"]) for row in shop.rows("audit")] == [
        ("release", f"charge {charge_row(shop)['id']}")
    ]


def quarantined(shop: Shop) -> str:
    """A sold offer that is quarantined for no reason Stripe knows of; answers the path of its charge."""
    sold(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch'"))
    return f"/encore/dashboard/charges/{charge_row(shop)['id']}"


def test_a_quarantined_charge_that_agrees_with_stripe_again_is_given_back(any_shop: Shop) -> None:
    shop = any_shop
    path = quarantined(shop) + "/recheck"

    response = post(shop, path, seal_of(shop, path))

    assert "Stripe and Encore agree about it now; the quarantine is over." in text_of(get(shop, response.location))
    assert charge_row(shop)["quarantine_reason"] == ""
    assert len(shop.stripe.refunds()) == 0


def test_while_stripe_does_not_answer_a_quarantine_stays(shop: Shop) -> None:
    path = quarantined(shop) + "/recheck"
    seal = seal_of(shop, path)
    shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET", times=10)
    response = post(shop, path, seal)
    assert (response.status_code, charge_row(shop)["quarantine_reason"]) == (503, "amount_mismatch")
    assert "Stripe did not answer. Nothing changed" in text_of(response)


def test_a_quarantined_charge_is_settled_by_hand_with_a_note_and_needs_nobody_any_more(any_shop: Shop) -> None:
    shop = any_shop
    path = quarantined(shop) + "/review"
    client = shop.app.test_client()

    response = client.post(path, data={"seal": seal_of(shop, path), "note": "Refunded 2.00 at Stripe <by hand>"})

    page = text_of(get(shop, response.location))
    assert "Written down: somebody settled it by hand." in page
    assert "Was quarantined. The amount at Stripe is not the one the shopper agreed to." in page
    assert "Refunded 2.00 at Stripe <by hand>" in str(shop.rows("audit")[0]["after"])
    assert "None: nothing is quarantined" in text_of(get(shop, "/encore/dashboard/orders/", only="needing-somebody"))
    assert charge_row(shop)["quarantine_reason"] == "amount_mismatch"


def test_a_note_that_is_too_long_is_kept_and_refused(shop: Shop) -> None:
    path = quarantined(shop) + "/review"
    response = shop.app.test_client().post(path, data={"seal": seal_of(shop, path), "note": "x" * 501})
    assert response.status_code == 422
    assert "A note has at most 500 characters, got 501." in text_of(response)
    assert "x" * 501 in response.text
    assert (charge_row(shop)["reviewed_at"], shop.rows("audit")) == (None, [])


@pytest.mark.parametrize("act", ["release", "recheck", "review"])
def test_nobody_steps_in_without_the_right_a_seal_or_a_charge(shop: Shop, act: str) -> None:
    path = f"{quarantined(shop)}/{act}"
    seal = seal_of(shop, path)
    before = charge_row(shop)
    assert post(shop, path).status_code == 403
    assert post(shop, path, seal, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert post(shop, f"/encore/dashboard/charges/none/{act}", seal).status_code == 404
    guarded(shop, lambda: Actor("ben", frozenset({Right.READ})))
    assert [get(shop, path).status_code, post(shop, path, seal).status_code] == [403, 403]
    assert (charge_row(shop), shop.rows("audit")) == (before, [])
