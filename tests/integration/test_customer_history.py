"""What a known customer bought before reaches the ranker: which orders, in which order, and at what cost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest
from conftest import START, Shop, ShopFactory
from money import charged, offered, statements

from flask_encore import ConfigurationError, Money, OrderLine
from flask_encore.domain.offers import Candidate
from flask_encore.store import history


class Listening:
    """A ranker that proposes a mug and remembers the history it was told."""

    version = "listening"

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    def rank(
        self, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()
    ) -> Sequence[Candidate]:
        """One mug."""
        self.told.append(list(history))
        return [Candidate(sku="mug", score=1.0, kind="popularity")]


@pytest.fixture
def ranker() -> Listening:
    return Listening()


@pytest.fixture
def listening(make_shop: ShopFactory, database_uri: str, ranker: Listening) -> Shop:
    """A shop whose ranker listens, on SQLite, and again on PostgreSQL."""
    return make_shop(database_uri, ranker=ranker)


def past(shop: Shop, *orders: tuple[str, float | None, str | None, str]) -> None:
    """Put (order_ref, Unix time, customer_ref, skus with blanks between) into the history, as an import does."""
    rows = [(ref, sku, at, customer, 1, 900, "gbp") for ref, at, customer, skus in orders for sku in skus.split()]
    with shop.rt.db.write() as connection:
        history.add(connection, rows)


def lines(*skus: str) -> list[OrderLine]:
    return [OrderLine(sku=sku, title=sku.title(), quantity=1, unit_price=Money(900, "gbp")) for sku in skus]


def test_earlier_orders_are_told_oldest_first_and_each_product_once_per_order(
    listening: Shop, ranker: Listening
) -> None:
    past(listening, ("b", 2e9, "c-17", "tea cup"), ("a", 1e9, "c-17", "tea"), ("0", None, "c-17", "pot"))
    past(listening, ("x", 1e9, "c-18", "pen"), ("y", 1e9, None, "ink"))

    listening.pay(customer_ref="c-17")

    assert ranker.told == [["pot", "tea", "cup", "tea"]]


def test_an_order_taken_a_moment_ago_counts_at_once(listening: Shop, ranker: Listening) -> None:
    listening.pay("1", lines=lines("tea", "cup"))
    listening.pay("2", lines=lines("pot"))

    assert ranker.told == [[], ["cup", "tea"]]


def test_what_an_offer_sold_is_history_and_what_was_undone_is_not(listening: Shop, ranker: Listening) -> None:
    charged(listening, "1", lines=lines("tea"))
    undone = charged(listening, "2", lines=lines("tea"))
    listening.post(undone, "undo")
    declined = offered(listening, "3", lines=lines("tea"))
    listening.post(declined, "decline")
    listening.pay("4", lines=lines("tea"))

    assert ranker.told[-1] == ["mug", "tea", "tea", "tea"]


def test_an_order_is_not_its_own_history(listening: Shop, ranker: Listening) -> None:
    past(listening, ("1042", START.timestamp(), "c-17", "pot"))

    listening.pay("1042", lines=lines("pot"))

    assert ranker.told == [[]]


def test_the_fifty_newest_orders_are_told(listening: Shop, ranker: Listening) -> None:
    past(listening, *((f"{day}", 1e9 + day, "c-17", f"day-{day}") for day in range(51)))

    listening.pay()

    assert ranker.told == [[f"day-{day}" for day in range(1, 51)]]


def test_two_thousand_lines_are_told_at_most_the_newest(listening: Shop, ranker: Listening) -> None:
    past(listening, ("old", 1e9, "c-17", "pot"), ("new", 2e9, "c-17", " ".join(f"s{n:04}" for n in range(2000))))

    listening.pay()

    assert ranker.told == [[f"s{n:04}" for n in range(2000)]]


@pytest.mark.parametrize(("customer_ref", "more"), [(None, []), ("c-17", ["WITH newest"])], ids=["guest", "customer"])
def test_taking_an_order_costs_two_statements_more_for_a_known_customer(
    listening: Shop, ranker: Listening, customer_ref: str | None, more: list[str]
) -> None:
    past(listening, ("a", 1e9, "c-17", "tea"))
    with statements(listening) as log:
        order = listening.pay(customer_ref=customer_ref)
    with statements(listening) as again, listening.app.app_context():
        listening.encore.order_paid(order)

    assert log == [
        "SELECT encore_orders",
        *more,
        "SELECT encore_switches",
        *(["SELECT encore_history_lines"] if customer_ref else []),
        "SELECT encore_products",
        "INSERT encore_orders",
        "INSERT encore_history_lines",
        "COMMIT",
    ]
    assert again == ["SELECT encore_orders"]
    assert ranker.told == [["tea"] if more else []]


def test_a_ranker_that_cannot_be_told_stops_the_start_with_the_fix(make_shop: ShopFactory) -> None:
    class Deaf:
        version = "deaf"

        def rank(self, basket: Sequence[str], *, k: int, exclude: Collection[str] = ()) -> Any:
            return []

    with pytest.raises(ConfigurationError, match=r"has to take \(basket, \*, k, exclude=\(\), history=\(\)\)"):
        make_shop(ranker=Deaf())
