from dataclasses import replace

import numpy as np
import pytest

from encore_recommender import offpolicy
from encore_recommender.offpolicy import Decision, EvaluationRefused, Judgement, evaluate, ranking

#: How often each of three offers is accepted, how often each was shown, and how often the new policy shows it.
TRUTH, LOGGED, NEW = np.array([0.05, 0.10, 0.20]), np.array([0.70, 0.25, 0.05]), (0.1, 0.3, 0.6)
#: What the new policy earns per decision: 0.1 * 0.05 + 0.3 * 0.10 + 0.6 * 0.20.
EARNS = 0.155


def log_of(n: int, *, seed: int, each: int = 1) -> list[Decision]:
    """Decisions of customers with `each` so many, all of whose answers follow TRUTH."""
    rng = np.random.default_rng(seed)
    shown = rng.choice(3, size=n, p=LOGGED)
    taken = rng.random(n) < TRUTH[shown]
    return [
        Decision(propensities=tuple(LOGGED), shown=int(s), reward=float(t), customer=f"{i // each}")
        for i, (s, t) in enumerate(zip(shown, taken, strict=True))
    ]


def judged(n: int, *, seed: int, clip: float = 20.0) -> Judgement:
    return evaluate(log_of(n, seed=seed), [NEW] * n, [tuple(TRUTH)] * n, clip=clip)


def test_all_three_estimators_meet_the_truth_on_a_large_log() -> None:
    found = judged(20_000, seed=9)
    for estimate in (found.ips, found.snips, found.dr):
        assert estimate.value == pytest.approx(EARNS, abs=0.02)
        assert estimate.low < EARNS < estimate.high
    assert found.logged.value == pytest.approx(0.07, abs=0.005)
    assert found.gain.low > 0.0


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offpolicy, "RESAMPLES", 200)


@pytest.mark.usefixtures("few_resamples")
def test_an_interval_of_95_percent_holds_the_truth_about_19_times_in_20() -> None:
    held = {"ips": 0, "snips": 0, "dr": 0}
    for seed in range(100):
        found = judged(1_000, seed=seed)
        for name in held:
            estimate = getattr(found, name)
            held[name] += estimate.low <= EARNS <= estimate.high
    assert min(held.values()) >= 88


@pytest.mark.usefixtures("few_resamples")
def test_a_model_that_foresees_makes_doubly_robust_more_precise_than_ips() -> None:
    found = [judged(2_000, seed=seed) for seed in range(30)]
    ips, dr = (np.var([getattr(one, name).value for one in found]) for name in ("ips", "dr"))
    assert dr < 0.8 * ips


@pytest.mark.usefixtures("few_resamples")
def test_a_model_that_is_wrong_does_not_make_doubly_robust_wrong() -> None:
    n = 1_000
    found = [evaluate(log_of(n, seed=seed), [NEW] * n, [(0.5, 0.0, 0.3)] * n).dr.value for seed in range(40)]
    # Three standard errors of the mean of forty; the model alone would say 0.23.
    assert np.mean(found) == pytest.approx(EARNS, abs=3 * np.std(found) / np.sqrt(40))
    assert np.std(found) / np.sqrt(40) < 0.01


def test_without_a_model_doubly_robust_is_ips() -> None:
    found = evaluate(log_of(2_000, seed=3), [NEW] * 2_000)
    dr, ips = ((one.value, one.low, one.high) for one in (found.dr, found.ips))
    assert dr == pytest.approx(ips, abs=1e-12)


def test_cutting_off_weights_buys_precision_with_bias() -> None:
    n = 20_000
    free, cut = (evaluate(log_of(n, seed=4), [NEW] * n, clip=clip) for clip in (20.0, 3.0))
    # The third offer's weight is 12: cut to 3 it counts a quarter, and 0.12 of 0.155 becomes 0.03.
    assert free.largest_weight == cut.largest_weight == pytest.approx(12.0)
    assert free.clipped == 0.0
    assert cut.clipped == pytest.approx(0.05, abs=0.005)
    assert cut.ips.value == pytest.approx(0.065, abs=0.005)
    assert cut.ips.high - cut.ips.low < free.ips.high - free.ips.low


