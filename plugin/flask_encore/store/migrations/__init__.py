"""The tables' history. Ships in the package, has its own version table, and never looks at the host's."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

VERSION_TABLE = "encore_alembic_version"

#: Alembic keeps what it is doing in module globals. Other processes are kept out by a lock in the database (env.py).
_ONE_AT_A_TIME = threading.Lock()


def config(engine: Engine) -> Config:
    """Alembic's configuration for *engine*, without a file."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["engine"] = engine
    return made


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Create or migrate the tables up to *revision*. Idempotent, and safe while others do the same."""
    with _ONE_AT_A_TIME:
        command.upgrade(config(engine), revision)


def current(engine: Engine) -> str | None:
    """The revision the tables are at; ``None`` when they were never created."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def head() -> str | None:
    """The newest revision there is."""
    return _scripts().get_current_head()


@cache
def outdated() -> frozenset[str]:
    """Every revision that a newer one of this release follows."""
    scripts = _scripts()
    return frozenset(script.revision for script in scripts.walk_revisions()) - {scripts.get_current_head() or ""}


def _scripts() -> ScriptDirectory:
    script = Config()
    script.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    script.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(script)
