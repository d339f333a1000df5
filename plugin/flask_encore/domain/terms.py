"""What pieces cost under the terms of an offer, to the minor unit, and the choice made of it."""

from __future__ import annotations

from collections.abc import Sequence

from flask_encore.domain.kinds import BuyGet, Discount
from flask_encore.domain.money import MAXIMUM, Money, step
from flask_encore.domain.orders import Product
from flask_encore.domain.prices import Choice, OfferLine, PriceBlock


def total_of(terms: Discount | BuyGet, item: int, currency: str) -> Money | None:
    """What pieces of *item* minor units together cost, rounded down to what can be charged in *currency*.

    The discount is never smaller than promised. ``None``: no amount is given for the currency, or it is not below the
    price.
    """
    if isinstance(terms, BuyGet):
        pieces = terms.buy + terms.get
        hundredths = item * (pieces * 100 - terms.get * terms.percent_off) // pieces
    elif terms.amounts:
        off = terms.amounts.get(currency)
        if off is None or off.minor_units >= item:
            return None
        hundredths = (item - off.minor_units) * 100
    else:
        hundredths = item * (100 - terms.percent)
    size = step(currency)
    return Money(hundredths // 100 // size * size, currency)


def is_free(terms: Discount | BuyGet) -> bool:
    """Whether *terms* promise it for nothing; rounding down to nothing is no promise."""
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


def one_of_it(product: Product, line: OfferLine, total: Money, nothing: Money) -> Choice:
    """The choice of a single product, at *total*."""
    return Choice(
        sku=product.sku,
        title=product.title,
        image_url=product.image_url,
        quantity=line.quantity,
        lines=(line,),
        price=PriceBlock(item=line.item, discount=line.discount, shipping=nothing, total=total),
        options=product.options,
        was=_times(product.was, line.quantity),
        cost=_times(product.cost, line.quantity),
    )


def both_of_them(first: Product, second: Product, total: Money) -> Choice:
    """The choice of a bundle at *total*, which is below the sum: what is off is split over the lines in proportion."""
    products = (first, second)
    items = [product.price.minor_units for product in products]
    off = split(sum(items) - total.minor_units, items)
    lines = tuple(
        line_of(product, 1, item, item - discount, ships=True)
        for product, item, discount in zip(products, items, off, strict=True)
    )
    return Choice(
        sku=first.sku,
        second_sku=second.sku,
        title=f"{first.title} + {second.title}",
        image_url=first.image_url or second.image_url,
        quantity=1,
        lines=lines,
        price=PriceBlock.of(lines),
        was=None if first.was is None or second.was is None else first.was + second.was,
        cost=None if first.cost is None or second.cost is None else first.cost + second.cost,
    )


def _times(amount: Money | None, quantity: int) -> Money | None:
    """Of all pieces; ``None`` when one is unknown, or all of them are beyond any amount."""
    if amount is None or quantity == 1:
        return amount
    return amount * quantity if amount.minor_units * quantity <= MAXIMUM else None
