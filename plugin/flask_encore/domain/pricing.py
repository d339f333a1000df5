"""What a kind of offer comes to beside one paid order: which products, in which choices, at which price, or why not.

Pure: the order, the products and the evidence go in, alternatives come out, the same for the same. Whole minor units
all the way; what does not divide is rounded in the shopper's favour, to an amount the currency can be charged in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

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
from flask_encore.domain.money import MAXIMUM, Money
from flask_encore.domain.offers import Candidate
from flask_encore.domain.orders import OrderLine, Product
from flask_encore.domain.prices import Choice, PriceBlock, Quote
from flask_encore.domain.refusals import Refused, too_dear
from flask_encore.domain.shelves import Shelf
from flask_encore.domain.terms import both_of_them, is_free, line_of, one_of_it, total_of

__all__ = ["Alternative", "Basket", "Shelf", "alternatives", "quoted"]

#: Categories of a list that the log names; the rest is counted.
NAMED = 5

#: Nothing off: what the kinds cost that have no discount of their own.
_FULL = Discount()


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """What was paid for: the lines of the order, and its total, shipping and tax included."""

    lines: tuple[OrderLine, ...]
    total: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One offer that could be made, or why it could not.

    Attributes:
        candidate: What was asked about, with the evidence for it. Its SKU can differ from the default choice's: the
            variant that was recommended may be sold out, or a parent may have been named.
        refused: Why it cannot be offered, in the words of the decision log; empty when it can. Where a number decided
            it is a `Refused`, which knows that number.
        choices: Ways to take it, the default first; none when it is refused.
        choose: Between what the shopper chooses, ``variant`` or ``quantity``; empty when there is one choice.
        sold_out: Places in *choices* that are shown and cannot be taken; never the first.
        product: Of the default choice; of what was asked about when it is refused and in the catalogue.
    """

    candidate: Candidate
    refused: str
    choices: tuple[Choice, ...] = ()
    choose: str = ""
    sold_out: frozenset[int] = frozenset()
    product: Product | None = None


def alternatives(
    kind: Kind,
    *,
    candidates: Sequence[Candidate],
    basket: Basket,
    shelf: Shelf,
    guard_percent: int,
    shown: Collection[tuple[str, int]] = (),
) -> list[Alternative]:
    """What *kind* can offer beside *basket*, first the one to prefer.

    Args:
        candidates: The recommender's, best first. Kinds that name their products take only the evidence from them.
        shelf: At least the order's products, the candidates', the kind's own (`kinds.skus_of`), those of *shown*, and
            all variants of the parents among them. What is missing is not in the catalogue.
        guard_percent: No offer costs more than this percent of the order's total.
        shown: SKU and total, in minor units, of what this order was offered before. The same product, or another
            variant of it, is only offered for less.
    """
    asked = _Question.of(kind, basket=basket, shelf=shelf, guard_percent=guard_percent, shown=shown)
    known = {candidate.sku: candidate for candidate in reversed(candidates)}
    match kind:
        case Complementary():
            return [asked.beside(candidate) for candidate in _pinned_first(kind, candidates, known, asked)]
        case Fixed():
            return [asked.named(_named(kind, sku, known)) for sku in kind.skus]
        case Service():
            return [asked.named(_named(kind, kind.sku, known))]
        case Bundle():
            return [asked.bundled(kind, _named(kind, kind.skus[0], known))]
        case BuyGet() | MoreOfTheSame():
            return _of_the_order(kind, known, asked)


def quoted(choice: Choice, quote: Quote) -> Choice:
    """*choice* with what the shop's own *quote* adds to its price.

    Raises:
        CurrencyMismatch: If the quote is in another currency.
    """
    return replace(choice, price=PriceBlock.of(choice.lines, quote))


