"""The merchant's side over the API: campaigns, experiments, models, reports, and the documentation."""

from __future__ import annotations

import re
from typing import Any

import pytest
from api_clients import API, Client, code_of, errors_of
from conftest import Shop, ShopFactory

from flask_encore.domain.definitions import DEFINITIONS
from flask_encore.domain.scopes import Scope
from flask_encore.web.api import ROOMS
from flask_encore.web.api.problems import Kind

GIFT: dict[str, Any] = {"ref": "gift", "name": "A gift", "offer": {"kind": "fixed", "skus": ["mug"]}}

TRIAL: dict[str, Any] = {
    "ref": "percent",
    "name": "Ten or twenty percent",
    "varies": "discount",
    "campaign": "gift",
    "baseline": "ten",
    "variants": [
        {"name": "ten", "weight": 5000, "discount": {"percent": 10}},
        {"name": "twenty", "weight": 5000, "discount": {"percent": 20}},
    ],
}


def read(version: object) -> dict[str, dict[str, str]]:
    return {"headers": {"If-Match": f'"{version}"' if version != "*" else "*"}}


def log(shop: Shop) -> list[tuple[str, str, str]]:
    return [
        (row["actor"], row["action"], row["subject"])
        for row in shop.rows("audit")
        if not str(row["subject"]).startswith("token")
    ]


# Campaigns


def test_a_campaign_is_made_changed_put_live_and_ended(any_shop: Shop) -> None:
    client = Client(any_shop)
    made = client.post("/campaigns", json=GIFT)
    assert (made.status_code, made.headers["Location"]) == (201, "/encore/api/v1/campaigns/gift")
    assert (made.get_json()["version"], made.headers["ETag"], made.get_json()["status"]) == (1, '"1"', "draft")

    changed = client.put("/campaigns/gift", json=GIFT | {"priority": 7}, **read(1))
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert changed.get_json()["definition"]["priority"] == 7
    live = client.post("/campaigns/gift/status", json={"status": "live"}, **read(2))
    assert (live.get_json()["status"], live.get_json()["updated_by"]) == ("live", "api:till")
    assert client.get("/campaigns").get_json()["items"] == [client.get("/campaigns/gift").get_json()]
    assert client.get("/campaigns/gift", headers={"If-None-Match": '"3"'}).status_code == 304

    assert code_of(client.delete("/campaigns/gift", **read(3))) == (422, "invalid")
    assert client.post("/campaigns/gift/status", json={"status": "ended"}, **read("*")).status_code == 200
    assert log(any_shop) == [
        ("api:till", "create", "gift"),
        ("api:till", "edit", "gift"),
        ("api:till", "status", "gift"),
        ("api:till", "status", "gift"),
    ]


def test_nobody_overwrites_a_campaign_they_have_not_read(any_shop: Shop) -> None:
    client = Client(any_shop)
    client.post("/campaigns", json=GIFT)
    before = any_shop.rows("campaigns")

    for ask in (
        lambda **more: client.put("/campaigns/gift", json=GIFT | {"priority": 1}, **more),
        lambda **more: client.post("/campaigns/gift/status", json={"status": "live"}, **more),
        lambda **more: client.delete("/campaigns/gift", **more),
    ):
        assert code_of(ask()) == (428, "precondition_required")
        for stale in ("2", "x", "1a", "-1", "9" * 30):
            assert code_of(ask(**read(stale))) == (412, "precondition_failed")
    assert code_of(client.post("/campaigns", json=GIFT | {"name": "Another"})) == (409, "conflict")
    assert any_shop.rows("campaigns") == before
    assert len(log(any_shop)) == 1

    assert client.delete("/campaigns/gift", **read(1)).status_code == 204
    assert any_shop.rows("campaigns") == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/status")):
        response = client(method, f"/campaigns/gift{path}", json={"status": "live"}, **read(1))
        assert code_of(response) == (404, "not_found")


