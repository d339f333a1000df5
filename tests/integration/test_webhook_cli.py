"""``flask encore webhooks …`` as a merchant's engineer types it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from click.testing import Result
from conftest import Shop
from money import charged
from receivers import Receiver, closed_port, receiver, verifies

from flask_encore.cli import cli
from flask_encore.services import hooking


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    """The merchant's system."""
    with receiver() as made:
        yield made


def run(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(cli, ["webhooks", *words])


def secret_in(result: Result) -> str:
    (found,) = re.findall(r"whsec_[A-Za-z0-9+/]{43}=", result.output)
    return str(found)


def test_an_endpoint_is_added_tried_and_sent_what_happens(shop: Shop, endpoint: Receiver) -> None:
    added = run(shop, "add", endpoint.url, "--only", "charge_succeeded", "--only", "hold_released")
    tried = run(shop, "test", "1")
    charged(shop)
    swept = shop.app.test_cli_runner().invoke(cli, ["sweep"])

    assert added.output.startswith("Webhook 1 is added. Its signing secret, which is not shown again:\nwhsec_")
    assert re.fullmatch(r"Webhook 1 took msg_test_[0-9a-f]{32}: HTTP 204\.\n", tried.output)
    assert swept.output == "charges 0, payments verified 0, events delivered 1\n"
    assert endpoint.told == [("test", ""), ("charge_succeeded", "1042")]
    assert all(verifies(request, secret_in(added)) for request in endpoint.requests)
    assert run(shop, "deliveries").output == (
        "     1  2026-03-02 14:03 UTC  webhook 1  delivered  charge_succeeded  order 1042  1 attempts\n"
    )
    assert hooking.listed(shop.rt)[0].kinds == ("charge_succeeded", "hold_released")


def test_a_secret_is_shown_when_it_is_made_and_never_again(shop: Shop, endpoint: Receiver) -> None:
    first = secret_in(run(shop, "add", endpoint.url))
    second = secret_in(run(shop, "rotate", "1"))
    charged(shop)
    shop.sweep()

    assert first != second
    later = [
        *(run(shop, "list"), run(shop, "list", "--json"), run(shop, "deliveries", "--json"), run(shop, "test", "1")),
        *(run(shop, "pause", "1"), run(shop, "resume", "1"), run(shop, "replay", "1"), run(shop, "remove", "1")),
        shop.app.test_cli_runner().invoke(cli, ["campaigns", "history", "--json"]),
    ]
    assert [result.exit_code for result in later] == [0] * 9
    assert [result.output for result in later if "whsec_" in result.output] == []


def test_the_list_says_what_each_is_sent_and_how_it_goes(shop: Shop, endpoint: Receiver) -> None:
    assert run(shop, "list").output == "There is no webhook yet. Add one: flask encore webhooks add URL\n"
    run(shop, "add", endpoint.url)
    run(shop, "add", f"{endpoint.url}/2", "--only", "charge_failed")
    run(shop, "pause", "2")
    charged(shop)
    shop.sweep()

    assert run(shop, "list").output == (
        f"   1  active  {endpoint.url}  every event; 0 waiting, 1 delivered, 0 failed\n"
        f"   2  paused  {endpoint.url}/2  charge_failed; 0 waiting, 0 delivered, 0 failed\n"
    )
    first, second = json.loads(run(shop, "list", "--json").output)
    assert first["deliveries"] == {"waiting": 0, "delivered": 1, "failed": 0}
    assert (second["active"], second["kinds"]) == (False, ["charge_failed"])


def test_what_was_given_up_is_listed_and_replayed(shop: Shop, endpoint: Receiver) -> None:
    run(shop, "add", endpoint.url, "--only", "charge_succeeded")
    endpoint.answer = lambda _: 500
    charged(shop)
    shop.sweep()
    assert run(shop, "deliveries", "--failed").output == "Nothing was given up.\n"
    shop.clock.advance(days=3)
    shop.sweep()
    endpoint.answer = lambda _: 204

    assert (
        "failed     charge_succeeded  order 1042  2 attempts  HTTP 500\n" in run(shop, "deliveries", "--failed").output
    )
    doctor = shop.app.test_cli_runner().invoke(cli, ["doctor"]).output
    assert "! webhook 1: 1 deliveries were given up after three days" in doctor
    assert run(shop, "replay", "1", "--failed", "--since", "2026-03-05").output == (
        "0 deliveries are sent again within the next rounds.\n"
    )
    assert run(shop, "replay", "1", "--failed", "--since", "2026-03-02").output == (
        "1 deliveries are sent again within the next rounds.\n"
    )
    shop.sweep()
    assert run(shop, "replay", "1").output == (
        "Delivery 1 (charge_succeeded, order 1042) is sent again within the next round.\n"
    )
    shop.sweep()
    assert len(endpoint.requests) == 4
    assert len({request.headers["webhook-id"] for request in endpoint.requests}) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "http://169.254.169.254/latest/meta-data/"), "not an address of the public internet"),
        (("add", "ftp://hooks.example.com/"), "begins with https://"),
        (("add", "https://hooks.example.com/", "--only", "charge_suceeded"), "'charge_suceeded' is not one of"),
        (("remove", "7"), "There is no webhook 7."),
        (("rotate", "7"), "There is no webhook 7."),
        (("pause", "7"), "There is no webhook 7."),
        (("test", "7"), "There is no webhook 7."),
        (("replay", "7"), "There is no delivery 7."),
        (("replay", "7", "--failed"), "There is no webhook 7."),
        (("replay", "7", "--since", "2026-03-02"), "--since goes with --failed."),
    ],
)
def test_a_mistake_gets_a_sentence_and_changes_nothing(shop: Shop, words: tuple[str, ...], said: str) -> None:
    result = run(shop, *words)

    assert result.exit_code != 0
    assert said in result.output and "Traceback" not in result.output
    assert (shop.rows("webhooks"), shop.rows("audit")) == ([], [])


def test_a_test_message_that_is_not_taken_ends_with_status_1(shop: Shop) -> None:
    run(shop, "add", f"http://127.0.0.1:{closed_port()}/hook")
    result = run(shop, "test", "1")

    assert (result.exit_code, "no connection" in result.output) == (1, True)
    assert run(shop, "deliveries").output == "Nothing was sent yet.\n"
