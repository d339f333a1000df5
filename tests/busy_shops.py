"""A shop that has traded for a while, straight into the tables: orders, offers, charges, fees, refunds, by day."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

import sqlalchemy as sa
from conftest import Shop

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.store.models import charges, decisions, orders, refunds

#: How the shop's orders end, by weight: (outcome, reason, seen, declined, charge's status).
ENDS: list[tuple[float, Outcome, Reason, bool, bool, ChargeStatus | None]] = [
    (10, Outcome.INELIGIBLE, Reason.PAYMENT_METHOD_NOT_SAVED, False, False, None),
    (4, Outcome.INELIGIBLE, Reason.ALL_FILTERED, False, False, None),
    (12, Outcome.OFFERED, Reason.CHOSEN, False, False, None),
    (30, Outcome.OFFERED, Reason.CHOSEN, True, True, None),
    (32, Outcome.OFFERED, Reason.CHOSEN, True, False, None),
    (9, Outcome.OFFERED, Reason.CHOSEN, True, False, ChargeStatus.SUCCEEDED),
    (0.8, Outcome.OFFERED, Reason.CHOSEN, True, False, ChargeStatus.REFUNDED),
    (0.6, Outcome.OFFERED, Reason.CHOSEN, True, False, ChargeStatus.FAILED),
    (0.1, Outcome.OFFERED, Reason.CHOSEN, True, False, ChargeStatus.DISPUTED),
]


def trade(
    shop: Shop,
    *,
    days: int,
    per_day: int,
    seed: int = 7,
    held_out: float = 0.1,
    holdout_bp: int = 1_000,
    currency: str = "gbp",
    fees: float = 0.97,
    costs: float = 0.8,
    refund_after: int = 20,
) -> None:
    """*days* days until the shop's present one, with about *per_day* orders each.

    Args:
        held_out: The share that lands in the holdout; *holdout_bp* is what was meant to.
        fees: The share of charges whose fee is known.
        costs: The share of charges whose goods' cost is known.
        refund_after: Days until a refund, where there still are as many.
    """
    dice = Random(seed)
    now = shop.clock()
    rows: dict[sa.Table, list[dict[str, Any]]] = {orders: [], decisions: [], charges: [], refunds: []}
    for day in range(days):
        midnight = (now - timedelta(days=days - 1 - day)).replace(hour=0, minute=0)
        trend = 1 + 0.4 * day / days - (0.35 if midnight.weekday() >= 5 else 0)
        for number in range(max(1, round(per_day * trend * dice.uniform(0.8, 1.2)))):
            at = midnight + timedelta(seconds=dice.randrange(36_000, 50_000))
            _order(rows, dice, f"{seed}-{currency}-{day}-{number}", at, currency, held_out, holdout_bp)
            if rows[charges] and rows[charges][-1]["accepted_at"] == at:
                _money(rows, dice, rows[charges][-1], now, fees, costs, refund_after)
    with shop.rt.db.write() as connection:
        for table, found in rows.items():
            if found:
                connection.execute(sa.insert(table), found)


def _order(
    rows: dict[sa.Table, list[dict[str, Any]]],
    dice: Random,
    ref: str,
    at: datetime,
    currency: str,
    held_out: float,
    holdout_bp: int,
) -> None:
    _, outcome, reason, seen, declined, status = dice.choices(ENDS, weights=[end[0] for end in ENDS])[0]
    treated = dice.random() >= held_out
    if outcome is Outcome.OFFERED and not treated:
        outcome, reason, seen, declined, status = Outcome.HELD_OUT, Reason.HOLDOUT, False, False, None
    total, amount = dice.randrange(1_500, 9_000), dice.choice([890, 1_161, 1_490])
    key, customer = f"{dice.getrandbits(128):032x}", f"c-{ref}"
    card = {"payment_method_type": "card", "card_brand": "visa", "card_last4": "4242"}
    rows[orders].append(
        {"account": "", "order_ref": ref, "fingerprint": key, "placed_at": at, "currency": currency}
        | {"total_minor": total, "lines": [], "customer_ref": customer, "locale": "en", "recorded_at": at}
        | {"payment_intent_ref": f"pi_o_{key}", "ineligible_reason": "", "candidates": [], "candidate_skus": []}
        | {"model_version": "fixed"}
        | card
    )
    same = {"id": key, "account": "", "order_ref": ref, "placement": "thank_you", "step": 0, "currency": currency}
    same |= {"sku": "mug", "quantity": 1, "snapshot": {"title": "Enamel mug"}}
    rows[decisions].append(
        same
        | {"outcome": outcome.value, "reason": reason.value, "arm": "treatment" if treated else "holdout"}
        | {"customer_ref": customer, "total_minor": amount, "candidates": [], "model_version": "fixed"}
        | {"latency_us": 900, "decided_at": at, "expires_at": at + timedelta(minutes=30), "holdout_bp": holdout_bp}
        | {"shown_at": at if seen else None, "declined_at": at if declined else None}
    )
    if status is not None:
        moved = status is not ChargeStatus.FAILED
        rows[charges].append(
            same
            | {"amount_minor": amount, "customer_ref": "cus_1", "payment_method_ref": "pm_1", "status": status.value}
            | {"payment_intent_ref": f"pi_{key}", "attempt": 1, "epoch": 0, "consent_version": "en-1", "tries": 0}
            | {"failure_code": "" if moved else "card_declined", "accepted_at": at, "expires_at": at}
            | {"charged_at": at if moved else None, "undo_until": None, "quarantine_reason": "", "updated_at": at}
            | dict.fromkeys(("cost_minor", "tax_minor", "fee_minor", "fee_currency"))
            | card
        )


def _money(
    rows: dict[sa.Table, list[dict[str, Any]]],
    dice: Random,
    charge: dict[str, Any],
    now: datetime,
    fees: float,
    costs: float,
    refund_after: int,
) -> None:
    """What Stripe kept of a charge, what its goods cost, and its refund."""
    amount, at = charge["amount_minor"], charge["accepted_at"]
    if dice.random() < costs:
        charge |= {"cost_minor": amount * 4 // 10, "tax_minor": amount // 6}
    if charge["charged_at"] and dice.random() < fees:
        charge |= {"fee_minor": 20 + amount * 15 // 1_000, "fee_currency": charge["currency"]}
    if charge["status"] == ChargeStatus.REFUNDED:
        gone = min(now, at + timedelta(days=dice.randrange(refund_after)))
        charge["updated_at"] = gone
        rows[refunds].append(
            {"charge_id": charge["id"], "seq": 0, "amount_minor": amount, "currency": charge["currency"]}
            | {"cause": "merchant", "actor": "merchant", "status": "succeeded", "refund_ref": f"re_{charge['id']}"}
            | {"requested_at": gone, "settled_at": gone}
        )
