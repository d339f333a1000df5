"""Experiments as JSON: every error at once by its path, and written as they are read."""

from __future__ import annotations

from typing import Any

import pytest
from experiments import defined, discounts, wording

from flask_encore.services.experiment_schema import ExperimentRefused, definition_of, experiment_of


def errors_of(definition: Any) -> dict[str, list[str]]:
    with pytest.raises(ExperimentRefused) as refusal:
        experiment_of(definition, linted=True)
    return refusal.value.errors


@pytest.mark.parametrize(
    "definition",
    [
        defined(),
        defined(varies="discount", variants=discounts(5, 20), baseline="5 %", holdout=0, worth=50),
        defined(
            varies="discount",
            campaign="built-in",
            variants=[
                {"name": "as it is", "weight": 4_000},
                {"name": "£1 off", "weight": 5_000, "discount": {"amounts": {"gbp": "1.00"}}},
            ],
            holdout=1_000,
        ),
        defined(
            varies="campaign",
            variants=[{"name": "as it is", "weight": 5_000}, {"name": "mug", "weight": 5_000, "campaign": "mug"}],
        ),
        defined(
            varies="model",
            campaign=None,
            variants=[{"name": "as it is", "weight": 5_000}, {"name": "old", "weight": 5_000, "model": "2026-1"}],
        ),
    ],
)
def test_what_is_written_reads_back_the_same(definition: dict[str, Any]) -> None:
    written = definition_of(experiment_of(definition, linted=True))
    assert {**written, **definition} == written
    assert definition_of(experiment_of(written)) == written


def test_every_error_is_told_at_once_by_its_path() -> None:
    assert errors_of(
        {
            "ref": "Not A Ref",
            "varies": "colour",
            "holdout": "10%",
            "basline": "a",
            "variants": [{"name": "a", "weight": 1.5}, {"weight": 5_000, "discount": {"percent": 120}}],
        }
    ) == {
        "ref": ["has to be 1 to 64 small letters, digits and hyphens, got 'Not A Ref'."],
        "name": ["is missing."],
        "varies": ["has to be one of copy, discount, campaign, model, got 'colour'."],
        "holdout": ["has to be a whole number from 0 to 5000, got '10%'."],
        "baseline": ["is missing."],
        "variants[0].weight": ["has to be a whole number from 1 to 10000, got 1.5."],
        "variants[1].name": ["is missing."],
        "variants[1].discount.percent": ["has to be a whole number from 0 to 100, got 120."],
        "basline": ["is not known here. Did you mean 'baseline'?"],
    }


def test_words_that_press_are_refused_where_they_stand_and_read_where_they_are_stored() -> None:
    variants = [{"name": "as it is", "weight": 5_000}, {"name": "b", "weight": 5_000, "copy": wording("Only today!")}]
    found = errors_of(defined(variants=variants))
    assert list(found) == ["variants[1].copy.en.headline"]
    assert experiment_of(defined(variants=variants)).variants[1].name == "b"


@pytest.mark.parametrize(
    "definition",
    [None, [], "x", {"variants": {}}, {"variants": [None, 3]}, {"variants": [{"copy": []}, {"copy": {"en": 3}}]}],
)
def test_what_is_no_experiment_at_all_is_refused_and_nothing_breaks(definition: Any) -> None:
    assert errors_of(definition)


def test_weights_that_are_not_everybody_are_told_as_a_share_too() -> None:
    variants = [{"name": "as it is", "weight": 5_000}, {"name": "b", "weight": 4_000}]
    assert errors_of(defined(variants=variants)) == {
        "variants": ["with the holdout have to be 10,000 basis points (100 %) in all, got 9,000 (90 %)."]
    }
