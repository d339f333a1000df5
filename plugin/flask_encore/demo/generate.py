"""Half a year of orders of a shop that never was: seeded, the same for the same *now*, and shaped like a real one.

Shoppers come in segments with their own tastes; few of them come often. Trade follows the week, payday, the season and
a slow growth. Into this the planted pairs of `catalogue.planted` are woven with known strength.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flask_encore.demo import catalogue
from flask_encore.services.importing import HistoryRow

SEED = 20_240_229
DAYS = 180
CUSTOMERS = 6_000
ORDERS = 13_000

#: Lines an order has on average before the planted pairs come in; four in ten orders have just one.
MEAN_LINES = 2.3
#: Share of the orders beyond everyone's first that are placed without an account.
GUESTS = 0.2
#: How much busier payday and the two days after it are, and how much busier the last day is than the first.
PAYDAY, GROWTH = 1.35, 0.35
PAYDAYS = frozenset({25, 26, 27, 28})
#: Monday to Sunday: parcels are ordered on Sunday evening and forgotten on Friday night.
WEEKDAYS = np.array([1.08, 1.0, 0.98, 0.97, 0.82, 0.95, 1.3])

#: Segment -> (share of shoppers, taste per category in the order of the catalogue).
SEGMENTS: dict[str, tuple[float, tuple[float, ...]]] = {
    "tea table": (0.27, (6.0, 4.0, 0.8, 0.6, 2.2, 0.4, 0.2, 0.2, 0.2, 0.8, 0.6)),
    "baker": (0.22, (0.8, 0.7, 6.0, 3.0, 2.4, 0.3, 0.1, 0.2, 0.3, 0.3, 1.2)),
    "letter writer": (0.18, (1.2, 0.6, 0.2, 0.2, 0.5, 5.0, 5.0, 0.1, 0.2, 1.0, 0.2)),
    "gardener": (0.20, (0.8, 0.4, 0.3, 0.6, 0.8, 0.3, 0.1, 5.5, 5.0, 0.7, 0.5)),
    "nest builder": (0.13, (0.8, 1.2, 0.6, 2.2, 0.8, 0.8, 0.3, 0.6, 0.3, 4.5, 4.0)),
}

#: Products someone buys for their partner are wanted more than the rest, so that the pairs show in the counts.
PLANTED_DEMAND = 1.7

#: A product below this price (pence) is often taken by the handful.
HANDFUL = 500

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedShop:
    """The shop and its past. *rows* are sorted by time; the lines of an order stand together."""

    products: tuple[catalogue.ShopProduct, ...]
    rows: list[HistoryRow]
    planted: tuple[catalogue.Planted, ...]


def generate(now: datetime, *, seed: int = SEED) -> GeneratedShop:
    """The shop with `ORDERS` orders in the `DAYS` days before *now* (timezone-aware)."""
    rng = np.random.default_rng(seed)
    items = catalogue.products()
    times = _times(rng, now)
    customers, segments, guests = _customers(rng)
    seasons = np.array([_season(now - timedelta(days=float(days))) for days in range(DAYS + 1)])
    age_days = np.clip((now.timestamp() - times) // 86_400, 0, DAYS).astype(np.int64)
    orders, picks = _lines(rng, segments, seasons[age_days], _tastes(rng))
    orders, picks = _with_partners(rng, orders, picks, len(items))
    price = np.array([item.product.price.minor_units for item in items], dtype=np.int64)
    handfuls = np.where((price[picks] < HANDFUL) & (rng.random(len(picks)) < 0.4), rng.integers(2, 6, len(picks)), 1)
    sku = np.array([item.product.sku for item in items], dtype=object)
    names = [None if guest else f"c-{number:04d}" for guest, number in zip(guests, customers.tolist(), strict=True)]
    refs = [f"PQ-{100_001 + number}" for number in range(ORDERS)]
    rows: list[HistoryRow] = [
        (refs[order], code, time, names[order], quantity, pence, catalogue.CURRENCY)
        for order, time, code, quantity, pence in zip(
            orders.tolist(), times[orders].tolist(), sku[picks], handfuls.tolist(), price[picks].tolist(), strict=True
        )
    ]
    return GeneratedShop(products=items, rows=rows, planted=catalogue.planted())


def _times(rng: np.random.Generator, now: datetime) -> Floats:
    """Unix times of the orders, sorted: the day by its weight, the hour around lunch or after supper."""
    days = [now - timedelta(days=age) for age in range(DAYS, 0, -1)]
    weight = np.array([WEEKDAYS[day.weekday()] * (PAYDAY if day.day in PAYDAYS else 1.0) for day in days])
    weight *= 1 + GROWTH * np.arange(DAYS) / DAYS
    day = rng.choice(DAYS, size=ORDERS, p=weight / weight.sum())
    evening = rng.random(ORDERS) < 0.6
    hour = np.where(evening, 17 + 7 * rng.beta(2.2, 2.0, ORDERS), 7 + 10 * rng.beta(2.0, 2.0, ORDERS))
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    times = midnight - (DAYS - day) * 86_400.0 + np.floor(hour * 3_600)
    return np.asarray(np.sort(times), dtype=np.float64)


def _customers(rng: np.random.Generator) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Who placed each order, that shopper's segment, and whether as a guest. Every customer ordered at least once."""
    rate = rng.gamma(0.9, 1.0, CUSTOMERS)  # a few regulars, many who come back seldom or never
    share = np.array([share for share, _taste in SEGMENTS.values()])
    segment = rng.choice(len(SEGMENTS), size=CUSTOMERS, p=share)
    again = rng.choice(CUSTOMERS, size=ORDERS - CUSTOMERS, p=rate / rate.sum())
    shuffle = rng.permutation(ORDERS)
    customers = np.concatenate([np.arange(CUSTOMERS), again])[shuffle]
    guests = np.concatenate([np.zeros(CUSTOMERS, dtype=bool), rng.random(len(again)) < GUESTS])[shuffle]
    return customers, segment[customers], guests


