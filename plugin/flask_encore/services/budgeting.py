"""Keep a campaign within its budget: in the claim's own transaction, one claim of the campaign after the other."""

from __future__ import annotations

from typing import Any

from flask_encore.domain.charges import Charge
from flask_encore.domain.money import Money
from flask_encore.store import budgets


def fits(connection: Any, charge: Charge) -> bool:
    """Whether the campaign of *charge*, which was claimed a moment ago, is within its budget with it.

    The campaign may have been changed since the offer was shown: its budget of now counts. Without the campaign nobody
    knows the budget, and nothing more is sold.
    """
    ref = charge.campaign_ref
    definition = None if ref is None else budgets.lock(connection, account=charge.account, campaign_ref=ref)
    if ref is None or definition is None:
        return False
    told = definition.get("budget")
    if told is None:
        return True
    # After the lock: what was claimed while we waited for it is seen by this statement, and by no earlier one.
    units, money = budgets.sold(connection, account=charge.account, campaign_refs=[ref])[ref]
    if "units" in told:
        return bool(units <= told["units"])
    limit = Money.parse(told["amount"], told["currency"])
    return charge.amount.currency == limit.currency and money[limit.currency] <= limit.minor_units
