"""Until when an offer can be accepted: its timer, more of it once, and the switch that ends all of them at once."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from campaigns import launch, only
from conftest import Shop
from money import Crash, crash_before, heal, state_of, take, together, told, undo_offer

from flask_encore.services import accepting, switching


def timed(shop: Shop, *, minutes: int | None = 10) -> str:
    """The id of an offer that ends in so many minutes."""
    launch(shop, "tea", timer_minutes=minutes)
    shop.pay()
    return str(only(shop).decision["id"])


def sold(shop: Shop) -> list[int]:
    """Minor units Stripe moved for offers."""
    return [charge["amount"] for charge in shop.stripe.charges()][1:]


def test_an_offer_is_accepted_until_its_timers_very_last_microsecond(any_shop: Shop) -> None:
    offer_id = timed(any_shop)
    any_shop.clock.advance(minutes=10, microseconds=-1)

    assert take(any_shop, offer_id) == "charged"


def test_from_the_timers_end_the_server_refuses_and_nothing_is_charged(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = timed(shop)
    shop.clock.advance(minutes=10)

    assert take(shop, offer_id) == "expired"
    assert take(shop, offer_id, 0, "text") == "expired"

    assert (shop.rows("charges"), sold(shop)) == ([], [])


def test_a_timer_is_doubled_once_and_the_server_keeps_to_that(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = timed(shop)
    shop.clock.advance(minutes=9)

    assert [accepting.extend(shop.rt, offer_id) for _ in range(3)] == [True, False, False]

    row = shop.rows("decisions")[0]
    assert row["expires_at"] - row["decided_at"] == 20 * 60 * 1_000_000
    assert row["extended_at"] - row["decided_at"] == 9 * 60 * 1_000_000
    shop.clock.advance(minutes=11, microseconds=-1)
    assert state_of(shop, offer_id) == "open"
    shop.clock.advance(microseconds=1)
    assert take(shop, offer_id) == "expired"
    assert accepting.extend(shop.rt, offer_id) is False


def test_eight_wishes_for_more_time_at_one_moment_are_one(any_shop: Shop) -> None:
    offer_id = timed(any_shop)

    assert sorted(together(8, lambda _: accepting.extend(any_shop.rt, offer_id))) == [False] * 7 + [True]

    row = any_shop.rows("decisions")[0]
    assert row["expires_at"] - row["decided_at"] == 20 * 60 * 1_000_000


@pytest.mark.parametrize("why", ["no timer", "over", "declined", "accepted", "of another account", "unknown"])
def test_what_cannot_be_extended_stays_as_it_is(any_shop: Shop, why: str) -> None:
    shop = any_shop
    offer_id = timed(shop, minutes=None if why == "no timer" else 10)
    match why:
        case "over":
            shop.clock.advance(minutes=10)
        case "declined":
            accepting.decline(shop.rt, offer_id)
        case "accepted":
            take(shop, offer_id)
        case "of another account":
            with shop.rt.db.write() as connection:
                connection.execute(sa.text("UPDATE encore_decisions SET account = 'acct_other'"))
    before = shop.rows("decisions")

    assert accepting.extend(shop.rt, "0" * 32 if why == "unknown" else offer_id) is False

    assert shop.rows("decisions") == before


def test_an_offer_of_an_earlier_release_has_no_timer_to_extend(any_shop: Shop) -> None:
    offer_id = timed(any_shop)
    with any_shop.rt.db.write() as connection:
        connection.execute(sa.text("""UPDATE encore_decisions SET snapshot = '{"title": "Mug"}'"""))

    assert accepting.extend(any_shop.rt, offer_id) is False


def test_with_the_kill_switch_on_an_offer_on_screen_is_over_and_nothing_is_charged(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = timed(shop)
    switching.turn(shop.rt, actor="anna", off=True)

    assert state_of(shop, offer_id) == "expired"
    assert take(shop, offer_id) == "expired"
    assert (shop.rows("charges"), sold(shop)) == ([], [])

    switching.turn(shop.rt, actor="anna", off=False)
    assert state_of(shop, offer_id) == "open"
    assert take(shop, offer_id) == "charged"
    assert sold(shop) == [850]


def test_shadow_mode_takes_no_offer_from_the_screen(any_shop: Shop) -> None:
    offer_id = timed(any_shop)
    switching.turn(any_shop.rt, actor="anna", shadow=True)

    assert take(any_shop, offer_id) == "charged"


def test_a_charge_claimed_before_the_switch_goes_on_to_its_end_and_can_be_undone(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    offer_id = timed(shop)
    crash_before(monkeypatch, shop.rt.gateway, "confirm_intent")
    with pytest.raises(Crash):
        take(shop, offer_id)
    switching.turn(shop.rt, actor="anna", off=True)
    assert state_of(shop, offer_id) == "charging"

    shop.clock.advance(minutes=2)
    shop.sweep()

    assert state_of(shop, offer_id) == "charged"
    assert undo_offer(shop, offer_id) == "undone"
    heal(shop)
    assert told(shop) == ["charge_succeeded", "charge_refunded"]
