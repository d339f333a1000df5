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
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_encore.demo import campaigns, catalogue, till
from flask_encore.demo.app import create_app
from flask_encore.demo.checkout import StripeAccess
from flask_encore.demo.shop import KEY, Shop, shop
from flask_encore.demo.shoppers import HABITS, Basket, Habits, Shopper, Truth, baskets
from flask_encore.domain.campaigns import BUILT_IN
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.offers import Outcome, Placement
from flask_encore.domain.orders import OrderLine
from flask_encore.services import experimenting
from flask_encore.store import decisions
from flask_encore.testing import FrozenClock, StripeSimulator

DAYS = 60

#: Simulated orders a day: with a fifth of them held out, enough for an uplift.
ORDERS_A_DAY = 17

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


#: An experiment that begins with the past and goes on: a larger discount sells more, and earns less on each.
EXPERIMENT: Mapping[str, Any] = {
    "ref": "how-much-off",
    "name": "How much off what others bought with it",
    "varies": "discount",
    "campaign": BUILT_IN,
    "baseline": "10 % off",
    "variants": [
        {"name": "10 % off", "weight": 5_000},
        {"name": "25 % off", "weight": 5_000, "discount": {"percent": 25}},
    ],
}


def live_through(
    instance: Path,
    *,
    now: datetime,
    config: dict[str, object],
    state_file: Path,
    webhook_secret: str,
    habits: Habits = HABITS,
    days: int = DAYS,
    orders_a_day: int = ORDERS_A_DAY,
    experiment: Mapping[str, Any] | None = EXPERIMENT,
    progress: Callable[[float], None] = lambda _share: None,
) -> Truth:
    """Live through the *days* before *now* in the stocked shop of *instance*, and answer the truth about them.

    The same arguments give the same shoppers, and without an experiment the same answers: who is dealt which variant
    hangs on a salt that nobody chooses. Run it once, on a shop without orders.

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
            if experiment is not None:
                life.begin(experiment)
            bought = list(baskets(now, days=days, orders_a_day=orders_a_day))
            for number, basket in enumerate(bought):
                life.goes_on_until(basket.at)
                life.order(basket)
                progress((number + 1) / len(bought))
            life.goes_on_until(now)
        stripe.save_to(state_file, intents=life.intents)
        with app.app_context():
            truth = life.truth()
            shop().encore.close()
    return truth


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
        self._experiment_ref = ""
        self._eligible = 0
        #: What offers added to the orders that were not held out, by the variant they were dealt.
        self._worth: dict[str, list[float]] = defaultdict(list)
        #: The PaymentIntents of offers: the ones that may be asked for again when the shop is open.
        self.intents: set[str] = set()

    def begin(self, definition: Mapping[str, Any]) -> None:
        """Start an experiment."""
        self._experiment_ref = definition["ref"]
        with self._app.app_context():
            saved = experimenting.create(self._rt, definition, actor=campaigns.ACTOR)
            experimenting.start(self._rt, saved.experiment.ref, actor=campaigns.ACTOR, expected=saved.version)

    def order(self, basket: Basket) -> None:
        """Somebody buys, and sees the thank-you page."""
        shopper = Shopper.of(basket)
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
        everybody = [worth for dealt in self._worth.values() for worth in dealt]
        return Truth(
            orders=self._eligible,
            uplift=fmean(everybody) if everybody else 0.0,
            variants={name: fmean(dealt) for name, dealt in self._worth.items() if name},
        )

    def _card(self, drawn: float) -> str:
        habits = self._habits
        if drawn < habits.refused:
            return "4000000000000341"
        return "4000002760003184" if drawn < habits.refused + habits.checked else "4242424242424242"

    def _pay(self, basket: Basket, *, card: str) -> str:
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

    def _answer(self, order_ref: str, page: str, shopper: Shopper) -> None:
        """What the shopper does about the offer, if there is one."""
        read, habits = self._read(order_ref), self._habits
        decision = next((row for row, _ in read.steps if row["outcome"] in _PRICED), None)
        if decision is None:
            return
        price, total = decision["total_minor"], read.order["total_minor"]
        self._eligible += 1
        if decision["outcome"] == Outcome.OFFERED:
            variant = (decision["exposures"] or {}).get(self._experiment_ref, "")
            self._worth[variant].append(habits.worth(price, total))
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

    def _afterwards(self, order_ref: str, door: str, shopper: Shopper) -> None:
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
