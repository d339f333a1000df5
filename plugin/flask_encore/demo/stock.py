"""Fills the shelves: the generated shop by default, or the same shop stocked from any order history."""

from __future__ import annotations

import random
import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median_low

from flask_encore.demo import campaigns, catalogue
from flask_encore.demo.catalogue import CURRENCY, Category, ShopProduct
from flask_encore.demo.generate import generate
from flask_encore.demo.pictures import picture_url, shape_of
from flask_encore.demo.shop import Shop
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money
from flask_encore.domain.orders import Product
from flask_encore.services.importing import HistoryRow, OrderFile
from flask_encore.store import history

#: A product's price is the median of its newest sales, this many: today's price, without the odd bargain.
NEWEST_SALES = 15

#: Shelf of everything the history gives no category for.
EVERYTHING = "Everything"

#: Without any price in the history a product gets one from this range, in minor units; always marked as invented.
LOWEST_DEMO_PRICE, HIGHEST_DEMO_PRICE = 120, 1_490
DEMO_PRICE = "Demo price: the order history this shop was stocked from has none."

Tell = Callable[[str], None]
Progress = Callable[[float], None]
Bar = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stocked:
    """What is on the shelves. *fresh* tells whether they were filled just now."""

    products: int
    fresh: bool


def ensure_stocked(shop: Shop, *, data: Path | None, now: datetime, tell: Tell, bar: Bar) -> Stocked:
    """Fill the shelves, import the history and train, unless this instance is stocked already.

    Interrupted at any point it starts over the next time; nothing is doubled. Needs an app context.

    Args:
        data: An order history (.csv, .csv.gz); ``None`` for the generated shop.
        now: The generated history ends here.
        tell: Hears what was found and left out, a sentence at a time.
        bar: Opens a progress bar with the given label.

    Raises:
        InvalidInput: When *data* cannot be read, or the instance is stocked from something else.
    """
    source = f"{data.name}, {data.stat().st_size} bytes" if data is not None and data.is_file() else "generated"
    stocked = shop.books.meta("stocked")
    if stocked and (data is None) is (stocked == "generated") and stocked == source:
        return Stocked(products=int(shop.books.meta("products")), fresh=False)
    if stocked:
        raise InvalidInput(f"This shop is stocked from {stocked}. Start it with --reset, or with another --instance.")
    if data is None:
        with bar("Inventing a shop and half a year of orders") as progress:
            products, categories, rows = _generated(shop, now=now, progress=progress)
        tell(f"{len(products):,} products, {len({row[0] for row in rows}):,} orders with {len(rows):,} lines.")
    else:
        with bar(f"Importing {data.name}") as progress:
            file = shop.encore.import_orders(data, currency=CURRENCY, progress=progress)
        _report(file, tell)
        products, categories = products_of(file, tell=tell)
        rows = file.rows
    shop.encore.catalog.upsert([item.product for item in products])
    shop.books.put(categories, products, Counter(row[1] for row in rows))
    if data is None:  # they name this shop's own products
        campaigns.introduce(shop.encore.runtime)
    with bar("Training the recommender") as progress:
        # Whoever looks at a demo wants to see an offer, also from a history a real shop would wait with.
        report = shop.encore.train(force=True, progress=progress)
    if report.doubt:
        tell(f"A real shop would not use this model yet: {report.doubt}.")
    tell(
        f"On the newest orders the model finds the hidden product among its first three in "
        f"{report.hit_rate_at_3:.0%} of cases; best-sellers would in {report.popularity_hit_rate_at_3:.0%}."
    )
    shop.books.note("products", str(len(products)))
    shop.books.note("trials", "1" if data is None else "")
    shop.books.note("stocked", source)
    return Stocked(products=len(products), fresh=True)


def products_of(file: OrderFile, *, tell: Tell) -> tuple[list[ShopProduct], list[Category]]:
    """The products and shelves an order history implies. What it does not hold is said, and marked where it shows."""
    prices = _prices(file.rows)
    invented = 0
    items = []
    for sku, title in file.titles.items():
        price = prices.get(sku)
        if price is None:
            invented += 1
        product = Product(
            sku=sku,
            title=string.capwords(title) if title.isupper() else title,
            price=price or _demo_price(sku),
            category=file.categories.get(sku, EVERYTHING),
            image_url=picture_url(sku),
        )
        items.append(ShopProduct(product=product, shape=shape_of(title), blurb="" if price is not None else DEMO_PRICE))
    if invented == len(items):
        tell("The history has no prices. Every product got an invented one, marked as a demo price.")
    elif invented:
        tell(f"{invented:,} products have no price in the history and got an invented one, marked as a demo price.")
    tell("Stock and cost are not in an order history: stock is not counted here, profit is not known.")
    return items, _shelves(item.product.category or EVERYTHING for item in items)


def _generated(
    shop: Shop, *, now: datetime, progress: Progress
) -> tuple[Sequence[ShopProduct], Sequence[Category], list[HistoryRow]]:
    made = generate(now)
    progress(0.5)
    with shop.encore.runtime.db.write() as connection:
        history.Sink(connection).add(made.rows)
    progress(1.0)
    return [*made.products, *catalogue.counter()], catalogue.categories(), made.rows


def _prices(rows: Iterable[HistoryRow]) -> dict[str, Money]:
    """SKU -> median of its newest sales; lines without a time count as the oldest."""
    sales: dict[str, list[tuple[float, int]]] = defaultdict(list)
    currency = CURRENCY
    for _order_ref, sku, placed_at, _customer_ref, _quantity, price, currency in rows:  # noqa: B007 (one per file)
        if price is not None:
            sales[sku].append((placed_at or 0.0, price))
    newest = {sku: sorted(sold, key=lambda sale: sale[0])[-NEWEST_SALES:] for sku, sold in sales.items()}
    return {sku: Money(median_low(price for _at, price in sold), currency) for sku, sold in newest.items()}


def _demo_price(sku: str) -> Money:
    """An invented price, always the same for *sku*, ending in 9 or 0 as prices do."""
    pence = random.Random(f"demo price of {sku}").randrange(LOWEST_DEMO_PRICE, HIGHEST_DEMO_PRICE)
    return Money(pence // 10 * 10 + 9, CURRENCY)


def _shelves(names: Iterable[str]) -> list[Category]:
    """A shelf per category, the fullest first, each with an address of its own."""
    shelves: dict[str, Category] = {}
    for name, _size in Counter(names).most_common():
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "shelf"
        if slug in shelves:
            slug = f"{slug}-{len(shelves) + 1}"
        shelves[slug] = Category(name=name, slug=slug, line="")
    return list(shelves.values())


def _report(file: OrderFile, tell: Tell) -> None:
    tell(f"{len(file.titles):,} products, {file.orders:,} orders with {len(file.rows):,} lines.")
    for sentence in file.problems.sentences():
        tell(sentence)
