"""What is over is forgotten as the merchant set it; no figure, no charge and nothing unfinished is touched by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from conftest import Shop
from money import Crash, charge_row, charged, crash_after, deliver, events, heal, offered, pass_time
from receivers import Receiver, add, receiver

from flask_encore.cli import cli
from flask_encore.domain.days import Days
from flask_encore.services import (
    campaign_figures,
    customer_figures,
    hooking,
    reporting,
    retention,
    sending,
    shop_settings,
    today,
    uplift,
    working,
)
from flask_encore.services.customer_figures import Span
from flask_encore.services.reporting import Period
from flask_encore.services.retention import Purged
from flask_encore.services.shop_settings import Overrides
from flask_encore.store import models
from flask_encore.store import retention as table

#: Reached only when a test fails.
PATIENCE = 20.0


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    """The merchant's system; it takes everything."""
    with receiver() as made:
        yield made


def keep(shop: Shop, days: int | None) -> None:
    shop_settings.change(shop.rt, actor="ana", wanted=Overrides(retention_days=days))


def none(**others: int) -> Purged:
    return Purged(**{"decisions": 0, "deliveries": 0, "messages": 0, "events": 0, "answers": 0} | others)


def details(shop: Shop) -> dict[str, tuple[bool, bool]]:
    """order_ref -> whether its decision still has candidates, and a trace."""
    with shop.rt.db.read() as connection:
        rows = connection.execute(
            sa.select(models.decisions.c.order_ref, models.decisions.c.candidates, models.decisions.c.trace)
        )
        return {row.order_ref: (bool(row.candidates), bool(row.trace)) for row in rows}


def everything_counted(shop: Shop) -> list[Any]:
    """Every report there is, as of now."""
    report = reporting.report(shop.rt, period=Period.ALL)
    return [
        repr(report),
        repr(today.today(shop.rt, Days())),
        repr(customer_figures.report(shop.rt, span=next(iter(Span)))),
        repr(campaign_figures.figures(shop.rt)),
        repr(uplift.uplifts(shop.rt)),
        shop.rows("charges"),
        shop.rows("orders"),
        shop.rows("refunds"),
    ]


def run(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(cli, list(words))


def busy_shop(shop: Shop) -> None:
    """A month of everything: sold, refunded, declined, not eligible, not answered."""
    charged(shop, "sold", customer_ref="c-1")
    token = charged(shop, "undone", customer_ref="c-2")
    shop.post(token, "undo")
    shop.post(offered(shop, "declined", customer_ref="c-3"), "decline")
    offered(shop, "expired", customer_ref="c-4")
    shop.pay("bare", intent=shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None))
    shop.page("bare")
    heal(shop)


# What goes


def test_while_nothing_is_set_everything_is_kept(any_shop: Shop) -> None:
    busy_shop(any_shop)
    any_shop.clock.advance(days=3000)
    before = [any_shop.rows(name) for name in ("decisions", "outbox", "events")]

    assert retention.due(any_shop.rt) == retention.purge(any_shop.rt) == none()
    assert [any_shop.rows(name) for name in ("decisions", "outbox", "events")] == before


def test_details_go_when_they_are_old_enough_and_not_a_moment_before(any_shop: Shop) -> None:
    offered(any_shop)
    keep(any_shop, 30)
    any_shop.clock.advance(days=30)
    assert retention.due(any_shop.rt) == retention.purge(any_shop.rt) == none()
    assert details(any_shop) == {"1042": (True, True)}

    any_shop.clock.advance(microseconds=1)
    assert retention.due(any_shop.rt) == retention.purge(any_shop.rt) == none(decisions=1)
    assert details(any_shop) == {"1042": (False, False)}


def test_every_report_is_the_same_before_and_after(any_shop: Shop) -> None:
    shop = any_shop
    busy_shop(shop)
    keep(shop, 30)
    shop.clock.advance(days=40)
    shop.sweep()
    before = everything_counted(shop)

    purged = retention.purge(shop.rt)

    assert purged.decisions == 5
    assert purged.messages == len(shop.delivered) == 4
    assert everything_counted(shop) == before


def test_a_purge_leaves_the_marks_of_the_reports_alone(any_shop: Shop) -> None:
    charged(any_shop)
    heal(any_shop)
    keep(any_shop, 30)
    any_shop.clock.advance(days=40)
    with any_shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_decisions SET counted_at = 7"))
    assert retention.purge(any_shop.rt).decisions == 1
    assert [row["counted_at"] for row in any_shop.rows("decisions")] == [7]


