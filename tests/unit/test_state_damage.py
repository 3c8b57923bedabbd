"""A damaged state database: seen before it is used, left to the byte as it is, and never believed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twinhull_hypervisor.daemon import state_file
from twinhull_hypervisor.daemon.state import PartitionRecord, Position, State
from twinhull_hypervisor.daemon.state_file import SCHEMA_VERSION, StateUnusable, copy_of, read_copy
from twinhull_hypervisor.run import run

PAGE = 4096
FLIPS = 400
RECORD = PartitionRecord(
    uuid="0" * 8, image="images/x.qcow2", image_sha256="ab" * 32, disk_gib=8, created=True
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of many pages, closed in order, so that nothing of it is in a journal."""
    path = tmp_path_factory.mktemp("whole") / "state.sqlite"
    state = State(path)
    state.put_bytes("root", b'{"root":"' + b"x" * 9000 + b'"}')
    state.put("position", Position(seq=7, sha256="ab" * 32))
    state.put("partition-personal", RECORD)
    state.put("partition-corporate", RECORD)
    for number in range(300):
        state.log("received", f"Statement {number}", "y" * 100)
    state.close()
    assert path.stat().st_size >= 12 * PAGE
    assert state_file.side_files(path) == []
    return path


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Path:
    """A copy of it to be damaged, alone in its directory."""
    path = tmp_path / "state.sqlite"
    shutil.copy(whole, path)
    return path


def documents(path: Path) -> dict[str, bytes]:
    state = State(path)
    try:
        return state.documents()
    finally:
        state.close()


def verdict(path: Path, content: bytes, good: dict[str, bytes]) -> bool:
    """Whether a damage was seen; what is not seen has to have changed no document."""
    for left in (copy_of(path), *state_file.side_files(path)):
        left.unlink(missing_ok=True)
    path.write_bytes(content)
    try:
        found = documents(path)
    except StateUnusable:
        assert path.read_bytes() == content
        assert not copy_of(path).exists()
        return True
    assert found == good
    return False


def test_every_page_truncated(whole: Path, damaged: Path) -> None:
    content, good = whole.read_bytes(), documents(whole)
    places = [size for page in range(0, len(content), PAGE) for size in (page, page + 1, page + PAGE // 2)]
    assert len(places) >= 36
    assert [size for size in places if not verdict(damaged, content[:size], good)] == []


def test_every_page_overwritten(whole: Path, damaged: Path) -> None:
    content, good = whole.read_bytes(), documents(whole)
    for filling in (bytes(PAGE), b"\xff" * PAGE, content[:PAGE][::-1]):
        for page in range(0, len(content), PAGE):
            assert verdict(damaged, content[:page] + filling + content[page + PAGE :], good), page


def test_flipped_bits(whole: Path, damaged: Path, request: pytest.FixtureRequest) -> None:
    """Of the first hundred bytes, which say what the file is, each; of the others some, with --long all."""
    content, good = whole.read_bytes(), documents(whole)
    step = 1 if request.config.getoption("--long") else len(content) // FLIPS
    places = range(100 + request.config.getoption("--seed") % step, len(content), step)
    seen = 0
    for place in [*range(100), *places]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        seen += verdict(damaged, bytes(flipped), good)
    assert seen >= len(places) // 20


def test_a_flipped_bit_of_a_document(whole: Path, damaged: Path) -> None:
    """SQLite itself has no objection to it."""
    content = whole.read_bytes()
    place = content.index(b'"seq":7') + 6
    damaged.write_bytes(content[:place] + b"6" + content[place + 1 :])
    connection = sqlite3.connect(damaged)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    with pytest.raises(StateUnusable, match="the document 'position' is not what was written"):
        State(damaged)


@pytest.mark.parametrize("version", [-1, SCHEMA_VERSION + 1, 2**31 - 1])
def test_another_schema_is_not_touched(damaged: Path, version: int) -> None:
    connection = sqlite3.connect(damaged)
    connection.execute(f"PRAGMA user_version={version}")
    connection.commit()
    connection.close()
    before = damaged.read_bytes()
    with pytest.raises(StateUnusable, match=f"schema {version}, this one knows {SCHEMA_VERSION}"):
        State(damaged)
    assert damaged.read_bytes() == before


def test_what_was_written_before_documents_had_sums(damaged: Path) -> None:
    """As an earlier Twinhull left it: brought up to date, and from then on a flipped bit is seen."""
    good = documents(damaged)
    connection = sqlite3.connect(damaged)
    connection.executescript(
        "CREATE TABLE old (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;"
        "INSERT INTO old SELECT name, body FROM document; DROP TABLE document;"
        "ALTER TABLE old RENAME TO document; PRAGMA user_version=0;"
    )
    connection.close()
    assert documents(damaged) == good
    assert documents(damaged) == good
    connection = sqlite3.connect(damaged)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.execute("UPDATE document SET body = x'7b7d' WHERE name = 'position'")
    connection.commit()
    connection.close()
    with pytest.raises(StateUnusable):
        State(damaged)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _gone(path: Path) -> None:
    """Its copy is still there."""
    documents(path)
    path.unlink()


def _table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE log")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", [_empty, _directory, _link, _pipe, _gone, _table])
def test_something_else_in_its_place(damaged: Path, damage: Callable[[Path], None]) -> None:
    damage(damaged)
    before = set(damaged.parent.iterdir())
    with pytest.raises(StateUnusable, match="cannot be used"):
        State(damaged)
    # SQLite makes both, empty, to read a database that has a journal.
    assert {
        path for path in damaged.parent.iterdir() if path.suffix not in (".sqlite-wal", ".sqlite-shm")
    } == before


def test_a_journal_that_was_not_played_back(whole: Path, tmp_path: Path) -> None:
    """As SIGKILL leaves it: what was committed is there; with the database damaged, both keep their bytes."""
    path, killed = tmp_path / "state.sqlite", tmp_path / "killed"
    killed.mkdir()
    shutil.copy(whole, path)
    state = State(path)
    state.put("position", Position(seq=8))
    for file in (path, path.with_name("state.sqlite-wal")):
        shutil.copy(file, killed)
    good = state.documents()
    state.close()
    wal = killed / "state.sqlite-wal"
    assert wal.stat().st_size > PAGE
    content, journal = (killed / "state.sqlite").read_bytes(), wal.read_bytes()
    page = len(content) - 2 * PAGE
    (killed / "state.sqlite").write_bytes(content[:page] + b"\xff" * PAGE + content[page + PAGE :])
    with pytest.raises(StateUnusable):
        State(killed / "state.sqlite")
    assert wal.read_bytes() == journal
    (killed / "state.sqlite").write_bytes(content)
    assert documents(killed / "state.sqlite") == good


def test_a_directory_that_may_not_be_written_to(whole: Path, tmp_path: Path) -> None:
    """Seen when it is opened, not by the first change; root may write anywhere, so it is read-only."""
    path = tmp_path / "state.sqlite"
    run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], timeout=10)
    try:
        shutil.copy(whole, path)
        run(["mount", "-o", "remount,ro", tmp_path], timeout=10)
        with pytest.raises(StateUnusable):
            State(path)
    finally:
        run(["umount", tmp_path], timeout=10)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", tmp_path], timeout=10)
    try:
        yield tmp_path
    finally:
        run(["umount", tmp_path], timeout=10)


