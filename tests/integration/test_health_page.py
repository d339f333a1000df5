"""The health page: one line for each thing, its fix, and a sentence that sums it up; and the alarms on real rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from dashboard_pages import get, guarded, sold, text_of
from exposition_grammar import grammatical
from money import statements

from flask_encore.domain.alarms import Counted, Verdict
from flask_encore.domain.rights import Actor, Right
from flask_encore.services import alarms, doctoring
from flask_encore.services.alarms import Watched
from flask_encore.store.models import charges, decisions

HEALTH = "/encore/dashboard/health"


def answered(shop: Shop, *, at: datetime, seen: int, accepted: int = 0, refused: int = 0, late: bool = False) -> None:
    """So many offers decided and seen *at* a moment; of the accepted ones the bank refused some."""
    number = len(shop.rows("decisions"))
    made: dict[str, list[dict[str, Any]]] = {"decisions": [], "charges": []}
    for i in range(seen):
        id, taken = f"{number + i:032x}", i < accepted
        made["decisions"].append(
            {
                **{"id": id, "account": "", "order_ref": id, "placement": "thank_you", "step": 0},
                **{"outcome": "offered", "reason": "chosen", "arm": "treatment", "sku": "mug", "quantity": 1},
                **{"currency": "gbp", "total_minor": 1_161, "candidates": [], "snapshot": {}, "model_version": ""},
                **{"latency_us": 1, "decided_at": at, "expires_at": at + timedelta(minutes=30), "shown_at": at},
            }
        )
        if taken:
            status = "failed" if i < refused else "succeeded"
            moment = at + timedelta(hours=2 if late else 0)
            made["charges"].append(
                {
                    **{"id": id, "account": "", "order_ref": id, "placement": "thank_you", "step": 0, "sku": "mug"},
                    **{"quantity": 1, "amount_minor": 1_161, "currency": "gbp", "customer_ref": "cus_1"},
                    **{"payment_method_ref": "pm_1", "payment_method_type": "card", "card_brand": "visa"},
                    **{"card_last4": "4242", "status": status, "payment_intent_ref": f"pi_{id}", "attempt": 1},
                    **{"epoch": 0, "failure_code": "card_declined" if i < refused else "", "consent_version": "1"},
                    **{"snapshot": {}, "accepted_at": moment, "expires_at": moment, "charged_at": moment},
                    **{"quarantine_reason": "", "tries": 0, "updated_at": moment, "hold_released_at": moment},
                }
            )
    with shop.rt.db.write() as connection:
        connection.execute(sa.insert(decisions), made["decisions"])
        if made["charges"]:
            connection.execute(sa.insert(charges), made["charges"])


def month_of(shop: Shop) -> None:
    """Four healthy weeks: 600 offers seen, 300 accepted, 30 refused by a bank; the newest two days ago."""
    for days in (3, 9, 20):
        answered(shop, at=shop.clock() - timedelta(days=days), seen=200, accepted=100, refused=10)


# The page


def test_an_empty_shop_is_told_what_to_do_first(shop: Shop) -> None:
    told = text_of(get(shop, HEALTH))
    assert "Nothing is broken; 3 things want a look." in told
    assert "Fine Charges 0, none needs anybody" in told
    assert "Look Sweeper never ran Run 'flask encore work'" in told
    assert "Look Orders none was recorded yet Call encore.order_paid" in told
    assert "0 of 0 in the last day, 0 of 0 in the 28 before; too few to compare (30 and 300 are needed)" in told


def test_a_shop_that_lacks_nothing_is_fine(any_shop: Shop) -> None:
    sold(any_shop)
    any_shop.clock.advance(minutes=31)
    any_shop.sweep()
    with any_shop.rt.db.write() as connection:
        connection.execute(
            sa.text("INSERT INTO encore_events VALUES ('', 'evt_1', 'x', 'pi_1', 'ignored', :now)"),
            {"now": int(any_shop.clock().timestamp() * 1e6)},
        )
    told = text_of(get(any_shop, HEALTH))
    assert "Everything is fine." in told
    assert "Fine Worker runs in another process" in told
    assert "Fine Tables at revision 0005" in told


def test_what_is_broken_comes_first_with_its_fix_and_a_way_there(any_shop: Shop) -> None:
    shop = any_shop

    @shop.encore.on("charge_succeeded")
    def broken(event: Any) -> None:
        raise RuntimeError("closed")

    sold(shop, "1042")
    sold(shop, "1043")
    shop.sweep()
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_charges SET quarantine_reason = 'x' WHERE order_ref = '1042'"))
        connection.execute(sa.text("UPDATE encore_charges SET status = 'unknown' WHERE order_ref = '1043'"))
    shop.clock.advance(minutes=16)

    page = get(shop, HEALTH)
    told = text_of(page)

    assert told.index("2 things are broken, and 3 things want a look.") < told.index(
        "Broken Unknown charges 1, the oldest accepted 16 minutes ago"
    )
    assert "Broken Quarantine 1: Stripe and Encore disagree" in told
    assert "Look Events 2 wait for your handlers" in told
    assert 'href="/encore/dashboard/orders/?only=needing-somebody"' in page.text


def test_the_page_asks_stripe_nothing_and_costs_no_more_for_more_orders(shop: Shop) -> None:
    costs, asked = [], []
    for number in range(2):
        for _ in range(1 + 5 * number):
            shop.pay(f"o{len(shop.rows('orders'))}")
            shop.page(f"o{len(shop.rows('orders')) - 1}")
        before = len(shop.stripe.intents())
        shop.clock.advance(minutes=6)
        with statements(shop) as log:
            get(shop, HEALTH)
        costs.append(len(log))
        asked.append(len(shop.stripe.intents()) - before)
    assert costs[0] == costs[1]
    assert asked == [0, 0]


def test_without_tables_the_page_says_how_to_make_them(make_shop: ShopFactory) -> None:
    response = get(make_shop(upgrade=False), HEALTH)
    assert (response.status_code, "flask encore db upgrade" in response.text) == (503, True)


def test_who_may_look_may_see_it(shop: Shop) -> None:
    guarded(shop, lambda: Actor("ben", frozenset({Right.READ})))
    assert get(shop, HEALTH).status_code == 200
    guarded(shop, lambda: None)
    assert get(shop, HEALTH).status_code == 403


def test_the_doctor_names_the_quarantine_and_the_tool(shop: Shop) -> None:
    sold(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch'"))
    [found] = [one for one in doctoring.examine(shop.rt, guarded=True) if one.subject == "quarantine"]
    assert (found.severity, "what needs somebody" in found.fix) == ("problem", True)


# The alarms


def test_banks_that_refuse_more_than_before_are_an_alarm(any_shop: Shop) -> None:
    shop = any_shop
    month_of(shop)
    answered(shop, at=shop.clock() - timedelta(hours=5), seen=80, accepted=40, refused=20)

    alarm = alarms.alarms(shop.rt).found[Watched.BANK_SAID_NO]

    assert (alarm.recent, alarm.before) == (Counted(trials=40, bad=20), Counted(trials=300, bad=30))
    assert alarm.verdict is Verdict.WORSE
    told = text_of(get(shop, HEALTH))
    assert (
        "Broken Bank refusals charges refused by the bank: 20 of 40 (50.0%) in the last day, 30 of 300 (10.0%)" in told
    )
    assert "Fine Acceptance offers seen and not accepted: 40 of 80 (50.0%)" in told


def test_shoppers_who_stop_saying_yes_are_an_alarm(any_shop: Shop) -> None:
    month_of(any_shop)
    answered(any_shop, at=any_shop.clock() - timedelta(hours=5), seen=80, accepted=10)
    found = alarms.alarms(any_shop.rt).found
    assert [found[one].verdict for one in (Watched.NOT_ACCEPTED, Watched.BANK_SAID_NO)] == [
        Verdict.WORSE,
        Verdict.TOO_FEW,
    ]


def test_the_last_hour_is_left_out_and_a_late_yes_counts_in_neither_period(any_shop: Shop) -> None:
    shop = any_shop
    now = shop.clock()
    answered(shop, at=now - timedelta(minutes=59), seen=7)
    answered(shop, at=now - timedelta(hours=1, seconds=1), seen=5, accepted=2)
    answered(shop, at=now - timedelta(hours=24, minutes=59), seen=3, accepted=3, late=True)
    answered(shop, at=now - timedelta(hours=25), seen=2, accepted=1)
    answered(shop, at=now - timedelta(hours=25, seconds=1), seen=11)
    answered(shop, at=now - timedelta(days=29, hours=1), seen=13)
    answered(shop, at=now - timedelta(days=29, hours=1, seconds=1), seen=17)

    alarm = alarms.alarms(shop.rt).found[Watched.NOT_ACCEPTED]

    assert (alarm.recent, alarm.before) == (Counted(trials=10, bad=7), Counted(trials=24, bad=24))


def test_a_monitor_reads_the_same_alarms(shop: Shop) -> None:
    month_of(shop)
    answered(shop, at=shop.clock() - timedelta(hours=5), seen=80, accepted=10)
    told = grammatical(get(shop, "/encore/metrics").text)
    assert {series: value for series, value in told.items() if series.startswith("encore_alarm")} == {
        'encore_alarm{alarm="not_accepted"}': "1",
        'encore_alarm_trials{alarm="bank_said_no",period="day"}': "10",
        'encore_alarm_trials{alarm="bank_said_no",period="before"}': "300",
        'encore_alarm_trials{alarm="not_accepted",period="day"}': "80",
        'encore_alarm_trials{alarm="not_accepted",period="before"}': "600",
        'encore_alarm_bad{alarm="bank_said_no",period="day"}': "0",
        'encore_alarm_bad{alarm="bank_said_no",period="before"}': "30",
        'encore_alarm_bad{alarm="not_accepted",period="day"}': "70",
        'encore_alarm_bad{alarm="not_accepted",period="before"}': "300",
    }


@pytest.mark.parametrize(("minutes", "counted"), [(4, 0), (5, 7)])
def test_a_process_counts_anew_after_five_minutes(shop: Shop, minutes: int, counted: int) -> None:
    assert alarms.alarms(shop.rt).found[Watched.NOT_ACCEPTED].recent.trials == 0
    answered(shop, at=shop.clock() - timedelta(hours=5), seen=7)
    shop.clock.advance(minutes=minutes)
    assert alarms.alarms(shop.rt).found[Watched.NOT_ACCEPTED].recent.trials == counted
