"""The endpoints a merchant keeps: what is refused, rotated, paused, gone, removed; and what nobody is ever shown."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from conftest import Shop
from money import charged
from receivers import Receiver, add, deliveries, not_for, receiver, verifies

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.hooks import DeliveryStatus
from flask_encore.services import hooking
from flask_encore.store import hooks as table

ACTOR = "merchant"


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    """The merchant's system; it takes everything."""
    with receiver() as made:
        yield made


@pytest.fixture
def second() -> Iterator[Receiver]:
    """Another one."""
    with receiver() as made:
        yield made


def test_both_secrets_sign_for_a_day_after_a_rotation(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url, "charge_succeeded")
    old = webhook.secret
    new = hooking.rotate(shop.rt, webhook.id, actor=ACTOR).secret
    charged(shop, "1")
    shop.sweep()
    shop.clock.advance(hours=24)
    charged(shop, "2")
    shop.sweep()

    assert old != new
    assert [(verifies(each, old), verifies(each, new)) for each in endpoint.requests] == [(True, True), (False, True)]


def test_a_paused_endpoint_is_sent_nothing_of_the_meantime_and_what_waited_afterwards(
    any_shop: Shop, endpoint: Receiver
) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url, "charge_succeeded")
    endpoint.answer = not_for("1", times=1)
    charged(shop, "1")
    shop.sweep()
    assert hooking.pause(shop.rt, webhook.id, actor=ACTOR) and not hooking.pause(shop.rt, webhook.id, actor=ACTOR)
    shop.clock.advance(minutes=1)
    charged(shop, "2")
    shop.sweep()
    assert endpoint.told == [("charge_succeeded", "1")]

    shop.clock.advance(minutes=1)
    assert hooking.resume(shop.rt, webhook.id, actor=ACTOR) and not hooking.resume(shop.rt, webhook.id, actor=ACTOR)
    charged(shop, "3")
    shop.sweep()

    assert sorted(endpoint.told[1:]) == [("charge_succeeded", "1"), ("charge_succeeded", "3")]


def test_an_endpoint_that_says_it_is_gone_is_paused(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url)
    endpoint.answer = lambda _: 410
    charged(shop, "1")
    charged(shop, "2")
    shop.sweep()

    assert len(endpoint.requests) == 1
    assert hooking.find(shop.rt, webhook.id).active_since is None
    assert sorted(deliveries(shop)) == [("1", "failed", 1), ("2", "waiting", 0)]


def test_a_redirect_is_a_failure_and_leads_nowhere(any_shop: Shop, endpoint: Receiver, second: Receiver) -> None:
    shop = any_shop
    add(shop, endpoint.url)
    endpoint.answer = lambda _: (308, {"Location": second.url}, b"")
    charged(shop)
    shop.sweep()

    (delivery,) = hooking.deliveries(shop.rt)
    assert (delivery.status, delivery.response_code) == ("waiting", 308)
    assert delivery.last_error == "HTTP 308: redirects are not followed"
    assert second.requests == []


