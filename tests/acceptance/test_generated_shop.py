"""Every journey through the generated shop, and the command that opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from acceptance import journey
from acceptance.journey import JOURNEYS, ShopAt, Shopper


@pytest.mark.parametrize("walk", JOURNEYS, ids=lambda walk: walk.__name__)
def test_in_the_generated_shop(walk: Callable[[ShopAt], None], generated_shop: ShopAt) -> None:
    walk(generated_shop)


def test_the_command_prints_a_thank_you_page_with_a_well_chosen_offer_and_closes_when_told(tmp_path: Path) -> None:
    with journey.opened(tmp_path / "instance", "--no-past") as demo:
        sample = next(line.split()[1] for line in demo.said if line.split()[:1] == ["Thank-you"])
        page = Shopper(demo.shop.url).go(sample)
    assert page.state == "open"
    assert "Ceremonial Matcha, 30 g" in page.text
    assert page.offered == "Bamboo Matcha Whisk"
