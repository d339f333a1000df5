"""What pieces cost under the terms of an offer, to the minor unit, and the choice made of it."""

from __future__ import annotations

from collections.abc import Sequence

from flask_encore.domain.kinds import BuyGet, Discount
from flask_encore.domain.money import MAXIMUM, Money, step
from flask_encore.domain.orders import Product
from flask_encore.domain.prices import Choice, OfferLine, PriceBlock


def total_of(terms: Discount | BuyGet, item: int, currency: str) -> int | None:
    """What pieces of *item* minor units together cost; ``None`` without a price in *currency* or nothing left of it."""
    match terms:
        case BuyGet():
            pieces = terms.buy + terms.get
            hundredths = item * (pieces * 100 - terms.get * terms.percent_off) // pieces
        case Discount(amounts=amounts) if amounts:
            off = amounts.get(currency)
            if off is None or off.minor_units >= item:
                return None
            hundredths = (item - off.minor_units) * 100
        case _:
            hundredths = item * (100 - terms.percent)
    size = step(currency)
    return hundredths // 100 // size * size


def is_free(terms: Discount | BuyGet) -> bool:
    if isinstance(terms, BuyGet):
        return terms.buy == 0 and terms.percent_off == 100
    return terms.percent == 100


def split(amount: int, parts: Sequence[int]) -> list[int]:
    """*amount* over *parts* in proportion, by largest remainder: the sum is exact, and no share exceeds its part."""
    whole = sum(parts)
    shares = [amount * part // whole for part in parts]
    remainders = [amount * part % whole for part in parts]
    for place in sorted(range(len(parts)), key=lambda place: -remainders[place])[: amount - sum(shares)]:
        shares[place] += 1
    return shares


def line_of(product: Product, quantity: int, item: int, total: int, *, ships: bool) -> OfferLine:
    """The line of *quantity* pieces, *item* minor units before the discount and *total* after it."""
    return OfferLine(
        sku=product.sku,
        title=product.title,
        quantity=quantity,
        item=product.price if quantity == 1 else Money(item, product.price.currency),
        discount=Money(item - total, product.price.currency),
        ships=ships,
    )


def choice_of(products: Sequence[Product], lines: Sequence[OfferLine], total: Money, nothing: Money) -> Choice:
    first = products[0]
    quantity = lines[0].quantity
    item = lines[0].item if len(lines) == 1 else sum((line.item for line in lines), nothing)
    discount = lines[0].discount if len(lines) == 1 else item - total
    return Choice(
        sku=first.sku,
        second_sku=products[1].sku if len(products) > 1 else None,
        title=" + ".join(product.title for product in products),
        image_url=next((product.image_url for product in products if product.image_url), None),
        quantity=quantity,
        lines=tuple(lines),
        price=PriceBlock(item=item, discount=discount, shipping=nothing, total=total),
        options=first.options if len(products) == 1 else {},
        was=_all([product.was for product in products], quantity),
        cost=_all([product.cost for product in products], quantity),
    )


def _all(amounts: Sequence[Money | None], quantity: int) -> Money | None:
    """All of them *quantity* times; ``None`` when one is unknown, or none of it fits."""
    if None in amounts:
        return None
    known = [amount for amount in amounts if amount is not None]
    whole = sum(amount.minor_units for amount in known) * quantity
    return Money(whole, known[0].currency) if whole <= MAXIMUM else None
