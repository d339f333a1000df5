"""Variants and former prices in a product file: told apart by name, and nothing made of what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from flask_encore.domain.money import Money
from flask_encore.services.csv_files import Problem
from flask_encore.services.importing import ProductFile, read_products


def products_of(folder: Path, text: str) -> ProductFile:
    path = folder / "products.csv"
    path.write_text(text, encoding="utf-8")
    return read_products(path, currency="gbp")


def test_columns_named_option_make_a_variants_options_in_the_files_order(tmp_path: Path) -> None:
    file = products_of(
        tmp_path,
        "sku,title,price,parent,Option: Size,option:Colour\n"
        "S-1,Shirt,20.00,SHIRT,L,Blue\nS-2,Shirt,20.00,SHIRT,M,\nMUG,Mug,9.00,,,\n",
    )

    assert [list(product.options.items()) for product in file.products] == [
        [("Size", "L"), ("Colour", "Blue")],
        [("Size", "M")],
        [],
    ]
    assert [product.parent for product in file.products] == ["SHIRT", "SHIRT", None]
    assert "options" not in file.problems.missing


def test_one_column_can_hold_every_option(tmp_path: Path) -> None:
    file = products_of(tmp_path, "sku,title,price,options\nS-1,Shirt,20.00,Size=L; Colour = Blue;\nMUG,Mug,9.00,\n")

    assert [product.options for product in file.products] == [{"Size": "L", "Colour": "Blue"}, {}]


def test_both_ways_to_write_options_go_together(tmp_path: Path) -> None:
    file = products_of(tmp_path, "sku,title,price,options,option:Size\nS-1,Shirt,20.00,Colour=Blue;Size=L,L\n")

    assert list(file.products[0].options.items()) == [("Size", "L"), ("Colour", "Blue")]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("L", "options 'L' cannot be read; write them like Size=L;Colour=Blue."),
        ("Size=", "options 'Size=' cannot be read; write them like Size=L;Colour=Blue."),
        ("Size=L;Size=M", "option 'Size' is both 'L' and 'M'."),
        ("a=1;b=2;c=3;d=4;e=5;f=6", "options of S-1 have to be at most 5, such as {'Size': 'L'}."),
    ],
)
def test_options_that_cannot_be_read_leave_the_row_out_with_the_reason(tmp_path: Path, cell: str, reason: str) -> None:
    file = products_of(tmp_path, f"sku,title,price,options\nS-1,Shirt,20.00,{cell}\nMUG,Mug,9.00,\n")

    assert [product.sku for product in file.products] == ["MUG"]
    assert file.problems.first == (Problem(line=2, reason=reason),)


@pytest.mark.parametrize("header", ["was", "lowest_price_30_days", "Lowest price 30 days"])
def test_the_lowest_price_of_thirty_days_is_kept_where_something_is_reduced(tmp_path: Path, header: str) -> None:
    file = products_of(tmp_path, f"sku,title,price,{header}\nA,Less,20.00,25.00\nB,Same,20.00,20.00\nC,None,20.00,\n")

    assert [product.was for product in file.products] == [Money(2500, "gbp"), None, None]


def test_any_other_former_price_is_none_of_ours(tmp_path: Path) -> None:
    file = products_of(tmp_path, "sku,title,price,compare_at_price\nA,Less,20.00,25.00\n")

    assert file.products[0].was is None
    assert "was" in file.problems.missing


@pytest.mark.parametrize(
    ("cell", "reason"),
    [("-1.00", "was '-1.00' is negative."), ("dear", "was 'dear' is not an amount; write it like 12.90.")],
)
def test_a_former_price_that_is_none_leaves_the_row_out(tmp_path: Path, cell: str, reason: str) -> None:
    file = products_of(tmp_path, f"sku,title,price,was\nA,Tin,2.00,{cell}\nB,Tin,2.00,\n")

    assert file.problems.first == (Problem(line=2, reason=reason),)
