"""Sixty days of shoppers before the shop opens, so that the dashboard has something to tell, and a truth to be held to.

Nothing is written into a report: every order is paid at the simulated Stripe, handed to Encore, and its thank-you page
is opened, looked at and answered over the same routes a browser uses, at the hour it happened by a clock that is an
argument. Refunds, disputes and the bank's checks come through Stripe's signed webhooks and the sweeper. Only the
shoppers are made up, by the habits below; so what their offers really added is known, and the dashboard can be held to
it.
"""

from __future__ import annotations

import heapq
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from html import unescape
from itertools import groupby
from math import exp
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_encore.demo import catalogue, till
from flask_encore.demo.app import create_app
from flask_encore.demo.checkout import StripeAccess
from flask_encore.demo.generate import generate
from flask_encore.demo.shop import KEY, Shop, shop
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.offers import Outcome, Placement
from flask_encore.domain.orders import OrderLine
from flask_encore.store import decisions
from flask_encore.testing import FrozenClock, StripeSimulator

DAYS = 60

#: Simulated orders a day: with a fifth of them held out, enough for an uplift.
ORDERS_A_DAY = 17

SEED = 60_010

#: What the simulated Stripe tells the shop, as docs/integration.md asks for.
EVENTS = (
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "charge.refunded",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
)

#: How many orders pass between two rounds of the sweeper, which releases holds and finishes what is open.
SWEEP_EVERY = 10

#: Decisions for which there was an offer, and a price.
_PRICED = {Outcome.OFFERED.value, Outcome.HELD_OUT.value}