def _season(day: datetime) -> int:
    """0 spring, 1 summer, 2 autumn, 3 winter, by the months of the northern hemisphere."""
    return (day.month - 3) % 12 // 3


def _tastes(rng: np.random.Generator) -> Floats:
    """Demand for each product, shape (segment, season, product); each row sums to 1."""
    items = catalogue.products()
    shelves = {shelf.name: number for number, shelf in enumerate(catalogue.categories())}
    shelf = np.array([shelves[item.product.category or ""] for item in items])
    popularity = rng.lognormal(0.0, 0.55, len(items))
    wanted = {pair.sku_a for pair in catalogue.planted()}
    popularity *= [PLANTED_DEMAND if item.product.sku in wanted else 1.0 for item in items]
    taste = np.array([taste for _share, taste in SEGMENTS.values()])
    season = np.array([category.seasons for category in catalogue.categories()])
    demand = taste[:, None, shelf] * season[shelf].T[None, :, :] * popularity
    return np.asarray(demand / demand.sum(axis=2, keepdims=True), dtype=np.float64)


def _lines(rng: np.random.Generator, segments: Ints, seasons: Ints, demand: Floats) -> tuple[Ints, Ints]:
    """Order number and product number of every line."""
    orders = np.repeat(np.arange(ORDERS), np.minimum(rng.geometric(1 / MEAN_LINES, ORDERS), 12))
    picks = np.empty(len(orders), dtype=np.int64)
    kind = (segments * demand.shape[1] + seasons)[orders]
    for row, weights in enumerate(demand.reshape(-1, demand.shape[2])):
        mine = kind == row
        picks[mine] = np.searchsorted(np.cumsum(weights[:-1]), rng.random(int(mine.sum())), side="right")
    return orders, picks


def _with_partners(rng: np.random.Generator, orders: Ints, picks: Ints, size: int) -> tuple[Ints, Ints]:
    """The lines without repetition inside an order, and with the planted partners added."""
    number = {item.product.sku: position for position, item in enumerate(catalogue.products())}
    lines: Any = [orders * size + picks]
    for pair in catalogue.planted():
        holders = np.unique(orders[picks == number[pair.sku_a]])
        takers = holders[rng.random(len(holders)) < pair.probability]
        lines.append(takers * size + number[pair.sku_b])
    keys = np.unique(np.concatenate(lines))
    return keys // size, keys % size
