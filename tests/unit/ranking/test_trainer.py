import json
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from encore_recommender import BadBaskets
from flask_encore.domain.errors import InvalidInput, TrainingBusy
from flask_encore.domain.training import Assortment, Judged, KeptRates, SavedModel, TrainingLine, TrainingReport
from flask_encore.ranking.copurchase import CoPurchaseRanker
from flask_encore.ranking.trainer import CoPurchaseTrainer
from flask_encore.ranking.under_way import running

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Stopwatch:
    """Half a second passes between two looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


def shop() -> list[TrainingLine]:
    """500 orders; whoever buys tool t buys its part with it, and everyone may take one of 30 other things."""
    draw = random.Random(5)
    lines: list[TrainingLine] = []
    for order in range(500):
        tool = draw.randrange(10)
        others = draw.sample(range(30), k=draw.randint(0, 2))
        for sku in (f"tool-{tool}", f"part-{tool}", *(f"other-{other}" for other in others)):
            lines.append((f"{order}", sku, 1, None, 1_700_000_000.0 + 3_600.0 * order))
    return lines


def test_training_puts_a_model_live_and_reports_what_it_learned(tmp_path: Path) -> None:
    lines = shop()
    heard: list[float] = []
    report = CoPurchaseTrainer(tmp_path, stopwatch=Stopwatch()).train(
        iter(lines), assortment=Assortment(), now=NOON, progress=heard.append
    )
    assert (report.orders, report.lines, report.products, report.seconds) == (500, len(lines), 50, 0.5)
    assert report.hit_rate_at_3 > 0.6 > 3 * report.popularity_hit_rate_at_3
    assert heard == sorted(heard)
    assert (heard[0] >= 0.0, heard[-1]) == (True, 1.0)
    ranker = CoPurchaseRanker(tmp_path)
    assert ranker.version == report.version != ""
    assert report.doubt == ""
    assert [ranker.rank([f"tool-{tool}"], k=1)[0].sku for tool in range(10)] == [f"part-{t}" for t in range(10)]


def test_the_manifest_keeps_metrics_parameters_and_data_window(tmp_path: Path) -> None:
    report = CoPurchaseTrainer(tmp_path).train(shop(), assortment=Assortment(), now=NOON)
    manifest = json.loads((tmp_path / f"model-{report.version}" / "manifest.json").read_text())
    metrics = manifest["metrics"]
    assert set(metrics) == {"full_basket", "full_basket_popularity", "one_line", "one_line_popularity"}
    assert metrics["full_basket"]["hit_rate_at_3"] == report.hit_rate_at_3
    assert metrics["full_basket_popularity"]["hit_rate_at_3"] == report.popularity_hit_rate_at_3
    assert metrics["full_basket"]["queries"] == 500  # 100 held-out orders, asked five times each
    assert manifest["parameters"]["min_support"] == 2
    assert set(manifest["parameters"]["blends"]) == {"one", "few", "many"}
    assert set(manifest["parameters"]["blends"]["one"]) >= {"conditional", "cosine", "ease", "recency", "calibration"}
    assert manifest["data_window"] == {"first_order_at": 1_700_000_000.0, "last_order_at": 1_701_796_400.0}


def test_the_same_lines_in_another_order_give_the_same_model(tmp_path: Path) -> None:
    lines = shop()
    shuffled = random.Random(6).sample(lines, k=len(lines))
    versions = {
        CoPurchaseTrainer(tmp_path).train(rows, assortment=Assortment(), now=NOON).version for rows in (lines, shuffled)
    }
    assert len(versions) == 1


def test_categories_reach_the_candidates(tmp_path: Path) -> None:
    lines: list[TrainingLine] = [("1", "rose", 1, None, None), ("2", "mug", 1, None, None), ("3", "mug", 1, None, None)]
    CoPurchaseTrainer(tmp_path).train(
        lines, assortment=Assortment(categories={"rose": "garden", "tulip": "garden"}), now=NOON, force=True
    )
    first, second = CoPurchaseRanker(tmp_path).rank(["tulip"], k=2)
    assert (first.sku, first.kind, first.because_of) == ("rose", "category", "tulip")
    assert (second.sku, second.kind, second.because_of) == ("mug", "popularity", None)


def test_no_lines_put_nothing_live(tmp_path: Path) -> None:
    report = CoPurchaseTrainer(tmp_path, stopwatch=Stopwatch()).train([], assortment=Assortment(), now=NOON)
    assert report == TrainingReport(
        version="",
        orders=0,
        lines=0,
        products=0,
        seconds=0.5,
        hit_rate_at_3=0.0,
        popularity_hit_rate_at_3=0.0,
        doubt="there is nothing to train on yet; flask encore import orders FILE.csv --currency gbp brings past orders",
    )
    assert list(tmp_path.iterdir()) == []


def test_one_order_is_enough_for_a_model_and_too_little_for_figures(tmp_path: Path) -> None:
    lines: list[TrainingLine] = [("1", "mug", 1, None, None)]
    report = CoPurchaseTrainer(tmp_path).train(lines, assortment=Assortment(), now=NOON, force=True)
    assert (report.orders, report.products, report.hit_rate_at_3, report.popularity_hit_rate_at_3) == (1, 1, 0.0, 0.0)
    assert [candidate.sku for candidate in CoPurchaseRanker(tmp_path).rank([], k=3)] == ["mug"]


def test_a_bad_line_puts_nothing_live(tmp_path: Path) -> None:
    with pytest.raises(BadBaskets, match="row 1: quantity must be at least 1, not -1"):
        CoPurchaseTrainer(tmp_path).train(
            [("1", "mug", 1, None, None), ("1", "rose", -1, None, None)], assortment=Assortment(), now=NOON
        )
    assert list(tmp_path.iterdir()) == []


def pairs(orders: int, *, first: int = 0) -> list[TrainingLine]:
    """Orders of a pen with its ink."""
    return [(f"{n}", sku, 1, None, 1.0e9 + n) for n in range(first, first + orders) for sku in ("pen", "ink")]


@pytest.mark.parametrize(("orders", "live"), [(99, False), (100, True)])
def test_fewer_than_a_hundred_baskets_are_not_put_live_and_the_report_says_why(
    tmp_path: Path, orders: int, live: bool
) -> None:
    report = CoPurchaseTrainer(tmp_path).train(pairs(orders), assortment=Assortment(), now=NOON)

    assert (report.version != "", report.doubt == "", report.orders) == (live, live, orders)
    assert live or report.doubt.startswith("it learned from 99 orders of two products or more, and fewer than 100 ")
    assert CoPurchaseRanker(tmp_path).version == report.version


def turning() -> list[TrainingLine]:
    """In 400 orders tool t goes with part t, in 400 a glove goes alone, and in the newest 200 tools go with gloves.

    The best-sellers say gloves and are right from one day to the next.
    """
    taken = [("tool", "part")] * 400 + [("glove",)] * 400
    random.Random(1).shuffle(taken)
    lines: list[TrainingLine] = []
    for order, kinds in enumerate([*taken, *[("tool", "glove")] * 200]):
        names = [kind if kind == "glove" else f"{kind}-{order % 20}" for kind in kinds]
        lines += [(f"{order}", sku, 1, None, 1_700_000_000.0 + 3_600.0 * order) for sku in names]
    return lines


def test_a_model_worse_than_the_best_sellers_is_not_put_live_and_the_old_one_stays(tmp_path: Path) -> None:
    trainer = CoPurchaseTrainer(tmp_path)
    good = trainer.train(shop(), assortment=Assortment(), now=NOON)
    before = sorted(path.name for path in tmp_path.iterdir())

    report = trainer.train(turning(), assortment=Assortment(), now=NOON)

    assert report.version == ""
    assert report.doubt.startswith("it is worse than the best-sellers on the newest orders, by ")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert CoPurchaseRanker(tmp_path).version == good.version


def test_force_puts_a_doubted_model_live_and_the_report_keeps_the_doubt(tmp_path: Path) -> None:
    report = CoPurchaseTrainer(tmp_path).train(turning(), assortment=Assortment(), now=NOON, force=True)

    assert report.version == CoPurchaseRanker(tmp_path).version != ""
    assert report.doubt.startswith("it is worse than the best-sellers on the newest orders, by ")


def test_what_comes_back_often_is_offered_after_what_is_kept(tmp_path: Path) -> None:
    # With a pen, ink is bought in 30 % of the orders and paper in 25 %; four of five inks come back.
    draw = random.Random(2)
    lines: list[TrainingLine] = []
    for n in range(400):
        taken = [sku for sku, share in (("ink", 0.3), ("paper", 0.25)) if draw.random() < share]
        other = f"thing-{draw.randrange(40)}"
        lines += [(f"{n}", sku, 1, None, None) for sku in ("pen", other, *taken)]
    kept = KeptRates.shrunken({"ink": (200, 40), "paper": (60, 60)})

    CoPurchaseTrainer(tmp_path / "all").train(lines, assortment=Assortment(), now=NOON, force=True)
    CoPurchaseTrainer(tmp_path / "kept").train(lines, assortment=Assortment(kept=kept), now=NOON, force=True)
    without = CoPurchaseRanker(tmp_path / "all").rank(["pen"], k=2)
    first, second = CoPurchaseRanker(tmp_path / "kept").rank(["pen"], k=2)

    assert [(candidate.sku, candidate.kept_rate) for candidate in without] == [("ink", 1.0), ("paper", 1.0)]
    assert (first.sku, first.kept_rate) == ("paper", pytest.approx(6 / 7))
    assert (second.sku, second.kept_rate) == ("ink", pytest.approx(17 / 77))
    assert CoPurchaseRanker(tmp_path / "kept").rank(["pen"], k=3)[2].kept_rate == pytest.approx(3 / 7)


def test_a_manifest_keeps_the_five_hundred_worst_rates(tmp_path: Path) -> None:
    kept = KeptRates.shrunken({f"p{n}": (10, 0 if n < 500 else 10) for n in range(600)})
    report = CoPurchaseTrainer(tmp_path).train(pairs(100), assortment=Assortment(kept=kept), now=NOON)

    told = json.loads((tmp_path / f"model-{report.version}" / "manifest.json").read_text())["parameters"]["kept"]
    assert sorted(told["of"]) == sorted(f"p{n}" for n in range(500))


def test_one_training_at_a_time(tmp_path: Path) -> None:
    trainer = CoPurchaseTrainer(tmp_path)

    def lines_that_train() -> Iterator[TrainingLine]:
        with pytest.raises(TrainingBusy, match="Another training is under way"):
            CoPurchaseTrainer(tmp_path).train(pairs(100), assortment=Assortment(), now=NOON)
        with pytest.raises(TrainingBusy):
            trainer.use(trainer.models()[0].version)
        yield from pairs(100)

    trainer.train(pairs(120), assortment=Assortment(), now=NOON)
    report = trainer.train(lines_that_train(), assortment=Assortment(), now=NOON + timedelta(days=1))

    assert [model.version for model in trainer.models() if model.live] == [report.version]
    assert trainer.train(pairs(100), assortment=Assortment(), now=NOON + timedelta(days=2)).version != ""


KILLED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from flask_encore.domain.training import Assortment
from flask_encore.ranking.trainer import CoPurchaseTrainer

def lines():
    yield ("1", "pen", 1, None, None)
    print("training", flush=True)
    sys.stdin.read()

CoPurchaseTrainer(Path(sys.argv[1])).train(lines(), assortment=Assortment(), now=datetime.now(UTC))
"""


