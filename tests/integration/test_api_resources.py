"""What the API's resources do: products, orders and decisions."""

from __future__ import annotations

from typing import Any

import pytest
from api_clients import Client, code_of, errors_of
from conftest import Shop

MUG: dict[str, Any] = {
    "title": "Enamel mug",
    "price": {"amount": 1290, "currency": "gbp"},
    "stock": 40,
    "category": "Kitchen",
}


def changes(shop: Shop) -> list[tuple[str, str, str]]:
    """Actor, action and subject of what the audit log has, without the tokens'."""
    rows = shop.rows("audit")
    return [
        (row["actor"], row["action"], row["subject"]) for row in rows if not str(row["subject"]).startswith("token")
    ]


# Products


def test_a_product_is_read_as_the_shop_handed_it_in(any_shop: Shop) -> None:
    response = Client(any_shop).get("/products/mug")
    told = response.get_json()

    assert response.headers["ETag"] == f'"{told.pop("version")}"'
    assert told == MUG | {
        "sku": "mug",
        "active": True,
        "cost": None,
        "image_url": None,
        "options": {},
        "parent": None,
        "was": None,
    }


def test_a_product_that_stands_as_it_was_read_is_not_sent_again(shop: Shop) -> None:
    client = Client(shop)
    tag = client.get("/products/mug").headers["ETag"]
    again = client.get("/products/mug", headers={"If-None-Match": tag})

    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)


def test_a_new_product_is_written_once_and_said_where(any_shop: Shop) -> None:
    client = Client(any_shop)
    made = client.put("/products/cup%2F1", json=MUG, headers={"If-None-Match": "*"})

    assert (made.status_code, made.headers["Location"]) == (201, "/encore/api/v1/products/cup/1")
    assert client.get(made.headers["Location"].removeprefix("/encore/api/v1")).get_json()["sku"] == "cup/1"
    assert code_of(client.put("/products/cup%2F1", json=MUG, headers={"If-None-Match": "*"})) == (
        412,
        "precondition_failed",
    )
    assert changes(any_shop) == [("api:till", "catalogue", "the catalogue")]


def test_a_known_product_is_not_overwritten_by_who_has_not_read_it(any_shop: Shop) -> None:
    client = Client(any_shop)
    tag = client.get("/products/mug").headers["ETag"]

    assert code_of(client.put("/products/mug", json=MUG | {"stock": 1})) == (428, "precondition_required")
    any_shop.pay()
    assert any_shop.accept(any_shop.token()) == "charged"  # one piece is sold meanwhile
    for stale in (tag, '"nonsense"', f"W/{tag}", '"a", "b"'):
        response = client.put("/products/mug", json=MUG | {"stock": 1}, headers={"If-Match": stale})
        assert code_of(response) == (412, "precondition_failed")
    assert any_shop.stock("mug") == 39

    fresh = client.get("/products/mug").headers["ETag"]
    written = client.put("/products/mug", json=MUG | {"stock": 7}, headers={"If-Match": fresh})
    assert (written.status_code, written.get_json()["stock"], any_shop.stock("mug")) == (200, 7, 7)
    assert written.headers["ETag"] == client.get("/products/mug").headers["ETag"] != fresh
    client.put("/products/mug", json=MUG | {"stock": 8}, headers={"If-Match": "*"})
    assert any_shop.stock("mug") == 8
    assert code_of(client.put("/products/cup", json=MUG, headers={"If-Match": "*"})) == (412, "precondition_failed")
    assert len(changes(any_shop)) == 2


def test_a_batch_is_written_whole_or_not_at_all(any_shop: Shop) -> None:
    client = Client(any_shop)
    good = [MUG | {"sku": "mug", "stock": 3}, MUG | {"sku": "new"}]

    refused = client.post("/products/batch", json={"items": [*good, MUG | {"sku": "bad", "stock": -1}]})
    assert errors_of(refused) == {"#/items/2/stock": "has to be a whole number from 0."}
    twice = client.post("/products/batch", json={"items": [*good, MUG | {"sku": "new"}]})
    assert code_of(twice) == (422, "invalid")
    assert (any_shop.stock("mug"), len(any_shop.rows("products"))) == (40, 3)

    assert client.post("/products/batch", json={"items": good}).get_json() == {"written": 2}
    assert (any_shop.stock("mug"), any_shop.stock("new")) == (3, 40)
    assert changes(any_shop) == [("api:till", "catalogue", "the catalogue")]


def test_products_are_listed_by_sku_and_by_what_is_asked(any_shop: Shop) -> None:
    client = Client(any_shop)
    client.put("/products/old", json=MUG | {"active": False})

    def skus(query: str) -> list[str]:
        return [product["sku"] for product in client.get(f"/products?{query}").get_json()["items"]]

    assert skus("") == ["mug", "old", "pot", "tea"]
    assert skus("category=Kitchen&active=true") == ["mug", "pot"]
    assert skus("active=false") == ["old"]
    assert skus("category=Nothing") == []


