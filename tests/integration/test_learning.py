"""Between two trainings: new orders are asked about, learned, and put live, when it is time and by one at a time."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from conftest import START, Shop, ShopFactory
from money import charged

from flask_encore import Money, OrderLine
from flask_encore.cli import cli
from flask_encore.domain.errors import TrainingBusy
from flask_encore.ranking.copurchase import CoPurchaseRanker
from flask_encore.ranking.trainer import CoPurchaseTrainer
from flask_encore.services import learning
from flask_encore.services.working import Worker, work_once
from flask_encore.store import history
from flask_encore.testing import FixedRanker, FrozenClock

# Monday, 2 March 2026, 14:03 UTC: the tests' clock begins here.


def run(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(cli, list(words))


def past(shop: Shop, orders: int, *skus: str, at: float | None = START.timestamp() - 1_000) -> None:
    """Put orders of the same products into the history, as an import does."""
    rows = [(f"p{n}", sku, None if at is None else at + n, None, 1, 900, "gbp") for n in range(orders) for sku in skus]
    with shop.rt.db.write() as connection:
        history.add(connection, rows)


def buy(shop: Shop, order_ref: str, *skus: str) -> None:
    """A paid order of today."""
    lines = [OrderLine(sku=sku, title=sku.title(), quantity=1, unit_price=Money(900, "gbp")) for sku in skus]
    shop.pay(order_ref, lines=lines, placed_at=shop.clock())


def live(shop: Shop) -> CoPurchaseRanker:
    """The ranker of a process that starts now."""
    return CoPurchaseRanker(Path(shop.rt.settings.model_dir))


def together(shop: Shop, line: str, sku: str) -> tuple[int, int]:
    """Orders with both, and orders with *line*, as the live model explains it."""
    found = next(each for each in live(shop).rank([line], k=9) if each.sku == sku)
    return (found.support, found.of_orders) if found.because_of == line else (0, 0)


@pytest.fixture
def shop(make_shop: ShopFactory, clock: FrozenClock) -> Shop:
    """A shop that trained a minute ago on a hundred baskets of a pot and a mug."""
    shop = make_shop(ranker=FixedRanker("mug"))
    past(shop, 100, "pot", "mug")
    assert run(shop, "train").exit_code == 0
    clock.advance(minutes=1)
    return shop


def test_orders_that_came_since_are_learned_and_put_live(shop: Shop, clock: FrozenClock) -> None:
    before = live(shop).version
    for number in range(5):
        buy(shop, f"{number}", "lamp", "vase")
    clock.advance(minutes=1)

    version = learning.learn(shop.rt)

    assert version == live(shop).version != before
    [vase] = live(shop).rank(["lamp"], k=1)
    assert (vase.sku, vase.kind, vase.support, vase.of_orders) == ("vase", "co_purchase", 5, 5)
    [mug] = live(shop).rank(["pot"], k=1)
    assert (mug.sku, mug.support, mug.of_orders) == ("mug", 100, 100)


def test_the_orders_recorded_since_a_moment_are_read_from_any_database(any_shop: Shop, clock: FrozenClock) -> None:
    past(any_shop, 1, "pot", "mug")
    buy(any_shop, "before", "pot")
    moment = clock()
    clock.advance(seconds=1)
    buy(any_shop, "after", "lamp", "vase")

    with any_shop.rt.db.stream() as connection:
        lines = list(history.training_lines(connection, account=any_shop.rt.account, recorded_since=moment))
        others = list(history.training_lines(connection, account="acct_other", recorded_since=moment))
    assert [line[:3] for line in lines] == [("after", "lamp", 1), ("after", "vase", 1)]
    assert others == []


def test_what_was_learned_before_stays_and_nothing_is_learned_twice(shop: Shop, clock: FrozenClock) -> None:
    for number in range(3):
        buy(shop, f"{number}", "lamp", "vase")
        clock.advance(minutes=1)
        assert learning.learn(shop.rt) != ""
        clock.advance(minutes=1)

    assert together(shop, "lamp", "vase") == (3, 3)
    assert together(shop, "pot", "mug") == (100, 100)


def test_a_worker_that_starts_anew_learns_the_same(shop: Shop, clock: FrozenClock) -> None:
    buy(shop, "1", "lamp", "vase")
    clock.advance(minutes=1)
    learning.learn(shop.rt)
    object.__setattr__(shop.rt, "trainer", CoPurchaseTrainer(Path(shop.rt.settings.model_dir)))
    clock.advance(minutes=1)
    buy(shop, "2", "lamp", "vase")
    clock.advance(minutes=1)

    assert learning.learn(shop.rt) != ""

    assert together(shop, "lamp", "vase") == (2, 2)


def test_orders_with_times_wait_for_the_next_training_where_no_order_had_one(
    make_shop: ShopFactory, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop()
    past(shop, 100, "pot", "mug", at=None)
    run(shop, "train")
    before = live(shop).version
    clock.advance(minutes=1)
    buy(shop, "1", "lamp", "vase")
    clock.advance(minutes=1)

    assert learning.learn(shop.rt) == ""
    assert "new orders wait for the next training (these orders have their times" in caplog.text
    assert live(shop).version == before
    run(shop, "train")
    assert live(shop).version != before
    buy(shop, "2", "lamp", "vase")
    clock.advance(minutes=1)
    assert learning.learn(shop.rt) == ""
    clock.advance(minutes=1)
    buy(shop, "3", "lamp", "vase")
    assert learning.learn(shop.rt) != ""
    assert together(shop, "lamp", "vase") == (3, 3)


def test_what_an_offer_sold_is_never_learned(shop: Shop, clock: FrozenClock) -> None:
    charged(shop, "1", lines=[OrderLine(sku="tea", title="Tea", quantity=1, unit_price=Money(9000, "gbp"))])
    clock.advance(minutes=1)
    learning.learn(shop.rt)

    assert live(shop).rank(["tea"], k=9)[0].kind == "popularity"


@pytest.mark.parametrize("why", ["nothing new", "no model", "nothing remembered", "put live by hand"])
def test_nothing_is_learned_without_reason(shop: Shop, make_shop: ShopFactory, clock: FrozenClock, why: str) -> None:
    if why == "nothing remembered":
        [memory] = Path(shop.rt.settings.model_dir).glob("model-*/learned.zip")
        memory.write_bytes(memory.read_bytes()[:-1])
    if why == "no model":
        shop = make_shop(ENCORE_MODEL_DIR=str(Path(shop.app.instance_path) / "elsewhere"))
    if why == "put live by hand":
        older = live(shop).version
        run(shop, "train")
        run(shop, "models", "use", older)
    if why != "nothing new":
        buy(shop, "1", "lamp", "vase")
    before = live(shop).version
    clock.advance(minutes=1)

    assert learning.learn(shop.rt) == ""

    assert live(shop).version == before


def test_a_day_of_learning_leaves_the_trainings_to_go_back_to(shop: Shop, clock: FrozenClock) -> None:
    trainings = [live(shop).version]
    for day in range(2):
        clock.advance(days=1)
        run(shop, "train")
        trainings.append(live(shop).version)
        for number in range(3):
            clock.advance(minutes=15)
            buy(shop, f"{day} {number}", "lamp", "vase")
            clock.advance(minutes=15)
            assert learning.learn(shop.rt) != ""

    models = shop.rt.trainer.models()
    assert [model.version for model in models] == [live(shop).version, trainings[2], trainings[1]]
    assert live(shop).trained_at == models[1].trained_at


# Drift


def drift(shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(shop, "drift", "--json").output)
    return found


def test_every_order_is_asked_about_before_it_is_learned(shop: Shop, clock: FrozenClock) -> None:
    for number in range(3):
        buy(shop, f"known-{number}", "pot", "mug")
    for number in range(2):
        buy(shop, f"new-{number}", "lamp", "vase")
    clock.advance(days=2)
    numbers = {
        "questions": 5,
        "hit_rate_at_3": 0.6,
        "ndcg_at_10": 0.6,
        "lines": 10,
        "unknown_share": 0.4,
        "validation_hit_rate_at_3": 1.0,
        "age_days": 2.0,
        "is_worse": True,
    }

    before = drift(shop)
    learning.learn(shop.rt)
    after = drift(shop)
    clock.advance(minutes=1)
    buy(shop, "now known", "lamp", "vase")
    later = drift(shop)

    assert {name: before[name] for name in numbers} == numbers
    assert {name: after[name] for name in numbers} == numbers
    assert after["version"] != before["version"]
    assert (later["questions"], later["hit_rate_at_3"], later["unknown_share"]) == (6, 4 / 6, 4 / 12)


def test_a_training_begins_the_count_anew(shop: Shop, clock: FrozenClock) -> None:
    buy(shop, "1", "lamp", "vase")
    clock.advance(minutes=1)
    learning.learn(shop.rt)
    run(shop, "train")

    found = drift(shop)
    assert (found["questions"], found["age_days"], found["is_worse"]) == (0, 0.0, False)
    assert (found["hit_rate_at_3_low"], found["hit_rate_at_3_high"]) == (0.0, 1.0)


def test_drift_is_told_in_words_and_doctor_warns_when_luck_does_not_explain_it(shop: Shop, clock: FrozenClock) -> None:
    for number in range(4):
        buy(shop, f"{number}", "lamp", "vase")
    clock.advance(days=3)

    told = run(shop, "drift").output
    found = json.loads(run(shop, "doctor", "--json").output)

    assert "trained 3 days ago." in told
    assert "Of 4 orders since it found the next product among its first three in 0.0% (95 %: 0.0% to 49.0%)" in told
    assert "100.0% of 8 lines are of products it had never seen." in told
    [warning] = [each for each in found if each["subject"] == "drift"]
    assert warning["found"] == (
        "it finds 0.0% on orders after its training, 49.0% at most, and had 100.0% on its own validation"
    )


def test_without_a_model_there_is_no_drift(make_shop: ShopFactory) -> None:
    result = run(make_shop(), "drift")

    assert result.exit_code == 1
    assert "There is no model yet. Run: flask encore train" in result.output


# When


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the worker does, instead of doing it."""
    done: list[str] = []
    beat = learning.events.beat

    def act(name: str) -> Any:
        def acting(rt: Any) -> None:
            with rt.db.write() as connection:
                beat(connection, name, now=rt.clock())
            done.append(name)

        return acting

    monkeypatch.setattr(learning.training, "train", act("train"))
    monkeypatch.setattr(learning, "learn", act("learn"))
    return done


