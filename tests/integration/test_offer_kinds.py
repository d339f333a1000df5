"""Every kind of offer meets every ending, through the shopper's own pages: two tables, and where they meet.

One shop stands for all of them, with a campaign of each kind that speaks for the orders that carry its tag.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from campaigns import launch
from conftest import START, Shop, shops
from hosts import SECTION
from money import browser, pass_time

from flask_encore import Money, OfferLine, PaidOrder, Product, Quote
from flask_encore.testing import FixedRanker, FrozenClock, StripeSimulator

VISA, DECLINED, ALWAYS_ASKS = "4242424242424242", "4000000000000341", "4000002760003184"

#: Units of everything that is or could be offered, before every test.
STOCK = {"mug": 6, "lamp": 4, "shirt-m": 4, "shirt-l": 4, "shirt-xl": 0, "pin": 4, "wrap": 0, "tea": None}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """An offer as a merchant makes it, and all it may come to. Amounts are pence.

    Attributes:
        bought: What was paid for.
        choice: The place in the chooser the shopper takes; ``None`` where there is nothing to choose.
        lines: (sku, quantity, before the discount, discount) of every line that is added.
        scarce: The product somebody else takes the last of; empty where no stock is counted.
    """

    offer: dict[str, Any]
    total: int
    button: str
    lines: Sequence[tuple[str, int, int, int]]
    takes: dict[str, int] = field(default_factory=dict)
    scarce: str = ""
    bought: tuple[str, ...] = ("pot",)
    choice: int | None = None
    text: str = ""
    shipping: int = 0
    tax: int | None = None


WRAPPING = {"kind": "service", "sku": "wrap", "text": {"label": {"en": "Your message"}, "max_length": 40}}
TEN_PERCENT = {"percent": 10}

KINDS = {
    "complementary": Kind(
        offer={"kind": "complementary", "only_categories": ["Kitchen"], "discount": TEN_PERCENT},
        total=1161,
        button="Buy now · £11.61",
        lines=[("mug", 1, 1290, 129)],
        takes={"mug": 1},
        scarce="mug",
    ),
    "complementary with variants": Kind(
        offer={"kind": "complementary", "only_categories": ["Clothing"], "discount": TEN_PERCENT},
        choice=1,
        total=1440,
        button="Buy now · £14.40",
        lines=[("shirt-l", 1, 1600, 160)],
        takes={"shirt-l": 1},
        scarce="shirt-l",
    ),
    "fixed": Kind(
        offer={"kind": "fixed", "skus": ["lamp"]},
        total=1990,
        button="Buy now · £19.90",
        lines=[("lamp", 1, 1990, 0)],
        takes={"lamp": 1},
        scarce="lamp",
    ),
    "fixed amount discount": Kind(
        offer={"kind": "fixed", "skus": ["lamp"], "discount": {"amounts": {"gbp": "2.00"}}},
        total=1790,
        button="Buy now · £17.90",
        lines=[("lamp", 1, 1990, 200)],
        takes={"lamp": 1},
        scarce="lamp",
    ),
    "service with text": Kind(
        offer=WRAPPING, total=300, button="Buy now · £3.00", lines=[("wrap", 1, 300, 0)], text="For <Ada> & Bo"
    ),
    "buy one get one": Kind(
        offer={"kind": "buy_get", "buy": 1, "get": 1, "percent_off": 100},
        bought=("mug",),
        total=1290,
        button="Buy now · £12.90",
        lines=[("mug", 2, 2580, 1290)],
        takes={"mug": 2},
        scarce="mug",
    ),
    "bundle": Kind(
        offer={"kind": "bundle", "skus": ["mug", "lamp"], "prices": {"gbp": "29.00"}},
        total=2900,
        button="Buy now · £29.00",
        lines=[("mug", 1, 1290, 149), ("lamp", 1, 1990, 231)],  # 3.80 off, in proportion
        takes={"mug": 1, "lamp": 1},
        scarce="lamp",
    ),
    "more of the same": Kind(
        offer={"kind": "more", "minimum": 1, "maximum": 3, "discount": {"percent": 15}},
        bought=("mug",),
        choice=2,
        total=3289,
        button="Buy now · £32.89",
        lines=[("mug", 3, 3870, 581)],  # 32.895, rounded down
        takes={"mug": 3},
        scarce="mug",
    ),
    "variants": Kind(
        offer={"kind": "fixed", "skus": ["shirt"]},
        choice=1,
        total=1600,
        button="Buy now · £16.00",
        lines=[("shirt-l", 1, 1600, 0)],
        takes={"shirt-l": 1},
        scarce="shirt-l",
    ),
    "free item": Kind(
        offer={"kind": "fixed", "skus": ["pin"], "discount": {"percent": 100}},
        total=0,
        button="Add for free",
        lines=[("pin", 1, 200, 200)],
        takes={"pin": 1},
        scarce="pin",
    ),
    "quoted": Kind(
        offer={"kind": "fixed", "skus": ["lamp"], "discount": TEN_PERCENT},
        total=2509,
        button="Buy now · £25.09",
        lines=[("lamp", 1, 1990, 199)],
        shipping=300,
        tax=418,
        takes={"lamp": 1},
        scarce="lamp",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What an ending leaves behind, whatever was offered.

    Attributes:
        states: What the shopper is answered, step by step.
        told: The events the shop's handlers take, in order.
        charged: Times the offer's total that Stripe took; *refunded* that it gave back.
        intents: Statuses of the PaymentIntents of the offer.
        row: Status of the charge's row; empty when there is none.
        taken: Times what the offer takes from stock that is missing in the end.
    """

    end: Callable[[Visit], None]
    states: tuple[str, ...]
    told: tuple[str, ...] = ()
    charged: int = 0
    refunded: int = 0
    intents: tuple[str, ...] = ()
    row: str = ""
    taken: int = 0
    card: str = VISA