def test_the_policy_that_was_live_is_judged_by_what_it_earned() -> None:
    log = log_of(1_000, seed=5)
    found = evaluate(log, [decision.propensities for decision in log])
    assert found.effective == pytest.approx(1_000.0)
    assert (found.ips, found.snips, found.dr) == (found.logged, found.logged, found.logged)
    assert (found.gain.value, found.gain.low, found.gain.high) == pytest.approx((0.0, 0.0, 0.0))
    assert "no different from what is live" in found.sentence()


def test_decisions_of_one_customer_widen_the_interval() -> None:
    alone = log_of(2_000, seed=6)
    same = [replace(decision, reward=float(int(decision.customer) % 200 < 20)) for decision in alone]
    together = [replace(decision, customer=f"{int(decision.customer) % 200}") for decision in same]
    old = [decision.propensities for decision in alone]
    narrow, wide = evaluate(same, old).logged, evaluate(together, old).logged
    assert narrow.value == wide.value == 0.1
    assert wide.high - wide.low > 2.5 * (narrow.high - narrow.low)


def test_a_ranking_the_log_could_never_have_shown_is_refused() -> None:
    certain = [Decision(propensities=(1.0, 0.0), shown=0, reward=0.0, customer=f"{i}") for i in range(500)]
    with pytest.raises(EvaluationRefused, match="In 100% of the decisions the new ranking shows an offer that could"):
        evaluate(certain, [ranking(1, 2)] * 500)
    assert evaluate(certain, [ranking(0, 2)] * 500).dr.value == 0.0


def test_a_log_worth_too_few_decisions_of_the_new_ranking_is_refused() -> None:
    with pytest.raises(EvaluationRefused, match="Nothing was shown yet"):
        evaluate([], [])
    with pytest.raises(EvaluationRefused, match="and 100 are needed: wait for more impressions"):
        evaluate(log_of(1_000, seed=7), [ranking(2, 3)] * 1_000)


def test_the_same_log_gives_the_same_interval() -> None:
    assert judged(1_000, seed=8) == judged(1_000, seed=8)


def test_decisions_may_have_unequally_many_candidates() -> None:
    log = [
        Decision(propensities=(0.5, 0.5) if i % 2 else (1.0,), shown=0, reward=1.0, customer=f"{i}") for i in range(400)
    ]
    found = evaluate(log, [(0.5, 0.5) if i % 2 else (1.0,) for i in range(400)])
    assert found.ips.value == 1.0


@pytest.mark.parametrize(
    ("changed", "policy", "sentence"),
    [
        ({}, [(0.5, 0.4)], "policy has a row whose probabilities do not add up to 1"),
        ({}, [(1.5, -0.5)], "policy has a row whose probabilities do not add up to 1"),
        ({}, [(float("nan"), 1.0)], "policy has an entry that is not a number"),
        ({}, [(1.0,)], "decision 0 has 2 candidates and 1 policy"),
        ({}, [], "1 decisions but 0 rows of policy"),
        ({"shown": 1}, [(1.0, 0.0)], "an offer was shown whose propensity is 0"),
        ({"shown": 2}, [(1.0, 0.0)], "decision 0 shows candidate 2 of 2"),
        ({"reward": float("nan")}, [(1.0, 0.0)], "a reward is not a number"),
        ({"propensities": (0.3, 0.0)}, [(1.0, 0.0)], "propensities has a row whose probabilities do not add up"),
    ],
)
def test_numbers_that_are_none_are_refused(
    changed: dict[str, object], policy: list[tuple[float, ...]], sentence: str
) -> None:
    decision = Decision(propensities=(1.0, 0.0), shown=0, reward=0.0, customer="c")
    with pytest.raises(ValueError, match=sentence):
        evaluate([replace(decision, **changed)], policy)  # type: ignore[arg-type]


def test_weights_are_not_cut_off_at_nothing() -> None:
    with pytest.raises(ValueError, match="cut off above 0"):
        evaluate([], [], clip=0.0)
