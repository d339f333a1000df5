"""The products at hand, by SKU and by what they are variants of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from flask_encore.domain.orders import Product

#: Sizes by letters, smallest first: nobody looks for S behind M.
_SIZES = {size: place for place, size in enumerate(("xxxs", "xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl", "xxxxl"))}
_SIZES |= {"2xs": 1, "2xl": 7, "3xl": 8, "4xl": 9}

_DIGITS = re.compile(r"(\d+)")

_Rank: TypeAlias = tuple[tuple[int, int, str], ...]


class Shelf:
    """Products of the catalogue, as they stand at one moment; the first of a SKU counts."""

    __slots__ = ("_parents", "_products")

    def __init__(self, products: Iterable[Product] = ()) -> None:
        self._products: dict[str, Product] = {}
        for product in products:
            self._products.setdefault(product.sku, product)
        self._parents: dict[str, list[Product]] = {}
        for product in self._products.values():
            if product.parent is not None:
                self._parents.setdefault(product.parent, []).append(product)

    def product(self, sku: str) -> Product | None:
        """The product of *sku*; ``None`` when it is not in the catalogue."""
        return self._products.get(sku)

    def variants(self, parent: str) -> tuple[Product, ...]:
        """Variants of *parent* as a shopper looks for them: sizes and numbers rise, words by the alphabet.

        The same whatever order the products came in.
        """
        return tuple(sorted(self._parents.get(parent, ()), key=_as_looked_for))

    def article(self, sku: str) -> str:
        """What *sku* is a variant of; itself when it is none, or not in the catalogue."""
        product = self._products.get(sku)
        return sku if product is None or product.parent is None else product.parent


def _as_looked_for(product: Product) -> tuple[_Rank, ...]:
    return (*(_rank(value) for value in product.options.values()), ((3, 0, product.sku),))


def _rank(value: str) -> _Rank:
    word = value.strip().casefold()
    if word in _SIZES:
        return ((0, _SIZES[word], ""),)
    parts = [part for part in _DIGITS.split(word) if part]
    return tuple((1, int(part), "") if part.isdecimal() else (2, 0, part) for part in parts)
