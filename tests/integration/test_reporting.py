"""What the merchant is told, against a shop where it really happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from histories import statements

from flask_encore import Money, Product
from flask_encore.domain.funnel import Leak, Rate, Step
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.services import order_list, reporting
from flask_encore.services.reporting import Period, Report
from flask_encore.store.models import decisions, refunds

DECLINES_NEXT = "4000000000009995"
CHECKS_ALWAYS = "4000002760003184"


def report(shop: Shop, period: Period = Period.MONTH, **wanted: Any) -> Report:
    return reporting.report(shop.rt, period=period, **wanted)


def offer(shop: Shop, order_ref: str, **changes: Any) -> str:
    """A paid order whose page was opened; answers the offer's token."""
    shop.pay(order_ref, **changes)
    return shop.token(order_ref)


def decide(shop: Shop, count: int) -> None:
    """Decisions without their orders, all of the same moment."""
    now = shop.clock()
    rows = [
        {
            "id": f"{number:032x}",
            "account": "",
            "order_ref": f"many-{number}",
            "placement": "thank_you",
            "step": 0,
            "outcome": "offered",
            "reason": "chosen",
            "arm": "treatment",
            "sku": "mug",
            "quantity": 1,
            "currency": "gbp",
            "total_minor": 1161,
            "candidates": [],
            "snapshot": {"title": "Enamel mug"},
            "model_version": "fixed",
            "latency_us": 1,
            "decided_at": now,
            "expires_at": now + timedelta(minutes=30),
            "shown_at": now,
        }
        for number in range(count)
    ]
    with shop.rt.db.write() as connection:
        connection.execute(sa.insert(decisions), rows)


def test_every_road_an_offer_can_take_is_counted_once(any_shop: Shop) -> None:
    shop = any_shop
    offer(shop, "unseen")
    shop.post(offer(shop, "seen"), "shown")
    shop.post(offer(shop, "no"), "decline")
    shop.accept(offer(shop, "yes"))
    shop.accept(offer(shop, "bank-no", card=DECLINES_NEXT))
    shop.accept(offer(shop, "check", card=CHECKS_ALWAYS))
    token = offer(shop, "undone")
    shop.accept(token)
    shop.post(token, "undo")
    shop.pay("cardless", intent=shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None))
    shop.page("cardless")

    told = report(shop)

    [funnel] = told.funnels
    assert funnel.counts == {Step.ELIGIBLE: 7, Step.SHOWN: 6, Step.ACCEPTED: 4, Step.CHARGED: 2, Step.KEPT: 1}
    assert funnel.leaks == {
        Leak.NOT_SEEN: 1,
        Leak.OPEN: 1,
        Leak.DECLINED: 1,
        Leak.BANK_SAID_NO: 1,
        Leak.IN_CHECK: 1,
        Leak.UNDONE: 1,
    }
    assert (funnel.gross, funnel.refunded, funnel.net) == (
        Money(2322, "gbp"),
        Money(1161, "gbp"),
        Money(1161, "gbp"),
    )
    assert (funnel.conversion_rate, funnel.kept_rate) == (Rate(4, 6), Rate(1, 6))
    assert told.without_offer == [(Outcome.INELIGIBLE, Reason.PAYMENT_METHOD_NOT_SAVED, 1)]


def test_what_was_left_open_is_counted_by_how_it_ended(any_shop: Shop) -> None:
    shop = any_shop
    shop.post(offer(shop, "seen"), "shown")
    shop.accept(offer(shop, "bank-no", card=DECLINES_NEXT))
    shop.accept(offer(shop, "check", card=CHECKS_ALWAYS))

    shop.clock.advance(hours=2)
    shop.sweep()

    [funnel] = report(shop).funnels
    assert funnel.leaks == {Leak.EXPIRED: 1, Leak.BANK_SAID_NO: 1, Leak.CHECK_ABANDONED: 1}


def test_the_whole_report_is_three_statements(any_shop: Shop) -> None:
    shop = any_shop
    shop.accept(offer(shop, "1042"))
    with statements(shop) as sent:
        report(shop, order_ref="1042")
    assert len(sent) == 3


def test_the_holdout_is_eligible_and_not_shown(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=50)
    for number in range(20):
        shop.pay(str(number), customer_ref=f"c-{number}")
        shop.page(str(number))
    held_out = sum(row["outcome"] == "held_out" for row in shop.rows("decisions"))
    assert 0 < held_out < 20

    [funnel] = report(shop).funnels

    assert (funnel.counts[Step.ELIGIBLE], funnel.held_out) == (20, held_out)


def test_a_partial_refund_leaves_the_order_kept_and_lowers_net(shop: Shop) -> None:
    shop.accept(offer(shop, "1042"))
    [charge] = shop.rows("charges")
    with shop.rt.db.write() as connection:
        connection.execute(
            sa.insert(refunds).values(
                charge_id=charge["id"],
                seq=1,
                amount_minor=200,
                currency="gbp",
                cause="merchant",
                actor="stripe",
                status="succeeded",
                refund_ref="re_partial",
                requested_at=shop.clock(),
                settled_at=shop.clock(),
            )
        )

    told = report(shop)

    [funnel] = told.funnels
    assert (funnel.counts[Step.KEPT], funnel.net) == (1, Money(961, "gbp"))
    [entry] = told.entries
    assert (entry.refunded, entry.left, entry.refundable) == (Money(200, "gbp"), Money(961, "gbp"), True)


