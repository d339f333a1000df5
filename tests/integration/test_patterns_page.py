"""The patterns page: every state of the card, in every language, and nothing of it alive."""

from __future__ import annotations

import re

import pytest
from conftest import Shop
from dashboard_pages import get, guarded, text_of

from flask_encore.web.contexts import CardState
from flask_encore.web.pattern_words import SAMPLES
from flask_encore.web.phrases import CATALOGUES

PATTERNS = "/encore/dashboard/patterns"


def test_every_state_is_there_light_dark_and_on_a_phone(shop: Shop) -> None:
    page = get(shop, PATTERNS)
    assert page.status_code == 200
    states = re.findall(r'<div class="view" data-state="(\w+)"', page.text)
    shown = {state: states.count(state) for state in set(states)}
    assert set(shown) == set(CardState)
    names = re.findall(r'<h2 id="(\w+)">', page.text)
    assert names == [
        *("open", "words", "variants", "quantities", "bundle", "service", "free", "timer", "quoted"),
        *("charging", "action_required", "failed", "unknown", "charged", "undoing", "undone"),
        *("declined", "expired", "sold_out", "canceled"),
    ]
    assert page.text.count('<div class="sample" inert>') == 3 * len(names)
    assert page.text.count("<encore-offer") == 3 * len(names)


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_every_shipped_language_speaks_for_itself(language: str, shop: Shop) -> None:
    tag = language.replace("_", "-")
    page = get(shop, PATTERNS, locale=tag).text
    assert SAMPLES[tag].pot in page
    assert CATALOGUES[language]["decline"].replace("'", "&#39;") in page
    assert f'<option value="{tag}" selected>' in page


def test_a_language_nobody_speaks_is_english_and_said_so(shop: Shop) -> None:
    for locale in ("tlh", "", "<i>", "x" * 3000):
        page = get(shop, PATTERNS, locale=locale)
        assert page.status_code == 200
        assert "Enamel coffee pot" in page.text
        assert "<i>" not in page.text
    assert "There is no catalogue for “tlh”" in text_of(get(shop, PATTERNS, locale="tlh"))


def test_no_card_runs_or_leads_anywhere(shop: Shop) -> None:
    page = get(shop, PATTERNS).text
    assert len(re.findall(r"<script\b", page)) == 1
    assert "offer.js" not in page
    assert "/encore/offers/" not in page
    assert not re.search(r"\sstyle=|\son\w+=", page)


def test_it_is_the_merchants(shop: Shop) -> None:
    guarded(shop, lambda: None)
    assert get(shop, PATTERNS).status_code == 403
