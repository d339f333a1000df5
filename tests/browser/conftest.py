"""The system's Chromium, driven by Playwright: no browser is downloaded, no page reaches the network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser.patterns import OpenPage, PatternShop
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

NAMES = ("chromium", "google-chrome", "chromium-browser")

#: A sandbox needs rights that containers do not give; the rest keeps the browser from calling its maker.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a browser."""
    for item in items:
        if "/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole session: $CHROMIUM, or the first of `NAMES` on PATH."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        reason = f"no browser: set CHROMIUM or install one of {', '.join(NAMES)}"
        if os.environ.get("ENCORE_SKIP_NOTHING"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def problems() -> list[str]:
    """What the browser complained about: policy violations, script errors, requests that left the machine."""
    return []


@pytest.fixture
def open_page(browser: Browser, problems: list[str]) -> Iterator[OpenPage]:
    """Open a page in a context of its own; options are those of Playwright's ``new_context``."""
    contexts: list[BrowserContext] = []

    def guard(route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.fallback()
        else:
            problems.append(f"left the machine: {route.request.url}")
            route.abort()

    def open_(**options: Any) -> Page:
        context = browser.new_context(**({"viewport": {"width": 760, "height": 900}} | options))
        context.set_default_timeout(10_000)
        contexts.append(context)
        context.route("http*://**", guard)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if _is_problem(message.text) else None)
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page of 760 by 900 pixels, light, with JavaScript."""
    return open_page()


@pytest.fixture(scope="module")
def pattern_shop() -> Iterator[PatternShop]:
    """A host page for the card alone."""
    shop = PatternShop()
    yield shop
    shop.close()


def _is_problem(text: str) -> bool:
    return any(word in text for word in ("Content Security Policy", "Trusted", "violates", "Uncaught"))