# Orders


def paid(shop: Shop, order_ref: str = "1042", **more: Any) -> dict[str, Any]:
    """An order as a checkout would hand it over, with its payment at Stripe."""
    intent = shop.stripe.paid_intent(amount=3400, currency="gbp", card="4242424242424242")
    money = {"amount": 3400, "currency": "gbp"}
    return {
        "order_ref": order_ref,
        "placed_at": "2026-03-02T15:03:00+01:00",
        "lines": [{"sku": "pot", "title": "Teapot", "quantity": 1, "unit_price": money}],
        "total": money,
        "payment_intent_ref": intent["id"],
        "customer_ref": "c-17",
        "country": "gb",
    } | more


def test_an_order_handed_over_is_recorded_once_and_offered_as_any_other(any_shop: Shop) -> None:
    client, order = Client(any_shop), paid(any_shop, "2026/1042")
    first, again = client.post("/orders", json=order), client.post("/orders", json=order)

    assert (first.status_code, first.get_json()) == (201, {"order_ref": "2026/1042", "recorded": "new"})
    assert (again.status_code, again.get_json()) == (200, {"order_ref": "2026/1042", "recorded": "duplicate"})
    assert first.headers["Location"] == "/encore/api/v1/orders/2026/1042"
    assert len(any_shop.rows("orders")) == 1

    told = client.get("/orders/2026%2F1042").get_json()
    assert told["placed_at"] == "2026-03-02T14:03:00Z"
    assert (told["country"], told["currency"], told["ineligible_reason"]) == ("GB", "gbp", None)
    assert told["lines"] == order["lines"]
    assert told["decisions"] == []


def test_another_order_of_the_same_key_is_a_conflict_and_changes_nothing(any_shop: Shop) -> None:
    client, order = Client(any_shop), paid(any_shop)
    client.post("/orders", json=order)
    before = any_shop.rows("orders")

    assert code_of(client.post("/orders", json=order | {"customer_ref": "c-18"})) == (409, "conflict")
    assert code_of(client.post("/orders", json=order | {"order_ref": "1043"})) == (409, "conflict")
    assert any_shop.rows("orders") == before


@pytest.mark.parametrize(
    ("changed", "errors"),
    [
        ({"placed_at": "2026-03-02T14:03:00"}, {"#/placed_at"}),
        ({"placed_at": "2026-03-02"}, {"#/placed_at"}),
        ({"placed_at": "0001-01-01T00:00:00+14:00"}, {"#/placed_at"}),
        ({"placed_at": "2026-02-30T00:00:00Z"}, {"#/placed_at"}),
        ({"lines": []}, {"#/lines"}),
        ({"total": {"amount": 3400, "currency": "eur"}}, {"#"}),
        ({"total": {"amount": 2**63, "currency": "gbp"}}, {"#/total/amount"}),
        ({"order_ref": " "}, {"#/order_ref"}),
        ({"order_ref": "x" * 201}, {"#/order_ref"}),
        ({"country": "GBR"}, {"#/country"}),
        ({"locale": ""}, {"#/locale"}),
        ({"tags": [1]}, {"#/tags/0"}),
    ],
)
def test_an_order_that_cannot_be_one_is_told_why(shop: Shop, changed: dict[str, Any], errors: set[str]) -> None:
    response = Client(shop).post("/orders", json=paid(shop) | changed)

    assert code_of(response) == (422, "invalid")
    assert set(errors_of(response)) == errors
    assert shop.rows("orders") == []


# Decisions


def test_a_decision_tells_what_was_offered_and_what_was_weighed(any_shop: Shop) -> None:
    client = Client(any_shop)
    any_shop.pay()
    any_shop.token()

    [listed] = client.get("/decisions?order_ref=1042").get_json()["items"]
    one = client.get(f"/decisions/{listed['id']}").get_json()
    assert {name: one[name] for name in listed} == listed
    assert (one["outcome"], one["reason"], one["sku"], one["quantity"]) == ("offered", "chosen", "mug", 1)
    assert one["total"] == {"amount": 1161, "currency": "gbp"}
    assert (one["decided_at"], one["charge_status"]) == ("2026-03-02T14:03:00Z", None)
    assert [candidate["sku"] for candidate in one["candidates"]] == ["mug", "tea"]

    any_shop.accept(any_shop.token())
    assert client.get(f"/decisions/{listed['id']}").get_json()["charge_status"] == "succeeded"
    assert client.get("/orders/1042").get_json()["decisions"] == client.get("/decisions").get_json()["items"]
    assert client.get("/decisions?outcome=held_out").get_json() == {"items": [], "next": None}
    assert code_of(client.get("/decisions?outcome=nonsense")) == (422, "invalid")
    assert code_of(client.get("/decisions/nonsense")) == (404, "not_found")