def fill(place: Path) -> Path:
    """Leave no room."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as stream:
        for size in (4096, 1):
            try:
                while stream.write(b"x" * size):
                    pass
            except OSError:
                continue
    return filler


def test_a_full_disk_at_the_start(whole: Path, small: Path) -> None:
    path = small / "state.sqlite"
    shutil.copy(whole, path)
    before, filler = path.read_bytes(), fill(small)
    with pytest.raises(StateUnusable):
        State(path)
    assert path.read_bytes() == before
    filler.unlink()
    assert documents(path) == documents(whole)


def test_a_disk_that_fills_up(small: Path) -> None:
    """The old document is there, in the database and in its copy, and the next change goes through."""
    state = State(small / "state.sqlite")
    state.put("position", Position(seq=1))
    filler = fill(small)
    with pytest.raises(StateUnusable):
        state.put_bytes("root", b"x" * 100_000)
    assert (state.position().seq, state.get_bytes("root")) == (1, None)
    assert read_copy(copy_of(small / "state.sqlite")) == state.documents()
    filler.unlink()
    state.put("position", Position(seq=2))
    state.close()
    assert read_copy(copy_of(small / "state.sqlite")) == documents(small / "state.sqlite")


def test_the_copy_is_whole_or_none(tmp_path: Path) -> None:
    """Cut at any place, or with any byte changed, it is no copy; nor is one of a format to come."""
    State(tmp_path / "state.sqlite").close()
    state = State(tmp_path / "state.sqlite")
    state.put("position", Position(seq=3))
    path = copy_of(tmp_path / "state.sqlite")
    content = path.read_bytes()
    assert read_copy(path) == state.documents()
    state.close()
    for place in range(len(content)):
        path.write_bytes(content[:place])
        assert read_copy(path) is None, place
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        assert read_copy(path) is None, place
    state_file.COPY_FORMAT, kept = 2, state_file.COPY_FORMAT
    try:
        state_file.write_copy(path, {})
    finally:
        state_file.COPY_FORMAT = kept
    assert read_copy(path) is None


def test_what_goes_together_is_copied_together(tmp_path: Path) -> None:
    """A transaction that is undone leaves no trace in the copy."""
    state = State(tmp_path / "state.sqlite")
    state.put("position", Position(seq=1))
    before = read_copy(copy_of(tmp_path / "state.sqlite"))
    with pytest.raises(KeyError), state.transaction():
        state.put("position", Position(seq=2))
        raise KeyError
    assert read_copy(copy_of(tmp_path / "state.sqlite")) == before == state.documents()
    with state.transaction():
        state.put("position", Position(seq=3))
        state.put("partition-personal", RECORD)
    assert read_copy(copy_of(tmp_path / "state.sqlite")) == state.documents()
    state.close()
