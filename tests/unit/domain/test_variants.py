"""A product in sizes and colours: one offer, and a choice."""

from __future__ import annotations

from priced_offers import POT, SHIRTS, TEA, amounts, ask, basket, found, product, refusals, shirt

from flask_encore.domain.kinds import Complementary, Discount, Fixed
from flask_encore.domain.orders import Product
from flask_encore.domain.pricing import Shelf


def test_a_sibling_of_what_was_bought_is_in_the_order() -> None:
    order = basket(("shirt-s", 1, 2000), total=10_000)
    assert refusals(ask(Complementary(), order=order, candidates=found("shirt-m", "tea"))) == [
        ("shirt-m", "in_order"),
        ("tea", ""),
    ]
    assert refusals(ask(Fixed(skus=("shirt", "shirt-l")), order=order)) == [
        ("shirt", "in_order"),
        ("shirt-l", "in_order"),
    ]
    parent = product("shirt", 2000)
    assert refusals(ask(Fixed(skus=("shirt",)), parent, *SHIRTS, order=order)) == [("shirt", "in_order")]


def test_a_variant_comes_with_its_siblings_the_recommended_one_first() -> None:
    [answer] = ask(Complementary(), candidates=found("shirt-m"))
    assert [one.sku for one in answer.choices] == ["shirt-m", "shirt-s", "shirt-l", "shirt-xl"]
    assert answer.choices[0].options == {"Size": "M"}
    assert (answer.choose, answer.sold_out) == ("variant", frozenset())


def test_sold_out_siblings_are_shown_and_never_the_default() -> None:
    shirts = (shirt("s", stock=0), shirt("m", stock=0), shirt("l", stock=1), shirt("xl", active=False))
    [answer] = ask(Complementary(), POT, *shirts, candidates=found("shirt-m"))
    assert [one.sku for one in answer.choices] == ["shirt-l", "shirt-s", "shirt-m"]
    assert answer.sold_out == {1, 2}
    assert (answer.candidate.sku, answer.product) == ("shirt-m", shirts[2])


def test_siblings_that_may_not_be_offered_are_no_choice() -> None:
    shirts = (
        shirt("s"),
        product("shirt-m", 2000, parent="shirt", currency="eur"),
        product("shirt-l", 2000, parent="shirt", category="sale"),
        product("shirt-xl", 10_001, parent="shirt"),
    )
    [answer] = ask(Complementary(never_categories=("sale",)), POT, *shirts, candidates=found("shirt-s"))
    assert [one.sku for one in answer.choices] == ["shirt-s"]
    assert answer.choose == ""


def test_each_variant_has_its_own_price() -> None:
    dear = product("shirt-xxl", 2500, parent="shirt", options={"Size": "XXL"})
    [answer] = ask(Fixed(skus=("shirt",), discount=Discount(percent=20)), POT, shirt("m"), dear)
    assert amounts(answer) == [("shirt-m", 1, 2000, 400, 1600), ("shirt-xxl", 1, 2500, 500, 2000)]


def test_all_variants_sold_out_is_sold_out() -> None:
    shirts = (shirt("s", stock=0), shirt("m", stock=0))
    assert refusals(ask(Complementary(), POT, *shirts, candidates=found("shirt-m"))) == [("shirt-m", "sold_out")]


def test_there_are_twelve_choices_at_most_and_those_that_can_be_taken_have_room_first() -> None:
    def size(n: int) -> Product:
        return product(f"boot-{n}", 2000, parent="boot", options={"Size": str(n)}, stock=0 if n < 5 else 1)

    [answer] = ask(Complementary(), POT, *(size(n) for n in range(1, 16)), candidates=found("boot-10"))
    assert [int(one.options["Size"]) for one in answer.choices] == [10, 1, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]
    assert answer.sold_out == {1}


def test_variants_stand_as_a_shopper_looks_for_them_whatever_order_they_came_in() -> None:
    def boot(size: str, colour: str) -> Product:
        options = {"Colour": colour, "Size": size}
        return product(f"boot-{size}-{colour}", parent="boot", options=options)

    wanted = [boot(size, colour) for colour in ("Black", "Red") for size in ("9", "9.5", "10", "XS", "S", "XL", "2XL")]
    letters_first = [wanted[n] for n in (3, 4, 5, 6, 0, 1, 2, 10, 11, 12, 13, 7, 8, 9)]
    assert list(Shelf(wanted).variants("boot")) == letters_first
    assert list(Shelf(wanted[::-1]).variants("boot")) == letters_first


def test_a_variant_that_the_merchant_names_is_offered_alone() -> None:
    [answer] = ask(Fixed(skus=("shirt-m",)))
    assert amounts(answer) == [("shirt-m", 1, 2000, 0, 2000)]


def test_another_variant_is_the_same_product() -> None:
    assert refusals(ask(Fixed(skus=("shirt",)), shown=[("shirt-m", 2000)])) == [("shirt", "already_offered")]
    assert refusals(ask(Fixed(skus=("shirt",)), shown=[("shirt-m", 2001)])) == [("shirt", "")]


def test_what_is_blocked_by_its_parent_is_blocked_in_every_variant() -> None:
    kind = Complementary(blocked=(("pot", "shirt"),))
    assert refusals(ask(kind, candidates=found("shirt-m"))) == [("shirt-m", "blocked")]


def test_one_blocked_variant_leaves_its_siblings() -> None:
    [answer] = ask(Complementary(blocked=(("pot", "shirt-m"),)), candidates=found("shirt-m"))
    assert [one.sku for one in answer.choices] == ["shirt-s", "shirt-l", "shirt-xl"]


def test_the_first_product_of_a_sku_counts() -> None:
    shelf = Shelf([TEA, product("tea", 1)])
    assert shelf.product("tea") is TEA
