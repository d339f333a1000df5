import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from encore_recommender import ModelRefused
from encore_recommender.acceptance import AcceptanceModel
from encore_recommender.scorecard import PRIOR, Curve, Impression, Scorecard
from encore_recommender.scorecard_file import load, save

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
CATEGORIES = ["tea", "cups", "books"]


def shown(n: int, *, seed: int) -> tuple[list[Impression], np.ndarray, np.ndarray]:
    """Impressions, the truth about each, and a simulated shopper's answers; nothing of it is a logistic curve."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(1.0, 12.0, size=n)
    ratio = np.exp(rng.normal(-1.0, 0.8, size=n))
    discount = rng.choice([0.0, 0.1, 0.2], size=n)
    support = rng.integers(0, 60, size=n)
    category, beside = rng.integers(0, 3, size=n), rng.integers(0, 3, size=n)
    habit = rng.choice([0.0, 0.5], size=n, p=[0.8, 0.2])
    position = rng.choice([1, 2], size=n)
    interest = 0.9 * chance / (chance + 0.3) * support / (support + 5.0)
    truth = interest * np.exp(-np.maximum(ratio - 0.3, 0.0)) * (1.0 + discount) * (1.0 + habit) / position
    truth = truth * np.where(category == beside, 0.6, 1.2)
    impressions = [
        Impression(
            co_purchase=float(chance[i]),
            price_ratio=float(ratio[i]),
            support=int(support[i]),
            discount=float(discount[i]),
            category=CATEGORIES[category[i]],
            beside=CATEGORIES[beside[i]],
            bought_before=float(habit[i]),
            position=int(position[i]),
            placement="thank_you" if i % 3 else "order_status",
        )
        for i in range(n)
    ]
    return impressions, truth, rng.random(n) < truth


def calibration_error(said: np.ndarray, truth: np.ndarray) -> float:
    groups = np.array_split(np.argsort(said, kind="stable"), 10)
    return float(sum(len(g) * abs(said[g].mean() - truth[g].mean()) for g in groups) / len(said))


@pytest.fixture(scope="module")
def learned() -> AcceptanceModel:
    impressions, _, answers = shown(20_000, seed=1)
    return AcceptanceModel().fit(impressions, answers)


def test_without_impressions_it_says_how_often_the_product_is_bought_beside_the_basket() -> None:
    model = AcceptanceModel().fit([], [])
    offers = [Impression(co_purchase=p, price_ratio=0.5) for p in (0.2, 0.03, 0.001)]
    assert model.stage_ == "prior"
    assert model.scorecard_ == PRIOR
    assert model.predict_proba(offers)[:, 1].tolist() == pytest.approx([0.2, 0.03, 0.001], abs=1e-12)
    assert model.predict_proba(offers).sum(axis=1).tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_first_answers_move_the_level_as_much_as_their_number_says() -> None:
    offer = Impression(co_purchase=0.03, price_ratio=0.5)
    refused = AcceptanceModel().fit([offer] * 400, [False] * 400)
    assert refused.stage_ == "features"
    # Of 400 answers and 100 presumed ones, 3 are yes; the answers then speak once more for themselves.
    assert refused.predict_proba([offer])[0, 1] == pytest.approx(0.0043, abs=1e-3)


def test_what_no_impression_varied_hardly_moves_a_probability() -> None:
    offers = [Impression(co_purchase=0.03, price_ratio=0.5)] * 300
    model = AcceptanceModel().fit(offers, [i % 10 == 0 for i in range(300)])
    dear = Impression(co_purchase=0.03, price_ratio=2.0, support=90, category="unheard of", placement="elsewhere")
    assert model.predict_proba([dear])[0, 1] == pytest.approx(model.predict_proba(offers)[0, 1], abs=1e-3)


def test_probabilities_meet_a_simulated_shopper_whose_truth_is_known(learned: AcceptanceModel) -> None:
    held_out, truth, _ = shown(20_000, seed=2)
    assert calibration_error(learned.predict_proba(held_out)[:, 1], truth) <= 0.01


def test_it_learns_what_shoppers_mind(learned: AcceptanceModel) -> None:
    def chance(**changed: Any) -> float:
        known = {"co_purchase": 0.1, "price_ratio": 0.4, "support": 30, "category": "tea", "beside": "cups"}
        return learned.scorecard_.probability(Impression(**(known | changed)))

    assert chance(co_purchase=0.02) < chance() < chance(co_purchase=0.3)
    assert chance(price_ratio=2.0) < chance() < chance(price_ratio=0.1)
    assert chance(support=1) < chance() < chance(discount=0.2)
    assert chance(position=2) < chance() < chance(bought_before=0.5)
    assert chance(beside="tea") < chance()


def test_the_scorecard_says_what_the_trained_pipelines_say(learned: AcceptanceModel) -> None:
    from encore_recommender.acceptance import _rows

    offers, _, _ = shown(2_000, seed=3)
    odds = learned.pipeline_.decision_function(_rows(offers))
    expected = learned.calibration_.predict_proba(odds[:, None])[:, 1]
    # The calibration only bends this shopper's log-odds, it never turns them round, so nothing was held level.
    np.testing.assert_allclose(learned.scorecard_.probabilities(offers), expected, rtol=0, atol=1e-12)


def test_rare_labels_count_together_and_new_ones_like_them() -> None:
    impressions, _, answers = shown(3_000, seed=4)
    some = [Impression(co_purchase=0.1, price_ratio=0.3, category=f"rare {i % 40}") for i in range(400)]
    model = AcceptanceModel().fit([*impressions, *some], [*answers, *[True] * 400])
    card = model.scorecard_
    assert sorted(card.labels["category"]) == ["books", "cups", "tea"]
    new = Impression(co_purchase=0.1, price_ratio=0.3, category="never seen")
    assert card.probability(new) == card.probability(some[0])
    assert card.probability(new) > 0.5


def test_fitting_twice_gives_the_same_probabilities() -> None:
    impressions, _, answers = shown(2_000, seed=3)
    one = AcceptanceModel().fit(impressions, answers)
    assert clone(one).fit(impressions, answers).scorecard_ == one.scorecard_


def test_fitting_again_forgets() -> None:
    impressions, _, answers = shown(600, seed=3)
    assert AcceptanceModel().fit(impressions, answers).fit([], []).scorecard_ == PRIOR


def test_it_ranks_by_expected_profit_as_far_as_the_dial_says() -> None:
    model = AcceptanceModel().fit([], [])
    offers = [Impression(co_purchase=p, price_ratio=0.5) for p in (0.10, 0.08, 0.02)]
    assert model.rank(offers, [100, 300, 90_000], dial=0.0) == [0, 1, 2]
    assert model.rank(offers, [100, 300, 90_000], dial=1.0) == [1, 0, 2]
    assert model.rank([], []) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"co_purchase": 1.1},
        {"co_purchase": float("nan")},
        {"price_ratio": 0.0},
        {"price_ratio": float("inf")},
        {"discount": 1.0},
        {"bought_before": 2.0},
        {"position": 0},
        {"support": -1},
    ],
)
def test_an_impression_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="an impression is out of range"):
        Impression(**({"co_purchase": 0.1, "price_ratio": 0.5} | wrong))


def test_answers_impressions_and_margins_must_be_equally_many() -> None:
    with pytest.raises(ValueError, match="0 impressions but 1 answers"):
        AcceptanceModel().fit([], [True])
    with pytest.raises(ValueError, match="1 chances but 0 margins"):
        AcceptanceModel().fit([], []).rank([Impression(co_purchase=0.1, price_ratio=0.5)], [])


def test_a_saved_scorecard_comes_back_to_the_last_bit(learned: AcceptanceModel, tmp_path: Path) -> None:
    path = tmp_path / "models" / "acceptance.json"
    card = replace(learned.scorecard_, seen={"mug": (40, 3)})
    version = save(card, path, created_at=NOW, metrics={"calibration_error": 0.004})
    loaded = load(path)
    offers, _, _ = shown(500, seed=5)
    assert version == loaded.version
    assert version.startswith("20260301T020000Z-")
    assert loaded.impressions == 20_000
    assert loaded == replace(card, version=version)
    assert loaded.probabilities(offers) == learned.scorecard_.probabilities(offers)
    assert [file.name for file in path.parent.iterdir()] == ["acceptance.json"]


def test_what_cannot_be_written_leaves_the_live_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "acceptance.json"
    save(PRIOR, path, created_at=NOW)
    before = path.read_bytes()
    endless = Scorecard(intercept=float("inf"), curves={}, weights={}, labels={})
    with pytest.raises(ValueError, match="not JSON compliant"):
        save(endless, path, created_at=NOW)
    with pytest.raises(ValueError, match="created_at needs a timezone"):
        save(PRIOR, path, created_at=datetime(2026, 3, 1))  # noqa: DTZ001
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def hostile(path: Path, **content: Any) -> None:
    """A file whose checksum is right and whose content is not."""
    from encore_recommender.scorecard_file import _checksum

    document = json.loads(path.read_text())
    document["scorecard"] |= content
    document["sha256"] = _checksum(document["scorecard"])
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"intercept": True}, "has a number that is none"),
        ({"intercept": 1e300}, "has a number that is none"),
        ({"curves": {"__class__": {}}}, "has curves that are not ours"),
        ({"curves": {"support": {"at": [1.0], "points": [1.0]}}}, "has a curve of fewer than two points"),
        ({"curves": {"support": {"at": [1.0, 1.0], "points": [1.0, 2.0]}}}, "whose points do not follow each other"),
        ({"curves": {"support": [1, 2]}}, "has a curve without points"),
        ({"calibration": {"at": "no", "points": "no"}}, "has a curve of fewer than two points"),
        ({"weights": {"discount": "1.0"}}, "has a number that is none"),
        ({"labels": {"kind": ["popularity"]}}, "has labels without points"),
        ({"others": []}, "has others that are not ours"),
        ({"seen": {"mug": [1, 2]}}, "has seen what cannot be"),
        ({"seen": {"mug": [1.0, 0.0]}}, "has seen what cannot be"),
        ({"seen": None}, "does not say what was seen"),
        ({"impressions": -1}, "does not say what it was learned from"),
    ],
)
def test_a_hostile_file_is_refused_although_its_checksum_is_right(
    tmp_path: Path, content: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "acceptance.json"
    save(PRIOR, path, created_at=NOW)
    hostile(path, **content)
    with pytest.raises(ModelRefused, match=sentence):
        load(path)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"intercept": 0.0', '"intercept": 0.5', "has changed since it was written"),
        ('"format_version": 1', '"format_version": 2', "upgrade encore_recommender"),
        ('"format_version": 1', '"format_version": true', "does not say its format version"),
        ("acceptance scorecard", "co-purchase model", "is not an acceptance scorecard"),
        ('"intercept": 0.0', '"intercept": NaN', "is not JSON"),
        ('"scorecard": {', '"other": {', "is not complete"),
    ],
)
def test_an_altered_or_future_file_is_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    path = tmp_path / "acceptance.json"
    save(PRIOR, path, created_at=NOW)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ModelRefused, match=sentence):
        load(path)


def test_a_missing_torn_or_huge_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "acceptance.json"
    with pytest.raises(ModelRefused, match="no acceptance was learned here yet"):
        load(path)
    save(PRIOR, path, created_at=NOW)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ModelRefused, match="is not JSON"):
        load(path)
    path.write_text("[" * 100_000)
    with pytest.raises(ModelRefused, match="is not JSON"):
        load(path)
    path.write_bytes(b" " * (1 << 23))
    with pytest.raises(ModelRefused, match="far too large"):
        load(path)


def test_a_curve_goes_on_beyond_its_ends() -> None:
    curve = Curve((0.0, 1.0, 3.0), (0.0, 2.0, 0.0))
    assert [curve(x) for x in (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0)] == [-2.0, 0.0, 1.0, 2.0, 1.0, 0.0, -1.0]


def test_nothing_is_so_certain_that_it_overflows() -> None:
    sure = Scorecard(intercept=1e6, curves={}, weights={}, labels={})
    never = Scorecard(intercept=-1e6, curves={}, weights={}, labels={})
    offer = Impression(co_purchase=0.1, price_ratio=0.5)
    assert (sure.probability(offer), never.probability(offer)) == (1.0, pytest.approx(0.0, abs=1e-300))


def test_serving_needs_neither_scikit_learn_nor_scipy() -> None:
    code = "import sys, encore_recommender.scorecard_file, encore_recommender.dial; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sklearn", "scipy", "pandas"} & set(found)
