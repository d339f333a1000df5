"""Tables as files: what stands in them, how they are sent, and that a long one costs no memory."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from conftest import START, Shop, ShopFactory
from dashboard_pages import get, guarded, sold

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.money import Money
from flask_encore.services import auditing, order_list
from flask_encore.services.auditing import Action
from flask_encore.store.database import StoreError
from flask_encore.web.downloads import Column, Table, offered

ORDERS = "/encore/dashboard/orders/"
COLUMNS = [Column("ref", "Ref"), Column("at", "Time"), Column("paid", "Paid", money=True)]
ROW = {"ref": "=1+1", "at": START, "paid": Money(1290, "gbp")}


def table(*rows: Mapping[str, Any], name: str = "orders", columns: list[Column] = COLUMNS) -> Table:
    return Table(name=name, columns=columns, rows=rows)


def answer(shop: Shop, asked: str, *tables: Table, method: str = "GET") -> Any:
    with shop.app.test_request_context(f"/?{asked}", method=method):
        return offered(*tables)


def test_a_page_that_is_asked_for_no_file_goes_on(shop: Shop) -> None:
    assert answer(shop, "table=orders", table(ROW)) is None


def test_csv_tells_money_twice_with_its_currency_and_times_in_the_shops_zone(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_TIME_ZONE="America/New_York")
    response = answer(shop, "download=csv&table=orders", table(ROW, {"ref": "2", "at": None, "paid": None}))
    assert response.get_data(as_text=True) == (
        'Ref,Time,Paid,"Paid, minor units","Paid, currency"\r\n'
        "'=1+1,2026-03-02T09:03:00.000000-05:00,12.90,1290,gbp\r\n"
        "2,,,,\r\n"
    )
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="encore-orders-2026-03-02.csv"'
    assert response.headers["Cache-Control"] == "no-store"


def test_json_is_one_array_with_the_same_keys(shop: Shop) -> None:
    response = answer(shop, "download=json&table=orders", table(ROW, {"ref": "2", "at": None, "paid": None}))
    assert json.loads(response.get_data()) == [
        {
            "ref": "=1+1",
            "at": "2026-03-02T14:03:00.000000+00:00",
            "paid": "12.90",
            "paid_minor": 1290,
            "paid_currency": "gbp",
        },
        {"ref": "2", "at": None, "paid": None, "paid_minor": None, "paid_currency": None},
    ]
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Content-Disposition"] == 'attachment; filename="encore-orders-2026-03-02.json"'


def test_a_table_without_rows_is_still_a_whole_file(shop: Shop) -> None:
    assert json.loads(answer(shop, "download=json&table=orders", table()).get_data()) == []
    assert answer(shop, "download=csv&table=orders", table(columns=COLUMNS[:1])).get_data() == b"Ref\r\n"


def test_excel_gets_its_byte_order_mark_and_json_does_not(shop: Shop) -> None:
    marked = answer(shop, "download=csv&table=orders&bom=1", table(ROW)).get_data()
    assert marked.startswith(b"\xef\xbb\xbfRef,")
    refused = answer(shop, "download=json&table=orders&bom=1", table(ROW))
    assert refused.status_code == 400
    assert "JSON must not have one" in refused.get_data(as_text=True)


def test_every_kind_of_value_has_one_way_to_be_written(shop: Shop) -> None:
    values = {
        "yes": True,
        "day": date(2026, 3, 2),
        "wall": datetime(2026, 3, 2, 9, 0),  # noqa: DTZ001 - campaigns keep the shop's wall time
        "auckland": datetime(2026, 3, 3, 3, 3, tzinfo=ZoneInfo("Pacific/Auckland")),
        "share": 0.125,
        "exact": Decimal("0.10"),
        "several": ("a", {"at": START}),
        "formula": "\t=cmd()",
    }
    columns = [Column(key, key) for key in values]
    told = answer(shop, "download=json&table=orders", table(values, columns=columns)).get_data()
    assert json.loads(told) == [
        {
            "yes": True,
            "day": "2026-03-02",
            "wall": "2026-03-02T09:00:00.000000+00:00",
            "auckland": "2026-03-02T14:03:00.000000+00:00",
            "share": 0.125,
            "exact": "0.10",
            "several": ["a", {"at": "2026-03-02T14:03:00.000000+00:00"}],
            "formula": "\t=cmd()",
        }
    ]
    told = answer(shop, "download=csv&table=orders", table(values, columns=columns)).get_data(as_text=True)
    [_, cells] = csv.reader(io.StringIO(told, newline=""))
    assert cells == [
        "true",
        "2026-03-02",
        "2026-03-02T09:00:00.000000+00:00",
        "2026-03-02T14:03:00.000000+00:00",
        "0.125",
        "0.10",
        '["a",{"at":"2026-03-02T14:03:00.000000+00:00"}]',
        "'\t=cmd()",
    ]


def test_an_amount_in_a_column_that_does_not_say_so_is_a_mistake_of_ours(shop: Shop) -> None:
    with pytest.raises(TypeError, match="money=True"):
        answer(shop, "download=csv&table=orders", table({"paid": Money(1, "gbp")}, columns=[Column("paid", "Paid")]))


def test_a_name_that_would_need_quoting_is_refused() -> None:
    for name in ("", "Orders", 'a"b', "a b", "a\r\nb", "-a", "a/b"):
        with pytest.raises(InvalidInput, match="lower-case words"):
            table(name=name)


@pytest.mark.parametrize(
    "asked",
    ["download=csv", "download=csv&table=charges", "download=xlsx&table=orders", "download=ndjson&table=orders"],
)
def test_what_is_not_offered_is_a_page_that_says_so(shop: Shop, asked: str) -> None:
    response = answer(shop, asked, table(ROW))
    assert response.status_code == 404
    assert "There is no such download" in response.get_data(as_text=True)


# Long ones


class Counted:
    """Rows that count how many of them were asked for, and whether they were closed."""

    def __init__(self, total: int) -> None:
        self.asked = 0
        self.closed = False
        self._total = total
        self.rows = self._rows()

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        try:
            for number in range(self._total):
                self.asked += 1
                yield {"number": number}
        finally:
            self.closed = True

    @property
    def table(self) -> Table:
        return Table(name="long", columns=[Column("number", "Number")], rows=self.rows)


def test_a_million_rows_are_sent_as_they_are_read_and_never_held(shop: Shop) -> None:
    counted = Counted(1_000_000)
    response = answer(shop, "download=json&table=long", counted.table)
    ahead = lines = 0
    for piece in response.response:
        lines += piece.count(b"{")
        ahead = max(ahead, counted.asked - lines)
    response.close()
    assert (lines, counted.asked) == (1_000_000, 1_000_000)
    assert ahead == 100  # a piece that was read first, so that an error is still a page, and never more
    assert counted.closed


@pytest.mark.parametrize(("format", "size"), [("csv", 10_020_000), ("json", 10_130_000)])
def test_memory_stays_flat_however_much_was_sent(shop: Shop, format: str, size: int) -> None:
    rows = ({"text": "x" * 1_000} for _ in range(20_000))
    response = answer(
        shop, f"download={format}&table=long", Table(name="long", columns=[Column("text", "Text")], rows=rows)
    )
    pieces = iter(response.response)
    for _ in range(50):  # what is allocated once is allocated by now
        next(pieces)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        sent = sum(len(next(pieces)) for _ in range(100))
        grown = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
        response.close()
    assert sent == size
    assert grown < 1_000_000  # a tenth of what was sent


def test_who_leaves_in_the_middle_leaves_nothing_open(shop: Shop) -> None:
    counted = Counted(1_000_000)
    response = answer(shop, "download=csv&table=long", counted.table)
    next(iter(response.response))
    response.close()
    assert counted.closed
    assert counted.asked == 100


def test_a_head_request_reads_no_row(shop: Shop) -> None:
    counted = Counted(1_000_000)
    response = answer(shop, "download=csv&table=long", counted.table, method="HEAD")
    assert response.headers["Content-Disposition"] == 'attachment; filename="encore-long-2026-03-02.csv"'
    assert counted.asked == 0


def test_rows_that_cannot_be_read_are_an_error_and_not_the_beginning_of_a_file(shop: Shop) -> None:
    def broken() -> Iterator[Mapping[str, Any]]:
        raise StoreError("away")
        yield {}

    with pytest.raises(StoreError):
        answer(shop, "download=csv&table=orders", Table(name="orders", columns=COLUMNS, rows=broken()))


# The dashboard's own


def test_the_list_of_decisions_is_whole_though_the_page_has_fifty(any_shop: Shop) -> None:
    shop = any_shop
    sold(shop)
    copies(shop, 1_099)
    rows = list(csv.reader(io.StringIO(get(shop, ORDERS, download="csv", table="decisions", period="all").text)))
    assert len(rows) == 1 + 1_100
    assert len({row[1] for row in rows}) == 1 + 1_100  # each order once, over three readings
    assert rows[1][:7] == ["2026-03-02T14:03:00.000000+00:00", *rows[1][1:3], "chosen", "mug", "Enamel mug", "1"]


def test_a_file_has_the_filter_of_its_page(shop: Shop) -> None:
    sold(shop, "1042")
    shop.pay("1043")
    shop.page("1043")
    found = json.loads(get(shop, ORDERS, download="json", table="decisions", what="succeeded").text)
    assert [row["order_ref"] for row in found] == ["1042"]
    assert (found[0]["amount"], found[0]["amount_minor"], found[0]["amount_currency"]) == ("11.61", 1161, "gbp")
    assert 'href="/encore/dashboard/orders/?period=7&amp;what=succeeded&amp;download=csv&amp;table=decisions"' in (
        get(shop, ORDERS, period="7", what="succeeded", after="9999999999999999-f").text
    )


def test_no_argument_of_an_address_leads_a_link_elsewhere(shop: Shop) -> None:
    sold(shop)
    page = get(shop, f"{ORDERS}?_external=1&_scheme=javascript&_anchor=x&q=%22%3E%3Cb%3E&z=%00%ff").text
    links = [part.split('"')[0] for part in page.split('<p class="downloads">')[1].split('href="')[1:]]
    assert all(link.startswith("/encore/dashboard/orders/?_external=1&amp;") for link in links[:3])


def test_a_file_is_as_closed_to_others_as_its_page(shop: Shop) -> None:
    sold(shop)
    guarded(shop, lambda: None)
    assert get(shop, ORDERS, download="csv", table="decisions").status_code == 403


def test_a_database_that_is_away_is_told_on_a_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Iterator[Any]:
        raise StoreError("away")
        yield

    sold(shop)
    monkeypatch.setattr(order_list, "every", away)
    response = get(shop, ORDERS, download="csv", table="decisions")
    assert response.status_code == 503
    assert "Encore’s tables cannot be reached" in response.text


def test_the_whole_list_is_read_in_readings_of_a_few_hundred(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    sold(shop)
    copies(shop, 9)
    monkeypatch.setattr(order_list, "READ_AT_ONCE", 4)
    assert len(list(order_list.every(shop.rt))) == 10


def test_the_whole_history_is_read_page_after_page(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with any_shop.rt.db.write() as connection:
        for number in range(10):
            auditing.record(
                any_shop.rt,
                connection,
                actor="anna",
                action=Action.SWITCH,
                subject="switches",
                before={"n": number},
                after={"n": number + 1},
            )
    monkeypatch.setattr(auditing, "MAX_ENTRIES", 4)
    found = [entry.after for entry in auditing.whole_history(any_shop.rt, subject="switches")]
    assert found == [{"n": number} for number in range(10, 0, -1)]


def copies(shop: Shop, count: int) -> None:
    """More decisions like the one there is, all of one moment."""
    [row] = shop.rows("decisions")
    columns = ", ".join(f'"{name}"' for name in row if name not in {"id", "order_ref"})
    with shop.rt.db.write() as connection:
        for number in range(count):
            connection.execute(
                sa.text(
                    f"INSERT INTO encore_decisions (id, order_ref, {columns}) "
                    f"SELECT 'c{number:05}', 'c{number}', {columns} FROM encore_decisions WHERE order_ref = '1042'"
                )
            )
