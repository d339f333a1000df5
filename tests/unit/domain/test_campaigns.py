"""A campaign: when it stands, which of two speaks first, and what it refuses to be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flask_encore.domain.campaigns import (
    BUILT_IN,
    Budget,
    Campaign,
    CampaignState,
    CampaignStatus,
    Limits,
    checked_campaign_ref,
    instant,
)
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.kinds import Fixed
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Placement
from flask_encore.domain.rules import ALWAYS, AllOf, Not, from_json

LONDON = ZoneInfo("Europe/London")
NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)

SKU = from_json({"sku": {"any": ["pot"]}})
CATEGORY = from_json({"category": {"any": ["tea"]}})
COUNTRY = from_json({"country": ["GB"]})


def campaign(ref: str = "tea", **fields: Any) -> Campaign:
    usual: dict[str, Any] = {"name": "Tea", "offer": Fixed(skus=("tea",)), "status": CampaignStatus.LIVE}
    return Campaign(ref=ref, **usual | fields)


def wall(clock: str) -> datetime:
    return datetime.fromisoformat(clock)


@pytest.mark.parametrize("status", ["draft", "paused", "ended"])
def test_what_the_merchant_decided_stands_whatever_the_time(status: str) -> None:
    planned = campaign(status=status, starts_at=wall("2026-01-01 00:00"), ends_at=wall("2026-12-31 00:00"))
    assert planned.state(NOON, zone=UTC) == CampaignState(status)


def test_without_times_a_live_campaign_is_live() -> None:
    assert campaign().state(NOON, zone=UTC) is CampaignState.LIVE


@pytest.mark.parametrize(
    ("now", "state"),
    [
        ("2026-06-01T07:59:59+00:00", CampaignState.SCHEDULED),
        ("2026-06-01T08:00:00+00:00", CampaignState.LIVE),
        ("2026-06-02T16:59:59+00:00", CampaignState.LIVE),
        ("2026-06-02T17:00:00+00:00", CampaignState.ENDED),
        ("2026-06-01T17:00:00+09:00", CampaignState.LIVE),
    ],
)
def test_start_and_end_are_by_the_shops_wall_clock_the_end_exclusive(now: str, state: CampaignState) -> None:
    summer = campaign(starts_at=wall("2026-06-01 09:00"), ends_at=wall("2026-06-02 18:00"))
    assert summer.state(datetime.fromisoformat(now), zone=LONDON) is state


def test_the_same_wall_clock_is_another_moment_in_another_zone() -> None:
    nine = wall("2026-06-01 09:00")
    assert instant(nine, zone=LONDON) == datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
    assert instant(nine, zone=ZoneInfo("America/New_York")) == datetime(2026, 6, 1, 13, 0, tzinfo=UTC)
    assert instant(nine, zone=ZoneInfo("Asia/Kathmandu")) == datetime(2026, 6, 1, 3, 15, tzinfo=UTC)
    assert instant(nine, zone=timezone(timedelta(hours=-9, minutes=-30))) == datetime(2026, 6, 1, 18, 30, tzinfo=UTC)
    assert instant(wall("2026-12-01 09:00"), zone=LONDON) == datetime(2026, 12, 1, 9, 0, tzinfo=UTC)


def test_a_start_that_the_clock_skips_is_as_much_later_as_it_skips() -> None:
    # London: 29 March 2026, 01:00 becomes 02:00. There is no 01:30; 02:30 summer time is 01:30 UTC.
    planned = campaign(starts_at=wall("2026-03-29 01:30"))
    begun = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert planned.state(begun - timedelta(seconds=1), zone=LONDON) is CampaignState.SCHEDULED
    assert planned.state(begun, zone=LONDON) is CampaignState.LIVE


@pytest.mark.parametrize("fold", [0, 1])
def test_a_time_that_the_clock_shows_twice_is_the_first(fold: int) -> None:
    # London: 25 October 2026, 02:00 becomes 01:00. The first 01:30 is summer time, 00:30 UTC.
    planned = campaign(ends_at=wall("2026-10-25 01:30").replace(fold=fold))
    over = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert planned.state(over - timedelta(seconds=1), zone=LONDON) is CampaignState.LIVE
    assert planned.state(over, zone=LONDON) is CampaignState.ENDED


def test_priority_speaks_before_a_narrower_rule() -> None:
    loud, narrow = campaign("loud", priority=1), campaign("narrow", rule=AllOf((SKU, CATEGORY)))
    assert sorted([narrow, loud], key=lambda one: one.precedence) == [loud, narrow]


def test_among_equals_the_narrower_rule_speaks_products_before_groups_before_the_rest() -> None:
    named = {
        "a-always": ALWAYS,
        "b-country": COUNTRY,
        "c-category": CATEGORY,
        "d-category-country": AllOf((CATEGORY, COUNTRY)),
        "e-sku": SKU,
        "f-sku-country": AllOf((SKU, COUNTRY)),
    }
    campaigns = [campaign(ref, rule=rule) for ref, rule in named.items()]
    assert [one.ref for one in sorted(campaigns, key=lambda one: one.precedence)] == sorted(named, reverse=True)


def test_campaigns_that_differ_in_nothing_else_are_a_tie_and_sorted_by_ref() -> None:
    one, other = campaign("a", rule=SKU), campaign("b", rule=from_json({"sku": {"any": ["mug"]}}))
    assert one.rank == other.rank
    assert one.precedence < other.precedence
    assert campaign("a", rule=Not(SKU)).rank != one.rank


def test_what_follows_is_named_once() -> None:
    assert campaign(on_accept="mug", on_decline="mug").follows == ("mug",)
    assert campaign(on_accept="mug", on_decline="cup").follows == ("mug", "cup")
    assert campaign(on_decline="cup").follows == ("cup",)
    assert campaign().follows == ()


def test_words_are_read_as_members() -> None:
    read = campaign(status="paused", placement="dialog")
    assert (read.status, read.placement) == (CampaignStatus.PAUSED, Placement.DIALOG)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ref": "Tea"}, "ref has to be 1 to 64 small letters, digits and hyphens"),
        ({"ref": "-tea"}, "ref has to be 1 to 64 small letters, digits and hyphens"),
        ({"ref": "t" * 65}, "ref has to be 1 to 64 small letters, digits and hyphens"),
        ({"ref": "tea\n"}, "ref has to be 1 to 64 small letters, digits and hyphens"),
        ({"ref": BUILT_IN}, "ref cannot be 'built-in'"),
        ({"name": " "}, "name has to be a text of 1 to 120 characters"),
        ({"name": "n" * 121}, "name has to be a text of 1 to 120 characters"),
        ({"status": "running"}, "status has to be one of draft, live, paused, ended, got 'running'"),
        ({"placement": "popup"}, "placement has to be one of thank_you, order_status, dialog, got 'popup'"),
        ({"priority": 1001}, "priority has to be a whole number from -1000 to 1000"),
        ({"priority": True}, "priority has to be a whole number from -1000 to 1000"),
        ({"begins": 1}, "begins has to be true or false, got 1"),
        ({"on_accept": "Tea!"}, "on_accept has to be 1 to 64 small letters"),
        ({"on_decline": BUILT_IN}, "on_decline cannot be 'built-in'"),
        ({"on_decline": "tea"}, "'tea' cannot follow itself"),
        ({"starts_at": NOON}, "starts_at has to be a time by the shop's wall clock, without a time zone"),
        ({"ends_at": "2026-06-01"}, "ends_at has to be a time by the shop's wall clock, without a time zone"),
        (
            {"starts_at": wall("2026-06-01 09:00"), "ends_at": wall("2026-06-01 09:00")},
            "ends_at 2026-06-01 09:00 is not after starts_at",
        ),
        ({"timer_minutes": 1}, "timer_minutes has to be a whole number from 2 to 60"),
        ({"timer_minutes": 61}, "timer_minutes has to be a whole number from 2 to 60"),
        ({"wording": {"e": None}}, "copy is by language tag"),
    ],
)
def test_a_campaign_that_makes_no_sense_is_refused_with_its_field(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        campaign(**fields)


def test_a_ref_is_handed_back_as_it_is() -> None:
    assert checked_campaign_ref("ref", "tea-2-go") == "tea-2-go"


@pytest.mark.parametrize(
    ("limits", "asks"),
    [
        (Limits(), False),
        (Limits(group_days=7), False),
        (Limits(offers=2, days=30), True),
        (Limits(once_per_customer=True), True),
        (Limits(group="tea"), True),
    ],
)
def test_history_is_only_looked_up_for_a_limit_that_needs_it(limits: Limits, asks: bool) -> None:
    assert limits.ask_history is asks


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"offers": 2}, "limits need offers and days together"),
        ({"days": 30}, "limits need offers and days together"),
        ({"offers": 0, "days": 30}, "offers has to be a whole number from 1 to 1000"),
        ({"offers": 2, "days": 3651}, "days has to be a whole number from 1 to 3650"),
        ({"offers": True, "days": 30}, "offers has to be a whole number from 1 to 1000"),
        ({"once_per_customer": "yes"}, "once_per_customer has to be true or false, got 'yes'"),
        ({"group": "Tea"}, "group has to be small letters, digits and hyphens"),
        ({"group": "tea", "group_days": 0}, "group_days has to be a whole number from 1 to 3650"),
    ],
)
def test_limits_that_make_no_sense_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Limits(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "a budget is units or an amount, one of them"),
        ({"units": 1, "amount": Money(1, "gbp")}, "a budget is units or an amount, one of them"),
        ({"units": 0}, "units has to be a whole number of at least 1"),
        ({"units": 1_000_000_001}, "units has to be a whole number of at least 1"),
        ({"units": 1.0}, "units has to be a whole number of at least 1"),
        ({"amount": Money(0, "gbp")}, "amount of a budget has to be above 0"),
        ({"amount": 500}, "amount of a budget has to be above 0"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Budget(**fields)


def test_a_budget_is_units_or_money() -> None:
    assert Budget(units=1).amount is None
    assert Budget(amount=Money(50000, "gbp")).units is None
