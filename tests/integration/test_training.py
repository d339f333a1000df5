"""Training in the shop: what it learns from, what it refuses, and who hears of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import Result
from conftest import Shop, ShopFactory
from money import charged, deliver, events, merchant, offered

from flask_encore import Product
from flask_encore.cli import cli
from flask_encore.domain.errors import TrainingBusy
from flask_encore.domain.money import Money
from flask_encore.store import history
from flask_encore.testing import FrozenClock


def run(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(cli, list(words))


def past(shop: Shop, orders: int, *skus: str, first: int = 0) -> None:
    """Put orders of the same products into the history."""
    rows = [(f"p{n}", sku, 1.0e9 + n, None, 1, 900, "gbp") for n in range(first, first + orders) for sku in skus]
    with shop.rt.db.write() as connection:
        history.add(connection, rows)


def finding(shop: Shop, subject: str) -> dict[str, Any] | None:
    found = json.loads(run(shop, "doctor", "--json").output)
    return next((each for each in found if each["subject"] == subject), None)


@pytest.fixture
def trained(make_shop: ShopFactory) -> Shop:
    """A shop with its own recommender and a hundred baskets of a pot and a mug."""
    shop = make_shop(trained=True)
    past(shop, 100, "pot", "mug")
    return shop


def test_a_training_that_went_live_is_written_down(trained: Shop) -> None:
    result = run(trained, "train")

    [row] = trained.rows("trainings")
    report = json.loads(row["report"])
    assert result.exit_code == 0
    assert f"Model {row['version']} is live: 100 orders, 2 products" in result.output
    assert (row["doubt"], report["orders"], report["version"]) == ("", 100, row["version"])
    assert finding(trained, "training") is None


def test_too_few_orders_are_refused_and_doctor_and_log_say_why(
    make_shop: ShopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(trained=True)
    past(shop, 99, "pot", "mug")

    result = run(shop, "train")

    doubt = (
        "it learned from 99 orders of two products or more, and fewer than 100 cannot show whether it beats the "
        "best-sellers"
    )
    assert result.exit_code == 1
    assert f"The model is not put live: {doubt}. The one before stays." in result.output
    assert "flask encore train --force" in result.output
    assert [(row["version"], row["doubt"]) for row in shop.rows("trainings")] == [("", doubt)]
    assert f"the trained model is not put live: {doubt}" in caplog.text
    told = finding(shop, "training")
    assert told is not None
    assert told["found"] == f"the last one, 0 seconds ago, was not put live: {doubt}"
    assert shop.rt.ranker.version == ""


def test_force_puts_it_live_all_the_same_and_says_so(make_shop: ShopFactory) -> None:
    shop = make_shop(trained=True)
    past(shop, 99, "pot", "mug")

    result = run(shop, "train", "--force")

    [row] = shop.rows("trainings")
    assert result.exit_code == 0
    assert f"Model {row['version']} is live" in result.output
    assert "It is live because of --force, although it learned from 99 orders" in result.output
    told = finding(shop, "training")
    assert told is not None and "was put live by force" in told["found"]


def test_a_refused_training_keeps_the_old_model(trained: Shop, make_shop: ShopFactory) -> None:
    run(trained, "train")
    with trained.rt.db.write() as connection:
        history.replace(connection, [(f"p{n}", "pot", 1.0e9 + n, None, 1, 900, "gbp") for n in range(100)])

    assert run(trained, "train").exit_code == 1

    rows = trained.rows("trainings")
    assert [row["version"] != "" for row in rows] == [True, False]
    assert make_shop(trained=True).rt.ranker.version == rows[0]["version"]


def test_no_connection_is_held_while_the_recommender_thinks(any_shop: Shop) -> None:
    past(any_shop, 100, "pot", "mug")
    held: dict[float, int] = {}

    with any_shop.app.app_context():
        any_shop.encore.train(
            progress=lambda share: held.update({share: any_shop.rt.db.engine.pool.checkedout()})  # type: ignore[attr-defined]
        )

    assert len(held) >= 3
    assert set(held.values()) == {0}


def test_what_is_bought_and_kept_by_offers_is_counted_by_product(any_shop: Shop) -> None:
    shop = any_shop
    charged(shop, "kept")
    shop.post(charged(shop, "undone"), "undo")
    charged(shop, "disputed")
    row = next(row for row in shop.rows("charges") if row["order_ref"] == "disputed")
    shop.stripe.dispute(row["payment_intent_ref"])
    deliver(shop, events(shop, "charge.dispute.created")[-1])
    charged(shop, "refunded")
    row = next(row for row in shop.rows("charges") if row["order_ref"] == "refunded")
    merchant(shop).refunds.create({"payment_intent": row["payment_intent_ref"]})
    deliver(shop, events(shop, "refund.created")[-1])
    shop.post(offered(shop, "declined"), "decline")
    shop.accept(offered(shop, "failed", card="4000000000000341"))

    with shop.rt.db.read() as connection:
        assert history.sold_and_kept(connection, account=shop.rt.account) == {"mug": (4, 1)}


def test_what_the_catalogue_knows_reaches_the_training(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def train(lines: Any, **knowledge: Any) -> Any:
        told.update(knowledge)
        raise TrainingBusy

    monkeypatch.setattr(shop.rt.trainer, "train", train)
    shop.post(charged(shop), "undo")
    with shop.app.app_context():
        shop.encore.catalog.upsert(
            [Product(sku="mug-l", title="Large mug", price=Money(900, "gbp"), category="Cups", parent="mug")]
        )
        with pytest.raises(TrainingBusy):
            shop.encore.train(force=True)

    assert told["force"] is True
    assert told["assortment"].titles["mug-l"] == "Large mug"
    assert told["assortment"].parents == {"mug-l": "mug"}
    assert told["assortment"].categories["mug-l"] == "Cups"
    assert told["assortment"].kept.of == {"mug": pytest.approx(400 / 441)}
    assert shop.rows("trainings") == []


def test_a_second_training_is_refused_with_a_sentence(trained: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = history.training_lines
    outputs: list[Result] = []

    def meanwhile(connection: Any) -> Any:
        monkeypatch.setattr(history, "training_lines", lines)
        yield from lines(connection)
        outputs.append(run(trained, "train"))

    monkeypatch.setattr(history, "training_lines", meanwhile)
    first = run(trained, "train")

    assert (first.exit_code, outputs[0].exit_code) == (0, 1)
    assert "Another training is under way, and one at a time is enough" in outputs[0].output
    assert len(trained.rows("trainings")) == 1


def test_models_are_listed_and_an_older_one_is_used_again(trained: Shop, clock: FrozenClock) -> None:
    assert run(trained, "models", "list").output == "There is no model yet. Run: flask encore train\n"
    run(trained, "train")
    clock.advance(days=1)
    past(trained, 1, "pot", "mug", first=100)
    run(trained, "train")
    older, newer = (row["version"] for row in trained.rows("trainings"))

    assert run(trained, "models", "list").output == (
        f"* {newer}  2026-03-03 14:03 UTC  101 orders, hit rate@3 100.0%\n"
        f"  {older}  2026-03-02 14:03 UTC  100 orders, hit rate@3 100.0%\n"
    )
    assert run(trained, "models", "use", older).output == (
        f"Model {older} is live; every process follows within a second.\n"
    )
    assert [model["live"] for model in json.loads(run(trained, "models", "list", "--json").output)] == [False, True]
    unknown = run(trained, "models", "use", "yesterday")
    assert unknown.exit_code == 1
    assert f"There is no model 'yesterday'; there are: {newer}, {older}." in unknown.output
