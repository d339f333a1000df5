"""What shoppers and the merchant do in a shop of which nothing is known but its address.

Every journey is a function of a `ShopAt`; `JOURNEYS` lists them. They speak HTTP, read the pages as a browser without
JavaScript would, and look the money up at the simulated Stripe through its own API. The tests walk them through
several shops. Run alone, as ``python -I journey.py`` in an environment that holds only the installed package, this file
opens the demo shop by its command, walks every journey, and closes it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from xml.etree.ElementTree import Element, TreeBuilder

import requests

#: Seconds for one answer, and for what happens in the background after one. A loaded machine is slow, not wrong.
PATIENCE = 30.0

#: What is pressed on the simulated payment page.
WORKS = "4242424242424242"
BANK_ASKS = "4000002760003184"
DECLINED_LATER = "declined_later"
CANNOT_BE_KEPT = "eps"

SECRET_KEY, PUBLISHABLE_KEY = "sk_test_simulator", "pk_test_simulator"

VOID = frozenset(("br", "hr", "img", "input", "link", "meta"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopAt:
    """A shop: its address, that of its simulated Stripe, and the merchant's one-time link."""

    url: str
    stripe_url: str
    merchant_link: str


# -- a browser without JavaScript ------------------------------------------------------------------------------------


class _Tree(HTMLParser):
    """Well-formed HTML as an element tree. What waits in a ``<template data-view>`` is not on the page."""

    def __init__(self) -> None:
        super().__init__()
        self._builder = TreeBuilder()
        self._builder.start("page", {})
        self._waiting = False

    def root(self, html: str) -> Element:
        self.feed(html)
        self.close()
        self._builder.end("page")
        return self._builder.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._waiting = self._waiting or (tag == "template" and "data-view" in dict(attrs))
        if self._waiting:
            return
        self._builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self._builder.end(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._waiting:
            self._waiting = tag != "template"
        elif tag not in VOID:
            self._builder.end(tag)

    def handle_data(self, data: str) -> None:
        if not self._waiting:
            self._builder.data(data)


@dataclass(frozen=True)
class Page:
    """A page as it arrived. *hops* are the statuses of the redirects that led to it."""

    url: str
    status: int
    html: str
    hops: Sequence[int]
    root: Element = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", _Tree().root(self.html))

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def text(self) -> str:
        return text_of(self.root)

    def one(self, path: str) -> Element:
        """The only element at *path*."""
        found = self.root.findall(path)
        assert len(found) == 1, f"{len(found)} elements {path} on {self.url}: {self.text}"
        return found[0]

    def links(self, start: str) -> list[str]:
        """Where links that begin with *start* lead, in order."""
        return [each.get("href", "") for each in self.root.iter("a") if each.get("href", "").startswith(start)]

    def form_to(self, path: str) -> Element:
        """The first form that is sent to *path*."""
        return next(each for each in self.root.iter("form") if each.get("action") == path)

    # The offer card, as the server drew it.

    @property
    def state(self) -> str | None:
        """The offer's state; ``None`` when there is no offer."""
        found = self.root.find(".//encore-offer")
        return None if found is None else found.get("data-state")

    @property
    def offered(self) -> str:
        return text_of(self.one(".//encore-offer//h3"))

    @property
    def total(self) -> int:
        """The amount the card names as its total, in pence."""
        return pence(text_of(self.one(".//encore-offer//div[@id='total']/dd")))

    def act(self, name: str) -> Element:
        """The card's form *name*."""
        return self.one(f".//encore-offer//form[@data-act='{name}']")


def text_of(element: Element) -> str:
    """What can be read, with single spaces."""
    return " ".join("".join(element.itertext()).split())


def pence(text: str) -> int:
    """``£11.61`` -> 1161."""
    found = re.fullmatch(r"[^\d]*£([\d,]+)\.(\d\d)", text)
    assert found, text
    return int(found[1].replace(",", "") + found[2])


class Shopper:
    """One visitor with a cookie jar. Follows redirects and keeps the last page in *page*."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False  # no proxy stands between us and this computer

    def go(self, path: str) -> Page:
        """Open an address."""
        return self._page(self.http.get(urljoin(self.url, path), timeout=PATIENCE))

    def send(self, page: Page, form: Element, *, press: str = "", **typed: str) -> Page:
        """Send a form of *page* with what was *typed*, by its button whose value is *press*."""
        values = {each.get("name", ""): each.get("value", "") for each in form.iter("input")} | typed
        for button in form.iter("button"):
            if button.get("name") and button.get("value", "") == press:
                values[button.get("name", "")] = press
        values.pop("", None)
        url = urljoin(page.url, form.get("action", ""))
        if form.get("method", "get") == "get":
            return self._page(self.http.get(url, params=values, timeout=PATIENCE))
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
        return self._page(self.http.post(url, data=values, headers={"Origin": origin}, timeout=PATIENCE))

    def _page(self, response: requests.Response) -> Page:
        return Page(
            url=response.url,
            status=response.status_code,
            html=response.text,
            hops=[each.status_code for each in response.history],
        )


# -- Stripe, as an auditor sees it -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stripe:
    """Reads the simulated Stripe through its API."""

    url: str

    def get(self, path: str, **params: str) -> dict:
        return self._answer(requests.get(f"{self.url}{path}", params=params, auth=(SECRET_KEY, ""), timeout=PATIENCE))

    def offers_of(self, order_ref: str) -> list[dict]:
        """The PaymentIntents Encore made for an order."""
        listed = self.get("/v1/payment_intents", limit="100")
        assert listed["has_more"] is False
        return [each for each in listed["data"] if each["metadata"].get("encore_order") == order_ref]

    def charged(self, order_ref: str) -> list[int]:
        """The amounts Encore charged for an order, refunded later or not."""
        return [each["amount_received"] for each in self.offers_of(order_ref) if each["status"] == "succeeded"]

    def refunded(self, order_ref: str) -> list[int]:
        """The amounts given back of Encore's charges."""
        refunds = [self.get("/v1/refunds", payment_intent=each["id"])["data"] for each in self.offers_of(order_ref)]
        return [each["amount"] for found in refunds for each in found if each["status"] == "succeeded"]

    def answer_the_bank(self, client_secret: str) -> None:
        """Do what Stripe.js does when the shopper confirms."""
        intent = client_secret.partition("_secret_")[0]
        self._answer(
            requests.post(
                f"{self.url}/v1/payment_intents/{intent}/_authenticate",
                data={"client_secret": client_secret, "success": "true"},
                auth=(PUBLISHABLE_KEY, ""),
                timeout=PATIENCE,
            )
        )

    @staticmethod
    def _answer(response: requests.Response) -> dict:
        assert response.status_code == 200, response.text
        return response.json()


# -- steps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bought:
    """A shopper on the thank-you page of an order just paid."""

    shopper: Shopper
    thanks: Page

    @property
    def order_ref(self) -> str:
        return self.thanks.path.split("/")[2]

    def reload(self) -> Page:
        return self.shopper.go(self.thanks.url)

    def order(self) -> Page:
        """The order page."""
        return self.shopper.go(self.thanks.links("/orders/")[0])

    def press(self, name: str) -> Page:
        """Reload, and send the card's form *name*; the page that comes back."""
        page = self.reload()
        back = self.shopper.send(page, page.act(name))
        assert (back.hops, back.path) == ([303], self.thanks.path)
        return back

    def receipts(self) -> list[str]:
        """What the order page says of the order itself, whatever stands beside it."""
        sections = self.order().root.iter("section")
        return [text_of(each) for each in sections if "receipt" in each.get("class", "").split()]

    def added(self) -> list[str]:
        """What the order page lists as added later, a line each."""
        section = self.order().root.find(".//section[@aria-labelledby='added']")
        return [] if section is None else [text_of(line) for line in section.iter("li")]


def buy(shop: ShopAt, card: str = WORKS, *, favourite: int = 0) -> Bought:
    """From the front page to the thank-you page: one of the shop's favourites, three of it, paid with *card*."""
    shopper = Shopper(shop.url)
    home = shopper.go("/")
    link = home.links("/products/")[-1 - favourite]
    title = text_of(shopper.go(link).one(".//h1"))
    found = shopper.send(home, home.form_to("/search"), q=title)
    product = shopper.go(next(each for each in found.links("/products/") if each == link))
    basket = shopper.send(product, product.form_to("/basket"), press="1", quantity="3")
    assert title in basket.text
    till = shopper.send(basket, basket.form_to("/checkout"))
    assert till.url.startswith(shop.stripe_url)
    assert "Pay £" in till.text
    page = shopper.send(till, till.one(".//form"), press=card)
    if page.url.startswith(shop.stripe_url):
        page = shopper.send(page, page.one(".//form"), press="true")
    assert re.fullmatch(r"/orders/PQ-\d+/thanks", page.path), page.text
    assert page.text.index("Your order is confirmed") < page.text.index(title)
    return Bought(shopper, page)


def until(ready: Callable[[], object], what: str) -> None:
    """Ask again until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s in vain for {what}"


# -- journeys --------------------------------------------------------------------------------------------------------


def one_click_buys_the_offer_and_one_more_undoes_it(shop: ShopAt) -> None:
    """The whole story: confirmation, offer, charge, order line, undo; the amount shown is the amount charged."""
    stripe, bought = Stripe(shop.stripe_url), buy(shop)
    offer = bought.thanks
    assert offer.state == "open"
    assert len(offer.root.findall(".//encore-offer")) == 1
    assert offer.text.index("Your order is confirmed") < offer.text.index(offer.offered)
    assert f"£{offer.total / 100:,.2f}" in text_of(offer.act("accept"))
    assert bought.reload().offered == offer.offered
    assert bought.added() == []

    charged = bought.press("accept")

    assert charged.state == "charged"
    assert re.search(r"Undo until \d{1,2}:\d\d", text_of(charged.act("undo")))
    assert charged.total == offer.total
    assert stripe.charged(bought.order_ref) == [offer.total]
    until(bought.added, "the line on the order page")
    (line,) = bought.added()
    assert line.startswith(offer.offered)
    assert pence(line.rpartition(" ")[2]) == offer.total
    assert re.fullmatch(r"\d{1,2} [A-Z][a-z]+ 20\d\d", text_of(bought.order().one(".//time")))

    undone = bought.press("undo")

    assert undone.state == "undone"
    assert stripe.refunded(bought.order_ref) == [offer.total]
    until(lambda: "Undone, refunded" in bought.added()[0], "the line to be struck out")
    assert len(bought.added()) == 1
    assert bought.reload().state == "undone"


def many_clicks_are_one_charge(shop: ShopAt) -> None:
    """Eight clicks at once, and one more after that."""
    bought = buy(shop, favourite=1)
    form = bought.thanks.act("accept")
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda _: bought.shopper.send(bought.thanks, form), range(8)))
    assert {page.status for page in pages} == {200}
    again = bought.shopper.send(bought.thanks, form)
    assert again.state == "charged"
    assert Stripe(shop.stripe_url).charged(bought.order_ref) == [bought.thanks.total]
    until(bought.added, "the line on the order page")
    assert len(bought.added()) == 1


def a_posted_price_is_not_read(shop: ShopAt) -> None:
    """The browser sends a token; whatever else it sends does not count."""
    bought = buy(shop, favourite=2)
    forged = {"amount": "1", "total": "1", "price": "0.01", "sku": "x", "quantity": "9", "currency": "jpy"}
    page = bought.shopper.send(bought.thanks, bought.thanks.act("accept"), **forged)
    assert (page.state, page.offered, page.total) == ("charged", bought.thanks.offered, bought.thanks.total)
    assert Stripe(shop.stripe_url).charged(bought.order_ref) == [bought.thanks.total]


def no_is_an_answer(shop: ShopAt) -> None:
    """Declined: nothing is charged, and the offer does not come back."""
    bought = buy(shop, favourite=3)
    accept = bought.thanks.act("accept")
    assert bought.press("decline").state == "declined"
    assert bought.reload().state == "declined"
    assert bought.shopper.send(bought.thanks, accept).state == "declined"
    assert Stripe(shop.stripe_url).offers_of(bought.order_ref) == []
    assert bought.added() == []


def a_bank_that_says_no_leaves_the_order_as_it_was(shop: ShopAt) -> None:
    """The card paid the order and refuses the offer; the shopper leaves it."""
    stripe, bought = Stripe(shop.stripe_url), buy(shop, DECLINED_LATER, favourite=4)
    before = bought.receipts()

    failed = bought.press("accept")

    assert failed.state == "failed"
    assert "unchanged" in failed.text
    assert "Nothing was charged" in failed.text
    assert stripe.charged(bought.order_ref) == []
    assert bought.receipts() == before
    assert bought.press("leave").state == "canceled"
    assert [each["status"] for each in stripe.offers_of(bought.order_ref)] == ["canceled"]
    assert bought.receipts() == before


def the_bank_asks_and_the_shopper_confirms(shop: ShopAt) -> None:
    """3-D Secure: nothing is charged before the shopper has answered the bank, and once after."""
    stripe, bought = Stripe(shop.stripe_url), buy(shop, BANK_ASKS, favourite=5)
    asked = bought.press("accept")
    assert asked.state == "action_required"
    assert stripe.charged(bought.order_ref) == []

    card = asked.one(".//encore-offer")
    secret_url = urljoin(shop.url, card.get("data-secret", ""))
    secret = bought.shopper.http.post(secret_url, timeout=PATIENCE).json()["client_secret"]
    stripe.answer_the_bank(secret)
    answer = bought.shopper.http.post(
        urljoin(shop.url, card.get("data-refresh", "")), headers={"Accept": "application/json"}, timeout=PATIENCE
    )

    assert answer.json()["state"] == "charged"
    assert bought.reload().state == "charged"
    assert stripe.charged(bought.order_ref) == [bought.thanks.total]
    until(bought.added, "the line on the order page")


def a_payment_that_cannot_be_kept_gets_no_offer(shop: ShopAt) -> None:
    """Paid by bank transfer: a confirmation like any other, and nothing under it."""
    bought = buy(shop, CANNOT_BE_KEPT, favourite=6)
    assert bought.thanks.status == 200
    assert bought.thanks.state is None


def nobody_else_sees_the_order_or_its_offer(shop: ShopAt) -> None:
    """Another visitor meets the same 404 for somebody's order and for one that never was."""
    bought, other = buy(shop, favourite=7), Shopper(shop.url)
    theirs = other.go(bought.thanks.path)
    assert (theirs.status, theirs.state) == (404, None)
    assert other.go(f"/orders/{bought.order_ref}").status == 404
    assert other.go("/orders/PQ-1/thanks").html == theirs.html
    token = bought.thanks.act("accept").get("action", "")
    made_up = token[:-20] + ("y" if token[-20] == "x" else "x") + token[-19:]
    assert other.http.post(urljoin(shop.url, made_up), timeout=PATIENCE).status_code == 404
    assert Stripe(shop.stripe_url).offers_of(bought.order_ref) == []


def the_merchant_sees_the_sale_and_refunds_it(shop: ShopAt) -> None:
    """The console's link logs in once; the dashboard knows the sale; one refund gives everything back."""
    stripe, bought = Stripe(shop.stripe_url), buy(shop, favourite=8)
    total = f"£{bought.press('accept').total / 100:,.2f}"
    assert Shopper(shop.url).go("/encore/dashboard/").status == 403

    merchant = Shopper(shop.url)
    assert merchant.go(shop.merchant_link).status == 200
    assert Shopper(shop.url).go(shop.merchant_link).status == 404
    board = merchant.go(f"/encore/dashboard/orders/?order_ref={bought.order_ref}")
    assert f"Order {bought.order_ref}" in board.text
    assert total in board.text
    assert "Charged" in board.text

    question = merchant.go(next(link for link in board.links("/encore/dashboard/charges/") if "/refund" in link))
    assert f"Refund {total}?" in question.text
    told = merchant.send(question, question.one(".//form[@method='post']"))

    assert told.hops == [303]
    assert f"Refunded: {total} of order {bought.order_ref}" in told.text
    assert stripe.refunded(bought.order_ref) == [bought.thanks.total]
    until(lambda: bought.added() and "Undone, refunded" in bought.added()[0], "the line to be struck out")
    assert bought.reload().state == "undone"


JOURNEYS: tuple[Callable[[ShopAt], None], ...] = (
    one_click_buys_the_offer_and_one_more_undoes_it,
    many_clicks_are_one_charge,
    a_posted_price_is_not_read,
    no_is_an_answer,
    a_bank_that_says_no_leaves_the_order_as_it_was,
    the_bank_asks_and_the_shopper_confirms,
    a_payment_that_cannot_be_kept_gets_no_offer,
    nobody_else_sees_the_order_or_its_offer,
    the_merchant_sees_the_sale_and_refunds_it,
)


# -- the demo shop by its command ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """A demo shop in a process of its own, and what it said while it opened."""

    shop: ShopAt
    said: list[str]


@contextmanager
def opened(instance: Path, *more: str) -> Iterator[Opened]:
    """Open the demo shop of *instance* as its owner does, by its command with the arguments *more*."""
    command = [sys.executable, "-I", "-m", "flask_encore.demo", "--port", "0", "--instance", str(instance), *more]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STRIPE_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environ) as process:
        try:
            assert process.stdout is not None
            said: list[str] = []
            for line in process.stdout:
                said.append(line.rstrip())
                if "closes the shop" in line:
                    break
            assert "closes the shop" in said[-1], f"the shop did not open: {said}"
            told = {line.split()[0]: line.split() for line in said if line.startswith("  ") and len(line.split()) > 1}
            yield Opened(
                ShopAt(
                    url=told["Shop"][1].rstrip("/"),
                    stripe_url=told["Stripe"][3],
                    merchant_link=urlsplit(told["Dashboard"][1]).path,
                ),
                said,
            )
            process.terminate()
            assert process.wait(timeout=PATIENCE) == 0
        finally:
            process.kill()


def main() -> int:
    """Walk every journey through the installed demo shop."""
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "instance", "--no-past") as demo:
        for walk in JOURNEYS:
            walk(demo.shop)
            print(walk.__name__.replace("_", " "))
    return 0


if __name__ == "__main__":
    sys.exit(main())
