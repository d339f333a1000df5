"""Whether a campaign has had its turn: with this shopper, and with its budget."""

from __future__ import annotations

from datetime import timedelta

from flask_encore.domain.budgets import Left
from flask_encore.domain.campaigns import Budget, Campaign
from flask_encore.domain.money import Money
from flask_encore.services.situation import Situation


def limited(situation: Situation, campaign: Campaign) -> str:
    """Why this shopper is not offered it again, as a sentence; empty when nothing stands against it."""
    limits, now = campaign.limits, situation.now
    if not limits.ask_history:
        return ""
    mine = [had for had in situation.had if had.campaign_ref == campaign.ref]
    if limits.once_per_customer and any(had.accepted for had in mine):
        return "the customer accepted it before"
    if limits.offers is not None and limits.days is not None:
        lately = sum(had.at > now - timedelta(days=limits.days) for had in mine)
        if lately >= limits.offers:
            return f"offered {lately} times within {limits.days} days; {limits.offers} is the limit"
    if limits.group is not None:
        others = situation.book.group(limits.group) - {campaign.ref}
        since = now - timedelta(days=limits.group_days)
        for had in situation.had:
            if had.campaign_ref in others and had.at > since:
                return f"{had.campaign_ref} of the group {limits.group} was offered within {limits.group_days} days"
    return ""


def spent(situation: Situation, campaign: Campaign) -> str:
    """Why its budget forbids another sale, as a sentence; empty when it does not."""
    budget: Budget | None = campaign.budget
    if budget is None:
        return ""
    if budget.amount is not None and budget.amount.currency != situation.read.order["currency"]:
        return f"the budget is in {budget.amount.currency.upper()}, the order is not"
    units, amounts = situation.sold.get(campaign.ref, (0, {}))
    if budget.units is not None:
        return f"{units} of {budget.units} units are sold" if units >= budget.units else ""
    assert budget.amount is not None
    sold = Money(amounts.get(budget.amount.currency, 0), budget.amount.currency)
    return f"{sold} of {budget.amount} is sold" if budget.amount <= sold else ""


def left(situation: Situation, campaign: Campaign) -> Left | None:
    """What its budget leaves; ``None`` without one."""
    budget = campaign.budget
    if budget is None:
        return None
    units, amounts = situation.sold.get(campaign.ref, (0, {}))
    return Left.of(budget, units=units, minor_units=amounts.get(situation.read.order["currency"], 0))
