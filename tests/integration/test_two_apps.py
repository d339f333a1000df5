"""Factories called twice, two shops in one process, one Encore bound once: nothing is shared that should not be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from flask import Flask
from hosts import closed_port, together

from flask_encore import ConfigurationError, Encore, Money, Product, signals
from flask_encore.testing import FixedRanker


@pytest.fixture
def two_shops(make_shop: ShopFactory, tmp_path: Path) -> tuple[Shop, Shop]:
    """Two shops in one process, each with a database and a key of its own."""
    one = make_shop(f"sqlite:///{tmp_path / 'one.sqlite3'}", SECRET_KEY="the one shop's key, 32 characters")
    two = make_shop(f"sqlite:///{tmp_path / 'two.sqlite3'}", SECRET_KEY="the other's key, 32 characters.. ")
    return one, two


def bare_app(folder: Path, **config: Any) -> Flask:
    """A host app without Encore."""
    app = Flask("host", instance_path=str(folder))
    app.config |= {"TESTING": True, "SECRET_KEY": "tests-only-secret-of-32-characters"} | config
    return app


def test_each_shop_keeps_its_orders_and_decisions_to_itself(two_shops: tuple[Shop, Shop]) -> None:
    one, two = two_shops
    one.pay("1042")

    assert "encore-offer" in one.page("1042").text
    assert "encore-offer" not in two.page("1042").text
    assert (len(one.rows("orders")), len(two.rows("orders"))) == (1, 0)
    assert (one.rt.counts["decision_offered"], two.rt.counts["decision_offered"]) == (1, 0)


def test_the_same_order_key_may_be_used_by_both(two_shops: tuple[Shop, Shop]) -> None:
    one, two = two_shops
    one.pay("1042")
    two.pay("1042", customer_ref="somebody else")

    assert one.accept(one.token()) == "charged"
    assert two.state(two.token()) == "open"
    assert (one.stock("mug"), two.stock("mug")) == (39, 40)


def test_a_token_of_one_shop_opens_nothing_in_the_other(two_shops: tuple[Shop, Shop]) -> None:
    one, two = two_shops
    one.pay()
    two.pay()

    for act in ("accept", "decline", "undo", "shown"):
        assert two.post(one.token(), act).status_code == 404
    assert len(two.rows("charges")) == 0
    assert len(one.stripe.charges()) == 2  # what the shoppers paid at checkout, and no more


def test_both_can_sell_at_one_moment(two_shops: tuple[Shop, Shop]) -> None:
    for shop in two_shops:
        shop.pay()
    tokens = [shop.token() for shop in two_shops]

    assert together(2, lambda number: two_shops[number].accept(tokens[number])) == ["charged", "charged"]
    assert [len(shop.rows("charges")) for shop in two_shops] == [1, 1]


def test_signals_tell_which_shop_it_was(two_shops: tuple[Shop, Shop]) -> None:
    one, two = two_shops
    one.pay()
    two.pay()
    heard: list[str] = []

    def listen(sender: Flask, event: Any) -> None:
        heard.append(event.order_ref)

    with signals.charge_succeeded.connected_to(listen, sender=two.app):
        one.accept(one.token())
        assert heard == []
        two.accept(two.token())
        assert heard == ["1042"]


def test_handlers_of_one_encore_object_are_not_called_for_another(two_shops: tuple[Shop, Shop]) -> None:
    one, two = two_shops
    one.pay()
    one.accept(one.token())
    one.sweep()
    two.sweep()

    assert [event.kind for event in one.delivered] == ["charge_succeeded"]
    assert two.delivered == []


def test_what_a_shop_says_about_itself_stays_in_its_pages(two_shops: tuple[Shop, Shop]) -> None:
    one, two = two_shops
    for shop, title in ((one, "Mug of one"), (two, "Mug of two")):
        with shop.app.app_context():
            shop.encore.catalog.upsert([Product(sku="mug", title=title, price=Money(1290, "gbp"))])
        shop.pay()

    assert "Mug of one" in one.page().text and "Mug of two" not in one.page().text
    assert "Mug of two" in two.page().text and "Mug of one" not in two.page().text


# App factories


def test_one_encore_object_serves_every_app_a_factory_makes(tmp_path: Path) -> None:
    encore = Encore()
    heard: list[object] = []
    encore.on("charge_succeeded")(heard.append)
    apps = []
    for number in range(2):
        app = bare_app(tmp_path, ENCORE_DATABASE_URI=f"sqlite:///{tmp_path}/{number}.sqlite3")
        encore.init_app(app, ranker=FixedRanker("mug"))
        with app.app_context():
            encore.upgrade()
            encore.catalog.upsert([Product(sku=f"sku-{number}", title="Mug", price=Money(100, "gbp"))])
        apps.append(app)

    with apps[0].app_context():
        assert encore.catalog.get("sku-0") is not None
        assert encore.catalog.get("sku-1") is None
        with apps[1].app_context():
            assert encore.catalog.get("sku-0") is None
        assert encore.catalog.get("sku-0") is not None
        assert encore.runtime is not apps[1].extensions["flask-encore"].runtime
    for app in apps:
        app.extensions["flask-encore"].runtime.db.dispose()


def test_the_constructor_binds_an_app_at_once(tmp_path: Path) -> None:
    app = bare_app(tmp_path)
    Encore(app, admin_guard=lambda: "merchant")

    assert app.test_client().get("/encore/offers/nothing").status_code == 404
    assert app.extensions["flask-encore"].admin_guard is not None


@pytest.mark.parametrize("same", [True, False], ids=["the same object", "another object"])
def test_binding_an_app_twice_is_refused_with_a_sentence_and_changes_nothing(tmp_path: Path, same: bool) -> None:
    app = bare_app(tmp_path)
    encore = Encore(app)
    before = (app.extensions["flask-encore"], dict(app.view_functions), dict(app.after_request_funcs))

    sentence = r"Encore is bound to this app already\. Call init_app once for each app"
    with pytest.raises(ConfigurationError, match=sentence):
        (encore if same else Encore()).init_app(app)

    assert (app.extensions["flask-encore"], dict(app.view_functions), dict(app.after_request_funcs)) == before


def test_an_app_whose_configuration_is_wrong_is_not_bound_by_half(tmp_path: Path) -> None:
    app = bare_app(tmp_path, ENCORE_DISCOUNT_PERCENT=10.5)
    encore = Encore()
    with pytest.raises(ConfigurationError, match="ENCORE_DISCOUNT_PERCENT"):
        encore.init_app(app)
    assert "flask-encore" not in app.extensions
    assert [rule.endpoint for rule in app.url_map.iter_rules()] == ["static"]

    app.config["ENCORE_DISCOUNT_PERCENT"] = 10
    encore.init_app(app)
    assert "flask-encore" in app.extensions


def test_encore_outside_of_an_app_says_so(tmp_path: Path) -> None:
    encore = Encore(bare_app(tmp_path))
    with pytest.raises(RuntimeError, match="application context"):
        encore.catalog.get("mug")


def test_an_app_without_encore_says_what_is_missing(tmp_path: Path) -> None:
    encore = Encore()
    with (
        bare_app(tmp_path).app_context(),
        pytest.raises(ConfigurationError, match=r"Encore is not bound to this app; call encore\.init_app\(app\)"),
    ):
        encore.catalog.get("mug")


# Where the tables are


def test_without_a_word_the_tables_are_a_file_in_the_instance_folder(tmp_path: Path) -> None:
    app = bare_app(tmp_path / "instance")
    encore = Encore(app)
    with app.app_context():
        encore.upgrade()
        encore.runtime.db.dispose()

    assert (tmp_path / "instance" / "encore.sqlite3").is_file()


@pytest.fixture
def engine(database_uri: str) -> Iterator[sa.Engine]:
    """The host's own engine."""
    engine = sa.create_engine(database_uri)
    yield engine
    engine.dispose()