def test_every_error_of_a_campaign_stands_at_its_place(shop: Shop) -> None:
    wrong = GIFT | {"offer": {"kind": "fixed", "skus": [], "discount": {"percent": 200}}, "prority": 3, "name": ""}
    response = Client(shop).post("/campaigns", json=wrong)

    assert code_of(response) == (422, "invalid")
    assert set(errors_of(response)) == {"#/offer/skus", "#/offer/discount/percent", "#/prority", "#/name"}
    assert shop.rows("campaigns") == []


def test_a_campaign_keeps_its_ref(shop: Shop) -> None:
    client = Client(shop)
    client.post("/campaigns", json=GIFT)
    assert list(errors_of(client.put("/campaigns/gift", json=GIFT | {"ref": "other"}, **read(1)))) == ["#/ref"]
    assert code_of(client.put("/campaigns/gift", json=[GIFT], **read(1))) == (422, "invalid")


# Experiments


def test_an_experiment_is_written_begun_read_and_ended(any_shop: Shop) -> None:
    client = Client(any_shop)
    client.post("/campaigns", json=GIFT | {"status": "live"})
    made = client.post("/experiments", json=TRIAL)
    assert (made.status_code, made.get_json()["status"]) == (201, "draft"), made.text
    assert code_of(client.post("/experiments", json=TRIAL)) == (409, "conflict")
    assert code_of(client.post("/experiments/percent/start")) == (428, "precondition_required")
    assert code_of(client.post("/experiments/percent/start", **read(9))) == (412, "precondition_failed")

    begun = client.post("/experiments/percent/start", **read(1))
    assert (begun.status_code, begun.get_json()["status"]) == (200, "running"), begun.text
    figures = client.get("/experiments/percent/figures").get_json()
    assert (figures["is_mismatch"], figures["currencies"]) == (False, [])
    any_shop.pay(skus=("tea",))
    any_shop.token()
    [currency] = client.get("/experiments/percent/figures").get_json()["currencies"]
    assert [variant["name"] for variant in currency["variants"]] == ["ten", "twenty"]
    assert sum(variant["orders"] for variant in currency["variants"]) == 1
    assert currency["comparisons"][0]["per_order"] == {"value": None, "low": None, "high": None}

    ended = client.post("/experiments/percent/stop", json={"note": "Twenty it is"}, **read("*"))
    assert (ended.get_json()["status"], ended.get_json()["note"]) == ("stopped", "Twenty it is")
    rolled = client.post("/experiments/percent/roll-out", json={"variant": "twenty"}, **read("*"))
    assert rolled.get_json()["rolled_out"] == "twenty", rolled.text
    assert client.get("/campaigns/gift").get_json()["definition"]["offer"]["discount"] == {"percent": 20}
    archived = client.post("/experiments/percent/archive", **read("*")).get_json()
    assert client.get("/experiments").get_json()["items"] == [archived]
    assert {actor for actor, _, _ in log(any_shop)} == {"api:till"}


def test_every_error_of_an_experiment_stands_at_its_place(shop: Shop) -> None:
    response = Client(shop).post("/experiments", json=TRIAL | {"holdout": -1, "colour": 1})
    assert set(errors_of(response)) == {"#/holdout", "#/colour"}
    assert code_of(Client(shop, name="b").get("/experiments/none/figures")) == (404, "not_found")


# Models


def test_a_shop_that_never_trained_has_no_model(make_shop: ShopFactory) -> None:
    client = Client(make_shop(trained=True))
    assert client.get("/models").get_json() == {"items": [], "training": False}
    assert code_of(client.get("/models/live")) == (404, "not_found")
    assert code_of(client.post("/models/none/use")) == (404, "not_found")


