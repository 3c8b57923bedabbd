"""An upgrade that does not come up: what is asked, what is said, and what of the core's state is put back.

systemd is a table here; the real one, with real packages, is in tests/systemd/test_packaged_laptop.py.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from twinhull_installer import services, upgrade
from twinhull_installer.errors import NotUp
from twinhull_installer.run import Runner

NEW = "2"


@dataclass(frozen=True)
class Table(upgrade.System):
    """A system with two services, of which each may be broken."""

    running: tuple[str, ...] = ("twinhull-netd", "twinhulld")
    broken: set[str] = field(default_factory=set)
    done: list[tuple[str, ...]] = field(default_factory=list)

    def systemctl(self, *words: str, check: bool = True) -> str:
        self.done.append(words)
        if words[0] == "show":
            name = words[-1].removesuffix(".service")
            return "ActiveState=active\nNRestarts=" + ("1\n" if name in self.broken else "0\n")
        return ""

    def starts(self, program: str) -> str:
        return f"no {program}" if f"program {program}" in self.broken else ""

    def core_answers(self) -> bool:
        return "twinhulld" not in self.broken

    def verbs(self) -> list[str]:
        return [" ".join(words) for words in self.done if words[0] != "show"]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setattr(upgrade, "STATE", state)
    monkeypatch.setattr(upgrade, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(upgrade, "TRIED", tmp_path / "tried")
    # Accounts and directories are not what is asked here.
    monkeypatch.setattr(Runner, "run", lambda *_, **__: None)
    made = Table(Runner(tmp_path / "log"), pause=lambda _: None)
    monkeypatch.setattr(services, "systemd_runs", lambda: True)
    monkeypatch.setattr(services, "running", lambda name: name in made.running)
    return made


def database(path: Path, version: int, text: str) -> None:
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={version}")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (?)", (text,))
    connection.commit()
    connection.close()


def held(path: Path) -> str:
    connection = sqlite3.connect(path)
    (text,) = connection.execute("SELECT x FROM t").fetchone()
    connection.close()
    return str(text)


def test_one_that_comes_up_is_noted_and_leaves_nothing_else(table: Table) -> None:
    upgrade.attempt(table, NEW)
    assert upgrade.TRIED.read_text() == "2\n" and not upgrade.KEPT.exists()
    assert table.verbs() == [
        "stop twinhulld.service",
        "daemon-reload",
        "restart twinhull-netd.service",
        "restart twinhulld.service",
    ]
    assert upgrade.take_back(table, NEW) == ""


@pytest.mark.parametrize("unit", ["twinhull-netd", "twinhulld"])
def test_one_that_does_not_come_up_is_refused_and_taken_back(table: Table, unit: str) -> None:
    table.broken.add(unit)
    with pytest.raises(NotUp) as refused:
        upgrade.attempt(table, NEW)
    assert unit in refused.value.message and not upgrade.TRIED.exists()
    table.broken.clear()
    table.done.clear()
    said = upgrade.take_back(table, NEW)
    assert "version 2 did not come up" in said and said.endswith(".")
    assert table.verbs()[-2:] == ["restart twinhull-netd.service", "restart twinhulld.service"]
    assert not upgrade.KEPT.exists()


def test_a_program_that_lacks_a_library_is_found_before_anything_stops(table: Table) -> None:
    table.broken.add("program twinhull-fetch")
    with pytest.raises(NotUp):
        upgrade.attempt(table, NEW)
    assert table.done == [] and not upgrade.KEPT.exists()


def test_nothing_is_started_where_nothing_ran(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "running", lambda _: False)
    upgrade.attempt(table, NEW)
    assert table.done == [] and not upgrade.TRIED.exists()


def test_what_an_earlier_upgrade_left_is_not_taken_for_this_ones(table: Table) -> None:
    table.broken.add("twinhulld")
    with pytest.raises(NotUp):
        upgrade.attempt(table, NEW)
    table.broken.clear()
    assert upgrade.take_back(table, "3") == ""


def test_state_that_the_older_program_can_read_is_kept_and_other_state_is_put_back(
    table: Table,
) -> None:
    file = upgrade.STATE / "state.sqlite"
    for version_after, kept in ((1, "newer"), (2, "before")):
        database(file, 1, "before")
        table.broken.add("twinhulld")
        with pytest.raises(NotUp):
            upgrade.attempt(table, NEW)
        table.broken.clear()
        database(file, version_after, "newer")
        upgrade.take_back(table, NEW)
        assert held(file) == kept
        assert sorted(path.name for path in upgrade.STATE.iterdir()) == ["state.sqlite"]


def test_that_neither_comes_up_is_said(table: Table) -> None:
    table.broken.add("twinhulld")
    with pytest.raises(NotUp):
        upgrade.attempt(table, NEW)
    assert "neither version 2 nor the one from before" in upgrade.take_back(table, NEW)
