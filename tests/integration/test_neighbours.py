"""Encore beside the extensions a real shop has, whichever of them was set up first."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import PRODUCTS, START, WEBHOOK_SECRET, Shop
from dashboard_pages import refund, seal_of, sold
from flask import Flask, render_template_string
from flask_babel import Babel, get_locale, gettext
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate, init, migrate, upgrade
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect

import encore_static
from flask_encore import Encore
from flask_encore.testing import FixedRanker, FrozenClock, StripeSimulator

Neighbour = Callable[[Flask], object]
HostFactory = Callable[..., Shop]

either_order = pytest.mark.parametrize("first", [True, False], ids=["set up before Encore", "set up after Encore"])


@pytest.fixture
def make_host(stripe: StripeSimulator, tmp_path: Path) -> Iterator[HostFactory]:
    """Builds a shop with one neighbour in it; *first* says who was set up first."""
    made: list[Shop] = []

    def make(neighbour: Neighbour, *, first: bool, database_uri: str = "", engine: Any = None, **config: Any) -> Shop:
        app = Flask("host", instance_path=str(tmp_path))
        app.config |= {
            "TESTING": True,
            "SECRET_KEY": "tests-only-secret-of-32-characters",
            "ENCORE_DATABASE_URI": database_uri or f"sqlite:///{tmp_path / 'encore.sqlite3'}",
            "ENCORE_STRIPE_SECRET_KEY": "sk_test_simulator",
            "ENCORE_STRIPE_WEBHOOK_SECRETS": [WEBHOOK_SECRET],
            "ENCORE_STRIPE_API_BASE": stripe.url,
            "ENCORE_THANK_YOU": {"thanks": "order_id"},
            "ENCORE_HOLDOUT_PERCENT": 0,
            "ENCORE_DECISION_BUDGET_MS": 10_000,
        } | config
        clock = FrozenClock(START)
        encore = Encore()
        if first:
            neighbour(app)
        encore.init_app(
            app, clock=clock, ranker=FixedRanker("mug", "tea"), engine=engine, admin_guard=lambda: "merchant"
        )
        if not first:
            neighbour(app)

        @app.get("/thanks/<order_id>")
        def thanks(order_id: str) -> str:
            return render_template_string("<main>Order {{ order_id }}</main>", order_id=order_id)

        @app.post("/cart")
        def cart() -> str:
            return "added"

        with app.app_context():
            encore.upgrade()
            encore.catalog.upsert(PRODUCTS)
        shop = Shop(app=app, encore=encore, stripe=stripe, clock=clock)
        made.append(shop)
        return shop

    yield make
    for shop in made:
        shop.rt.db.dispose()


def sells(shop: Shop) -> None:
    """The whole journey works: page, click, undo, and Stripe's word."""
    shop.stripe.add_webhook("http://127.0.0.1:9/never", WEBHOOK_SECRET)
    shop.pay()
    token = shop.token()
    assert shop.accept(token) == "charged"
    assert shop.post(token, "undo").json["state"] == "undone"
    # No signature, but our own refusal of it: the request came through.
    response = shop.app.test_client().post("/encore/stripe/webhook", data=b"{}")
    assert (response.status_code, response.mimetype) == (400, "application/json")


# Flask-WTF


@either_order
def test_csrf_protection_guards_the_hosts_forms_and_lets_ours_through(make_host: HostFactory, first: bool) -> None:
    shop = make_host(CSRFProtect, first=first)

    assert shop.app.test_client().post("/cart").status_code == 400
    sells(shop)


@either_order
def test_csrf_protection_leaves_the_refund_button_to_the_dashboards_own_seal(
    make_host: HostFactory, first: bool
) -> None:
    shop = make_host(CSRFProtect, first=first)
    path = sold(shop)

    assert refund(shop, path).status_code == 403
    assert shop.stripe.refunds() == []
    assert refund(shop, path, seal_of(shop, path)).status_code == 303
    assert [made["amount"] for made in shop.stripe.refunds()] == [1161]


# Flask-Limiter


def one_a_day(app: Flask) -> None:
    """Every page of the host once a day."""
    Limiter(get_remote_address, app=app, default_limits=["1 per day"], storage_uri="memory://")


