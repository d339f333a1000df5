"""Every kind of offer beside one order: what it comes to, and why it comes to nothing."""

from __future__ import annotations

import pytest
from priced_offers import MUG, POT, TEA, amounts, ask, basket, found, product, refusals

from flask_encore.domain.errors import CurrencyMismatch
from flask_encore.domain.kinds import Bundle, BuyGet, Complementary, Discount, Fixed, Kind, MoreOfTheSame, Service
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Candidate
from flask_encore.domain.orders import Product
from flask_encore.domain.prices import Quote
from flask_encore.domain.pricing import quoted


def test_what_the_recommender_found_is_priced_in_its_order() -> None:
    answers = ask(Complementary(discount=Discount(percent=10)), candidates=found("mug", "tea"))
    assert [amounts(one) for one in answers] == [[("mug", 1, 1499, 150, 1349)], [("tea", 1, 1000, 100, 900)]]
    assert [one.choose for one in answers] == ["", ""]
    assert [one.product for one in answers] == [MUG, TEA]


@pytest.mark.parametrize(
    ("offered", "refused"),
    [
        (product("tea", active=False, stock=0), "inactive"),
        (product("tea", stock=0), "sold_out"),
        (product("tea", currency="eur"), "other_currency"),
        (product("tea", 29), "not_chargeable"),
        (product("tea", 0), "not_chargeable"),
        (product("tea", 10_001), "price_guard"),
        (product("other"), "not_in_catalogue"),
    ],
)
def test_what_cannot_be_offered_says_why(offered: Product, refused: str) -> None:
    assert refusals(ask(Complementary(), POT, offered, candidates=found("tea"))) == [("tea", refused)]


def test_nothing_of_the_order_is_offered_again() -> None:
    assert refusals(ask(Complementary(), candidates=found("pot"))) == [("pot", "in_order")]
    assert refusals(ask(Fixed(skus=("pot",)))) == [("pot", "in_order")]
    assert refusals(ask(Service(sku="pot"))) == [("pot", "in_order")]
    assert refusals(ask(Bundle(skus=("tea", "pot"), prices={"gbp": Money(3000, "gbp")}))) == [("tea", "in_order")]


@pytest.mark.parametrize(
    ("bounds", "refused"),
    [
        (Complementary(only_categories=("coffee",)), "category"),
        (Complementary(never_categories=("tea",)), "category"),
        (Complementary(blocked=(("pot", "tea"),)), "blocked"),
        (Complementary(blocked=(("tea", "pot"),)), "blocked"),
        (Complementary(blocked=(("tea", "mug"),)), ""),
        (Complementary(price_cap_percent=9), "price_cap"),
        (Complementary(price_cap_percent=10), ""),
        (Complementary(margin_floor_percent=40), ""),
        (Complementary(margin_floor_percent=41), "margin"),
        (Complementary(discount=Discount(percent=10), margin_floor_percent=34), "margin"),
        (Complementary(discount=Discount(percent=10), margin_floor_percent=33), ""),
        (Complementary(discount=Discount(percent=100), margin_floor_percent=0), "margin"),
        (Complementary(discount=Discount(percent=100)), ""),
    ],
)
def test_the_merchants_bounds_hold_for_what_was_recommended(bounds: Complementary, refused: str) -> None:
    tea = product("tea", 1000, category="tea", cost=600)
    assert refusals(ask(bounds, POT, tea, candidates=found("tea"))) == [("tea", refused)]


def test_a_margin_that_nobody_can_know_is_not_assumed() -> None:
    assert refusals(ask(Complementary(margin_floor_percent=0), candidates=found("tea"))) == [("tea", "margin_unknown")]


def test_a_product_without_category_is_in_none_that_is_asked_for_and_in_none_that_is_refused() -> None:
    assert refusals(ask(Complementary(only_categories=("tea",)), candidates=found("mug"))) == [("mug", "category")]
    assert refusals(ask(Complementary(never_categories=("tea",)), candidates=found("mug"))) == [("mug", "")]


