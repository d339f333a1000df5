"""Encore's tables come and go by their own history, whoever else is in the database and whoever else upgrades."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import Shop, ShopFactory
from hosts import together

from flask_encore.domain.charges import ChargeStatus
from flask_encore.store import migrations
from flask_encore.store.database import Database
from flask_encore.store.models import metadata

TABLES = {
    "encore_api_answers",
    "encore_api_tokens",
    "encore_audit",
    "encore_campaigns",
    "encore_charges",
    "encore_counted_days",
    "encore_day_counts",
    "encore_day_movements",
    "encore_decisions",
    "encore_events",
    "encore_experiments",
    "encore_heartbeats",
    "encore_history_lines",
    "encore_orders",
    "encore_outbox",
    "encore_products",
    "encore_refunds",
    "encore_report_snapshots",
    "encore_switches",
    "encore_trainings",
    "encore_webhook_deliveries",
    "encore_webhooks",
}


@pytest.fixture
def db(database_uri: str) -> Iterator[Database]:
    """An empty database."""
    database = Database(database_uri, patience_ms=300)
    yield database
    database.dispose()


def tables(db: Database) -> set[str]:
    """Every table there is."""
    return set(sa.inspect(db.engine).get_table_names())


def test_the_metadata_names_exactly_the_tables_we_think() -> None:
    assert set(metadata.tables) == TABLES


def test_upgrading_an_empty_database_makes_every_table(db: Database) -> None:
    assert migrations.current(db.engine) is None

    migrations.upgrade(db.engine)

    assert tables(db) == TABLES | {"encore_alembic_version"}
    assert migrations.current(db.engine) == migrations.head()


def test_upgrading_again_changes_nothing(db: Database) -> None:
    migrations.upgrade(db.engine)
    before = described(db)
    migrations.upgrade(db.engine)

    assert described(db) == before


def test_upgrading_keeps_what_is_in_the_tables(any_shop: Shop) -> None:
    any_shop.pay()
    with any_shop.app.app_context():
        any_shop.encore.upgrade()

    assert [row["order_ref"] for row in any_shop.rows("orders")] == ["1042"]


def test_what_the_first_release_wrote_stays_through_the_second_revision_and_back(db: Database) -> None:
    migrations.upgrade(db.engine, "0001")
    with db.engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO encore_products VALUES ('mug', 'Mug', 900, 'gbp', 4, NULL, NULL, NULL, TRUE, 0)")
        )
        connection.execute(sa.text("INSERT INTO encore_history_lines VALUES ('1', 'mug', NULL, 'c-17', 1, 900, 'gbp')"))

    def kept() -> list[tuple[Any, ...]]:
        with db.engine.connect() as connection:
            products = connection.execute(sa.text("SELECT sku, stock FROM encore_products")).all()
            lines = connection.execute(sa.text("SELECT order_ref, sku FROM encore_history_lines")).all()
        return [tuple(row) for row in (*products, *lines)]

    migrations.upgrade(db.engine)
    after = kept()
    command.downgrade(migrations.config(db.engine), "0001")

    assert after == kept() == [("mug", 4), ("1", "mug")]
    assert "propensity" not in {column["name"] for column in sa.inspect(db.engine).get_columns("encore_decisions")}


def _rows_of_the_second_revision() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A decision of every outcome, and a charge of every status."""
    order = {"account": "", "order_ref": "1042", "placement": "thank_you", "currency": "gbp", "sku": "mug"}
    decision = order | {
        "reason": "chosen",
        "arm": "treatment",
        "customer_ref": None,
        "quantity": 1,
        "total_minor": 1161,
    }
    decision |= {"candidates": [], "snapshot": {"title": "Mug"}, "model_version": "", "latency_us": 1}
    decision |= {"decided_at": 1, "expires_at": 2, "propensity": 0.25}
    charge = order | {"quantity": 1, "amount_minor": 1161, "customer_ref": "cus_1", "payment_method_ref": "pm_1"}
    charge |= {"payment_method_type": "card", "card_brand": "visa", "card_last4": "4242", "attempt": 1, "epoch": 0}
    charge |= {"failure_code": "", "consent_version": "1", "snapshot": {"title": "Mug"}, "accepted_at": 1}
    charge |= {"expires_at": 2, "charged_at": 3, "quarantine_reason": "", "tries": 0, "updated_at": 4}
    outcomes = ["offered", "held_out", "ineligible", "error"]
    without_intent = {ChargeStatus.CLAIMED, ChargeStatus.UNKNOWN, ChargeStatus.CANCELED}
    return (
        [decision | {"id": f"d{step}", "step": step, "outcome": each} for step, each in enumerate(outcomes)],
        [
            charge
            | {"id": f"c{step}", "step": step, "status": each.value, "next_run_at": step or None}
            | {"payment_intent_ref": None if each in without_intent else f"pi_{step}"}
            for step, each in enumerate(ChargeStatus)
        ],
    )


