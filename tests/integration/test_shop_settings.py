"""What the merchant sets in place of the configuration: in force from the next page on, and never backwards."""

from __future__ import annotations

import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from money import charge_row, charged, offered, statements

from flask_encore.domain.assignment import Arm, assign
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.offers import Placement
from flask_encore.services import auditing, offering, shop_settings, switching
from flask_encore.services.shop_settings import Overrides, SettingsChanged, ShopSettings
from flask_encore.store import audit, models
from flask_encore.store import decisions as table

CONFIGURED = ShopSettings(holdout_bp=0, undo_seconds=1800, retention_days=0)


def override(shop: Shop, *, expected: Overrides | None = None, actor: str = "ana", **values: Any) -> ShopSettings:
    return shop_settings.change(shop.rt, actor=actor, wanted=Overrides(**values), expected=expected)


def decisions(shop: Shop) -> dict[tuple[str, int], tuple[str, int]]:
    return {(row["order_ref"], row["step"]): (row["arm"], row["holdout_bp"]) for row in shop.rows("decisions")}


def between(low: float, high: float) -> str:
    """A customer who is held out at *high* percent and not at *low*."""

    def arm(number: int, percent: float) -> Arm:
        return assign(f"c-{number}", salt=offering.HOLDOUT_SALT, holdout_percent=percent)

    return next(f"c-{n}" for n in itertools.count() if (arm(n, low), arm(n, high)) == (Arm.TREATMENT, Arm.HOLDOUT))


def decided_on_the_order_page(shop: Shop) -> dict[str, Any]:
    """The decision about order 1042 as the order page would make it now."""
    page = Placement.ORDER_STATUS
    with shop.rt.db.read() as connection:
        read = table.page(connection, "1042", account="", placement=page)
    assert read is not None
    return offering.decision_row(shop.rt, read, shop.rt.book.latest, page, step=0, due=None)[0]


# Which counts


def test_while_nothing_is_set_the_configuration_counts(any_shop: Shop) -> None:
    assert shop_settings.current(any_shop.rt) == CONFIGURED
    assert shop_settings.overrides(any_shop.rt) == Overrides()
    assert any_shop.rows("switches") == []


def test_what_is_set_counts_and_the_rest_is_as_configured(any_shop: Shop) -> None:
    assert override(any_shop, undo_seconds=600) == ShopSettings(holdout_bp=0, undo_seconds=600, retention_days=0)
    assert shop_settings.current(any_shop.rt).undo_seconds == 600


def test_zero_is_set_and_none_is_not(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=10, ENCORE_RETENTION_DAYS=90)
    override(shop, holdout_bp=0, undo_seconds=0, retention_days=0)
    assert shop_settings.current(shop.rt) == ShopSettings(holdout_bp=0, undo_seconds=0, retention_days=0)

    override(shop)
    assert shop_settings.current(shop.rt) == ShopSettings(holdout_bp=1000, undo_seconds=1800, retention_days=90)


@pytest.mark.parametrize(("percent", "basis_points"), [(10, 1000), (12.5, 1250), (0.01, 1), (33.335, 3334), (50, 5000)])
def test_a_configured_percentage_is_held_out_in_whole_basis_points(
    make_shop: ShopFactory, percent: float, basis_points: int
) -> None:
    assert shop_settings.current(make_shop(ENCORE_HOLDOUT_PERCENT=percent).rt).holdout_bp == basis_points


# Changing them


def test_a_change_is_written_down_with_what_was_before(any_shop: Shop) -> None:
    override(any_shop, holdout_bp=500)
    override(any_shop, holdout_bp=500, undo_seconds=600, actor="ben")

    newest, first = auditing.history(any_shop.rt, subject=shop_settings.SUBJECT)
    assert (first.actor, first.action, first.at) == ("ana", "settings", any_shop.clock())
    assert [(edit.path, edit.before, edit.after) for edit in first.changes] == [("holdout_bp", None, 500)]
    assert [(edit.path, edit.before, edit.after) for edit in newest.changes] == [("undo_seconds", None, 600)]


