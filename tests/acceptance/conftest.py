"""Shops to walk through: nothing of them but their addresses reaches a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from acceptance.journey import ShopAt
from served_shop import generated_instance, served


@pytest.fixture(scope="session")
def generated_shop(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[ShopAt]:
    """The generated shop on SQLite, open for the whole session: every journey buys in a shop that is in use."""
    with served(generated_instance(tmp_path_factory, worker_id)) as shop:
        yield shop.at
