"""The code in the documents runs as it is printed: README from the three lines to the charge, then the other pages."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from documents import ROOT, block
from flask import Blueprint, Flask

from flask_encore import Encore, Money, signals
from flask_encore.cli import cli
from flask_encore.domain.events import ChargeEvent, EventKind
from flask_encore.domain.hooks import body_of, headers_of, secret_of
from flask_encore.domain.prices import OfferLine
from flask_encore.testing import StripeSimulator

PRODUCTS = 'sku,title,price,stock\nMUG-1,Stoneware mug,12.90,40\nTEA-6,"Assam, loose",2.55,100\n'
#: A hundred and twenty baskets of tea and mug, and twenty of each alone: a pair no recommender could miss.
ORDERS = "order_id,sku,title\n" + "".join(
    [f"b{n},TEA-6,Assam\nb{n},MUG-1,Mug\n" for n in range(120)]
    + [f"t{n},TEA-6,Assam\n" for n in range(20)]
    + [f"m{n},MUG-1,Mug\n" for n in range(20)]
)


class Bookkeeper:
    """The host's own order book, as the integration page imagines it: calls, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def add_line(self, order_ref: str, sku: str, quantity: int, amount: Money, *, key: object, note: str) -> None:
        self.calls.append(("add_line", order_ref, sku, quantity, amount, key, note))

    def remove_line(self, order_ref: str, *, key: object) -> None:
        self.calls.append(("remove_line", order_ref, key))

    def ship(self, order_ref: str, *, key: str) -> None:
        self.calls.append(("ship", order_ref, key))


def commands(document: str) -> list[list[str]]:
    """The ``flask encore …`` lines of a document's shell blocks, comments left out."""
    text = (ROOT / document).read_text(encoding="utf-8")
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    return [shlex.split(line, comments=True)[1:] for line in shell.splitlines() if line.startswith("flask encore")]


@pytest.fixture
def stripe() -> Any:
    """A simulated Stripe on the wall clock, because the documents hand no clock to Encore."""
    with StripeSimulator() as simulator:
        yield simulator


