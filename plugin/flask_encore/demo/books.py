"""The shop's own books: products, orders and one-time links, in a SQLite file of its own that Encore never sees."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flask_encore.demo.catalogue import Category, ShopProduct
from flask_encore.demo.pictures import picture_url
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money
from flask_encore.domain.orders import OrderLine, Product
from flask_encore.domain.prices import OfferLine

#: New orders are numbered from here on; the generated history ends well below.
FIRST_ORDER = 200_001

#: Counts up with the tables below. A demo's file of another release is not migrated: the shop is stocked anew.
SCHEMA = 2

_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA user_version = {SCHEMA};
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS categories (
    slug TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, line TEXT NOT NULL, position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS products (
    sku TEXT PRIMARY KEY, title TEXT NOT NULL, price INTEGER NOT NULL, currency TEXT NOT NULL, stock INTEGER,
    category TEXT NOT NULL, cost INTEGER, was INTEGER, parent TEXT, options TEXT NOT NULL, shape TEXT NOT NULL,
    blurb TEXT NOT NULL, sold INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS products_by_category ON products (category, sold DESC);
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY, session_ref TEXT UNIQUE, status TEXT NOT NULL CHECK (status IN ('pending', 'paid')),
    placed_at REAL NOT NULL, currency TEXT NOT NULL, total INTEGER NOT NULL, customer_ref TEXT, locale TEXT NOT NULL,
    payment_intent_ref TEXT, told INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS lines (
    number INTEGER NOT NULL REFERENCES orders (number), sku TEXT NOT NULL, title TEXT NOT NULL,
    quantity INTEGER NOT NULL, unit_price INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS added (
    charge_ref TEXT NOT NULL, place INTEGER NOT NULL, number INTEGER NOT NULL REFERENCES orders (number),
    sku TEXT NOT NULL, title TEXT NOT NULL, quantity INTEGER NOT NULL, amount INTEGER NOT NULL, text TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('charged', 'undone')), PRIMARY KEY (charge_ref, place));
CREATE TABLE IF NOT EXISTS used_links (token TEXT PRIMARY KEY);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A line an accepted offer added to an order: paid by a charge of its own, taken off again when undone.

    Attributes:
        text: What the shopper wrote for it, such as the words on a gift's tag; plain text of any characters.
    """

    sku: str
    title: str
    quantity: int
    amount: Money
    text: str
    undone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopOrder:
    """An order as the shop keeps it.

    Attributes:
        paid: False while the shopper is at Stripe's page.
        told: Whether Encore has recorded it.
        added: What offers added, undone ones too, oldest first.
    """

    order_ref: str
    paid: bool
    placed_at: datetime
    currency: str
    lines: tuple[OrderLine, ...]
    total: Money
    payment_intent_ref: str | None
    customer_ref: str | None
    locale: str
    told: bool
    added: tuple[Added, ...]