def test_what_is_pinned_to_a_product_of_the_order_comes_first() -> None:
    order = basket(("cup", 1, 500), ("pot", 1, 3000), total=10_000)
    kind = Complementary(pinned=(("pot", "tea"), ("cup", "mug"), ("pot", "mug"), ("jug", "pot")))
    known = [
        Candidate(sku="shirt-l", score=2.0, kind="category", probability=0.3),
        Candidate(sku="tea", score=1.0, kind="co_purchase", because_of="cup", support=41, of_orders=380, lift=3.2),
    ]
    answers = ask(kind, order=order, candidates=known)
    assert [one.candidate for one in answers] == [
        Candidate(sku="mug", score=0.0, kind="pinned", because_of="cup"),
        Candidate(sku="tea", score=1.0, kind="pinned", because_of="cup", support=41, of_orders=380, lift=3.2),
        known[0],
    ]


def test_a_pin_to_what_a_product_of_the_order_is_a_variant_of_holds_too() -> None:
    order = basket(("shirt-s", 1, 2000), total=10_000)
    [answer] = ask(Complementary(pinned=(("shirt", "tea"),)), order=order)
    assert answer.candidate == Candidate(sku="tea", score=0.0, kind="pinned", because_of="shirt-s")


def test_a_pinned_product_keeps_to_the_bounds() -> None:
    kind = Complementary(pinned=(("pot", "tea"),), never_categories=("tea",))
    assert refusals(ask(kind, candidates=found("mug"))) == [("tea", "category"), ("mug", "")]


def test_a_ranked_list_is_answered_product_by_product_with_the_evidence_there_is() -> None:
    kind = Fixed(skus=("mug", "tea", "shirt", "none"), discount=Discount(percent=10))
    known = [Candidate(sku="tea", score=0.5, kind="co_purchase", because_of="pot", support=9, of_orders=40, lift=2.0)]
    answers = ask(kind, candidates=known)
    assert refusals(answers) == [("mug", ""), ("tea", ""), ("shirt", ""), ("none", "not_in_catalogue")]
    assert [len(one.choices) for one in answers] == [1, 1, 4, 0]
    assert answers[0].candidate == Candidate(sku="mug", score=0.0, kind="fixed")
    assert (answers[1].candidate.kind, answers[1].candidate.support) == ("fixed", 9)


def test_orders_that_held_the_product_alone_do_not_pass_for_bought_together() -> None:
    known = [
        Candidate(sku="tea", score=0.5, kind="category", because_of="mug", support=90, of_orders=400, probability=0.2)
    ]
    assert ask(Fixed(skus=("tea",)), candidates=known)[0].candidate == Candidate(
        sku="tea", score=0.5, kind="fixed", probability=0.2
    )
    assert ask(Complementary(pinned=(("pot", "tea"),)), candidates=known)[0].candidate == Candidate(
        sku="tea", score=0.5, kind="pinned", because_of="pot", probability=0.2
    )


def test_a_fixed_amount_comes_off_in_its_own_currency_only() -> None:
    kind = Fixed(skus=("tea",), discount=Discount(amounts={"gbp": Money(250, "gbp")}))
    assert amounts(ask(kind)[0]) == [("tea", 1, 1000, 250, 750)]
    abroad = basket(("pot", 1, 3000), currency="eur")
    assert refusals(ask(kind, product("tea", 1000, currency="eur"), order=abroad)) == [("tea", "no_price")]


@pytest.mark.parametrize("off", [1000, 1001])
def test_a_fixed_amount_that_leaves_nothing_is_no_price(off: int) -> None:
    kind = Fixed(skus=("tea",), discount=Discount(amounts={"gbp": Money(off, "gbp")}))
    assert refusals(ask(kind)) == [("tea", "no_price")]


def test_all_off_is_free_and_needs_no_charge() -> None:
    [answer] = ask(Fixed(skus=("tea",), discount=Discount(percent=100)))
    assert amounts(answer) == [("tea", 1, 1000, 1000, 0)]


