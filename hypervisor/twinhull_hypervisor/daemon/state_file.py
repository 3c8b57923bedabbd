"""The state database as a file: whether it can be relied on, its making, and the copy of its documents.

Nothing here believes a file. Before the database is opened for writing it is read through a connection that
cannot write (https://sqlite.org/uri.html, ``mode=ro``), so a damaged one keeps every byte that somebody may
yet want. SQLite has no checksum of a page; each document has one of its own.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import msgspec
from twinhull_policy.errors import TwinhullError

from ..storage.files import publish, sync_file, write_atomically

SCHEMA_VERSION = 1
"""SQLite's ``user_version``. 0 is what Twinhull wrote before documents had sums."""
COPY_FORMAT = 1
COPY_BYTES = 16 * 1024 * 1024
"""Of a copy that is read; the documents in it have bounds that add up to far less."""
SIDE_FILES = ("-wal", "-shm")
_SCHEMA = """
CREATE TABLE document (name TEXT PRIMARY KEY, body BLOB NOT NULL, sum BLOB) STRICT;
CREATE TABLE log (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
"""
_COLUMNS = {0: ["name", "body"], 1: ["name", "body", "sum"]}
_LOG_COLUMNS = ["id", "at", "kind", "text", "body"]


class StateUnusable(TwinhullError):
    """The state database {path} cannot be used: {detail}."""

    code = "TH-DMN-002"
    next_step = (
        "Check free space and the disk, then run 'sudo twinhull doctor --recover-state'; the damaged file is"
        " kept, and partitions and keys are elsewhere and untouched."
    )


class _Copy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: int
    documents: dict[str, bytes]


def words(error: Exception) -> str:
    """A failure of a file in words, without the path that the sentence around it has already."""
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)


def checksum(name: str, body: bytes) -> bytes:
    """What a document's ``sum`` has to be."""
    return sha256(name.encode() + b"\0" + body).digest()


def copy_of(database: Path) -> Path:
    """Where the copy of a database's documents lies."""
    return database.with_name("state.copy")


def write_copy(path: Path, documents: Mapping[str, bytes]) -> None:
    """Replace the copy, durably. Raises OSError, DiskFull; then the old one is still there."""
    body = msgspec.json.encode(_Copy(format=COPY_FORMAT, documents=dict(sorted(documents.items()))))
    write_atomically(path, sha256(body).hexdigest().encode() + b"\n" + body)


def read_copy(path: Path) -> dict[str, bytes] | None:
    """The documents of a copy, or None unless it is whole and of a format known here."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            untrusted_copy = file.read(COPY_BYTES + 1)
    except OSError:
        return None
    untrusted_sum, _, untrusted_body = untrusted_copy.partition(b"\n")
    if len(untrusted_copy) > COPY_BYTES or untrusted_sum != sha256(untrusted_body).hexdigest().encode():
        return None
    try:
        copy = msgspec.json.decode(untrusted_body, type=_Copy)
    except msgspec.DecodeError:
        return None
    return copy.documents if copy.format == COPY_FORMAT else None


def create(path: Path, documents: Mapping[str, bytes] = {}, *, line: str = "", at: float = 0.0) -> None:
    """Make a database that holds ``documents``; it has its name only once it is whole.

    Args:
        path: its name. The caller has seen to it that nothing of another database has that name or, with one
            of ``SIDE_FILES``, would be taken for this one's.
        documents: by name.
        line: of the owner's log, empty for none, and ``at`` when it was.

    Raises:
        StateUnusable: there is no room, or no right, for it.
    """
    new = path.with_name(path.name + ".new")
    try:
        for left in (new, *(new.with_name(new.name + suffix) for suffix in ("-journal", *SIDE_FILES))):
            left.unlink(missing_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.close(fd)
        connection = sqlite3.connect(new, isolation_level=None)
        try:
            connection.executescript(_SCHEMA)
            _fill(connection, documents)
            if line:
                row = (at, "done", line, "")
                connection.execute("INSERT INTO log (at, kind, text, body) VALUES (?, ?, ?, ?)", row)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        finally:
            connection.close()
        sync_file(new)
        publish(new, path)
    except (sqlite3.Error, OSError) as error:
        raise StateUnusable(path=path, detail=words(error)) from error


def _fill(connection: sqlite3.Connection, documents: Mapping[str, bytes]) -> None:
    rows = [(name, body, checksum(name, body)) for name, body in documents.items()]
    connection.executemany("INSERT INTO document VALUES (?, ?, ?)", rows)


def memory_database(documents: Mapping[str, bytes]) -> sqlite3.Connection:
    """A database that no file holds."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(_SCHEMA)
    _fill(connection, documents)
    return connection


def open_database(path: Path) -> sqlite3.Connection:
    """Open a database after it was checked, or make it; it was written to when this returns.

    Raises:
        StateUnusable: it is damaged, of a newer program, or cannot be written to. A damaged one is unchanged.
    """
    if not os.path.lexists(path):
        if copy_of(path).exists() or side_files(path):
            raise StateUnusable(path=path, detail="it is gone, and what belongs to it is there")
        create(path)
    check(path)
    try:
        connection = sqlite3.connect(
            _uri(path, "rw"), uri=True, isolation_level=None, check_same_thread=False
        )
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        _bring_up_to_date(connection)
    except (sqlite3.Error, OSError) as error:
        raise StateUnusable(path=path, detail=words(error)) from error
    return connection


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(str(path.absolute()))}?mode={mode}"


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Written in any case: whoever could not be written to is found out now, and not by the first change."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        connection.execute("ALTER TABLE document ADD COLUMN sum BLOB")
        rows = connection.execute("SELECT name, body FROM document").fetchall()
        for name, body in rows:
            connection.execute("UPDATE document SET sum = ? WHERE name = ?", (checksum(name, body), name))
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")


def check(path: Path) -> None:
    """Read all of a database and change nothing of it. Raises StateUnusable."""
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode):
            raise StateUnusable(path=path, detail="there is something else in the place of that file")
        if about.st_size == 0:
            raise StateUnusable(path=path, detail="the file is empty")
        connection = sqlite3.connect(_uri(path, "ro"), uri=True, isolation_level=None)
        try:
            fault = _fault(connection)
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise StateUnusable(path=path, detail=words(error)) from error
    if fault:
        raise StateUnusable(path=path, detail=fault)


def _fault(connection: sqlite3.Connection) -> str:
    """What is wrong with a database, empty when nothing is."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found not in _COLUMNS:
        newest = SCHEMA_VERSION
        return f"it is of another version of Twinhull (schema {found}, this one knows {newest})"
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        return "it is damaged: " + str(verdict).splitlines()[-1]
    for table, wanted in (("document", _COLUMNS[found]), ("log", _LOG_COLUMNS)):
        if [row[1] for row in connection.execute(f"PRAGMA table_info({table})")] != wanted:
            return f"it is damaged: the table '{table}' is not what it was made as"
    if found == 0:
        return ""
    for name, body, untrusted_sum in connection.execute("SELECT name, body, sum FROM document"):
        if checksum(name, bytes(body)) != untrusted_sum:
            return f"it is damaged: the document '{name}' is not what was written"
    return ""


def side_files(path: Path) -> list[Path]:
    """What SQLite keeps beside a database, as far as it is there."""
    return [side for side in (path.with_name(path.name + suffix) for suffix in SIDE_FILES) if side.exists()]
