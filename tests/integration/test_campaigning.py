"""Campaigns in the store: guarded by a version, written down, seen by every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Shop, ShopFactory

from flask_encore.domain.campaigns import CampaignStatus
from flask_encore.services import auditing, campaigning, switching
from flask_encore.services.campaign_files import parsed, written
from flask_encore.services.campaign_schema import CampaignRefused, definition_of
from flask_encore.store import campaigns

TEA = {
    "ref": "tea-with-pots",
    "name": "Tea with every pot",
    "status": "draft",
    "rule": {"all": [{"sku": {"any": ["pot"]}}]},
    "offer": {"kind": "fixed", "skus": ["tea"], "discount": {"percent": 10}},
}


def stored(shop: Shop) -> tuple[list[Any], ...]:
    """Everything a change of a campaign can move."""
    return shop.rows("campaigns"), shop.rows("switches"), shop.rows("audit")


def test_a_new_campaign_is_version_one_and_is_found(any_shop: Shop) -> None:
    saved = campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)

    assert (saved.version, saved.updated_by, saved.created_at) == (1, "ana", any_shop.clock())
    assert definition_of(saved.campaign) == TEA
    assert campaigning.find(any_shop.rt, "tea-with-pots") == saved
    assert campaigning.listed(any_shop.rt) == [saved]
    assert campaigning.find(any_shop.rt, "tea") is None


def test_a_change_is_the_next_version_and_moves_the_revision(any_shop: Shop) -> None:
    campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)
    assert switching.switches(any_shop.rt).revision == 1
    any_shop.clock.advance(seconds=60)

    saved = campaigning.save(any_shop.rt, TEA | {"priority": 5}, actor="ben", expected=1)

    assert (saved.version, saved.updated_by, saved.updated_at) == (2, "ben", any_shop.clock())
    assert campaigning.find(any_shop.rt, "tea-with-pots") == saved
    assert switching.switches(any_shop.rt).revision == 2


def test_a_stale_save_gets_the_difference_and_writes_nothing(any_shop: Shop) -> None:
    campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)
    campaigning.save(any_shop.rt, TEA | {"priority": 5}, actor="ben", expected=1)
    before = stored(any_shop)

    with pytest.raises(campaigning.Conflict) as refused:
        campaigning.save(any_shop.rt, TEA | {"name": "Tea"}, actor="ana", expected=1)

    assert str(refused.value) == "ben changed 'tea-with-pots' meanwhile; nothing was saved."
    assert refused.value.current == campaigning.find(any_shop.rt, "tea-with-pots")
    assert refused.value.changes == (
        campaigning.Change(path="name", theirs="Tea with every pot", mine="Tea"),
        campaigning.Change(path="priority", theirs=5, mine=0),
    )
    assert stored(any_shop) == before


def test_a_new_campaign_does_not_replace_another_one(any_shop: Shop) -> None:
    campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)
    before = stored(any_shop)

    with pytest.raises(
        campaigning.Conflict, match=r"^There is a campaign 'tea-with-pots' already; nothing was saved\.$"
    ):
        campaigning.save(any_shop.rt, TEA | {"name": "Tea"}, actor="ben", expected=None)

    assert stored(any_shop) == before


def test_what_was_removed_meanwhile_is_not_made_anew(any_shop: Shop) -> None:
    campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)
    campaigning.remove(any_shop.rt, "tea-with-pots", actor="ana", expected=1)

    with pytest.raises(campaigning.Conflict) as refused:
        campaigning.save(any_shop.rt, TEA | {"name": "Tea"}, actor="ben", expected=1)

    assert refused.value.current is None
    assert campaigning.listed(any_shop.rt) == []


def test_saving_the_same_again_changes_nothing(any_shop: Shop) -> None:
    saved = campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)
    before = stored(any_shop)

    assert campaigning.save(any_shop.rt, TEA, actor="ben", expected=1) == saved
    assert stored(any_shop) == before


def test_a_wrong_campaign_writes_nothing(any_shop: Shop) -> None:
    with pytest.raises(CampaignRefused):
        campaigning.save(any_shop.rt, TEA | {"priority": 10**6}, actor="ana", expected=None)

    assert stored(any_shop) == ([], [], [])


@pytest.mark.parametrize("actor", ["", "a" * 201, "ana\n"])
def test_a_change_needs_somebody_who_made_it(shop: Shop, actor: str) -> None:
    with pytest.raises(ValueError, match=r"^actor has to be"):
        campaigning.save(shop.rt, TEA, actor=actor, expected=None)

    assert stored(shop) == ([], [], [])


STATUSES = {"draft": {"live", "ended"}, "live": {"paused", "ended"}, "paused": {"live", "ended"}, "ended": set()}


@pytest.mark.parametrize("wanted", STATUSES)
@pytest.mark.parametrize("now", STATUSES)
def test_a_status_follows_only_what_it_may(shop: Shop, now: str, wanted: str) -> None:
    campaigning.save(shop.rt, TEA | {"status": now}, actor="ana", expected=None)
    if wanted == now:
        assert campaigning.set_status(shop.rt, "tea-with-pots", wanted, actor="ana").version == 1
    elif wanted in STATUSES[now]:
        saved = campaigning.set_status(shop.rt, "tea-with-pots", wanted, actor="ana")
        assert (saved.campaign.status, saved.version) == (CampaignStatus(wanted), 2)
    else:
        before = stored(shop)
        with pytest.raises(CampaignRefused, match=rf"^status: cannot become {wanted}: the campaign is {now}, and "):
            campaigning.set_status(shop.rt, "tea-with-pots", wanted, actor="ana")
        with pytest.raises(CampaignRefused, match=r"^status: cannot become "):
            campaigning.save(shop.rt, TEA | {"status": wanted}, actor="ana", expected=1)
        assert stored(shop) == before


def test_every_change_is_written_down_with_what_was_before_and_after(any_shop: Shop) -> None:
    live, copied = TEA | {"status": "live"}, TEA | {"ref": "more-tea"}
    campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)
    campaigning.set_status(any_shop.rt, "tea-with-pots", "live", actor="ben")
    campaigning.save(any_shop.rt, live | {"priority": 5}, actor="ana", expected=2)
    campaigning.duplicate(any_shop.rt, "tea-with-pots", new_ref="more-tea", actor="ben")
    campaigning.remove(any_shop.rt, "more-tea", actor="cy", expected=1)

    found = auditing.history(any_shop.rt)

    assert [(one.actor, one.action, one.subject, one.before, one.after) for one in reversed(found)] == [
        ("ana", "create", "tea-with-pots", None, TEA),
        ("ben", "status", "tea-with-pots", TEA, live),
        ("ana", "edit", "tea-with-pots", live, live | {"priority": 5}),
        ("ben", "duplicate", "more-tea", None, copied | {"priority": 5}),
        ("cy", "remove", "more-tea", copied | {"priority": 5}, None),
    ]
    assert found[2].changes == (auditing.Edit(path="priority", before=None, after=5),)
    assert {one.at for one in found} == {any_shop.clock()}
    assert switching.switches(any_shop.rt).revision == 5


# Duplicating and removing


def test_a_duplicate_is_a_draft_of_its_own(any_shop: Shop) -> None:
    campaigning.save(any_shop.rt, TEA | {"status": "ended"}, actor="ana", expected=None)

    saved = campaigning.duplicate(any_shop.rt, "tea-with-pots", new_ref="more-tea", actor="ben")

    assert definition_of(saved.campaign) == TEA | {"ref": "more-tea", "status": "draft"}
    assert (saved.version, saved.updated_by) == (1, "ben")
    assert [one.campaign.ref for one in campaigning.listed(any_shop.rt)] == ["more-tea", "tea-with-pots"]


@pytest.mark.parametrize(
    ("ref", "new_ref", "error"),
    [
        ("coffee", "more-tea", campaigning.NotFound),
        ("tea-with-pots", "More tea", CampaignRefused),
        ("tea-with-pots", "built-in", CampaignRefused),
        ("tea-with-pots", "tea-with-pots", campaigning.Conflict),
    ],
)
def test_a_duplicate_that_cannot_be_writes_nothing(shop: Shop, ref: str, new_ref: str, error: type[Exception]) -> None:
    campaigning.save(shop.rt, TEA, actor="ana", expected=None)
    before = stored(shop)

    with pytest.raises(error):
        campaigning.duplicate(shop.rt, ref, new_ref=new_ref, actor="ben")

    assert stored(shop) == before


@pytest.mark.parametrize("status", ["live", "paused", "ended"])
def test_only_a_draft_is_removed(shop: Shop, status: str) -> None:
    campaigning.save(shop.rt, TEA | {"status": status}, actor="ana", expected=None)
    before = stored(shop)

    with pytest.raises(CampaignRefused, match=r"^status: has to be draft for it to be removed: end it instead\.$"):
        campaigning.remove(shop.rt, "tea-with-pots", actor="ben", expected=1)

    assert stored(shop) == before


def test_a_draft_that_was_changed_meanwhile_is_not_removed(shop: Shop) -> None:
    campaigning.save(shop.rt, TEA, actor="ana", expected=None)
    campaigning.save(shop.rt, TEA | {"priority": 5}, actor="ana", expected=1)
    before = stored(shop)

    with pytest.raises(campaigning.Conflict) as refused:
        campaigning.remove(shop.rt, "tea-with-pots", actor="ben", expected=1)

    assert refused.value.changes == ()
    assert stored(shop) == before


def test_a_version_never_names_two_definitions(any_shop: Shop) -> None:
    campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)
    campaigning.save(any_shop.rt, TEA | {"priority": 5}, actor="ana", expected=1)
    campaigning.remove(any_shop.rt, "tea-with-pots", actor="ana", expected=2)

    saved = campaigning.save(any_shop.rt, TEA | {"priority": 7}, actor="ben", expected=None)

    assert saved.version == 4
    with pytest.raises(campaigning.Conflict):
        campaigning.save(any_shop.rt, TEA, actor="ana", expected=2)


def test_a_campaign_nobody_can_read_does_not_take_the_others_away(any_shop: Shop) -> None:
    campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)
    later = TEA | {"ref": "later", "offer": {"kind": "of a later release"}}
    with any_shop.rt.db.write() as connection:
        campaigns.add(connection, any_shop.rt.account, "later", later, version=1, actor="ana", now=any_shop.clock())

    assert [one.campaign.ref for one in campaigning.listed(any_shop.rt)] == ["tea-with-pots"]
    assert any_shop.rt.counts["campaign_unreadable"] == 1


# Files

DOWN = {"ref": "tea-cheaper", "name": "Cheaper", "status": "live", "begins": False, "offer": TEA["offer"]}
FILE = {"format": 1, "campaigns": [TEA | {"status": "live", "on_decline": "tea-cheaper"}, DOWN]}


def test_importing_an_export_into_an_empty_shop_exports_the_same_bytes(
    make_shop: ShopFactory, database_uri: str, tmp_path: Path
) -> None:
    shop, empty = make_shop(database_uri), make_shop(f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    campaigning.import_(shop.rt, FILE, actor="ana")
    text = written(campaigning.export(shop.rt))

    imported = campaigning.import_(empty.rt, parsed(text.encode()), actor="ben")

    assert imported == campaigning.Imported(created=("tea-cheaper", "tea-with-pots"))
    assert written(campaigning.export(empty.rt)) == text
    assert '"format": 1' in text and "tea-cheaper" in text


def test_importing_again_changes_nothing(any_shop: Shop) -> None:
    assert campaigning.import_(any_shop.rt, FILE, actor="ana").created == ("tea-with-pots", "tea-cheaper")
    before = stored(any_shop)

    again = campaigning.import_(any_shop.rt, FILE, actor="ana")

    assert again == campaigning.Imported(unchanged=("tea-with-pots", "tea-cheaper"))
    assert stored(any_shop) == before


def test_a_file_changes_what_it_names_and_leaves_the_rest(any_shop: Shop) -> None:
    campaigning.import_(any_shop.rt, FILE, actor="ana")
    other = {"format": 1, "campaigns": [DOWN | {"priority": 3}, TEA | {"ref": "new"}]}

    imported = campaigning.import_(any_shop.rt, other, actor="ben")

    assert imported == campaigning.Imported(created=("new",), changed=("tea-cheaper",))
    found = {one.campaign.ref: (one.version, one.campaign.priority) for one in campaigning.listed(any_shop.rt)}
    assert found == {"new": (1, 0), "tea-cheaper": (2, 3), "tea-with-pots": (1, 0)}
    newest = auditing.history(any_shop.rt, limit=2)
    assert [(one.actor, one.action, one.subject) for one in newest] == [
        ("ben", "import", "tea-cheaper"),
        ("ben", "import", "new"),
    ]
    assert newest[0].changes == (auditing.Edit(path="priority", before=None, after=3),)


def test_a_dry_run_says_what_it_would_do_and_does_nothing(any_shop: Shop) -> None:
    told = campaigning.import_(any_shop.rt, FILE, actor="ana", dry_run=True)

    assert told == campaigning.Imported(created=("tea-with-pots", "tea-cheaper"))
    assert stored(any_shop) == ([], [], [])


@pytest.mark.parametrize("dry_run", [True, False])
def test_one_wrong_campaign_imports_nothing_and_every_error_is_told(any_shop: Shop, dry_run: bool) -> None:
    campaigning.import_(any_shop.rt, FILE, actor="ana")
    before = stored(any_shop)
    wrong = [
        TEA | {"ref": "new"},
        DOWN | {"status": "draft"},
        TEA | {"priority": 1.5, "offer": {"kind": "fixed", "skus": ["tea"], "discount": {"percent": 101}}},
        TEA | {"ref": "new", "name": "Twice"},
    ]

    with pytest.raises(CampaignRefused) as refused:
        campaigning.import_(any_shop.rt, {"format": 1, "campaigns": wrong}, actor="ben", dry_run=dry_run)

    assert refused.value.errors == {
        "campaigns[1].status": ["cannot become draft: the campaign is live, and it can become ended or paused."],
        "campaigns[2].priority": ["has to be a whole number from -1000 to 1000, got 1.5."],
        "campaigns[2].offer.discount.percent": ["has to be a whole number from 0 to 100, got 101."],
        "campaigns[3].ref": ["is that of campaigns[0] already: each campaign has its own."],
    }
    assert stored(any_shop) == before


# Races


def _save_at_once(shop: Shop, count: int) -> Counter[str]:
    def save(number: int) -> str:
        try:
            campaigning.save(shop.rt, TEA | {"priority": number}, actor=f"m{number}", expected=1)
        except campaigning.Conflict:
            return "conflict"
        return "saved"

    with ThreadPoolExecutor(count) as threads:
        return Counter(threads.map(save, range(1, count + 1)))


def test_of_eight_merchants_at_one_moment_one_saves_and_seven_get_the_difference(any_shop: Shop) -> None:
    campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)

    assert _save_at_once(any_shop, 8) == {"saved": 1, "conflict": 7}

    (saved,) = campaigning.listed(any_shop.rt)
    assert (saved.version, f"m{saved.campaign.priority}") == (2, saved.updated_by)
    assert [one.action for one in auditing.history(any_shop.rt)] == ["edit", "create"]
    assert switching.switches(any_shop.rt).revision == 2


#: Four processes of one server, forked before they have a thread or a connection: each saves over version 1.
_SAVERS = """
import json, os, sys
from flask import Flask
from flask_encore import Encore
from flask_encore.services import campaigning

