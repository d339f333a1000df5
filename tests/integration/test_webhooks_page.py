"""The page of the merchant's endpoints: added with a secret shown once, tried, paused, removed; their deliveries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop
from dashboard_pages import get, text_of
from dashboard_settings import WEBHOOKS, post, with_rights
from receivers import Receiver, add, closed_port, receiver, verifies

from flask_encore.domain.hooks import DeliveryStatus
from flask_encore.domain.rights import Right
from flask_encore.services import hooking
from flask_encore.store.models import outbox, webhook_deliveries


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    """The merchant's system; it takes everything."""
    with receiver() as made:
        yield made


def one(id: int) -> str:
    return f"{WEBHOOKS}{id}/"


def logged(shop: Shop, id: int, statuses: list[str]) -> None:
    """Write a log of deliveries, oldest first."""
    now = shop.clock()
    with shop.rt.db.write() as connection:
        for number, status in enumerate(statuses):
            message = connection.execute(
                sa.insert(outbox)
                .values(
                    dedupe=f"c{number}:charge_succeeded:1",
                    account="",
                    order_ref=f"10{number}",
                    charge_id=f"c{number}",
                    kind="charge_succeeded",
                    payload={"occurred_at": now.isoformat()},
                    created_at=now,
                    attempts=1,
                    delivered_at=now,
                    last_error="",
                    hooked_at=now,
                )
                .returning(outbox.c.id)
            ).scalar_one()
            connection.execute(
                sa.insert(webhook_deliveries).values(
                    webhook_id=id,
                    message_id=message,
                    order_ref=f"10{number}",
                    status=status,
                    attempts=14 if status == "failed" else 1,
                    next_run_at=now if status == "waiting" else None,
                    give_up_at=now,
                    response_code=500 if status == "failed" else None,
                    last_error="HTTP 500: <b>sorry" if status == "failed" else "",
                    created_at=now,
                    delivered_at=now if status == "delivered" else None,
                )
            )


def statuses(shop: Shop) -> list[str]:
    return [row["status"] for row in sorted(shop.rows("webhook_deliveries"), key=lambda row: row["id"])]


def secret_in(response: Any) -> str:
    return re.search(r"whsec_[\w+/=]+", response.text)[0]  # type: ignore[index]


# Adding


def test_a_new_endpoint_shows_its_secret_once(any_shop: Shop, endpoint: Receiver) -> None:
    response = post(any_shop, WEBHOOKS, {"url": endpoint.url, "kind": ["charge_succeeded", "hold_released"]})

    [webhook] = hooking.listed(any_shop.rt)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert secret_in(response) == webhook.secret
    assert webhook.kinds == ("charge_succeeded", "hold_released")
    pages = get(any_shop, WEBHOOKS).text + get(any_shop, one(webhook.id)).text
    assert webhook.secret not in pages + json.dumps(any_shop.rows("audit"), default=str)


def test_an_endpoint_without_a_kind_is_sent_every_event(shop: Shop, endpoint: Receiver) -> None:
    post(shop, WEBHOOKS, {"url": endpoint.url})
    assert "every event" in text_of(get(shop, WEBHOOKS))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "A webhook's URL"),
        ("ftp://hooks.example.com/", "https"),
        ("http://hooks.example.com/", "https"),
        ("https://10.0.0.1/", "10.0.0.1"),
        ("https://169.254.169.254/latest/meta-data/", "169.254.169.254"),
        ("https://user:pass@hooks.example.com/", "user"),
        ("https://hooks.example.com/\0", "printable ASCII characters only"),
        ("https://hooks.example.com/" + "x" * 5000, "2000"),
    ],
)
def test_where_encore_does_not_send_is_said_beside_the_field_and_kept(shop: Shop, url: str, sentence: str) -> None:
    response = post(shop, WEBHOOKS, {"url": url, "kind": ["charge_failed"]})
    assert response.status_code == 422
    [error] = re.findall(r'id="url-error" role="alert">([^<]+)<', response.text)
    assert sentence in error.replace("&#39;", "'").replace(",", "")
    assert 'value="charge_failed" checked' in response.text
    assert hooking.listed(shop.rt) == []


def test_an_unknown_event_is_refused(shop: Shop, endpoint: Receiver) -> None:
    response = post(shop, WEBHOOKS, {"url": endpoint.url, "kind": ["moon_landing"]})
    assert response.status_code == 422
    assert "There is no event 'moon_landing'" in text_of(response)
    assert hooking.listed(shop.rt) == []


