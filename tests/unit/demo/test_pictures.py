"""Product pictures: drawn by us, the same every time, and telling what they show."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from flask_encore.demo import catalogue
from flask_encore.demo.pictures import PALETTES, SHAPE_WORDS, palette_of, picture, shape_of, shapes


def test_every_shape_is_a_complete_picture_without_placeholders() -> None:
    assert len(shapes()) == 60
    for name in shapes():
        drawn = picture("TEA-01", "Assam", name)
        assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
        assert "$" not in drawn


def test_every_product_names_a_shape_that_exists() -> None:
    assert {item.shape for item in catalogue.products()} <= shapes().keys()
    assert set(SHAPE_WORDS.values()) <= shapes().keys()


@pytest.mark.parametrize(
    ("title", "shape"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER", "candle"),
        ("RED RETROSPOT LUNCH BAG", "bag"),
        ("REGENCY CAKESTAND 3 TIER", "bowl"),
        ("PARTY BUNTING", "tape"),
        ("SET OF 3 CAKE TINS PANTRY DESIGN", "tin"),
        ("whole milk", "bottle"),
        ("Medialuna", "box"),
    ],
)
def test_a_title_suggests_what_to_draw(title: str, shape: str) -> None:
    assert shape_of(title) == shape


def test_a_colour_in_the_title_is_the_colour_of_the_picture() -> None:
    assert palette_of("X", "Potter's Thumb Mug, Indigo") == PALETTES["indigo"]
    assert palette_of("X", "Pink Bag") == PALETTES["rose"]


def test_pictures_never_change_and_differ_between_products() -> None:
    assert picture("A", "Thing") == picture("A", "Thing")
    assert len({picture(f"A{number}", "Thing") for number in range(50)}) > 30


def test_nothing_a_merchant_writes_gets_into_the_picture() -> None:
    assert "script" not in picture("<script>", "<script>alert(1)</script> $a ${b}", "<script>")
