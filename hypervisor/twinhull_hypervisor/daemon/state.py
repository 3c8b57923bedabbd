"""The core's state: one SQLite database, WAL and synchronous FULL, so a crash leaves the old or the new.

What counts together changes together: a statement, its policy and the time floor are one transaction
(fleet.md, "Client state"). The database holds no secret. ``state_file`` looks at its file before a byte of it
is changed; one that cannot be relied on is ``safe_mode``'s part.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar, get_args

import msgspec
from twinhull_policy.api.types import LogEntry
from twinhull_policy.names import Partition

from ..storage.errors import DiskFull
from . import state_file
from .state_file import StateUnusable

LOG_ROWS = 10_000
"""Log entries kept; older ones go."""
NOT_COPIED = frozenset({"device-ports", "device-choices", "probe"})
"""Of this boot only, so the copy has no use for them."""

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
    "device-choices",
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


class ImageUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An update to another golden image that has begun, and of which it is not known yet what came."""

    sha256: str
    """Of the new image."""
    kept: str
    """The snapshot that has the disk of before."""


class PartitionRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A partition that exists: its identity and the image it stands on."""

    uuid: str
    image: str
    image_sha256: str
    disk_gib: int
    created: bool = False
    """False while its volume is being made; such a volume holds nothing and is made again."""
    wanted: Literal["stopped", "running", "paused"] = "stopped"
    stilled: bool = False
    """Core holds its processors for a moment, while it is wanted running."""
    failure: str = ""
    accelerator: Literal["", "kvm", "emulation"] = ""
    started_at: float = 0.0
    images: dict[str, str] = {}
    """Every image it ever stood on, name by hash, once it was updated: its disk says which one it is now."""
    update: ImageUpdate | None = None
    """There until the new image came up, or was given up."""
    given_up: str = ""
    """Hash of the image of the last update, if that did not come up."""


class State:
    """The database. Safe to use from several threads; each call is one transaction.

    Beside it lies ``state.copy``: all documents once more, written before a transaction that changes one
    ends.

    Args:
        path: the database; made when there is no such file.

    Raises:
        StateUnusable: it cannot be relied on, or not be written to; nothing of it was changed.
    """

    lenient = False
    """Whether a document that does not decode counts as missing."""

    def __init__(self, path: Path) -> None:
        self._begin(path, state_file.open_database(path))
        self._copy: Path | None = state_file.copy_of(path)
        documents = self.documents()
        if documents != state_file.read_copy(self._copy):
            self._write_copy()

    @classmethod
    def in_memory(cls, documents: Mapping[str, bytes]) -> State:
        """A state that no file holds, for while the database cannot be used."""
        made = cls.__new__(cls)
        made._begin(Path(":memory:"), state_file.memory_database(documents))
        made._copy, made.lenient = None, True
        return made

    def _begin(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection = connection
        self._changed = False
        self.undecodable: set[str] = set()

    def documents(self) -> dict[str, bytes]:
        """Every document that the copy has, too."""
        with self.transaction():
            rows = self._connection.execute("SELECT name, body FROM document").fetchall()
        return {name: bytes(body) for name, body in rows if name not in NOT_COPIED}

    def _write_copy(self) -> None:
        if self._copy is None:
            return
        try:
            state_file.write_copy(self._copy, self.documents())
        except (OSError, DiskFull) as error:
            raise StateUnusable(path=self._copy, detail=state_file.words(error)) from error

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
                    self._changed = False
                try:
                    yield
                    if not nested and self._changed:
                        self._write_copy()
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
                "INSERT INTO document VALUES (?, ?, ?) ON CONFLICT (name) "
                "DO UPDATE SET body = excluded.body, sum = excluded.sum",
                (name, body, state_file.checksum(name, body)),
            )
            self._changed |= name not in NOT_COPIED

    def get(self, name: Document, kind: type[T]) -> T | None:
        """A stored document decoded as ``kind``, or None. Raises StateUnusable when it does not decode."""
        body = self.get_bytes(name)
        if body is None:
            return None
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            if self.lenient:
                self.undecodable.add(name)
                return None
            raise StateUnusable(path=self._path, detail=f"{name}: {error}") from error

    def put(self, name: Document, document: msgspec.Struct) -> None:
        """Store or replace a document."""
        self.put_bytes(name, msgspec.json.encode(document))

    def forget(self, *names: Document) -> None:
        """Remove documents."""
        with self.transaction():
            for name in names:
                self._connection.execute("DELETE FROM document WHERE name = ?", (name,))
                self._changed |= name not in NOT_COPIED

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
