"""Picking the offer to show, and learning from those that were shown, without a shop around it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from encore_recommender.scorecard import PRIOR
from encore_recommender.scorecard_file import load, save
from flask_encore.domain.acceptance import Eligible, Pick, Shown
from flask_encore.domain.offers import Candidate
from flask_encore.ranking.acceptance import FILE, LearnedAcceptance

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)


def eligible(sku: str, probability: float | None, *, margin: int | None = 100, kept: float | None = 1.0) -> Eligible:
    candidate = Candidate(sku=sku, score=1.0, kind="co_purchase", probability=probability, kept_rate=kept)
    return Eligible(candidate=candidate, price_ratio=0.3, discount=0.1, category="", margin_minor=margin)


def pick(acceptance: LearnedAcceptance, *offers: Eligible, **changed: Any) -> Pick:
    options = {"order_ref": "1042", "placement": "thank_you", "step": 0, "dial": 0.0, "explore": False}
    return acceptance.pick(offers, **(options | changed))


def shown(sku: str, accepted: bool, *, of: int, propensity: float = 0.5) -> Shown:
    """A decision between a mug and a tea, equally likely bought."""
    entries = [
        {
            "sku": name,
            "kind": "co_purchase",
            "support": 9,
            "probability": 0.1,
            "kept_rate": None,
            "price_ratio": 0.3,
            "discount": 0.1,
            "category": "",
            "margin": 100,
            "chance": 0.1,
            "propensity": propensity if name == sku else 1.0 - propensity,
        }
        for name in ("mug", "tea")
    ]
    entries.append({"sku": "gone", "filtered": "sold_out"})
    return Shown(entries=entries, sku=sku, subject=f"c{of}", placement="thank_you", step=0, accepted=accepted)


def test_before_anything_was_learned_the_likeliest_is_shown(tmp_path: Path) -> None:
    found = pick(LearnedAcceptance(tmp_path), eligible("mug", 0.05), eligible("tea", 0.08))
    assert (found.position, found.propensities) == (1, (0.0, 1.0))
    assert found.chances == pytest.approx((0.05, 0.08))


def test_what_comes_back_often_is_worth_less(tmp_path: Path) -> None:
    found = pick(LearnedAcceptance(tmp_path), eligible("mug", 0.08, kept=0.5), eligible("tea", 0.05, kept=None))
    assert found.position == 1
    assert found.chances == pytest.approx((0.04, 0.05))


def test_a_ranker_of_the_shops_own_keeps_its_order(tmp_path: Path) -> None:
    found = pick(
        LearnedAcceptance(tmp_path), eligible("mug", None), eligible("tea", 0.9, margin=900), dial=1.0, explore=True
    )
    assert found == Pick(position=0, chances=(), propensities=(1.0, 0.0))


def test_a_new_scorecard_is_served_at_once_and_a_bad_one_never(tmp_path: Path) -> None:
    acceptance = LearnedAcceptance(tmp_path)
    assert pick(acceptance, eligible("mug", 0.5)).chances == pytest.approx((0.5,))
    save(replace(PRIOR, intercept=-2.0), tmp_path / FILE, created_at=NOW)
    lower = pick(acceptance, eligible("mug", 0.5)).chances
    assert lower == pytest.approx((0.1192,), abs=1e-4)
    (tmp_path / FILE).write_text("torn")
    assert pick(acceptance, eligible("mug", 0.5)).chances == lower
    (tmp_path / FILE).unlink()
    assert pick(acceptance, eligible("mug", 0.5)).chances == lower


def test_it_learns_what_became_of_each_product(tmp_path: Path) -> None:
    acceptance = LearnedAcceptance(tmp_path)
    log = [shown("tea" if n % 2 else "mug", n % 8 == 1, of=n) for n in range(1_000)]
    report = acceptance.learn(log, dial=0.0, now=NOW)
    assert (report.impressions, report.accepted) == (1_000, 125)
    assert report.judgement.startswith("Accepted per offer 0.2")
    assert "better than what is live" in report.judgement
    assert load(tmp_path / FILE).version == report.version
    assert load(tmp_path / FILE).seen == {"mug": (500, 0), "tea": (500, 125)}
    assert pick(acceptance, eligible("mug", 0.1), eligible("tea", 0.1)).position == 1


def test_what_would_have_earned_less_than_what_is_live_is_not_put_live(tmp_path: Path) -> None:
    # For 800 decisions shoppers took mugs, since then tea: whoever learned from the former shows what nobody wants.
    log = [shown("tea" if n % 2 else "mug", (n % 2 == 0) == (n < 800), of=n) for n in range(1_000)]
    report = LearnedAcceptance(tmp_path).learn(log, dial=0.0, now=NOW)
    assert report.version == ""
    assert "worse than what is live" in report.judgement
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_never_varied_says_that_it_cannot_judge_and_teaches_all_the_same(tmp_path: Path) -> None:
    log = [shown("mug", False, of=n, propensity=1.0) for n in range(600)]
    report = LearnedAcceptance(tmp_path).learn(log, dial=0.0, now=NOW)
    assert report.version != ""
    assert "nobody knows what would have come of it: explore for a while" in report.judgement


def test_decisions_without_what_was_weighed_teach_nothing(tmp_path: Path) -> None:
    early = replace(shown("mug", True, of=1), entries=[{"sku": "mug", "filtered": ""}])
    own_ranker = replace(shown("mug", True, of=2), entries=[{"sku": "mug", "filtered": "", "chance": None}])
    report = LearnedAcceptance(tmp_path).learn([early, own_ranker], dial=0.0, now=NOW)
    assert (report.version, report.impressions, report.judgement) == ("", 0, "")
    assert list(tmp_path.iterdir()) == []
