"""Order histories as they come: other headers, other encodings, other countries, and rows that are none."""

from __future__ import annotations

import csv
import gzip
import io
import random
import sqlite3
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encore_recommender.baskets import Baskets
from encore_recommender.reading.headers import FIELDS, Unreadable
from encore_recommender.reading.lines import Lines, RowsLeftOut
from encore_recommender.reading.readers import read_arrow, read_csv, read_dataframe, read_parquet, read_sql

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp()


def lines(text: str | bytes, **options: Any) -> Lines:
    data = text.encode() if isinstance(text, str) else text
    return read_csv(io.BytesIO(data), **options)


def pairs(found: Lines) -> list[tuple[str, str]]:
    return list(zip(found.order_refs, found.skus, strict=True))


def left_out(found: Lines) -> dict[str, int]:
    return {kind.reason: kind.rows for kind in (*found.report.bad, *found.report.no_sale)}


def times(*texts: str, **options: Any) -> list[float]:
    rows = "".join(f'o{n},x,"{text}"\n' for n, text in enumerate(texts))
    found = lines(f"order,sku,time\n{rows}", **options).times
    assert found is not None
    return found.tolist()


def test_every_column_reaches_the_lines_it_belongs_to() -> None:
    found = lines(
        "order_id,sku,quantity,customer_id,timestamp,unit_price,category,title,parent,upsell\n"
        "7,MUG-1,2,c-1,2024-03-01T12:00:00Z,12.90,Mugs,Stoneware mug,MUG,no\n"
        "7,TEA-6,1,c-1,2024-03-01T12:00:00Z,2.55,Tea,Assam,,yes\n"
    )
    assert pairs(found) == [("7", "MUG-1"), ("7", "TEA-6")]
    assert found.quantities is not None and found.quantities.tolist() == [2, 1]
    assert found.customers == ["c-1", "c-1"]
    assert found.times is not None and found.times.tolist() == [NOON, NOON]
    assert found.upsell is not None and found.upsell.tolist() == [False, True]
    assert found.prices == {"MUG-1": 12.9, "TEA-6": 2.55}
    assert found.categories == {"MUG-1": "Mugs", "TEA-6": "Tea"}
    assert found.titles == {"MUG-1": "Stoneware mug", "TEA-6": "Assam"}
    assert found.parents == {"MUG-1": "MUG"}


def test_a_clean_file_is_reported_in_one_line() -> None:
    assert lines("order,sku\n1,a\n1,b\n").report.sentences() == ["CSV: 2 of 2 rows kept."]


SHOPIFY = """\
Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Id
#1001,ann@example.com,paid,2024-03-01 13:00:00 +0100,1,Stoneware mug,12.90,MUG-1,77
#1001,ann@example.com,,2024-03-01 13:00:00 +0100,2,Assam,2.55,TEA-6,
#1002,bob@example.com,refunded,2024-03-02 09:00:00 +0100,1,Stoneware mug,12.90,MUG-1,78
#1002,bob@example.com,,2024-03-02 09:00:00 +0100,1,Assam,2.55,TEA-6,
"""


def test_a_shopify_order_export_is_read_as_it_is_and_a_refund_speaks_for_its_whole_order() -> None:
    found = lines(SHOPIFY)
    assert pairs(found) == [("#1001", "MUG-1"), ("#1001", "TEA-6")]
    assert found.times is not None and found.times.tolist() == [NOON, NOON]
    assert found.titles == {"MUG-1": "Stoneware mug", "TEA-6": "Assam"}
    assert left_out(found) == {"order refunded": 2}


def test_a_woocommerce_export_with_one_row_per_line_is_read_as_it_is() -> None:
    found = lines(
        "order_id,order_number,order_date,status,customer_id,item_name,item_sku,item_quantity,item_price\n"
        "51,51,2024-03-01 12:00:00,completed,9,Stoneware mug,MUG-1,1,12.90\n"
        "52,52,2024-03-01 12:00:00,wc-cancelled,9,Assam,TEA-6,1,2.55\n"
    )
    assert pairs(found) == [("51", "MUG-1")]
    assert left_out(found) == {"order cancelled": 1}