@dataclass(frozen=True, slots=True)
class _Tried:
    """A product at a quantity. *choice* is there when nothing but the stock stands against it."""

    refused: str
    choice: Choice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked of every product: may it be offered so, beside this order?

    Attributes:
        terms: What the price is made of.
        bounds: The merchant's, where the recommender picks.
        names: SKUs of the order, and the parents of its variants; *barred* is what the merchant blocks beside them.
        least: Product, or parent of variants, to the least it was offered for before, in minor units.
        repeats: The offer is of what was bought, so being in the order is no obstacle.
        is_service: No stock, no shipping.
    """

    terms: Discount | BuyGet
    bounds: Complementary | None
    basket: Basket
    shelf: Shelf
    guard_percent: int
    names: frozenset[str]
    barred: frozenset[str]
    least: Mapping[str, int]
    repeats: bool
    is_service: bool
    nothing: Money

    @classmethod
    def of(
        cls, kind: Kind, *, basket: Basket, shelf: Shelf, guard_percent: int, shown: Collection[tuple[str, int]]
    ) -> _Question:
        names = {line.sku for line in basket.lines}
        names |= {shelf.article(sku) for sku in names}
        barred = set()
        if isinstance(kind, Complementary):
            for one, other in kind.blocked:
                barred |= ({other} if one in names else set()) | ({one} if other in names else set())
        least: dict[str, int] = {}
        for sku, total in shown:
            article = shelf.article(sku)
            least[article] = min(total, least.get(article, total))
        return cls(
            terms=kind if isinstance(kind, BuyGet) else _FULL if isinstance(kind, Bundle) else kind.discount,
            bounds=kind if isinstance(kind, Complementary) else None,
            basket=basket,
            shelf=shelf,
            guard_percent=guard_percent,
            names=frozenset(names),
            barred=frozenset(barred),
            least=least,
            repeats=isinstance(kind, BuyGet | MoreOfTheSame),
            is_service=isinstance(kind, Service),
            nothing=Money(0, basket.total.currency),
        )

    def beside(self, candidate: Candidate) -> Alternative:
        """A recommended product; a variant together with its siblings."""
        product = self.shelf.product(candidate.sku)
        if product is None or product.parent is None:
            return self.named(candidate)
        return self._varied(candidate, self.shelf.variants(product.parent), product)

    def named(self, candidate: Candidate) -> Alternative:
        """Exactly this product; all variants when it is their parent and nothing to buy itself."""
        product = self.shelf.product(candidate.sku)
        if product is not None:
            return self._counted(candidate, product, (1,))
        variants = self.shelf.variants(candidate.sku)
        if not variants:
            return Alternative(candidate=candidate, refused="not_in_catalogue")
        return self._varied(candidate, variants, variants[0])

    def _varied(self, candidate: Candidate, variants: Sequence[Product], preferred: Product) -> Alternative:
        """A choice of *variants*; *preferred* is the default, or the first that can be sold."""
        tried = [(product, self._try(product)) for product in variants]
        open_ = [product.sku for product, one in tried if not one.refused]
        if not open_:
            refused = next(one.refused for product, one in tried if product.sku == preferred.sku)
            return Alternative(candidate=candidate, refused=refused, product=preferred)
        default = preferred.sku if preferred.sku in open_ else open_[0]
        shown = [(product, one) for product, one in tried if one.choice is not None]
        shown.sort(key=lambda pair: pair[0].sku != default)  # the others stay in their order
        if len(shown) > MAX_CHOICES:  # what can be taken has room before what is only shown
            kept = sorted(shown, key=lambda pair: pair[1].refused != "")[:MAX_CHOICES]
            shown = [pair for pair in shown if pair in kept]
        return Alternative(
            candidate=candidate,
            refused="",
            choices=tuple(one.choice for _, one in shown if one.choice is not None),
            choose="variant" if len(shown) > 1 else "",
            sold_out=frozenset(place for place, (_, one) in enumerate(shown) if one.refused),
            product=shown[0][0],
        )

    def counted(self, candidate: Candidate, quantities: Sequence[int]) -> Alternative:
        """More of what was bought, in any of *quantities* that can be had; without the first there is no offer."""
        product = self.shelf.product(candidate.sku)
        if product is None:
            return Alternative(candidate=candidate, refused="not_in_catalogue")
        return self._counted(candidate, product, quantities)

    def _counted(self, candidate: Candidate, product: Product, quantities: Sequence[int]) -> Alternative:
        first, *others = [self._try(product, quantity) for quantity in quantities]
        if first.refused or first.choice is None:
            return Alternative(candidate=candidate, refused=first.refused, product=product)
        choices = (first.choice, *(one.choice for one in others if one.choice is not None and not one.refused))
        return Alternative(
            candidate=candidate,
            refused="",
            choices=choices,
            choose="quantity" if len(choices) > 1 else "",
            product=product,
        )

    def bundled(self, kind: Bundle, candidate: Candidate) -> Alternative:
        """Both products at the bundle's price."""
        first, second = (self.shelf.product(sku) for sku in kind.skus)
        if first is None or second is None:
            return Alternative(candidate=candidate, refused="not_in_catalogue", product=first)
        refused = self._against_bundle(kind, first, second)
        if refused:
            return Alternative(candidate=candidate, refused=refused, product=first)
        choice = both_of_them(first, second, kind.prices[self.nothing.currency])
        return Alternative(candidate=candidate, refused="", choices=(choice,), product=first)

    def _against_bundle(self, kind: Bundle, first: Product, second: Product) -> str:
        refused = self._against(first) or self._against(second) or _scarce(first) or _scarce(second)
        if refused:
            return refused
        currency = self.nothing.currency
        for product in (first, second):
            if product.price.currency != currency:
                return _foreign(product, currency)
        item, price = first.price.minor_units + second.price.minor_units, kind.prices.get(currency)
        if price is None or price.minor_units >= item:
            return "no_price"
        return self._against_price(first, item=item, total=price)

    def _try(self, product: Product, quantity: int = 1) -> _Tried:
        if refused := self._against(product):
            return _Tried(refused)
        scarce = "" if self.is_service else _scarce(product, quantity)
        if product.price.currency != self.nothing.currency:
            return _Tried(scarce or _foreign(product, self.nothing.currency))
        if refused := self._out_of_bounds(product):
            return _Tried(scarce or refused)
        item = product.price.minor_units * quantity
        if item > MAXIMUM:
            return _Tried(scarce or "not_chargeable")
        total = total_of(self.terms, item, self.nothing.currency)
        if total is None:
            return _Tried(scarce or "no_price")
        if refused := self._against_price(product, item=item, total=total) or self._too_dear(product, total):
            return _Tried(scarce or refused)
        line = line_of(product, quantity, item, total.minor_units, ships=not self.is_service)
        return _Tried(scarce, one_of_it(product, line, total, self.nothing))

    def _against(self, product: Product) -> str:
        if not self.repeats and (product.sku in self.names or product.parent in self.names):
            return "in_order"
        return "" if product.active else "inactive"

    def _out_of_bounds(self, product: Product) -> str:
        bounds = self.bounds
        if bounds is None:
            return ""
        if product.sku in self.barred or product.parent in self.barred:
            return "blocked"
        if bounds.only_categories and product.category not in bounds.only_categories:
            only = _listed("only", bounds.only_categories)
            return Refused("category", seen=product.category or "no category", bound=only)
        if product.category in bounds.never_categories:
            return Refused("category", seen=product.category, bound=_listed("never", bounds.never_categories))
        return ""

    def _too_dear(self, product: Product, total: Money) -> str:
        """The merchant's own cap and floor. What is given away earns nothing, so it passes a floor at no cost only."""
        bounds = self.bounds
        if bounds is None:
            return ""
        cap, floor = bounds.price_cap_percent, bounds.margin_floor_percent
        if cap is not None and total.minor_units * 100 > self.basket.total.minor_units * cap:
            return too_dear("price_cap", total, percent=cap, of=self.basket.total)
        if floor is None:
            return ""
        if product.cost is None:
            return "margin_unknown"
        earned = total.minor_units - product.cost.minor_units
        if earned * 100 >= total.minor_units * floor:
            return ""
        least = Money(-(-total.minor_units * floor // 100), total.currency)
        return Refused("margin", seen=Money(earned, total.currency), bound=f"at least {least} ({floor}% of {total})")

    def _against_price(self, product: Product, *, item: int, total: Money) -> str:
        # A price of nothing is one that somebody forgot, and a discount that only rounds down to nothing gives away
        # what the merchant meant to sell. Free is what is promised to be.
        free = total.minor_units == 0 and item > 0 and is_free(self.terms)
        if not free and not total.is_chargeable:
            return Refused("not_chargeable", seen=total)
        if total.minor_units * 100 > self.basket.total.minor_units * self.guard_percent:
            return too_dear("price_guard", total, percent=self.guard_percent, of=self.basket.total)
        least = self.least.get(product.parent or product.sku)
        if least is None or total.minor_units < least:
            return ""
        return Refused("already_offered", seen=total, bound=f"less than {Money(least, total.currency)}")


def _pinned_first(
    kind: Complementary, candidates: Sequence[Candidate], known: Mapping[str, Candidate], asked: _Question
) -> list[Candidate]:
    """The merchant's pins of the order's products, line by line, then what the recommender has besides."""
    pins: dict[str, Candidate] = {}
    if kind.pinned:
        for sku in dict.fromkeys(line.sku for line in asked.basket.lines):
            called = (sku, asked.shelf.article(sku))
            for beside, offered in kind.pinned:
                if beside in called and offered not in pins:
                    pins[offered] = _pin(offered, sku, known.get(offered))
    return [*pins.values(), *(candidate for candidate in candidates if candidate.sku not in pins)]


def _pin(sku: str, because_of: str, evidence: Candidate | None) -> Candidate:
    pinned = _as(sku, "pinned", evidence)
    return pinned if pinned.because_of else replace(pinned, because_of=because_of)


def _named(kind: Kind, sku: str, known: Mapping[str, Candidate]) -> Candidate:
    """A product the merchant or the order named, with the evidence the recommender happens to have for it."""
    return _as(sku, kind.kind, known.get(sku))


def _as(sku: str, kind: str, evidence: Candidate | None) -> Candidate:
    if evidence is None:
        return Candidate(sku=sku, score=0.0, kind=kind)
    if evidence.kind in ("co_purchase", "pinned"):
        return replace(evidence, kind=kind)
    # The orders counted for the others are those that held the product, not both: under another name of a kind they
    # would read as "bought together".
    return replace(evidence, kind=kind, because_of=None, support=0, of_orders=0, lift=None)


def _of_the_order(kind: BuyGet | MoreOfTheSame, known: Mapping[str, Candidate], asked: _Question) -> list[Alternative]:
    """Offers of what was bought, first of what most was spent on; among equals the order's own order."""
    spent: dict[str, int] = {}
    for line in asked.basket.lines:
        spent[line.sku] = spent.get(line.sku, 0) + line.unit_price.minor_units * line.quantity
    wanted = [sku for sku in spent if not kind.skus or sku in kind.skus or asked.shelf.article(sku) in kind.skus]
    if not wanted:
        # One line of the log says it; a list may name hundreds.
        return [Alternative(candidate=_named(kind, kind.skus[0], known), refused="not_in_order")]
    quantities = (kind.buy + kind.get,) if isinstance(kind, BuyGet) else tuple(kind.quantities)
    wanted.sort(key=lambda sku: -spent[sku])
    return [asked.counted(_named(kind, sku, known), quantities) for sku in wanted]


def _scarce(product: Product, quantity: int = 1) -> str:
    if product.stock is None or product.stock >= quantity:
        return ""
    if not product.stock:
        return "sold_out"
    return Refused("too_few", seen=f"{product.stock} in stock", bound=f"at least {quantity}")


def _foreign(product: Product, currency: str) -> Refused:
    return Refused("other_currency", seen=product.price, bound=currency.upper())


def _listed(word: str, values: Collection[str]) -> str:
    """A merchant's list of categories in a few words."""
    first = sorted(values)[:NAMED]
    rest = len(values) - len(first)
    return f"{word} {', '.join(first)}" + (f" and {rest} more" if rest else "")
