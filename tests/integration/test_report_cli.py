"""``flask encore report`` and ``flask encore export`` as a merchant's engineer types them."""

from __future__ import annotations

import csv
import io
import json
import os
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from conftest import START, Shop, ShopFactory
from histories import write
from hosts import on_postgresql

from flask_encore.cli import cli, reports
from flask_encore.domain.days import Days
from flask_encore.services import exporting
from flask_encore.services.exporting import COLUMNS, Format, Log
from flask_encore.store.models import decisions


def run(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(cli, list(words))


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def sold(any_shop: Shop) -> Shop:
    """One order that kept its offer, one that undid it, and one without an offer."""
    shop = any_shop
    for order_ref in ("kept", "undone"):
        shop.pay(order_ref)
        token = shop.token(order_ref)
        shop.accept(token)
    shop.post(token, "undo")
    shop.pay("cardless", intent=shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None))
    shop.page("cardless")
    return shop


# The report


def test_the_report_is_a_table_a_person_reads(sold: Shop) -> None:
    told = run(sold, "report", "--from", "2026-03-02", "--to", "2026-03-02")

    assert told.exit_code == 0
    assert told.output == (
        "Decisions from 2026-03-02 to 2026-03-02, days of UTC\n"
        "\n"
        "GBP\n"
        "  eligible           2\n"
        "  shown              2\n"
        "  accepted           2\n"
        "  charged            2\n"
        "                    -1  undone\n"
        "  kept               1\n"
        "  accepted / shown  not enough data: 2 shown, a rate takes 100\n"
        "  kept / shown      not enough data: 2 shown, a rate takes 100\n"
        "  gross              23.22\n"
        "  refunded           11.61\n"
        "  disputed            0.00\n"
        "  net                11.61\n"
        "  fees                0.00  not known of 2 more charges\n"
        "  net after fees     11.61\n"
        "  profit    not known: no kept charge's goods have a cost in the catalogue\n"
        "  uplift    not known: nobody is held out\n"
        "  campaign                         offers    shown accepted     kept          gross            net\n"
        "  the built-in offer                    2        2        2        1          23.22          11.61\n"
        "\n"
        "Orders without an offer\n"
        "          1  payment method not saved\n"
    )


def test_the_report_is_json_a_program_reads(sold: Shop) -> None:
    told = json.loads(run(sold, "report", "--format", "json").output)

    assert (told["from"], told["to"], told["time_zone"]) == (None, None, "UTC")
    [pounds], [campaign] = told["currencies"], told["campaigns"]
    assert pounds["counts"] == {"eligible": 2, "shown": 2, "accepted": 2, "charged": 2, "kept": 1}
    assert pounds["leaks"] == {"undone": 1}
    assert (pounds["gross"], pounds["net"]) == ({"amount": "23.22", "minor": 2322}, {"amount": "11.61", "minor": 1161})
    assert pounds["conversion_rate"] == {"successes": 2, "trials": 2, "share": None, "interval_95": None}
    assert campaign == {"campaign_ref": "built-in"} | pounds
    assert told["without_offer"] == [{"outcome": "ineligible", "reason": "payment_method_not_saved", "decisions": 1}]


def test_the_report_is_a_table_a_spreadsheet_reads(sold: Shop) -> None:
    total, built_in = table(run(sold, "report", "--format", "csv").output)

    assert (total["currency"], total["campaign_ref"], built_in["campaign_ref"]) == ("gbp", "", "built-in")
    assert (total["offers"], total["kept"], total["lost_undone"]) == ("2", "1", "1")
    assert (total["net"], total["net_minor"], total["gross_minor"]) == ("11.61", "1161", "2322")


def test_rates_are_told_from_a_hundred_shown_orders_on(shop: Shop) -> None:
    write(shop, seed=3, count=900, begins=START - timedelta(days=3), days=3)
    told = run(shop, "report", "--currency", "gbp").output
    assert "\n  accepted / shown  74.7% (95 %: 67.6% to 80.7%)\n" in told
    assert "\nEUR\n" not in told


def test_days_are_the_shops_and_the_last_one_is_whole(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_TIME_ZONE="America/New_York")
    shop.clock.advance(hours=14, minutes=56)  # 04:59 UTC of the 3rd: still the 2nd in New York
    shop.pay("late")
    shop.page("late")
    shop.clock.advance(minutes=1)
    shop.pay("next day")
    shop.page("next day")

    second = json.loads(run(shop, "report", "--from", "2026-03-02", "--to", "2026-03-02", "--format", "json").output)
    third = json.loads(run(shop, "report", "--from", "2026-03-03", "--format", "json").output)

    assert [told["currencies"][0]["counts"]["eligible"] for told in (second, third)] == [1, 1]
    [line] = run(shop, "export", "decisions", "--to", "2026-03-02").output.splitlines()
    assert json.loads(line)["decided_at"] == "2026-03-02T23:59:00.000000-05:00"


