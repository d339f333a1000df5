"""A merchant's hands on the campaign pages over HTTP, for the tests of them."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from conftest import Shop
from dashboard_pages import get

from flask_encore.services import campaigning

LIST = "/encore/dashboard/campaigns/"

#: Right as it is; every test changes what it is about.
TEA: dict[str, Any] = {
    "ref": "tea",
    "name": "Tea with every pot",
    "status": "live",
    "rule": {"all": [{"sku": {"any": ["pot"]}}]},
    "offer": {"kind": "fixed", "skus": ["tea"], "discount": {"percent": 10}},
}

#: The same as a form has it.
FORM = {
    "ref": "tea",
    "name": "Tea with every pot",
    "status": "draft",
    "priority": "0",
    "placement": "thank_you",
    "begins": "on",
    "kind": "fixed",
    "fixed.skus": "tea",
    "fixed.discount.percent": "10",
    "rule.mode": "some",
    "if.sku.any": "pot",
}


def save(shop: Shop, *, expected: int | None = None, actor: str = "anna", **changes: Any) -> int:
    """Save `TEA` with *changes*, as somebody else; answers the version."""
    with shop.app.app_context():
        return campaigning.save(shop.rt, TEA | changes, actor=actor, expected=expected).version


def stored(shop: Shop, ref: str = "tea") -> Any:
    """The campaign, or ``None``."""
    with shop.app.app_context():
        saved = campaigning.find(shop.rt, ref)
    return None if saved is None else saved.campaign


def seal(shop: Shop) -> str:
    """A merchant's seal, from the list's page."""
    page = get(shop, f"{LIST}new").text
    return re.search(r'name="seal" value="([^"]+)"', page)[1]  # type: ignore[index]


def post(shop: Shop, path: str, data: dict[str, Any] | None = None, *, sealed: bool = True, **headers: str) -> Any:
    """POST a form, sealed as the merchant's page seals it."""
    own = {"seal": seal(shop)} if sealed else {}
    return shop.app.test_client().post(path, data=own | (data or {}), headers=headers)


def form_in(response: Any) -> dict[str, str]:
    """Every field of the form a page shows, as a browser would send it back."""
    html, found = response.text, {}
    for tag in re.findall(r"<input\b[^>]*>", html):
        name, value = re.search(r' name="([^"]*)"', tag), re.search(r' value="([^"]*)"', tag)
        kind = re.search(r' type="([^"]*)"', tag)
        if name and not (kind and kind[1] in {"radio", "checkbox"} and " checked" not in tag):
            found[name[1]] = unescape(value[1]) if value else "on"
    for name, text in re.findall(r'<textarea\b[^>]* name="([^"]*)"[^>]*>\n(.*?)</textarea>', html, flags=re.DOTALL):
        found[name] = unescape(text)
    for name, options in re.findall(r'<select\b[^>]* name="([^"]*)"[^>]*>(.*?)</select>', html, flags=re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = unescape(chosen[1]) if chosen else ""
    return found