def test_a_price_of_nothing_is_a_forgotten_one_and_no_gift() -> None:
    kind = Fixed(skus=("tea",), discount=Discount(percent=100))
    assert refusals(ask(kind, product("tea", 0))) == [("tea", "not_chargeable")]


def test_one_that_is_bought_is_never_free_for_being_too_cheap_to_charge() -> None:
    order = basket(("pin", 1, 5000), currency="isk")
    assert refusals(ask(BuyGet(), product("pin", 99, currency="isk"), order=order)) == [("pin", "not_chargeable")]


def test_what_only_rounds_down_to_nothing_is_not_given_away() -> None:
    order = basket(("pot", 1, 500), currency="jpy")
    kind = Fixed(skus=("pin",), discount=Discount(percent=99))
    assert refusals(ask(kind, product("pin", 60, currency="jpy"), order=order)) == [("pin", "not_chargeable")]


@pytest.mark.parametrize(
    ("currency", "price", "total"),
    [("jpy", 995, 895), ("kwd", 1995, 1790), ("isk", 99500, 89500), ("ugx", 100100, 90000), ("gbp", 995, 895)],
)
def test_a_percentage_is_rounded_in_the_shoppers_favour_to_what_can_be_charged(
    currency: str, price: int, total: int
) -> None:
    order = basket(("pot", 1, 900_000), currency=currency)
    offered = product("tea", price, currency=currency)
    [answer] = ask(Fixed(skus=("tea",), discount=Discount(percent=10)), offered, order=order)
    assert amounts(answer) == [("tea", 1, price, price - total, total)]


def test_the_price_guard_holds_for_every_kind() -> None:
    order = basket(("pot", 1, 3000), total=4000)
    kinds: list[Kind] = [
        Complementary(pinned=(("pot", "mug"),)),
        Fixed(skus=("mug",)),
        Service(sku="mug"),
        BuyGet(buy=0, get=1, percent_off=10),
        Bundle(skus=("mug", "tea"), prices={"gbp": Money(1001, "gbp")}),
        MoreOfTheSame(discount=Discount(percent=50)),
    ]
    assert [ask(kind, order=order, guard_percent=25)[0].refused for kind in kinds] == ["price_guard"] * 6
    assert refusals(ask(Fixed(skus=("tea",)), order=order, guard_percent=25)) == [("tea", "")]


@pytest.mark.parametrize(
    ("shown", "refused"),
    [
        ([("tea", 900)], "already_offered"),
        ([("tea", 899)], "already_offered"),
        ([("tea", 901)], ""),
        ([("tea", 1000), ("tea", 800)], "already_offered"),
        ([("tea", 800), ("tea", 1000)], "already_offered"),
        ([("mug", 100)], ""),
    ],
)
def test_the_same_product_is_offered_again_only_for_less(shown: list[tuple[str, int]], refused: str) -> None:
    kind = Fixed(skus=("tea",), discount=Discount(percent=10))
    assert refusals(ask(kind, shown=shown)) == [("tea", refused)]


def test_what_was_bought_comes_again_the_most_spent_on_first() -> None:
    order = basket(("tea", 2, 1000), ("mug", 1, 1499), ("tea", 2, 1000), ("pot", 1, 3000))
    answers = ask(BuyGet(buy=0, get=1, percent_off=50), order=order)
    assert [amounts(one) for one in answers] == [
        [("tea", 1, 1000, 500, 500)],
        [("pot", 1, 3000, 1500, 1500)],
        [("mug", 1, 1499, 750, 749)],
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (BuyGet(), (2, 2000, 1000, 1000)),
        (BuyGet(buy=2, get=1), (3, 3000, 1000, 2000)),
        (BuyGet(buy=1, get=2, percent_off=33), (3, 3000, 660, 2340)),
        (BuyGet(buy=0, get=1), (1, 1000, 1000, 0)),
    ],
)
def test_some_are_bought_and_some_come_cheaper_or_free(kind: BuyGet, expected: tuple[int, ...]) -> None:
    [answer] = ask(kind, order=basket(("tea", 1, 1000), total=10_000))
    assert amounts(answer) == [("tea", *expected)]
    assert answer.choose == ""


