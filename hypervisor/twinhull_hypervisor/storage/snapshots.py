"""Snapshots of a volume: whole copies of its disk and its UEFI variables, beside each other in a directory.

Each copy has the disk's own header and opens with the volume's key, so none needs another, whichever goes
first, and there is no chain of files for QEMU to follow. What a person calls going back is one rename, and so
is an update to another golden image:

1. the present disk gets a second name, as a snapshot of kind ``rollback`` or ``update``, with its variables;
2. the other variables are put into their place, then the other disk, by renames.

A snapshot whose disk *is* the present disk (the same inode) is therefore one of which step 2 did not happen.
:meth:`Snapshots.settle` undoes it, so that being killed anywhere leaves all as it was or all as it was to be.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from twinhull_policy.api.types import SNAPSHOT_LIMIT, SNAPSHOT_NAME_LIMIT, SnapshotKind
from twinhull_policy.names import Partition

from twinhull_hypervisor.storage.copies import Progress, copy
from twinhull_hypervisor.storage.errors import (
    NoSnapshot,
    SnapshotDamaged,
    SnapshotsFull,
    SnapshotUnreadable,
    VolumeFailed,
)
from twinhull_hypervisor.storage.files import overwrite_head, publish, sync_directory, write_atomically
from twinhull_hypervisor.storage.header import BadHeader
from twinhull_hypervisor.storage.paths import VolumePaths
from twinhull_hypervisor.storage.slots import Closed

logger = logging.getLogger(__name__)

Same = Callable[[Path, Path], bool]
"""Whether two disks have the same header. Raises header.BadHeader, OSError."""


@dataclass(frozen=True, slots=True)
class SnapshotLimits:
    """Bounds: snapshots of one partition, bytes of a description, bytes of the laptop's disk left free."""

    count: int = SNAPSHOT_LIMIT
    manifest_bytes: int = 4096
    spare_bytes: int = 2**30
    head_bytes: int = 8 * 2**20
    """Overwritten of a disk that goes: its own key header is in there (``volume.HEAD_BYTES``)."""


LIMITS = SnapshotLimits()
MOVED: tuple[SnapshotKind, ...] = ("rollback", "update")
"""Kept by a change of the disk, which undoing it puts back itself and not as a copy."""


def new_snapshot_id() -> str:
    """One that is free, as far as chance goes."""
    return f"s-{secrets.token_hex(4)}"


