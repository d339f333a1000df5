"""What must hold for any order, any catalogue and any kind of offer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from flask_encore.domain.kinds import (
    MAX_CHOICES,
    Bundle,
    BuyGet,
    Complementary,
    Discount,
    Fixed,
    Kind,
    MoreOfTheSame,
    Service,
)
from flask_encore.domain.money import Money, step
from flask_encore.domain.offers import Candidate
from flask_encore.domain.orders import OrderLine, Product
from flask_encore.domain.prices import Choice, Quote
from flask_encore.domain.pricing import Alternative, Basket, Shelf, alternatives, quoted

#: Two decimals, none, three of which the last is 0, and two that have to be 00.
CURRENCIES = ("gbp", "jpy", "kwd", "isk")
SKUS = tuple("abcdefghijklmn")
PARENTS = ("p", "q")

#: Questions asked; a failure names the one, and it is the same in every run.
WORLDS = range(3000)


def money(draw: Random, currency: str, least: int = 0) -> Money:
    """An amount, half of them near what can just be charged."""
    return Money(draw.choice((draw.randint(least, 600), draw.randint(least, 60) * 1000)) or least, currency)


def product(draw: Random, sku: str, currency: str) -> Product:
    price = money(draw, draw.choices((currency, "usd"), (19, 1))[0])
    cost, was = money(draw, price.currency), price + money(draw, price.currency, 1)
    return Product(
        sku=sku,
        title=sku.upper(),
        price=price,
        stock=draw.choice((None, 0, 1, 2, 4, 6)),
        category=draw.choice((None, "x", "y")),
        cost=draw.choice((None, cost)),
        active=draw.random() < 0.95,
        parent=draw.choice((None, None, None, *PARENTS)),
        was=draw.choice((None, was)),
    )


def discount(draw: Random, currency: str) -> Discount:
    if draw.random() < 0.3:
        return Discount(amounts={currency: money(draw, currency, 1)})
    return Discount(percent=draw.choice((0, 100, draw.randint(1, 99))))


def kind_of_offer(draw: Random, currency: str) -> Kind:
    some = tuple(draw.sample((*SKUS, *PARENTS), 4))
    named = draw.choice(((), some))
    off = discount(draw, currency)
    kinds: list[Callable[[], Kind]] = [
        lambda: Complementary(
            discount=off,
            never_categories=draw.choice(((), ("x",))),
            price_cap_percent=draw.choice((None, draw.randint(0, 100))),
            margin_floor_percent=draw.choice((None, draw.randint(0, 50))),
            pinned=draw.choice(((), ((some[0], some[1]),))),
            blocked=draw.choice(((), ((some[2], some[3]),))),
        ),
        lambda: Fixed(skus=some, discount=off),
        lambda: Service(sku=draw.choice((some[0], *PARENTS)), discount=off),
        lambda: BuyGet(buy=draw.randint(0, 3), get=draw.randint(1, 3), percent_off=draw.randint(1, 100), skus=named),
        lambda: Bundle(skus=(SKUS[0], SKUS[1]), prices={currency: money(draw, currency, 1)}),
        lambda: MoreOfTheSame(
            minimum=draw.randint(1, 3), maximum=draw.randint(3, 8), step=draw.randint(1, 3), skus=named, discount=off
        ),
    ]
    return draw.choice(kinds)()


def world(seed: int) -> tuple[Kind, dict[str, Any]]:
    """A kind of offer, and everything it is asked with."""
    draw = Random(seed)
    currency = draw.choice(CURRENCIES)
    lines = tuple(
        OrderLine(sku=sku, title=sku, quantity=draw.randint(1, 3), unit_price=money(draw, currency))
        for sku in draw.choices(SKUS[1:], k=draw.randint(1, 3))
    )
    return kind_of_offer(draw, currency), {
        "candidates": [
            Candidate(sku=sku, score=1.0, kind="co_purchase")
            for sku in draw.sample((*SKUS, *PARENTS), draw.randint(0, 5))
        ],
        "basket": Basket(lines=lines, total=money(draw, currency, 1) * draw.choice((1, 20))),
        "shelf": Shelf(product(draw, sku, currency) for sku in SKUS if draw.random() < 0.95),
        "guard_percent": draw.choice((30, 100, 1000)),
        "shown": draw.choice(((), [(draw.choice(SKUS), draw.randint(0, 60_000))])),
    }


def promised(kind: Kind, choice: Choice, shelf: Shelf) -> tuple[int, int]:
    """What has to be off at least, as a fraction of minor units."""
    item = choice.price.item.minor_units
    match kind:
        case Bundle(prices=prices):
            return item - prices[choice.price.total.currency].minor_units, 1
        case BuyGet():
            product = shelf.product(choice.sku)
            assert product is not None
            return product.price.minor_units * kind.get * kind.percent_off, 100
        case _ if kind.discount.amounts:
            return kind.discount.amounts[choice.price.total.currency].minor_units, 1
        case _:
            return item * kind.discount.percent, 100


def stands(kind: Kind, answer: Alternative, asked: dict[str, Any]) -> None:
    """Every law of one answer."""
    if answer.refused:
        assert (answer.choices, answer.choose, answer.sold_out) == ((), "", frozenset())
        return
    basket, shelf = asked["basket"], asked["shelf"]
    bought = {line.sku for line in basket.lines}
    assert 1 <= len(answer.choices) <= MAX_CHOICES
    assert (answer.choose == "") is (len(answer.choices) == 1)
    assert 0 not in answer.sold_out
    assert answer.sold_out <= set(range(len(answer.choices)))
    assert len({(one.sku, one.quantity) for one in answer.choices}) == len(answer.choices)
    for place, choice in enumerate(answer.choices):
        price, total = choice.price, choice.price.total
        assert price.item - price.discount == total
        assert sum(line.item.minor_units for line in choice.lines) == price.item.minor_units
        assert sum(line.discount.minor_units for line in choice.lines) == price.discount.minor_units
        assert all(0 <= line.discount.minor_units <= line.item.minor_units for line in choice.lines)
        assert total.is_chargeable or total.minor_units == 0
        assert total.minor_units * 100 <= basket.total.minor_units * asked["guard_percent"]
        least, parts = promised(kind, choice, shelf)
        # ... and never larger than rounding to what can be charged makes it.
        assert least <= price.discount.minor_units * parts < least + step(total.currency) * parts
        on_shelf = [shelf.product(sku) for sku in (choice.sku, choice.second_sku) if sku]
        assert [line.sku for line in choice.lines] == [product.sku for product in on_shelf]
        for product in on_shelf:
            assert product.active
            assert (product.sku in bought) is isinstance(kind, BuyGet | MoreOfTheSame)
            enough = isinstance(kind, Service) or product.stock is None or product.stock >= choice.quantity
            assert enough is (place not in answer.sold_out)
        assert choice.was is None or price.item < choice.was


def test_every_offer_keeps_the_law_and_there_are_offers_of_every_kind() -> None:
    seen: Counter[str] = Counter()
    for seed in WORLDS:
        kind, asked = world(seed)
        for answer in alternatives(kind, **asked):
            try:
                stands(kind, answer, asked)
            except AssertionError as error:
                raise AssertionError(f"world {seed}: {answer}") from error
            seen[f"{kind.kind}: {answer.refused or answer.choose or 'one'}"] += 1
            seen["sold out siblings"] += len(answer.sold_out)
    for kind_name in ("complementary", "fixed", "service"):
        assert min(seen[f"{kind_name}: {made}"] for made in ("one", "variant", "in_order", "price_guard")) >= 10
    for kind_name in ("more", "buy_get", "bundle"):
        assert seen[f"{kind_name}: one"] >= 10
    assert min(seen["more: quantity"], seen["sold out siblings"], seen["more: too_few"]) >= 10


def test_the_same_question_has_the_same_answer_and_changes_nothing() -> None:
    for seed in WORLDS[:300]:
        kind, asked = world(seed)
        first = alternatives(kind, **asked)
        assert alternatives(kind, **asked) == first
        untouched, as_asked = world(seed)
        assert (kind, asked | {"shelf": None}) == (untouched, as_asked | {"shelf": None})
        known = [product for sku in SKUS if (product := asked["shelf"].product(sku)) is not None]
        assert alternatives(kind, **asked | {"shelf": Shelf(known[::-1])}) == first


def test_a_quote_changes_what_is_added_and_nothing_else() -> None:
    quotes = 0
    for seed in WORLDS[:300]:
        kind, asked = world(seed)
        nothing = Money(0, asked["basket"].total.currency)
        shipping, tax = nothing + Money(seed, nothing.currency), nothing + Money(7, nothing.currency)
        for choice in [choice for answer in alternatives(kind, **asked) for choice in answer.choices]:
            for included, added in ((True, shipping), (False, shipping + tax)):
                with_quote = quoted(choice, Quote(shipping=shipping, tax=tax, tax_included=included))
                assert with_quote.price.total == choice.price.total + added
                assert with_quote.as_json() | choice.price.as_json() == choice.as_json()
                quotes += 1
    assert quotes > 300
