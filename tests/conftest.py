"""The host shop every test starts from: a small Flask app, the real Stripe SDK, and a simulated Stripe over HTTP."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from flask_encore import Encore, Money, OrderLine, PaidOrder, Product
from flask_encore.services.runtime import Runtime
from flask_encore.store import migrations
from flask_encore.testing import FixedRanker, FrozenClock, StripeSimulator

#: Set in CI: what cannot run is a failure there, not a skip.
SKIP_NOTHING = bool(os.environ.get("ENCORE_SKIP_NOTHING"))

WEBHOOK_SECRET = "whsec_tests"
START = datetime(2026, 3, 2, 14, 3, tzinfo=UTC)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first; the rest keeps its order."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def skip(reason: str) -> None:
    """Skip visibly on a laptop; fail where nothing may be skipped."""
    if SKIP_NOTHING:
        pytest.fail(f"ENCORE_SKIP_NOTHING is set: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server: ENCORE_TEST_POSTGRESQL, else a cluster of our own in a temporary folder."""
    given = os.environ.get("ENCORE_TEST_POSTGRESQL")
    if given:
        yield given
        return
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin")) + [
        Path(found).parent for found in [shutil.which("initdb")] if found
    ]
    if not any((folder / "initdb").exists() for folder in binaries):
        skip("PostgreSQL is missing: install it, or set ENCORE_TEST_POSTGRESQL to a server's URL")
    folder = next(f for f in reversed(binaries) if (f / "initdb").exists())
    # Not below pytest's own folder: the next pytest of the same user takes everybody else's rights to that away.
    data = Path(tempfile.mkdtemp(prefix="encore-postgresql-")) / "data"
    # PostgreSQL refuses to run as root; the package's own user is there wherever the package is.
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(data.parent, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run(
        [*as_user, folder / "initdb", "-D", data, "-U", "encore", "-A", "trust", "--no-sync", "-E", "UTF8"], **quiet
    )
    options = f"-h 127.0.0.1 -p {port} -k {data} -c fsync=off -c max_connections=200"
    log = data / "log"
    subprocess.run([*as_user, folder / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start"], **quiet)
    try:
        yield f"postgresql+psycopg://encore@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*as_user, folder / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **quiet)
        shutil.rmtree(data.parent)


#: Everything that makes a PostgreSQL schema what it is: a test that changed some of it leaves another answer.
_SHAPE = """
SELECT string_agg(part, ';' ORDER BY part) FROM (
    SELECT format('%s %s %s %s', attrelid::regclass, attnum, format_type(atttypid, atttypmod), attnotnull)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT version_num FROM encore_alembic_version
) AS parts (part)
"""

#: Empties every table that somebody wrote to. To truncate one costs some milliseconds, to make a database hundreds.
_EMPTY = """
DO $$
DECLARE name text; is_used boolean; used text[] := '{}';
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'encore_alembic_version'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', name) INTO is_used;
        IF is_used THEN used := used || quote_ident(name); END IF;
    END LOOP;
    IF array_length(used, 1) > 0 THEN
        EXECUTE 'TRUNCATE ' || array_to_string(used, ', ') || ' RESTART IDENTITY CASCADE';
    END IF;
END $$
"""


class ReadyDatabase:
    """A PostgreSQL database with Encore's tables in it, handed from test to test: each finds them empty.

    It is emptied before a test and not after one: what the last test left running has ended by then.
    """

    def __init__(self, server: sa.URL) -> None:
        self._admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        self._name = f"encore_{uuid.uuid4().hex[:12]}"
        self.url = server.set(database=self._name).render_as_string(hide_password=False)
        self._inside = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        self._shape: str | None = None

    def emptied(self) -> str:
        """Its URL, nothing in its tables, and nobody else connected."""
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        with self._admin.connect() as connection:
            connection.execute(sa.text(others), {"name": self._name})
        if self._shape is not None:
            with self._inside.connect() as connection, suppress(sa.exc.ProgrammingError):
                if connection.scalar(sa.text(_SHAPE)) == self._shape:
                    connection.execute(sa.text(_EMPTY))
                    return self.url
        self.drop()
        with self._admin.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {self._name}"))
        migrations.upgrade(self._inside)
        with self._inside.connect() as connection:
            self._shape = connection.scalar(sa.text(_SHAPE))
        return self.url

    def drop(self) -> None:
        """Take it away."""
        with self._admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)"))
        self._admin.dispose()


@pytest.fixture(scope="session")
def ready_database(postgresql_server: str) -> Iterator[ReadyDatabase]:
    """The database that tests of ``any_shop`` use one after the other."""
    database = ReadyDatabase(sa.make_url(postgresql_server))
    yield database
    database.drop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, empty database of each kind; of PostgreSQL one with empty tables for ``any_shop``, which wants those."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'encore.sqlite3'}"
        return
    if "any_shop" in request.fixturenames:
        yield request.getfixturevalue("ready_database").emptied()
        return
    server = sa.make_url(request.getfixturevalue("postgresql_server"))
    name = f"encore_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@pytest.fixture
def clock() -> FrozenClock:
    """Monday, 2 March 2026, 14:03 UTC, until told otherwise."""
    return FrozenClock(START)


@pytest.fixture
def stripe(clock: FrozenClock) -> Iterator[StripeSimulator]:
    """A simulated Stripe, listening on 127.0.0.1."""
    simulator = StripeSimulator(clock=clock.timestamp)
    simulator.start()
    try:
        yield simulator
    finally:
        simulator.stop()


PRODUCTS = [
    Product(sku="mug", title="Enamel mug", price=Money(1290, "gbp"), stock=40, category="Kitchen"),
    Product(sku="pot", title="Teapot", price=Money(3400, "gbp"), stock=5, category="Kitchen"),
    Product(sku="tea", title="Assam tea, 250 g", price=Money(850, "gbp"), stock=None, category="Tea"),
]


@dataclass
class Shop:
    """A host shop with Encore in it, and the handles a test needs."""

    app: Flask
    encore: Encore
    stripe: StripeSimulator
    clock: FrozenClock
    delivered: list[Any] = field(default_factory=list)

    @property
    def rt(self) -> Runtime:
        """Encore's parts."""
        with self.app.app_context():
            return self.encore.runtime

    def order(self, order_ref: str = "1042", *, skus: tuple[str, ...] = ("pot",), **changes: Any) -> PaidOrder:
        """A paid order, with the payment a checkout would have left at Stripe."""
        total = changes.pop("total", Money(3400, "gbp"))
        card = changes.pop("card", "4242424242424242")
        intent = changes.pop("intent", None) or self.stripe.paid_intent(
            amount=total.minor_units, currency=total.currency, card=card
        )
        values: dict[str, Any] = {
            "order_ref": order_ref,
            "placed_at": self.clock(),
            "currency": total.currency,
            "lines": [
                OrderLine(sku=sku, title=sku.title(), quantity=1, unit_price=Money(3400, total.currency))
                for sku in skus
            ],
            "total": total,
            "payment_intent_ref": intent["id"],
            "customer_ref": "c-17",
            "country": "GB",
            "locale": "en-GB",
        }
        return PaidOrder(**values | changes)

    def pay(self, order_ref: str = "1042", **changes: Any) -> PaidOrder:
        """Hand a paid order to Encore."""
        order = self.order(order_ref, **changes)
        with self.app.app_context():
            self.encore.order_paid(order)
        return order

    def page(self, order_ref: str = "1042", client: Any = None) -> Any:
        """GET the thank-you page."""
        return (client or self.app.test_client()).get(f"/thanks/{order_ref}")

    def token(self, order_ref: str = "1042") -> str:
        """The token of the offer on the order's page."""
        html = self.page(order_ref).text
        return html.split("/encore/offers/")[1].split("/")[0]

    def post(self, token: str, act: str, **headers: str) -> Any:
        """POST to the offer as a JSON client."""
        return self.app.test_client().post(
            f"/encore/offers/{token}/{act}", headers={"Accept": "application/json", **headers}
        )

    def accept(self, token: str) -> str:
        """Accept, and answer the state that came back."""
        return str(self.post(token, "accept").json["state"])

    def state(self, token: str) -> str:
        """The offer's state as the server tells it."""
        response = self.app.test_client().get(f"/encore/offers/{token}", headers={"Accept": "application/json"})
        return str(response.json["state"])

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row of one of our tables."""
        with self.rt.db.read() as connection:
            return [dict(row) for row in connection.execute(sa.text(f"SELECT * FROM encore_{table}")).mappings()]

    def stock(self, sku: str) -> int | None:
        """Units left."""
        with self.app.app_context():
            product = self.encore.catalog.get(sku)
        assert product is not None
        return product.stock

    def sweep(self) -> Any:
        """One sweep."""
        with self.app.app_context():
            return self.encore.sweep()


ShopFactory = Callable[..., Shop]


def let_lanes_end() -> None:
    """Wait for the work pages walked away from: it may still hold a connection that is about to be closed."""
    for thread in threading.enumerate():
        if thread.name in {"encore-deciding", "encore-ranking", "encore-examining"}:
            thread.join(timeout=10)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with Encore's tables in it, to be copied: migrating anew costs a test more than it learns."""
    file = tmp_path_factory.mktemp("migrated") / "encore.sqlite3"
    engine = sa.create_engine(f"sqlite:///{file}")
    migrations.upgrade(engine)
    engine.dispose()
    return file


@contextmanager
def shops(*, stripe: StripeSimulator, clock: FrozenClock, folder: Path, migrated: Path) -> Iterator[ShopFactory]:
    """Builds host shops, in a database with its tables in it when *ready*; closes their connections afterwards."""
    made: list[Shop] = []

    def make(
        database_uri: str | None = None,
        *,
        ranker: Any = None,
        trained: bool = False,
        engine: Any = None,
        upgrade: bool = True,
        ready: bool = False,
        **config: Any,
    ) -> Shop:
        app = Flask("host", instance_path=str(folder / "instance"))
        default = folder / "encore.sqlite3"
        is_copied = (
            upgrade and engine is None and database_uri in {None, f"sqlite:///{default}"} and not default.exists()
        )
        if is_copied:
            shutil.copy(migrated, default)
        app.config |= {
            "TESTING": True,
            "SECRET_KEY": "tests-only-secret-of-32-characters",
            "ENCORE_DATABASE_URI": database_uri or f"sqlite:///{default}",
            "ENCORE_STRIPE_SECRET_KEY": "sk_test_simulator",
            "ENCORE_STRIPE_PUBLISHABLE_KEY": "pk_test_simulator",
            "ENCORE_STRIPE_WEBHOOK_SECRETS": [WEBHOOK_SECRET],
            "ENCORE_STRIPE_API_BASE": stripe.url,
            "ENCORE_STRIPE_JS_URL": stripe.stripe_js_url,
            "ENCORE_THANK_YOU": {"thanks": "order_id"},
            "ENCORE_HOLDOUT_PERCENT": 0,
            # A busy machine must not cost a test its offer; the tests about the budget set their own.
            "ENCORE_DECISION_BUDGET_MS": 10_000,
        } | config
        encore = Encore()
        shop = Shop(app=app, encore=encore, stripe=stripe, clock=clock)

        @app.get("/thanks/<order_id>")
        def thanks(order_id: str) -> str:
            return f"<!doctype html><html><body><main><h1>Order {order_id} is confirmed</h1></main></body></html>"

        encore.init_app(
            app,
            clock=clock,
            engine=engine,
            ranker=None if trained else ranker or FixedRanker("mug", "tea"),
            admin_guard=lambda: "merchant",
        )
        for kind in ("charge_succeeded", "charge_failed", "charge_canceled", "charge_refunded", "hold_released"):
            encore.on(kind)(shop.delivered.append)
        with app.app_context():
            if upgrade:
                if not is_copied and not ready:
                    encore.upgrade()
                encore.catalog.upsert(PRODUCTS)
        made.append(shop)
        return shop

    try:
        yield make
    finally:
        let_lanes_end()
        for shop in made:
            shop.rt.db.dispose()


@pytest.fixture
def make_shop(stripe: StripeSimulator, clock: FrozenClock, tmp_path: Path, migrated: Path) -> Iterator[ShopFactory]:
    """Builds host shops; closes their connections afterwards."""
    with shops(stripe=stripe, clock=clock, folder=tmp_path, migrated=migrated) as make:
        yield make


@pytest.fixture
def shop(make_shop: ShopFactory) -> Shop:
    """A shop on SQLite."""
    return make_shop()


@pytest.fixture
def any_shop(make_shop: ShopFactory, database_uri: str) -> Shop:
    """A shop on SQLite, and again on PostgreSQL."""
    return make_shop(database_uri, ready=database_uri.startswith("postgresql"))


if sys.platform == "win32":  # pragma: no cover - the suite needs fork and POSIX signals
    pytest.exit("The tests run on Linux and macOS.", returncode=2)
