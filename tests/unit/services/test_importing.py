"""Order histories and product lists as merchants really have them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money
from flask_encore.domain.orders import Product
from flask_encore.services import importing
from flask_encore.services.csv_files import Problem
from flask_encore.services.importing import HistoryRow, OrderFile, read_orders, read_products, store_orders

HEADER = "order_id,customer_id,timestamp,sku,title,quantity,unit_price,category\n"
TEA = "1001,c-1,2011-12-01 08:26:00,TEA-1,Assam,2,4.50,Tea\n"
POT = "1001,c-1,2011-12-01 08:26:00,POT-1,Brown teapot,1,24.00,Teaware\n"


class Shelf:
    """A sink that keeps lines the way the store does: the same order and product again overwrites."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], HistoryRow] = {}
        self.calls: list[int] = []

    def add(self, rows: Sequence[HistoryRow]) -> None:
        self.calls.append(len(rows))
        self.lines.update({row[:2]: row for row in rows})


def written(folder: Path, text: str, name: str = "orders.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def orders_of(folder: Path, text: str, encoding: str = "utf-8") -> OrderFile:
    return read_orders(written(folder, text, encoding=encoding), currency="gbp")


def test_a_clean_line_becomes_one_row_with_exact_money_and_unix_time(tmp_path: Path) -> None:
    file = orders_of(tmp_path, HEADER + TEA)

    assert file.rows == [("1001", "TEA-1", 1322727960.0, "c-1", 2, 450, "gbp")]
    assert file.titles == {"TEA-1": "Assam"}
    assert file.categories == {"TEA-1": "Tea"}
    assert file.problems.sentences() == ["1 of 1 row kept."]


def test_the_headers_of_other_systems_are_understood_and_named(tmp_path: Path) -> None:
    text = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,Customer ID,Country\n"
    file = orders_of(tmp_path, text + "536365,85123A,HEART HOLDER,6,2010-12-01 08:26,2.5500,17850,United Kingdom\n")

    assert file.rows == [("536365", "85123A", 1291191960.0, "17850", 6, 255, "gbp")]
    assert file.problems.aliases == {
        "order_id": "InvoiceNo",
        "timestamp": "InvoiceDate",
        "sku": "StockCode",
        "title": "Description",
    }
    assert file.problems.missing == ("category",)


def test_missing_optional_columns_are_named_and_left_empty(tmp_path: Path) -> None:
    file = orders_of(tmp_path, "order_id,sku\n7,milk\n7,bread\n")

    assert file.rows == [
        ("7", "milk", None, None, 1, None, "gbp"),
        ("7", "bread", None, None, 1, None, "gbp"),
    ]
    assert file.titles == {"milk": "milk", "bread": "bread"}
    assert file.problems.missing == ("customer_id", "timestamp", "title", "quantity", "unit_price", "category")


def test_blank_fields_of_a_column_that_is_there_are_counted(tmp_path: Path) -> None:
    file = orders_of(tmp_path, HEADER + TEA + "1002,,,TEA-1,Assam,1,,\n")

    assert file.rows[1] == ("1002", "TEA-1", None, None, 1, None, "gbp")
    assert file.problems.blank == {"timestamp": 1, "customer_id": 1, "unit_price": 1}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("C536379,1,2011-01-01,22720,CAKE TIN,-1,2.95,", "cancelled invoice"),
        ("536379,1,2011-01-01,22720,CAKE TIN,-3,2.95,", "quantity below zero"),
        ("536379,1,2011-01-01,22720,CAKE TIN,0,2.95,", "quantity is zero"),
        ("536379,1,2011-01-01,22720,CAKE TIN,1,0.0,", "price is zero"),
        ("536379,1,2011-01-01,22720,CAKE TIN,1,-11062.06,", "price below zero"),
        ("536379,1,2011-01-01,POST,POSTAGE,1,18.00,", "postage"),
        ("536379,1,2011-01-01,DOT,DOTCOM POSTAGE,1,18.00,", "postage"),
        ("536379,1,2011-01-01,C2,CARRIAGE,1,50.00,", "postage"),
        ("536379,1,2011-01-01,M,Manual,1,18.00,", "manual adjustment"),
        ("536379,1,2011-01-01,D,Discount,-1,27.50,", "manual adjustment"),
        ("536379,1,2011-01-01,BANK CHARGES,Bank Charges,1,15.00,", "bank charge or fee"),
    ],
)
def test_what_is_no_sale_is_left_out_and_counted_with_its_reason(tmp_path: Path, line: str, reason: str) -> None:
    file = orders_of(tmp_path, HEADER + TEA + line + "\n")

    assert [row[1] for row in file.rows] == ["TEA-1"]
    assert file.problems.not_sales == {reason: 1}
    assert file.problems.bad == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1002,c,2011-12-01,X,Tin,1,0.001,", "'0.001' cannot be paid exactly in gbp."),
        ("1002,c,2011-12-01,X,Tin,1,£2.50,", "unit_price '£2.50' is not an amount; write it like 12.90."),
        ("1002,c,2011-12-01,X,Tin,1,1e9,", "unit_price '1e9' is not an amount; write it like 12.90."),
        ("1002,c,2011-12-01,X,Tin,1.5,2.00,", "quantity '1.5' is not a whole number."),
        ("1002,c,2011-12-01,X,Tin,,2.00,", "quantity is blank."),
        (
            "1002,c,2011-12-01,X,Tin,2000000,2.00,",
            "quantity has to be a whole number from 1 to 1000000, got 2000000.",
        ),
        ("1002,c,2011-12-01,,Tin,1,2.00,", "sku has to be a non-empty string, got ''."),
        (",c,2011-12-01,X,Tin,1,2.00,", "order_id has to be a non-empty string, got ''."),
        (
            "1002,c,yesterday,X,Tin,1,2.00,",
            "timestamp 'yesterday' is not a time; write it like 2011-12-01 08:26:00.",
        ),
        ("1002,c,0201-12-01,X,Tin,1,2.00,", "timestamp '0201-12-01' is not between 1990 and 2100."),
        ("1002,c,2011-12-01,X,Tin", "has 5 fields, the header has 8."),
        ("1002,c,2011-12-01,X,Tin, with lid,1,2.00,", "has 9 fields, the header has 8."),
    ],
)
def test_a_row_that_cannot_be_understood_is_listed_with_its_line_and_reason(
    tmp_path: Path, line: str, reason: str
) -> None:
    file = orders_of(tmp_path, HEADER + TEA + line + "\n" + POT)

    assert [row[1] for row in file.rows] == ["TEA-1", "POT-1"]
    assert file.problems.first == (Problem(line=3, reason=reason),)
    assert file.problems.bad == 1


