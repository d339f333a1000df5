"""``flask encore …`` as a merchant's engineer types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from conftest import Shop, ShopFactory

from flask_encore.cli import cli
from flask_encore.testing import FrozenClock

PRODUCTS = """sku,title,price,stock,category
mug,Enamel mug,12.90,40,Kitchen
pot,Teapot,34.00,5,Kitchen
tea,Assam tea,8.50,,Tea
"""

ORDERS = "order_id,customer_id,timestamp,sku,title,quantity,unit_price\n" + "".join(
    f"{number},c{number % 7},2026-02-{1 + number % 28:02d} 10:00:00,{sku},{sku},1,9.90\n"
    for number in range(180)
    for sku in (("pot", "mug") if number % 3 else ("tea",))
)


def run(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(cli, list(words))


def test_a_new_shop_is_set_up_from_two_files(make_shop: ShopFactory, tmp_path: Path) -> None:
    shop = make_shop(upgrade=False)
    (tmp_path / "products.csv").write_text(PRODUCTS)
    (tmp_path / "orders.csv").write_text(ORDERS)

    upgraded = run(shop, "db", "upgrade")
    products = run(shop, "import", "products", str(tmp_path / "products.csv"), "--currency", "gbp")
    orders = run(shop, "import", "orders", str(tmp_path / "orders.csv"), "--currency", "gbp")
    trained = run(shop, "train")

    assert upgraded.output == "Encore's tables are at revision 0005.\n"
    assert "3 products are in the catalogue." in products.output
    assert "180 orders with 300 lines are in the history. Next: flask encore train" in orders.output
    assert "is live: 180 orders, 3 products" in trained.output
    assert [result.exit_code for result in (upgraded, products, orders, trained)] == [0, 0, 0, 0]


def test_importing_the_same_orders_twice_changes_nothing(make_shop: ShopFactory, tmp_path: Path) -> None:
    shop = make_shop()
    (tmp_path / "orders.csv").write_text(ORDERS)
    run(shop, "import", "orders", str(tmp_path / "orders.csv"), "--currency", "gbp")
    before = shop.rows("history_lines")

    run(shop, "import", "orders", str(tmp_path / "orders.csv"), "--currency", "gbp")

    assert len(before) == 300
    assert sorted(map(str, shop.rows("history_lines"))) == sorted(map(str, before))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("sku,title\nmug,Mug\n", "price"),
        ('sku,title,price\nmug,"Mug,12.90\n', "quotation mark is opened and never closed"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_sentence_and_changes_nothing(
    make_shop: ShopFactory, tmp_path: Path, content: str, said: str
) -> None:
    shop = make_shop()
    before = shop.rows("products")
    (tmp_path / "products.csv").write_text(content)

    result = run(shop, "import", "products", str(tmp_path / "products.csv"), "--currency", "gbp")

    assert result.exit_code == 1
    assert said in result.output and "Traceback" not in result.output
    assert shop.rows("products") == before


def test_bad_rows_are_counted_and_listed_with_their_lines(make_shop: ShopFactory, tmp_path: Path) -> None:
    shop = make_shop()
    (tmp_path / "products.csv").write_text(PRODUCTS + "lid,Lid,twelve,1,Kitchen\n")

    result = run(shop, "import", "products", str(tmp_path / "products.csv"), "--currency", "gbp")

    assert result.exit_code == 0
    assert "3 products are in the catalogue." in result.output
    assert "5" in result.output and "twelve" in result.output


def test_training_on_nothing_says_what_to_do(make_shop: ShopFactory) -> None:
    result = run(make_shop(), "train")

    assert result.exit_code == 1
    assert "The model is not put live: there is nothing to train on yet; flask encore import orders" in result.output


@pytest.mark.parametrize("words", [("import", "products", "FILE", "--currency", "gbp"), ("train",), ("sweep",)])
def test_commands_before_the_tables_exist_say_what_to_do(
    make_shop: ShopFactory, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "products.csv").write_text(PRODUCTS)
    words = tuple(str(tmp_path / "products.csv") if word == "FILE" else word for word in words)

    result = run(make_shop(upgrade=False), *words)

    assert result.exit_code == 1
    assert "Run: flask encore db upgrade" in result.output and "Traceback" not in result.output


def test_sweep_says_what_it_did(shop: Shop) -> None:
    shop.pay()
    shop.accept(shop.token())

    assert run(shop, "sweep").output == "charges 0, payments verified 0, events delivered 1\n"


def findings(shop: Shop) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(run(shop, "doctor", "--json").output):
        found.setdefault(finding["subject"], []).append(finding)
    return found


def test_doctor_names_the_fix_of_every_finding_of_a_bare_installation(make_shop: ShopFactory) -> None:
    shop = make_shop(
        upgrade=False,
        ENCORE_STRIPE_SECRET_KEY="",
        ENCORE_STRIPE_PUBLISHABLE_KEY="",
        ENCORE_STRIPE_WEBHOOK_SECRETS=[],
        ENCORE_THANK_YOU={},
    )

    result = run(shop, "doctor")

    assert result.exit_code == 1
    for said in (
        "Set ENCORE_STRIPE_SECRET_KEY",
        "ENCORE_STRIPE_WEBHOOK_SECRETS to its signing secret",
        "@encore.thank_you",
        "Run: flask encore db upgrade",
    ):
        assert said in result.output
    assert "Traceback" not in result.output


def test_doctor_says_which_orders_cannot_be_charged_again_and_why(shop: Shop) -> None:
    shop.pay("1")
    unsaved = shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None)
    shop.pay("2", intent=unsaved)

    orders = findings(shop)["orders"]

    assert orders[0]["found"] == "1 of the last 2 can be charged again"
    assert orders[1]["found"].startswith("1 of the last 2 cannot: ")
    assert "setup_future_usage" in orders[1]["fix"] or "customer" in orders[1]["fix"]


def test_doctor_sees_the_last_webhook_and_the_last_sweep(shop: Shop) -> None:
    before = findings(shop)
    shop.pay()
    shop.accept(shop.token())
    succeeded = [event for event in shop.stripe.events if event["type"] == "payment_intent.succeeded"][-1]
    body, header = shop.stripe.webhooks.signed(succeeded, secret="whsec_tests")
    shop.app.test_client().post("/encore/stripe/webhook", data=body, headers={"Stripe-Signature": header})
    shop.sweep()

    after = findings(shop)

    assert (before["webhooks"][0]["severity"], before["sweeper"][0]["found"]) == ("warning", "never ran")
    assert after["webhooks"][0]["found"] == "last one 0 seconds ago"
    assert after["sweeper"][0]["found"] == "ran 0 seconds ago"
    assert after["Stripe"][0]["found"] == "answers for account acct_simulator"


def test_an_app_without_encore_says_so() -> None:
    from flask import Flask

    result = Flask("bare").test_cli_runner().invoke(cli, ["doctor"])

    assert result.exit_code == 1
    assert "call encore.init_app(app)" in result.output


def test_doctor_says_how_old_a_model_is(make_shop: ShopFactory, clock: FrozenClock, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    shop = make_shop(trained=True)
    before = findings(shop)["model"][0]["found"]
    run(shop, "import", "orders", str(tmp_path / "orders.csv"), "--currency", "gbp")
    run(shop, "train")
    shop = make_shop(trained=True)
    clock.advance(days=31)

    model = findings(shop)["model"][0]

    assert before == "there is none yet"
    assert (model["severity"], model["found"], model["fix"]) == ("warning", "31 days old", "Run: flask encore train")