def test_a_killed_training_leaves_a_note_of_it_and_nothing_else(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "training\n"
    with pytest.raises(TrainingBusy):
        CoPurchaseTrainer(tmp_path).train(pairs(100), assortment=Assortment(), now=NOON)
    process.kill()
    process.communicate()

    assert [path.name for path in tmp_path.iterdir()] == ["TRAINING"]
    told = running(tmp_path)
    assert told is not None and told.broke_off
    assert CoPurchaseTrainer(tmp_path).train(pairs(100), assortment=Assortment(), now=NOON).version != ""
    assert running(tmp_path) is None


def test_models_are_listed_newest_first_and_an_older_one_can_be_used_again(tmp_path: Path) -> None:
    trainer = CoPurchaseTrainer(tmp_path)
    versions = [
        trainer.train(pairs(100 + day), assortment=Assortment(), now=NOON + timedelta(days=day)).version
        for day in range(3)
    ]

    assert trainer.models() == [
        SavedModel(
            version=versions[day],
            trained_at=NOON + timedelta(days=day),
            orders=100 + day,
            hit_rate_at_3=1.0,
            live=day == 2,
            lines=200 + 2 * day,
            products=2,
            first_order_at=datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC),
            last_order_at=datetime(2001, 9, 9, 1, 48, 19 + day, tzinfo=UTC),
            judged=Judged(
                questions=100,
                hit_rate_at_3=1.0,
                popularity_hit_rate_at_3=1.0,
                ndcg_at_10=1.0,
                popularity_ndcg_at_10=1.0,
                coverage_at_3=1.0,
            ),
        )
        for day in (2, 1, 0)
    ]
    trainer.use(versions[0])
    assert [model.live for model in trainer.models()] == [False, False, True]
    assert CoPurchaseRanker(tmp_path).version == versions[0]


