"""Pages, filters and search."""

from __future__ import annotations

import pytest

from flask_encore.testing.stripe_simulator import StripeError, listing
from flask_encore.testing.stripe_simulator.ledger import Ledger


@pytest.fixture
def five() -> Ledger:
    """Five customers, one a second, from second 100 on."""
    seconds = iter(range(100, 200))
    ledger = Ledger(clock=lambda: next(seconds), account="acct_test")
    for position in range(5):
        ledger.add("customer", name=f"n{position}", metadata={"order": str(position % 2)})
    return ledger


def names(page: dict[str, list[dict[str, str]]]) -> list[str]:
    return [row["name"] for row in page["data"]]


def test_the_newest_come_first(five: Ledger) -> None:
    page = listing.page(five, "customer", {}, url="/v1/customers")

    assert names(page) == ["n4", "n3", "n2", "n1", "n0"]
    assert (page["has_more"], page["url"], page["object"]) == (False, "/v1/customers", "list")


def test_pages_follow_one_another_without_gap_or_overlap(five: Ledger) -> None:
    first = listing.page(five, "customer", {"limit": "2"}, url="")
    second = listing.page(five, "customer", {"limit": "2", "starting_after": first["data"][-1]["id"]}, url="")
    third = listing.page(five, "customer", {"limit": "2", "starting_after": second["data"][-1]["id"]}, url="")
    back = listing.page(five, "customer", {"limit": "2", "ending_before": third["data"][0]["id"]}, url="")

    assert [names(page) for page in (first, second, third)] == [["n4", "n3"], ["n2", "n1"], ["n0"]]
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
    assert names(back) == ["n2", "n1"]


@pytest.mark.parametrize(
    ("created", "found"),
    [
        ({"gte": "103"}, ["n4", "n3"]),
        ({"gt": "103"}, ["n4"]),
        ({"lte": "101"}, ["n1", "n0"]),
        ({"lt": "101"}, ["n0"]),
        ({"gte": "101", "lt": "103"}, ["n2", "n1"]),
        ("102", ["n2"]),
    ],
)
def test_created_narrows_the_list(five: Ledger, created: object, found: list[str]) -> None:
    assert names(listing.page(five, "customer", {"created": created}, url="")) == found


def test_a_field_narrows_the_list(five: Ledger) -> None:
    assert names(listing.page(five, "customer", {"name": "n3"}, url="", by=("name",))) == ["n3"]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"starting_after": "cus_none"}, "starting_after"),
        ({"created": {"near": "5"}}, "created"),
        ({"created": "today"}, "created"),
    ],
)
def test_a_bad_page_request_names_its_parameter(five: Ledger, params: dict[str, object], param: str) -> None:
    with pytest.raises(StripeError) as refusal:
        listing.page(five, "customer", params, url="")

    assert refusal.value.body["error"]["param"] == param


def test_search_finds_by_metadata_and_field(five: Ledger) -> None:
    query = "metadata['order']:'1' AND name:'n3'"

    result = listing.search(five, "customer", {"query": query}, url="", lag_seconds=0)

    assert names(result) == ["n3"]
    assert result["object"] == "search_result"


def test_search_trails_behind_by_its_lag(five: Ledger) -> None:
    params = {"query": "metadata['order']:'0'"}

    assert names(listing.search(five, "customer", params, url="", lag_seconds=4)) == ["n0"]


@pytest.mark.parametrize("query", [None, "", "what?", "name:n3"])
def test_an_unreadable_query_is_refused(five: Ledger, query: str | None) -> None:
    with pytest.raises(StripeError) as refusal:
        listing.search(five, "customer", {"query": query}, url="", lag_seconds=0)

    assert refusal.value.body["error"]["param"] == "query"
