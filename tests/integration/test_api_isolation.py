"""The API in a host that has its own: its error pages, its flask-smorest, its CSRF field, its limits, its commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask_smorest
import pytest
from api_clients import API, Client, code_of
from conftest import START, Shop
from flask import Flask, abort
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf.csrf import CSRFProtect
from marshmallow import Schema, fields

from flask_encore import Encore
from flask_encore.testing import FrozenClock, StripeSimulator

MakeHost = Callable[..., Shop]

either_order = pytest.mark.parametrize("first", [True, False], ids=["set up before Encore", "set up after Encore"])


@pytest.fixture
def make_host(stripe: StripeSimulator, tmp_path: Any) -> Any:
    made: list[Shop] = []

    def make(neighbour: Callable[[Flask], object], *, first: bool, **config: Any) -> Shop:
        app = Flask("host", instance_path=str(tmp_path))
        app.config |= {"TESTING": True, "SECRET_KEY": "tests-only-secret-of-32-characters"} | config
        encore, clock = Encore(), FrozenClock(START)
        if first:
            neighbour(app)
        encore.init_app(app, clock=clock)
        if not first:
            neighbour(app)
        with app.app_context():
            encore.upgrade()
        made.append(Shop(app=app, encore=encore, stripe=stripe, clock=clock))
        return made[-1]

    yield make
    for shop in made:
        shop.rt.db.dispose()


def own_error_pages(app: Flask) -> None:
    """A page for everything that may go wrong, by status and by class."""
    for status in (400, 401, 403, 404, 405, 413, 415, 422, 429, 500):
        app.register_error_handler(status, lambda error: (f"<h1>Our page: {error.code}</h1>", error.code or 500))
    app.register_error_handler(Exception, lambda error: ("<h1>Our page</h1>", 500))

    @app.get("/fails/<int:status>")
    def fails(status: int) -> None:
        abort(status)


@either_order
def test_the_hosts_error_pages_are_the_hosts_and_ours_are_problems(make_host: MakeHost, first: bool) -> None:
    shop = make_host(own_error_pages, first=first)
    host, client = shop.app.test_client(), Client(shop)

    assert host.get("/nope").text == "<h1>Our page: 404</h1>"
    assert host.get("/fails/422").text == "<h1>Our page: 422</h1>"
    assert code_of(client.get("/nope")) == (404, "not_found")
    assert code_of(client.delete("/orders")) == (405, "method_not_allowed")
    assert code_of(client.get("/orders?limit=0")) == (422, "invalid")
    assert code_of(client.get("/orders", headers={"Authorization": "Bearer x"})) == (401, "unauthenticated")
    assert code_of(client.post("/orders", data="x")) == (415, "unsupported_media_type")


def test_the_hosts_404_outside_the_api_stays_html_without_any_handler(make_host: MakeHost) -> None:
    host = make_host(lambda app: None, first=True).app.test_client()

    assert host.get("/nope").mimetype == "text/html"
    assert host.get("/encore/nope").mimetype == "text/html"
    assert host.get("/encore/api/v2").mimetype == "text/html"


def own_smorest(app: Flask) -> None:
    """A described API of the host's."""
    app.config |= {
        "API_TITLE": "The shop's",
        "API_VERSION": "v9",
        "OPENAPI_VERSION": "3.0.3",
        "OPENAPI_URL_PREFIX": "/",
    }
    pets = flask_smorest.Blueprint("pets", "pets", url_prefix="/pets")

    class PetQuery(Schema):
        size = fields.Integer(required=True)

    @pets.route("/")
    @pets.arguments(PetQuery, location="query")
    @pets.response(200)
    def listed(query: dict[str, Any]) -> dict[str, Any]:
        return query

    flask_smorest.Api(app).register_blueprint(pets)


@either_order
def test_a_host_with_its_own_smorest_has_its_own_spec_and_its_own_errors(make_host: MakeHost, first: bool) -> None:
    shop = make_host(own_smorest, first=first)
    host, client = shop.app.test_client(), Client(shop)

    theirs, ours = host.get("/openapi.json").get_json(), client.get("/openapi.json").get_json()
    assert (theirs["info"]["title"], theirs["openapi"], list(theirs["paths"])) == ("The shop's", "3.0.3", ["/pets/"])
    assert (ours["info"]["title"], ours["openapi"]) == ("Encore", "3.1.0")
    assert all(path.startswith(API) for path in ours["paths"])
    assert host.get("/pets/").get_json()["code"] == 422
    assert host.get("/nope").get_json() == {"code": 404, "status": "Not Found"}
    assert code_of(client.get("/nope")) == (404, "not_found")
    assert code_of(client.get("/products?x=1")) == (422, "invalid")
    assert "openapi" in shop.app.cli.commands


def test_a_host_without_smorest_gets_no_command_of_it(make_host: MakeHost) -> None:
    assert "openapi" not in make_host(lambda app: None, first=True).app.cli.commands


@either_order
def test_csrf_protection_lets_bearers_of_tokens_through(make_host: MakeHost, first: bool) -> None:
    def protect(app: Flask) -> None:
        CSRFProtect(app)
        app.add_url_rule("/cart", "cart", lambda: "added", methods=["POST"])

    shop = make_host(protect, first=first)

    assert shop.app.test_client().post("/cart").status_code == 400
    assert code_of(Client(shop).post("/orders", json={})) == (422, "invalid")


@either_order
def test_the_hosts_default_limits_are_not_the_apis(make_host: MakeHost, first: bool) -> None:
    def limit(app: Flask) -> None:
        Limiter(get_remote_address, app=app, default_limits=["1 per day"], storage_uri="memory://")
        app.add_url_rule("/cart", "cart", lambda: "added", methods=["POST"])

    shop = make_host(limit, first=first, RATELIMIT_ENABLED=True)
    host, client = shop.app.test_client(), Client(shop)

    assert [host.post("/cart").status_code for _ in range(2)] == [200, 429]
    assert [client.get("/orders").status_code for _ in range(3)] == [200] * 3
    assert [client.get("/nope").status_code for _ in range(3)] == [404] * 3


def test_two_apps_of_one_process_have_their_own_api(make_host: MakeHost, tmp_path: Any) -> None:
    one = make_host(lambda app: None, first=True)
    two = make_host(lambda app: None, first=True, ENCORE_URL_PREFIX="/more")

    assert list(Client(two, token="").get("").headers)  # /encore is not there
    described = two.app.test_client().get("/more/api/v1/openapi.json").get_json()
    assert all(path.startswith("/more/api/v1") for path in described["paths"])
    assert all(path.startswith(API) for path in Client(one, token="").get("/openapi.json").get_json()["paths"])


def test_below_a_prefix_of_the_server_the_description_says_so(make_host: MakeHost) -> None:
    shop = make_host(lambda app: None, first=True)
    response = shop.app.test_client().get(f"{API}/openapi.json", environ_overrides={"SCRIPT_NAME": "/shop"})
    assert response.get_json()["servers"] == [{"url": "/shop"}]
