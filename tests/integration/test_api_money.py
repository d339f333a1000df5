"""Charges and refunds over the API, and the same request sent twice: the money moves once, whatever the races."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from api_clients import Client, code_of, errors_of
from conftest import Shop, ShopFactory
from hosts import together

from flask_encore.domain.scopes import Scope
from flask_encore.services import api_answers, recording, refunding
from flask_encore.store import api_answers as answers_table


def charged(shop: Shop, order_ref: str = "1042") -> str:
    """An accepted and charged offer; answers the charge's id."""
    shop.pay(order_ref)
    assert shop.accept(shop.token(order_ref)) == "charged"
    [charge] = [row for row in shop.rows("charges") if row["order_ref"] == order_ref]
    return str(charge["id"])


def given(key: str = "k-1") -> dict[str, dict[str, str]]:
    return {"headers": {"Idempotency-Key": key}}


# Charges


def test_a_charge_tells_its_money_and_its_history(any_shop: Shop) -> None:
    id = charged(any_shop)
    client = Client(any_shop)
    one = client.get(f"/charges/{id}").get_json()

    assert (one["amount"], one["refunded"]) == (
        {"amount": 1161, "currency": "gbp"},
        {"amount": 0, "currency": "gbp"},
    )
    assert (one["status"], one["charged_at"], one["failure_code"]) == ("succeeded", "2026-03-02T14:03:00Z", None)
    assert [one["timeline"][at]["status"] for at in (0, -1)] == ["claimed", "succeeded"]
    assert {change["source"] for change in one["timeline"]} == {"click"}
    [listed] = client.get("/charges?order_ref=1042&status=succeeded").get_json()["items"]
    assert {name: one[name] for name in listed} == listed
    assert client.get("/charges?status=failed").get_json()["items"] == []


def test_a_charge_of_another_account_is_not_there(make_shop: ShopFactory, shop: Shop) -> None:
    id = charged(shop)
    other = Client(make_shop(ENCORE_STRIPE_ACCOUNT="acct_2"))

    assert code_of(other.get(f"/charges/{id}")) == (404, "not_found")
    assert code_of(other.post(f"/charges/{id}/refund", **given())) == (404, "not_found")
    assert shop.stripe.refunds() == []


# Refunds


def test_a_refund_gives_back_what_is_left_and_names_the_token(any_shop: Shop) -> None:
    id = charged(any_shop)
    response = Client(any_shop, name="support desk").post(f"/charges/{id}/refund", **given())
    told = response.get_json()

    assert (response.status_code, told["status"], told["refunded"]["amount"]) == (200, "refunded", 1161)
    assert [(one["actor"], one["cause"], one["status"]) for one in told["refunds"]] == [
        ("api:support desk", "merchant", "succeeded")
    ]
    assert [made["amount"] for made in any_shop.stripe.refunds()] == [1161]


def test_a_refund_needs_a_key_and_the_scope(shop: Shop) -> None:
    id = charged(shop)

    missing = Client(shop).post(f"/charges/{id}/refund")
    assert errors_of(missing) == {"Idempotency-Key": "is missing."}
    for bad in ("", "a b", "x" * 256, "ü"):
        assert code_of(Client(shop, name=f"n{bad}"[:9]).post(f"/charges/{id}/refund", **given(bad)))[0] == 422
    reader = Client(shop, *(scope for scope in Scope if scope is not Scope.CHARGES_REFUND), name="reader")
    assert code_of(reader.post(f"/charges/{id}/refund", **given())) == (403, "forbidden")
    assert shop.stripe.refunds() == shop.rows("refunds") == []


def test_what_was_not_charged_cannot_be_refunded(shop: Shop) -> None:
    shop.pay(card="4000000000000341")
    shop.post(shop.token(), "accept")
    [charge] = shop.rows("charges")
    assert charge["status"] != "succeeded"

    assert code_of(Client(shop).post(f"/charges/{charge['id']}/refund", **given())) == (409, "conflict")
    assert shop.stripe.refunds() == []


def test_a_quarantined_charge_is_left_to_people(shop: Shop) -> None:
    id = charged(shop)
    with shop.rt.db.write() as connection:
        connection.exec_driver_sql("UPDATE encore_charges SET quarantine_reason = 'amount'")

    assert code_of(Client(shop).post(f"/charges/{id}/refund", **given())) == (409, "conflict")
    assert shop.stripe.refunds() == []


@pytest.mark.parametrize("keys", ["one key", "a key each"])
def test_eight_refunds_at_one_moment_move_the_money_once(any_shop: Shop, keys: str) -> None:
    id = charged(any_shop)
    client = Client(any_shop)

    def ask(number: int) -> Any:
        return client.post(f"/charges/{id}/refund", **given("k" if keys == "one key" else f"k-{number}"))

    answers = together(8, ask)

    assert {response.status_code for response in answers} <= {200, 202, 409}
    assert any(response.status_code in {200, 202} for response in answers)
    assert [made["amount"] for made in any_shop.stripe.refunds()] == [1161]
    assert len(any_shop.rows("refunds")) == 1
    assert ask(0).get_json()["status"] in {"refunded", "refunding"}
    assert [made["amount"] for made in any_shop.stripe.refunds()] == [1161]