@pytest.mark.parametrize("command", [["report"], ["export", "decisions"], ["export", "charges"]])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--from", "2026-03-02", "--to", "2026-03-01"], "exchange the two"),
        (["--from", "yesterday"], "'yesterday' is no day"),
        (["--to", "9999-12-31"], "out of reach"),
        (["--from", "2001-01-01"], "longer than ten years"),
        (["--bom"], "A byte order mark is for CSV"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_in_a_sentence(
    shop: Shop, command: list[str], words: list[str], told: str
) -> None:
    refused = run(shop, *command, *words)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert told in refused.stderr
    assert "Traceback" not in refused.output


def test_a_currency_that_is_none_is_refused_and_one_without_orders_is_empty(sold: Shop) -> None:
    assert "'pounds' is not a currency" in run(sold, "report", "--currency", "pounds").stderr
    assert "no order that could be offered anything" in run(sold, "report", "--currency", "eur").output


def test_before_the_tables_are_there_the_command_says_what_to_do(make_shop: ShopFactory) -> None:
    shop = make_shop(upgrade=False)
    for command in (["report"], ["export", "decisions"], ["export", "charges"]):
        refused = run(shop, *command)
        assert refused.exit_code == 1
        assert "flask encore db upgrade" in refused.stderr


# The exports


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("output", "stdout", "is_shown"),
    [("file", Terminal(), True), (None, io.StringIO(), True), (None, Terminal(), False)],
    ids=["into a file", "into a pipe", "onto the same terminal"],
)
def test_a_progress_bar_is_on_a_terminal_that_does_not_show_the_rows(
    monkeypatch: pytest.MonkeyPatch, output: str | None, stdout: io.StringIO, is_shown: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("sys.stdout", stdout)

    with reports._bar(2, "Exporting charges", None if output is None else Path(output)) as advance:
        advance(2)

    assert ("100%" in terminal.getvalue()) is is_shown
    assert stdout.getvalue() == ""


def test_the_decision_log_is_one_object_a_line_with_what_became_of_each(sold: Shop) -> None:
    lines = run(sold, "export", "decisions").output.splitlines()

    told = {row["order_ref"]: row for row in map(json.loads, lines)}
    assert sorted(told) == ["cardless", "kept", "undone"]
    assert {tuple(row) for row in told.values()} == {tuple(COLUMNS[Log.DECISIONS])}
    kept, undone, cardless = told["kept"], told["undone"], told["cardless"]
    assert (kept["title"], kept["total"], kept["total_minor"], kept["currency"]) == ("Enamel mug", "11.61", 1161, "gbp")
    assert (kept["charge_status"], kept["amount"], kept["refunded"], kept["undone"]) == (
        "succeeded",
        "11.61",
        "0.00",
        False,
    )
    assert (undone["charge_status"], undone["refunded_minor"], undone["undone"]) == ("refunded", 1161, True)
    assert [entry["sku"] for entry in kept["candidates"]] == ["mug", "tea"]
    assert kept["trace"]["asked"]
    assert kept["decided_at"] == "2026-03-02T14:03:00.000000+00:00"
    assert (cardless["outcome"], cardless["reason"], cardless["amount"], cardless["refunded"]) == (
        "ineligible",
        "payment_method_not_saved",
        None,
        None,
    )


def test_charges_are_rows_of_a_spreadsheet(sold: Shop) -> None:
    told = {row["order_ref"]: row for row in table(run(sold, "export", "charges", "--format", "csv").output)}

    assert list(told["kept"]) == list(COLUMNS[Log.CHARGES])
    assert (told["kept"]["status"], told["kept"]["amount"], told["kept"]["amount_minor"]) == (
        "succeeded",
        "11.61",
        "1161",
    )
    assert (told["undone"]["status"], told["undone"]["refunded"], told["undone"]["undone"]) == (
        "refunded",
        "11.61",
        "true",
    )
    assert told["kept"]["charged_at"] == "2026-03-02T14:03:00.000000+00:00"


def test_what_a_shopper_wrote_is_never_a_formula(shop: Shop) -> None:
    shop.pay("=HYPERLINK(1)", customer_ref="@SUM(A1)")
    shop.page("=HYPERLINK(1)")

    [row] = table(run(shop, "export", "decisions", "--format", "csv").output)

    assert (row["order_ref"], row["customer_ref"]) == ("'=HYPERLINK(1)", "'@SUM(A1)")


def test_a_file_is_written_whole_with_its_byte_order_mark(sold: Shop, tmp_path: Path) -> None:
    file = tmp_path / "charges.csv"

    told = run(sold, "export", "charges", "--format", "csv", "--bom", "--output", str(file))

    assert told.output == f"2 charges are in {file}.\n"
    assert file.read_bytes().startswith(b"\xef\xbb\xbfid,order_ref,")
    assert len(table(file.read_text("utf-8-sig"))) == 2
    assert [each.name for each in tmp_path.glob("*charges*")] == ["charges.csv"]


def test_an_export_that_breaks_leaves_the_file_as_it_was(
    sold: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "log.ndjson"
    file.write_text("yesterday's\n")

    def broken(_row: Any) -> bytes:
        raise RuntimeError("disk full")

    monkeypatch.setattr(exporting, "json_text", broken)
    told = run(sold, "export", "decisions", "--output", str(file))

    assert (told.exit_code, file.read_text()) == (1, "yesterday's\n")
    assert [each.name for each in tmp_path.glob("*log.ndjson*")] == ["log.ndjson"]


def test_a_link_and_a_pipe_stay_what_they_are(sold: Shop, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "march.ndjson")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    told = [run(sold, "export", "charges", "--output", str(tmp_path / name)) for name in ("link", "pipe")]
    piped = os.read(reader, 65_536)
    os.close(reader)

    assert [each.exit_code for each in told] == [0, 0]
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "march.ndjson").read_bytes() == piped
    assert piped.count(b"\n") == 2


def test_a_folder_that_is_not_there_is_refused_in_a_sentence(sold: Shop, tmp_path: Path) -> None:
    told = run(sold, "export", "charges", "--output", str(tmp_path / "missing" / "log.ndjson"))
    assert told.exit_code == 1
    assert "cannot be written" in told.stderr


def test_another_accounts_rows_are_not_exported(sold: Shop) -> None:
    with sold.rt.db.write() as connection:
        for name in ("decisions", "charges"):
            connection.execute(sa.text(f"UPDATE encore_{name} SET account = 'acct_other' WHERE order_ref <> 'kept'"))

    exported = [run(sold, "export", log).output.splitlines() for log in Log]

    assert [[json.loads(line)["order_ref"] for line in lines] for lines in exported] == [["kept"], ["kept"]]


def test_an_empty_export_is_an_empty_file_or_a_head(any_shop: Shop) -> None:
    assert run(any_shop, "export", "decisions").output == ""
    assert run(any_shop, "export", "charges", "--format", "csv").output.count("\n") == 1


def test_oldest_come_first_whatever_order_they_were_written_in(any_shop: Shop) -> None:
    write(any_shop, seed=5, count=60, begins=START, days=1)
    for log, moment in ((Log.DECISIONS, "decided_at"), (Log.CHARGES, "accepted_at")):
        moments = [json.loads(line)[moment] for line in run(any_shop, "export", log).output.splitlines()]
        assert moments == sorted(moments)
        assert len(moments) > 10


def test_memory_stays_flat_however_long_the_log_is(shop: Shop) -> None:
    write(shop, seed=7, count=1_200, begins=datetime(2026, 2, 1, tzinfo=UTC), days=1)
    with shop.rt.db.write() as connection:
        connection.execute(sa.update(decisions).values(candidates=[{"sku": "mug", "why": "x" * 4_000}], account=""))
    size = 0

    tracemalloc.start()
    try:
        with exporting.opened(shop.rt, Log.DECISIONS, Days()) as rows:
            for _, piece in exporting.pieces(rows, format=Format.NDJSON):
                size += len(piece)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert size > 5_000_000
    assert most < size / 2


@on_postgresql
@pytest.mark.parametrize("log", list(Log))
def test_on_postgresql_the_server_keeps_the_rows_that_were_not_asked_for(any_shop: Shop, log: Log) -> None:
    cursors: list[str] = []

    def note(_connection: Any, cursor: Any, *_: Any) -> None:
        cursors.append(type(cursor).__name__)

    sa.event.listen(any_shop.rt.db.engine, "after_cursor_execute", note)
    with exporting.opened(any_shop.rt, log, Days()) as rows:
        assert list(rows.each) == []

    assert cursors == ["Cursor", "ServerCursor"]


def test_who_stops_reading_leaves_no_cursor_open(any_shop: Shop) -> None:
    write(any_shop, seed=7, count=300, begins=START, days=1)
    cursors: list[Any] = []

    def note(_connection: Any, cursor: Any, *_: Any) -> None:
        cursors.append(cursor)

    sa.event.listen(any_shop.rt.db.engine, "after_cursor_execute", note)
    with exporting.opened(any_shop.rt, Log.DECISIONS, Days()) as rows:
        next(rows.each)

    with pytest.raises(Exception, match="closed"):
        cursors[-1].fetchone()
