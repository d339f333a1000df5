"""What Pottle & Quill sells, read from ``catalogue.toml``: hand-written names, prices and what belongs together."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from flask_encore.demo.pictures import picture_url
from flask_encore.domain.money import Money
from flask_encore.domain.orders import Product

CURRENCY = "gbp"

#: Units on the shelf when the shop opens: few enough that something sells out, enough for an afternoon of buying.
SMALLEST_STOCK, LARGEST_STOCK = 6, 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A shelf of the shop. *seasons* are its weights in spring, summer, autumn and winter."""

    name: str
    slug: str
    line: str
    seasons: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopProduct:
    """A product as the shop shows it: what Encore knows of it, and its picture's shape and one sentence of praise."""

    product: Product
    shape: str
    blurb: str

    @property
    def name(self) -> str:
        """Its title, and what tells it from the other variants of its article."""
        told = ", ".join(self.product.options.values())
        return f"{self.product.title} ({told})" if told else self.product.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """Two products that belong together: who buys the first also takes the second with this probability."""

    sku_a: str
    sku_b: str
    probability: float


@cache
def categories() -> tuple[Category, ...]:
    """The shelves, in the order they are shown."""
    return tuple(
        Category(name=shelf["name"], slug=shelf["slug"], line=shelf["line"], seasons=tuple(shelf["seasons"]))
        for shelf in _book()["category"]
    )


@cache
def products() -> tuple[ShopProduct, ...]:
    """Every product, shelf by shelf. SKUs are the shelf's prefix and a running number; stock is drawn, always alike."""
    stock = np.random.default_rng(1785)
    found = []
    for shelf in _book()["category"]:
        number = 0
        for family in shelf["family"]:
            for title, pence in family["items"]:
                number += 1
                sku = f"{shelf['prefix']}-{number:02d}"
                product = Product(
                    sku=sku,
                    title=title,
                    price=Money(pence, CURRENCY),
                    stock=int(stock.integers(SMALLEST_STOCK, LARGEST_STOCK)),
                    category=shelf["name"],
                    image_url=picture_url(sku),
                    cost=Money(round(pence * shelf["cost"]), CURRENCY),
                )
                found.append(ShopProduct(product=product, shape=family["shape"], blurb=family["blurb"]))
    return tuple(found)


@cache
def counter() -> tuple[ShopProduct, ...]:
    """What only campaigns offer: services, a sample, and an article in several variants. Nobody has bought it yet."""
    found = []
    for item in _book()["counter"]:
        names = item.get("options", ())
        for *values, stock in item.get("variants", [[item.get("stock")]]):
            sku = "-".join([item["sku"], *(value.upper() for value in values)])
            product = Product(
                sku=sku,
                title=item["title"],
                price=Money(item["price"], CURRENCY),
                stock=stock,
                category=item["category"],
                image_url=picture_url(sku),
                parent=item["sku"] if values else None,
                options=dict(zip(names, values, strict=True)),
                was=Money(item["was"], CURRENCY) if "was" in item else None,
            )
            found.append(ShopProduct(product=product, shape=item["shape"], blurb=item["blurb"]))
    return tuple(found)


@cache
def planted() -> tuple[Planted, ...]:
    """The pairs the generated history holds on purpose, so that a test can say the model finds them."""
    skus = {item.product.title: item.product.sku for item in products()}
    return tuple(
        Planted(sku_a=skus[title], sku_b=skus[other], probability=probability)
        for title, (other, probability) in _book()["pairs"].items()
    )


@cache
def _book() -> dict[str, Any]:
    return tomllib.loads(resources.files("flask_encore.demo").joinpath("catalogue.toml").read_text("utf-8"))
