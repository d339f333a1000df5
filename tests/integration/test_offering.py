"""Which product is offered at which price, or why none; decided once, and written down."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from hosts import together

from flask_encore import Money, Product
from flask_encore.domain.assignment import assign
from flask_encore.domain.offers import Candidate
from flask_encore.services import offering
from flask_encore.store import models
from flask_encore.testing import FixedRanker
from flask_encore.web.tokens import Ticket


def decision(shop: Shop, order_ref: str = "1042") -> dict[str, Any]:
    """The order's one decision, with its JSON read."""
    [row] = [row for row in shop.rows("decisions") if row["order_ref"] == order_ref]
    for name in ("candidates", "snapshot"):
        if isinstance(row[name], str):
            row[name] = json.loads(row[name])
    return row


def verdict(shop: Shop, order_ref: str = "1042") -> tuple[str, str]:
    """How the order's decision ended, and why."""
    row = decision(shop, order_ref)
    return row["outcome"], row["reason"]


def refused(shop: Shop) -> dict[str, str]:
    """Candidate -> what filtered it."""
    return {entry["sku"]: entry["filtered"] for entry in decision(shop)["candidates"]}


# Once


def test_a_reload_shows_the_same_offer_and_writes_nothing(any_shop: Shop) -> None:
    any_shop.pay()
    any_shop.page()
    before = any_shop.rows("decisions")

    for _ in range(3):
        assert "Enamel mug" in any_shop.page().text

    assert any_shop.rows("decisions") == before
    assert any_shop.rt.counts["decision_offered"] == 1


def test_what_was_offered_stays_offered_when_the_catalogue_changes(any_shop: Shop) -> None:
    any_shop.pay()
    any_shop.page()
    with any_shop.app.app_context():
        any_shop.encore.catalog.upsert([Product(sku="mug", title="Mug, new", price=Money(9900, "gbp"), stock=9)])

    html = any_shop.page().text
    assert "Enamel mug" in html and "£11.61" in html
    assert "Mug, new" not in html


