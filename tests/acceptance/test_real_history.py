"""The same shop stocked from a real history: 527,725 lines of UCI's Online Retail (CC BY 4.0), never committed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from acceptance import journey
from conftest import skip

HISTORY = Path(
    os.environ.get("ENCORE_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data" / "online_retail_2011.csv.gz"
)


@pytest.mark.long
@pytest.mark.real_data
@pytest.mark.timeout(300)  # half a million lines are read and learned from
def test_the_real_history_is_imported_learned_from_and_sold_on(
    tmp_path: Path, subtests: pytest.Subtests, record_property: Callable[[str, object], None]
) -> None:
    if not HISTORY.is_file():
        skip(f"there is no order history at {HISTORY}; set ENCORE_REAL_DATA")
    started = time.monotonic()
    with journey.opened(tmp_path / "instance", "--data", str(HISTORY)) as demo:
        seconds = time.monotonic() - started
        record_property("seconds_from_file_to_open_shop", round(seconds, 1))
        print(f"{HISTORY.name}: imported, trained and open in {seconds:.1f} s")
        assert "  3,791 products, 19,773 orders with 517,254 lines." in demo.said
        assert "  527,725 of 527,725 rows kept." in demo.said
        for walk in journey.JOURNEYS:
            with subtests.test(walk.__name__):
                walk(demo.shop)
