"""Who may do what: every route says it, guard and rights hold to it, nobody is shown what they may not press.

All of it is generated from the URL map: a route that is added tomorrow is in these tests tomorrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from busy_shop import charge_ref, live_model, opened
from conftest import Shop, ShopFactory
from dashboard_pages import HOME, guarded
from dashboard_routes import Page, Route, crawled, of_dashboard, routes
from flask import Blueprint, redirect

from flask_encore import Actor, Right
from flask_encore.store import models
from flask_encore.web import dashboard_frame

#: Dialog -> the right its form takes, wherever a script aims it.
DIALOGS = {"#refund": Right.REFUND}

LACKS = "This is not yours to do"

READ = frozenset({Right.READ})
ACTORS = {
    "read": READ,
    "read and edit": READ | {Right.EDIT},
    "read and refund": READ | {Right.REFUND},
    "edit": frozenset({Right.EDIT}),
    "refund": frozenset({Right.REFUND}),
    "nothing": frozenset[Right](),
    "everything": frozenset(Right),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Shop]:
    with opened(tmp_path_factory.mktemp("busy"), migrated) as made:
        yield made


def known(shop: Shop) -> dict[str, str]:
    """An argument of every kind that is really there, so that a view has something to do."""
    return {
        "ref": "tea-draft",
        "status": "paused",
        "charge_ref": charge_ref(shop),
        "order_ref": "1042",
        "version": live_model(shop),
        "switch": "off",
        "turned": "on",
    }


def everything(shop: Shop) -> dict[str, list[Any]]:
    """Every row of every table."""
    with shop.rt.db.read() as connection:
        return {
            table.name: sorted(connection.execute(sa.select(table)).all(), key=repr)
            for table in models.metadata.sorted_tables
        }


def sent(shop: Shop, route: Route) -> Any:
    return shop.app.test_client().open(route.path, method=route.method)


# What a route says


def undeclared(shop: Shop) -> list[str]:
    return [f"{route} ({route.endpoint})" for route in routes(shop.app) if not route.policy]


def test_every_route_says_who_may_use_it(shop: Shop) -> None:
    assert undeclared(shop) == []
    assert len(routes(shop.app)) > 40


def test_a_route_that_says_nothing_is_found(make_shop: ShopFactory) -> None:
    shop = make_shop()
    planted = Blueprint("encore_planted", "flask_encore.web.planted")
    planted.get("/planted")(lambda: "")
    shop.app.register_blueprint(planted, url_prefix="/encore")
    assert undeclared(shop) == ["GET /encore/planted (encore_planted.<lambda>)"]


def test_every_route_behind_the_guard_takes_a_right_and_every_other_names_its_door(shop: Shop) -> None:
    behind = set(of_dashboard(shop.app))
    assert [str(route) for route in behind if route.right is None] == []
    doors = {route.policy for route in routes(shop.app) if route not in behind and route.right is None}
    assert "the holder of the offer's signed token" in doors
    assert all(door and len(door) > 20 for door in doors)


def test_whoever_changes_something_needs_more_than_to_look(shop: Shop) -> None:
    posts = [route for route in of_dashboard(shop.app) if route.method == "POST"]
    assert len(posts) >= 12
    assert [str(route) for route in posts if route.right is Right.READ] == []


# The guard


@pytest.mark.parametrize(
    ("guard", "status", "words"),
    [
        (None, 403, "Nobody can see it until the shop says who may"),
        (lambda: None, 403, "This page is for the merchant"),
        (lambda: False, 403, "This page is for the merchant"),
        (lambda: "", 403, "This page is for the merchant"),
        (lambda: redirect("/login"), 302, "Redirecting"),
    ],
    ids=["no guard", "nobody", "false", "no name", "redirect"],
)
def test_who_is_not_let_in_is_refused_on_every_route_and_moves_nothing(
    shop: Shop, guard: Callable[[], Any] | None, status: int, words: str
) -> None:
    guarded(shop, guard)
    before, refunds = everything(shop), shop.stripe.refunds()
    for route in of_dashboard(shop.app, **known(shop)):
        response = sent(shop, route)
        assert (response.status_code, words in response.text) == (status, True), str(route)
        assert "seal" not in response.text
    assert (everything(shop), shop.stripe.refunds()) == (before, refunds)


@pytest.mark.parametrize("rights", ACTORS.values(), ids=list(ACTORS))
def test_every_right_opens_its_own_routes_and_no_other(shop: Shop, rights: frozenset[Right]) -> None:
    guarded(shop, lambda: Actor("anna", rights))
    before, refunds = everything(shop), shop.stripe.refunds()
    opened = 0
    for route in of_dashboard(shop.app, **known(shop)):
        response = sent(shop, route)
        lacking = LACKS in response.text
        assert lacking == (route.right not in rights), str(route)
        assert (response.status_code == 403) >= lacking, str(route)
        assert response.status_code < 500, str(route)
        if route.method == "GET" and not lacking:
            assert response.status_code in {200, 303, 404, 409}, (str(route), response.status_code)
        opened += not lacking
    assert (opened == 0) == (rights == frozenset())
    # A POST without its seal asks again and changes nothing, whoever sends it.
    assert (everything(shop), shop.stripe.refunds()) == (before, refunds)


def test_assets_are_nobodys_secret(shop: Shop) -> None:
    guarded(shop, None)
    for path in ("/encore/static/dashboard/dashboard.css", "/encore/static/offer/offer.js"):
        with shop.app.test_client().get(path) as response:
            assert response.status_code == 200


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (None, 403),
        (False, 403),
        ("anna", 200),
        (True, 200),
        (Actor("anna", READ), 200),
        (Actor("anna", frozenset({Right.EDIT, Right.REFUND})), 403),
        (Actor("anna", frozenset()), 403),
    ],
)
def test_the_numbers_for_monitors_take_the_right_to_read(shop: Shop, answer: Any, status: int) -> None:
    guarded(shop, lambda: answer)
    response = shop.app.test_client().get("/encore/metrics")
    assert response.status_code == status
    assert ("encore_charges" in response.text) == (status == 200)


def test_the_numbers_are_closed_without_a_guard_and_leave_a_redirect_as_it_is(shop: Shop) -> None:
    guarded(shop, None)
    assert shop.app.test_client().get("/encore/metrics").status_code == 403
    guarded(shop, lambda: redirect("/login"))
    response = shop.app.test_client().get("/encore/metrics")
    assert (response.status_code, response.location) == (302, "/login")


# What is shown


def useless(shop: Shop, rights: frozenset[Right]) -> tuple[list[str], int]:
    """What pages show an actor that they may not press, as ``page -> where it leads``; and how much they may."""
    guarded(shop, lambda: Actor("anna", rights))
    policies = {(route.method, route.endpoint): route.right for route in of_dashboard(shop.app)}
    adapter = shop.app.url_map.bind("localhost")

    def right(method: str, path: str) -> Right | None:
        if path in DIALOGS:
            return DIALOGS[path]
        endpoint, _ = adapter.match(path, method=method)
        return policies.get((method, endpoint))

    client = shop.app.test_client()
    pages: dict[str, Page] = crawled(client, HOME)
    found, usable = [], 0
    for address, page in pages.items():
        if LACKS in page.html:
            found.append(f"a link -> {address}")
        for form in page.forms:
            if form.buttons:
                usable += 1
                found += [f"{address} -> POST {path}" for path in form.actions if right("POST", path) not in rights]
    return sorted(found), usable


@pytest.mark.parametrize("name", ["read", "read and edit", "read and refund", "everything"])
def test_nobody_is_shown_a_button_or_a_link_they_may_not_press(shop: Shop, name: str) -> None:
    found, usable = useless(shop, ACTORS[name])
    assert found == []
    assert (usable == 0) == (name == "read")


def test_a_button_that_is_shown_to_everybody_is_found(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = dashboard_frame.may
    monkeypatch.setattr(dashboard_frame, "may", lambda right: right is not Right.REFUND or drawn(right))
    found, _ = useless(shop, READ)
    assert len(found) >= 10
    assert "a link -> /encore/dashboard/campaigns/new" in found


def test_who_may_not_read_is_shown_no_room(shop: Shop) -> None:
    guarded(shop, lambda: Actor("anna", frozenset({Right.REFUND})))
    response = shop.app.test_client().get(f"/encore/dashboard/charges/{charge_ref(shop)}/refund")
    assert response.status_code == 200
    assert "Refund £7.65?" in response.text
    assert 'aria-label="Rooms"' not in response.text
