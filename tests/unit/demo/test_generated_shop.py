"""The generated shop: big enough, always the same, and with a truth a model can be held to."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from encore_recommender import Baskets, CoPurchaseRecommender
from flask_encore.demo import catalogue
from flask_encore.demo.generate import GeneratedShop, generate

WHEN, SKU, WHO = 2, 1, 3
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop() -> GeneratedShop:
    return generate(NOW)


def baskets(shop: GeneratedShop) -> dict[str, set[str]]:
    held: dict[str, set[str]] = {}
    for row in shop.rows:
        held.setdefault(row[0], set()).add(row[SKU])
    return held


def test_the_shop_has_the_promised_size(shop: GeneratedShop) -> None:
    assert len(shop.products) == 323
    assert len(catalogue.categories()) == 11
    assert len({row[0] for row in shop.rows}) == 13_000
    assert len({row[WHO] for row in shop.rows if row[WHO] is not None}) == 6_000
    assert len(shop.planted) == 52


def test_the_same_now_gives_the_same_shop(shop: GeneratedShop) -> None:
    assert generate(NOW).rows == shop.rows
    assert generate(NOW, seed=7).rows != shop.rows


def test_the_history_ends_before_now_and_spans_half_a_year(shop: GeneratedShop) -> None:
    times = [row[WHEN] or 0.0 for row in shop.rows]

    assert times == sorted(times)
    assert times[-1] < NOW.timestamp()
    assert 179 <= (times[-1] - times[0]) / 86_400 <= 180


def test_no_two_products_share_a_name_and_none_is_numbered() -> None:
    titles = [item.product.title for item in catalogue.products()]

    assert len(set(titles)) == 323
    assert not [title for title in titles if "product" in title.lower() or "#" in title]


def test_every_product_earns_money_and_has_stock_a_category_and_a_picture() -> None:
    shelves = {shelf.name for shelf in catalogue.categories()}
    for item in catalogue.products():
        product = item.product
        assert product.cost is not None
        assert 0 < product.cost.minor_units < product.price.minor_units
        assert product.stock
        assert product.category in shelves
        assert product.image_url == f"/pictures/{product.sku}.svg"
        assert item.blurb.endswith(".")


def test_sunday_sells_more_than_friday_and_payday_more_than_the_day_before_it(shop: GeneratedShop) -> None:
    days = {row[0]: datetime.fromtimestamp(row[WHEN] or 0.0, UTC) for row in shop.rows}
    weekdays = Counter(day.weekday() for day in days.values())
    dates = Counter(day.day for day in days.values())

    assert weekdays[6] > 1.3 * weekdays[4]
    assert dates[25] + dates[26] > 1.15 * (dates[22] + dates[23])


def test_seeds_sell_in_spring_and_candles_in_winter() -> None:
    def share(now: datetime, prefix: str, month: int) -> float:
        skus = [row[SKU] for row in generate(now).rows if datetime.fromtimestamp(row[WHEN] or 0.0, UTC).month == month]
        return sum(sku.startswith(prefix) for sku in skus) / len(skus)

    spring, winter = datetime(2026, 6, 1, tzinfo=UTC), datetime(2027, 1, 15, tzinfo=UTC)
    assert share(spring, "SEE", 4) > 2 * share(winter, "SEE", 12)
    assert share(winter, "CAN", 12) > 1.5 * share(winter, "CAN", 8)


def test_some_shoppers_are_regulars_and_many_come_once(shop: GeneratedShop) -> None:
    orders_of = Counter({row[0]: row[WHO] for row in shop.rows}.values())
    del orders_of[None]
    visits = Counter(orders_of.values())

    assert visits[1] > 2_000
    assert sum(count for times, count in visits.items() if times >= 5) > 200


def test_planted_pairs_are_in_the_history_with_their_strength(shop: GeneratedShop) -> None:
    held = list(baskets(shop).values())
    for pair in shop.planted:
        with_a = [basket for basket in held if pair.sku_a in basket]
        together = sum(pair.sku_b in basket for basket in with_a)
        # three standard errors around the planted probability; b also comes by itself now and then
        slack = 3 * (0.25 / len(with_a)) ** 0.5
        assert pair.probability - slack <= together / len(with_a) <= pair.probability + slack + 0.05


def test_the_model_finds_the_planted_pairs(shop: GeneratedShop) -> None:
    held = list(baskets(shop).values())
    supported = [
        pair for pair in shop.planted if sum(pair.sku_a in basket and pair.sku_b in basket for basket in held) >= 20
    ]
    model = CoPurchaseRecommender(tune=False).fit(
        Baskets.from_rows([(row[0], row[SKU], row[4], row[WHO], row[WHEN]) for row in shop.rows])
    )

    found = [pair for pair in supported if pair.sku_b in model.recommend([pair.sku_a], k=5).ids]

    assert len(supported) >= 40
    assert len(found) >= 0.9 * len(supported)
