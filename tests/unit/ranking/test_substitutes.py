"""What the catalogue tells of products keeps one from being offered beside another that does the same."""

from datetime import UTC, datetime
from pathlib import Path

from flask_encore.domain.training import Assortment, TrainingLine
from flask_encore.ranking.copurchase import CoPurchaseRanker
from flask_encore.ranking.trainer import CoPurchaseTrainer

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_a_variant_and_the_same_mug_in_another_colour_are_not_offered_beside_each_other(tmp_path: Path) -> None:
    lines: list[TrainingLine] = [
        (f"{n}", sku, 1, None, None)
        for n in range(100)
        for sku in (("shirt-l", "shirt-m")[n % 2], "tie", ("mug-a", "mug-b")[n % 2])
    ]
    CoPurchaseTrainer(tmp_path).train(
        lines,
        assortment=Assortment(
            parents={"shirt-l": "shirt", "shirt-m": "shirt"},
            titles={"mug-a": "Enamel mug, blue", "mug-b": "Enamel mug, red", "tie": "Silk tie"},
        ),
        now=NOON,
    )
    ranker = CoPurchaseRanker(tmp_path)

    assert {candidate.sku for candidate in ranker.rank(["shirt-l"], k=9)} & {"shirt-m"} == set()
    assert {candidate.sku for candidate in ranker.rank(["mug-a"], k=9)} & {"mug-b"} == set()
    assert "tie" in {candidate.sku for candidate in ranker.rank(["mug-a"], k=9)}