class Manifest(Closed, frozen=True):
    """``snapshot.json``.

    Attributes:
        name: what the person called it; of kind ``rollback`` what was gone back to, of ``update`` the image.
        at: when, seconds since the epoch.
    """

    version: Literal[1]
    kind: SnapshotKind
    name: Annotated[str, msgspec.Meta(max_length=SNAPSHOT_NAME_LIMIT)]
    at: Annotated[float, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One that is whole.

    Attributes:
        bytes: it takes of the laptop's disk, shared blocks counted as its own.
    """

    id: str
    kind: SnapshotKind
    name: str
    at: float
    bytes: int
    directory: Path

    @property
    def disk(self) -> Path:
        """The copy of the disk."""
        return self.directory / "disk.qcow2"

    @property
    def nvram(self) -> Path:
        """The copy of the UEFI variables."""
        return self.directory / "nvram.fd"


class Snapshots:
    """The snapshots of one partition, as files; keys and what the header says are the volume's part."""

    def __init__(self, partition: Partition, paths: VolumePaths, same: Same) -> None:
        self._partition = partition
        self._paths = paths
        self._same = same

    def found(self) -> list[Snapshot]:
        """Those that are whole, oldest first."""
        whole = []
        for directory in self._all():
            if directory.name.startswith(".") or self._is_present(directory):
                continue
            try:
                manifest = self._manifest(directory)
                blocks = sum((directory / name).stat().st_blocks for name in ("disk.qcow2", "nvram.fd"))
            except (OSError, msgspec.DecodeError, RecursionError) as error:
                logger.warning("a snapshot of %s cannot be read: %s", self._partition, error)
                continue
            whole.append(
                Snapshot(directory.name, manifest.kind, manifest.name, manifest.at, blocks * 512, directory)
            )
        return sorted(whole, key=lambda snapshot: (snapshot.at, snapshot.id))

    def get(self, snapshot_id: str) -> Snapshot:
        """Raises NoSnapshot."""
        for snapshot in self.found():
            if snapshot.id == snapshot_id:
                return snapshot
        raise NoSnapshot(partition=self._partition.value, snapshot=snapshot_id)

    def disks(self) -> list[Path]:
        """The disk of each, the unreadable ones' too: whatever a key of the volume may open."""
        return [path for directory in self._all() if (path := directory / "disk.qcow2").exists()]

    def require_room(self) -> None:
        """Raises SnapshotsFull."""
        if len(self._all()) >= LIMITS.count:
            raise SnapshotsFull(partition=self._partition.value, count=LIMITS.count)

    def make(self, name: str, progress: Progress) -> Snapshot:
        """Copy the present disk, which nobody writes to meanwhile, and its variables.

        Raises:
            SnapshotsFull, DiskFull, SnapshotUnreadable, SnapshotDamaged, VolumeFailed: there is no new one.
        """
        self.settle()
        self.require_room()
        what = f"a snapshot of {self._partition.value}"
        with self._new("asked", name) as new:
            try:
                copy(self._paths.nvram, new / "nvram.fd", what, LIMITS.spare_bytes, lambda *_: None)
                copy(self._paths.overlay, new / "disk.qcow2", what, LIMITS.spare_bytes, progress)
                same = self._same(new / "disk.qcow2", self._paths.overlay)
            except PermissionError as error:
                raise SnapshotUnreadable(partition=self._partition.value) from error
            except BadHeader:
                same = False
            if not same:
                raise SnapshotDamaged(snapshot="that was made", partition=self._partition.value)
            snapshot_id = self._publish(new)
        return self.get(snapshot_id)

    def keep_present(self, kind: SnapshotKind, name: str, snapshot_id: str = "") -> str:
        """Give the present disk and variables a second name: step 1 of putting others in their place."""
        with self._new(kind, name) as new:
            os.link(self._paths.overlay, new / "disk.qcow2")
            os.link(self._paths.nvram, new / "nvram.fd")
            return self._publish(new, snapshot_id)

    def settle(self) -> None:
        """Undo a rollback that was cut short, and remove what was left of one, or of a snapshot, half made.

        Idempotent. Raises VolumeFailed: the partition must not start before it is done.
        """
        try:
            for path in (self._paths.new_overlay, self._paths.new_nvram):
                path.unlink(missing_ok=True)
            for directory in self._all():
                if directory.name.startswith("."):
                    self._purge(directory)
                elif self._is_present(directory):
                    back = self._paths.new_nvram
                    back.unlink(missing_ok=True)
                    os.link(directory / "nvram.fd", back)
                    publish(back, self._paths.nvram)
                    back.unlink(missing_ok=True)  # rename(2) leaves it where both are the same file
                    self._discard(directory)
        except OSError as error:
            raise VolumeFailed(partition=self._partition.value, reason=error.strerror or "") from error

    def remove(self, snapshot_id: str) -> None:
        """Remove one. Raises NoSnapshot, VolumeFailed."""
        self.settle()
        if not any(directory.name == snapshot_id for directory in self._all()):
            raise NoSnapshot(partition=self._partition.value, snapshot=snapshot_id)
        try:
            self._discard(self._paths.snapshots / snapshot_id)
        except OSError as error:
            raise VolumeFailed(partition=self._partition.value, reason=error.strerror or "") from error

    def destroy(self) -> None:
        """Overwrite the head of each, where its own key header is, and remove all. Idempotent."""
        for disk in self.disks():
            overwrite_head(disk, LIMITS.head_bytes)
        for directory in self._all():
            self._purge(directory)
        if self._paths.snapshots.exists():
            self._paths.snapshots.rmdir()
            sync_directory(self._paths.snapshots.parent)

    def _all(self) -> list[Path]:
        if not self._paths.snapshots.is_dir():
            return []
        return sorted(
            path for path in self._paths.snapshots.iterdir() if path.is_dir() and not path.is_symlink()
        )

    def _is_present(self, directory: Path) -> bool:
        """Whether a snapshot's disk is the present one itself."""
        with suppress(FileNotFoundError):
            return (directory / "disk.qcow2").samefile(self._paths.overlay)
        return False

    @staticmethod
    def _manifest(directory: Path) -> Manifest:
        with (directory / "snapshot.json").open("rb") as file:
            untrusted = file.read(LIMITS.manifest_bytes)
        return msgspec.json.decode(untrusted, type=Manifest)

    @contextmanager
    def _new(self, kind: SnapshotKind, name: str) -> Iterator[Path]:
        """A directory without a name yet, with its description; gone if what is done in it fails."""
        directory = self._paths.snapshots / ".new"
        try:
            self._paths.snapshots.mkdir(mode=0o700, exist_ok=True)
            directory.mkdir(mode=0o700)
            manifest = Manifest(version=1, kind=kind, name=name, at=time.time())
            write_atomically(directory / "snapshot.json", msgspec.json.encode(manifest))
            yield directory
        except OSError as error:
            raise VolumeFailed(partition=self._partition.value, reason=error.strerror or "") from error
        finally:
            if directory.exists():
                self._purge(directory)

    def _publish(self, new: Path, snapshot_id: str = "") -> str:
        sync_directory(new)
        snapshot_id = snapshot_id or new_snapshot_id()
        publish(new, self._paths.snapshots / snapshot_id)
        sync_directory(self._paths.snapshots.parent)
        return snapshot_id

    def _discard(self, directory: Path) -> None:
        """It stops being one at once; its files follow."""
        gone = directory.with_name(f".{directory.name}")
        publish(directory, gone)
        self._purge(gone)

    def _purge(self, directory: Path) -> None:
        """Remove a directory and its files. A disk that has another name is in use, and is left whole."""
        disk = directory / "disk.qcow2"
        if disk.exists() and disk.stat().st_nlink == 1:
            overwrite_head(disk, LIMITS.head_bytes)
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
        sync_directory(self._paths.snapshots)
