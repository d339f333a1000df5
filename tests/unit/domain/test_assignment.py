"""Who is held out and who sees what: as many as was asked for, always the same ones, and nobody can choose."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import accumulate

import pytest

from flask_encore.domain.assignment import Arm, assign, variant_of
from flask_encore.domain.errors import InvalidInput

SALT = b"sixteen bytes !!"


def held_out(percent: float, *, salt: bytes = SALT) -> set[str]:
    subjects = (f"c-{number}" for number in range(20_000))
    return {subject for subject in subjects if assign(subject, salt=salt, holdout_percent=percent) is Arm.HOLDOUT}


@pytest.mark.parametrize(("percent", "count"), [(0, 0), (0.5, 102), (10, 2_027), (50, 10_074), (100, 20_000)])
def test_the_share_that_was_asked_for_is_held_out(percent: float, count: int) -> None:
    """Of 20,000; each count is within one standard deviation of the share, as a fair draw's mostly is."""
    assert len(held_out(percent)) == count


def test_the_same_subject_is_always_on_the_same_side() -> None:
    assert held_out(10) == held_out(10)


def test_a_larger_holdout_keeps_everybody_who_was_in_the_smaller_one() -> None:
    assert held_out(5) < held_out(10) < held_out(20)


def test_another_salt_holds_out_others() -> None:
    """Knowing one's reference is not enough to know one's side."""
    here, there = held_out(10), held_out(10, salt=b"another salt !!!")
    assert len(here & there) == 194  # 10 percent of 10 percent would be 200


def test_the_side_of_a_subject_is_written_down_for_ever() -> None:
    """A change of the hash would reshuffle every running experiment; these may never change."""
    sides = [assign(f"c-{number}", salt=SALT, holdout_percent=50).value for number in range(6)]
    assert sides == ["treatment", "holdout", "holdout", "treatment", "treatment", "treatment"]


WEIGHTS = {"holdout": 1_000, "A": 4_500, "B": 4_500}


def dealt(weights: dict[str, int], *, salt: bytes = SALT) -> dict[str, str]:
    subjects = (f"c-{number}" for number in range(5_000))
    return {subject: variant_of(subject, salt=salt, weights=weights) for subject in subjects}


def moves(before: dict[str, int], after: dict[str, int]) -> set[tuple[str, str]]:
    """From which variant to which anybody moves when the weights change."""
    here, there = dealt(before), dealt(after)
    return {(here[subject], there[subject]) for subject in here if here[subject] != there[subject]}


def test_every_variant_gets_the_share_of_its_weight() -> None:
    assert Counter(dealt(WEIGHTS).values()) == {"holdout": 494, "A": 2_235, "B": 2_271}
    assert Counter(dealt({"A": 10_000}).values()) == {"A": 5_000}
    assert Counter(dealt({"holdout": 10_000, "A": 0}).values()) == {"holdout": 5_000}


def test_an_experiments_holdout_is_the_hash_of_the_standing_one() -> None:
    assert {subject for subject, name in dealt(WEIGHTS).items() if name == "holdout"} == held_out(10) & dealt(
        WEIGHTS
    ).keys()


def test_the_variant_of_a_subject_is_written_down_for_ever() -> None:
    """A change of the hash would reshuffle every running experiment; these may never change."""
    told = [variant_of(f"c-{number}", salt=SALT, weights=WEIGHTS) for number in range(8)]
    assert told == ["B", "holdout", "A", "A", "B", "A", "B", "B"]


def test_the_order_of_the_variants_does_not_matter() -> None:
    assert dealt(WEIGHTS) == dealt(dict(reversed(WEIGHTS.items())))


def test_another_experiment_deals_independently() -> None:
    here, there = dealt({"A": 5_000, "B": 5_000}), dealt({"A": 5_000, "B": 5_000}, salt=b"another salt !!!")
    assert sum(here[subject] == there[subject] for subject in here) == 2_514  # half of them would be 2,500


def test_a_larger_holdout_takes_from_the_variants_and_moves_nobody_between_them() -> None:
    assert moves(WEIGHTS, {"holdout": 2_000, "A": 4_000, "B": 4_000}) == {("A", "holdout"), ("B", "holdout")}


def test_a_variant_that_grows_only_wins_and_the_others_exchange_nobody() -> None:
    before, after = {"A": 4_000, "B": 3_000, "C": 3_000}, {"A": 6_000, "B": 2_000, "C": 2_000}
    assert moves(before, after) == {("B", "A"), ("C", "A")}
    assert moves(after, before) == {("A", "B"), ("A", "C")}


def test_a_new_variant_takes_from_all_and_an_ended_one_gives_to_all() -> None:
    two, three = {"A": 5_000, "B": 5_000, "C": 0}, {"A": 4_000, "B": 4_000, "C": 2_000}
    assert moves(two, three) == {("A", "C"), ("B", "C")}
    assert moves(three, two) == {("C", "A"), ("C", "B")}


def test_one_line_of_shares_would_have_moved_people_between_the_others() -> None:
    """The control: the usual way, one hash and a line cut into shares. C grows, and people move from A to B."""

    def usual(subject: str, weights: dict[str, int]) -> str:
        place = int.from_bytes(hashlib.sha256(SALT + subject.encode()).digest()[:4], "big") * 10_000 >> 32
        return next(name for name, end in zip(weights, accumulate(weights.values()), strict=True) if place < end)

    before, after = {"A": 3_000, "B": 3_000, "C": 4_000}, {"A": 2_000, "B": 2_000, "C": 6_000}
    subjects = [f"c-{number}" for number in range(5_000)]
    moved = {(usual(each, before), usual(each, after)) for each in subjects}
    assert ("A", "B") in moved
    assert ("A", "B") not in moves(before, after)


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"A": 5_000},
        {"A": 5_000, "B": 5_001},
        {"A": 10_001, "B": -1},
        {"A": 5_000.0, "B": 5_000.0},
        {"": 10_000},
        {"A\0B": 10_000},
    ],
)
def test_weights_that_do_not_add_up_are_refused(weights: dict[str, int]) -> None:
    with pytest.raises(InvalidInput):
        variant_of("c-1", salt=SALT, weights=weights)
