"""What is not wrong with a campaign but will keep it from selling, said before it goes live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask_encore.domain.campaigns import MAX_SHOWN, Campaign, CampaignStatus, instant
from flask_encore.domain.conditions import AmountIs, Has, How
from flask_encore.domain.kinds import BuyGet, Complementary, Fixed, Kind, MoreOfTheSame, skus_of
from flask_encore.domain.money import MAXIMUM, MINIMUM_CHARGE, Money
from flask_encore.domain.orders import OrderLine
from flask_encore.domain.pricing import Basket, Shelf, alternatives
from flask_encore.domain.rules import conditions
from flask_encore.services.runtime import Runtime
from flask_encore.store import campaigns, shelf

#: How far back orders are looked at for the currencies a shop sells in.
LOOK_BACK = timedelta(days=90)

#: Products of which a list speaks one by one.
MAX_NAMED = 20

#: Why the pricing refuses a product, whatever the order -> what a merchant can do about it. What hangs on the order,
#: such as the price guard, is no doubt.
_REFUSED: Mapping[str, str] = {
    "not_in_catalogue": "The catalogue has no product {sku}.",
    "inactive": "{sku} is not active in the catalogue.",
    "sold_out": "{sku} is sold out.",
    "too_few": "There are too few of {sku} in stock.",
    "other_currency": "{sku} has no price in {currency}, in which orders come in.",
    "no_price": "{sku} cannot be priced in {currency}: there is no amount for it, or it is not below the price.",
    "not_chargeable": "{sku} comes to less than Stripe charges in {currency}{least}.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shop:
    """What the shop is like: what it sells, what it is paid in, and its other campaigns by ref."""

    shelf: Shelf
    currencies: tuple[str, ...]
    others: Mapping[str, Campaign]


def doubts(rt: Runtime, campaign: Campaign, others: Sequence[Campaign]) -> list[str]:
    """One sentence for each doubt, in the order of the campaign's fields.

    Args:
        others: All campaigns of the shop; what is stored under this one's ref does not count.
    """
    now, zone = rt.clock(), rt.settings.zone
    asked = [condition for condition in conditions(campaign.rule) if isinstance(condition, Has)]
    named = {sku for one in asked if one.field in ("sku", "variant_of") for sku in one.values}
    with rt.db.read() as connection:
        products = shelf.fetched(connection, {*named, *skus_of(campaign.offer)})
        paid = campaigns.currencies(connection, rt.account, since=now - LOOK_BACK)
    shop = _Shop(
        shelf=Shelf(products),
        currencies=tuple(sorted(paid or {product.price.currency for product in products})),
        others={other.ref: other for other in others} | {campaign.ref: campaign},
    )
    found = [*_of_the_rule(campaign, shop), *_of_the_offer(campaign.offer, shop), *_of_what_follows(campaign, shop)]
    starts, ends = (
        None if wall is None else instant(wall, zone=zone) <= now for wall in (campaign.starts_at, campaign.ends_at)
    )
    if ends:
        found.append(f"ends_at {campaign.ends_at:%Y-%m-%d %H:%M} is past: it is over already.")
    elif starts and campaign.status is CampaignStatus.DRAFT:
        found.append(f"starts_at {campaign.starts_at:%Y-%m-%d %H:%M} is past: it starts as soon as it is live.")
    amount = campaign.budget.amount if campaign.budget else None
    if amount is not None and paid and amount.currency not in paid:
        found.append(f"The budget is in {amount.currency.upper()}, in which no orders come in.")
    return list(dict.fromkeys(found))


def _of_the_rule(campaign: Campaign, shop: _Shop) -> Iterator[str]:
    for condition in conditions(campaign.rule):
        if isinstance(condition, Has) and condition.how is not How.NONE and condition.field in ("sku", "variant_of"):
            for sku in condition.values[:MAX_NAMED]:
                known = shop.shelf.variants(sku) or (condition.field == "sku" and shop.shelf.product(sku))
                if not known:
                    yield f"The rule asks for {sku!r}, which the catalogue does not have."
        elif isinstance(condition, AmountIs) and shop.currencies:
            bound = condition.at_least or condition.at_most
            if bound is not None and bound.currency not in shop.currencies:
                yield f"The rule asks for an amount in {bound.currency.upper()}, in which no orders come in."


def _of_the_offer(offer: Kind, shop: _Shop) -> Iterator[str]:
    """What the pricing itself says of each product beside an order that leaves room for everything."""
    skus = skus_of(offer)
    if not skus:
        return
    if isinstance(offer, Complementary):
        offer = Fixed(skus=skus, discount=offer.discount)
    bought = skus if isinstance(offer, BuyGet | MoreOfTheSame) else ()
    # Of a parent an order holds its variants.
    lines = [one for sku in bought for one in [each.sku for each in shop.shelf.variants(sku)] or [sku]]
    # Without a known currency the catalogue has none of the products, which is the same in every currency.
    for currency in shop.currencies or ("eur",):
        total = Money(MAXIMUM, currency)
        basket = Basket(
            lines=tuple(OrderLine(sku=sku, title=sku, quantity=1, unit_price=Money(0, currency)) for sku in lines),
            total=total,
        )
        refused = alternatives(offer, candidates=[], basket=basket, shelf=shop.shelf, guard_percent=100)
        minimum = MINIMUM_CHARGE.get(currency)
        least = f" ({Money(minimum, currency)} at least)" if minimum else ""
        for one in refused[:MAX_NAMED]:
            if one.refused in _REFUSED:
                sku = repr(one.candidate.sku) if len(skus) == 1 or len(refused) > 1 else " and ".join(map(repr, skus))
                yield _REFUSED[one.refused].format(sku=sku, currency=currency.upper(), least=least)


def _of_what_follows(campaign: Campaign, shop: _Shop) -> Iterator[str]:
    for name in ("on_accept", "on_decline"):
        ref = getattr(campaign, name)
        after = shop.others.get(ref)
        if ref is not None and after is None:
            yield f"{name} {ref!r}: there is no such campaign."
        elif after is not None and after.status is not CampaignStatus.LIVE:
            yield f"{name} {ref!r} is {after.status.value}: nothing follows until it is live."
        elif after is not None and after.placement.surface is not campaign.placement.surface:
            yield f"{name} {ref!r} is for another page ({after.placement.value}) and does not follow here."
    circle, steps = _walk(campaign, shop.others)
    if circle:
        yield f"{' → '.join(circle)} goes in a circle: an order is offered each campaign once."
    if steps > MAX_SHOWN:
        yield f"{steps} offers can follow each other; an order is shown {MAX_SHOWN} at most."
    if not campaign.begins and not any(campaign.ref in other.follows for other in shop.others.values()):
        yield "It begins no sequence and follows no campaign: it is never offered."


def _walk(campaign: Campaign, others: Mapping[str, Campaign]) -> tuple[tuple[str, ...], int]:
    """The first circle from *campaign* on, and how many offers the longest way without one has, up to one too many."""
    longest = 1
    circle: tuple[str, ...] = ()
    ways: list[tuple[str, ...]] = [(campaign.ref,)]
    seen = {campaign.ref}
    while ways:
        way = ways.pop()
        longest = max(longest, len(way))
        for ref in others[way[-1]].follows:
            if ref in way:
                circle = circle or (*way[way.index(ref) :], ref)
            elif ref in others and (ref not in seen or len(way) <= MAX_SHOWN):
                seen.add(ref)
                ways.append((*way, ref))
    return circle, longest