def test_the_original_online_retail_headers_are_known() -> None:
    found = lines(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,85123A,WHITE HOLDER,6,12/1/2010 8:26,2.55,17850,United Kingdom\n"
        "C536379,D,Discount,-1,12/13/2010 9:41,27.50,14527,United Kingdom\n"
        "536370,POST,POSTAGE,3,12/1/2010 8:45,18.00,12583,France\n"
    )
    assert pairs(found) == [("536365", "85123A")]
    assert found.times is not None
    assert found.times.tolist() == [datetime(2010, 12, 1, 8, 26, tzinfo=UTC).timestamp()]
    assert left_out(found) == {"cancelled invoice": 1, "postage": 1}


def test_what_is_no_sale_is_counted_under_its_reason() -> None:
    found = lines(
        "order,sku,quantity,unit_price\n"
        "1,a,1,2.00\n"
        "2,a,-1,2.00\n"
        "3,a,0,2.00\n"
        "4,a,1,0\n"
        "5,a,1,-3\n"
        "C6,a,-1,2.00\n"
        "7,Postage,1,2.00\n"
        "8,GIFTBOX,1,2.00\n",
        not_products=["giftbox"],
    )
    assert pairs(found) == [("1", "a")]
    assert left_out(found) == {
        "quantity below zero, a return": 1,
        "quantity is zero": 1,
        "price is zero": 1,
        "price below zero": 1,
        "cancelled invoice": 1,
        "postage": 1,
        "named as no product": 1,
    }
    assert found.report.bad == ()
    assert (found.report.rows, found.report.kept, found.report.no_sale_rows) == (8, 1, 7)


BAD_ROWS = """\
order,sku,quantity,time,unit_price
1,a,1,2024-03-01,1.00
,a,1,2024-03-01,1.00
2,,1,2024-03-01,1.00
3,a,two,2024-03-01,1.00
4,a,1,yesterday,1.00
5,a,1,2024-03-01,cheap
6,a,1,1824-03-01,1.00
7,a,1
8,a,1,2024-03-01,1.00,more
9,b,1,2024-03-01,1.00
"""


def test_every_bad_row_is_counted_and_named_with_its_line_and_reason() -> None:
    found = lines(BAD_ROWS)
    assert pairs(found) == [("1", "a"), ("9", "b")]
    assert found.report.sentences() == [
        "CSV: 2 of 10 rows kept.",
        "2 rows could not be used: fields, where the header has 5.",
        "  line 9: 3 fields",
        "  line 10: 6 fields",
        "1 row could not be used: order is blank.",
        "  line 3: ''",
        "1 row could not be used: sku is blank.",
        "  line 4: ''",
        "1 row could not be used: quantity is not a number.",
        "  line 5: 'two'",
        "1 row could not be used: time is not a time; write it like 2011-12-01 08:26:00.",
        "  line 6: 'yesterday'",
        "1 row could not be used: time is not between the years 1990 and 2100.",
        "  line 8: '1824-03-01'",
        "1 row could not be used: unit_price is not an amount; write it like 12.90.",
        "  line 7: 'cheap'",
    ]


def test_the_first_few_bad_rows_of_a_kind_are_named_and_the_others_counted() -> None:
    found = lines("order,sku,quantity\n0,a,1\n" + "".join(f"{n},a,{n}x\n" for n in range(1, 9)))
    assert found.report.sentences() == [
        "CSV: 1 of 9 rows kept.",
        "8 rows could not be used: quantity is not a number.",
        "  line 3: '1x'",
        "  line 4: '2x'",
        "  line 5: '3x'",
        "  line 6: '4x'",
        "  line 7: '5x'",
        "  … and 3 more",
    ]


def test_strict_refuses_for_the_first_bad_row_of_the_file_whatever_its_kind() -> None:
    with pytest.raises(Unreadable) as refusal:
        lines(BAD_ROWS, strict=True)
    assert str(refusal.value) == "CSV, line 3: order is blank (''); nothing was read (strict)"


def test_strict_minds_no_returns() -> None:
    assert pairs(lines("order,sku,quantity\n1,a,1\n2,a,-1\n", strict=True)) == [("1", "a")]


