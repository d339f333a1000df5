"""A thousand campaigns as a large merchant would keep them: most for a product or a category, some for everybody."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from flask_encore import Product

#: Of a hundred campaigns: aimed at a product, at a category, and at neither, which every order has to be asked about.
FOR_A_PRODUCT, FOR_A_CATEGORY = 70, 25


def campaigns(products: Sequence[Product], *, count: int, seed: int, currency: str) -> list[dict[str, Any]]:
    """*count* live definitions over *products*; the same for the same seed."""
    draw = random.Random(seed)
    skus = [product.sku for product in products]
    categories = sorted({product.category for product in products if product.category})
    return [_one(draw, number, skus, categories, currency) for number in range(count)]


def _one(
    draw: random.Random, number: int, skus: Sequence[str], categories: Sequence[str], currency: str
) -> dict[str, Any]:
    aim = draw.randrange(100)
    parts: list[dict[str, Any]] = []
    if aim < FOR_A_PRODUCT:
        parts.append({"sku": {"any": draw.sample(skus, k=draw.randint(1, 3))}})
    elif aim < FOR_A_PRODUCT + FOR_A_CATEGORY:
        parts.append({"category": {"any": [draw.choice(categories)]}})
    asked = [
        {"order_total": {"at_least": f"{draw.randint(10, 300)}.00", "currency": currency}},
        {"item_count": {"at_least": draw.randint(1, 6)}},
        {"country": draw.sample(["GB", "DE", "FR", "US", "NL"], k=2)},
        {"customer": draw.choice(["new", "returning"])},
        {"weekday": draw.sample(["mon", "tue", "wed", "thu", "fri", "sat", "sun"], k=3)},
        {"sample": {"percent": draw.choice([10, 25, 50]), "name": f"draw-{number}"}},
        {"not": {"tag": {"any": ["wholesale"]}}},
    ]
    parts += draw.sample(asked, k=draw.randint(2, 4))
    return {
        "ref": f"c-{number:04}",
        "name": f"Campaign {number}",
        "status": "live",
        "priority": draw.randint(-3, 3),
        "rule": {"all": parts},
        "offer": _offer(draw, skus, categories, currency),
    }


def _offer(draw: random.Random, skus: Sequence[str], categories: Sequence[str], currency: str) -> dict[str, Any]:
    match draw.randrange(4):
        case 0:
            return {"kind": "fixed", "skus": draw.sample(skus, k=5), "discount": {"percent": 10}}
        case 1:
            return {"kind": "complementary", "only_categories": draw.sample(categories, k=min(3, len(categories)))}
        case 2:
            return {"kind": "more", "minimum": 1, "maximum": 4, "discount": {"percent": 15}}
        case _:
            return {"kind": "bundle", "skus": draw.sample(skus, k=2), "prices": {currency: "1.00"}}