@pytest.mark.parametrize("kind", [BuyGet(skus=("mug", "cup")), MoreOfTheSame(skus=("mug", "cup"))])
def test_what_was_not_bought_cannot_come_again(kind: Kind) -> None:
    assert refusals(ask(kind)) == [("mug", "not_in_order")]


@pytest.mark.parametrize("kind", [BuyGet(buy=0, skus=("tea",)), MoreOfTheSame(skus=("tea",))])
def test_only_what_is_named_comes_again(kind: Kind) -> None:
    assert [one.candidate.sku for one in ask(kind, order=basket(("pot", 1, 3000), ("tea", 1, 1000)))] == ["tea"]


def test_what_is_named_by_its_parent_comes_again_as_the_variant_that_was_bought() -> None:
    order = basket(("shirt-m", 1, 2000), total=10_000)
    [answer] = ask(MoreOfTheSame(skus=("shirt",)), order=order)
    assert amounts(answer) == [("shirt-m", 1, 2000, 0, 2000)]


@pytest.mark.parametrize(
    ("stock", "refused"),
    [(0, "sold_out"), (1, "too_few"), (2, ""), (None, "")],
    ids=["none", "one", "two", "uncounted"],
)
@pytest.mark.parametrize("kind", [BuyGet(), MoreOfTheSame(minimum=2, maximum=2)])
def test_there_have_to_be_enough_of_them(kind: Kind, stock: int | None, refused: str) -> None:
    order = basket(("tea", 1, 1000), total=10_000)
    assert refusals(ask(kind, product("tea", stock=stock), order=order)) == [("tea", refused)]


def test_more_of_the_same_comes_in_the_quantities_the_stock_has() -> None:
    order = basket(("mug", 1, 1499), total=10_000)
    [answer] = ask(MoreOfTheSame(minimum=2, maximum=6, discount=Discount(percent=15)), order=order)
    assert amounts(answer) == [("mug", 2, 2998, 450, 2548), ("mug", 3, 4497, 675, 3822)]
    assert answer.choose == "quantity"


def test_a_fixed_amount_comes_off_the_whole_quantity_once() -> None:
    order = basket(("tea", 1, 1000), total=10_000)
    kind = MoreOfTheSame(minimum=1, maximum=5, step=2, discount=Discount(amounts={"gbp": Money(200, "gbp")}))
    assert amounts(ask(kind, order=order)[0]) == [
        ("tea", 1, 1000, 200, 800),
        ("tea", 3, 3000, 200, 2800),
        ("tea", 5, 5000, 200, 4800),
    ]


def test_quantities_above_the_guard_are_left_out_and_without_the_least_there_is_no_offer() -> None:
    order = basket(("tea", 1, 1000), total=2500)
    [answer] = ask(MoreOfTheSame(minimum=1, maximum=4), order=order)
    assert [one.quantity for one in answer.choices] == [1, 2]
    assert refusals(ask(MoreOfTheSame(minimum=3, maximum=4), order=order)) == [("tea", "price_guard")]


def test_a_line_whose_product_is_gone_does_not_come_again() -> None:
    order = basket(("gone", 1, 1000), ("tea", 1, 900))
    assert refusals(ask(MoreOfTheSame(), order=order)) == [("gone", "not_in_catalogue"), ("tea", "")]


def test_a_bundle_has_one_price_and_a_line_each() -> None:
    [answer] = ask(Bundle(skus=("mug", "tea"), prices={"gbp": Money(1900, "gbp")}))
    assert amounts(answer) == [("mug", 1, 2499, 599, 1900)]
    [choice] = answer.choices
    assert [(line.sku, line.item.minor_units, line.discount.minor_units) for line in choice.lines] == [
        ("mug", 1499, 359),
        ("tea", 1000, 240),
    ]
    assert (choice.second_sku, choice.title) == ("tea", "Mug + Tea")


