import logging
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from encore_recommender import Baskets, CoPurchaseRecommender, Provenance, save
from encore_recommender.model import Memory
from encore_recommender.persistence import CURRENT
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.offers import Candidate
from flask_encore.domain.ports import Ranker
from flask_encore.ranking import copurchase
from flask_encore.ranking.copurchase import CoPurchaseRanker

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


def publish(root: Path, *pairs: tuple[str, str], day: int = 0) -> str:
    """Put a model live that saw each pair in three orders."""
    rows = [(f"{pair}-{i}", sku) for pair in pairs for i in range(3) for sku in pair]
    model = CoPurchaseRecommender(tune=False).fit(Baskets.from_rows(rows)).model_
    return save(model, root, about=Provenance(created_at=NOON + timedelta(days=day)))


def skus(ranker: Ranker, *basket: str) -> list[str]:
    return [candidate.sku for candidate in ranker.rank(basket, k=3)]


def test_candidates_carry_the_evidence(tmp_path: Path, clock: Seconds) -> None:
    version = publish(tmp_path, ("pen", "ink"), ("cup", "tea"))
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    ink, cup = ranker.rank(["pen"], k=2)
    assert ink == Candidate(
        sku="ink",
        score=ink.score,
        kind="co_purchase",
        because_of="pen",
        support=3,
        of_orders=3,
        lift=2.0,
        probability=0.5,
        kept_rate=1.0,
    )
    assert cup == Candidate(
        sku="cup", score=cup.score, kind="popularity", support=3, of_orders=6, probability=0.5, kept_rate=1.0
    )
    assert ink.score > cup.score
    assert (ranker.version, ranker.problem) == (version, "")


def test_what_is_excluded_is_not_ranked(tmp_path: Path, clock: Seconds) -> None:
    publish(tmp_path, ("pen", "ink"), ("cup", "tea"))
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    assert [c.sku for c in ranker.rank(["pen"], k=9, exclude=["ink", "cup"])] == ["tea"]


def test_without_a_model_nothing_is_ranked_and_the_problem_names_the_fix(tmp_path: Path, clock: Seconds) -> None:
    ranker = CoPurchaseRanker(tmp_path / "models", clock=clock)
    assert (skus(ranker, "pen"), ranker.version) == ([], "")
    assert ranker.problem == "no model has been trained here yet: train one"


def test_the_first_model_is_picked_up(tmp_path: Path, clock: Seconds) -> None:
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    version = publish(tmp_path, ("pen", "ink"))
    clock.now = 1.0
    assert (skus(ranker, "pen"), ranker.version, ranker.problem) == (["ink"], version, "")


def test_a_new_model_is_served_within_a_second_and_not_looked_for_sooner(tmp_path: Path, clock: Seconds) -> None:
    publish(tmp_path, ("pen", "ink"))
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    publish(tmp_path, ("pen", "paper"), day=1)
    clock.now = 0.99
    assert skus(ranker, "pen") == ["ink"]
    clock.now = 1.0
    assert skus(ranker, "pen") == ["paper"]


def test_going_back_to_an_older_model_is_followed_too(tmp_path: Path, clock: Seconds) -> None:
    older = publish(tmp_path, ("pen", "ink"))
    publish(tmp_path, ("pen", "paper"), day=1)
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    replacement = tmp_path / "next"
    replacement.write_text(f"model-{older}\n")
    replacement.replace(tmp_path / CURRENT)
    clock.now = 1.0
    assert (skus(ranker, "pen"), ranker.version) == (["ink"], older)