class Visit:
    """A shopper with an offer in front of them, and the answers they got."""

    def __init__(self, shop: Shop, name: str, card: str) -> None:
        self.shop, self.kind, self.name = shop, KINDS[name], name
        self.order_ref = f"o-{next(_numbers)}"
        self.answers: list[str] = []
        shop.pay(
            self.order_ref,
            skus=self.kind.bought,
            card=card,
            tags=[name],
            customer_ref=f"c-{self.order_ref}",
            country="CH" if self.kind.shipping else "GB",
        )
        self.token = shop.token(self.order_ref)

    def section(self) -> str:
        """The card on the thank-you page, of which there is one."""
        page = self.shop.page(self.order_ref)
        assert page.status_code == 200
        assert f"Order {self.order_ref} is confirmed" in page.text
        [html] = SECTION.findall(page.text)
        return str(html)

    def chosen(self) -> str:
        """The card with the shopper's choice in it."""
        if self.kind.choice is None:
            return self.section()
        return str(self._post("choose", headers={"X-Encore-Fragment": "1"}, choice=str(self.kind.choice)).text)

    def does(self, act: str) -> None:
        """Send a form of the card, and keep the state that is answered; a refusal with its reason."""
        fields = {}
        if act == "accept":
            fields = {"text": self.kind.text} | ({} if self.kind.choice is None else {"choice": str(self.kind.choice)})
        answer = self._post(act, headers={"Accept": "application/json"}, **fields).json
        self.answers.append(" ".join([answer["state"], *filter(None, [answer.get("error")])]))

    def types_another_card(self) -> None:
        """Pay the same intent with a card that works."""
        secret = self._post("secret", headers={"Accept": "application/json"}).json["client_secret"]
        method = {"payment_method": "pm_card_visa", "client_secret": secret}
        browser(self.shop).payment_intents.confirm(self.row()["payment_intent_ref"], method)

    def row(self) -> dict[str, Any]:
        """The charge's row."""
        [row] = [row for row in self.shop.rows("charges") if row["order_ref"] == self.order_ref]
        return row

    def told(self) -> list[Any]:
        """The events about this order."""
        return [event for event in self.shop.delivered if event.order_ref == self.order_ref]

    def _post(self, act: str, *, headers: dict[str, str], **fields: str) -> Any:
        return self.shop.app.test_client().post(f"/encore/offers/{self.token}/{act}", data=fields, headers=headers)


_numbers = itertools.count(1)


def accepts(visit: Visit) -> None:
    visit.does("accept")


def declines(visit: Visit) -> None:
    visit.does("decline")
    visit.does("accept")


def comes_too_late(visit: Visit) -> None:
    visit.shop.clock.advance(minutes=30)
    visit.does("accept")


def finds_it_sold_out(visit: Visit) -> None:
    """Somebody else with the same offer was quicker."""
    quicker = Visit(visit.shop, visit.name, VISA)
    set_stock(visit.shop, {visit.kind.scarce: visit.kind.takes[visit.kind.scarce]} if visit.kind.scarce else {})
    quicker.does("accept")
    assert quicker.answers == ["charged"]
    visit.does("accept")