def test_a_charge_in_every_status_stays_through_the_third_revision_and_back(db: Database) -> None:
    migrations.upgrade(db.engine, "0002")
    rows = dict(zip(("encore_decisions", "encore_charges"), _rows_of_the_second_revision(), strict=True))
    with db.engine.begin() as connection:
        for name, made in rows.items():
            connection.execute(sa.insert(sa.Table(name, sa.MetaData(), autoload_with=connection)), made)
    before = described(db, "encore_decisions", "encore_charges")

    def kept() -> dict[str, list[dict[str, Any]]]:
        with db.engine.connect() as connection:
            read = {name: sa.Table(name, sa.MetaData(), autoload_with=connection) for name in rows}
            return {
                name: [dict(row) for row in connection.execute(sa.select(table).order_by(table.c.step)).mappings()]
                for name, table in read.items()
            }

    written = kept()
    migrations.upgrade(db.engine)
    forward = kept()
    command.downgrade(migrations.config(db.engine), "0002")

    assert [(len(written[name]), len(rows[name])) for name in rows] == [(4, 4), (12, 12)]
    new = {"campaign_ref", "campaign_version", "second_sku", "trace", "extended_at", "holdout_bp", "exposures"}
    new |= {"counted_at", "cost_minor", "tax_minor", "fee_minor", "fee_currency", "fee_due_at", "reviewed_at"}
    for name in rows:
        later = new | {"timeline"}
        assert [{column: row[column] for column in row if column not in later} for row in forward[name]] == written[
            name
        ]
        assert {row[column] for row in forward[name] for column in (new - {"fee_due_at"}) & set(row)} == {None}
    # Stripe is asked what it kept of charges that there were before.
    assert [(row["fee_due_at"], bool(row["payment_intent_ref"])) for row in forward["encore_charges"]] == [
        (3 if row["payment_intent_ref"] else None, bool(row["payment_intent_ref"])) for row in written["encore_charges"]
    ]
    assert kept() == written
    assert described(db, "encore_decisions", "encore_charges") == before


def test_going_back_takes_free_offers_and_shadowed_decisions_away_and_nothing_else(db: Database) -> None:
    migrations.upgrade(db.engine)
    (decision, *_), (charge, *_) = _rows_of_the_second_revision()
    free = {"id": "free", "step": 20, "amount_minor": 0, "status": "succeeded", "payment_intent_ref": None}
    with db.engine.begin() as connection:
        for table, row, other in (
            ("decisions", decision, {"id": "shadowed", "step": 20, "outcome": "shadowed"}),
            ("charges", charge, free),
        ):
            read = sa.Table(f"encore_{table}", sa.MetaData(), autoload_with=connection)
            connection.execute(sa.insert(read), [row, row | other])

    command.downgrade(migrations.config(db.engine), "0002")

    with db.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT id FROM encore_decisions")).scalars().all() == ["d0"]
        assert connection.execute(sa.text("SELECT id FROM encore_charges")).scalars().all() == ["c0"]


def test_what_was_told_before_there_were_webhooks_stays_and_is_nobodys(db: Database) -> None:
    migrations.upgrade(db.engine, "0003")
    values = {"dedupe": "ch:charge_succeeded:1", "account": "", "order_ref": "1042", "charge_id": "ch", "kind": "k"}
    values |= {"payload": {}, "created_at": 7, "attempts": 0, "next_run_at": 7, "last_error": ""}
    with db.engine.begin() as connection:
        table = sa.Table("encore_outbox", sa.MetaData(), autoload_with=connection)
        connection.execute(sa.insert(table), [values])
    before = described(db, "encore_outbox")

    migrations.upgrade(db.engine)
    with db.engine.begin() as connection:
        assert connection.execute(sa.text("SELECT order_ref, hooked_at FROM encore_outbox")).all() == [("1042", 7)]
    command.downgrade(migrations.config(db.engine), "0003")

    assert described(db, "encore_outbox") == before
    with db.engine.begin() as connection:
        assert connection.execute(sa.text("SELECT order_ref FROM encore_outbox")).scalars().all() == ["1042"]


def test_alembic_finds_no_difference_between_the_models_and_the_migrated_tables(db: Database) -> None:
    migrations.upgrade(db.engine)
    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": migrations.VERSION_TABLE, "compare_type": True, "compare_server_default": True},
        )
        assert compare_metadata(context, metadata) == []


def test_the_migrated_tables_have_every_rule_of_the_models(db: Database) -> None:
    # Alembic does not compare CHECK constraints, and ours hold the state machines.
    migrations.upgrade(db.engine)
    migrated = described(db)
    command.downgrade(migrations.config(db.engine), "base")
    metadata.create_all(db.engine)

    assert migrated == described(db)
    assert {name for found in migrated.values() for name, *_, where in found["indexes"] if where} == {
        "ix_encore_charges_due",
        "ix_encore_charges_fee_due",
        "ix_encore_charges_uncounted",
        "ix_encore_decisions_uncounted",
        "ix_encore_outbox_due",
        "ix_encore_outbox_unhooked",
        "ix_encore_webhook_deliveries_due",
        "uq_encore_refunds_one_open",
    }
    assert sum(len(found["checks"]) for found in migrated.values()) == 25