class Books:
    """Reads and writes the shop's file. One short connection per call, so any thread may use it.

    Raises:
        InvalidInput: When the file is one of another release.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as db:
            known = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'products'").fetchone()
            if known and db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
                raise InvalidInput("It was stocked by another release. Start it with --reset (make demo RESET=1).")
            db.executescript(_SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=10)
        db.row_factory = sqlite3.Row
        try:
            with db:
                yield db
        finally:
            db.close()

    # -- stocking ------------------------------------------------------------------------------------------------

    def meta(self, key: str) -> str:
        """What was noted under *key*, empty when nothing."""
        with self._open() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row["value"] if row else ""

    def note(self, key: str, value: str) -> None:
        """Note *value* under *key*."""
        with self._open() as db:
            db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value))

    def put(self, categories: Sequence[Category], products: Iterable[ShopProduct], sold: Mapping[str, int]) -> None:
        """Fill the shelves, replacing whatever stood there. *sold* orders them: SKU -> times sold."""
        with self._open() as db:
            db.execute("DELETE FROM products")
            db.execute("DELETE FROM categories")
            db.executemany(
                "INSERT INTO categories VALUES (?, ?, ?, ?)",
                [(shelf.slug, shelf.name, shelf.line, position) for position, shelf in enumerate(categories)],
            )
            db.executemany(
                f"INSERT INTO products VALUES ({', '.join('?' * 13)})",
                [
                    (
                        item.product.sku,
                        item.product.title,
                        item.product.price.minor_units,
                        item.product.price.currency,
                        item.product.stock,
                        item.product.category,
                        item.product.cost.minor_units if item.product.cost else None,
                        item.product.was.minor_units if item.product.was else None,
                        item.product.parent,
                        json.dumps(item.product.options),
                        item.shape,
                        item.blurb,
                        sold.get(item.product.sku, 0),
                    )
                    for item in products
                ],
            )

    def restock(self, stock: Mapping[str, int | None]) -> None:
        """A delivery came: SKU -> units on the shelf from now on, ``None`` where they are not counted."""
        with self._open() as db:
            db.executemany(
                "UPDATE products SET stock = ? WHERE sku = ?", [(units, sku) for sku, units in stock.items()]
            )

    # -- shelves -------------------------------------------------------------------------------------------------

    def categories(self) -> list[tuple[Category, int]]:
        """Every shelf with its number of products, in order."""
        with self._open() as db:
            rows = db.execute(
                "SELECT c.slug, c.name, c.line, count(DISTINCT coalesce(p.parent, p.sku)) AS size FROM categories c "
                "JOIN products p ON p.category = c.name GROUP BY c.slug ORDER BY c.position"
            ).fetchall()
        return [(Category(name=row["name"], slug=row["slug"], line=row["line"]), row["size"]) for row in rows]

    def product(self, sku: str) -> ShopProduct | None:
        """The product *sku*, or ``None``."""
        return next(iter(self.products_of([sku])), None)

    def products_of(self, skus: Sequence[str]) -> list[ShopProduct]:
        """Those of *skus* the shop has, in that order."""
        marks = ",".join("?" * len(skus))
        with self._open() as db:
            rows = db.execute(f"SELECT * FROM products WHERE sku IN ({marks})", tuple(skus)).fetchall()
        found = {row["sku"]: _shop_product(row) for row in rows}
        return [found[sku] for sku in skus if sku in found]

    def variants(self, parent: str) -> list[ShopProduct]:
        """Every variant of an article, in the catalogue's order."""
        with self._open() as db:
            rows = db.execute("SELECT * FROM products WHERE parent = ? ORDER BY rowid", (parent,)).fetchall()
        return [_shop_product(row) for row in rows]

    def shelf(self, category: str, *, limit: int, offset: int = 0) -> list[ShopProduct]:
        """Products of a category, best-sellers first."""
        return self._products("category = ?", (category,), limit, offset)

    def favourites(self, *, limit: int) -> list[ShopProduct]:
        """The shop's best-sellers."""
        return self._products("1", (), limit, 0)

    def search(self, words: str, *, limit: int) -> list[ShopProduct]:
        """Products whose title or SKU holds every one of *words*, best-sellers first; empty for no words."""
        terms = words.split()[:8]
        if not terms:
            return []
        where = " AND ".join(["(title LIKE ? ESCAPE '!' OR sku LIKE ? ESCAPE '!')"] * len(terms))
        patterns = [f"%{_literally(term)}%" for term in terms for _column in ("title", "sku")]
        return self._products(where, tuple(patterns), limit, 0)

    def _products(self, where: str, values: tuple[str, ...], limit: int, offset: int) -> list[ShopProduct]:
        """What stands on a shelf: of an article in variants the first, of what is handed over the counter nothing."""
        with self._open() as db:
            rows = db.execute(
                f"SELECT * FROM products WHERE {where} AND category IN (SELECT name FROM categories) "
                "AND (parent IS NULL OR rowid = (SELECT min(rowid) FROM products v WHERE v.parent = products.parent)) "
                "ORDER BY sold DESC, sku LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
        return [_shop_product(row) for row in rows]

    # -- orders --------------------------------------------------------------------------------------------------

    def open_order(
        self,
        lines: Sequence[OrderLine],
        *,
        customer_ref: str,
        locale: str,
        now: datetime,
        session_ref: str | None = None,
    ) -> str:
        """Write a pending order of *lines* (at least one) and answer its order_ref."""
        currency = lines[0].unit_price.currency
        total = sum(line.unit_price.minor_units * line.quantity for line in lines)
        with self._open() as db:
            number = db.execute(
                "INSERT INTO orders (number, session_ref, status, placed_at, currency, total, customer_ref, locale) "
                "VALUES ((SELECT max(coalesce(max(number), 0) + 1, ?) FROM orders), ?, 'pending', ?, ?, ?, ?, ?)",
                (FIRST_ORDER, session_ref, now.timestamp(), currency, total, customer_ref, locale),
            ).lastrowid
            db.executemany(
                "INSERT INTO lines VALUES (?, ?, ?, ?, ?)",
                [(number, line.sku, line.title, line.quantity, line.unit_price.minor_units) for line in lines],
            )
        return f"PQ-{number}"

    def attach_session(self, order_ref: str, session_ref: str) -> None:
        """Remember which Checkout Session pays *order_ref*."""
        with self._open() as db:
            db.execute("UPDATE orders SET session_ref = ? WHERE number = ?", (session_ref, _number(order_ref)))

    def order(self, order_ref: str) -> ShopOrder | None:
        """The order, or ``None``."""
        return self._order("number = ?", _number(order_ref))

    def order_of_session(self, session_ref: str) -> ShopOrder | None:
        """The order a Checkout Session pays, or ``None``."""
        return self._order("session_ref = ?", session_ref)

    def pay(self, order_ref: str, *, payment_intent_ref: str, now: datetime) -> bool:
        """Mark a pending order paid and take its goods off the shelf. False when it was paid before."""
        number = _number(order_ref)
        with self._open() as db:
            paid = db.execute(
                "UPDATE orders SET status = 'paid', payment_intent_ref = ?, placed_at = ? "
                "WHERE number = ? AND status = 'pending'",
                (payment_intent_ref, now.timestamp(), number),
            ).rowcount
            if paid:
                db.execute(
                    "UPDATE products SET stock = max(stock - l.quantity, 0) "
                    "FROM lines l WHERE l.number = ? AND l.sku = products.sku",
                    (number,),
                )
        return bool(paid)

    def mark_told(self, order_ref: str) -> None:
        """Remember that Encore has recorded the order."""
        with self._open() as db:
            db.execute("UPDATE orders SET told = 1 WHERE number = ?", (_number(order_ref),))

    def add_lines(self, order_ref: str, *, charge_ref: str, lines: Sequence[OfferLine], text: str = "") -> None:
        """An offer was charged: add what it sold. Idempotent on *charge_ref*; an order that is not ours is left alone.

        Args:
            text: What the shopper wrote for it; empty when nothing.
        """
        names = {item.product.sku: item.name for item in self.products_of([line.sku for line in lines])}
        with self._open() as db:
            for place, line in enumerate(lines):
                added = db.execute(
                    "INSERT INTO added SELECT ?, ?, number, ?, ?, ?, ?, ?, 'charged' FROM orders WHERE number = ? "
                    "ON CONFLICT DO NOTHING",
                    (
                        charge_ref,
                        place,
                        line.sku,
                        names.get(line.sku, line.title),
                        line.quantity,
                        line.amount.minor_units,
                        text if place == 0 else "",
                        _number(order_ref),
                    ),
                ).rowcount
                if added:
                    _off_the_shelf(db, line.sku, line.quantity)

    def take_lines_off(self, charge_ref: str) -> None:
        """The charge was refunded: what it added is undone and the goods are back. Idempotent."""
        with self._open() as db:
            rows = db.execute(
                "UPDATE added SET state = 'undone' WHERE charge_ref = ? AND state = 'charged' RETURNING sku, quantity",
                (charge_ref,),
            ).fetchall()
            for row in rows:
                _off_the_shelf(db, row["sku"], -row["quantity"])

    def _order(self, where: str, value: object) -> ShopOrder | None:
        with self._open() as db:
            row = db.execute(f"SELECT * FROM orders WHERE {where}", (value,)).fetchone()
            if row is None:
                return None
            lines = db.execute("SELECT * FROM lines WHERE number = ? ORDER BY rowid", (row["number"],)).fetchall()
            added = db.execute("SELECT * FROM added WHERE number = ? ORDER BY rowid", (row["number"],)).fetchall()
        currency = row["currency"]
        return ShopOrder(
            order_ref=f"PQ-{row['number']}",
            paid=row["status"] == "paid",
            placed_at=datetime.fromtimestamp(row["placed_at"], UTC),
            currency=currency,
            lines=tuple(
                OrderLine(
                    sku=line["sku"],
                    title=line["title"],
                    quantity=line["quantity"],
                    unit_price=Money(line["unit_price"], currency),
                )
                for line in lines
            ),
            total=Money(row["total"], currency),
            payment_intent_ref=row["payment_intent_ref"],
            customer_ref=row["customer_ref"],
            locale=row["locale"],
            told=bool(row["told"]),
            added=tuple(
                Added(
                    sku=line["sku"],
                    title=line["title"],
                    quantity=line["quantity"],
                    amount=Money(line["amount"], currency),
                    text=line["text"],
                    undone=line["state"] == "undone",
                )
                for line in added
            ),
        )

    # -- links ---------------------------------------------------------------------------------------------------

    def use_link(self, token: str) -> bool:
        """Use up a one-time link. False when it was used before."""
        with self._open() as db:
            return bool(db.execute("INSERT INTO used_links VALUES (?) ON CONFLICT DO NOTHING", (token,)).rowcount)


def _number(order_ref: str) -> int:
    """The number in an order_ref, 0 (which no order has) for anything else."""
    digits = order_ref.removeprefix("PQ-")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 12 else 0


def _off_the_shelf(db: sqlite3.Connection, sku: str, quantity: int) -> None:
    """Take *quantity* off, or put back what is below zero; what is not counted stays so."""
    db.execute("UPDATE products SET stock = max(stock - ?, 0) WHERE sku = ?", (quantity, sku))


def _literally(term: str) -> str:
    return term.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _shop_product(row: sqlite3.Row) -> ShopProduct:
    currency = row["currency"]
    return ShopProduct(
        product=Product(
            sku=row["sku"],
            title=row["title"],
            price=Money(row["price"], currency),
            stock=row["stock"],
            category=row["category"],
            image_url=picture_url(row["sku"]),
            cost=Money(row["cost"], currency) if row["cost"] is not None else None,
            parent=row["parent"],
            options=json.loads(row["options"]),
            was=Money(row["was"], currency) if row["was"] is not None else None,
        ),
        shape=row["shape"],
        blurb=row["blurb"],
    )