def test_a_day_of_a_worker(make_shop: ShopFactory, clock: FrozenClock, calls: list[str]) -> None:
    shop = make_shop(ENCORE_TIME_ZONE="Europe/Berlin", ENCORE_TRAIN_AT="03:00", ENCORE_LEARN_MINUTES=360)
    learning.tend(shop.rt)
    told = {"15:03": list(calls)}
    for hour in range(16, 16 + 24):
        calls.clear()
        clock.advance(hours=1)
        learning.tend(shop.rt)
        if calls:
            told[f"{hour % 24}:03"] = list(calls)

    assert told == {
        "15:03": ["train"],
        "16:03": ["learn"],
        "22:03": ["learn"],
        "3:03": ["train"],
        "4:03": ["learn"],
        "10:03": ["learn"],
    }


def test_a_refused_or_killed_training_is_tried_again_the_next_day_and_not_at_once(
    make_shop: ShopFactory, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(ENCORE_LEARN_MINUTES=0)
    begun: list[str] = []

    def killed(*_: Any, **__: Any) -> Any:
        begun.append(f"{clock():%d %H:%M}")
        raise MemoryError

    monkeypatch.setattr(shop.rt.trainer, "train", killed)
    for _ in range(48):
        with suppress(MemoryError):
            learning.tend(shop.rt)
        clock.advance(hours=1)

    assert begun == ["02 14:03", "03 03:03", "04 03:03"]


def test_what_is_turned_off_is_not_done(make_shop: ShopFactory, clock: FrozenClock, calls: list[str]) -> None:
    shop = make_shop(ENCORE_TRAIN_AT="", ENCORE_LEARN_MINUTES=0)
    for _ in range(3):
        learning.tend(shop.rt)
        clock.advance(days=1)

    assert calls == []


def test_the_worker_sweeps_and_trains_each_in_a_thread_of_its_own(
    make_shop: ShopFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop()
    past(shop, 100, "pot", "mug")
    threads: list[str] = []

    class Once(Worker):
        """Does one round and ends."""

        def loop(self) -> None:
            threads.append("main")
            self._run()

        def start(self) -> None:
            threads.append(self._name)
            self._run()

    monkeypatch.setattr("flask_encore.cli.Worker", Once)
    monkeypatch.setattr("flask_encore.cli.signal.signal", lambda *_: None)
    result = run(shop, "work")

    assert result.output == "Working. Press Ctrl-C to end.\nEnded.\n"
    assert threads == ["encore-trainer", "encore-counter", "main"]
    assert sorted(row["name"] for row in shop.rows("heartbeats")) == ["purge", "sweep", "train"]
    assert [row["version"] for row in shop.rows("trainings")] == [live(shop).version]


def test_the_web_process_never_trains(make_shop: ShopFactory, clock: FrozenClock) -> None:
    shop = make_shop()
    past(shop, 100, "pot", "mug")
    for _ in range(3):
        work_once(shop.rt)
        clock.advance(days=1)

    assert sorted(row["name"] for row in shop.rows("heartbeats")) == ["purge", "sweep"]
    assert shop.rows("trainings") == []


def test_a_worker_that_finds_another_one_training_goes_on(
    make_shop: ShopFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop()

    def busy(*_: Any, **__: Any) -> Any:
        raise TrainingBusy

    monkeypatch.setattr(shop.rt.trainer, "train", busy)
    learning.tend(shop.rt)

    assert shop.rows("trainings") == []
