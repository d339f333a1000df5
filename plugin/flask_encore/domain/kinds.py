"""The kinds of offer a campaign can make, and what each has to be told. `pricing` prices them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money
from flask_encore.domain.orders import checked_ref
from flask_encore.domain.rule_json import MAX_VALUES, short

#: Pieces of one offer. More is not an impulse but an order.
MAX_PIECES = 100

#: Ways one offer can be taken: variants, or quantities. A longer list is a shop of its own, and each is quoted.
MAX_CHOICES = 12

#: Characters a shopper may write into a text field, such as a gift message: a card's worth.
MAX_TEXT = 500

#: Characters of a text field's label.
MAX_LABEL = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Discount:
    """What is taken off, either a whole percentage or a fixed amount of each currency; nothing when neither is given.

    A fixed amount comes off the whole offer, not off each piece. One that is not below the price is refused where it is
    priced: a typing mistake must not give the shop away. 100 % does.
    """

    percent: int = 0
    amounts: Mapping[str, Money] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if type(self.percent) is not int or not 0 <= self.percent <= 100:
            raise InvalidInput(f"percent has to be a whole number from 0 to 100, got {short(self.percent)}.")
        object.__setattr__(self, "amounts", _amounts("amounts", self.amounts))
        if self.percent and self.amounts:
            raise InvalidInput("a discount is a percent or amounts, not both.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextField:
    """A short text the shopper may give with the offer, such as a gift message.

    Attributes:
        label: By language tag; ``en`` has to be there, for shoppers of other languages.
    """

    label: Mapping[str, str]
    max_length: int = 200
    required: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.label, Mapping) or "en" not in self.label:
            raise InvalidInput("label of the text field needs a text for 'en', for shoppers of other languages.")
        for language, text in self.label.items():
            if not isinstance(text, str) or not 0 < len(text.strip()) <= MAX_LABEL:
                raise InvalidInput(f"label.{language} has to be a text of 1 to {MAX_LABEL} characters.")
            checked_ref(f"label.{language}", text)  # it stands on the card: nothing may hide or turn what is around it
        if type(self.max_length) is not int or not 1 <= self.max_length <= MAX_TEXT:
            raise InvalidInput(f"max_length has to be a whole number from 1 to {MAX_TEXT}.")
        if not isinstance(self.required, bool):
            raise InvalidInput(f"required has to be true or false, got {short(self.required)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Complementary:
    """What the recommender finds best, within the merchant's bounds.

    Attributes:
        only_categories: Only products of these; all when empty.
        price_cap_percent: The offer costs at most this percent of the order's total; the shop's own guard stands too.
        margin_floor_percent: At least this percent of the price is earned; a product of unknown cost is refused then.
        pinned: (product of the order, product to offer first beside it) pairs, the merchant's word.
        blocked: Pairs never together, whichever of them is in the order.
    """

    kind: ClassVar[str] = "complementary"
    discount: Discount = field(default_factory=Discount)
    only_categories: tuple[str, ...] = ()
    never_categories: tuple[str, ...] = ()
    price_cap_percent: int | None = None
    margin_floor_percent: int | None = None
    pinned: tuple[tuple[str, str], ...] = ()
    blocked: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name in ("only_categories", "never_categories"):
            object.__setattr__(self, name, _refs(name, getattr(self, name)))
        both = set(self.only_categories) & set(self.never_categories)
        if both:
            raise InvalidInput(f"{sorted(both)[0]!r} is in only_categories and in never_categories.")
        _percent("price_cap_percent", self.price_cap_percent, 10_000)
        _percent("margin_floor_percent", self.margin_floor_percent, 100)
        for name in ("pinned", "blocked"):
            object.__setattr__(self, name, _pairs(name, getattr(self, name)))
        known = {frozenset(pair) for pair in self.blocked}
        for pair in self.pinned:
            if frozenset(pair) in known:
                raise InvalidInput(f"{pair[0]!r} and {pair[1]!r} are pinned and blocked.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A chosen product, or the first that can be offered of a ranked list; the parent of variants, or one of them."""

    kind: ClassVar[str] = "fixed"
    skus: tuple[str, ...]
    discount: Discount = field(default_factory=Discount)

    def __post_init__(self) -> None:
        object.__setattr__(self, "skus", _refs("skus", self.skus, least=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Something done for the order, such as gift wrapping: no stock is counted, nothing ships."""

    kind: ClassVar[str] = "service"
    sku: str
    discount: Discount = field(default_factory=Discount)
    text: TextField | None = None

    def __post_init__(self) -> None:
        checked_ref("sku", self.sku)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyGet:
    """Of something just bought: *buy* more at its price, and *get* some at *percent_off*.

    ``buy=1, get=1, percent_off=100`` is "buy one, get one"; ``buy=0, get=1, percent_off=50`` another at half price.

    Attributes:
        skus: Which of the order's products it can be; any of them when empty.
    """

    kind: ClassVar[str] = "buy_get"
    buy: int = 1
    get: int = 1
    percent_off: int = 100
    skus: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _pieces("buy", self.buy, least=0)
        _pieces("get", self.get)
        if self.buy + self.get > MAX_PIECES:
            raise InvalidInput(f"buy and get are {self.buy + self.get} pieces together; {MAX_PIECES} is the most.")
        _percent("percent_off", self.percent_off, 100, least=1, required=True)
        object.__setattr__(self, "skus", _refs("skus", self.skus))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Two products at one price together, which has to be below what they cost alone."""

    kind: ClassVar[str] = "bundle"
    skus: tuple[str, str]
    prices: Mapping[str, Money]

    def __post_init__(self) -> None:
        skus = _refs("skus", self.skus, least=2)
        if len(skus) != 2:
            raise InvalidInput(f"a bundle is of two different products, got {len(skus)}.")
        object.__setattr__(self, "skus", skus)
        object.__setattr__(self, "prices", _amounts("prices", self.prices))
        if not self.prices:
            raise InvalidInput("a bundle needs prices, such as {'gbp': '39.00'}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreOfTheSame:
    """More of something just bought, in a quantity the shopper chooses; the chooser starts at *minimum*.

    Attributes:
        skus: Which of the order's products it can be; any of them when empty.
    """

    kind: ClassVar[str] = "more"
    minimum: int = 1
    maximum: int = 1
    step: int = 1
    skus: tuple[str, ...] = ()
    discount: Discount = field(default_factory=Discount)

    def __post_init__(self) -> None:
        _pieces("minimum", self.minimum)
        _pieces("maximum", self.maximum)
        _pieces("step", self.step)
        if self.maximum < self.minimum:
            raise InvalidInput(f"maximum {self.maximum} is less than minimum {self.minimum}.")
        if len(self.quantities) > MAX_CHOICES:
            raise InvalidInput(f"that is {len(self.quantities)} quantities to choose from; {MAX_CHOICES} is the most.")
        object.__setattr__(self, "skus", _refs("skus", self.skus))

    @property
    def quantities(self) -> range:
        """What the shopper can choose."""
        return range(self.minimum, self.maximum + 1, self.step)


Kind = Complementary | Fixed | Service | BuyGet | Bundle | MoreOfTheSame

#: What JSON calls a kind -> the kind.
KINDS: Mapping[str, type[Kind]] = {
    one.kind: one for one in (Complementary, Fixed, Service, BuyGet, Bundle, MoreOfTheSame)
}


def skus_of(kind: Kind) -> tuple[str, ...]:
    """Products a kind names by itself, parents of variants among them; what it takes from the order is not."""
    match kind:
        case Complementary():
            return tuple(dict.fromkeys(offered for _, offered in kind.pinned))
        case Service():
            return (kind.sku,)
        case Fixed() | BuyGet() | Bundle() | MoreOfTheSame():
            return kind.skus


def _refs(name: str, values: object, *, least: int = 0) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InvalidInput(f"{name} needs a list of texts, got {short(values)}.")
    if not least <= len(values) <= MAX_VALUES:
        raise InvalidInput(f"{name} needs a list of {least} to {MAX_VALUES} texts, got {len(values)}.")
    return tuple(dict.fromkeys(checked_ref(name, value) for value in values))


def _pairs(name: str, values: object) -> tuple[tuple[str, str], ...]:
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) > MAX_VALUES:
        raise InvalidInput(f"{name} needs a list of at most {MAX_VALUES} pairs, got {short(values)}.")
    pairs = []
    for value in values:
        pair = _refs(name, value)
        if len(pair) != 2:
            raise InvalidInput(f"{name} needs pairs of two different products, got {short(value)}.")
        pairs.append((pair[0], pair[1]))
    return tuple(dict.fromkeys(pairs))


def _amounts(name: str, values: object) -> dict[str, Money]:
    if not isinstance(values, Mapping):
        raise InvalidInput(f"{name} needs an amount by currency, such as {{'gbp': '5.00'}}, got {short(values)}.")
    for currency, amount in values.items():
        if not isinstance(amount, Money) or amount.minor_units < 1 or amount.currency != currency:
            raise InvalidInput(f"{name}.{currency} has to be an amount above 0 in that currency, got {short(amount)}.")
    return dict(values)


def _percent(name: str, value: object, most: int, *, least: int = 0, required: bool = False) -> None:
    if value is None and not required:
        return
    if type(value) is not int or not least <= value <= most:
        raise InvalidInput(f"{name} has to be a whole number from {least} to {most}, got {short(value)}.")


def _pieces(name: str, value: object, *, least: int = 1) -> None:
    if type(value) is not int or not least <= value <= MAX_PIECES:
        raise InvalidInput(f"{name} has to be a whole number from {least} to {MAX_PIECES}, got {short(value)}.")