def race(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Eight first visits, none of which writes before all have read that nothing is decided; the offers shown."""
    barrier, decide = threading.Barrier(8), offering.decision_row

    def decide_together(*args: Any, **kwargs: Any) -> dict[str, Any]:
        barrier.wait(timeout=30)
        return decide(*args, **kwargs)

    monkeypatch.setattr(offering, "decision_row", decide_together)
    answers = together(8, lambda _: shop.page())
    assert [answer.status_code for answer in answers] == [200] * 8
    tokens = shop.app.extensions["flask-encore"].tokens
    return {tokens.read(answer.text.split("/encore/offers/")[1].split("/")[0]).offer_id for answer in answers}


def test_eight_first_visits_at_one_moment_make_one_decision_and_show_one_offer(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_shop.pay()

    assert race(any_shop, monkeypatch) == {decision(any_shop)["id"]}
    assert any_shop.rt.counts["decision_offered"] == 1


def test_control_without_the_unique_constraint_the_same_race_makes_eight_decisions(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_shop.pay()
    lawless = models.decisions.to_metadata(sa.MetaData())
    for constraint in list(lawless.constraints):
        if isinstance(constraint, sa.UniqueConstraint):
            lawless.constraints.remove(constraint)
    with any_shop.rt.db.write() as connection:
        models.decisions.drop(connection)
        lawless.create(connection)

    assert len(race(any_shop, monkeypatch)) == 8
    assert len(any_shop.rows("decisions")) == 8


def test_eight_visits_that_find_the_payment_verified_at_last_make_one_decision(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_shop.stripe.faults.add("/v1/payment_intents/*", "drop_before", method="GET", times=10)
    any_shop.pay()
    any_shop.page()
    any_shop.stripe.faults.clear()
    any_shop.sweep()

    assert race(any_shop, monkeypatch) == {decision(any_shop)["id"]}
    assert verdict(any_shop) == ("offered", "chosen")


def test_every_order_has_its_own_decision(any_shop: Shop) -> None:
    for order_ref in ("1042", "1043"):
        any_shop.pay(order_ref)
        any_shop.page(order_ref)

    assert sorted(row["order_ref"] for row in any_shop.rows("decisions")) == ["1042", "1043"]


def test_an_order_nobody_told_us_of_has_no_decision_until_somebody_does(any_shop: Shop) -> None:
    assert "encore-offer" not in any_shop.page().text
    assert any_shop.rows("decisions") == []
    assert any_shop.rt.counts["order_unknown"] == 1

    any_shop.pay()
    assert "encore-offer" in any_shop.page().text


# The filters


def candidate_shop(make_shop: ShopFactory, database_uri: str, *products: Product, **config: Any) -> Shop:
    """A shop whose recommender proposes *products*, in this order."""
    shop = make_shop(database_uri, ranker=Everything(*(product.sku for product in products)), **config)
    with shop.app.app_context():
        shop.encore.catalog.upsert(products)
    return shop


class Everything:
    """A ranker that does not even leave out what is in the basket."""

    version = "everything"

    def __init__(self, *skus: str) -> None:
        self._skus = skus

    def rank(
        self, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()
    ) -> Sequence[Candidate]:
        """All of its products, in the given order."""
        return [Candidate(sku=sku, score=1 / (rank + 1), kind="popularity") for rank, sku in enumerate(self._skus)]


def product(sku: str, minor_units: int = 1000, currency: str = "gbp", **more: Any) -> Product:
    """A product that passes every filter unless told otherwise."""
    return Product(**{"sku": sku, "title": sku.title(), "price": Money(minor_units, currency), "stock": 5} | more)


def test_each_filter_leaves_its_reason_in_the_log_and_the_first_that_passes_is_offered(
    make_shop: ShopFactory, database_uri: str
) -> None:
    shop = candidate_shop(
        make_shop,
        database_uri,
        product("pot"),
        product("gone", stock=0),
        product("hidden", active=False),
        product("euro", currency="eur"),
        product("cheap", 33),
        product("dear", 3779),
        product("good"),
        product("better"),
    )
    ranker = Everything("pot", "nowhere", "gone", "hidden", "euro", "cheap", "dear", "good", "better")
    object.__setattr__(shop.rt, "ranker", ranker)
    shop.pay()
    shop.page()

    assert refused(shop) == {
        "pot": "in_order",
        "nowhere": "not_in_catalogue",
        "gone": "sold_out",
        "hidden": "inactive",
        "euro": "other_currency",
        "cheap": "not_chargeable",
        "dear": "price_guard",
        "good": "",
        "better": "",
    }
    assert (decision(shop)["sku"], decision(shop)["total_minor"]) == ("good", 900)
    assert verdict(shop) == ("offered", "chosen")


@pytest.mark.parametrize(
    ("minor_units", "filtered"), [(33, "not_chargeable"), (34, ""), (3777, ""), (3778, ""), (3779, "price_guard")]
)
def test_the_limits_are_of_the_price_that_would_be_charged(
    make_shop: ShopFactory, tmp_path: Path, minor_units: int, filtered: str
) -> None:
    # Stripe takes 30 pence, which is 34 less ten percent; the order was 34.00, which is 37.78 less ten percent.
    shop = candidate_shop(make_shop, f"sqlite:///{tmp_path}/db", product("mug", minor_units))
    shop.pay()
    shop.page()

    assert refused(shop) == {"mug": filtered}


def test_when_every_candidate_is_filtered_nothing_is_shown_and_the_log_says_so(
    make_shop: ShopFactory, database_uri: str
) -> None:
    shop = candidate_shop(make_shop, database_uri, product("gone", stock=0), product("hidden", active=False))
    shop.pay()

    assert "encore-offer" not in shop.page().text
    assert verdict(shop) == ("ineligible", "all_filtered")
    assert decision(shop)["sku"] is None


def test_a_product_whose_stock_nobody_counts_can_be_offered(make_shop: ShopFactory, database_uri: str) -> None:
    shop = candidate_shop(make_shop, database_uri, product("tea", stock=None))
    shop.pay()
    assert "Tea" in shop.page().text


def test_without_a_model_nothing_is_shown_and_the_log_says_so(make_shop: ShopFactory) -> None:
    shop = make_shop(ranker=FixedRanker(version=""))
    shop.pay()

    assert "encore-offer" not in shop.page().text
    assert verdict(shop) == ("ineligible", "no_model")


def test_without_a_candidate_nothing_is_shown_and_the_log_says_so(make_shop: ShopFactory) -> None:
    shop = make_shop(ranker=FixedRanker())
    shop.pay()

    assert "encore-offer" not in shop.page().text
    assert verdict(shop) == ("ineligible", "no_candidate")
    assert decision(shop)["model_version"] == "fixed"


@pytest.mark.parametrize(("hours", "outcome"), [(24, ("offered", "chosen")), (24.01, ("ineligible", "order_too_old"))])
def test_a_page_opened_a_day_later_has_no_offer_any_more(shop: Shop, hours: float, outcome: tuple[str, str]) -> None:
    shop.pay()
    shop.clock.advance(hours=hours)
    shop.page()

    assert verdict(shop) == outcome


# The price


def test_the_price_is_the_catalogues_less_ten_percent_by_default(any_shop: Shop) -> None:
    any_shop.pay()
    any_shop.page()

    row = decision(any_shop)
    assert (row["sku"], row["quantity"], row["total_minor"], row["currency"]) == ("mug", 1, 1161, "gbp")
    shown = row["snapshot"]
    assert (shown["item"], shown["discount"], shown["shipping"], shown["total"]) == (1290, 129, 0, 1161)


@pytest.mark.parametrize(("percent", "total"), [(0, 1290), (1, 1277), (33, 864), (97, 38)])
def test_the_discount_is_the_merchants_and_rounds_in_the_shoppers_favour(
    make_shop: ShopFactory, percent: int, total: int
) -> None:
    shop = make_shop(ENCORE_DISCOUNT_PERCENT=percent)
    shop.pay()
    shop.page()
    assert decision(shop)["total_minor"] == total


@pytest.mark.parametrize(
    ("currency", "minor_units", "total", "shown"),
    [
        ("jpy", 1285, 1156, "1,156"),
        ("kwd", 12_345, 11_110, "11.11"),
        ("isk", 129_900, 116_900, "1,169"),
        ("eur", 1295, 1165, "11.65"),
    ],
)
def test_a_price_is_one_that_its_currency_can_be_charged_in(
    make_shop: ShopFactory, database_uri: str, currency: str, minor_units: int, total: int, shown: str
) -> None:
    shop = candidate_shop(make_shop, database_uri, product("mug", minor_units, currency))
    shop.pay(total=Money(200_000, currency))

    assert shown in shop.page().text
    assert decision(shop)["total_minor"] == total
    assert shop.accept(shop.token()) == "charged"
    assert [charge["amount"] for charge in shop.stripe.charges()] == [200_000, total]


@pytest.mark.parametrize(("currency", "minor_units"), [("jpy", 55), ("kwd", 11), ("isk", 111), ("huf", 19_444)])
def test_a_price_stripe_would_not_take_is_never_offered(
    make_shop: ShopFactory, tmp_path: Path, currency: str, minor_units: int
) -> None:
    shop = candidate_shop(make_shop, f"sqlite:///{tmp_path}/db", product("mug", minor_units, currency))
    shop.pay(total=Money(200_000, currency))

    assert "encore-offer" not in shop.page().text
    assert refused(shop) == {"mug": "not_chargeable"}


# The holdout


def test_who_is_held_out_sees_nothing_and_leaves_the_offer_that_was_not_made(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=50)
    held = next(ref for ref in map(str, range(100)) if assign_to(ref) == "holdout")
    shop.pay(customer_ref=held)

    assert shop.page().data == b"<!doctype html><html><body><main><h1>Order 1042 is confirmed</h1></main></body></html>"
    row = decision(shop)
    assert (row["outcome"], row["reason"], row["arm"]) == ("held_out", "holdout", "holdout")
    assert (row["sku"], row["total_minor"], row["propensity"]) == ("mug", 1161, 1.0)


def assign_to(subject: str) -> str:
    """The arm of *subject* when half of all are held out."""
    return assign(subject, salt=offering.HOLDOUT_SALT, holdout_percent=50).value


def test_a_held_out_shopper_is_held_out_on_every_order_and_a_guest_by_order(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=50)
    for number in range(6):
        shop.pay(f"c{number}", customer_ref="c-17")
        shop.pay(f"g{number}", customer_ref=None)
        shop.page(f"c{number}")
        shop.page(f"g{number}")

    arms = {row["order_ref"]: row["arm"] for row in shop.rows("decisions")}
    assert {arms[f"c{number}"] for number in range(6)} == {assign_to("c-17")}
    assert [arms[f"g{number}"] for number in range(6)] == [assign_to(f"g{number}") for number in range(6)]


def test_the_offer_of_a_held_out_order_cannot_be_accepted_with_a_token(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_HOLDOUT_PERCENT=50)
    held = next(ref for ref in map(str, range(100)) if assign_to(ref) == "holdout")
    shop.pay(customer_ref=held)
    shop.page()
    tokens = shop.app.extensions["flask-encore"].tokens
    token = tokens.issue(Ticket(offer_id=decision(shop)["id"], account="", path="/"))

    assert shop.post(token, "accept").status_code == 404
    assert len(shop.stripe.charges()) == 1


# The record


def test_the_row_keeps_candidates_scores_reason_and_latency(any_shop: Shop) -> None:
    any_shop.pay()
    any_shop.page()

    row = decision(any_shop)
    assert row["candidates"] == [
        {
            "sku": sku,
            "score": score,
            "kind": "popularity",
            "because_of": None,
            "support": 0,
            "of_orders": 0,
            "lift": None,
            "probability": None,
            "kept_rate": None,
            "filtered": "",
            "price_ratio": ratio,
            "discount": 0.1,
            "category": category,
            "margin": None,
            "chance": None,
            "propensity": propensity,
            "worth": None,
        }
        for sku, score, category, ratio, propensity in (
            ("mug", 1.0, "Kitchen", 1161 / 3400, 1.0),
            ("tea", 0.5, "Tea", 765 / 3400, 0.0),
        )
    ]
    assert row["model_version"] == "fixed"
    assert row["propensity"] == 1.0
    assert 0 < row["latency_us"] < 10_000_000
    assert row["snapshot"]["card_last4"] == "4242"
    assert row["snapshot"]["locale"] == "en-GB"
    assert row["snapshot"]["consent_version"] == any_shop.rt.consent_version


@pytest.mark.parametrize(("support", "why"), [(4, False), (5, True), (41, True)])
def test_the_page_says_why_only_when_enough_orders_say_so(make_shop: ShopFactory, support: int, why: bool) -> None:
    together_bought = Candidate(
        sku="mug", score=1.0, kind="co_purchase", because_of="pot", support=support, of_orders=380, lift=3.2
    )

    class Because(Everything):
        def rank(
            self, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()
        ) -> Sequence[Candidate]:
            return [together_bought]

    shop = make_shop(ranker=Because())
    shop.pay()
    shop.page()

    assert decision(shop)["snapshot"]["because_of_title"] == ("Pot" if why else None)
    assert decision(shop)["candidates"][0]["lift"] == 3.2


def test_one_visit_costs_two_statements_and_one_commit_and_a_reload_one_statement(any_shop: Shop) -> None:
    any_shop.pay()
    told: list[str] = []
    for engine in {any_shop.rt.db.engine, any_shop.rt.db._hasty}:
        sa.event.listen(engine, "before_cursor_execute", lambda *told_of: told.append(told_of[2].split()[0]))
        sa.event.listen(engine, "commit", lambda _connection: told.append("COMMIT"))

    any_shop.page()
    first = list(told)
    told.clear()
    any_shop.page()

    assert first == ["SELECT", "INSERT", "COMMIT"]
    assert told == ["SELECT"]