def test_the_whole_journey_runs_on_an_engine_of_the_hosts(make_shop: ShopFactory, engine: sa.Engine) -> None:
    shop = make_shop("sqlite:////nowhere/at/all", engine=engine)
    shop.pay()
    token = shop.token()
    assert shop.accept(token) == "charged"
    assert shop.post(token, "undo").json["state"] == "undone"

    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT status FROM encore_charges")).scalars().all() == ["refunded"]


def test_the_hosts_engine_keeps_its_own_settings(make_shop: ShopFactory, engine: sa.Engine) -> None:
    asked = "PRAGMA busy_timeout" if engine.dialect.name == "sqlite" else "SHOW lock_timeout"
    with engine.connect() as connection:
        before = connection.exec_driver_sql(asked).scalar_one()
    shop = make_shop(engine=engine)
    shop.pay()
    shop.page()

    with engine.connect() as connection:
        assert connection.exec_driver_sql(asked).scalar_one() == before


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:x?mode=memory&uri=true",
    ],
)
@pytest.mark.parametrize("as_engine", [False, True], ids=["as a URL", "as an engine"])
def test_a_database_in_memory_is_refused_with_the_fix(tmp_path: Path, uri: str, as_engine: bool) -> None:
    engine = sa.create_engine(uri, poolclass=sa.StaticPool) if as_engine else None
    app = bare_app(tmp_path, ENCORE_DATABASE_URI="sqlite:///unused" if as_engine else uri)
    with pytest.raises(ConfigurationError, match="in memory is another one for every connection; give Encore a file"):
        Encore().init_app(app, engine=engine)
    assert "flask-encore" not in app.extensions


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("mysql+pymysql://localhost/shop", "live on SQLite or PostgreSQL, not on 'mysql'"),
        ("postgres://localhost/shop", "live on SQLite or PostgreSQL, not on 'postgres'"),
        ("postgresql+nodriver://localhost/shop", r"install flask-encore\[postgresql\]"),
        ("shop.sqlite3", "ENCORE_DATABASE_URI has to be a SQLAlchemy URL"),
        ("sqlite:////proc/nowhere/encore.sqlite3", "folder of Encore's database cannot be made"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_with_the_fix(tmp_path: Path, uri: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        Encore(bare_app(tmp_path, ENCORE_DATABASE_URI=uri))


def test_a_refused_database_does_not_print_its_password(tmp_path: Path) -> None:
    uri = f"postgresql+nodriver://shop:s3cret@127.0.0.1:{closed_port()}/shop"
    with pytest.raises(ConfigurationError) as refusal:
        Encore(bare_app(tmp_path, ENCORE_DATABASE_URI=uri))
    assert "s3cret" not in str(refusal.value)


def test_a_prefix_of_the_hosts_choice_moves_every_route(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_URL_PREFIX="/more")
    shop.pay()
    html = shop.page().text

    assert set(re.findall(r'(?:action|href|src|data-shown)="(/[a-z]+)/', html)) == {"/more"}
    assert shop.app.test_client().get("/encore/offers/nothing").status_code == 404
    with shop.app.test_client().get("/more/static/offer/offer.css") as asset:
        assert asset.status_code == 200
