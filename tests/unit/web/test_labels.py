"""The locked labels: said by the catalogues as they stand, shown in the document, held to what their law wants."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flask_encore.domain.errors import ConfigurationError
from flask_encore.web.catalogues import LOCALES, placeholders, read_shipped
from flask_encore.web.labels import KEYS, LOCKED, Labels, locked
from flask_encore.web.phrases import CATALOGUES

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "locales.md"

#: Where Directive 2011/83/EU holds, and with it "only with the words".
STATUTORY = {"da", "de", "es", "fr", "it", "nb", "nl", "pl", "pt", "ro", "sv"}


@pytest.fixture
def catalogues(tmp_path: Path) -> Path:
    """A copy of what is shipped, to be spoilt."""
    for path in LOCALES.glob("*.po"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_every_shipped_language_has_locked_labels_and_says_them() -> None:
    assert set(LOCKED) == set(CATALOGUES)
    assert {language: {key: CATALOGUES[language][key] for key in KEYS} for language in CATALOGUES} == {
        language: locked(language) for language in LOCKED
    }


def test_a_language_we_do_not_ship_has_none() -> None:
    assert locked("fi") == {}


@pytest.mark.parametrize(("language", "labels"), LOCKED.items(), ids=LOCKED)
def test_nothing_stands_beside_the_words_of_a_law_and_elsewhere_the_total_does(language: str, labels: Labels) -> None:
    assert placeholders(labels.accept) == ([] if language in STATUTORY else ["total"])
    assert placeholders(labels.accept_free) == placeholders(labels.decline) == []
    assert labels.source


@pytest.mark.parametrize("labels", LOCKED.values(), ids=LOCKED)
def test_the_three_buttons_of_a_language_say_three_things(labels: Labels) -> None:
    assert len({labels.accept, labels.accept_free, labels.decline}) == 3


def test_the_document_shows_every_label_with_its_law() -> None:
    table = re.search(r"<!-- table: labels -->\n((?:\|.*\n)+)", DOCUMENT.read_text(encoding="utf-8"))
    assert table
    rows = [line.strip("|").split(" | ") for line in table[1].splitlines()[2:]]
    assert [[cell.strip() for cell in row] for row in rows] == [
        [f"`{language}`", labels.accept, labels.accept_free, labels.decline, labels.source]
        for language, labels in sorted(LOCKED.items())
    ]


def test_what_is_shipped_can_be_read(catalogues: Path) -> None:
    assert read_shipped(catalogues) == CATALOGUES


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("language", ["en", "de", "ja"])
def test_an_edited_catalogue_cannot_change_a_button(catalogues: Path, language: str, key: str) -> None:
    path, label = catalogues / f"{language}.po", locked(language)[key]
    spoil(path, f'msgid "{key}"\nmsgstr "{label}"', f'msgid "{key}"\nmsgstr "{label}!"')

    with pytest.raises(ConfigurationError) as refused:
        read_shipped(catalogues)

    assert str(refused.value) == (
        "Encore's own catalogues are damaged; install it anew:\n"
        f"  {path}: {key} is a locked label and has to be “{label}”; put that back."
    )


def test_a_shipped_catalogue_that_lacks_a_sentence_is_refused(catalogues: Path) -> None:
    spoil(catalogues / "fr.po", 'msgid "nothing_charged"\nmsgstr "Rien n’a été débité."\n', "")
    spoil(catalogues / "pl.po", 'msgstr "Razem"', 'msgstr ""')

    with pytest.raises(ConfigurationError) as refused:
        read_shipped(catalogues)

    assert str(refused.value).splitlines()[1:] == [
        f"  {catalogues / 'fr.po'}: has no sentence for nothing_charged; every key of en.po needs one.",
        f"  {catalogues / 'pl.po'}: has no sentence for price.sum; every key of en.po needs one.",
    ]
