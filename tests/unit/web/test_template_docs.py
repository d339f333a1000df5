"""docs/templates.md names every template, every name in them and every custom property, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import flask_encore
from encore_static import OFFER
from flask_encore.web.contexts import (
    CardChoice,
    CardContext,
    CardLine,
    CardState,
    CardText,
    CardUrls,
    Notice,
    OfferCard,
)

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "templates.md").read_text(encoding="utf-8")
TEMPLATES = Path(flask_encore.__file__).parent / "templates" / "encore" / "offer"


def table(name: str) -> list[tuple[str, str]]:
    """The first cell, without its backticks, and the rest of each row of a table."""
    found = re.search(rf"<!-- table: {name} -->\n((?:\|.*\n)+)", DOCUMENT)
    assert found, f"docs/templates.md has no table {name}"
    rows = [line.strip("|").split(" | ", 1) for line in found[1].splitlines()[2:]]
    return [(first.strip(" `"), rest) for first, rest in rows]


def names(context: Any) -> list[str]:
    return [field.name for field in fields(context)]


@pytest.mark.parametrize("context", [CardContext, OfferCard, CardUrls], ids=lambda context: context.__name__)
def test_every_name_a_template_gets_is_documented_in_its_order(context: Any) -> None:
    assert [name for name, _ in table(context.__name__)] == names(context)


def test_every_template_is_documented() -> None:
    assert sorted(name for name, _ in table("templates")) == sorted(path.name for path in TEMPLATES.iterdir())


def test_every_custom_property_is_documented() -> None:
    css = (OFFER / "offer.css").read_text(encoding="utf-8")
    assert {name for name, _ in table("properties")} == set(re.findall(r"var\((--encore-[a-z-]+)", css))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("state", list(CardState)),
        ("notice", [notice for notice in Notice if notice]),
        ("lines", names(CardLine)),
        ("choices", names(CardChoice)),
        ("text", names(CardText)),
    ],
)
def test_what_a_field_is_made_of_is_documented(field: str, values: list[str]) -> None:
    assert re.findall(r"`(\w+)`", dict(table("OfferCard"))[field].replace("`None`", "")) == values
