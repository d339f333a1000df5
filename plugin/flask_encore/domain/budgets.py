"""What a campaign's budget leaves of an offer: nothing is put on the page that its claim would have to refuse."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask_encore.domain.campaigns import Budget
from flask_encore.domain.money import Money
from flask_encore.domain.prices import Choice
from flask_encore.domain.pricing import Alternative
from flask_encore.domain.refusals import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What may still be sold: so many units, or so much money; ``None`` where the budget does not say."""

    units: int | None = None
    money: Money | None = None

    @classmethod
    def of(cls, budget: Budget, *, units: int, minor_units: int) -> Left:
        """What is left of *budget* after *units* and *minor_units*, of the budget's own currency, were sold."""
        if budget.amount is None:
            return cls(units=max(0, (budget.units or 0) - units))
        left = max(0, budget.amount.minor_units - minor_units)
        return cls(money=Money(left, budget.amount.currency))

    def has(self, choice: Choice) -> bool:
        """Whether *choice* fits. What a quote adds to its price is known later; the claim looks at the whole again."""
        if self.units is not None:
            return choice.quantity <= self.units
        return self.money is None or choice.price.total <= self.money

    def refusal(self, choice: Choice) -> Refused:
        """Why *choice*, which does not fit, is not offered."""
        if self.units is not None:
            return Refused("over_budget", seen=choice.quantity, bound=f"at most {self.units} left")
        return Refused("over_budget", seen=choice.price.total, bound=f"at most {self.money} left")


def within(alternative: Alternative, left: Left) -> Alternative:
    """*alternative* with the choices that fit; refused as ``over_budget`` when the one it shows first does not."""
    if alternative.refused:
        return alternative
    places = [place for place, choice in enumerate(alternative.choices) if left.has(choice)]
    if 0 not in places:
        refused = left.refusal(alternative.choices[0])
        return Alternative(candidate=alternative.candidate, refused=refused, product=alternative.product)
    return replace(
        alternative,
        choices=tuple(alternative.choices[place] for place in places),
        choose=alternative.choose if len(places) > 1 else "",
        sold_out=frozenset(new for new, place in enumerate(places) if place in alternative.sold_out),
    )
