"""Who is held out: as many as was asked for, always the same ones, and nobody can choose."""

from __future__ import annotations

import pytest

from flask_encore.domain.assignment import Arm, assign

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