def test_twenty_bad_rows_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    file = orders_of(tmp_path, HEADER + TEA + "1002,c,2011-12-01,X,Tin,many,2.00,\n" * 25)

    assert file.problems.bad == 25
    assert [problem.line for problem in file.problems.first] == list(range(3, 23))
    assert (file.problems.rows, file.problems.kept) == (26, 1)
    assert "25 rows could not be used, the first 20:" in file.problems.sentences()


def test_line_numbers_count_the_lines_inside_quoted_titles_and_blank_lines(tmp_path: Path) -> None:
    text = HEADER + '1001,c,2011-12-01,TEA-1,"Assam,\nloose",1,4.50,\n\n' + "1002,c,2011-12-01,X,Tin,many,2.00,\n"
    file = orders_of(tmp_path, text)

    assert file.titles == {"TEA-1": "Assam, loose"}
    assert file.problems.first[0].line == 5


def test_the_lines_of_one_order_are_brought_together(tmp_path: Path) -> None:
    other = "1002,c-2,2011-12-02 09:00:00,TEA-1,Assam,1,4.50,Tea\n"
    file = orders_of(tmp_path, HEADER + TEA + other + POT)

    assert [(row[0], row[1]) for row in file.rows] == [("1001", "TEA-1"), ("1001", "POT-1"), ("1002", "TEA-1")]
    assert file.orders == 2


def test_a_product_repeated_in_an_order_becomes_one_line(tmp_path: Path) -> None:
    file = orders_of(tmp_path, HEADER + TEA + POT + TEA)

    assert [(row[1], row[4]) for row in file.rows] == [("TEA-1", 4), ("POT-1", 1)]
    assert (file.problems.rows, file.problems.kept, file.problems.merged) == (3, 3, 1)
    assert "1 row merged: the product was in the order before, quantities added up." in file.problems.sentences()


def test_the_most_frequent_title_of_a_product_wins(tmp_path: Path) -> None:
    lines = "".join(f"{n},c,2011-12-01,A,{title},1,1.00,\n" for n, title in enumerate(["Red", "Rouge", "Rouge", ""]))

    assert orders_of(tmp_path, HEADER + lines).titles == {"A": "Rouge"}