def test_each_currency_has_a_funnel_of_its_own(shop: Shop) -> None:
    with shop.app.app_context():
        shop.encore.catalog.upsert(
            [Product(sku="tea", title="Tee", price=Money(900, "eur"), stock=None, category="Tea")]
        )
    shop.accept(offer(shop, "pounds"))
    shop.accept(offer(shop, "euros", total=Money(4000, "eur")))

    found = {funnel.currency: funnel.gross for funnel in report(shop).funnels}

    assert found == {"gbp": Money(1161, "gbp"), "eur": Money(810, "eur")}


def test_seven_days_begin_at_midnight_in_the_shops_zone(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_TIME_ZONE="America/New_York")
    # Monday noon UTC is Monday morning in New York; six days before is Tuesday, 24 February, 05:00 UTC.
    assert Period.WEEK.begins(shop.rt) == datetime(2026, 2, 24, 5, tzinfo=UTC)
    assert Period.ALL.begins(shop.rt) is None


def test_an_order_of_the_day_before_the_period_is_not_counted_but_can_be_found(shop: Shop) -> None:
    shop.accept(offer(shop, "old"))
    shop.clock.advance(days=7)

    week = report(shop, Period.WEEK)
    assert (week.funnels, week.entries) == ([], [])
    assert [entry.order_ref for entry in report(shop, Period.WEEK, order_ref="old").entries] == ["old"]
    assert len(report(shop, Period.MONTH).funnels) == 1


def test_the_list_pages_by_fifty_without_losing_or_repeating_one(any_shop: Shop) -> None:
    shop = any_shop
    decide(shop, 101)

    seen: list[str] = []
    after = None
    lengths = []
    while True:
        told = report(shop, after=after)
        lengths.append(len(told.entries))
        seen += [entry.order_ref for entry in told.entries]
        if told.older is None:
            break
        after = order_list.place_of(told.older)
        assert after is not None

    assert lengths == [50, 50, 1]
    assert len(set(seen)) == 101


@pytest.mark.parametrize(
    "cursor",
    ["banana", "-1-abc", "12", "1e3-abc", "1-ABC", "9" * 17 + "-a", "1-a'; --", "٣-a", "1-" + "a" * 33],
)
def test_a_forged_cursor_is_nowhere(cursor: str) -> None:
    assert order_list.place_of(cursor) is None


def test_a_handler_that_raises_is_shown_with_its_words(shop: Shop) -> None:
    @shop.encore.on("charge_succeeded")
    def broken(_event: Any) -> None:
        raise RuntimeError("warehouse closed")

    shop.accept(offer(shop, "1042"))
    shop.sweep()

    told = report(shop)

    [entry] = told.entries
    assert entry.stuck is not None
    assert (entry.stuck.kind, entry.stuck.attempts, entry.stuck.error) == (
        "charge_succeeded",
        1,
        "RuntimeError: warehouse closed",
    )
    assert told.stuck_messages == 1


def test_a_quarantined_charge_is_counted_flagged_and_not_refundable(shop: Shop) -> None:
    shop.accept(offer(shop, "1042"))
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch'"))

    told = report(shop)

    assert told.quarantined == 1
    assert [(entry.quarantine_reason, entry.refundable) for entry in told.entries] == [("amount_mismatch", False)]


def test_another_accounts_rows_are_not_told(shop: Shop) -> None:
    shop.accept(offer(shop, "1042"))
    with shop.rt.db.write() as connection:
        for table in ("orders", "decisions", "charges"):
            connection.execute(sa.text(f"UPDATE encore_{table} SET account = 'acct_other'"))

    told = report(shop, order_ref="1042")

    assert (told.funnels, told.entries, told.any_order, told.any_decision, told.order_known) == (
        [],
        [],
        False,
        False,
        False,
    )


def test_an_order_whose_page_was_never_opened_is_known_but_undecided(shop: Shop) -> None:
    shop.pay("1042")
    told = report(shop, order_ref="1042")
    assert (told.order_known, told.entries, told.any_order, told.any_decision) == (True, [], True, False)


def test_what_needs_somebody_can_be_listed_alone_however_old(any_shop: Shop) -> None:
    shop = any_shop

    @shop.encore.on("charge_succeeded")
    def broken(event: Any) -> None:
        if event.order_ref == "stuck":
            raise RuntimeError("no")

    for order_ref in ("fine", "stuck", "odd"):
        shop.accept(offer(shop, order_ref))
    shop.sweep()
    with shop.rt.db.write() as connection:
        connection.execute(
            sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch' WHERE order_ref = 'odd'")
        )
    shop.clock.advance(days=400)

    told = report(shop, Period.WEEK, needing_somebody=True)

    assert sorted(entry.order_ref for entry in told.entries) == ["odd", "stuck"]
