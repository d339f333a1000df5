"""Random shops: a catalogue, an order and campaigns of every kind, all from one seed and none of them tidy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from flask_encore import Money, OfferLine, OrderLine, PaidOrder, Product, Quote
from flask_encore.domain.offers import Candidate

#: Currency -> what its amounts have to be multiples of at Stripe, and a usual price, in minor units.
CURRENCIES = {"gbp": (1, 2_000), "jpy": (1, 3_000), "kwd": (10, 9_000)}

CATEGORIES = ("Tea", "Kitchen", "Clothing", None)
COUNTRIES = ("GB", "DE", "US", None)


class Shelves:
    """A ranker that proposes what the world at hand has, in its order."""

    version = "worlds"

    def __init__(self) -> None:
        self.candidates: Sequence[Candidate] = ()

    def rank(
        self, basket: Sequence[str], *, k: int, exclude: Sequence[str] = (), history: Sequence[str] = ()
    ) -> Sequence[Candidate]:
        left_out = {*basket, *exclude}
        return [candidate for candidate in self.candidates if candidate.sku not in left_out][:k]


@dataclass(frozen=True, kw_only=True)
class World:
    """All that one seed makes.

    Attributes:
        campaigns: Definitions, as a file has them.
        quotes: What `ENCORE_QUOTE` answers; an exception is raised.
        answers: Draws what the shopper does.
    """

    seed: int
    products: Sequence[Product]
    candidates: Sequence[Candidate]
    order: dict[str, Any]
    campaigns: Sequence[dict[str, Any]]
    quotes: Quote | Exception
    answers: Random
    heard: list[tuple[str, int]] = field(default_factory=list)

    def quote(self, order: PaidOrder, lines: Sequence[OfferLine]) -> Quote:
        """The shop's own shipping and tax."""
        self.heard.append((order.order_ref, len(lines)))
        if isinstance(self.quotes, Exception):
            raise self.quotes
        return self.quotes


