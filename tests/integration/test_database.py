"""Opening the database: what SQLite answers at its worst moments."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from flask_encore.store import database
from flask_encore.store.database import Database, StoreError


@pytest.fixture
def new_file(tmp_path: Path) -> Path:
    """A SQLite file as it begins: not in WAL mode yet."""
    file = tmp_path / "new.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    return file


def test_a_new_file_is_opened_while_another_process_writes_to_it(
    new_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = sqlite3.connect(new_file, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    tries: list[float] = []

    def wait(seconds: float) -> None:
        tries.append(seconds)
        if len(tries) == 3:
            writer.execute("COMMIT")

    monkeypatch.setattr(database.time, "sleep", wait)
    db = Database(f"sqlite:///{new_file}", patience_ms=300)
    with db.read() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar_one() == "wal"
    db.dispose()
    writer.close()

    assert tries == [0.01, 0.01, 0.01]


def test_a_new_file_that_stays_locked_is_given_up_in_time(new_file: Path) -> None:
    writer = sqlite3.connect(new_file, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    db = Database(f"sqlite:///{new_file}", patience_ms=50)

    with pytest.raises(StoreError, match="database is locked"), db.read(hasty=True):
        pytest.fail("a locked file was opened")

    writer.execute("ROLLBACK")
    writer.close()
    db.dispose()
