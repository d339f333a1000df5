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
GROSS_REVENUE = Definition(
    name="gross revenue",
    counted="charged by offers",
    per="",
    note="Whatever happened to the money later; the lines below take that off.",
)
STRIPE_FEES = Definition(
    name="Stripe's fees",
    counted="what Stripe kept of those charges, as far as it is known and in the same currency",
    per="",
    note="Stripe tells it a while after the charge, and keeps it when the charge is refunded.",
)
NET_REVENUE = Definition(
    name="net revenue",
    counted="charged by offers − refunded − undone − disputed − Stripe's fees where they are known",
    per="",
    note="It belongs to the day of the order, so a refund changes the day it takes from, not the day it is made.",
)
PROFIT = Definition(
    name="profit",
    counted="kept charges whose cost is known − what went back of them − fees − tax − cost of the goods",
    per="",
    note="The cost is your catalogue's at the moment of the click; charges without one are left out, not guessed.",
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
INCREMENTAL_REVENUE = Definition(
    name="incremental revenue",
    counted="uplift × eligible orders of the treatment",
    per="",
    note="What offers added to what shoppers would have bought anyway, since the present share was held out.",
)

REPEAT_PURCHASE_RATE = Definition(
    name="repeat-purchase rate",
    counted="customers with two orders or more",
    per="customers with one order or more",
    note="Both in the chosen months. One customer_ref is one customer; a guest has none and counts in neither.",
)
RETENTION = Definition(
    name="retention",
    counted="customers of the cohort with an order in that month",
    per="customers of the cohort",
    note="A cohort is everybody whose first order Encore has seen fell into one month, in the shop's time zone.",
)
CUSTOMER_LIFETIME_VALUE = Definition(
    name="customer lifetime value",
    counted="what the cohort's customers paid to date, with what their offers kept",
    per="those of them with an order in that currency",
    note="What has been, not a forecast: older cohorts had more time to buy. Refunds the shop made are not taken off.",
)
ORDER_VALUE_WITHOUT_OFFERS = Definition(
    name="average order value without offers",
    counted="totals of orders",
    per="orders",
    note="Orders the shop handed to Encore; imported ones could have no offer, and an accepted one is not in a total.",
)
ORDER_VALUE_WITH_OFFERS = Definition(
    name="average order value with offers",
    counted="totals of orders + what their offers kept",
    per="the same orders",
    note="Orders without an accepted offer too. The difference is what offers took; what they added is the uplift.",
)

#: In the order the documents list them.
DEFINITIONS = (
    CONVERSION_RATE,
    KEPT_RATE,
    GROSS_REVENUE,
    STRIPE_FEES,
    NET_REVENUE,
    PROFIT,
    REVENUE_PER_SHOWN_ORDER,
    AVERAGE_ORDER_VALUE,
    UPLIFT,
    INCREMENTAL_REVENUE,
    REPEAT_PURCHASE_RATE,
    RETENTION,
    CUSTOMER_LIFETIME_VALUE,
    ORDER_VALUE_WITHOUT_OFFERS,
    ORDER_VALUE_WITH_OFFERS,
)
