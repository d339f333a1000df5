"""Files a merchant opens in a spreadsheet: nothing in them runs, and every number is still one."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_encore.domain.errors import InvalidInput
from flask_encore.services.exporting import Format, Rows, cell, csv_line, pieces


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+441234567",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\rx",
        " =1",
        "\n=1",
        "\u00a0=1",
        "＝1",
        "-",
        "-1.",
        "- 1",
        "-1e3",
    ],
)
def test_text_a_spreadsheet_would_run_stands_behind_an_apostrophe(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-12.90", "-5", "0.000", "12.90", "mug", "a=b", "", "'=1", "O'Neill", "{}"])
def test_numbers_and_plain_text_stay_as_they_are(value: str) -> None:
    assert cell(value) == value


def test_values_that_are_no_text_are_written_as_they_are_read() -> None:
    assert [cell(value) for value in (None, True, False, -7, 0.25, -1e-07)] == [
        "",
        "true",
        "false",
        "-7",
        "0.25",
        "-1e-07",
    ]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_a_csv_line_is_read_back_as_it_was_but_for_the_apostrophes(texts: list[str]) -> None:
    line = csv_line(texts).decode()

    [back] = csv.reader(io.StringIO(line, newline=""))

    assert back == [cell(text) for text in texts]
    assert line.endswith("\r\n")
    assert all(not told.startswith(("=", "+", "@", "\t", "\r")) for told in back)


def rows(*told: dict[str, object]) -> Rows:
    return Rows(columns=["id", "title", "trace"], total=len(told), each=iter(told))


ODD = {"id": "1", "title": 'Tea, "Assam"\nand \ud800 cake', "trace": {"asked": []}}


def test_ndjson_is_one_object_a_line_whatever_is_in_it() -> None:
    [(count, piece)] = pieces(rows(ODD), format=Format.NDJSON)
    assert (count, piece) == (
        1,
        b'{"id":"1","title":"Tea, \\"Assam\\"\\nand ? cake","trace":{"asked":[]}}\n',
    )


def test_csv_has_a_head_and_leaves_out_what_no_cell_can_hold() -> None:
    made = list(pieces(rows(ODD), format=Format.CSV))
    assert made == [(0, b"id,title\r\n"), (1, b'1,"Tea, ""Assam""\nand ? cake"\r\n')]


def test_a_byte_order_mark_begins_the_file_and_stands_nowhere_else() -> None:
    file = b"".join(piece for _, piece in pieces(rows(ODD, ODD), format=Format.CSV, bom=True))
    assert file.startswith(b"\xef\xbb\xbfid,title\r\n")
    assert file.count(b"\xef\xbb\xbf") == 1


def test_json_gets_no_byte_order_mark() -> None:
    with pytest.raises(InvalidInput, match="JSON must not have one"):
        pieces(rows(ODD), format=Format.NDJSON, bom=True)


def test_rows_are_asked_for_as_they_are_written() -> None:
    asked: list[int] = []

    def each() -> object:
        for number in range(250):
            asked.append(number)
            yield {"id": number, "title": "", "trace": None}

    made = pieces(Rows(columns=["id", "title", "trace"], total=250, each=each()), format=Format.NDJSON)  # type: ignore[arg-type]

    assert next(made)[0] == 100
    assert len(asked) == 100
    assert [count for count, _ in made] == [100, 50]
