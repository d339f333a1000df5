"""Alembic's entry point; run by `flask_encore.store.migrations`, never by the host's Alembic."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Engine

from flask_encore.store.migrations import VERSION_TABLE
from flask_encore.store.models import metadata


def _ours(name: str | None, type_: str, _parents: object) -> bool:
    return type_ != "table" or (name is not None and name.startswith("encore_") and name != VERSION_TABLE)


engine: Engine = context.config.attributes["engine"]
with engine.connect() as connection:
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