def test_a_saved_model_is_put_live_by_a_token_that_may(make_shop: ShopFactory) -> None:
    shop = make_shop(trained=True)
    for number in range(30):
        shop.pay(f"{number}", skus=("pot", "mug") if number % 2 else ("pot", "tea"))
    with shop.app.app_context():
        for _ in range(2):
            shop.encore.train(force=True)
            shop.clock.advance(minutes=1)
    client = Client(shop)
    new, old = client.get("/models").get_json()["items"]
    assert (new["live"], old["live"], new["orders"]) == (True, False, 30)

    reader = Client(shop, Scope.MODELS_READ, name="reader")
    assert code_of(reader.post(f"/models/{old['version']}/use")) == (403, "forbidden")
    assert reader.get("/models/live").get_json()["version"] == new["version"]
    assert client.post(f"/models/{old['version']}/use").get_json() == old | {"live": True}
    # this process sees it within a second, and says until then how it stands with it
    assert client.get("/models/live").get_json()["version"] == old["version"]
    assert log(shop) == [("api:till", "use_model", "the recommender")]


# Reports


def test_the_figures_of_some_days_are_told_per_currency(any_shop: Shop) -> None:
    client = Client(any_shop)
    any_shop.pay()
    any_shop.accept(any_shop.token())
    report = client.get("/reports/figures?first=2026-03-01&last=2026-03-02").get_json()

    assert (report["first"], report["last"], report["without_offer"]) == ("2026-03-01", "2026-03-02", [])
    [pounds] = report["currencies"]
    assert pounds["currency"] == "gbp"
    assert pounds["funnel"]["counts"] == {"eligible": 1, "shown": 1, "accepted": 1, "charged": 1, "kept": 1}
    assert pounds["funnel"]["conversion_rate"] == {"successes": 1, "trials": 1, "share": None, "interval_95": None}
    assert pounds["earnings"]["gross"] == {"amount": 1161, "currency": "gbp"}
    assert [(day["day"], day["gross"]["amount"]) for day in pounds["series"]] == [
        ("2026-03-01", 0),
        ("2026-03-02", 1161),
    ]
    assert client.get("/reports/figures?currency=eur").get_json()["currencies"] == []


@pytest.mark.parametrize(
    "query",
    ["first=2026-03-02&last=2026-03-01", "first=1.3.2026", "first=2027-01-01", "first=1999-01-01", "currency=GBP"],
)
def test_days_that_cannot_be_reported_are_refused(shop: Shop, query: str) -> None:
    assert code_of(Client(shop).get(f"/reports/figures?{query}")) == (422, "invalid")


def test_the_definitions_of_every_number_are_told(shop: Shop) -> None:
    items = Client(shop).get("/reports/definitions").get_json()["items"]
    assert [item["name"] for item in items] == [definition.name for definition in DEFINITIONS]


# The documentation


def test_the_documentation_says_every_operation_document_and_problem_without_a_script(shop: Shop) -> None:
    response = Client(shop, token="").get("/docs")
    html = response.text
    described = Client(shop, token="").get("/openapi.json").get_json()

    assert (response.status_code, response.mimetype) == (200, "text/html")
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src data:")
    assert re.findall(r'<script|style=|(?:src|href)="(?:https?:)?//', html) == []
    for path in described["paths"].values():
        for method, operation in path.items():
            if method != "parameters":
                assert f'id="{operation["operationId"]}"' in html
    for name in described["components"]["schemas"]:
        assert f'id="document-{name}"' in html
    for kind in Kind:
        assert f'id="problem-{kind}"' in html
    anchors = set(re.findall(r'href="#([^"]+)"', html))
    assert anchors <= set(re.findall(r'id="([^"]+)"', html))


def test_every_scope_opens_something(shop: Shop) -> None:
    described = Client(shop, token="").get("/openapi.json").get_json()
    used = {
        operation["security"][0]["bearer"][0]
        for path in described["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    }
    assert used == set(Scope)
    assert len(ROOMS) == len(described["tags"]) == 8


def test_the_settings_lead_to_the_documentation(make_shop: ShopFactory, shop: Shop) -> None:
    link = f'href="{API}/docs"'
    assert link in shop.app.test_client().get("/encore/dashboard/settings").text
    without = make_shop(ENCORE_API=False).app.test_client().get("/encore/dashboard/settings")
    assert without.status_code == 200
    assert link not in without.text