def test_baskets_warn_of_bad_rows_and_not_of_returns(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("order,sku,quantity\n1,a,1\n1,b,x\n2,a,-1\n")
    with pytest.warns(RowsLeftOut) as told:
        baskets = Baskets.from_csv(path)
    assert [baskets.skus_of(order) for order in range(baskets.n_orders)] == [["a"]]
    assert [str(warning.message).splitlines()[0] for warning in told] == ["orders.csv: 1 of 3 rows kept."]
    path.write_text("order,sku,quantity\n1,a,1\n2,a,-1\n")
    assert Baskets.from_csv(path).n_orders == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(delimiter: str) -> None:
    assert pairs(lines(delimiter.join(["order", "sku"]) + "\n" + delimiter.join(["1", "a b"]) + "\n")) == [("1", "a b")]


@pytest.mark.parametrize(
    "data",
    [
        "order,sku\n1,café\n".encode(),
        "order,sku\n1,café\n".encode("utf-8-sig"),
        "order,sku\r\n1,café\r\n".encode("utf-16"),
        gzip.compress("order,sku\n1,café".encode()),
    ],
    ids=["utf-8", "utf-8 with a mark", "utf-16 of a spreadsheet", "gzip"],
)
def test_encodings_that_say_what_they_are_are_read(data: bytes) -> None:
    assert pairs(lines(data)) == [("1", "café")]


def test_another_encoding_is_refused_with_the_fix_and_read_when_it_is_named() -> None:
    data = "order,sku\n1,café\n".encode("latin-1")
    with pytest.raises(Unreadable) as refusal:
        lines(data)
    assert str(refusal.value) == (
        "CSV is not UTF-8 (near 'er,sku\\n1,café\\n'); save it as CSV in UTF-8, or say encoding='cp1252', on the "
        "command line --encoding cp1252"
    )
    assert pairs(lines(data, encoding="cp1252")) == [("1", "café")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "CSV is empty; it has to begin with a header line such as order_id,sku,quantity"),
        (b"\n1,a\n", "CSV is empty; it has to begin with a header line such as order_id,sku,quantity"),
        (
            b"order,sk\n1,a\n",
            "CSV has no column for the sku (sku, product_sku, item_sku, …); its columns are 'order', 'sk'. Say which "
            "one it is: columns={'sku': 'its header'}, on the command line --column sku='its header'",
        ),
        (b"order,sku\n1,\n", "CSV: none of its 1 row is a sale (sku is blank: line 2: '')"),
        (b"o\0r\0d\0", "CSV holds NUL bytes, so it is no plain text (perhaps UTF-16); save it as CSV in UTF-8"),
        (
            b'order,sku\n1,a\n2,"b\n3,c\n',
            'CSV, line 3: a quotation mark is opened and never closed; close it, or double it ("") inside text',
        ),
        (
            b'order,sku\n1,a\n2,"b\n' + b"3,c\n" * 300 + b'4,"d"\n',
            'CSV, line 3: a quotation mark is opened and never closed; close it, or double it ("") inside text',
        ),
        (b"PK\x03\x04...", "CSV is a spreadsheet or an archive, not CSV; open it and save it as CSV in UTF-8"),
        (b"PAR1...", "CSV is Parquet, not CSV; its name has to end with .parquet, in Python use from_parquet"),
        (gzip.compress(b"order,sku\n1,a\n")[:-12], "CSV is compressed and cut off or damaged"),
        (
            b"order,sku,time\n1,a,1/2/2024\n",
            "CSV: '1/2/2024' can be day/month or month/day, and the other dates do not",
        ),
    ],
    ids=[
        "empty",
        "no header",
        "no sku",
        "no sale",
        "nul",
        "unclosed",
        "swallowing",
        "xlsx",
        "parquet",
        "cut off",
        "dates",
    ],
)
def test_a_file_that_is_no_order_history_is_refused_with_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        lines(data)
    assert str(refusal.value).startswith(message)


def test_a_header_without_rows_is_an_empty_history() -> None:
    found = lines("order,sku\n")
    assert (pairs(found), found.report.rows, Baskets.from_lines(found).n_orders) == ([], 0, 0)


def test_a_misplaced_quotation_mark_costs_its_row_and_no_other() -> None:
    found = lines('order,sku\n1,a\n2,"b" c\n3,"d""e"\n4,"f\ng" h\n5,i\n')
    assert pairs(found) == [("1", "a"), ("3", 'd"e'), ("5", "i")]
    assert left_out(found) == {"a quotation mark is not closed, or not doubled": 3}
    assert found.report.bad[0].examples == ("line 3: in line 3", "line 5: in line 6", "line 6: in line 6")