def pays_with_another_card(visit: Visit) -> None:
    visit.does("accept")
    if visit.answers == ["failed"]:
        visit.types_another_card()
        visit.does("refresh")


def passes_the_banks_check(visit: Visit) -> None:
    visit.does("accept")
    if visit.answers == ["action_required"]:
        visit.shop.stripe.authenticate(visit.row()["payment_intent_ref"])
        visit.does("refresh")


def undoes(visit: Visit) -> None:
    visit.does("accept")
    visit.does("undo")


SOLD = Ending(
    end=accepts,
    states=("charged",),
    told=("charge_succeeded", "hold_released"),
    charged=1,
    intents=("succeeded",),
    row="succeeded",
    taken=1,
)

ENDINGS = {
    "accepted": SOLD,
    "declined": Ending(end=declines, states=("declined", "declined")),
    "expired": Ending(end=comes_too_late, states=("expired",)),
    "sold out": Ending(end=finds_it_sold_out, states=("sold_out",)),
    "card failed, then another": replace(
        SOLD,
        end=pays_with_another_card,
        card=DECLINED,
        states=("failed", "charged"),
        told=("charge_failed", "charge_succeeded", "hold_released"),
    ),
    "the bank's check passed": replace(
        SOLD, end=passes_the_banks_check, card=ALWAYS_ASKS, states=("action_required", "charged")
    ),
    "undone": replace(
        SOLD,
        end=undoes,
        states=("charged", "undone"),
        told=("charge_succeeded", "charge_refunded"),
        refunded=1,
        row="refunded",
        taken=0,
    ),
}

#: Where a kind cannot end so: what happens instead. Nothing free asks a bank, and its undo gives no money back. Of a
#: service there is no last one. Where another variant is left, the offer stays open and says so.
INSTEAD: dict[tuple[str, str], dict[str, Any]] = {
    ("free item", "accepted"): {"charged": 0, "intents": ()},
    ("free item", "card failed, then another"): {
        "states": ("charged",),
        "told": SOLD.told,
        "charged": 0,
        "intents": (),
    },
    ("free item", "the bank's check passed"): {"states": ("charged",), "charged": 0, "intents": ()},
    ("free item", "undone"): {"charged": 0, "refunded": 0, "intents": ()},
    ("service with text", "sold out"): {
        "states": ("charged",),
        "told": SOLD.told,
        "charged": 1,
        "intents": SOLD.intents,
        "row": "succeeded",
    },
    ("complementary with variants", "sold out"): {"states": ("open choice_gone",)},
    ("variants", "sold out"): {"states": ("open choice_gone",)},
}


