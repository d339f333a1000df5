"""A campaign's budget is never overspent, however many shoppers click at one moment; what is undone comes back."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa
from campaigns import launch, only
from conftest import Shop, ShopFactory
from money import charge_row, heal, state_of, statements, take, together, undo_offer

from flask_encore import Money, Product
from flask_encore.services import campaigning
from flask_encore.store import budgets

on_postgresql = pytest.mark.parametrize(
    "database_uri", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)

#: Every order gets its offer before anybody accepts, so that only the claim keeps the budget.
EIGHT = [str(number) for number in range(8)]


def offers(shop: Shop, budget: dict[str, Any], order_refs: list[str] = EIGHT, **campaign: Any) -> list[str]:
    """Ids of offers of a campaign with a budget, one for each order; the tea costs 8.50."""
    launch(shop, "tea", budget=budget, **campaign)
    for order_ref in order_refs:
        shop.pay(order_ref)
    return [only(shop, order_ref).decision["id"] for order_ref in order_refs]


def sold(shop: Shop, *refs: str) -> dict[str, tuple[int, dict[str, int]]]:
    """What the store says campaigns have sold."""
    with shop.rt.db.read() as connection:
        return budgets.sold(connection, account="", campaign_refs=refs or ("tea",))


def paid(shop: Shop) -> list[int]:
    """Minor units Stripe moved for offers."""
    return [charge["amount"] for charge in shop.stripe.charges() if charge["amount"] != 3400]


def test_eight_accepts_at_once_on_a_budget_of_three_sell_three(make_shop: ShopFactory, database_uri: str) -> None:
    shop = make_shop(database_uri, ENCORE_MAX_CONCURRENT_ACCEPTS=8)
    ids = offers(shop, {"units": 3})

    answers = together(8, lambda number: take(shop, ids[number]))

    assert Counter(answers) == {"charged": 3, "sold_out": 5}
    assert paid(shop) == [850] * 3
    assert len(shop.rows("charges")) == 3
    assert sum(row["sold_out_at"] is not None for row in shop.rows("decisions")) == 5
    assert sold(shop) == {"tea": (3, {"gbp": 2550})}
    heal(shop)
    assert Counter(event.kind.value for event in shop.delivered) == {"charge_succeeded": 3, "hold_released": 3}


@on_postgresql
def test_control_without_the_lock_a_budget_of_three_sells_more(
    make_shop: ShopFactory, database_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(database_uri, ENCORE_MAX_CONCURRENT_ACCEPTS=8)
    ids = offers(shop, {"units": 3})

    def lock(connection: Any, *, account: str, campaign_ref: str) -> Any:
        return connection.execute(sa.text("SELECT definition FROM encore_campaigns")).scalar()

    monkeypatch.setattr(budgets, "lock", lock)
    real, every = budgets.sold, threading.Barrier(8)

    def summed_up(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        every.wait(timeout=30)  # nobody commits before everybody has looked
        return found

    monkeypatch.setattr(budgets, "sold", summed_up)

    assert together(8, lambda number: take(shop, ids[number])) == ["charged"] * 8


def test_a_budget_of_money_is_spent_to_the_last_offer_that_fits(any_shop: Shop) -> None:
    shop = any_shop
    ids = offers(shop, {"amount": "17.00", "currency": "gbp"}, ["1", "2", "3"])

    assert [take(shop, each) for each in ids] == ["charged", "charged", "sold_out"]

    assert paid(shop) == [850, 850]
    assert state_of(shop, ids[2]) == "sold_out"


def test_what_is_undone_or_canceled_returns_to_the_budget(any_shop: Shop) -> None:
    shop = any_shop
    ids = offers(shop, {"units": 1}, ["1", "2", "3"])
    assert take(shop, ids[0]) == "charged"
    assert undo_offer(shop, ids[0]) == "undone"
    assert sold(shop) == {"tea": (0, {})}

    assert take(shop, ids[1]) == "charged"
    assert take(shop, ids[2]) == "sold_out"

    assert paid(shop) == [850, 850]


def test_a_charge_that_may_still_succeed_keeps_its_place_in_the_budget(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea", budget={"units": 1})
    shop.pay("1", card="4000000000000341")
    shop.pay("2")
    first, second = (only(shop, each).decision["id"] for each in ("1", "2"))

    assert take(shop, first) == "failed"
    assert take(shop, second) == "sold_out"

    assert sold(shop) == {"tea": (1, {"gbp": 850})}


def test_the_units_of_a_quantity_count_and_a_gift_spends_units(any_shop: Shop) -> None:
    shop = any_shop
    more = {"kind": "more", "minimum": 2, "maximum": 2, "discount": {"percent": 100}}
    ids = offers(shop, {"units": 3}, ["1", "2"], offer=more)

    assert [take(shop, each) for each in ids] == ["charged", "sold_out"]

    assert sold(shop) == {"tea": (2, {"gbp": 0})}
    assert shop.stock("pot") == 3


@pytest.mark.parametrize(
    ("budget", "quantities"),
    [
        ({"units": 6}, [2, 4, 6]),
        ({"units": 5}, [2, 4]),
        ({"units": 3}, [2]),
        ({"units": 1}, None),
        ({"amount": "52.00", "currency": "gbp"}, [2, 4]),  # 12.90 each
        ({"amount": "51.59", "currency": "gbp"}, [2]),
        ({"amount": "25.79", "currency": "gbp"}, None),
    ],
)
def test_more_than_the_budget_has_left_is_not_offered(
    shop: Shop, budget: dict[str, Any], quantities: list[int] | None
) -> None:
    more = {"kind": "more", "minimum": 2, "maximum": 6, "step": 2}
    launch(shop, "tea", budget=budget, offer=more)
    shop.pay(skus=("mug",), total=Money(20_000, "gbp"))
    offered = only(shop).decision

    if quantities is None:  # the next campaign speaks
        assert (offered["campaign_ref"], offered["sku"]) == ("built-in", "tea")
        return
    shown = [one["quantity"] for one in offered["snapshot"]["choices"]] or [offered["quantity"]]
    assert (offered["campaign_ref"], shown) == ("tea", quantities)
    assert offered["snapshot"]["choose"] == ("quantity" if len(quantities) > 1 else "")
    assert take(shop, offered["id"], len(quantities) - 1) == "charged"


def test_a_variant_dearer_than_what_the_budget_has_left_is_not_offered(shop: Shop) -> None:
    with shop.app.app_context():
        shop.encore.catalog.upsert(
            [
                Product(
                    sku=sku, title=sku, price=Money(price, "gbp"), parent="shirt", stock=stock, options={"Size": sku}
                )
                for sku, price, stock in (("s", 1000, 3), ("m", 3000, 3), ("l", 1100, 0), ("x", 1200, 3))
            ]
        )
    offer = {"kind": "fixed", "skus": ["shirt"]}
    launch(shop, "tea", budget={"amount": "20.00", "currency": "gbp"}, offer=offer)
    shop.pay()
    snapshot = only(shop).decision["snapshot"]

    shown = {one["options"]["Size"]: one.get("sold_out", False) for one in snapshot["choices"]}
    assert shown == {"s": False, "l": True, "x": False}


def test_a_budget_changed_after_the_offer_was_shown_is_the_one_that_counts(any_shop: Shop) -> None:
    shop = any_shop
    ids = offers(shop, {"units": 1}, ["1", "2", "3"])
    take(shop, ids[0])

    launch(shop, "tea", budget={"units": 2})
    assert take(shop, ids[1]) == "charged"
    launch(shop, "tea", budget={"amount": "500.00", "currency": "eur"})
    assert take(shop, ids[2]) == "sold_out"

    assert paid(shop) == [850, 850]


def test_a_budget_lifted_after_the_offer_was_shown_binds_nobody(any_shop: Shop) -> None:
    shop = any_shop
    ids = offers(shop, {"units": 1}, ["1", "2"])
    known = campaigning.find(shop.rt, "tea")
    assert known is not None
    launch(shop, "tea")

    assert [take(shop, each) for each in ids] == ["charged", "charged"]


def test_an_offer_whose_campaign_is_gone_sells_nothing_of_its_budget(any_shop: Shop) -> None:
    shop = any_shop
    (offer_id,) = offers(shop, {"units": 5}, ["1"])
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("DELETE FROM encore_campaigns"))

    assert take(shop, offer_id) == "sold_out"

    assert (shop.rows("charges"), paid(shop)) == ([], [])


def test_keeping_a_budget_costs_two_statements_and_no_further_commit(any_shop: Shop) -> None:
    shop = any_shop
    (offer_id,) = offers(shop, {"units": 5}, ["1"])
    with statements(shop) as log:
        assert take(shop, offer_id) == "charged"

    assert log[:5] == [
        "INSERT encore_charges",
        "UPDATE encore_campaigns",
        "SELECT encore_charges",
        "UPDATE encore_products",
        "COMMIT",
    ]
    assert log.count("COMMIT") == 3  # the claim, Stripe's progress, the outcome


def test_what_campaigns_sold_is_told_by_campaign_and_currency(any_shop: Shop) -> None:
    shop = any_shop
    ids = offers(shop, {"units": 5}, ["1", "2"])
    for each in ids:
        take(shop, each)
    launch(shop, "mugs", offer={"kind": "fixed", "skus": ["mug"]}, priority=1)
    shop.pay("3")
    take(shop, only(shop, "3").decision["id"])

    with statements(shop) as log:
        assert sold(shop, "tea", "mugs", "never") == {
            "tea": (2, {"gbp": 1700}),
            "mugs": (1, {"gbp": 1290}),
            "never": (0, {}),
        }
    assert log == ["SELECT encore_charges"]
    with shop.rt.db.read() as connection:
        assert budgets.sold(connection, account="acct_other", campaign_refs=["tea"]) == {"tea": (0, {})}
        assert budgets.sold(connection, account="", campaign_refs=[]) == {}
    assert Money(charge_row(shop, "3")["amount_minor"], "gbp") == Money(1290, "gbp")