def described(db: Database, *names: str) -> dict[str, dict[str, Any]]:
    """Columns, keys, indexes and rules of these tables, or of every one of ours, as the database tells them."""
    inspector = sa.inspect(db.engine)
    return {
        name: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(name)
            ],
            "primary key": inspector.get_pk_constraint(name),
            "unique": sorted((str(one["name"]), one["column_names"]) for one in inspector.get_unique_constraints(name)),
            "indexes": sorted(
                (str(one["name"]), one["column_names"], one["unique"], _where(one))
                for one in inspector.get_indexes(name)
            ),
            "checks": sorted(
                (str(rule["name"]), str(rule["sqltext"])) for rule in inspector.get_check_constraints(name)
            ),
        }
        for name in sorted(names or TABLES)
    }


def _where(index: Any) -> list[str]:
    """The condition of a partial index."""
    options = index.get("dialect_options", {})
    return [str(options[name]) for name in ("sqlite_where", "postgresql_where") if name in options]


def test_downgrading_takes_everything_away_but_the_note_that_it_did(db: Database) -> None:
    migrations.upgrade(db.engine)
    command.downgrade(migrations.config(db.engine), "base")

    assert tables(db) == {"encore_alembic_version"}
    assert migrations.current(db.engine) is None

    migrations.upgrade(db.engine)
    assert tables(db) == TABLES | {"encore_alembic_version"}


def test_the_hosts_own_history_in_the_same_database_is_not_looked_at(db: Database) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('c0ffee')"))
        connection.execute(sa.text("CREATE TABLE customer (id INTEGER PRIMARY KEY)"))

    migrations.upgrade(db.engine)
    command.downgrade(migrations.config(db.engine), "base")

    assert tables(db) == {"alembic_version", "customer", "encore_alembic_version"}
    with db.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == ["c0ffee"]


def test_what_fails_half_way_leaves_nothing_behind(db: Database) -> None:
    # A table of that name is there already: the last of those that the first revision makes.
    with db.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE encore_refunds (id INTEGER PRIMARY KEY)"))

    with pytest.raises(sa.exc.DBAPIError, match="already exists"):
        migrations.upgrade(db.engine)

    assert tables(db) - {"encore_alembic_version"} == {"encore_refunds"}
    with db.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE encore_refunds"))
    migrations.upgrade(db.engine)
    assert migrations.current(db.engine) == migrations.head()


def test_four_threads_that_upgrade_at_one_moment_all_come_through(database_uri: str) -> None:
    databases = [Database(database_uri, patience_ms=300) for _ in range(4)]

    assert together(4, lambda number: migrations.upgrade(databases[number].engine)) == [None] * 4

    assert tables(databases[0]) == TABLES | {"encore_alembic_version"}
    for database in databases:
        database.dispose()


UPGRADE = """
import sys
from flask_encore.domain.charges import ChargeStatus
from flask_encore.store import migrations
from flask_encore.store.database import Database
database = Database(sys.argv[1], patience_ms=300)
print("ready", flush=True)
sys.stdin.readline()
migrations.upgrade(database.engine)
print(migrations.current(database.engine))
"""


def test_three_processes_that_upgrade_at_one_moment_all_come_through(database_uri: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, database_uri],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    told = together(3, lambda number: processes[number].communicate("go\n", timeout=60))

    assert [process.returncode for process in processes] == [0, 0, 0], [errors[-500:] for _, errors in told]
    assert [out for out, _ in told] == [f"{migrations.head()}\n"] * 3


def test_a_page_served_during_the_upgrade_waits_no_longer_than_its_budget(
    make_shop: ShopFactory, database_uri: str
) -> None:
    shop = make_shop(database_uri, upgrade=False, ENCORE_DECISION_BUDGET_MS=100)
    inside, go_on = threading.Event(), threading.Event()

    @sa.event.listens_for(shop.rt.db.engine, "commit")
    def _hold(_connection: sa.Connection) -> None:
        inside.set()
        go_on.wait(30)

    def upgrade() -> None:
        with shop.app.app_context():
            shop.encore.upgrade()

    upgrading = threading.Thread(target=upgrade)
    upgrading.start()
    assert inside.wait(30)
    page = shop.page()
    go_on.set()
    upgrading.join()

    assert page.status_code == 200
    assert "encore-offer" not in page.text


def test_the_migrations_are_found_in_a_folder_with_a_percent_sign(
    tmp_path: Path, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is interpolation to a configuration file, and legal in a folder's name.
    folder = tmp_path / "100% shop"
    folder.symlink_to(Path(migrations.__file__).parent)
    monkeypatch.setattr(migrations, "__file__", str(folder / "__init__.py"))

    migrations.upgrade(db.engine)
    assert migrations.current(db.engine) == migrations.head() == "0005"