@pytest.mark.parametrize(
    ("mug", "tea", "prices", "refused"),
    [
        (MUG, TEA, {"gbp": Money(2499, "gbp")}, "no_price"),
        (MUG, TEA, {"eur": Money(1900, "eur")}, "no_price"),
        (MUG, TEA, {"gbp": Money(29, "gbp")}, "not_chargeable"),
        (MUG, product("tea", stock=0), {"gbp": Money(1900, "gbp")}, "sold_out"),
        (product("mug", active=False), TEA, {"gbp": Money(1900, "gbp")}, "inactive"),
        (MUG, product("tea", currency="eur"), {"gbp": Money(1900, "gbp")}, "other_currency"),
        (MUG, POT, {"gbp": Money(1900, "gbp")}, "not_in_catalogue"),
    ],
)
def test_a_bundle_that_cannot_be_says_why(mug: Product, tea: Product, prices: dict[str, Money], refused: str) -> None:
    assert refusals(ask(Bundle(skus=("mug", "tea"), prices=prices), mug, tea)) == [("mug", refused)]


def test_a_bundle_is_pictured_by_the_first_of_it_that_has_a_picture() -> None:
    kind = Bundle(skus=("mug", "tea"), prices={"gbp": Money(1900, "gbp")})
    mug, tea = product("mug", 1499, image_url="/mug.webp"), product("tea", image_url="/tea.webp")
    assert ask(kind, mug, tea)[0].choices[0].image_url == "/mug.webp"
    assert ask(kind, MUG, tea)[0].choices[0].image_url == "/tea.webp"
    assert ask(kind, MUG, TEA)[0].choices[0].image_url is None


def test_a_former_price_is_shown_only_where_the_catalogue_tells_it() -> None:
    tea, mug = product("tea", was=1200, cost=400), product("mug", 1500, was=1600)
    order = basket(("tea", 1, 1000), total=10_000)
    [more] = ask(MoreOfTheSame(maximum=2), tea, order=order)
    assert [(one.was, one.cost) for one in more.choices] == [
        (Money(1200, "gbp"), Money(400, "gbp")),
        (Money(2400, "gbp"), Money(800, "gbp")),
    ]
    prices = {"gbp": Money(1900, "gbp")}
    [both] = ask(Bundle(skus=("tea", "mug"), prices=prices), tea, mug)
    assert (both.choices[0].was, both.choices[0].cost) == (Money(2800, "gbp"), None)
    [one] = ask(Bundle(skus=("tea", "mug"), prices=prices), tea, product("mug", 1500))
    assert one.choices[0].was is None


def test_a_service_counts_no_stock_and_ships_nothing() -> None:
    [answer] = ask(Service(sku="wrap"), POT, product("wrap", 350, stock=0))
    assert amounts(answer) == [("wrap", 1, 350, 0, 350)]
    assert [line.ships for line in answer.choices[0].lines] == [False]
    [answer] = ask(Fixed(skus=("tea",)))
    assert [line.ships for line in answer.choices[0].lines] == [True]


def test_amounts_beyond_any_are_refused_and_not_raised() -> None:
    order = basket(("tea", 1, 1000), total=10_000)
    huge = product("tea", 2**63 - 1, cost=2**62)
    assert refusals(ask(MoreOfTheSame(minimum=2, maximum=2), huge, order=order)) == [("tea", "not_chargeable")]


def test_a_quote_adds_its_shipping_and_tax() -> None:
    [answer] = ask(Fixed(skus=("tea",), discount=Discount(percent=10)))
    quote = Quote(shipping=Money(250, "gbp"), tax=Money(230, "gbp"), tax_included=False)
    price = quoted(answer.choices[0], quote).price
    assert price.as_json() == {
        "item": 1000,
        "discount": 100,
        "shipping": 250,
        "tax": 230,
        "tax_included": False,
        "total": 1380,
    }
    with pytest.raises(CurrencyMismatch):
        quoted(answer.choices[0], Quote(shipping=Money(250, "eur")))
