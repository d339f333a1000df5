"""Whatever the shop, the order and the campaigns are: what is shown is what is charged is what is added.

Every world comes from its seed alone. One that fails names its seed and how to see it again.
"""

from __future__ import annotations

import html as entities
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from campaigns import decisions
from conftest import START, Shop, shops
from hosts import SECTION
from money import untold
from offer_worlds import Shelves, World, world

from flask_encore import Money, Quote
from flask_encore.services import campaigning, explaining, offering
from flask_encore.store import catalog
from flask_encore.store.models import metadata
from flask_encore.testing import FrozenClock, StripeSimulator
from flask_encore.web import drawing

#: Worlds for each database; SQLite is the quicker one, and what differs between them is told by other suites.
WORLDS = {"sqlite": range(150), "postgresql": range(1_000, 1_025)}

#: Tests that share a database's worlds, so that none of them takes long on a busy machine.
PARTS = 5

#: Answers a shopper gives before the page is closed; a sequence has three offers, each can be undone.
ANSWERS = 6

#: Pages an offer can be on.
PAGES = ("/thanks/", "/order/")


def seeds(database: str) -> Sequence[int]:
    """The worlds to be seen, or those that ENCORE_WORLD asks for: ``81``, or ``2000-2999`` to look further."""
    asked = os.environ.get("ENCORE_WORLD")
    if not asked:
        return WORLDS[database]
    first, _, last = asked.partition("-")
    return range(int(first), int(last or first) + 1)


class Stage:
    """One shop, in which world after world takes place."""

    def __init__(self, shop: Shop, ranker: Shelves, database: str) -> None:
        self.shop, self.ranker, self.database = shop, ranker, database
        self.world: World | None = None

    def quote(self, order: Any, lines: Any) -> Quote:
        assert self.world is not None
        return self.world.quote(order, lines)

    def play(self, seed: int) -> Visit:
        """Put the world of *seed* up, walk through it, and hold it to everything that has to hold."""
        try:
            self.world = world(seed)
            self.ranker.candidates = self.world.candidates
            self._clear()
            visit = Visit(self.shop, self.world)
            visit.walk()
            visit.settle()
        except Exception as error:
            raise AssertionError(
                f"{type(error).__name__}: {error}\n"
                f"Again: ENCORE_WORLD={seed} pytest tests/integration/test_offers_property.py -k {self.database}"
            ) from error
        return visit

    def _clear(self) -> None:
        shop = self.shop
        shop.delivered.clear()
        with shop.rt.db.write() as connection:
            for table in reversed(metadata.sorted_tables):
                if table.name != "encore_switches":
                    connection.execute(table.delete())
            connection.execute(sa.text("UPDATE encore_switches SET revision = revision + 1"))