def test_lines_are_counted_through_quoted_line_breaks_and_blank_lines() -> None:
    found = lines('order,sku,note\n1,a,"two\r\nlines"\n\n,,\n  \n2,,x\n')
    assert pairs(found) == [("1", "a")]
    assert found.report.bad[0].examples == ("line 7: ''",)
    assert found.report.rows == 2


def test_a_field_of_a_megabyte_is_read_and_a_reference_of_that_length_is_bad() -> None:
    long = "x" * 1_000_000
    found = lines(f'order,sku,note\n1,a,"{long}"\n2,{long},\n')
    assert pairs(found) == [("1", "a")]
    assert left_out(found) == {"sku is longer than 500 characters": 1}
    assert found.report.bad[0].examples == (f"line 3: '{'x' * 58}…",)


def test_cells_too_many_that_are_blank_are_forgiven() -> None:
    assert pairs(lines("order,sku\n1,a,,\n2,b\n")) == [("1", "a"), ("2", "b")]


def test_columns_can_be_named_and_left_out() -> None:
    text = "order,sku,name,customer\n1,77,Mug,c-1\n"
    found = lines(text, columns={"sku": "Name", "customer": ""})
    assert (pairs(found), found.customers, found.titles) == ([("1", "Mug")], None, {})
    for columns, message in (
        ({"sku": "code"}, "CSV has no column 'code'; its columns are 'order', 'sku', 'name', 'customer'"),
        ({"product": "sku"}, "there is no field 'product'; the fields are " + ", ".join(FIELDS)),
    ):
        with pytest.raises(Unreadable) as refusal:
            lines(text, columns=columns)
        assert str(refusal.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-01T12:00:00Z",
        "2024-03-01 12:00:00 UTC",
        "2024-03-01 12:00",
        "2024-03-01 14:00:00 +0200",
        "20240301T120000",
        "1709294400",
        "1709294400.0",
        "1709294400000",
        "01.03.2024 12:00",
    ],
)
def test_times_are_read_as_programs_write_them(text: str) -> None:
    assert times(text) == [NOON]


def test_a_date_that_can_be_read_in_one_way_settles_the_others() -> None:
    first, second = datetime(2024, 2, 1, tzinfo=UTC).timestamp(), datetime(2024, 1, 2, tzinfo=UTC).timestamp()
    assert times("1/2/2024", "13/2/2024")[0] == first
    assert times("1/2/2024", "2/13/2024")[0] == second
    assert times("1/2/2024", day_first=True) == [first]
    assert times("1/2/2024 1:30 PM", day_first=False) == [second + 13.5 * 3600]
    assert times("1/2/2024 12:05 am", day_first=False) == [second + 5 * 60]


def test_a_time_without_a_zone_is_in_the_one_given() -> None:
    assert times("2024-07-01 14:00", zone=ZoneInfo("Europe/Berlin")) == [
        datetime(2024, 7, 1, 12, tzinfo=UTC).timestamp()
    ]


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("12.90", 12.9),
        ("12,90", 12.9),
        ("£12.90", 12.9),
        ("EUR 1.234,50", 1234.5),
        ("$1,234.50", 1234.5),
        ("1 234,50 kr", 1234.5),
        ("1,234,567", 1234567.0),
        ("12.", 12.0),
    ],
)
def test_prices_are_read_as_countries_write_them(text: str, price: float) -> None:
    assert lines(f'order;sku;price\n1;a;"{text}"\n').prices == {"a": price}


@pytest.mark.parametrize("text", ["1,234", "cheap", "1e9", "12-13", "."])
def test_a_price_in_doubt_is_a_bad_row(text: str) -> None:
    assert lines(f'order;sku;price\n1;a;1\n2;a;"{text}"\n').report.bad_rows == 1


def test_a_price_is_the_mean_over_the_lines_of_its_product() -> None:
    assert lines("order,sku,price\n1,a,1\n2,a ,2\n3,a,6\n4,b,\n").prices == {"a": 3.0}


