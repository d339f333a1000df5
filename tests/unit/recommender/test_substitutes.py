"""A product that stands in for a basket line is no complement to it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from encore_recommender import Baskets, Bounds, CoPurchaseRecommender, Provenance, load, save
from encore_recommender.substitutes import LARGEST_FAMILY, families, words


def found(titles: dict[str, str], parents: dict[str, str] | None = None) -> list[int]:
    return families(sorted({*titles, *(parents or {})}), titles=titles, parents=parents or {}).tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("RED HANGING HEART T-LIGHT HOLDER", "WHITE HANGING HEART T-LIGHT HOLDER"),
        ("White hanging heart T-light holder", "HANGING HEART T'LIGHT HOLDER, LIGHT BLUE "),
        ("SET OF 6 KASHMIR FOLKART BAUBLE", "SET OF 6 KASHMIR FOLKART BAUBLES"),
        ("Herrenhemd Größe XL dunkelgrün", "HERRENHEMD GRÖSSE M, Weiß"),
        ("Chaise longue bleue", "Chaise longue grise"),
        ("Camiseta básica roja talla S", "Camiseta basica azul talla L"),
        ("Olive oil 250 ml", "Olive oil 1l"),
        ("Rug 60x120cm beige", "Rug 80 x 150 cm beige"),
        ("rødt håndklæde blå", "rødt håndklæde grå"),
    ],
)
def test_titles_that_differ_in_colour_size_or_spelling_are_one_family(one: str, other: str) -> None:
    assert found({"a": one, "b": other}) == [0, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("PINK BAG", "PINK MUG"),
        ("RED RETROSPOT MUG", "RED RETROSPOT PLATE"),
        ("A song of ice, volume 1", "A song of ice, volume 2"),
        ("SET OF 6 SPOONS", "SET OF 12 SPOONS"),
        ('LETTER "S" BLING KEY RING', 'LETTER "M" BLING KEY RING'),
        ("CURTAIN ROD", "WHITE CURTAIN"),
        ("NIGHT LIGHT", "NIGHT"),
        ("RED", "BLUE XL"),
        ("", ""),
    ],
)
def test_titles_that_name_different_things_are_not(one: str, other: str) -> None:
    assert found({"a": one, "b": other}) == [-1, -1]


def test_a_row_of_small_differences_joins_nothing() -> None:
    titles = {"a": "PINK BAG", "b": "PINK SPOTTED BAG", "c": "PINK SPOTTED MUG", "d": "PINK MUG"}
    assert found(titles) == [-1, -1, -1, -1]


def test_products_of_one_parent_are_one_family_whatever_their_titles() -> None:
    assert found({"a": "Shirt", "b": "Chemise", "c": "Tie"}, {"a": "P1", "b": "P1"}) == [0, 0, -1]


def test_a_shared_title_joins_parents_and_those_without_a_parent() -> None:
    titles = {"a": "RED HEART", "b": "BLUE HEART", "c": "Herz", "d": "GREEN HEART", "e": "Cup"}
    assert found(titles, {"a": "P1", "b": "P2", "c": "P2"}) == [0, 0, 0, 0, -1]


def test_a_title_or_parent_that_far_too_many_have_says_nothing() -> None:
    many = {f"{i:03d}": "Poster" for i in range(LARGEST_FAMILY + 1)}
    assert set(found(many)) == {-1}
    assert set(found({}, dict.fromkeys(many, "0"))) == {-1}
    assert set(found(dict(list(many.items())[1:]))) == {0}


def test_parents_that_titles_would_join_too_far_stand_alone() -> None:
    parents = {f"{i:03d}": f"P{i // 2:03d}" for i in range(2 * LARGEST_FAMILY)}
    titles = {sku: "Shirt" for i, sku in enumerate(parents) if i % 2}
    assert found(titles, parents) == [i // 2 for i in range(2 * LARGEST_FAMILY)]


def test_without_titles_and_parents_there_is_no_family_whatever_the_skus_look_like() -> None:
    assert families(["21232", "21232A", "21232B"], titles={}, parents={}).tolist() == [-1, -1, -1]


def test_an_empty_parent_is_none() -> None:
    assert found({}, {"a": "", "b": ""}) == [-1, -1]


def test_what_a_title_names_is_its_words_but_those_for_colour_size_and_measure() -> None:
    assert words("Set of 2 Blue/White Tea-Towels, 50x70 cm (light pink)") == ("2", "of", "set", "teatowel")


def test_a_substitute_is_not_offered_beside_what_was_bought_unless_the_merchant_allows_it() -> None:
    rows = [(f"{i}-{pair}", sku) for i in range(3) for pair in ("wr", "wc", "rc") for sku in pair]
    titles = {"w": "WHITE HANGING HEART", "r": "RED HANGING HEART", "c": "CANDLE"}
    plain = CoPurchaseRecommender().fit(Baskets.from_rows(rows))
    titled = CoPurchaseRecommender().fit(Baskets.from_rows(rows, titles=titles))
    assert set(plain.recommend(["w"], k=9).ids) == {"r", "c"}
    assert titled.recommend(["w"], k=9).ids == ("c",)
    assert titled.recommend(["w"], k=9, bounds=Bounds(substitutes=True)).ids == plain.recommend(["w"], k=9).ids
    assert len(titled.recommend(["c"], k=9).ids) == 1


def test_families_come_back_from_disk(tmp_path: Path, breakfast_rows: list[tuple[str, str]]) -> None:
    baskets = Baskets.from_rows(breakfast_rows, parents={"butter": "spread", "jam": "spread"})
    saved = CoPurchaseRecommender().fit(baskets).model_
    save(saved, tmp_path, about=Provenance(created_at=datetime(2026, 3, 1, tzinfo=UTC)))
    assert load(tmp_path).family_of.tolist() == saved.family_of.tolist() == [-1, 0, 0, -1, -1]
    assert load(tmp_path).recommend(["bread"], k=9).ids == ("butter", "milk", "tea")