def test_the_dry_run_counts_what_the_purge_takes(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    add(shop, endpoint.url)
    busy_shop(shop)
    sending.send(shop.rt, patience_seconds=PATIENCE)
    for kind in ("payment_intent.succeeded", "charge.refunded"):
        for event in events(shop, kind):
            deliver(shop, event)
    keep(shop, 30)
    shop.clock.advance(days=31)
    deliver(shop, {**events(shop, "payment_intent.succeeded")[0], "id": "evt_today"})

    rows = {name: len(shop.rows(name)) for name in ("webhook_deliveries", "outbox", "events", "decisions")}
    due = retention.due(shop.rt)

    assert due == retention.purge(shop.rt)
    assert (due.decisions, due.deliveries, due.messages) == (5, rows["webhook_deliveries"], rows["outbox"])
    assert due.events == rows["events"] - 1 > 0
    assert (shop.rows("webhook_deliveries"), shop.rows("outbox")) == ([], [])
    assert [row["event_id"] for row in shop.rows("events")] == ["evt_today"]
    assert len(shop.rows("decisions")) == rows["decisions"]
    assert retention.due(shop.rt) == retention.purge(shop.rt) == none()


def test_what_the_api_answered_is_kept_for_a_day_whatever_is_set(any_shop: Shop) -> None:
    now = any_shop.clock()
    with any_shop.rt.db.write() as connection:
        for key, age in (("old", timedelta(days=1, seconds=1)), ("new", timedelta(days=1))):
            connection.execute(
                sa.insert(models.api_answers).values(
                    token_id="t", idempotency_key=key, fingerprint="f", created_at=now - age
                )
            )
    assert retention.due(any_shop.rt) == retention.purge(any_shop.rt) == none(answers=1)
    assert [row["idempotency_key"] for row in any_shop.rows("api_answers")] == ["new"]


def test_the_newest_event_of_stripes_stays_so_that_health_knows_when_it_was_heard(any_shop: Shop) -> None:
    charged(any_shop)
    deliver(any_shop, events(any_shop, "payment_intent.succeeded")[-1])
    keep(any_shop, 30)
    any_shop.clock.advance(days=400)
    assert retention.purge(any_shop.rt).events == 0
    assert len(any_shop.rows("events")) == 1


# What is not over


@pytest.mark.parametrize(
    "unfinished",
    [
        "status = 'unknown'",
        "status = 'processing'",
        "status = 'action_required'",
        "status = 'failed'",
        "status = 'refunding'",
        "status = 'disputed'",
        "hold_released_at = NULL",
        "next_run_at = 1",
        "quarantine_reason = 'amount_mismatch'",
    ],
)
def test_a_charge_somebody_has_still_to_do_with_keeps_everything(any_shop: Shop, unfinished: str) -> None:
    shop = any_shop
    charged(shop)
    heal(shop)
    keep(shop, 30)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text(f"UPDATE encore_charges SET {unfinished}"))
    shop.clock.advance(days=400)
    before = [shop.rows(name) for name in ("decisions", "charges", "outbox")]

    assert retention.due(shop.rt) == retention.purge(shop.rt) == none()
    assert [shop.rows(name) for name in ("decisions", "charges", "outbox")] == before


def test_the_same_charge_when_it_is_over_loses_its_details(any_shop: Shop) -> None:
    charged(any_shop)
    heal(any_shop)
    keep(any_shop, 30)
    any_shop.clock.advance(days=400)
    assert retention.purge(any_shop.rt) == none(decisions=1, messages=2)


def test_a_quarantined_charge_that_was_reviewed_is_over(any_shop: Shop) -> None:
    charged(any_shop)
    heal(any_shop)
    keep(any_shop, 30)
    with any_shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch', reviewed_at = 1"))
    any_shop.clock.advance(days=400)
    assert retention.purge(any_shop.rt).decisions == 1


def test_an_offer_that_is_still_open_keeps_its_details(any_shop: Shop) -> None:
    offered(any_shop)
    keep(any_shop, 30)
    with any_shop.rt.db.write() as connection:
        connection.execute(sa.update(models.decisions).values(expires_at=any_shop.clock() + timedelta(days=41)))
    any_shop.clock.advance(days=40)
    assert retention.purge(any_shop.rt) == none()
    assert details(any_shop) == {"1042": (True, True)}


def test_messages_nobody_took_and_deliveries_that_were_given_up_stay(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url)
    charged(shop)
    heal(shop)
    sending.send(shop.rt, patience_seconds=PATIENCE)
    keep(shop, 30)
    with shop.rt.db.write() as connection:
        connection.execute(
            sa.text(
                "UPDATE encore_webhook_deliveries SET status = 'failed', delivered_at = NULL "
                "WHERE id = (SELECT MIN(id) FROM encore_webhook_deliveries)"
            )
        )
    shop.clock.advance(days=400)

    assert retention.purge(shop.rt) == none(decisions=1, deliveries=1, messages=1)

    [left] = hooking.deliveries(shop.rt, webhook_id=webhook.id)
    assert left.kind == "charge_succeeded"
    hooking.replay(shop.rt, left.id, actor="ana")
    sending.send(shop.rt, patience_seconds=PATIENCE)
    assert [request.json["type"] for request in endpoint.requests][-1] == "charge_succeeded"


def test_a_message_an_endpoint_was_not_asked_about_yet_stays(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url)
    charged(shop)
    heal(shop)
    keep(shop, 30)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_outbox SET hooked_at = NULL"))
    shop.clock.advance(days=400)
    assert retention.due(shop.rt).messages == 0

    hooking.pause(shop.rt, webhook.id, actor="ana")
    assert retention.due(shop.rt).messages == 2


