import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from encore_recommender import BadBaskets
from flask_encore.domain.ports import TrainingLine, TrainingReport
from flask_encore.ranking.copurchase import CoPurchaseRanker
from flask_encore.ranking.trainer import CoPurchaseTrainer

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
        iter(lines), categories={}, now=NOON, progress=heard.append
    )
    assert (report.orders, report.lines, report.products, report.seconds) == (500, len(lines), 50, 0.5)
    assert report.hit_rate_at_3 > 0.6 > 3 * report.popularity_hit_rate_at_3
    assert heard == sorted(heard)
    assert (heard[0] >= 0.0, heard[-1]) == (True, 1.0)
    ranker = CoPurchaseRanker(tmp_path)
    assert ranker.version == report.version != ""
    assert [ranker.rank([f"tool-{tool}"], k=1)[0].sku for tool in range(10)] == [f"part-{t}" for t in range(10)]


def test_the_manifest_keeps_metrics_parameters_and_data_window(tmp_path: Path) -> None:
    report = CoPurchaseTrainer(tmp_path).train(shop(), categories={}, now=NOON)
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
    versions = {CoPurchaseTrainer(tmp_path).train(rows, categories={}, now=NOON).version for rows in (lines, shuffled)}
    assert len(versions) == 1


def test_categories_reach_the_candidates(tmp_path: Path) -> None:
    lines: list[TrainingLine] = [("1", "rose", 1, None, None), ("2", "mug", 1, None, None), ("3", "mug", 1, None, None)]
    CoPurchaseTrainer(tmp_path).train(lines, categories={"rose": "garden", "tulip": "garden"}, now=NOON)
    first, second = CoPurchaseRanker(tmp_path).rank(["tulip"], k=2)
    assert (first.sku, first.kind, first.because_of) == ("rose", "category", "tulip")
    assert (second.sku, second.kind, second.because_of) == ("mug", "popularity", None)


def test_no_lines_put_nothing_live(tmp_path: Path) -> None:
    report = CoPurchaseTrainer(tmp_path, stopwatch=Stopwatch()).train([], categories={}, now=NOON)
    assert report == TrainingReport(
        version="", orders=0, lines=0, products=0, seconds=0.5, hit_rate_at_3=0.0, popularity_hit_rate_at_3=0.0
    )
    assert list(tmp_path.iterdir()) == []


def test_one_order_is_enough_for_a_model_and_too_little_for_figures(tmp_path: Path) -> None:
    report = CoPurchaseTrainer(tmp_path).train([("1", "mug", 1, None, None)], categories={}, now=NOON)
    assert (report.orders, report.products, report.hit_rate_at_3, report.popularity_hit_rate_at_3) == (1, 1, 0.0, 0.0)
    assert [candidate.sku for candidate in CoPurchaseRanker(tmp_path).rank([], k=3)] == ["mug"]


def test_a_bad_line_puts_nothing_live(tmp_path: Path) -> None:
    with pytest.raises(BadBaskets, match="row 1: quantity must be at least 1, not -1"):
        CoPurchaseTrainer(tmp_path).train(
            [("1", "mug", 1, None, None), ("1", "rose", -1, None, None)], categories={}, now=NOON
        )
    assert list(tmp_path.iterdir()) == []