def world(seed: int) -> World:
    """The world of *seed*: the same today and tomorrow."""
    draw = Random(seed)
    currency = draw.choice(list(CURRENCIES))
    products = _products(draw, seed, currency)
    bought = draw.sample(products, k=min(len(products), draw.randint(1, 3)))
    step, usual = CURRENCIES[currency]
    lines = [
        OrderLine(sku=one.sku, title=one.title, quantity=draw.randint(1, 3), unit_price=Money(usual, currency))
        for one in bought
    ]
    total = draw.choice([usual // 4, usual * 2, usual * 20, usual * 20, usual * 20]) // step * step
    return World(
        seed=seed,
        products=products,
        candidates=_candidates(draw, products, bought),
        order={
            "lines": lines,
            "total": Money(total, currency),
            "country": draw.choice(COUNTRIES),
            "tags": [f"w{seed}"],
            "customer_ref": draw.choice([f"c-{seed}", None]),
            "loyalty_tier": draw.choice(["gold", "", None]),
            "card": draw.choices(["4242424242424242", "4000000000000341"], weights=[9, 1])[0],
        },
        campaigns=_campaigns(draw, seed, currency, products, bought, Money(total, currency)),
        quotes=_quotes(draw, currency),
        answers=draw,
    )


def _price(draw: Random, currency: str) -> Money:
    _, usual = CURRENCIES[currency]
    return Money(draw.choice([usual // 200, draw.randint(usual // 10, usual), usual, usual * 2 + 7]), currency)


def _products(draw: Random, seed: int, currency: str) -> list[Product]:
    found = []
    variants = draw.randint(0, 4)
    for number in range(draw.randint(4, 8)):
        is_variant = number < variants
        other = "usd" if draw.random() < 0.1 else currency
        price = _price(draw, other if other in CURRENCIES else "gbp")
        price = Money(price.minor_units, other)
        more = Money(price.minor_units + draw.randint(1, 500), other)
        found.append(
            Product(
                sku=f"w{seed}-p{number}",
                title=f"Thing {number} of <{seed}> & more",
                price=price,
                stock=draw.choice([None, 0, 1, 2, 5, 30, 30]),
                category=draw.choice(CATEGORIES),
                cost=draw.choice([None, Money(price.minor_units // 3, other)]),
                active=draw.random() < 0.9,
                parent=f"w{seed}-parent" if is_variant else None,
                options={"Size": "SMLX"[number]} if is_variant else {},
                was=more if draw.random() < 0.2 else None,
            )
        )
    return found


def _candidates(draw: Random, products: Sequence[Product], bought: Sequence[Product]) -> list[Candidate]:
    names = [one.sku for one in draw.sample(products, k=len(products))]
    return [
        Candidate(
            sku=sku,
            score=1 / (place + 1),
            kind=draw.choice(["co_purchase", "popularity"]),
            because_of=bought[0].sku,
            support=draw.randint(1, 40),
            of_orders=50,
            lift=2.0,
            probability=draw.random(),
        )
        for place, sku in enumerate(names)
    ]


def _quotes(draw: Random, currency: str) -> Quote | Exception:
    step, usual = CURRENCIES[currency]
    shipping = Money(draw.choice([0, usual // 10]) // step * step, currency)
    tax = Money(usual // 20 // step * step, currency)
    return draw.choices(
        [
            Quote(shipping=shipping),
            Quote(shipping=shipping, tax=tax, tax_included=True),
            Quote(shipping=shipping, tax=tax, tax_included=False),
            Quote(shipping=Money(1, "eur")),
            RuntimeError("the carrier's server is away"),
        ],
        weights=[12, 6, 6, 1, 1],
    )[0]


def _campaigns(
    draw: Random, seed: int, currency: str, products: Sequence[Product], bought: Sequence[Product], total: Money
) -> list[dict[str, Any]]:
    refs = [f"w{seed}-c{number}" for number in range(draw.randint(2, 7))]
    found = []
    for ref in refs:
        page = draw.choices(["thank_you", "dialog", "order_status"], weights=[8, 2, 1])[0]
        others = [*(other for other in refs if other != ref), None]
        # A key with its default may stand there or not: `None` is no limit, no budget and no timer.
        found.append(
            {
                "ref": ref,
                "name": ref,
                "status": draw.choices(["live", "draft"], weights=[9, 1])[0],
                "priority": draw.randint(-1, 1),
                "placement": page,
                "begins": draw.random() < 0.8,
                "rule": _rule(draw, seed, bought, total),
                "offer": _offer(draw, seed, currency, products, bought),
                "on_accept": draw.choice(others),
                "on_decline": draw.choice(others),
                "limits": _limits(draw),
                "budget": draw.choice(
                    [None, None, None, None, {"units": 1}, {"amount": _text(total), "currency": currency}]
                ),
                "timer_minutes": draw.choice([None, None, 5]),
                "copy": draw.choice([{}, {"en": {"headline": f"Thing & “more” of {seed}?", "body": "2 < 3"}}]),
            }
        )
    return [{name: value for name, value in one.items() if value is not None} for one in found]


def _rule(draw: Random, seed: int, bought: Sequence[Product], total: Money) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"tag": {"any": [f"w{seed}"]}}]
    half = Money(total.minor_units // 2 // 10 * 10, total.currency)
    more: list[dict[str, Any]] = [
        {"sku": {"any": [bought[0].sku]}},
        {"sku": {"none": [bought[-1].sku], "quantity": 2}},
        {"order_total": {"at_least": _text(half), "currency": total.currency}},
        {"not": {"country": ["US"]}},
        {"any": [{"loyalty_tier": ["gold"]}, {"item_count": {"at_least": 2}}]},
        {"customer": "new"},
        {"category": {"any": ["Tea", "Kitchen"]}},
        {"variant_of": {"any": [f"w{seed}-parent"]}},
        {"sample": {"percent": 50, "name": f"s{seed}"}},
        {"weekday": ["mon", "tue"]},
        {"known": "country"},
    ]
    return {"all": parts + draw.sample(more, k=draw.choice([0, 0, 1, 1, 2]))}


def _limits(draw: Random) -> dict[str, Any] | None:
    return draw.choice(
        [None, None, None, {"once_per_customer": True}, {"offers": 1, "days": 30}, {"group": "some", "group_days": 7}]
    )


def _offer(
    draw: Random, seed: int, currency: str, products: Sequence[Product], bought: Sequence[Product]
) -> dict[str, Any]:
    skus = [f"w{seed}-parent", f"w{seed}-gone", *(one.sku for one in products)]
    _, usual = CURRENCIES[currency]
    amount = Money(draw.choice([usual // 10, usual]) // 10 * 10, currency)
    discount = draw.choice(
        [{}, {"percent": draw.randint(1, 99)}, {"percent": 100}, {"amounts": {currency: _text(amount)}}]
    )
    kind = draw.choice(["complementary", "complementary", "fixed", "fixed", "service", "buy_get", "bundle", "more"])
    given: dict[str, Any] = {"kind": kind, "discount": discount}
    if kind == "complementary":
        bounds: dict[str, Any] = draw.choice(
            [{}, {"only_categories": ["Tea"]}, {"price_cap_percent": 50}, {"margin_floor_percent": 10}]
        )
        pins = [[bought[0].sku, draw.choice(skus)]] if draw.random() < 0.3 else []
        return given | bounds | ({"pinned": pins} if pins and pins[0][0] != pins[0][1] else {})
    if kind == "fixed":
        return given | {"skus": draw.sample(skus, k=draw.randint(1, 4))}
    if kind == "service":
        text = {"label": {"en": "Your <3 message"}, "max_length": 40, "required": draw.random() < 0.5}
        return given | {"sku": draw.choice(skus)} | draw.choice([{}, {"text": text}])
    if kind == "more":
        least = draw.randint(1, 2)
        return given | {"minimum": least, "maximum": least + draw.randint(0, 5), "step": draw.randint(1, 2)}
    if kind == "buy_get":
        return {"kind": kind, "buy": draw.randint(0, 2), "get": 1, "percent_off": draw.choice([100, 50, 33])}
    return {"kind": kind, "skus": draw.sample(skus, k=2), "prices": {currency: _text(amount)}}


def _text(amount: Money) -> str:
    return str(amount.decimal)