@pytest.mark.parametrize(
    ("text", "unix"),
    [
        ("2011-12-01 08:26:00", 1322727960.0),
        ("2011-12-01T08:26:00Z", 1322727960.0),
        ("2011-12-01 09:26:00 +0100", 1322727960.0),
        ("1322727960", 1322727960.0),
        ("01.12.2011 08:26", 1322727960.0),
    ],
)
def test_times_are_read_in_the_forms_that_have_one_meaning(tmp_path: Path, text: str, unix: float) -> None:
    assert orders_of(tmp_path, HEADER + f"1,c,{text},A,Tin,1,1.00,\n").rows[0][2] == unix


def test_times_without_an_offset_are_the_shops_own(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + "1,c,2011-07-01 08:00,A,Tin,1,1.00,\n")

    berlin = read_orders(path, currency="eur", zone=ZoneInfo("Europe/Berlin"))

    assert berlin.rows[0][2] == 1309500000.0  # 06:00 UTC


@pytest.mark.parametrize(("settling", "unix"), [("12/31/2011", 1294820760.0), ("31/12/2011", 1322727960.0)])
def test_slashed_dates_are_read_the_way_the_whole_file_settles(tmp_path: Path, settling: str, unix: float) -> None:
    lines = f"1,c,1/12/2011 8:26,A,Tin,1,1.00,\n2,c,{settling},A,Tin,1,1.00,\n"

    assert orders_of(tmp_path, HEADER + lines).rows[0][2] == unix


def test_slashed_dates_that_nothing_settles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"orders\.csv, line 2: '3/4/2011' can be read as day/month or month/day"):
        orders_of(tmp_path, HEADER + "1,c,3/4/2011,A,Tin,1,1.00,\n")


def test_a_windows_file_is_read_and_said_so(tmp_path: Path) -> None:
    file = orders_of(tmp_path, HEADER + "1,c,2011-12-01,A,Crème brûlée – “petit”,1,1.00,\n", encoding="cp1252")

    assert file.titles == {"A": "Crème brûlée – “petit”"}
    assert file.problems.notes == ("The file is not UTF-8; it was read as Windows-1252.",)


def test_a_byte_order_mark_is_not_part_of_the_first_header(tmp_path: Path) -> None:
    assert orders_of(tmp_path, HEADER + TEA, encoding="utf-8-sig").problems.missing == ()