def shop_app(tmp_path: Path, stripe: StripeSimulator) -> Flask:
    """A shop as the documents assume it: a blueprint ``shop`` with a thank-you page, and no Encore yet."""
    app = Flask("host", instance_path=str(tmp_path / "instance"))
    app.config |= {
        "TESTING": True,
        "SECRET_KEY": "tests-only-secret-of-32-characters",
        "ENCORE_STRIPE_SECRET_KEY": stripe.secret_key,
        "ENCORE_STRIPE_PUBLISHABLE_KEY": stripe.publishable_key,
        "ENCORE_STRIPE_API_BASE": stripe.url,
        "ENCORE_STRIPE_JS_URL": stripe.stripe_js_url,
        "ENCORE_HOLDOUT_PERCENT": 0,
    }
    thank_you = re.search(r"`ENCORE_THANK_YOU = (\{.*?\})`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert thank_you
    app.config["ENCORE_THANK_YOU"] = eval(thank_you[1], {})
    shop = Blueprint("shop", __name__)
    shop.add_url_rule("/orders/<order_id>", "thank_you", lambda order_id: f"<main><h1>Thanks, {order_id}</h1></main>")
    app.register_blueprint(shop)
    return app


def names(app: Flask, stripe: StripeSimulator) -> dict[str, Any]:
    """What the documents take for granted around their code."""
    return {
        "app": app,
        "is_merchant": lambda: False,
        "placed_at": datetime.now(UTC),
        "payment_intent_id": stripe.paid_intent(amount=1530, currency="gbp")["id"],
    }


def test_the_readme_leads_from_three_lines_to_a_charge(
    stripe: StripeSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "products.csv").write_text(PRODUCTS, encoding="utf-8")
    (tmp_path / "orders.csv").write_text(ORDERS, encoding="utf-8")
    [campaigns] = re.findall(r"^```json\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "campaigns.json").write_text(campaigns, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # The command line and the web server are two processes in life, and two apps here.
    tool = shop_app(tmp_path, stripe)
    exec(block("README.md", "install"), {"app": tool, "is_merchant": lambda: False})
    runner = tool.test_cli_runner()
    told = [(command[1], runner.invoke(cli, args=command[1:])) for command in commands("README.md")]
    assert [word for word, _ in told] == [
        *("db", "import", "import", "train", "doctor"),
        *("campaigns", "campaigns"),
    ]
    assert [(word, result.output) for word, result in told if result.exit_code and word != "doctor"] == []

    app = shop_app(tmp_path, stripe)
    world = names(app, stripe)
    exec(block("README.md", "install"), world)
    with app.app_context():
        exec(block("README.md", "order"), world)
    client = app.test_client()
    page = client.get("/orders/1042").text
    assert page.index("Thanks, 1042") < page.index("Stoneware mug")
    accept = re.search(r'action="([^"]+/accept)"', page)
    assert accept
    answer = client.post(accept[1], headers={"Accept": "application/json"})
    assert answer.get_json()["state"] == "charged"
    assert [charge["amount"] for charge in stripe.charges()] == [1530, 1161]


def test_the_handlers_and_signals_of_the_integration_page_hear_what_it_says(
    stripe: StripeSimulator, tmp_path: Path
) -> None:
    app = shop_app(tmp_path, stripe)
    book = Bookkeeper()
    encore = Encore(app)
    world = names(app, stripe) | {"encore": encore, "shop": book}
    exec(block("docs/integration.md", "handlers"), world)
    exec(block("docs/integration.md", "signals"), world)
    try:
        with app.app_context():
            encore.upgrade()
            exec(block("docs/integration.md", "order"), world)
            for kind, name in (
                (EventKind.CHARGE_SUCCEEDED, "add_lines"),
                (EventKind.CHARGE_REFUNDED, "remove_lines"),
                (EventKind.HOLD_RELEASED, "ship"),
            ):
                assert encore.runtime.handlers[kind] == [world[name]]
                world[name](event(kind))
            signals.charge_succeeded.send(app, event=event(EventKind.CHARGE_SUCCEEDED))
    finally:
        signals.charge_succeeded.disconnect(world["count"])
    mug, tea = ("ch-1", "MUG-1"), ("ch-1", "TEA-6")
    assert book.calls == [
        ("add_line", "1043", "MUG-1", 1, Money(1161, "gbp"), mug, "For Ada"),
        ("add_line", "1043", "TEA-6", 1, Money(255, "gbp"), tea, "For Ada"),
        ("remove_line", "1043", mug),
        ("remove_line", "1043", tea),
        ("ship", "1043", "ch-1"),
    ]


def test_the_simulator_runs_alone_as_the_testing_page_shows() -> None:
    world: dict[str, Any] = {}
    exec(block("docs/testing.md", "alone"), world)
    assert world["order"]["amount"] == 1530


def test_the_doubles_drive_an_app_as_the_testing_page_shows(stripe: StripeSimulator, tmp_path: Path) -> None:
    world: dict[str, Any] = {"app": shop_app(tmp_path, stripe)}
    exec(block("docs/testing.md", "doubles"), world)
    assert world["clock"]() == datetime(2026, 3, 2, 14, 34, tzinfo=UTC)


def test_a_receiver_verifies_as_the_webhooks_page_shows() -> None:
    world: dict[str, Any] = {}
    exec(block("docs/webhooks.md", "verify"), world)
    sent, new, old, other = datetime(2026, 3, 2, 14, 3, tzinfo=UTC), *(secret_of(bytes([n]) * 32) for n in range(3))
    body = body_of("charge_succeeded", event(EventKind.CHARGE_SUCCEEDED).as_json(), at=sent.isoformat())
    headers = headers_of("msg_1", body, secrets=[new, old], now=sent)

    def verified(secret: str, later: int = 0, **changed: str) -> Any:
        return world["verified"](headers | changed, body, secret, now=lambda: sent.timestamp() + later)

    assert verified(new) == verified(old, later=300) == json.loads(body)
    assert verified(new)["data"]["order_ref"] == "1043"
    for secret, later, changed in (
        (other, 0, {}),
        (new, 301, {}),
        (new, -301, {}),
        (new, 0, {"webhook-id": "msg_2"}),
        (new, 0, {"webhook-timestamp": str(int(sent.timestamp()) + 1)}),
    ):
        with pytest.raises(ValueError, match=r"too old|not signed"):
            verified(secret, later, **changed)


def event(kind: EventKind) -> ChargeEvent:
    return ChargeEvent(
        kind=kind,
        order_ref="1043",
        charge_ref="ch-1",
        sku="MUG-1",
        title="Stoneware mug + Assam, loose",
        quantity=1,
        amount=Money(1416, "gbp"),
        payment_intent_ref="pi_1",
        occurred_at=datetime(2026, 3, 2, 14, 3, tzinfo=UTC),
        undo_until=None,
        detail="",
        lines=(
            offer_line("MUG-1", "Stoneware mug", 1290, 129),
            offer_line("TEA-6", "Assam, loose", 255, 0),
        ),
        shipping=Money(0, "gbp"),
        text="For Ada",
    )


def offer_line(sku: str, title: str, item: int, discount: int) -> OfferLine:
    return OfferLine(sku=sku, title=title, quantity=1, item=Money(item, "gbp"), discount=Money(discount, "gbp"))
