"""Where the server keeps what, and who may read it.

``offline/`` holds root and targets keys: move it to removable media; the serving process never reads it.
``authority/`` holds the policy and command keys: the administrator's command line reads it, the serving
process does not. ``online/`` holds what serving needs: snapshot, timestamp and director keys, the device CA
and the TLS key.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT_KEYS = ("root-1", "root-2", "root-3")
ROOT_THRESHOLD = 2


@dataclass(frozen=True)
class Layout:
    """Paths below the server's directory."""

    directory: Path

    @property
    def database(self) -> Path:
        """SQLite; its presence marks an initialised server."""
        return self.directory / "server.sqlite"

    @property
    def offline(self) -> Path:
        """Keys that belong on removable media."""
        return self.directory / "offline"

    @property
    def authority(self) -> Path:
        """Keys only the administrator's command line uses."""
        return self.directory / "authority"

    @property
    def online(self) -> Path:
        """Keys and certificates of the serving process."""
        return self.directory / "online"

    @property
    def metadata(self) -> Path:
        """The TUF metadata, served as is."""
        return self.directory / "repository" / "metadata"

    @property
    def targets(self) -> Path:
        """The TUF targets, served as is."""
        return self.directory / "repository" / "targets"

    @property
    def admin_socket(self) -> Path:
        """Where the command line tells the serving process that something changed."""
        return self.directory / "admin.sock"

    @contextmanager
    def repository_lock(self) -> Iterator[None]:
        """Hold the repository: the command line and the serving process both write its metadata."""
        descriptor = os.open(
            self.directory / "repository" / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def write_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all: temporary, fsync, rename, fsync of the directory."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