@pytest.mark.parametrize(("text", "units"), [("2", 2), ("2.0", 2), ("0.35", 1), ("1.2", 2)])
def test_what_is_sold_by_weight_counts_up_to_whole_units(text: str, units: int) -> None:
    found = lines(f"order,sku,quantity\n1,a,{text}\n").quantities
    assert found is not None and found.tolist() == [units]


def test_titles_and_categories_are_the_most_frequent_ones() -> None:
    found = lines("order,sku,title,category\n1,a,Mug,X\n2,a,Cup,\n3,a,Cup,\n4,b,Pot,Y\n5,b,Jug,Y\n")
    assert (found.titles, found.categories) == ({"a": "Cup", "b": "Pot"}, {"a": "X", "b": "Y"})


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "invoice": pd.Series([536365, 536365, "C9", 7], dtype=object),
            "product_id": [1, 2, 1, 3],
            "customer": [17850.0, 17850.0, None, float("nan")],
            "date": pd.to_datetime(["2024-03-01 12:00"] * 3 + [None]),
            "quantity": [1, 2, -1, 1],
            "category": pd.Categorical(["x", None, "x", "y"]),
        }
    )


def expect_frame(found: Lines) -> None:
    assert pairs(found) == [("536365", "1"), ("536365", "2"), ("7", "3")]
    assert found.customers == ["17850", "17850", None]
    assert found.times is not None and found.times.tolist()[:2] == [NOON, NOON]
    assert found.times[2] != found.times[2]
    assert found.categories == {"1": "x", "3": "y"}
    assert left_out(found) == {"cancelled invoice": 1}


def test_a_pandas_frame_of_mixed_columns_is_read() -> None:
    expect_frame(read_dataframe(frame()))


def table() -> pa.Table:
    return pa.Table.from_pandas(frame().assign(invoice=["536365", "536365", "C9", "7"]), preserve_index=False)


def test_arrow_is_read_with_nanoseconds_dictionaries_and_nulls() -> None:
    expect_frame(read_arrow(table()))
    expect_frame(read_arrow(table().to_reader()))


def test_anything_with_an_arrow_stream_is_a_table() -> None:
    class Exporting:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return table().__arrow_c_stream__(requested_schema)

    expect_frame(read_arrow(Exporting()))
    expect_frame(read_dataframe(Exporting()))


def test_a_frame_of_another_kind_needs_columns_and_lists() -> None:
    class Series(list[object]):
        def to_list(self) -> list[object]:
            return list(self)

    class Frame(dict[str, Series]):
        columns = ("order", "sku", "date")

    found = read_dataframe(Frame(order=Series([1, 1]), sku=Series(["a", "b"]), date=Series([date(2024, 3, 1), None])))
    assert pairs(found) == [("1", "a"), ("1", "b")]


def test_something_else_is_no_frame() -> None:
    with pytest.raises(Unreadable, match="a int is not a DataFrame; for rows there is from_sql"):
        read_dataframe(7)


def test_an_empty_arrow_table_is_an_empty_history() -> None:
    assert pairs(read_arrow(table().slice(0, 0))) == []
    assert pairs(read_arrow(table().schema.empty_table())) == []


def test_parquet_is_read_from_a_file_and_from_a_folder(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "orders.parquet")
    expect_frame(read_parquet(tmp_path / "orders.parquet"))
    expect_frame(read_parquet(tmp_path))
    (tmp_path / "orders.parquet").write_bytes(b"order,sku\n")
    with pytest.raises(Unreadable, match=r"orders\.parquet is not Parquet, or damaged: "):
        read_parquet(tmp_path / "orders.parquet")


@pytest.fixture
def database() -> Any:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE line (order_ref TEXT, sku TEXT, qty INTEGER)")
    connection.executemany("INSERT INTO line VALUES (?, ?, ?)", [("1", "a", 2), ("1", "b", 1), ("2", "a", -1)])
    yield connection
    connection.close()


def test_a_cursor_is_read_by_the_names_of_its_columns(database: Any) -> None:
    found = read_sql(database.execute("SELECT * FROM line"))
    assert pairs(found) == [("1", "a"), ("1", "b")]
    assert found.quantities is not None and found.quantities.tolist() == [2, 1]
    assert left_out(found) == {"quantity below zero, a return": 1}