def test_a_bad_new_model_keeps_the_last_good_one_and_is_logged_once(
    tmp_path: Path, clock: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    good = publish(tmp_path, ("pen", "ink"))
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    bad = publish(tmp_path, ("pen", "paper"), day=1)
    torn = tmp_path / f"model-{bad}" / "sku_names.npy"
    torn.write_bytes(torn.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING, logger=copurchase.__name__):
        for second in range(1, 200):
            clock.now = float(second)
            assert skus(ranker, "pen") == ["ink"]
    assert ranker.version == good
    assert ranker.problem.startswith(f"model-{bad} cannot be read (sku_names.npy has ")
    assert ranker.problem.endswith(": train again")
    assert [record.getMessage() for record in caplog.records] == [f"{ranker.problem} (keeping {good})"]


def test_after_a_bad_model_the_next_good_one_is_served(tmp_path: Path, clock: Seconds) -> None:
    publish(tmp_path, ("pen", "ink"))
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    (tmp_path / CURRENT).write_text("model-gone")
    clock.now = 1.0
    assert (skus(ranker, "pen"), ranker.problem) == (["ink"], "model-gone has no manifest: train again")
    publish(tmp_path, ("pen", "paper"), day=1)
    clock.now = 2.0
    assert (skus(ranker, "pen"), ranker.problem) == (["paper"], "")


def test_a_refused_model_is_tried_again_after_a_minute(tmp_path: Path, clock: Seconds) -> None:
    version = publish(tmp_path, ("pen", "ink"))
    manifest = tmp_path / f"model-{version}" / "manifest.json"
    hidden = manifest.rename(tmp_path / "hidden")
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    hidden.rename(manifest)
    clock.now = 59.0
    assert skus(ranker, "pen") == []
    clock.now = 60.0
    assert skus(ranker, "pen") == ["ink"]


def test_the_last_good_model_survives_its_files_being_removed(tmp_path: Path, clock: Seconds) -> None:
    publish(tmp_path, ("pen", "ink"))
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    clock.now = 1.0
    assert skus(ranker, "pen") == ["ink"]
    assert ranker.problem == "no model has been trained here yet: train one"


def test_a_reader_does_not_wait_while_another_opens_a_model(
    tmp_path: Path, clock: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, ("pen", "ink"))
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    publish(tmp_path, ("pen", "paper"), day=1)
    opening, finish = threading.Event(), threading.Event()
    real_load = copurchase.load

    def slow_load(root: Path) -> object:
        opening.set()
        assert finish.wait(10)
        return real_load(root)

    monkeypatch.setattr(copurchase, "load", slow_load)
    clock.now = 1.0
    answers: list[list[str]] = []
    opener = threading.Thread(target=lambda: answers.append(skus(ranker, "pen")))
    opener.start()
    assert opening.wait(10)
    clock.now = 2.0
    assert skus(ranker, "pen") == ["ink"]
    finish.set()
    opener.join(10)
    assert answers == [["paper"]]


def test_an_unreadable_pointer_is_a_problem_and_not_an_exception(tmp_path: Path, clock: Seconds) -> None:
    os.mkdir(tmp_path / CURRENT)
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    assert (skus(ranker, "pen"), ranker.version) == ([], "")
    assert ranker.problem != ""


@pytest.mark.parametrize(
    "rates", [{"shop": 2.0, "of": {}}, {"shop": 0.5, "of": {"pen": -1}}, {"of": {}}, [], {"shop": "x", "of": {}}]
)
def test_a_manifest_with_rates_that_are_none_is_refused(tmp_path: Path, clock: Seconds, rates: object) -> None:
    model = CoPurchaseRecommender(tune=False).fit(Baskets.from_rows([("1", "pen"), ("1", "ink")])).model_
    version = save(model, tmp_path, about=Provenance(created_at=NOON, parameters={"kept": rates}))
    ranker = CoPurchaseRanker(tmp_path, clock=clock)

    assert (ranker.version, ranker.problem) == ("", f"model-{version} keeps rates that are none: train again")


def test_what_the_customer_bought_before_is_told_to_the_model(tmp_path: Path, clock: Seconds) -> None:
    rows = [(f"{i}", sku) for i in range(9) for sku in ("pen", "ink", "cup")] + [("9", "pen"), ("9", "ink")]
    model = CoPurchaseRecommender(tune=False).fit(Baskets.from_rows(rows)).model_
    model.memories = dict.fromkeys(model.memories, Memory(bonus=1.0))
    save(model, tmp_path, about=Provenance(created_at=NOON))
    ranker = CoPurchaseRanker(tmp_path, clock=clock)

    assert [candidate.sku for candidate in ranker.rank(["pen"], k=2)] == ["ink", "cup"]
    assert [candidate.sku for candidate in ranker.rank(["pen"], k=2, history=["cup", "cup"])] == ["cup", "ink"]


def test_an_older_model_ranks_beside_the_live_one(tmp_path: Path, clock: Seconds) -> None:
    older = publish(tmp_path, ("pen", "ink"))
    live = publish(tmp_path, ("pen", "paper"), day=1)
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    ranked = {version: ranker.ranked_by(version, ["pen"], k=3)[0].sku for version in (older, live)}
    assert ranked == {older: "ink", live: "paper"}
    assert (skus(ranker, "pen"), ranker.version) == (["paper"], live)


def test_an_older_model_is_opened_once_and_survives_its_files(
    tmp_path: Path, clock: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = publish(tmp_path, ("pen", "ink"))
    publish(tmp_path, ("pen", "paper"), day=1)
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    assert ranker.ranked_by(older, ["pen"], k=1)[0].sku == "ink"
    monkeypatch.setattr(copurchase, "open_model", lambda _folder: pytest.fail("it was opened a second time"))
    assert ranker.ranked_by(older, ["pen"], k=1)[0].sku == "ink"


@pytest.mark.parametrize("version", ["", "gone", "../secret", "a/b", "x" * 200, "a\0b"])
def test_a_model_that_is_none_cannot_rank(version: str, tmp_path: Path, clock: Seconds) -> None:
    publish(tmp_path, ("pen", "ink"))
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    with pytest.raises(InvalidInput, match="model"):
        ranker.ranked_by(version, ["pen"], k=1)
    assert skus(ranker, "pen") == ["ink"]


def test_a_torn_model_is_looked_at_again_after_a_minute_and_not_sooner(tmp_path: Path, clock: Seconds) -> None:
    older = publish(tmp_path, ("pen", "ink"))
    publish(tmp_path, ("pen", "paper"), day=1)
    ranker = CoPurchaseRanker(tmp_path, clock=clock)
    torn = tmp_path / f"model-{older}" / "orders_with.npy"
    whole = torn.read_bytes()
    torn.write_bytes(whole[:-1])
    with pytest.raises(InvalidInput, match="cannot be used"):
        ranker.ranked_by(older, ["pen"], k=1)
    torn.write_bytes(whole)
    with pytest.raises(InvalidInput, match="a moment ago"):
        ranker.ranked_by(older, ["pen"], k=1)
    clock.now = 60.0
    assert ranker.ranked_by(older, ["pen"], k=1)[0].sku == "ink"
