"""What an offer costs: its lines, what the shop's own quote adds, and the block of amounts the shopper agrees to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask_encore.domain.errors import CurrencyMismatch, IllegalTransition, InvalidInput
from flask_encore.domain.money import Money
from flask_encore.domain.orders import PaidOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferLine:
    """One line an offer adds to the order.

    Attributes:
        item: All of *quantity* pieces before the discount, tax included as the catalogue's prices are.
        discount: Off all of them.
        ships: False for a service: nothing is packed.
    """

    sku: str
    title: str
    quantity: int
    item: Money
    discount: Money
    ships: bool = True

    @property
    def amount(self) -> Money:
        """What the line is charged with, before what a quote adds."""
        return self.item - self.discount

    def as_json(self) -> dict[str, Any]:
        """As snapshots and events keep it, in minor units of the offer's currency; the inverse of `from_json`."""
        return {
            "sku": self.sku,
            "title": self.title,
            "quantity": self.quantity,
            "item": self.item.minor_units,
            "discount": self.discount.minor_units,
            "ships": self.ships,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any], currency: str) -> OfferLine:
        """The line a snapshot was made of."""
        return cls(
            sku=told["sku"],
            title=told["title"],
            quantity=told["quantity"],
            item=Money(told["item"], currency),
            discount=Money(told["discount"], currency),
            ships=told["ships"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What the shop's own shipping and tax rules add to an offer.

    Attributes:
        shipping: Added shipping, tax on it included or not as *tax_included* says.
        tax: The tax on lines and shipping together; ``None`` when the shop does not tell it apart.
        tax_included: Whether *tax* is part of the prices already; else it is added to them.
    """

    shipping: Money
    tax: Money | None = None
    tax_included: bool = True

    def __post_init__(self) -> None:
        for name, amount in (("shipping", self.shipping), ("tax", self.tax)):
            if (name, amount) == ("tax", None):
                continue
            if not isinstance(amount, Money) or amount.minor_units < 0:
                raise InvalidInput(f"{name} of a quote has to be Money of at least 0, got {amount!r}.")
        if not isinstance(self.tax_included, bool):
            raise InvalidInput(f"tax_included of a quote has to be True or False, got {self.tax_included!r}.")
        if self.tax is None and not self.tax_included:
            raise InvalidInput("a quote whose tax is added has to say how much it is.")


#: The host's own shipping and tax: the paid order and the lines an offer would add, to what they add to its price.
Quoter = Callable[[PaidOrder, Sequence[OfferLine]], Quote]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBlock:
    """What the shopper sees before the click, all lines together.

    ``item - discount + shipping``, and the tax where it is added, make *total*: what is charged, to the minor unit.

    Attributes:
        tax: ``None`` when nobody tells how much of it is tax.
        tax_included: Whether *tax* is within the other amounts.
    """

    item: Money
    discount: Money
    shipping: Money
    total: Money
    tax: Money | None = None
    tax_included: bool = True

    def __post_init__(self) -> None:
        # In plain integers: one is made of every choice of every candidate, within the budget of a decision.
        parts = (self.item, self.discount, self.shipping, self.total, *(() if self.tax is None else (self.tax,)))
        if len({part.currency for part in parts}) > 1:
            raise CurrencyMismatch(f"price block is not of one currency: {self}")
        added = 0 if self.tax is None or self.tax_included else self.tax.minor_units
        due = self.item.minor_units - self.discount.minor_units + self.shipping.minor_units + added
        if due != self.total.minor_units:
            raise IllegalTransition(f"price block does not add up: {self}")
        if min([part.minor_units for part in parts]) < 0 or self.discount.minor_units > self.item.minor_units:
            raise IllegalTransition(f"price block goes below nothing: {self}")

    @classmethod
    def of(cls, lines: Sequence[OfferLine], quote: Quote | None = None) -> PriceBlock:
        """The block of *lines*, at least one, with what *quote* adds; without one nothing is added.

        Raises:
            CurrencyMismatch: If they are not all of one currency.
        """
        nothing = Money(0, lines[0].item.currency)
        quote = quote or Quote(shipping=nothing)
        item = sum((line.item for line in lines), nothing)
        discount = sum((line.discount for line in lines), nothing)
        added = quote.tax if quote.tax is not None and not quote.tax_included else nothing
        return cls(
            item=item,
            discount=discount,
            shipping=quote.shipping,
            total=item - discount + quote.shipping + added,
            tax=quote.tax,
            tax_included=quote.tax_included,
        )

    def as_json(self) -> dict[str, Any]:
        """As snapshots keep it, in minor units."""
        return {
            "item": self.item.minor_units,
            "discount": self.discount.minor_units,
            "shipping": self.shipping.minor_units,
            "tax": None if self.tax is None else self.tax.minor_units,
            "tax_included": self.tax_included,
            "total": self.total.minor_units,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to take an offer: this variant, so many pieces. Most offers have one.

    Attributes:
        sku: Of the first line; *second_sku* of the other one, when the offer is a bundle.
        title: What the card is headed with.
        options: What tells variants apart, such as ``{"Size": "L"}``; empty where nothing does.
        quantity: Pieces of each line.
        price: Before a quote, with nothing added; after it, what is charged.
        was: All pieces at the lowest price of the last 30 days, where the catalogue supplies it.
        cost: Of all pieces; ``None`` when it is not known.
    """

    sku: str
    title: str
    image_url: str | None
    quantity: int
    lines: tuple[OfferLine, ...]
    price: PriceBlock
    second_sku: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    was: Money | None = None
    cost: Money | None = None

    def as_json(self) -> dict[str, Any]:
        """As snapshots keep it: what the claim, the card and the evidence are made of. The cost stays at home."""
        return {
            "sku": self.sku,
            "second_sku": self.second_sku,
            "title": self.title,
            "image_url": self.image_url,
            "quantity": self.quantity,
            "options": dict(self.options),
            "was": None if self.was is None else self.was.minor_units,
            "lines": [line.as_json() for line in self.lines],
            **self.price.as_json(),
        }
