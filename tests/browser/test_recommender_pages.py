"""Training by hand in a real browser, watched to its end, with and without script; both pages fit a phone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.patterns import OpenPage, accessibility_findings
from conftest import START, Shop, ShopFactory
from playwright.sync_api import expect
from werkzeug.serving import make_server
from whole_answers import whole

from flask_encore.services import recommender
from flask_encore.store import history


@pytest.fixture
def shop(make_shop: ShopFactory) -> Shop:
    """A shop with its own recommender and a hundred baskets of a pot and a mug."""
    shop = make_shop(trained=True)
    rows = [
        (f"p{n}", sku, START.timestamp() - 9e5 + n, None, 1, 900, "gbp") for n in range(100) for sku in ("pot", "mug")
    ]
    with shop.rt.db.write() as connection:
        history.add(connection, rows)
    return shop


@pytest.fixture
def url(shop: Shop) -> Iterator[str]:
    """Where the recommender's room is."""
    server = make_server("127.0.0.1", 0, whole(shop.app), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/encore/dashboard/recommender/"
    finally:
        for training in threading.enumerate():
            if training.name == recommender.THREAD:
                training.join(timeout=60)
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without"])
def test_a_training_is_begun_watched_to_its_end_and_its_pairs_are_seen(
    script: bool, shop: Shop, url: str, open_page: OpenPage, problems: list[str]
) -> None:
    page = open_page(java_script_enabled=script, viewport={"width": 320, "height": 900}, color_scheme="dark")
    page.goto(url)
    page.get_by_role("button", name="Train now").click()
    expect(page.get_by_role("heading", name="The last training")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("status")).to_contain_text("Put live")
    page.get_by_role("link", name="To the recommender").click()
    # The ranker looks once a second whether another model is live; a new one looks at once.
    shop.rt.ranker.__init__(Path(shop.rt.settings.model_dir))  # type: ignore[misc]
    page.reload()
    pairs = page.get_by_role("region", name="Bought together").get_by_role("listitem")
    expect(pairs).to_contain_text("in 100 of 100 orders")
    for place in (url, pairs.get_by_role("link", name="Pin or block").get_attribute("href") or ""):
        page.goto(url[: url.index("/encore")] + place if place.startswith("/") else place)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
        assert problems == []  # before axe looks, which writes styles of its own into the page
        if script:
            assert (place, accessibility_findings(page)) == (place, [])
