"""A row of ``encore_charges`` as a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.money import Money

#: Of a snapshot, what no charge carries around: the other choices, and what the goods cost the shop.
_KEPT_BACK = frozenset({"choices", "cost"})


def charge_of(row: Mapping[Any, Any]) -> Charge:
    """A row of ``encore_charges`` as a value."""
    return Charge(
        id=row["id"],
        account=row["account"],
        order_ref=row["order_ref"],
        sku=row["sku"],
        quantity=row["quantity"],
        amount=Money(row["amount_minor"], row["currency"]),
        customer_ref=row["customer_ref"],
        payment_method_ref=row["payment_method_ref"],
        payment_method_type=row["payment_method_type"],
        card_brand=row["card_brand"],
        card_last4=row["card_last4"],
        status=ChargeStatus(row["status"]),
        payment_intent_ref=row["payment_intent_ref"],
        attempt=row["attempt"],
        epoch=row["epoch"],
        failure_code=row["failure_code"],
        accepted_at=row["accepted_at"],
        expires_at=row["expires_at"],
        charged_at=row["charged_at"],
        undo_until=row["undo_until"],
        hold_released_at=row["hold_released_at"],
        quarantine_reason=row["quarantine_reason"],
        updated_at=row["updated_at"],
        snapshot={name: value for name, value in row["snapshot"].items() if name not in _KEPT_BACK},
        second_sku=row["second_sku"],
        campaign_ref=row["campaign_ref"],
        reviewed_at=row["reviewed_at"],
    )