@either_order
def test_the_hosts_default_limits_are_for_the_hosts_pages(make_host: HostFactory, first: bool) -> None:
    shop = make_host(one_a_day, first=first, RATELIMIT_ENABLED=True)
    client = shop.app.test_client()

    assert [client.post("/cart").status_code for _ in range(2)] == [200, 429]
    assert [client.post("/encore/stripe/webhook", data=b"{}").status_code for _ in range(4)] == [400] * 4
    assert [client.get("/encore/offers/nonsense").status_code for _ in range(4)] == [404] * 4
    for _ in range(4):
        with client.get("/encore/static/offer/offer.js") as asset:
            assert asset.status_code == 200


def application_wide(app: Flask) -> None:
    """The whole application twice a day."""
    Limiter(get_remote_address, app=app, application_limits=["2 per day"], storage_uri="memory://")


@either_order
def test_an_application_wide_limit_does_not_count_our_routes(make_host: HostFactory, first: bool) -> None:
    shop = make_host(application_wide, first=first)
    client = shop.app.test_client()

    assert [client.post("/encore/stripe/webhook", data=b"{}").status_code for _ in range(4)] == [400] * 4
    assert [client.post("/cart").status_code for _ in range(3)] == [200, 200, 429]


# Flask-SQLAlchemy and Flask-Migrate


def shop_tables() -> tuple[SQLAlchemy, Neighbour]:
    """The host's own tables, and how they are set up."""
    db = SQLAlchemy()

    class Customer(db.Model):  # type: ignore[name-defined,misc]
        __tablename__ = "customer"
        id = sa.Column(sa.Integer, primary_key=True)
        name = sa.Column(sa.String(40), index=True)

    return db, db.init_app


def named(uri: str) -> str:
    """*uri* for another file of the same folder, or the same server's database."""
    return uri.replace("encore.sqlite3", "shop.sqlite3")


@either_order
def test_the_hosts_tables_and_ours_leave_each_other_alone_in_one_database(
    make_host: HostFactory, database_uri: str, first: bool
) -> None:
    db, set_up = shop_tables()
    shop = make_host(set_up, first=first, database_uri=database_uri, SQLALCHEMY_DATABASE_URI=database_uri)
    with shop.app.app_context():
        db.create_all()
        assert "encore_orders" not in db.metadata.tables
        sells(shop)
        db.drop_all()
        names = set(sa.inspect(db.engine).get_table_names())
        db.engine.dispose()

    assert "customer" not in names
    assert {"encore_orders", "encore_charges"} <= names


@either_order
def test_our_tables_can_live_on_the_hosts_engine(make_host: HostFactory, database_uri: str, first: bool) -> None:
    engine = sa.create_engine(database_uri)
    _, set_up = shop_tables()
    shop = make_host(
        set_up,
        first=first,
        engine=engine,
        database_uri="sqlite:////nowhere/at/all",
        SQLALCHEMY_DATABASE_URI=named(database_uri),
    )
    sells(shop)

    assert "encore_orders" in sa.inspect(engine).get_table_names()
    engine.dispose()
    with shop.app.app_context():
        shop.app.extensions["sqlalchemy"].engine.dispose()


def with_migrations(db: SQLAlchemy, folder: Path, **arguments: Any) -> Neighbour:
    """Flask-Migrate over the host's tables."""

    def set_up(app: Flask) -> None:
        db.init_app(app)
        Migrate(app, db, directory=str(folder), **arguments)

    return set_up


def autogenerated(shop: Shop, folder: Path) -> str:
    """What the host's next ``flask db migrate`` writes: the bodies of its upgrade and downgrade."""
    before = set((folder / "versions").glob("*.py"))
    with shop.app.app_context():
        migrate(directory=str(folder))
    new = set((folder / "versions").glob("*.py")) - before
    return "".join(path.read_text().split("def upgrade")[1] for path in new)


#: Flask-Migrate's own env.py asks Flask-SQLAlchemy in an old way first.
old_env = pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def logging_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask-Migrate's env.py would switch off every logger of this process, for all the tests to come."""
    monkeypatch.setattr("logging.config.fileConfig", lambda *_, **__: None)


