"""Random histories, straight into the tables: every outcome, answer, status and refund the constraints allow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any

import sqlalchemy as sa
from conftest import Shop

from flask_encore.domain.charges import PAID, ChargeStatus
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.store.models import charges, decisions, refunds

CURRENCIES = ("gbp", "gbp", "eur", "jpy", "bhd")
CAMPAIGNS = ("tea-with-mugs", "wrap", "built-in", None)

#: A charge of these was never confirmed, so nothing moved and no bank was asked.
_UNCONFIRMED = {ChargeStatus.CLAIMED, ChargeStatus.INTENT}


def write(shop: Shop, *, seed: int, count: int, begins: datetime, days: int) -> None:
    """*count* decisions spread over *days* days from *begins* on, some of them of another account."""
    dice = Random(seed)
    tables: dict[sa.Table, list[dict[str, Any]]] = {decisions: [], charges: [], refunds: []}
    for number in range(count):
        decision = _decision(dice, f"{seed:08x}{number:024x}", begins + days * timedelta(days=dice.random()))
        tables[decisions].append(decision)
        if decision["outcome"] == Outcome.OFFERED and dice.random() < 0.6:
            charge = _charge(dice, decision)
            tables[charges].append(charge)
            tables[refunds] += _refunds(dice, charge)
    with shop.rt.db.write() as connection:
        for table, rows in tables.items():
            if rows:
                connection.execute(sa.insert(table), rows)


def _maybe(dice: Random, chance: float, value: Any) -> Any:
    return value if dice.random() < chance else None


def _decision(dice: Random, id: str, at: datetime) -> dict[str, Any]:
    outcome = dice.choices(list(Outcome), weights=[60 if one is Outcome.OFFERED else 8 for one in Outcome])[0]
    return {
        "id": id,
        "account": dice.choice(["", "", "", "acct_other"]),
        "order_ref": f"o-{id}",
        "placement": dice.choice(["thank_you", "thank_you", "order_status"]),
        "step": dice.choice([0, 0, 1]),
        "outcome": outcome.value,
        "reason": dice.choice(list(Reason)).value,
        "arm": "treatment",
        "customer_ref": _maybe(dice, 0.5, "c-17"),
        "sku": "mug",
        "quantity": dice.randint(1, 3),
        "currency": dice.choice(CURRENCIES),
        "total_minor": dice.randint(0, 500_000) * 10,
        "candidates": [{"sku": "mug"}],
        "snapshot": {"title": "Enamel mug"},
        "model_version": "fixed",
        "latency_us": dice.randint(1, 400_000),
        "decided_at": at,
        "expires_at": at + timedelta(minutes=dice.randint(1, 60)),
        "shown_at": _maybe(dice, 0.6, at),
        "declined_at": _maybe(dice, 0.2, at),
        "sold_out_at": _maybe(dice, 0.1, at),
        "campaign_ref": dice.choice(CAMPAIGNS),
    }


def _charge(dice: Random, decision: dict[str, Any]) -> dict[str, Any]:
    status, amount, at = dice.choice(list(ChargeStatus)), decision["total_minor"], decision["decided_at"]
    same = (
        "id",
        "account",
        "order_ref",
        "placement",
        "step",
        "sku",
        "quantity",
        "currency",
        "snapshot",
        "campaign_ref",
    )
    return {name: decision[name] for name in same} | {
        "amount_minor": amount,
        "customer_ref": "cus_1",
        "payment_method_ref": "pm_1",
        "payment_method_type": "card",
        "card_brand": "visa",
        "card_last4": "4242",
        "status": status.value,
        "payment_intent_ref": f"pi_{decision['id']}" if amount else None,
        "attempt": 0 if status in _UNCONFIRMED else dice.randint(0, 2),
        "epoch": 0,
        "failure_code": dice.choice(["", "card_declined"]),
        "consent_version": "en-1",
        "accepted_at": at,
        "expires_at": decision["expires_at"],
        "charged_at": at if status in PAID else None,
        "undo_until": at + timedelta(minutes=30) if status in PAID else None,
        "quarantine_reason": dice.choice(["", "", "", "amount_mismatch"]),
        "tries": 0,
        "updated_at": at,
    }


def _refunds(dice: Random, charge: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Up to three, at most one of them open; together they may be more than the charge, as a bug of Stripe's would."""
    if charge["status"] not in PAID or dice.random() < 0.5:
        return
    states = dice.sample(
        ["failed", "succeeded", dice.choice(["requested", "pending", "succeeded"])], dice.randint(1, 3)
    )
    for seq, status in enumerate(states):
        yield {
            "charge_id": charge["id"],
            "seq": seq,
            "amount_minor": dice.randint(0, charge["amount_minor"]),
            "currency": charge["currency"],
            "cause": dice.choice(["undo", "merchant"]),
            "actor": "merchant",
            "status": status,
            "refund_ref": f"re_{charge['id']}_{seq}",
            "requested_at": charge["accepted_at"],
        }


@contextmanager
def statements(shop: Shop) -> Iterator[list[str]]:
    """The statements sent meanwhile."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    sa.event.listen(shop.rt.db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(shop.rt.db.engine, "before_cursor_execute", note)
