"""The same journeys with Encore's tables on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from acceptance.journey import JOURNEYS
from hosts import on_postgresql
from served_shop import served


@on_postgresql
def test_on_postgresql(database_uri: str, tmp_path: Path, subtests: pytest.Subtests) -> None:
    with served(tmp_path / "instance", ENCORE_DATABASE_URI=database_uri) as shop:
        for walk in JOURNEYS:
            with subtests.test(walk.__name__):
                walk(shop.at)
