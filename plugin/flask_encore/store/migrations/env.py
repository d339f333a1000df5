"""Alembic's entry point; run by `flask_encore.store.migrations`, never by the host's Alembic."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, Engine, text

from flask_encore.store.migrations import VERSION_TABLE
from flask_encore.store.models import metadata


def _ours(name: str | None, type_: str, _parents: object) -> bool:
    return type_ != "table" or (name is not None and name.startswith("encore_") and name != VERSION_TABLE)


#: Names Encore's migrations among the advisory locks of a database: "encore" in ASCII.
_LOCK = 0x656E636F7265


def _keep_others_out(connection: Connection) -> None:
    """Until this transaction ends, one process migrates; the others wait, and find nothing left to do."""
    if connection.dialect.name == "sqlite":
        connection.execution_options(encore_write=True)
    else:
        # Longer than any migration may hold up a shop.
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


engine: Engine = context.config.attributes["engine"]
with engine.connect() as connection:
    _keep_others_out(connection)
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        include_name=_ours,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
