"""What an experiment is, and what a variant makes of the campaign it is about."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from flask_encore.domain.book import Book, Listed, built_in
from flask_encore.domain.campaigns import Budget, Campaign, CampaignStatus
from flask_encore.domain.errors import IllegalTransition, InvalidInput
from flask_encore.domain.experiments import (
    NEXT,
    Experiment,
    ExperimentStatus,
    RunningExperiment,
    Variant,
    Varies,
    to,
    varied,
)
from flask_encore.domain.kinds import Bundle, Discount, Fixed
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Placement
from flask_encore.domain.wording import Wording

TEA = Campaign(
    ref="tea",
    name="Tea",
    offer=Fixed(skus=("tea",), discount=Discount(percent=10)),
    status=CampaignStatus.LIVE,
    wording={"en": Wording(headline="Tea for your pot?"), "de": Wording(headline="Tee?")},
    budget=Budget(units=5),
)
MUG = Campaign(ref="mug", name="Mug", offer=Fixed(skus=("mug",)), on_decline="tea", on_accept="pot", timer_minutes=5)


def experiment(**changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "ref": "words",
        "name": "Words",
        "varies": Varies.COPY,
        "campaign": "tea",
        "baseline": "a",
        "variants": (Variant(name="a", weight=5_000), Variant(name="b", weight=5_000)),
    }
    return Experiment(**values | changes)


def test_a_status_moves_only_forwards() -> None:
    assert to(ExperimentStatus.DRAFT, ExperimentStatus.RUNNING) is ExperimentStatus.RUNNING
    for current in ExperimentStatus:
        for wanted in set(ExperimentStatus) - NEXT[current]:
            with pytest.raises(IllegalTransition):
                to(current, wanted)
    assert NEXT[ExperimentStatus.STOPPED] == {ExperimentStatus.ARCHIVED}


def test_the_deal_follows_the_weights_and_the_holdout() -> None:
    variants = (Variant(name="a", weight=2_000), Variant(name="b", weight=7_000))
    running = RunningExperiment(experiment=experiment(variants=variants, holdout=1_000), salt=b"salt", version=1)
    found = Counter(running.variant_for(f"customer-{n}") for n in range(20_000))
    assert {name: round(found[name] / 200) for name in ("holdout", "a", "b")} == {"holdout": 10, "a": 20, "b": 70}


def test_two_experiments_deal_independently_of_each_other() -> None:
    first, second = (RunningExperiment(experiment=experiment(), salt=salt, version=1) for salt in (b"one", b"two"))
    both = Counter((first.variant_for(f"c-{n}"), second.variant_for(f"c-{n}")) for n in range(20_000))
    assert {pair: round(many / 1_000) for pair, many in both.items()} == {
        (one, other): 5 for one in "ab" for other in "ab"
    }


def test_words_replace_those_of_their_language_and_leave_the_others() -> None:
    made = varied(TEA, Variant(name="b", weight=1, wording={"en": Wording(headline="Tea?")}))
    assert made == replace(TEA, wording={"en": Wording(headline="Tea?"), "de": Wording(headline="Tee?")})


def test_a_discount_replaces_the_campaigns_own() -> None:
    made = varied(TEA, Variant(name="b", weight=1, discount=Discount(percent=25)))
    assert made is not None
    assert made.offer == Fixed(skus=("tea",), discount=Discount(percent=25))


def test_a_bundle_has_no_discount_to_replace() -> None:
    bundle = replace(TEA, offer=Bundle(skus=("tea", "mug"), prices={"gbp": Money(100, "gbp")}))
    assert varied(bundle, Variant(name="b", weight=1, discount=Discount(percent=25))) is None


def test_another_campaign_brings_its_offer_and_not_its_ref_or_budget() -> None:
    made = varied(TEA, Variant(name="b", weight=1, campaign="mug"), other=MUG)
    assert made == replace(
        TEA, offer=Fixed(skus=("mug",)), wording={}, timer_minutes=5, on_accept="pot", on_decline=None
    )


@pytest.mark.parametrize(
    "other",
    [None, replace(MUG, placement=Placement.ORDER_STATUS), replace(MUG, budget=Budget(units=1))],
    ids=["gone", "another page", "a budget"],
)
def test_another_campaign_that_cannot_stand_in_is_not_made(other: Campaign | None) -> None:
    assert varied(TEA, Variant(name="b", weight=1, campaign="mug"), other=other) is None


def test_a_variant_that_says_nothing_leaves_the_campaign_as_it_is() -> None:
    assert varied(TEA, Variant(name="a", weight=1)) is TEA


def test_the_built_in_offer_can_be_varied_and_keeps_its_ref() -> None:
    made = varied(built_in(discount_percent=10).campaign, Variant(name="b", weight=1, discount=Discount(percent=20)))
    assert made is not None
    assert (made.ref, made.offer.discount.percent) == ("built-in", 20)  # type: ignore[union-attr]


def test_a_book_without_experiments_answers_the_very_campaign() -> None:
    listed = Listed(campaign=TEA, version=3)
    assert Book([listed]).dealt(listed, "c-17") is listed


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"varies": "price"}, "varies"),
        ({"campaign": None}, "campaign is missing: the one whose words varies"),
        ({"varies": Varies.MODEL}, "campaign has to be left out"),
        ({"baseline": "c"}, "baseline has to be the name of a variant"),
        ({"holdout": 6_000}, "holdout has to be whole basis points from 0 to 5,000"),
        ({"holdout": 1_000}, r"10,000 basis points \(100 %\) in all, got 11,000 \(110 %\)"),
        ({"worth": 0}, "worth has to be"),
        ({"ref": "x" * 49}, "ref has to be at most 48 characters"),
        ({"name": " "}, "name has to be"),
        ({"variants": (Variant(name="a", weight=10_000),)}, "variants have to be 2 to 8, got 1"),
        ({"variants": (Variant(name="a", weight=5_000), Variant(name="A ", weight=5_000))}, "all different"),
        (
            {"variants": (Variant(name="a", weight=5_000), Variant(name="b", weight=5_000, model="m"))},
            "can only say what varies, which is the copy",
        ),
        (
            {
                "varies": Varies.CAMPAIGN,
                "variants": (Variant(name="a", weight=5_000), Variant(name="b", weight=5_000, campaign="tea")),
            },
            "leave the campaign as it is name none",
        ),
    ],
)
def test_what_is_no_experiment_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        experiment(**changes)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"name": "Holdout", "weight": 1}, "that is who is offered nothing"),
        ({"name": "", "weight": 1}, "name has to be"),
        ({"name": "a", "weight": 0}, "weight has to be whole basis points from 1"),
        ({"name": "a", "weight": True}, "weight"),
        ({"name": "a\0b", "weight": 1}, "U\\+0000"),
    ],
)
def test_what_is_no_variant_is_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Variant(**values)