def test_the_query_of_a_url_may_hold_a_key_and_is_not_shown(shop: Shop, endpoint: Receiver) -> None:
    webhook = add(shop, f"{endpoint.url}?key=hunter2")
    for page in (get(shop, WEBHOOKS), get(shop, one(webhook.id)), get(shop, f"{one(webhook.id)}remove")):
        assert "hunter2" not in page.text


# One endpoint


def test_a_test_message_that_is_taken_says_so(shop: Shop, endpoint: Receiver) -> None:
    webhook = add(shop, endpoint.url)
    response = post(shop, f"{one(webhook.id)}test")
    [request] = endpoint.requests
    assert verifies(request, webhook.secret)
    assert request.json["type"] == "test"
    assert f"The test message was taken: HTTP 204, {request.headers['webhook-id']}." in text_of(response)


def test_a_test_message_that_is_not_taken_says_why(shop: Shop) -> None:
    webhook = add(shop, f"http://127.0.0.1:{closed_port()}/hook")
    response = post(shop, f"{one(webhook.id)}test")
    assert response.status_code == 200
    assert "The test message was not taken: no connection" in text_of(response)


def test_pausing_and_resuming_are_one_click_and_written_down(any_shop: Shop, endpoint: Receiver) -> None:
    webhook = add(any_shop, endpoint.url)
    for act, active in (("pause", False), ("pause", False), ("resume", True)):
        assert post(any_shop, f"{one(webhook.id)}{act}").location == one(webhook.id)
        assert (hooking.find(any_shop.rt, webhook.id).active_since is not None) is active
    assert [row["action"] for row in any_shop.rows("audit")] == ["create", "status", "status"]


def test_rotating_is_asked_once_more_and_shows_the_new_secret_once(any_shop: Shop, endpoint: Receiver) -> None:
    webhook = add(any_shop, endpoint.url)
    assert "For 24 hours both secrets sign every message" in text_of(get(any_shop, f"{one(webhook.id)}rotate"))
    assert hooking.find(any_shop.rt, webhook.id).secret == webhook.secret

    response = post(any_shop, f"{one(webhook.id)}rotate")
    rotated = hooking.find(any_shop.rt, webhook.id)

    assert secret_in(response) == rotated.secret != webhook.secret
    assert rotated.previous_secret == webhook.secret
    page = get(any_shop, one(webhook.id))
    assert "Two sign every message until 3 Mar 2026, 14:03" in text_of(page)
    assert rotated.secret not in page.text and webhook.secret not in page.text


def test_removing_is_asked_once_more(any_shop: Shop, endpoint: Receiver) -> None:
    webhook = add(any_shop, endpoint.url)
    assert "none of it can be brought back" in text_of(get(any_shop, f"{one(webhook.id)}remove"))
    assert len(hooking.listed(any_shop.rt)) == 1

    done = post(any_shop, f"{one(webhook.id)}remove")
    assert done.location == f"{WEBHOOKS}?removed={webhook.id}"
    assert f"Webhook {webhook.id} is removed" in text_of(get(any_shop, done.location))
    assert hooking.listed(any_shop.rt) == []
    assert post(any_shop, f"{one(webhook.id)}remove").status_code == 404


# The log


def test_the_log_is_filtered_by_how_deliveries_stand(any_shop: Shop, endpoint: Receiver) -> None:
    webhook = add(any_shop, endpoint.url)
    logged(any_shop, webhook.id, ["delivered", "failed", "waiting"])

    everything = get(any_shop, one(webhook.id))
    told = text_of(everything)
    assert "All Waiting 1 Delivered 1 Given up 1" in told
    assert "HTTP 500 14 attempts HTTP 500: <b>sorry" in told
    assert "<b>sorry" not in everything.text
    for status, order in (("delivered", "100"), ("failed", "101"), ("waiting", "102")):
        shown = text_of(get(any_shop, one(webhook.id), status=status))
        assert [ref for ref in ("100", "101", "102") if f"of order {ref}" in shown] == [order]


def test_the_log_goes_on_page_by_page(any_shop: Shop, endpoint: Receiver) -> None:
    webhook = add(any_shop, endpoint.url)
    logged(any_shop, webhook.id, ["delivered"] * 51)
    first = get(any_shop, one(webhook.id))
    [link] = re.findall(r'rel="next" href="([^"#]+)', first.text)
    second = get(any_shop, link)
    assert (first.text.count("of order"), second.text.count("of order")) == (50, 1)
    assert 'rel="next"' not in second.text
    assert "There is no such delivery before that." in text_of(get(any_shop, one(webhook.id), before="1"))