#: The actor of refunds, as the audit log has it.
MERCHANT = "demo merchant"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really was.

    Attributes:
        orders: Simulated orders for which there was an offer, held out or not.
        uplift: What offers added to one of them on average, minor units.
    """

    orders: int
    uplift: float


def live_through(
    instance: Path,
    *,
    now: datetime,
    config: dict[str, object],
    state_file: Path,
    webhook_secret: str,
    habits: Habits = Habits(),
    days: int = DAYS,
    orders_a_day: int = ORDERS_A_DAY,
    progress: Callable[[float], None] = lambda _share: None,
) -> Truth:
    """Live through the *days* before *now* in the stocked shop of *instance*, and answer the truth about them.

    The same arguments give the same shoppers and the same answers. Run it once, on a shop without orders.

    Args:
        config: As for `demo.app.create_app`.
        state_file: Where the simulated Stripe is kept for whoever opens the shop afterwards. The payments of the orders
            themselves are left out: nobody asks for them again.
        progress: Hears how much is done, 0 to 1.
    """
    clock = FrozenClock(now - timedelta(days=days))
    with StripeSimulator(clock=clock.timestamp) as stripe:
        access = StripeAccess(
            secret_key=stripe.secret_key,
            publishable_key=stripe.publishable_key,
            api_base=stripe.url,
            js_url=stripe.stripe_js_url,
            webhook_secrets=(webhook_secret,),
        )
        # A tested app has no worker of its own: what it would do is done here, by this clock. Nobody waits for these
        # pages, and an offer that was late because the computer is busy would be another past.
        patient = {**config, "TESTING": True, "ENCORE_DECISION_BUDGET_MS": 10_000}
        app = create_app(instance=instance, stripe=access, config=patient, clock=clock)
        with closing(sqlite3.connect(instance / "shop.sqlite3")) as held, _served(app) as url:
            # SQLite tidies up whenever the last connection closes, and the shop's books open one for every line.
            held.execute("SELECT count(*) FROM products").fetchone()
            stripe.webhooks.auto = False
            stripe.add_webhook(f"{url}/encore/stripe/webhook", webhook_secret, enabled_events=EVENTS)
            life = _Life(app=app, clock=clock, stripe=stripe, habits=habits)
            baskets = list(_baskets(now, days=days, orders_a_day=orders_a_day))
            for number, basket in enumerate(baskets):
                life.goes_on_until(basket.at)
                life.order(basket)
                progress((number + 1) / len(baskets))
            life.goes_on_until(now)
        stripe.save_to(state_file, intents=life.intents)
        with app.app_context():
            truth = life.truth()
            shop().encore.close()
    return truth


@dataclass(frozen=True, slots=True, kw_only=True)
class _Basket:
    """What somebody bought, and when; *lines* are SKU and quantity."""

    at: datetime
    customer_ref: str
    lines: tuple[tuple[str, int], ...]


def _baskets(now: datetime, *, days: int, orders_a_day: int) -> Iterator[_Basket]:
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
        yield _Basket(
            at=datetime.fromtimestamp(placed_at or first, now.tzinfo),
            customer_ref=customer_ref or f"guest-{order_ref}",
            lines=tuple((line[1], line[4]) for line in lines),
        )


@dataclass(frozen=True, slots=True)
class _Shopper:
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
    def of(cls, basket: _Basket) -> _Shopper:
        dice = Random(f"{SEED} {basket.at.timestamp()} {basket.customer_ref}")
        return cls(*(dice.random() for _ in fields(cls)))


class _Life:
    """What happens in the shop, in the order it happens."""

    def __init__(self, *, app: Flask, clock: FrozenClock, stripe: StripeSimulator, habits: Habits) -> None:
        self._app, self._clock, self._stripe, self._habits = app, clock, stripe, habits
        self._shop: Shop = app.extensions[KEY]
        with app.app_context():
            self._rt = self._shop.encore.runtime
        self._client = app.test_client()
        self._later: list[tuple[datetime, int, Callable[[], object]]] = []
        self._restocked_on = clock().date()
        self._orders = 0
        self._worth: list[float] = []
        #: The PaymentIntents of offers: the ones that may be asked for again when the shop is open.
        self.intents: set[str] = set()

    def order(self, basket: _Basket) -> None:
        """Somebody buys, and sees the thank-you page."""
        shopper = _Shopper.of(basket)
        with self._app.app_context():
            order_ref = self._pay(basket, card=self._card(shopper.card))
        with self._client.session_transaction() as session:
            session["orders"] = [order_ref]
        page = self._client.get(f"/orders/{order_ref}/thanks").text
        self._answer(order_ref, page, shopper)
        self._client.delete_cookie("pottle")
        self._orders += 1
        if self._orders % SWEEP_EVERY == 0:
            self._sweep()

    def goes_on_until(self, at: datetime) -> None:
        """Let time pass to *at*, and happen what was to happen on the way. Time never goes back."""
        while self._later and self._later[0][0] <= at:
            due, _, happens = heapq.heappop(self._later)
            self._wait_until(due)
            happens()
            self._stripe.webhooks.deliver()
        self._wait_until(at)
        if self._clock().date() != self._restocked_on:
            self._restock()
            self._sweep()

    def truth(self) -> Truth:
        """What the offers added, by the habits, over every order that had one."""
        return Truth(orders=len(self._worth), uplift=sum(self._worth) / max(len(self._worth), 1))

    def _card(self, drawn: float) -> str:
        habits = self._habits
        if drawn < habits.refused:
            return "4000000000000341"
        return "4000002760003184" if drawn < habits.refused + habits.checked else "4242424242424242"

    def _pay(self, basket: _Basket, *, card: str) -> str:
        books, now = self._shop.books, self._clock()
        found = {item.product.sku: item for item in books.products_of([sku for sku, _ in basket.lines])}
        lines = [
            OrderLine(sku=sku, title=found[sku].name, quantity=quantity, unit_price=found[sku].product.price)
            for sku, quantity in basket.lines
        ]
        order_ref = books.open_order(lines, customer_ref=basket.customer_ref, locale="en", now=now)
        total = sum(line.unit_price.minor_units * line.quantity for line in lines)
        intent = self._stripe.paid_intent(amount=total, currency=catalogue.CURRENCY, card=card)
        # Stripe tells the shop's own payments to whoever listens; the shop heard of this one at the till.
        self._forget_events()
        till.settle(order_ref, payment_intent_ref=intent["id"], now=now)
        return order_ref

    def _forget_events(self) -> None:
        for delivery in self._stripe.webhooks.pending():
            self._stripe.webhooks.drop(delivery.event_id)

    def _answer(self, order_ref: str, page: str, shopper: _Shopper) -> None:
        """What the shopper does about the offer, if there is one."""
        read, habits = self._read(order_ref), self._habits
        decision = next((row for row, _ in read.steps if row["outcome"] in _PRICED), None)
        if decision is None:
            return
        price, total = decision["total_minor"], read.order["total_minor"]
        self._worth.append(habits.worth(price, total))
        found = re.search(r'action="([^"]+)/accept"', page)
        if found is None or shopper.sees >= habits.seen:
            return
        door = urlsplit(unescape(found[1])).path
        self._clock.advance(seconds=20)
        self._client.post(f"{door}/shown")
        self._clock.advance(seconds=25)
        if shopper.takes < habits.takes(price, total):
            self._client.post(f"{door}/accept", data={"text": "For you"})
            self._afterwards(order_ref, door, shopper)
        elif shopper.otherwise < habits.declines:
            self._client.post(f"{door}/decline")

    def _afterwards(self, order_ref: str, door: str, shopper: _Shopper) -> None:
        """The bank's answer to a yes, and second thoughts."""
        charge, habits = self._charge(order_ref), self._habits
        if charge is None or charge.payment_intent_ref is None:
            return
        intent_ref = charge.payment_intent_ref
        self.intents.add(intent_ref)
        if charge.status is ChargeStatus.ACTION_REQUIRED and shopper.passes < habits.passes:
            self._clock.advance(seconds=40)
            self._stripe.authenticate(intent_ref)
        self._stripe.webhooks.deliver()
        if self._stripe.intent(intent_ref)["status"] != "succeeded":
            return
        if shopper.undoes < habits.undoes:
            self._clock.advance(minutes=4)
            self._client.post(f"{door}/undo")
            self._stripe.webhooks.deliver()
        elif shopper.returns < habits.returns:
            self._plan(3 + 20 * shopper.otherwise, lambda: self._refund(charge.id))
        elif shopper.disputes < habits.disputes:
            self._plan(8 + 20 * shopper.otherwise, lambda: self._stripe.dispute(intent_ref))

    def _charge(self, order_ref: str) -> Charge | None:
        return next((charge for _, charge in self._read(order_ref).steps if charge is not None), None)

    def _read(self, order_ref: str) -> decisions.Page:
        with self._rt.db.read() as connection:
            read = decisions.page(connection, order_ref, account=self._rt.account, placement=Placement.THANK_YOU)
        assert read is not None
        return read

    def _refund(self, charge_ref: str) -> None:
        with self._app.app_context():
            self._shop.encore.refund(charge_ref, actor=MERCHANT)

    def _plan(self, days: float, happens: Callable[[], object]) -> None:
        heapq.heappush(
            self._later, (self._clock() + timedelta(days=days), len(self._later) + self._orders * 10, happens)
        )

    def _wait_until(self, at: datetime) -> None:
        ahead = (at - self._clock()).total_seconds()
        if ahead > 0:
            self._clock.advance(seconds=ahead)

    def _restock(self) -> None:
        """A delivery every morning: a shop that sold out would show nothing but that."""
        self._restocked_on = self._clock().date()
        items = [*catalogue.products(), *catalogue.counter()]
        self._shop.books.restock({item.product.sku: item.product.stock for item in items})
        with self._app.app_context():
            self._shop.encore.catalog.upsert([item.product for item in items])

    def _sweep(self) -> None:
        with self._app.app_context():
            self._shop.encore.sweep()


class _Quiet(WSGIRequestHandler):
    """Says nothing of requests."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def _served(app: Flask) -> Iterator[str]:
    """The app where the simulated Stripe can reach it with its webhooks."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, name="past", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