told = json.load(sys.stdin)

def save(number):
    app = Flask("host", instance_path=told["instance"])
    app.config |= told["config"]
    encore = Encore()
    encore.init_app(app)
    with app.app_context():
        rt = encore.runtime
    os.write(ready, b"r")
    os.read(go, 1)
    try:
        campaigning.save(rt, told["tea"] | {"priority": number}, actor=f"m{number}", expected=1)
        answer = "saved"
    except campaigning.Conflict as conflict:
        answer = str([(change.path, change.mine) for change in conflict.changes] == [("priority", number)])
    os.write(1, f"{answer}\\n".encode())

waiting, ready = os.pipe()
go, start = os.pipe()
children = []
for number in range(1, 5):
    child = os.fork()
    if not child:
        try:
            save(number)
        finally:
            os._exit(0)
    children.append(child)
for _ in children:
    os.read(waiting, 1)
os.write(start, b"gogo")
for child in children:
    os.waitpid(child, 0)
"""


def test_of_four_processes_one_saves_and_three_get_the_difference(
    any_shop: Shop, database_uri: str, tmp_path: Path
) -> None:
    campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)
    config = {key: value for key, value in any_shop.app.config.items() if key.startswith("ENCORE_")}
    config |= {"TESTING": True, "SECRET_KEY": any_shop.app.config["SECRET_KEY"], "ENCORE_DATABASE_URI": database_uri}

    done = subprocess.run(
        [sys.executable, "-c", _SAVERS],
        input=json.dumps({"config": config, "instance": str(tmp_path), "tea": TEA}),
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert Counter(done.stdout.split()) == {"saved": 1, "True": 3}, done.stderr
    (saved,) = campaigning.listed(any_shop.rt)
    assert (saved.version, f"m{saved.campaign.priority}") == (2, saved.updated_by)
    assert [one.action for one in auditing.history(any_shop.rt)] == ["edit", "create"]


def test_control_without_asking_for_the_version_each_save_overwrites_the_one_before(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaigning.save(any_shop.rt, TEA, actor="ana", expected=None)
    monkeypatch.setattr(campaigning, "_agreed", lambda *_: None)

    assert _save_at_once(any_shop, 8) == {"saved": 8}

    assert [one.action for one in auditing.history(any_shop.rt)] == ["edit"] * 8 + ["create"]