def test_one_delivery_is_sent_again(any_shop: Shop, endpoint: Receiver) -> None:
    webhook = add(any_shop, endpoint.url)
    logged(any_shop, webhook.id, ["failed", "failed"])
    id = max(row["id"] for row in any_shop.rows("webhook_deliveries"))

    done = post(any_shop, f"{one(webhook.id)}deliveries/{id}/replay")

    assert "1 message is sent again, with the ids they had." in text_of(get(any_shop, done.location))
    assert statuses(any_shop) == ["failed", "waiting"]
    assert any_shop.rows("audit")[-1]["subject"] == f"webhook {webhook.id}"


def test_all_that_was_given_up_is_sent_again_and_nothing_else(any_shop: Shop, endpoint: Receiver) -> None:
    webhook = add(any_shop, endpoint.url)
    logged(any_shop, webhook.id, ["failed", "delivered", "failed"])
    assert "2 messages were given up after three days." in text_of(get(any_shop, one(webhook.id)))

    done = post(any_shop, f"{one(webhook.id)}replay")

    assert "2 messages are sent again" in text_of(get(any_shop, done.location))
    assert statuses(any_shop) == ["waiting", "delivered", "waiting"]
    again = post(any_shop, f"{one(webhook.id)}replay")
    assert "Nothing was given up, so nothing is sent again." in text_of(get(any_shop, again.location))


def test_a_delivery_of_another_endpoint_is_not_this_ones(shop: Shop, endpoint: Receiver) -> None:
    webhook, other = add(shop, endpoint.url), add(shop, f"{endpoint.url}/2")
    logged(shop, other.id, ["failed"])
    [row] = shop.rows("webhook_deliveries")
    assert post(shop, f"{one(webhook.id)}deliveries/{row['id']}/replay").status_code == 404
    assert statuses(shop) == ["failed"]


# Nonsense, and who may


@pytest.mark.parametrize("id", ["0", "77", "-1", "one", "9" * 400, "%00", "1e3", "٣"])
def test_an_endpoint_that_is_not_there_is_a_page_that_says_so(shop: Shop, id: str) -> None:
    assert get(shop, f"{WEBHOOKS}{id}/").status_code == 404
    for act in ("remove", "rotate", "pause", "resume", "test", "replay", "deliveries/1/replay"):
        assert post(shop, f"{WEBHOOKS}{id}/{act}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [{"status": "banana"}, {"before": "-1"}, {"before": "9" * 400}, {"replayed": "x" * 400}, {"status": "\0"}],
)
def test_nonsense_in_the_address_is_a_page(shop: Shop, endpoint: Receiver, query: dict[str, str]) -> None:
    webhook = add(shop, endpoint.url)
    assert get(shop, one(webhook.id), **query).status_code == 200


def test_without_a_seal_nothing_happens(shop: Shop, endpoint: Receiver) -> None:
    webhook = add(shop, endpoint.url)
    logged(shop, webhook.id, ["failed"])
    [row] = shop.rows("webhook_deliveries")
    before = shop.rows("webhooks")
    acts = ("remove", "rotate", "pause", "test", "replay", f"deliveries/{row['id']}/replay")
    assert [post(shop, f"{one(webhook.id)}{act}", sealed=False).status_code for act in acts] == [403] * 6
    assert post(shop, WEBHOOKS, {"url": f"{endpoint.url}/2"}, sealed=False).status_code == 403
    assert (shop.rows("webhooks"), statuses(shop), endpoint.requests) == (before, ["failed"], [])


def test_who_may_only_look_sees_the_log_and_can_do_nothing(shop: Shop, endpoint: Receiver) -> None:
    webhook = add(shop, endpoint.url)
    logged(shop, webhook.id, ["failed"])
    with_rights(shop, [Right.READ])

    for page in (get(shop, WEBHOOKS), get(shop, one(webhook.id))):
        assert page.status_code == 200
        assert "<form" not in page.text and "/remove" not in page.text
    for act in ("remove", "rotate", "pause", "resume", "test", "replay", "deliveries/1/replay"):
        assert shop.app.test_client().post(f"{one(webhook.id)}{act}").status_code == 403
    assert statuses(shop) == [DeliveryStatus.FAILED.value]
