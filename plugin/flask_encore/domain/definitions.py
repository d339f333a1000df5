"""What the reports' numbers mean, in one place: each with what is divided by what. Tooltips and documents read it here.

Every amount and every rate is of one currency; nothing is added up across currencies.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One number of a report.

    Attributes:
        name: As the reports call it.
        counted: What is counted or added up: the numerator.
        per: The denominator; empty for an amount that is divided by nothing.
        note: What it leaves out, or what to beware of.
    """

    name: str
    counted: str
    per: str
    note: str

    @property
    def formula(self) -> str:
        """Numerator ÷ denominator."""
        return f"{self.counted} ÷ {self.per}" if self.per else self.counted

    @property
    def sentence(self) -> str:
        """The whole tooltip."""
        return f"{self.formula[0].upper()}{self.formula[1:]}. {self.note}"


CONVERSION_RATE = Definition(
    name="conversion rate",
    counted="orders whose offer was accepted",
    per="orders whose offer was shown",
    note="What the bank and the shopper did afterwards does not change it.",
)
KEPT_RATE = Definition(
    name="kept rate",
    counted="orders whose offer was charged and stayed so",
    per="orders whose offer was shown",
    note="Refunded, undone and disputed ones have left, and so have those whose money is on its way back.",
)
NET_REVENUE = Definition(
    name="net revenue",
    counted="charged by offers − refunded − undone − disputed − Stripe's fees where they are known",
    per="",
    note="It belongs to the day of the order, so a refund changes the day it takes from, not the day it is made.",
)
REVENUE_PER_SHOWN_ORDER = Definition(
    name="revenue per shown order",
    counted="net revenue",
    per="orders whose offer was shown",
    note="Orders that declined count with 0. It says what offers took, not what they added: that is the uplift.",
)
AVERAGE_ORDER_VALUE = Definition(
    name="average order value",
    counted="totals of eligible orders + net revenue",
    per="eligible orders",
    note="Held-out orders count too. Compare it between arms, not between months.",
)
UPLIFT = Definition(
    name="uplift",
    counted="mean value per eligible order of the treatment − that of the holdout",
    per="",
    note="The value is the order's total and its net revenue; an order counts where it was assigned, seen or not.",
)

#: In the order the documents list them.
DEFINITIONS = (CONVERSION_RATE, KEPT_RATE, NET_REVENUE, REVENUE_PER_SHOWN_ORDER, AVERAGE_ORDER_VALUE, UPLIFT)
