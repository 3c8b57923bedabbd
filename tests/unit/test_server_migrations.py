"""A database of every released version becomes the same as one made from nothing, and loses nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from twinhull_policy.server import migrations
from twinhull_policy.server import storage as s
from twinhull_policy.server.errors import NotInitialised, StorageTooNew
from twinhull_policy.server.store import audit, devices, groups, statements, tokens

OLD = Path(__file__).parents[1] / "data" / "server"


def old_database(path: Path, version: int) -> Path:
    """A database as that version of the program left it."""
    with sqlite3.connect(path) as database:
        database.executescript((OLD / f"schema-{version}.sql").read_text())
    database.close()
    return path


def shape(path: Path) -> dict[str, Any]:
    """What a database's tables, indexes and triggers are, without the words they were made with."""
    database = sqlite3.connect(path)
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found: dict[str, Any] = {}
    for table in tables:
        columns = database.execute(f"PRAGMA table_info('{table}')").fetchall()
        indexes = database.execute(f"PRAGMA index_list('{table}')").fetchall()
        found[table] = {
            "columns": sorted(tuple(column[1:]) for column in columns),
            "foreign": sorted(
                tuple(key[2:]) for key in database.execute(f"PRAGMA foreign_key_list('{table}')")
            ),
            "indexes": sorted(
                (name, unique, tuple(database.execute(f"PRAGMA index_xinfo('{name}')").fetchall()))
                for _, name, unique, origin, _ in indexes
                if origin == "c"
            ),
        }
    names = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    found["triggers"] = database.execute(names).fetchall()
    database.close()
    # Where a column stands in its table differs after ALTER TABLE, and nothing depends on it.
    for table in tables:
        found[table]["indexes"] = [
            (name, unique, tuple(column[2] for column in columns))
            for name, unique, columns in found[table]["indexes"]
        ]
    return found


def made_now(path: Path) -> Path:
    storage = s.Storage(path)
    with storage.write() as tx:
        migrations.create(tx)
        s.set_schema_version(tx, migrations.VERSION)
    storage.close()
    return path


def released() -> list[int]:
    return sorted(int(path.stem.removeprefix("schema-")) for path in OLD.glob("schema-*.sql"))


@pytest.mark.parametrize("version", released())
def test_an_old_database_becomes_a_new_one(tmp_path: Path, version: int) -> None:
    old = old_database(tmp_path / "old.sqlite", version)
    s.open_storage(old).close()
    assert shape(old) == shape(made_now(tmp_path / "new.sqlite"))


def test_nothing_is_lost_and_the_log_is_a_chain(tmp_path: Path) -> None:
    storage = s.open_storage(old_database(tmp_path / "old.sqlite", 1))
    with storage.read() as tx:
        one, two = devices.everyone(tx)
        assert (one.device_id, one.seq, one.health, one.address) == ("d-1", 2, "new", "10.77.1.2/32")
        assert (two.health, two.revoked_at) == ("revoked", 1700000004.5)
        assert one.ring != two.ring
        newest = statements.newest(tx, "d-1")
        assert newest is not None and newest.sha256 == "s2"
        assert [group.policy_sha256 for group in groups.everyone(tx)] == ["aa"]
        assert [token.device_id for token in tokens.everyone(tx)] == ["d-1"]
        assert [line.action for line in audit.newest(tx, 9)] == ["enrol", "init"]
        assert audit.verify(tx).lines == 2 and audit.verify(tx).broken_at is None
    storage.close()


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    old = old_database(tmp_path / "old.sqlite", 1)
    s.open_storage(old).close()
    before = list(sqlite3.connect(old).iterdump())
    s.open_storage(old).close()
    assert list(sqlite3.connect(old).iterdump()) == before


def test_a_step_that_fails_leaves_the_old_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a step got done is undone with it."""
    old = old_database(tmp_path / "old.sqlite", 1)
    before = list(sqlite3.connect(old).iterdump())

    def fails(_tx: s.Tx) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, fails))
    with pytest.raises(OSError, match="no space"):
        s.open_storage(old)
    assert list(sqlite3.connect(old).iterdump()) == before


def test_versions_that_cannot_be_opened(tmp_path: Path) -> None:
    path = made_now(tmp_path / "new.sqlite")
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    with pytest.raises(StorageTooNew):
        s.open_storage(path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 0")
    with pytest.raises(NotInitialised):
        s.open_storage(path)
    with pytest.raises(NotInitialised):
        s.open_storage(tmp_path / "none.sqlite")