@old_env
@either_order
@pytest.mark.parametrize("own_filter", [False, True], ids=["no filter", "a filter of its own"])
def test_the_hosts_autogenerate_does_not_want_to_drop_our_tables(
    make_host: HostFactory, database_uri: str, tmp_path: Path, first: bool, own_filter: bool
) -> None:
    db, _ = shop_tables()
    folder = tmp_path / "migrations"
    asked: list[str] = []

    def include_name(name: str | None, type_: str, parents: Any) -> bool:
        asked.append(str(name))
        return name != "legacy"

    arguments = {"include_name": include_name} if own_filter else {}
    shop = make_host(
        with_migrations(db, folder, **arguments),
        first=first,
        database_uri=database_uri,
        SQLALCHEMY_DATABASE_URI=database_uri,
    )
    with shop.app.app_context():
        with db.engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE legacy (id INTEGER PRIMARY KEY)"))
        init(directory=str(folder))
        first_script = autogenerated(shop, folder)
        upgrade(directory=str(folder))
        second_script = autogenerated(shop, folder)
        tables = set(sa.inspect(db.engine).get_table_names())
        db.engine.dispose()

    assert "create_table('customer'" in first_script
    assert "encore_" not in first_script + second_script
    # A table that is neither's is the host's business, as it always was.
    assert ("drop_table('legacy')" in first_script) is not own_filter
    assert ("legacy" in asked) is own_filter
    assert {"customer", "alembic_version", "encore_alembic_version", "encore_orders"} <= tables
    sells(shop)


@old_env
def test_control_without_encores_filter_the_hosts_autogenerate_would_drop_our_tables(
    make_host: HostFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_encore.web.neighbours._migrate", lambda extension, blueprints: None)
    db, _ = shop_tables()
    folder, uri = tmp_path / "migrations", f"sqlite:///{tmp_path / 'encore.sqlite3'}"
    shop = make_host(with_migrations(db, folder), first=True, SQLALCHEMY_DATABASE_URI=uri)
    with shop.app.app_context():
        init(directory=str(folder))
        script = autogenerated(shop, folder)
        db.engine.dispose()

    assert "drop_table('encore_orders')" in script


# Flask-Babel


@either_order
def test_the_offer_speaks_the_orders_language_whatever_the_hosts_babel_says(
    make_host: HostFactory, first: bool
) -> None:
    shop = make_host(lambda app: Babel(app, locale_selector=lambda: "fr"), first=first)
    shop.app.add_url_rule("/locale", "locale", lambda: f"{get_locale()} {gettext('Order')}")
    shop.pay(locale="de")

    html = shop.page().text
    assert 'lang="de"' in html
    assert shop.app.test_client().get("/locale").text == "fr Order"


# All of them at once


@either_order
def test_all_of_them_in_one_house(make_host: HostFactory, tmp_path: Path, first: bool) -> None:
    db, _ = shop_tables()

    def everybody(app: Flask) -> None:
        with_migrations(db, tmp_path / "migrations")(app)
        CSRFProtect(app)
        Babel(app)
        Limiter(get_remote_address, app=app, default_limits=["50 per day"], storage_uri="memory://")

    shop = make_host(everybody, first=first, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    sells(shop)
    with shop.app.app_context():
        db.engine.dispose()


# What of ours the world can read


ASSETS = sorted(path.name for path in Path(encore_static.OFFER).iterdir() if path.suffix in {".css", ".js"})


def test_the_offers_assets_are_served(shop: Shop) -> None:
    assert ASSETS == ["offer.css", "offer.js", "storefront.js"]
    for name in ASSETS:
        response = shop.app.test_client().get(f"/encore/static/offer/{name}")
        assert (response.status_code, len(response.data) > 0) == (200, True)
        response.close()


@pytest.mark.parametrize(
    "path",
    textwrap.dedent(
        """\
        offer/__init__.py
        offer/../__init__.py
        offer/%2e%2e/__init__.py
        offer/..%2f__init__.py
        offer/py.typed
        offer/../py.typed
        offer/dashboard.css
        offer/../dashboard/dashboard.css
        offer//etc/passwd
        offer/
        offer
        __init__.py
        py.typed
        """
    ).split(),
)
def test_nothing_else_of_the_package_is_served(shop: Shop, path: str) -> None:
    assert shop.app.test_client().get(f"/encore/static/{path}", follow_redirects=True).status_code == 404