class Visit:
    """A shopper of a world. *sold* holds what is charged and not undone, by offer."""

    def __init__(self, shop: Shop, a_world: World) -> None:
        self.shop, self.world = shop, a_world
        self.order_ref = f"o{a_world.seed}"
        self.before = len(shop.stripe.intents())
        self.sold: dict[str, Mapping[str, Any]] = {}
        self.tokens: dict[str, str] = {}
        self.offered = 0
        self.kinds: set[str] = set()
        with shop.app.app_context():
            shop.encore.catalog.upsert(a_world.products)
        campaigning.import_(shop.rt, {"format": 1, "campaigns": a_world.campaigns}, actor="worlds")
        shop.pay(self.order_ref, **a_world.order)
        self.before = len(shop.stripe.intents())

    def walk(self) -> None:
        """Look at the pages and answer, at random, until there is nothing to answer."""
        draw, idle = self.world.answers, 0
        for number in range(ANSWERS):
            path = PAGES[0] if number == 0 else draw.choice(PAGES)
            page = self.shop.app.test_client().get(path + self.order_ref)
            assert page.status_code == 200, page.status
            assert f"Order {self.order_ref} is confirmed" in page.text
            cards = SECTION.findall(page.text)
            open_ = [card for card in cards if re.findall(r'data-state="(\w+)"', card)[0] == "open"]
            if open_:
                self.answer(open_[-1])
            elif self.sold and draw.random() < 0.3:
                self.undo(draw.choice(sorted(self.sold)))
            elif (idle := idle + 1) > 1:
                return

    def answer(self, section: str) -> None:
        """Hold an open card to its decision, choose something, and say yes or no."""
        draw, token = self.world.answers, section.split("/encore/offers/")[1].split("/")[0]
        row = self.decision_of(token)
        snapshot = row["snapshot"]
        entries = snapshot["choices"] or [snapshot | {"quantity": row["quantity"]}]
        assert entries[0]["total"] == snapshot["total"] == row["total_minor"]
        assert amounts(section) == block(snapshot | entries[0])
        choice = draw.choice([n for n, entry in enumerate(entries) if not entry.get("sold_out")])
        if snapshot["choices"]:
            shown = self.post(token, "choose", choice=str(choice), fragment=True).text
            assert amounts(shown) == block(snapshot | entries[choice])
        if draw.random() < 0.3:
            assert self.state(self.post(token, "decline")) == "declined"
            return
        state = self.state(self.post(token, "accept", choice=str(choice), text="For <Ada>" if snapshot["text"] else ""))
        if not self.is_within_budget(row["campaign_ref"], entries[choice]):
            # The campaign would spend more than it may: nothing is claimed, and the card says that it is gone.
            assert state == "sold_out", state
            return
        is_refused = self.world.order["card"] != "4242424242424242" and entries[choice]["total"] > 0
        assert state == ("failed" if is_refused else "charged"), state
        if is_refused:
            assert self.state(self.post(token, "leave")) == "canceled"
        else:
            self.sold[row["id"]] = snapshot | entries[choice] | {"campaign": row["campaign_ref"]}

    def is_within_budget(self, campaign_ref: str, taken: Mapping[str, Any]) -> bool:
        """Whether the campaign may sell that as well."""
        budgets = {one["ref"]: one.get("budget") for one in self.world.campaigns}
        budget = budgets.get(campaign_ref)
        if budget is None:
            return True
        all_of_it = [taken, *(one for one in self.sold.values() if one["campaign"] == campaign_ref)]
        if "units" in budget:
            return sum(one["quantity"] for one in all_of_it) <= budget["units"]
        return sum(one["total"] for one in all_of_it) <= Money.parse(budget["amount"], budget["currency"]).minor_units

    def undo(self, offer_id: str) -> None:
        """Take it back."""
        assert self.state(self.post(self.tokens[offer_id], "undo")) == "undone"
        del self.sold[offer_id]

    def decision_of(self, token: str) -> Mapping[str, Any]:
        """The decision behind a card: the one that nobody answered yet."""
        [row] = [
            row
            for row in decisions(self.shop, self.order_ref)
            if row["outcome"] == "offered" and row["declined_at"] is None and row["id"] not in self.tokens
        ]
        self.tokens[row["id"]] = token
        return row

    def post(self, token: str, act: str, *, fragment: bool = False, **fields: str) -> Any:
        headers = {"X-Encore-Fragment": "1"} if fragment else {"Accept": "application/json"}
        return self.shop.app.test_client().post(f"/encore/offers/{token}/{act}", data=fields, headers=headers)

    def state(self, response: Any) -> str:
        assert response.status_code == 200, (response.status, response.text)
        return str(response.json["state"])

    def settle(self) -> None:
        """The books, once everything is told: rows, Stripe, handlers, stock and the log agree."""
        shop = self.shop
        shop.sweep()
        rows = {row["id"]: row for row in shop.rows("charges")}
        told = {event.charge_ref: event for event in shop.delivered if event.kind == "charge_succeeded"}
        back = {event.charge_ref for event in shop.delivered if event.kind == "charge_refunded"}
        intents = {one["id"]: one for one in shop.stripe.intents()[self.before :]}
        assert {offer for offer, row in rows.items() if row["status"] == "succeeded"} == set(self.sold)
        assert set(told) - back == set(self.sold)
        for offer, event in told.items():
            row, added = rows[offer], 0 if event.tax_included or event.tax is None else event.tax.minor_units
            lines = sum(line.amount.minor_units for line in event.lines)
            assert event.amount.minor_units == row["amount_minor"] == lines + event.shipping.minor_units + added
            ref = event.payment_intent_ref
            taken = [one["amount"] for one in shop.stripe.charges() if one["payment_intent"] == ref]
            assert taken == ([row["amount_minor"]] if row["amount_minor"] else [])
            assert (ref in intents) == bool(row["amount_minor"])
        for offer, snapshot in self.sold.items():
            assert rows[offer]["amount_minor"] == snapshot["total"]
            assert [line.as_json() for line in told[offer].lines] == snapshot["lines"]
        assert untold(shop) == []
        self.nothing_more_than_allowed()
        self.stock_is_conserved()

    def nothing_more_than_allowed(self) -> None:
        """Three offers at most, each step once, and a log that leads to each of them again."""
        made = decisions(self.shop, self.order_ref)
        assert made, dict(self.shop.rt.counts)
        self.kinds = {row["snapshot"]["kind"] for row in made if row["outcome"] == "offered"}
        self.offered = sum(row["outcome"] == "offered" for row in made)
        assert self.offered <= 3
        steps = [(row["placement"], row["step"]) for row in made]
        assert len(set(steps)) == len(steps)
        for one in explaining.explain(self.shop.rt, self.order_ref) or ():
            assert one.is_reproduced is True, (one.outcome, one.reason, one.as_json())

    def stock_is_conserved(self) -> None:
        """What is sold is missing, and nothing else is."""
        taken: dict[str, int] = {}
        for snapshot in self.sold.values():
            for line in snapshot["lines"]:
                if line["ships"]:
                    taken[line["sku"]] = taken.get(line["sku"], 0) + line["quantity"]
        for product in self.world.products:
            left = None if product.stock is None else product.stock - taken.get(product.sku, 0)
            assert self.shop.stock(product.sku) == left, product.sku


