"""Every table and every list of figures on the dashboard can be downloaded, and each file opens."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from busy_shop import opened
from conftest import Shop
from dashboard_pages import HOME, get, guarded
from dashboard_routes import Page, crawled

#: What makes a section one with figures: a table, a number by itself, or a list of what is counted.
FIGURES = re.compile(
    r'<table\b|<(?:dd|p) class="figure|<(?:ol|ul) class="(?:funnel|reasons|pairs|trainings|campaigns|history)"',
    re.DOTALL,
)

#: Tables that are no figures of the shop's -> why nobody keeps them as a file.
NOT_KEPT = {
    'class="difference"': "two versions of a form that is not saved yet",
    'class="figure none"': "a sentence that there is no figure",
}


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[tuple[Shop, dict[str, Page]]]:
    with opened(tmp_path_factory.mktemp("busy"), migrated) as shop:
        guarded(shop, lambda: "anna")
        yield shop, crawled(shop.app.test_client(), HOME)


def without_download(pages: dict[str, Page]) -> list[str]:
    """Sections that show figures and offer no file of them, as ``address: heading``."""
    return [
        f"{address}: {re.sub('<[^>]+>', '', (re.search(r'<h2.*?</h2>', section, re.DOTALL) or [section[:80]])[0])}"
        for address, page in pages.items()
        for section in page.sections
        if FIGURES.search(section)
        and 'class="downloads"' not in section
        and not any(mark in section and len(FIGURES.findall(section)) == 1 for mark in NOT_KEPT)
    ]


def test_under_every_table_and_list_of_figures_is_a_download(walked: tuple[Shop, dict[str, Page]]) -> None:
    _, pages = walked
    assert without_download(pages) == []


def test_a_section_that_forgot_its_download_is_found(walked: tuple[Shop, dict[str, Page]]) -> None:
    _, pages = walked
    bare = {address: Page(address, page.html.replace('class="downloads"', "")) for address, page in pages.items()}
    assert len(without_download(bare)) >= 8


def test_every_download_that_is_linked_opens_and_tells_the_same_in_every_format(
    walked: tuple[Shop, dict[str, Page]],
) -> None:
    shop, pages = walked
    offered = {
        (page.address.partition("?")[0], link)
        for page in pages.values()
        for link in (unescape(found) for found in re.findall(r'href="([^"]+download=json[^"]*)"', page.html))
    }
    assert len({link for _, link in offered}) >= 10
    for _, link in sorted(offered):
        rows = json.loads(get(shop, link).text)
        for extra in ("", "&bom=1"):
            response = get(shop, link.replace("download=json", "download=csv") + extra)
            assert response.status_code == 200, link
            assert response.headers["Cache-Control"] == "no-store"
            head, *cells = csv.reader(io.StringIO(response.data.decode("utf-8-sig"), newline=""))
            assert len(cells) == len(rows), link
            assert all(len(row) == len(head) for row in cells), link
            assert len(set(head)) == len(head), link
        assert rows, f"{link} is offered under a table and has no row"
