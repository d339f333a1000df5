"""Stripe's form encoding."""

from __future__ import annotations

import pytest

from flask_encore.testing.stripe_simulator import StripeError, forms


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        ("amount=500", {"amount": "500"}),
        ("metadata[a]=1&metadata[b]=2", {"metadata": {"a": "1", "b": "2"}}),
        ("metadata[0]=digit", {"metadata": {"0": "digit"}}),
        ("expand[0]=a&expand[1]=b", {"expand": ["a", "b"]}),
        ("expand[]=a&expand[]=b", {"expand": ["a", "b"]}),
        ("l[1][q]=2&l[0][q]=1", {"l": [{"q": "1"}, {"q": "2"}]}),
        ("created[gte]=5&created[lt]=9", {"created": {"gte": "5", "lt": "9"}}),
        ("name=K%C3%A4se+%26+Brot", {"name": "Käse & Brot"}),
        ("empty=", {"empty": ""}),
        ("", {}),
    ],
)
def test_brackets_nest(encoded: str, decoded: dict[str, object]) -> None:
    assert forms.decode(encoded) == decoded


def test_a_name_is_a_value_or_a_container_and_not_both() -> None:
    with pytest.raises(StripeError, match="both a value and a container"):
        forms.decode("a=1&a[b]=2")
    with pytest.raises(StripeError, match="both a value and a container"):
        forms.decode("a[b]=2&a=1")


def test_metadata_merges_and_an_empty_value_removes() -> None:
    current = {"keep": "1", "drop": "2"}

    assert forms.merged_metadata(current, {"metadata": {"drop": "", "new": "3"}}) == {"keep": "1", "new": "3"}
    assert forms.merged_metadata(current, {"metadata": ""}) == {}
    assert forms.merged_metadata(current, {}) == current


@pytest.mark.parametrize(
    "metadata",
    [{"k" * 41: "v"}, {"k": "v" * 501}, {f"k{number}": "v" for number in range(51)}, {"k": ["v"]}, "text"],
    ids=["long key", "long value", "51 keys", "list", "not a hash"],
)
def test_metadata_over_stripes_limits_is_refused(metadata: object) -> None:
    with pytest.raises(StripeError):
        forms.merged_metadata({}, {"metadata": metadata})
