"""What a number means is written once; the documents repeat it word by word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flask_encore.domain.definitions import CONVERSION_RATE, DEFINITIONS, NET_REVENUE

PAGE = Path(__file__).resolve().parents[3] / "docs" / "statistics.md"


def test_a_tooltip_says_what_is_divided_by_what() -> None:
    assert CONVERSION_RATE.sentence == (
        "Orders whose offer was accepted ÷ orders whose offer was shown. "
        "What the bank and the shopper did afterwards does not change it."
    )


def test_an_amount_is_divided_by_nothing() -> None:
    assert NET_REVENUE.formula == (
        "charged by offers − refunded − undone − disputed − Stripe's fees where they are known"
    )


def test_the_page_lists_every_definition_as_the_tooltips_have_it() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| **")]
    assert rows == [f"| **{each.name}** | {each.formula} | {each.note} |" for each in DEFINITIONS]


def test_the_pages_example_runs_and_says_this(capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    exec(found[1], {})
    assert capsys.readouterr().out.splitlines() == [
        "83.8 pence an order, from 69.7 to 97.8",
        "more orders until 5 pence would show: 48009",
    ]
