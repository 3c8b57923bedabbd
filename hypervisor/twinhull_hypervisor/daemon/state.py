"""The core's state: one SQLite database, WAL and synchronous FULL, so a crash leaves the old or the new.

What counts together changes together: a statement, its policy and the time floor are one transaction
(fleet.md, "Client state"). The database holds no secret.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar, get_args

import msgspec
from twinhull_policy.api.types import LogEntry
from twinhull_policy.errors import TwinhullError
from twinhull_policy.names import Partition

LOG_ROWS = 10_000
"""Log entries kept; older ones go."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS log (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, body TEXT NOT NULL
) STRICT;
"""

T = TypeVar("T")
LogKind = Literal["received", "reported", "decided", "done", "refused"]
Document = Literal[
    "root",
    "identity",
    "statement",
    "position",
    "policy",
    "high-water",
    "probe",
    "partition-corporate",
    "partition-personal",
    "owner-rules",
    "device-answers",
    "device-ports",
    "kill-switches",
    "vpn-gateways",
    "commands",
    "lease",
    "wipe-corporate",
    "wipe-personal",
]


PARTITION_DOCUMENTS: dict[Partition, Document] = {
    Partition.CORPORATE: "partition-corporate",
    Partition.PERSONAL: "partition-personal",
}


WIPE_DOCUMENTS: dict[Partition, Document] = {
    Partition.CORPORATE: "wipe-corporate",
    Partition.PERSONAL: "wipe-personal",
}
"""There while a wipe that the owner asked for has not ended."""


class StateUnusable(TwinhullError):
    """The state database {path} cannot be used: {detail}."""

    code = "TH-DMN-002"
    next_step = "Check free space and the disk; partitions and keys are elsewhere and untouched."


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who this laptop is to the fleet server."""

    server: str
    tenant: str
    device_id: str
    enrol_epoch: int
    enrolled_at: float


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The last statement accepted, and what time it was at least."""

    seq: int = 0
    sha256: str = ""
    policy_sha256: str = ""
    applied_at: float = 0.0
    time_floor: int = 0
    last_refusal: str = ""


class PartitionRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A partition that exists: its identity and the image it stands on."""

    uuid: str
    image: str
    image_sha256: str
    disk_gib: int
    created: bool = False
    """False while its volume is being made; such a volume holds nothing and is made again."""
    wanted: Literal["stopped", "running", "paused"] = "stopped"
    failure: str = ""
    accelerator: Literal["", "kvm", "emulation"] = ""
    started_at: float = 0.0


class State:
    """The database. Safe to use from several threads; each call is one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StateUnusable(path=path, detail=error) from error

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens or nothing does. Raises StateUnusable when the disk refuses."""
        with self._lock:
            try:
                nested = self._connection.in_transaction
                if not nested:
                    self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    if not nested:
                        self._connection.execute("ROLLBACK")
                    raise
                if not nested:
                    self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise StateUnusable(path=self._path, detail=error) from error

    def get_bytes(self, name: Document) -> bytes | None:
        """A stored document as it was put, or None."""
        with self.transaction():
            row = self._connection.execute("SELECT body FROM document WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else None

    def put_bytes(self, name: Document, body: bytes) -> None:
        """Store or replace a document."""
        with self.transaction():
            self._connection.execute(
                "INSERT INTO document VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
                (name, body),
            )

    def get(self, name: Document, kind: type[T]) -> T | None:
        """A stored document decoded as ``kind``, or None. Raises StateUnusable when it does not decode."""
        body = self.get_bytes(name)
        if body is None:
            return None
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise StateUnusable(path=self._path, detail=f"{name}: {error}") from error

    def put(self, name: Document, document: msgspec.Struct) -> None:
        """Store or replace a document."""
        self.put_bytes(name, msgspec.json.encode(document))

    def forget(self, *names: Document) -> None:
        """Remove documents."""
        with self.transaction():
            for name in names:
                self._connection.execute("DELETE FROM document WHERE name = ?", (name,))

    def position(self) -> Position:
        """The last statement accepted; a zero position before the first."""
        return self.get("position", Position) or Position()

    def log(self, kind: LogKind, text: str, body: str = "") -> None:
        """Append to the owner's log."""
        with self.transaction():
            self._connection.execute(
                "INSERT INTO log (at, kind, text, body) VALUES (?, ?, ?, ?)", (time.time(), kind, text, body)
            )
            self._connection.execute("DELETE FROM log WHERE id <= (SELECT max(id) FROM log) - ?", (LOG_ROWS,))

    def read_log(self, limit: int) -> list[LogEntry]:
        """The newest ``limit`` entries, oldest first."""
        with self.transaction():
            rows = self._connection.execute(
                "SELECT at, kind, text, body FROM log ORDER BY id DESC LIMIT ?", (limit,)
            ).fetchall()
        kinds = get_args(LogKind)
        return [
            LogEntry(at=at, kind=kind, text=text, body=body)
            for at, kind, text, body in reversed(rows)
            if kind in kinds
        ]
