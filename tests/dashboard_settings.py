"""A merchant's hands on the settings pages over HTTP, for the tests of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from conftest import Shop
from dashboard_pages import get, guarded

from flask_encore.domain.rights import Actor, Right

SETTINGS = "/encore/dashboard/settings"
TOKENS = f"{SETTINGS}/tokens/"
WEBHOOKS = f"{SETTINGS}/webhooks/"
HISTORY = "/encore/dashboard/campaigns/history"


def hidden(response: Any, name: str) -> str:
    """The value of a form's hidden field."""
    return re.search(rf'name="{name}" value="([^"]*)"', response.text)[1]  # type: ignore[index]


def post(shop: Shop, path: str, data: dict[str, Any] | None = None, *, sealed: bool = True, **headers: str) -> Any:
    """Send a form, with the present actor's seal."""
    seal = {"seal": hidden(get(shop, TOKENS), "seal")} if sealed else {}
    return shop.app.test_client().post(path, data=(data or {}) | seal, headers=headers)


def with_rights(shop: Shop, rights: Iterable[Right]) -> None:
    """Let in somebody who may do only this."""
    guarded(shop, lambda: Actor("olive", frozenset(rights)))