def test_stripe_sending_an_event_again_after_its_id_is_gone_changes_nothing(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop)
    [event] = events(shop, "payment_intent.succeeded")[-1:]
    deliver(shop, event)
    heal(shop)
    keep(shop, 30)
    shop.clock.advance(days=31)
    deliver(shop, {**event, "id": "evt_newer"})
    assert retention.purge(shop.rt).events == 1
    before = shop.rows("charges")
    told = len(shop.delivered)

    assert deliver(shop, event)[0] == 200
    heal(shop)
    assert shop.rows("charges") == before
    assert len(shop.delivered) == told


# In batches


def test_a_purge_that_is_killed_goes_on_where_it_stopped(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        offered(any_shop, str(number))
        any_shop.clock.advance(seconds=1)
    keep(any_shop, 30)
    any_shop.clock.advance(days=40)
    monkeypatch.setattr(retention, "BATCH", 2)
    crash_after(monkeypatch, table, "next_details")
    with pytest.raises(Crash):
        retention.purge(any_shop.rt)
    assert retention.due(any_shop.rt).decisions == 5

    assert retention.purge(any_shop.rt, batches=1) == none(decisions=2, is_all=False)
    assert sorted(details(any_shop).items())[:3] == [
        ("0", (False, False)),
        ("1", (False, False)),
        ("2", (True, True)),
    ]
    assert retention.purge(any_shop.rt) == none(decisions=3)


def test_the_worker_purges_once_an_hour_and_goes_on_until_nothing_is_left(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    for number in range(3):
        offered(shop, str(number))
    keep(shop, 30)
    shop.clock.advance(days=40)
    monkeypatch.setattr(retention, "BATCH", 1)
    monkeypatch.setattr(retention, "ROUND", 2)

    working.work_once(shop.rt)
    assert retention.due(shop.rt).decisions == 1
    working.work_once(shop.rt)
    assert retention.due(shop.rt).decisions == 0
    assert retention.tend(shop.rt) is None

    shop.clock.advance(minutes=60)
    assert retention.tend(shop.rt) == none()


def test_a_purge_that_fails_costs_the_worker_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(table, "purge_answers", broken)
    charged(shop)
    pass_time(shop, 31)
    working.work_once(shop.rt)
    assert charge_row(shop)["hold_released_at"] is not None
    assert "old details could not be purged" in caplog.text
    assert shop.rt.counts["purge_failed"] == 1


# What is said of it


def test_explain_says_in_one_sentence_that_the_details_are_gone(any_shop: Shop) -> None:
    charged(any_shop)
    heal(any_shop)
    keep(any_shop, 30)
    any_shop.clock.advance(days=40)
    retention.purge(any_shop.rt)

    told = run(any_shop, "explain", "1042").output.splitlines()

    assert told[1:] == [
        "  offered: The best candidate passed every filter.",
        "  Enamel mug, 11.61 GBP, by the built-in offer",
        "  accepted; the charge: succeeded",
        "  made again from the log: not possible, its details were purged: the shop does not keep them for so long",
    ]
    [one] = json.loads(run(any_shop, "explain", "1042", "--json").output)["decisions"]
    assert (one["is_purged"], one["is_reproduced"], one["candidates"], one["asked"]) == (True, None, [], [])


def test_the_pages_of_a_purged_order_are_still_there(any_shop: Shop) -> None:
    charged(any_shop)
    heal(any_shop)
    keep(any_shop, 30)
    any_shop.clock.advance(days=31)
    assert retention.purge(any_shop.rt).decisions == 1

    client = any_shop.app.test_client()
    for path in ("/thanks/1042", "/encore/dashboard/orders/1042", "/encore/dashboard/", "/encore/dashboard/orders/"):
        assert client.get(path).status_code == 200


def test_the_command_counts_first_and_purges_then(any_shop: Shop) -> None:
    charged(any_shop)
    heal(any_shop)
    keep(any_shop, 30)
    any_shop.clock.advance(days=40)

    assert run(any_shop, "purge", "--dry-run").output.splitlines() == [
        "Details are kept for 30 days.",
        "would go: 1 decisions without their candidates and trace",
        "would go: 0 deliveries of webhooks",
        "would go: 2 messages of the outbox",
        "would go: 0 ids of Stripe's events",
        "would go: 0 answers of the API",
    ]
    assert details(any_shop) == {"1042": (True, True)}
    assert json.loads(run(any_shop, "purge", "--json").output) == {
        "dry_run": False,
        "retention_days": 30,
        "decisions": 1,
        "deliveries": 0,
        "messages": 2,
        "events": 0,
        "answers": 0,
    }
    assert details(any_shop) == {"1042": (False, False)}


def test_the_command_says_when_details_are_kept_for_ever(shop: Shop) -> None:
    assert run(shop, "purge").output.splitlines()[0] == "Details are kept for ever; nothing of them goes."
