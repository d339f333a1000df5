"""The switches: off, shadow mode, and the revision every process watches."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Shop

from flask_encore.services import auditing, switching
from flask_encore.services.switching import Switches
from flask_encore.store import audit, switches


def test_a_new_shop_is_on_and_shows_its_offers(any_shop: Shop) -> None:
    assert switching.switches(any_shop.rt) == Switches(off=False, shadow=False, revision=0)


def test_each_switch_is_turned_by_itself(any_shop: Shop) -> None:
    turned = [
        switching.turn(any_shop.rt, actor="ana", off=True),
        switching.turn(any_shop.rt, actor="ana", shadow=True),
        switching.turn(any_shop.rt, actor="ana", off=False),
    ]

    assert turned == [
        Switches(off=True, shadow=False, revision=1),
        Switches(off=True, shadow=True, revision=2),
        Switches(off=False, shadow=True, revision=3),
    ]
    assert switching.switches(any_shop.rt) == turned[-1]


def test_turning_a_switch_is_written_down(any_shop: Shop) -> None:
    switching.turn(any_shop.rt, actor="ana", off=True, shadow=True)

    (entry,) = auditing.history(any_shop.rt, subject=switching.SUBJECT)

    assert (entry.actor, entry.action, entry.at) == ("ana", "switch", any_shop.clock())
    assert (entry.before, entry.after) == ({"off": False, "shadow": False}, {"off": True, "shadow": True})
    assert [change.path for change in entry.changes] == ["off", "shadow"]


def test_turning_a_switch_to_where_it_stands_changes_nothing(any_shop: Shop) -> None:
    switching.turn(any_shop.rt, actor="ana", off=True)

    assert switching.turn(any_shop.rt, actor="ben", off=True) == Switches(off=True, revision=1)
    assert switching.turn(any_shop.rt, actor="ben") == Switches(off=True, revision=1)
    assert [entry.actor for entry in auditing.history(any_shop.rt)] == ["ana"]


@pytest.mark.parametrize("wrong", [{"off": 1}, {"shadow": "on"}, {"actor": ""}, {"actor": None}])
def test_what_is_no_switch_is_refused(shop: Shop, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^(off|shadow|actor) has to be "):
        switching.turn(shop.rt, **{"actor": "ana", "off": True} | wrong)

    assert (shop.rows("switches"), shop.rows("audit")) == ([], [])


def test_a_switch_that_cannot_be_written_down_is_not_turned(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(audit, "add", full)

    with pytest.raises(OSError, match="the disk is full"):
        switching.turn(any_shop.rt, actor="ana", off=True)

    assert switching.switches(any_shop.rt) == Switches()


def test_of_eight_at_one_moment_each_moves_the_revision_once(any_shop: Shop) -> None:
    def turn(number: int) -> int:
        return switching.turn(any_shop.rt, actor=f"m{number}", **{("off", "shadow")[number % 2]: True}).revision

    with ThreadPoolExecutor(8) as threads:
        revisions = Counter(threads.map(turn, range(8)))

    assert sorted(revisions) in ([1, 2], [2])
    assert switching.switches(any_shop.rt) == Switches(off=True, shadow=True, revision=2)
    assert len(auditing.history(any_shop.rt)) == 2


def test_the_history_is_read_page_by_page(shop: Shop) -> None:
    for number in range(5):
        switching.turn(shop.rt, actor=f"m{number}", off=number % 2 == 0)

    first = auditing.history(shop.rt, limit=2)
    second = auditing.history(shop.rt, limit=2, before_id=first[-1].id)
    last = auditing.history(shop.rt, limit=2, before_id=second[-1].id)

    assert [entry.actor for page in (first, second, last) for entry in page] == ["m4", "m3", "m2", "m1", "m0"]
    with pytest.raises(ValueError, match=r"^limit has to be from 1 to 500, got 0\.$"):
        auditing.history(shop.rt, limit=0)


def test_another_account_has_switches_of_its_own(any_shop: Shop) -> None:
    switching.turn(any_shop.rt, actor="ana", off=True)

    with any_shop.rt.db.read() as connection:
        assert switches.find(connection, "acct_other") is None
        assert switches.revision_of(connection, "acct_other") == 0