def test_setting_what_is_set_changes_nothing(any_shop: Shop) -> None:
    override(any_shop, holdout_bp=500)
    override(any_shop, holdout_bp=500, actor="ben", expected=Overrides(holdout_bp=7))
    assert len(any_shop.rows("audit")) == 1


def test_who_did_not_see_the_others_change_does_not_undo_it(any_shop: Shop) -> None:
    override(any_shop, undo_seconds=600, expected=Overrides())

    with pytest.raises(SettingsChanged, match="Somebody else changed the settings meanwhile"):
        override(any_shop, holdout_bp=500, actor="ben", expected=Overrides())

    assert shop_settings.overrides(any_shop.rt) == Overrides(undo_seconds=600)
    assert len(any_shop.rows("audit")) == 1


def test_of_four_who_save_at_one_moment_one_does(any_shop: Shop) -> None:
    def save(number: int) -> str:
        try:
            override(any_shop, holdout_bp=number, expected=Overrides())
        except SettingsChanged:
            return "refused"
        return "saved"

    with ThreadPoolExecutor(4) as threads:
        assert Counter(threads.map(save, range(1, 5))) == {"saved": 1, "refused": 3}
    assert len(any_shop.rows("audit")) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"holdout_bp": -1},
        {"holdout_bp": 5001},
        {"holdout_bp": 10.0},
        {"holdout_bp": True},
        {"undo_seconds": -1},
        {"undo_seconds": 1_209_601},
        {"undo_seconds": 10**400},
        {"retention_days": 29},
        {"retention_days": -30},
        {"retention_days": 36_501},
        {"retention_days": "90"},
    ],
)
def test_what_cannot_be_in_force_is_refused(shop: Shop, wrong: dict[str, Any]) -> None:
    [name] = wrong
    with pytest.raises(InvalidInput, match=f"^{name} has to be a whole number from "):
        override(shop, **wrong)
    assert (shop.rows("switches"), shop.rows("audit")) == ([], [])


def test_a_change_that_cannot_be_written_down_is_not_made(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(audit, "add", full)
    with pytest.raises(OSError, match="the disk is full"):
        override(any_shop, holdout_bp=500)
    assert shop_settings.current(any_shop.rt) == CONFIGURED


def test_turning_a_switch_leaves_the_settings_and_the_other_way_round(any_shop: Shop) -> None:
    override(any_shop, holdout_bp=500)
    switching.turn(any_shop.rt, actor="ana", shadow=True)
    override(any_shop, holdout_bp=600)

    assert shop_settings.current(any_shop.rt).holdout_bp == 600
    assert switching.switches(any_shop.rt).shadow is True


# The holdout


def test_a_decision_says_the_share_that_was_held_out_when_it_was_dealt(any_shop: Shop) -> None:
    any_shop.pay("1", customer_ref=None)
    any_shop.page("1")
    override(any_shop, holdout_bp=1)
    any_shop.pay("2", customer_ref=None)
    any_shop.page("2")

    assert decisions(any_shop) == {("1", 0): ("treatment", 0), ("2", 0): ("treatment", 1)}


@pytest.mark.parametrize("outcome", ["switched off", "not eligible"])
def test_a_decision_that_offers_nothing_says_the_share_too(shop: Shop, outcome: str) -> None:
    override(shop, holdout_bp=1)
    if outcome == "switched off":
        switching.turn(shop.rt, actor="ana", off=True)
        shop.pay(customer_ref=None)
    else:
        intent = shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None)
        shop.pay(customer_ref=None, intent=intent)
    shop.page()
    assert decisions(shop) == {("1042", 0): ("treatment", 1)}


