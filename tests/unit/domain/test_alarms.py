"""The alarms' test: exact, silent on few, silent in a healthy shop, and awake when something really drops."""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb

import pytest

from flask_encore.domain.alarms import ALPHA, MIN_BEFORE, MIN_RECENT, Counted, Verdict, chance, watch

#: Four weeks, in hours: what the last day is compared with, and how long a healthy shop is watched.
MONTH = 28 * 24


def counted(trials: int, bad: int) -> Counted:
    return Counted(trials=trials, bad=bad)


def exactly(recent: Counted, before: Counted) -> Fraction:
    """Fisher's one-sided p, counted out in whole numbers."""
    bad, everything = recent.bad + before.bad, recent.trials + before.trials
    ways = sum(
        comb(bad, k) * comb(everything - bad, recent.trials - k)
        for k in range(recent.bad, min(bad, recent.trials) + 1)
        if recent.trials - k <= everything - bad
    )
    return Fraction(ways, comb(everything, recent.trials))


@pytest.mark.parametrize(
    ("recent", "before"),
    [
        (counted(40, 9), counted(400, 30)),
        (counted(40, 40), counted(400, 0)),
        (counted(40, 40), counted(300, 290)),
        (counted(5, 4), counted(5, 1)),
        (counted(900, 120), counted(9_000, 900)),
        (counted(30, 30), counted(300, 280)),
    ],
)
def test_the_chance_is_fishers_to_nine_digits(recent: Counted, before: Counted) -> None:
    assert chance(recent, before) == pytest.approx(float(exactly(recent, before)), rel=1e-9)


def test_no_worse_than_before_needs_no_test() -> None:
    assert chance(counted(100, 5), counted(1_000, 50)) == 1.0
    assert chance(counted(100, 0), counted(1_000, 50)) == 1.0


@pytest.mark.parametrize(
    ("recent", "before"), [(counted(29, 29), counted(3_000, 3)), (counted(900, 900), counted(299, 3))]
)
def test_too_few_say_nothing_however_bad_they_are(recent: Counted, before: Counted) -> None:
    assert (MIN_RECENT, MIN_BEFORE) == (30, 300)
    alarm = watch(recent, before)
    assert (alarm.verdict, alarm.p) == (Verdict.TOO_FEW, None)


def test_nothing_at_all_is_too_few() -> None:
    assert watch(counted(0, 0), counted(0, 0)).verdict is Verdict.TOO_FEW
    assert counted(0, 0).rate is None


@pytest.mark.parametrize("wrong", [counted(3, 4), counted(3, -1), counted(-1, 0)])
def test_what_is_no_rate_is_refused(wrong: Counted) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        watch(wrong, counted(300, 3))


def test_a_bank_that_refuses_thrice_as_often_is_an_alarm() -> None:
    assert watch(counted(120, 29), counted(3_000, 240)).verdict is Verdict.WORSE


def test_better_is_never_an_alarm() -> None:
    assert watch(counted(900, 1), counted(9_000, 900)).verdict is Verdict.FINE


def test_a_small_change_is_no_alarm_however_certain() -> None:
    # 8 % and 9 %, of so many that chance is out of the question.
    alarm = watch(counted(90_000, 8_100), counted(900_000, 72_000))
    assert alarm.p is not None
    assert (alarm.p < ALPHA, alarm.verdict) == (True, Verdict.FINE)


def test_of_what_is_mostly_bad_the_good_part_counts() -> None:
    # Accepted: 10 % before, 4 % now; not accepted grew by a fifteenth.
    assert watch(counted(600, 576), counted(16_000, 14_400)).verdict is Verdict.WORSE


def independent(rng: random.Random, looks: int, *, trials: int, rate: float) -> int:
    """False alarms of *looks* at days and months that share nothing."""
    found = 0
    for _ in range(looks):
        recent = counted(trials, sum(rng.random() < rate for _ in range(trials)))
        # Four weeks of the same rate; the binomial of so many is normal to within a thousandth.
        many = 28 * trials
        bad = round(rng.gauss(many * rate, (many * rate * (1 - rate)) ** 0.5))
        found += watch(recent, counted(many, min(max(bad, 0), many))).verdict is Verdict.WORSE
    return found


def test_of_twenty_thousand_looks_at_healthy_shops_two_at_most_are_alarms() -> None:
    rng = random.Random(11)
    found = sum(independent(rng, 5_000, trials=trials, rate=rate) for trials in (30, 60) for rate in (0.08, 0.9))
    # One in ten thousand at most is what the test promises: 2 expected of 20,000, fewer because counts are whole.
    assert found <= 2


def hourly(rng: random.Random, *, per_hour: int, rate: float, drops_to: float | None = None) -> tuple[int, bool]:
    """Two months of trials an hour, looked at every hour of the second; (looks that alarmed, of the last 24 any)."""
    hours = 2 * MONTH
    trials, bad = [0], [0]
    for hour in range(hours):
        now = drops_to if drops_to is not None and hour >= hours - 24 else rate
        came = sum(rng.random() < 0.25 for _ in range(4 * per_hour))
        trials.append(trials[-1] + came)
        bad.append(bad[-1] + sum(rng.random() < now for _ in range(came)))
    alarms = [
        watch(
            counted(trials[at] - trials[at - 24], bad[at] - bad[at - 24]),
            counted(trials[at - 24] - trials[at - 24 - MONTH], bad[at - 24] - bad[at - 24 - MONTH]),
        ).verdict
        is Verdict.WORSE
        for at in range(MONTH + 24, hours + 1)
    ]
    return sum(alarms), any(alarms[-24:])


@pytest.mark.parametrize(("per_hour", "rate", "months"), [(4, 0.08, 0), (4, 0.9, 0), (20, 0.08, 1), (20, 0.9, 1)])
def test_a_healthy_shop_watched_every_hour_for_forty_months_is_alarmed_in_one_of_them_at_most(
    per_hour: int, rate: float, months: int
) -> None:
    rng = random.Random(7)
    assert sum(hourly(rng, per_hour=per_hour, rate=rate)[0] > 0 for _ in range(40)) == months


@pytest.mark.parametrize(("rate", "drops_to"), [(0.08, 0.30), (0.9, 0.98)])
def test_control_a_real_drop_is_caught_within_a_day(rate: float, drops_to: float) -> None:
    rng = random.Random(7)
    caught = sum(hourly(rng, per_hour=20, rate=rate, drops_to=drops_to)[1] for _ in range(20))
    assert caught == 20