def test_rows_that_know_their_names_need_no_cursor(database: Any) -> None:
    database.row_factory = sqlite3.Row
    assert pairs(read_sql(database.execute("SELECT * FROM line").fetchall())) == [("1", "a"), ("1", "b")]
    assert pairs(read_sql([{"sku": "a", "order": 1}, {"order": 2, "sku": "b"}])) == [("1", "a"), ("2", "b")]


def test_plain_rows_need_names() -> None:
    assert pairs(read_sql([(1, "a")], names=["order", "sku"])) == [("1", "a")]
    with pytest.raises(Unreadable, match=r"pass names=\['order_id', 'sku', …\]"):
        read_sql([(1, "a")])
    with pytest.raises(Unreadable, match="row 2 has 1 values, there are 2 columns"):
        read_sql([(1, "a"), (2,)], names=["order", "sku"])
    with pytest.raises(Unreadable, match="the sku has a value that is not a single one"):
        read_sql([(1, ["a"])], names=["order", "sku"])


def test_half_a_character_is_a_bad_cell() -> None:
    found = read_sql([("1", "a"), ("2", "\ud800")], names=["order", "sku"])
    assert (pairs(found), left_out(found)) == ([("1", "a")], {"sku holds half a character": 1})


PIECES = [*'",;\n\r\0\t 1-.é$\u2028', "order", "sku", "2024-01-01", "C1"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_text_is_read_or_refused_and_every_row_accounted_for(text: str) -> None:
    for head in ("", "order,sku,quantity,time,unit_price\n"):
        try:
            report = lines(head + text).report
        except Unreadable:
            continue
        assert report.rows == report.kept + report.bad_rows + report.no_sale_rows


CELLS = st.one_of(
    st.sampled_from(
        ["a", "1", None, float("nan"), float("inf"), True, b"\xff", pd.NA, pd.NaT, 10**30, 1j, "\ud800", ()]
    ),
    st.text(max_size=3),
    st.dates(),
    st.datetimes(),
    st.decimals(),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS, CELLS, CELLS), max_size=4))
def test_any_values_are_read_or_refused_and_every_row_accounted_for(rows: list[tuple[object, ...]]) -> None:
    try:
        found = read_sql(rows, names=["order", "sku", "quantity", "time", "unit_price", "customer"])
    except Unreadable:
        return
    assert len(rows) == found.report.kept + found.report.bad_rows + found.report.no_sale_rows
    assert Baskets.from_lines(found).n_lines <= found.report.kept


def test_every_source_gives_the_same_baskets(tmp_path: Path) -> None:
    draw = random.Random(3)
    header = ["order_id", "sku", "quantity"]
    rows = [[f"o{draw.randrange(300)}", f"p{draw.randrange(40)}", draw.randrange(1, 5)] for _ in range(3_000)]
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    arrow = pa.table(dict(zip(header, map(list, zip(*rows, strict=True)), strict=True)))
    pq.write_table(arrow, tmp_path / "orders.parquet")
    expected = Baskets.from_rows(map(tuple, rows))
    for baskets in (
        Baskets.from_csv(io.BytesIO(text.getvalue().encode())),
        Baskets.from_parquet(tmp_path / "orders.parquet"),
        Baskets.from_arrow(arrow),
        Baskets.from_dataframe(arrow.to_pandas()),
        Baskets.from_sql(rows, names=header),
    ):
        assert baskets.skus == expected.skus
        assert baskets.start.tolist() == expected.start.tolist()
        assert baskets.items.tolist() == expected.items.tolist()
        assert baskets.quantities.tolist() == expected.quantities.tolist()


def test_progress_is_told_up_to_the_end_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("order,sku\n" + "1,a\n" * 10_000)
    told: list[float] = []
    read_csv(path, progress=told.append)
    assert told == sorted(told)
    assert (len(told), told[-1]) == (5, 1.0)


def test_an_open_file_stays_open() -> None:
    file = io.BytesIO(b"order,sku\n1,a\n")
    read_csv(file)
    assert not file.closed


def test_reading_imports_no_table_library() -> None:
    code = (
        "import sys, io; from encore_recommender import Baskets; Baskets.from_csv(io.BytesIO(b'order,sku\\n1,a\\n'));"
        "print({'pandas', 'polars', 'pyarrow', 'scipy', 'sklearn', 'click'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"
