"""The shoppers of the demo's past: what they buy, what they are like, and what offers therefore really add.

Everything a shopper will do is drawn before the page is seen, and is the same whatever it shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import groupby
from math import exp
from random import Random

from flask_encore.demo.generate import generate

SEED = 60_010


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What simulated shoppers do, as probabilities. The truth about the offers follows from them and from the prices.

    Attributes:
        seen: Scrolls to the offer.
        eager: Would take an offer that costs next to nothing; each time it costs as much as the order itself, `thrift`
            times fewer do (as a power of e).
        declines: Says no, of those who saw it and did not take it; the others just leave.
        refused: The bank says no to the card's next charge.
        checked: The bank asks the shopper; *passes* of them answer it.
        undoes: Undoes within the time to undo.
        returns: Sends it back days later, and the merchant refunds.
        disputes: Has the bank take it back.
    """

    seen: float = 0.85
    eager: float = 0.34
    thrift: float = 1.1
    declines: float = 0.4
    refused: float = 0.05
    checked: float = 0.06
    passes: float = 0.75
    undoes: float = 0.05
    returns: float = 0.03
    disputes: float = 0.006

    def takes(self, price: int, order: int) -> float:
        """The probability that somebody who sees an offer of *price* after an order of *order* says yes."""
        return self.eager * exp(-self.thrift * price / max(order, 1))

    @property
    def kept(self) -> float:
        """The probability that a yes is charged and stays so."""
        charged = 1 - self.refused - self.checked * (1 - self.passes)
        return charged * (1 - self.undoes) * (1 - self.returns) * (1 - self.disputes)

    def worth(self, price: int, order: int) -> float:
        """What showing an offer of *price* adds to an order of *order* on average, minor units."""
        return self.seen * self.takes(price, order) * self.kept * price


#: The demo's shoppers.
HABITS = Habits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really was.

    Attributes:
        orders: Simulated orders for which there was an offer, held out or not.
        uplift: What offers added to one of them that was not held out, on average, minor units.
        variants: The same of each variant of the experiment.
    """

    orders: int
    uplift: float
    variants: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """What somebody bought, and when; *lines* are SKU and quantity."""

    at: datetime
    customer_ref: str
    lines: tuple[tuple[str, int], ...]


def baskets(now: datetime, *, days: int, orders_a_day: int) -> Iterator[Basket]:
    """Orders of the *days* before *now*, of the same shoppers as the imported history and others like them."""
    first = (now - timedelta(days=days)).timestamp()
    # Orders paid in the last two hours could still be undone; the shop opens with a finished past.
    last = (now - timedelta(hours=2)).timestamp()
    orders = [
        (order_ref, list(lines)) for order_ref, lines in groupby(generate(now, seed=SEED).rows, key=lambda row: row[0])
    ]
    lately = [(ref, lines) for ref, lines in orders if first <= (lines[0][2] or 0.0) < last]
    chosen = Random(SEED).sample(lately, min(len(lately), orders_a_day * days))
    for order_ref, lines in sorted(chosen, key=lambda order: (order[1][0][2], order[0])):
        placed_at, customer_ref = lines[0][2], lines[0][3]
        yield Basket(
            at=datetime.fromtimestamp(placed_at or first, now.tzinfo),
            customer_ref=customer_ref or f"guest-{order_ref}",
            lines=tuple((line[1], line[4]) for line in lines),
        )


@dataclass(frozen=True, slots=True)
class Shopper:
    """What somebody will do, each a number from 0 to 1 that is held against a habit.

    Drawn before the page is seen, and the same whatever it shows: so both arms have the same shoppers.
    """

    card: float
    sees: float
    takes: float
    passes: float
    undoes: float
    returns: float
    disputes: float
    otherwise: float

    @classmethod
    def of(cls, basket: Basket) -> Shopper:
        dice = Random(f"{SEED} {basket.at.timestamp()} {basket.customer_ref}")
        return cls(*(dice.random() for _ in fields(cls)))