def quote(order: PaidOrder, lines: Sequence[OfferLine]) -> Quote:
    """Abroad, parcels cost 3.00 and 20 % of everything comes on top; at home nothing does."""
    if order.country != "CH":
        return Quote(shipping=Money(0, "gbp"))
    net = sum(line.amount.minor_units for line in lines) + 300
    return Quote(shipping=Money(300, "gbp"), tax=Money(net // 5, "gbp"), tax_included=False)


def catalogue() -> list[Product]:
    """What can be offered, as much of it as `STOCK` says."""
    priced = {"mug": 1290, "lamp": 1990, "pin": 200, "wrap": 300, "tea": 850}
    plain = [
        Product(
            sku=sku,
            title=sku.title(),
            price=Money(price, "gbp"),
            stock=STOCK[sku],
            category="Kitchen" if sku == "mug" else "Other",
        )
        for sku, price in priced.items()
    ]
    shirts = [
        Product(
            sku=f"shirt-{size}",
            title="Shirt",
            price=Money(price, "gbp"),
            stock=STOCK[f"shirt-{size}"],
            category="Clothing",
            parent="shirt",
            options={"Size": size.upper()},
        )
        for size, price in (("m", 1500), ("l", 1600), ("xl", 1700))
    ]
    return plain + shirts


def set_stock(shop: Shop, units: dict[str, int]) -> None:
    """So many are left, and of everything else as many as before."""
    with shop.app.app_context():
        shop.encore.catalog.upsert([replace(one, stock=units[one.sku]) for one in catalogue() if one.sku in units])


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def open_shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, migrated: Path
) -> Iterator[Shop]:
    """One shop for the whole table, on each database."""
    uri = None
    if request.param == "postgresql":
        uri = request.getfixturevalue("ready_database").emptied()
    clock = FrozenClock(START)
    stripe = StripeSimulator(clock=clock.timestamp)
    stripe.start()
    folder = tmp_path_factory.mktemp("kinds")
    with shops(stripe=stripe, clock=clock, folder=folder, migrated=migrated) as make:
        shop = make(
            uri,
            ready=uri is not None,
            ranker=FixedRanker("mug", "shirt-m"),
            ENCORE_BUILT_IN_OFFER=False,
            ENCORE_QUOTE=quote,
        )
        for place, (name, kind) in enumerate(KINDS.items()):
            launch(shop, f"kind-{place}", name=name, rule={"tag": {"any": [name]}}, offer=kind.offer)
        try:
            yield shop
        finally:
            stripe.stop()


@pytest.fixture
def full_shop(open_shop: Shop) -> Shop:
    """The shop with full shelves, where nothing was told or charged yet."""
    with open_shop.app.app_context():
        open_shop.encore.catalog.upsert(catalogue())
    open_shop.delivered.clear()
    return open_shop


def moved(visit: Visit) -> tuple[list[int], list[int], list[str]]:
    """What Stripe charged and gave back for the offer, and its intents."""
    stripe, ref = visit.shop.stripe, visit.order_ref
    intents = [one for one in stripe.intents() if one["metadata"].get("encore_order") == ref]
    ids = {one["id"] for one in intents}
    return (
        [one["amount"] for one in stripe.charges() if one["payment_intent"] in ids],
        [one["amount"] for one in stripe.refunds() if one["payment_intent"] in ids],
        [one["status"] for one in intents],
    )


def pence(html: str) -> list[int]:
    """The amounts of the price block, from top to bottom."""
    block = re.findall(r'<dl class="price">.*?</dl>', html, re.S)[0]
    return [int(re.sub(r"\D", "", amount)) for amount in re.findall(r"<dd>(.*?)</dd>", block)]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_offer_meets_every_ending(full_shop: Shop, name: str, ending: str) -> None:
    shop, kind = full_shop, KINDS[name]
    expected = replace(ENDINGS[ending], **INSTEAD.get((name, ending), {}))
    visit = Visit(shop, name, expected.card)
    html = visit.chosen()
    assert re.findall(r'<button class="yes"[^>]*>(.*?)</button>', html) == [kind.button]
    off = sum(line[3] for line in kind.lines)
    added = [] if kind.tax is None else [kind.tax]
    assert pence(html) == [
        *[line[2] for line in kind.lines],
        *([off] if off else []),
        kind.shipping,
        *added,
        kind.total,
    ]

    expected.end(visit)
    assert visit.answers == list(expected.states)
    before_ending = {sku: shop.stock(sku) for sku in STOCK}
    pass_time(shop, 31, 1)

    assert moved(visit) == (
        [kind.total] * expected.charged,
        [kind.total] * expected.refunded,
        list(expected.intents),
    )
    rows = [(row["status"], row["amount_minor"]) for row in shop.rows("charges") if row["order_ref"] == visit.order_ref]
    assert rows == ([(expected.row, kind.total)] if expected.row else [])
    assert [event.kind.value for event in visit.told()] == list(expected.told)
    for event in visit.told():
        assert event.amount == Money(kind.total, "gbp")
        assert [(x.sku, x.quantity, x.item.minor_units, x.discount.minor_units) for x in event.lines] == kind.lines
        assert (event.shipping, event.tax) == (Money(kind.shipping, "gbp"), kind.tax and Money(kind.tax, "gbp"))
        assert (event.text, event.tax_included) == (kind.text, kind.tax is None)
        assert [x.ships for x in event.lines] == [name != "service with text"] * len(kind.lines)
    taken = kind.takes if expected.taken else {}
    if ending == "sold out" and kind.scarce:
        # What somebody else took is all that is missing, and of what ran out nothing is left.
        taken = kind.takes | {kind.scarce: STOCK[kind.scarce]}
    left = {sku: units if units is None else units - taken.get(sku, 0) for sku, units in STOCK.items()}
    assert {sku: shop.stock(sku) for sku in STOCK} == before_ending == left


def test_the_tables_name_what_there_is(full_shop: Shop) -> None:
    for name, ending in INSTEAD:
        assert (name in KINDS, ending in ENDINGS) == (True, True)
    for kind in KINDS.values():
        due = sum(item - discount for _, _, item, discount in kind.lines) + kind.shipping + (kind.tax or 0)
        assert due == kind.total
