"""Which of several eligible offers is shown: by acceptance, by profit, or to learn; and what is learned from it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from campaigns import launch
from click.testing import Result
from conftest import Shop, ShopFactory

from flask_encore import Money, Product
from flask_encore.cli import cli
from flask_encore.domain.offers import Candidate
from flask_encore.store import history


class Likely:
    """A ranker that knows how likely each of its products is bought beside a basket."""

    def __init__(self, **probabilities: float) -> None:
        self._probabilities = probabilities

    @property
    def version(self) -> str:
        return "likely"

    def rank(
        self, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()
    ) -> Sequence[Candidate]:
        return [
            Candidate(sku=sku, score=chance, kind="co_purchase", support=20, probability=chance, kept_rate=1.0)
            for sku, chance in self._probabilities.items()
        ]


def stocked(shop: Shop, *, lamp_cost: int | None = 200) -> Shop:
    """A mug that earns 7.61 and a lamp that earns 14.20, after a tenth off."""
    cost = None if lamp_cost is None else Money(lamp_cost, "gbp")
    with shop.app.app_context():
        shop.encore.catalog.upsert(
            [
                Product(sku="mug", title="Enamel mug", price=Money(1290, "gbp"), cost=Money(400, "gbp"), stock=500),
                Product(sku="lamp", title="Lamp", price=Money(1800, "gbp"), cost=cost, category="Light", stock=500),
            ]
        )
    return shop


def decision(shop: Shop, order_ref: str = "1042") -> dict[str, Any]:
    [row] = [row for row in shop.rows("decisions") if row["order_ref"] == order_ref]
    candidates = row["candidates"]
    return row | {"candidates": json.loads(candidates) if isinstance(candidates, str) else candidates}


def chosen(shop: Shop, order_ref: str = "1042", **changes: Any) -> str:
    shop.pay(order_ref, **changes)
    shop.page(order_ref)
    return str(decision(shop, order_ref)["sku"])


def run(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(cli, list(words))


@pytest.mark.parametrize(("dial", "sku"), [(0.0, "mug"), (1.0, "lamp")])
def test_the_dial_goes_from_the_likelier_to_the_more_profitable_offer(
    make_shop: ShopFactory, database_uri: str, dial: float, sku: str
) -> None:
    shop = stocked(make_shop(database_uri, ranker=Likely(mug=0.10, lamp=0.08), ENCORE_PROFIT_DIAL=dial))
    assert chosen(shop) == sku

    row = decision(shop)
    assert row["propensity"] == 1.0
    assert [entry["margin"] for entry in row["candidates"]] == [761, 1420]
    assert [entry["chance"] for entry in row["candidates"]] == pytest.approx([0.10, 0.08])
    assert {entry["sku"]: entry["propensity"] for entry in row["candidates"]} == {
        "mug": float(sku == "mug"),
        "lamp": float(sku == "lamp"),
    }


def test_while_a_cost_is_not_known_only_relevance_counts(make_shop: ShopFactory) -> None:
    shop = stocked(make_shop(ranker=Likely(mug=0.10, lamp=0.08), ENCORE_PROFIT_DIAL=1.0), lamp_cost=None)
    assert chosen(shop) == "mug"
    assert [entry["margin"] for entry in decision(shop)["candidates"]] == [761, None]


def test_what_is_filtered_is_never_chosen_however_profitable(make_shop: ShopFactory) -> None:
    shop = stocked(make_shop(ranker=Likely(mug=0.10, lamp=0.08), ENCORE_PROFIT_DIAL=1.0))
    with shop.app.app_context():
        lamp = shop.encore.catalog.get("lamp")
        assert lamp is not None
        shop.encore.catalog.upsert([Product(sku="lamp", title="Lamp", price=lamp.price, cost=lamp.cost, stock=0)])
    assert chosen(shop) == "mug"

    sold_out = decision(shop)["candidates"][1]
    assert sold_out["filtered"] == "sold_out"
    assert "propensity" not in sold_out


def test_exploring_shows_some_orders_another_offer_and_every_reload_the_same(make_shop: ShopFactory) -> None:
    shop = stocked(make_shop(ranker=Likely(mug=0.10, lamp=0.09), ENCORE_PROFIT_DIAL=0, ENCORE_EXPLORE=True))
    shown = {ref: chosen(shop, ref) for ref in map(str, range(20))}
    assert set(shown.values()) == {"mug", "lamp"}

    rows = {row["order_ref"]: row for row in shop.rows("decisions")}
    for ref, sku in shown.items():
        entries = decision(shop, ref)["candidates"]
        assert sum(entry["propensity"] for entry in entries) == pytest.approx(1.0)
        assert rows[ref]["propensity"] == next(entry["propensity"] for entry in entries if entry["sku"] == sku)
        shop.page(ref)
    assert {row["order_ref"]: row for row in shop.rows("decisions")} == rows


def test_the_holdout_is_chosen_for_alike_and_shown_nothing(make_shop: ShopFactory) -> None:
    likely = {"ranker": Likely(mug=0.10, lamp=0.08), "ENCORE_PROFIT_DIAL": 1.0, "ENCORE_HOLDOUT_PERCENT": 50}
    shop = stocked(make_shop(**likely))
    arms = {}
    for n in range(12):
        assert chosen(shop, f"{n}", customer_ref=f"c-{n}") == "lamp"
        arms[decision(shop, f"{n}")["outcome"]] = shop.page(f"{n}").text.count("Lamp")
    assert arms["held_out"] == 0 < arms["offered"]


def answered(shop: Shop, orders: int, *, accept: int) -> None:
    """Offers that were seen: every *accept*-th is accepted, the others are declined."""
    for n in range(orders):
        ref = f"a{n}"
        shop.pay(ref, customer_ref=f"c-{n}")
        token = shop.token(ref)
        shop.post(token, "shown")
        if n % accept == 0:
            shop.accept(token)
        else:
            shop.post(token, "decline")


def able_to_train(shop: Shop) -> Shop:
    """With past orders enough."""
    stocked(shop)
    rows = [(f"p{n}", sku, 1.0e9 + n, None, 1, 900, "gbp") for n in range(100) for sku in ("pot", "mug")]
    with shop.rt.db.write() as connection:
        history.add(connection, rows)
    return shop


@pytest.fixture
def learning(make_shop: ShopFactory) -> Shop:
    """A shop with a ranker of its own that can be trained."""
    return able_to_train(make_shop(ranker=Likely(mug=0.10, lamp=0.08), ENCORE_PROFIT_DIAL=0.0))


def scorecard(shop: Shop) -> Path:
    return Path(shop.rt.settings.model_dir) / "acceptance.json"


def test_training_learns_from_the_offers_that_were_answered(make_shop: ShopFactory, database_uri: str) -> None:
    learning = able_to_train(
        make_shop(database_uri, ranker=Likely(mug=0.10, lamp=0.08), ENCORE_PROFIT_DIAL=0.0),
    )
    answered(learning, 24, accept=4)
    result = run(learning, "train")

    assert "From 24 offers shown, 6 accepted" in result.output
    kept = json.loads(scorecard(learning).read_text())["scorecard"]
    assert (kept["impressions"], kept["seen"]) == (24, {"mug": [24, 6]})
    [row] = learning.rows("trainings")
    report = json.loads(row["report"]) if isinstance(row["report"], str) else row["report"]
    assert report["acceptance"]["impressions"] == 24
    assert "and 100 are needed" in report["acceptance"]["judgement"]


def test_what_the_recommender_finds_can_be_given_away_and_learned_from(learning: Shop) -> None:
    launch(learning, "gift", offer={"kind": "complementary", "discount": {"percent": 100}})
    answered(learning, 4, accept=2)
    shown = chosen(learning)

    assert shown == "mug"
    assert [(one["price_ratio"], one["discount"]) for one in decision(learning)["candidates"]] == [(0.0, 1.0)] * 2
    assert "From 4 offers shown, 2 accepted" in run(learning, "train").output


def test_what_was_learned_is_served_at_once(learning: Shop) -> None:
    before = chosen(learning, "before")
    # Thirty mugs of thirty declined: the lamp, hardly less likely, is now thought the better one.
    for n in range(30):
        learning.pay(f"a{n}")
        token = learning.token(f"a{n}")
        learning.post(token, "shown")
        learning.post(token, "decline")
    assert run(learning, "train").exit_code == 0
    assert (before, chosen(learning, "after")) == ("mug", "lamp")


def test_offers_nobody_saw_or_answered_yet_teach_nothing(learning: Shop) -> None:
    learning.pay("unseen")
    learning.page("unseen")
    learning.pay("open")
    learning.post(learning.token("open"), "shown")
    result = run(learning, "train")

    assert "offers shown" not in result.output
    assert not scorecard(learning).exists()

    learning.clock.advance(seconds=1801)
    assert "From 1 offers shown, 0 accepted" in run(learning, "train").output


def test_a_scorecard_that_is_refused_leaves_the_page_its_offer(
    learning: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    scorecard(learning).parent.mkdir(parents=True, exist_ok=True)
    scorecard(learning).write_text("{}")
    assert chosen(learning) == "mug"
    assert chosen(learning, "1043") == "mug"
    refused = [record.getMessage() for record in caplog.records if "acceptance.json" in record.getMessage()]
    assert refused == [
        "acceptance.json is not an acceptance scorecard: train again (keeping what is known without one)"
    ]