def test_semicolons_bring_decimal_commas(tmp_path: Path) -> None:
    text = "order_id;sku;quantity;unit_price\n1;A;2;12,90\n"
    file = orders_of(tmp_path, text)

    assert file.rows[0][4:6] == (2, 1290)
    assert file.problems.notes == ("Fields are separated by ';'.",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "orders.csv: line 1 is empty; the file has to begin with a header line."),
        (HEADER.encode(), "orders.csv: none of its 0 rows is a usable sale."),
        (b"order_id,title\n1,Tin\n", "orders.csv, line 1: a column is missing: sku (or stock_code, product_id,"),
        (
            (HEADER + TEA + '1002,c,2011-12-01,A,"Tin,1,1.00,\n' + TEA * 3).encode(),
            "orders.csv, line 3: a quotation mark is opened and never closed",
        ),
        (
            (HEADER + TEA + '1002,c,2011-12-01,A,"Tin,1,1.00,\n' + TEA * 3000).encode(),
            "orders.csv, line 3: a quotation mark is opened and never closed",
        ),
        (
            (HEADER + TEA + '1002,c,2011-12-01,A,"Tin,1,1.00,\n' + TEA * 30 + '9,c,,B,x",1,1,\n').encode(),
            "orders.csv, line 3: a quotation mark is opened and never closed",
        ),
        (
            (HEADER + TEA + '1002,c,2011-12-01,A,"Tin" large,1,1.00,\n').encode(),
            "orders.csv, line 3: a quotation mark stands in the wrong place",
        ),
        ((HEADER + TEA + "1002,c,2011-12-01,A\0,Tin,1,1.00,\n").encode(), "orders.csv, line 3: holds NUL bytes"),
        (
            (HEADER + TEA).encode("utf-16"),
            "orders.csv, line 1: holds NUL bytes, so it is not plain text (perhaps UTF-16",
        ),
        (b"order_id,sku\n1,\x81\x8d\n", "orders.csv: is neither UTF-8 nor Windows-1252 text"),
        (
            (HEADER + "1,c,2011-12-01,A,Tin,lots,1.00,\n").encode(),
            "orders.csv: none of its 1 rows is a usable sale. The first: line 2: quantity 'lots' is not a whole",
        ),
    ],
)
def test_a_broken_file_is_refused_with_its_name_line_and_fix(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(content)

    with pytest.raises(InvalidInput) as refused:
        read_orders(path, currency="gbp")

    assert str(refused.value).startswith(message)


def test_a_compressed_file_is_told_by_its_bytes_and_a_cut_one_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress((HEADER + "".join(TEA.replace("1001", str(n)) for n in range(500))).encode())
    path = tmp_path / "orders.csv"
    path.write_bytes(whole)
    assert len(read_orders(path, currency="gbp").rows) == 500

    path.write_bytes(whole[:-20])
    with pytest.raises(InvalidInput, match=r"orders\.csv: the compressed file is cut off or damaged"):
        read_orders(path, currency="gbp")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.csv: cannot be opened \(No such file or directory\)"):
        read_orders(tmp_path / "nowhere.csv", currency="gbp")


def test_a_currency_that_is_none_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'pounds' is not a currency"):
        read_orders(tmp_path / "nowhere.csv", currency="pounds")


def test_progress_rises_to_one(tmp_path: Path) -> None:
    heard: list[float] = []
    lines = "".join(f"{n},c,2011-12-01,A{n},Tin {n},1,1.00,\n" for n in range(12_000))

    read_orders(written(tmp_path, HEADER + lines), currency="gbp", progress=heard.append)

    assert len(heard) == 3
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_importing_twice_changes_nothing(tmp_path: Path) -> None:
    file, shelf = orders_of(tmp_path, HEADER + TEA + POT), Shelf()

    assert store_orders(file, shelf) == 2
    once = dict(shelf.lines)
    assert store_orders(file, shelf) == 2

    assert shelf.lines == once
    assert list(once.values()) == file.rows


def test_an_order_is_never_split_over_two_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    lines = "".join(f"{order},c,2011-12-01,A{n},Tin,1,1.00,\n" for order in (1, 2, 3) for n in range(3))
    shelf, heard = Shelf(), list[float]()

    assert store_orders(orders_of(tmp_path, HEADER + lines), shelf, progress=heard.append) == 9

    assert shelf.calls == [3, 3, 3]
    assert heard == [1 / 3, 2 / 3, 1.0, 1.0]


def test_a_product_file_becomes_products(tmp_path: Path) -> None:
    text = (
        "sku,title,price,currency,stock,category,image_url,cost,active,parent,options,was\n"
        "TEA-1,Assam,6.90,,40,Tea,/pictures/TEA-1.svg,2.75,yes,,,7.90\n"
        "TEA-2,Sencha,1200,jpy,,,,,no,SENCHA,Size=100 g,\n"
    )
    file = read_products(written(tmp_path, text), currency="gbp")

    assert file.products == [
        Product(
            sku="TEA-1",
            title="Assam",
            price=Money(690, "gbp"),
            stock=40,
            category="Tea",
            image_url="/pictures/TEA-1.svg",
            cost=Money(275, "gbp"),
            was=Money(790, "gbp"),
        ),
        Product(
            sku="TEA-2",
            title="Sencha",
            price=Money(1200, "jpy"),
            active=False,
            parent="SENCHA",
            options={"Size": "100 g"},
        ),
    ]
    assert file.problems.sentences() == ["2 of 2 rows kept."]


def test_bad_products_are_listed_and_the_good_ones_kept(tmp_path: Path) -> None:
    text = (
        "sku,title,price,stock,image_url,active\n"
        "A,Assam,6.90,40,,\n"
        "A,Assam again,7.90,,,\n"
        "B,Tin,-1.00,,,\n"
        "C,Tin,1.00,-4,,\n"
        "D,Tin,1.00,1,javascript:alert(1),\n"
        "E,,1.00,1,,\n"
        "F,Tin,1.00,1,,perhaps\n"
        "G,Tin,,1,,\n"
    )
    file = read_products(written(tmp_path, text), currency="gbp")

    assert [product.sku for product in file.products] == ["A"]
    assert file.problems.first == (
        Problem(line=3, reason="SKU A was already in line 2."),
        Problem(line=4, reason="price '-1.00' is negative."),
        Problem(line=5, reason="stock of C has to be None or a whole number of at least 0."),
        Problem(line=6, reason="image_url of D has to start with / or https://."),
        Problem(line=7, reason="title is empty."),
        Problem(line=8, reason="active 'perhaps' is neither yes nor no."),
        Problem(line=9, reason="price is blank."),
    )
