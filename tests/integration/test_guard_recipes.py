"""The guards of the integration page, as they are printed there, with the real libraries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask_login
import pytest
from conftest import PRODUCTS
from documents import block
from flask import Flask
from flask_security import RoleMixin, Security, UserDatastore, UserMixin
from flask_security.utils import login_user

from flask_encore import Encore

HOME = "/encore/dashboard/"
CAMPAIGN = "/encore/dashboard/campaigns/new"
METRICS = "/encore/metrics"

#: Who comes -> the statuses of the home page, of what changes something, and of the numbers.
VISITORS = [
    ("nobody", (302, 302, 302)),
    ("customer@shop.example", (403, 403, 403)),
    ("analyst@shop.example", (200, 403, 200)),
    ("support@shop.example", (200, 403, 200)),
    ("owner@shop.example", (200, 200, 200)),
]


def app_with(guard: Any, folder: Path, **config: Any) -> tuple[Flask, Encore]:
    app = Flask("host", instance_path=str(folder))
    app.config |= {"TESTING": True, "SECRET_KEY": "tests-only-secret-of-32-characters"} | config
    encore = Encore()
    encore.init_app(app, admin_guard=guard)
    with app.app_context():
        encore.upgrade()
        encore.catalog.upsert(PRODUCTS)
    return app, encore


def guard_of(recipe: str) -> Any:
    names: dict[str, Any] = {}
    exec(compile(block("docs/integration.md", recipe), recipe, "exec"), names)
    return names["merchant"]


@pytest.fixture
def flask_login_app(tmp_path: Path) -> Iterator[Flask]:
    class User(flask_login.UserMixin):  # type: ignore[misc]
        def __init__(self, email: str) -> None:
            self.id = email
            self.roles = [email.partition("@")[0]]

    app, encore = app_with(guard_of("flask-login"), tmp_path)
    manager = flask_login.LoginManager(app)
    manager.user_loader(User)
    manager.login_view = "login"
    app.add_url_rule("/login", "login", lambda: "Sign in")
    app.add_url_rule("/enter/<email>", "enter", lambda email: str(flask_login.login_user(User(email))))
    yield app
    with app.app_context():
        encore.close()


@dataclass
class Role(RoleMixin):  # type: ignore[misc]
    name: str
    permissions: Any = None


class Member(UserMixin):  # type: ignore[misc]
    """A user kept in memory."""

    fs_uniquifier = ""

    def __init__(self, email: str) -> None:
        self.email = self.fs_uniquifier = email
        self.active = True
        self.roles = [Role(email.partition("@")[0])]


class Members(UserDatastore):  # type: ignore[misc]
    """The users of a shop that keeps none."""

    def __init__(self) -> None:
        super().__init__(Member, Role)

    def find_user(self, case_insensitive: bool = False, **kwargs: Any) -> Member | None:
        return Member(kwargs["fs_uniquifier"]) if "fs_uniquifier" in kwargs else None

    def find_role(self, role: str) -> Role | None:
        return Role(role)


@pytest.fixture
def flask_security_app(tmp_path: Path) -> Iterator[Flask]:
    app, encore = app_with(
        guard_of("flask-security"), tmp_path, SECURITY_PASSWORD_SALT="salt", SECURITY_PASSWORD_HASH="plaintext"
    )
    Security(app, Members())
    app.add_url_rule("/enter/<email>", "enter", lambda email: str(login_user(Member(email))))
    yield app
    with app.app_context():
        encore.close()


@pytest.mark.parametrize("host", ["flask_login_app", "flask_security_app"])
@pytest.mark.parametrize(("visitor", "statuses"), VISITORS)
def test_each_visitor_gets_what_their_role_allows(
    request: pytest.FixtureRequest, host: str, visitor: str, statuses: tuple[int, ...]
) -> None:
    app: Flask = request.getfixturevalue(host)
    client = app.test_client()
    if visitor != "nobody":
        assert client.get(f"/enter/{visitor}").text == "True"
    answers = [client.get(path) for path in (HOME, CAMPAIGN, METRICS)]
    assert tuple(answer.status_code for answer in answers) == statuses
    if visitor == "nobody":
        assert answers[0].location.startswith("/login?next=")
        assert "dashboard" in answers[0].location
    if statuses[0] == 200:
        assert f"Signed in as </span>{visitor}" in answers[0].text
        assert ("New campaign" in client.get("/encore/dashboard/campaigns/").text) == (statuses[1] == 200)
