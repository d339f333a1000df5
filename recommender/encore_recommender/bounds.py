"""What a merchant allows: pairs pinned and blocked, categories, prices, variety. Filters answers, never trains."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Numbers: TypeAlias = "Sequence[int] | memoryview[int]"

Screen = Callable[..., bool]
"""May (product number, SKU, pinned?) be recommended in this query?"""


class BadBounds(ValueError):
    """What the merchant allows contradicts itself or is not in shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a merchant allows, in one value, validated once and shared by any number of queries and threads.

    Every bound takes products away, save `pinned`, which puts them first. Where bounds disagree the stricter
    one wins: a pinned product is still not recommended when it is excluded, not allowed, too expensive, or in
    a category that is not allowed. Products the bounds name and the model does not know are fine.

    Raises:
        BadBounds: A value is of the wrong kind, or a pair is both pinned and blocked.
    """

    pinned: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Per basket product, the products to put before all others, in order. The merchant's word: they need no
    orders together, may be unknown to the model, and may be substitutes of a basket line."""
    blocked: Collection[tuple[str, str]] = ()
    """Pairs never together: neither is recommended beside the other, whichever is in the basket."""
    only_categories: Collection[str] | None = None
    """Only products of these; one of unknown category is not recommended. None allows all."""
    never_categories: Collection[str] = ()
    """No products of these; one of unknown category may be recommended."""
    prices: Mapping[str, int] = field(default_factory=dict)
    """Price per SKU in minor units of one currency. Copied."""
    min_price: int | None = None
    """In minor units. With this or `max_price`, a product that is not in `prices` is not recommended."""
    max_price: int | None = None
    per_category: int | None = None
    """So many products of one category at most, in a list and the sequence before it; those of unknown
    category are not counted."""
    substitutes: bool = False
    """Recommend products of a basket line's own family too. No list or sequence ever has two of one family."""
    _partners: Mapping[str, Collection[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        blocked = frozenset(_pair(pair) for pair in _collection(self.blocked, "blocked"))
        partners: dict[str, set[str]] = {}
        for one, other in blocked:
            partners.setdefault(one, set()).add(other)
            partners.setdefault(other, set()).add(one)
        only = None if self.only_categories is None else frozenset(_names(self.only_categories, "only_categories"))
        if only is not None and not only:
            raise BadBounds("only_categories is empty, which allows nothing: leave it out to allow all categories")
        never = frozenset(_names(self.never_categories, "never_categories"))
        if only is not None and only <= never:
            raise BadBounds("every category of only_categories is in never_categories too, which allows nothing")
        if self.per_category is not None and _whole(self.per_category, "per_category") < 1:
            raise BadBounds("per_category is 0, which allows nothing: leave it out, or allow at least 1")
        if not isinstance(self.substitutes, bool):
            raise BadBounds(f"substitutes must be True or False, not {self.substitutes!r}")
        values = {
            "pinned": _pins(self.pinned, partners),
            "blocked": blocked,
            "only_categories": only,
            "never_categories": never,
            "prices": _prices(self.prices),
            "_partners": partners,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        _check_guard(self.min_price, self.max_price)

    def priced(self, *, min_price: int | None = None, max_price: int | None = None) -> Bounds:
        """The same with another price guard, in microseconds: for a guard that depends on the basket.

        Raises:
            BadBounds: A price is not a whole number of at least 0, or the two leave nothing between them.
        """
        _check_guard(min_price, max_price)
        other = copy.copy(self)
        object.__setattr__(other, "min_price", min_price)
        object.__setattr__(other, "max_price", max_price)
        return other

    def blocked_beside(self, skus: Iterable[str]) -> set[str]:
        """What must not stand beside any of these."""
        partners = self._partners
        return {other for sku in skus if sku in partners for other in partners[sku]}

    def pins(self, lines: Iterable[str]) -> list[tuple[str, str]]:
        """(pinned product, the line it is pinned to), line by line in the order given."""
        return [(sku, line) for line in lines for sku in self.pinned.get(line, ())]


def screen(
    bounds: Bounds,
    *,
    category_number: Mapping[str, int],
    category_of: Numbers,
    family_of: Numbers | None,
    basket: Iterable[int],
    offered: Iterable[int],
) -> Screen | None:
    """One query's test of products, asked best first; what passes counts against the products after it.

    Args:
        bounds: What the merchant allows; the pairs are not looked at.
        category_number: Number per category name, -1 for any other.
        category_of: Category number per product number, -1 where unknown.
        family_of: Family number per product number, -1 where it has none; None where no product has one.
        basket: Product numbers of the basket's lines.
        offered: Product numbers of what was offered before in the sequence.

    Returns:
        The test; None where everything would pass.
    """
    prices, low, high, per_category = bounds.prices, bounds.min_price, bounds.max_price, bounds.per_category
    priced = low is not None or high is not None
    by_category = bounds.only_categories is not None or bool(bounds.never_categories) or per_category is not None
    if not (priced or by_category or family_of is not None):
        return None
    least, most = low or 0, math.inf if high is None else high
    only = None if bounds.only_categories is None else _numbers(bounds.only_categories, category_number)
    never = _numbers(bounds.never_categories, category_number) if by_category else ()
    counts: dict[int, int] = Counter(category_of[item] for item in offered) if per_category is not None else {}
    of_basket: Collection[int] = ()
    of_offered: set[int] = set()
    if family_of is not None:
        of_offered.update(family_of[item] for item in offered)
        if not bounds.substitutes:
            of_basket = [family_of[item] for item in basket]

    def passes(item: int, sku: str, pinned: bool = False) -> bool:
        if priced:
            price = prices.get(sku)
            if price is None or not least <= price <= most:
                return False
        category = -1
        if by_category:
            # A pinned product may be unknown to the model and then has neither category nor family.
            category = category_of[item] if item >= 0 else -1
            if category in never or (only is not None and category not in only):
                return False
            if per_category is not None and category >= 0 and counts.get(category, 0) >= per_category:
                return False
        if family_of is not None and item >= 0:
            family = family_of[item]
            if family >= 0:
                if family in of_offered or (family in of_basket and not pinned):
                    return False
                of_offered.add(family)
        if category >= 0:
            counts[category] = counts.get(category, 0) + 1
        return True

    return passes


def _numbers(names: Iterable[str], number: Mapping[str, int]) -> set[int]:
    return {number[name] for name in names} - {-1}


def _name(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadBounds(f"{where} must name products or categories by texts that are not empty, not by {value!r}")
    return value


def _names(values: object, where: str) -> tuple[str, ...]:
    """Distinct names in the order given."""
    return tuple(dict.fromkeys(_name(value, where) for value in _collection(values, where)))


def _collection(values: object, where: str) -> Collection[Any]:
    # A text is a collection of letters, and taking it for one is the likeliest mistake.
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Collection):
        raise BadBounds(f"{where} must be a list, tuple or set, not {values!r}")
    return values


def _mapping(values: object, where: str) -> Mapping[Any, Any]:
    if not isinstance(values, Mapping):
        raise BadBounds(f"{where} must be a mapping with the SKU as key, not {type(values).__name__}")
    return values


def _pair(pair: object) -> tuple[str, str]:
    names = pair if isinstance(pair, (tuple, list, frozenset, set)) else ()
    if len(names) != 2:
        raise BadBounds(f"blocked must hold pairs of two different SKUs, not {pair!r}")
    one, other = sorted(_name(name, "blocked") for name in names)
    if one == other:
        raise BadBounds(f"blocked must hold pairs of two different SKUs, not {pair!r}")
    return one, other


def _pins(values: object, partners: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    pinned = {_name(line, "pinned"): _names(skus, "pinned") for line, skus in _mapping(values, "pinned").items()}
    for line, skus in pinned.items():
        if line in skus:
            raise BadBounds(f"{line!r} is pinned to itself: name the products to put first beside it")
        both = partners.get(line, set()).intersection(skus)
        if both:
            raise BadBounds(f"{line!r} and {min(both)!r} are both pinned and blocked: drop one of the two")
    return pinned


def _prices(values: object) -> dict[str, int]:
    prices = dict(_mapping(values, "prices"))
    # Looked at as a whole first: a catalogue has a hundred thousand of them.
    if not set(map(type, prices.values())) <= {int} or min(prices.values(), default=0) < 0:
        for sku, price in prices.items():
            if type(price) is not int or price < 0:
                raise BadBounds(f"the price of {sku!r} must be whole minor units of at least 0, not {price!r}")
    return prices


def _whole(value: object, where: str) -> int:
    if type(value) is not int or value < 0:
        raise BadBounds(f"{where} must be a whole number of at least 0, not {value!r}")
    return value


def _check_guard(min_price: object, max_price: object) -> None:
    low = 0 if min_price is None else _whole(min_price, "min_price")
    if max_price is not None and _whole(max_price, "max_price") < low:
        raise BadBounds(f"max_price {max_price} is below min_price {min_price}, which allows nothing")


#: What holds where nothing was said: no substitutes, no two of a family.
NO_BOUNDS = Bounds()