def test_control_without_the_guards_of_refunding_every_request_would_be_a_refund(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = charged(any_shop)
    client = Client(any_shop)
    asked = Counter[str]()

    def unguarded(rt: Any, charge: Any, *, actor: str) -> Any:
        asked[actor] += 1
        rt.gateway.refund(
            charge.payment_intent_ref,
            type(charge.amount)(100, "gbp"),
            idempotency_key=f"unguarded {asked[actor]}",
            metadata={},
        )
        return charge

    monkeypatch.setattr(refunding, "refund", unguarded)
    for number in range(3):
        client.post(f"/charges/{id}/refund", **given(f"k-{number}"))

    assert len(any_shop.stripe.refunds()) == 3


# The same request twice


def order(shop: Shop, order_ref: str = "1042", **more: Any) -> dict[str, Any]:
    money = {"amount": 3400, "currency": "gbp"}
    return {
        "order_ref": order_ref,
        "placed_at": "2026-03-02T14:03:00Z",
        "lines": [{"sku": "pot", "title": "Teapot", "quantity": 1, "unit_price": money}],
        "total": money,
        "payment_intent_ref": f"pi_{order_ref}",
    } | more


def test_what_was_answered_once_is_answered_again(any_shop: Shop) -> None:
    client, body = Client(any_shop), order(any_shop)
    first = client.post("/orders", json=body, **given())
    again = client.post("/orders", json=body, **given())

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.get_json() == first.get_json() == {"order_ref": "1042", "recorded": "new"}
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    assert client.post("/orders", json=body).get_json()["recorded"] == "duplicate"


def test_a_campaign_made_twice_with_one_key_is_made_once(any_shop: Shop) -> None:
    client = Client(any_shop)
    gift = {"ref": "gift", "name": "A gift", "offer": {"kind": "fixed", "skus": ["mug"]}}
    first = client.post("/campaigns", json=gift, **given())
    again = client.post("/campaigns", json=gift, **given())

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["ETag"] == first.headers["ETag"] == '"1"'
    assert code_of(client.post("/campaigns", json=gift, **given("another"))) == (409, "conflict")
    assert len(any_shop.rows("campaigns")) == 1


def test_a_key_belongs_to_one_request_and_to_one_token(any_shop: Shop) -> None:
    client = Client(any_shop)
    client.post("/orders", json=order(any_shop), **given())

    assert code_of(client.post("/orders", json=order(any_shop, "1043"), **given())) == (422, "key_reused")
    assert code_of(client.post("/products/batch", json=order(any_shop), **given())) == (422, "key_reused")
    assert [row["order_ref"] for row in any_shop.rows("orders")] == ["1042"]
    other = Client(any_shop, name="another").post("/orders", json=order(any_shop, "1043"), **given())
    assert other.status_code == 201


def test_a_refusal_is_not_kept_so_the_corrected_request_may_use_its_key(any_shop: Shop) -> None:
    client = Client(any_shop)
    assert code_of(client.post("/orders", json=order(any_shop, locale=""), **given())) == (422, "invalid")
    assert client.post("/orders", json=order(any_shop), **given()).status_code == 201


def test_a_failure_of_ours_lets_the_key_go(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(any_shop)

    def fail(*_: Any) -> None:
        raise RuntimeError("of ours")

    with monkeypatch.context() as patch:
        patch.setattr(recording, "record", fail)
        assert code_of(client.post("/orders", json=order(any_shop), **given())) == (500, "internal")
    assert client.post("/orders", json=order(any_shop), **given()).status_code == 201


def test_an_answer_is_forgotten_after_a_day(any_shop: Shop) -> None:
    client = Client(any_shop)
    client.post("/orders", json=order(any_shop), **given())
    any_shop.clock.advance(hours=24)
    assert client.post("/orders", json=order(any_shop), **given()).headers["Idempotency-Replayed"] == "true"
    any_shop.clock.advance(seconds=1)

    again = client.post("/orders", json=order(any_shop), **given())
    assert (again.status_code, again.get_json()["recorded"]) == (200, "duplicate")
    assert len(any_shop.rows("api_answers")) == 1


def test_a_request_whose_process_died_is_taken_over_and_not_before(any_shop: Shop) -> None:
    client, body = Client(any_shop), order(any_shop)
    client.post("/orders", json=body, **given())
    with any_shop.rt.db.write() as connection:
        connection.exec_driver_sql("UPDATE encore_api_answers SET status = NULL, body = NULL, location = NULL")

    under_way = client.post("/orders", json=body, **given())
    assert code_of(under_way) == (409, "under_way")
    assert under_way.headers["Retry-After"] == "1"
    any_shop.clock.advance(seconds=api_answers.ABANDONED.total_seconds())
    assert client.post("/orders", json=body, **given()).get_json()["recorded"] == "duplicate"


def answered_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[int], int]:
    """Eight requests with one key at one moment: how they were answered, and how often the work was done."""
    client, done = Client(shop), []
    hold = threading.Event()

    def record(rt: Any, order: Any) -> recording.Recorded:
        done.append(order.order_ref)
        hold.wait(0.2)
        return recording.Recorded.NEW

    monkeypatch.setattr(recording, "record", record)
    body = order(shop)
    answers = together(8, lambda _: client.post("/orders", json=body, **given()))
    return Counter(response.status_code for response in answers), len(done)


def test_of_eight_requests_with_one_key_one_is_done(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    statuses, done = answered_at_once(any_shop, monkeypatch)

    assert done == 1
    assert set(statuses) <= {201, 409}
    assert statuses[201] >= 1


def test_control_without_the_one_insert_several_would_be_done(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_table, "begin", lambda *_, **__: True)
    _, done = answered_at_once(any_shop, monkeypatch)
    assert done > 1


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("UPDATE", None, Exception())

    monkeypatch.setattr(answers_table, "finish", away)
    client = Client(any_shop)
    assert client.post("/orders", json=order(any_shop), **given()).status_code == 201
    monkeypatch.undo()
    any_shop.clock.advance(seconds=timedelta(minutes=2).total_seconds())
    assert client.post("/orders", json=order(any_shop), **given()).get_json()["recorded"] == "duplicate"
