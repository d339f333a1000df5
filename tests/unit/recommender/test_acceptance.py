import numpy as np
import pytest
from sklearn.base import clone

from encore_recommender.acceptance import AcceptanceModel, Impression, by_expected_profit


def shown(n: int, *, seed: int) -> tuple[list[Impression], np.ndarray, np.ndarray]:
    """Impressions, the truth about each, and a simulated shopper's answers; dear offers put off, not in a line."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(1.0, 12.0, size=n)
    ratio = np.exp(rng.normal(-1.0, 0.8, size=n))
    discount = rng.choice([0.0, 0.1, 0.2], size=n)
    truth = 0.9 * chance / (chance + 0.3) * np.exp(-np.maximum(ratio - 0.3, 0.0)) * (1.0 + discount)
    impressions = [
        Impression(co_purchase=float(p), price_ratio=float(r), discount=float(d))
        for p, r, d in zip(chance, ratio, discount, strict=True)
    ]
    return impressions, truth, rng.random(n) < truth


def calibration_error(said: np.ndarray, truth: np.ndarray) -> float:
    groups = np.array_split(np.argsort(said, kind="stable"), 10)
    return float(sum(len(g) * abs(said[g].mean() - truth[g].mean()) for g in groups) / len(said))


def test_without_impressions_it_says_the_prior_and_follows_the_co_purchase() -> None:
    model = AcceptanceModel().fit([], [])
    often, typical, rarely = (Impression(co_purchase=p, price_ratio=0.5) for p in (0.2, 0.03, 0.001))
    said = model.predict_proba([often, typical, rarely])
    assert model.stage_ == "prior"
    assert said[1, 1] == pytest.approx(0.03, abs=1e-6)
    assert said[0, 1] > said[1, 1] > said[2, 1]
    assert said.sum(axis=1).tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_first_answers_move_only_the_level() -> None:
    offer = Impression(co_purchase=0.03, price_ratio=0.5)
    refused = AcceptanceModel().fit([offer] * 900, [False] * 900)
    assert refused.stage_ == "level"
    assert refused.predict_proba([offer])[0, 1] == pytest.approx(3 / 1_000, abs=1e-6)


def test_probabilities_meet_a_simulated_shopper_whose_truth_is_known() -> None:
    impressions, _, answers = shown(20_000, seed=1)
    held_out, truth, _ = shown(20_000, seed=2)
    model = AcceptanceModel().fit(impressions, answers)
    assert model.stage_ == "features"
    assert calibration_error(model.predict_proba(held_out)[:, 1], truth) <= 0.01


def test_fitting_twice_gives_the_same_probabilities() -> None:
    impressions, _, answers = shown(2_000, seed=3)
    one = AcceptanceModel().fit(impressions, answers)
    assert (one.predict_proba(impressions) == clone(one).fit(impressions, answers).predict_proba(impressions)).all()


def test_the_dial_goes_from_relevant_to_profitable_and_never_below_the_floor() -> None:
    chances = np.array([0.10, 0.08, 0.05, 0.02, 0.01])
    margins = [100, 200, 900, 90_000, 1]
    assert by_expected_profit(chances, margins, dial=0.0) == [0, 1, 2, 3, 4]
    assert by_expected_profit(chances, margins, dial=0.5) == [2, 1, 0, 3, 4]
    assert by_expected_profit(chances, margins, dial=1.0) == [2, 1, 0, 3, 4]


def test_nothing_to_rank_is_an_empty_list() -> None:
    assert AcceptanceModel().fit([], []).rank([], []) == []


@pytest.mark.parametrize("dial", [-0.1, 1.1, float("nan")])
def test_a_dial_out_of_range_is_refused(dial: float) -> None:
    with pytest.raises(ValueError, match="the dial goes from 0 to 1"):
        by_expected_profit(np.array([0.1]), [1], dial=dial)


@pytest.mark.parametrize(
    "offer",
    [
        Impression(co_purchase=1.1, price_ratio=0.5),
        Impression(co_purchase=float("nan"), price_ratio=0.5),
        Impression(co_purchase=0.1, price_ratio=0.0),
        Impression(co_purchase=0.1, price_ratio=0.5, discount=1.0),
        Impression(co_purchase=0.1, price_ratio=0.5, bought_before=2.0),
        Impression(co_purchase=0.1, price_ratio=0.5, position=0),
    ],
)
def test_an_impression_out_of_range_is_refused(offer: Impression) -> None:
    with pytest.raises(ValueError, match="impression 0 is out of range"):
        AcceptanceModel().fit([offer], [True])


def test_answers_and_impressions_must_be_equally_many() -> None:
    with pytest.raises(ValueError, match="0 impressions but 1 answers"):
        AcceptanceModel().fit([], [True])
    with pytest.raises(ValueError, match="1 impressions but 0 margins"):
        AcceptanceModel().fit([], []).rank([Impression(co_purchase=0.1, price_ratio=0.5)], [])
