"""Campaigns in the store: guarded by a version, written down, seen by every process."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Shop

from flask_encore.domain.campaigns import CampaignStatus
from flask_encore.services import auditing, campaigning, switching
from flask_encore.services.campaign_schema import CampaignRefused, definition_of

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
