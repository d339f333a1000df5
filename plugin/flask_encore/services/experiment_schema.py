"""Experiments as JSON: read strictly, with every error at once and its path, and written in one canonical form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import ValidationError
from marshmallow import fields as ma

from flask_encore.domain.assignment import ALL
from flask_encore.domain.campaigns import BUILT_IN, MAX_NAME, checked_campaign_ref
from flask_encore.domain.experiments import (
    MAX_HOLDOUT,
    MAX_VARIANT_NAME,
    MAX_VARIANTS,
    Experiment,
    RunningExperiment,
    Variant,
    Varies,
)
from flask_encore.domain.orders import checked_ref
from flask_encore.domain.rule_json import short
from flask_encore.services.campaign_fields import ByLanguage, Checked, OneOf, Text, Told, Whole
from flask_encore.services.campaign_schema import (
    DefinitionRefused,
    DiscountJson,
    Strict,
    WordingJson,
    json_of,
    loaded,
    pressing_copy,
)


class ExperimentRefused(DefinitionRefused):
    """An experiment cannot be used as it is written, or not now."""


class _Variant(Strict):
    makes = Variant
    name = Text(MAX_VARIANT_NAME, least=1, required=True)
    weight = Whole(1, ALL, required=True)
    wording = ByLanguage(WordingJson(), data_key="copy")
    discount = ma.Nested(DiscountJson)
    campaign = Checked(checked_campaign_ref)
    model = Checked()


class _Variants(Told):
    """A list of variants; an error has the place in the list."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValidationError(f"has to be a list of variants, got {short(value)}.")
        if not 2 <= len(value) <= MAX_VARIANTS:
            raise ValidationError(f"has to be a list of 2 to {MAX_VARIANTS} variants, got {len(value)}.")
        found, wrong = [], {}
        for place, one in enumerate(value):
            try:
                found.append(_VARIANT.load(one))
            except ValidationError as refusal:
                wrong[place] = refusal.messages
        if wrong:
            raise ValidationError(wrong)
        return tuple(found)


class _Experiment(Strict):
    makes = Experiment
    ref = Checked(checked_campaign_ref, required=True)
    name = Text(MAX_NAME, least=1, required=True)
    varies = OneOf(Varies, required=True)
    campaign = Checked(lambda name, value: value if value == BUILT_IN else checked_campaign_ref(name, value))
    holdout = Whole(0, MAX_HOLDOUT)
    worth = Whole(1, ALL)
    baseline = Checked(checked_ref, required=True)
    variants = _Variants(required=True)


_VARIANT = _Variant()
_EXPERIMENT = _Experiment()


def experiment_of(definition: object, *, linted: bool = False) -> Experiment:
    """The experiment that *definition*, JSON values that anybody may have written, describes.

    Args:
        linted: Refuse words that press, as `campaign_schema.campaign_of` does.

    Raises:
        ExperimentRefused: With every error, by its path.
    """
    experiment, errors = loaded(_EXPERIMENT, definition)
    for path, sentence in _pressing(definition) if linted else ():
        errors.setdefault(path, []).append(sentence)
    if errors:
        raise ExperimentRefused(errors)
    assert isinstance(experiment, Experiment)
    return experiment


def running_of(row: Mapping[Any, Any]) -> RunningExperiment:
    """A running experiment from its definition, salt and version.

    Raises:
        ExperimentRefused: If its definition is not one this release can read.
    """
    return RunningExperiment(
        experiment=experiment_of(row["definition"]), salt=bytes.fromhex(row["salt"]), version=row["version"]
    )


def definition_of(experiment: Experiment) -> dict[str, Any]:
    """*experiment* as JSON values, in one order of fields: `experiment_of` reads the same experiment back."""
    subject = {} if experiment.campaign is None else {"campaign": experiment.campaign}
    return {
        "ref": experiment.ref,
        "name": experiment.name,
        "varies": experiment.varies.value,
        **subject,
        "holdout": experiment.holdout,
        "worth": experiment.worth,
        "baseline": experiment.baseline,
        "variants": [_written(one) for one in experiment.variants],
    }


def _written(variant: Variant) -> dict[str, Any]:
    said: dict[str, Any] = {"name": variant.name, "weight": variant.weight}
    if variant.wording is not None:
        said["copy"] = json_of(variant.wording)
    if variant.discount is not None:
        said["discount"] = json_of(variant.discount)
    return said | {name: told for name in ("campaign", "model") if (told := getattr(variant, name)) is not None}


def _pressing(definition: object) -> Iterator[tuple[str, str]]:
    variants = definition.get("variants") if isinstance(definition, Mapping) else None
    for place, variant in enumerate(variants if isinstance(variants, list | tuple) else ()):
        if place == MAX_VARIANTS:
            return  # the list is refused for its length
        yield from pressing_copy(variant, "variants", place)
