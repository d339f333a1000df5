"""No form of the dashboard can be sent from elsewhere, by somebody else, or late: every POST route of the URL map."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from dashboard_campaigns import save
from dashboard_pages import guarded, sold
from dashboard_routes import Route, of_dashboard
from flask_wtf import CSRFProtect

from flask_encore.services import recommender
from flask_encore.store import models
from flask_encore.web.origins import FORM_LIFETIME_SECONDS, FormSeal

#: What a browser says of a form on the dashboard.
OUR_PAGE = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture(params=["plain host", "host with CSRFProtect"])
def shop(request: pytest.FixtureRequest, make_shop: ShopFactory) -> Iterator[Shop]:
    """A shop with something for every form to change."""
    shop = make_shop()
    shop.app.add_url_rule("/own", view_func=lambda: "", methods=["POST"])
    if request.param == "host with CSRFProtect":
        CSRFProtect(shop.app)
    save(shop, status="draft")
    sold(shop)
    guarded(shop, lambda: "anna")
    shop.protected = request.param != "plain host"  # type: ignore[attr-defined]
    yield shop
    for thread in threading.enumerate():
        if thread.name == recommender.THREAD:
            thread.join(timeout=60)


def posts(shop: Shop) -> list[Route]:
    [charge] = shop.rows("charges")
    known = {"ref": "tea", "status": "live", "charge_ref": charge["id"], "switch": "off", "turned": "on"}
    known["order_ref"] = "1042"
    return [route for route in of_dashboard(shop.app, **known) if route.method == "POST"]


def seal(shop: Shop, actor: str = "anna", *, account: str | None = None, keys: tuple[str, ...] = ()) -> str:
    rt = shop.rt
    made = FormSeal(keys or rt.settings.secret_keys, account=account or rt.account, clock=rt.clock)
    return made.issue(actor)


def contents(shop: Shop) -> list[str]:
    with shop.rt.db.read() as connection:
        rows = [repr(connection.execute(sa.select(table)).all()) for table in models.metadata.sorted_tables]
    return [*rows, repr(shop.stripe.refunds())]


def refused_by_all(shop: Shop, data: dict[str, str], **headers: str) -> int:
    """Send it everywhere: nothing moves, and no page says it did. Answers how many forms there are."""
    before = contents(shop)
    for route in posts(shop):
        response = shop.app.test_client().post(route.path, data=data, headers=headers)
        # 404 where the address alone names nothing, which is looked at first.
        assert response.status_code in {403, 404}, (str(route), response.status_code)
    assert contents(shop) == before
    return len(posts(shop))


def test_without_a_seal_no_form_changes_anything(shop: Shop) -> None:
    assert refused_by_all(shop, {}) >= 12


def test_the_seal_of_another_actor_account_secret_or_form_does_not_fit(shop: Shop) -> None:
    wrong = [
        seal(shop, "bob"),
        seal(shop, account="acct_another"),
        seal(shop, keys=("another-secret-of-32-characters--",)),
        seal(shop)[:-1],
        "x" * 5_000,
        shop.token(),
    ]
    for given in wrong:
        refused_by_all(shop, {"seal": given})


def test_a_page_left_open_too_long_asks_again(shop: Shop) -> None:
    old = seal(shop)
    shop.clock.advance(seconds=FORM_LIFETIME_SECONDS + 1)
    assert timedelta(seconds=FORM_LIFETIME_SECONDS) == timedelta(hours=2)
    refused_by_all(shop, {"seal": old})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ],
)
def test_from_another_origin_not_even_the_right_seal_is_taken(shop: Shop, name: str, value: str) -> None:
    refused_by_all(shop, {"seal": seal(shop)}, **{name: value})


def test_with_its_seal_every_form_is_taken_whether_or_not_the_host_protects_its_own(shop: Shop) -> None:
    taken = 0
    for route in posts(shop):
        response = shop.app.test_client().post(
            route.path,
            data={"seal": seal(shop)},
            headers={"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        )
        assert response.status_code in {200, 303, 404, 409, 422}, (str(route), response.status_code)
        taken += response.status_code in {200, 303}
    assert taken >= 4
    assert len(shop.stripe.refunds()) == 1
    own = shop.app.test_client().post("/own")
    assert own.status_code == (400 if shop.protected else 200)  # type: ignore[attr-defined]
