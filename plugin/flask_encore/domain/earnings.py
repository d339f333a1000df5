"""What offers brought in, and what of it stayed: gross, what went back, Stripe's fees, net and profit.

Nothing is added up across currencies: a fee that Stripe kept in another one is told beside, never taken off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask_encore.domain.funnel import Funnel, Group, Step
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Earnings:
    """One currency's amounts.

    Attributes:
        gross: Every charge that succeeded, whatever happened to it later.
        refunded: What went back of it, or is on its way back.
        disputed: Charges the cardholder's bank disputes, in full.
        fees: What Stripe kept, as far as it is known and in the same currency. It keeps it of refunded charges too.
        charges_without_fee: Charges that succeeded and whose fee is not known.
        fees_elsewhere: What Stripe kept in another currency, by that currency; part of nothing here.
        net: ``gross - refunded - disputed - fees``.
        profit: Of the kept charges whose goods' cost is known: charged, less what went back, fees, tax and cost;
            ``None`` when no cost is known. Tax nobody told counts as none.
        profit_of: How many charges *profit* is of.
        kept: Charges that were kept.
    """

    gross: Money
    refunded: Money
    disputed: Money
    fees: Money
    charges_without_fee: int
    fees_elsewhere: Mapping[str, Money]
    net: Money
    profit: Money | None
    profit_of: int
    kept: int


def earnings(funnel: Funnel, groups: Iterable[Group]) -> Earnings:
    """The amounts of *funnel*, of whose decisions *groups* hold the fees and the costs; others are passed over."""
    currency = funnel.currency
    without_fee = profit_of = profit = 0
    fees: dict[str, int] = {}
    for group in groups:
        if group.currency == currency and group.facts.outcome is Outcome.OFFERED:
            without_fee += group.without_fee
            profit_of += group.profit_of
            profit += group.profit_minor
            if group.fee_currency:
                fees[group.fee_currency] = fees.get(group.fee_currency, 0) + group.fee_minor
    own = Money(fees.pop(currency, 0), currency)
    return Earnings(
        gross=funnel.gross,
        refunded=funnel.refunded,
        disputed=funnel.disputed,
        fees=own,
        charges_without_fee=without_fee,
        fees_elsewhere={code: Money(fees[code], code) for code in sorted(fees)},
        net=funnel.net - own,
        profit=Money(profit, currency) if profit_of else None,
        profit_of=profit_of,
        kept=funnel.counts[Step.KEPT],
    )
