"""What a kind of offer has to be told, and what it refuses to be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.kinds import (
    KINDS,
    Bundle,
    BuyGet,
    Complementary,
    Discount,
    Fixed,
    Kind,
    MoreOfTheSame,
    Service,
    TextField,
    skus_of,
)
from flask_encore.domain.money import Money

PRICES = {"gbp": Money(1900, "gbp")}


def test_the_six_kinds_are_known_by_their_names() -> None:
    assert list(KINDS) == ["complementary", "fixed", "service", "buy_get", "bundle", "more"]
    assert [kind.kind for kind in KINDS.values()] == list(KINDS)


@pytest.mark.parametrize(
    ("kind", "skus"),
    [
        (Complementary(), ()),
        (Complementary(pinned=(("pot", "tea"), ("mug", "tea"), ("pot", "cup"))), ("tea", "cup")),
        (Fixed(skus=("tea", "mug", "tea")), ("tea", "mug")),
        (Service(sku="wrap"), ("wrap",)),
        (BuyGet(), ()),
        (Bundle(skus=("mug", "tea"), prices=PRICES), ("mug", "tea")),
        (MoreOfTheSame(skus=("tea",)), ("tea",)),
    ],
)
def test_a_kind_names_its_products_each_once(kind: Kind, skus: tuple[str, ...]) -> None:
    assert skus_of(kind) == skus


def test_quantities_run_from_the_least_to_the_most_in_steps() -> None:
    assert list(MoreOfTheSame(minimum=2, maximum=7, step=2).quantities) == [2, 4, 6]
    assert list(MoreOfTheSame().quantities) == [1]
    assert len(MoreOfTheSame(minimum=1, maximum=12).quantities) == 12


def test_the_extremes_that_make_sense_are_taken() -> None:
    assert Discount(percent=100).amounts == {}
    assert Discount(amounts=PRICES).percent == 0
    assert BuyGet(buy=0, get=1, percent_off=50).buy == 0
    assert BuyGet(buy=99, get=1).get == 1
    assert TextField(label={"en": "x" * 60}, max_length=500).required is False
    assert Complementary(price_cap_percent=10_000, margin_floor_percent=0).margin_floor_percent == 0


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: Discount(percent=101), "percent has to be a whole number from 0 to 100, got 101"),
    (lambda: Discount(percent=-1), "percent has to be a whole number from 0 to 100, got -1"),
    (lambda: Discount(percent=True), "percent has to be a whole number from 0 to 100, got True"),
    (lambda: Discount(percent=12.5), "percent has to be a whole number from 0 to 100, got 12.5"),  # type: ignore[arg-type]
    (lambda: Discount(percent=10, amounts=PRICES), "a discount is a percent or amounts, not both"),
    (lambda: Discount(amounts={"gbp": Money(0, "gbp")}), "amounts.gbp has to be an amount above 0 in that currency"),
    (lambda: Discount(amounts={"gbp": Money(1, "eur")}), "amounts.gbp has to be an amount above 0 in that currency"),
    (lambda: Discount(amounts={"gbp": 200}), "amounts.gbp has to be an amount above 0 in that currency"),  # type: ignore[dict-item]
    (lambda: Discount(amounts=[2]), "amounts needs an amount by currency"),  # type: ignore[arg-type]
    (lambda: TextField(label={"de": "Ihr Text"}), "label of the text field needs a text for 'en'"),
    (lambda: TextField(label={"en": " "}), "label.en has to be a text of 1 to 60 characters"),
    (lambda: TextField(label={"en": "x" * 61}), "label.en has to be a text of 1 to 60 characters"),
    (lambda: TextField(label={"en": "a\u202eb"}), "label.en has to be .* without control characters"),
    (lambda: TextField(label={"en": "Text"}, max_length=0), "max_length has to be a whole number from 1 to 500"),
    (lambda: TextField(label={"en": "Text"}, max_length=501), "max_length has to be a whole number from 1 to 500"),
    (lambda: TextField(label={"en": "Text"}, required=1), "required has to be true or false"),  # type: ignore[arg-type]
    (lambda: Complementary(only_categories="tea"), "only_categories needs a list of texts"),  # type: ignore[arg-type]
    (lambda: Complementary(only_categories=("",)), "only_categories has to be a non-empty string"),
    (
        lambda: Complementary(only_categories=("a", "b"), never_categories=("b",)),
        "'b' is in only_categories and in never_categories",
    ),
    (lambda: Complementary(price_cap_percent=10_001), "price_cap_percent has to be a whole number from 0 to 10000"),
    (lambda: Complementary(margin_floor_percent=101), "margin_floor_percent has to be a whole number from 0 to 100"),
    (lambda: Complementary(pinned=(("pot",),)), "pinned needs pairs of two different products"),  # type: ignore[arg-type]
    (lambda: Complementary(pinned=(("pot", "pot"),)), "pinned needs pairs of two different products"),
    (lambda: Complementary(blocked=("ab",)), "blocked needs a list of texts"),  # type: ignore[arg-type]
    (
        lambda: Complementary(pinned=(("pot", "tea"),), blocked=(("tea", "pot"),)),
        "'pot' and 'tea' are pinned and blocked",
    ),
    (lambda: Fixed(skus=()), "skus needs a list of 1 to 500 texts, got 0"),
    (lambda: Fixed(skus=tuple(map(str, range(501)))), "skus needs a list of 1 to 500 texts, got 501"),
    (lambda: Fixed(skus=("a\n",)), "skus has to be at most 200 characters without control characters"),
    (lambda: Service(sku=""), "sku has to be a non-empty string"),
    (lambda: BuyGet(buy=-1), "buy has to be a whole number from 0 to 100"),
    (lambda: BuyGet(get=0), "get has to be a whole number from 1 to 100"),
    (lambda: BuyGet(buy=100, get=1), "buy and get are 101 pieces together; 100 is the most"),
    (lambda: BuyGet(percent_off=0), "percent_off has to be a whole number from 1 to 100"),
    (lambda: BuyGet(percent_off=None), "percent_off has to be a whole number from 1 to 100"),  # type: ignore[arg-type]
    (lambda: Bundle(skus=("a", "a"), prices=PRICES), "a bundle is of two different products, got 1"),
    (lambda: Bundle(skus=("a", "b", "c"), prices=PRICES), "a bundle is of two different products, got 3"),  # type: ignore[arg-type]
    (lambda: Bundle(skus=("a", "b"), prices={}), "a bundle needs prices"),
    (lambda: MoreOfTheSame(minimum=0), "minimum has to be a whole number from 1 to 100"),
    (lambda: MoreOfTheSame(maximum=101), "maximum has to be a whole number from 1 to 100"),
    (lambda: MoreOfTheSame(step=0), "step has to be a whole number from 1 to 100"),
    (lambda: MoreOfTheSame(minimum=3, maximum=2), "maximum 2 is less than minimum 3"),
    (lambda: MoreOfTheSame(minimum=1, maximum=13), "that is 13 quantities to choose from; 12 is the most"),
]


@pytest.mark.parametrize(("made", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_makes_no_sense_is_refused_with_its_field(made: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        made()


def test_what_is_handed_in_cannot_be_changed_behind_an_offer() -> None:
    prices: dict[str, Any] = dict(PRICES)
    bundle = Bundle(skus=("mug", "tea"), prices=prices)
    prices["gbp"] = Money(1, "gbp")
    assert bundle.prices == PRICES