def test_models_that_are_kept_outlive_later_trainings_until_they_are_let_go(tmp_path: Path) -> None:
    trainer = CoPurchaseTrainer(tmp_path)

    def train(day: int) -> str:
        return trainer.train(pairs(100 + day), assortment=Assortment(), now=NOON + timedelta(days=day)).version

    def there() -> list[str]:
        return [model.version for model in reversed(trainer.models())]

    first = train(0)
    trainer.keep({first})
    later = [train(day) for day in range(1, 5)]
    assert there() == [first, *later[1:]]
    trainer.keep(())
    later.append(train(5))
    assert there() == later[-3:]


def test_a_model_that_is_gone_or_torn_is_not_put_live(tmp_path: Path) -> None:
    trainer = CoPurchaseTrainer(tmp_path)
    older, live = (
        trainer.train(pairs(100), assortment=Assortment(), now=NOON + timedelta(days=day)).version for day in range(2)
    )
    torn = tmp_path / f"model-{older}" / "orders_with.npy"
    torn.write_bytes(torn.read_bytes()[:-1])

    with pytest.raises(InvalidInput, match=rf"There is no model 'other'; there are: {live}, {older}\."):
        trainer.use("other")
    with pytest.raises(InvalidInput, match=r"The model cannot be used: model-.*: train again"):
        trainer.use(older)
    assert [model.version for model in trainer.models() if model.live] == [live]


def test_without_a_model_none_is_listed(tmp_path: Path) -> None:
    trainer = CoPurchaseTrainer(tmp_path / "models")

    assert trainer.models() == []
    with pytest.raises(InvalidInput, match="there are: none"):
        trainer.use("x")
    assert not (tmp_path / "models").exists()