def amounts(html: str) -> list[int]:
    """The price block of a card from top to bottom, and the total its button names, in minor units."""
    block = re.findall(r'<dl class="price">.*?</dl>', html, re.S)[0]
    button = re.findall(r'<button class="yes"[^>]*>(.*?)</button>', html)[0]
    shown = [*re.findall(r"<dd>(.*?)</dd>", block), *re.findall(r"·(.*)", button)]
    return [int(re.sub(r"\D", "", entities.unescape(amount))) for amount in shown]


def block(taken: Mapping[str, Any]) -> list[int]:
    """What `amounts` has to find of one choice."""
    lines = taken["lines"] if len(taken["lines"]) > 1 else [taken]
    tax = taken["tax"] if taken["tax"] and not taken["tax_included"] else None
    return [
        *[line["item"] for line in lines],
        *([taken["discount"]] if taken["discount"] else []),
        taken["shipping"],
        *([tax] if tax is not None else []),
        taken["total"],
        *([taken["total"]] if taken["total"] else []),
    ]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Stage]:
    """A shop on each database; on PostgreSQL one that explores."""
    uri = None
    if request.param == "postgresql":
        uri = request.getfixturevalue("ready_database").emptied()
    clock = FrozenClock(START)
    stripe = StripeSimulator(clock=clock.timestamp)
    stripe.start()
    ranker = Shelves()
    held: list[Stage] = []
    with shops(stripe=stripe, clock=clock, folder=tmp_path_factory.mktemp("worlds"), migrated=migrated) as make:
        shop = make(
            uri,
            ready=uri is not None,
            ranker=ranker,
            ENCORE_EXPLORE=uri is not None,
            ENCORE_ORDER_STATUS={"order": "order_id"},
            ENCORE_QUOTE=lambda order, lines: held[0].quote(order, lines),
        )
        shop.app.add_url_rule("/order/<order_id>", "order", shop.app.view_functions["thanks"])
        held.append(Stage(shop, ranker, request.param))
        try:
            yield held[0]
        finally:
            stripe.stop()


@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_shown_is_what_is_charged_is_what_is_added(stage: Stage, part: int) -> None:
    worlds = seeds(stage.database)[part::PARTS]
    visits = [stage.play(seed) for seed in worlds]

    if len(worlds) == 30:  # the worlds are not so odd that nothing happens in them
        assert sum(bool(visit.sold) for visit in visits) >= 5
        assert {visit.offered for visit in visits} >= {0, 1, 2}
        assert len(set().union(*(visit.kinds for visit in visits))) >= 4


def off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frozen total is not what the lines come to."""
    real = offering.snapshot_of
    monkeypatch.setattr(offering, "snapshot_of", lambda *a: (told := real(*a)) | {"total": told["total"] + 1})


def shown_off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card shows another total than the one that is charged."""
    real = drawing._card

    def card(app: Any, ticket: Any, snapshot: Mapping[str, Any], *args: Any, **values: Any) -> Any:
        return real(app, ticket, {**snapshot, "total": snapshot["total"] + 1}, *args, **values)

    monkeypatch.setattr(drawing, "_card", card)


def nothing_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sold stays in stock."""
    monkeypatch.setattr(catalog, "reserve_all", lambda *_: True)


def a_log_that_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log does not say who was chosen."""
    real = offering.decision_row

    def row(*args: Any, **values: Any) -> Any:
        made, choosing = real(*args, **values)
        return made | {"campaign_ref": None}, choosing

    monkeypatch.setattr(offering, "decision_row", row)


@pytest.mark.parametrize("break_", [off_by_one, shown_off_by_one, nothing_reserved, a_log_that_forgets])
def test_control_what_is_broken_is_noticed_and_its_seed_is_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, break_: Any
) -> None:
    break_(monkeypatch)

    with pytest.raises(AssertionError, match=r"Again: ENCORE_WORLD=\d+ pytest tests/integration/test_offers_prop"):
        for seed in range(40):
            stage.play(seed)
