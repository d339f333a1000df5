"""A charge's history as text: one line a change, and nobody's words can look like another line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.timeline import MAX_DETAIL, Change, Source, around_status, changes, entry

AT = datetime(2026, 11, 22, 9, 15, 2, 120_000, tzinfo=UTC)


def change(**values: object) -> Change:
    return Change(**{"at": AT, "status": ChargeStatus.SUCCEEDED, "source": Source.WEBHOOK} | values)  # type: ignore[arg-type]


def test_a_change_is_one_line() -> None:
    assert entry(change(detail="evt_1042")) == "2026-11-22T09:15:02.120000+00:00|succeeded|webhook|evt_1042"


def test_a_line_can_be_made_around_a_status_that_the_database_knows() -> None:
    before, after = around_status(at=AT, source=Source.SWEEPER, detail="hold released")

    assert before + "succeeded" + after == entry(change(source=Source.SWEEPER, detail="hold released"))


@pytest.mark.parametrize("status", ChargeStatus)
@pytest.mark.parametrize("source", Source)
def test_what_was_written_is_read(status: ChargeStatus, source: Source) -> None:
    one = change(status=status, source=source, detail="card_declined evt_1")

    assert changes(entry(one)) == (one,)


def test_changes_are_read_in_the_order_in_which_they_were_written() -> None:
    first, second = change(status=ChargeStatus.CLAIMED), change(at=AT - timedelta(seconds=1))

    assert changes(f"{entry(first)}\n{entry(second)}") == (first, second)


def test_the_time_is_told_in_utc_to_the_microsecond() -> None:
    at = datetime(2026, 11, 22, 10, 15, 2, 1, tzinfo=timezone(timedelta(hours=1)))

    assert entry(change(at=at)).startswith("2026-11-22T09:15:02.000001+00:00|")


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        change(at=AT.replace(tzinfo=None))


#: What a bank, a webhook or an actor's name could try, and what is kept of it.
FORGED = {
    "x\n2026-11-22T09:15:02+00:00|refunded|merchant|": "x 2026-11-22T09:15:02+00:00 refunded merchant",
    "a\r\nb\x0bc\x0cd\x1ce\x85f\u2028g\u2029h": "a b c d e f g h",
    "a|b||c": "a b c",
    "NUL\x00 and \u202eturned\u202c": "NUL and turned",
    "\ud800 alone": "alone",
    "  spaces   within  ": "spaces within",
    "Übergrößen-Ärger, 東京": "Übergrößen-Ärger, 東京",
}


@pytest.mark.parametrize("told", FORGED)
def test_no_words_can_make_a_line_of_their_own(told: str) -> None:
    line = entry(change(detail=told))

    assert [(one.status, one.detail) for one in changes(line)] == [("succeeded", FORGED[told])]
    assert line.encode().count(b"\n") == 0


def test_words_are_cut_to_what_a_line_may_hold() -> None:
    assert change(detail="x" * 100_000).detail == "x" * MAX_DETAIL
    assert len(entry(change(detail="x " * 100_000))) < 250


@pytest.mark.parametrize(
    "line",
    [
        "",
        "2026-11-22T09:15:02.120000+00:00|succ",
        "2026-11-22T09:15:02.120000+00:00|paid|webhook|",
        "2026-11-22T09:15:02.120000+00:00|succeeded|somebody|",
        "2026-11-22T09:15:02.120000|succeeded|webhook|",
        "yesterday|succeeded|webhook|",
        "2026-11-22T09:15:02.120000+00:00|succeeded|webhook|a|b",
    ],
)
def test_what_is_no_line_of_ours_is_left_out(line: str) -> None:
    assert changes(f"{line}\n{entry(change())}\n{line}") == (change(),)
