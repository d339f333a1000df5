"""Stocking the demo shop: any order history fills it, nothing is invented in silence, nothing is half-done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from demo_host import NOW, Visit, open_shop, silent

from flask_encore.demo.books import Books
from flask_encore.demo.stock import ensure_stocked
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money
from flask_encore.services import campaigning

HISTORY = "order_id,customer_id,timestamp,sku,title,quantity,unit_price,category\n" + "".join(
    f"{order},c-{order % 7},2026-02-{day:02d},{sku},{title},1,{price},{shelf}\n"
    for order, day in ((number, number % 27 + 1) for number in range(60))
    for sku, title, price, shelf in (
        ("A", "RED TEAPOT", "10.00" if day < 20 else "12.00", "Tea ware"),
        ("B/2", "Tea & biscuits", "3.00", "Tea ware"),
        ("C", "Lonely lamp", "7.00", ""),
    )[: 3 if order % 10 == 0 else 2]
)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Visit]:
    """A shop without anything in it."""
    with open_shop(tmp_path / "empty") as visit:
        yield visit


def stock(visit: Visit, folder: Path, text: str) -> list[str]:
    """Stock the shop from *text*; what was said."""
    path, told = folder / "history.csv", list[str]()
    path.write_text(text, encoding="utf-8")
    with visit.app.app_context():
        ensure_stocked(visit.shop, data=path, now=NOW, tell=told.append, bar=silent)
    return told


def test_any_history_stocks_the_shop_and_sells_an_offer(empty: Visit, tmp_path: Path) -> None:
    told = stock(empty, tmp_path, HISTORY + "bad,,,,,,,\n")

    assert told[0] == "3 products, 60 orders with 126 lines."
    assert "  line 128: quantity is blank." in told
    product = empty.shop.books.product("A")
    assert product is not None
    assert (product.product.title, product.product.price) == ("Red Teapot", Money(1200, "gbp"))
    assert [category.name for category, _size in empty.shop.books.categories()] == ["Tea ware", "Everything"]
    assert empty.client.get("/pictures/B%2F2.svg").status_code == 200
    assert "Tea &amp; biscuits" in empty.client.get("/products/B/2").text

    # the campaigns of the generated shop name its own products, which are not here
    with empty.app.app_context():
        assert campaigning.listed(empty.shop.encore.runtime) == []
    assert "Try this" not in empty.client.get("/").text
    assert empty.client.post("/try/bundle").status_code == 404

    # opened anew, as the command does: a running shop notices a new model only within a second
    with open_shop(Path(empty.app.instance_path)) as visit:
        page = visit.client.get(f"/orders/{visit.buy('A')}/thanks").text
        assert "Tea &amp; biscuits" in page[page.index("<encore-offer") :]


def test_a_history_without_prices_gets_marked_ones_and_says_so(empty: Visit, tmp_path: Path) -> None:
    told = stock(empty, tmp_path, "order_id,sku\n" + "".join(f"{n},milk\n{n},bread\n" for n in range(30)))

    assert "The history has no prices. Every product got an invented one, marked as a demo price." in told
    assert "Column 'unit_price' is missing; it is left empty." in told
    assert "Demo price" in empty.client.get("/products/milk").text
    milk = empty.shop.books.product("milk")
    assert milk is not None
    assert milk.product.stock is None
    assert 120 <= milk.product.price.minor_units < 1500


def test_a_basket_too_small_for_stripe_says_so_instead_of_failing(empty: Visit, tmp_path: Path) -> None:
    stock(empty, tmp_path, "order_id,sku,unit_price\n" + "".join(f"{n},pin,0.04\n{n},clip,0.10\n" for n in range(30)))
    empty.put("pin")

    assert "Stripe takes no payment below £0.30." in empty.client.get("/basket").text
    assert empty.client.post("/checkout").location == "/basket"
    assert empty.stripe.requests == []


def test_stocking_twice_is_quick_and_stocking_from_something_else_is_refused(empty: Visit, tmp_path: Path) -> None:
    stock(empty, tmp_path, HISTORY)
    assert stock(empty, tmp_path, HISTORY) == []

    with pytest.raises(InvalidInput, match=r"is stocked from history\.csv, \d+ bytes\. Start it with --reset"):
        stock(empty, tmp_path, HISTORY + HISTORY.splitlines()[1] + "\n")


def test_a_shop_of_another_release_is_not_opened_over(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE products (sku TEXT PRIMARY KEY)")

    with pytest.raises(InvalidInput, match="stocked by another release"):
        Books(path)

    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone() == (1,)


def test_a_broken_history_leaves_the_shop_empty(empty: Visit, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"history\.csv, line 128: a quotation mark is opened and never closed"):
        stock(empty, tmp_path, HISTORY + 'bad,,,"\n')

    assert empty.shop.books.categories() == []
    assert empty.shop.books.meta("stocked") == ""
    with empty.app.app_context():
        assert empty.shop.encore.train().orders == 0