def test_the_target_is_checked_anew_at_every_delivery(
    any_shop: Shop, endpoint: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    found = ["93.184.216.34"]
    monkeypatch.setattr("flask_encore.services.posting.addresses", lambda host, port: found)
    add(shop, "https://hooks.example.com/in")
    found[:] = ["169.254.169.254"]
    charged(shop)
    shop.sweep()

    (delivery,) = hooking.deliveries(shop.rt)
    assert (delivery.status, delivery.attempts) == ("waiting", 1)
    assert delivery.last_error == "169.254.169.254 is not an address of the public internet."


@pytest.mark.parametrize(
    ("url", "kinds", "said"),
    [
        ("https://10.0.0.1/", (), "not an address of the public internet"),
        ("https://inside.example.com/", (), "not an address of the public internet"),
        ("https://nowhere.example.com/", (), "name was not found"),
        ("http://hooks.example.com/", (), "http only reaches this machine"),
        ("https://hooks.example.com/", ("charge_suceeded",), "There is no event 'charge_suceeded'"),
        ("https://hooks.example.com/old", (), "There is a webhook with this URL already"),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused_and_nothing_is_written(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, url: str, kinds: tuple[str, ...], said: str
) -> None:
    def addresses(host: str, _port: int) -> list[str]:
        if host == "nowhere.example.com":
            raise OSError("Name or service not known")
        return ["10.0.0.7"] if host == "inside.example.com" else ["93.184.216.34"]

    monkeypatch.setattr("flask_encore.services.posting.addresses", addresses)
    add(shop, "https://hooks.example.com/old")
    before = shop.rows("webhooks"), shop.rows("audit")

    with pytest.raises(InvalidInput, match=said):
        hooking.add(shop.rt, url, kinds=kinds, actor=ACTOR)

    assert (shop.rows("webhooks"), shop.rows("audit")) == before


def test_with_a_live_key_this_machine_is_not_sent_to(shop: Shop, endpoint: Receiver) -> None:
    webhook = add(shop, endpoint.url)
    object.__setattr__(shop.rt.settings, "stripe_secret_key", "sk_live_x")
    charged_at = len(endpoint.requests)

    with pytest.raises(InvalidInput, match="not sent to this machine"):
        add(shop, f"{endpoint.url}/2")
    tried = hooking.try_out(shop.rt, webhook.id)

    assert (tried.code, tried.error) == (None, "A webhook is not sent to this machine, except in test mode.")
    assert len(endpoint.requests) == charged_at == 0


def test_no_secret_is_in_a_log_an_error_or_the_audit(
    any_shop: Shop, endpoint: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    caplog.set_level(logging.DEBUG)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.DEBUG)
    try:
        webhook = add(shop, f"{endpoint.url}?key=k-17")
        endpoint.answer = lambda _: 500
        charged(shop)
        shop.sweep()
        new = hooking.rotate(shop.rt, webhook.id, actor=ACTOR)
        with shop.rt.db.write() as connection:
            connection.exec_driver_sql("DROP TABLE encore_webhooks")
        with pytest.raises(Exception, match="encore_webhooks") as refused, shop.rt.db.write() as connection:
            table.add(connection, account="", url="u", secret=new.secret, kinds=(), now=shop.clock())
    finally:
        logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)

    audited = str([(row["before"], row["after"]) for row in shop.rows("audit")])
    for secret in (webhook.secret, new.secret):
        assert [text for text in (str(refused.value), repr(webhook), repr(new), audited) if secret[6:] in text] == []
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name == "flask_encore")
    assert f"webhook {webhook.id} did not take charge_succeeded of order 1042: HTTP 500" in ours
    assert "k-17" not in ours + audited
    # Whatever anybody logs, SQLAlchemy at its most talkative included: it shows parameters and rows.
    everything = "\n".join(record.getMessage() for record in caplog.records)
    assert "Secret('whsec_…')" in everything
    assert [secret for secret in (webhook.secret, new.secret) if secret[6:] in everything] == []


def test_every_change_is_in_the_audit_log(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url, "charge_succeeded")
    hooking.rotate(shop.rt, webhook.id, actor=ACTOR)
    hooking.pause(shop.rt, webhook.id, actor=ACTOR)
    hooking.resume(shop.rt, webhook.id, actor=ACTOR)
    charged(shop)
    shop.sweep()
    hooking.replay(shop.rt, hooking.deliveries(shop.rt)[-1].id, actor=ACTOR)
    hooking.remove(shop.rt, webhook.id, actor=ACTOR)

    rows = [(row["actor"], row["action"], row["subject"]) for row in shop.rows("audit")]
    actions = ["create", "edit", "status", "status", "edit", "remove"]
    assert rows == [("merchant", action, f"webhook {webhook.id}") for action in actions]
    page = shop.app.test_client().get("/encore/dashboard/campaigns/history").text
    assert page.count(f"webhook {webhook.id}") == 6 and "campaigns/webhook" not in page


def test_a_removed_endpoint_leaves_no_secret_and_no_log_and_its_id_to_nobody(
    any_shop: Shop, endpoint: Receiver, second: Receiver
) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url)
    charged(shop)
    shop.sweep()
    hooking.remove(shop.rt, webhook.id, actor=ACTOR)

    assert (shop.rows("webhooks"), shop.rows("webhook_deliveries")) == ([], [])
    assert add(shop, second.url).id == webhook.id + 1
    with pytest.raises(hooking.NoSuchWebhook, match=f"There is no webhook {webhook.id}"):
        hooking.find(shop.rt, webhook.id)


def test_counts_say_how_many_deliveries_stand_how(any_shop: Shop, endpoint: Receiver) -> None:
    shop = any_shop
    webhook = add(shop, endpoint.url)
    endpoint.answer = not_for("2")
    for order_ref in ("1", "2"):
        charged(shop, order_ref)
    shop.sweep()

    assert hooking.counts(shop.rt) == {
        (webhook.id, DeliveryStatus.DELIVERED): 1,
        (webhook.id, DeliveryStatus.WAITING): 1,
    }
