"""``ENCORE_LOCALES``: a shop's own language on its page, in the answers and in the evidence, and in no other shop."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ShopFactory
from flask import Flask

from flask_encore import ConfigurationError, Encore
from flask_encore.config import EXTENSION
from flask_encore.web.catalogues import LOCALES
from flask_encore.web.phrases import SHIPPED


@pytest.fixture
def finnish(tmp_path: Path) -> Path:
    """A folder with a catalogue of a language we do not ship; four of its sentences are translated."""
    text = (LOCALES / "en.po").read_text(encoding="utf-8")
    for old, new in (
        ('"Language: en\\n"', '"Language: fi\\n"'),
        ('"Buy now · {total}"', '"Osta nyt · {total}"'),
        ('"One more thing?"', '"Vielä jotain?"'),
        ('"All right, nothing added."', '"Selvä, mitään ei lisätty."'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "fi.po").write_text(text, encoding="utf-8")
    return folder


def test_a_shop_speaks_its_own_language_on_the_page_and_in_every_answer(make_shop: ShopFactory, finnish: Path) -> None:
    shop = make_shop(ENCORE_LOCALES=str(finnish))
    shop.pay(locale="fi-FI")

    page = shop.page().text
    assert 'lang="fi" dir="ltr"' in page
    assert "Vielä jotain?</" in page
    assert ">Osta nyt · 11,61\u00a0£</button>" in page
    answer = shop.post(shop.token(), "decline", **{"X-Encore-Fragment": "1", "Accept": "text/html"})
    assert "Selvä, mitään ei lisätty." in answer.text


def test_what_was_agreed_to_is_kept_for_the_catalogues_in_use(make_shop: ShopFactory, finnish: Path) -> None:
    shop = make_shop(ENCORE_LOCALES=str(finnish))
    shop.pay(locale="fi")
    assert shop.accept(shop.token()) == "charged"

    [charge] = shop.rows("charges")
    assert charge["consent_version"] == SHIPPED.with_folder(finnish).consent_version != SHIPPED.consent_version


def test_another_shop_of_the_process_does_not_speak_it(make_shop: ShopFactory, finnish: Path, tmp_path: Path) -> None:
    make_shop(f"sqlite:///{tmp_path / 'finnish.sqlite3'}", ENCORE_LOCALES=str(finnish)).pay(locale="fi")
    other = make_shop(f"sqlite:///{tmp_path / 'other.sqlite3'}")
    other.pay(locale="fi")

    assert 'lang="en" dir="ltr"' in other.page().text
    assert other.rt.consent_version == SHIPPED.consent_version


def test_a_relative_folder_is_found_beside_the_app(finnish: Path) -> None:
    app = Flask("host", root_path=str(finnish.parent), instance_path=str(finnish.parent))
    app.config |= {"TESTING": True, "SECRET_KEY": "tests-only-secret-of-32-characters", "ENCORE_LOCALES": "words"}
    encore = Encore(app)

    assert set(app.extensions[EXTENSION].catalogues.sentences) == {*SHIPPED.sentences, "fi"}
    with app.app_context():
        encore.close()


def test_a_catalogue_that_touches_a_button_stops_the_start_and_binds_nothing(finnish: Path) -> None:
    path = finnish / "de.po"
    ours = (LOCALES / "de.po").read_text(encoding="utf-8")
    path.write_text(ours.replace("Zahlungspflichtig bestellen", "Weiter"), encoding="utf-8")
    app = Flask("host", instance_path=str(finnish.parent))
    app.config |= {"TESTING": True, "SECRET_KEY": "tests-only-secret-of-32-characters", "ENCORE_LOCALES": str(finnish)}

    with pytest.raises(ConfigurationError) as refused:
        Encore(app)

    assert str(refused.value) == (
        "The catalogues of ENCORE_LOCALES cannot be used:\n"
        f"  {path}: accept is a locked label and has to be “Zahlungspflichtig bestellen”; put that back."
    )
    assert EXTENSION not in app.extensions
    assert app.blueprints == {}
    assert not (finnish.parent / "encore.sqlite3").exists()