@pytest.mark.parametrize(("share", "arm"), [(3333, "treatment"), (3334, "holdout")])
@pytest.mark.parametrize("where", ["page", "configuration"])
def test_a_shopper_is_dealt_by_exactly_the_share_that_is_written_down(
    make_shop: ShopFactory, where: str, share: int, arm: str
) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=share / 100 if where == "configuration" else 0)
    if where == "page":
        override(shop, holdout_bp=share)
    shop.pay(customer_ref=between(33.33, 33.34))
    shop.page()
    assert decisions(shop) == {("1042", 0): (arm, share)}


def test_an_order_stays_on_its_side_when_the_share_changes(any_shop: Shop) -> None:
    any_shop.pay(customer_ref=between(0, 50))
    any_shop.page()
    override(any_shop, holdout_bp=5000)

    row = decided_on_the_order_page(any_shop)

    assert (row["arm"], row["holdout_bp"]) == ("treatment", 0)


def test_an_order_whose_first_decision_does_not_say_its_share_is_dealt_anew(any_shop: Shop) -> None:
    any_shop.pay(customer_ref=between(0, 50))
    any_shop.page()
    with any_shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_decisions SET holdout_bp = NULL"))
    override(any_shop, holdout_bp=5000)

    row = decided_on_the_order_page(any_shop)

    assert (row["arm"], row["holdout_bp"]) == ("holdout", 5000)


def test_the_page_asks_no_more_for_it(any_shop: Shop) -> None:
    override(any_shop, holdout_bp=0, undo_seconds=60)
    any_shop.pay()
    with statements(any_shop) as log:
        assert "Enamel mug" in any_shop.page().text
    assert log == ["SELECT encore_orders", "INSERT encore_decisions", "COMMIT"]


# The undo window


def test_what_an_offer_promised_is_what_success_grants(any_shop: Shop) -> None:
    shop = any_shop
    override(shop, undo_seconds=600)
    token = offered(shop)
    override(shop, undo_seconds=7200)

    assert shop.post(token, "accept").json["undo_until"] == "2026-03-02T14:13:00+00:00"
    assert charge_row(shop)["undo_until"] == charge_row(shop)["next_run_at"]


def test_an_undo_window_set_to_nothing_leaves_the_offers_on_screen_their_own(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop)
    override(shop, undo_seconds=0)
    assert shop.accept(token) == "charged"
    shop.clock.advance(minutes=29)
    assert shop.post(token, "undo").json["state"] == "undone"


def test_an_offer_made_while_there_is_no_undo_cannot_be_undone_later(any_shop: Shop) -> None:
    shop = any_shop
    override(shop, undo_seconds=0)
    token = charged(shop)
    override(shop, undo_seconds=1800)
    assert shop.post(token, "undo").json["state"] == "charged"


def test_an_offer_of_an_earlier_release_is_undone_as_configured(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop)
    with shop.rt.db.write() as connection:
        [snapshot] = connection.execute(sa.select(models.decisions.c.snapshot)).scalars()
        del snapshot["undo_seconds"]
        connection.execute(sa.update(models.decisions).values(snapshot=snapshot))
    override(shop, undo_seconds=60)
    assert shop.post(token, "accept").json["undo_until"] == "2026-03-02T14:33:00+00:00"


def test_the_longest_undo_window_still_finds_its_token(shop: Shop) -> None:
    override(shop, undo_seconds=1_209_600)
    token = charged(shop)
    shop.clock.advance(days=14, seconds=-1)
    assert shop.post(token, "undo").json["state"] == "undone"


def test_the_order_page_makes_offers_as_long_as_fulfilment_can_be_held(shop: Shop) -> None:
    override(shop, undo_seconds=60)
    shop.pay()
    shop.clock.advance(seconds=61)
    assert decided_on_the_order_page(shop)["reason"] == "hold_over"

    override(shop, undo_seconds=61)
    assert decided_on_the_order_page(shop)["reason"] == "no_campaign"
