"""What offers added, against a recount of the rows, customer by customer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import START, Shop, ShopFactory
from purchases import handed_over, line

from flask_encore.domain.assignment import Arm
from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.days import Days
from flask_encore.domain.moments import Customer, Moments
from flask_encore.services import uplift
from flask_encore.services.today import today
from flask_encore.store import moment_reports
from flask_encore.store.models import charges, decisions, history_lines, orders, refunds

DAY = timedelta(days=1)


def world(shop: Shop, seed: int, people: int = 40) -> None:
    """Customers and guests with orders in two currencies, before the holdout and since, a part of them imported."""
    dice = Random(seed)
    rows: dict[sa.Table, list[dict[str, Any]]] = {
        table: [] for table in (orders, decisions, charges, refunds, history_lines)
    }
    for number in range(people):
        who = None if dice.random() < 0.2 else f"c-{number}"
        arm = Arm.HOLDOUT if dice.random() < 0.3 else Arm.TREATMENT
        for place in range(dice.randint(1, 4) if who else 1):
            ref, at = f"{seed}-{number}-{place}", START - dice.random() * 60 * DAY
            currency = dice.choice(["gbp", "gbp", "eur"])
            if who and dice.random() < 0.2:
                rows[history_lines].append(line(ref, at, who, currency=currency, quantity=dice.randint(1, 3)))
                continue
            order = handed_over(ref, at, who, currency=currency, total_minor=dice.randint(100, 9_000))
            rows[orders].append(order)
            if dice.random() < 0.2:
                rows[history_lines].append(line(ref, at, who, currency=currency))
            _decide(dice, rows, order, arm)
    with shop.rt.db.write() as connection:
        for table, found in rows.items():
            for row in found:
                connection.execute(sa.insert(table).values(row))


def _decide(dice: Random, rows: dict[sa.Table, list[dict[str, Any]]], order: dict[str, Any], arm: Arm) -> None:
    for step in range(dice.choice([0, 1, 1, 2])):
        id = f"{order['order_ref']}-{step}".replace("-", "")
        offered = arm is Arm.TREATMENT
        at = order["placed_at"] + timedelta(seconds=5 + step)
        same = {
            "id": id,
            "account": "",
            "order_ref": order["order_ref"],
            "placement": "thank_you",
            "step": step,
            "sku": "mug",
            "quantity": 1,
            "currency": order["currency"],
            "snapshot": {},
            "expires_at": at,
        }
        rows[decisions].append(
            same
            | {
                "outcome": "offered" if offered else "held_out",
                "reason": "chosen" if offered else "holdout",
                "arm": arm.value,
                "customer_ref": order["customer_ref"],
                "total_minor": 500,
                "candidates": [],
                "model_version": "fixed",
                "latency_us": 1,
                "decided_at": at,
                "holdout_bp": dice.choice([3_000, 3_000, 3_000, None, 1_000]),
                "exposures": dice.choice([None, {"blue": "A"}, {"blue": "B"}]),
            }
        )
        if not offered or dice.random() < 0.4:
            continue
        status = dice.choice([ChargeStatus.SUCCEEDED, ChargeStatus.SUCCEEDED, *ChargeStatus])
        paid = status in {"succeeded", "refunding", "refunded", "disputed"}
        rows[charges].append(
            same
            | {
                "amount_minor": 500,
                "customer_ref": "cus_1",
                "payment_method_ref": "pm_1",
                "payment_method_type": "card",
                "card_brand": "visa",
                "card_last4": "4242",
                "status": status.value,
                "payment_intent_ref": f"pi_{id}",
                "attempt": 1,
                "epoch": 0,
                "failure_code": "",
                "consent_version": "en-1",
                "accepted_at": at,
                "charged_at": at if paid else None,
                "quarantine_reason": "",
                "tries": 0,
                "updated_at": at,
            }
        )
        if paid and dice.random() < 0.3:
            rows[refunds].append(
                {
                    "charge_id": id,
                    "seq": 1,
                    "amount_minor": dice.choice([100, 900]),
                    "currency": order["currency"],
                    "cause": "merchant",
                    "actor": "merchant",
                    "status": dice.choice(["succeeded", "failed", "pending"]),
                    "requested_at": at,
                }
            )


def recounted(shop: Shop, *, variant: str | None, bp: int | None) -> dict[tuple[str, str], list[Customer]]:
    """(arm, currency) -> its customers, from the rows alone."""
    paid = {row["order_ref"]: row for row in shop.rows("orders")}
    scope: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in sorted(shop.rows("decisions"), key=lambda row: (row["decided_at"], row["id"])):
        arm = row["arm"] if variant is None else _exposure(row, variant)
        share = 3_000 if row["holdout_bp"] is None else row["holdout_bp"]
        if row["outcome"] in {"offered", "held_out"} and arm and bp in {None, share}:
            subject = row["customer_ref"] or ("guest", row["order_ref"])
            scope.setdefault((subject, row["currency"]), []).append(row | {"of": arm})
    found: dict[tuple[str, str], list[Customer]] = {}
    for (_, currency), rows in scope.items():
        refs = {row["order_ref"] for row in rows}
        first = min(refs, key=lambda ref: (paid[ref]["placed_at"], ref))
        theirs = list(_kept(shop, refs))
        found.setdefault((rows[0]["of"], currency), []).append(
            Customer(
                orders=len(refs),
                value=sum(paid[ref]["total_minor"] for ref in refs) + sum(theirs),
                before=paid[first]["total_minor"],
                bought=bool(theirs),
            )
        )
    return found


def _exposure(row: dict[str, Any], ref: str) -> str | None:
    import json

    told = row["exposures"]
    told = json.loads(told) if isinstance(told, str) else told
    return (told or {}).get(ref)


def _kept(shop: Shop, refs: set[str]) -> Iterator[int]:
    back: dict[str, int] = {}
    for row in shop.rows("refunds"):
        if row["status"] == "succeeded":
            back[row["charge_id"]] = back.get(row["charge_id"], 0) + row["amount_minor"]
    for row in shop.rows("charges"):
        if row["order_ref"] in refs and row["status"] in {"succeeded", "refunding", "refunded", "disputed"}:
            stays = row["status"] == "succeeded"
            yield max(0, row["amount_minor"] - back.get(row["id"], 0)) if stays else 0


def counted(shop: Shop, *, variant: str | None, bp: int | None) -> dict[tuple[str, str], list[Customer]]:
    found: dict[tuple[str, str], list[Customer]] = {}
    with shop.rt.db.stream() as connection:
        rows = moment_reports.customers(connection, account="", experiment_ref=variant, holdout_bp=bp, default_bp=3_000)
        for arm, currency, customer in rows:
            found.setdefault((arm, currency), []).append(customer)
    return found


def in_order(found: dict[tuple[str, str], list[Customer]]) -> dict[tuple[str, str], list[str]]:
    return {key: sorted(repr(one) for one in value) for key, value in found.items()}


def test_every_customer_equals_a_recount_of_the_rows(any_shop: Shop) -> None:
    for seed in range(3):
        world(any_shop, seed)
    for variant, bp in ((None, 3_000), (None, 1_000), (None, None), ("blue", None)):
        told = in_order(counted(any_shop, variant=variant, bp=bp))
        assert told == in_order(recounted(any_shop, variant=variant, bp=bp))
        assert {currency for _, currency in told} == {"gbp", "eur"}


def test_the_uplift_is_of_the_share_in_force_and_says_what_is_missing(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=30)
    world(shop, 1)
    found = uplift.uplifts(shop.rt)

    pounds = found["gbp"]
    newest = max((row for row in shop.rows("decisions") if row["holdout_bp"] != 0), key=lambda row: row["decided_at"])
    assert pounds.share_bp == (newest["holdout_bp"] or 3_000)
    again = recounted(shop, variant=None, bp=pounds.share_bp)
    assert pounds.arms == {arm.value: Moments.of("gbp", again.get((arm.value, "gbp"), [])) for arm in Arm}
    assert pounds.comparison is not None
    assert pounds.incremental is None
    assert pounds.as_of == START


def test_where_nobody_was_held_out_there_is_no_uplift(shop: Shop) -> None:
    shop.pay()
    shop.page()
    assert uplift.uplifts(shop.rt) == {}
    assert uplift.nobody_held_out("gbp", as_of=datetime.fromisoformat("2026-03-02T00:00+00:00")).share_bp == 0


def test_a_shop_too_large_for_a_page_is_told_what_the_worker_counted_and_when(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    world(shop, 2)
    at_once = uplift.uplifts(shop.rt)
    assert uplift.count_due(shop.rt) is False
    monkeypatch.setattr(uplift, "LIVE_BOUND", 10)

    [pounds, *_] = today(shop.rt, Days()).figures
    assert (pounds.uplift.counted, pounds.uplift.comparison) == (False, None)

    assert [uplift.count_due(shop.rt) for _ in range(2)] == [True, False]
    shop.clock.advance(hours=20)
    later = uplift.uplifts(shop.rt)
    assert {currency: one.arms for currency, one in later.items()} == {
        currency: one.arms for currency, one in at_once.items()
    }
    assert {one.as_of for one in later.values()} == {START}

    shop.clock.advance(hours=5)
    [pounds, *_] = today(shop.rt, Days()).figures
    assert pounds.uplift.counted is False


def test_sums_that_outgrow_sixty_four_bits_are_kept_whole(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    world(shop, 2)
    with shop.rt.db.write() as connection:
        connection.execute(sa.update(orders).values(total_minor=10**12))
    at_once = uplift.uplifts(shop.rt)
    assert max(arm.value_value for one in at_once.values() for arm in one.arms.values()) > 2**64
    monkeypatch.setattr(uplift, "LIVE_BOUND", 10)
    uplift.count_due(shop.rt)
    assert uplift.uplifts(shop.rt) == at_once
